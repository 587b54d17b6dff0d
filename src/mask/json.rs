//! Follows the structure of a JSON text byte by byte: what is inside a string, which bytes are an escape,
//! where bare tokens stand. Knows nothing of values; never holds more than a short key.
//!
//! A text is a sequence of JSON values, apart or together (so NDJSON is one), or each behind a record separator (RFC 7464); a
//! byte order mark may stand before all. At the first byte that cannot continue such a sequence the tracker says so, once
//! and for all. Nesting costs a bit a level.

use super::opaque::{self, Opaque};
use super::signed::{self, Event};

/// Most levels of nesting, a bit each; deeper text is read as plain text, which finds as much.
const DEEPEST: usize = 1 << 20;

/// UTF-8's, before which no JSON begins.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Before each text of a `json-seq` (RFC 7464, 2.2).
const RECORD_SEPARATOR: u8 = 0x1e;

/// Longest bare token; a longer one is no JSON that anybody sends.
const LONGEST_TOKEN: u64 = 4096;

/// Members whose whole value a short secret never replaces.
const EXEMPT_MEMBERS: [&[u8]; 6] = [b"role", b"type", b"model", b"id", b"object", b"status"];
/// Longest key that is known at all.
const LONGEST_KEY: usize = 17;

/// A string that ends at this byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StringEnd {
    /// Offset of its first content byte.
    pub start: u64,
    /// Offset of the closing quote.
    pub end: u64,
    /// It is an object key, or the value of an exempt member.
    pub exempt: bool,
}

/// What a byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// It belongs to an escape inside a string.
    pub escape: bool,
    /// It is the closing quote of a string.
    pub string: Option<StringEnd>,
    /// It ends the bare token `[start, here)`.
    pub token: Option<(u64, u64)>,
    /// It begins or ends what a signature may cover.
    pub signed: Option<Event>,
}

/// How far a walk came.
pub(super) struct Walk {
    pub taken: usize,
    /// The bare token that was open before it and ended in it: something may have been found there.
    pub token: Option<(u64, u64)>,
    /// What the last byte begins or ends.
    pub signed: Option<Event>,
    /// The last byte is JSON.
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between top-level values.
    Top,
    /// A value must come.
    Value,
    /// A value or `]`.
    ArrayFirst,
    /// A key or `}`.
    ObjectFirst,
    /// A key must come.
    Key,
    Colon,
    /// After a value inside a container.
    After,
    Token,
    Str,
    Escape,
    /// Hex digits still to come.
    Hex(u8),
}

pub(super) struct Tracker {
    state: State,
    /// Bytes of the mark that the text begins with.
    marks: usize,
    /// A bit a level: set for objects.
    stack: Vec<u64>,
    depth: usize,
    /// First content byte of the string, or first byte of the token.
    start: u64,
    in_key: bool,
    /// The value that comes belongs to an exempt member.
    exempt: bool,
    /// The value that comes belongs to the member of `key`.
    member: bool,
    opaque: opaque::Reader,
    key: [u8; LONGEST_KEY],
    /// Length of the key so far; over `LONGEST_KEY` if it is longer or has escapes.
    key_len: usize,
}

impl Tracker {
    pub fn new() -> Self {
        Self {
            state: State::Top,
            marks: 0,
            stack: Vec::new(),
            depth: 0,
            start: 0,
            in_key: false,
            exempt: false,
            member: false,
            opaque: opaque::Reader::default(),
            key: [0; LONGEST_KEY],
            key_len: 0,
        }
    }

    /// How many of the next bytes are certainly plain text of a string: neither its end nor an escape nor an error.
    pub fn plain(&self, next: &[u8]) -> usize {
        if self.state != State::Str || self.in_key {
            return 0;
        }
        let len = memchr::memchr2(b'"', b'\\', next).unwrap_or(next.len());
        let text = &next[..len];
        let lowest = text.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte));
        if lowest < 0x20 {
            return text.iter().position(|byte| *byte < 0x20).unwrap_or(len);
        }
        len
    }

    /// The byte that an escape of two bytes stands for, if one is next inside a string.
    pub fn short_escape(&self, next: &[u8]) -> Option<u8> {
        if self.state != State::Str {
            return None;
        }
        match next {
            [b'\\', b'n', ..] => Some(b'\n'),
            [b'\\', b't', ..] => Some(b'\t'),
            [b'\\', b'r', ..] => Some(b'\r'),
            [b'\\', byte @ (b'"' | b'/'), ..] => Some(*byte),
            _ => None,
        }
    }

    /// The open bare token's first byte.
    pub fn open_token(&self) -> Option<u64> {
        (self.state == State::Token).then_some(self.start)
    }

    /// Takes plain text of a string, the first byte of it at offset `at`.
    pub fn pass(&mut self, plain: &[u8], at: u64) {
        self.opaque.take(plain, at);
    }

    /// What is opaque of the string that the last byte stood in or closed.
    pub fn opaque(&self) -> Opaque {
        self.opaque.opaque()
    }

    /// Takes the byte at offset `at`; `None` if the text is not JSON from here on.
    pub fn step(&mut self, byte: u8, at: u64) -> Option<Step> {
        let mut step = Step::default();
        self.advance(byte, at, &mut step).then_some(step)
    }

    /// Takes text, the first byte of it at offset `at`, of which nobody asks but what a signature may cover: up to the first
    /// byte that begins or ends that, or is not JSON.
    pub fn walk(&mut self, text: &[u8], at: u64) -> Walk {
        let mut step = Step::default();
        let mut open = self.state == State::Token;
        let mut ended = None;
        let mut taken = 0;
        while let Some(byte) = text.get(taken) {
            let next = &text[taken..];
            let here = at + taken as u64;
            let plain = match self.state {
                State::Str if self.in_key => self.key_bytes(next),
                State::Str => {
                    let escape = self.short_escape(next).map_or(0, |_| 2);
                    let plain = if escape > 0 { escape } else { self.plain(next) };
                    self.opaque.take(&next[..plain], here);
                    plain
                }
                _ => 0,
            };
            taken += plain;
            if plain > 0 {
                continue;
            }
            taken += 1;
            let json = self.advance(*byte, here, &mut step);
            if open && step.token.is_some() {
                open = false;
                // Before a byte that is not JSON it is no token.
                ended = step.token.filter(|_| json);
            }
            if !json || step.signed.is_some() {
                return Walk {
                    taken,
                    token: ended,
                    signed: step.signed,
                    json,
                };
            }
        }
        Walk {
            taken,
            token: ended,
            signed: None,
            json: true,
        }
    }

    /// Takes plain text of a key; how many bytes.
    fn key_bytes(&mut self, next: &[u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let len = next.iter().position(ends).unwrap_or(next.len());
        for byte in &next[..len] {
            if self.key_len > LONGEST_KEY {
                break;
            }
            self.key_byte(*byte);
        }
        len
    }

    fn key_byte(&mut self, byte: u8) {
        if self.key_len <= LONGEST_KEY {
            if let Some(slot) = self.key.get_mut(self.key_len) {
                *slot = byte;
            }
            self.key_len += 1;
        }
    }

    /// Takes the byte at offset `at`, and adds to `step` what it is; false if the text is not JSON from here on.
    #[inline]
    fn advance(&mut self, byte: u8, at: u64, step: &mut Step) -> bool {
        self.opaque.go_on();
        match self.state {
            State::Str => return self.string_byte(byte, at, step),
            State::Escape | State::Hex(_) => {
                step.escape = true;
                self.state = match (self.state, byte) {
                    (State::Escape, b'u') => State::Hex(4),
                    (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                        State::Str
                    }
                    (State::Hex(1), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => State::Str,
                    (State::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                        State::Hex(left - 1)
                    }
                    // It is none, so this byte is not of the string.
                    _ => return false,
                };
                if !self.in_key {
                    self.opaque.take(&[byte], at);
                }
                return true;
            }
            State::Token => {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') {
                    return at - self.start < LONGEST_TOKEN;
                }
                step.token = Some((self.start, at));
                self.value_done();
            }
            _ => {}
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return true;
        }
        if self.state == State::Top && self.is_between(byte, at) {
            return true;
        }
        let depth = self.depth;
        let fits = self.structure(byte, at);
        if self.depth < depth {
            step.signed = Some(Event::Close { depth });
        } else if self.state == State::Str && !self.in_key {
            let name = self.member_name().and_then(signed::Name::of);
            step.signed = name.map(|_| Event::Begin {
                depth,
                at: self.start,
            });
        }
        fits
    }

    /// Whether the byte may stand before and between texts.
    fn is_between(&mut self, byte: u8, at: u64) -> bool {
        let marks = self.marks;
        if at == marks as u64 && BYTE_ORDER_MARK.get(marks) == Some(&byte) {
            self.marks += 1;
            return true;
        }
        byte == RECORD_SEPARATOR
    }

    fn string_byte(&mut self, byte: u8, at: u64, step: &mut Step) -> bool {
        match byte {
            b'"' => {
                step.string = Some(StringEnd {
                    start: self.start,
                    end: at,
                    exempt: self.in_key || self.exempt,
                });
                if self.in_key {
                    let key = self.key.get(..self.key_len);
                    self.exempt = key.is_some_and(|key| EXEMPT_MEMBERS.contains(&key));
                    self.state = State::Colon;
                    self.member = true;
                } else {
                    let name = self.member_name().and_then(signed::Name::of);
                    step.signed = name.map(|name| Event::End { name, at });
                    self.opaque.close();
                    self.value_done();
                }
            }
            b'\\' => {
                step.escape = true;
                if self.in_key {
                    self.key_len = usize::MAX;
                } else {
                    self.opaque.take(&[byte], at);
                }
                self.state = State::Escape;
            }
            0..=0x1f => return false,
            _ if !self.in_key => self.opaque.take(&[byte], at),
            _ => self.key_byte(byte),
        }
        true
    }

    /// A byte outside strings and tokens; false if it cannot stand here.
    fn structure(&mut self, byte: u8, at: u64) -> bool {
        match (self.state, byte) {
            (State::Top | State::Value | State::ArrayFirst, _) => {
                if byte == b']' {
                    return self.state == State::ArrayFirst && self.close(false);
                }
                self.begin_value(byte, at)
            }
            (State::ObjectFirst | State::After, b'}') => self.close(true),
            (State::ObjectFirst | State::Key, b'"') => {
                self.begin_string(at, true);
                true
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                true
            }
            (State::After, b',') => {
                self.exempt = false;
                self.state = if self.in_object() {
                    State::Key
                } else {
                    State::Value
                };
                true
            }
            (State::After, b']') => self.close(false),
            _ => false,
        }
    }

    fn begin_value(&mut self, byte: u8, at: u64) -> bool {
        match byte {
            b'"' => self.begin_string(at, false),
            b'{' | b'[' => {
                if self.depth == DEEPEST {
                    return false;
                }
                let object = byte == b'{';
                let (word, bit) = (self.depth / 64, self.depth % 64);
                if word == self.stack.len() {
                    self.stack.push(0);
                }
                self.stack[word] = (self.stack[word] & !(1 << bit)) | (u64::from(object) << bit);
                self.depth += 1;
                self.exempt = false;
                self.member = false;
                self.state = if object {
                    State::ObjectFirst
                } else {
                    State::ArrayFirst
                };
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I' => {
                self.start = at;
                self.state = State::Token;
            }
            _ => return false,
        }
        true
    }

    fn begin_string(&mut self, at: u64, key: bool) {
        self.start = at + 1;
        self.in_key = key;
        if key {
            self.key_len = 0;
        } else {
            let member = self.member.then(|| self.key.get(..self.key_len)).flatten();
            self.opaque.begin(self.start, member);
        }
        self.state = State::Str;
    }

    /// Of which member the value at hand is, as far as that is known.
    fn member_name(&self) -> Option<&[u8]> {
        self.member.then(|| self.key.get(..self.key_len)).flatten()
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.stack[(self.depth - 1) / 64] >> ((self.depth - 1) % 64) & 1 == 1
    }

    fn close(&mut self, object: bool) -> bool {
        if self.depth == 0 || self.in_object() != object {
            return false;
        }
        self.depth -= 1;
        self.value_done();
        true
    }

    fn value_done(&mut self) {
        self.exempt = false;
        self.member = false;
        self.state = if self.depth == 0 {
            State::Top
        } else {
            State::After
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, StringEnd, Tracker};

    /// Offset of the first byte that is not JSON.
    fn invalid_at(text: &[u8]) -> Option<usize> {
        let mut tracker = Tracker::new();
        (0..text.len()).find(|&i| tracker.step(text[i], i as u64).is_none())
    }

    #[test]
    fn accepts_what_json_allows_and_names_the_first_byte_that_it_does_not() {
        for text in [
            r#"{"a":[1,-2.5e+3,true,null,{"b":"c\u00e9\"\\"}],"d":{}}"#,
            "{}\n{}\n[]",
            "1 2 3",
            "NaN",
            "[[[[[]]]]]",
            "\"\u{fffd}\"",
            "\u{feff}{}",
            "\x1e{\"a\":1}\n\x1e[]\n",
        ] {
            assert_eq!(invalid_at(text.as_bytes()), None, "{text}");
        }
        for (text, at) in [
            ("hello", 0),
            ("[1,]", 3),
            (r#"{"a":1,}"#, 7),
            (r#"{"a" 1}"#, 5),
            (r#""\q""#, 2),
            ("\"a\nb\"", 2),
            ("{1:2}", 1),
            ("[}", 1),
            ("]", 0),
            (r#""\u00g""#, 5),
            (" \u{feff}{}", 1),
            ("\u{feff}\u{feff}{}", 3),
            ("[\x1e1]", 1),
        ] {
            assert_eq!(invalid_at(text.as_bytes()), Some(at), "{text}");
        }
    }

    #[test]
    fn marks_escapes_keys_exempt_members_and_tokens() {
        let text = br#"{"role":"a\n","x":["y",12]}"#;
        let mut tracker = Tracker::new();
        let mut escapes = Vec::new();
        let mut strings = Vec::new();
        let mut tokens = Vec::new();
        for (i, b) in text.iter().enumerate() {
            let Step {
                escape,
                string,
                token,
                ..
            } = tracker.step(*b, i as u64).expect("valid");
            escapes.extend(escape.then_some(i));
            strings.extend(string);
            tokens.extend(token);
        }
        let end = |start, end, exempt| StringEnd { start, end, exempt };
        assert_eq!(escapes, [10, 11]);
        assert_eq!(
            strings,
            [
                end(2, 6, true),
                end(9, 12, true),
                end(15, 16, true),
                end(20, 21, false)
            ]
        );
        assert_eq!(tokens, [(23, 25)]);
    }

    #[test]
    fn p8_depth_costs_a_bit_a_level() {
        let mut tracker = Tracker::new();
        for i in 0..super::DEEPEST {
            assert!(tracker.step(b'[', i as u64).is_some());
        }
        assert!(tracker.stack.len() <= super::DEEPEST / 64);
        assert!(tracker.step(b'[', super::DEEPEST as u64).is_none());
    }
}
