//! Sockets: who may connect, how long anything may take, and whom we dial.
//!
//! Inbound: [`server`] accepts within limits, with TLS or without, and runs HTTP/1.1 on [`io::ServerIo`], which knows the phases
//! of a connection, or HTTP/2 ([`h2`]); [`host`] decides whether a request was meant for us. Outbound: [`dial`] resolves, connects
//! and verifies TLS ([`tls`]), and [`pool`] gives an exchange a [`pool::Lease`]: on a connection of its own, of HTTP/1.1, or on a
//! stream of a shared one, of HTTP/2. What comes in, on either side and over either version, is a [`body::Received`]. [`coding`]
//! takes content codings off bodies; [`websocket`] is what both sides speak once they have switched to it.
//!
//! Invariants: every wait has a limit; an upstream certificate is always verified; a request of which a byte may have been
//! written is never sent again, unless its server says that it did nothing with it; dropping a lease before the answer's end
//! closes its connection or resets its stream.
//!
//! This room knows nothing of secrets, providers or error texts towards clients, and imports no sibling.

pub mod body;
pub mod coding;
pub mod dial;
pub mod h2;
pub mod headers;
pub mod host;
pub mod io;
pub mod pool;
pub mod server;
pub mod stream;
pub mod tls;
pub mod websocket;
