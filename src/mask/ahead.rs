//! Looking ahead: what an escape could stand for in any reading, and whether a needle could begin at a place of a text.
//!
//! Answers are on the safe side: "could" may be wrong, "could not" never is. They need no reading to exist, so that the
//! places where nothing can begin are passed over at the price of a look.

use aho_corasick::automaton::StateID;

use super::decode::{NAMES, html_character, short_escape};
use super::needle::Needles;
use super::symbol::class;

/// Escapes within an escape that are followed.
const DEEPEST: u8 = 3;
/// Backslashes in a row, and digits of a reference, that are counted.
const LONGEST_ROW: usize = 64;
const LONGEST_NUMBER: usize = 8;
/// Bytes that decide what an escape is whose first character is itself escaped.
const REACH: usize = 24;

/// What can stand at a place, in some reading.
#[derive(Clone, Copy)]
pub(super) struct Way {
    bytes: [u8; 4],
    count: u8,
    /// Bytes of the text that it takes; 0 if that is not known.
    pub len: u8,
}

impl Way {
    fn byte(byte: u8, len: usize) -> Self {
        Self::new(&[byte], len)
    }

    fn new(bytes: &[u8], len: usize) -> Self {
        let mut way = Self {
            bytes: [0; 4],
            count: 0,
            len: u8::try_from(len).unwrap_or(0),
        };
        for (slot, byte) in way.bytes.iter_mut().zip(bytes) {
            *slot = *byte;
            way.count += 1;
        }
        way
    }

    fn char(c: char, len: usize) -> Self {
        Self::new(c.encode_utf8(&mut [0; 4]).as_bytes(), len)
    }

    /// The bytes: none for a soft line break.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.count)]
    }
}

/// The ways in which the first byte of a text can be read.
pub(super) struct Ways {
    list: [Way; MOST_WAYS],
    count: usize,
    /// There may be any others.
    pub any: bool,
}

const MOST_WAYS: usize = 8;

impl Ways {
    fn of(way: Way) -> Self {
        let mut ways = Self {
            list: [Way::new(&[], 0); MOST_WAYS],
            count: 0,
            any: false,
        };
        ways.add(way);
        ways
    }

    /// The byte as it is, and no other way.
    pub fn plain(byte: u8) -> Self {
        Self::of(Way::byte(byte, 1))
    }

    /// Whether there is no other way.
    pub fn is_plain(&self) -> bool {
        !self.any && self.iter().all(|way| way.len == 1)
    }

    /// A backslash, or the short JSON escape that it begins.
    pub fn escaped(c: u8) -> Self {
        Self::of(Way::byte(b'\\', 1)).and(Way::byte(c, 2))
    }

    /// Whether it is itself or an escape for white space or a quote, and nothing else.
    pub fn is_white(&self) -> bool {
        let white = |way: Way| {
            way.len == 1 || (way.len == 2 && matches!(way.bytes(), [b'\n' | b'\r' | b'\t' | b'"']))
        };
        !self.any && self.iter().all(white)
    }

    fn any() -> Self {
        let mut ways = Self::of(Way::new(&[], 0));
        ways.any = true;
        ways
    }

    fn add(&mut self, way: Way) {
        match self.list.get_mut(self.count) {
            Some(slot) => {
                *slot = way;
                self.count += 1;
            }
            None => self.any = true,
        }
    }

    fn and(mut self, way: Way) -> Self {
        self.add(way);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = Way> {
        self.list[..self.count].iter().copied()
    }

    /// Whether one of them could be, or begin with, a byte that `fits`.
    fn could_be(&self, fits: impl Fn(u8) -> bool) -> bool {
        // A soft line break hides what follows it.
        let fits = |way: Way| way.bytes().first().is_none_or(|byte| fits(*byte));
        self.any || self.iter().any(fits)
    }
}

fn is_escape(byte: u8) -> bool {
    class::OF[usize::from(byte)] & class::ESCAPE != 0 && byte != b'+'
}

fn follows_backslash(byte: u8) -> bool {
    short_escape(byte).is_some() || matches!(byte, b'u' | b'x')
}

/// Whether `escape` could begin an escape that goes on with `next`, or with what `next` is the beginning of.
pub(super) fn may_follow(escape: u8, next: u8) -> bool {
    let may = match escape {
        b'\\' => follows_backslash(next),
        b'&' => next == b'#' || NAMES.iter().any(|(name, ..)| name[0] == next),
        b'=' => next.is_ascii_hexdigit() || matches!(next, b'\r' | b'\n'),
        _ => next.is_ascii_hexdigit(),
    };
    may || is_escape(next)
}

/// A text to look ahead in.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    pub text: &'a [u8],
    /// Nothing follows the text.
    pub ends: bool,
}

impl Ahead<'_> {
    fn from(self, at: usize) -> Self {
        Self {
            text: self.text.get(at..).unwrap_or_default(),
            ends: self.ends,
        }
    }

    /// In which ways the first byte, one that some decoder takes for the beginning of an escape, can be read.
    pub fn ways(self) -> Ways {
        self.ways_within(DEEPEST)
    }

    /// Whether it can be read as anything but itself.
    pub fn may_escape(self) -> bool {
        let ways = self.ways();
        ways.any || ways.iter().any(|way| way.len != 1)
    }

    fn ways_within(self, depth: u8) -> Ways {
        let Some(depth) = depth.checked_sub(1) else {
            return Ways::any();
        };
        match self.text[0] {
            b'\\' => self.backslash(depth),
            b'&' => self.ampersand(depth),
            b'%' => self.hex_pair(1, depth),
            b'=' => self.equals(depth),
            byte => Ways::of(Way::byte(byte, 1)),
        }
    }

    /// Whether the byte at `at` could be read as one that `fits`; `None` if it is plainly one.
    fn could_be(self, at: usize, depth: u8, fits: impl Fn(u8) -> bool) -> Option<bool> {
        match self.text.get(at) {
            None => Some(!self.ends),
            Some(byte) if is_escape(*byte) => Some(self.from(at).ways_within(depth).could_be(fits)),
            Some(byte) if fits(*byte) => None,
            Some(_) => Some(false),
        }
    }

    /// The digits from `at` on: their value, or whether they could be digits in some reading.
    fn hex(self, at: usize, digits: usize, depth: u8) -> Result<u32, bool> {
        let mut value = 0;
        for i in at..at + digits {
            if let Some(could) = self.could_be(i, depth, |byte| byte.is_ascii_hexdigit()) {
                return Err(could);
            }
            value = value * 16 + char::from(self.text[i]).to_digit(16).unwrap_or(0);
        }
        Ok(value)
    }

    /// The first byte as itself, and as `c`, whose unit takes `len` bytes.
    fn unit(self, c: Way, depth: u8) -> Ways {
        let own = Ways::of(Way::byte(self.text[0], 1)).and(c);
        match c.bytes() {
            // An escape within an escape: what follows decides.
            [byte] if is_escape(*byte) => {
                let rest = self.from(usize::from(c.len));
                let near = rest.text.len().min(REACH);
                let mut inner = [0; REACH + 1];
                inner[0] = *byte;
                inner[1..=near].copy_from_slice(&rest.text[..near]);
                let inner = Ahead {
                    text: &inner[..=near],
                    ends: rest.ends && near == rest.text.len(),
                };
                let inner = inner.ways_within(depth);
                let mut all = own;
                all.any |= inner.any;
                for way in inner.iter().filter(|way| way.len != 1) {
                    all.add(Way::new(way.bytes(), 0));
                }
                all
            }
            _ => own,
        }
    }

    /// `%` or `=` and two hex digits.
    fn hex_pair(self, at: usize, depth: u8) -> Ways {
        match self.hex(at, 2, depth) {
            #[allow(clippy::cast_possible_truncation)] // two hex digits
            Ok(byte) => self.unit(Way::byte(byte as u8, at + 2), depth),
            Err(true) => Ways::any(),
            Err(false) => Ways::of(Way::byte(self.text[0], 1)),
        }
    }

    fn equals(self, depth: u8) -> Ways {
        let literal = Way::byte(b'=', 1);
        match self.text.get(1) {
            Some(b'\n') => Ways::of(literal).and(Way::new(&[], 2)),
            Some(b'\r') => match self.could_be(2, depth, |byte| byte == b'\n') {
                None => Ways::of(literal).and(Way::new(&[], 3)),
                Some(true) => Ways::any(),
                Some(false) => Ways::of(literal),
            },
            Some(byte) if is_escape(*byte) => {
                let next = self.from(1).ways_within(depth);
                if next.could_be(|b| b.is_ascii_hexdigit() || matches!(b, b'\r' | b'\n')) {
                    return Ways::any();
                }
                Ways::of(literal)
            }
            _ => self.hex_pair(1, depth),
        }
    }

    fn backslash(self, depth: u8) -> Ways {
        let own = Ways::of(Way::byte(b'\\', 1));
        let others = self.text.iter().skip(1).take(LONGEST_ROW);
        let row = 1 + others.take_while(|byte| **byte == b'\\').count();
        if row > LONGEST_ROW {
            return Ways::any();
        }
        // Of several, some levels of JSON leave one or none: what follows is read with it, or by itself.
        let own = if row > 1 {
            own.and(Way::byte(b'\\', 0))
        } else {
            own
        };
        let Some(next) = self.text.get(row) else {
            return if self.ends { own } else { Ways::any() };
        };
        let len = if row == 1 { 2 } else { 0 };
        match *next {
            b'u' | b'x' => self.code(own, row, depth),
            byte if is_escape(byte) => {
                let next = self.from(row).ways_within(depth);
                if next.could_be(follows_backslash) {
                    Ways::any()
                } else {
                    own
                }
            }
            byte => match short_escape(byte) {
                Some(c) => own.and(Way::byte(c, len)),
                None => own,
            },
        }
    }

    /// `\uXXXX` or `\xXX` after `row` backslashes.
    fn code(self, own: Ways, row: usize, depth: u8) -> Ways {
        let digits = if self.text[row] == b'u' { 4 } else { 2 };
        let code = match self.hex(row + 1, digits, depth) {
            Ok(code) => code,
            Err(true) => return Ways::any(),
            Err(false) => return own,
        };
        let len = if row == 1 { row + 1 + digits } else { 0 };
        let way = match (digits, char::from_u32(code)) {
            // One of a pair, perhaps.
            (4, None) => return Ways::any(),
            (4, Some(c)) => Way::char(c, len),
            #[allow(clippy::cast_possible_truncation)] // two hex digits
            _ => Way::byte(code as u8, len),
        };
        let again = |byte: &u8| is_escape(*byte) || (row > 1 && follows_backslash(*byte));
        match way.bytes() {
            [byte] if again(byte) && row == 1 => self.unit(way, depth),
            [byte] if again(byte) => Ways::any(),
            _ => own.and(way),
        }
    }

    fn ampersand(self, depth: u8) -> Ways {
        let own = Ways::of(Way::byte(b'&', 1));
        let named = |byte: u8| NAMES.iter().any(|(name, ..)| name[0] == byte);
        match self.could_be(1, depth, |byte| byte == b'#' || named(byte)) {
            None if self.text[1] == b'#' => return self.reference(own, depth),
            None => {}
            Some(true) => return Ways::any(),
            Some(false) => return own,
        }
        for (name, c, strict) in NAMES {
            let given = &self.text[1..];
            let same = given.iter().zip(name).take_while(|(a, b)| a == b).count();
            let end = 1 + same;
            if same < name.len() {
                // Another spelling of the letter that is missing, or more to come.
                if self.could_be(end, depth, |byte| byte == name[same]) == Some(true) {
                    return Ways::any();
                }
                continue;
            }
            let semicolon = self.could_be(end, depth, |byte| byte == b';');
            return match semicolon {
                None => self.unit(Way::char(c, end + 1), depth),
                Some(true) => Ways::any(),
                Some(false) if strict => own,
                Some(false) => self.unit(Way::char(c, end), depth),
            };
        }
        own
    }

    /// A numeric character reference.
    fn reference(self, own: Ways, depth: u8) -> Ways {
        let radix = match self.could_be(2, depth, |byte| matches!(byte, b'x' | b'X')) {
            None => 16,
            Some(true) => return Ways::any(),
            Some(false) => 10,
        };
        let first = if radix == 16 { 3 } else { 2 };
        let mut code = 0;
        for at in first..first + LONGEST_NUMBER {
            let digit = |byte: u8| char::from(byte).is_digit(radix);
            match self.could_be(at, depth, digit) {
                None => {
                    let digit = char::from(self.text[at]).to_digit(radix).unwrap_or(0);
                    code = code * radix + digit;
                }
                Some(true) => return Ways::any(),
                Some(false) if at == first => return own,
                Some(false) => {
                    let c = html_character(code);
                    return match self.could_be(at, depth, |byte| byte == b';') {
                        None => self.unit(Way::char(c, at + 1), depth),
                        Some(true) => Ways::any(),
                        Some(false) => self.unit(Way::char(c, at), depth),
                    };
                }
            }
        }
        Ways::any()
    }

    /// Whether a needle could begin at the first byte, in some reading that `escapes` or in this text itself.
    pub fn could_begin(self, escapes: bool, needles: &Needles) -> bool {
        self.could_continue(0, needles.start, escapes, needles)
    }

    /// Whether a needle, of which `taken` bytes brought the automaton to `state`, could go on here.
    fn could_continue(
        mut self,
        mut taken: usize,
        mut state: StateID,
        escapes: bool,
        needles: &Needles,
    ) -> bool {
        loop {
            let Some(byte) = self.text.first() else {
                return !self.ends;
            };
            if !escapes || !is_escape(*byte) {
                match needles.prefix(state, *byte, taken) {
                    None => return false,
                    Some((_, true)) => return true,
                    Some((next, false)) => state = next,
                }
                taken += 1;
                self = self.from(1);
                continue;
            }
            let ways = self.ways();
            return ways.any
                || ways
                    .iter()
                    .any(|way| self.could_go(way, taken, state, needles));
        }
    }

    fn could_go(self, way: Way, mut taken: usize, mut state: StateID, needles: &Needles) -> bool {
        if way.count == 0 && taken == 0 {
            // What follows a soft line break begins where it stands.
            return false;
        }
        if way.count == 0 {
            // Within a needle it is not followed: one behind the other doubles what there is to try.
            return true;
        }
        for byte in way.bytes() {
            match needles.prefix(state, *byte, taken) {
                None => return false,
                Some((_, true)) => return true,
                Some((next, false)) => state = next,
            }
            taken += 1;
        }
        let len = usize::from(way.len);
        len == 0 || self.from(len).could_continue(taken, state, true, needles)
    }
}
