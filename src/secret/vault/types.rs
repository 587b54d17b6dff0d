//! What goes into the vault's methods and what comes out of them. Only [`NewSecret`] holds a value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::master::MasterSource;
use crate::secret::{Identity, Key, Limits, Options, Pattern, Scope, Secret, Value};

/// Where a vault is and what holds for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database file.
    pub path: PathBuf,
    /// Where the master key comes from.
    pub master: MasterSource,
    /// The sizes of 7.1: of one value, and of all that one agent sees.
    pub limits: Limits,
    /// How long a value that was superseded stays masked, where a change does not say.
    pub grace: Duration,
    /// The agent of this configuration. Its whole view is counted against the limits; of other agents only what the
    /// vault knows of them: their own secrets and those assigned to them.
    pub identity: Option<Identity>,
}

/// What opening may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The vault must be there.
    ReadWrite,
    /// It is made if it is not there.
    Create,
}

/// A secret as it is handed in. Holds a value, so neither `Debug` nor `Clone`.
pub struct NewSecret {
    /// Its name.
    pub key: Key,
    /// Where it belongs.
    pub pattern: Pattern,
    /// Whose it is.
    pub scope: Scope,
    /// Its options.
    pub options: Options,
    /// Its value.
    pub value: Value,
}

impl From<Secret> for NewSecret {
    /// Superseded values are left behind.
    fn from(secret: Secret) -> Self {
        let Secret {
            key,
            pattern,
            scope,
            options,
            value,
            ..
        } = secret;
        Self {
            key,
            pattern,
            scope,
            options,
            value,
        }
    }
}

/// Which secret is meant. What is left out fits any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Its name.
    pub key: Key,
    /// Its pattern.
    pub pattern: Option<Pattern>,
    /// Its scope.
    pub scope: Option<Scope>,
}

/// Which secrets are listed. What is left out fits any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The name.
    pub key: Option<Key>,
    /// The pattern.
    pub pattern: Option<Pattern>,
    /// The scope.
    pub scope: Option<Scope>,
}

/// A secret as it is listed: everything but its values. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What stays the same as long as the secret lives: 32 hex digits.
    pub id: String,
    /// Its name.
    pub key: Key,
    /// Where it belongs.
    pub pattern: Pattern,
    /// Whose it is.
    pub scope: Scope,
    /// Its options.
    pub options: Options,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
    /// The agents that a secret of user scope is assigned to, in order.
    pub agents: Vec<Assignment>,
    /// When it was made.
    pub created: u64,
    /// When it was changed last.
    pub changed: u64,
}

/// One version of a secret's value, without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1.
    pub number: u32,
    /// When it was set.
    pub created: u64,
    /// What it is good for.
    pub state: VersionState,
    /// When it was or will be destroyed; `None` for the current one.
    pub destroyed_at: Option<u64>,
}

/// What a version is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// Substituted and masked.
    Current,
    /// Masked, never substituted again.
    Former,
    /// Its value is gone.
    Destroyed,
}

impl VersionState {
    /// As it is written for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Former => "former",
            Self::Destroyed => "destroyed",
        }
    }
}

/// An agent that may use a secret of user scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its name.
    pub agent: String,
    /// Since when.
    pub since: u64,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The secret's id.
    pub id: String,
    /// Whether it was made by this change.
    pub created: bool,
    /// The number of its current version.
    pub version: u32,
}

/// The keyring, without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The vault's own id: 32 hex digits.
    pub vault: String,
    /// The number of the data key in use.
    pub active: u64,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// How many values it sealed at most: counted in blocks, ahead of use.
    pub uses: u64,
    /// Uses after which it is rotated without being asked.
    pub rotates_at: u64,
    /// Older data keys that values still wait to be moved from.
    pub old: usize,
    /// How many values those are.
    pub pending: u64,
}

/// What a key rotation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the data key in use.
    pub active: u64,
    /// How many values were moved to it.
    pub moved: u64,
    /// Whether it ended a rotation that was cut off earlier.
    pub resumed: bool,
    /// Whether the old keys are gone from the log of the database too. If not, another process was reading; the next one
    /// to open the vault cleans it.
    pub wiped: bool,
}

/// How far an audit log is, as the vault keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHead {
    /// The last record's number.
    pub seq: u64,
    /// The last record's MAC.
    pub mac: [u8; 32],
}

impl Selector {
    /// Selects by name alone.
    pub fn key(key: Key) -> Self {
        Self {
            key,
            pattern: None,
            scope: None,
        }
    }

    pub(super) fn fits(&self, key: &Key, pattern: &Pattern, scope: &Scope) -> bool {
        self.key == *key
            && self.pattern.as_ref().is_none_or(|own| own == pattern)
            && self.scope.as_ref().is_none_or(|own| own == scope)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(pattern) = &self.pattern {
            write!(f, " for {pattern}")?;
        }
        match &self.scope {
            Some(scope) => write!(f, " in {scope}"),
            None => Ok(()),
        }
    }
}

impl Filter {
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        self.key.as_ref().is_none_or(|own| *own == entry.key)
            && self
                .pattern
                .as_ref()
                .is_none_or(|own| *own == entry.pattern)
            && self.scope.as_ref().is_none_or(|own| *own == entry.scope)
    }
}
