//! Mends what masking did to the structure of a message.
//!
//! A short value may be equal to a number or an id that the protocol needs: a PIN `4821` and the node 4821. The masker, which
//! knows nothing of CDP, then makes `"x_pin"` of it, and the client breaks. Here such tokens get back what they were. A number or
//! an id that the browser made says nothing of a secret; only a page's own data does.
//!
//! The way through: both texts are walked at once, token by token, for masking changes tokens and never what stands between them.
//! Where a token differs, its place decides: names of members, numbers, words and the ids of [`is_id`] are as they were;
//! every other string stays masked. Below a member that holds a page's own data ([`Place::child`]) nothing is mended, whatever it
//! looks like: what a page made can stand nowhere else but in strings.
//!
//! Invariants: linear in the texts, no tree, a byte a level; a message whose structure masking did change is not mended but
//! reported, so that the caller does not send it.

/// Masking changed what stands between the tokens: the two texts cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was masked reaches over more than one part of the message")]
pub(super) struct Misaligned;

/// Where a value stands: what its members and items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The message itself.
    Message,
    /// An object or list of the protocol.
    Plain,
    /// `frame` of the protocol, whose `id` is one.
    Frame,
    /// A list of properties: in each, `value` may be an object of the protocol.
    Properties,
    /// An item of such a list.
    Property,
    /// A list of ids.
    Ids,
    /// Of the page: nothing in it is mended.
    Page,
}

/// What becomes of a string that differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    /// It stays masked.
    Masked,
    /// It is one that the browser made.
    Id,
}

impl Place {
    /// What the value of a member is, by its name and the byte that it begins with.
    fn child(self, name: &[u8], first: u8) -> (Self, Text) {
        if self == Self::Page {
            return (Self::Page, Text::Masked);
        }
        let opens = matches!(first, b'{' | b'[');
        match (self, name) {
            (Self::Message, b"method") | (Self::Frame, b"id") => (Self::Page, Text::Id),
            // `PropertyDescriptor.value` and `AXProperty.value` are objects of the protocol; a scalar there is the page's.
            (Self::Property, b"value") if first == b'{' => (Self::Plain, Text::Masked),
            (
                _,
                b"value" | b"headers" | b"data" | b"hints" | b"output" | b"input" | b"body"
                | b"arguments" | b"schema" | b"inputSchema",
            ) => (Self::Page, Text::Masked),
            (_, b"result" | b"internalProperties" | b"privateProperties" | b"properties")
                if first == b'[' =>
            {
                (Self::Properties, Text::Masked)
            }
            (_, b"frame") => (Self::Frame, Text::Masked),
            (_, name) if is_id(name) && first == b'[' => (Self::Ids, Text::Masked),
            (_, name) if is_id(name) && !opens => (Self::Plain, Text::Id),
            _ => (Self::Plain, Text::Masked),
        }
    }

    /// What the items of a list are.
    fn item(self) -> (Self, Text) {
        match self {
            Self::Properties => (Self::Property, Text::Masked),
            Self::Ids => (Self::Plain, Text::Id),
            Self::Page => (Self::Page, Text::Masked),
            _ => (Self::Plain, Text::Masked),
        }
    }
}

/// Members whose strings the browser makes: ids that a page cannot choose.
fn is_id(name: &[u8]) -> bool {
    matches!(
        name,
        b"sessionId"
            | b"targetId"
            | b"targetIds"
            | b"openerId"
            | b"openerFrameId"
            | b"parentFrameId"
            | b"browserContextId"
            | b"browserContextIds"
            | b"frameId"
            | b"parentId"
            | b"childIds"
            | b"nodeId"
            | b"loaderId"
            | b"requestId"
            | b"networkId"
            | b"redirectedRequestId"
            | b"interceptionId"
            | b"objectId"
            | b"scriptId"
            | b"uniqueId"
            | b"uniqueContextId"
            | b"executionContextUniqueId"
            | b"executionContextId"
            | b"contextId"
            | b"debuggerId"
            | b"callFrameId"
            | b"backendNodeId"
            | b"identifier"
            | b"stream"
            | b"handle"
            | b"guid"
            | b"styleSheetId"
            | b"registrationId"
            | b"versionId"
    )
}

/// Longest text of an id.
const LONGEST_ID: usize = 256;

/// Whether a string's text could be an id: what else stands in such a place stays masked.
fn looks_like_an_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    text.len() <= LONGEST_ID && text.iter().all(plain)
}

/// The masked message with its structure mended; `None` if nothing is to be mended.
///
/// # Errors
/// See [`Misaligned`]; also where `original` is not one JSON value.
pub(super) fn mend(original: &[u8], masked: &[u8]) -> Result<Option<Vec<u8>>, Misaligned> {
    let mut walk = Walk {
        old: Cursor {
            text: original,
            at: 0,
        },
        new: Cursor {
            text: masked,
            at: 0,
        },
        out: Vec::new(),
        copied: 0,
        stack: Vec::new(),
        opened: false,
    };
    walk.message()?;
    Ok((walk.copied > 0).then(|| {
        walk.out.extend_from_slice(&masked[walk.copied..]);
        walk.out
    }))
}

struct Walk<'a> {
    old: Cursor<'a>,
    new: Cursor<'a>,
    out: Vec<u8>,
    /// Bytes of the masked text that are in `out`, or stand for something there.
    copied: usize,
    /// What is open: the place of each, and whether it is an object.
    stack: Vec<(Place, bool)>,
    /// The last of them was opened just now, and is not empty.
    opened: bool,
}

impl Walk<'_> {
    fn message(&mut self) -> Result<(), Misaligned> {
        self.value(Place::Message, Text::Masked)?;
        while let Some((place, object)) = self.stack.last().copied() {
            if std::mem::take(&mut self.opened) {
                self.next_in(place, object)?;
                continue;
            }
            let close = if object { b'}' } else { b']' };
            match self.both()? {
                b',' => {
                    self.step()?;
                    self.next_in(place, object)?;
                }
                byte if byte == close => {
                    self.step()?;
                    self.stack.pop();
                }
                _ => return Err(Misaligned),
            }
        }
        let ended = self.old.peek().is_none() && self.new.peek().is_none();
        if ended { Ok(()) } else { Err(Misaligned) }
    }

    /// A member or an item.
    fn next_in(&mut self, place: Place, object: bool) -> Result<(), Misaligned> {
        if !object {
            let (place, text) = place.item();
            return self.value(place, text);
        }
        let old = self.old.string()?;
        let new = self.new.string()?;
        // Names of members are the protocol's wherever we look at them.
        self.restore(old, new);
        if self.both()? != b':' {
            return Err(Misaligned);
        }
        self.step()?;
        let first = self.old.peek().ok_or(Misaligned)?;
        let (place, text) = place.child(&self.old.text[old.0 + 1..old.1 - 1], first);
        self.value(place, text)
    }

    /// A value, as far as it is one token; what it opens is on the stack then.
    fn value(&mut self, place: Place, text: Text) -> Result<(), Misaligned> {
        let first = self.old.peek().ok_or(Misaligned)?;
        if place == Place::Page && text == Text::Masked {
            self.old.skip()?;
            return self.new.skip();
        }
        match first {
            b'{' | b'[' => {
                if self.new.peek() != Some(first) {
                    return Err(Misaligned);
                }
                self.step()?;
                let object = first == b'{';
                let close = if object { b'}' } else { b']' };
                if self.both().is_ok_and(|byte| byte == close) {
                    return self.step();
                }
                self.stack.push((place, object));
                self.opened = true;
                Ok(())
            }
            b'"' => {
                let old = self.old.string()?;
                let new = self.new.scalar()?;
                let inner = &self.old.text[old.0 + 1..old.1 - 1];
                if text == Text::Id && looks_like_an_id(inner) {
                    self.restore(old, new);
                }
                Ok(())
            }
            _ => {
                let old = self.old.scalar()?;
                let new = self.new.scalar()?;
                self.restore(old, new);
                Ok(())
            }
        }
    }

    /// Puts the original token into the place of the masked one, if they differ.
    fn restore(&mut self, old: (usize, usize), new: (usize, usize)) {
        let was = &self.old.text[old.0..old.1];
        if was != &self.new.text[new.0..new.1] {
            self.out
                .extend_from_slice(&self.new.text[self.copied..new.0]);
            self.out.extend_from_slice(was);
            self.copied = new.1;
        }
    }

    /// The next byte, which must be the same in both texts.
    fn both(&mut self) -> Result<u8, Misaligned> {
        let (old, new) = (self.old.peek(), self.new.peek());
        old.filter(|_| old == new).ok_or(Misaligned)
    }

    fn step(&mut self) -> Result<(), Misaligned> {
        self.both()?;
        self.old.at += 1;
        self.new.at += 1;
        Ok(())
    }
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// A string, quotes included.
    fn string(&mut self) -> Result<(usize, usize), Misaligned> {
        if self.peek() != Some(b'"') {
            return Err(Misaligned);
        }
        let start = self.at;
        let mut at = start + 1;
        loop {
            let rest = self.text.get(at..).ok_or(Misaligned)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(Misaligned)?;
            at += found;
            if self.text[at] == b'"' {
                self.at = at + 1;
                return Ok((start, self.at));
            }
            at += 2;
        }
    }

    /// A string, a number or a word.
    fn scalar(&mut self) -> Result<(usize, usize), Misaligned> {
        let first = self.peek().ok_or(Misaligned)?;
        if first == b'"' {
            return self.string();
        }
        let start = self.at;
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = self.text[start..].iter().take_while(is_word).count();
        if length == 0 {
            return Err(Misaligned);
        }
        self.at = start + length;
        Ok((start, self.at))
    }

    /// A whole value, whatever it holds.
    fn skip(&mut self) -> Result<(), Misaligned> {
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Misaligned)? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(Misaligned)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                _ => {
                    self.scalar()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
