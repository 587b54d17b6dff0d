//! Commands about keys: rotation of data keys, another master key, the state of the keyring.

use super::error::VaultError;
use super::keyring::{self, Keyring, Wrapper};
use super::ledger::Ledger;
use super::master::MasterSource;
use super::store::{Row as _, VersionRow};
use super::types::{KeyStatus, Rotated};
use super::{Inner, Vault};
use crate::secret::shown;

/// Values that move to another key in one transaction.
const BATCH: usize = 64;
/// Uses that a batch needs.
const BATCH_USES: i64 = 64;

impl Vault {
    /// The state of the keyring.
    ///
    /// # Errors
    /// If the keyring cannot be read, or was changed by hand.
    pub fn key_status(&self) -> Result<KeyStatus, VaultError> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let ledger = Ledger::open(inner.store.read()?, inner.keys.clone())?;
        let rows = inner.ring.sync(&ledger)?;
        let active = keyring::active(&rows)?;
        Ok(KeyStatus {
            vault: super::envelope::hex(&ledger.root().vault),
            active: active.id.unsigned_abs(),
            created: active.created.unsigned_abs(),
            uses: active.uses.unsigned_abs(),
            rotates_at: self.rotates_at.unsigned_abs(),
            old: keyring::old(&rows).count(),
            pending: ledger.rows().count_not_under(active.id)?,
        })
    }

    /// Begins a new data key, moves every value to it, in small transactions between which others read and write, and destroys the
    /// old key. If a rotation was cut off before, that one is carried to its end instead. `progress` is told how many values
    /// were moved, and how many there are to move.
    ///
    /// # Errors
    /// If a value does not open: then the old key stays. What was moved stays moved.
    pub fn key_rotate(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Rotated, VaultError> {
        let resumed = self.begin_rotation()?;
        let mut moved = 0;
        let mut pending = self.key_status()?.pending;
        let all = pending;
        while pending > 0 {
            progress(moved, all.max(moved + pending));
            moved += self.move_some()?;
            pending = self.key_status()?.pending;
        }
        progress(moved, moved);
        self.end_rotation()?;
        let wiped = self.lock().store.wipe_deleted()?;
        Ok(Rotated {
            active: self.key_status()?.active,
            moved,
            resumed,
            wiped,
        })
    }

    /// Wraps all keys by another master key, in one transaction: whenever it is cut off, either the old master key fits or the
    /// new one. Where that is a file of [`MasterSource::Auto`] which is not there, it is made, with a notice. This process uses
    /// the new one from then on; others have their keys in memory already.
    ///
    /// # Errors
    /// If one of the master keys cannot be had, or they are the same.
    pub fn key_rewrap(&self, to: &MasterSource) -> Result<Vec<String>, VaultError> {
        // A file is made while nobody else can make it; anything else may take its time before others have to wait.
        let given = match to {
            MasterSource::Auto(_) => None,
            other => Some(other.load_or_make()?),
        };
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut ledger = Ledger::open(inner.store.change()?, inner.keys.clone())?;
        let (master, notice) = given.map_or_else(|| to.load_or_make(), Ok)?;
        let wrapper = Wrapper::new(&master, &ledger.root().vault);
        if wrapper.fits(ledger.root()) {
            return Err(VaultError::SameMasterKey(to.to_string()));
        }
        inner.ring.rewrap(&mut ledger, &wrapper)?;
        ledger.commit(false)?;
        inner.ring.rewrapped(wrapper, to.clone());
        // What is not overwritten now is by the next process that opens the vault.
        let _ = inner.store.wipe_deleted();
        Ok(notice.into_iter().collect())
    }

    /// Begins a rotation, unless one is under way; whether one was.
    pub(super) fn begin_rotation(&self) -> Result<bool, VaultError> {
        let now = self.now();
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let mut ledger = Ledger::open(store.change()?, keys.clone())?;
        let rows = ring.sync(&ledger)?;
        if keyring::old(&rows).next().is_some() {
            return Ok(true);
        }
        ring.next(&mut ledger, &rows, now)?;
        ledger.commit(false)?;
        Ok(false)
    }

    /// Moves one batch of values to the active key. How many there were.
    pub(super) fn move_some(&self) -> Result<u64, VaultError> {
        let now = self.now();
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let mut ledger =
            super::reserved(store.as_ref(), keys, ring, BATCH_USES, self.rotates_at, now)?;
        let rows = ledger.rows().versions_not_under(ring.active(), BATCH)?;
        let mut broken = Vec::new();
        let mut moved = 0;
        for row in rows {
            if move_one(&mut ledger, ring, &row)? {
                moved += 1;
            } else {
                broken.push(shown::plain(&row.name()));
            }
        }
        if !broken.is_empty() {
            return Err(VaultError::Broken(broken));
        }
        ledger.commit(false)?;
        Ok(moved)
    }

    /// Destroys old data keys, once no value needs them. Whether there were any.
    pub(super) fn end_rotation(&self) -> Result<bool, VaultError> {
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let mut ledger = Ledger::open(store.change()?, keys.clone())?;
        let rows = ring.sync(&ledger)?;
        let old: Vec<_> = keyring::old(&rows).cloned().collect();
        if old.is_empty() || ledger.rows().count_not_under(ring.active())? > 0 {
            return Ok(false);
        }
        for row in &old {
            ledger.remove(row)?;
        }
        ledger.commit(false)?;
        Ok(true)
    }
}

/// Moves one value; `false` if it does not open.
fn move_one(
    ledger: &mut Ledger<'_>,
    ring: &mut Keyring,
    old: &VersionRow,
) -> Result<bool, VaultError> {
    let Some(text) = ledger.fits(old).then(|| ring.open(old)).flatten() else {
        return Ok(false);
    };
    let mut row = old.clone();
    ring.seal(&mut row, &text)?;
    ledger.replace(old, row)?;
    Ok(true)
}
