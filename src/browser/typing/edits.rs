//! Keys that would leave a part of a value in its field, where no masking finds it: they are refused, with what to do instead.
//!
//! Looked at only where a document shows in which a value was inserted: the text of the focused field, as the caret parts it, is
//! read before and as it will be after. Every value in it must go as a whole or stay as a whole, and be found. That keeps an agent
//! that mistypes from reading the rest of a password; against script in the page it is no defence.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;

use super::Place;
use super::focus::{self, Focus, Handles};
use super::insert;
use super::refusals::Recent;
use super::said::Edit;
use crate::browser::spans::spans;
use crate::browser::{Context, Refusal};
use crate::guard::{Counts, Snapshot};

/// Reads the text of an element.
const EDITS: &str = include_str!("edits.js");

/// What happens to the text of the field.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// A text comes.
    Insert(&'a str),
    /// A text with values comes in place of the first, which stands before the caret; of the second, letters stand for the values.
    Fill(&'a str, &'a str),
    /// A key is pressed.
    Key(Edit),
}

/// A field's text as the caret or the selection parts it, in the order of `edits.js`.
#[derive(Deserialize)]
struct Field {
    before: String,
    chosen: String,
    after: String,
    takes_lines: bool,
}

/// Stands for a text that is not known: a letter, so that no short value beside it is a word.
pub(super) const UNKNOWN: &str = "a";

/// Why a change is refused: it would leave a part of a value, or that cannot be told. Where nothing is found that has the focus,
/// nothing is changed.
pub(super) async fn refusal(
    context: &Context,
    recent: &mut Recent,
    place: &Place<'_>,
    change: &Change<'_>,
) -> Option<Refusal> {
    let Context { hub, pages, .. } = context;
    if !pages.was_filled() || !pages.is_live(hub, place.target).await {
        return None;
    }
    let mut handles = Handles::new(hub);
    let focus = focus::find(&mut handles, pages, place.target).await.ok()?;
    let ticket = match insert::admit(context, place.method, focus.place()).await {
        Ok(ticket) => ticket,
        Err(unavailable) => return Some(Refusal::new(unavailable)),
    };
    let key = part_left(context, &focus, ticket.snapshot(), change).await?;
    if recent.is_new(&format!("{key} {} {LEFT}", focus.frame)) {
        ticket.refused_for(&key, LEFT);
    }
    Some(Refusal::new(format!("{key} was not changed: {LEFT}")))
}

/// The key of a value in the field of which a change would leave a part.
pub(super) async fn part_left(
    context: &Context,
    focus: &Focus,
    snapshot: &Snapshot,
    change: &Change<'_>,
) -> Option<String> {
    if !context.pages.is_filled(&focus.loader) {
        return None;
    }
    let parts = focus::ask(&context.hub, &focus.session, &focus.object, EDITS).await;
    let Ok(parts) = parts else {
        return Some(UNREAD.to_owned());
    };
    // Nothing, where it holds no text that keys edit.
    let field: Field = serde_json::from_value(parts).ok()?;
    field.part_left(snapshot, change)
}

/// Why a change is refused.
pub(super) const LEFT: &str = "what was typed would leave something of it in its field that nothing can mask. Select all of the field first, \
    or clear it, and type what it shall hold";

/// What a refusal names where the values in a field cannot be told.
const UNREAD: &str = "a value";

impl Field {
    /// The key of a value of which that leaves a part.
    fn part_left(&self, snapshot: &Snapshot, change: &Change<'_>) -> Option<String> {
        let text = [&*self.before, &self.chosen, &self.after].concat();
        let mut counts = Counts::default();
        let Ok(values) = spans(snapshot, &Bytes::from(text.clone()), &mut counts) else {
            return Some(UNREAD.to_owned());
        };
        if values.is_empty() {
            return None;
        }
        let (gone, new) = self.done(change)?;
        let left = [&text[..gone.start], new, &text[gone.end..]].concat();
        let found = spans(snapshot, &left.into(), &mut Counts::default()).unwrap_or_default();
        let is_sure = match change {
            // Of what goes as a word or a line nobody knows how far it goes.
            Change::Key(Edit::Far) => !self.chosen.is_empty(),
            Change::Key(Edit::Anywhere) => false,
            _ => true,
        };
        let stays = |value: &Range<usize>| {
            let moved = if value.end <= gone.start {
                value.clone()
            } else if value.start >= gone.end {
                let by = |at: usize| at - gone.len() + new.len();
                by(value.start)..by(value.end)
            } else {
                return is_sure && gone.start <= value.start && value.end <= gone.end;
            };
            let holds = |found: &Range<usize>| found.start <= moved.start && moved.end <= found.end;
            found.iter().any(holds)
        };
        if values.iter().all(stays) {
            return None;
        }
        let first = counts.by_key().into_keys().next();
        Some(first.map_or(UNREAD, |(key, _)| key).to_owned())
    }

    /// What of the text goes, and what comes in its place; `None`: nothing happens to it.
    fn done<'a>(&self, change: &Change<'a>) -> Option<(Range<usize>, &'a str)> {
        let (from, to) = (self.before.len(), self.before.len() + self.chosen.len());
        let text_len = to + self.after.len();
        let new = match change {
            Change::Insert(text) | Change::Fill(_, text) => text,
            Change::Key(Edit::Paste) => UNKNOWN,
            Change::Key(Edit::Line) if self.takes_lines => "\n",
            Change::Key(Edit::Line) => return None,
            Change::Key(Edit::Back | Edit::Forward | Edit::Far | Edit::Anywhere) => "",
        };
        let len = |char: Option<char>| char.map_or(0, char::len_utf8);
        let gone = match change {
            Change::Key(Edit::Anywhere) => 0..text_len,
            _ if from < to => from..to,
            Change::Fill(typed, _) if self.before.ends_with(typed) => from - typed.len()..to,
            Change::Key(Edit::Back) => from - len(self.before.chars().next_back())..to,
            Change::Key(Edit::Forward) => from..to + len(self.after.chars().next()),
            Change::Key(Edit::Far) => 0..text_len,
            _ => from..to,
        };
        Some((gone, new))
    }
}
