//! Runs of base64 and hex in the text that is scouted, as they are or going on through escapes.

use super::super::ahead::{Way, Ways};
use super::super::chain::STEPS;
use super::super::decode::{decode_base64, decode_hex};
use super::super::groups::{Chars, Suspect};
use super::super::reading::Gap;
use super::super::symbol::{class, is_base64};
use super::Look;

/// Characters from which on a run is long.
const LONG: usize = 256;

/// Bytes at the beginning of a decoded text that may be of no reading: the run was taken from within the escape before it, and an
/// escape has up to five characters of the run's (`u2028`). One that is made by other escapes has more (`u005cu005cu05cd`), but
/// to read that takes a step, and of the steps of a chain then too few are left for a run that goes on within the run.
const FOREIGN: usize = 8;
const _: () = assert!(STEPS == 3, "what `FOREIGN` rests on");

/// A run of base64 characters in the text as it is.
pub(super) struct Run {
    start: usize,
    chars: usize,
    gap: Gap,
    /// It goes over line breaks.
    wrapped: bool,
}

/// A run that goes on through escapes: all decoded, whatever their level.
pub(super) struct Joined {
    start: usize,
    /// Its characters, and the white space in it.
    chars: Vec<u8>,
    gap: Gap,
    /// The kind of escape that was decoded, and how deep.
    kind: (u8, usize),
    /// There were several: no one reading holds the run so.
    mixed: bool,
    /// The bytes before this are part of an escape.
    skip: usize,
    /// Where it ends so far.
    end: usize,
}

/// An escape that a run goes on through, perhaps.
struct Escape {
    at: usize,
    end: usize,
    /// As that of [`Joined`].
    kind: (u8, usize),
    /// What it stands for.
    way: Way,
}

impl Look<'_> {
    /// Takes base64 characters, as many as stand in a row.
    pub fn chars(&mut self, first: usize, end: usize) -> Option<usize> {
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
            joined.end = end;
        }
        None
    }

    /// Takes a byte that is neither escape nor base64: white space of a run, or the end of it.
    pub fn other(&mut self, at: usize, byte: u8) -> Option<usize> {
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
                Some(gap) => {
                    joined.gap = gap;
                    joined.chars.push(byte);
                }
                None => return self.end_joined(),
            }
        }
        None
    }

    /// Takes an escape of which no needle begins.
    pub fn join(&mut self, at: usize, byte: u8, ways: &Ways) -> Option<usize> {
        if self.joined.as_ref().is_some_and(|joined| at < joined.skip) {
            return self.end_raw(at);
        }
        let joins = |way: &Way| {
            way.len != 1
                && match way.bytes() {
                    [] => true,
                    [byte] => class::OF[usize::from(*byte)] & class::IN_RUN != 0,
                    _ => false,
                }
        };
        let Some(way) = ways.iter().find(joins) else {
            return self.end_raw(at).or_else(|| self.end_joined());
        };
        let row = self.text[at..].iter().take_while(|b| **b == b'\\').count();
        let len = match usize::from(way.len) {
            0 if row > 1 => match self.text.get(at + row) {
                Some(b'u') => row + 5,
                Some(b'x') => row + 3,
                _ => row + 1,
            },
            len => len,
        };
        let raw = self.raw.as_ref().map(|run| (run.start, run.gap));
        let escape = Escape {
            at,
            end: at + len,
            kind: (byte, row),
            way,
        };
        if self.joined.is_none() {
            self.joined = self.begin_joined(raw, &escape);
        }
        // An escape made this one, so that nobody knows where it ends, and what of the rest is the run's.
        if len == 0
            && let Some(joined) = &self.joined
        {
            return Some(joined.start);
        }
        let found = self.end_raw(at);
        if found.is_some() || self.joined.is_none() || self.go_on(&escape) {
            return found;
        }
        let found = self.end_joined();
        if found.is_some() {
            return found;
        }
        // What cannot go on with the run, a character after a carriage return alone, begins one: or goes on with the characters
        // before it, where those are of an escape that another reading does not decode.
        for raw in [raw, None] {
            self.joined = self.begin_joined(raw, &escape);
            if self.joined.is_none() || self.go_on(&escape) {
                return None;
            }
        }
        None
    }

    /// Whether the run that goes on through escapes goes on through this one; it has taken it.
    fn go_on(&mut self, escape: &Escape) -> bool {
        let Some(joined) = &mut self.joined else {
            return false;
        };
        joined.skip = escape.end;
        joined.end = escape.end;
        // Of a row of backslashes that is no power of two some stay at every level, and end the run.
        let (_, row) = escape.kind;
        joined.mixed |= joined.kind != escape.kind || (row > 1 && !row.is_power_of_two());
        match escape.way.bytes() {
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
                joined.chars.extend(gap.map(|_| *c));
                gap.is_some()
            }
            _ => false,
        }
    }

    /// The run that goes on through an escape, if one does: the one at hand in the text as it is, if there is one, begins so and
    /// has that gap.
    fn begin_joined(&mut self, raw: Option<(usize, Gap)>, escape: &Escape) -> Option<Joined> {
        let begins = escape
            .way
            .bytes()
            .first()
            .is_some_and(|c| class::OF[usize::from(*c)] & class::BASE64 != 0);
        if raw.is_none() && !begins {
            return None;
        }
        let (start, gap) = raw.unwrap_or((escape.at, Gap::None));
        let mut chars = std::mem::take(&mut self.spare);
        chars.clear();
        chars.extend_from_slice(&self.text[start..escape.at]);
        Some(Joined {
            start,
            chars,
            gap,
            kind: escape.kind,
            // A decoded text may have bytes before it that its reading has not, and they may make escapes.
            mixed: start < self.foreign,
            skip: escape.at,
            end: escape.at,
        })
    }

    /// Ends the raw run before `at`.
    pub fn end_raw(&mut self, at: usize) -> Option<usize> {
        let run = self.raw.take()?;
        if run.chars < self.needles.base64_run() {
            return None;
        }
        let text = &self.text[run.start..at];
        if run.wrapped || run.chars < LONG || self.needles.groups().is_none() {
            return self.holds(text).then_some(run.start);
        }
        let suspect = self.first(text, true)?;
        // One that goes on through escapes and began before it is not judged yet: reading must not begin in its middle.
        let began_before = |joined: &Joined| joined.start < run.start;
        if !self.joined.as_ref().is_some_and(began_before) {
            self.long = Some((run.start, suspect));
        }
        Some(run.start + suspect.first)
    }

    /// The long run, or the one at hand, inside which reading may begin anew, and where in it something could begin.
    pub fn inside(&self, found: Option<usize>) -> Option<(usize, Suspect)> {
        if self.long.is_some() {
            return self.long;
        }
        let run = self.raw.as_ref().filter(|run| !run.wrapped)?;
        if self.joined.is_some() || self.needles.groups().is_none() {
            return None;
        }
        let end = found.unwrap_or(self.text.len());
        let chars = self.text.get(run.start..end)?;
        let end = Suspect {
            first: chars.len(),
            last: chars.len(),
        };
        Some((run.start, self.first(chars, false).unwrap_or(end)))
    }

    fn run_of<'a>(&self, text: &'a [u8], ends: bool) -> Chars<'a> {
        Chars {
            text,
            ends,
            deeper: self.steps > 1,
        }
    }

    /// Where in a run of these characters something could begin first.
    fn first(&self, chars: &[u8], ends: bool) -> Option<Suspect> {
        let run = self.run_of(chars, ends);
        let suspect = self.needles.groups()?.first(&run, self.needles);
        let before = suspect.map_or(chars.len(), |suspect| suspect.first);
        let hex = self.first_hex(&chars[..before], ends && suspect.is_none());
        let row = |at| Suspect {
            first: at,
            last: at,
        };
        hex.map(row).or(suspect)
    }

    /// The beginning of the first row of hex digits that could hold something, or is not seen whole.
    fn first_hex(&self, chars: &[u8], ends: bool) -> Option<usize> {
        let least = self.needles.hex_run();
        let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
        let mut at = least - 1;
        // Every row of so many digits holds one of these places.
        while at < chars.len() {
            if is_hex(&chars[at]) {
                let before = chars[..at].iter().rev().take_while(|b| is_hex(b)).count();
                let after = chars[at..].iter().take_while(|b| is_hex(b)).count();
                let (start, end) = (at - before, at + after);
                let open = end == chars.len() && !ends;
                if before + after >= least && (open || self.holds_hex(&chars[start..end])) {
                    return Some(start);
                }
                at = end;
            }
            at += least;
        }
        None
    }

    pub fn end_joined(&mut self) -> Option<usize> {
        let joined = self.joined.take()?;
        // Of several kinds of escapes a reading decodes some, and takes the characters of the others for the run's.
        let most = if joined.mixed {
            joined.end - joined.start
        } else {
            joined.chars.iter().filter(|byte| is_base64(**byte)).count()
        };
        let long = most >= self.needles.base64_run();
        let holds = long && (joined.mixed || self.holds(&joined.chars));
        self.spare = joined.chars;
        holds.then_some(joined.start)
    }

    /// Whether a run of these base64 characters, with the white space in it, could hold the beginning of a needle.
    fn holds(&self, text: &[u8]) -> bool {
        // Rows of hex digits end at white space.
        if self.holds_hex(text) {
            return true;
        }
        let mut unwrapped = Vec::new();
        let chars = if text.iter().all(|byte| is_base64(*byte)) {
            text
        } else {
            unwrapped.extend(text.iter().copied().filter(|byte| is_base64(*byte)));
            &unwrapped
        };
        let run = self.run_of(chars, true);
        let groups = self.needles.groups();
        let base64 = groups.is_none_or(|groups| groups.first(&run, self.needles).is_some());
        base64 && self.decodes(chars)
    }

    /// Whether what they decode to could, in any alignment.
    fn decodes(&self, chars: &[u8]) -> bool {
        let mut bytes = Vec::with_capacity(chars.len());
        (0..4).any(|phase| {
            decode_base64(chars.get(phase..).unwrap_or_default(), &mut bytes);
            self.could(&bytes)
        })
    }

    fn holds_hex(&self, chars: &[u8]) -> bool {
        let least = self.needles.hex_run();
        if chars.len() < least {
            return false;
        }
        let mut bytes = Vec::new();
        let rows = chars.split(|byte| !byte.is_ascii_hexdigit());
        let mut rows = rows.filter(|row| row.len() >= least);
        rows.any(|row| {
            (0..2).any(|phase| {
                decode_hex(&row[phase..], &mut bytes);
                self.could(&bytes)
            })
        })
    }

    /// Whether something could begin in a text one step further.
    fn could(&self, bytes: &[u8]) -> bool {
        let mut look = Look::new(bytes, true, self.steps - 1, self.needles);
        look.foreign = FOREIGN;
        look.run(0).is_some()
    }
}
