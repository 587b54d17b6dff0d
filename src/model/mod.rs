//! The model channel: a reverse proxy in front of model providers that masks what an agent sends.
//!
//! The way through: [`Channel`] takes a request from the listener; `target` finds its route and refuses tricks with the
//! path, `service` checks it and runs the exchange by way of the relay, `answer` streams what comes back and writes
//! the log line, with `links` leading the provider's own URLs back to us; whatever goes wrong becomes a response in `failure`,
//! and only there. `signature` refuses what its client signed for a cloud. `socket` does for a WebSocket what `service` does for a request.
//!
//! Invariants: a request takes its routes and its masker once, at its beginning; nothing that a client sent is repeated in an
//! error or a log line; the path below `/bauta/` belongs to us.
//!
//! It substitutes nothing, and touches answers only there and where they are to be masked. HTTP/1.1 and HTTP/2 look alike here:
//! `net` speaks both. A WebSocket is opened over HTTP/1.1 only.

mod answer;
mod credential;
mod failure;
mod links;
mod service;
mod settings;
mod signature;
mod socket;
mod target;

pub use credential::Credential;
pub use service::Channel;
pub use settings::{Provider, Settings, SettingsError};
