//! The vault: secrets at rest.

mod envelope;
mod error;
mod master;
mod store;
mod types;

use std::time::Duration;

use zeroize::Zeroizing;

pub use error::VaultError;
pub use master::{MasterError, MasterSource};
pub use types::{
    Access, Assignment, Changed, Entry, Filter, KeyStatus, NewSecret, Rotated, Selector, Settings,
    StoredHead, Version, VersionState,
};

use super::{Identity, Scope, Submission, Value, View};

/// Secrets at rest, opened.
pub struct Vault {
    settings: Settings,
}

/// A vault that was opened, and what its operator should know.
pub struct Opened {
    /// The vault.
    pub vault: Vault,
    /// What was made or mended on the way.
    pub notices: Vec<String>,
}

#[expect(clippy::todo, unused_variables, missing_docs, reason = "the skeleton")]
impl Vault {
    pub fn open(settings: &Settings, access: Access) -> Result<Opened, VaultError> {
        todo!()
    }
    pub fn key_init(settings: &Settings) -> Result<Opened, VaultError> {
        todo!()
    }
    pub fn generation(&self) -> Result<u64, VaultError> {
        todo!()
    }
    pub fn view(&self, identity: &Identity) -> Result<View, VaultError> {
        todo!()
    }
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, VaultError> {
        todo!()
    }
    pub fn set(&self, secret: NewSecret) -> Result<Changed, VaultError> {
        todo!()
    }
    pub fn import(
        &self,
        submission: Submission,
        scope: &Scope,
    ) -> Result<Vec<Changed>, VaultError> {
        todo!()
    }
    pub fn rotate(
        &self,
        selector: &Selector,
        value: Value,
        grace: Option<Duration>,
    ) -> Result<Changed, VaultError> {
        todo!()
    }
    pub fn remove(&self, selector: &Selector) -> Result<Changed, VaultError> {
        todo!()
    }
    pub fn assign(&self, selector: &Selector, agent: &str) -> Result<Changed, VaultError> {
        todo!()
    }
    pub fn unassign(&self, selector: &Selector, agent: &str) -> Result<Changed, VaultError> {
        todo!()
    }
    pub fn promote(&self, selector: &Selector, user: &str) -> Result<Changed, VaultError> {
        todo!()
    }
    /// Destroys versions whose grace is over, moves some values that wait for a newer data key. The sidecar calls it now and then;
    /// every change does it too. Whether anything changed.
    pub fn maintain(&self) -> Result<bool, VaultError> {
        todo!()
    }
    pub fn key_status(&self) -> Result<KeyStatus, VaultError> {
        todo!()
    }
    pub fn key_rotate(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Rotated, VaultError> {
        todo!()
    }
    /// With a notice where a key file was made.
    pub fn key_rewrap(&self, to: &MasterSource) -> Result<Vec<String>, VaultError> {
        todo!()
    }
    pub fn audit_key(&self) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        todo!()
    }
    pub fn audit_head(&self, log: &str) -> Result<Option<StoredHead>, VaultError> {
        todo!()
    }
    pub fn store_audit_head(&self, log: &str, head: &StoredHead) -> Result<(), VaultError> {
        todo!()
    }
}
