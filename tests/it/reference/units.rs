//! The units that decoders read: which bytes the first symbols of a text stand for.

use super::decode::{Symbol, byte_at, hex_number, starts_with};

/// The bytes that a unit stands for (none, for a soft line break), and how many symbols it takes.
pub type Unit = Option<(Vec<u8>, usize)>;

/// What the numbers 0x80 to 0x9F stand for in a numeric character reference of HTML (WHATWG, 13.2.5.80): what Windows-1252 has
/// there. 0 where the number stands for itself.
const WINDOWS_1252: [u32; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, // 0x80
    0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0, // 0x88
    0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, // 0x90
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178, // 0x98
];

/// The UTF-8 of a code point; of U+FFFD where there is no such character.
fn utf8(code: u32) -> Vec<u8> {
    char::from_u32(code)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
        .to_string()
        .into_bytes()
}

/// The byte that two hex digits at `at` make.
fn hex_byte(input: &[Symbol], at: usize) -> Option<u8> {
    u8::try_from(hex_number(input, at, 2)?).ok()
}

/// An escape of a JSON string, or `\xHH`.
pub fn json(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'\\' {
        return None;
    }
    let byte = match byte_at(input, 1)? {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = hex_number(input, 2, 4)?;
            let pair = (0xD800..0xDC00).contains(&first)
                && starts_with(input.get(6..).unwrap_or_default(), b"\\u");
            if let Some(second @ 0xDC00..0xE000) = hex_number(input, 8, 4).filter(|_| pair) {
                return Some((
                    utf8(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)),
                    12,
                ));
            }
            return Some((utf8(first), 6));
        }
        b'x' => return Some((vec![hex_byte(input, 2)?], 4)),
        _ => return None,
    };
    Some((vec![byte], 2))
}

/// `%` and two hex digits.
pub fn percent(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'%' {
        return None;
    }
    Some((vec![hex_byte(input, 1)?], 3))
}

/// As `percent`, and `+`.
pub fn query(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? == b'+' {
        Some((vec![b' '], 1))
    } else {
        percent(input)
    }
}

/// A character reference of HTML.
pub fn html(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'&' {
        return None;
    }
    let (code, length) = if byte_at(input, 1) == Some(b'#') {
        numeric_reference(input)?
    } else {
        named_reference(input)?
    };
    let semicolon = usize::from(byte_at(input, length) == Some(b';'));
    Some((utf8(code), length + semicolon))
}

/// `&#` digits or `&#x` hex digits: the code point (any too large one for all that are), and its length without `;`.
fn numeric_reference(input: &[Symbol]) -> Option<(u32, usize)> {
    let hex = matches!(byte_at(input, 2), Some(b'x' | b'X'));
    let (radix, first) = if hex { (16, 3) } else { (10, 2) };
    let mut at = first;
    let mut number: u32 = 0;
    while let Some(digit) = byte_at(input, at).and_then(|byte| char::from(byte).to_digit(radix)) {
        number = number.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    let code = match number {
        0 => 0xFFFD,
        0x80..=0x9F => match WINDOWS_1252[number as usize - 0x80] {
            0 => number,
            code => code,
        },
        _ => number,
    };
    (at > first).then_some((code, at))
}

fn named_reference(input: &[Symbol]) -> Option<(u32, usize)> {
    let names: [(&[u8], char); 10] = [
        (b"&amp", '&'),
        (b"&AMP", '&'),
        (b"&lt", '<'),
        (b"&LT", '<'),
        (b"&gt", '>'),
        (b"&GT", '>'),
        (b"&quot", '"'),
        (b"&QUOT", '"'),
        (b"&nbsp", '\u{A0}'),
        (b"&apos", '\''),
    ];
    let (name, character) = names
        .into_iter()
        .find(|(name, _)| starts_with(input, name))?;
    if name == b"&apos" && byte_at(input, name.len()) != Some(b';') {
        return None;
    }
    Some((u32::from(character), name.len()))
}

/// `=` and two hex digits, or `=` and the end of its line, which stands for nothing.
pub fn quoted_printable(input: &[Symbol]) -> Unit {
    if starts_with(input, b"=\n") {
        return Some((Vec::new(), 2));
    }
    if starts_with(input, b"=\r\n") {
        return Some((Vec::new(), 3));
    }
    if byte_at(input, 0)? != b'=' {
        return None;
    }
    Some((vec![hex_byte(input, 1)?], 3))
}
