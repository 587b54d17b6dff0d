//! Scanning one reading: the automaton's state, the symbols that may still belong to a match, and the matches
//! that wait for what follows them.

use aho_corasick::automaton::StateID;

use super::authority::Authority;
use super::chain::Chain;
use super::found::{Findings, Found};
use super::history::History;
use super::needle::{Kind, Needles, Rule};
use super::skim::Skimmed;
use super::symbol::{Stretch, Sym};
use super::wait::{Fate, Wait};
use super::word::{self, BESIDE, LONGEST_CHAR};

/// What stands before the first symbol of a history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nothing: the text begins.
    Text,
    /// A gap: bytes that this reading may not read.
    Gap,
    /// For the root text: a gap that the reading of JSON escapes, which does not exist because it would do nothing else,
    /// reads as one byte that is no word character. For that reading: that byte.
    Escape,
}

/// The scanner of one reading.
#[derive(Clone)]
pub(super) struct Scan {
    pub state: StateID,
    pub history: History,
    edge: Edge,
    pub authority: Authority,
    pub waits: Vec<Wait>,
    /// How many symbols before a match decide whether it counts.
    beside: usize,
}

impl Scan {
    pub fn new(chain: &Chain, needles: &Needles, history: History) -> Self {
        let in_layer = chain.layers() > 0;
        Self {
            beside: if in_layer { BESIDE } else { LONGEST_CHAR },
            state: needles.start,
            history,
            edge: Edge::Text,
            authority: Authority::default(),
            waits: Vec::new(),
        }
    }

    /// The same scanner for the reading `chain`, with only as much history as can matter.
    pub fn for_reading(&self, chain: &Chain, needles: &Needles, keep: usize) -> Self {
        let mut waits = self.waits.clone();
        for wait in &mut waits {
            wait.found.chain = *chain;
        }
        let history = self.history.tail(self.window(needles).max(keep));
        let edge = match self.edge {
            // What stood there is beyond what can matter.
            _ if history.len() < self.history.len() => Edge::Text,
            Edge::Escape if !chain.begins_with_json() => Edge::Gap,
            edge => edge,
        };
        Self {
            state: self.state,
            history,
            edge,
            authority: self.authority,
            waits,
            beside: self.beside,
        }
    }

    /// How many of the last symbols decide what this scanner will find.
    pub fn window(&self, needles: &Needles) -> usize {
        needles.depth(self.state) + self.beside
    }

    /// Takes the next symbol. `keep`: how many of the last symbols the caller wants kept besides.
    #[inline]
    pub fn step(
        &mut self,
        sym: &Sym,
        chain: &Chain,
        keep: usize,
        needles: &Needles,
        findings: &mut Findings,
    ) {
        findings.work += 1 + self.waits.len() as u64 / 8;
        if !self.waits.is_empty() {
            let closing = findings.closing;
            self.settle(findings, |wait| wait.take(sym, closing));
        }
        self.authority.step(sym.byte);
        self.history.push(sym);
        self.state = needles.next(self.state, sym.byte);
        if needles.is_match(self.state) {
            self.matched(chain, needles, findings);
        }
        if self.history.len() > 64 {
            let keep = keep.max(self.window(needles));
            if self.history.len() > 2 * keep + 32 {
                self.trim(keep);
            }
        }
    }

    /// Forgets all but the last `keep` symbols: what stood before them is beyond what can matter.
    fn trim(&mut self, keep: usize) {
        self.history.trim(keep);
        self.edge = Edge::Text;
    }

    /// A gap: nothing matches across it, and no word ends at it.
    pub fn gap(&mut self, needles: &Needles, findings: &mut Findings) {
        self.settle(findings, Wait::at_gap);
        self.state = needles.start;
        self.history.clear();
        self.edge = Edge::Gap;
        self.authority = Authority::default();
    }

    /// For the root text: a gap that reads as `byte` in the reading of JSON escapes, if that reading need not exist for it:
    /// nothing is pending after the byte, and it is no part of a word or of a URL's authority. Whether it was so.
    pub fn escape(
        &mut self,
        byte: u8,
        chain: &Chain,
        needles: &Needles,
        findings: &mut Findings,
    ) -> bool {
        let mut authority = self.authority;
        authority.step(byte);
        if needles.next(self.state, byte) != needles.start || authority != Authority::default() {
            return false;
        }
        // What is a word only if it ends here ends at a byte that is no word character: in the reading of escapes.
        self.settle(findings, |wait| match wait.at_gap() {
            Fate::Drop if wait.authority.is_none() => {
                wait.found.chain = *chain;
                Fate::Count
            }
            fate => fate,
        });
        self.gap(needles, findings);
        self.edge = Edge::Escape;
        true
    }

    pub fn edge(&self) -> Edge {
        self.edge
    }

    /// For the root text: another escape begins, perhaps, so that the reading of JSON escapes exists now. What was found behind a passed
    /// escape is that reading's to judge, which has it too; and so is what goes on over this one.
    pub fn leave_escape(&mut self) {
        if self.edge == Edge::Escape {
            self.edge = Edge::Gap;
        }
        self.waits
            .retain(|wait| wait.found.chain.decoders().is_empty());
    }

    /// Whether what stands before an escape that was passed by `escape` can still matter.
    pub fn near_escape(&self, needles: &Needles) -> bool {
        self.edge == Edge::Escape && self.history.len() <= self.window(needles)
    }

    /// Takes `stretch[from..to]`, of which the caller knows that nothing matches in it: what it leads to.
    pub fn skip(
        &mut self,
        stretch: &Stretch<'_>,
        (from, to): (usize, usize),
        skipped: &Skimmed,
        keep: usize,
        needles: &Needles,
    ) {
        self.state = skipped.state;
        self.authority = skipped.authority;
        let keep = keep.max(self.window(needles)) + 1;
        if to - from >= keep {
            self.history.extend(stretch, to - keep, to);
            self.trim(keep);
        } else {
            self.history.extend(stretch, from, to);
            if self.history.len() > 2 * keep + 32 {
                self.trim(keep);
            }
        }
    }

    /// The text ends.
    pub fn end(&mut self, findings: &mut Findings) {
        self.settle(findings, Wait::at_end);
    }

    /// First raw byte that may still be replaced.
    pub fn pending(&self, needles: &Needles) -> Option<u64> {
        let depth = needles.depth(self.state);
        let prefix = (depth > 0).then(|| self.history.get(self.history.len() - depth).start);
        let waiting = self.waits.iter().map(|wait| wait.found.start()).min();
        prefix.into_iter().chain(waiting).min()
    }

    fn matched(&mut self, chain: &Chain, needles: &Needles, findings: &mut Findings) {
        for pattern in needles.matches(self.state) {
            let at = self.history.len() - pattern.len;
            if !pattern.is_exact(|i| self.history.byte(at + i)) {
                continue;
            }
            let word = pattern.kind != Kind::Value(Rule::Anywhere);
            if word && pattern.edges.0 && self.word_char_before(at) {
                continue;
            }
            let value = pattern.kind != Kind::Key;
            if word && value && chain.layers() > 0 && !word::is_text(&self.before::<BESIDE>(at)) {
                continue;
            }
            // At a passed escape it is a word only in the reading of JSON escapes.
            let by_escape = word && pattern.edges.0 && at == 0 && self.edge == Edge::Escape;
            let (first, last) = (
                self.history.get(at),
                self.history.get(self.history.len() - 1),
            );
            let found = Found {
                chain: if by_escape {
                    chain.with_json_first()
                } else {
                    *chain
                },
                name: pattern.name,
                rank: pattern.rank,
                first,
                last,
                literal: last.end - first.start == pattern.len as u64,
            };
            if word && value && found.literal && findings.opaque.holds(found.start(), found.end()) {
                continue;
            }
            if word {
                self.waits.push(Wait::new(found, pattern, self.authority));
            } else {
                findings.values.push(found);
            }
        }
    }

    fn word_char_before(&self, at: usize) -> bool {
        if at == 0 {
            return self.edge == Edge::Gap;
        }
        word::ends_with_word_char(&self.before::<LONGEST_CHAR>(at))
    }

    /// The last bytes before the one at `at`, at most `N`.
    fn before<const N: usize>(&self, at: usize) -> Vec<u8> {
        let from = at.saturating_sub(N);
        (from..at).map(|i| self.history.byte(i)).collect()
    }

    fn settle(&mut self, findings: &mut Findings, mut fate: impl FnMut(&mut Wait) -> Fate) {
        self.waits.retain_mut(|wait| match fate(wait) {
            Fate::Wait => true,
            Fate::Drop => false,
            Fate::Exempt => {
                let found = &wait.found;
                findings
                    .exempt
                    .push((found.start(), found.end(), found.rank));
                false
            }
            Fate::Count if wait.key => {
                findings.keys.push(wait.found.clone());
                false
            }
            Fate::Count => {
                findings.values.push(wait.found.clone());
                false
            }
        });
    }
}
