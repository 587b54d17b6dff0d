//! Which runs of base64 could hold anything, in any alignment, judged by their groups of four characters.
//!
//! A group is three bytes of one alignment, and every character but the last three begins one. So a run is looked through once
//! for all four alignments, without decoding it: a value in it, however long, has its first three whole groups' worth of bytes
//! in a table; an escape has a byte that begins one; and a run within the run is a row of groups whose bytes are all of its
//! alphabet. What looks like one of these is decoded, there alone, and judged.
//!
//! Answers are on the safe side, as those of `ahead`: "could" may be wrong, "could not" never is.

use zeroize::Zeroizing;

use super::ahead::{Ahead, Way, may_follow};
use super::begins::Marks;
use super::decode::{decode_group, sextet};
use super::needle::Needles;
use super::symbol::class;

/// Fewest bytes of a value that are sure to have a group with two of them and no others but the last.
const LEAST: usize = 4;
/// Characters decoded around what is judged: before it, and in all.
const BEFORE: usize = 8;
const NEAR: usize = 64;
/// Whole groups of a row after which it is a run, however long that must be.
const MOST_ROWS: usize = 16;

/// What the groups of values and names are.
pub(super) struct Groups {
    /// The groups that values have whole, by how many of their bytes stand before.
    marks: Marks,
    /// Set in both where the case of letters does not count.
    case: u32,
    /// Whole groups in a row that the shortest run within a run has.
    rows: usize,
    /// Characters of that run.
    run: usize,
}

/// What two neighbouring characters say of the three bytes that they can be part of.
mod pair {
    /// The first, second, third byte of a group may be part of a run: the lowest three bits.
    pub const RUN: [u8; 3] = [1, 2, 4];
    /// It begins an escape.
    pub const ESCAPE: [u8; 3] = [16, 32, 64];
    pub const ANY_ESCAPE: u8 = 16 | 32 | 64;
}

/// By the bits of two characters.
static PAIRS: [u8; 4096] = pairs();

const fn pairs() -> [u8; 4096] {
    let mut table = [0; 4096];
    let mut bits = 0;
    while bits < table.len() {
        let mut place = 0;
        while place < 3 {
            let byte = (bits >> (4 - 2 * place)) & 0xff;
            let class = class::OF[byte];
            if class & class::IN_RUN != 0 {
                table[bits] |= pair::RUN[place];
            }
            #[allow(clippy::cast_possible_truncation)] // masked
            if class & class::ESCAPE != 0 && byte as u8 != b'+' {
                table[bits] |= pair::ESCAPE[place];
            }
            place += 1;
        }
        bits += 1;
    }
    table
}

/// A run that is looked through.
pub(super) struct Chars<'a> {
    pub text: &'a [u8],
    /// No character follows.
    pub ends: bool,
    /// What it decodes to may be decoded further.
    pub deeper: bool,
}

/// Where something could begin: in a group that begins at one of these characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub first: usize,
    pub last: usize,
}

impl Suspect {
    fn back(last: usize, chars: usize) -> Self {
        Self {
            first: last.saturating_sub(chars),
            last,
        }
    }
}

impl Groups {
    /// Of all needles and the length of the shortest value; `None` if that is too short to be told by groups.
    pub fn new(
        texts: &[Zeroizing<Vec<u8>>],
        shortest: usize,
        base64_run: usize,
        any_case: bool,
    ) -> Option<Self> {
        if shortest < LEAST {
            return None;
        }
        let case = if any_case { 0x20_2020 } else { 0 };
        let mut keys = Zeroizing::new(Vec::new());
        // Names that are shorter than any value matter beside a value only.
        for text in texts.iter().filter(|text| text.len() >= LEAST) {
            for skip in 0..3 {
                match text[skip..] {
                    [a, b, c, ..] => keys.push(u32::from_be_bytes([0, a, b, c]) | case),
                    [a, b] => {
                        keys.extend((0..=u8::MAX).map(|c| u32::from_be_bytes([0, a, b, c]) | case));
                    }
                    _ => {}
                }
            }
        }
        Some(Self {
            marks: Marks::new(&keys),
            case,
            rows: (base64_run - 2) / 3,
            run: base64_run,
        })
    }

    /// Where something could begin first.
    pub fn first(&self, chars: &Chars<'_>, needles: &Needles) -> Option<Suspect> {
        let text = chars.text;
        let [a, b, c, ..] = *text else {
            return None;
        };
        let mut word = sextet(a) << 12 | sextet(b) << 6 | sextet(c);
        let mut before = [word >> 6, word].map(|bits| PAIRS[(bits & 0xfff) as usize]);
        if chars.deeper && (before[0] | before[1]) & pair::ANY_ESCAPE != 0 {
            let escape = |pair, flags| self.escape(chars, pair, flags, needles);
            let found = escape(0, before[0]).or_else(|| escape(1, before[1]));
            if found.is_some() {
                return found;
            }
        }
        // A last group may lack its last character.
        let ended = chars.ends.then_some(b'A');
        let mut row = 0_u64;
        for (at, last) in text[3..].iter().copied().chain(ended).enumerate() {
            word = (word << 6 | sextet(last)) & 0xff_ffff;
            let flags = PAIRS[(word & 0xfff) as usize];
            if self.marks.has(word | self.case) && is_needle(chars, at, needles) {
                return Some(Suspect::back(at, 4));
            }
            if chars.deeper {
                let run = before[0] & (before[1] >> 1) & (flags >> 2) & 1;
                row = row << 1 | u64::from(run);
                if run != 0 && self.is_row(row) {
                    return Some(Suspect::back(at, 4 * self.rows));
                }
                if flags & pair::ANY_ESCAPE != 0 && at + 3 < text.len() {
                    let found = self.escape(chars, at + 2, flags, needles);
                    if found.is_some() {
                        return found;
                    }
                }
            }
            before = [before[1], flags];
        }
        None
    }

    /// Whether the last groups, every fourth, are a row long enough for a run.
    fn is_row(&self, row: u64) -> bool {
        (1..self.rows.min(MOST_ROWS)).all(|n| row >> (4 * n) & 1 != 0)
    }

    /// Most characters of a run within the run that is not seen to be one yet: at both its ends a part of a group.
    pub fn begun(&self) -> usize {
        4 * (self.rows.min(MOST_ROWS) + 2)
    }

    /// Judges the escapes that may begin in the pair of characters at `pair`: where something could begin.
    fn escape(
        &self,
        chars: &Chars<'_>,
        pair: usize,
        flags: u8,
        needles: &Needles,
    ) -> Option<Suspect> {
        for place in 0..3 {
            let Some(group) = pair.checked_sub(place) else {
                break;
            };
            if flags & pair::ESCAPE[place] != 0 && self.is_escape(chars, group, place, needles) {
                return Some(Suspect::back(group, BEFORE));
            }
        }
        None
    }

    /// Whether the byte `place` of a group begins an escape that something could begin with, or be continued by.
    fn is_escape(&self, chars: &Chars<'_>, group: usize, place: usize, needles: &Needles) -> bool {
        let next = group + place + 1 + place / 2;
        if let Some([a, b]) = chars.text.get(next..next + 2) {
            let word = sextet(*a) << 6 | sextet(*b);
            let byte = |word: u32, place: usize| (word >> (4 - 2 * place) & 0xff) as u8;
            let pair = group + place;
            let [a, b] = [chars.text[pair], chars.text[pair + 1]].map(sextet);
            if !may_follow(byte(a << 6 | b, place), byte(word, (place + 1) % 3)) {
                return false;
            }
        }
        let near = Near::new(chars, group, BEFORE);
        let at = near.index(group) + place;
        if at >= near.len {
            // The group is cut short before it.
            return false;
        }
        (at.saturating_sub(4)..=at).any(|at| near.could_begin(at, true, needles))
            || self.may_join(&near, at)
    }

    /// Whether the escape at `at` could be part of a run.
    fn may_join(&self, near: &Near, at: usize) -> bool {
        let ways = near.ahead(at).ways();
        let in_run = |byte: u8| class::OF[usize::from(byte)] & class::IN_RUN != 0;
        let joins = |way: &Way| way.len != 1 && way.bytes().iter().all(|byte| in_run(*byte));
        let bytes = &near.bytes[..near.len];
        let may = |way: Way| {
            let rest = match usize::from(way.len) {
                0 => return true,
                len => bytes.get(at + len..).unwrap_or_default(),
            };
            let after = rest.iter().take_while(|byte| in_run(**byte)).count();
            let before = bytes[..at].iter().rev();
            let before = before.take_while(|byte| in_run(**byte)).count();
            // What is not seen may go on.
            let open = rest.get(after).map_or(!near.ends, |byte| {
                class::OF[usize::from(*byte)] & class::ESCAPE != 0
            });
            let before_is_open = match bytes[..at - before].last() {
                Some(byte) => class::OF[usize::from(*byte)] & class::ESCAPE != 0,
                None => !near.begins,
            };
            open || before_is_open || before + 1 + after >= self.run
        };
        ways.any || ways.iter().filter(joins).any(may)
    }
}

/// Whether a needle could begin in the group at `at`, or in the two bytes before it.
fn is_needle(chars: &Chars<'_>, at: usize, needles: &Needles) -> bool {
    let near = Near::new(chars, at, 4);
    let first = near.index(at);
    (first.saturating_sub(2)..=first).any(|at| near.could_begin(at, chars.deeper, needles))
}

/// A part of a run, decoded.
struct Near {
    bytes: [u8; NEAR / 4 * 3],
    len: usize,
    /// The first character decoded.
    from: usize,
    /// Nothing that was seen stands before it, or follows. Where it is looked at from within a run, more of that stands before; then
    /// the engine, which has read it, is not idle (`Reading::is_idle_in_run`) if a run within the run goes on here.
    begins: bool,
    ends: bool,
}

impl Near {
    /// Decodes some characters from `before` before the group on, in its alignment.
    fn new(chars: &Chars<'_>, group: usize, before: usize) -> Self {
        let from = if group >= before {
            group - before
        } else {
            group % 4
        };
        let to = chars.text.len().min(from + NEAR);
        let mut bytes = [0; NEAR / 4 * 3];
        let mut len = 0;
        for group in chars.text[from..to].chunks(4) {
            let decoded = decode_group(group);
            let whole = group.len() - 1;
            bytes[len..len + whole].copy_from_slice(&decoded[..whole]);
            len += whole;
        }
        Self {
            bytes,
            len,
            from,
            begins: from < 4,
            ends: chars.ends && to == chars.text.len(),
        }
    }

    /// Where the bytes of a group begin.
    fn index(&self, group: usize) -> usize {
        (group - self.from) / 4 * 3
    }

    fn ahead(&self, at: usize) -> Ahead<'_> {
        Ahead {
            text: &self.bytes[at..self.len],
            ends: self.ends,
        }
    }

    fn could_begin(&self, at: usize, escapes: bool, needles: &Needles) -> bool {
        at < self.len && self.ahead(at).could_begin(escapes, needles)
    }
}
