//! One client: its WebSocket on one side, its member of the hub on the other.
//!
//! The way in: [`wire`] joins frames to messages, [`dispatch`] reads each one's envelope, asks the method table, and lets the
//! owner of the method decide; the hub gets what may go on. The way out: [`outbound`] shows an event to who must see it, masks it
//! ([`masking`]) and writes it. Both go on at once: while a handler waits for the browser, the browser's messages are taken.
//!
//! Invariants: nothing goes out that was not masked by what is in force when it goes; the commands of a session are judged in
//! their order, but for those that free a page that a handler waits for; nobody waits without a limit, and no queue is without
//! one.

mod dispatch;
mod end;
pub(super) mod masking;
mod outbound;
mod reply;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::sync::{Mutex, Notify, mpsc, watch};

use super::captures;
use super::context::Context;
use super::hub::{CallError, Incoming};
use super::inspect::{self, Inspector};
use super::streams::Streams;
use super::typing::Typing;
use crate::guard::Ticket;
use crate::net::websocket::frame::Parser;
use crate::net::websocket::stream::{Reader, Writer};
use dispatch::Dispatcher;
use end::End;
use masking::{Masking, Unsent};
use wire::{Came, Inlet, Outlet};

/// Messages that were read and not judged yet.
const READ_AHEAD: usize = 16;

/// A client that has joined and whose handshake is not answered yet.
pub(super) struct Client {
    context: Context,
    incoming: Incoming,
    ticket: Ticket,
    inspector: Inspector,
    /// The session that its commands without one are for; `None`: its own browser session.
    root: Option<Arc<str>>,
}

/// What the parts of one client share.
struct Shared {
    context: Context,
    masking: Arc<Masking>,
    outlet: Outlet<WriteHalf<TokioIo<Upgraded>>>,
    typing: Mutex<Typing>,
    /// Whether something typed is held back.
    holding: AtomicBool,
    inspector: Inspector,
    streams: Streams,
    root: Option<Arc<str>>,
    /// The client asked for its end.
    left: Notify,
    tally: Tally,
}

/// The answer to `Target.attachToTarget`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    session_id: Box<str>,
}

/// Counts for the log line.
#[derive(Default)]
struct Tally {
    commands: AtomicU64,
    refused: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

fn count(of: &AtomicU64, more: usize) {
    of.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Client {
    pub(super) fn new(
        context: Context,
        incoming: Incoming,
        ticket: Ticket,
        shared: Arc<inspect::Shared>,
    ) -> Self {
        Self {
            context,
            incoming,
            ticket,
            inspector: Inspector::new(shared),
            root: None,
        }
    }

    /// Makes a target's session the root: for a client that asked for one page.
    ///
    /// # Errors
    /// There is no such target.
    pub(super) async fn of_target(mut self, target: &str) -> Result<Self, CallError> {
        let params = serde_json::json!({ "targetId": target, "flatten": true }).to_string();
        let member = &self.context.member;
        let answer = member.call(None, "Target.attachToTarget", params.as_bytes());
        let attached: Attached =
            serde_json::from_slice(&answer.await?).map_err(|_| CallError::Unreadable)?;
        self.root = Some(attached.session_id.into());
        Ok(self)
    }

    /// Runs until either side ends, or `stop` turns true.
    pub(super) async fn run(
        self,
        socket: Upgraded,
        deflate: bool,
        mut stop: watch::Receiver<bool>,
    ) {
        let begun = Instant::now();
        let (reads, writes) = split(TokioIo::new(socket));
        let Self {
            context,
            mut incoming,
            ticket,
            inspector,
            root,
        } = self;
        let max = context.settings.limits.max_message_bytes;
        let parser = Parser::new(true, deflate, u64::try_from(max).unwrap_or(u64::MAX));
        let mut inlet = Inlet::new(Reader::new(reads, parser), max);
        let shared = Arc::new(Shared {
            masking: Arc::new(Masking::new(ticket)),
            outlet: Outlet::new(Writer::of_server(writes), incoming.pulse()),
            typing: Mutex::new(Typing::new(context.clone())),
            holding: AtomicBool::new(false),
            inspector,
            streams: Streams::new(max),
            root,
            left: Notify::new(),
            tally: Tally::default(),
            context,
        });
        let (to_dispatcher, messages) = mpsc::channel(READ_AHEAD);
        let mut dispatcher = Dispatcher::new(Arc::clone(&shared));
        let end = tokio::select! {
            end = receive(&mut inlet, &shared, to_dispatcher) => end,
            end = dispatcher.run(messages) => end,
            end = outbound::run(&shared, &mut incoming) => end,
            () = shared.left.notified() => End::Left,
            never = shared.masking.notes() => match never {},
            _ = stop.wait_for(|stop| *stop) => End::Stopped,
        };
        // What handlers still do is of no use to anybody.
        dispatcher.stop().await;
        shared.masking.note();
        shared.outlet.part(&mut inlet, &end).await;
        shared.report(&end, begun);
    }
}

/// Reads messages until the client ends, and answers its pings.
async fn receive(
    inlet: &mut Inlet<ReadHalf<TokioIo<Upgraded>>>,
    shared: &Shared,
    messages: mpsc::Sender<Bytes>,
) -> End {
    loop {
        let taken = match inlet.next().await {
            Ok(Came::Text(message)) => {
                count(&shared.tally.received, message.len());
                messages.send(message).await.map_err(|_| End::Stopped)
            }
            Ok(Came::Ping(payload)) => shared.outlet.pong(payload).await,
            Err(end) => Err(end),
        };
        if let Err(end) = taken {
            return end;
        }
    }
}

impl Shared {
    /// Masks and sends a message of ours.
    async fn say(&self, message: Bytes) -> Result<(), End> {
        match self.masking.message(message).await {
            Ok(message) => {
                count(&self.tally.sent, message.len());
                self.outlet.text(message).await
            }
            Err(Unsent::End(unmasked)) => Err(unmasked.into()),
            // Ours holds nothing beside what the browser said: the caller words another.
            Err(Unsent::Misaligned) => Ok(()),
        }
    }

    /// The session as the client calls it.
    fn shown<'a>(&self, session: Option<&'a Arc<str>>) -> Option<&'a str> {
        session
            .filter(|session| self.root.as_ref() != Some(session))
            .map(|session| &**session)
    }

    fn report(&self, end: &End, begun: Instant) {
        let tally = &self.tally;
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        if end.code().is_some() {
            tracing::debug!(client = self.context.member.id, reason = %end, "a client was closed by bauta");
        }
        tracing::info!(
            client = self.context.member.id,
            code = end.code(),
            commands = read(&tally.commands),
            refused = read(&tally.refused),
            bytes_in = read(&tally.received),
            bytes_out = read(&tally.sent),
            ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            masked = self.masking.total(),
            request_id = self.masking.request_id(),
            "browser client"
        );
    }
}
