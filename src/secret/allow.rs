//! Into which places of a request a value may be put.
//!
//! It judges a place by its kind and a header by its name. Where in a page a field is, and how a value is encoded for its place,
//! is for those who write it there.

use super::{Options, Place};

/// One use of a secret that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// The kind of place.
    pub place: Place,
    /// Of a header, its name.
    pub header: Option<&'a str>,
    /// How often the value is then in the request, this use included.
    pub uses: u32,
}

/// Why a value may not be put there. Never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The secret's `allow` does not list the place.
    #[error("the secret may not be put into {word}. Add '{word}' to its 'allow' if that is wrong", word = .0.as_str())]
    Place(Place),
    /// A header that never takes one.
    #[error("no secret is put into the header '{0}'")]
    Header(Box<str>),
    /// A header without a name, or with one that HTTP does not know.
    #[error("the header has no valid name")]
    HeaderName,
    /// The value would end the header.
    #[error("the value has line breaks or control characters, which a header must not have")]
    ControlCharacters,
    /// More often than `max_uses`, which it holds.
    #[error(
        "the secret may be used {0} times in one request. Raise its 'max_uses' if that is wrong"
    )]
    Uses(u32),
}

/// Headers that say who is asking or where, which programs log and pass on.
const PUBLIC: [&str; 6] = [
    "host",
    "origin",
    "referer",
    "user-agent",
    "cookie",
    "cookie2",
];

/// Headers that frame a message or route it, or that belong to one hop of its way (RFC 9110 section 7.6.1).
const FRAMING: [&str; 18] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "expect",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method-override",
];

/// Families of headers of that sort.
const FAMILIES: [&str; 4] = ["x-forwarded-", "sec-fetch-", "sec-ch-", "sec-websocket-"];

/// The one of a family that carries credentials: browsers cannot set another on a WebSocket.
const EXCEPT: &str = "sec-websocket-protocol";

impl Options {
    /// Whether the options let a value into such a place; `header`: of a header, its name.
    ///
    /// # Errors
    /// Why not.
    pub fn may_go(&self, place: Place, header: Option<&str>) -> Result<(), NotAllowed> {
        if !self.allow.contains(&place) {
            return Err(NotAllowed::Place(place));
        }
        if place == Place::Header {
            may_hold(header.ok_or(NotAllowed::HeaderName)?)?;
        }
        Ok(())
    }
}

/// Whether a header of that name may hold a secret's value at all.
fn may_hold(header: &str) -> Result<(), NotAllowed> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if header.is_empty() || !header.bytes().all(is_token) {
        return Err(NotAllowed::HeaderName);
    }
    // Servers that hand headers on as variables (CGI, WSGI) take `User_Agent` for `User-Agent`.
    let name = header.to_ascii_lowercase().replace('_', "-");
    let listed = PUBLIC.contains(&name.as_str()) || FRAMING.contains(&name.as_str());
    let in_family = FAMILIES.iter().any(|family| name.starts_with(family)) && name != EXCEPT;
    if listed || in_family {
        return Err(NotAllowed::Header(name.into()));
    }
    Ok(())
}

/// Whether a text may stand in such a place: no control characters in a header (RFC 9110 section 5.5), nor in the parts of Basic
/// credentials (RFC 7617 section 2).
pub(super) fn text(place: Place, text: &str) -> Result<(), NotAllowed> {
    let is_bad = |c: char| match place {
        Place::Header => c.is_ascii_control() && c != '\t',
        Place::Basic => c.is_control(),
        Place::Field | Place::Query | Place::Path | Place::Body => false,
    };
    if text.chars().any(is_bad) {
        return Err(NotAllowed::ControlCharacters);
    }
    Ok(())
}
