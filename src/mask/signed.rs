//! Blocks of JSON that a provider signed: an object with the string members `thinking` and `signature` (Anthropic's extended
//! thinking). What stands in them cannot be rewritten.
//!
//! Whether an object is signed may show only after a value was found in it: what was found is remembered until then.

use std::collections::{BTreeMap, VecDeque};

use super::needle::NameId;
use super::{Refusal, Signed};

/// Most objects at a time of which it is not known yet; more are refused.
const MOST_OPEN: usize = 1024;

/// A member that makes a block a signed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Thinking,
    Signature,
}

impl Name {
    pub fn of(member: &[u8]) -> Option<Self> {
        match member {
            b"thinking" => Some(Self::Thinking),
            b"signature" => Some(Self::Signature),
            _ => None,
        }
    }
}

/// What happens in the structure of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The content of such a member's string begins at `at`, in an object of this depth.
    Begin { depth: usize, at: u64 },
    /// It ends before `at`.
    End { name: Name, at: u64 },
    /// The container of this depth closes.
    Close { depth: usize },
}

/// The fate of what was found at some place.
pub(super) enum Fate {
    /// It stands in no signed block.
    Free,
    /// It stands in one.
    Signed,
    /// It stands in what may become one.
    Unknown,
}

/// An object that has one of the members.
struct Block {
    depth: usize,
    /// Contents `[start, end)` of its members' strings, in order, as far as they are not settled.
    strings: VecDeque<(u64, u64)>,
    thinking: bool,
    signature: bool,
    /// The first that was replaced in its strings, by its place.
    replaced: Option<(u64, NameId)>,
}

impl Block {
    fn is_signed(&self) -> bool {
        self.thinking && self.signature
    }

    fn touches(&self, start: u64, end: u64) -> bool {
        let before_end = self.strings.partition_point(|(from, _)| *from < end);
        let last = before_end
            .checked_sub(1)
            .and_then(|at| self.strings.get(at));
        last.is_some_and(|(_, to)| start < *to)
    }
}

/// The blocks of a text.
pub(super) struct Blocks {
    pub mode: Signed,
    open: Vec<Block>,
    /// Strings of signed blocks that are closed: where they begin and end.
    closed: BTreeMap<u64, u64>,
    /// The place of what waits for whether the block that it stands in is signed; and whether that is known since.
    waits: (u64, u64),
    told: bool,
}

impl Blocks {
    pub fn new(mode: Signed) -> Self {
        Self {
            mode,
            open: Vec::new(),
            closed: BTreeMap::new(),
            waits: (0, 0),
            told: false,
        }
    }

    /// Blocks of which it is not known yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// What was found at `[start, end)` waits for whether its block is signed.
    pub fn wait(&mut self, start: u64, end: u64) {
        self.waits = (start, end);
        self.told = false;
    }

    /// Whether anything is known now of the block that what waits stands in.
    pub fn have_told(&self) -> bool {
        self.told
    }

    /// Whether `event` made a block a signed one.
    ///
    /// # Errors
    /// Too many are open; or something was replaced in what turns out to be signed.
    pub fn take(&mut self, event: Event) -> Result<bool, Refusal> {
        match event {
            Event::Begin { depth, at } => {
                if self.open.last().is_none_or(|block| block.depth != depth) {
                    if self.open.len() == MOST_OPEN {
                        return Err(Refusal::TooDeep);
                    }
                    self.open.push(Block {
                        depth,
                        strings: VecDeque::new(),
                        thinking: false,
                        signature: false,
                        replaced: None,
                    });
                }
                if let Some(block) = self.open.last_mut() {
                    block.strings.push_back((at, u64::MAX));
                }
                Ok(false)
            }
            Event::End { name, at } => self.end(name, at),
            Event::Close { depth } => {
                if let Some(block) = self.open.pop_if(|block| block.depth == depth) {
                    self.told |= block.touches(self.waits.0, self.waits.1);
                    if block.is_signed() {
                        self.closed.extend(block.strings);
                    }
                }
                Ok(false)
            }
        }
    }

    fn end(&mut self, name: Name, at: u64) -> Result<bool, Refusal> {
        let Some(block) = self.open.last_mut() else {
            return Ok(false);
        };
        let mut empty = true;
        if let Some((start, end)) = block.strings.back_mut() {
            *end = at;
            empty = *start == at;
        }
        let was_signed = block.is_signed();
        match name {
            Name::Thinking => block.thinking = true,
            Name::Signature => block.signature |= !empty,
        }
        match block.replaced {
            Some((_, name)) if block.is_signed() => Err(Refusal::Signed(name)),
            _ => {
                let is_new = block.is_signed() && !was_signed;
                self.told |= is_new && block.touches(self.waits.0, self.waits.1);
                Ok(is_new)
            }
        }
    }

    /// The text stops being JSON at `at`: what is not known to be signed is not.
    pub fn stop(&mut self, at: u64) {
        self.told = true;
        for mut block in std::mem::take(&mut self.open) {
            if block.is_signed() {
                if let Some((_, end)) = block.strings.back_mut() {
                    *end = at.min(*end);
                }
                self.closed.extend(block.strings);
            }
        }
    }

    /// What becomes of what was found at `[start, end)`.
    pub fn fate(&self, start: u64, end: u64) -> Fate {
        let mut fate = Fate::Free;
        for block in self.open.iter().filter(|block| block.touches(start, end)) {
            if block.is_signed() {
                return Fate::Signed;
            }
            fate = Fate::Unknown;
        }
        let closed = self.closed.range(..end).next_back();
        if closed.is_some_and(|(_, to)| start < *to) {
            return Fate::Signed;
        }
        fate
    }

    /// What was found at `[start, end)` is replaced.
    pub fn replaced(&mut self, start: u64, end: u64, name: NameId) {
        for block in &mut self.open {
            if block.touches(start, end) && block.replaced.is_none() {
                block.replaced = Some((start, name));
            }
        }
    }

    /// All before `at` is settled.
    pub fn forget(&mut self, at: u64) {
        while let Some(first) = self.closed.first_entry()
            && *first.get() <= at
        {
            first.remove();
        }
        for block in &mut self.open {
            while block.strings.front().is_some_and(|(_, end)| *end <= at) {
                block.strings.pop_front();
            }
        }
    }
}
