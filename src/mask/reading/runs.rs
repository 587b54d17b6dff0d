//! Runs of base64 and hex characters: when they are long enough to be read, and the readings of them.

use std::collections::VecDeque;

use super::super::authority::Authority;
use super::super::chain::Decoder;
use super::super::decode::{Base64, Decode};
use super::super::found::Findings;
use super::super::history::History;
use super::super::needle::Needles;
use super::super::scan::Scan;
use super::super::symbol::{Sym, class};
use super::{Below, Reading};

/// Blanks after a line break inside a base64 run.
const LONGEST_INDENT: u8 = 64;

/// A run of base64 or hex characters under way.
#[derive(Clone, Default)]
pub(super) struct Run {
    /// Characters of the alphabet.
    pub chars: usize,
    /// Symbols, line breaks included; 0 if there is no run.
    pub symbols: usize,
    /// It is long enough to hold a value: readings of it exist.
    pub read: bool,
    pub gap: Gap,
    pub padding: bool,
}

/// A run of the root text that is read from its middle on.
pub struct OpenRun {
    /// Where it begins in the raw text.
    start: u64,
    /// Characters before the place.
    chars: usize,
    /// Some of them are of the URL-safe alphabet.
    url_safe: bool,
}

impl OpenRun {
    /// A run that begins at `start`, nothing of it passed.
    pub fn new(start: u64) -> Self {
        Self {
            start,
            chars: 0,
            url_safe: false,
        }
    }

    /// Passes over characters.
    pub fn take(&mut self, chars: &[u8]) {
        self.chars += chars.len();
        self.url_safe |= memchr::memchr2(b'-', b'_', chars).is_some();
    }
}

/// White space inside a base64 run: one line break, and blanks after it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Gap {
    #[default]
    None,
    Cr,
    Blanks(u8),
}

impl Gap {
    /// The gap with one more byte, if it can be one.
    pub fn with(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::None, b'\r') => Some(Self::Cr),
            (Self::None | Self::Cr, b'\n') => Some(Self::Blanks(0)),
            (Self::Blanks(n), b' ' | b'\t') if n < LONGEST_INDENT => Some(Self::Blanks(n + 1)),
            _ => None,
        }
    }
}

impl Run {
    /// `taken` symbols later the run has `chars` characters.
    pub fn count_to(&mut self, chars: usize, taken: usize) {
        if chars == self.chars + taken {
            self.symbols += taken;
        } else {
            self.symbols = chars;
        }
        self.chars = chars;
    }

    /// Symbols of a run that is not read yet, and so must be kept.
    pub fn unread(&self) -> usize {
        if self.read { 0 } else { self.symbols }
    }

    /// Whether the symbol continues the run as white space.
    fn takes_gap(&mut self, byte: u8) -> bool {
        let gap = self.gap.with(byte);
        self.gap = gap.unwrap_or(self.gap);
        gap.is_some()
    }
}

impl Reading {
    /// The run of base64 that is read, if there is one without white space at hand.
    pub fn open_run(&self) -> Option<OpenRun> {
        let run = &self.base64;
        let whole = run.read && run.gap == Gap::None && !run.padding;
        let below = self.below.first().filter(|_| whole)?;
        let Decode::Base64(base64) = &below.decode else {
            return None;
        };
        let (start, url_safe) = base64.begun()?;
        Some(OpenRun {
            start,
            chars: run.chars,
            url_safe,
        })
    }

    /// Whether a run of base64 is read, and all that is under way, here and in it, began at the raw byte `from` or later.
    pub fn is_idle_in_run(&self, from: u64, needles: &Needles) -> bool {
        let at_rest = |scan: &Scan| scan.waits.is_empty() && scan.authority == Authority::default();
        let only_run = |below: &Below| {
            below.decoder.is_base64()
                && below.reading.below.is_empty()
                && at_rest(&below.reading.scan)
        };
        self.open_run().is_some()
            && self.below.iter().all(only_run)
            && at_rest(&self.scan)
            && self.pending(needles).is_none_or(|first| first >= from)
    }

    /// For the root text, begun anew after a character of `run`: reads that from here on.
    pub fn enter_run(&mut self, run: &OpenRun, needles: &Needles) {
        self.base64 = Run {
            chars: run.chars,
            symbols: run.chars,
            read: true,
            ..Run::default()
        };
        for phase in 0..4 {
            let decoder = Decoder::Base64(phase);
            let Some(chain) = self.chain.then(decoder) else {
                continue;
            };
            let base64 = Base64::inside(phase, run.start, run.chars, run.url_safe);
            self.below.push(Below {
                decoder,
                decode: Decode::Base64(base64),
                since: 0,
                over_gap: false,
                reading: Self::new(chain, needles, History::Decoded(VecDeque::new())),
            });
        }
    }

    pub fn base64_run(&mut self, sym: &Sym, class: u8, needles: &Needles, findings: &mut Findings) {
        let run = &mut self.base64;
        let in_alphabet = class & class::BASE64 != 0;
        if run.symbols > 0 {
            if in_alphabet && !run.padding && run.gap != Gap::Cr {
                run.gap = Gap::None;
                return self.base64_char(sym, needles, findings);
            }
            if sym.byte == b'=' && run.gap == Gap::None && run.read {
                run.padding = true;
                return self.push_run(Decoder::is_base64, sym, needles, findings);
            }
            if !run.padding && run.takes_gap(sym.byte) {
                run.symbols += 1;
                return;
            }
            if run.read {
                self.end_runs(Decoder::is_base64, needles, findings);
            }
            self.base64 = Run::default();
        }
        if in_alphabet {
            self.base64_char(sym, needles, findings);
        }
    }

    fn base64_char(&mut self, sym: &Sym, needles: &Needles, findings: &mut Findings) {
        let run = &mut self.base64;
        run.chars += 1;
        run.symbols += 1;
        if run.read {
            return self.push_run(Decoder::is_base64, sym, needles, findings);
        }
        if run.chars == needles.base64_run() {
            run.read = true;
            let symbols = run.symbols;
            for phase in 0..4 {
                self.read_run(
                    Decoder::Base64(phase),
                    symbols,
                    class::BASE64,
                    needles,
                    findings,
                );
            }
        }
    }

    pub fn hex_run(&mut self, sym: &Sym, class: u8, needles: &Needles, findings: &mut Findings) {
        let run = &mut self.hex;
        let is_hex = |d: Decoder| matches!(d, Decoder::Hex(_));
        if class & class::HEX == 0 {
            if run.read {
                self.end_runs(is_hex, needles, findings);
            }
            self.hex = Run::default();
            return;
        }
        run.chars += 1;
        run.symbols += 1;
        if run.read {
            return self.push_run(is_hex, sym, needles, findings);
        }
        if run.chars == needles.hex_run() {
            run.read = true;
            let symbols = run.symbols;
            for phase in 0..2 {
                self.read_run(Decoder::Hex(phase), symbols, class::HEX, needles, findings);
            }
        }
    }

    /// Starts to read the run of the last `symbols` symbols, of which those of class `alphabet` count.
    fn read_run(
        &mut self,
        decoder: Decoder,
        symbols: usize,
        alphabet: u8,
        needles: &Needles,
        findings: &mut Findings,
    ) {
        let Some(chain) = self.chain.then(decoder) else {
            return;
        };
        let mut below = Below {
            decoder,
            decode: Decode::new(decoder, chain.layers() - 1),
            since: 0,
            over_gap: false,
            reading: Self::new(chain, needles, History::Decoded(VecDeque::new())),
        };
        let history = &self.scan.history;
        for at in history.len() - symbols..history.len() {
            let sym = history.get(at);
            if class::OF[usize::from(sym.byte)] & alphabet != 0 {
                below.push(&sym, needles, findings);
            }
        }
        self.below.push(below);
    }

    fn push_run(
        &mut self,
        which: fn(Decoder) -> bool,
        sym: &Sym,
        needles: &Needles,
        findings: &mut Findings,
    ) {
        for below in &mut self.below {
            if which(below.decoder) {
                below.push(sym, needles, findings);
            }
        }
    }
}
