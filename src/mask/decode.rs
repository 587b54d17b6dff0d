//! The decoders: each takes the symbols of one reading and hands on those of the next.
//!
//! Escapes (JSON, percent, HTML) let other bytes through as they are. base64 and hex are fed whole runs only
//! (`reading` finds them). A decoder holds what it cannot decide yet, and never more than one unit.

use super::chain::Decoder;
use super::symbol::{Stretch, Sym, Wrap, class};

/// A decoder at work.
#[derive(Clone)]
pub(super) enum Decode {
    Escapes(Escapes),
    Base64(Base64),
    Hex(Hex),
}

impl Decode {
    /// `layer`: how many base64 and hex layers lie outside of it.
    pub fn new(decoder: Decoder, layer: usize) -> Self {
        match decoder {
            Decoder::Base64(skip) => Self::Base64(Base64 {
                skip,
                layer,
                group: Vec::with_capacity(4),
                padding: None,
                ord: 0,
                url_safe: false,
                run: None,
            }),
            Decoder::Hex(skip) => Self::Hex(Hex {
                skip,
                layer,
                first: None,
                upper: false,
                lower: false,
            }),
            escapes => Self::Escapes(Escapes {
                kind: escapes,
                held: Vec::new(),
                number: None,
            }),
        }
    }

    /// Takes a symbol; hands on decoded ones, and whether each is a byte that was let through.
    #[inline]
    pub fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Sym, bool)) {
        match self {
            Self::Escapes(d) => d.push(sym, emit),
            Self::Base64(d) => d.push(sym, emit),
            Self::Hex(d) => d.push(sym, emit),
        }
    }

    /// Nothing more comes without a gap: what is held stands for itself.
    pub fn flush(&mut self, emit: &mut impl FnMut(Sym, bool)) {
        match self {
            Self::Escapes(d) => d.flush(emit),
            Self::Base64(d) => d.flush(emit),
            Self::Hex(_) => {}
        }
    }

    /// First raw byte of what is held.
    pub fn pending(&self) -> Option<u64> {
        match self {
            Self::Escapes(d) => match &d.number {
                Some(number) => Some(number.first.start),
                None => d.held.first().map(|s| s.start),
            },
            Self::Base64(d) => d.group.first().map(|s| s.start),
            Self::Hex(d) => d.first.as_ref().map(|s| s.start),
        }
    }

    /// Whether nothing is held.
    pub fn is_idle(&self) -> bool {
        self.pending().is_none()
    }
}

/// Whether a decoder could take the byte that `text` begins with, an escape character, as more than itself. Where
/// the text ends too soon to tell, or another escape follows that may stand for any byte, it could.
pub(super) fn may_escape(text: &[u8]) -> bool {
    let mut undecided = false;
    let mut next = |at: usize, fits: fn(u8) -> bool| {
        let byte = text.get(at).copied();
        undecided |= byte.is_none_or(|b| class::OF[usize::from(b)] & class::ESCAPE != 0);
        undecided || byte.is_some_and(fits)
    };
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    match text.first() {
        Some(b'\\') => next(1, |b| {
            matches!(
                b,
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u'
            )
        }),
        Some(b'%') => next(1, hex) && next(2, hex),
        Some(b'&') => next(1, |b| {
            matches!(
                b,
                b'#' | b'a' | b'l' | b'g' | b'q' | b'n' | b'A' | b'L' | b'G' | b'Q'
            )
        }),
        _ => true,
    }
}

/// What the held bytes of an escape are.
enum Verdict {
    /// Not decided yet.
    More,
    /// The first `len` of them are one unit for this character (or, for percent, this byte).
    Unit { len: usize, is: Is },
    /// A numeric reference begins: its digits follow, without bound.
    Number { hex: bool, digit: u32 },
    /// The first of them stands for itself.
    Literal,
}

#[derive(Clone, Copy)]
enum Is {
    Byte(u8),
    Char(char),
}

/// JSON, percent and HTML escapes.
#[derive(Clone)]
pub(super) struct Escapes {
    kind: Decoder,
    held: Vec<Sym>,
    number: Option<Number>,
}

/// A numeric character reference under way. It may have any number of leading zeros.
#[derive(Clone)]
struct Number {
    first: Sym,
    last: Sym,
    hex: bool,
    value: u32,
}

impl Escapes {
    fn begins(&self, byte: u8) -> bool {
        match self.kind {
            Decoder::Json => byte == b'\\',
            Decoder::FormPercent => byte == b'%' || byte == b'+',
            Decoder::Percent => byte == b'%',
            _ => byte == b'&',
        }
    }

    #[inline]
    fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Sym, bool)) {
        if self.held.is_empty() && self.number.is_none() && !self.begins(sym.byte) {
            return emit(*sym, true);
        }
        if let Some(number) = &mut self.number {
            if number.take(sym) {
                return;
            }
            let with_semicolon = sym.byte == b';';
            self.end_number(with_semicolon.then_some(sym), emit);
            if with_semicolon {
                return;
            }
            return self.push(sym, emit);
        }
        self.held.push(*sym);
        self.decide(false, emit);
    }

    fn flush(&mut self, emit: &mut impl FnMut(Sym, bool)) {
        self.end_number(None, emit);
        self.decide(true, emit);
    }

    fn end_number(&mut self, semicolon: Option<&Sym>, emit: &mut impl FnMut(Sym, bool)) {
        if let Some(number) = self.number.take() {
            let last = semicolon.unwrap_or(&number.last);
            let c = char::from_u32(number.value).filter(|c| *c != '\0');
            emit_unit(
                &number.first,
                last,
                Is::Char(c.unwrap_or(char::REPLACEMENT_CHARACTER)),
                emit,
            );
        }
    }

    /// Hands on what can be decided of the held bytes; at the end all of them.
    fn decide(&mut self, at_end: bool, emit: &mut impl FnMut(Sym, bool)) {
        let mut from = 0;
        while from < self.held.len() {
            let held = &self.held[from..];
            let verdict = if self.begins(held[0].byte) {
                self.verdict(held, at_end)
            } else {
                Verdict::Literal
            };
            match verdict {
                Verdict::More => break,
                Verdict::Unit { len, is } => {
                    emit_unit(&held[0], &held[len - 1], is, emit);
                    from += len;
                }
                Verdict::Number { hex, digit } => {
                    // The first digit is the newest byte: nothing is held after it.
                    self.number = Some(Number {
                        first: held[0],
                        last: held[held.len() - 1],
                        hex,
                        value: digit,
                    });
                    from = self.held.len();
                }
                Verdict::Literal => {
                    emit(held[0], true);
                    from += 1;
                }
            }
        }
        self.held.drain(..from);
    }

    fn verdict(&self, held: &[Sym], at_end: bool) -> Verdict {
        let verdict = match self.kind {
            Decoder::Json => json(held, at_end),
            Decoder::FormPercent if held[0].byte == b'+' => Verdict::Unit {
                len: 1,
                is: Is::Byte(b' '),
            },
            Decoder::FormPercent | Decoder::Percent => percent(held),
            _ => html(held, at_end),
        };
        match verdict {
            Verdict::More if at_end => Verdict::Literal,
            verdict => verdict,
        }
    }
}

impl Number {
    /// Whether the symbol is one more digit.
    fn take(&mut self, sym: &Sym) -> bool {
        let radix = if self.hex { 16 } else { 10 };
        let Some(digit) = char::from(sym.byte).to_digit(radix) else {
            return false;
        };
        self.value = self.value.saturating_mul(radix).saturating_add(digit);
        self.last = *sym;
        true
    }
}

fn emit_unit(first: &Sym, last: &Sym, is: Is, emit: &mut impl FnMut(Sym, bool)) {
    match is {
        Is::Byte(byte) => emit(Sym::joined(first, last, byte), false),
        Is::Char(c) => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                emit(Sym::joined(first, last, byte), false);
            }
        }
    }
}

/// The value of `digits`, or how the attempt to read four hex digits failed.
enum Unicode {
    Code(u32),
    More,
    No,
}

fn unicode(held: &[Sym]) -> Unicode {
    let mut code = 0;
    for i in 0..4 {
        let Some(sym) = held.get(i) else {
            return Unicode::More;
        };
        let Some(digit) = char::from(sym.byte).to_digit(16) else {
            return Unicode::No;
        };
        code = code * 16 + digit;
    }
    Unicode::Code(code)
}

/// RFC 8259 section 7.
fn json(held: &[Sym], at_end: bool) -> Verdict {
    let Some(second) = held.get(1) else {
        return Verdict::More;
    };
    let simple = match second.byte {
        b'"' | b'\\' | b'/' => second.byte,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return json_unicode(held, at_end),
        _ => return Verdict::Literal,
    };
    Verdict::Unit {
        len: 2,
        is: Is::Byte(simple),
    }
}

fn json_unicode(held: &[Sym], at_end: bool) -> Verdict {
    let high = match unicode(&held[2..]) {
        Unicode::Code(code) => code,
        Unicode::More => return Verdict::More,
        Unicode::No => return Verdict::Literal,
    };
    let alone = Verdict::Unit {
        len: 6,
        is: Is::Char(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)),
    };
    if !(0xd800..0xdc00).contains(&high) {
        return alone;
    }
    for (at, expected) in [(6, b'\\'), (7, b'u')] {
        match held.get(at) {
            None if at_end => return alone,
            None => return Verdict::More,
            Some(sym) if sym.byte != expected => return alone,
            Some(_) => {}
        }
    }
    match unicode(&held[8..]) {
        Unicode::Code(low @ 0xdc00..=0xdfff) => {
            let c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            Verdict::Unit {
                len: 12,
                is: Is::Char(c.unwrap_or(char::REPLACEMENT_CHARACTER)),
            }
        }
        Unicode::More if !at_end => Verdict::More,
        _ => alone,
    }
}

/// RFC 3986 section 2.1.
fn percent(held: &[Sym]) -> Verdict {
    let mut byte = 0;
    for i in 1..3 {
        let Some(sym) = held.get(i) else {
            return Verdict::More;
        };
        match char::from(sym.byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
        {
            Some(digit) => byte = byte << 4 | digit,
            None => return Verdict::Literal,
        }
    }
    Verdict::Unit {
        len: 3,
        is: Is::Byte(byte),
    }
}

/// Names with the character that they stand for, and whether they need the semicolon.
const NAMES: [(&[u8], char, bool); 10] = [
    (b"amp", '&', false),
    (b"lt", '<', false),
    (b"gt", '>', false),
    (b"quot", '"', false),
    (b"apos", '\'', true),
    (b"nbsp", '\u{a0}', false),
    (b"AMP", '&', false),
    (b"LT", '<', false),
    (b"GT", '>', false),
    (b"QUOT", '"', false),
];

/// WHATWG HTML, 13.2.5.72: character references, of the names only those that escape text.
fn html(held: &[Sym], at_end: bool) -> Verdict {
    let Some(second) = held.get(1) else {
        return Verdict::More;
    };
    if second.byte == b'#' {
        return html_number(held);
    }
    for (name, c, strict) in NAMES {
        let given = &held[1..];
        let same = given
            .iter()
            .zip(name)
            .take_while(|(sym, byte)| sym.byte == **byte)
            .count();
        if same == name.len() {
            let unit = |len| Verdict::Unit {
                len,
                is: Is::Char(c),
            };
            return match given.get(name.len()) {
                Some(sym) if sym.byte == b';' => unit(name.len() + 2),
                None if !at_end => Verdict::More,
                _ if strict => Verdict::Literal,
                _ => unit(name.len() + 1),
            };
        }
        if same == given.len() {
            return Verdict::More;
        }
    }
    Verdict::Literal
}

fn html_number(held: &[Sym]) -> Verdict {
    let Some(third) = held.get(2) else {
        return Verdict::More;
    };
    if !matches!(third.byte, b'x' | b'X') {
        let digit = char::from(third.byte).to_digit(10);
        return digit.map_or(Verdict::Literal, |digit| Verdict::Number {
            hex: false,
            digit,
        });
    }
    let Some(fourth) = held.get(3) else {
        return Verdict::More;
    };
    let digit = char::from(fourth.byte).to_digit(16);
    digit.map_or(Verdict::Literal, |digit| Verdict::Number {
        hex: true,
        digit,
    })
}

/// base64 (RFC 4648 sections 4 and 5, as one alphabet), one alignment of one run.
#[derive(Clone)]
pub(super) struct Base64 {
    skip: u8,
    layer: usize,
    group: Vec<Sym>,
    /// The last of the `=` signs, and how many.
    padding: Option<(Sym, usize)>,
    ord: u32,
    url_safe: bool,
    /// Where the run begins in the raw text.
    run: Option<u64>,
}

impl Base64 {
    fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Sym, bool)) {
        if sym.byte == b'=' {
            return self.pad(sym);
        }
        self.run.get_or_insert(sym.start);
        self.url_safe |= matches!(sym.byte, b'-' | b'_');
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.group.push(*sym);
        if self.group.len() == 4 {
            self.emit_group(emit);
        }
    }

    /// Decodes the whole groups of `above[from..to]`, all of it characters of the run: where they begin, and the bytes.
    /// Before and after them symbols must be pushed one by one.
    pub fn whole_groups(&self, above: &Stretch<'_>, from: usize, to: usize) -> (usize, Vec<u8>) {
        let begun = (4 - self.group.len()) % 4 + usize::from(self.skip);
        let first = to.min(from + begun);
        let chars = &above.bytes[first..to];
        let mut bytes = Vec::with_capacity(chars.len() / 4 * 3);
        for group in chars.chunks_exact(4) {
            let bits = group
                .iter()
                .fold(0, |bits, c| bits << 6 | u32::from(SEXTETS[usize::from(*c)]));
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        (first, bytes)
    }

    /// The stretch that these groups are; they count as taken.
    pub fn stretch<'a>(
        &mut self,
        above: &'a Stretch<'a>,
        first: usize,
        bytes: &'a [u8],
    ) -> Stretch<'a> {
        let chars = &above.bytes[first..first + bytes.len() / 3 * 4];
        let mark = memchr::memchr2(b'-', b'_', chars);
        let url_safe_from = if self.url_safe {
            0
        } else {
            mark.map_or(usize::MAX, |at| at / 4 * 3)
        };
        self.url_safe |= mark.is_some();
        let ord = self.ord;
        #[allow(clippy::cast_possible_truncation)] // a stretch is at most a block
        let taken = bytes.len() as u32;
        self.ord = ord.wrapping_add(taken);
        let run = self.run.unwrap_or(0);
        Stretch::base64(bytes, above, first, (run, ord), self.layer, url_safe_from)
    }

    fn pad(&mut self, sym: &Sym) {
        let so_far = self.padding.map_or(0, |(_, n)| n);
        if matches!(self.group.len(), 2 | 3) && self.group.len() + so_far < 4 {
            self.padding = Some((*sym, so_far + 1));
        }
    }

    fn flush(&mut self, emit: &mut impl FnMut(Sym, bool)) {
        self.emit_group(emit);
    }

    fn emit_group(&mut self, emit: &mut impl FnMut(Sym, bool)) {
        let chars = self.group.len();
        if chars >= 2 {
            let bits = self
                .group
                .iter()
                .fold(0, |bits, sym| bits << 6 | sextet(sym.byte));
            let bytes = (bits << (6 * (4 - chars))).to_be_bytes();
            let bytes = &bytes[1..chars];
            let first = self.group[0];
            let last = self.padding.map_or(self.group[chars - 1], |(last, _)| last);
            for (at, byte) in bytes.iter().enumerate() {
                let mut sym = Sym::joined(&first, &last, *byte);
                let wrap = &mut sym.wraps[self.layer];
                *wrap = Wrap::of_group(bytes, at);
                wrap.partial = chars < 4;
                wrap.padded = self.padding.is_some();
                wrap.variant = self.url_safe;
                wrap.ord = (self.ord, self.ord);
                wrap.run = self.run.unwrap_or(0);
                self.ord = self.ord.wrapping_add(1);
                emit(sym, false);
            }
        }
        self.group.clear();
        self.padding = None;
    }
}

/// The six bits of every character of either alphabet.
static SEXTETS: [u8; 256] = sextets();

const fn sextets() -> [u8; 256] {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [0; 256];
    let mut i = 0;
    while i < digits.len() {
        #[allow(clippy::cast_possible_truncation)] // i < 64
        let sextet = i as u8;
        table[digits[i] as usize] = sextet;
        i += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
}

fn sextet(byte: u8) -> u32 {
    u32::from(SEXTETS[usize::from(byte)])
}

/// Hex, one alignment of one run.
#[derive(Clone)]
pub(super) struct Hex {
    skip: u8,
    layer: usize,
    first: Option<Sym>,
    upper: bool,
    lower: bool,
}

impl Hex {
    fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Sym, bool)) {
        self.upper |= sym.byte.is_ascii_uppercase();
        self.lower |= sym.byte.is_ascii_lowercase();
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let Some(first) = self.first.take() else {
            self.first = Some(*sym);
            return;
        };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        let mut pair = Sym::joined(&first, sym, digit(first.byte) << 4 | digit(sym.byte));
        pair.wraps[self.layer].variant = self.upper && !self.lower;
        emit(pair, false);
    }
}
