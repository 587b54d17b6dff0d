//! The tree of readings. Each reading scans its own text and feeds the readings one decoder further.
//!
//! A decoder that has nothing to decode makes the same text again, so a reading exists only while its text
//! differs from its parent's as far as the scanner can see: it wakes at an escape (as a copy of its parent,
//! siblings included, as they stood before it) and goes when both scanners are in the same state for the same
//! symbols. base64 and hex readings live as long as their run.

mod runs;

pub(super) use runs::{Gap, OpenRun};

use std::collections::VecDeque;

use runs::Run;

use super::ahead::Ahead;
use super::chain::{Chain, Decoder};
use super::decode::{Decode, Decoded};
use super::found::Findings;
use super::history::History;
use super::needle::Needles;
use super::scan::Scan;
use super::skim::{Rules, Skimmed, skim};
use super::symbol::{Stretch, Sym, class};

/// One reading, and those below it.
#[derive(Clone)]
pub(super) struct Reading {
    chain: Chain,
    scan: Scan,
    base64: Run,
    hex: Run,
    below: Vec<Below>,
}

/// A reading below another, with the decoder between.
#[derive(Clone)]
struct Below {
    decoder: Decoder,
    decode: Decode,
    /// Symbols let through since the last decoded one.
    since: usize,
    /// Of the root text: JSON's decoder has read what is a gap for all others. No copy for another decoder may see what came of
    /// it; once the text is JSON no more, one that has not read it stands beside.
    over_gap: bool,
    reading: Reading,
}

impl Reading {
    /// The raw text.
    pub fn root(needles: &Needles) -> Self {
        let raw = History::Raw {
            bytes: VecDeque::new(),
            end: 0,
        };
        Self::new(Chain::ROOT, needles, raw)
    }

    fn new(chain: Chain, needles: &Needles, history: History) -> Self {
        Self {
            chain,
            scan: Scan::new(&chain, needles, history),
            base64: Run::default(),
            hex: Run::default(),
            below: Vec::new(),
        }
    }

    /// Takes the next symbol.
    pub fn push(&mut self, sym: &Sym, form: bool, needles: &Needles, findings: &mut Findings) {
        let class = class::OF[usize::from(sym.byte)];
        if class & class::ESCAPE != 0 && !sym.inert {
            self.wake(sym.byte, form, needles, findings);
            if sym.byte == b'\\' && self.chain.decoders().is_empty() {
                self.scan.leave_escape();
            }
        }
        let keep = self.base64.unread().max(self.hex.unread()) + 1;
        self.scan.step(sym, &self.chain, keep, needles, findings);
        self.base64_run(sym, class, needles, findings);
        self.hex_run(sym, class, needles, findings);
        if self.below.is_empty() {
            return;
        }
        for below in &mut self.below {
            if !below.decoder.is_layer() {
                below.push(sym, needles, findings);
            }
        }
        self.sleep(needles);
    }

    /// Takes what its decoder made; `since` counts the symbols let through since the last that was not.
    fn take(
        &mut self,
        decoded: &Decoded,
        since: &mut usize,
        needles: &Needles,
        findings: &mut Findings,
    ) {
        let sym = match decoded {
            Decoded::Literal(sym) => {
                *since = since.saturating_add(1);
                sym
            }
            Decoded::Byte(sym) => {
                *since = 0;
                sym
            }
            Decoded::Nothing => {
                *since = 0;
                return;
            }
        };
        self.push(sym, false, needles, findings);
    }

    /// Takes `stretch[from..to]`.
    pub fn push_stretch(
        &mut self,
        stretch: &Stretch<'_>,
        (from, to): (usize, usize),
        form: bool,
        needles: &Needles,
        findings: &mut Findings,
    ) {
        let mut at = from;
        while at < to {
            at = self.skim(stretch, (at, to), form, needles, findings);
            if at < to {
                let mut sym = stretch.sym(at);
                if class::OF[usize::from(sym.byte)] & class::ESCAPE != 0 {
                    let ahead = Ahead {
                        text: &stretch.bytes[at..],
                        ends: false,
                    };
                    sym.inert = sym.byte != b'+' && !ahead.may_escape();
                }
                self.push(&sym, form, needles, findings);
                at += 1;
            }
        }
    }

    /// Takes symbols while nothing can come of them but the scanner's state and the length of runs, and returns where it
    /// stopped. Does what `push` does, faster.
    fn skim(
        &mut self,
        stretch: &Stretch<'_>,
        (from, to): (usize, usize),
        form: bool,
        needles: &Needles,
        findings: &mut Findings,
    ) -> usize {
        let run = &self.base64;
        let only_runs = self.below.iter().all(|below| below.decoder.is_base64());
        if !only_runs
            || !self.scan.waits.is_empty()
            || self.hex.read
            || run.padding
            || run.gap != Gap::None
        {
            return from;
        }
        let begun = Skimmed {
            at: from,
            state: self.scan.state,
            authority: self.scan.authority,
            base64: run.chars,
            hex: self.hex.chars,
        };
        let rules = Rules {
            form,
            in_run: run.read,
        };
        let skimmed = skim(&stretch.bytes[..to], &begun, &rules, needles);
        let at = skimmed.at;
        let taken = at - from;
        if taken > 0 {
            findings.work += taken as u64;
            self.base64.count_to(skimmed.base64, taken);
            self.hex.count_to(skimmed.hex, taken);
            let keep = self.base64.unread().max(self.hex.unread());
            self.scan.skip(stretch, (from, at), &skimmed, keep, needles);
            if self.base64.read {
                for below in &mut self.below {
                    below.push_run(stretch, (from, at), needles, findings);
                }
            }
        }
        at
    }

    /// For the root text: takes a JSON escape of two bytes that stands for `byte`, if its reading need not exist for it.
    /// Whether it did.
    pub fn pass_escape(&mut self, byte: u8, needles: &Needles, findings: &mut Findings) -> bool {
        let class = class::OF[usize::from(byte)];
        // A character of a run begins one, a line break goes on with one.
        let in_run = class & class::BASE64 != 0
            || (class & class::LINE_BREAK != 0 && self.base64.symbols > 0);
        if !self.below.is_empty() || in_run {
            return false;
        }
        let passed = self
            .scan
            .escape(byte, &self.chain.with_json_first(), needles, findings);
        if passed {
            self.base64 = Run::default();
            self.hex = Run::default();
        }
        passed
    }

    /// Takes a byte of a JSON string's escape: only the JSON decoder may read it.
    pub fn push_escape(&mut self, sym: &Sym, needles: &Needles, findings: &mut Findings) {
        let json = |below: &Below| below.decoder == Decoder::Json;
        if sym.byte == b'\\' && !self.below.iter().any(json) {
            self.wake(b'\\', false, needles, findings);
        }
        self.scan.leave_escape();
        self.gap_here(needles, findings);
        for below in &mut self.below {
            if below.decoder == Decoder::Json {
                // Even an escape that is none makes its text another: above there is a gap.
                below.since = 0;
                below.over_gap = true;
                below.push(sym, needles, findings);
            } else {
                below.gap(needles, findings);
            }
        }
    }

    /// Whether nothing is under way here, and no reading below exists.
    pub fn is_idle(&self, needles: &Needles) -> bool {
        self.below.is_empty()
            && self.base64.symbols == 0
            && self.hex.symbols == 0
            && self.scan.waits.is_empty()
            && needles.depth(self.scan.state) == 0
    }

    /// For the root text: goes on at `at` after text of which nothing matters but its last byte.
    pub fn begin_anew(&mut self, last: u8, at: u64, needles: &Needles) {
        let last = History::Raw {
            bytes: VecDeque::from([last]),
            end: at,
        };
        *self = Self::new(Chain::ROOT, needles, last);
    }

    /// The text ends.
    pub fn end(&mut self, needles: &Needles, findings: &mut Findings) {
        self.scan.end(findings);
        for mut below in std::mem::take(&mut self.below) {
            below.end(needles, findings);
        }
        self.base64 = Run::default();
        self.hex = Run::default();
    }

    /// First raw byte that may still be replaced, in this reading or one below.
    pub fn pending(&self, needles: &Needles) -> Option<u64> {
        let unread = self.base64.unread().max(self.hex.unread());
        let run = (unread > 0).then(|| {
            self.scan
                .history
                .get(self.scan.history.len() - unread)
                .start
        });
        let own = self.scan.pending(needles).into_iter().chain(run);
        let below = self.below.iter().filter_map(|below| below.pending(needles));
        own.chain(below).min()
    }

    fn gap_here(&mut self, needles: &Needles, findings: &mut Findings) {
        self.scan.gap(needles, findings);
        self.end_runs(Decoder::is_layer, needles, findings);
        self.base64 = Run::default();
        self.hex = Run::default();
    }

    fn gap(&mut self, needles: &Needles, findings: &mut Findings) {
        self.gap_here(needles, findings);
        for below in &mut self.below {
            below.gap(needles, findings);
        }
    }

    /// Ends and drops the readings of runs that `which` names.
    fn end_runs(&mut self, which: fn(Decoder) -> bool, needles: &Needles, findings: &mut Findings) {
        self.below.retain_mut(|below| {
            let ends = which(below.decoder);
            if ends {
                below.end(needles, findings);
            }
            !ends
        });
    }

    // --- escapes ---

    /// An escape of some decoder begins: makes sure that its reading exists.
    fn wake(&mut self, byte: u8, form: bool, needles: &Needles, findings: &mut Findings) {
        let decoders: &[Decoder] = match byte {
            b'\\' => &[Decoder::Json],
            b'%' if form => &[Decoder::Percent, Decoder::FormPercent],
            b'%' => &[Decoder::Percent],
            b'+' if form => &[Decoder::FormPercent],
            b'&' => &[Decoder::Html],
            b'=' => &[Decoder::QuotedPrintable],
            _ => &[],
        };
        // The reading that an escape was passed without must exist where what it read can still matter.
        if byte != b'\\' && self.scan.near_escape(needles) {
            self.wake(b'\\', false, needles, findings);
        }
        // Copies are of the readings as they stood before any of these woke.
        let as_it_stood = self.below.len();
        for decoder in decoders {
            let exists = |below: &Below| below.decoder == *decoder && !below.over_gap;
            if self.below.iter().any(exists) {
                continue;
            }
            let Some(mut chain) = self.chain.then(*decoder) else {
                continue;
            };
            chain.anew |= self.below.iter().any(|below| below.decoder == *decoder);
            self.below.push(Below {
                decoder: *decoder,
                decode: Decode::new(*decoder, chain.layers()),
                since: usize::MAX,
                over_gap: false,
                reading: self.copy(chain, needles, as_it_stood, findings),
            });
        }
    }

    /// This reading, its first `siblings` readings below included, as the reading `chain`.
    fn copy(
        &self,
        chain: Chain,
        needles: &Needles,
        siblings: usize,
        findings: &mut Findings,
    ) -> Self {
        if let Some(pending) = self.pending(needles) {
            findings.adopt(&self.chain, &chain, pending);
        }
        self.copy_after_adoption(chain, needles, siblings, findings)
    }

    fn copy_after_adoption(
        &self,
        chain: Chain,
        needles: &Needles,
        siblings: usize,
        findings: &mut Findings,
    ) -> Self {
        let keep = self.base64.unread().max(self.hex.unread());
        let below = self.below[..siblings].iter().filter_map(|below| {
            let chain = chain.then(below.decoder).filter(|_| !below.over_gap)?;
            let (reading, all) = (&below.reading, below.reading.below.len());
            Some(Below {
                decoder: below.decoder,
                decode: below.decode.clone(),
                since: below.since,
                over_gap: false,
                // What was found in a run was adopted with its text's.
                reading: if below.decoder.is_layer() {
                    reading.copy_after_adoption(chain, needles, all, findings)
                } else {
                    reading.copy(chain, needles, all, findings)
                },
            })
        });
        Self {
            chain,
            scan: self.scan.for_reading(&chain, needles, keep),
            base64: self.base64.clone(),
            hex: self.hex.clone(),
            below: below.collect(),
        }
    }

    /// Drops the readings of escapes once none of them differs from this one any more. All or none: a copy made later
    /// must find its siblings as they would be in its own text.
    fn sleep(&mut self, needles: &Needles) {
        if !self.scan.waits.is_empty() {
            return;
        }
        let runs = (&self.base64, &self.hex);
        let in_step =
            |below: &Below| below.decoder.is_layer() || below.in_step(&self.scan, runs, needles);
        if self.below.iter().all(in_step) {
            self.below.retain(|below| below.decoder.is_layer());
        }
    }
}

impl Below {
    /// First raw byte that may still be replaced, in what is held or in the reading.
    fn pending(&self, needles: &Needles) -> Option<u64> {
        let held = self.decode.pending();
        held.into_iter().chain(self.reading.pending(needles)).min()
    }

    fn push(&mut self, sym: &Sym, needles: &Needles, findings: &mut Findings) {
        let Self {
            decode,
            since,
            reading,
            ..
        } = self;
        decode.push(sym, &mut |decoded| {
            reading.take(&decoded, since, needles, findings);
        });
    }

    /// Takes `above[from..to]`, all characters of the run.
    fn push_run(
        &mut self,
        above: &Stretch<'_>,
        (from, to): (usize, usize),
        needles: &Needles,
        findings: &mut Findings,
    ) {
        let mut at = from;
        if let Decode::Base64(base64) = &self.decode {
            let (first, bytes) = base64.whole_groups(above, from, to);
            for at in from..first {
                self.push(&above.sym(at), needles, findings);
            }
            at = first;
            if let Decode::Base64(base64) = &mut self.decode
                && !bytes.is_empty()
            {
                let stretch = base64.stretch(above, first, &bytes);
                self.reading
                    .push_stretch(&stretch, (0, bytes.len()), false, needles, findings);
                at = first + bytes.len() / 3 * 4;
            }
        }
        for at in at..to {
            self.push(&above.sym(at), needles, findings);
        }
    }

    fn flush(&mut self, needles: &Needles, findings: &mut Findings) {
        let Self {
            decode,
            since,
            reading,
            ..
        } = self;
        decode.flush(&mut |decoded| {
            reading.take(&decoded, since, needles, findings);
        });
    }

    fn gap(&mut self, needles: &Needles, findings: &mut Findings) {
        self.flush(needles, findings);
        self.reading.gap(needles, findings);
        self.since = usize::MAX;
    }

    fn end(&mut self, needles: &Needles, findings: &mut Findings) {
        self.flush(needles, findings);
        self.reading.end(needles, findings);
    }

    /// Whether this reading cannot find anything from here on that the one above it does not find as well.
    fn in_step(&self, above: &Scan, runs: (&Run, &Run), needles: &Needles) -> bool {
        let own = &self.reading;
        let window = own
            .scan
            .window(needles)
            .max(own.base64.symbols)
            .max(own.hex.symbols);
        self.since > window
            && self.decode.is_idle()
            && own.below.is_empty()
            // What stands before a match in its run decides whether it stands in text.
            && own.base64.chars == runs.0.chars
            && own.hex.chars == runs.1.chars
            && own.scan.waits.is_empty()
            && own.scan.state == above.state
            && own.scan.authority == above.authority
            && (own.scan.edge() == above.edge() || !own.scan.near_escape(needles))
    }
}
