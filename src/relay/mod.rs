//! What the model channel and the egress channel do alike with a request: mask it, send it, stream the answer back.
//!
//! The way through: [`content::read`] says how a body is to be read or refuses it, [`head`] masks the target and the
//! headers and drops what belongs to one hop, [`body::MaskedBody`] takes content codings off the body (`coded`) and masks it as
//! it streams, a multipart one part by part ([`multipart::Reader`]), [`exchange::send`] runs the exchange on a pooled connection
//! and hands back the answer with [`exchange::AnswerBody`], which [`answer_body`] masks where that is asked for. [`socket`] does
//! the same for a WebSocket: the handshake, then message by message.
//!
//! Invariants: nothing of a request goes upstream unmasked; a body that cannot be read is refused, not passed; a request
//! that is refused after its first upstream byte never looks complete upstream; an answer that ends early upstream never
//! looks complete to the client; memory per body is bounded by `buffer_bytes` and the engine's own limit.
//!
//! Request trailers are dropped: no provider's API has any, and they arrive when nothing can be refused any more.
//! This room knows no routes and makes no error responses.

pub mod answer_body;
mod answer_text;
pub mod body;
mod coded;
pub mod content;
pub mod exchange;
pub mod head;
pub mod multipart;
mod queue;
pub mod socket;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::guard::{Counts, Hits, Refusal, Snapshot, Ticket};
use crate::net::coding::CodingError;
use crate::net::pool::SendError;
use crate::net::websocket::handshake::AnswerError;

/// Limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Body bytes, at least one, that are held back for an exact `Content-Length`; a longer body is sent in chunks.
    pub buffer_bytes: u64,
    /// Bytes of a request body, as it comes and as each of its content codings makes it.
    pub max_body_bytes: u64,
    /// Silence inside a body, on either side.
    pub idle_timeout: Duration,
    /// From the request's last byte to the answer's head.
    pub response_timeout: Duration,
    /// Bytes of a WebSocket message from the client.
    pub max_message_bytes: u64,
}

/// Why an exchange has no answer, or ends inside it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's body broke off or is badly framed.
    #[error("the request body broke off or is badly framed")]
    ClientBody,
    /// The client sent nothing for too long.
    #[error("the client sent nothing for too long")]
    ClientStalled,
    /// The request body is longer than `max_body_bytes`.
    #[error("the request body is longer than the limit of {0} bytes")]
    TooLarge(u64),
    /// The request body's content coding is broken.
    #[error("the request body cannot be decoded: {0}")]
    Coding(#[from] CodingError),
    /// The request body's content coding makes too much of too little.
    #[error("the request body's content coding makes more than {most} bytes of each that was sent", most = coded::MOST_RATIO)]
    Bomb,
    /// The request body shows to be UTF-16 or UTF-32.
    #[error("the request body has a charset other than utf-8")]
    Charset,
    /// A multipart body that cannot be read.
    #[error("{0}")]
    Part(#[from] multipart::PartError),
    /// The engine refuses to read it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A name that HTTP does not let us rewrite (a method, a header's name) holds a value.
    #[error("the {0} holds a secret")]
    SecretInName(&'static str),
    /// A header that some servers take for one that frames the request.
    #[error(
        "a header's name has underscores in place of the hyphens of one that frames the request"
    )]
    LookAlike,
    /// What masking made of a header or the target is not valid there.
    #[error("the masked {0} is not valid HTTP")]
    Unwritable(&'static str),
    /// No exchange with the upstream.
    #[error("{0}")]
    Upstream(#[from] SendError),
    /// The upstream sent no head in time.
    #[error("it sent no answer within the response time")]
    ResponseTimeout,
    /// The upstream's answer broke off.
    #[error("its answer broke off")]
    AnswerBroken,
    /// The upstream's answer has a transfer coding that we did not ask for and do not read.
    #[error("its answer has a transfer coding other than chunked")]
    AnswerTransfer,
    /// The upstream sent nothing for too long inside its answer.
    #[error("its answer stalled")]
    AnswerStalled,
    /// The answer is to be masked and cannot be read.
    #[error("its answer cannot be masked: {0}")]
    Unreadable(#[from] answer_body::Unreadable),
    /// The upstream switched protocols without being asked.
    #[error("it switched protocols unasked")]
    Switched,
    /// The upstream's answer to a WebSocket handshake is not valid.
    #[error("{0}")]
    Handshake(#[from] AnswerError),
}

/// What one exchange counts, for its log line and its audit events.
#[derive(Default)]
pub struct Tally {
    ticket: Option<Arc<Ticket>>,
    hits: Mutex<Hits>,
    named: Mutex<Counts>,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Tally {
    /// Counts for a request that was admitted. What was found is in its log when the last one who counts is through.
    pub fn of(ticket: Arc<Ticket>) -> Self {
        let mut tally = Self::default();
        tally.ticket = Some(ticket);
        tally
    }

    /// The request's admission.
    pub fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.ticket.as_ref()
    }

    /// Puts into the log what was found and is not there yet; returns all that was found so far.
    pub fn note(&self) -> Counts {
        let Some(ticket) = &self.ticket else {
            return Counts::default();
        };
        ticket.note(&self.take(ticket.snapshot()));
        ticket.total()
    }

    /// Adds occurrences under the numbers of the request's snapshot.
    pub fn add(&self, hits: &Hits) {
        if hits.is_empty() {
            return;
        }
        // A count is right whatever happened to the thread that held the lock.
        let mut all = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in hits {
            let sum = all.entry(*key).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// Adds what went on as it was in signed blocks, under the numbers of the request's snapshot.
    pub fn add_passed(&self, hits: &Hits) {
        if let Some(ticket) = &self.ticket {
            self.add_passed_by(hits, ticket.snapshot());
        }
    }

    /// The same under the numbers of another snapshot.
    pub fn add_passed_by(&self, hits: &Hits, snapshot: &Snapshot) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        for ((id, form), count) in hits {
            if let Some(owners) = snapshot.owners(*id) {
                ticket.passed(owners, *form, *count);
            }
        }
    }

    /// Adds occurrences that another snapshot found than the request's.
    pub fn add_named(&self, hits: &Hits, snapshot: &Snapshot) {
        if hits.is_empty() {
            return;
        }
        // As in `add`.
        let mut all = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        for ((id, form), count) in hits {
            if let Some(owners) = snapshot.owners(*id) {
                all.add(owners, *form, *count);
            }
        }
    }

    /// Takes the occurrences since it was asked last; those of [`Tally::add`] are that snapshot's.
    fn take(&self, snapshot: &Snapshot) -> Counts {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let hits = std::mem::take(&mut *hits);
        self.add_named(&hits, snapshot);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *named)
    }

    /// Counts body bytes from the client.
    pub fn count_received(&self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
    }

    /// Counts body bytes to the client.
    pub fn count_sent(&self, bytes: usize) {
        self.sent
            .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Body bytes from the client so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Body bytes to the client so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.note();
    }
}
