//! One request's admission: what it is masked with, and its places in the audit log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::request_id::RequestId;
use super::state::SLOTS;
use super::{Counts, Guard, Owner, Snapshot, Unavailable};
use crate::audit::{Event, Kind, Slot};
use crate::mask::Form;

/// What the log says of a request.
#[derive(Clone, Debug)]
pub struct About {
    /// The channel.
    pub channel: &'static str,
    /// The route's name.
    pub target: Arc<str>,
    /// The method, if it is a known one.
    pub method: &'static str,
}

/// A request that was admitted. What it has to say is in the log within a second of [`Ticket::note`], or of its end.
pub struct Ticket {
    pub(super) guard: Arc<Guard>,
    pub(super) snapshot: Arc<Snapshot>,
    about: About,
    id: RequestId,
    desk: Mutex<Desk>,
}

/// What is still to be said, and where.
struct Desk {
    slots: Vec<Slot>,
    /// What was masked and is not in the log yet.
    open: Counts,
    /// What was refused, and what went on unmasked.
    others: Vec<Event>,
    /// All that was masked.
    total: Counts,
}

impl Ticket {
    pub(super) fn new(
        guard: Arc<Guard>,
        snapshot: Arc<Snapshot>,
        about: About,
        slots: Vec<Slot>,
    ) -> Self {
        let id = guard.ids.next();
        Self {
            guard,
            snapshot,
            about,
            id,
            desk: Mutex::new(Desk {
                slots,
                open: Counts::default(),
                others: Vec::new(),
                total: Counts::default(),
            }),
        }
    }

    /// What the request is masked with.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The number that ties its log line to its events.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// What the next message of a connection is masked with, which lasts longer than a request; it has a place in the log too.
    ///
    /// # Errors
    /// It cannot be served now.
    pub async fn next(&self) -> Result<Arc<Snapshot>, Unavailable> {
        let wanted = SLOTS.saturating_sub(self.desk().slots.len());
        for _ in 0..wanted {
            let slot = self.guard.slot()?;
            self.desk().slots.push(slot);
        }
        self.guard.fresh().await
    }

    /// Puts into the log what was masked so far and was not said yet, and what was refused: an event for each value and form.
    pub fn note(&self, counts: &Counts) {
        let mut desk = self.desk();
        desk.open.merge(counts);
        desk.total.merge(counts);
        if desk.open.is_empty() && desk.others.is_empty() {
            return;
        }
        // Each message and each half of a request has its place; a queue that is full gives none beyond that.
        let Some(slot) = desk.slots.pop().or_else(|| self.guard.slot().ok()) else {
            return;
        };
        let mut events = std::mem::take(&mut desk.others);
        let open = std::mem::take(&mut desk.open);
        for (owners, form, count) in open.iter() {
            let event = self.event(Kind::Mask).form(form.as_str()).count(count);
            events.push(named(event, owners).outcome("done"));
        }
        slot.commit(events);
    }

    /// All that was masked so far, as it was said.
    pub fn total(&self) -> Counts {
        self.desk().total.clone()
    }

    /// Puts into the log that the request was refused for what it held.
    pub fn refused_for(&self, key: &str, reason: &str) {
        let event = self.event(Kind::Refuse).key(key);
        self.refused(event.outcome("refused").reason(reason));
    }

    /// Puts into the log that values went on as they were in a block that the provider signed, as `model.signed` allows.
    pub fn passed(&self, owners: &[Owner], form: Form, count: u64) {
        let event = self.event(Kind::Mask).form(form.as_str()).count(count);
        let event = event.outcome("passed").reason("signed block");
        self.desk().others.push(named(event, owners));
    }

    pub(super) fn refused(&self, event: Event) {
        self.desk().others.push(event);
    }

    /// An event of this request.
    pub(super) fn event(&self, kind: Kind) -> Event {
        let About {
            channel,
            target,
            method,
        } = &self.about;
        Event::new(kind)
            .channel(channel)
            .agent(&self.guard.agent)
            .target(target)
            .method(method)
            .request_id(self.id.to_string())
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing under this lock panics half-way.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.note(&Counts::default());
        let desk = self.desk();
        if !desk.open.is_empty() || !desk.others.is_empty() {
            let request_id = self.id.to_string();
            tracing::error!(
                request_id,
                "what was masked is not all in the audit log: its queue is full"
            );
        }
    }
}

/// An event with all names of a value; scope and domain are those of the first.
fn named(event: Event, owners: &[Owner]) -> Event {
    let mut keys: Vec<&str> = Vec::with_capacity(owners.len());
    for owner in owners {
        if !keys.contains(&owner.key.as_str()) {
            keys.push(&owner.key);
        }
    }
    let event = event.keys(keys);
    match owners.first() {
        Some(owner) => event.scope(&owner.scope).domain(&owner.domain),
        None => event,
    }
}
