//! Request and response heads: masks what a client may put there, drops what belongs to one hop (RFC 9110, 7.6.1).

use std::borrow::Cow;
use std::iter;

use http::header::{self, Entry, HeaderName, HeaderValue, OccupiedEntry};
use http::{HeaderMap, Method};

use super::{Error, Tally};
use crate::guard::{Snapshot, Syntax, joined};
use crate::net::headers::{HOP_BY_HOP, elements};

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
pub fn mask_target<'a>(
    target: &'a str,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<Cow<'a, str>, Error> {
    if snapshot.is_empty() {
        return Ok(Cow::Borrowed(target));
    }
    match snapshot.mask(target.as_bytes(), Syntax::Query)? {
        None => Ok(Cow::Borrowed(target)),
        Some((masked, hits)) => {
            tally.add(&hits);
            let masked = String::from_utf8(masked).map_err(|_| Error::Unwritable("target"))?;
            Ok(Cow::Owned(masked))
        }
    }
}

/// The headers that go upstream: masked, without those of one hop and those that are ours to write, in their order.
///
/// # Errors
/// A header's or the method's name holds a value (see [`Snapshot::is_in_names`]), or a masked header's value is not valid.
pub fn request_headers(
    method: &Method,
    headers: HeaderMap,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<HeaderMap, Error> {
    if headers.keys().any(is_look_alike) {
        return Err(Error::LookAlike);
    }
    let mut named = connection_names(&headers);
    named.retain(|name| !OF_THE_BODY.contains(name));
    let is_kept = |name: &HeaderName| !is_hop(name, &named) && !OURS.contains(name);
    let holds = holds_values(method, &headers, is_kept, snapshot)?;

    let mut out = HeaderMap::with_capacity(headers.keys_len() + 2);
    // Where more values of a name that was kept go: their names are not told again.
    let mut place: Option<OccupiedEntry<'_, HeaderValue>> = None;
    for (name, value) in headers {
        if name.as_ref().map_or(place.is_none(), |name| !is_kept(name)) {
            place = None;
            continue;
        }
        let value = if holds {
            masked(value, snapshot, tally)?
        } else {
            value
        };
        match (name, &mut place) {
            (Some(name), _) => place = Some(insert(&mut out, name, value)),
            (None, Some(place)) => place.append(value),
            (None, None) => {}
        }
    }
    Ok(out)
}

/// Whether a value of a header that is kept holds something to mask.
///
/// # Errors
/// Some name does.
fn holds_values(
    method: &Method,
    headers: &HeaderMap,
    is_kept: impl Fn(&HeaderName) -> bool + Copy,
    snapshot: &Snapshot,
) -> Result<bool, Error> {
    if snapshot.is_empty() {
        return Ok(false);
    }
    if snapshot.is_in_names(iter::once(method.as_str().as_bytes()))? {
        return Err(Error::SecretInName("method"));
    }
    let names = headers.keys().filter(|name| is_kept(name));
    if snapshot.is_in_names(names.map(|name| name.as_str().as_bytes()))? {
        return Err(Error::SecretInName("name of a header"));
    }
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let values = joined(kept.map(|(_, value)| value.as_bytes()));
    Ok(snapshot.mask(&values, Syntax::Text)?.is_some())
}

fn masked(value: HeaderValue, snapshot: &Snapshot, tally: &Tally) -> Result<HeaderValue, Error> {
    let Some((masked, hits)) = snapshot.mask(value.as_bytes(), Syntax::Text)? else {
        return Ok(value);
    };
    tally.add(&hits);
    HeaderValue::from_bytes(&masked).map_err(|_| Error::Unwritable("header"))
}

fn insert(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
) -> OccupiedEntry<'_, HeaderValue> {
    match headers.entry(name) {
        Entry::Vacant(place) => place.insert_entry(value),
        Entry::Occupied(mut place) => {
            place.append(value);
            place
        }
    }
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
    elements(headers, &header::CONNECTION)
        // It goes anyway, and most that name something name this.
        .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}
