//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692): handshake, framing, compression.
//!
//! The way through: [`handshake`] judges an opening request and an answer to one; [`frame`] makes events of bytes and
//! frames of payloads, without I/O; [`deflate`] is the compression; [`stream`] is the reading and the writing half of a
//! connection.
//!
//! Invariants: a frame that the standard does not allow ends the connection, and nothing after it is read; a frame is in the
//! writer's queue as a whole or not at all, so that a closing frame can always follow; the reader holds little more than
//! [`frame::PIECE`] bytes; a payload is in no `Debug`.
//!
//! Why our own, and not tokio-tungstenite: that has no compression, joins the fragments of a message before one sees any,
//! and answers pings by itself. Its two functions for keys are used.

pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod stream;
