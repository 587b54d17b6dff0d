//! Hostile texts: little programs that put values, keys and pieces of them under encoders, with junk between.
//!
//! The property tests make programs of random operations, the fuzz target reads them from its input, so that a few bytes reach
//! deep chains. The same program always makes the same text.

use std::fmt;

use bauta::mask::{Hits, Masker, Refusal, Signed, Syntax};
use bytes::Bytes;

use crate::reference::{self, Needles};

pub mod encode;
pub mod places;
pub mod profiles;

/// Texts are cut at this length: the reference is slow.
pub const LONGEST: usize = 512;

/// All syntaxes.
pub const SYNTAXES: [Syntax; 5] = [
    Syntax::Text,
    Syntax::Json,
    Syntax::Form,
    Syntax::Query,
    Syntax::Path,
];

/// What may become of signed blocks.
pub const SIGNED: [Signed; 3] = [Signed::Mask, Signed::Refuse, Signed::Pass];

/// One operation. Numbers that choose something wrap around.
#[derive(Clone)]
pub enum Op {
    /// These bytes.
    Raw(Vec<u8>),
    /// A value.
    Value(u8),
    /// A key.
    Key(u8),
    /// A piece of a value: without so many bytes at its start and at its end.
    Piece(u8, u8, u8),
    /// What follows is encoded by the matching `Close`.
    Open,
    /// Encodes what was made since the matching `Open` (or the start).
    Close(encode::Encoder, u8),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Value(which) => write!(f, "value {which}"),
            Self::Key(which) => write!(f, "key {which}"),
            Self::Piece(which, first, last) => {
                write!(f, "value {which} without {first} and {last}")
            }
            Self::Open => write!(f, "("),
            Self::Close(encoder, seed) => write!(f, ") {encoder:?} {seed}"),
        }
    }
}

/// The text that `program` makes, cut at [`LONGEST`].
pub fn text(needles: &Needles, program: &[Op]) -> Vec<u8> {
    long_text(needles, program, LONGEST)
}

/// The text that `program` makes, cut at this length.
pub fn long_text(needles: &Needles, program: &[Op], longest: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let value = |which: u8| {
        needles
            .values
            .get(usize::from(which) % needles.values.len().max(1))
            .map_or(&[][..], |value| &value.bytes)
    };
    for op in program {
        match op {
            Op::Raw(bytes) => text.extend(bytes),
            Op::Value(which) => text.extend(value(*which)),
            Op::Key(which) => {
                let key = needles
                    .names
                    .get(usize::from(*which) % needles.names.len().max(1));
                text.extend(key.map_or("", |(key, _)| key).bytes());
            }
            Op::Piece(which, first, last) => {
                let value = value(*which);
                let end = value.len().saturating_sub(usize::from(*last));
                text.extend(value.get(usize::from(*first)..end).unwrap_or_default());
            }
            Op::Open => open.push(text.len()),
            Op::Close(encoder, seed) => {
                let inner = text.split_off(open.pop().unwrap_or(0));
                text.extend(encode::encode(*encoder, *seed, &inner));
            }
        }
        text.truncate(longest);
    }
    text
}

/// One thing to try.
pub struct Case {
    /// What is searched.
    pub needles: Needles,
    /// In what.
    pub text: Vec<u8>,
    /// What the text is.
    pub syntax: Syntax,
    /// What becomes of signed blocks.
    pub signed: Signed,
    /// In what pieces it comes.
    pub pattern: Vec<u8>,
}

/// Reads a case from any bytes: the first four choose the needles, the syntax, what becomes of signed blocks, and the pieces;
/// the rest is a program.
pub fn case(input: &[u8]) -> Option<Case> {
    let [profile, syntax, signed, pieces, program_bytes @ ..] = input else {
        return None;
    };
    let needles = profiles::profile(*profile);
    let syntax = SYNTAXES[usize::from(*syntax) % SYNTAXES.len()];
    let signed = SIGNED[usize::from(*signed) % SIGNED.len()];
    let pattern = match pieces {
        0..64 => Vec::new(),
        64..128 => vec![1],
        _ => vec![pieces & 7, pieces >> 3 & 7, pieces & 31],
    };
    let text = text(&needles, &program(program_bytes));
    Some(Case {
        needles,
        text,
        syntax,
        signed,
        pattern,
    })
}

/// What the engine makes of a case, if that is not what the reference makes of it. `masker` has the case's needles.
pub fn difference(case: &Case, masker: &Masker) -> Option<String> {
    let expected = reference::mask_with(&case.needles, &case.text, case.syntax, case.signed);
    let found = engine(masker, case);
    if found == expected {
        return None;
    }
    let readable = |result: Outcome| match result {
        Ok((output, hits)) => format!("b\"{}\" {hits:?}", output.escape_ascii()),
        Err(refusal) => format!("{refusal:?}"),
    };
    Some(format!(
        "as {:?}, signed blocks {:?}, in pieces of {:?}: b\"{}\"\n{:?}engine:    {}\nreference: {}",
        case.syntax,
        case.signed,
        case.pattern,
        case.text.escape_ascii(),
        case.needles,
        readable(found),
        readable(expected),
    ))
}

/// Reads a program from any bytes: ASCII is itself, the rest are operations.
fn program(bytes: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        let mut operand = || bytes.next().unwrap_or(0);
        ops.push(match byte {
            0..0x80 => Op::Raw(vec![byte]),
            0x80..0x90 => Op::Value(byte & 15),
            0x90..0x98 => Op::Key(byte & 7),
            0x98..0xA0 => {
                let cut = operand();
                Op::Piece(byte & 7, cut & 15, cut >> 4)
            }
            0xA0..0xB0 => Op::Open,
            0xB0..0xF0 => Op::Close(encode::encoder(byte - 0xB0), operand()),
            0xF0..=0xFF => Op::Raw(vec![operand()]),
        });
    }
    ops
}

/// What a masker makes of a text.
pub type Outcome = Result<(Vec<u8>, Hits), Refusal>;

/// What the engine makes of a case's text when it is pushed in pieces of the lengths in `pattern`, over and over (one piece if
/// that is empty).
pub fn engine(masker: &Masker, case: &Case) -> Outcome {
    let mut stream = masker.stream_with(case.syntax, case.signed);
    let mut output = Vec::new();
    let mut lengths = case
        .pattern
        .iter()
        .map(|&length| usize::from(length))
        .cycle();
    let never_ends = case.pattern.iter().all(|&length| length == 0);
    let mut rest = &case.text[..];
    while !rest.is_empty() {
        let length = if never_ends {
            rest.len()
        } else {
            lengths.next().unwrap_or(rest.len()).min(rest.len())
        };
        let (piece, after) = rest.split_at(length);
        stream.push(Bytes::copy_from_slice(piece), &mut output)?;
        rest = after;
    }
    stream.finish(&mut output)?;
    Ok((output.concat(), stream.hits().clone()))
}

/// The engine's masker for the same needles.
pub fn masker(needles: &Needles) -> Masker {
    let mut builder = Masker::builder();
    for (key, replacement) in &needles.names {
        builder.name(key, replacement);
    }
    for value in &needles.values {
        if value.any_case {
            builder.value_any_case(value.name, &value.bytes, value.rule);
        } else {
            builder.value(value.name, &value.bytes, value.rule);
        }
    }
    builder.build()
}
