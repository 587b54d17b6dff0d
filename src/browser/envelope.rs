//! The envelope of a message: its top-level keys, found without making anything of what they hold.
//!
//! One pass over the text finds where `id`, `method`, `sessionId`, `params`, `result` and `error` stand, and on its way holds all of
//! the text to JSON's grammar (RFC 8259). That is not pedantry: what is passed on unparsed must mean the same to Chromium as to us.
//! Its parser takes comments, for instance, and to a reader that merely counts brackets, a quote in a comment begins a string:
//! enough to smuggle a `sessionId` past it. A zero byte would end the message on the pipe.
//!
//! Invariants: a text is one object of keys that occur once, nested no deeper than Chromium takes, and UTF-8; a key counts by what
//! its escapes say; of a client only the keys of a command are taken, as Chromium does, and refused in Chromium's words.
//!
//! It looks into no parameters: duplicate keys in there are for those who read them.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr2;

use super::command::Command;

/// How deep a message may nest, itself included; Chromium's own limit, as found by trying.
pub const DEEPEST: usize = 301;

/// Stands for parameters that are `null`, which is as good as none.
const NONE: Range<usize> = 0..0;

/// Where the parts of a message stand in it. Of strings, what is between the quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The number of a command, or of the one that is answered.
    pub id: Option<i32>,
    /// Where that number stands.
    pub id_at: Option<Range<usize>>,
    /// `Domain.method`.
    pub method: Option<Range<usize>>,
    /// The session.
    pub session: Option<Range<usize>>,
    /// All of the session's entry, from its key's quote to its value's.
    pub session_entry: Option<Range<usize>>,
    /// The parameters: an object.
    pub params: Option<Range<usize>>,
    /// The result of a command: any value.
    pub result: Option<Range<usize>>,
    /// The error of a command: an object.
    pub error: Option<Range<usize>>,
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is not JSON, is not UTF-8, or nests too deep.
    #[error("JSON: invalid token at position {0}")]
    Syntax(usize),
    /// It is something else than an object.
    #[error("Message must be an object")]
    Object,
    /// Its number is missing, or not an integer of 32 bits.
    #[error("Message must have integer 'id' property")]
    Id,
    /// Its method is missing, empty or not a string.
    #[error("Message must have string 'method' property")]
    Method,
    /// Its session is not a string.
    #[error("Message may have string 'sessionId' property")]
    Session,
    /// Its parameters are not an object.
    #[error("Message may have object 'params' property")]
    Params,
    /// It has a key that a command does not have.
    #[error("Message has property other than 'id', 'method', 'sessionId', 'params'")]
    Unknown,
    /// A key occurs twice.
    #[error("CBOR: duplicate map key at position {0}")]
    Twice(usize),
    /// An error that is not an object, in a message of the browser.
    #[error("Message may have object 'error' property")]
    Error,
}

/// Why a message is none, and whose it was as far as that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EnvelopeError {
    /// Why.
    pub reason: Reason,
    /// Its number, if that came before what is wrong.
    pub id: Option<i32>,
}

impl EnvelopeError {
    /// JSON-RPC's code for it.
    pub fn code(&self) -> i32 {
        match self.reason {
            Reason::Syntax(_) | Reason::Twice(_) => -32700,
            _ => -32600,
        }
    }

    /// What the client is told, as Chromium would.
    pub fn answer(&self) -> String {
        let mut text = String::from("{");
        // Writing to a string cannot fail. The words need no escapes.
        let _ = self.id.map(|id| write!(text, "\"id\":{id},"));
        let _ = write!(
            text,
            "\"error\":{{\"code\":{},\"message\":\"{}\"}}}}",
            self.code(),
            self.reason
        );
        text
    }
}

/// Reads a client's command.
///
/// # Errors
/// See [`Reason`].
pub fn command(message: Bytes) -> Result<Command, EnvelopeError> {
    let envelope = read(&message, Side::Client)?;
    let wrong = |reason| EnvelopeError {
        reason,
        id: envelope.id,
    };
    let id = envelope.id.ok_or_else(|| wrong(Reason::Id))?;
    let method = envelope
        .method
        .clone()
        .ok_or_else(|| wrong(Reason::Method))?;
    let method = string(&message[method])
        .filter(|method| !method.is_empty())
        .ok_or_else(|| wrong(Reason::Method))?;
    let session = match envelope.session.clone() {
        None => None,
        // An empty one is the root's, as in Chromium.
        Some(at) => string(&message[at])
            .map(|session| (!session.is_empty()).then_some(session))
            .ok_or_else(|| wrong(Reason::Session))?,
    };
    Ok(Command {
        id: id.into(),
        method,
        session,
        params: envelope.params,
        message,
    })
}

/// Reads a message of the browser.
///
/// # Errors
/// See [`Reason`].
pub fn of_browser(message: &[u8]) -> Result<Envelope, EnvelopeError> {
    read(message, Side::Browser)
}

/// What is between a string's quotes, without its escapes. `None`: half of a surrogate pair.
pub fn string(text: &[u8]) -> Option<Arc<str>> {
    if !text.contains(&b'\\') {
        return std::str::from_utf8(text).ok().map(Arc::from);
    }
    let quoted = [b"\"", text, b"\""].concat();
    let text: String = serde_json::from_slice(&quoted).ok()?;
    Some(text.into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Browser,
}

fn read(text: &[u8], side: Side) -> Result<Envelope, EnvelopeError> {
    let mut envelope = Envelope::default();
    let read = match std::str::from_utf8(text) {
        Ok(_) => fill(&mut envelope, text, side),
        Err(error) => Err(Reason::Syntax(error.valid_up_to())),
    };
    read.map_err(|reason| EnvelopeError {
        reason,
        id: envelope.id,
    })?;
    envelope.params = envelope.params.filter(|params| *params != NONE);
    Ok(envelope)
}

fn fill(envelope: &mut Envelope, text: &[u8], side: Side) -> Result<(), Reason> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.blanks();
    if cursor.peek() != Some(b'{') {
        // To tell a list from a text that is no JSON at all it must be read.
        cursor.value(0)?;
        cursor.end()?;
        return Err(Reason::Object);
    }
    cursor.at += 1;
    cursor.blanks();
    if cursor.take(b'}') {
        return cursor.end();
    }
    loop {
        cursor.blanks();
        let key_at = cursor.at;
        let key = cursor.string()?;
        cursor.blanks();
        cursor.expect(b':')?;
        cursor.blanks();
        let value_at = cursor.at;
        cursor.value(1)?;
        entry(
            envelope,
            text,
            side,
            key_at,
            &text[key],
            value_at..cursor.at,
        )?;
        cursor.blanks();
        if cursor.take(b'}') {
            return cursor.end();
        }
        cursor.expect(b',')?;
    }
}

/// Puts one entry of the message where it belongs.
fn entry(
    envelope: &mut Envelope,
    text: &[u8],
    side: Side,
    key_at: usize,
    key: &[u8],
    value: Range<usize>,
) -> Result<(), Reason> {
    let decoded;
    let key = if key.contains(&b'\\') {
        decoded = string(key);
        decoded.as_deref().unwrap_or_default().as_bytes()
    } else {
        key
    };
    let first = text[value.start];
    let is_null = first == b'n';
    let inside = value.start + 1..value.end - 1;
    let (slot, found) = match key {
        b"id" => {
            let number = std::str::from_utf8(&text[value.clone()]);
            let number = number.ok().and_then(|number| number.parse().ok());
            if envelope.id.is_none() {
                envelope.id = Some(number.ok_or(Reason::Id)?);
            }
            (&mut envelope.id_at, value)
        }
        b"method" if first == b'"' => (&mut envelope.method, inside),
        b"method" => return Err(Reason::Method),
        b"sessionId" if first == b'"' => {
            envelope.session_entry = Some(key_at..value.end);
            (&mut envelope.session, inside)
        }
        b"sessionId" => return Err(Reason::Session),
        b"params" if is_null || first == b'{' => (&mut envelope.params, value),
        b"params" => return Err(Reason::Params),
        _ if side == Side::Client => return Err(Reason::Unknown),
        b"result" => (&mut envelope.result, value),
        b"error" if first == b'{' => (&mut envelope.error, value),
        b"error" => return Err(Reason::Error),
        _ => return Ok(()),
    };
    if slot.is_some() {
        return Err(Reason::Twice(key_at));
    }
    *slot = Some(found);
    if is_null && key == b"params" {
        // Kept until the end, so that a second entry is refused.
        envelope.params = Some(NONE);
    }
    Ok(())
}

/// A place in a text that is held to JSON's grammar.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

/// Of the values that are open at a place, which are objects; the others are arrays.
struct Open {
    bits: [u64; DEEPEST.div_ceil(64)],
    depth: usize,
}

impl Open {
    fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.bits[word] = (self.bits[word] & !(1 << bit)) | (u64::from(object) << bit);
        self.depth += 1;
    }

    fn in_object(&self) -> bool {
        let last = self.depth - 1;
        self.bits[last / 64] >> (last % 64) & 1 == 1
    }
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn wrong<T>(&self) -> Result<T, Reason> {
        Err(Reason::Syntax(self.at))
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Reason> {
        if self.take(byte) {
            Ok(())
        } else {
            self.wrong()
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), Reason> {
        self.blanks();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.wrong()
        }
    }

    /// Passes over a value that stands `outside` levels deep.
    fn value(&mut self, outside: usize) -> Result<(), Reason> {
        let mut open = Open {
            bits: [0; DEEPEST.div_ceil(64)],
            depth: 0,
        };
        loop {
            let opened = self.begin()?;
            if let Some(object) = opened {
                if outside + open.depth == DEEPEST {
                    return self.wrong();
                }
                open.push(object);
                self.blanks();
                let close = if object { b'}' } else { b']' };
                if self.take(close) {
                    open.depth -= 1;
                } else {
                    if object {
                        self.key()?;
                    }
                    continue;
                }
            }
            // A value has ended: of those that it stands in, some may end with it.
            loop {
                if open.depth == 0 {
                    return Ok(());
                }
                self.blanks();
                let object = open.in_object();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.blanks();
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => open.depth -= 1,
                    Some(b']') if !object => open.depth -= 1,
                    _ => return self.wrong(),
                }
                self.at += 1;
            }
        }
    }

    /// Passes over a simple value, or over the bracket of another: then whether it is an object.
    fn begin(&mut self) -> Result<Option<bool>, Reason> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| None),
            Some(bracket @ (b'{' | b'[')) => {
                self.at += 1;
                Ok(Some(bracket == b'{'))
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| None),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.wrong(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<Option<bool>, Reason> {
        if !self.text[self.at..].starts_with(word) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(None)
    }

    fn key(&mut self) -> Result<(), Reason> {
        self.string()?;
        self.blanks();
        self.expect(b':')?;
        self.blanks();
        Ok(())
    }

    /// Passes over a string; what is between its quotes.
    fn string(&mut self) -> Result<Range<usize>, Reason> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let Some(length) = memchr2(b'"', b'\\', &self.text[self.at..]) else {
                return self.wrong();
            };
            let plain = &self.text[self.at..self.at + length];
            // Not `any`, which would look at one byte after another.
            let controls = plain.iter().map(|byte| u8::from(*byte < 0x20));
            if controls.fold(0, |found, control| found | control) != 0 {
                return self.wrong();
            }
            self.at += length;
            if self.take(b'"') {
                return Ok(start..self.at - 1);
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), Reason> {
        let digits = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return self.wrong(),
        };
        let from = self.at + 2;
        match self.text.get(from..from + digits) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => self.at = from + digits,
            _ => return self.wrong(),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Reason> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            self.wrong()
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
