//! Text that a client types, whole or key by key: placeholders in it become values on their own origin, atomically, or a refusal.
//!
//! The way through: [`Typing::take`] reads what a command says (`said`). A whole text is searched; of single characters,
//! `Holding` says what to hold. Held messages (`run`) are answered at once; where no placeholder comes of
//! them they reach the browser late, in order, and unchanged. A placeholder goes through `focus`, the guard and one call in the
//! page (`insert`, `insert.js`). `hand` leads all that; `press` knows which keys' messages belong together.
//!
//! Invariants: a character reaches the page once, as it was typed or in a value's place; nothing is typed before what is held;
//! what is held is bounded, and never longer than a pause; a value is in one message of ours and nowhere else; a refusal is told
//! to the key that completes a name, with all of that key's press, or else to what comes next in the same document.
//!
//! Of secrets with `fill = "network"` the placeholder itself is typed.

mod buffer;
mod edits;
mod focus;
mod hand;
mod insert;
mod press;
mod refusals;
mod run;
mod said;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use self::hand::Hand;
use self::run::{Run, Untold};
use super::{Command, Context, Refusal, Verdict};

/// Sessions of one client that are remembered before those that are gone are forgotten.
const MOST_RUNS: usize = 64;

/// Commands after which another document is there: they are not refused for what was typed in the last.
const LEAVES: [&str; 5] = [
    "Page.navigate",
    "Page.navigateToHistoryEntry",
    "Page.reload",
    "Page.close",
    "Target.closeTarget",
];

/// What one client types.
pub struct Typing {
    runs: HashMap<Option<Arc<str>>, Run>,
    hand: Hand,
}

/// Where something is typed.
struct Place<'a> {
    session: Option<Arc<str>>,
    target: &'a str,
    method: &'static str,
}

impl Typing {
    /// For one client.
    pub fn new(context: Context) -> Self {
        Self {
            runs: HashMap::new(),
            hand: Hand::new(context),
        }
    }

    /// `Input.insertText`, `Input.dispatchKeyEvent`, `Input.imeSetComposition`.
    pub async fn take(&mut self, command: &Command) -> Verdict {
        let target = self
            .hand
            .context
            .member
            .target_of(command.session.as_deref());
        let Some(target) = target.filter(|target| takes_input(&target.kind)) else {
            self.runs.remove(&command.session);
            return Verdict::Pass;
        };
        self.forget_gone();
        let run = self.runs.entry(command.session.clone()).or_default();
        run.is_quiet = false;
        let read = said::read(command);
        let pause = self.hand.context.settings.limits.typing_pause;
        if let Some(refusal) = run.refuse_rest(read.part.as_ref(), pause) {
            return Verdict::Refuse(refusal);
        }
        let place = Place {
            session: command.session.clone(),
            target: &target.id,
            method: method(command),
        };
        let done = self.hand.take(run, &place, command, &read).await;
        if let (Err(refusal), Some(part)) = (&done, &read.part) {
            run.presses.refused(part, refusal);
        }
        done.unwrap_or_else(Verdict::Refuse)
    }

    /// Any other command, before it goes on: what is held on its session goes first. If that is refused, so is the command, once:
    /// whoever looks at what was typed learns why it is not there. A document that goes takes a refusal with it.
    pub async fn before(&mut self, command: &Command) -> Option<Refusal> {
        let run = self.runs.get_mut(&command.session)?;
        let is_input = command.method.starts_with("Input.");
        let leaves = LEAVES.contains(&&*command.method);
        let mut refusal = None;
        if run.is_holding() {
            refusal = self.hand.finish(run, command.session.as_ref()).await.err();
        }
        if is_input {
            run.holding.reset();
        } else {
            run.holding.looked_at();
        }
        run.presses.end_burst();
        if let Some(untold) = run.untold.take()
            && !leaves
            && self.hand.is_there(&untold).await
        {
            refusal = Some(untold.refusal);
        }
        run.is_quiet = run.is_idle();
        if run.is_quiet && run.presses.is_idle() {
            self.runs.remove(&command.session);
        }
        refusal.filter(|_| !leaves)
    }

    /// Whether nothing was typed on a session that [`Typing::before`] need be told about.
    pub fn is_quiet(&self, session: &Option<Arc<str>>) -> bool {
        self.runs.get(session).is_none_or(|run| run.is_quiet)
    }

    /// When [`Typing::paused`] is to be called, if nothing comes before.
    pub fn pause(&self) -> Option<Instant> {
        let pause = self.hand.context.settings.limits.typing_pause;
        let held = self.runs.values().filter(|run| run.is_holding());
        held.filter_map(|run| Some(run.since? + pause)).min()
    }

    /// Decides what nothing followed on.
    pub async fn paused(&mut self) {
        let pause = self.hand.context.settings.limits.typing_pause;
        for (session, run) in &mut self.runs {
            let is_over = run.since.is_some_and(|since| since.elapsed() >= pause);
            if is_over
                && run.is_holding()
                && let Err(refusal) = self.hand.finish(run, session.as_ref()).await
            {
                run.untold = self
                    .hand
                    .document(session.as_ref())
                    .await
                    .map(|document| Untold { refusal, document });
            }
        }
    }

    fn forget_gone(&mut self) {
        if self.runs.len() < MOST_RUNS {
            return;
        }
        let member = &self.hand.context.member;
        self.runs
            .retain(|session, _| member.target_of(session.as_deref()).is_some());
    }
}

/// Whether targets of that kind have fields.
fn takes_input(kind: &str) -> bool {
    ["page", "iframe", "webview", "background_page", "other"].contains(&kind)
}

fn method(command: &Command) -> &'static str {
    match &*command.method {
        "Input.dispatchKeyEvent" => "Input.dispatchKeyEvent",
        "Input.imeSetComposition" => "Input.imeSetComposition",
        _ => "Input.insertText",
    }
}
