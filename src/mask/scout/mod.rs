//! Scouting: passing over text in which no needle can begin in any reading, so that no reading need exist for it.
//!
//! At a *clean* place nothing is under way in any reading: no unit, run, word or authority reaches over it. From one such
//! place the scout goes on to the last one before a needle could begin. What it looks at: the needles' first bytes, as they
//! are (`plain`); every escape, by all ways to read it (`ahead`); and every run long enough to hold a value (`runs`), by its
//! groups (`groups`), and then by decoding it in all alignments and scouting what comes out. It may take harmless text for a
//! needle's beginning, never the reverse.
//!
//! A long run, such as a picture, has no clean place in it. It is entered in its middle, where nothing begins in any alignment.

mod runs;

use runs::{Joined, Run};

use super::ahead::{Ahead, Way, Ways, may_follow};
use super::begins::WINDOW;
use super::chain::STEPS;
use super::groups::{Groups, Suspect};
use super::needle::Needles;
use super::plain::{BLOCK, Masks, STRIDE, Windows, rows};
use super::symbol::{class, is_base64};

/// What lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// The last place before `found` where reading may begin anew.
    pub place: usize,
    /// Where a needle could begin, or the end of what can be told.
    pub found: usize,
    /// `place` is no clean one, but one inside the run of base64 that begins here, or goes on from where the scout began.
    pub run: Option<usize>,
}

/// Characters of a run before a place inside it which show that no white space is near; what is under way in the run must
/// have begun among them.
pub(super) const INSIDE: usize = 64;
/// Characters between a place inside a run and where something could begin, at least, and besides those of a run within the run:
/// as many as may matter to what begins, such as a word beside it.
const MARGIN: usize = 48;
const BESIDE: usize = 16;

/// Scouts `text` from `from` on, a clean place or one inside a run. More may follow the text.
pub(super) fn scout(text: &[u8], from: usize, needles: &Needles) -> Outlook {
    let mut look = Look::new(text, false, STEPS, needles);
    let found = look.run(from);
    let found = match look.inside(found) {
        Some((run, suspect)) => {
            let found = run + suspect.last;
            let begun = needles.groups().map_or(0, Groups::begun);
            let last = (run + suspect.first).checked_sub(MARGIN.max(BESIDE + begun));
            if let Some(place) = last.and_then(|last| place_inside(text, (from, run), last)) {
                return Outlook {
                    place,
                    found,
                    run: Some(run),
                };
            }
            found
        }
        None => found.unwrap_or(text.len()),
    };
    // No place inside a run is clean.
    let clean = (from + 1..=found).rev().find(|at| is_clean(text, *at));
    Outlook {
        place: clean.unwrap_or(from),
        found,
        run: None,
    }
}

/// The last place inside the run from `run` on, after `from` and not after `last`.
fn place_inside(text: &[u8], (from, run): (usize, usize), last: usize) -> Option<usize> {
    let after = from.max(run + INSIDE);
    // No place inside a run of hex digits will do.
    (after + 1..=last)
        .rev()
        .take(MARGIN)
        .find(|at| !text[*at - 1].is_ascii_hexdigit())
}

/// Whether `text[at]` follows so many characters of a run.
pub(super) fn is_inside(text: &[u8], at: usize) -> bool {
    let chars = at.checked_sub(INSIDE).map(|from| &text[from..at]);
    chars.is_some_and(|chars| chars.iter().all(|byte| is_base64(*byte)))
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
    /// So many bytes at its beginning may be of no reading.
    foreign: usize,
    needles: &'a Needles,
    raw: Option<Run>,
    joined: Option<Joined>,
    /// Where the long run begins inside which something could begin, and where in it.
    long: Option<(usize, Suspect)>,
    /// Before this, windows were asked for, and not every place.
    skipped_to: usize,
    /// The block that was looked at last.
    block: Option<Block>,
    /// For characters of the next joined run.
    spare: Vec<u8>,
}

/// What is known of a block.
#[derive(Clone, Copy)]
struct Block {
    base: usize,
    masks: Masks,
    /// Places at or a little after which a needle could begin.
    begins: u64,
    /// Where long rows of base64 characters are long enough.
    long: u64,
    /// All that needs a closer look.
    stops: u64,
}

impl<'a> Look<'a> {
    fn new(text: &'a [u8], ends: bool, steps: usize, needles: &'a Needles) -> Self {
        Self {
            text,
            ends,
            steps,
            foreign: 0,
            needles,
            raw: None,
            joined: None,
            long: None,
            skipped_to: 0,
            block: None,
            spare: Vec::new(),
        }
    }

    /// Where a needle could begin.
    fn run(&mut self, from: usize) -> Option<usize> {
        let begins = self.needles.begins();
        let mut at = from;
        loop {
            if self.raw.is_none() && self.joined.is_none() {
                at = self.skip(at);
                self.skipped_to = at;
            }
            let Some(byte) = self.text.get(at).copied() else {
                break;
            };
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
                    let in_run = class & class::BASE64 != 0 && self.steps > 0;
                    let before = in_run.then(|| self.chars(first, at)).flatten();
                    return before.or(Some(at));
                }
                at += 1;
                if at.is_multiple_of(BLOCK) && class & class::BASE64 != 0 {
                    at = self.skip_in_run(at);
                }
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

    /// Passes over plain text from `at` on, where no run is at hand: to what needs a closer look, or a little before it.
    #[inline]
    fn skip(&mut self, at: usize) -> usize {
        let Some(windows) = self.needles.windows().filter(|_| self.steps > 0) else {
            return at;
        };
        let mut base = at - at % BLOCK;
        while base + BLOCK + WINDOW <= self.text.len() {
            let block = self.block(base, windows);
            let stops = block.stops & u64::MAX << at.saturating_sub(base);
            if stops != 0 {
                let first = stops.trailing_zeros() as usize;
                // An escape looks back itself; what else there is needs the windows that begin before it.
                let back = match first {
                    _ if block.masks.escapes >> first & 1 != 0 => 0,
                    _ if block.long >> first & 1 != 0 => self.least_row() - 1,
                    _ => STRIDE - 1,
                };
                return self.begins_run((base + first).saturating_sub(back).max(at), at);
            }
            base += BLOCK;
        }
        self.begins_run(base.saturating_sub(STRIDE - 1).max(at), at)
    }

    /// So many base64 characters in a row are looked at more closely.
    fn least_row(&self) -> usize {
        self.needles.base64_run().min(BLOCK)
    }

    /// Passes over whole blocks of a run.
    fn skip_in_run(&mut self, at: usize) -> usize {
        let Some(windows) = self.needles.windows() else {
            return at;
        };
        let mut base = at;
        while base + BLOCK + WINDOW <= self.text.len() {
            let block = self.block(base, windows);
            if block.masks.run != u64::MAX || block.begins != 0 {
                break;
            }
            base += BLOCK;
        }
        // The windows of the next block were not asked for.
        at.max(base.saturating_sub(STRIDE - 1))
    }

    /// The beginning of the run that `at` stands in or follows, or `at`; none begins before `from`.
    fn begins_run(&self, at: usize, from: usize) -> usize {
        let chars = self.text[from..at].iter().rev();
        at - chars.take_while(|byte| is_base64(**byte)).count()
    }

    /// What is to be known of the block at `base`.
    fn block(&mut self, base: usize, windows: &Windows) -> Block {
        if let Some(block) = self.block.filter(|block| block.base == base) {
            return block;
        }
        let mut begins = 0;
        let mut places = windows.of_block(self.text, base);
        while places != 0 {
            let first = places.trailing_zeros() as usize;
            places &= places - 1;
            let pairs = self.needles.begins();
            let mut near = windows.places(base + first);
            if near.any(|at| pairs.pair(self.text, at) && self.could_begin(at)) {
                begins |= 1 << first;
            }
        }
        let masks = self.masks(base);
        let before = match self.block {
            Some(block) if block.base + BLOCK == base => block.masks.run,
            _ => base
                .checked_sub(BLOCK)
                .map_or(0, |base| self.masks(base).run),
        };
        let long = rows(masks.run, before, self.least_row());
        // A line break matters to the run before it.
        let breaks = masks.breaks & (masks.run << 1 | before >> 63);
        let block = Block {
            base,
            masks,
            begins,
            long,
            stops: masks.escapes | breaks | begins | long,
        };
        self.block = Some(block);
        block
    }

    fn masks(&self, base: usize) -> Masks {
        let block = self.text[base..].first_chunk();
        block.map(Masks::of).unwrap_or_default()
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

    /// Takes a byte that begins an escape, perhaps.
    fn escape(&mut self, at: usize, from: usize, byte: u8) -> Option<usize> {
        let begins = self.needles.begins();
        // Of a place before it, plain bytes say that nothing begins there.
        let before = at.saturating_sub(WINDOW + STRIDE - 2).max(from);
        for at in before..self.skipped_to.min(at.saturating_sub(1)) {
            if begins.pair(self.text, at) && self.could_begin(at) {
                return Some(at);
            }
        }
        let ways = self
            .simple(at, byte)
            .unwrap_or_else(|| self.ahead(at).ways());
        let plain = ways.is_plain();
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
        if self.raw.is_none() && self.joined.is_none() && (plain || ways.is_white()) {
            return None;
        }
        self.join(at, byte, &ways)
    }

    /// The ways to read what is no escape, or a short one of JSON, which most are.
    fn simple(&self, at: usize, byte: u8) -> Option<Ways> {
        let next = self.text.get(at + 1)?;
        if !may_follow(byte, *next) {
            return Some(Ways::plain(byte));
        }
        if byte != b'\\' {
            return None;
        }
        let c = match next {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'"' => b'"',
            _ => return None,
        };
        Some(Ways::escaped(c))
    }
}
