//! Where values stand, in every reading, and which of these places count.

use std::rc::Rc;

use bauta::mask::{Rule, Syntax};

use super::Needles;
use super::decode::{self, Decoder, Symbol};
use super::json::Document;
use super::readings::{Text, Walk};

/// The longest authority that is looked at, in symbols.
const AUTHORITY_LIMIT: usize = 512;
/// Members whose whole value is never a short value.
const EXEMPT_MEMBERS: [&[u8]; 6] = [b"role", b"type", b"model", b"id", b"object", b"status"];

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
    let Some(shortest) = needles.values.iter().map(|(_, value, _)| value.len()).min() else {
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
        for (value, (_, bytes, rule)) in needles.values.iter().enumerate() {
            for from in occurrences(&reading.symbols, bytes) {
                let to = from + bytes.len();
                let in_key = keys
                    .iter()
                    .any(|&(first, last)| first <= from && to <= last);
                if !in_key
                    && (*rule == Rule::Anywhere
                        || is_word(&reading.symbols, from, to)
                            && !is_in_authority(&reading.symbols, from, to))
                {
                    let (start, end) = raw(&(from, to));
                    found.push(Match {
                        text: Rc::clone(reading),
                        from,
                        to,
                        value,
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
        let (_, value, rule) = &needles.values[found.value];
        let in_key = literal
            .iter()
            .any(|&(start, end)| start <= found.start && found.end <= end);
        let exempt = *rule == Rule::Word
            && document.is_some_and(|document| is_exempt_string(document, text, found, value));
        !in_key && !exempt
    });
    found
}

/// Where `bytes` stand in `symbols`.
fn occurrences(symbols: &[Symbol], bytes: &[u8]) -> Vec<usize> {
    let (Some(&first), Some(last)) = (bytes.first(), symbols.len().checked_sub(bytes.len())) else {
        return Vec::new();
    };
    let equal = |at: usize| {
        symbols[at].byte == Some(first)
            && symbols[at..]
                .iter()
                .zip(bytes)
                .all(|(symbol, &byte)| symbol.byte == Some(byte))
    };
    (0..=last).filter(|&at| equal(at)).collect()
}

/// Where keys stand as whole words.
fn keys_in(needles: &Needles, symbols: &[Symbol]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (key, _) in &needles.names {
        let places = occurrences(symbols, key.as_bytes())
            .into_iter()
            .map(|from| (from, from + key.len()));
        found.extend(places.filter(|&(from, to)| is_word(symbols, from, to)));
    }
    found
}

/// Whether no word goes on at either edge of `from..to`.
fn is_word(symbols: &[Symbol], from: usize, to: usize) -> bool {
    let inside = &symbols[from..to];
    let starts_word = matches!(first_char(inside), Neighbour::Char(first) if is_word_char(first));
    let ends_word = matches!(last_char(inside), Neighbour::Char(last) if is_word_char(last));
    let goes_on_before = starts_word && last_char(&symbols[..from]).goes_on();
    let goes_on_after = ends_word && first_char(&symbols[to..]).goes_on();
    !goes_on_before && !goes_on_after
}

fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What stands next to a place.
enum Neighbour {
    /// A whole character.
    Char(char),
    /// A break.
    Break,
    /// The text's edge, or bytes that are no character.
    Nothing,
}

impl Neighbour {
    /// Whether a word may go on there. Nobody knows what a break hides.
    fn goes_on(&self) -> bool {
        match self {
            Self::Char(char) => is_word_char(*char),
            Self::Break => true,
            Self::Nothing => false,
        }
    }
}

/// The character that ends `symbols`.
fn last_char(symbols: &[Symbol]) -> Neighbour {
    if symbols.last().is_some_and(|symbol| symbol.byte.is_none()) {
        return Neighbour::Break;
    }
    let continuations = symbols
        .iter()
        .rev()
        .take(3)
        .take_while(|symbol| symbol.byte.is_some_and(is_continuation))
        .count();
    match symbols.len().checked_sub(continuations + 1) {
        Some(lead) => one_char(&symbols[lead..]),
        None => Neighbour::Nothing,
    }
}

/// The character that begins `symbols`.
fn first_char(symbols: &[Symbol]) -> Neighbour {
    match symbols.first() {
        None => Neighbour::Nothing,
        Some(Symbol { byte: None, .. }) => Neighbour::Break,
        Some(_) => {
            let lengths = 1..=symbols.len().min(4);
            let chars = lengths.map(|length| one_char(&symbols[..length]));
            chars
                .into_iter()
                .find(|char| matches!(char, Neighbour::Char(_)))
                .unwrap_or(Neighbour::Nothing)
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The character that all of `symbols` make.
fn one_char(symbols: &[Symbol]) -> Neighbour {
    let bytes: Option<Vec<u8>> = symbols.iter().map(|symbol| symbol.byte).collect();
    let text = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Neighbour::Char(char),
        _ => Neighbour::Nothing,
    }
}

/// Whether `from..to` lies in a URL's authority, and not in its userinfo.
fn is_in_authority(symbols: &[Symbol], from: usize, to: usize) -> bool {
    let belongs = |at: usize| {
        symbols[at]
            .byte
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._~%:@[]-".contains(&byte))
    };
    let first = (0..from)
        .rev()
        .find(|&at| !belongs(at))
        .map_or(0, |at| at + 1);
    let end = (to..symbols.len())
        .find(|&at| !belongs(at))
        .unwrap_or(symbols.len());
    if !(from..to).all(belongs) || end - first > AUTHORITY_LIMIT {
        return false;
    }
    let has_userinfo_after = (from..end).any(|at| symbols[at].byte == Some(b'@'));
    !has_userinfo_after && follows_slashes(&symbols[..first])
}

/// Whether `symbols` end with `://`, with any backslashes between and after.
fn follows_slashes(symbols: &[Symbol]) -> bool {
    let mut without_backslashes = symbols
        .iter()
        .rev()
        .filter(|symbol| symbol.byte != Some(b'\\'));
    let mut next = || without_backslashes.next().and_then(|symbol| symbol.byte);
    next() == Some(b'/') && next() == Some(b'/') && next() == Some(b':')
}

/// Whether the match is exactly a string that is a key, or the whole value of a member such as `role`.
fn is_exempt_string(document: &Document, text: &[u8], found: &Match, value: &[u8]) -> bool {
    let Some(string) = document
        .strings
        .iter()
        .find(|string| (string.start, string.end) == (found.start, found.end))
    else {
        return false;
    };
    let exempt = string.is_key
        || string
            .member
            .is_some_and(|(start, end)| EXEMPT_MEMBERS.contains(&&text[start..end]));
    exempt && json_content(&text[string.start..string.end]) == value
}

/// What a JSON string with this raw content says.
fn json_content(raw: &[u8]) -> Vec<u8> {
    let symbols: Vec<Symbol> = raw
        .iter()
        .map(|&byte| Symbol {
            byte: Some(byte),
            start: 0,
            end: 1,
            from: 0,
            to: 1,
        })
        .collect();
    decode::decode(Decoder::Json, &symbols)
        .0
        .iter()
        .filter_map(|symbol| symbol.byte)
        .collect()
}
