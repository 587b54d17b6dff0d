//! Matches that count only if what follows them allows: word edges, URL authorities, whole JSON strings.

use super::authority::{Authority, Part};
use super::found::Found;
use super::json::StringEnd;
use super::needle::{Kind, Pattern};
use super::symbol::{Sym, class};
use super::word::{self, LONGEST_CHAR};

/// Longest authority of a URL in which short values are left alone, in bytes.
const LONGEST_AUTHORITY: usize = 512;

/// What becomes of a match that waited.
pub(super) enum Fate {
    Wait,
    Count,
    Drop,
    /// Drop it in every reading.
    Exempt,
}

/// A match that counts only if what follows it allows.
#[derive(Clone)]
pub(super) struct Wait {
    pub found: Found,
    /// It is a key.
    pub key: bool,
    /// Nothing has followed yet.
    fresh: bool,
    /// The character that follows must be read still.
    edge: bool,
    after: [u8; LONGEST_CHAR],
    after_len: usize,
    /// It stands in an authority: whether `@` follows decides (for what is before it is no host).
    pub authority: Option<Inside>,
}

/// What is known of the authority that a match stands in.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    /// Its symbols so far.
    symbols: usize,
    part: Part,
    /// What followed does not stand in an authority as it is (RFC 3986, 3.2).
    beyond: bool,
}

impl Wait {
    pub fn new(found: Found, pattern: &Pattern, authority: Authority) -> Self {
        let key = pattern.kind == Kind::Key;
        let host = |n: &usize| (authority.sign + pattern.len..=LONGEST_AUTHORITY).contains(n);
        let inside = authority.run.filter(|n| !key && host(n));
        Self {
            found,
            key,
            fresh: true,
            edge: pattern.edges.1,
            after: [0; LONGEST_CHAR],
            after_len: 0,
            authority: inside.map(|symbols| Inside {
                symbols,
                part: authority.part,
                beyond: false,
            }),
        }
    }

    pub fn take(&mut self, sym: &Sym, closing: Option<StringEnd>) -> Fate {
        if std::mem::take(&mut self.fresh) && !self.key && self.found.chain.is_json_text() {
            let whole = |s: StringEnd| {
                s.exempt && s.start == self.found.start() && s.end == self.found.end()
            };
            if closing.is_some_and(whole) {
                return Fate::Exempt;
            }
        }
        if self.edge {
            match self.read_edge(sym.byte) {
                Some(true) => return Fate::Drop,
                Some(false) => self.edge = false,
                None => {}
            }
        }
        if let Some(mut inside) = self.authority {
            match inside.take(sym.byte) {
                Fate::Wait => self.authority = Some(inside),
                Fate::Count => self.authority = None,
                fate => return fate,
            }
        }
        if self.edge || self.authority.is_some() {
            Fate::Wait
        } else {
            Fate::Count
        }
    }

    /// Whether the character that follows is a word character, once it is known.
    fn read_edge(&mut self, byte: u8) -> Option<bool> {
        if self.after_len > 0 && byte & 0xc0 != 0x80 {
            return Some(false);
        }
        self.after[self.after_len] = byte;
        self.after_len += 1;
        let len = word::char_len(self.after[0]);
        if len == 0 {
            return Some(false);
        }
        (self.after_len == len).then(|| word::begins_with_word_char(&self.after[..len]))
    }

    pub fn at_gap(&mut self) -> Fate {
        let word_goes_on = self.edge && self.after_len == 0;
        if word_goes_on || self.authority.is_some() {
            Fate::Drop
        } else {
            Fate::Count
        }
    }

    pub fn at_end(&mut self) -> Fate {
        if self.authority.is_some() {
            Fate::Drop
        } else {
            Fate::Count
        }
    }
}

impl Inside {
    /// Whether the next byte shows that the match is a user's name or a password, or a part of a host.
    fn take(&mut self, byte: u8) -> Fate {
        if byte == b'@' {
            return Fate::Count;
        }
        if class::OF[usize::from(byte)] & class::AUTHORITY != 0 {
            self.part = self.part.with(byte);
        } else {
            let ends = match self.part {
                Part::Name => true,
                Part::Port => ends_password(byte) || follows_port(byte),
                Part::Colon | Part::Password => ends_password(byte),
            };
            if ends {
                return Fate::Drop;
            }
            (self.part, self.beyond) = (Part::Password, true);
        }
        if self.symbols == LONGEST_AUTHORITY {
            return if self.beyond { Fate::Drop } else { Fate::Count };
        }
        self.symbols += 1;
        Fate::Wait
    }
}

/// Whether a byte ends what may be a password: what a program puts in its place (`***`, `${NAME}`, `<password>`), or one that should
/// have been percent-encoded.
fn ends_password(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || b"/?#\\\"'`".contains(&byte)
}

/// Whether a byte behind a port ends the URL that it stands in: closing brackets, signs that part one thing from the next, what begins
/// a tag or a reference of HTML (`&quot;`), and what is not ASCII.
fn follows_port(byte: u8) -> bool {
    !byte.is_ascii() || b")>},;|&<".contains(&byte)
}
