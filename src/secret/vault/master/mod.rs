//! The master key: 32 bytes that wrap every other key, and where they come from.
//!
//! A source gives 64 hex digits or the base64 of 32 bytes, and at most one line break behind them. Everything else is refused:
//! a key that was cut short, or has something behind it, is more likely damaged than meant.
//!
//! What is read goes from the reading buffer into wiped memory. Variables of the environment cannot be wiped; a file or a
//! program is the better source.

mod exec;
mod file;
mod text;

use std::env;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

pub(super) use file::{folder_of, make_folder, sync_folder};

use super::envelope::SecretKey;

/// Longest text of a key that is read: base64 or hex and a line break, with room to see that there is more.
const MAX_TEXT_BYTES: usize = 128;

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterSource {
    /// A file that is made together with the vault.
    Auto(PathBuf),
    /// A file of the operator.
    File {
        /// Where.
        path: PathBuf,
        /// Whether its group may read it.
        group_read: bool,
    },
    /// A variable of the environment.
    Env(String),
    /// What a program prints: the program, then its arguments. No shell reads it.
    Exec(Vec<String>),
}

/// Why there is no master key. Never holds what was read.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// A file cannot be opened or read.
    #[error("cannot read the master key from {path}: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// The vault exists, and the file that was made with it does not.
    #[error(
        "the vault's master key is missing: {0} does not exist. Restore it from a backup; without it the vault cannot be opened"
    )]
    Missing(PathBuf),
    /// A folder, a device, a pipe.
    #[error("the master key {0} is not a regular file. Use exec: for programs")]
    NotAFile(PathBuf),
    /// Others can use the file.
    #[error("{what} the master key in {path}. Run: chmod {mode} {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Who can do what.
        what: &'static str,
        /// The mode that is accepted.
        mode: &'static str,
    },
    /// A file cannot be made.
    #[error("cannot make a master key in {path}: {error}", path = path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random numbers, and without them no master key can be made")]
    Random,
    /// A variable that is not set.
    #[error("the variable {0}, which should hold the master key, is not set")]
    NoVariable(String),
    /// A program that cannot be started.
    #[error("cannot start {program} for the master key: {error}")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// A program that did not end well.
    #[error("{program}, which should print the master key, {what}. Run it by hand to see why")]
    Program {
        /// The program.
        program: String,
        /// What it did.
        what: String,
    },
    /// Something that is not a key.
    #[error(
        "what {0} gives is not a master key. It must be 64 hex digits, or 32 bytes in base64, and one line break at most: \
         it may be cut short, or have something behind it"
    )]
    Format(String),
}

impl fmt::Display for MasterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto(path) | Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "the variable {name}"),
            // Arguments may hold what is nobody's business.
            Self::Exec(argv) => f.write_str(argv.first().map_or("a program", String::as_str)),
        }
    }
}

impl MasterSource {
    /// Reads the key. Makes nothing.
    pub(super) fn load(&self) -> Result<Arc<SecretKey>, MasterError> {
        let text = match self {
            Self::Auto(path) => file::read(path, false).map_err(|error| match error {
                MasterError::Read { path, error } if error.kind() == io::ErrorKind::NotFound => {
                    MasterError::Missing(path)
                }
                other => other,
            })?,
            Self::File { path, group_read } => file::read(path, *group_read)?,
            Self::Env(name) => variable(name)?,
            Self::Exec(argv) => exec::read(argv)?,
        };
        text::parse(&text).ok_or_else(|| MasterError::Format(self.to_string()))
    }

    /// Reads the key, or makes it if it is a file that may be made and is not there. With a notice if it was made.
    pub(super) fn load_or_make(&self) -> Result<(Arc<SecretKey>, Option<String>), MasterError> {
        let made = match self {
            Self::Auto(path) => file::make(path)?.then(|| {
                format!(
                    "made a master key in {}. Keep a copy in another place: without it, nothing in the vault can be opened",
                    path.display()
                )
            }),
            _ => None,
        };
        Ok((self.load()?, made))
    }
}

fn variable(name: &str) -> Result<Zeroizing<Vec<u8>>, MasterError> {
    use std::os::unix::ffi::OsStringExt as _;
    let text = env::var_os(name).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| MasterError::NoVariable(name.to_owned()))?;
    Ok(Zeroizing::new(text.into_vec()))
}
