//! Secrets: keys, values, domain patterns, options, and the format in which they are submitted.
//!
//! The way through: [`read`] takes the bytes of a file or standard input, [`parse_submission`] turns them into a
//! [`Submission`] of checked [`Secret`]s or reports everything that is wrong with them at once. [`rule()`] says where a value
//! is looked for; [`Pattern::matches`] says where it may go.
//!
//! Invariants: a [`Key`], [`Value`] or [`Pattern`] that exists is valid and canonical. Values live in zeroizing memory, have
//! no `Debug`, `Display` or `Clone`, and are reachable only through [`Value::expose`]. No error or warning holds a value.
//!
//! This room imports nothing else of the crate. It does not search texts (`mask`) or decide about callers (`guard`).

mod allow;
mod host;
mod item;
mod key;
mod limits;
mod options;
mod origin;
mod pattern;
mod pattern_error;
mod raw;
mod rule;
mod scope;
mod shown;
mod source;
mod submission;
mod totp;
mod value;
pub mod vault;
mod view;

pub use allow::{NotAllowed, Use};
pub use host::Host;
pub use item::{Secret, SecretError};
pub use key::{Key, KeyError, MAX_KEY_CHARS};
pub use limits::Limits;
pub use options::{Field, Fill, Kind, MAX_USES, MaskOption, Options, Place, WordError};
pub use origin::{Origin, OriginError, OriginScheme};
pub use pattern::{Pattern, Specificity, Verdict};
pub use pattern_error::PatternError;
pub use rule::{Masking, rule};
pub use scope::{Id, IdError, Identity, MAX_ID_CHARS, Scope, ScopeError, Unseen};
pub use source::{MAX_INPUT_BYTES, Source, SourceError, read, read_secrets};
pub use submission::{Problem, Submission, parse_submission};
pub use totp::{Code, SeedError, TotpError, code};
pub use value::{Value, ValueError};
pub use view::{NotThere, Standing, View};
