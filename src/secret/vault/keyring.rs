//! The keys of a vault: wrapped by the master key in the database, unwrapped in memory.
//!
//! Three purposes. `rows` signs rows and never changes. `audit` is the audit log's and never changes. `data` keys seal values: one
//! is active, older ones wait for their last value to move to it. Whatever a key is wrapped with, it stays the same key; so another
//! master key changes nothing but the wrapping, and a process that has the keys does not notice.
//!
//! A data key's uses are counted in blocks *before* they happen, so that a crash can only make the count too high. With random
//! 96-bit nonces a key must not seal more than 2^32 texts (NIST SP 800-38D, 8.3); long before that the next one takes over.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::envelope::{Bound, MAC_BYTES, Opened, Sealed, SecretKey};
use super::error::VaultError;
use super::ledger::Ledger;
use super::master::MasterSource;
use super::store::{KeyRow, RootRow, VersionRow};

/// What keys are for, as their rows say it.
pub(super) const ROWS: &str = "rows";
/// As [`ROWS`].
pub(super) const AUDIT: &str = "audit";
/// As [`ROWS`].
pub(super) const DATA: &str = "data";
/// The key that seals.
pub(super) const ACTIVE: &str = "active";
/// A key that values are moved away from.
pub(super) const OLD: &str = "old";

/// Uses that are counted at once.
pub(super) const BLOCK: i64 = 256;
/// Uses after which the next data key takes over: a quarter of 2^32.
pub(super) const ROTATES_AT: i64 = 1 << 30;

/// The master key as it is used: one key that wraps, and a check value that tells whether it fits.
pub(super) struct Wrapper {
    key: Arc<SecretKey>,
    pub(super) check: [u8; MAC_BYTES],
}

impl Wrapper {
    /// Of a master key, for one vault.
    pub(super) fn new(master: &SecretKey, vault: &[u8]) -> Self {
        let check = master.derive(vault, "bauta vault master check v1");
        Self {
            key: master.derive(vault, "bauta vault master wrap v1"),
            check: check.mac(vault),
        }
    }

    /// Whether the vault's keys are wrapped by it.
    pub(super) fn fits(&self, root: &RootRow) -> bool {
        root.check == self.check
    }

    /// Wraps a key as its row says.
    pub(super) fn wrap(
        &self,
        row: &KeyRow,
        vault: &[u8],
        key: &SecretKey,
    ) -> Result<Sealed, VaultError> {
        self.key.seal(&bound(row, vault), key.bytes())
    }

    /// The key of a row.
    pub(super) fn unwrap(&self, row: &KeyRow, vault: &[u8]) -> Option<Arc<SecretKey>> {
        self.key
            .open(&bound(row, vault), &row.wrapped)
            .and_then(Opened::into_key)
    }
}

fn bound(row: &KeyRow, vault: &[u8]) -> Bound {
    let mut bound = Bound::new("key", vault);
    row.bind_wrapped(&mut bound);
    bound
}

/// A key's row before it is wrapped.
pub(super) fn key_row(id: i64, purpose: &str, now: i64) -> KeyRow {
    KeyRow {
        id,
        purpose: purpose.to_owned(),
        state: ACTIVE.to_owned(),
        created: now,
        uses: 0,
        wrapped: Sealed {
            nonce: Vec::new(),
            text: Vec::new(),
        },
        mac: Vec::new(),
    }
}

/// Uses of a data key that were counted ahead.
pub(super) struct Grant {
    key: i64,
    uses: i64,
}

/// The keys in memory.
pub(super) struct Keyring {
    vault: Vec<u8>,
    source: MasterSource,
    wrapper: Wrapper,
    keys: BTreeMap<i64, Arc<SecretKey>>,
    /// The active data key, and how many of its counted uses are left to this process.
    active: i64,
    left: i64,
}

impl Keyring {
    /// Empty, until [`Keyring::sync`].
    pub(super) fn new(vault: Vec<u8>, source: MasterSource, wrapper: Wrapper) -> Self {
        Self {
            vault,
            source,
            wrapper,
            keys: BTreeMap::new(),
            active: 0,
            left: 0,
        }
    }

    /// Takes over what the database says. What it returns are the rows, checked.
    pub(super) fn sync(&mut self, ledger: &Ledger<'_>) -> Result<Vec<KeyRow>, VaultError> {
        let rows = ledger.rows().keys()?;
        let rows = rows
            .into_iter()
            .map(|row| ledger.checked(row))
            .collect::<Result<Vec<_>, _>>()?;
        self.keys
            .retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in &rows {
            if !self.keys.contains_key(&row.id) {
                self.take_wrapper(ledger.root())?;
                let key = self.wrapper.unwrap(row, &self.vault);
                let key = key.ok_or_else(|| VaultError::Broken(vec![format!("key {}", row.id)]))?;
                self.keys.insert(row.id, key);
            }
        }
        let active = active(&rows)?.id;
        if active != self.active {
            (self.active, self.left) = (active, 0);
        }
        Ok(rows)
    }

    /// Makes sure that the wrapper is the one in force: another process may have rewrapped, and the source may give the new key.
    fn take_wrapper(&mut self, root: &RootRow) -> Result<&Wrapper, VaultError> {
        if !self.wrapper.fits(root) {
            let wrapper = Wrapper::new(&*self.source.load()?, &self.vault);
            if !wrapper.fits(root) {
                return Err(VaultError::WrongMasterKey(self.source.to_string()));
            }
            self.wrapper = wrapper;
        }
        Ok(&self.wrapper)
    }

    /// How many uses of the active key are left to this process.
    pub(super) fn left(&self) -> i64 {
        self.left
    }

    /// The active data key's number.
    pub(super) fn active(&self) -> i64 {
        self.active
    }

    /// The key that the audit log is signed with.
    pub(super) fn audit(&self, rows: &[KeyRow]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let row = rows.iter().find(|row| row.purpose == AUDIT);
        let key = row.and_then(|row| self.keys.get(&row.id));
        let key = key.ok_or_else(|| missing(AUDIT))?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(key.bytes());
        Ok(bytes)
    }

    /// Counts uses ahead, for `needed` values or a block, and begins the next data key where this one has had its share. The
    /// caller commits, and then says so by [`Keyring::grant`].
    pub(super) fn reserve(
        &mut self,
        ledger: &mut Ledger<'_>,
        needed: i64,
        rotates_at: i64,
        now: i64,
    ) -> Result<Grant, VaultError> {
        let rows = self.sync(ledger)?;
        let granted = needed.max(BLOCK);
        let mut row = active(&rows)?.clone();
        if row.uses.saturating_add(granted) > rotates_at {
            row = self.next(ledger, &rows, now)?;
        }
        let counted = KeyRow {
            uses: row.uses.saturating_add(granted),
            ..row.clone()
        };
        ledger.replace(&row, counted)?;
        Ok(Grant {
            key: row.id,
            uses: granted,
        })
    }

    /// What was reserved is committed and may be used.
    pub(super) fn grant(&mut self, Grant { key, uses }: Grant) {
        if key != self.active {
            (self.active, self.left) = (key, 0);
        }
        self.left = self.left.saturating_add(uses);
    }

    /// Begins the next data key. The one before it is old from now on.
    pub(super) fn next(
        &mut self,
        ledger: &mut Ledger<'_>,
        rows: &[KeyRow],
        now: i64,
    ) -> Result<KeyRow, VaultError> {
        let before = active(rows)?;
        let last = rows.iter().map(|row| row.id).max().unwrap_or_default();
        let old = KeyRow {
            state: OLD.to_owned(),
            ..before.clone()
        };
        ledger.replace(before, old)?;
        let key = SecretKey::random()?;
        let mut row = key_row(last.saturating_add(1), DATA, now);
        let vault = self.vault.clone();
        row.wrapped = self.take_wrapper(ledger.root())?.wrap(&row, &vault, &key)?;
        // Not in memory before it is committed: if that fails, another process may give its number to another key.
        ledger.add(row)
    }

    /// Wraps all keys anew. The caller commits, and then hands the wrapper over by [`Keyring::rewrapped`].
    pub(super) fn rewrap(
        &mut self,
        ledger: &mut Ledger<'_>,
        wrapper: &Wrapper,
    ) -> Result<(), VaultError> {
        for row in self.sync(ledger)? {
            let key = self.keys.get(&row.id).ok_or_else(|| missing(DATA))?;
            let mut anew = row.clone();
            anew.wrapped = wrapper.wrap(&row, &self.vault, key)?;
            ledger.replace(&row, anew)?;
        }
        ledger.set_check(wrapper.check.to_vec());
        Ok(())
    }

    /// The new wrapper is in force.
    pub(super) fn rewrapped(&mut self, wrapper: Wrapper, source: MasterSource) {
        (self.wrapper, self.source) = (wrapper, source);
    }

    /// Seals a version's value under the active key; the row says the rest.
    pub(super) fn seal(&mut self, row: &mut VersionRow, text: &str) -> Result<(), VaultError> {
        let key = self
            .keys
            .get(&self.active)
            .filter(|_| self.left > 0)
            .ok_or_else(|| missing(DATA))?;
        self.left -= 1;
        row.data_key = Some(self.active);
        row.sealed = Some(key.seal(&self.value(row), text.as_bytes())?);
        Ok(())
    }

    /// Opens a version's value; `None` if it does not open.
    pub(super) fn open(&self, row: &VersionRow) -> Option<Zeroizing<String>> {
        let key = self.keys.get(&row.data_key?)?;
        key.open(&self.value(row), row.sealed.as_ref()?)?
            .into_text()
    }

    fn value(&self, row: &VersionRow) -> Bound {
        let mut bound = Bound::new("value", &self.vault);
        row.bind_value(&mut bound);
        bound
    }
}

fn missing(purpose: &str) -> VaultError {
    VaultError::Broken(vec![format!("the {purpose} key in the keyring")])
}

/// The one active data key.
pub(super) fn active(rows: &[KeyRow]) -> Result<&KeyRow, VaultError> {
    let mut all = rows
        .iter()
        .filter(|row| row.purpose == DATA && row.state == ACTIVE);
    match (all.next(), all.next()) {
        (Some(row), None) => Ok(row),
        _ => Err(missing(DATA)),
    }
}

/// Data keys that values are moved away from.
pub(super) fn old(rows: &[KeyRow]) -> impl Iterator<Item = &KeyRow> {
    rows.iter()
        .filter(|row| row.purpose == DATA && row.state == OLD)
}
