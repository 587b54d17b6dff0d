//! The decoders of runs: what base64 and hex make of each stretch of their alphabet, a text of its own.

use super::decode::{Decoder, Symbol, byte_at, covering, hex_number, is};

/// After a line break in base64, so many blanks may stand; one more, and the run ends.
const LONGEST_INDENT: usize = 64;

/// What base64 or hex makes of one run: a text of its own.
pub struct Run {
    /// The run's first symbol in the text before (the dropped ones are part of the run).
    pub start: usize,
    /// The decoded bytes.
    pub symbols: Vec<Symbol>,
    /// The run's last group was followed by `=`.
    pub padded: bool,
}

/// Applies `Base64` or `Hex`: a text for each run.
pub fn runs(decoder: Decoder, input: &[Symbol]) -> Vec<Run> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let members = match decoder {
            Decoder::Base64(_) => base64_run(input, at),
            _ => (at..input.len())
                .take_while(|&at| is(input, at, u8::is_ascii_hexdigit))
                .collect(),
        };
        let (Some(&start), Some(&last)) = (members.first(), members.last()) else {
            at += 1;
            continue;
        };
        let (symbols, padded) = match decoder {
            Decoder::Base64(dropped) => {
                base64_groups(input, members.get(dropped..).unwrap_or_default())
            }
            Decoder::Hex(dropped) => (hex_pairs(input, start + dropped, last + 1), false),
            _ => unreachable!("only these have runs"),
        };
        found.push(Run {
            start,
            symbols,
            padded,
        });
        at = last + 1;
    }
    found
}

/// The alphabet symbols of the base64 run that starts at `at`: none if there is none.
fn base64_run(input: &[Symbol], at: usize) -> Vec<usize> {
    let alphabet = |at| byte_at(input, at).is_some_and(|byte| base64_digit(byte).is_some());
    let mut members = Vec::new();
    let mut next = at;
    while alphabet(next) {
        members.push(next);
        next += 1;
        if !alphabet(next) {
            // A line may end here, once, and the next may be indented.
            let mut after = next;
            if byte_at(input, after) == Some(b'\r') {
                after += 1;
            }
            if byte_at(input, after) == Some(b'\n') {
                after += 1;
                let indent = (after..input.len())
                    .take_while(|&at| is(input, at, |byte| matches!(byte, b' ' | b'\t')))
                    .count();
                if indent <= LONGEST_INDENT {
                    next = after + indent;
                }
            }
        }
    }
    members
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Decodes the groups of four that `members` make: the bytes, and whether `=` followed a final partial group.
fn base64_groups(input: &[Symbol], members: &[usize]) -> (Vec<Symbol>, bool) {
    let mut output = Vec::new();
    let mut padded = false;
    for group in members.chunks(4) {
        if group.len() < 2 {
            break;
        }
        let mut to = group[group.len() - 1] + 1;
        for _ in group.len()..4 {
            if byte_at(input, to) == Some(b'=') {
                padded = true;
                to += 1;
            }
        }
        let digits = group
            .iter()
            .map(|&at| byte_at(input, at).and_then(base64_digit).unwrap_or(0));
        let number = digits
            .chain([0, 0])
            .take(4)
            .fold(0, |number, digit| number << 6 | digit);
        let bytes = number.to_be_bytes();
        output.extend(
            bytes[1..group.len()]
                .iter()
                .map(|&byte| covering(byte, input, group[0], to)),
        );
    }
    (output, padded)
}

fn hex_pairs(input: &[Symbol], first: usize, end: usize) -> Vec<Symbol> {
    let pairs = (first..end).step_by(2).filter(|at| at + 2 <= end);
    pairs
        .filter_map(|at| {
            Some(covering(
                u8::try_from(hex_number(input, at, 2)?).ok()?,
                input,
                at,
                at + 2,
            ))
        })
        .collect()
}
