//! A request body that is masked while it streams.
//!
//! Its beginning is held back up to `buffer_bytes`: a body that ends within goes on with its exact length, and one that is
//! refused within leaves no trace upstream. A longer one streams on in chunks of unknown total length.
//!
//! A body with content codings is masked as the text that they hold. If nothing is found in it and it ends within
//! `buffer_bytes`, coded form and text together, it goes on as it came; else the text goes on, without a coding.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::coded::Coded;
use super::content::{self, Content, Declared, Opening};
use super::multipart::Reader;
use super::queue::Queue;
use super::{Error, Limits, Tally};
use crate::guard::Snapshot;
use crate::net::body::Received;
use crate::net::io::Patience;
use crate::net::pool::Again;

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
    /// Boxed: requests are moved from hand to hand.
    source: Option<Box<Source>>,
    decoded: bool,
    upload: Arc<Upload>,
}

/// The part that is still to come.
struct Source {
    incoming: Received,
    /// `None` where there is nothing to mask.
    stream: Option<Reader>,
    /// `None` where there is no coding to take off.
    coded: Option<Coded>,
    /// Something was found in the text.
    found: bool,
    declared: Declared,
    /// The text's first bytes, until they are enough to tell its charset. `None` where the text is not looked at.
    opening: Option<Opening>,
    limits: Limits,
    patience: Patience,
    tally: Arc<Tally>,
    /// What a piece led to, empty between two of them: kept for its room.
    out: Vec<Bytes>,
}

impl MaskedBody {
    /// No body.
    pub fn none() -> Self {
        let body = Self {
            queue: Queue::default(),
            source: None,
            decoded: false,
            upload: Arc::default(),
        };
        body.upload.complete();
        body
    }

    /// Reads and masks the beginning; returns once the body is complete or `buffer_bytes` have come.
    ///
    /// # Errors
    /// The client breaks off or stalls, the body is too long or its coding is broken, or the engine refuses it.
    pub async fn start(
        incoming: Received,
        content: &Content,
        snapshot: &Arc<Snapshot>,
        limits: Limits,
        tally: Arc<Tally>,
    ) -> Result<Self, Error> {
        let hint = incoming.size_hint();
        if hint.lower() > limits.max_body_bytes {
            return Err(Error::TooLarge(limits.max_body_bytes));
        }
        if incoming.is_end_stream() {
            return Ok(Self::none());
        }
        let mut body = Self {
            queue: Queue::default(),
            source: None,
            decoded: false,
            upload: Arc::default(),
        };
        let Content {
            declared,
            boundary,
            codings,
        } = content;
        let stream = (!snapshot.is_empty())
            .then(|| Reader::new(snapshot, *declared, boundary.as_ref()))
            .transpose()?;
        let is_coded = !codings.is_empty();
        let coded =
            (is_coded && stream.is_some()).then(|| Coded::request(codings, snapshot, &limits));
        let opening = (!is_coded || coded.is_some()).then(Opening::default);
        body.decoded = coded.is_some();
        let patience = Patience::new(limits.idle_timeout);
        let source = body.source.insert(Box::new(Source {
            incoming,
            stream,
            coded,
            found: false,
            declared: *declared,
            opening,
            limits,
            patience,
            tally,
            out: Vec::new(),
        }));
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

    /// Whether the text goes on without the codings that it came in. Known once [`MaskedBody::start`] has returned.
    pub fn is_decoded(&self) -> bool {
        self.decoded
    }

    /// The exact length, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(source) = &self.source {
            // What a coding makes of a body has another length than what came.
            let held = match &source.coded {
                None => source.tally.received(),
                Some(_) => self.queue.bytes(),
            };
            if held >= source.limits.buffer_bytes {
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
        let piece = ready!(source.poll_text(cx))?;
        let mut out = std::mem::take(&mut source.out);
        // A chunked body says that it has ended only by its last frame.
        let mut ended = piece.is_none();
        match piece {
            None => source.finish(&mut out)?,
            Some(data) => source.push(data, &mut out)?,
        }
        for piece in out.drain(..) {
            self.queue.push(piece);
        }
        source.out = out;
        ended |= source.stream.is_none() && source.incoming.is_end_stream();
        source.mind_original(&self.queue);
        if ended {
            if let Some(original) = source.coded.as_mut().and_then(Coded::take_original) {
                self.queue = original;
                self.decoded = false;
            }
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
            decoded: self.decoded,
            upload: Arc::clone(&self.upload),
        })
    }
}

impl Source {
    /// The next piece of the text, without codings; `None` at its end.
    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(mut coded) = self.coded.take() else {
            return self.poll_received(cx);
        };
        let polled = coded.poll_text(cx, |cx| self.poll_received(cx));
        self.coded = Some(coded);
        polled
    }

    /// The next piece as it comes from the client; `None` at the body's end.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                ready!(self.patience.poll_lost(cx));
                return Poll::Ready(Err(Error::ClientStalled));
            };
            self.patience.renew();
            let Some(frame) = frame else {
                return Poll::Ready(Ok(None));
            };
            // Trailers are dropped.
            let Ok(data) = frame.map_err(|_| Error::ClientBody)?.into_data() else {
                continue;
            };
            if self.tally.count_received(data.len()) > self.limits.max_body_bytes {
                return Poll::Ready(Err(Error::TooLarge(self.limits.max_body_bytes)));
            }
            return Poll::Ready(Ok(Some(data)));
        }
    }

    fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        if let Some(opening) = &mut self.opening
            && !content::is_utf8_text(opening.with(&data), self.declared)
        {
            return Err(Error::Charset);
        }
        match &mut self.stream {
            Some(stream) => {
                stream.push(data, out)?;
                self.found = self.found || !stream.hits().is_empty();
            }
            None => out.push(data),
        }
        Ok(())
    }

    /// Drops the coded form where it cannot go on as it came any more: something was found, or it takes too much room.
    fn mind_original(&mut self, queue: &Queue) {
        if let Some(coded) = &mut self.coded
            && (self.found
                || coded.kept().saturating_add(queue.bytes()) >= self.limits.buffer_bytes)
        {
            coded.give_up_original();
        }
    }

    /// Ends the text; the stream is gone afterwards.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let finished = stream.finish(out);
        let hits = stream.hits();
        self.found |= !hits.is_empty();
        self.tally.add(&hits);
        self.tally.add_passed(&stream.passed());
        finished
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A body that is cut short still counts what was found in it.
        if let Some(stream) = &self.stream {
            self.tally.add(&stream.hits());
            self.tally.add_passed(&stream.passed());
        }
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
                Poll::Pending if this.queue.has_small() => this.queue.flush(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none() && self.queue.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            None => SizeHint::with_exact(self.queue.bytes()),
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
