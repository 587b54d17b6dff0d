//! Texts with values in them, made by small programs; and what the engine makes of a whole text.

use std::sync::Arc;

use bauta::guard::{Refusal, Snapshot, Syntax};
use bytes::Bytes;

use super::input::Input;
use crate::surfaces_guard;

/// Keys and values, and whether a value stands for itself anywhere: then it may not be in any text that was masked.
pub const VALUES: [(&str, &str); 6] = [
    ("x_token", "sk-live-51Hx2eKfQ9wZ"),
    ("x_pin", "99123456789012"),
    ("x_password", "tr0ub4dor&3 horse/\"staple\""),
    ("x_user", "admin"),
    ("x_word", "Passwort\u{e9}"),
    (
        "x_pem",
        "-----BEGIN KEY-----\nMIIEabcdefghijklmnop\n-----END KEY-----",
    ),
];

/// Those of [`VALUES`] that no text may hold as they are once it was masked. The others may where JSON has no occurrence (an
/// escape before the first letter) or their rule says so.
pub const NEVER: [&str; 2] = [VALUES[0].1, VALUES[1].1];

/// Texts end here, unless a case has a reason for more.
pub const LONGEST: usize = 3000;

/// What JSON is made of.
const JSON: [&str; 16] = [
    "{\"a\":",
    "\"",
    "}",
    "]",
    "[",
    ",",
    ":",
    "\\",
    "\\n",
    "\\u00",
    "1.5e3",
    "true",
    "\n",
    " ",
    "\"thinking\":\"",
    "\"signature\":\"c2ln\"",
];

/// Runs the program in what is left of the input: ASCII is itself, the rest are values, pieces and encodings of them, and what
/// the surface is made of.
pub fn text(input: &mut Input, fragments: &[&str], longest: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while !input.is_empty() && text.len() < longest {
        op(input, fragments, &mut text);
    }
    text.truncate(longest);
    text
}

fn op(input: &mut Input, fragments: &[&str], text: &mut Vec<u8>) {
    let byte = input.byte();
    let (key, value) = VALUES[usize::from(byte & 7) % VALUES.len()];
    let value = value.as_bytes();
    match byte {
        0..0x80 => text.push(byte),
        0x80..0x88 => text.extend(value),
        0x88..0x90 => text.extend(&value[..usize::from(input.byte()) % value.len()]),
        0x90..0x98 => text.extend(&value[usize::from(input.byte()) % value.len()..]),
        0x98..0xa0 => text.extend(key.bytes()),
        0xa0..0xa8 => {
            let junk = &b"~!?"[..usize::from(input.byte()) % 4];
            text.extend(base64(&[junk, value, junk].concat()).bytes());
        }
        0xa8..0xac => {
            for byte in value {
                text.extend(format!("%{byte:02X}").bytes());
            }
        }
        0xac..0xb0 => {
            for byte in value {
                text.extend(format!("\\u{byte:04x}").bytes());
            }
        }
        0xb0..0xb4 => text.push(input.byte()),
        0xb4..0xb8 => text
            .extend(["\u{e9}", "\u{20ac}", "\u{1d11e}", "\u{9999}"][usize::from(byte & 3)].bytes()),
        0xb8..0xbc => {
            // The end once more, up to 255 times.
            let from = text.len() - text.len().min(usize::from(input.byte()));
            let again = text[from..].repeat(usize::from(input.byte()));
            text.extend(again);
            text.truncate(1 << 20);
        }
        0xbc..0xd0 => text.extend(JSON[usize::from(byte - 0xbc) % JSON.len()].bytes()),
        0xd0..=0xff => {
            let fragment = fragments.get(usize::from(byte - 0xd0) % fragments.len().max(1));
            text.extend(fragment.unwrap_or(&"").bytes());
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            out.push(char::from(alphabet[(word >> (18 - 6 * at)) as usize & 63]));
        }
    }
    out
}

/// What the engine makes of a text that comes as a whole, and whether it found something.
pub fn masked(text: &[u8], syntax: Syntax) -> Result<(Vec<u8>, bool), Refusal> {
    through(surfaces_guard::snapshot().stream(syntax), text)
}

/// The same for an answer.
pub fn masked_answer(text: &[u8], syntax: Syntax) -> Result<(Vec<u8>, bool), Refusal> {
    through(surfaces_guard::snapshot().answer_stream(syntax), text)
}

fn through(mut stream: bauta::guard::Stream, text: &[u8]) -> Result<(Vec<u8>, bool), Refusal> {
    let mut out = Vec::new();
    stream.push(Bytes::copy_from_slice(text), &mut out)?;
    stream.finish(&mut out)?;
    Ok((out.concat(), !stream.hits().is_empty()))
}

/// The needles of all cases.
pub fn snapshot() -> Arc<Snapshot> {
    surfaces_guard::snapshot()
}

/// That no value stands in it that must not.
pub fn assert_clean(text: &[u8], what: &str) {
    for value in NEVER {
        let mut found = memchr::memmem::find_iter(text, value.as_bytes());
        assert!(
            found.all(|at| is_in_escape(&text[..at], value.as_bytes())),
            "{what}: a value went on: b\"{}\"",
            text.escape_ascii()
        );
    }
}

/// Whether the value's first bytes are the last digits of an escape that began before it, so that JSON has no occurrence there:
/// `\u00` and a value of digits.
fn is_in_escape(before: &[u8], value: &[u8]) -> bool {
    (0..4).any(|digits| {
        let (inside, missing) = before.split_at(before.len().saturating_sub(digits));
        let slashes = inside.strip_suffix(b"u").map(|inside| {
            let rest = inside.iter().rev();
            rest.take_while(|byte| **byte == b'\\').count()
        });
        slashes.is_some_and(|count| count % 2 == 1)
            && missing.len() == digits
            && [missing, &value[..4 - digits]]
                .concat()
                .iter()
                .all(u8::is_ascii_hexdigit)
    })
}
