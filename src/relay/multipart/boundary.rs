//! The boundary of a multipart body, from its `Content-Type` (RFC 2046, 5.1.1).
//!
//! Read strictly: two readers that take different boundaries see different parts.

use crate::guard::{Refusal, Snapshot};
use crate::relay::content::ContentError;

/// Characters of a boundary at most.
const LONGEST: usize = 70;

/// What sets the parts of a body apart, without the two hyphens before it.
#[derive(Clone, PartialEq, Eq)]
pub struct Boundary(Vec<u8>);

impl Boundary {
    /// The boundary that a `Content-Type` names; `None` if its type is not `multipart/…`.
    ///
    /// # Errors
    /// [`ContentError::Boundary`]: there is none, it is empty, longer than 70 characters, of other characters, there are two, or
    /// the parameters can be read in more than one way.
    pub fn of(content_type: &[u8]) -> Result<Option<Self>, ContentError> {
        let end = content_type.iter().position(|b| *b == b';');
        let (essence, parameters) = content_type.split_at(end.unwrap_or(content_type.len()));
        let is_multipart = essence
            .trim_ascii()
            .first_chunk::<9>()
            .is_some_and(|first| first.eq_ignore_ascii_case(b"multipart"));
        if !is_multipart {
            return Ok(None);
        }
        let mut boundary = None;
        let mut rest = parameters;
        while let Some((name, value, after)) = parameter(rest)? {
            rest = after;
            if name.eq_ignore_ascii_case(b"boundary") {
                if boundary.replace(value).is_some() {
                    return Err(ContentError::Boundary);
                }
            } else if is_extended(name) {
                return Err(ContentError::Boundary);
            }
        }
        match boundary {
            Some(value) if is_valid(value) => Ok(Some(Self(value.to_vec()))),
            _ => Err(ContentError::Boundary),
        }
    }

    /// Two hyphens and the boundary: how each line that sets parts apart begins.
    pub(super) fn dashed(&self) -> Vec<u8> {
        [b"--", &self.0[..]].concat()
    }

    /// Whether the lines that this boundary makes hold a value: they can be rewritten no more than a name.
    pub(super) fn holds_value(&self, snapshot: &Snapshot) -> Result<bool, Refusal> {
        let line = self.dashed();
        let lines = [b"\r\n", &line[..], b"\r\n", &line[..], b"--\r\n"].concat();
        Ok(snapshot.mask(&lines, crate::guard::Syntax::Text)?.is_some())
    }
}

/// Whether this is a piece of a boundary or a charset, or an encoded one (RFC 2231): some read it, some do not.
fn is_extended(name: &[u8]) -> bool {
    let stem = name.split(|b| *b == b'*').next().unwrap_or(name);
    let matters = ["boundary", "charset"];
    stem.len() < name.len()
        && matters
            .iter()
            .any(|known| stem.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_valid(boundary: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(b);
    (1..=LONGEST).contains(&boundary.len())
        && boundary.iter().all(plain)
        && boundary.last() != Some(&b' ')
}

/// The first parameter of `;name=value;…`, its value without quotes, and what follows; `None` at the end.
#[allow(clippy::type_complexity)] // Three slices of one text; a type of its own would say no more.
fn parameter(text: &[u8]) -> Result<Option<(&[u8], &[u8], &[u8])>, ContentError> {
    const BAD: ContentError = ContentError::Boundary;
    let text = text.trim_ascii_start();
    let Some((b';', text)) = text.split_first() else {
        return if text.is_empty() { Ok(None) } else { Err(BAD) };
    };
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Ok(None);
    }
    let equals = text.iter().position(|b| *b == b'=').ok_or(BAD)?;
    let (name, text) = (&text[..equals], &text[equals + 1..]);
    if !super::part::is_token(name) {
        return Err(BAD);
    }
    let (value, rest) = if let Some((b'"', quoted)) = text.split_first() {
        let end = quoted.iter().position(|b| *b == b'"').ok_or(BAD)?;
        (&quoted[..end], &quoted[end + 1..])
    } else {
        let end = text
            .iter()
            .position(|b| matches!(b, b';' | b' ' | b'\t'))
            .unwrap_or(text.len());
        text.split_at(end)
    };
    // A backslash, where readers differ on what it means; outside of quotes what begins a quoted text, a comment or a list.
    let quoted = text.first() == Some(&b'"');
    let unclear = |b: &u8| *b == b'\\' || !quoted && matches!(b, b'"' | b'(' | b')' | b',');
    if value.iter().any(unclear) {
        return Err(BAD);
    }
    Ok(Some((name, value, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        let long = "b".repeat(70);
        let good = [
            ("multipart/form-data; boundary=b", "b"),
            ("Multipart/Form-Data;BOUNDARY=aB", "aB"),
            (
                "multipart/mixed ; \t boundary=\"a b\" ; charset=utf-8",
                "a b",
            ),
            (
                "multipart/related; type=\"x; boundary=y\"; boundary=z;",
                "z",
            ),
            (
                "multipart/form-data; boundary=----=_Part_1.2",
                "----=_Part_1.2",
            ),
            (
                "multipart/form-data; boundary=\"(a,b)/'c'?:\"",
                "(a,b)/'c'?:",
            ),
            (&format!("multipart/x;boundary={long}"), &long),
        ];
        for (text, expected) in good {
            let got = Boundary::of(text.as_bytes()).ok().flatten();
            assert!(got.is_some_and(|b| b.0 == expected.as_bytes()), "{text}");
        }
        let bad = [
            "multipart/form-data",
            "multipart",
            "multipart/form-data;",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=a\"b",
            "multipart/form-data; boundary=\"a\"b",
            "multipart/form-data; boundary=a b",
            "multipart/form-data; boundary=a,b",
            "multipart/form-data; boundary=a(b)",
            "multipart/form-data; boundary=a%b",
            "multipart/form-data; boundary=\u{e9}",
            "multipart/form-data; boundary=a; boundary=a",
            "multipart/form-data; boundary=a; Boundary=b",
            "multipart/form-data; boundary*=utf-8''a",
            "multipart/form-data; boundary=a; boundary*0=b",
            "multipart/form-data; charset*=utf-16''; boundary=a",
            "multipart/form-data; boundary =a",
            "multipart/form-data; boundary= a",
            "multipart/form-data; x; boundary=a",
            "multipart/form-data boundary=a",
            &format!("multipart/x;boundary={long}b"),
        ];
        for text in bad {
            assert!(
                matches!(Boundary::of(text.as_bytes()), Err(ContentError::Boundary)),
                "{text}"
            );
        }
        for text in ["", "text/plain; boundary=a", "application/json", "multi/x"] {
            assert!(matches!(Boundary::of(text.as_bytes()), Ok(None)), "{text}");
        }
    }
}
