//! Opening handshakes (RFC 6455, 4) and what is agreed on in them, on both sides of us.
//!
//! permessage-deflate is agreed on with each side by itself. We compress each message alone, so nothing that a peer may ask
//! of us beyond that needs an answer from us, and we read what was compressed with any window.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::headers::elements;

/// The version of the protocol (RFC 6455).
pub const VERSION: HeaderValue = HeaderValue::from_static("13");

const DEFLATE: &str = "permessage-deflate";

/// What we ask an upstream for. It lets the upstream forget our messages: we compress each one alone.
const OUR_OFFER: HeaderValue =
    HeaderValue::from_static("permessage-deflate; client_no_context_takeover");

/// Characters of a key: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// The headers that belong to one handshake, and so to one hop.
const OF_HANDSHAKE: [HeaderName; 5] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
];

/// Why a request opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// Another method than GET.
    #[error("a WebSocket is opened by GET")]
    Method,
    /// HTTP/1.0.
    #[error("a WebSocket is opened over HTTP/1.1")]
    Http,
    /// `Connection` does not name `Upgrade`.
    #[error("the request has Upgrade without Connection: Upgrade")]
    Connection,
    /// No key, more than one, or one that is not 16 bytes in base64.
    #[error("the request has no valid Sec-WebSocket-Key")]
    Key,
    /// Another version than 13.
    #[error("the request has another Sec-WebSocket-Version than 13")]
    Version,
    /// Subprotocols that are not tokens.
    #[error("the request has a Sec-WebSocket-Protocol that is no list of names")]
    Protocol,
    /// A body, which upstream might take for frames.
    #[error("the request opens a WebSocket and has a body")]
    Body,
}

/// Why an upstream's answer opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It switches to something else.
    #[error("its answer to a WebSocket handshake switches to another protocol")]
    Upgrade,
    /// It did not answer our key.
    #[error("its answer to a WebSocket handshake has a wrong Sec-WebSocket-Accept")]
    Accept,
    /// A subprotocol that was not asked for.
    #[error("its answer to a WebSocket handshake names a subprotocol that was not asked for")]
    Protocol,
    /// An extension, or a parameter of one, that was not asked for.
    #[error("its answer to a WebSocket handshake names an extension that was not asked for")]
    Extension,
}

/// Whether a request asks for a WebSocket; it may still do so wrongly.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    elements(headers, &header::UPGRADE).any(|name| name.eq_ignore_ascii_case(b"websocket"))
}

/// A client's opening request.
pub struct Opening {
    accept: HeaderValue,
    protocols: Vec<HeaderValue>,
    /// What to answer to its offer of compression.
    deflate: Option<HeaderValue>,
}

impl Opening {
    /// Reads one (RFC 6455, 4.2.1).
    ///
    /// # Errors
    /// See [`OpeningError`].
    pub fn of(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, OpeningError> {
        if *method != Method::GET {
            return Err(OpeningError::Method);
        }
        if version != Version::HTTP_11 {
            return Err(OpeningError::Http);
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(OpeningError::Connection);
        }
        if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
            return Err(OpeningError::Version);
        }
        let key = only(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
        let key = key.ok_or(OpeningError::Key)?;
        let accept = derive_accept_key(key);
        Ok(Self {
            // Base64 is a header's value.
            accept: HeaderValue::try_from(accept).map_err(|_| OpeningError::Key)?,
            protocols: protocols(headers).ok_or(OpeningError::Protocol)?,
            deflate: elements(headers, &header::SEC_WEBSOCKET_EXTENSIONS)
                .filter_map(|offer| Deflate::read(offer)?.ok())
                .find_map(|offer| HeaderValue::try_from(offer.accepted()).ok()),
        })
    }

    /// Whether it offers to compress, in a way that we take.
    pub fn offers_deflate(&self) -> bool {
        self.deflate.is_some()
    }

    /// Puts our answer into the head that upstream answered with, less what belonged to upstream's hop.
    pub fn answer(&self, ask: &Ask, agreed: &Agreed, headers: &mut HeaderMap) {
        strip(headers);
        self.accept(headers);
        if let Some(at) = agreed.protocol {
            // In the client's own words: it knows no other.
            let same = self.protocols.len() == ask.protocols.len();
            let spoken = if same {
                &self.protocols
            } else {
                &ask.protocols
            };
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, spoken[at].clone());
        }
    }

    /// Puts the answer of a server into a head that has nothing of a handshake: one without subprotocols, which takes
    /// compression where it is offered.
    pub fn accept(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(deflate) = &self.deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, deflate.clone());
        }
    }
}

/// Our own opening request.
pub struct Ask {
    accept: String,
    protocols: Vec<HeaderValue>,
    deflate: bool,
}

/// What an upstream agreed to.
pub struct Agreed {
    /// Which of the subprotocols.
    protocol: Option<usize>,
    /// Whether messages may be compressed.
    pub deflate: bool,
}

impl Ask {
    /// Makes the masked head of the client's opening request ours, with a key of its own; subprotocols stay.
    ///
    /// # Errors
    /// What masking made of the subprotocols is no list of names.
    pub fn write(headers: &mut HeaderMap, deflate: bool) -> Result<Self, OpeningError> {
        let protocols = protocols(headers).ok_or(OpeningError::Protocol)?;
        let lines: Vec<_> = headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .cloned()
            .collect();
        strip(headers);
        for line in lines {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, line);
        }
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let key = HeaderValue::try_from(key).map_err(|_| OpeningError::Key)?;
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, OUR_OFFER);
        }
        Ok(Self {
            accept,
            protocols,
            deflate,
        })
    }

    /// Judges the head of an answer with status 101 (RFC 6455, 4.1).
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn judge(&self, headers: &HeaderMap) -> Result<Agreed, AnswerError> {
        let mut upgrades = elements(headers, &header::UPGRADE);
        let to_websocket = upgrades
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"));
        let to_other = upgrades.next().is_some();
        if !to_websocket || to_other || !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(AnswerError::Upgrade);
        }
        if only(headers, &header::SEC_WEBSOCKET_ACCEPT) != Some(self.accept.as_bytes()) {
            return Err(AnswerError::Accept);
        }
        let protocol = match only(headers, &header::SEC_WEBSOCKET_PROTOCOL) {
            None if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) => {
                return Err(AnswerError::Protocol);
            }
            None => None,
            Some(name) => {
                let at = self.protocols.iter().position(|p| p.as_bytes() == name);
                Some(at.ok_or(AnswerError::Protocol)?)
            }
        };
        let mut deflate = false;
        for extension in elements(headers, &header::SEC_WEBSOCKET_EXTENSIONS) {
            let agreed = Deflate::read(extension)
                .and_then(Result::ok)
                // A window for us was not offered; one for upstream says its size.
                .filter(|agreed| !agreed.client_bounded);
            if agreed.is_none() || deflate || !self.deflate {
                return Err(AnswerError::Extension);
            }
            deflate = true;
        }
        Ok(Agreed { protocol, deflate })
    }
}

/// The parameters of permessage-deflate (RFC 7692, 7.1).
#[derive(Default)]
struct Deflate {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<u8>,
    /// Whether the client's window has a bound; no matter which.
    client_bounded: bool,
}

impl Deflate {
    /// Reads an element of `Sec-WebSocket-Extensions`; `None` if it is another extension.
    fn read(element: &[u8]) -> Option<Result<Self, ()>> {
        let mut parts = element.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        if !parts.next()?.eq_ignore_ascii_case(DEFLATE.as_bytes()) {
            return None;
        }
        let mut deflate = Self::default();
        for part in parts {
            let mut pair = part.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
            let name = pair.next().unwrap_or_default().to_ascii_lowercase();
            if deflate.take(&name, pair.next()).is_none() {
                return Some(Err(()));
            }
        }
        Some(Ok(deflate))
    }

    /// `None`: unknown, twice, or with a value that it may not have.
    fn take(&mut self, name: &[u8], value: Option<&[u8]>) -> Option<()> {
        let fresh = match name {
            b"server_no_context_takeover" if value.is_none() => {
                !std::mem::replace(&mut self.server_alone, true)
            }
            b"client_no_context_takeover" if value.is_none() => {
                !std::mem::replace(&mut self.client_alone, true)
            }
            b"server_max_window_bits" => self.server_bits.replace(bits(value?)?).is_none(),
            b"client_max_window_bits" => {
                // In an offer it may stand without a number.
                if let Some(value) = value {
                    bits(value)?;
                }
                !std::mem::replace(&mut self.client_bounded, true)
            }
            _ => false,
        };
        fresh.then_some(())
    }

    /// The answer that takes this offer. We send a client nothing compressed: any window of ours will do.
    fn accepted(&self) -> String {
        let mut text = DEFLATE.to_owned();
        if self.server_alone {
            text.push_str("; server_no_context_takeover");
        }
        if self.client_alone {
            text.push_str("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_bits {
            text.push_str("; server_max_window_bits=");
            text.push_str(&bits.to_string());
        }
        text
    }
}

fn bits(value: &[u8]) -> Option<u8> {
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    (8..=15).find(|bits| bits.to_string().as_bytes() == value)
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_HANDSHAKE {
        headers.remove(name);
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The value of a header that stands once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines
        .next()
        .is_none()
        .then_some(line.as_bytes().trim_ascii())
}

fn protocols(headers: &HeaderMap) -> Option<Vec<HeaderValue>> {
    elements(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .map(|name| {
            // A header's name is a token, which is what a subprotocol's must be.
            HeaderName::from_bytes(name).ok()?;
            HeaderValue::from_bytes(name).ok()
        })
        .collect()
}

/// Whether this is the base64 of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    key.len() == KEY_LENGTH
        && key.ends_with(b"==")
        && key[..KEY_LENGTH - 2].iter().all(plain)
        // The last character holds two bits.
        && matches!(key[KEY_LENGTH - 3], b'A' | b'Q' | b'g' | b'w')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn opening(changed: &[(&'static str, &str)]) -> Result<Opening, OpeningError> {
        let mut headers = map(&GOOD);
        for (name, _) in changed {
            headers.remove(*name);
        }
        for (name, value) in changed {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Opening::of(&Method::GET, Version::HTTP_11, &headers)
    }

    #[test]
    fn openings() {
        // RFC 6455, 1.3.
        assert_eq!(
            opening(&[]).ok().unwrap().accept,
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        for (changed, expected) in [
            ([("connection", "keep-alive")], OpeningError::Connection),
            ([("connection", "upgraded")], OpeningError::Connection),
            ([("sec-websocket-version", "12")], OpeningError::Version),
            ([("sec-websocket-version", "13, 8")], OpeningError::Version),
            ([("sec-websocket-key", "")], OpeningError::Key),
            (
                [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=")],
                OpeningError::Key,
            ),
            (
                [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!==")],
                OpeningError::Key,
            ),
            (
                [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZR==")],
                OpeningError::Key,
            ),
            ([("sec-websocket-protocol", "a b")], OpeningError::Protocol),
            (
                [("sec-websocket-protocol", "a, {b}")],
                OpeningError::Protocol,
            ),
        ] {
            assert_eq!(opening(&changed).err(), Some(expected), "{changed:?}");
        }
        let twice = [
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(opening(&twice).err(), Some(OpeningError::Key));
        let headers = map(&GOOD);
        let post = Opening::of(&Method::POST, Version::HTTP_11, &headers);
        assert_eq!(post.err(), Some(OpeningError::Method));
        let old = Opening::of(&Method::GET, Version::HTTP_10, &headers);
        assert_eq!(old.err(), Some(OpeningError::Http));
    }

    #[test]
    fn offers_of_compression() {
        for (offer, expected) in [
            ("permessage-deflate", Some("permessage-deflate")),
            (
                "x-webkit-deflate-frame, Permessage-Deflate",
                Some("permessage-deflate"),
            ),
            (
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
                Some("permessage-deflate; server_max_window_bits=12"),
            ),
            (
                "permessage-deflate;client_max_window_bits;server_no_context_takeover;client_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"9\"",
                Some("permessage-deflate; server_max_window_bits=9"),
            ),
            (
                "permessage-deflate; mystery, permessage-deflate",
                Some("permessage-deflate"),
            ),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=7", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=08", None),
            ("permessage-deflate; client_max_window_bits=", None),
            ("permessage-deflate; client_no_context_takeover=1", None),
            (
                "permessage-deflate; client_max_window_bits; client_max_window_bits",
                None,
            ),
            ("permessage-deflate;", None),
            ("permessage-bzip2", None),
            ("", None),
        ] {
            let opening = opening(&[("sec-websocket-extensions", offer)])
                .ok()
                .unwrap();
            let answer = opening.deflate.as_ref().map(|v| v.to_str().unwrap());
            assert_eq!(answer, expected, "{offer}");
        }
    }

    /// Judges an answer with these headers in place of the right ones.
    fn judged(
        deflate: bool,
        rows: &[(&'static str, &str)],
    ) -> Result<(Option<usize>, bool), AnswerError> {
        let mut asked = map(&[
            ("sec-websocket-protocol", "a, b"),
            ("sec-websocket-key", "k"),
        ]);
        let ask = Ask::write(&mut asked, deflate).ok().unwrap();
        assert_eq!(asked["sec-websocket-protocol"], "a, b");
        assert_ne!(asked["sec-websocket-key"], "k");
        assert_eq!(asked.contains_key("sec-websocket-extensions"), deflate);
        let mut headers = map(&[("upgrade", "WebSocket"), ("connection", "upgrade")]);
        let accept = HeaderValue::from_str(&ask.accept).unwrap();
        headers.insert("sec-websocket-accept", accept);
        for (name, _) in rows {
            headers.remove(*name);
        }
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        ask.judge(&headers)
            .map(|agreed| (agreed.protocol, agreed.deflate))
    }

    #[test]
    fn answers() {
        let extensions = "sec-websocket-extensions";
        for (deflate, rows, expected) in [
            (true, &[][..], Ok((None, false))),
            (
                true,
                &[("sec-websocket-protocol", "b")],
                Ok((Some(1), false)),
            ),
            (
                true,
                &[(extensions, "permessage-deflate")],
                Ok((None, true)),
            ),
            (
                true,
                &[(
                    extensions,
                    "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
                )],
                Ok((None, true)),
            ),
            (
                false,
                &[(extensions, "permessage-deflate")],
                Err(AnswerError::Extension),
            ),
            (
                true,
                &[(extensions, "permessage-deflate; client_max_window_bits=9")],
                Err(AnswerError::Extension),
            ),
            (
                true,
                &[(extensions, "permessage-deflate; mystery")],
                Err(AnswerError::Extension),
            ),
            (
                true,
                &[(extensions, "permessage-deflate, permessage-deflate")],
                Err(AnswerError::Extension),
            ),
            (
                true,
                &[(extensions, "mystery")],
                Err(AnswerError::Extension),
            ),
            (
                true,
                &[("sec-websocket-protocol", "c")],
                Err(AnswerError::Protocol),
            ),
            (
                true,
                &[("sec-websocket-protocol", "a, b")],
                Err(AnswerError::Protocol),
            ),
            (
                true,
                &[
                    ("sec-websocket-protocol", "a"),
                    ("sec-websocket-protocol", "b"),
                ],
                Err(AnswerError::Protocol),
            ),
            (
                true,
                &[("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
                Err(AnswerError::Accept),
            ),
            (true, &[("upgrade", "h2c")], Err(AnswerError::Upgrade)),
            (
                true,
                &[("upgrade", "websocket, h2c")],
                Err(AnswerError::Upgrade),
            ),
            (true, &[("connection", "close")], Err(AnswerError::Upgrade)),
        ] {
            assert_eq!(judged(deflate, rows), expected, "{rows:?}");
        }
    }
}
