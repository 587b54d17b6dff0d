//! The audit log: who used which placeholder where, in a file that shows every change made to it.
//!
//! **The path.** A caller builds [`Event`]s and hands them to a [`Recorder`]: with [`Recorder::durable`] it waits until they
//! are on the disk, with [`Recorder::reserve`] it takes a place for what a request will have to say at its end. One thread
//! writes: a batch is everything that waits, one write, one fsync; then the waiting callers go on; then the head of the chain
//! goes to the [`Keeper`]. [`verify`], [`search`] and [`tail`] read.
//!
//! **The files.** `PATH` is written to; by size it is renamed `PATH.1`, `PATH.2`, …, numbers growing, never overwritten. Several
//! processes may append to one log: each batch is written under `flock` on the file itself, after what others wrote since was
//! read and checked, up to the head at least. A keeper knows a log by its path: two logs of one keeper need two paths.
//!
//! **The chain.** A record is one line, `{"seq":N,"time":…,"event":…,…,"prev":"HEX","mac":"HEX"}` and a line feed. `seq` counts
//! from 1. `prev` is the `mac` of the record before, 64 zeros in record 1. With `body` the bytes of the line before its last
//! `,"mac":"`, that is all but its last 74 bytes: `mac` = hex(HMAC-SHA256(key, body)). Rotation carries the chain on, so do
//! restarts. `tests/audit/verify.py` is a verifier in another language.
//!
//! **Invariants.**
//! - What was acknowledged was fsynced before, and no process takes it back.
//! - After a failed write or fsync nothing of that batch is believed to be on the disk: the file is cut back to its last
//!   durable length, opened anew, and the same bytes are written again. Until it is cut, no other process gets the lock.
//! - The head speaks only of what was fsynced.
//! - A log that does not continue from what we know (cut, edited, vanished) is put aside as a rotated file, and the chain goes
//!   on behind what we know, with an `alarm` record first: [`verify`] names the place. Where the keeper was told more by
//!   another process, that is what we know; so they agree, and a file that was cut back to what one of them knew shows.
//! - A line without its line feed is no record: nobody was told that it is there. The next writer finishes it if it is whole and
//!   its MAC holds, else cuts it off. [`verify`] takes it for a crash, unless the head says that the record had been durable.
//! - An event whose write failed or timed out may still stand in the log, in rare cases twice; never is one missing that was
//!   acknowledged.
//!
//! It does not decide what is an event, knows no secrets, and protects from nobody who has the key of the chain. The newest
//! records can be cut off unseen by somebody who can also set back the keeper's head.

mod chain;
mod copies;
mod event;
mod files;
mod keeper;
mod lines;
mod log;
mod record;
mod recorder;
mod search;
mod tail;
mod trail;
mod verify;
mod writer;

pub use event::{Event, Kind, MAX_KEYS, MAX_TEXT, printable};
pub use keeper::{EphemeralKeeper, Head, Keeper, KeeperError};
pub use record::Record;
pub use recorder::{OpenError, Recorder, Settings, Slot, Unavailable};
pub use search::{Broken, Found, Hit, Query, Search, search};
pub use tail::{Tail, tail};
pub use verify::{Finding, Verified, VerifyError, What, verify, verify_since};
