//! What one session of a client has typed and not seen done: the messages that are held.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::focus::Document;
use super::press::{Part, Presses};
use crate::browser::{Command, Refusal};
use crate::fill::Holding;

/// Messages that are held of one session: a placeholder's, each with keys up and down around it, is far below.
pub(super) const MOST_HELD: usize = 1024;

/// Bytes of a message that is held. What no client sends for a key goes on at once.
pub(super) const LARGEST_HELD: usize = 16 << 10;

/// What a session typed last.
#[derive(Default)]
pub(super) struct Run {
    pub holding: Holding,
    pub held: VecDeque<Held>,
    /// When the last character came.
    pub since: Option<Instant>,
    /// Why nothing was inserted where no command was there to say it.
    pub untold: Option<Untold>,
    /// Which messages belong to one key, and to one that was refused.
    pub presses: Presses,
    /// The placeholder that was judged already, by a message before that of its last character.
    pub judged: Option<Box<str>>,
    /// Whether a composition is under way.
    pub composes: bool,
    /// Whether commands other than those that type may pass unseen.
    pub is_quiet: bool,
}

/// A refusal that nobody heard of yet. It belongs to a document: it goes with it, and concerns nobody who types in another.
pub(super) struct Untold {
    pub refusal: Refusal,
    pub document: Document,
}

/// A message that was answered and has not reached the browser.
pub(super) struct Held {
    pub command: Command,
    /// Bytes of text that it types.
    pub bytes: usize,
    /// It is the one that is looked at now, and was not answered yet.
    pub is_current: bool,
}

impl Run {
    pub fn hold(&mut self, command: &Command, bytes: usize) {
        self.held.push_back(Held {
            command: command.clone(),
            bytes,
            is_current: true,
        });
    }

    /// The oldest messages that type so many bytes, and what belongs to them.
    pub fn take(&mut self, bytes: usize) -> Vec<Held> {
        let mut taken = Vec::new();
        let mut missing = bytes;
        while missing > 0
            && let Some(held) = self.held.pop_front()
        {
            missing = missing.saturating_sub(held.bytes);
            taken.push(held);
        }
        while self.held.front().is_some_and(Held::is_key_up) {
            taken.extend(self.held.pop_front());
        }
        taken
    }

    /// Why a message is refused because one before it was: the others of a key's press.
    pub fn refuse_rest(&mut self, part: Option<&Part<'_>>, pause: Duration) -> Option<Refusal> {
        let Some(part) = part else {
            self.presses.end_burst();
            return None;
        };
        let refusal = self.presses.refuse(part, pause);
        if refusal.is_none() {
            self.presses.saw(part);
        }
        refusal
    }

    /// Whether something waits for what comes next.
    pub fn is_holding(&self) -> bool {
        self.holding.is_holding() || !self.held.is_empty()
    }

    /// Whether it need not be kept, but for a press.
    pub fn is_idle(&self) -> bool {
        self.holding.is_idle() && self.held.is_empty() && self.untold.is_none() && !self.composes
    }

    /// Drops what is held: it was replaced by a value, or refused.
    pub fn drop_all(&mut self) {
        self.holding.reset();
        self.held.clear();
        self.judged = None;
        self.since = None;
    }
}

impl Held {
    fn is_key_up(&self) -> bool {
        let params = self.command.params();
        self.bytes == 0 && memchr::memmem::find(params, b"\"keyUp\"").is_some()
    }
}
