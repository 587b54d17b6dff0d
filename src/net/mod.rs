//! Sockets: who may connect, how long anything may take, and whom we dial.
//!
//! Inbound: [`server`] accepts within limits and runs HTTP/1.1 on [`io::ServerIo`], which knows the phases of a
//! connection; [`host`] decides whether a request was meant for us. Outbound: [`dial`] resolves, connects and verifies
//! TLS ([`tls`]), and [`pool`] keeps idle connections and gives one exchange at a time a [`pool::Lease`] on one.
//!
//! Invariants: every wait has a limit; an upstream certificate is always verified; a request of which a byte may have been
//! written is never sent again; dropping a lease before the answer's end closes its connection.
//!
//! This room knows nothing of secrets, providers or error texts towards clients, and imports no sibling.

pub mod body;
pub mod dial;
pub mod h2;
pub mod host;
pub mod io;
pub mod pool;
pub mod server;
pub mod stream;
pub mod tls;
