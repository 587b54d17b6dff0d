//! Where values stand, in every reading, and which of these places count.

use std::rc::Rc;

use bauta::mask::{Rule, Syntax};

use super::Needles;
use super::decode::{Decoder, Symbol};
use super::exempt::{is_exempt_string, is_in_authority, is_in_opaque};
use super::json::Document;
use super::readings::{Text, Walk};
use super::word::{follows_text, is_word};

/// A value that counts, in one reading.
#[derive(Clone)]
pub struct Match {
    /// The reading.
    pub text: Rc<Text>,
    /// Where in it: first symbol.
    pub from: usize,
    /// Where in it: after the last symbol.
    pub to: usize,
    /// Index into the needles' values.
    pub value: usize,
    /// The root bytes: first.
    pub start: usize,
    /// The root bytes: after the last.
    pub end: usize,
}

/// All matches that count, in no order.
pub fn matches(
    needles: &Needles,
    text: &[u8],
    syntax: Syntax,
    document: Option<&Document>,
) -> Vec<Match> {
    search(needles, text, syntax, document, false)
}

/// As `matches`, through decoders that change nothing too if `unpruned`.
pub fn search(
    needles: &Needles,
    text: &[u8],
    syntax: Syntax,
    document: Option<&Document>,
    unpruned: bool,
) -> Vec<Match> {
    let Some(shortest) = needles.values.iter().map(|value| value.bytes.len()).min() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    // Keys that stand in the root as they are.
    let mut literal: Vec<(usize, usize)> = Vec::new();
    let mut visit = |reading: &Rc<Text>| {
        let keys = keys_in(needles, &reading.symbols);
        let raw = |&(from, to): &(usize, usize)| {
            (reading.symbols[from].start, reading.symbols[to - 1].end)
        };
        literal.extend(
            keys.iter()
                .filter(|(from, to)| {
                    reading.symbols[*to - 1].end - reading.symbols[*from].start == to - from
                })
                .map(raw),
        );
        for (number, value) in needles.values.iter().enumerate() {
            let equal = |found, byte| value.equal(found, byte);
            for from in occurrences(&reading.symbols, &value.bytes, equal) {
                let to = from + value.bytes.len();
                let in_key = keys
                    .iter()
                    .any(|&(first, last)| first <= from && to <= last);
                if !in_key && (value.rule == Rule::Anywhere || counts_as_word(reading, from, to)) {
                    let (start, end) = raw(&(from, to));
                    found.push(Match {
                        text: Rc::clone(reading),
                        from,
                        to,
                        value: number,
                        start,
                        end,
                    });
                }
            }
        }
    };
    let mut walk = Walk::new(text, syntax, shortest, &mut visit);
    walk.unpruned = unpruned;
    walk.run(document);
    found.retain(|found| {
        let value = &needles.values[found.value];
        let in_key = literal
            .iter()
            .any(|&(start, end)| start <= found.start && found.end <= end);
        let exempt = value.rule == Rule::Word
            && document.is_some_and(|document| {
                is_exempt_string(document, text, found, value)
                    || is_in_opaque(document, text, found, value)
            });
        !in_key && !exempt
    });
    found
}

/// Whether the reading's symbols `from..to` are a word, in what is text, and not in a URL's authority.
fn counts_as_word(reading: &Text, from: usize, to: usize) -> bool {
    let in_run = |decoder: &Decoder| matches!(decoder, Decoder::Base64(_) | Decoder::Hex(_));
    is_word(&reading.symbols, from, to)
        && !is_in_authority(&reading.symbols, from, to)
        && (!reading.chain.iter().any(in_run) || follows_text(&reading.symbols, from))
}

/// Where `bytes` stand in `symbols`, if bytes that are `equal` are the same.
fn occurrences(symbols: &[Symbol], bytes: &[u8], equal: impl Fn(u8, u8) -> bool) -> Vec<usize> {
    let Some(last) = symbols.len().checked_sub(bytes.len()) else {
        return Vec::new();
    };
    let stands = |at: &usize| {
        let mut pairs = symbols[*at..].iter().zip(bytes);
        pairs.all(|(symbol, &byte)| symbol.byte.is_some_and(|found| equal(found, byte)))
    };
    (0..=last)
        .filter(|at| !bytes.is_empty() && stands(at))
        .collect()
}

/// Where keys stand as whole words.
fn keys_in(needles: &Needles, symbols: &[Symbol]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (key, _) in &needles.names {
        let places = occurrences(symbols, key.as_bytes(), |found, byte| found == byte)
            .into_iter()
            .map(|from| (from, from + key.len()));
        found.extend(places.filter(|&(from, to)| is_word(symbols, from, to)));
    }
    found
}
