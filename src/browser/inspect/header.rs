//! Headers and cookies that a client sets.
//!
//! A header of one request whose destination is known takes a value where the secret allows it, and so do Basic credentials in
//! it. Headers of all requests to come, and cookies, take none: where they will go is not known.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::draft::{Draft, Hole, Spelling};
use super::params::read;
use super::url::Wrong;
use super::{Inspector, admit};
use crate::browser::context::Context;
use crate::browser::{Command, Refusal, Verdict, base64};
use crate::guard::{Denied, Finder, Found, NotAllowed, Place};

impl Inspector {
    /// `Network.setExtraHTTPHeaders`.
    pub(super) async fn header(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        struct Headers {
            headers: Pairs,
        }
        let Headers {
            headers: Pairs(pairs),
        } = read(command)?;
        let ticket = admit(context, command, "all requests").await?;
        let finder = ticket.snapshot().finder();
        for (name, value) in &pairs {
            if let Some(key) = value
                .as_str()
                .and_then(|value| in_header(name, value, finder))
            {
                let reason = "these headers go along with every request, wherever it leads. Put it into the one request with \
                              Fetch.continueRequest";
                return Err(self.said.refused(&ticket, &key, reason));
            }
        }
        Ok(Verdict::Pass)
    }

    /// `Network.setCookie`, `Network.setCookies`, `Storage.setCookies`.
    pub(super) async fn cookie(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        struct Cookies {
            value: Option<String>,
            cookies: Option<Vec<Cookie>>,
        }
        #[derive(Deserialize)]
        struct Cookie {
            value: Option<String>,
        }
        let Cookies { value, cookies } = read(command)?;
        let ticket = admit(context, command, "cookies").await?;
        let finder = ticket.snapshot().finder();
        let all = cookies.into_iter().flatten().map(|cookie| cookie.value);
        for value in all.chain([value]).flatten() {
            if let Some(found) = finder.find(&value).first() {
                let reason = "no secret is put into a cookie. One that was read here was masked: leave it as the browser has it";
                return Err(self.said.refused(&ticket, found.key, reason));
            }
        }
        Ok(Verdict::Pass)
    }
}

/// The key of a placeholder in a header.
fn in_header(name: &str, value: &str, finder: &Finder) -> Option<String> {
    if let Some(basic) = basic(name, value)
        && let Some(found) = finder.find(&basic.text).first()
    {
        return Some(found.key.to_owned());
    }
    found_in(name, value, finder)
        .first()
        .map(|found| found.key.to_owned())
}

/// Appends a header's value to a draft, in the JSON string that is open. `may`: whether a value may go to that place, `true` for
/// Basic credentials.
///
/// # Errors
/// A placeholder's value may not go there.
pub fn draft(
    name: &str,
    value: &str,
    finder: &Finder,
    may: impl Fn(&str, Place) -> Result<(), Denied>,
    draft: &mut Draft,
) -> Result<(), Wrong> {
    if let Some(basic) = basic(name, value) {
        let found = finder.find(&basic.text);
        if !found.is_empty() {
            for found in &found {
                let denied = |denied| Wrong::Denied(found.key.to_owned(), denied);
                may(found.key, Place::Basic).map_err(denied)?;
            }
            draft
                .text(basic.before)
                .base64(credentials(&basic.text, &found));
            return Ok(());
        }
    }
    let mut at = 0;
    for found in found_in(name, value, finder) {
        let is_word = &value[found.range.clone()] == found.key;
        match may(found.key, Place::Header) {
            Ok(()) => {
                draft.text(&value[at..found.range.start]);
                draft.hole(Hole::new(
                    found.key,
                    Place::Header,
                    Some(name),
                    Spelling::Json,
                ));
                at = found.range.end;
            }
            // A word in a header that never takes a value is what the page itself has there, masked.
            Err(Denied::NotAllowed(NotAllowed::Header(_))) if is_word => {}
            Err(denied) => return Err(Wrong::Denied(found.key.to_owned(), denied)),
        }
    }
    draft.text(&value[at..]);
    Ok(())
}

fn credentials(text: &str, found: &[Found<'_>]) -> Draft {
    let mut draft = Draft::default();
    let mut at = 0;
    for found in found {
        draft.plain(&text[at..found.range.start]);
        draft.hole(Hole::new(found.key, Place::Basic, None, Spelling::Plain));
        at = found.range.end;
    }
    draft.plain(&text[at..]);
    draft
}

/// Basic credentials (RFC 7617) in a header.
struct Basic<'a> {
    /// The scheme and what follows it.
    before: &'a str,
    /// User name, colon, password.
    text: String,
}

fn basic<'a>(name: &str, value: &'a str) -> Option<Basic<'a>> {
    let (scheme, rest) = value.split_once(' ')?;
    if !is_authorization(name) || !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let coded = rest.trim();
    let start = value.len() - rest.trim_start().len();
    let text = base64::decode_wiped(coded)?;
    let text = std::str::from_utf8(&text).ok()?.to_owned();
    Some(Basic {
        before: &value[..start],
        text,
    })
}

fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("proxy-authorization")
}

/// The placeholders of a header's value; in one for credentials, any key that is the whole credential counts.
fn found_in<'f>(name: &str, value: &str, finder: &'f Finder) -> Vec<Found<'f>> {
    let all = finder.find(value);
    let credential = value.split_once(' ').filter(|_| is_authorization(name));
    let Some((scheme, rest)) = credential.filter(|_| all.is_empty()) else {
        return all;
    };
    let start = scheme.len() + 1;
    let shifted = finder.find(rest).into_iter().map(|found| Found {
        range: start + found.range.start..start + found.range.end,
        ..found
    });
    shifted.collect()
}

/// The members of an object, each, also where a key stands twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Spelling as Written;

    fn finder() -> Finder {
        let accept = [("", ""), ("{{", "}}")].map(|(before, after)| Written::new(before, after));
        Finder::new(["x_user", "x_password", "pin"], &accept)
    }

    fn drafted(name: &str, value: &str) -> Result<String, String> {
        let may = |key: &str, place: Place| match (key, place, name) {
            ("x_user", Place::Header, _) => Err(NotAllowed::Place(place).into()),
            (_, Place::Header, "Cookie") => Err(NotAllowed::Header("cookie".into()).into()),
            _ => Ok(()),
        };
        let mut out = Draft::default();
        match draft(name, value, &finder(), may, &mut out) {
            Ok(()) => Ok(out.shown()),
            Err(Wrong::Denied(key, _) | Wrong::Place(key, _)) => Err(key),
        }
    }

    #[test]
    fn headers_of_one_request() {
        for (name, value, expected) in [
            ("X-Key", "x_password", Ok("[x_password]")),
            ("X-Key", "a {{pin}} b", Ok("a [pin] b")),
            ("X-Key", "pin", Ok("[pin]")),
            ("X-Key", "a pin", Ok("a pin")),
            ("X-Key", "\"", Ok("\\\"")),
            (
                "Authorization",
                "Bearer x_password",
                Ok("Bearer [x_password]"),
            ),
            ("authorization", "Bearer pin", Ok("Bearer [pin]")),
            (
                "Authorization",
                "Basic dTp4X3Bhc3N3b3Jk",
                Ok("Basic base64(u:[x_password])"),
            ),
            (
                "Authorization",
                "basic dTp4X3Bhc3N3b3Jk",
                Ok("basic base64(u:[x_password])"),
            ),
            (
                "Authorization",
                "Basic eF91c2VyOnhfcGFzc3dvcmQ",
                Ok("Basic base64([x_user]:[x_password])"),
            ),
            ("Authorization", "Basic dTpw", Ok("Basic dTpw")),
            ("Authorization", "Basic !", Ok("Basic !")),
            (
                "X-Key",
                "Basic dTp4X3Bhc3N3b3Jk",
                Ok("Basic dTp4X3Bhc3N3b3Jk"),
            ),
            ("X-Key", "x_user", Err("x_user")),
            ("Cookie", "a=x_password", Ok("a=x_password")),
            ("Cookie", "a={{x_password}}", Err("x_password")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(drafted(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn placeholders_in_headers_of_all_requests() {
        for (name, value, expected) in [
            ("X-Key", "x_password", Some("x_password")),
            ("X-Key", "{{pin}}", Some("pin")),
            ("Authorization", "Bearer pin", Some("pin")),
            (
                "Authorization",
                "Basic dTp4X3Bhc3N3b3Jk",
                Some("x_password"),
            ),
            ("Accept-Language", "de", None),
        ] {
            assert_eq!(
                in_header(name, value, &finder()).as_deref(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn each_member_of_an_object_counts() {
        let Pairs(pairs) = serde_json::from_str(r#"{"a":"1","a":"2","b":3}"#).unwrap();
        assert_eq!(pairs.len(), 3);
    }
}
