//! The browser channel: an agent's tool connects as if we were Chrome, over CDP, and types placeholders; values are inserted on
//! their own domain, and everything that comes back is masked.
//!
//! Invariants: a method without a row in the table is refused; a value is inserted only in the call that checks the origin of
//! the document that takes it, after its event is durable; nothing of ours (ids, sessions, worlds) is visible to a client; a
//! session has one owner.

mod base64;
pub mod captures;
mod channel;
mod client;
mod command;
mod context;
mod cuts;
mod endpoint;
pub mod envelope;
mod event;
pub mod hub;
mod inline;
pub mod inspect;
mod listing;
mod mend;
pub mod methods;
pub mod pages;
mod settings;
mod spans;
mod streams;
pub mod typing;
pub mod upstream;

pub use channel::{Channel, ChannelError};
pub use command::{Command, Refusal, Verdict};
pub use context::Context;
pub use event::{Event, Observed};
pub use hub::StartError;
pub use settings::{Captures, Launch, Limits, Settings, Upstream};
