//! What one session of a client has typed and not seen done: the messages that are held.

use std::collections::VecDeque;
use std::time::Instant;

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
    pub failed: Option<Refusal>,
    /// Whether a composition is under way.
    pub composes: bool,
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

    /// Whether it need not be kept.
    pub fn is_idle(&self) -> bool {
        self.holding.is_idle() && self.held.is_empty() && self.failed.is_none() && !self.composes
    }

    /// Drops what is held: it was replaced by a value, or refused.
    pub fn drop_all(&mut self) {
        self.holding.reset();
        self.held.clear();
        self.since = None;
    }
}

impl Held {
    fn is_key_up(&self) -> bool {
        let params = self.command.params();
        self.bytes == 0 && memchr::memmem::find(params, b"\"keyUp\"").is_some()
    }
}
