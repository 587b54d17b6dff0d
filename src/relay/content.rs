//! How a body is to be read, from its headers; what cannot be read is refused.

use http::{HeaderMap, HeaderValue, header};

use crate::guard::Syntax;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A content coding other than `identity`.
    #[error("the request body has a content coding that cannot be read")]
    Coding,
    /// A transfer coding other than `chunked`.
    #[error("the request has a transfer coding other than chunked")]
    Transfer,
    /// A charset other than UTF-8 and its part US-ASCII.
    #[error("the request body has a charset other than utf-8")]
    Charset,
    /// More than one `Content-Type`: upstream may believe another than we do.
    #[error("the request has more than one Content-Type")]
    Ambiguous,
    /// A multipart type without a boundary that every reader takes for the same.
    #[error("the multipart Content-Type has no valid boundary, or more than one")]
    Boundary,
}

/// How to read the body that these headers describe.
///
/// # Errors
/// See [`ContentError`].
pub fn syntax(headers: &HeaderMap) -> Result<Syntax, ContentError> {
    if !only(headers, &header::CONTENT_ENCODING, "identity") {
        return Err(ContentError::Coding);
    }
    if !only(headers, &header::TRANSFER_ENCODING, "chunked") {
        return Err(ContentError::Transfer);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(first) = types.next() else {
        // The engine falls back to plain text at the first byte that is not JSON.
        return Ok(Syntax::Json);
    };
    if types.next().is_some() {
        return Err(ContentError::Ambiguous);
    }
    let text = first.as_bytes().to_ascii_lowercase();
    let text = String::from_utf8_lossy(&text);
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim() == "charset" && !is_utf8(value.trim().trim_matches('"')) {
            return Err(ContentError::Charset);
        }
    }
    Ok(of_type(essence))
}

/// Bytes of a body's beginning that decide whether [`is_utf8_text`].
pub const OPENING: usize = 4;

/// Whether a body that begins so may be read: not where it shows to be UTF-16 or UTF-32, by its byte order mark or, for JSON,
/// by the zeros beside the first character (as many JSON parsers detect it).
pub fn is_utf8_text(opening: &[u8], syntax: Syntax) -> bool {
    let begins = |first: u8| matches!(first, b'{' | b'[' | b'"');
    match opening {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff] => false,
        [0, 0, 0, first] if syntax == Syntax::Json => !begins(*first),
        [first, 0, ..] | [0, first, ..] if syntax == Syntax::Json => !begins(*first),
        _ => true,
    }
}

fn of_type(essence: &str) -> Syntax {
    if essence == "application/x-www-form-urlencoded" {
        Syntax::Form
    } else if essence.is_empty() || essence.contains("json") {
        // `application/json`, `+json`, `x-ndjson`, `jsonl`, `json-seq`; wrongly so called text is read as text anyway.
        Syntax::Json
    } else {
        Syntax::Text
    }
}

fn is_utf8(charset: &str) -> bool {
    matches!(
        charset.trim_matches('\''),
        "utf-8" | "utf8" | "us-ascii" | "ascii"
    )
}

/// Whether every element of a list header is `wanted`, and there is at most one.
fn only(headers: &HeaderMap, name: &header::HeaderName, wanted: &str) -> bool {
    let mut elements = 0;
    headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .all(|line| {
            line.split(|b| *b == b',')
                .map(<[u8]>::trim_ascii)
                .filter(|element| !element.is_empty())
                .all(|element| {
                    elements += 1;
                    elements == 1 && element.eq_ignore_ascii_case(wanted.as_bytes())
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&'static str, &'static str)]) -> Result<Syntax, ContentError> {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_static(value));
        }
        syntax(&headers)
    }

    #[test]
    fn openings() {
        for (opening, json, text) in [
            (&b"{\"a\""[..], true, true),
            (b"{", true, true),
            (b"", true, true),
            (b"\xef\xbb\xbf{", true, true),
            (b"\xff\xfe{\0", false, false),
            (b"\xfe\xff\0{", false, false),
            (b"\0\0\xfe\xff", false, false),
            (b"{\0\"\0", false, true),
            (b"\0{\0\"", false, true),
            (b"[\0\0\0", false, true),
            (b"\0\0\0[", false, true),
            // Beginnings of MP4, PNG and JPEG.
            (b"\0\0\0\x20", true, true),
            (b"\x89PNG", true, true),
            (b"\xff\xd8\xff\xe0", true, true),
        ] {
            assert_eq!(is_utf8_text(opening, Syntax::Json), json, "{opening:?}");
            assert_eq!(is_utf8_text(opening, Syntax::Text), text, "{opening:?}");
        }
    }

    #[test]
    fn types() {
        for (content_type, expected) in [
            ("application/json", Ok(Syntax::Json)),
            ("Application/JSON; charset=UTF-8", Ok(Syntax::Json)),
            ("application/vnd.api+json", Ok(Syntax::Json)),
            ("application/x-ndjson", Ok(Syntax::Json)),
            ("application/jsonl", Ok(Syntax::Json)),
            ("application/x-www-form-urlencoded", Ok(Syntax::Form)),
            (
                "application/x-www-form-urlencoded;charset=\"utf-8\"",
                Ok(Syntax::Form),
            ),
            ("text/plain; charset=us-ascii", Ok(Syntax::Text)),
            ("multipart/form-data; boundary=x", Ok(Syntax::Text)),
            ("application/octet-stream", Ok(Syntax::Text)),
            ("", Ok(Syntax::Json)),
            (
                "application/json; charset=utf-16",
                Err(ContentError::Charset),
            ),
            (
                "application/json; Charset = \"UTF-16LE\"",
                Err(ContentError::Charset),
            ),
            ("text/plain; charset=utf-7", Err(ContentError::Charset)),
            ("text/plain; charset=", Err(ContentError::Charset)),
            (
                "text/plain; charset=utf-8; charset=utf-16",
                Err(ContentError::Charset),
            ),
        ] {
            assert_eq!(
                check(&[("content-type", content_type)]),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(check(&[]), Ok(Syntax::Json));
        let twice = [
            ("content-type", "text/plain"),
            ("content-type", "application/json"),
        ];
        assert_eq!(check(&twice), Err(ContentError::Ambiguous));
    }

    #[test]
    fn codings() {
        for (name, value, expected) in [
            ("content-encoding", "identity", Ok(Syntax::Json)),
            ("content-encoding", "Identity", Ok(Syntax::Json)),
            ("content-encoding", "", Ok(Syntax::Json)),
            ("content-encoding", "gzip", Err(ContentError::Coding)),
            ("content-encoding", "zstd", Err(ContentError::Coding)),
            (
                "content-encoding",
                "identity, gzip",
                Err(ContentError::Coding),
            ),
            ("content-encoding", "x", Err(ContentError::Coding)),
            ("transfer-encoding", "chunked", Ok(Syntax::Json)),
            ("transfer-encoding", "Chunked", Ok(Syntax::Json)),
            (
                "transfer-encoding",
                "gzip, chunked",
                Err(ContentError::Transfer),
            ),
            ("transfer-encoding", "identity", Err(ContentError::Transfer)),
            (
                "transfer-encoding",
                "chunked, chunked",
                Err(ContentError::Transfer),
            ),
            (
                "transfer-encoding",
                "\x0bchunked",
                Err(ContentError::Transfer),
            ),
        ] {
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
                continue;
            };
            let headers: HeaderMap = [(name.parse().unwrap(), value)].into_iter().collect();
            assert_eq!(syntax(&headers), expected, "{name} {headers:?}");
        }
    }
}
