//! The decoders: each makes a text of symbols from a text of symbols.
//!
//! A symbol is a byte (or a break, which is no byte and matches nothing) that knows which root bytes it came from and which
//! symbols of the text before. A decoder that meets a break ends what was pending and takes it literally.
//!
//! Here are those that read the whole text, unit by unit (`units` says what a unit is); `runs` has base64 and hex.

use super::units;

/// One symbol of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// `None` is a break.
    pub byte: Option<u8>,
    /// The root bytes that it came from: first.
    pub start: usize,
    /// The root bytes that it came from: after the last.
    pub end: usize,
    /// The symbols of the text before that it came from: first.
    pub from: usize,
    /// The symbols of the text before that it came from: after the last.
    pub to: usize,
}

/// One decoder, in the order in which readings are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decoder {
    /// JSON string escapes.
    Json,
    /// Percent.
    Percent,
    /// Percent, and `+` for a space.
    Query,
    /// HTML character references.
    Html,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64, after so many symbols of the run are dropped (0 to 3).
    Base64(usize),
    /// Hex, after so many symbols of the run are dropped (0 or 1).
    Hex(usize),
}

/// Applies any decoder but base64 and hex: the text, and whether anything was decoded.
pub fn decode(decoder: Decoder, input: &[Symbol]) -> (Vec<Symbol>, bool) {
    let unit: fn(&[Symbol]) -> units::Unit = match decoder {
        Decoder::Json => units::json,
        Decoder::Percent => units::percent,
        Decoder::Query => units::query,
        Decoder::Html => units::html,
        Decoder::QuotedPrintable => units::quoted_printable,
        Decoder::Base64(_) | Decoder::Hex(_) => unreachable!("these make runs"),
    };
    let mut output = Vec::with_capacity(input.len());
    let mut changed = false;
    let mut at = 0;
    while at < input.len() {
        if let Some((bytes, length)) = unit(&input[at..]) {
            output.extend(
                bytes
                    .iter()
                    .map(|&byte| covering(byte, input, at, at + length)),
            );
            changed = true;
            at += length;
        } else {
            output.push(Symbol {
                from: at,
                to: at + 1,
                ..input[at]
            });
            at += 1;
        }
    }
    (output, changed)
}

/// A byte that came from the symbols `from..to` of `input`.
pub fn covering(byte: u8, input: &[Symbol], from: usize, to: usize) -> Symbol {
    Symbol {
        byte: Some(byte),
        start: input[from].start,
        end: input[to - 1].end,
        from,
        to,
    }
}

/// The byte at `at`; `None` for a break and after the end.
pub fn byte_at(input: &[Symbol], at: usize) -> Option<u8> {
    input.get(at).and_then(|symbol| symbol.byte)
}

/// Whether the byte at `at` is one of `class`.
pub fn is(input: &[Symbol], at: usize, class: fn(&u8) -> bool) -> bool {
    byte_at(input, at).is_some_and(|byte| class(&byte))
}

/// Whether `input` begins with the bytes `prefix`.
pub fn starts_with(input: &[Symbol], prefix: &[u8]) -> bool {
    prefix
        .iter()
        .enumerate()
        .all(|(at, &byte)| byte_at(input, at) == Some(byte))
}

/// The number that `digits` hex digits at `at` make; `None` if they are not all there.
pub fn hex_number(input: &[Symbol], at: usize, digits: usize) -> Option<u32> {
    (at..at + digits).try_fold(0, |number, at| {
        Some(number * 16 + char::from(byte_at(input, at)?).to_digit(16)?)
    })
}
