//! How a body is to be read, from its headers; what cannot be read is refused.

use http::{HeaderMap, header};

use super::multipart::Boundary;
use crate::guard::Syntax;
use crate::net::coding::Coding;
use crate::net::headers::elements;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A content coding that is not known, or more than three one on top of another.
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

/// How a body is to be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The text's syntax.
    pub syntax: Syntax,
    /// What sets its parts apart, if it is a multipart body.
    pub boundary: Option<Boundary>,
    /// The codings that the text is in, in the order in which they were applied.
    pub codings: Vec<Coding>,
}

/// How to read the body that these headers describe.
///
/// # Errors
/// See [`ContentError`].
pub fn read(headers: &HeaderMap) -> Result<Content, ContentError> {
    let codings = Coding::of(headers).ok_or(ContentError::Coding)?;
    let syntax = syntax(headers)?;
    let content_type = headers.get(header::CONTENT_TYPE);
    let boundary = content_type.map_or(Ok(None), |text| Boundary::of(text.as_bytes()))?;
    Ok(Content {
        syntax,
        boundary,
        codings,
    })
}

/// How to read the text that these headers describe.
///
/// # Errors
/// As [`read`], but for codings.
pub fn syntax(headers: &HeaderMap) -> Result<Syntax, ContentError> {
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
    if !charsets(&text).all(is_utf8) {
        return Err(ContentError::Charset);
    }
    let essence = text.split(';').next().unwrap_or_default().trim();
    Ok(of_type(essence))
}

/// How to read an answer with these headers; `None` where it has a charset in which values are not found.
///
/// Values with letters beyond ASCII are found in Latin-1 too, which error pages still come in.
pub fn answer_syntax(headers: &HeaderMap) -> Option<Syntax> {
    let mut syntax = None;
    for line in headers.get_all(header::CONTENT_TYPE) {
        let text = line.as_bytes().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&text);
        if !charsets(&text).all(|charset| is_utf8(charset) || is_latin1(charset)) {
            return None;
        }
        let essence = text.split(';').next().unwrap_or_default().trim();
        // Of two types nobody knows which one counts: as text everything is found.
        syntax = Some(syntax.map_or(of_type(essence), |_| Syntax::Text));
    }
    Some(syntax.unwrap_or(Syntax::Json))
}

/// The charsets that a `Content-Type` in lower case names.
fn charsets(content_type: &str) -> impl Iterator<Item = &str> {
    let parameters = content_type.split(';').skip(1);
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim() == "charset")
        .map(|(_, value)| value.trim().trim_matches('"').trim_matches('\''))
}

/// Bytes of a body's beginning that decide whether [`is_utf8_text`].
pub const OPENING: usize = 4;

/// The bytes of a body's beginning that decide whether [`is_utf8_text`], as far as they have come.
#[derive(Default)]
pub struct Opening {
    bytes: [u8; OPENING],
    len: usize,
}

impl Opening {
    /// The beginning, once this piece has come.
    pub fn with(&mut self, piece: &[u8]) -> &[u8] {
        let room = &mut self.bytes[self.len..];
        let wanted = room.len().min(piece.len());
        room[..wanted].copy_from_slice(&piece[..wanted]);
        self.len += wanted;
        &self.bytes[..self.len]
    }
}

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
    matches!(charset, "utf-8" | "utf8" | "us-ascii" | "ascii")
}

fn is_latin1(charset: &str) -> bool {
    matches!(charset, "iso-8859-1" | "latin1" | "windows-1252")
}

/// Whether every element of a list header is `wanted`, and there is at most one.
fn only(headers: &HeaderMap, name: &header::HeaderName, wanted: &str) -> bool {
    let mut elements = elements(headers, name);
    let first = elements.next();
    first.is_none_or(|element| {
        element.eq_ignore_ascii_case(wanted.as_bytes()) && elements.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(rows: &[(&'static str, &'static str)]) -> Result<Content, ContentError> {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_static(value));
        }
        read(&headers)
    }

    #[test]
    fn an_opening_comes_in_any_pieces() {
        let mut opening = Opening::default();
        for (piece, so_far) in [
            (&b"\xff"[..], &b"\xff"[..]),
            (b"", b"\xff"),
            (b"\xfe\0", b"\xff\xfe\0"),
            (b"\0a", b"\xff\xfe\0\0"),
            (b"b", b"\xff\xfe\0\0"),
        ] {
            assert_eq!(opening.with(piece), so_far);
        }
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
                check(&[("content-type", content_type)]).map(|content| content.syntax),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(check(&[]).map(|content| content.syntax), Ok(Syntax::Json));
        let twice = [
            ("content-type", "text/plain"),
            ("content-type", "application/json"),
        ];
        assert_eq!(
            check(&twice).map(|content| content.syntax),
            Err(ContentError::Ambiguous)
        );
    }

    #[test]
    fn codings() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        for (lines, expected) in [
            (&["identity"][..], Some(&[][..])),
            (&["Identity"], Some(&[])),
            (&["identity, IDENTITY,, "], Some(&[])),
            (&[""], Some(&[])),
            (&["gzip"], Some(&[Gzip])),
            (&["X-GZip"], Some(&[Gzip])),
            (&["deflate"], Some(&[Deflate])),
            (&["br"], Some(&[Brotli])),
            (&["ZSTD"], Some(&[Zstd])),
            (&["identity, gzip ,"], Some(&[Gzip])),
            (&["gzip,br", "zstd"], Some(&[Gzip, Brotli, Zstd])),
            (&["gzip,gzip,gzip,gzip"], None),
            (&["gzip", "x"], None),
            (&["x"], None),
            (&["compress"], None),
            (&["gzip;q=1"], None),
            (&["gzip br"], None),
            (&["\"gzip\""], None),
            (&["aes128gcm"], None),
        ] {
            let rows: Vec<_> = lines
                .iter()
                .map(|line| ("content-encoding", *line))
                .collect();
            let read = check(&rows).map(|content| content.codings);
            let expected = expected.map(<[Coding]>::to_vec).ok_or(ContentError::Coding);
            assert_eq!(read, expected, "{lines:?}");
        }
    }

    #[test]
    fn transfer_codings() {
        for (value, expected) in [
            ("chunked", Ok(Syntax::Json)),
            ("Chunked", Ok(Syntax::Json)),
            ("gzip, chunked", Err(ContentError::Transfer)),
            ("identity", Err(ContentError::Transfer)),
            ("chunked, chunked", Err(ContentError::Transfer)),
            ("\tchunked\t,", Ok(Syntax::Json)),
            ("chunked\tchunked", Err(ContentError::Transfer)),
        ] {
            let read = check(&[("transfer-encoding", value)]).map(|content| content.syntax);
            assert_eq!(read, expected, "{value}");
        }
    }
}
