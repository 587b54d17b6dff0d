//! What is known of a connection at a moment: sessions, clients, and commands that wait for their answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OnceCell, oneshot};

use super::events::Subscriber;
use super::queue::Queue;
use super::rewrite;
use super::sessions::{Owner, Sessions};
use super::types::CallError;

/// Commands of a client that may wait for their answers.
const MOST_IN_FLIGHT: usize = 16_384;

/// Whose an answer is.
pub(super) enum Waiting {
    /// A call's; the answer's result.
    Call(oneshot::Sender<Result<Bytes, CallError>>),
    /// A client's.
    Client {
        member: u64,
        id: i64,
        method: Arc<str>,
    },
    /// That of attaching a root: the session is entered before anything else is read.
    Root(Owner, oneshot::Sender<Result<Arc<str>, CallError>>),
}

/// A command that waits for its answer.
pub(super) struct Pending {
    pub(super) waiting: Waiting,
    /// The session as it stands in the command; `None`: the connection's own.
    pub(super) session: Option<Arc<str>>,
    /// As the client named it.
    pub(super) named: bool,
}

/// A client's place.
pub(super) struct Seat {
    pub(super) root: Arc<str>,
    pub(super) queue: Arc<Queue>,
    pub(super) in_flight: usize,
}

#[derive(Default)]
pub(super) struct State {
    /// The next number for a command.
    next: Option<i32>,
    pub(super) pending: HashMap<i32, Pending>,
    /// How many of them are calls: what must not wait for a client.
    pub(super) calls: usize,
    pub(super) sessions: Sessions,
    pub(super) seats: HashMap<u64, Seat>,
    /// Our own sessions by target.
    pub(super) own: HashMap<Box<str>, Arc<OnceCell<Arc<str>>>>,
    pub(super) subscribers: HashMap<Arc<str>, Vec<Subscriber>>,
    pub(super) dead: bool,
}

impl State {
    /// Enters a command; its number.
    pub(super) fn enter(&mut self, pending: Pending) -> i32 {
        self.calls += usize::from(matches!(pending.waiting, Waiting::Call(_)));
        let id = self.number();
        self.pending.insert(id, pending);
        id
    }

    /// The next number that nobody waits for.
    pub(super) fn number(&mut self) -> i32 {
        let mut id = self.next.unwrap_or(rewrite::FIRST_ID);
        // There are more numbers than commands could be in memory.
        while self.pending.contains_key(&id) {
            id = after(id);
        }
        self.next = Some(after(id));
        id
    }

    /// Takes a command out.
    pub(super) fn leave(&mut self, id: i32) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        match &pending.waiting {
            Waiting::Call(_) => self.calls -= 1,
            Waiting::Client { member, .. } => {
                if let Some(seat) = self.seats.get_mut(member) {
                    seat.in_flight -= 1;
                }
            }
            Waiting::Root(..) => {}
        }
        Some(pending)
    }

    /// Takes a session out with all that hangs on it: calls on it fail, what listened to it ends.
    pub(super) fn forget(&mut self, session: &str) {
        let removed = self.sessions.remove(session);
        if removed.is_empty() {
            return;
        }
        let gone: HashSet<&str> = removed.iter().map(|session| &*session.id).collect();
        for session in &gone {
            self.subscribers.remove(*session);
        }
        // One that was never attached is kept as long as somebody tries.
        self.own.retain(|_, cell| match cell.get() {
            Some(session) => !gone.contains(&**session),
            None => Arc::strong_count(cell) > 1,
        });
        if self.calls > 0 {
            self.fail_calls(|session| session.is_some_and(|session| gone.contains(session)));
        }
    }

    /// Takes a client's place, which learns why; what waits for it is still received, unless `at_once`. Its root.
    pub(super) fn unseat(
        &mut self,
        member: u64,
        reason: &Arc<str>,
        at_once: bool,
    ) -> Option<Arc<str>> {
        let seat = self.seats.remove(&member)?;
        seat.queue.end(reason, at_once);
        self.pending.retain(|_, pending| {
            !matches!(pending.waiting, Waiting::Client { member: of, .. } if of == member)
        });
        self.forget(&seat.root);
        Some(seat.root)
    }

    /// Fails the calls on some sessions. A client's commands stay: the browser may answer them still.
    fn fail_calls(&mut self, on: impl Fn(Option<&str>) -> bool) {
        let ids: Vec<i32> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending.waiting, Waiting::Call(_)))
            .filter(|(_, pending)| on(pending.session.as_deref()))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(pending) = self.leave(id)
                && let Waiting::Call(tell) = pending.waiting
            {
                // Nobody waits if the caller has given up.
                let _ = tell.send(Err(CallError::Detached));
            }
        }
    }

    /// Makes room for a client's command if it has too many: those on sessions that are gone are answered no more.
    pub(super) fn has_room(&mut self, member: u64) -> bool {
        let full = |state: &Self| {
            let seat = state.seats.get(&member);
            seat.is_none_or(|seat| seat.in_flight >= MOST_IN_FLIGHT)
        };
        if !full(self) {
            return true;
        }
        let is_lost = |pending: &Pending| {
            let ours =
                matches!(pending.waiting, Waiting::Client { member: of, .. } if of == member);
            let session = pending.session.as_deref();
            ours && session.is_some_and(|session| self.sessions.get(session).is_none())
        };
        let lost = self.pending.iter().filter(|(_, pending)| is_lost(pending));
        let lost: Vec<i32> = lost.map(|(id, _)| *id).collect();
        for id in lost {
            self.leave(id);
        }
        !full(self)
    }
}

fn after(id: i32) -> i32 {
    if id >= rewrite::LAST_ID {
        rewrite::FIRST_ID
    } else {
        id + 1
    }
}
