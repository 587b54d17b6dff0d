//! How a body is to be read, from its headers; what cannot be read is refused.

use http::{HeaderMap, HeaderName, header};

use super::answer_text::Reading;
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

/// What its headers say that a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Nothing. It may be JSON all the same, or any bytes.
    Nothing,
    /// JSON, or several texts of it.
    Json,
    /// A form as URLs have it.
    Form,
    /// Any other `text/…`.
    Text,
    /// Sound, pictures, a binary message of a WebSocket: bytes that may begin as they like.
    Media,
    /// Bytes of a type that their sender does not know (`application/octet-stream`). JSON Lines are often sent so.
    Bytes,
    /// Anything else: XML, multipart, a file.
    Other,
}

impl Declared {
    /// The syntax that a text is read in whose first bytes are these, [`OPENING`] of them or all. Text that is no JSON is read as
    /// text from where that shows.
    pub fn syntax(self, opening: &[u8]) -> Syntax {
        match self {
            Self::Nothing | Self::Json => Syntax::Json,
            Self::Bytes if begins_json(opening) => Syntax::Json,
            Self::Form => Syntax::Form,
            Self::Text | Self::Media | Self::Bytes | Self::Other => Syntax::Text,
        }
    }

    /// Whether [`Declared::syntax`] looks at the first bytes.
    pub fn is_told_by_opening(self) -> bool {
        self == Self::Bytes
    }

    /// What a media type in lower case, without its parameters, declares.
    fn of(essence: &str) -> Self {
        let begins = |first: &[&str]| first.iter().any(|first| essence.starts_with(first));
        if essence.is_empty() {
            Self::Nothing
        } else if essence.contains("json") {
            // `application/json`, `+json`, `x-ndjson`, `jsonl`, `json-seq`; wrongly so called text is read as text anyway.
            Self::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Form
        } else if essence == "application/octet-stream" {
            Self::Bytes
        } else if begins(&["text/"]) {
            Self::Text
        } else if begins(&["audio/", "image/", "video/"]) && !essence.ends_with("xml") {
            Self::Media
        } else {
            Self::Other
        }
    }
}

/// Headers that name a coding of the single messages inside a body, as gRPC and Connect have it.
const OF_MESSAGES: [HeaderName; 2] = [
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("connect-content-encoding"),
];

/// How a body is to be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// What its text is.
    pub declared: Declared,
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
    if has_coded_messages(headers) {
        return Err(ContentError::Coding);
    }
    let declared = declared(headers)?;
    let content_type = headers.get(header::CONTENT_TYPE);
    let boundary = content_type.map_or(Ok(None), |text| Boundary::of(text.as_bytes()))?;
    Ok(Content {
        declared,
        boundary,
        codings,
    })
}

/// Whether the messages inside a body are in a coding of their own.
pub fn has_coded_messages(headers: &HeaderMap) -> bool {
    let plain = |name| only(headers, name, "identity");
    !OF_MESSAGES.iter().all(plain)
}

/// How to read no body: what these headers say of one does not matter.
///
/// # Errors
/// [`ContentError::Transfer`]: somebody could wait for a body all the same.
pub fn nothing(headers: &HeaderMap) -> Result<Content, ContentError> {
    check_transfer(headers)?;
    Ok(Content {
        declared: Declared::Nothing,
        boundary: None,
        codings: Vec::new(),
    })
}

/// What these headers say that their text is.
///
/// # Errors
/// As [`read`], but for codings.
pub fn declared(headers: &HeaderMap) -> Result<Declared, ContentError> {
    check_transfer(headers)?;
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(first) = types.next() else {
        return Ok(Declared::Nothing);
    };
    if types.next().is_some() {
        return Err(ContentError::Ambiguous);
    }
    let text = first.as_bytes().to_ascii_lowercase();
    let text = String::from_utf8_lossy(&text);
    if !charsets(&text).all(is_utf8) {
        return Err(ContentError::Charset);
    }
    Ok(Declared::of(essence(&text)))
}

/// How to read an answer with these headers, and what they say that it is; `None` where it has a charset in which values are not
/// found.
///
/// Values with letters beyond ASCII are found in Latin-1 too, which error pages still come in.
pub fn answer_reading(headers: &HeaderMap) -> Option<(Reading, Declared)> {
    let mut reading = None;
    for line in headers.get_all(header::CONTENT_TYPE) {
        let text = line.as_bytes().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&text);
        if !charsets(&text).all(|charset| is_utf8(charset) || is_latin1(charset)) {
            return None;
        }
        let essence = essence(&text);
        let declared = Declared::of(essence);
        reading = Some(match reading {
            // Of two types nobody knows which one counts: as text everything is found.
            Some(_) => (Reading::Whole(Syntax::Text), Declared::Nothing),
            None if essence == "text/event-stream" => (Reading::Events, declared),
            // Its beginning is not known yet: files of a provider are JSON more often than not.
            None if declared == Declared::Bytes => (Reading::Whole(Syntax::Json), declared),
            None => (Reading::Whole(declared.syntax(b"")), declared),
        });
    }
    let untyped = Declared::Nothing;
    Some(reading.unwrap_or((Reading::Whole(untyped.syntax(b"")), untyped)))
}

/// Whether an answer's transfer coding is `chunked`, said once, or none: nobody has taken off another.
pub fn is_framed_plainly(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    lines.next().is_none_or(|line| {
        line.as_bytes().eq_ignore_ascii_case(b"chunked") && lines.next().is_none()
    })
}

fn check_transfer(headers: &HeaderMap) -> Result<(), ContentError> {
    if only(headers, &header::TRANSFER_ENCODING, "chunked") {
        Ok(())
    } else {
        Err(ContentError::Transfer)
    }
}

/// A `Content-Type` without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The charsets that a `Content-Type` in lower case names. One that is spread over parameters or encoded (RFC 2231: `charset*`,
/// `charset*0`) is none that is known: some read it, some do not.
fn charsets(content_type: &str) -> impl Iterator<Item = &str> {
    let parameters = content_type.split(';').skip(1);
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .filter_map(|(name, value)| match name.split_once('*') {
            None if name.trim() == "charset" => {
                Some(value.trim().trim_matches('"').trim_matches('\''))
            }
            Some((stem, _)) if stem.trim() == "charset" => Some("*"),
            _ => None,
        })
}

/// Bytes of a body's beginning that decide whether [`is_utf8_text`].
pub const OPENING: usize = 8;

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

/// Whether a body that begins so may be read: not where it shows to be UTF-16 or UTF-32, by its byte order mark, or by the zeros
/// beside the first characters (as many JSON parsers detect it). What it is declared to be says what else it could be.
pub fn is_utf8_text(opening: &[u8], declared: Declared) -> bool {
    let is_marked = matches!(
        opening,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..]
    );
    match declared {
        Declared::Media => true,
        // In UTF-8 a zero is a character that no text has.
        Declared::Json | Declared::Text => !is_marked && !opening.iter().take(4).any(|b| *b == 0),
        Declared::Nothing => !is_marked && !is_wide_json(opening),
        Declared::Form | Declared::Bytes | Declared::Other => !is_marked,
    }
}

/// Whether a text that is not said to be JSON begins as an object or an array of it does. A number or a quoted text alone is what a
/// form's field holds, and stays without quotes.
pub fn begins_json(opening: &[u8]) -> bool {
    matches!(opening.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Whether bytes that could be anything begin as JSON does in UTF-16 or UTF-32, blanks before it included.
fn is_wide_json(opening: &[u8]) -> bool {
    let begins = |first: u8| matches!(first, b'{' | b'[' | b'"');
    // A blank and a zero begin other things, so what follows counts as well.
    let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let follow = |first: u8, next: u8| blank(first) && (blank(next) || begins(next));
    match opening {
        // So does an MP4 file begin, but that goes on otherwise.
        [0, 0, 0, b' ', rest @ ..] => rest.starts_with(&[0, 0, 0]),
        [0, 0, 0, first, ..] | [first, 0, 0, 0, ..] => blank(*first) || begins(*first),
        [first, 0, next, 0, ..] | [0, first, 0, next, ..] if follow(*first, *next) => true,
        [first, 0, ..] | [0, first, ..] => begins(*first),
        _ => false,
    }
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8" | "us-ascii" | "ascii")
}

fn is_latin1(charset: &str) -> bool {
    matches!(charset, "iso-8859-1" | "latin1" | "windows-1252")
}

/// Whether every element of a list header is `wanted`, and there is at most one.
fn only(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
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
            (b"\0abcde", b"\xff\xfe\0\0abcd"),
            (b"b", b"\xff\xfe\0\0abcd"),
        ] {
            assert_eq!(opening.with(piece), so_far);
        }
    }

    /// Who may begin so: of what is declared as JSON, as nothing, as text, as something else.
    #[test]
    fn openings() {
        for (opening, may) in [
            (&b"{\"a\""[..], [true; 4]),
            (b"{", [true; 4]),
            (b"", [true; 4]),
            (b"\xef\xbb\xbf{", [true; 4]),
            (b"\xff\xfe{\0", [false; 4]),
            (b"\xfe\xff\0{", [false; 4]),
            (b"\0\0\xfe\xff", [false; 4]),
            (b"\xff\xfe\0\0{\0\0\0", [false; 4]),
            (b"{\0\"\0", [false, false, false, true]),
            (b"\0{\0\"", [false, false, false, true]),
            (b"[\0\0\0", [false, false, false, true]),
            (b"\0\0\0[", [false, false, false, true]),
            (b"\n\0{\0", [false, false, false, true]),
            (b"\0 \0\t", [false, false, false, true]),
            (b"\0\r\0[", [false, false, false, true]),
            (b"\n\0\0\0", [false, false, false, true]),
            (b" \0\0\0{\0\0\0", [false, false, false, true]),
            (b"\0\0\0\n", [false, false, false, true]),
            (b"\0\0\0 \0\0\0{", [false, false, false, true]),
            (b"\0\0\0 \0\0\0 ", [false, false, false, true]),
            // What no JSON begins with, if it is not said to be some.
            (b"1\0", [false, true, false, true]),
            (b"ab\0", [false, true, false, true]),
            (b"\n\0", [false, true, false, true]),
            (b"\0\t\0\x01", [false, true, false, true]),
            (b"abcd\0\0\0\0", [true; 4]),
            // Beginnings of MP4, PNG and JPEG.
            (b"\0\0\0\x20", [false, true, false, true]),
            (b"\0\0\0\x20ftyp", [false, true, false, true]),
            (b"\x89PNG", [true; 4]),
            (b"\xff\xd8\xff\xe0", [true; 4]),
        ] {
            let kinds = [
                Declared::Json,
                Declared::Nothing,
                Declared::Text,
                Declared::Other,
            ];
            let got = kinds.map(|declared| is_utf8_text(opening, declared));
            assert_eq!(got, may, "{opening:?}");
            assert!(is_utf8_text(opening, Declared::Media));
        }
    }

    #[test]
    fn declarations() {
        for (content_type, expected) in [
            ("", Declared::Nothing),
            ("application/json", Declared::Json),
            ("text/json", Declared::Json),
            ("audio/x+json", Declared::Json),
            ("application/x-www-form-urlencoded", Declared::Form),
            ("text/plain", Declared::Text),
            ("text/xml", Declared::Text),
            ("text/event-stream", Declared::Text),
            ("audio/L16; rate=16000", Declared::Media),
            ("Audio/PCM", Declared::Media),
            ("image/png", Declared::Media),
            ("video/mp4", Declared::Media),
            ("image/svg+xml", Declared::Other),
            ("application/xml", Declared::Other),
            ("application/octet-stream", Declared::Bytes),
            ("multipart/form-data; boundary=b", Declared::Other),
            ("application/audio/x", Declared::Other),
        ] {
            let got = check(&[("content-type", content_type)]).map(|content| content.declared);
            assert_eq!(got, Ok(expected), "{content_type}");
        }
    }

    #[test]
    fn answers() {
        let check = |types: &[&'static str]| {
            let types = types.iter().map(|text| HeaderValue::from_static(text));
            let headers: HeaderMap = types.map(|text| (header::CONTENT_TYPE, text)).collect();
            answer_reading(&headers)
        };
        let whole = |syntax, declared| Some((Reading::Whole(syntax), declared));
        for (types, expected) in [
            (&[][..], whole(Syntax::Json, Declared::Nothing)),
            (
                &["text/event-stream; x=y"],
                Some((Reading::Events, Declared::Text)),
            ),
            (&["text/html"], whole(Syntax::Text, Declared::Text)),
            (&["audio/wav"], whole(Syntax::Text, Declared::Media)),
            (
                &["application/octet-stream"],
                whole(Syntax::Json, Declared::Bytes),
            ),
            (
                &["audio/wav", "application/json"],
                whole(Syntax::Text, Declared::Nothing),
            ),
            (
                &["text/html; charset=latin1"],
                whole(Syntax::Text, Declared::Text),
            ),
            (&["text/html; charset=utf-16"], None),
            (&["text/html; charset*=''latin1"], None),
            (&["text/html", "text/html; charset=utf-16"], None),
        ] {
            assert!(check(types) == expected, "{types:?}");
        }
    }

    #[test]
    fn framings_of_answers() {
        for (lines, plain) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&[""], false),
            (&["chunked,"], false),
            (&[", chunked"], false),
            (&["chunked;q=1"], false),
            (&["gzip"], false),
            (&["identity"], false),
            (&["gzip, chunked"], false),
            (&["chunked, gzip"], false),
            (&["chunked, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["chunked", ""], false),
            (&["gzip", "chunked"], false),
        ] {
            let values = lines.iter().map(|text| HeaderValue::from_static(text));
            let headers: HeaderMap = values
                .map(|text| (header::TRANSFER_ENCODING, text))
                .collect();
            assert_eq!(is_framed_plainly(&headers), plain, "{lines:?}");
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
            // RFC 2231, whatever it spells.
            (
                "text/plain; charset*=us-ascii''utf-16be",
                Err(ContentError::Charset),
            ),
            ("text/plain; charset*0=utf-16", Err(ContentError::Charset)),
            ("text/plain;Charset*0*=utf-8", Err(ContentError::Charset)),
            (
                "application/json; charset=utf-8; charset *=utf-8''utf-8",
                Err(ContentError::Charset),
            ),
            (
                "multipart/form-data; boundary=b; charset*=utf-8''utf-8",
                Err(ContentError::Charset),
            ),
            (
                "text/plain; name*=utf-8''a; x-charset*=b; charset=utf-8",
                Ok(Syntax::Text),
            ),
        ] {
            assert_eq!(
                check(&[("content-type", content_type)])
                    .map(|content| content.declared.syntax(b"a")),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(
            check(&[]).map(|content| content.declared.syntax(b"a")),
            Ok(Syntax::Json)
        );
        for (opening, is_json) in [
            (&b"{"[..], true),
            (b" \n{a=1", true),
            (b" \n[1", true),
            (b"", false),
            (b"  ", false),
            (b"1", false),
            (b"\"a\"", false),
            (b"a={", false),
        ] {
            let bytes = if is_json { Syntax::Json } else { Syntax::Text };
            for (declared, expected) in [
                (Declared::Bytes, bytes),
                // Only as a form all of its readings are there.
                (Declared::Form, Syntax::Form),
                (Declared::Text, Syntax::Text),
                (Declared::Nothing, Syntax::Json),
            ] {
                assert_eq!(declared.syntax(opening), expected, "{opening:?}");
                let looks = declared.syntax(b"{") != declared.syntax(b"a");
                assert_eq!(declared.is_told_by_opening(), looks);
            }
        }
        let twice = [
            ("content-type", "text/plain"),
            ("content-type", "application/json"),
        ];
        assert_eq!(
            check(&twice).map(|content| content.declared),
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
    fn codings_of_messages() {
        for name in ["grpc-encoding", "connect-content-encoding"] {
            for (value, is_read) in [
                ("identity", true),
                ("", true),
                ("gzip", false),
                ("x", false),
            ] {
                let read = check(&[(name, value), ("content-type", "application/grpc")]);
                let expected = is_read.then_some(Declared::Other);
                assert_eq!(
                    read.map(|content| content.declared).ok(),
                    expected,
                    "{name}: {value}"
                );
            }
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
            let read =
                check(&[("transfer-encoding", value)]).map(|content| content.declared.syntax(b"a"));
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn where_there_is_no_body_only_its_framing_counts() {
        let check = |name: &'static str, value: &'static str| {
            let headers = [(name, value)].map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            nothing(&headers.into_iter().collect()).map(|content| content.declared)
        };
        for (name, value) in [
            ("content-type", "multipart/form-data"),
            ("content-type", "text/plain; charset=utf-16"),
            ("content-encoding", "unheard-of"),
        ] {
            assert_eq!(check(name, value), Ok(Declared::Nothing), "{value}");
        }
        let got = check("transfer-encoding", "gzip, chunked");
        assert_eq!(got, Err(ContentError::Transfer));
    }
}
