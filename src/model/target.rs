//! Request targets: which route a path belongs to, and whether it can be read in one way only.

use std::sync::Arc;

use http::{Method, Uri};

use super::failure::Failure;
use super::settings::Route;

/// Rounds of percent-decoding in which no dot segment may appear: more than any upstream does.
const DECODINGS: usize = 3;

/// The first segment that belongs to us.
const RESERVED: &str = "bauta";

/// Finds the route of a target and the part after it, path and query, that goes on: empty, or beginning with `/` or `?`.
///
/// `scheme` is that of the connection: an absolute target with another was meant for somebody else.
///
/// The path goes on as it was sent. A path that two readers could read differently is refused: dot segments in any
/// encoding, also behind an encoded slash, a backslash or before a `;`, control characters, and an empty first segment.
pub(super) fn find<'a>(
    method: &Method,
    uri: &'a Uri,
    scheme: &str,
    routes: &[Arc<Route>],
) -> Result<(Arc<Route>, &'a str), Failure> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(Failure::Method);
    }
    if uri.scheme_str().is_some_and(|named| named != scheme) {
        return Err(Failure::TargetForm);
    }
    let whole = uri.path_and_query().ok_or(Failure::TargetForm)?.as_str();
    let Some(below) = whole.strip_prefix('/') else {
        return Err(Failure::TargetForm);
    };
    if !is_plain(uri.path()) {
        return Err(Failure::PathTrick);
    }
    let end = below.find(['/', '?']).unwrap_or(below.len());
    let (first, rest) = below.split_at(end);
    if first == RESERVED {
        return Err(Failure::Reserved);
    }
    let route = routes
        .iter()
        .find(|route| route.provider.path == first)
        .ok_or(Failure::Route)?;
    if matches!(rest.as_bytes(), [b'/', b'/' | b'\\', ..]) {
        // With an empty base path, upstream would see a target that begins with two slashes: an authority, to some. So is a
        // slash and a backslash (WHATWG URL).
        return Err(Failure::DoubleSlash);
    }
    Ok((Arc::clone(route), rest))
}

/// Whether a path can be read in one way only.
pub(super) fn is_plain(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..=DECODINGS {
        if bytes.iter().any(u8::is_ascii_control) {
            return false;
        }
        let mut segments = bytes.split(|b| matches!(b, b'/' | b'\\'));
        if segments
            .any(|segment| matches!(segment.split(|b| *b == b';').next(), Some(b"." | b"..")))
        {
            return false;
        }
        let decoded = percent_decode(&bytes);
        if decoded.len() == bytes.len() {
            return true;
        }
        bytes = decoded;
    }
    true
}

/// Takes back percent-encoding, once; what is none stays.
pub(super) fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| byte == b'%');
        let decoded = digits.and_then(|[high, low]| Some((hex(*high)? << 4) | hex(*low)?));
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths() {
        for (path, expected) in [
            ("/v1/chat/completions", true),
            ("/v1beta/models/gemini-2.5-pro:generateContent", true),
            ("/models/org%2Fname", true),
            ("/a/.../b", true),
            ("/a/.hidden", true),
            ("/a/b..c", true),
            ("/100%", true),
            ("/é", true),
            ("/a//b", true),
            ("/a/../b", false),
            ("/a/.", false),
            ("/..", false),
            ("/a/%2e%2e/b", false),
            ("/a/%2E./b", false),
            ("/a/.%2e", false),
            ("/a/%252e%252e/b", false),
            ("/a/%25252e%25252e/b", false),
            ("/a/..%2fb", false),
            ("/a%2f..%2fb", false),
            ("/a/..\\b", false),
            ("/a%5c..%5cb", false),
            ("/a/..;x/b", false),
            ("/a/%00", false),
            ("/a/%0d%0ab", false),
            ("/a/%7f", false),
            ("/a\u{1}b", false),
        ] {
            assert_eq!(is_plain(path), expected, "{path}");
        }
    }
}
