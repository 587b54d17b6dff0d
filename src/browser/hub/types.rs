//! What the hub hands out: targets, messages, errors.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// What a session is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Chromium's id; of a page or an out-of-process frame it is also its frame's.
    pub id: Box<str>,
    /// `page`, `iframe`, `worker`, `service_worker`, `browser`, ….
    pub kind: Box<str>,
    /// The browser context that it belongs to.
    pub browser_context: Option<Box<str>>,
}

/// A target as `Target.getTargets` tells of it. Title and address may show values: no `Debug`.
#[derive(Clone)]
pub struct Listed {
    /// What it is.
    pub target: Target,
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
    /// The target that opened it.
    pub opener: Option<String>,
}

/// What browser it is, for `/json/version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `Chrome/156.0.8078.79`.
    pub browser: String,
    /// `1.3`.
    pub protocol: String,
    /// Its `User-Agent`.
    pub user_agent: String,
    /// The version of V8.
    pub v8: String,
    /// `537.36 (@revision)`.
    pub webkit: String,
}

/// A message for a client. It may show values: no `Debug`.
pub enum FromBrowser {
    /// The answer to one of its commands.
    Reply {
        /// The client's number of the command.
        id: i64,
        /// The command's method.
        method: Arc<str>,
        /// The command's session; `None`: the client's root.
        session: Option<Arc<str>>,
        /// The message as the client may read it, but for what is to be masked.
        message: Bytes,
    },
    /// An event.
    Event {
        /// `Domain.event`.
        method: Arc<str>,
        /// The session that it came from; `None`: the client's root.
        session: Option<Arc<str>>,
        /// The message as the client may read it, but for what is to be masked.
        message: Bytes,
        /// Where its `params` stand in the message.
        params: Option<Range<usize>>,
    },
    /// The end: the browser is gone, or the client was cut. The text says why. Nothing follows.
    Gone(Arc<str>),
}

/// An event of a session of ours. It may show values: no `Debug`.
pub struct Event {
    /// `Domain.event`.
    pub method: Arc<str>,
    /// The whole message.
    pub message: Bytes,
    /// Where its `params` stand in the message.
    pub params: Option<Range<usize>>,
}

impl Event {
    /// The text of its parameters; `{}` if it has none.
    pub fn params(&self) -> &[u8] {
        self.params
            .clone()
            .map_or(b"{}", |range| &self.message[range])
    }
}

/// What happened to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It ended or its connection broke; it is started again.
    Lost(Arc<str>),
    /// A start failed; it is tried again.
    Failed(Arc<str>),
    /// It is there again, as this generation.
    Restarted(u64),
}

/// Why a command was not answered with a result.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The browser answered with an error. Its text may show a value: it is in no `Display` and no `Debug`.
    #[error("the browser refused it (error {code})")]
    Refused {
        /// JSON-RPC's code.
        code: i64,
        /// The browser's words. To be masked before anybody sees them.
        message: Box<str>,
    },
    /// There was no answer in time.
    #[error("the browser did not answer in time")]
    Timeout,
    /// The browser is gone, or the member was cut.
    #[error("the browser is gone")]
    Gone,
    /// The session was detached before the answer came.
    #[error("the session was detached")]
    Detached,
    /// The command or its answer is larger than a message may be.
    #[error("the message is larger than max_message_bytes")]
    TooLarge,
    /// There is no such session, or it belongs to somebody else.
    #[error("there is no such session")]
    NotYours,
    /// What the browser sent cannot be read.
    #[error("the browser's answer cannot be read")]
    Unreadable,
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a client's command was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such session, or it belongs to somebody else: Chrome's error -32001.
    #[error("Session with given id not found.")]
    NotYours,
    /// It has too many commands that wait for their answers.
    #[error("too many commands wait for their answers")]
    TooMany,
    /// The command is larger than a message may be.
    #[error("the message is larger than max_message_bytes")]
    TooLarge,
    /// The browser is gone, or takes nothing any more.
    #[error("the browser is gone")]
    Gone,
}
