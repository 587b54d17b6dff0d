//! One connection to the browser, from its start to its end: who waits for what, and the way out.
//!
//! Its router ([`super::route`]) is the one that takes messages in. Everybody may send: what is sent is put into a queue that is
//! bounded by bytes, under a number that is entered first, so that no answer comes to nobody.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::events::Events;
use super::rewrite;
use super::sessions::Owner;
use super::state::{Pending, State, Waiting};
use super::types::{CallError, SendError};
use crate::browser::command::Command;
use crate::browser::upstream::Outgoing;

/// Bytes that may wait for the browser to read them.
const MOST_OUT: usize = 64 << 20;

/// Bytes of a message to the browser: it closes its end of the connection at 100 MiB.
const MOST_COMMAND: usize = 96 << 20;

/// How long a client's command may wait for room.
const ROOM: Duration = Duration::from_secs(30);

/// The parameters of a command of ours: an object's text, wiped when it goes, for it may hold a value.
pub(super) type Params = Option<Zeroizing<Vec<u8>>>;

/// What waits to be written, with its share of the room.
pub(super) struct Queued {
    pub(super) outgoing: Outgoing,
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// One connection.
pub(super) struct Link {
    state: Mutex<State>,
    out: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    most: usize,
    call_timeout: Duration,
    /// A call was entered: the router looks again whether it may wait for a client.
    pub(super) urgent: Notify,
    ended: watch::Sender<Option<Arc<str>>>,
    /// Our own browser session.
    own_root: OnceLock<Arc<str>>,
}

impl Link {
    /// A connection, and what its writer takes.
    pub(super) fn new(
        most: usize,
        call_timeout: Duration,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Queued>) {
        let (out, queued) = mpsc::unbounded_channel();
        let link = Self {
            state: Mutex::new(State::default()),
            out,
            room: Arc::new(Semaphore::new(MOST_OUT)),
            most: most.min(MOST_COMMAND),
            call_timeout,
            urgent: Notify::new(),
            ended: watch::channel(None).0,
            own_root: OnceLock::new(),
        };
        (Arc::new(link), queued)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches our own root, which comes before all others.
    pub(super) async fn attach_own(&self, limit: Duration) -> Result<(), CallError> {
        let root = self.attach_root(Owner::Ours, limit).await?;
        let _ = self.own_root.set(root);
        Ok(())
    }

    /// Attaches a browser session on the connection itself.
    pub(super) async fn attach_root(
        &self,
        owner: Owner,
        limit: Duration,
    ) -> Result<Arc<str>, CallError> {
        let (tell, told) = oneshot::channel();
        {
            let mut state = self.state();
            if state.dead {
                return Err(CallError::Gone);
            }
            let id = state.enter(Pending {
                waiting: Waiting::Root(owner, tell),
                session: None,
                named: true,
            });
            let attach = "Target.attachToBrowserTarget";
            self.put(id, attach, None, &None, None);
        }
        let told = timeout(limit, told).await.map_err(|_| CallError::Timeout)?;
        told.map_err(|_| CallError::Gone)?
    }

    /// A command of ours on a session of that owner; `None`: its root.
    pub(super) async fn call(
        &self,
        owner: Owner,
        session: Option<&str>,
        method: &str,
        params: Params,
    ) -> Result<Bytes, CallError> {
        let size = params.as_ref().map_or(0, |params| params.len());
        let size = size + method.len() + rewrite::ENVELOPE;
        if size > self.most {
            return Err(CallError::TooLarge);
        }
        let call = async {
            let room = self.room(size).await.ok_or(CallError::Gone)?;
            let (tell, told) = oneshot::channel();
            let id = {
                let mut state = self.state();
                if state.dead {
                    return Err(CallError::Gone);
                }
                let session = self.session_of(&state, owner, session)?;
                let id = state.enter(Pending {
                    waiting: Waiting::Call(tell),
                    session: Some(Arc::clone(&session)),
                    named: true,
                });
                self.put(id, method, Some(&session), &params, Some(room));
                id
            };
            drop(params);
            self.urgent.notify_one();
            let _forget = Forget { link: self, id };
            told.await.unwrap_or(Err(CallError::Gone))
        };
        timeout(self.call_timeout, call)
            .await
            .unwrap_or(Err(CallError::Timeout))
    }

    /// The session that an owner means.
    fn session_of(
        &self,
        state: &State,
        owner: Owner,
        session: Option<&str>,
    ) -> Result<Arc<str>, CallError> {
        let root = match owner {
            Owner::Ours => self.own_root.get(),
            Owner::Member(id) => state.seats.get(&id).map(|seat| &seat.root),
        };
        let root = root.ok_or(CallError::Gone)?;
        let Some(session) = session else {
            return Ok(Arc::clone(root));
        };
        let session = state.sessions.named(session, owner);
        session
            .map(|session| Arc::clone(&session.id))
            .ok_or(CallError::NotYours)
    }

    /// Our own session on a target.
    pub(super) async fn own(&self, target: &str) -> Result<Arc<str>, CallError> {
        let cell = {
            let mut state = self.state();
            if state.dead {
                return Err(CallError::Gone);
            }
            Arc::clone(state.own.entry(target.into()).or_default())
        };
        let attached = cell.get_or_try_init(|| self.attach(target)).await.cloned();
        let mut state = self.state();
        let session = attached.and_then(|session| {
            // It may have ended before we knew of it.
            let there = state.sessions.named(&session, Owner::Ours).is_some();
            if there {
                Ok(session)
            } else {
                Err(CallError::Detached)
            }
        });
        if session.is_ok() {
            // One who tried before us, and failed, may have taken it out.
            state.own.entry(target.into()).or_insert(cell);
        } else if state
            .own
            .get(target)
            .is_some_and(|own| Arc::ptr_eq(own, &cell))
        {
            state.own.remove(target);
        }
        session
    }

    async fn attach(&self, target: &str) -> Result<Arc<str>, CallError> {
        #[derive(Deserialize)]
        struct Attached {
            #[serde(rename = "sessionId")]
            session: Box<str>,
        }

        let params = serde_json::json!({ "targetId": target, "flatten": true }).to_string();
        let params = Some(params.into_bytes().into());
        let attach = "Target.attachToTarget";
        let result = self.call(Owner::Ours, None, attach, params).await?;
        let attached: Attached =
            serde_json::from_slice(&result).map_err(|_| CallError::Unreadable)?;
        Ok(attached.session.into())
    }

    /// Events of a session of ours from now on; `None`: our own browser session.
    pub(super) fn events(&self, session: Option<&str>) -> Result<Events, CallError> {
        let mut state = self.state();
        let session = self.session_of(&state, Owner::Ours, session)?;
        let (subscriber, events) = Events::new();
        state
            .subscribers
            .entry(session)
            .or_default()
            .push(subscriber);
        Ok(events)
    }

    /// Sends a client's command on.
    pub(super) async fn send(
        &self,
        member: u64,
        command: &Command,
        params: Option<&[u8]>,
    ) -> Result<(), SendError> {
        let params = match (params, &command.params) {
            (Some(params), _) => Some(params),
            (None, Some(range)) => Some(&command.message[range.clone()]),
            (None, None) => None,
        };
        let size = params.map_or(0, <[u8]>::len) + command.method.len() + rewrite::ENVELOPE;
        if size > self.most {
            return Err(SendError::TooLarge);
        }
        let room = timeout(ROOM, self.room(size)).await.ok().flatten();
        let room = room.ok_or(SendError::Gone)?;
        let mut state = self.state();
        if state.dead {
            return Err(SendError::Gone);
        }
        let session = self.session_of(&state, Owner::Member(member), command.session.as_deref());
        let session = session.map_err(|error| match error {
            CallError::NotYours => SendError::NotYours,
            _ => SendError::Gone,
        })?;
        if !state.has_room(member) {
            return Err(SendError::TooMany);
        }
        if let Some(seat) = state.seats.get_mut(&member) {
            seat.in_flight += 1;
        }
        if &*command.method == "Runtime.runIfWaitingForDebugger"
            && let Some(session) = state.sessions.get_mut(&session)
        {
            session.waiting = false;
        }
        let id = state.enter(Pending {
            waiting: Waiting::Client {
                member,
                id: command.id,
                method: Arc::clone(&command.method),
            },
            session: Some(Arc::clone(&session)),
            named: command.session.is_some(),
        });
        let message = rewrite::command(id, &command.method, Some(&session), params);
        self.queue(Outgoing::Message(message), Some(room));
        Ok(())
    }

    /// Sends a small command of ours, whose answer nobody waits for, without waiting for room.
    pub(super) fn post(
        &self,
        state: &mut State,
        method: &str,
        session: Option<&str>,
        params: &Params,
    ) {
        let id = state.number();
        self.put(id, method, session, params, None);
    }

    fn put(
        &self,
        id: i32,
        method: &str,
        session: Option<&str>,
        params: &Params,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let params = params.as_ref().map(|params| &params[..]);
        let message = rewrite::command(id, method, session, params);
        self.queue(Outgoing::Message(message), room);
    }

    /// Answers a ping, unless so much waits already that nobody would miss it.
    pub(super) fn pong(&self, payload: Bytes) {
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX).max(1);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(size) {
            self.queue(Outgoing::Pong(payload), Some(room));
        }
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&self) {
        self.queue(Outgoing::Ping, None);
    }

    /// Queues something. After the end it goes nowhere.
    fn queue(&self, outgoing: Outgoing, room: Option<OwnedSemaphorePermit>) {
        let _ = self.out.send(Queued {
            outgoing,
            _room: room,
        });
    }

    /// Room for that many bytes; `None`: the connection is at its end.
    async fn room(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        // The largest takes all of it.
        let size = u32::try_from(size.min(MOST_OUT)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(size).await.ok()
    }

    /// A client leaves, or is cut: it gets nothing more, its root is detached, and all that hung on it is forgotten.
    pub(super) fn leave(&self, member: u64, reason: &str) {
        let mut state = self.state();
        // A target that waits when all who could let it run are gone would wait for ever.
        let sessions = state.sessions.of(Owner::Member(member));
        let waiting = sessions.filter(|session| session.waiting);
        let waiting: Vec<_> = waiting.map(|session| Arc::clone(&session.id)).collect();
        for session in waiting {
            self.let_run(&mut state, &session);
        }
        if let Some(root) = state.unseat(member, &reason.into(), true) {
            self.detach(&mut state, None, &root);
        }
    }

    /// Lets a target run that waits for it.
    pub(super) fn let_run(&self, state: &mut State, session: &str) {
        let run = "Runtime.runIfWaitingForDebugger";
        self.post(state, run, Some(session), &None);
    }

    /// Detaches a session from the one on which it was attached; `None`: from the connection itself.
    pub(super) fn detach(&self, state: &mut State, on: Option<&str>, session: &str) {
        let params = serde_json::json!({ "sessionId": session }).to_string();
        let params = Some(params.into_bytes().into());
        self.post(state, "Target.detachFromTarget", on, &params);
    }

    /// The end of the connection: everybody is told why. The first reason counts.
    pub(super) fn die(&self, reason: &str) {
        let reason: Arc<str> = reason.into();
        let dead = {
            let mut state = self.state();
            if state.dead {
                return;
            }
            let dead = std::mem::take(&mut *state);
            state.dead = true;
            dead
        };
        self.room.close();
        for seat in dead.seats.values() {
            seat.queue.end(&reason, false);
        }
        for pending in dead.pending.into_values() {
            // Nobody waits if the caller has given up.
            match pending.waiting {
                Waiting::Call(tell) => drop(tell.send(Err(CallError::Gone))),
                Waiting::Root(_, tell) => drop(tell.send(Err(CallError::Gone))),
                Waiting::Client { .. } => {}
            }
        }
        self.ended.send_replace(Some(reason));
    }

    /// Waits for the end; why.
    pub(super) async fn ended(&self) -> Arc<str> {
        let mut ended = self.ended.subscribe();
        let reason = ended.wait_for(Option::is_some).await;
        // The sender is ours, so it is there.
        reason
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or_else(|| "the connection ended".into())
    }
}

/// Ends the connection when the task that holds it ends, however that does.
pub(super) struct EndsWith(pub(super) Arc<Link>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.die("the connection was ended");
    }
}

/// Takes a call's number back when nobody waits for it any more.
struct Forget<'a> {
    link: &'a Link,
    id: i32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.link.state().leave(self.id);
    }
}
