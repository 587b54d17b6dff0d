//! What readings found, until it is settled.
//!
//! Many readings of a text full of escapes find the same again and again, and each one that wakes takes over what the one
//! above it found last. So what is found is kept by text: to take over costs what is taken over, not what was ever found.

use std::collections::{HashMap, HashSet};

use super::chain::Chain;
use super::json::StringEnd;
use super::needle::NameId;
use super::opaque::Opaque;
use super::symbol::Sym;

/// An occurrence of a value or of a key.
#[derive(Clone)]
pub(super) struct Found {
    pub chain: Chain,
    pub name: NameId,
    /// Rank of the value's registration.
    pub rank: u32,
    pub first: Sym,
    pub last: Sym,
    /// It stands in the raw text as it is.
    pub literal: bool,
}

impl Found {
    pub fn start(&self) -> u64 {
        self.first.start
    }

    pub fn end(&self) -> u64 {
        self.last.end
    }
}

/// What all readings of a text report to.
#[derive(Default)]
pub(super) struct Findings {
    pub values: Pile,
    pub keys: Pile,
    /// Values that do not count because they are the whole of a string that short values leave alone: the raw span and the
    /// rank. Other readings of the same string may find them too.
    pub exempt: Vec<(u64, u64, u32)>,
    /// The string that the raw byte at hand closes.
    pub closing: Option<StringEnd>,
    /// What is opaque of the string that the raw byte at hand stands in or closes.
    pub opaque: Opaque,
    /// Symbols scanned so far, in all readings, and findings gone through again.
    pub work: u64,
}

impl Findings {
    /// How many wait to be settled.
    pub fn len(&self) -> usize {
        self.values.all().len() + self.keys.all().len()
    }

    /// The same, each place counted once, whatever readings found something there: which ones there are depends on the pieces.
    pub fn places(&self) -> usize {
        let place = |found: &Found| (found.start(), found.end(), found.rank);
        let places = |pile: &Pile| pile.all().iter().map(place).collect::<HashSet<_>>().len();
        places(&self.values) + places(&self.keys)
    }

    /// What the reading `from` and those of its runs found at or after `start` the reading `to`, a copy of it, would have found
    /// too: it may share a base64 group with what that one finds next, or lie in what is a key in the one and not in the other.
    pub fn adopt(&mut self, from: &Chain, to: &Chain, start: u64) {
        for pile in [&mut self.values, &mut self.keys] {
            self.work += pile.adopt(from, to, start);
        }
    }
}

/// Occurrences, in the order in which they were found.
#[derive(Default)]
pub(super) struct Pile {
    all: Vec<Found>,
    /// Where in `all` those of a text and its runs are, as far as they were put in order.
    texts: HashMap<Chain, Vec<Place>>,
    ordered: usize,
}

/// Where an occurrence is, and where those of its text up to it end, at the latest.
struct Place {
    index: usize,
    reach: u64,
}

impl Pile {
    pub fn all(&self) -> &[Found] {
        &self.all
    }

    pub fn push(&mut self, found: Found) {
        self.all.push(found);
    }

    /// All of them, to be put in another order or taken away.
    pub fn rearrange(&mut self) -> &mut Vec<Found> {
        self.texts.clear();
        self.ordered = 0;
        &mut self.all
    }

    /// Adds what `Findings::adopt` says, and returns how many were looked at.
    fn adopt(&mut self, from: &Chain, to: &Chain, start: u64) -> u64 {
        let unordered = self.all.len() - self.ordered;
        for (index, found) in self.all.iter().enumerate().skip(self.ordered) {
            let places = self.texts.entry(found.chain.text()).or_default();
            let before = places.last().map_or(0, |place| place.reach);
            places.push(Place {
                index,
                reach: before.max(found.end()),
            });
        }
        self.ordered = self.all.len();
        let Some(places) = self.texts.get(&from.text()) else {
            return unordered as u64;
        };
        let near = &places[places.partition_point(|place| place.reach <= start)..];
        for place in near {
            let found = &self.all[place.index];
            if found.end() > start
                && let Some(chain) = found.chain.with_beginning(from, to)
            {
                let adopted = Found {
                    chain,
                    ..found.clone()
                };
                self.all.push(adopted);
            }
        }
        (unordered + near.len()) as u64
    }
}
