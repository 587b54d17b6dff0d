//! The callers' side: a bounded queue in front of the one thread that writes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, mem};

use thiserror::Error;
use tokio::sync::oneshot;

use super::copies::Copies;
use super::event::Event;
use super::keeper::{Keeper, KeeperError};
use super::log::Log;
use super::writer;

/// How long [`Recorder::durable`] waits.
const DURABLE_WAIT: Duration = Duration::from_secs(1);

/// How long [`Recorder::close`] waits for what is queued.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long a closing writer goes on trying what fails.
const LAST_TRIES: Duration = Duration::from_secs(2);

/// How long what can wait does wait for company, so that many requests share an fsync.
pub(super) const COMPANY_WAIT: Duration = Duration::from_millis(200);

/// From when on a write that is not through makes [`Recorder::health`] fail.
const SLOW: Duration = Duration::from_millis(500);

/// How long an alarm shows in [`Recorder::health`]: longer than the usual period of a readiness probe.
const ALARM_SHOWS: Duration = Duration::from_secs(10);

/// Events in the queue per place in it: past that, no new place is given.
const EVENTS_PER_PLACE: usize = 16;

/// The most events of one batch.
pub(super) const BATCH: usize = 4096;

/// What a log needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// From this size on it is rotated.
    pub rotate_bytes: u64,
    /// Whether each line goes to standard output too.
    ///
    /// That is a copy, not the log: where nobody reads it fast enough, lines are left out of it, and their number is logged.
    pub stdout: bool,
    /// How many requests and waiting callers have a place at a time.
    pub queue: usize,
}

/// Why a log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file or its folder.
    #[error("cannot open the audit log {}: {source}; check that its folder exists, is writable by this user and has room", path.display())]
    File {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The keeper of key and head.
    #[error("cannot open the audit log: {0}")]
    Keeper(#[from] KeeperError),
    /// The system gives no thread.
    #[error("cannot start the audit log's writer: {0}")]
    Thread(io::Error),
}

/// Why an event is not, or not known to be, in the log. Nothing that must not happen unseen may happen then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// All places are taken: the log takes in less than happens.
    #[error("the audit log's queue is full")]
    Full,
    /// It did not become durable in time.
    #[error("the audit log cannot be written")]
    Late,
    /// The log is closed, or its writer died.
    #[error("the audit log is closed")]
    Closed,
}

/// A log that is open for writing. Clones share it; the last one that goes closes it.
#[derive(Clone)]
pub struct Recorder {
    handle: Arc<Handle>,
}

/// A place in the queue, for what a request has to say at its end. Dropped, it is given back.
#[must_use = "a place that is dropped is given back"]
pub struct Slot {
    handle: Arc<Handle>,
    /// Whether the place is still this slot's to give back.
    is_held: bool,
}

/// Closes the log when the last recorder goes.
struct Handle {
    shared: Arc<Shared>,
}

impl Recorder {
    /// Opens the log, checks it from the keeper's head on, and starts its writer. Reads and writes files: not for a runtime's thread.
    pub fn open(settings: Settings, keeper: Arc<dyn Keeper>) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            capacity: settings.queue.max(1),
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: Condvar::new(),
        });
        let copies = if settings.stdout {
            Some(Copies::start(io::stdout()).map_err(OpenError::Thread)?)
        } else {
            None
        };
        let log = Log::open(settings.path, settings.rotate_bytes, keeper)?;
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer::run(&of_thread, log, copies))
            .map_err(OpenError::Thread)?;
        let handle = Arc::new(Handle { shared });
        Ok(Self { handle })
    }

    /// Takes a place in the queue, so that what a request will have to say always fits.
    pub fn reserve(&self) -> Result<Slot, Unavailable> {
        self.handle.shared.take_place()?;
        Ok(Slot {
            handle: Arc::clone(&self.handle),
            is_held: true,
        })
    }

    /// Returns when the events are fsynced. Gives up after a second: then what they announce must not happen, though they may still
    /// come to stand in the log.
    pub async fn durable(&self, events: Vec<Event>) -> Result<(), Unavailable> {
        let (sender, receiver) = oneshot::channel();
        self.handle.shared.push(events, Waiter::Task(sender))?;
        match tokio::time::timeout(DURABLE_WAIT, receiver).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Unavailable::Closed),
            Err(_) => Err(Unavailable::Late),
        }
    }

    /// [`Recorder::durable`] for threads outside a runtime.
    pub fn durable_blocking(&self, events: Vec<Event>) -> Result<(), Unavailable> {
        self.durable_within(events, DURABLE_WAIT)
    }

    /// The same for somebody who can wait longer than a request.
    pub fn durable_within(&self, events: Vec<Event>, time: Duration) -> Result<(), Unavailable> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let token = Arc::new(());
        let waiter = Waiter::Thread(sender, Arc::downgrade(&token));
        self.handle.shared.push(events, waiter)?;
        receiver.recv_timeout(time).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => Unavailable::Late,
            mpsc::RecvTimeoutError::Disconnected => Unavailable::Closed,
        })
    }

    /// Whether the log takes writes. Fails with the first write that fails, within half a second of one that hangs, for ten
    /// seconds after an alarm, and while the head cannot be stored; is well again by itself.
    pub fn health(&self) -> Result<(), String> {
        self.handle.shared.state().health(Instant::now())
    }

    /// Writes what is queued, and ends. `Late` if that takes more than five seconds.
    pub fn close(&self) -> Result<(), Unavailable> {
        self.handle.shared.close()
    }
}

impl Slot {
    /// Hands in what there is to say. It is durable within a second, if the log can be written.
    pub fn commit(mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.is_held = false;
        self.handle.shared.push_held(events, Waiter::Nobody);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_held {
            self.handle.shared.state().places -= 1;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.shared.close() {
            tracing::error!("the audit log did not end in order: {error}");
        }
    }
}

/// What callers and the writer share. Its lock is never held while a file is touched.
pub(super) struct Shared {
    capacity: usize,
    state: Mutex<State>,
    /// The writer waits here for work.
    pub wake: Condvar,
    /// Closing callers wait here for the writer's end.
    ended: Condvar,
}

/// The queue, and how the writer is doing.
#[derive(Default)]
pub(super) struct State {
    waiting: VecDeque<Entry>,
    /// Places that are taken: by slots, and by entries until they are durable.
    places: usize,
    /// Events of `waiting`.
    events: usize,
    /// Entries of `waiting` for which somebody waits.
    urgent: usize,
    /// Since when the writer has been at its files, or the oldest of the batch that it is writing has been waiting.
    pub busy: Option<Instant>,
    /// Why the last write failed.
    pub failing: Option<String>,
    /// Why the head could not be stored.
    pub head_failing: Option<String>,
    /// The last alarm.
    pub alarm: Option<(Instant, String)>,
    /// Since when it is to end.
    closing: Option<Instant>,
    has_ended: bool,
}

/// Events that go into the log together.
pub(super) struct Entry {
    pub events: Vec<Event>,
    since: Instant,
    waiter: Waiter,
}

/// Who is told when an entry is durable.
enum Waiter {
    Nobody,
    Task(oneshot::Sender<()>),
    /// The other half of the second is gone when the caller has given up.
    Thread(SyncSender<()>, std::sync::Weak<()>),
}

impl Waiter {
    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    fn has_given_up(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::Task(sender) => sender.is_closed(),
            Self::Thread(_, token) => token.strong_count() == 0,
        }
    }

    /// One who has given up meanwhile need not be told.
    fn tell(self) {
        match self {
            Self::Nobody => {}
            Self::Task(sender) => drop(sender.send(())),
            Self::Thread(sender, _) => drop(sender.try_send(())),
        }
    }
}

/// What the writer is to do next.
pub(super) enum Work {
    /// Write these.
    Batch(Vec<Entry>),
    /// Nothing is queued: see whether the log is still there.
    Check,
    /// Nothing is queued, and nothing will come.
    End,
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_place(&self) -> Result<(), Unavailable> {
        let mut state = self.state();
        if state.closing.is_some() || state.has_ended {
            return Err(Unavailable::Closed);
        }
        if state.places >= self.capacity || state.events >= self.capacity * EVENTS_PER_PLACE {
            return Err(Unavailable::Full);
        }
        state.places += 1;
        Ok(())
    }

    fn push(&self, events: Vec<Event>, waiter: Waiter) -> Result<(), Unavailable> {
        self.take_place()?;
        self.push_held(events, waiter);
        Ok(())
    }

    /// Queues events for which a place was taken.
    fn push_held(&self, events: Vec<Event>, waiter: Waiter) {
        let mut state = self.state();
        if state.has_ended {
            // Nobody is left to write them; a waiter learns it by its sender's end.
            state.places -= 1;
            tracing::error!(
                "{} audit events came after the log was closed",
                events.len()
            );
            return;
        }
        state.events += events.len();
        state.urgent += usize::from(waiter.is_urgent());
        state.waiting.push_back(Entry {
            events,
            since: Instant::now(),
            waiter,
        });
        self.wake.notify_all();
    }

    /// Waits for work: until somebody waits for an event, the oldest has waited long enough for company, or `check` is over.
    pub fn next(&self, check: Duration) -> Work {
        let mut state = self.state();
        let check_at = Instant::now() + check;
        loop {
            let now = Instant::now();
            let wait = match state.waiting.front() {
                None if state.closing.is_some() => return Work::End,
                None if now >= check_at => {
                    state.busy = Some(now);
                    return Work::Check;
                }
                None => check_at - now,
                Some(oldest) => {
                    let ready_at = oldest.since + COMPANY_WAIT;
                    if state.urgent > 0
                        || state.closing.is_some()
                        || state.events >= BATCH
                        || now >= ready_at
                    {
                        return Work::Batch(state.take_batch());
                    }
                    ready_at - now
                }
            };
            let waited = self.wake.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The batch is on the disk: its callers go on.
    pub fn settle(&self, batch: Vec<Entry>) {
        let mut state = self.state();
        state.places -= batch.len();
        state.busy = None;
        state.failing = None;
        drop(state);
        for entry in batch {
            entry.waiter.tell();
        }
    }

    /// Waits before the next try. `false`: the log is to close, and was given time enough.
    pub fn pause(&self, time: Duration) -> bool {
        thread::sleep(time);
        let closing = self.state().closing;
        closing.is_none_or(|since| since.elapsed() < LAST_TRIES)
    }

    /// The writer is gone, however that came.
    pub fn end(&self) {
        let mut state = self.state();
        state.has_ended = true;
        let left = mem::take(&mut state.waiting);
        state.places -= left.len();
        drop(state); // Their senders' end tells those who wait.
        drop(left);
        self.ended.notify_all();
    }

    fn close(&self) -> Result<(), Unavailable> {
        let until = Instant::now() + CLOSE_WAIT;
        let mut state = self.state();
        state.closing.get_or_insert_with(Instant::now);
        self.wake.notify_all();
        while !state.has_ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unavailable::Late);
            }
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.failing.is_some() {
            return Err(Unavailable::Late);
        }
        Ok(())
    }
}

impl State {
    /// Takes what goes into one write. What its caller has given up on is left out.
    fn take_batch(&mut self) -> Vec<Entry> {
        let mut batch = Vec::new();
        let mut events = 0;
        while events < BATCH {
            let Some(entry) = self.waiting.pop_front() else {
                break;
            };
            self.events -= entry.events.len();
            self.urgent -= usize::from(entry.waiter.is_urgent());
            if entry.waiter.has_given_up() {
                self.places -= 1;
                continue;
            }
            self.busy = self.busy.or(Some(entry.since));
            events += entry.events.len();
            batch.push(entry);
        }
        batch
    }

    fn health(&self, now: Instant) -> Result<(), String> {
        if self.has_ended {
            return Err("the audit log is closed".to_owned());
        }
        if let Some(reason) = &self.failing {
            return Err(format!("the audit log cannot be written: {reason}"));
        }
        let oldest = self.waiting.front().map(|entry| entry.since);
        let waits = |since: Instant| now.saturating_duration_since(since) > SLOW;
        if self.busy.is_some_and(waits) || oldest.is_some_and(waits) {
            return Err("the audit log hangs: a write has not come back yet".to_owned());
        }
        if let Some(reason) = &self.head_failing {
            return Err(format!(
                "the head of the audit log cannot be stored: {reason}"
            ));
        }
        match &self.alarm {
            Some((when, reason)) if now.saturating_duration_since(*when) < ALARM_SHOWS => {
                Err(format!("the audit log was tampered with: {reason}"))
            }
            _ => Ok(()),
        }
    }
}
