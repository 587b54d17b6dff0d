//! An event on its way to a client, and what may become of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// An event as the browser sent it. It may show values: no `Debug`.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// `Domain.event`.
    pub method: &'a Arc<str>,
    /// The session that it came from; `None`: the client's root.
    pub session: Option<&'a Arc<str>>,
    /// The whole message.
    pub message: &'a Bytes,
    /// Where its `params` stand in the message.
    pub params: Option<&'a Range<usize>>,
}

impl<'a> Event<'a> {
    /// The text of its parameters; `{}` if it has none.
    pub fn params(&self) -> &'a [u8] {
        self.params
            .map_or(b"{}", |range| &self.message[range.clone()])
    }
}

/// What becomes of an event. It may hold what shows a value: no `Debug`.
pub enum Observed {
    /// It goes on as it is.
    Keep,
    /// The client does not see it.
    Drop,
    /// This goes on in its place: a whole message, which is masked on its way.
    Replace(Bytes),
}
