//! Stands in for the room `guard`, which would bring the vault, SQLite and the audit log along: the real engine, with needles
//! that are given here. The same cases go through the real guard in `tests/it/surfaces_cases.rs`.

use std::sync::Arc;

use crate::mask::{Builder, Masker, NameId};

pub use crate::mask::{Hits, Refusal, Stream, Syntax};

/// Which answers are masked.
#[derive(PartialEq, Eq)]
pub enum Answers {
    /// None.
    Untouched,
    /// Of all secrets.
    All,
}

/// Whom a hit is counted for: nobody asks here.
pub struct Owner;

/// What is counted for the log.
#[derive(Default)]
pub struct Counts;

impl Counts {
    pub fn add(&mut self, _owners: &Arc<[Owner]>, _form: crate::mask::Form, _count: u64) {}
}

/// Why a message is not served: never, here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {}

impl Unavailable {
    pub fn code(&self) -> &'static str {
        match *self {}
    }
}

/// The needles.
pub struct Snapshot {
    masker: Masker,
    keys: Vec<String>,
    owners: Arc<[Owner]>,
}

impl Snapshot {
    /// Of a masker that was built with these keys, in their order.
    pub fn of(builder: Builder, keys: Vec<String>) -> Self {
        Self {
            masker: builder.build(),
            keys,
            owners: Arc::from([Owner]),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.masker.is_empty()
    }

    pub fn stream(&self, syntax: Syntax) -> Stream {
        let signed = crate::mask::Signed::Refuse;
        self.masker.stream_with(syntax, signed)
    }

    pub fn answer_stream(&self, syntax: Syntax) -> Stream {
        let signed = crate::mask::Signed::Pass;
        self.masker.stream_with(syntax, signed)
    }

    pub fn mask(&self, text: &[u8], syntax: Syntax) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        self.masker.mask(text, syntax)
    }

    pub fn is_in_names<'a>(
        &self,
        mut names: impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, Refusal> {
        names.try_fold(false, |found, name| {
            Ok(found || self.mask(name, Syntax::Text)?.is_some())
        })
    }

    pub fn key(&self, id: NameId) -> &str {
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.keys.get(at).map_or("unknown", String::as_str)
    }

    pub fn owners(&self, _id: NameId) -> Option<&Arc<[Owner]>> {
        Some(&self.owners)
    }

    pub fn of_answers(self: &Arc<Self>, answers: &Answers) -> Option<Arc<Self>> {
        (*answers == Answers::All && !self.is_empty()).then(|| Arc::clone(self))
    }
}

/// The parts as one text, set apart so that no needle reaches from one into the next.
pub fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&[0; 3]);
        text.extend_from_slice(part);
    }
    text
}

/// An admission that always gives the same needles.
pub struct Ticket(pub Arc<Snapshot>);

impl Ticket {
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.0
    }

    pub async fn next(&self) -> Result<Arc<Snapshot>, Unavailable> {
        Ok(Arc::clone(&self.0))
    }

    pub fn note(&self, _counts: &Counts) {}

    pub fn passed(&self, _owners: &[Owner], _form: crate::mask::Form, _count: u64) {}

    pub fn total(&self) -> Counts {
        Counts
    }
}
