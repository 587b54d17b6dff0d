//! Masks what goes to one client, counts it, and puts the counts into the audit log.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::end::End;
use crate::browser::mend::{Misaligned, mend};
use crate::browser::{cuts, inline};
use crate::guard::{Answers, Counts, Form, Hits, Refusal, Snapshot, Syntax, Ticket};

/// Bytes from which a message is read on a thread of its own: others have their turn meanwhile.
const LARGE: usize = 256 << 10;

/// The least time between two looks at what was found: half of the time within which it must be in the log.
const NOTE_TIME: Duration = Duration::from_millis(500);

/// Masks for one client, from its beginning to its end.
pub(in crate::browser) struct Masking {
    ticket: Ticket,
    /// Found and not noted yet.
    open: Mutex<Counts>,
    found: Notify,
}

/// Why a message does not go to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::browser) enum Unsent {
    /// What it shows reaches over more than one part of it: this message cannot be sent.
    Misaligned,
    /// Nothing can be sent any more.
    End(Unmasked),
}

/// Why nothing can be masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::browser) enum Unmasked {
    /// It cannot be read in full.
    Refused(Refusal),
    /// There is no masker, or no place in the log.
    Unavailable(crate::guard::Unavailable),
}

impl From<Unmasked> for End {
    fn from(unmasked: Unmasked) -> Self {
        match unmasked {
            Unmasked::Refused(refusal) => Self::Unmaskable(refusal),
            Unmasked::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<Unmasked> for Unsent {
    fn from(unmasked: Unmasked) -> Self {
        Self::End(unmasked)
    }
}

impl Masking {
    pub(in crate::browser) fn new(ticket: Ticket) -> Self {
        Self {
            ticket,
            open: Mutex::default(),
            found: Notify::new(),
        }
    }

    /// A message of the browser, or one of ours, as the client may see it; the same bytes if nothing was found.
    ///
    /// # Errors
    /// See [`Unsent`].
    pub(super) async fn message(&self, message: Bytes) -> Result<Bytes, Unsent> {
        let Some(snapshot) = self.needles().await? else {
            return Ok(message);
        };
        if message.len() < LARGE {
            return self.masked(&snapshot, message);
        }
        let read = spawn_blocking(move || {
            let masked = masked_message(&snapshot, message);
            (snapshot, masked)
        });
        // It panics, or the runtime ends: either way nothing was read.
        let (snapshot, masked) = read
            .await
            .map_err(|_| Unmasked::Refused(Refusal::TooDeep))?;
        let (message, hits) = masked?;
        self.count(&snapshot, &hits);
        Ok(message)
    }

    fn masked(&self, snapshot: &Snapshot, message: Bytes) -> Result<Bytes, Unsent> {
        let (message, hits) = masked_message(snapshot, message)?;
        self.count(snapshot, &hits);
        Ok(message)
    }

    /// A whole text of that syntax; `None` if it holds nothing. Long ones on a thread of their own.
    ///
    /// # Errors
    /// See [`Unmasked`].
    pub(in crate::browser) async fn text(
        &self,
        text: Bytes,
        syntax: Syntax,
    ) -> Result<Option<Vec<u8>>, Unmasked> {
        let Some(snapshot) = self.needles().await? else {
            return Ok(None);
        };
        let masked = if text.len() < LARGE {
            snapshot.mask_whole(text, syntax)
        } else {
            let snapshot = Arc::clone(&snapshot);
            let read = spawn_blocking(move || snapshot.mask_whole(text, syntax)).await;
            read.unwrap_or(Err(Refusal::TooDeep))
        };
        let masked = masked.map_err(Unmasked::Refused)?;
        Ok(masked.map(|(masked, hits)| {
            self.count(&snapshot, &hits);
            masked
        }))
    }

    /// Some words for the client, such as the browser's reason for an error.
    pub(in crate::browser) async fn words(&self, text: &str) -> Result<String, Unmasked> {
        let masked = self.text(Bytes::copy_from_slice(text.as_bytes()), Syntax::Text);
        Ok(match masked.await? {
            Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
            None => text.to_owned(),
        })
    }

    /// What is masked now; `None`: nothing.
    async fn needles(&self) -> Result<Option<Arc<Snapshot>>, Unmasked> {
        let snapshot = self.ticket.next().await.map_err(Unmasked::Unavailable)?;
        Ok(snapshot.of_answers(&Answers::All))
    }

    fn count(&self, snapshot: &Snapshot, hits: &Hits) {
        if hits.is_empty() {
            return;
        }
        let mut open = self.open();
        for ((id, form), count) in hits {
            if let Some(owners) = snapshot.owners(*id) {
                open.add(owners, *form, *count);
            }
        }
        drop(open);
        self.found.notify_one();
    }

    /// Puts what is found into the log: at once, but not more often than every [`NOTE_TIME`].
    pub(super) async fn notes(&self) -> Infallible {
        loop {
            self.found.notified().await;
            self.note();
            sleep(NOTE_TIME).await;
        }
    }

    /// Puts what was found into the log.
    pub(super) fn note(&self) {
        let open = std::mem::take(&mut *self.open());
        self.ticket.note(&open);
    }

    /// The number that ties the log line to the audit events.
    pub(super) fn request_id(&self) -> String {
        self.ticket.id().to_string()
    }

    /// All that was masked, as `key=count`, or `key=count(form)` where it was not plain.
    pub(super) fn total(&self) -> String {
        let mut text = String::new();
        let total = self.ticket.total();
        for ((key, form), count) in total.by_key() {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{space}{key}={count}");
            if form != Form::Plain {
                let _ = write!(text, "({})", form.as_str());
            }
        }
        text
    }

    fn open(&self) -> MutexGuard<'_, Counts> {
        // Counting does not panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Masking {
    fn drop(&mut self) {
        self.note();
    }
}

fn masked_message(snapshot: &Snapshot, message: Bytes) -> Result<(Bytes, Hits), Unsent> {
    let masked = snapshot.mask_whole(message.clone(), Syntax::Json);
    let (message, mut hits) = match masked.map_err(Unmasked::Refused)? {
        None => (message, Hits::new()),
        Some((masked, hits)) => {
            let mended = mend(&message, &masked).map_err(|Misaligned| Unsent::Misaligned)?;
            // A value in Latin-1 may be found where it is the beginning of a longer character.
            let text = String::from_utf8(mended.unwrap_or(masked))
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            (Bytes::from(text), hits)
        }
    };
    let message = cuts::cover(snapshot, message, &mut hits);
    Ok((inline::blank(snapshot, message, &hits), hits))
}
