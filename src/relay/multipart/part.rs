//! One part of a multipart body: what its headers say of it, and its own text.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};

use super::{Boundary, Context, PartError, Reader};
use crate::guard::{Hits, Snapshot, Syntax, joined};
use crate::relay::Error;
use crate::relay::content::{self, ContentError, Declared};

/// How the text of a part is to be read.
pub(super) enum Kind {
    /// Its headers say what it is.
    Typed(Declared),
    /// Text in MIME's base64, whatever it holds.
    Base64,
    /// They do not. RFC 7578, 4.4 makes that plain text; clients put JSON there all the same.
    Untyped,
    /// A multipart body again.
    Nested(Boundary),
}

/// The text of a part, of the preamble or of the epilogue.
pub(super) struct Part {
    kind: Kind,
    /// Its first bytes, until they are enough to tell its charset.
    opening: BytesMut,
    reader: Option<Reader>,
}

impl Part {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            opening: BytesMut::new(),
            reader: None,
        }
    }

    /// What is no part: searched as any text.
    pub fn text() -> Self {
        Self::new(Kind::Typed(Declared::Other))
    }

    pub fn push(
        &mut self,
        mut data: Bytes,
        context: &Context,
        out: &mut Vec<Bytes>,
    ) -> Result<(), Error> {
        if matches!(self.kind, Kind::Base64) && !data.iter().copied().all(is_base64) {
            return Err(PartError::Base64.into());
        }
        if self.reader.is_none() {
            let wanted = content::OPENING - self.opening.len();
            self.opening
                .extend_from_slice(&data.split_to(wanted.min(data.len())));
            if self.opening.len() < content::OPENING {
                return Ok(());
            }
            self.begin(context, out)?;
        }
        match &mut self.reader {
            Some(reader) if !data.is_empty() => reader.push(data, out),
            _ => Ok(()),
        }
    }

    /// Ends the text.
    pub fn finish(&mut self, context: &Context, out: &mut Vec<Bytes>) -> Result<(), Error> {
        if self.reader.is_none() && !self.opening.is_empty() {
            self.begin(context, out)?;
        }
        self.reader
            .as_mut()
            .map_or(Ok(()), |reader| reader.finish(out))
    }

    pub fn hits(&self) -> Hits {
        self.reader.as_ref().map(Reader::hits).unwrap_or_default()
    }

    /// What passed in signed blocks.
    pub fn passed(&self) -> Hits {
        self.reader.as_ref().map(Reader::passed).unwrap_or_default()
    }

    fn begin(&mut self, context: &Context, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let opening = self.opening.split().freeze();
        let (declared, syntax, boundary) = match &self.kind {
            Kind::Typed(declared) => (*declared, declared.syntax(&opening), None),
            Kind::Base64 => (Declared::Other, Syntax::Text, None),
            Kind::Nested(boundary) => (Declared::Other, Syntax::Text, Some(boundary)),
            Kind::Untyped if content::begins_json(&opening) => {
                (Declared::Nothing, Syntax::Json, None)
            }
            Kind::Untyped => (Declared::Nothing, Syntax::Text, None),
        };
        if !content::is_utf8_text(&opening, declared) {
            return Err(Error::Charset);
        }
        let reader = match boundary {
            Some(boundary) => Reader::nested(boundary, context)?,
            None => Reader::text(&context.snapshot, syntax),
        };
        self.reader.insert(reader).push(opening, out)
    }
}

/// Reads the header lines of a part, the empty line at the end left out.
///
/// # Errors
/// The lines are no headers, contradict each other, or describe a text that cannot be read.
pub(super) fn kind(lines: &[&[u8]], context: &Context) -> Result<Kind, Error> {
    let (mut content_type, mut coding, mut transfer) = (None, None, None);
    for line in lines {
        let (name, value) = field(line).ok_or(PartError::Head)?;
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"content-type" => &mut content_type,
            b"content-encoding" => &mut coding,
            b"content-transfer-encoding" => &mut transfer,
            b"content-disposition" if names_charset(value) => {
                return Err(PartError::Content(ContentError::Charset).into());
            }
            b"content-disposition" if is_continued(value) => return Err(PartError::Head.into()),
            _ => continue,
        };
        if slot.replace(value.trim_ascii()).is_some() {
            return Err(PartError::Content(ContentError::Ambiguous).into());
        }
    }
    let is = |value: &[u8], wanted: &[&str]| {
        wanted
            .iter()
            .any(|wanted| value.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    if coding.is_some_and(|coding| !is(coding, &["identity", ""])) {
        return Err(PartError::Content(ContentError::Coding).into());
    }
    // In base64 or quoted-printable a text is in letters that the engine decodes in any text.
    let in_letters = match transfer {
        Some(transfer) if is(transfer, &["base64"]) => Some(Kind::Base64),
        Some(transfer) if is(transfer, &["quoted-printable"]) => Some(Kind::Typed(Declared::Other)),
        Some(transfer) if !is(transfer, &["7bit", "8bit", "binary", ""]) => {
            return Err(PartError::Content(ContentError::Coding).into());
        }
        _ => None,
    };
    let Some(content_type) = content_type.filter(|value| !value.is_empty()) else {
        return Ok(in_letters.unwrap_or(Kind::Untyped));
    };
    let declared = declared(content_type).map_err(PartError::Content)?;
    match Boundary::of(content_type).map_err(PartError::Content)? {
        // RFC 2046, 5.1: a composite type has no encoding of its own.
        Some(_) if in_letters.is_some() => Err(PartError::Content(ContentError::Coding).into()),
        Some(_) if context.depth == 0 => Err(PartError::Nested.into()),
        Some(boundary) => Ok(Kind::Nested(boundary)),
        None => Ok(in_letters.unwrap_or(Kind::Typed(declared))),
    }
}

/// Whether a byte may stand in MIME's base64. Decoders skip others (RFC 2045, 6.8), which could stand inside a value.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte)
}

fn declared(content_type: &[u8]) -> Result<Declared, ContentError> {
    let value = HeaderValue::from_bytes(content_type).map_err(|_| ContentError::Ambiguous)?;
    content::declared(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
}

/// The header lines of a part, masked, each with its line end, and their occurrences added to `hits`. `None` if they hold nothing.
///
/// # Errors
/// A name holds a value, or so does the type of a nested multipart body; or a masked line is not valid.
pub(super) fn masked(
    lines: &[&[u8]],
    line_end: &[u8],
    kind: &Kind,
    snapshot: &Snapshot,
    hits: &mut Hits,
) -> Result<Option<Vec<u8>>, Error> {
    let fields = || lines.iter().filter_map(|line| field(line));
    if snapshot.is_in_names(fields().map(|(name, _)| name))? {
        return Err(Error::SecretInName("name of a part's header"));
    }
    let values = joined(fields().map(|(_, value)| value));
    if snapshot.mask(&values, Syntax::Text)?.is_none() {
        return Ok(None);
    }
    let mut text = Vec::new();
    for (name, value) in fields() {
        text.extend_from_slice(name);
        text.push(b':');
        match snapshot.mask(value, Syntax::Text)? {
            None => text.extend_from_slice(value),
            Some((value, found)) => {
                if matches!(kind, Kind::Nested(_)) && name.eq_ignore_ascii_case(b"content-type") {
                    return Err(Error::SecretInName("type of a multipart part"));
                }
                if !is_value(&value) {
                    return Err(Error::Unwritable("header of a part"));
                }
                text.extend_from_slice(&value);
                super::add(hits, &found);
            }
        }
        text.extend_from_slice(line_end);
    }
    Ok(Some(text))
}

/// Name and value of a header line. A folded line has no name.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && is_value(value)).then_some((name, value))
}

fn is_value(value: &[u8]) -> bool {
    value.iter().all(|b| *b == b'\t' || !b.is_ascii_control())
}

/// RFC 9110, 5.6.2.
pub(super) fn is_token(name: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !name.is_empty() && name.iter().all(plain)
}

/// Whether a parameter is written in sections (RFC 2231, 3: `filename*0`), which nobody reads together but who knows that. What only
/// looks like one is refused as well.
fn is_continued(disposition: &[u8]) -> bool {
    let mut rest = disposition;
    while let Some(star) = memchr::memchr(b'*', rest) {
        rest = &rest[star + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let after = rest[digits..].trim_ascii_start();
        if digits > 0 && matches!(after.first(), Some(b'=' | b'*')) {
            return true;
        }
    }
    false
}

/// Whether a part is the field that names the charset of the others (RFC 7578, 4.6).
fn names_charset(disposition: &[u8]) -> bool {
    memchr::memmem::find(&disposition.to_ascii_lowercase(), b"_charset_").is_some()
}
