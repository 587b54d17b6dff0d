//! Skimming: passing over a stretch of which nothing comes but the scanner's state and the length of runs.
//!
//! What it does is what `Reading::push` does symbol by symbol; it stops before the first symbol that needs more.

use aho_corasick::automaton::StateID;

use super::ahead::Ahead;
use super::authority::Authority;
use super::needle::Needles;
use super::symbol::class;

/// Where a stretch was left, and what it led to.
pub(super) struct Skimmed {
    /// Index of the first symbol not taken.
    pub at: usize,
    pub state: StateID,
    pub authority: Authority,
    /// Characters of the base64 and of the hex run that the last symbol ends.
    pub base64: usize,
    pub hex: usize,
}

/// How the symbols are to be taken.
pub(super) struct Rules {
    /// `+` may be a space.
    pub form: bool,
    /// All symbols must continue a base64 run that is being read.
    pub in_run: bool,
}

/// Classes of bytes that need a closer look.
const RARE: u8 = class::ESCAPE | class::LINE_BREAK | class::AUTHORITY_MARK;

/// Takes symbols of `bytes` from `begun.at` on.
pub(super) fn skim(bytes: &[u8], begun: &Skimmed, rules: &Rules, needles: &Needles) -> Skimmed {
    let mut automaton = Automaton::new(begun.state, needles);
    let mut authority = begun.authority;
    let mut tracking = authority != Authority::default();
    let most_base64 = if rules.in_run {
        usize::MAX
    } else {
        needles.base64_run()
    };
    let most_hex = needles.hex_run();
    let (mut base64, mut hex) = (begun.base64, begun.hex);
    let from = begun.at;
    let mut at = from;
    while at < bytes.len() {
        let byte = bytes[at];
        let class = class::OF[usize::from(byte)];
        let rare = class & RARE != 0;
        if rare && stops(&bytes[at..], base64, rules) {
            break;
        }
        let run = if class & class::BASE64 != 0 {
            base64 + 1
        } else {
            0
        };
        if run == most_base64 || (rules.in_run && run == 0) {
            break;
        }
        if rules.in_run {
            let digits = if class & class::HEX != 0 { hex + 1 } else { 0 };
            if digits == most_hex {
                break;
            }
            hex = digits;
        }
        if !automaton.step(bytes, at, needles) {
            break;
        }
        if rare || tracking {
            authority.step(byte);
            tracking = authority != Authority::default();
        }
        base64 = run;
        at += 1;
    }
    let taken = &bytes[from..at];
    if !rules.in_run {
        // Hex digits are base64 characters: their run is the shorter one, and ended before it got long.
        let digits = taken
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        hex = if digits == taken.len() {
            begun.hex + digits
        } else {
            digits
        };
    }
    Skimmed {
        at,
        state: automaton.state(taken, needles),
        authority,
        base64,
        hex,
    }
}

/// Whether the first byte of `next` needs more than skimming.
fn stops(next: &[u8], base64: usize, rules: &Rules) -> bool {
    match next[0] {
        b'+' => rules.form,
        b'\n' | b'\r' => base64 > 0,
        b':' | b'/' => false,
        _ => Ahead {
            text: next,
            ends: false,
        }
        .may_escape(),
    }
}

/// Runs the automaton over a stretch where nothing matches, but only where a needle may begin.
struct Automaton {
    state: StateID,
    /// Whether `state` is the automaton's. If not, what is pending lies within the last bytes, fewer than the filter's window.
    runs: bool,
    /// Places from the last one on where a needle may begin.
    since: usize,
}

impl Automaton {
    fn new(state: StateID, needles: &Needles) -> Self {
        Self {
            state,
            runs: state != needles.start,
            since: 0,
        }
    }

    /// Takes `bytes[at]`; false, and nothing done, if a needle ends there.
    #[inline]
    fn step(&mut self, bytes: &[u8], at: usize, needles: &Needles) -> bool {
        let begins = needles.begins().pair(bytes, at) && needles.filter().begins(&bytes[at..]);
        if !begins && !self.runs {
            return true;
        }
        self.run(begins, bytes[at], needles)
    }

    fn run(&mut self, begins: bool, byte: u8, needles: &Needles) -> bool {
        let from = if self.runs { self.state } else { needles.start };
        let next = needles.next(from, byte);
        if needles.is_match(next) {
            return false;
        }
        self.state = next;
        self.since = if begins { 0 } else { self.since + 1 };
        let window = needles.filter().window();
        self.runs = self.since + 1 < window || needles.depth(next) >= window;
        true
    }

    /// The automaton's state, where `taken` are the bytes taken.
    fn state(&self, taken: &[u8], needles: &Needles) -> StateID {
        if self.runs {
            return self.state;
        }
        let last = taken.len().saturating_sub(needles.filter().window() - 1);
        let last = taken[last..].iter();
        last.fold(needles.start, |state, byte| needles.next(state, *byte))
    }
}
