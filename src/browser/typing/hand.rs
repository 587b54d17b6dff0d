//! What types for a client: holds its keys while a placeholder may come of them, and decides what becomes of them.
//!
//! A name that is complete is judged at the key that completes it, by the same look at the page as before an insertion. So a
//! refusal is told to who typed it. That is an early answer only: what is held goes into the page by an insertion, which
//! judges again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;

use super::edits::{self, Change};
use super::focus::{self, Document, Handles, Nowhere};
use super::insert::{self, Outcome, Part, Wanted};
use super::press::{self, Kind};
use super::refusals::{self, Recent};
use super::run::{Held, LARGEST_HELD, MOST_HELD, Run, Untold};
use super::said::{Edit, Read, Said};
use super::{Place, method};
use crate::browser::{Command, Context, Refusal, Verdict};
use crate::fill::{Holding, Step, Typed};
use crate::guard::{About, Finder, Ticket};

/// How long the browser may take for a key that was held: a dialog that it opens must not hold up the client that closes it.
const KEY_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a text with placeholders.
const LONGEST_TEXT: usize = 1 << 20;

/// Placeholders in a text.
const MOST_PLACEHOLDERS: usize = 256;

/// Bytes of a longer text that two of its parts share.
const OVERLAP: usize = 4 << 10;

/// What types for a client.
pub(super) struct Hand {
    pub context: Context,
    /// Admission of the client's typing; the snapshot of each message comes by it.
    ticket: Option<Ticket>,
    recent: Recent,
    /// The document in which something was refused last, where it is known.
    pub refused_in: Option<Document>,
}

impl Hand {
    pub fn new(context: Context) -> Self {
        Self {
            context,
            ticket: None,
            recent: Recent::default(),
            refused_in: None,
        }
    }

    /// What becomes of a command that types.
    pub async fn take(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        command: &Command,
        read: &Read<'_>,
    ) -> Result<Verdict, Refusal> {
        if let Some(untold) = &run.untold
            && self.has_focus(place.target, untold).await
            && let Some(untold) = run.untold.take()
        {
            return Err(untold.refusal);
        }
        if read.is_unread && self.context.pages.was_filled() {
            return Err(Refusal::new(
                "its parameters cannot be read, so nobody knows what it does to a value that was typed. Write them as the protocol has them",
            ));
        }
        let finder = self.finder().await?;
        if let Some(press::Part {
            kind: Kind::Ahead(Some(c)),
            ..
        }) = read.part
        {
            self.ahead(run, place, &finder, c).await?;
        }
        self.said(run, place, &finder, command, read).await
    }

    async fn said(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        command: &Command,
        read: &Read<'_>,
    ) -> Result<Verdict, Refusal> {
        let is_key = command.message.len() <= LARGEST_HELD;
        match &read.said {
            Said::Character(c) if is_key => self.character(run, place, finder, command, *c).await,
            Said::Attached if is_key && run.holding.is_holding() && run.held.len() < MOST_HELD => {
                run.hold(command, 0);
                settle(run);
                Ok(done())
            }
            Said::Attached if !run.holding.is_holding() => Ok(Verdict::Pass),
            Said::Whole(text) => {
                self.decide(run, place, finder).await?;
                run.composes = false;
                self.whole(run, place, finder, text).await
            }
            Said::Composition(text, is_placed) => {
                self.decide(run, place, finder).await?;
                if *is_placed && !finder.find(text).is_empty() {
                    return Err(Refusal::new(
                        "a placeholder in Input.imeSetComposition cannot take replacementStart or replacementEnd",
                    ));
                }
                self.edit(place, read.edit).await?;
                let verdict = self.whole(run, place, finder, text).await;
                run.composes = matches!(verdict, Ok(Verdict::Pass)) && !text.is_empty();
                verdict
            }
            Said::Erased => {
                // What it takes a character of is the name, as it was typed: of a value it would leave all the others.
                run.holding.reset();
                self.drive(run, place, finder, |_| Step::Wait).await?;
                self.edit(place, read.edit).await?;
                Ok(Verdict::Pass)
            }
            Said::Character(_) | Said::Attached | Said::Other => {
                self.decide(run, place, finder).await?;
                run.holding.reset();
                self.edit(place, read.edit).await?;
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
        // What is held comes where this one does.
        if !run.holding.is_holding() {
            self.change(place, &Change::Insert(c.encode_utf8(&mut [0; 4])))
                .await?;
        }
        run.holding.push(c);
        run.hold(command, c.len_utf8());
        run.since = Some(Instant::now());
        let passes = self
            .drive(run, place, finder, |holding| holding.step(finder))
            .await?;
        settle(run);
        let judged = run.judged.take();
        if let Some(typed) = run.holding.complete(finder)
            && judged.is_none_or(|judged| judged != typed.text)
        {
            self.judge(run, place, finder, &typed).await?;
        }
        Ok(if passes { Verdict::Pass } else { done() })
    }

    /// A key of which the `char` that is to come will be that character: what that completes is judged at once.
    async fn ahead(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        c: char,
    ) -> Result<(), Refusal> {
        let mut holding = run.holding.clone();
        holding.push(c);
        let typed = loop {
            match holding.step(finder) {
                Step::Wait => break holding.complete(finder),
                Step::Release(_) => {}
                // What the character ends, without being a part of it, was judged when it was complete.
                Step::Placeholder(typed) => break holding.is_idle().then_some(typed),
            }
        };
        if let Some(typed) = typed {
            self.judge(run, place, finder, &typed).await?;
            run.judged = Some(typed.text);
        }
        Ok(())
    }

    /// Refuses a complete name that would be refused where the focus is, and drops what is held of it. Not where more keys could
    /// make another of it that may be typed there: a longer one, or a word, if it counts only where it is all of the text.
    async fn judge(
        &mut self,
        run: &mut Run,
        place: &Place<'_>,
        finder: &Finder,
        typed: &Typed,
    ) -> Result<(), Refusal> {
        let Some(key) = finder.key(&typed.key).filter(|_| !typed.only_whole) else {
            return Ok(());
        };
        let is_bare = typed.text == typed.key;
        let longer = finder
            .keys()
            .filter(|longer| is_bare && longer.len() > key.len() && longer.starts_with(key));
        let wanted = Wanted {
            parts: vec![Part::Key(key, &typed.text)],
            gone: &typed.text[..typed.gone],
            only_whole: false,
            method: place.method,
        };
        let longer: Vec<&str> = longer.collect();
        let context = &self.context;
        let refusal =
            insert::early(context, &mut self.recent, place.target, &wanted, &longer).await;
        match refusal {
            Some(refusal) => {
                run.drop_all();
                Err(refusal)
            }
            None => Ok(()),
        }
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
            far_too_long(finder, text)?;
            return self.passes(place, text).await;
        }
        let found = finder.find(text);
        if found.is_empty() {
            return self.passes(place, text).await;
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
            Outcome::Literal => self.passes(place, text).await,
            Outcome::Refused(refusal, _) => Err(refusal),
        }
    }

    /// A text that goes on as it is.
    async fn passes(&mut self, place: &Place<'_>, text: &str) -> Result<Verdict, Refusal> {
        self.change(place, &Change::Insert(text)).await?;
        Ok(Verdict::Pass)
    }

    async fn edit(&mut self, place: &Place<'_>, edit: Option<Edit>) -> Result<(), Refusal> {
        match edit {
            Some(edit) => self.change(place, &Change::Key(edit)).await,
            None => Ok(()),
        }
    }

    /// Refuses what would leave a part of a value in the field that has the focus.
    async fn change(&mut self, place: &Place<'_>, change: &Change<'_>) -> Result<(), Refusal> {
        let refusal = edits::refusal(&self.context, &mut self.recent, place, change).await;
        refusal.map_or(Ok(()), Err)
    }

    /// Whether the document that a refusal belongs to is still shown. One that does not answer may be.
    pub async fn is_there(&self, untold: &Untold) -> bool {
        let there = untold.document.is_there(&self.context.hub);
        timeout(KEY_PATIENCE, there).await.unwrap_or(true)
    }

    /// Whether the focus is in the document that a refusal belongs to.
    async fn has_focus(&self, target: &str, untold: &Untold) -> bool {
        let Context { hub, pages, .. } = &self.context;
        let mut handles = Handles::new(hub);
        let focus = focus::find(&mut handles, pages, target);
        match timeout(KEY_PATIENCE, focus).await {
            Ok(Ok(focus)) => focus.document() == untold.document,
            // Nothing has it: then it is the page's, as it was where nothing had it before.
            Ok(Err(Nowhere::Nothing)) => self.is_there(untold).await,
            Ok(Err(Nowhere::Call(_))) | Err(_) => false,
        }
    }

    /// The document in which something was refused last, on a session; `None` if it is gone.
    pub async fn document(&mut self, session: Option<&Arc<str>>) -> Option<Document> {
        if let Some(document) = self.refused_in.take() {
            return Some(document);
        }
        // No field was found: it is the page's own.
        let target = self.context.member.target_of(session.map(|s| &**s))?;
        let top = Document::top(&self.context.hub, &target.id);
        timeout(KEY_PATIENCE, top).await.ok()?.ok()
    }

    /// Decides what is held, on a session of which only that is known.
    pub async fn finish(
        &mut self,
        run: &mut Run,
        session: Option<&Arc<str>>,
    ) -> Result<(), Refusal> {
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
                self.refused_in = None;
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
                        Outcome::Refused(refusal, document) => {
                            self.refused_in = document;
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

/// A text of that length is not taken apart: it goes on if it holds no placeholder.
fn far_too_long(finder: &Finder, text: &str) -> Result<(), Refusal> {
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
    Ok(())
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
        assert_eq!(far_too_long(&finder, &plain), Ok(()));
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
