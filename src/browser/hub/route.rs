//! The router: one task that takes each message of the browser to whom it belongs.
//!
//! What belongs to nobody is dropped: answers to commands of members that left, events of sessions that are gone or were never
//! announced. Sessions are entered and taken out here, as the browser announces them, before anybody can act on the announcement.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::link::{EndsWith, Link};
use super::queue::{Pushed, Queue};
use super::rewrite;
use super::sessions::Owner;
use super::state::{Seat, State, Waiting};
use super::types::{CallError, Event, FromBrowser, Target};
use crate::browser::envelope::{self, Envelope};
use crate::browser::upstream::{Reader, Received};

/// Methods of events whose names are kept, so that each event need not bring its own.
const MOST_METHODS: usize = 1024;

/// Takes the messages of one connection in.
pub(super) struct Router {
    link: Arc<Link>,
    reader: Reader,
    /// Silence of a browser that we are attached to, after which it is asked for a sign of life, and after which it is gone.
    silence: Duration,
    methods: HashMap<Box<[u8]>, Arc<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    target_info: Info<'a>,
    #[serde(default)]
    waiting_for_debugger: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    #[serde(borrow)]
    target_id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    browser_context_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: Box<str>,
}

/// Where an event goes.
enum Way {
    Nowhere,
    /// It says that nothing of ours works any more.
    End,
    Ours(Arc<str>),
    Client {
        member: u64,
        queue: Arc<Queue>,
        /// As the client knows it; `None`: its root.
        session: Option<Arc<str>>,
    },
}

impl Router {
    pub(super) fn new(link: Arc<Link>, reader: Reader, silence: Duration) -> Self {
        Self {
            link,
            reader,
            silence,
            methods: HashMap::new(),
        }
    }

    /// Routes until the connection ends, and says so to everybody.
    pub(super) async fn run(mut self) {
        let _ends = EndsWith(Arc::clone(&self.link));
        let reason = match self.route_all().await {
            Ok(()) => "the browser closed its end".to_owned(),
            Err(error) => format!("the connection to the browser broke: {error}"),
        };
        self.link.die(&reason);
    }

    async fn route_all(&mut self) -> io::Result<()> {
        while let Some(received) = self.next().await? {
            match received {
                Received::Message(message) => self.message(message).await,
                Received::TooLarge(head) => self.too_large(&head).await,
                Received::Ping(payload) => self.link.pong(payload),
                Received::Pong => {}
            }
        }
        Ok(())
    }

    /// The next message. A browser that can be asked for a sign of life, and gives none, is gone.
    async fn next(&mut self) -> io::Result<Option<Received>> {
        if !self.reader.takes_pings() {
            return self.reader.next().await;
        }
        if let Ok(received) = timeout(self.silence, self.reader.next()).await {
            return received;
        }
        self.link.ping();
        match timeout(self.silence, self.reader.next()).await {
            Ok(received) => received,
            Err(_) => Err(io::Error::other("it answers nothing")),
        }
    }

    async fn message(&mut self, message: BytesMut) {
        let envelope = match envelope::of_browser(&message) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "a message of the browser cannot be read and is dropped");
                return;
            }
        };
        if let Some(id) = envelope.id {
            self.reply(id, message, &envelope).await;
        } else if let Some(method) = envelope.method.clone() {
            self.event(method, message, envelope).await;
        } else {
            // It could not read a command of ours, and does not say which.
            tracing::warn!("the browser refused a message without saying which");
        }
    }

    async fn reply(&mut self, id: i32, message: BytesMut, envelope: &Envelope) {
        let Some(pending) = self.link.state().leave(id) else {
            return;
        };
        match pending.waiting {
            // Nobody waits if the caller has given up.
            Waiting::Call(tell) => drop(tell.send(result(message, envelope))),
            Waiting::Root(owner, tell) => {
                let root = result(message, envelope).and_then(|result| {
                    let session: Session = read(&result).ok_or(CallError::Unreadable)?;
                    Ok(Arc::from(&*session.session_id))
                });
                self.rooted(owner, root, tell);
            }
            Waiting::Client { member, id, method } => {
                let message = changed(message, envelope, Some(id), !pending.named).0;
                let session = pending.named.then_some(pending.session).flatten();
                let reply = FromBrowser::Reply {
                    id,
                    method,
                    session,
                    message: message.clone(),
                };
                deliver(&self.link, member, None, reply, message.len()).await;
            }
        }
    }

    /// Enters a root, before anything is read that may come from it.
    fn rooted(
        &self,
        owner: Owner,
        root: Result<Arc<str>, CallError>,
        tell: oneshot::Sender<Result<Arc<str>, CallError>>,
    ) {
        if let Ok(root) = &root {
            let mut state = self.link.state();
            state.sessions.insert_root(root, owner);
            if let Owner::Member(member) = owner {
                let seat = Seat {
                    root: Arc::clone(root),
                    queue: Queue::new(),
                    in_flight: 0,
                };
                state.seats.insert(member, seat);
            }
        }
        if tell.send(root).is_err()
            && let Owner::Member(member) = owner
        {
            // It left before it had come.
            self.link.leave(member, "it left before it had come");
        }
    }

    async fn event(&mut self, method: Range<usize>, message: BytesMut, envelope: Envelope) {
        let method = self.name(&message[method]);
        let params = envelope.params.clone().unwrap_or(0..0);
        let session = envelope.session.clone();
        let session = session.and_then(|at| std::str::from_utf8(&message[at]).ok());
        let way = {
            let mut state = self.link.state();
            let way = way(&state, session);
            let params = &message[params];
            match &*method {
                "Target.attachedToTarget" => self.attached(&mut state, session, params, way),
                "Target.detachedFromTarget" => Self::detached(&mut state, session, params, way),
                _ => way,
            }
        };
        match way {
            Way::Nowhere => {}
            Way::End => self.link.die("our own browser session was detached"),
            Way::Ours(session) => {
                self.tell_us(
                    &session,
                    &method,
                    &message.freeze(),
                    envelope.params.as_ref(),
                );
            }
            Way::Client {
                member,
                queue,
                session,
            } => {
                let (message, _) = changed(message, &envelope, None, session.is_none());
                let event = FromBrowser::Event {
                    method,
                    session,
                    message: message.clone(),
                    params: envelope.params,
                };
                let size = message.len();
                deliver(&self.link, member, Some(queue), event, size).await;
            }
        }
    }

    /// A session was attached on another: it is entered. One on what Chromium's own windows are made of is kept from clients.
    fn attached(&self, state: &mut State, on: Option<&str>, params: &[u8], way: Way) -> Way {
        // On the connection itself these are roots, which are entered when their command is answered.
        let (Some(on), Some(attached)) = (on, read::<Attached>(params)) else {
            return Way::Nowhere;
        };
        let info = attached.target_info;
        let hidden = matches!(way, Way::Client { .. }) && is_chromes_own(&info.kind, &info.url);
        let target = Target {
            id: info.target_id.into(),
            kind: info.kind.into(),
            browser_context: info.browser_context_id.map(Into::into),
        };
        let session: Arc<str> = attached.session_id.into();
        let waiting = attached.waiting_for_debugger;
        let owner = hidden.then_some(Owner::Ours);
        let sessions = &mut state.sessions;
        if !sessions.insert(on, &session, Arc::new(target), waiting, owner) {
            return Way::Nowhere;
        }
        if !hidden {
            return way;
        }
        if waiting {
            self.link.let_run(state, &session);
        }
        self.link.detach(state, Some(on), &session);
        Way::Nowhere
    }

    /// A session ended: it is taken out. If it was a client's, the client is told; if it was its root, that is its end.
    fn detached(state: &mut State, on: Option<&str>, params: &[u8], way: Way) -> Way {
        let Some(detached) = read::<Session>(params) else {
            return Way::Nowhere;
        };
        let id = &*detached.session_id;
        let Some(session) = state.sessions.get(id) else {
            return Way::Nowhere;
        };
        let owner = session.owner;
        if session.is_root() {
            // Only the connection itself can say so.
            if on.is_some() {
                return Way::Nowhere;
            }
            match owner {
                // Without it nothing of ours works: the supervisor starts anew.
                Owner::Ours => return Way::End,
                Owner::Member(member) => {
                    let reason = "its browser session was detached".into();
                    state.unseat(member, &reason, false);
                }
            }
            return Way::Nowhere;
        }
        // Announced by the session on which it was attached, and by no other.
        if session.parent.as_deref() != on {
            return Way::Nowhere;
        }
        state.forget(id);
        match (&way, owner) {
            (Way::Client { member, .. }, Owner::Member(of)) if *member == of => way,
            (Way::Ours(_), _) => way,
            _ => Way::Nowhere,
        }
    }

    /// Hands an event to those of us who asked for that session's.
    fn tell_us(
        &self,
        session: &Arc<str>,
        method: &Arc<str>,
        message: &Bytes,
        params: Option<&Range<usize>>,
    ) {
        let mut state = self.link.state();
        let Some(subscribers) = state.subscribers.get_mut(session) else {
            return;
        };
        // One who takes them too slowly loses the rest, and sees that in their end.
        subscribers.retain(|subscriber| {
            let event = Event {
                method: Arc::clone(method),
                message: message.clone(),
                params: params.cloned(),
            };
            subscriber.try_send(event).is_ok()
        });
    }

    /// What was asked for is too large to be read. An event is dropped; an answer is an error.
    async fn too_large(&mut self, head: &[u8]) {
        tracing::warn!("a message of the browser is larger than max_message_bytes and is dropped");
        let Some(pending) = answered(head).and_then(|id| self.link.state().leave(id)) else {
            return;
        };
        match pending.waiting {
            Waiting::Call(tell) => drop(tell.send(Err(CallError::TooLarge))),
            Waiting::Root(_, tell) => drop(tell.send(Err(CallError::TooLarge))),
            Waiting::Client { member, id, method } => {
                let session = pending.named.then_some(pending.session).flatten();
                let message = Bytes::from(rewrite::too_large(id, session.as_deref()));
                let size = message.len();
                let reply = FromBrowser::Reply {
                    id,
                    method,
                    session,
                    message,
                };
                deliver(&self.link, member, None, reply, size).await;
            }
        }
    }

    /// A method's name, made once.
    fn name(&mut self, method: &[u8]) -> Arc<str> {
        if let Some(name) = self.methods.get(method) {
            return Arc::clone(name);
        }
        let name = envelope::string(method).unwrap_or_default();
        if self.methods.len() < MOST_METHODS {
            self.methods.insert(method.into(), Arc::clone(&name));
        }
        name
    }
}

/// Puts a message into a client's queue. While that is full, the browser waits; a client that stalls it is cut.
async fn deliver(
    link: &Link,
    member: u64,
    queue: Option<Arc<Queue>>,
    message: FromBrowser,
    size: usize,
) {
    let queue = queue.or_else(|| {
        let state = link.state();
        state.seats.get(&member).map(|seat| Arc::clone(&seat.queue))
    });
    let Some(queue) = queue else { return };
    let urgent = || link.state().calls > 0;
    let pushed = queue.push(message, size, urgent, &link.urgent).await;
    if pushed == Pushed::Stalled {
        tracing::warn!(
            client = member,
            "a client that took nothing for too long is cut"
        );
        link.leave(member, "it took its messages too slowly");
    }
}

/// Where events of a session go.
fn way(state: &State, session: Option<&str>) -> Way {
    let Some(session) = session.and_then(|session| state.sessions.get(session)) else {
        return Way::Nowhere;
    };
    match session.owner {
        Owner::Ours => Way::Ours(Arc::clone(&session.id)),
        Owner::Member(member) => {
            state
                .seats
                .get(&member)
                .map_or(Way::Nowhere, |seat| Way::Client {
                    member,
                    queue: Arc::clone(&seat.queue),
                    session: (!session.is_root()).then(|| Arc::clone(&session.id)),
                })
        }
    }
}

/// A message as its client may read it, and by how much all behind its number has moved to the front.
fn changed(
    mut message: BytesMut,
    envelope: &Envelope,
    id: Option<i64>,
    is_roots: bool,
) -> (Bytes, usize) {
    // First what stands further behind: it moves nothing before it.
    if is_roots && let Some(entry) = envelope.session_entry.clone() {
        rewrite::drop_session(&mut message, entry);
    }
    let moved = id.map_or(0, |id| rewrite::put_id(&mut message, envelope, id));
    (message.freeze(), moved)
}

/// What a command was answered with.
fn result(message: BytesMut, envelope: &Envelope) -> Result<Bytes, CallError> {
    let message = message.freeze();
    if let Some(result) = envelope.result.clone() {
        return Ok(message.slice(result));
    }
    let error = envelope.error.clone().ok_or(CallError::Unreadable)?;
    let error: Refusal = read(&message[error]).ok_or(CallError::Unreadable)?;
    Err(CallError::Refused {
        code: error.code,
        message: error.message,
    })
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}

/// The number that a message begins with, if it is an answer.
fn answered(head: &[u8]) -> Option<i32> {
    let rest = head.strip_prefix(b"{\"id\":")?;
    let end = rest.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Whether a target belongs to the browser's own windows, and not to what it shows. A new tab's page is the client's.
fn is_chromes_own(kind: &str, url: &str) -> bool {
    let own = ["chrome://", "chrome-untrusted://", "devtools://"];
    let new_tab = ["chrome://newtab/", "chrome://new-tab-page"];
    match kind {
        "browser_ui" => true,
        "tab" => {
            own.iter().any(|own| url.starts_with(own))
                && !new_tab.iter().any(|new| url.starts_with(new))
        }
        _ => false,
    }
}
