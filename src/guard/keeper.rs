//! Where the audit log keeps what must not lie beside it: in the vault.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::audit::{Head, Keeper, KeeperError};
use crate::secret::vault::{StoredHead, Vault, VaultError};

/// Keeps the key of the log's chain, and its head, in the vault.
pub struct VaultKeeper(Arc<Vault>);

impl VaultKeeper {
    /// A keeper over that vault.
    pub fn new(vault: Arc<Vault>) -> Self {
        Self(vault)
    }
}

impl Keeper for VaultKeeper {
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError> {
        self.0.audit_key().map_err(|error| failed(&error))
    }

    fn head(&self, log: &str) -> Result<Option<Head>, KeeperError> {
        let head = self.0.audit_head(log).map_err(|error| failed(&error))?;
        Ok(head.map(|StoredHead { seq, mac }| Head { seq, mac }))
    }

    fn store_head(&self, log: &str, head: &Head) -> Result<(), KeeperError> {
        let Head { seq, mac } = *head;
        let stored = self.0.store_audit_head(log, &StoredHead { seq, mac });
        stored.map_err(|error| failed(&error))
    }
}

/// A vault's error says names only.
fn failed(error: &VaultError) -> KeeperError {
    KeeperError::new(error.to_string())
}
