//! The choke point between the channels and the secrets. It answers two questions: what is the masker now, and may this
//! placeholder become its value here?
//!
//! The way through: a channel asks [`Guard::admit`] when a request begins and gets a [`Ticket`], with the [`Snapshot`] that holds
//! for the request and places in the queue of the audit log for all that it will have to say. [`Ticket::note`] says what was
//! masked, [`Ticket::substitute`] hands a value to the caller's sink. [`Guard::replace`] swaps the snapshot that the next request
//! gets. So a change is live at once, and no request sees half of it.
//!
//! Invariants: a snapshot is immutable, but for the names that it has judged clean; a value leaves through a masker, which does
//! not give it out, or through a sink, after its event is durable; a request is admitted only with the newest view that the vault
//! had when it began ([`Source`]), and not at all while a secret cannot be opened; no request is without its place in the log.
//!
//! It reads no files and no sockets of its own; it knows no routes, and where in a request a placeholder stood is for its caller
//! to say.

mod codes;
mod counts;
mod edges;
mod forms;
mod keeper;
mod names;
mod needles;
mod request_id;
mod snapshot;
mod state;
mod substitute;
mod ticket;

pub use crate::fill::{Finder, Found, Spelling};
pub use crate::mask::{Form, Hits, NameId, Refusal, Signed, Stream, Syntax};
pub use crate::secret::{Field, Fill, Host, NotAllowed, NotThere, Origin, OriginScheme, Place};
pub use counts::{Counts, Owner};
pub use keeper::VaultKeeper;
pub use names::joined;
pub use needles::Needles;
pub use request_id::RequestId;
#[cfg(test)]
pub(crate) use snapshot::of_submission;
pub use snapshot::{Answers, Rules, Snapshot};
pub use state::{Guard, Source, Unavailable};
pub use substitute::{Ask, Denied, Entry, Spot, Stands};
pub use ticket::{About, Ticket};
