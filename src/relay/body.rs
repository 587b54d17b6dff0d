//! A request body that is masked while it streams.
//!
//! Its beginning is held back up to `buffer_bytes`: a body that ends within goes on with its exact length, and one that is
//! refused within leaves no trace upstream. A longer one streams on in chunks of unknown total length.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::{Error, Limits, Tally, content};
use crate::guard::{Snapshot, Stream, Syntax};
use crate::net::body::Received;
use crate::net::io::Patience;
use crate::net::pool::Again;

/// Pieces below this many bytes are copied together: each piece costs as much again, and may keep a whole read buffer alive.
const SMALL: usize = 4096;

/// Copied pieces go on when they reach this many bytes.
const BLOCK: usize = 16 << 10;

/// What the upstream side is told of a body that failed; the reason is in [`Upload`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request body failed")]
pub struct BodyFailed;

/// How far a request body has come, shared with the exchange that sends it.
#[derive(Default)]
pub struct Upload {
    complete: AtomicBool,
    over: Notify,
    fault: Mutex<Option<Error>>,
}

impl Upload {
    /// Whether the whole body was handed on.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Waits until no more of the body will be handed on. For one waiter.
    pub async fn over(&self) {
        self.over.notified().await;
    }

    /// Why the body failed, if it did.
    pub fn take_fault(&self) -> Option<Error> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn complete(&self) {
        self.complete.store(true, Ordering::Release);
        self.over.notify_one();
    }

    fn fail(&self, error: Error) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.over.notify_one();
    }
}

/// A request body on its way upstream.
pub struct MaskedBody {
    queue: Queue,
    source: Option<Source>,
    upload: Arc<Upload>,
}

/// The part that is still to come.
struct Source {
    incoming: Received,
    /// `None` where there is nothing to mask.
    stream: Option<Stream>,
    syntax: Syntax,
    /// The body's first bytes, until they are enough to tell its charset.
    opening: Vec<u8>,
    limits: Limits,
    patience: Patience,
    tally: Arc<Tally>,
}

/// What is ready to go on.
#[derive(Clone, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    small: BytesMut,
    bytes: u64,
}

impl MaskedBody {
    /// Reads and masks the beginning; returns once the body is complete or `buffer_bytes` have come.
    ///
    /// # Errors
    /// The client breaks off or stalls, the body is too long, or the engine refuses it.
    pub async fn start(
        incoming: Received,
        syntax: Syntax,
        snapshot: &Snapshot,
        limits: Limits,
        tally: Arc<Tally>,
    ) -> Result<Self, Error> {
        let hint = incoming.size_hint();
        if hint.lower() > limits.max_body_bytes {
            return Err(Error::TooLarge(limits.max_body_bytes));
        }
        let mut body = Self {
            queue: Queue::default(),
            source: None,
            upload: Arc::default(),
        };
        if incoming.is_end_stream() {
            body.upload.complete();
            return Ok(body);
        }
        let stream = (!snapshot.is_empty()).then(|| snapshot.stream(syntax));
        let patience = Patience::new(limits.idle_timeout);
        let source = body.source.insert(Source {
            incoming,
            stream,
            syntax,
            opening: Vec::with_capacity(content::OPENING),
            limits,
            patience,
            tally,
        });
        if source.stream.is_none() && hint.exact().is_some() {
            return Ok(body);
        }
        poll_fn(|cx| body.poll_fill(cx)).await?;
        Ok(body)
    }

    /// How far it has come, for whoever sends it.
    pub fn upload(&self) -> Arc<Upload> {
        Arc::clone(&self.upload)
    }

    /// The exact length, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(source) = &mut self.source {
            if source.tally.received() >= source.limits.buffer_bytes {
                break;
            }
            ready!(self.poll_source(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece from the client through the engine into the queue.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(Ok(()));
        };
        let Poll::Ready(frame) = Pin::new(&mut source.incoming).poll_frame(cx) else {
            ready!(source.patience.poll_lost(cx));
            return Poll::Ready(Err(Error::ClientStalled));
        };
        source.patience.renew();
        let mut out = Vec::new();
        // A chunked body says that it has ended only by its last frame.
        let mut ended = frame.is_none();
        let result = match frame {
            None => source.finish(&mut out),
            Some(Err(_)) => Err(Error::ClientBody),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => source.push(data, &mut out),
                Err(_trailers) => Ok(()),
            },
        };
        result?;
        for piece in out {
            self.queue.push(piece);
        }
        ended |= source.stream.is_none() && source.incoming.is_end_stream();
        if ended {
            self.queue.flush();
            self.source = None;
        }
        Poll::Ready(Ok(()))
    }

    fn next_ready(&mut self) -> Option<Frame<Bytes>> {
        let piece = self.queue.pop()?;
        if self.source.is_none() && self.queue.is_empty() {
            self.upload.complete();
        }
        Some(Frame::data(piece))
    }
}

impl Again for MaskedBody {
    fn again(&self) -> Option<Self> {
        self.source.is_none().then(|| Self {
            queue: self.queue.clone(),
            source: None,
            upload: Arc::clone(&self.upload),
        })
    }
}

impl Source {
    fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        if self.tally.count_received(data.len()) > self.limits.max_body_bytes {
            return Err(Error::TooLarge(self.limits.max_body_bytes));
        }
        let wanted = content::OPENING - self.opening.len();
        if wanted > 0 {
            self.opening
                .extend_from_slice(&data[..wanted.min(data.len())]);
            if !content::is_utf8_text(&self.opening, self.syntax) {
                return Err(Error::Charset);
            }
        }
        match &mut self.stream {
            Some(stream) => stream.push(data, out)?,
            None => out.push(data),
        }
        Ok(())
    }

    /// Ends the text; the stream is gone afterwards.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let finished = stream.finish(out);
        self.tally.add(stream.hits());
        Ok(finished?)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A body that is cut short still counts what was found in it.
        if let Some(stream) = &self.stream {
            self.tally.add(stream.hits());
        }
    }
}

impl Queue {
    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= BLOCK {
                self.flush();
            }
        } else {
            self.flush();
            self.pieces.push_back(piece);
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes = self
            .bytes
            .saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Some(piece)
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.small.is_empty()
    }
}

impl Body for MaskedBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let this = &mut *self;
        loop {
            if let Some(frame) = this.next_ready() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if this.source.is_none() {
                this.upload.complete();
                return Poll::Ready(None);
            }
            match this.poll_source(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    this.source = None;
                    this.upload.fail(error);
                    return Poll::Ready(Some(Err(BodyFailed)));
                }
                // Nothing more for now: what is there goes on at once.
                Poll::Pending if !this.queue.small.is_empty() => this.queue.flush(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none() && self.queue.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            None => SizeHint::with_exact(self.queue.bytes),
            Some(source) if source.stream.is_none() && self.queue.is_empty() => {
                source.incoming.size_hint()
            }
            Some(_) => SizeHint::default(),
        }
    }
}

impl Drop for MaskedBody {
    fn drop(&mut self) {
        // Complete or not, nothing more comes.
        self.upload.over.notify_one();
    }
}
