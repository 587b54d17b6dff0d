//! The grammars of escapes: what the held bytes are.

use super::super::symbol::Sym;

/// What the held bytes of an escape are.
pub enum Verdict {
    /// Not decided yet.
    More,
    /// The first `len` of them are one unit for this character (or, for percent, this byte).
    Unit { len: usize, is: Is },
    /// A numeric reference begins: its digits follow, without bound.
    Number { hex: bool, digit: u32 },
    /// The first of them stands for itself.
    Literal,
}

/// What a unit stands for.
#[derive(Clone, Copy)]
pub enum Is {
    Byte(u8),
    Char(char),
    /// Nothing at all.
    Nothing,
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

/// The byte of two hex digits from `at` on.
fn hex_pair(held: &[Sym], at: usize) -> Result<u8, Verdict> {
    let mut byte = 0;
    for i in at..at + 2 {
        let sym = held.get(i).ok_or(Verdict::More)?;
        let digit = char::from(sym.byte).to_digit(16);
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        byte = byte << 4 | digit.ok_or(Verdict::Literal)?;
    }
    Ok(byte)
}

/// The unit of `before` characters and two hex digits.
fn hex_unit(held: &[Sym], before: usize) -> Verdict {
    match hex_pair(held, before) {
        Ok(byte) => Verdict::Unit {
            len: before + 2,
            is: Is::Byte(byte),
        },
        Err(verdict) => verdict,
    }
}

/// RFC 8259 section 7; and `\xHH`, as programming languages escape bytes.
pub fn json(held: &[Sym], at_end: bool) -> Verdict {
    let Some(second) = held.get(1) else {
        return Verdict::More;
    };
    match second.byte {
        b'u' => json_unicode(held, at_end),
        b'x' => hex_unit(held, 2),
        byte => short_escape(byte).map_or(Verdict::Literal, |byte| Verdict::Unit {
            len: 2,
            is: Is::Byte(byte),
        }),
    }
}

/// What a backslash and this byte stand for, where they alone are an escape.
pub fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
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
pub fn percent(held: &[Sym]) -> Verdict {
    hex_unit(held, 1)
}

/// RFC 2045 section 6.7.
pub fn quoted_printable(held: &[Sym]) -> Verdict {
    let is_line_feed = |at: usize| held.get(at).map(|sym| sym.byte == b'\n');
    let soft_break = |len| Verdict::Unit {
        len,
        is: Is::Nothing,
    };
    match held.get(1).map(|sym| sym.byte) {
        Some(b'\n') => soft_break(2),
        Some(b'\r') => match is_line_feed(2) {
            None => Verdict::More,
            Some(true) => soft_break(3),
            Some(false) => Verdict::Literal,
        },
        _ => hex_unit(held, 1),
    }
}

/// Names with the character that they stand for, and whether they need the semicolon.
pub const NAMES: [(&[u8], char, bool); 10] = [
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
pub fn html(held: &[Sym], at_end: bool) -> Verdict {
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

/// What the references 128 to 159 stand for (WHATWG HTML, 13.2.5.80): the characters of Windows-1252, or 0 for themselves.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
    0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

/// The character of a numeric reference (WHATWG HTML, 13.2.5.80).
pub fn html_character(code: u32) -> char {
    let windows = code
        .checked_sub(0x80)
        .and_then(|at| WINDOWS_1252.get(at as usize))
        .filter(|code| **code != 0);
    let code = windows.map_or(code, |code| u32::from(*code));
    let c = char::from_u32(code).filter(|c| *c != '\0');
    c.unwrap_or(char::REPLACEMENT_CHARACTER)
}
