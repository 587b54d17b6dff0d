//! The choke point between the channels and the secrets: which masker is in force, and whose name a hit is.
//!
//! A channel takes a [`Snapshot`] when a request begins and keeps it until the request ends; [`Guard::replace`] swaps the
//! one that the next request gets. So a change is live at once, and no request sees half of it.
//!
//! Invariants: a snapshot is immutable, but for the names that it has judged clean; values live in its masker only, which does not give them out.
//!
//! It does no I/O and decides nothing about substitution, which needs the audit log first.

mod forms;
mod names;
mod needles;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use crate::mask::{Form, Hits, NameId, Refusal, Signed, Stream, Syntax};
pub use names::joined;
pub use needles::Needles;

use crate::secret::Secret;
use names::CleanNames;

/// The needles of one moment, and the keys that hits are reported under.
pub struct Snapshot {
    needles: Needles,
    signed: Signed,
    clean: CleanNames,
}

impl Snapshot {
    /// A snapshot of these secrets; `write` spells the placeholder of a key.
    ///
    /// One value under two keys goes by that of the narrowest scope, then by the first in key order.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        write: impl Fn(&str) -> String,
    ) -> Self {
        Self {
            needles: Needles::new(secrets, write),
            signed: Signed::Refuse,
            clean: CleanNames::default(),
        }
    }

    /// The same, with another treatment of what stands in blocks that a provider signed. [`Signed::Refuse`] without it.
    #[must_use]
    pub fn with_signed(self, signed: Signed) -> Self {
        Self { signed, ..self }
    }

    /// Whether there is nothing to mask, so that texts need not be read.
    pub fn is_empty(&self) -> bool {
        self.needles.masker.is_empty()
    }

    /// Starts one pass over one text on its way to a provider.
    pub fn stream(&self, syntax: Syntax) -> Stream {
        self.needles.masker.stream_with(syntax, self.signed)
    }

    /// Starts one pass over one text on its way back. What a provider signed stays as it is: it must be sent again as it came,
    /// and on that way it is refused or let pass.
    pub fn answer_stream(&self, syntax: Syntax) -> Stream {
        self.needles.masker.stream_with(syntax, Signed::Pass)
    }

    /// Masks one whole text; `None` if it holds nothing.
    ///
    /// # Errors
    /// The text cannot be read in full within the engine's limits.
    pub fn mask(&self, text: &[u8], syntax: Syntax) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        self.needles.masker.mask(text, syntax)
    }

    /// Whether one of these names, which cannot be rewritten, such as headers', holds a value. What was judged clean once is
    /// not judged again.
    ///
    /// A value that counts as a whole word only does not count here: `user` must not refuse every `User-Agent`.
    ///
    /// # Errors
    /// As [`Snapshot::mask`].
    pub fn is_in_names<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Result<bool, Refusal> {
        if self.is_empty() {
            return Ok(false);
        }
        let unknown = self.clean.unknown(names);
        if unknown.is_empty() {
            return Ok(false);
        }
        let text = joined(unknown.iter().copied());
        let found = self.needles.names().mask(&text, Syntax::Text)?.is_some();
        if !found {
            self.clean.keep(&unknown);
        }
        Ok(found)
    }

    /// The key of a hit.
    pub fn key(&self, id: NameId) -> &str {
        // A hit can only carry an id that the builder gave out.
        usize::try_from(id.0)
            .ok()
            .and_then(|at| self.needles.keys.get(at))
            .map_or("unknown", String::as_str)
    }
}

/// Holds the snapshot in force.
pub struct Guard {
    current: ArcSwap<Snapshot>,
}

impl Guard {
    /// A guard with its first snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
        }
    }

    /// The snapshot for a request that begins now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts another snapshot in force; requests in flight keep theirs.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}
