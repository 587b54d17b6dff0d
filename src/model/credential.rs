//! The provider's own credential: taken out of a request's head before that is masked, and its value put in afterwards.
//!
//! It is where clients of providers put it: one of four headers, the `key` of a query, or a subprotocol of a browser's WebSocket,
//! which becomes a header. A placeholder there becomes the value ([`Ticket::substitute`] decides and writes the event). Then it
//! arrives alone: every other header, parameter and subprotocol that is known to carry a credential is dropped, or two would go,
//! and the upstream would choose. The value itself goes on as it is in its own place, and nowhere else.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, uri};

use super::failure::Failure;
use super::target::percent_decode;
use crate::guard::{Ask, Origin, Place, Spot, Stands, Ticket};
use crate::net::headers::elements;
use crate::relay::{Error, head};

/// The headers in which a credential may stand: those of OpenAI and most others, of Anthropic, of Google, of Azure.
const CARRIERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    X_API_KEY,
    X_GOOG_API_KEY,
    HeaderName::from_static("api-key"),
];

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Authentication schemes whose credential stands behind them as it is.
const SCHEMES: [&str; 2] = ["bearer", "token"];

/// More headers that carry credentials, which never go beside ours.
const OTHERS: [&str; 8] = [
    "cookie",
    "ocp-apim-subscription-key",
    "x-access-token",
    "x-amz-security-token",
    "x-api-token",
    "x-auth-key",
    "x-auth-token",
    "x-goog-iam-authorization-token",
];

/// The parameter of a query in which a credential may stand.
const PARAMETER: &[u8] = b"key";

/// More parameters that carry credentials, which never go beside ours.
const OTHER_PARAMETERS: [&[u8]; 4] = [b"api-key", b"api_key", b"access_token", b"oauth_token"];

/// What stands before the credential in the subprotocol by which browsers hand it to OpenAI.
const SUBPROTOCOL: &[u8] = b"openai-insecure-api-key.";

/// A provider's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The key of the secret.
    pub key: String,
    /// Whether it is put into every request; else only in place of its placeholder.
    pub always: bool,
}

/// The header in which a provider wants its credential, where the client does not say.
pub(super) fn usual_carrier(name: &str, host: &str) -> HeaderName {
    let is_at = |domain: &str| {
        let front = host.strip_suffix(domain);
        front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    match name {
        "anthropic" => X_API_KEY,
        "gemini" => X_GOOG_API_KEY,
        "azure" => HeaderName::from_static("api-key"),
        _ if is_at("anthropic.com") => X_API_KEY,
        _ if is_at("generativelanguage.googleapis.com") => X_GOOG_API_KEY,
        _ if is_at("azure.com") => HeaderName::from_static("api-key"),
        _ => header::AUTHORIZATION,
    }
}

/// A part of a request target.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// To be masked.
    Text(String),
    /// The value goes here.
    Hole,
    /// The value as the client wrote it.
    Own(String),
}

/// What was taken out of a request's head, and what is to be put in.
#[derive(Default)]
pub(super) struct Carried {
    /// Where the value goes, and what stands before it there.
    holes: Vec<(HeaderName, String)>,
    /// Headers with the value itself, as they came.
    own: Vec<(HeaderName, HeaderValue)>,
    /// The target's parts.
    target: Vec<Part>,
}

/// Whose credential it is, and where the request goes.
pub(super) struct Bearer<'a> {
    pub credential: &'a Credential,
    pub destination: &'a Origin,
    pub usual: &'a HeaderName,
}

impl Carried {
    /// A request without a credential of ours.
    pub fn none(target: &str) -> Self {
        Self {
            target: vec![Part::Text(target.to_owned())],
            ..Self::default()
        }
    }

    /// Takes what concerns the credential out of a request's head. What else carries one stays, to be masked as all else, unless
    /// ours is put in.
    pub fn take(
        bearer: &Bearer<'_>,
        ticket: &Ticket,
        headers: &mut HeaderMap,
        target: &str,
    ) -> Self {
        let mut taken = Self::default();
        if bearer.credential.always {
            let carrier = used_carrier(headers).unwrap_or_else(|| bearer.usual.clone());
            let before = if carrier == header::AUTHORIZATION {
                "Bearer "
            } else {
                ""
            };
            taken.holes.push((carrier, before.to_owned()));
            taken.drop_others(headers);
            taken.assemble(pieces(target).map(|piece| (piece, Stands::Other)), true);
            return taken;
        }
        let stands = |text: &str, spot: Spot<'_>| {
            let ask = Ask {
                key: &bearer.credential.key,
                spots: &[spot],
                destination: bearer.destination,
            };
            ticket.stands_for(text, &ask)
        };
        taken.take_headers(headers, stands);
        taken.take_subprotocols(headers, stands);
        let marked: Vec<_> = pieces(target)
            .map(|piece| (piece, parameter_stands(piece, stands)))
            .collect();
        let is_hole = |(_, stands): &(&str, Stands)| *stands == Stands::Placeholder;
        let alone = !taken.holes.is_empty() || marked.iter().any(is_hole);
        if alone {
            taken.drop_others(headers);
        }
        taken.assemble(marked.into_iter(), alone);
        taken
    }

    /// Whether the value is to be put in.
    fn is_asked_for(&self) -> bool {
        !self.holes.is_empty() || self.target.contains(&Part::Hole)
    }

    fn take_headers(&mut self, headers: &mut HeaderMap, stands: impl Fn(&str, Spot<'_>) -> Stands) {
        for name in CARRIERS {
            let header::Entry::Occupied(found) = headers.entry(&name) else {
                continue;
            };
            let (_, values) = found.remove_entry_mult();
            let values: Vec<HeaderValue> = values.collect();
            for value in values {
                let spot = Spot {
                    place: Place::Header,
                    header: Some(name.as_str()),
                };
                let parts = parts(&name, &value);
                match parts.map(|(before, text)| (before, stands(text, spot))) {
                    Some((before, Stands::Placeholder)) => {
                        self.holes.push((name.clone(), before.to_owned()));
                    }
                    Some((_, Stands::Value)) => self.own.push((name.clone(), value)),
                    _ => {
                        headers.append(&name, value);
                    }
                }
            }
        }
    }

    /// Subprotocols with the placeholder go, and the value goes into the header that means the same.
    fn take_subprotocols(
        &mut self,
        headers: &mut HeaderMap,
        stands: impl Fn(&str, Spot<'_>) -> Stands,
    ) {
        let spot = Spot {
            place: Place::Header,
            header: Some(header::AUTHORIZATION.as_str()),
        };
        let mut holes = 0;
        retain_subprotocols(headers, |name| {
            let text = name
                .strip_prefix(SUBPROTOCOL)
                .and_then(|text| std::str::from_utf8(text).ok());
            let is_hole = text.is_some_and(|text| stands(text, spot) == Stands::Placeholder);
            holes += usize::from(is_hole);
            !is_hole
        });
        for _ in 0..holes {
            self.holes
                .push((header::AUTHORIZATION, "Bearer ".to_owned()));
        }
    }

    /// Makes the target of its pieces; `alone`: without parameters that carry another credential than ours.
    fn assemble<'a>(&mut self, pieces: impl Iterator<Item = (&'a str, Stands)>, alone: bool) {
        let mut text = String::new();
        let mut in_query = false;
        for (piece, stands) in pieces {
            let is_other = stands != Stands::Placeholder && carries(piece);
            if alone && is_other {
                continue;
            }
            let is_parameter = parameter(piece).is_some();
            if is_parameter && !in_query {
                // The first that is left begins the query.
                text.push('?');
            } else {
                text.push_str(&piece[..usize::from(is_parameter)]);
            }
            in_query |= is_parameter;
            let piece = &piece[usize::from(is_parameter)..];
            let value = match stands {
                Stands::Other => "",
                Stands::Placeholder | Stands::Value => after_name(piece),
            };
            text.push_str(&piece[..piece.len() - value.len()]);
            let part = match stands {
                Stands::Other => continue,
                Stands::Placeholder => Part::Hole,
                Stands::Value => Part::Own(value.to_owned()),
            };
            self.target.push(Part::Text(std::mem::take(&mut text)));
            self.target.push(part);
        }
        self.target.push(Part::Text(text));
    }

    /// Drops every header and subprotocol that carries a credential, the value itself included.
    fn drop_others(&mut self, headers: &mut HeaderMap) {
        self.own.clear();
        let carries = |name: &HeaderName| {
            // Servers that make variables of headers (CGI, WSGI) take an underscore for a hyphen.
            let name = name.as_str().replace('_', "-");
            CARRIERS.iter().any(|carrier| carrier.as_str() == name)
                || OTHERS.contains(&name.as_str())
        };
        let named: Vec<HeaderName> = headers
            .keys()
            .filter(|name| carries(name))
            .cloned()
            .collect();
        for name in named {
            headers.remove(name);
        }
        retain_subprotocols(headers, |name| !name.starts_with(SUBPROTOCOL));
    }

    /// Masks the target's text.
    ///
    /// # Errors
    /// As [`head::mask_target`].
    pub fn mask_target(
        &mut self,
        ticket: &Ticket,
        tally: &crate::relay::Tally,
    ) -> Result<(), Error> {
        for part in &mut self.target {
            if let Part::Text(text) = part {
                let masked = head::mask_target(text, ticket.snapshot(), tally)?;
                *text = masked.into_owned();
            }
        }
        Ok(())
    }

    /// Puts the value in, if it is asked for: into the headers, and into the target, which stands behind `base_path`.
    ///
    /// # Errors
    /// It may not go there, there is no trace of it, or the target is not valid.
    pub async fn put(
        self,
        bearer: Option<Bearer<'_>>,
        ticket: &Ticket,
        base_path: &str,
        headers: &mut HeaderMap,
        fail: impl Fn(Error) -> Failure,
    ) -> Result<Uri, Failure> {
        for (name, mut value) in self.own.iter().cloned() {
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let target = match bearer.filter(|_| self.is_asked_for()) {
            None => self.target(base_path, ""),
            Some(bearer) => {
                let spots = self.spots();
                let ask = Ask {
                    key: &bearer.credential.key,
                    spots: &spots,
                    destination: bearer.destination,
                };
                let written =
                    ticket.substitute(&ask, |value| self.write(value, base_path, headers));
                let written = written.await.map_err(|denied| Failure::Denied {
                    key: bearer.credential.key.clone(),
                    origin: bearer.destination.to_string(),
                    denied,
                })?;
                written.map_err(&fail)?
            }
        };
        let target: uri::PathAndQuery = target
            .parse()
            .map_err(|_| fail(Error::Unwritable("target")))?;
        Ok(Uri::from(target))
    }

    fn spots(&self) -> Vec<Spot<'_>> {
        let in_headers = self.holes.iter().map(|(name, _)| Spot {
            place: Place::Header,
            header: Some(name.as_str()),
        });
        let in_target = self.target.iter().filter(|part| **part == Part::Hole);
        let in_target = in_target.map(|_| Spot {
            place: Place::Query,
            header: None,
        });
        in_headers.chain(in_target).collect()
    }

    /// Writes the value into its headers; returns the target with it.
    fn write(
        &self,
        value: &str,
        base_path: &str,
        headers: &mut HeaderMap,
    ) -> Result<String, Error> {
        for (name, before) in &self.holes {
            let text = zeroize::Zeroizing::new([before, value].concat());
            let mut value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| Error::Unwritable("credential"))?;
            // Never in the tables of HPACK, nor in what prints headers.
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        Ok(self.target(base_path, &encoded(value)))
    }

    /// The whole target, with that in each hole.
    fn target(&self, base_path: &str, value: &str) -> String {
        let mut target = base_path.to_owned();
        for part in &self.target {
            target.push_str(match part {
                Part::Text(text) | Part::Own(text) => text,
                Part::Hole => value,
            });
        }
        let rest = &target[base_path.len()..];
        if base_path.is_empty() && !rest.starts_with('/') {
            target.insert(0, '/');
        }
        target
    }
}

/// The first header of the client that carries a credential, so that ours goes the same way.
fn used_carrier(headers: &HeaderMap) -> Option<HeaderName> {
    let used = |name: &HeaderName| {
        let value = headers.get(name)?;
        (name != header::AUTHORIZATION || parts(name, value).is_some()).then(|| name.clone())
    };
    let [authorization, others @ ..] = &CARRIERS;
    others.iter().chain([authorization]).find_map(used)
}

/// What stands before the credential in a header, and the credential; `None` for one that is not read.
fn parts<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<(&'a str, &'a str)> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim_ascii();
    if *name != header::AUTHORIZATION {
        return Some(("", text));
    }
    let Some(end) = text.find([' ', '\t']) else {
        return Some(("", text));
    };
    let credential = text[end..].trim_ascii_start();
    let scheme = &text[..end];
    // What is no known scheme may be a value, and stays to be masked. In Basic the credential is coded, and one of two parts.
    let known = SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    known.then(|| (&text[..text.len() - credential.len()], credential))
}

/// Keeps the subprotocols that pass.
fn retain_subprotocols(headers: &mut HeaderMap, mut keep: impl FnMut(&[u8]) -> bool) {
    if !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        return;
    }
    let all: Vec<&[u8]> = elements(headers, &header::SEC_WEBSOCKET_PROTOCOL).collect();
    let kept: Vec<&[u8]> = all.iter().copied().filter(|name| keep(name)).collect();
    if kept.len() == all.len() {
        return;
    }
    let kept = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok();
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

/// The path, then each parameter of the query with the sign before it.
fn pieces(target: &str) -> impl Iterator<Item = &str> {
    let query = target.find('?').unwrap_or(target.len());
    let mut rest = target;
    let mut at = query;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(at);
        rest = after;
        at = after
            .get(1..)
            .and_then(|text| text.find('&'))
            .map_or(after.len(), |end| end + 1);
        Some(piece)
    })
}

/// What a piece of a target stands for.
fn parameter_stands(piece: &str, stands: impl Fn(&str, Spot<'_>) -> Stands) -> Stands {
    let spot = Spot {
        place: Place::Query,
        header: None,
    };
    match parameter(piece).map(|(name, value)| (name == PARAMETER, String::from_utf8(value))) {
        Some((true, Ok(value))) => stands(&value, spot),
        _ => Stands::Other,
    }
}

/// Whether a piece of a target is a parameter that carries a credential.
fn carries(piece: &str) -> bool {
    parameter(piece).is_some_and(|(name, _)| {
        let is = |known: &&[u8]| name.eq_ignore_ascii_case(known);
        is(&PARAMETER) || OTHER_PARAMETERS.iter().any(is)
    })
}

/// Name and value of a parameter, decoded; `None` for a path.
fn parameter(piece: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = piece.strip_prefix(['?', '&'])?;
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let decoded = |text: &str| percent_decode(text.replace('+', " ").as_bytes());
    Some((decoded(name), decoded(value)))
}

/// What stands behind the `=` of a parameter.
fn after_name(piece: &str) -> &str {
    piece.split_once('=').map_or("", |(_, value)| value)
}

/// A value as it stands in a query.
fn encoded(value: &str) -> zeroize::Zeroizing<String> {
    let mut out = zeroize::Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(digit.into(), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_apart_and_together_again() {
        for target in [
            "",
            "/",
            "/a/b",
            "?",
            "?a",
            "/a?",
            "/a?key=1",
            "/a?key=1&",
            "/a?&key=1&&b=%26",
            "/a?a=?b&c",
            "?key",
            "/é?é=é",
        ] {
            let all: String = pieces(target).collect();
            assert_eq!(all, target);
            let mut carried = Carried::default();
            carried.assemble(pieces(target).map(|piece| (piece, Stands::Other)), false);
            assert_eq!(carried.target, [Part::Text(target.to_owned())]);
        }
    }

    #[test]
    fn the_value_goes_where_its_parameter_stood_and_alone() {
        for (target, expected) in [
            ("/a?key=P", "/a?key=[]"),
            ("/a?b=1&key=P&c=2", "/a?b=1&key=[]&c=2"),
            ("/a?key=P&key=P", "/a?key=[]&key=[]"),
            ("/a?api-key=x&key=P&Access_Token=y&c", "/a?key=[]&c"),
            ("?%6bey=P", "?%6bey=[]"),
            ("/a?b=1&key=V&key=P", "/a?b=1&key=[]"),
        ] {
            let stands = |piece: &str| match after_name(piece) {
                "P" => Stands::Placeholder,
                "V" => Stands::Value,
                _ => Stands::Other,
            };
            let mut carried = Carried::default();
            carried.assemble(pieces(target).map(|piece| (piece, stands(piece))), true);
            assert_eq!(
                carried.target("/base", "[]"),
                format!("/base{expected}"),
                "{target}"
            );
        }
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?key=x", "/a"),
            ("/a?key=x&b=1", "/a?b=1"),
            ("/a?KEY&b=1&api_key=2&c", "/a?b=1&c"),
            ("/key=1?monkey=2", "/key=1?monkey=2"),
        ] {
            let mut carried = Carried::default();
            carried.assemble(pieces(target).map(|piece| (piece, Stands::Other)), true);
            assert_eq!(carried.target("", ""), expected);
        }
    }

    #[test]
    fn the_value_alone_goes_on_as_it_came() {
        let mut carried = Carried::default();
        let marked = [
            ("/a", Stands::Other),
            ("?key=%41", Stands::Value),
            ("&b", Stands::Other),
        ];
        carried.assemble(marked.into_iter(), false);
        assert_eq!(carried.target("", "never"), "/a?key=%41&b");
    }

    #[test]
    fn credentials_in_headers() {
        for (value, expected) in [
            ("Bearer x_key", Some(("Bearer ", "x_key"))),
            ("bearer \t x_key ", Some(("bearer \t ", "x_key"))),
            ("x_key", Some(("", "x_key"))),
            ("Token x_key", Some(("Token ", "x_key"))),
            (
                "Bearer x_key, Bearer y",
                Some(("Bearer ", "x_key, Bearer y")),
            ),
            ("Basic eDp5", None),
            ("an-other-value x_key", None),
            ("BASIC eDp5", None),
            ("", Some(("", ""))),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(parts(&header::AUTHORIZATION, &value), expected, "{value:?}");
        }
        let value = HeaderValue::from_static(" Basic x ");
        assert_eq!(parts(&X_API_KEY, &value), Some(("", "Basic x")));
    }

    #[test]
    fn usual_carriers() {
        for (name, host, expected) in [
            ("openai", "api.openai.com", "authorization"),
            ("anthropic", "127.0.0.1", "x-api-key"),
            ("p", "api.anthropic.com", "x-api-key"),
            ("p", "notanthropic.com", "authorization"),
            ("gemini", "localhost", "x-goog-api-key"),
            ("p", "generativelanguage.googleapis.com", "x-goog-api-key"),
            ("p", "res.openai.azure.com", "api-key"),
        ] {
            assert_eq!(usual_carrier(name, host), expected);
        }
    }

    #[test]
    fn values_are_encoded_for_a_query() {
        assert_eq!(*encoded("aZ09-._~"), "aZ09-._~");
        assert_eq!(*encoded("a&b=c d/%é\n"), "a%26b%3Dc%20d%2F%25%C3%A9%0A");
    }
}
