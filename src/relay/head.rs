//! Request and response heads: masks what a client may put there, drops what belongs to one hop (RFC 9110, 7.6.1).

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::{Error, Tally};
use crate::guard::{Snapshot, Syntax};

/// Headers of one hop, besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Request headers that we answer or write ourselves: the upstream's authority, the masked body's length, the
/// expectation that was met by reading the body, the trailers that are dropped, a credential for a proxy.
const OURS: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
];

/// Headers that say how a body is to be read. What we read it by, upstream must have: `Connection` cannot take them away
/// (RFC 9110, 7.6.1 forbids clients to name them there).
const OF_THE_BODY: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_ENCODING];

/// Masks the part of a request target that goes upstream: path and query as one text.
///
/// One pass, because a value may hold a raw `?`. The query's readings include the path's.
///
/// # Errors
/// The engine refuses the text, or the result is not a text.
pub fn mask_target(target: &str, snapshot: &Snapshot, tally: &Tally) -> Result<String, Error> {
    match snapshot.mask(target.as_bytes(), Syntax::Query)? {
        None => Ok(target.to_owned()),
        Some((masked, hits)) => {
            tally.add(&hits);
            String::from_utf8(masked).map_err(|_| Error::Unwritable("target"))
        }
    }
}

/// The headers that go upstream: masked, without those of one hop and those that are ours to write.
///
/// # Errors
/// A header's or the method's name holds a value (see [`Snapshot::is_in_name`]), or a masked header's value is not valid.
pub fn request_headers(
    method: &Method,
    headers: &HeaderMap,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<HeaderMap, Error> {
    if headers.keys().any(is_look_alike) {
        return Err(Error::LookAlike);
    }
    let mut named = connection_names(headers);
    named.retain(|name| !OF_THE_BODY.contains(name));
    let kept = || {
        headers
            .iter()
            .filter(|(name, _)| !is_hop(name, &named) && !OURS.contains(name))
    };
    let mut out = HeaderMap::with_capacity(headers.len() + 2);
    if snapshot.is_in_name(method.as_str().as_bytes())? {
        return Err(Error::SecretInName("method"));
    }
    if snapshot.is_in_name(&joined(kept().map(|(name, _)| name.as_str().as_bytes())))? {
        return Err(Error::SecretInName("name of a header"));
    }
    let values = joined(kept().map(|(_, value)| value.as_bytes()));
    if snapshot.mask(&values, Syntax::Text)?.is_none() {
        for (name, value) in kept() {
            out.append(name.clone(), value.clone());
        }
        return Ok(out);
    }
    for (name, value) in kept() {
        let value = match snapshot.mask(value.as_bytes(), Syntax::Text)? {
            None => value.clone(),
            Some((masked, hits)) => {
                tally.add(&hits);
                HeaderValue::from_bytes(&masked).map_err(|_| Error::Unwritable("header"))?
            }
        };
        out.append(name.clone(), value);
    }
    Ok(out)
}

/// The parts as one text, so that one pass over it tells whether any holds a value: most hold none.
///
/// They are set apart by NUL, at which every reading ends, and by more of it than a value's UTF-16 holds in a row, so that this
/// finds what a pass over each part alone finds.
pub(super) fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&[0; 3]);
        text.extend_from_slice(part);
    }
    text
}

/// Drops the headers of one hop from an answer, and a length that its transfer coding overrides (RFC 9112, 6.3).
pub fn strip_response(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    let named = connection_names(headers);
    for name in HOP_BY_HOP.iter().chain(&named) {
        while headers.remove(name).is_some() {}
    }
}

/// Whether a header's name has underscores for the hyphens of one that frames or routes a request. Servers that make variables of
/// headers (CGI, WSGI) read it as that one.
fn is_look_alike(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_') && {
        let name = name.replace('_', "-");
        let is = |known: &HeaderName| known.as_str() == name;
        HOP_BY_HOP.iter().any(is) || OURS.iter().any(is) || OF_THE_BODY.iter().any(is)
    }
}

fn is_hop(name: &HeaderName, named: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(name) || named.contains(name)
}

/// The headers that `Connection` says belong to this hop.
fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}
