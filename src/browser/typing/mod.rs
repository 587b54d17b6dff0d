//! Text that a client types, whole or key by key: placeholders in it become values on their own origin, atomically, or a refusal.
//!
//! The way through: [`Typing::take`] reads what a command says (`said`). A whole text is searched; of single characters,
//! `Holding` says what to hold. Held messages (`run`) are answered at once; where no placeholder comes of
//! them they reach the browser late, in order, and unchanged. A placeholder goes through `focus`, the guard and one call in the
//! page (`insert`, `insert.js`).
//!
//! Invariants: a character reaches the page once, as it was typed or in a value's place; nothing is typed before what is held;
//! what is held is bounded, and never longer than a pause; a value is in one message of ours and nowhere else.
//!
//! Of secrets with `fill = "network"` the placeholder itself is typed.

mod buffer;
mod focus;
mod insert;
mod refusals;
mod run;
mod said;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;

use self::insert::{Outcome, Part, Wanted};
use self::refusals::Recent;
use self::run::{Held, LARGEST_HELD, MOST_HELD, Run};
use self::said::Said;
use super::{Command, Context, Refusal, Verdict};
use crate::fill::{Holding, Step, Typed};
use crate::guard::{About, Finder, Ticket};

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

/// How long the browser may take for a key that was held: a dialog that it opens must not hold up the client that closes it.
const KEY_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a text with placeholders.
const LONGEST_TEXT: usize = 1 << 20;

/// Placeholders in a text.
const MOST_PLACEHOLDERS: usize = 256;

/// Bytes of a longer text that two of its parts share.
const OVERLAP: usize = 4 << 10;

/// What one client types.
pub struct Typing {
    runs: HashMap<Option<Arc<str>>, Run>,
    hand: Hand,
}

/// What types for it.
struct Hand {
    context: Context,
    /// Admission of the client's typing; the snapshot of each message comes by it.
    ticket: Option<Ticket>,
    recent: Recent,
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
            hand: Hand {
                context,
                ticket: None,
                recent: Recent::default(),
            },
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
        if let Some(refusal) = run.failed.take() {
            return Verdict::Refuse(refusal);
        }
        let place = Place {
            session: command.session.clone(),
            target: &target.id,
            method: method(command),
        };
        let finder = match self.hand.finder().await {
            Ok(finder) => finder,
            Err(refusal) => return Verdict::Refuse(refusal),
        };
        let done = self.hand.said(run, &place, &finder, command).await;
        done.unwrap_or_else(Verdict::Refuse)
    }

    /// Any other command, before it goes on: what is held on its session goes first. If that is refused, so is the command, once:
    /// whoever looks at what was typed learns why it is not there. A document that goes takes a refusal with it.
    pub async fn before(&mut self, command: &Command) -> Option<Refusal> {
        let run = self.runs.get_mut(&command.session)?;
        let is_input = command.method.starts_with("Input.");
        let mut refusal = None;
        if run.holding.is_holding() || !run.held.is_empty() {
            refusal = self.hand.finish(run, command.session.as_ref()).await.err();
        }
        if is_input {
            run.holding.reset();
        } else {
            run.holding.looked_at();
        }
        let refusal = run.failed.take().or(refusal);
        if run.is_idle() {
            self.runs.remove(&command.session);
        }
        refusal.filter(|_| !LEAVES.contains(&&*command.method))
    }

    /// Whether nothing was typed on a session that [`Typing::before`] need be told about.
    pub fn is_quiet(&self, session: &Option<Arc<str>>) -> bool {
        !self.runs.contains_key(session)
    }

    /// When [`Typing::paused`] is to be called, if nothing comes before.
    pub fn pause(&self) -> Option<Instant> {
        let pause = self.hand.context.settings.limits.typing_pause;
        let held = self
            .runs
            .values()
            .filter(|run| run.holding.is_holding() || !run.held.is_empty());
        held.filter_map(|run| Some(run.since? + pause)).min()
    }

    /// Decides what nothing followed on.
    pub async fn paused(&mut self) {
        let pause = self.hand.context.settings.limits.typing_pause;
        for (session, run) in &mut self.runs {
            let is_over = run.since.is_some_and(|since| since.elapsed() >= pause);
            if is_over
                && (run.holding.is_holding() || !run.held.is_empty())
                && let Err(refusal) = self.hand.finish(run, session.as_ref()).await
            {
                run.failed = Some(refusal);
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

/// A text of that length is not taken apart: it goes on if it holds no placeholder.
fn far_too_long(finder: &Finder, text: &str) -> Result<Verdict, Refusal> {
    let mut start = 0;
    while start < text.len() {
        let end = boundary(text, start + LONGEST_TEXT);
        let found = finder.find(&text[start..end]);
        if let Some(first) = found.first().filter(|first| !first.only_whole) {
            let reason =
                "the text is longer than a text with placeholders may be (1 MiB). Type it in parts";
            return Err(refusals::refusal(first.key, reason));
        }
        if end == text.len() {
            break;
        }
        // Placeholders are far shorter than what is read twice.
        start = boundary(text, end - OVERLAP);
    }
    Ok(Verdict::Pass)
}

/// The last character's beginning at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The answer to a command that the browser does not see now.
fn done() -> Verdict {
    Verdict::Answer(Bytes::from_static(b"{}"))
}

impl Hand {
    async fn said(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        let is_key = command.message.len() <= LARGEST_HELD;
        match said::read(command) {
            Said::Character(c) if is_key => self.character(run, place, finder, command, c).await,
            Said::Attached if is_key && run.holding.is_holding() && run.held.len() < MOST_HELD => {
                run.hold(command, 0);
                settle(run);
                Ok(done())
            }
            Said::Attached if !run.holding.is_holding() => Ok(Verdict::Pass),
            Said::Whole(text) => {
                self.decide(run, place, finder).await?;
                run.composes = false;
                self.whole(run, place, finder, &text).await
            }
            Said::Composition(text, is_placed) => {
                self.decide(run, place, finder).await?;
                if is_placed && !finder.find(&text).is_empty() {
                    return Err(Refusal::new(
                        "a placeholder in Input.imeSetComposition cannot take replacementStart or replacementEnd",
                    ));
                }
                let verdict = self.whole(run, place, finder, &text).await;
                run.composes = matches!(verdict, Ok(Verdict::Pass)) && !text.is_empty();
                verdict
            }
            Said::Character(_) | Said::Attached | Said::Other => {
                self.decide(run, place, finder).await?;
                run.holding.reset();
                Ok(Verdict::Pass)
            }
        }
    }

    async fn character(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        command: &Command,
        c: char,
    ) -> Result<Verdict, Refusal> {
        run.holding.push(c);
        run.hold(command, c.len_utf8());
        run.since = Some(Instant::now());
        let passes = self
            .drive(run, place, finder, |holding| holding.step(finder))
            .await?;
        settle(run);
        Ok(if passes { Verdict::Pass } else { done() })
    }

    /// A text that came as one: nothing that comes later belongs to it.
    async fn whole(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        text: &str,
    ) -> Result<Verdict, Refusal> {
        run.holding.passed(text.chars().next_back());
        if text.len() > LONGEST_TEXT {
            return far_too_long(finder, text);
        }
        let found = finder.find(text);
        if found.is_empty() {
            return Ok(Verdict::Pass);
        }
        if found.len() > MOST_PLACEHOLDERS {
            let reason = "the text holds too many placeholders. Type it in parts";
            return Err(refusals::refusal(found[0].key, reason));
        }
        let mut parts = Vec::with_capacity(found.len() * 2 + 1);
        let mut at = 0;
        for placeholder in &found {
            let range = placeholder.range.clone();
            parts.push(Part::Text(&text[at..range.start]));
            at = range.end;
            parts.push(Part::Key(placeholder.key, &text[range]));
        }
        parts.push(Part::Text(&text[at..]));
        let wanted = Wanted {
            parts,
            gone: "",
            only_whole: found[0].only_whole,
            method: place.method,
        };
        match self.insert(run, place, &wanted).await {
            Outcome::Inserted => {
                run.holding.reset();
                Ok(done())
            }
            Outcome::Literal => Ok(Verdict::Pass),
            Outcome::Refused(refusal) => Err(refusal),
        }
    }

    /// Decides what is held, on a session of which only that is known.
    async fn finish(&mut self, run: &mut Run, session: Option<&Arc<str>>) -> Result<(), Refusal> {
        let target = self.context.member.target_of(session.map(|s| &**s));
        let Some(target) = target else {
            run.drop_all();
            return Ok(());
        };
        let place = Place {
            session: session.cloned(),
            target: &target.id,
            method: run
                .held
                .front()
                .map_or("Input.insertText", |held| method(&held.command)),
        };
        match self.finder().await {
            Ok(finder) => self.decide(run, &place, &finder).await,
            Err(refusal) => {
                run.drop_all();
                Err(refusal)
            }
        }
    }

    /// Decides what is held: a placeholder is inserted, anything else is typed.
    async fn decide(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
    ) -> Result<(), Refusal> {
        self.drive(run, place, finder, |holding| holding.end(finder))
            .await?;
        settle(run);
        Ok(())
    }

    /// Does what the matcher says until it waits. Returns whether the message that is looked at now goes on as it is.
    async fn drive(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        mut next: impl FnMut(&mut Holding) -> Step,
    ) -> Result<bool, Refusal> {
        let mut passes = false;
        loop {
            match next(&mut run.holding) {
                Step::Wait => break,
                Step::Release(0) => {}
                Step::Release(bytes) => passes |= self.type_out(place, run.take(bytes)).await,
                Step::Placeholder(typed) => {
                    let held = run.take(typed.text.len() - typed.gone);
                    match self.typed(run, place, finder, &typed).await {
                        Outcome::Inserted => {}
                        Outcome::Literal => passes |= self.type_out(place, held).await,
                        Outcome::Refused(refusal) => {
                            run.drop_all();
                            return Err(refusal);
                        }
                    }
                }
            }
        }
        if !run.holding.is_holding() {
            run.since = None;
            let rest = run.held.drain(..).collect();
            passes |= self.type_out(place, rest).await;
        }
        Ok(passes)
    }

    async fn typed(
        &mut self,
        run: &Run,
        place: &Place<'_>,
        finder: &Finder,
        typed: &Typed,
    ) -> Outcome {
        // The finder is of this message: the key may be gone since the first of its characters came.
        let Some(key) = finder.key(&typed.key) else {
            return Outcome::Literal;
        };
        let wanted = Wanted {
            parts: vec![Part::Key(key, &typed.text)],
            gone: &typed.text[..typed.gone],
            only_whole: typed.only_whole,
            method: place.method,
        };
        self.insert(run, place, &wanted).await
    }

    async fn insert(&mut self, run: &Run, place: &Place<'_>, wanted: &Wanted<'_>) -> Outcome {
        if run.composes || place.method == "Input.imeSetComposition" {
            // What was composed so far would stay beside the value.
            let nothing = br#"{"text":"","selectionStart":0,"selectionEnd":0}"#;
            let session = place.session.as_deref();
            let member = &self.context.member;
            let ended = member.call(session, "Input.imeSetComposition", nothing);
            let _ = timeout(KEY_PATIENCE, ended).await;
        }
        insert::insert(&self.context, &mut self.recent, place.target, wanted).await
    }

    /// Types messages that were held, in order. Returns whether the one that is looked at now, always the last, is among them:
    /// it goes on by itself.
    async fn type_out(&self, place: &Place<'_>, held: Vec<Held>) -> bool {
        let mut passes = false;
        let mut patience = KEY_PATIENCE;
        for Held {
            command,
            is_current,
            ..
        } in held
        {
            if is_current {
                passes = true;
                continue;
            }
            let session = place.session.as_deref();
            let typed = self
                .context
                .member
                .call(session, &command.method, command.params());
            // The client has its answer. What the browser says to it, or that it does not, can only be passed over.
            if timeout(patience, typed).await.is_err() {
                patience = Duration::from_millis(20);
            }
        }
        passes
    }

    /// Finds the placeholders of the newest view.
    async fn finder(&mut self) -> Result<Finder, Refusal> {
        let refused = |unavailable: crate::guard::Unavailable| {
            Refusal::new(format!("nothing is typed now: {unavailable}"))
        };
        let snapshot = if let Some(ticket) = &self.ticket {
            ticket.next().await.map_err(refused)?
        } else {
            let about = About {
                channel: "browser",
                target: format!("client {}", self.context.member.id).into(),
                method: "Input.insertText",
            };
            let ticket = self.context.guard.admit(about).await.map_err(refused)?;
            let snapshot = Arc::clone(ticket.snapshot());
            self.ticket = Some(ticket);
            snapshot
        };
        Ok(snapshot.finder().clone())
    }
}

/// What is held now has its answer.
fn settle(run: &mut Run) {
    for held in &mut run.held {
        held.is_current = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Spelling;

    #[test]
    fn a_text_that_is_too_long_goes_on_only_without_placeholders() {
        let finder = Finder::new(
            ["x_a", "pin"],
            &[Spelling::bare(), Spelling::new("{{", "}}")],
        );
        let plain = "\u{f6} ".repeat(LONGEST_TEXT);
        assert!(matches!(far_too_long(&finder, &plain), Ok(Verdict::Pass)));
        for at in [
            0,
            LONGEST_TEXT - 3,
            LONGEST_TEXT,
            2 * LONGEST_TEXT - OVERLAP,
            plain.len(),
        ] {
            let at = boundary(&plain, at);
            let text = [&plain[..at], " {{pin}} ", &plain[at..]].concat();
            let refusal = far_too_long(&finder, &text).unwrap_err();
            assert!(refusal.text.starts_with("pin was not typed: "), "{at}");
        }
    }
}
