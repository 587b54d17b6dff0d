//! The messages that wait for one receiver, bounded by their bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::types::FromBrowser;

/// Bytes that may wait for a client before the browser has to.
const MOST_WAITING: usize = 32 << 20;

/// Bytes that may wait for a client while something of ours waits for the browser.
const MOST_WITH_URGENT: usize = 96 << 20;

/// How long a client may take for [`LEAST_TAKEN`] bytes while the browser waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client must take within [`PATIENCE`] while the browser waits for it.
const LEAST_TAKEN: u64 = 1 << 20;

/// What a message costs besides its bytes.
const OVERHEAD: usize = 256;

/// The sending side is the router's.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// There is something to receive.
    ready: Notify,
    /// Something was taken.
    taken: Notify,
}

struct Inner {
    messages: VecDeque<(FromBrowser, usize)>,
    bytes: usize,
    /// Bytes that the client has taken so far.
    taken: u64,
    /// Nothing more is sent, and why.
    gone: Option<Arc<str>>,
    patience: Duration,
}

/// Whether a message was put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Yes,
    /// Its receiver is gone.
    Gone,
    /// Its receiver took too little for too long.
    Stalled,
}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        let inner = Inner {
            messages: VecDeque::new(),
            bytes: 0,
            taken: 0,
            gone: None,
            patience: PATIENCE,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            ready: Notify::new(),
            taken: Notify::new(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, once there is room. `urgent` tells whether more room may be taken, and is asked again when `changed` says so.
    pub(super) async fn push(
        &self,
        message: FromBrowser,
        size: usize,
        urgent: impl Fn() -> bool,
        changed: &Notify,
    ) -> Pushed {
        let mut since: Option<(Instant, u64)> = None;
        loop {
            // Before looking, so that nothing is missed between.
            let taken = self.taken.notified();
            let changed = changed.notified();
            let until;
            // Asked before the lock is taken: who asks may hold others.
            let most = if urgent() {
                MOST_WITH_URGENT
            } else {
                MOST_WAITING
            };
            {
                let mut inner = self.inner();
                if inner.gone.is_some() {
                    return Pushed::Gone;
                }
                if inner.bytes < most {
                    let size = size + OVERHEAD;
                    inner.bytes += size;
                    inner.messages.push_back((message, size));
                    drop(inner);
                    self.ready.notify_one();
                    return Pushed::Yes;
                }
                let now = Instant::now();
                match since {
                    Some((_, before)) if inner.taken - before < LEAST_TAKEN => {}
                    _ => since = Some((now, inner.taken)),
                }
                until = since.map_or(now, |(since, _)| since) + inner.patience;
            }
            let waited = timeout_at(until, async {
                tokio::select! {
                    () = taken => {}
                    () = changed => {}
                }
            });
            if waited.await.is_err() {
                return Pushed::Stalled;
            }
        }
    }

    /// Says the end. What waits is still received, unless `at_once`.
    pub(super) fn end(&self, reason: &Arc<str>, at_once: bool) {
        let mut inner = self.inner();
        if at_once {
            inner.messages.clear();
            inner.bytes = 0;
        }
        inner.gone.get_or_insert_with(|| Arc::clone(reason));
        drop(inner);
        self.ready.notify_one();
        self.taken.notify_one();
    }

    fn take(&self) -> Option<FromBrowser> {
        let mut inner = self.inner();
        if let Some((message, size)) = inner.messages.pop_front() {
            inner.bytes -= size;
            inner.taken += size as u64;
            drop(inner);
            self.taken.notify_one();
            return Some(message);
        }
        inner.gone.clone().map(FromBrowser::Gone)
    }
}

/// The messages for a client, bounded by bytes.
pub struct Incoming {
    queue: Arc<Queue>,
}

impl Incoming {
    pub(super) fn of(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// The next message. May be dropped while it waits, without loss.
    pub async fn next(&mut self) -> FromBrowser {
        loop {
            if let Some(message) = self.queue.take() {
                return message;
            }
            self.queue.ready.notified().await;
        }
    }

    /// What tells the hub that the client goes on taking a long message.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            queue: Arc::clone(&self.queue),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.queue.end(&"the client left".into(), true);
    }
}

/// Says that a client took something, while one message is long under way.
#[derive(Clone)]
pub struct Pulse {
    queue: Arc<Queue>,
}

impl Pulse {
    /// The client took that many bytes.
    pub fn beat(&self, bytes: usize) {
        self.queue.inner().taken += bytes as u64;
        self.queue.taken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some message; what it weighs is said beside it.
    fn message() -> FromBrowser {
        FromBrowser::Gone("message".into())
    }

    fn is(message: &FromBrowser, text: &str) -> bool {
        matches!(message, FromBrowser::Gone(reason) if &**reason == text)
    }

    async fn push(queue: &Queue, size: usize, urgent: bool) -> Pushed {
        queue.push(message(), size, || urgent, &Notify::new()).await
    }

    fn impatient() -> (Arc<Queue>, Incoming) {
        let queue = Queue::new();
        queue.inner().patience = Duration::from_millis(100);
        (Arc::clone(&queue), Incoming::of(queue))
    }

    #[tokio::test]
    async fn a_full_queue_waits_and_one_whose_client_takes_nothing_is_given_up() {
        let (queue, mut incoming) = impatient();
        assert_eq!(push(&queue, MOST_WAITING, false).await, Pushed::Yes);
        assert_eq!(push(&queue, 1, false).await, Pushed::Stalled);
        assert_eq!(
            push(&queue, 1, true).await,
            Pushed::Yes,
            "while we wait ourselves"
        );
        assert_eq!(push(&queue, MOST_WITH_URGENT, true).await, Pushed::Yes);
        assert_eq!(push(&queue, 1, true).await, Pushed::Stalled);
        for _ in 0..2 {
            assert!(is(&incoming.next().await, "message"));
        }
        assert_eq!(
            push(&queue, 1, false).await,
            Pushed::Stalled,
            "the last is large"
        );
        assert!(is(&incoming.next().await, "message"));
        assert_eq!(push(&queue, 1, false).await, Pushed::Yes);
    }

    #[tokio::test]
    async fn a_client_that_goes_on_taking_is_waited_for() {
        let (queue, mut incoming) = impatient();
        push(&queue, MOST_WAITING, false).await;
        let pulse = incoming.pulse();
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { push(&queue, 1, false).await }
        });
        // For longer than its patience: it takes one long message, as fast as it must.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(400) {
            pulse.beat(1 << 20);
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        assert!(is(&incoming.next().await, "message"));
        assert_eq!(waiting.await.unwrap(), Pushed::Yes);
    }

    #[tokio::test]
    async fn the_end_comes_behind_what_waits_or_at_once() {
        let (queue, mut incoming) = impatient();
        push(&queue, 1, false).await;
        queue.end(&"over".into(), false);
        assert_eq!(push(&queue, 1, false).await, Pushed::Gone);
        assert!(is(&incoming.next().await, "message"));
        assert!(is(&incoming.next().await, "over"));
        let (queue, mut incoming) = impatient();
        push(&queue, 1, false).await;
        queue.end(&"over".into(), true);
        queue.end(&"again".into(), false);
        assert!(is(&incoming.next().await, "over"));
        drop(incoming);
        assert_eq!(push(&queue, 1, false).await, Pushed::Gone);
    }
}
