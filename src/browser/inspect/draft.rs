//! A command's parameters with holes for values, and how the values get in.
//!
//! The text around the holes is made first; then each key is asked for once, with all its places; its value goes straight into
//! memory that is wiped, in the spelling of its place. Either all holes are filled or nothing goes on.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::said::Said;
use crate::browser::{Refusal, base64};
use crate::guard::{Ask, Denied, Origin, Place, Spot, Ticket};

/// A JSON text with holes.
#[derive(Default)]
pub struct Draft {
    parts: Vec<Part>,
}

enum Part {
    Text(Vec<u8>),
    Hole(Hole),
    /// The base64 of these.
    Base64(Vec<Part>),
}

/// A place for a value.
pub struct Hole {
    key: Box<str>,
    place: Place,
    header: Option<Box<str>>,
    spelling: Spelling,
    value: Option<Zeroizing<Vec<u8>>>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As it is, in a JSON string.
    Json,
    /// Percent-encoded but for letters, digits and `-._~`.
    Percent,
    /// As it is.
    Plain,
}

impl Hole {
    /// A hole for the value of that key. `header`: of a header, its name.
    pub fn new(key: &str, place: Place, header: Option<&str>, spelling: Spelling) -> Self {
        Self {
            key: key.into(),
            place,
            header: header.map(Box::from),
            spelling,
            value: None,
        }
    }

    fn spot(&self) -> Spot<'_> {
        Spot {
            place: self.place,
            header: self.header.as_deref(),
        }
    }
}

impl Draft {
    /// Appends text that is JSON already.
    pub fn raw(&mut self, json: impl AsRef<[u8]>) -> &mut Self {
        self.parts.push(Part::Text(json.as_ref().to_vec()));
        self
    }

    /// Appends text to the JSON string that is open.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.parts.push(Part::Text(inside(text).to_vec()));
        self
    }

    /// Appends a hole.
    pub fn hole(&mut self, hole: Hole) -> &mut Self {
        self.parts.push(Part::Hole(hole));
        self
    }

    /// Appends the base64 of another draft, whose text and holes are plain.
    pub fn base64(&mut self, inner: Draft) -> &mut Self {
        self.parts.push(Part::Base64(inner.parts));
        self
    }

    /// Appends plain text; for what becomes base64.
    pub fn plain(&mut self, text: &str) -> &mut Self {
        self.raw(text)
    }

    /// Appends another draft.
    pub fn append(&mut self, other: Draft) -> &mut Self {
        self.parts.extend(other.parts);
        self
    }

    /// Whether nothing is to be filled in.
    pub fn is_text(&self) -> bool {
        !self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Hole(_) => true,
            Part::Base64(parts) => parts.iter().any(|part| matches!(part, Part::Hole(_))),
        })
    }

    /// The text, with the key in brackets in the place of each value.
    #[cfg(test)]
    pub fn shown(&self) -> String {
        fn show(parts: &[Part]) -> String {
            let parts = parts.iter().map(|part| match part {
                Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Part::Hole(hole) => format!("[{}]", hole.key),
                Part::Base64(parts) => format!("base64({})", show(parts)),
            });
            parts.collect()
        }
        show(&self.parts)
    }

    /// Fills all holes: each value's event is durable before it is written. The result is wiped when its last owner goes.
    ///
    /// # Errors
    /// A value may not go there; nothing was written then, unless the log failed between two keys.
    pub async fn fill(
        mut self,
        ticket: &Ticket,
        destination: &Origin,
        said: &Said,
    ) -> Result<Bytes, Refusal> {
        let mut keys: Vec<Box<str>> = Vec::new();
        each_hole(&mut self.parts, &mut |hole| {
            if !keys.contains(&hole.key) {
                keys.push(hole.key.clone());
            }
        });
        for key in &keys {
            let kept = self.spots(key);
            let spots: Vec<Spot<'_>> = kept.iter().map(Kept::spot).collect();
            let ask = Ask {
                key,
                spots: &spots,
                destination,
            };
            ticket
                .entry(&ask)
                .map_err(|denied| said.denied(ticket, key, &denied))?;
        }
        for key in &keys {
            let kept = self.spots(key);
            let spots: Vec<Spot<'_>> = kept.iter().map(Kept::spot).collect();
            let ask = Ask {
                key,
                spots: &spots,
                destination,
            };
            let done = ticket.substitute(&ask, |value| {
                each_hole(&mut self.parts, &mut |hole| {
                    if hole.key == *key {
                        hole.value = Some(hole.spelling.write(value));
                    }
                });
            });
            done.await.map_err(|denied: Denied| refusal(key, &denied))?;
        }
        let mut out = Zeroizing::new(Vec::with_capacity(length(&self.parts)));
        write(&self.parts, &mut out);
        Ok(Bytes::from_owner(out))
    }

    fn spots(&mut self, key: &str) -> Vec<Kept> {
        let mut spots = Vec::new();
        each_hole(&mut self.parts, &mut |hole| {
            if *hole.key == *key {
                spots.push(Kept(hole.spot().place, hole.header.clone()));
            }
        });
        spots
    }
}

/// A spot that owns its name, so that its hole can be written meanwhile.
struct Kept(Place, Option<Box<str>>);

impl Kept {
    fn spot(&self) -> Spot<'_> {
        Spot {
            place: self.0,
            header: self.1.as_deref(),
        }
    }
}

/// What the client is told where a key is denied.
pub fn refusal(key: &str, denied: &Denied) -> Refusal {
    Refusal::new(format!("{key} is not put in here: {denied}"))
}

impl Spelling {
    fn write(self, value: &str) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Json => inside(value),
            Self::Percent => percent(value),
            Self::Plain => Zeroizing::new(value.as_bytes().to_vec()),
        }
    }
}

fn each_hole(parts: &mut [Part], see: &mut impl FnMut(&mut Hole)) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Hole(hole) => see(hole),
            Part::Base64(parts) => each_hole(parts, see),
        }
    }
}

fn length(parts: &[Part]) -> usize {
    let lengths = parts.iter().map(|part| match part {
        Part::Text(text) => text.len(),
        Part::Hole(hole) => hole.value.as_ref().map_or(0, |value| value.len()),
        Part::Base64(parts) => base64::length(length(parts)),
    });
    lengths.sum()
}

fn write(parts: &[Part], out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Hole(hole) => {
                out.extend_from_slice(hole.value.as_ref().map_or(&[], |value| value.as_slice()));
            }
            Part::Base64(parts) => {
                let mut plain = Zeroizing::new(Vec::with_capacity(length(parts)));
                write(parts, &mut plain);
                base64::append(&plain, out);
            }
        }
    }
}

/// What stands between the quotes of a text as a JSON string.
fn inside(text: &str) -> Zeroizing<Vec<u8>> {
    // At most six bytes for one: what is written never moves.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 6));
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', u8::try_from(c).unwrap_or_default()]),
            c if c < ' ' => {
                let code = u32::from(c);
                let digit = |n: u32| {
                    char::from_digit(n, 16).map_or(b'0', |c| u8::try_from(c).unwrap_or(b'0'))
                };
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(code >> 4),
                    digit(code & 15),
                ]);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

fn percent(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_spelled_for_their_place() {
        let text = "a\"\\\n\u{1}\u{f6}/ %:@";
        let json = format!("\"{}\"", String::from_utf8(inside(text).to_vec()).unwrap());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(
            percent(text).as_slice(),
            b"a%22%5C%0A%01%C3%B6%2F%20%25%3A%40"
        );
    }

    #[test]
    fn a_draft_without_holes_is_text() {
        let mut inner = Draft::default();
        inner.plain("u:p");
        let mut draft = Draft::default();
        draft.raw("{\"a\":\"").text("\"").base64(inner).raw("\"}");
        assert!(draft.is_text());
        let mut out = Vec::new();
        write(&draft.parts, &mut out);
        assert_eq!(out, br#"{"a":"\"dTpw"}"#);
        assert_eq!(length(&draft.parts), out.len());
        draft.hole(Hole::new("k", Place::Header, Some("a"), Spelling::Json));
        assert!(!draft.is_text());
    }
}
