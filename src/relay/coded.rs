//! A coded body on its way to text: its codings are taken off while it streams.
//!
//! [`Coded::poll_text`] takes pieces of the coded form from its caller and gives pieces of text, a bounded amount of work at a
//! time; then it lets others go on. Each layer decodes what the one before it made; the first takes what was received.
//!
//! A request's coded form is kept, up to a size that the caller minds, so that a body in which nothing was found can go on as it
//! came. It is read as well, and so is what lies between two codings: a container has places that are no part of the text (the
//! names and comments of gzip, zstd's skippable frames, brotli's metadata). Where they hold a value, the coded form must not go on.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::queue::Queue;
use super::{Error, Limits};
use crate::guard::{Snapshot, Stream, Syntax};
use crate::net::coding::{Coding, Decoder};

/// Most bytes that one step makes.
const PIECE: usize = 32 << 10;

/// Steps between two pauses in which others go on: at most 256 KiB of text.
const STEPS: u32 = 8;

/// Bytes that a layer may make for each byte of the coded form that was taken: several times what deflate makes of the most even of real texts.
pub(super) const MOST_RATIO: u64 = 256;

/// Up to here a layer may make what it likes of however few bytes. Less than is held back, so that what goes off at once leaves no
/// trace upstream.
const RATIO_FREE: u64 = 4 << 20;

/// What the end of a member counts for, as bytes made: beginning another costs about as much. Bodies of nothing but ends are bombs.
const MEMBER: u64 = 8 << 10;

/// The codings of one body at work.
pub(super) struct Coded {
    /// The first takes what was received, the last makes the text.
    layers: Vec<Layer>,
    received: u64,
    max_bytes: u64,
    output: Box<[u8]>,
    /// Steps until the next pause.
    steps: u32,
    original: Option<Original>,
}

struct Layer {
    decoder: Decoder,
    input: Bytes,
    /// No more input comes.
    ended: bool,
    /// It has made all that it makes.
    over: bool,
    made: u64,
    /// What it made, and what that took besides, in bytes.
    cost: u64,
}

/// The coded form, while it may still go on as it came.
struct Original {
    pieces: Queue,
    /// Reads what each layer takes.
    watches: Vec<Stream>,
}

/// What a step led to.
enum Step {
    /// A piece of the text.
    Text(Bytes),
    /// Nothing yet; there is more to do.
    Busy,
    /// More of the coded form is needed.
    Hungry,
    /// The text has come to its end, and so has each coding.
    End,
}

impl Coded {
    /// For a request body with these codings, in the order in which they were applied, at least one.
    pub fn request(codings: &[Coding], snapshot: &Snapshot, limits: &Limits) -> Self {
        let watches = codings.iter().map(|_| snapshot.stream(Syntax::Text));
        let original = Original {
            pieces: Queue::default(),
            watches: watches.collect(),
        };
        Self::new(codings, limits.max_body_bytes, Some(original))
    }

    /// For an answer's body: its size is upstream's affair, its ratio is not.
    pub fn answer(codings: &[Coding]) -> Self {
        Self::new(codings, u64::MAX, None)
    }

    fn new(codings: &[Coding], max_bytes: u64, original: Option<Original>) -> Self {
        let layer = |coding: &Coding| Layer {
            decoder: Decoder::new(*coding),
            input: Bytes::new(),
            ended: false,
            over: false,
            made: 0,
            cost: 0,
        };
        Self {
            layers: codings.iter().rev().map(layer).collect(),
            received: 0,
            max_bytes,
            steps: STEPS,
            output: vec![0; PIECE].into_boxed_slice(),
            original,
        }
    }

    /// Takes the next piece of the coded form. Only after [`Step::Hungry`].
    fn feed(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        if let Some(original) = &mut self.original {
            original.pieces.push(piece.clone());
        }
        self.give(0, piece);
    }

    /// Bytes of the coded form that are kept.
    pub fn kept(&self) -> u64 {
        let original = self.original.as_ref();
        original.map_or(0, |original| original.pieces.bytes())
    }

    /// Drops the coded form: the text goes on instead.
    pub fn give_up_original(&mut self) {
        self.original = None;
    }

    /// The whole coded form, after the text's end, if it may go on as it came.
    pub fn take_original(&mut self) -> Option<Queue> {
        let mut original = self.original.take()?.pieces;
        original.flush();
        Some(original)
    }

    /// The next piece of the text; `None` at its end. `receive` gives the next piece of the coded form, or its end.
    ///
    /// # Errors
    /// As [`Coded::step`], and what `receive` says.
    pub fn poll_text(
        &mut self,
        cx: &mut Context<'_>,
        mut receive: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            if self.steps == 0 {
                self.steps = STEPS;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.step()? {
                Step::Text(piece) => {
                    self.steps -= 1;
                    return Poll::Ready(Ok(Some(piece)));
                }
                Step::Busy => self.steps -= 1,
                Step::End => return Poll::Ready(Ok(None)),
                Step::Hungry => match ready!(receive(cx))? {
                    Some(piece) => self.feed(piece),
                    None => self.close(0),
                },
            }
        }
    }

    /// Does the next bit of work.
    ///
    /// # Errors
    /// The coded form is broken, or makes too much.
    fn step(&mut self) -> Result<Step, Error> {
        // Nothing was coded at all: many clients name a coding where they send no body.
        if self.received == 0 && self.layers.iter().any(|layer| layer.ended) {
            return Ok(Step::End);
        }
        // What is nearest to the text goes first, so that nothing piles up between two layers.
        let Some(at) = self.layers.iter().rposition(Layer::has_work) else {
            let over = self.layers.last().is_none_or(|layer| layer.over);
            return Ok(if over { Step::End } else { Step::Hungry });
        };
        let last = at + 1 == self.layers.len();
        let layer = &mut self.layers[at];
        if layer.is_through() {
            layer.decoder.finish()?;
            layer.over = true;
            if !last {
                self.close(at + 1);
            }
            return Ok(Step::Busy);
        }
        let written = layer.decoder.decode(&mut layer.input, &mut self.output)?;
        layer.made += written as u64;
        layer.cost += written as u64;
        if layer.decoder.is_at_end() {
            layer.cost += MEMBER;
        }
        let (made, cost) = (layer.made, layer.cost);
        if made > self.max_bytes {
            return Err(Error::TooLarge(self.max_bytes));
        }
        let waiting = self.layers.first().map_or(0, |first| first.input.len());
        if cost > RATIO_FREE && cost / MOST_RATIO > self.received - waiting as u64 {
            return Err(Error::Bomb);
        }
        if written == 0 {
            return Ok(Step::Busy);
        }
        let piece = Bytes::copy_from_slice(&self.output[..written]);
        if last {
            return Ok(Step::Text(piece));
        }
        self.give(at + 1, piece);
        Ok(Step::Busy)
    }

    fn give(&mut self, at: usize, piece: Bytes) {
        self.watch(at, |watch| {
            // What comes out is of no use: only whether something was found.
            watch.push(piece.clone(), &mut Vec::new()).is_ok()
        });
        if let Some(layer) = self.layers.get_mut(at) {
            layer.input = piece;
        }
    }

    /// Says that a layer has got all that it gets.
    fn close(&mut self, at: usize) {
        self.watch(at, |watch| watch.finish(&mut Vec::new()).is_ok());
        if let Some(layer) = self.layers.get_mut(at) {
            layer.ended = true;
        }
    }

    /// Lets the watch of a layer read on; what it finds, or cannot read in full, must not go on as it came.
    fn watch(&mut self, at: usize, read: impl FnOnce(&mut Stream) -> bool) {
        let Some(original) = &mut self.original else {
            return;
        };
        let clean = original
            .watches
            .get_mut(at)
            .is_some_and(|watch| read(watch) && watch.hits().is_empty());
        if !clean {
            self.original = None;
        }
    }
}

impl Layer {
    fn has_work(&self) -> bool {
        !self.over && (!self.input.is_empty() || self.decoder.has_more() || self.ended)
    }

    /// All that it was given is decoded.
    fn is_through(&self) -> bool {
        self.ended && self.input.is_empty() && !self.decoder.has_more()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Polls until the text or an error comes to an end: the bytes of text, the most of them between two pauses, and the pauses.
    fn run(codings: &[Coding], body: Vec<u8>) -> (Result<usize, Error>, usize, usize) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut coded = Coded::answer(codings);
        let mut body = Some(Bytes::from(body));
        let (mut total, mut at_once, mut most, mut pauses) = (0, 0, 0, 0);
        loop {
            match coded.poll_text(&mut cx, |_| Poll::Ready(Ok(body.take()))) {
                Poll::Pending => {
                    pauses += 1;
                    at_once = 0;
                    assert_eq!(count.0.load(Ordering::Relaxed), pauses, "it wakes itself");
                }
                Poll::Ready(Ok(Some(piece))) => {
                    total += piece.len();
                    at_once += piece.len();
                    most = most.max(at_once);
                }
                Poll::Ready(Ok(None)) => return (Ok(total), most, pauses),
                Poll::Ready(Err(error)) => return (Err(error), most, pauses),
            }
        }
    }

    #[test]
    fn p8_long_work_pauses() {
        let text: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let (total, most, pauses) = run(&[Coding::Gzip], gzip(&text));
        assert_eq!(total.unwrap(), text.len());
        let a_turn = PIECE * STEPS as usize;
        assert!(
            most <= a_turn && pauses >= text.len() / a_turn,
            "{most} {pauses}"
        );
        // Work that makes no text pauses too, and has an end.
        let empties = gzip(&gzip(b"").repeat(5000));
        let (total, _, pauses) = run(&[Coding::Gzip, Coding::Gzip], empties);
        assert!(matches!(total, Err(Error::Bomb)) && pauses > 50, "{pauses}");
    }

    #[test]
    fn p8_members_that_hold_something_are_no_bomb() {
        let (total, ..) = run(
            &[Coding::Gzip],
            gzip(b"a line of some thirty characters").repeat(20_000),
        );
        assert_eq!(total.unwrap(), 32 * 20_000);
    }
}
