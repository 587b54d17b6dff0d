//! The configuration: one TOML file, read once at the edge into typed, checked, plain data.
//!
//! The way through: [`load`] finds the file (`--config`, `bauta.toml`, `config/bauta.toml`, built-in defaults),
//! [`reader`] walks the parsed document and remembers which keys were asked for, [`parse`] turns it into [`Config`].
//!
//! Invariants: a [`Config`] that exists is valid, nothing validates it again; it holds no secret; all problems of a file
//! are reported together, each with file, line, key and mend; an unknown key is an error.
//!
//! This room imports nothing else of the crate. It does not open sockets, read certificates or set up logging.

mod address;
pub mod presets;
mod types;

pub use address::{Listen, ListenError, Upstream, UpstreamError, is_loopback};
pub use types::{Agent, Config, Level, Limits, Log, LogFormat, Model, Placeholder, Provider, Spelling};
