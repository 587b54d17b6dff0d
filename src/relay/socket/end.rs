//! How a WebSocket ended, and what each side is told about it.

use crate::guard::{Refusal, Unavailable};
use crate::net::websocket::frame::{Close, Violation};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The agent.
    Client,
    /// The provider.
    Upstream,
}

/// How a WebSocket ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// A side said that it is over, with that code.
    #[error("closed")]
    Closed(Option<u16>),
    /// A side's connection ended or broke without a word.
    #[error("a side broke off")]
    Lost(Side),
    /// A side sent what the protocol does not allow, or too much.
    #[error("a side sent {1}")]
    Violation(Side, Violation),
    /// A message of that side cannot be read in full.
    #[error("{1}")]
    Refused(Side, Refusal),
    /// A message of the client holds the value of that key in a block that the provider signed.
    #[error("a signed block holds {0}")]
    Signed(String),
    /// A message is UTF-16 or UTF-32.
    #[error("a message has a charset other than utf-8")]
    Charset(Side),
    /// The masked payload of a ping or a pong is longer than one may be.
    #[error("a masked control frame is too long")]
    ControlTooLong(Side),
    /// A side stopped inside a message.
    #[error("a side stopped inside a message")]
    Stalled(Side),
    /// Nothing came from either side for too long.
    #[error("nothing came from either side for too long")]
    Idle,
    /// There is no place in the audit log for a message, or no masker for it.
    #[error("{0}")]
    Unavailable(Unavailable),
    /// We end.
    #[error("bauta ends")]
    Stopped,
}

impl End {
    /// Whether a closing handshake is under way.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// The code of our log line and of our documentation; `None` where the sides ended it themselves.
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Closed(_) | Self::Lost(Side::Client) => return None,
            Self::Lost(Side::Upstream) => "upstream_closed",
            Self::Violation(Side::Upstream, _) => "upstream_garbage",
            Self::Violation(_, Violation::TooLarge) => "message_too_large",
            Self::Violation(Side::Client, _) => "websocket_violation",
            Self::Signed(_) => "signed_block",
            Self::Refused(_, Refusal::PendingTooLong) => "encoded_span_too_long",
            Self::Refused(..) => "nested_too_deep",
            Self::Charset(_) => "charset",
            Self::ControlTooLong(_) => "masked_control_too_long",
            Self::Stalled(Side::Client) => "message_stalled",
            Self::Stalled(Side::Upstream) => "upstream_stalled",
            Self::Idle => "idle",
            Self::Unavailable(unavailable) => unavailable.code(),
            Self::Stopped => "stopping",
        })
    }

    /// What the client and the upstream are told, where nobody told them yet (RFC 6455, 7.4.1).
    pub(super) fn farewell(&self) -> (Option<Close>, Option<Close>) {
        let gone = || close(1001, "");
        match self {
            Self::Closed(code) => {
                let echo = || code.and_then(|code| close(code, ""));
                (echo(), echo())
            }
            Self::Lost(Side::Client) => (None, gone()),
            Self::Lost(Side::Upstream) => (close(1011, "the provider broke off"), None),
            Self::Violation(Side::Client, violation) => (
                close(violation.close_code(), &violation.to_string()),
                gone(),
            ),
            Self::Violation(Side::Upstream, violation) => (
                close(1011, "the provider broke the protocol"),
                close(violation.close_code(), &violation.to_string()),
            ),
            Self::Charset(Side::Client) => (close(1003, &self.to_string()), gone()),
            Self::Refused(Side::Client, _)
            | Self::Signed(_)
            | Self::ControlTooLong(Side::Client)
            | Self::Stalled(Side::Client) => (close(1008, &self.to_string()), gone()),
            Self::Refused(Side::Upstream, _)
            | Self::Charset(Side::Upstream)
            | Self::ControlTooLong(Side::Upstream) => (
                close(1011, "the provider's message cannot be masked"),
                gone(),
            ),
            Self::Stalled(Side::Upstream) => (close(1011, "the provider stalled"), gone()),
            Self::Idle => (close(1001, "idle"), gone()),
            // 1013, try again later (RFC 6455, 11.7, as registered since).
            Self::Unavailable(unavailable) => (close(1013, unavailable.code()), gone()),
            Self::Stopped => (close(1001, "bauta ends"), gone()),
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // What goes into a frame may be nothing.
fn close(code: u16, reason: &str) -> Option<Close> {
    Some(Close {
        code,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::websocket::frame::MOST_REASON;

    #[test]
    fn what_is_said_fits_into_a_frame() {
        let mut ends = vec![
            End::Idle,
            End::Stopped,
            End::Closed(Some(1000)),
            End::Closed(None),
            End::Signed("k".repeat(64)),
            End::Unavailable(Unavailable::Audit),
            End::Unavailable(Unavailable::Vault("r".repeat(300).into())),
        ];
        for side in [Side::Client, Side::Upstream] {
            ends.extend([
                End::Lost(side),
                End::Charset(side),
                End::ControlTooLong(side),
                End::Stalled(side),
                End::Refused(side, Refusal::PendingTooLong),
                End::Refused(side, Refusal::TooDeep),
            ]);
            ends.extend(
                [
                    Violation::Reserved,
                    Violation::Opcode,
                    Violation::Mask,
                    Violation::Length,
                    Violation::Control,
                    Violation::Order,
                    Violation::CloseCode,
                    Violation::Utf8,
                    Violation::Deflate,
                    Violation::TooLarge,
                ]
                .map(|violation| End::Violation(side, violation)),
            );
        }
        for end in ends {
            let (client, upstream) = end.farewell();
            for close in [client, upstream].into_iter().flatten() {
                assert!(close.reason.len() <= MOST_REASON, "{end:?}");
            }
        }
    }
}
