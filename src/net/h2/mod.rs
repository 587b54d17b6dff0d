//! HTTP/2 (RFC 9113) on both sides.
//!
//! [`server`] runs one inbound connection, [`upstream`] shares outbound ones among exchanges, [`send`] moves a body into a
//! stream. What comes in is a [`super::body::Received`].
//!
//! Invariants: no wait on a peer's flow control is endless; a body that fails resets its stream, so that it never looks
//! complete; dropping either end of an exchange resets its stream; a request is sent again only where its server said that it
//! did nothing with it.
//!
//! Memory is bounded by what is advertised. Inbound, a connection holds at most 4 MiB of body that nobody has read yet, and for
//! each of at most 100 streams a head (`max_header_bytes`) and 128 KiB of answer; requests in flight on all connections
//! together are as many as connections may be, more wait. Upstream, an answer holds at most 512 KiB that its client has not
//! taken, and a connection's window is that of all its streams together: a client that does not read cannot hold up another's
//! answer.
//!
//! No push, no priorities, no extended CONNECT, no upgrade from HTTP/1.1.

pub mod send;
pub mod server;
pub mod upstream;

/// Bytes that we keep of what is to be written to one stream.
const SEND_BUFFER: usize = 128 << 10;

/// Streams that we reset for their peer's mistakes before the connection ends.
const MOST_ERROR_RESETS: usize = 200;
