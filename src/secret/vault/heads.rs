//! What the vault keeps for audit logs: the key that they are signed with, and how far each of them is.

use zeroize::Zeroizing;

use super::error::VaultError;
use super::ledger::Ledger;
use super::store::{HeadRow, Sum};
use super::types::StoredHead;
use super::{Inner, Vault};

impl Vault {
    /// The key that the audit log is signed with: one for as long as the vault lives.
    ///
    /// # Errors
    /// If the keyring cannot be read, or was changed by hand.
    pub fn audit_key(&self) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let ledger = Ledger::open(store.read()?, keys.clone())?;
        let rows = ring.sync(&ledger)?;
        ring.audit(&rows)
    }

    /// How far an audit log is, if anything was ever stored for it.
    ///
    /// # Errors
    /// If heads are not as they were written, or one was taken away.
    pub fn audit_head(&self, log: &str) -> Result<Option<StoredHead>, VaultError> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let ledger = Ledger::open(inner.store.read()?, inner.keys.clone())?;
        let mut tally = ledger.tally();
        let mut found = None;
        for row in ledger.rows().heads()? {
            tally.row(&row);
            if row.log == log && found.replace(row).is_some() {
                // Of two rows that are alike the sum shows nothing.
                tally.broken(&format!("head of the audit log {log} (twice)"));
            }
        }
        ledger.complete(tally, Sum::Heads)?;
        let head = |row: HeadRow| {
            Some(StoredHead {
                seq: row.seq.unsigned_abs(),
                mac: row.head.try_into().ok()?,
            })
        };
        Ok(found.and_then(head))
    }

    /// Stores how far an audit log is. A head that is not further than the stored one changes nothing, so that of two processes
    /// that write one log the slower does not turn it back.
    ///
    /// # Errors
    /// If the vault cannot be changed, or the stored head was changed by hand.
    pub fn store_audit_head(&self, log: &str, head: &StoredHead) -> Result<(), VaultError> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut ledger = Ledger::open(inner.store.change()?, inner.keys.clone())?;
        let heads = ledger.rows().heads()?;
        let old = heads.into_iter().find(|row| row.log == log);
        let new = HeadRow {
            log: log.to_owned(),
            seq: i64::try_from(head.seq).unwrap_or(i64::MAX),
            head: head.mac.to_vec(),
            mac: Vec::new(),
        };
        match old {
            Some(old) => {
                let old = ledger.checked(old)?;
                if old.seq >= new.seq {
                    return Ok(());
                }
                ledger.replace(&old, new)?;
            }
            None => {
                ledger.add(new)?;
            }
        }
        ledger.commit(false)
    }
}
