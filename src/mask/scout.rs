//! Scouting: passing over text in which no needle can begin in any reading, so that no reading need exist for it.
//!
//! At a *clean* place nothing is under way in any reading: no unit, run, word or authority reaches over it. From one such
//! place the scout goes on to the last one before a needle could begin. What it looks at: the needles' first bytes, as they
//! are; every escape, by all ways to read it (`ahead`); and every run long enough to hold a value, by decoding it in all
//! alignments and scouting what comes out. It may take harmless text for a needle's beginning, never the reverse.

use super::ahead::{Ahead, Way};
use super::chain::STEPS;
use super::needle::{Needles, WINDOW};
use super::reading::LONGEST_INDENT;
use super::symbol::{self, class};

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
    look.clean = [from; WINDOW];
    let found = look.run(from).unwrap_or(text.len());
    let before = look.clean.into_iter().filter(|clean| *clean <= found);
    Outlook {
        clean: before.max().unwrap_or(from),
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
    /// The last clean places: a needle is noticed up to a window after it began.
    clean: [usize; WINDOW],
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

/// White space inside a run.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gap {
    #[default]
    None,
    Cr,
    Blanks(u8),
}

impl Gap {
    /// The gap with one more byte, if it can be one.
    fn with(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::None, b'\r') => Some(Self::Cr),
            (Self::None | Self::Cr, b'\n') => Some(Self::Blanks(0)),
            (Self::Blanks(n), b' ' | b'\t') if n < LONGEST_INDENT => Some(Self::Blanks(n + 1)),
            _ => None,
        }
    }
}

impl<'a> Look<'a> {
    fn new(text: &'a [u8], ends: bool, steps: usize, needles: &'a Needles) -> Self {
        Self {
            text,
            ends,
            steps,
            needles,
            clean: [0; WINDOW],
            raw: None,
            joined: None,
        }
    }

    /// Where a needle could begin.
    fn run(&mut self, from: usize) -> Option<usize> {
        let filter = self.needles.filter();
        let window = filter.window();
        for at in from..self.text.len() {
            let byte = self.text[at];
            let class = class::OF[usize::from(byte)];
            if self.steps > 0 && class & class::ESCAPE != 0 && byte != b'+' {
                let first = at.saturating_sub(window - 1).max(from);
                if let Some(found) = (first..=at).find(|at| self.could_begin(*at)) {
                    return Some(found);
                }
                self.clean_at(at + 1);
                if let Some(found) = self.escape(at, byte) {
                    return Some(found);
                }
                continue;
            }
            let near_end = self.text.len() - at < window;
            if (near_end || filter.begins(&self.text[at..])) && self.could_begin(at) {
                return Some(at);
            }
            if self.steps > 0
                && let Some(found) = self.byte(at, byte, class)
            {
                return Some(found);
            }
        }
        if !self.ends {
            return None;
        }
        self.end_raw(self.text.len()).or_else(|| self.end_joined())
    }

    fn could_begin(&self, at: usize) -> bool {
        let ahead = Ahead {
            text: &self.text[at..],
            ends: self.ends,
        };
        ahead.could_begin(self.steps > 0, self.needles)
    }

    fn clean_at(&mut self, at: usize) {
        if is_clean(self.text, at) {
            self.clean.rotate_right(1);
            self.clean[0] = at;
        }
    }

    /// Takes a byte that is no escape.
    #[inline]
    fn byte(&mut self, at: usize, byte: u8, class: u8) -> Option<usize> {
        if class & class::BASE64 != 0 {
            match &mut self.raw {
                Some(run) if run.gap != Gap::Cr => {
                    run.chars += 1;
                    run.gap = Gap::None;
                }
                _ => {
                    let found = self.end_raw(at);
                    self.raw = Some(Run {
                        start: at,
                        chars: 1,
                        gap: Gap::None,
                        wrapped: false,
                    });
                    if found.is_some() {
                        return found;
                    }
                }
            }
            if let Some(joined) = &mut self.joined {
                if at >= joined.skip {
                    if joined.gap == Gap::Cr {
                        return self.end_joined();
                    }
                    joined.chars.push(byte);
                    joined.gap = Gap::None;
                }
            }
            return None;
        }
        let found = self.other(at, byte);
        if class & (class::CLEAN | class::BLANK) != 0 && found.is_none() {
            self.clean_at(at + 1);
        }
        found
    }

    /// Takes a byte that is neither escape nor base64: white space of a run, or the end of it.
    fn other(&mut self, at: usize, byte: u8) -> Option<usize> {
        if let Some(run) = &mut self.raw {
            match run.gap.with(byte) {
                Some(gap) => {
                    run.gap = gap;
                    run.wrapped = true;
                }
                None => {
                    let found = self.end_raw(at);
                    if found.is_some() {
                        return found;
                    }
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

    /// Takes an escape of which no needle begins.
    fn escape(&mut self, at: usize, byte: u8) -> Option<usize> {
        if self.joined.as_ref().is_some_and(|joined| at < joined.skip) {
            return self.end_raw(at);
        }
        let ahead = Ahead {
            text: &self.text[at..],
            ends: self.ends,
        };
        let ways = ahead.ways();
        let joins = |way: &&Way| {
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
        let Some(way) = ways.iter().find(joins).copied() else {
            return self.end_raw(at).or_else(|| self.end_joined());
        };
        let row = self.text[at..].iter().take_while(|b| **b == b'\\').count();
        // The unit's length is not known where an escape made it; but for rows of backslashes.
        let (len, known) = match usize::from(way.len) {
            0 if row > 1 => (row + 1, true),
            0 => (1, false),
            len => (len, true),
        };
        if self.joined.is_none() {
            self.joined = self.begin_joined(at, byte, row, &way);
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
    fn begin_joined(&self, at: usize, byte: u8, row: usize, way: &Way) -> Option<Joined> {
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
            chars: chars.iter().copied().filter(symbol::is_base64).collect(),
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
            let chars: Vec<u8> = text.iter().copied().filter(symbol::is_base64).collect();
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
            symbol::decode_base64(chars.get(phase..).unwrap_or_default(), &mut bytes);
            if could(&bytes) {
                return true;
            }
        }
        let rows = chars.split(|byte| !byte.is_ascii_hexdigit());
        for row in rows.filter(|row| row.len() >= self.needles.hex_run()) {
            for phase in 0..2 {
                symbol::decode_hex(&row[phase..], &mut bytes);
                if could(&bytes) {
                    return true;
                }
            }
        }
        false
    }
}
