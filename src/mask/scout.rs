//! Scouting: passing over text in which no needle can begin in any reading, so that no reading need exist for it.
//!
//! At a *clean* place nothing is under way in any reading: no unit, run, word or authority reaches over it. From one such
//! place the scout goes on to the last one before a needle could begin. What it looks at: the needles' first bytes, as they
//! are; every escape, by all ways to read it (`ahead`); and every run long enough to hold a value, by decoding it in all
//! alignments and scouting what comes out. It may take harmless text for a needle's beginning, never the reverse.

use super::ahead::{Ahead, Way, Ways};
use super::chain::STEPS;
use super::decode::{decode_base64, decode_hex};
use super::needle::Needles;
use super::reading::Gap;
use super::symbol::{class, is_base64};

/// What lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// The last clean place before `found`.
    pub clean: usize,
    /// Where a needle could begin, or the end of what can be told.
    pub found: usize,
}

/// Scouts `text` from the clean place `from` on. More may follow the text.
pub(super) fn scout(text: &[u8], from: usize, needles: &Needles) -> Outlook {
    let mut look = Look::new(text, false, STEPS, needles);
    let found = look.run(from).unwrap_or(text.len());
    // No place inside a run is clean.
    let clean = (from + 1..=found).rev().find(|at| is_clean(text, *at));
    Outlook {
        clean: clean.unwrap_or(from),
        found,
    }
}

/// Whether nothing is under way in any reading before `text[at]`, judged by the bytes before it.
pub(super) fn is_clean(text: &[u8], at: usize) -> bool {
    let [.., before, last] = text[..at] else {
        return false;
    };
    let class = class::OF[usize::from(last)];
    if class & class::CLEAN != 0 {
        // After a backslash it belongs to an escape.
        return last != b'"' || before != b'\\';
    }
    // A blank is: but not one that follows a line break, however that is written, inside a run.
    last == b' ' && ends_no_line_break(&text[..at - 1])
}

/// Whether the last byte ends no line break and no escape that may be one.
fn ends_no_line_break(text: &[u8]) -> bool {
    let far = |byte: u8| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit();
    match *text {
        // Two letters that no escape for a line break or a backslash ends in.
        [.., before, last] if last.is_ascii_alphanumeric() => far(last) && far(before),
        [.., last] => !matches!(last, b'\r' | b'\n' | b' ' | b'\t' | b';'),
        [] => false,
    }
}

/// A text that is looked through.
struct Look<'a> {
    text: &'a [u8],
    /// Nothing follows the text.
    ends: bool,
    /// Steps that chains may still take from this text on.
    steps: usize,
    needles: &'a Needles,
    raw: Option<Run>,
    joined: Option<Joined>,
}

/// A run of base64 characters in the text as it is.
struct Run {
    start: usize,
    chars: usize,
    gap: Gap,
    /// It goes over line breaks.
    wrapped: bool,
}

/// A run that goes on through escapes: all decoded, whatever their level.
struct Joined {
    start: usize,
    chars: Vec<u8>,
    gap: Gap,
    /// The kind of escape that was decoded, and how deep.
    kind: (u8, usize),
    /// There were several: no one reading holds the run so.
    mixed: bool,
    /// The bytes before this are part of an escape.
    skip: usize,
}

impl<'a> Look<'a> {
    fn new(text: &'a [u8], ends: bool, steps: usize, needles: &'a Needles) -> Self {
        Self {
            text,
            ends,
            steps,
            needles,
            raw: None,
            joined: None,
        }
    }

    /// Where a needle could begin.
    fn run(&mut self, from: usize) -> Option<usize> {
        let begins = self.needles.begins();
        let mut at = from;
        while let Some(byte) = self.text.get(at).copied() {
            let class = class::OF[usize::from(byte)];
            if class & class::ESCAPE != 0 && byte != b'+' && self.steps > 0 {
                let found = self.escape(at, from, byte);
                if found.is_some() {
                    return found;
                }
                at += 1;
                continue;
            }
            let first = at;
            loop {
                if begins.pair(self.text, at) && self.could_begin(at) {
                    return Some(at);
                }
                at += 1;
                let next = self.text.get(at).map_or(0, |b| class::OF[usize::from(*b)]);
                if class & next & class::BASE64 == 0 {
                    break;
                }
            }
            if self.steps > 0 {
                let found = if class & class::BASE64 != 0 {
                    self.chars(first, at)
                } else {
                    self.other(first, byte)
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        if !self.ends {
            return None;
        }
        self.end_raw(self.text.len()).or_else(|| self.end_joined())
    }

    fn could_begin(&self, at: usize) -> bool {
        let ahead = self.ahead(at);
        let filter = self.needles.filter();
        let text = ahead.text;
        let plain = text.len() >= filter.window()
            && !text[..filter.window()]
                .iter()
                .any(|byte| class::OF[usize::from(*byte)] & class::ESCAPE != 0);
        (!plain || filter.begins(text)) && ahead.could_begin(self.steps > 0, self.needles)
    }

    fn ahead(&self, at: usize) -> Ahead<'a> {
        Ahead {
            text: &self.text[at..],
            ends: self.ends,
        }
    }

    /// Takes base64 characters, as many as stand in a row.
    fn chars(&mut self, first: usize, end: usize) -> Option<usize> {
        let mut found = None;
        match &mut self.raw {
            Some(run) if run.gap != Gap::Cr => {
                run.chars += end - first;
                run.gap = Gap::None;
            }
            _ => {
                found = self.end_raw(first);
                self.raw = Some(Run {
                    start: first,
                    chars: end - first,
                    gap: Gap::None,
                    wrapped: false,
                });
            }
        }
        if found.is_some() {
            return found;
        }
        let joined = self.joined.as_mut()?;
        let first = first.max(joined.skip);
        if first < end {
            if joined.gap == Gap::Cr {
                return self.end_joined();
            }
            joined.chars.extend_from_slice(&self.text[first..end]);
            joined.gap = Gap::None;
        }
        None
    }

    /// Takes a byte that is neither escape nor base64: white space of a run, or the end of it.
    fn other(&mut self, at: usize, byte: u8) -> Option<usize> {
        if let Some(run) = &mut self.raw {
            if let Some(gap) = run.gap.with(byte) {
                run.gap = gap;
                run.wrapped = true;
            } else {
                let found = self.end_raw(at);
                if found.is_some() {
                    return found;
                }
            }
        }
        if let Some(joined) = &mut self.joined
            && at >= joined.skip
        {
            match joined.gap.with(byte) {
                Some(gap) => joined.gap = gap,
                None => return self.end_joined(),
            }
        }
        None
    }

    /// Takes a byte that begins an escape, perhaps.
    fn escape(&mut self, at: usize, from: usize, byte: u8) -> Option<usize> {
        let begins = self.needles.begins();
        // Of a place before it, plain bytes say that nothing begins there.
        let before = [3, 2].into_iter().filter_map(|n| at.checked_sub(n));
        for at in before.filter(|at| *at >= from) {
            if begins.pair(self.text, at) && self.could_begin(at) {
                return Some(at);
            }
        }
        let ways = self
            .simple(at, byte)
            .unwrap_or_else(|| self.ahead(at).ways());
        if at > from {
            let last = self.text[at - 1];
            let goes_on = |way: Way| way.bytes().first().is_none_or(|b| begins.bytes(last, *b));
            if (ways.any || ways.iter().any(goes_on)) && self.could_begin(at - 1) {
                return Some(at - 1);
            }
        }
        let begins_here = |way: Way| way.bytes().first().is_some_and(|b| begins.byte(*b));
        if ways.any || (ways.iter().any(begins_here) && self.could_begin(at)) {
            return Some(at);
        }
        if self.raw.is_none() && self.joined.is_none() && byte == b'\\' && ways.is_white() {
            return None;
        }
        self.join(at, byte, &ways)
    }

    /// The ways to read a short JSON escape, which most escapes are.
    fn simple(&self, at: usize, byte: u8) -> Option<Ways> {
        if byte != b'\\' {
            return None;
        }
        let c = match self.text.get(at + 1)? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'"' => b'"',
            _ => return None,
        };
        Some(Ways::escaped(c))
    }

    /// Takes an escape of which no needle begins.
    fn join(&mut self, at: usize, byte: u8, ways: &Ways) -> Option<usize> {
        if self.joined.as_ref().is_some_and(|joined| at < joined.skip) {
            return self.end_raw(at);
        }
        let joins = |way: &Way| {
            way.len != 1
                && match way.bytes() {
                    [] => true,
                    [byte] => {
                        let class = class::OF[usize::from(*byte)];
                        class & (class::BASE64 | class::LINE_BREAK | class::BLANK) != 0
                    }
                    _ => false,
                }
        };
        let Some(way) = ways.iter().find(joins) else {
            return self.end_raw(at).or_else(|| self.end_joined());
        };
        let row = self.text[at..].iter().take_while(|b| **b == b'\\').count();
        // The unit's length is not known where an escape made it; but for rows of backslashes.
        let (len, known) = match usize::from(way.len) {
            0 if row > 1 => match self.text.get(at + row) {
                Some(b'u') => (row + 5, true),
                Some(b'x') => (row + 3, true),
                _ => (row + 1, true),
            },
            0 => (1, false),
            len => (len, true),
        };
        if self.joined.is_none() {
            self.joined = self.begin_joined(at, byte, row, way);
        }
        let found = self.end_raw(at);
        if found.is_some() {
            return found;
        }
        let joined = self.joined.as_mut()?;
        joined.skip = at + len;
        joined.mixed |= !known || joined.kind != (byte, row);
        let fits = match way.bytes() {
            [] => true,
            [c] if class::OF[usize::from(*c)] & class::BASE64 != 0 => {
                let fits = joined.gap != Gap::Cr;
                joined.gap = Gap::None;
                joined.chars.push(*c);
                fits
            }
            [c] => {
                let gap = joined.gap.with(*c);
                joined.gap = gap.unwrap_or_default();
                gap.is_some()
            }
            _ => false,
        };
        if fits { None } else { self.end_joined() }
    }

    /// The run that goes on through the escape at `at`, if one does.
    fn begin_joined(&self, at: usize, byte: u8, row: usize, way: Way) -> Option<Joined> {
        let begins = way
            .bytes()
            .first()
            .is_some_and(|c| class::OF[usize::from(*c)] & class::BASE64 != 0);
        if self.raw.is_none() && !begins {
            return None;
        }
        let raw = self.raw.as_ref();
        let start = raw.map_or(at, |run| run.start);
        let chars = &self.text[start..at];
        Some(Joined {
            start,
            chars: chars.iter().copied().filter(|b| is_base64(*b)).collect(),
            gap: raw.map_or(Gap::None, |run| run.gap),
            kind: (byte, row),
            mixed: false,
            skip: at,
        })
    }

    /// Ends the raw run before `at`.
    fn end_raw(&mut self, at: usize) -> Option<usize> {
        let run = self.raw.take()?;
        if run.chars < self.needles.base64_run() {
            return None;
        }
        let text = &self.text[run.start..at];
        let holds = if run.wrapped {
            let chars: Vec<u8> = text.iter().copied().filter(|b| is_base64(*b)).collect();
            self.holds(&chars)
        } else {
            self.holds(text)
        };
        holds.then_some(run.start)
    }

    fn end_joined(&mut self) -> Option<usize> {
        let joined = self.joined.take()?;
        if joined.chars.len() < self.needles.base64_run() {
            return None;
        }
        (joined.mixed || self.holds(&joined.chars)).then_some(joined.start)
    }

    /// Whether a run of these base64 characters could hold the beginning of a needle.
    fn holds(&self, chars: &[u8]) -> bool {
        let could = |bytes: &[u8]| {
            Look::new(bytes, true, self.steps - 1, self.needles)
                .run(0)
                .is_some()
        };
        let mut bytes = Vec::with_capacity(chars.len());
        for phase in 0..4 {
            decode_base64(chars.get(phase..).unwrap_or_default(), &mut bytes);
            if could(&bytes) {
                return true;
            }
        }
        let rows = chars.split(|byte| !byte.is_ascii_hexdigit());
        for row in rows.filter(|row| row.len() >= self.needles.hex_run()) {
            for phase in 0..2 {
                decode_hex(&row[phase..], &mut bytes);
                if could(&bytes) {
                    return true;
                }
            }
        }
        false
    }
}
