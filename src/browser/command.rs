//! A client's command, and what may become of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// A command as a client sent it. Only its envelope was read.
#[derive(Clone, Debug)]
pub struct Command {
    /// The client's number for it.
    pub id: i64,
    /// `Domain.method`.
    pub method: Arc<str>,
    /// The session it is for; `None`: the client's root.
    pub session: Option<Arc<str>>,
    /// The whole message.
    pub message: Bytes,
    /// Where its `params` stand in the message, if it has any: an object's text, not checked beyond that.
    pub params: Option<Range<usize>>,
}

impl Command {
    /// The text of its parameters; `{}` if it has none.
    pub fn params(&self) -> &[u8] {
        self.params
            .clone()
            .map_or(b"{}", |range| &self.message[range])
    }
}

/// What becomes of a command.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes on with these parameters (an object's text).
    With(Bytes),
    /// It is answered with this result (an object's text), which is masked on its way; the browser does not see it.
    Answer(Bytes),
    /// It is refused.
    Refuse(Refusal),
}

/// Why a command is refused. The text names methods, settings and placeholders, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// JSON-RPC's code: -32000 for what the browser would say, -32601 for a method that is not there.
    pub code: i32,
    /// What is wrong, and what to do next.
    pub text: String,
}

impl Refusal {
    /// A refusal with code -32000.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            code: -32000,
            text: text.into(),
        }
    }
}
