//! From occurrences to edits: which of them count, which belong together, what is written in their place.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::chain::Chain;
use super::found::{Findings, Found};
use super::needle::{NameId, Needles};
use super::signed::{Blocks, Fate};
use super::{Form, Hits, Refusal, Signed, Syntax, render};

/// Raw bytes to replace. Edits come in order and do not overlap; an insertion has `start == end`.
pub(super) struct Edit {
    pub start: u64,
    pub end: u64,
    pub text: Vec<u8>,
}

/// Settles what is certain and keeps the rest.
#[derive(Default)]
pub(super) struct Resolver {
    /// Bare JSON tokens `[start, end)` seen and not passed yet.
    pub tokens: Vec<(u64, u64)>,
    /// The edits so far.
    pub edits: Vec<Edit>,
    pub hits: Hits,
    /// What was let pass in signed blocks.
    pub passed: Hits,
    /// What is not settled waits for whether a block is signed.
    pub waits_for_signature: bool,
    held: Option<Held>,
}

/// The first cluster that is not settled, because more may belong to it.
struct Held {
    start: u64,
    /// Where it ends, at the earliest.
    end: u64,
    /// How many findings that is told from.
    seen: usize,
}

impl Resolver {
    /// Settles the findings that nothing before `safe` can change any more, and returns up to where the text is
    /// settled.
    ///
    /// # Errors
    /// One of them stands in a signed block.
    pub fn settle(
        &mut self,
        findings: &mut Findings,
        safe: u64,
        syntax: Syntax,
        blocks: &mut Blocks,
        needles: &Needles,
    ) -> Result<u64, Refusal> {
        let mut settled = self.before_token(safe);
        self.waits_for_signature = false;
        self.held = None;
        if !findings.values.all().is_empty() {
            settled = self.settle_values(findings, settled, syntax, blocks, needles)?;
        }
        let keys = findings.keys.rearrange();
        keys.retain(|key| key.end() > settled);
        findings.exempt.retain(|(_, end, _)| *end > settled);
        self.tokens.retain(|(_, end)| *end > settled);
        blocks.forget(settled);
        Ok(settled)
    }

    /// Where `settle` finds nothing to settle, as far as that is told from what was found since: up to where the text is settled.
    pub fn still_held(&mut self, findings: &mut Findings, safe: u64) -> Option<u64> {
        let held = self.held.as_mut()?;
        let new = &findings.values.all()[held.seen..];
        findings.work += new.len() as u64 / 4;
        held.seen += new.len();
        for value in new {
            if value.start() < held.start {
                self.held = None;
                return None;
            }
            if value.start() < held.end {
                held.end = held.end.max(value.end());
            }
        }
        let start = held.start;
        (safe < held.end).then(|| self.before_token(safe.min(start)))
    }

    /// `at`, or where the bare token begins that it lies in.
    fn before_token(&self, at: u64) -> u64 {
        let around = |(start, end): &&(u64, u64)| *start < at && at < *end;
        self.tokens
            .iter()
            .find(around)
            .map_or(at, |(start, _)| *start)
    }

    fn settle_values(
        &mut self,
        findings: &mut Findings,
        safe: u64,
        syntax: Syntax,
        blocks: &mut Blocks,
        needles: &Needles,
    ) -> Result<u64, Refusal> {
        let (keys, exempt) = (findings.keys.all(), &findings.exempt);
        let values = findings.values.rearrange();
        let mut looked = values.len() as u64;
        if !keys.is_empty() || !exempt.is_empty() {
            let mut known = Known::new(keys, exempt);
            values.retain(|value| !known.holds(value));
            looked += (keys.len() + exempt.len()) as u64 + known.compared;
        }
        findings.work += looked / 4;
        values.sort_by(rank);
        drop_read_over_padding(values);
        let mut at = 0;
        let mut quoted: Option<(u64, u64)> = None;
        let mut settled = safe;
        let bare = std::mem::take(&mut self.tokens);
        let mut tokens = Tokens::new(&bare);
        while at < values.len() {
            let cluster = cluster(&values[at..]);
            let (start, end) = span(cluster);
            let token = tokens.around(&values[at..], (start, end));
            findings.work += blocks.open() as u64 / 4;
            if end > safe || token.is_some_and(|token| token.reach > safe) {
                settled = token.map_or(start, |token| token.start.min(start));
                let seen = values.len() - at;
                self.held = (end > safe).then_some(Held { start, end, seen });
                break;
            }
            tokens.pass(end);
            let token = token.map(|token| (token.start, token.end));
            match (blocks.mode, blocks.fate(start, end)) {
                (Signed::Mask, _) | (_, Fate::Free) => {}
                (Signed::Refuse, Fate::Signed) => return Err(Refusal::Signed(cluster[0].name)),
                (Signed::Refuse, Fate::Unknown) => blocks.replaced(start, end, cluster[0].name),
                (Signed::Pass, Fate::Signed) => {
                    count(cluster, &mut self.passed);
                    at += cluster.len();
                    continue;
                }
                (Signed::Pass, Fate::Unknown) => {
                    self.waits_for_signature = true;
                    blocks.wait(start, end);
                    settled = token.map_or(start, |(first, _)| first.min(start));
                    break;
                }
            }
            if quoted != token {
                self.quote(quoted.map(|(_, end)| end));
                self.quote(token.map(|(start, _)| start));
                quoted = token;
            }
            count(cluster, &mut self.hits);
            let text = render::replacement(cluster, syntax, needles);
            self.edits.push(Edit { start, end, text });
            at += cluster.len();
        }
        self.quote(quoted.map(|(_, end)| end));
        values.drain(..at);
        self.tokens = bare;
        Ok(settled.min(safe))
    }

    fn quote(&mut self, at: Option<u64>) {
        self.edits.extend(at.map(|at| Edit {
            start: at,
            end: at,
            text: b"\"".to_vec(),
        }));
    }
}

/// Counts each name of a cluster once.
fn count(cluster: &[Found], hits: &mut Hits) {
    let mut names: BTreeMap<NameId, Form> = BTreeMap::new();
    for found in cluster {
        names
            .entry(found.name)
            .or_insert_with(|| found.chain.form());
    }
    for hit in names {
        *hits.entry(hit).or_default() += 1;
    }
}

/// The bare tokens among clusters that are gone through in order.
struct Tokens<'a> {
    all: &'a [(u64, u64)],
    /// Where the clusters so far end, at the latest.
    reach: u64,
    /// The token at hand, once it was looked at; nothing if a value lies partly in it.
    last: Option<((u64, u64), Option<Token>)>,
}

/// A bare token with values in it, all of which lie in it as a whole: it becomes a string.
#[derive(Clone, Copy)]
struct Token {
    start: u64,
    end: u64,
    /// Where the last of the values ends.
    reach: u64,
}

impl<'a> Tokens<'a> {
    fn new(all: &'a [(u64, u64)]) -> Self {
        Self {
            all,
            reach: 0,
            last: None,
        }
    }

    /// The token that the cluster `[start, end)` lies in, the first of `values`, if no other value lies partly in it.
    fn around(&mut self, values: &[Found], (start, end): (u64, u64)) -> Option<Token> {
        let at = self.all.partition_point(|token| token.0 <= start);
        let token = *self.all.get(at.checked_sub(1)?)?;
        if end > token.1 {
            return None;
        }
        if let Some((last, known)) = self.last
            && last == token
        {
            return known;
        }
        let touching = values.iter().take_while(|value| value.start() < token.1);
        let reach = touching.map(Found::end).max().unwrap_or(end);
        let is_whole = self.reach <= token.0 && reach <= token.1;
        let known = is_whole.then_some(Token {
            start: token.0,
            end: token.1,
            reach,
        });
        self.last = Some((token, known));
        known
    }

    /// The cluster that ends there is gone through.
    fn pass(&mut self, end: u64) {
        self.reach = self.reach.max(end);
    }
}

/// What keeps values from counting: keys that stand in the text already, and strings that short values leave alone.
struct Known<'a> {
    exempt: HashSet<(u64, u64, u32)>,
    /// Keys that protect values of any reading.
    literal: Keys<'a>,
    /// Keys that protect values of their own reading, by its chain.
    encoded: HashMap<Chain, Keys<'a>>,
    /// Keys that a value was compared with, so far.
    compared: u64,
}

/// Keys, by where they start; and where they and those before them end, at the latest.
#[derive(Default)]
struct Keys<'a> {
    keys: Vec<(&'a Found, u64)>,
}

impl<'a> Known<'a> {
    fn new(keys: &'a [Found], exempt: &[(u64, u64, u32)]) -> Self {
        let mut known = Self {
            exempt: exempt.iter().copied().collect(),
            literal: Keys::default(),
            encoded: HashMap::new(),
            compared: 0,
        };
        for key in keys {
            let same = if key.literal {
                &mut known.literal
            } else {
                known.encoded.entry(key.chain).or_default()
            };
            same.keys.push((key, 0));
        }
        known.literal.order();
        known.encoded.values_mut().for_each(Keys::order);
        known
    }

    fn holds(&mut self, value: &Found) -> bool {
        let exempt = &(value.start(), value.end(), value.rank);
        if self.exempt.contains(exempt) {
            return true;
        }
        let encoded = self.encoded.get(&value.chain);
        let compared = &mut self.compared;
        let mut protected = |keys: &Keys| {
            let mut around = keys.around(value).iter().inspect(|_| *compared += 1);
            around.any(|(key, _)| protects(key, value))
        };
        protected(&self.literal) || encoded.is_some_and(protected)
    }
}

impl<'a> Keys<'a> {
    fn order(&mut self) {
        self.keys.sort_by_key(|(key, _)| key.start());
        let mut furthest = 0;
        for (key, reach) in &mut self.keys {
            furthest = furthest.max(key.end());
            *reach = furthest;
        }
    }

    /// Those among which all are that the value lies in.
    fn around(&self, value: &Found) -> &[(&'a Found, u64)] {
        let from = self.keys.partition_point(|(_, reach)| *reach < value.end());
        let to = self
            .keys
            .partition_point(|(key, _)| key.start() <= value.start());
        self.keys.get(from..to).unwrap_or_default()
    }
}

/// A key that stands in the text already keeps a value inside its own letters from being replaced.
fn protects(key: &Found, value: &Found) -> bool {
    let inside = key.start() <= value.start() && value.end() <= key.end();
    if !inside || key.literal {
        return inside;
    }
    // In base64 the raw span is that of whole groups: the bytes decide.
    let within = |layer: usize| {
        let ord = |f: &Found| (f.first.wraps[layer].ord.0, f.last.wraps[layer].ord.1);
        ord(key).0 <= ord(value).0 && ord(value).1 <= ord(key).1
    };
    key.chain == value.chain && key.chain.innermost_base64().is_none_or(within)
}

/// Leftmost, then longest, then nearest to the raw text, then first registered.
fn rank(a: &Found, b: &Found) -> std::cmp::Ordering {
    let (one, other) = (a.chain.decoders(), b.chain.decoders());
    (a.start().cmp(&b.start()))
        .then(b.end().cmp(&a.end()))
        .then(one.len().cmp(&other.len()))
        .then_with(|| one.cmp(other))
        .then(a.rank.cmp(&b.rank))
}

/// Takes out of values in order those that are found a second time only because base64's padding and a line break read as a soft
/// line break (RFC 2045, 6.7) too: in that reading the value takes characters of the next line, which are not its own.
fn drop_read_over_padding(values: &mut Vec<Found>) {
    let is_padded = |found: &Found| {
        let layers = found.chain.layers();
        found.last.wraps[..layers].iter().any(|wrap| wrap.padded)
    };
    if !values.iter().any(is_padded) {
        return;
    }
    let mut kept = Vec::with_capacity(values.len());
    for same in values.chunk_by(|a, b| a.start() == b.start()) {
        // Of each value the one of the least decoders.
        let mut padded: HashMap<u32, (usize, u64)> = HashMap::new();
        for found in same.iter().filter(|found| is_padded(found)) {
            let own = (found.chain.decoders().len(), found.end());
            let least = padded.entry(found.rank).or_insert(own);
            *least = own.min(*least);
        }
        kept.extend(same.iter().map(|found| {
            let least = padded.get(&found.rank);
            let (decoders, end) = (found.chain.decoders().len(), found.end());
            let is_longer = |least: &(usize, u64)| decoders > least.0 && end > least.1;
            is_padded(found) || !least.is_some_and(is_longer)
        }));
    }
    let mut kept = kept.into_iter();
    values.retain(|_| kept.next().unwrap_or(true));
}

/// The values from the first on whose raw spans overlap.
fn cluster(values: &[Found]) -> &[Found] {
    let mut end = values[0].end();
    let mut len = 1;
    while let Some(next) = values.get(len).filter(|next| next.start() < end) {
        end = end.max(next.end());
        len += 1;
    }
    &values[..len]
}

fn span(cluster: &[Found]) -> (u64, u64) {
    let end = cluster.iter().map(Found::end).max();
    (cluster[0].start(), end.unwrap_or(0))
}
