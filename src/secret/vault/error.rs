//! What can go wrong with a vault. No error holds a value, a key, or the length of one.

use std::io;
use std::path::PathBuf;

use super::master::MasterError;
use crate::secret::Problem;

/// Why a vault could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No database, or an empty one.
    #[error("there is no vault at {0}. Run: bauta key init")]
    NotThere(PathBuf),
    /// `key_init` of a vault that exists.
    #[error("there is a vault at {0} already. Nothing was changed")]
    Exists(PathBuf),
    /// A file that is something else.
    #[error("{0} is not a vault. Give another path under [vault] url")]
    NotAVault(PathBuf),
    /// Made by a later version of Bauta.
    #[error(
        "the vault at {path} has the format {found}, and this version of Bauta knows formats up to {known}. \
         Use the version that wrote it, or a later one; nothing was changed"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The last format that is known here.
        known: i64,
    },
    /// The file that is open is no more the one at its path.
    #[error(
        "the vault at {0} was removed or replaced while it was open. Stop every sidecar, put the database there without old -wal and -shm files, and start again"
    )]
    Replaced(PathBuf),
    /// Another connection holds it.
    #[error("the vault at {0} is locked by another process. Try again, or end that process")]
    Locked(PathBuf),
    /// The file, its folder or its file system cannot be written.
    #[error(
        "the vault at {0} cannot be written. Check the owner and mode of the file and of its folder"
    )]
    ReadOnly(PathBuf),
    /// No space left.
    #[error("no space is left for the vault at {0}. Nothing was changed; make room and try again")]
    Full(PathBuf),
    /// The file can be used by others, and its mode cannot be mended.
    #[error("others can read or write the vault at {path}, and its mode cannot be changed ({error}). Run: chmod 600 {path}", path = path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Files and folders.
    #[error("cannot use the vault at {path}: {error}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// Anything else that the database says. Holds its code and what it means, never its own words.
    #[error("the database of the vault at {path} failed: {what}", path = path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random numbers, and without them nothing can be sealed")]
    Random,
    /// The master key could not be had.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// It was had, and is another vault's, or an older one.
    #[error(
        "the master key from {0} does not fit the vault. Give the one that it was made with (or last rewrapped to); \
         nothing was changed"
    )]
    WrongMasterKey(String),
    /// `key_rewrap` to the key in use.
    #[error("the master key from {0} is the one in use. Give a new one")]
    SameMasterKey(String),
    /// Rows that were changed by hand, damaged, or taken away. What cannot be opened cannot be masked.
    #[error(
        "the vault was damaged or changed by hand: {}. Restore it from a backup", .0.join("; ")
    )]
    Broken(Vec<String>),
    /// Nothing fits.
    #[error("there is no secret {0}. List them with: bauta secret list")]
    Unknown(String),
    /// Several fit.
    #[error("several secrets fit {what}: {}. Say which, by domain and scope", fits.join(", "))]
    Ambiguous {
        /// What was asked for.
        what: String,
        /// What fits.
        fits: Vec<String>,
    },
    /// Only secrets of user scope are assigned.
    #[error(
        "{0} is not of user scope, and only such secrets are assigned to agents. Promote it first"
    )]
    NotAUsers(String),
    /// Only secrets of agent scope are promoted.
    #[error("{0} is not of agent scope, and only such secrets are promoted to a user")]
    NotAnAgents(String),
    /// Where it should go is one already.
    #[error("{0} is there already. Remove or rotate one of them")]
    Taken(String),
    /// What it is assigned to already, or not at all.
    #[error("{secret} is {}assigned to {agent}", if *.assigned { "already " } else { "not " })]
    Assigned {
        /// The secret.
        secret: String,
        /// The agent.
        agent: String,
        /// Whether it is.
        assigned: bool,
    },
    /// A name that cannot be one.
    #[error("{0}")]
    Name(String),
    /// What was handed in breaks the rules of 7.1. All that is wrong with it.
    #[error("{}", texts(.0))]
    Invalid(Vec<Problem>),
    /// Too many former values wait for the end of their grace.
    #[error(
        "{secret} has {count} former values that are still masked. Wait until their grace is over, or rotate with a grace of 0s"
    )]
    TooManyVersions {
        /// The secret.
        secret: String,
        /// How many.
        count: usize,
    },
}

fn texts(problems: &[Problem]) -> String {
    let texts: Vec<&str> = problems
        .iter()
        .map(|problem| problem.text.as_str())
        .collect();
    texts.join("; ")
}
