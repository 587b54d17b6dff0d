//! How a client's connection ended, and what the client is told about it.

use std::sync::Arc;

use crate::guard::{Refusal, Unavailable};
use crate::net::websocket::frame::Violation;

/// How a client's connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    /// The client closed it, with that code.
    #[error("closed")]
    Closed(Option<u16>),
    /// The client asked for the end of the browser, which is its own end only.
    #[error("left by Browser.close")]
    Left,
    /// The client's connection broke without a word, or took nothing for too long.
    #[error("the client broke off")]
    Lost,
    /// The client stopped inside a message.
    #[error("the client stopped inside a message")]
    Stalled,
    /// The client sent what the protocol does not allow, or too much.
    #[error("the client sent {0}")]
    Violation(Violation),
    /// The client sent a binary message, which CDP has none of.
    #[error("the client sent a binary message")]
    Binary,
    /// The browser is gone.
    #[error("{0}")]
    Gone(Arc<str>),
    /// The target of a page's own connection is gone.
    #[error("the target was closed")]
    Target,
    /// A message of the browser cannot be masked.
    #[error("a message of the browser cannot be masked: {0}")]
    Unmaskable(Refusal),
    /// There is no place in the audit log for a message, or no masker for it.
    #[error("{0}")]
    Unavailable(Unavailable),
    /// We end.
    #[error("bauta ends")]
    Stopped,
}

impl End {
    /// The code of our log line; `None` where the client ended it itself.
    pub(super) fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Closed(_) | Self::Left | Self::Lost => return None,
            Self::Stalled => "message_stalled",
            Self::Violation(Violation::TooLarge) => "message_too_large",
            Self::Violation(_) | Self::Binary => "websocket_violation",
            Self::Gone(_) => "browser_gone",
            Self::Target => "target_gone",
            Self::Unmaskable(Refusal::PendingTooLong) => "encoded_span_too_long",
            Self::Unmaskable(_) => "nested_too_deep",
            Self::Unavailable(unavailable) => unavailable.code(),
            Self::Stopped => "stopping",
        })
    }

    /// What the client is told (RFC 6455, 7.4.1); `None`: nothing.
    pub(super) fn farewell(&self) -> Option<(u16, String)> {
        let code = match self {
            // 1005 and the like may not be sent back.
            Self::Closed(code) => return code.map(|code| (code, String::new())),
            Self::Lost => return None,
            Self::Left | Self::Target => 1000,
            Self::Stalled => 1008,
            Self::Violation(violation) => violation.close_code(),
            Self::Binary => 1003,
            Self::Gone(_) | Self::Unmaskable(_) => 1011,
            // 1013, try again later (RFC 6455, 11.7, as registered since).
            Self::Unavailable(_) => 1013,
            Self::Stopped => 1001,
        };
        Some((code, self.to_string()))
    }
}
