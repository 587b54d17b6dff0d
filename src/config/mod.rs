//! The configuration: one TOML file, read once at the edge into typed, checked, plain data.
//!
//! The way through: [`load`] finds the file (`--config`, `bauta.toml`, `config/bauta.toml`, built-in defaults),
//! `reader` walks the parsed document and remembers which keys were asked for, `parse` turns it into [`Config`].
//!
//! Invariants: a [`Config`] that exists is valid, nothing validates it again; it holds no secret; all problems of a file
//! are reported together, each with file, line, key and mend; an unknown key is an error.
//!
//! This room imports nothing else of the crate. It does not open sockets, read certificates or set up logging.

mod address;
mod browser;
mod duration;
mod error;
mod parse;
pub mod presets;
mod provider;
mod reader;
mod types;
mod vault;
mod warnings;

use std::path::{Path, PathBuf};

pub use address::{Listen, ListenError, Upstream, UpstreamError, is_loopback};
pub use browser::{Browser, BrowserLimits, BrowserSource, Captures, Launch};
pub use error::{Error, Problem};
pub use parse::{known_keys, parse};
pub use types::{
    Agent, Config, Health, Inject, Level, Limits, Log, LogFormat, Model, Placeholder, Provider,
    Signed, Spelling, Tls,
};
pub use vault::{Audit, MASTER_KEY_FILE, MasterKey, SecretLimits, Vault};

/// Where a configuration is looked for if none is named.
const PLACES: [&str; 2] = ["bauta.toml", "config/bauta.toml"];

/// Reads the configuration: the named file, else the first of `bauta.toml` and `config/bauta.toml` that exists here,
/// else the built-in defaults.
///
/// # Errors
/// If the file cannot be read, or with every problem in it.
pub fn load(named: Option<&Path>) -> Result<Config, Error> {
    let Some(file) = named.map(Path::to_owned).or_else(found) else {
        return Ok(Config::default());
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => parse(&text, &file),
        Err(error) => Err(Error::Read(file, error)),
    }
}

/// A file that exists but cannot be read is an error later, not a reason to go on without it.
fn found() -> Option<PathBuf> {
    PLACES
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.symlink_metadata().is_ok())
}
