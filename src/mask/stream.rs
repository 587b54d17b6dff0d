//! One pass over one text: pieces in, settled pieces out.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::found::Findings;
use super::json::{Step, Tracker};
use super::needle::Needles;
use super::reading::{OpenRun, Reading};
use super::resolve::{Edit, Resolver};
use super::scout;
use super::signed::{Blocks, Event};
use super::symbol::{Stretch, Sym};
use super::{Hits, Refusal, Signed, Syntax};

/// Most bytes that may wait for what follows them.
const MOST_PENDING: u64 = 64 * 1024;
/// Most bytes that may wait for whether the block that they stand in is signed.
const MOST_UNSIGNED: u64 = 4 * 1024 * 1024;
/// And most values and keys that are found in them; all readings together may find each of them a few times. Each finding takes some
/// 300 bytes.
const MOST_UNJUDGED: usize = 64 * 1024;
const MOST_READINGS: usize = 4;
/// The text is settled, and checked against `MOST_PENDING`, whenever this many bytes more have come: at fixed places of
/// the text, so that chunking does not matter.
const BLOCK: u64 = 4096;
/// Most bytes taken at once, between two looks at what it cost.
const STRETCH: usize = 512;
/// Most bytes that the scout sees at once. A piece may be a hundred megabytes.
const OUTLOOK: usize = 64 << 10;
/// Most of them inside a run: it looks as far before it judges, again and again if something could begin in the run soon.
const OUTLOOK_INSIDE: usize = 4 << 10;
/// Findings that are settled before the next block ends, and no others before there are twice as many.
const MANY_FINDINGS: usize = 256;
/// Steps that all readings together may cost: so many for every byte, and some to begin with.
const WORK_PER_BYTE: u64 = 256;
const WORK_AT_FIRST: u64 = 1 << 22;

/// One pass over one text. Which pieces the text comes in makes no difference to what comes out.
pub struct Stream {
    needles: Arc<Needles>,
    syntax: Syntax,
    root: Reading,
    /// Follows the text while it is JSON.
    tracker: Option<Tracker>,
    findings: Findings,
    blocks: Blocks,
    resolver: Resolver,
    /// Bytes taken.
    at: u64,
    /// Up to here every byte must be read: a needle could begin before it.
    read_to: u64,
    /// Inside a run the scout is asked from here on; and how long it was not when it was of no use.
    inside_from: u64,
    inside_after: u64,
    /// Up to here the edits are known.
    settled: u64,
    /// How many findings are too many to wait for the block's end.
    settle_from: usize,
    /// Pieces taken and not handed on; the first begins at `out_at`.
    held: VecDeque<Bytes>,
    out_at: u64,
    refused: Option<Refusal>,
}

impl Stream {
    pub(super) fn new(needles: Arc<Needles>, syntax: Syntax, signed: Signed) -> Self {
        Self {
            root: Reading::root(&needles),
            tracker: (syntax == Syntax::Json).then(Tracker::new),
            needles,
            syntax,
            findings: Findings::default(),
            blocks: Blocks::new(signed),
            resolver: Resolver::default(),
            at: 0,
            read_to: 0,
            inside_from: 0,
            inside_after: 0,
            settled: 0,
            settle_from: MANY_FINDINGS,
            held: VecDeque::new(),
            out_at: 0,
            refused: None,
        }
    }

    /// Takes the next piece; appends to `out` what is settled. Untouched bytes come out as slices of the pieces.
    ///
    /// # Errors
    /// See [`Refusal`]. After one, nothing more comes out.
    pub fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        if self.needles.is_empty() {
            out.push(piece);
            return Ok(());
        }
        let taken = self.take(&piece);
        self.held.push_back(piece);
        if let Err(refusal) = taken {
            self.refused = Some(refusal);
            return Err(refusal);
        }
        self.hand_on(out);
        Ok(())
    }

    /// Ends the text; appends the rest of it.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        self.root.end(&self.needles, &mut self.findings);
        if let Some(start) = self.tracker.take().and_then(|tracker| tracker.open_token()) {
            self.resolver.tokens.push((start, self.at));
        }
        self.blocks.stop(self.at);
        let settled = self.settle_to(self.at);
        self.refused = settled.err();
        settled?;
        self.hand_on(out);
        Ok(())
    }

    /// What was replaced so far.
    #[must_use]
    pub fn hits(&self) -> &Hits {
        &self.resolver.hits
    }

    /// What was found so far in signed blocks, and went on as it is (see [`Signed::Pass`]).
    #[must_use]
    pub fn passed(&self) -> &Hits {
        &self.resolver.passed
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        // The scout looks for the end of the run that it is in, again and again: so far it may look, and no further.
        for part in piece.chunks(OUTLOOK) {
            self.take_part(part)?;
        }
        let safe = self.safe();
        if let Some(settled) = self.resolver.still_held(&mut self.findings, safe) {
            self.settled = self.settled.max(settled);
            return Ok(());
        }
        self.settle()
    }

    fn take_part(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let mut at = 0;
        while at < piece.len() {
            at = self.scout(piece, at)?;
            // As far as a needle may begin, and on to where the scout may take over again.
            let least = self.read_to.max(self.at + 1).saturating_sub(self.at);
            let least = usize::try_from(least).unwrap_or(usize::MAX);
            let from = piece.len().min(at.saturating_add(least));
            let to = piece.len().min(from + STRETCH);
            let clean = (from..to).find(|at| scout::is_clean(piece, *at));
            let inside = from + scout::INSIDE;
            let inside = (inside < to && scout::is_inside(piece, inside)).then_some(inside);
            let to = clean.into_iter().chain(inside).min().unwrap_or(to);
            self.read(&piece[at..to])?;
            at = to;
        }
        Ok(())
    }

    /// Passes over what follows `piece[at]`, if nothing is under way there and nothing could begin: how far.
    fn scout(&mut self, piece: &[u8], at: usize) -> Result<usize, Refusal> {
        // While something waits for a signature its limits are looked at where every block ends.
        let waits = self.resolver.waits_for_signature;
        if self.syntax.is_form() || self.at < self.read_to || at == piece.len() || waits {
            return Ok(at);
        }
        let clean = self.at == 0 || scout::is_clean(piece, at);
        let inside = !clean && self.at >= self.inside_from && scout::is_inside(piece, at);
        let under_way_from = self.at.saturating_sub(scout::INSIDE as u64);
        let from = if clean && self.root.is_idle(&self.needles) {
            at
        } else if inside && self.root.is_idle_in_run(under_way_from, &self.needles) {
            at - scout::INSIDE
        } else {
            return Ok(at);
        };
        let seen = if from == at {
            piece
        } else {
            &piece[..piece.len().min(at + OUTLOOK_INSIDE)]
        };
        let outlook = scout::scout(seen, from, &self.needles);
        if outlook.place <= at {
            // Inside a run it is not asked again and again, for it may have looked far.
            self.inside_after = (2 * self.inside_after).clamp(scout::INSIDE as u64, BLOCK);
            self.inside_from = self.at + self.inside_after;
            self.read_to = self.at + outlook.found.saturating_sub(at) as u64 + 1;
            return Ok(at);
        }
        self.inside_after = 0;
        self.read_to = self.at + (outlook.found - at) as u64 + 1;
        let place = outlook.place;
        let run = outlook.run.map(|begins| {
            let (mut run, seen) = match self.root.open_run() {
                Some(run) if inside && begins == from => (run, at),
                _ => (OpenRun::new(self.at + (begins - at) as u64), begins),
            };
            run.take(&piece[seen..place]);
            run
        });
        self.pass_over(&piece[at..place], run)?;
        Ok(place)
    }

    /// Reads every byte in all readings.
    fn read(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let mut rest = text;
        while !rest.is_empty() {
            let to_block_end = usize::try_from(BLOCK - self.at % BLOCK).unwrap_or(usize::MAX);
            let (block, after) = rest.split_at(to_block_end.min(rest.len()));
            rest = after;
            self.take_block(block)?;
            if self.at.is_multiple_of(BLOCK) {
                self.settle()?;
                self.check_pending()?;
            }
        }
        Ok(())
    }

    /// Passes over text in which nothing begins, to a clean place or into `run`.
    fn pass_over(&mut self, text: &[u8], run: Option<OpenRun>) -> Result<(), Refusal> {
        let Some(last) = text.last() else {
            return Ok(());
        };
        let end = self.at + text.len() as u64;
        let mut rest = text;
        while let Some(tracker) = &mut self.tracker
            && !rest.is_empty()
        {
            let walk = tracker.walk(rest, self.at);
            rest = &rest[walk.taken..];
            self.at += walk.taken as u64;
            self.findings.opaque = tracker.opaque();
            self.resolver.tokens.extend(walk.token);
            if !walk.json {
                self.end_json();
            }
            self.take_signed(walk.signed)?;
        }
        self.at = end;
        self.findings.closing = None;
        self.findings.work += 1;
        self.root.begin_anew(*last, self.at, &self.needles);
        if let Some(run) = run {
            self.root.enter_run(&run, &self.needles);
        }
        self.settle()?;
        self.check_pending()
    }

    fn check_pending(&mut self) -> Result<(), Refusal> {
        let most = if self.resolver.waits_for_signature {
            MOST_UNSIGNED
        } else {
            MOST_PENDING
        };
        let block = self.at - self.at % BLOCK;
        if block.saturating_sub(self.settled) > most {
            return Err(Refusal::PendingTooLong);
        }
        if self.resolver.waits_for_signature
            && self.at.is_multiple_of(BLOCK)
            && self.findings.len() > MOST_UNJUDGED
        {
            // Some of them may not count; they are told by going through all.
            self.settle_to(self.safe())?;
            let found = self.findings.len();
            if found > MOST_READINGS * MOST_UNJUDGED || self.findings.places() > MOST_UNJUDGED {
                return Err(Refusal::PendingTooLong);
            }
        }
        Ok(())
    }

    fn take_block(&mut self, block: &[u8]) -> Result<(), Refusal> {
        let form = self.syntax.is_form();
        let mut rest = block;
        while !rest.is_empty() {
            let plain = self
                .tracker
                .as_ref()
                .map_or(rest.len(), |tracker| tracker.plain(rest));
            let plain = plain.min(STRETCH);
            if plain > 0 {
                if let Some(tracker) = &mut self.tracker {
                    tracker.pass(&rest[..plain], self.at);
                    self.findings.opaque = tracker.opaque();
                }
                let stretch = Stretch::raw(rest, self.at);
                self.findings.closing = None;
                self.root.push_stretch(
                    &stretch,
                    (0, plain),
                    form,
                    &self.needles,
                    &mut self.findings,
                );
                self.at += plain as u64;
                rest = &rest[plain..];
                self.keep_up()?;
                continue;
            }
            let escape = self
                .tracker
                .as_ref()
                .and_then(|tracker| tracker.short_escape(rest));
            let passed = escape.is_some_and(|byte| {
                self.root
                    .pass_escape(byte, &self.needles, &mut self.findings)
            });
            let taken = if passed { 2 } else { 1 };
            for byte in &rest[..taken] {
                if passed {
                    self.follow(*byte);
                } else {
                    self.take_byte(*byte)?;
                }
            }
            rest = &rest[taken..];
            self.keep_up()?;
        }
        Ok(())
    }

    /// Settles when much waits for it, so that no finding is gone through again and again; and refuses what costs too much.
    fn keep_up(&mut self) -> Result<(), Refusal> {
        if self.findings.len() > self.settle_from {
            self.settle()?;
            self.settle_from = MANY_FINDINGS + 2 * self.findings.len();
        }
        if self.findings.work > WORK_AT_FIRST + WORK_PER_BYTE * self.at {
            return Err(Refusal::TooDeep);
        }
        Ok(())
    }

    /// Follows the structure of JSON past a byte: whether it is part of an escape, and the token that it ends.
    fn follow(&mut self, byte: u8) -> Step {
        let step = self
            .tracker
            .as_mut()
            .map(|tracker| tracker.step(byte, self.at));
        self.at += 1;
        if let Some(tracker) = &self.tracker {
            self.findings.opaque = tracker.opaque();
        }
        match step {
            Some(Some(step)) => step,
            Some(None) => {
                self.end_json();
                Step::default()
            }
            None => Step::default(),
        }
    }

    /// The last byte is not JSON, so that the text is not from there on.
    fn end_json(&mut self) {
        // What is opaque of the last string stays known: a decoder may still hold some of it.
        self.tracker = None;
        self.blocks.stop(self.at - 1);
    }

    fn take_byte(&mut self, byte: u8) -> Result<(), Refusal> {
        let sym = Sym::raw(byte, self.at);
        let step = self.follow(byte);
        self.findings.closing = step.string;
        if step.escape {
            self.root
                .push_escape(&sym, &self.needles, &mut self.findings);
        } else {
            let form = self.syntax.is_form();
            self.root
                .push(&sym, form, &self.needles, &mut self.findings);
        }
        self.resolver.tokens.extend(step.token);
        self.take_signed(step.signed)
    }

    fn take_signed(&mut self, event: Option<Event>) -> Result<(), Refusal> {
        if let Some(event) = event
            && self.blocks.mode != Signed::Mask
            && self.blocks.take(event)?
        {
            // What was found in it is judged before anything that comes later.
            self.settle()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Refusal> {
        // Nothing more can be settled before that is known; so it is not gone through again and again either.
        if self.resolver.waits_for_signature && !self.blocks.have_told() {
            return Ok(());
        }
        let safe = self.safe();
        self.settle_to(safe)
    }

    /// Up to here no reading has anything under way.
    fn safe(&self) -> u64 {
        let token = self.tracker.as_ref().and_then(Tracker::open_token);
        let pending = self.root.pending(&self.needles);
        pending.into_iter().chain(token).min().unwrap_or(self.at)
    }

    fn settle_to(&mut self, safe: u64) -> Result<(), Refusal> {
        self.settled = self.resolver.settle(
            &mut self.findings,
            safe,
            self.syntax,
            &mut self.blocks,
            &self.needles,
        )?;
        Ok(())
    }

    /// Hands on what is settled, with its edits.
    fn hand_on(&mut self, out: &mut Vec<Bytes>) {
        for Edit { start, end, text } in std::mem::take(&mut self.resolver.edits) {
            self.pass(start, Some(out));
            out.push(Bytes::from(text));
            self.pass(end, None);
        }
        self.pass(self.settled, Some(out));
    }

    /// Moves on to offset `to`, handing on the bytes before it or dropping them.
    fn pass(&mut self, to: u64, mut out: Option<&mut Vec<Bytes>>) {
        while self.out_at < to {
            let Some(piece) = self.held.front_mut() else {
                return;
            };
            let len = usize::try_from(to - self.out_at)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            let part = piece.split_to(len);
            if piece.is_empty() {
                self.held.pop_front();
            }
            self.out_at += part.len() as u64;
            if let Some(out) = out.as_deref_mut().filter(|_| !part.is_empty()) {
                out.push(part);
            }
        }
    }
}
