//! From the client to the browser: each command judged by its row of the table, in the order of its session.
//!
//! A command that passes is sent at once. One that a handler looks at may have to wait for the browser or for the audit log: it
//! runs as a task of its own, and later commands of its session wait for it; those of other sessions do not. A handler may wait
//! for a page that itself waits for the client, in a dialog or a request that the client intercepts: then those commands that free
//! a page overtake, but only after [`OVERTAKE`], so that in the usual case everything keeps its order.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::end::End;
use super::{Shared, captures, count, reply};
use crate::browser::hub::SendError;
use crate::browser::methods::{self, Handler};
use crate::browser::{Command, Refusal, Verdict, envelope};

/// For how long a handler is waited for before commands that may free the page go first.
const OVERTAKE: Duration = Duration::from_millis(250);

/// Handlers at work for one client, and with them sessions that wait.
const MOST_TASKS: usize = 64;

/// Commands that wait for a handler.
const MOST_WAITING: usize = 4096;

/// A session's commands, `None`: those of the root.
type Session = Option<Arc<str>>;

/// Judges the commands of one client.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    lanes: HashMap<Session, Lane>,
    tasks: JoinSet<Result<(), End>>,
    /// Whose each task is.
    owners: HashMap<Id, Owner>,
    waiting: usize,
    waiting_bytes: usize,
}

/// A session whose handler is at work.
struct Lane {
    since: Instant,
    /// Whether what may overtake has done so.
    overtaken: bool,
    waiting: VecDeque<Command>,
}

/// What a task does.
enum Owner {
    /// The command whose session waits for it.
    Lane(Session, i64),
    /// A command that overtook.
    Aside(Session, i64),
    /// What was held back goes on after a pause.
    Pause,
}

/// Whether a command may free a page that a handler waits for.
fn may_free(method: &str) -> bool {
    matches!(
        method,
        "Page.handleJavaScriptDialog" | "Debugger.resume" | "Runtime.runIfWaitingForDebugger"
    ) || method.starts_with("Fetch.")
        || method.starts_with("Target.")
}

impl Dispatcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            owners: HashMap::new(),
            waiting: 0,
            waiting_bytes: 0,
        }
    }

    /// Runs until something ends the client.
    pub(super) async fn run(&mut self, mut messages: mpsc::Receiver<Bytes>) -> End {
        loop {
            let (overtaking, pause, has_room) = (self.overtaking(), self.pause(), self.has_room());
            let step = tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                message = messages.recv(), if has_room => match message {
                    Some(message) => self.take(message).await,
                    // Its sender ends the client.
                    None => pending().await,
                },
                () = until(overtaking) => self.overtake().await,
                () = until(pause) => {
                    self.after_pause();
                    Ok(())
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Ends all tasks.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    fn has_room(&self) -> bool {
        let most_bytes = self.shared.context.settings.limits.max_message_bytes;
        self.tasks.len() < MOST_TASKS
            && self.waiting < MOST_WAITING
            && self.waiting_bytes < most_bytes
    }

    async fn take(&mut self, message: Bytes) -> Result<(), End> {
        count(&self.shared.tally.commands, 1);
        let mut command = match envelope::command(message) {
            Ok(command) => command,
            Err(error) => {
                count(&self.shared.tally.refused, 1);
                return self.shared.say(Bytes::from(error.answer())).await;
            }
        };
        if command.session.is_none() {
            command.session.clone_from(&self.shared.root);
        }
        let Some(lane) = self.lanes.get_mut(&command.session) else {
            return self.begin(command, true).await;
        };
        if lane.overtaken && may_free(&command.method) {
            return self.begin(command, false).await;
        }
        self.waiting += 1;
        self.waiting_bytes += command.message.len();
        lane.waiting.push_back(command);
        Ok(())
    }

    /// Begins with a command; `in_order`: its session waits for it.
    async fn begin(&mut self, command: Command, in_order: bool) -> Result<(), End> {
        let shared = &self.shared;
        let judged = methods::judge(&command.method, &shared.context.settings.methods);
        let handler = match judged {
            Ok((handler, _)) => handler,
            Err(refusal) => return shared.refuse(&command, &refusal).await,
        };
        let Some(handler) = handler.filter(|handler| !shared.passes(*handler, &command)) else {
            return shared.forward(&command, None).await;
        };
        let (id, session) = (command.id, command.session.clone());
        let task = self.tasks.spawn({
            let shared = Arc::clone(shared);
            async move { shared.handle(handler, command).await }
        });
        if in_order {
            self.owners
                .insert(task.id(), Owner::Lane(session.clone(), id));
            self.lanes.entry(session).or_insert_with(|| Lane {
                since: Instant::now(),
                overtaken: false,
                waiting: VecDeque::new(),
            });
        } else {
            self.owners.insert(task.id(), Owner::Aside(session, id));
        }
        Ok(())
    }

    /// A task has ended: its session goes on.
    async fn ended(
        &mut self,
        ended: Result<(Id, Result<(), End>), tokio::task::JoinError>,
    ) -> Result<(), End> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let owner = self.owners.remove(&id);
        let lane = match owner {
            Some(Owner::Lane(session, command)) => Some((session, command, true)),
            Some(Owner::Aside(session, command)) => Some((session, command, false)),
            Some(Owner::Pause) | None => None,
        };
        match (result, &lane) {
            (Ok(result), _) => result?,
            // It panicked: nothing was sent, or its answer never comes.
            (Err(_), Some((session, command, _))) => {
                let refusal = Refusal::new("Bauta failed on this command; see its log");
                let shown = self.shared.shown(session.as_ref());
                let answer = reply::refused(*command, shown, &refusal);
                self.shared.say(answer).await?;
            }
            (Err(_), None) => {}
        }
        match lane {
            Some((session, _, true)) => self.go_on(session).await,
            _ => Ok(()),
        }
    }

    /// Takes the commands that wait, up to the next that others must wait for.
    async fn go_on(&mut self, session: Session) -> Result<(), End> {
        let Some(mut lane) = self.lanes.remove(&session) else {
            return Ok(());
        };
        while let Some(command) = lane.waiting.pop_front() {
            self.waiting -= 1;
            self.waiting_bytes -= command.message.len();
            self.begin(command, true).await?;
            if let Some(begun) = self.lanes.get_mut(&session) {
                begun.waiting = lane.waiting;
                return Ok(());
            }
        }
        Ok(())
    }

    /// When the next session's commands may overtake.
    fn overtaking(&self) -> Option<Instant> {
        let lanes = self.lanes.values().filter(|lane| !lane.overtaken);
        lanes.map(|lane| lane.since + OVERTAKE).min()
    }

    async fn overtake(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let mut first = Vec::new();
        for lane in self.lanes.values_mut() {
            if lane.overtaken || now < lane.since + OVERTAKE {
                continue;
            }
            lane.overtaken = true;
            let (free, stay): (VecDeque<_>, _) = std::mem::take(&mut lane.waiting)
                .into_iter()
                .partition(|command| may_free(&command.method));
            lane.waiting = stay;
            first.extend(free);
        }
        for command in first {
            self.waiting -= 1;
            self.waiting_bytes -= command.message.len();
            self.begin(command, false).await?;
        }
        Ok(())
    }

    /// When what is held back goes on by itself.
    fn pause(&self) -> Option<Instant> {
        let is_running = self.owners.values().any(|o| matches!(o, Owner::Pause));
        if is_running || !self.shared.holding.load(Ordering::Acquire) {
            return None;
        }
        // Where a handler has it, that says anew when it ends.
        let typing = self.shared.typing.try_lock().ok()?;
        typing.pause().map(Into::into)
    }

    fn after_pause(&mut self) {
        let shared = Arc::clone(&self.shared);
        let task = self.tasks.spawn(async move {
            let mut typing = shared.typing.lock().await;
            typing.paused().await;
            shared
                .holding
                .store(typing.pause().is_some(), Ordering::Release);
            Ok(())
        });
        self.owners.insert(task.id(), Owner::Pause);
    }
}

/// Ready at that time; never where there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

impl Shared {
    /// Whether a handler has nothing to do with the command, so that it passes at once.
    fn passes(&self, handler: Handler, command: &Command) -> bool {
        let passes = match handler {
            Handler::Reads => true,
            Handler::Mouse => !self.context.pages.was_filled(),
            _ => false,
        };
        passes && self.is_quiet(command)
    }

    /// Whether nothing was typed that the command may read or move on from.
    fn is_quiet(&self, command: &Command) -> bool {
        let typing = self.typing.try_lock();
        typing.is_ok_and(|typing| typing.is_quiet(&command.session))
    }

    /// Has the owner of a method decide, and does what it says.
    async fn handle(&self, handler: Handler, command: Command) -> Result<(), End> {
        match self.verdict(handler, &command).await {
            Verdict::Pass => self.forward(&command, None).await,
            Verdict::With(params) => self.forward(&command, Some(params)).await,
            Verdict::Answer(result) => {
                let shown = self.shown(command.session.as_ref());
                self.say(reply::result(command.id, shown, &result)).await?;
                if handler == Handler::Close {
                    self.left.notify_one();
                }
                Ok(())
            }
            Verdict::Refuse(refusal) => self.refuse(&command, &refusal).await,
        }
    }

    async fn verdict(&self, handler: Handler, command: &Command) -> Verdict {
        let context = &self.context;
        match handler {
            Handler::Typing => {
                // Keys that copy are the inspector's.
                let verdict = self.inspector.take(context, handler, command).await;
                if !matches!(verdict, Verdict::Pass) {
                    return verdict;
                }
                let mut typing = self.typing.lock().await;
                let verdict = typing.take(command).await;
                self.holding
                    .store(typing.pause().is_some(), Ordering::Release);
                return verdict;
            }
            // The browser stays: others use it.
            Handler::Close => return Verdict::Answer(Bytes::from_static(b"{}")),
            _ => {}
        }
        // What frees a page must not wait for what waits for the page.
        if handler.releases() && !may_free(&command.method) && !self.is_quiet(command) {
            let mut typing = self.typing.lock().await;
            let refusal = typing.before(command).await;
            self.holding
                .store(typing.pause().is_some(), Ordering::Release);
            if let Some(refusal) = refusal {
                return Verdict::Refuse(refusal);
            }
        }
        match handler {
            Handler::Reads => Verdict::Pass,
            Handler::Capture => captures::take(context, command).await,
            Handler::Stream => self.streams.take(context, &self.masking, command).await,
            _ => self.inspector.take(context, handler, command).await,
        }
    }

    /// Sends a command on, with other parameters if given.
    async fn forward(&self, command: &Command, params: Option<Bytes>) -> Result<(), End> {
        let sent = self.context.member.send(command, params).await;
        let Err(error) = sent else { return Ok(()) };
        let code = match error {
            SendError::NotYours => reply::SESSION_NOT_FOUND,
            _ => reply::SERVER_ERROR,
        };
        let refusal = Refusal {
            code,
            text: error.to_string(),
        };
        if error == SendError::NotYours {
            // Chrome's own answer names no session: there is none.
            return self.say(reply::refused(command.id, None, &refusal)).await;
        }
        self.refuse(command, &refusal).await
    }

    /// Answers that a command is refused.
    async fn refuse(&self, command: &Command, refusal: &Refusal) -> Result<(), End> {
        count(&self.tally.refused, 1);
        let shown = self.shown(command.session.as_ref());
        self.say(reply::refused(command.id, shown, refusal)).await
    }
}
