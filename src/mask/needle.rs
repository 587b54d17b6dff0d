//! The set of needles, and the automaton that finds them.
//!
//! A built set holds the values in clear inside the automaton: it is not `Debug`, lives behind one `Arc`,
//! and is never serialised.

use std::sync::Arc;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, dfa, nfa};
use zeroize::Zeroizing;

use super::begins::{Begins, Filter};
use super::groups::Groups;
use super::plain::Windows;
use super::{Hits, Refusal, Signed, Stream, Syntax, word};

/// A name that values are masked under, numbered in the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u32);

/// Where a value counts as an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anywhere in the text.
    Anywhere,
    /// As a whole word; and not in the host of a URL, as a whole JSON key, or as the whole value of the members
    /// `role`, `type`, `model`, `id`, `object` and `status`.
    Word,
}

/// Collects names and values; `build` makes the `Masker`.
#[derive(Default)]
pub struct Builder {
    names: Vec<Name>,
    values: Vec<Value>,
}

struct Value {
    text: Zeroizing<Vec<u8>>,
    name: NameId,
    rule: Rule,
    any_case: bool,
}

struct Name {
    key: String,
    replacement: String,
}

impl Builder {
    /// Registers a placeholder: `key` as a whole word is left alone where it stands in a text, `replacement` is
    /// written in place of a value.
    ///
    /// # Panics
    /// With more than 2^32 names.
    pub fn name(&mut self, key: &str, replacement: &str) -> NameId {
        let id = NameId(u32::try_from(self.names.len()).expect("fewer than 2^32 names"));
        self.names.push(Name {
            key: key.to_owned(),
            replacement: replacement.to_owned(),
        });
        id
    }

    /// Registers a value under a name. Of two names with the same value the earlier registration is written.
    /// An empty value is ignored.
    pub fn value(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.add(name, value, rule, false);
    }

    /// As [`value`](Self::value), for a value that counts in any case of its ASCII letters.
    pub fn value_any_case(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.add(name, value, rule, true);
    }

    fn add(&mut self, name: NameId, value: &[u8], rule: Rule, any_case: bool) {
        if !value.is_empty() {
            self.values.push(Value {
                text: Zeroizing::new(value.to_vec()),
                name,
                rule,
                any_case,
            });
        }
    }

    /// Builds the masker. Costs time and memory in proportion to the needles' total length.
    #[must_use]
    pub fn build(self) -> Masker {
        Masker(Arc::new(Needles::new(self)))
    }
}

/// An immutable set of needles. Clones share it.
#[derive(Clone)]
pub struct Masker(pub(super) Arc<Needles>);

impl Masker {
    /// Starts a collection of needles.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.shortest == 0
    }

    /// Starts one pass over one text, in which signed blocks are masked like all else.
    #[must_use]
    pub fn stream(&self, syntax: Syntax) -> Stream {
        self.stream_with(syntax, Signed::Mask)
    }

    /// Starts one pass over one text.
    #[must_use]
    pub fn stream_with(&self, syntax: Syntax, signed: Signed) -> Stream {
        Stream::new(Arc::clone(&self.0), syntax, signed)
    }

    /// Masks one whole text; `None` if nothing was found.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn mask(&self, text: &[u8], syntax: Syntax) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        let mut stream = self.stream(syntax);
        let mut out = Vec::new();
        stream.push(bytes::Bytes::copy_from_slice(text), &mut out)?;
        stream.finish(&mut out)?;
        if stream.hits().is_empty() {
            return Ok(None);
        }
        Ok(Some((out.concat(), stream.hits().clone())))
    }
}

/// What a pattern of the automaton stands for.
pub(super) struct Pattern {
    pub len: usize,
    /// Index of the name; and for values the rank of their registration.
    pub name: NameId,
    pub rank: u32,
    pub kind: Kind,
    /// Its first and last character are word characters, so that what stands beside them matters.
    pub edges: (bool, bool),
    /// Its own text, where the automaton knows it without case but it counts as it is only.
    exact: Option<Zeroizing<Box<[u8]>>>,
}

impl Pattern {
    /// Whether it is what the automaton found it for, `byte` being the byte at a place of the match.
    pub fn is_exact(&self, byte: impl Fn(usize) -> u8) -> bool {
        let same = |text: &Zeroizing<Box<[u8]>>| {
            let mut bytes = text.iter().enumerate();
            bytes.all(|(at, own)| byte(at) == *own)
        };
        self.exact.as_ref().is_none_or(same)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Value(Rule),
}

enum Engine {
    Dfa(dfa::DFA),
    Nfa(nfa::contiguous::NFA),
}

/// Total needle bytes up to which the automaton is a DFA: one load a byte, at up to 1 KiB a state.
const DFA_BYTES: usize = 16 * 1024;

/// The built set.
pub(super) struct Needles {
    engine: Engine,
    patterns: Vec<Pattern>,
    /// Length of the needle prefix that a state stands for, by `state >> shift`.
    depth: Vec<u32>,
    /// Low bits that are zero in every state.
    shift: u32,
    pub start: StateID,
    /// Every byte as the automaton takes it: itself, or in lower case if some value counts in any case.
    fold: [u8; 256],
    filter: Filter,
    begins: Begins,
    groups: Option<Groups>,
    windows: Option<Windows>,
    replacements: Vec<String>,
    /// Length of the shortest value; 0 if there is none.
    shortest: usize,
}

impl Needles {
    fn new(builder: Builder) -> Self {
        let any_case = builder.values.iter().any(|value| value.any_case);
        let fold = folding(any_case);
        let mut texts = Vec::new();
        let mut patterns = Vec::new();
        let mut add = |text: &[u8], exact: bool, mut pattern: Pattern| {
            let folded: Vec<u8> = text.iter().map(|byte| fold[usize::from(*byte)]).collect();
            // What the automaton takes for it may be in another case.
            if exact && any_case && text.iter().any(u8::is_ascii_alphabetic) {
                pattern.exact = Some(Zeroizing::new(text.into()));
            }
            texts.push(Zeroizing::new(folded));
            patterns.push(pattern);
        };
        for (rank, value) in builder.values.iter().enumerate() {
            let pattern = pattern(&value.text, value.name, rank, Kind::Value(value.rule));
            add(&value.text, !value.any_case, pattern);
        }
        let lengths = builder.values.iter().map(|value| value.text.len());
        let shortest = lengths.min().unwrap_or(0);
        for (i, name) in builder.names.iter().enumerate() {
            if !name.key.is_empty() && shortest > 0 {
                let id = NameId(u32::try_from(i).expect("checked when it was registered"));
                let pattern = pattern(name.key.as_bytes(), id, i, Kind::Key);
                add(name.key.as_bytes(), true, pattern);
            }
        }
        let engine = Engine::new(&texts);
        let start = engine.start();
        let (depth, shift) = depths(&engine, &texts);
        Self {
            engine,
            patterns,
            depth,
            shift,
            start,
            filter: Filter::new(&texts, fold),
            begins: Begins::new(&texts, fold),
            windows: Windows::new(&texts, any_case),
            groups: Groups::new(&texts, shortest, base64_run(shortest), any_case),
            fold,
            replacements: builder.names.into_iter().map(|n| n.replacement).collect(),
            shortest,
        }
    }

    /// Advances by one byte.
    #[inline]
    pub fn next(&self, state: StateID, byte: u8) -> StateID {
        self.engine.next(state, self.fold[usize::from(byte)])
    }

    /// After `taken` bytes of a needle brought it to `state`: where `byte` leads if a needle goes on so, and whether that
    /// one ends there.
    #[inline]
    pub fn prefix(&self, state: StateID, byte: u8, taken: usize) -> Option<(StateID, bool)> {
        let next = self.next(state, byte);
        if self.depth(next) != taken + 1 {
            return None;
        }
        let ends = self.is_match(next) && self.matches(next).any(|p| p.len == taken + 1);
        Some((next, ends))
    }

    /// Which one or two bytes begin a needle.
    pub fn begins(&self) -> &Begins {
        &self.begins
    }

    /// Which windows of bytes begin a needle, perhaps.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Which windows needles have, if none is too short.
    pub fn windows(&self) -> Option<&Windows> {
        self.windows.as_ref()
    }

    /// Which groups of base64 values have, if they are not too short.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// How many of the last bytes could be the beginning of a needle.
    #[inline]
    pub fn depth(&self, state: StateID) -> usize {
        self.depth
            .get(state.as_usize() >> self.shift)
            .map_or(0, |d| *d as usize)
    }

    /// Whether a needle ends here.
    #[inline]
    pub fn is_match(&self, state: StateID) -> bool {
        match &self.engine {
            Engine::Dfa(dfa) => dfa.is_match(state),
            Engine::Nfa(nfa) => nfa.is_match(state),
        }
    }

    /// The needles that end here.
    pub fn matches(&self, state: StateID) -> impl Iterator<Item = &Pattern> {
        let automaton: &dyn Ends = match &self.engine {
            Engine::Dfa(dfa) => dfa,
            Engine::Nfa(nfa) => nfa,
        };
        (0..automaton.count(state)).map(move |i| &self.patterns[automaton.end(state, i)])
    }

    pub fn replacement(&self, name: NameId) -> &str {
        &self.replacements[name.0 as usize]
    }

    /// Fewest base64 characters that can hold a value.
    pub fn base64_run(&self) -> usize {
        base64_run(self.shortest)
    }

    /// Fewest hex digits that can hold a value.
    pub fn hex_run(&self) -> usize {
        self.shortest * 2
    }

    pub fn is_empty(&self) -> bool {
        self.shortest == 0
    }
}

/// Fewest base64 characters that can hold a value, of which the shortest has so many bytes.
fn base64_run(shortest: usize) -> usize {
    (shortest * 4).div_ceil(3).max(2)
}

/// Every byte as itself, or ASCII letters in lower case.
fn folding(lower: bool) -> [u8; 256] {
    let mut fold = [0; 256];
    for (slot, byte) in fold.iter_mut().zip(0..=u8::MAX) {
        *slot = if lower {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
    }
    fold
}

/// The length of the needle prefix that each state stands for. The automaton's state after a needle's prefix is that
/// prefix's own, so walking every needle visits every state but the start.
fn depths(engine: &Engine, texts: &[Zeroizing<Vec<u8>>]) -> (Vec<u32>, u32) {
    let mut found = Vec::new();
    let mut low_bits = 0;
    for text in texts {
        let mut state = engine.start();
        for (byte, depth) in text.iter().zip(1..) {
            state = engine.next(state, *byte);
            low_bits |= state.as_usize();
            found.push((state.as_usize(), depth));
        }
    }
    let shift = if low_bits == 0 {
        0
    } else {
        low_bits.trailing_zeros()
    };
    let longest = found.iter().map(|(state, _)| state >> shift).max();
    let mut depths = vec![0; longest.map_or(0, |state| state + 1)];
    for (state, depth) in found {
        depths[state >> shift] = depth;
    }
    (depths, shift)
}

fn pattern(text: &[u8], name: NameId, rank: usize, kind: Kind) -> Pattern {
    Pattern {
        len: text.len(),
        name,
        rank: u32::try_from(rank).unwrap_or(u32::MAX),
        kind,
        edges: (
            word::begins_with_word_char(text),
            word::ends_with_word_char(text),
        ),
        exact: None,
    }
}

impl Engine {
    fn new(texts: &[Zeroizing<Vec<u8>>]) -> Self {
        let total: usize = texts.iter().map(|t| t.len()).sum();
        if total <= DFA_BYTES {
            let dfa = dfa::Builder::new()
                .match_kind(MatchKind::Standard)
                .prefilter(false)
                .start_kind(aho_corasick::StartKind::Unanchored)
                .build(texts.iter().map(|text| text.as_slice()));
            // Invariant: at most 16 KiB of needles are far under the automaton's limit of 2^31 states.
            return Self::Dfa(dfa.expect("a small automaton"));
        }
        let nfa = nfa::contiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(texts.iter().map(|text| text.as_slice()));
        // Invariant: the limits on secrets keep the needles under 2^31 bytes, the automaton's limit.
        Self::Nfa(nfa.expect("needles under 2 GiB"))
    }

    fn start(&self) -> StateID {
        // Invariant: both kinds are built to search unanchored.
        match self {
            Self::Dfa(dfa) => dfa.start_state(Anchored::No),
            Self::Nfa(nfa) => nfa.start_state(Anchored::No),
        }
        .expect("an unanchored start")
    }

    #[inline]
    fn next(&self, state: StateID, byte: u8) -> StateID {
        match self {
            Self::Dfa(dfa) => dfa.next_state(Anchored::No, state, byte),
            Self::Nfa(nfa) => nfa.next_state(Anchored::No, state, byte),
        }
    }
}

/// The part of `Automaton` that lists matches, as an object.
trait Ends {
    fn count(&self, state: StateID) -> usize;
    fn end(&self, state: StateID, index: usize) -> usize;
}

impl<A: Automaton> Ends for A {
    fn count(&self, state: StateID) -> usize {
        if self.is_match(state) {
            self.match_len(state)
        } else {
            0
        }
    }

    fn end(&self, state: StateID, index: usize) -> usize {
        self.match_pattern(state, index).as_usize()
    }
}
