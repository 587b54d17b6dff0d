//! Opening a vault, and making one.

use std::sync::{Arc, Mutex};

use super::envelope::SecretKey;
use super::error::VaultError;
use super::keyring::{self, Keyring, Wrapper};
use super::ledger::{Ledger, RowKeys};
use super::sqlite::Sqlite;
use super::store::{KeyRow, RootRow, Store};
use super::types::{Access, Settings};
use super::{Inner, Opened, Vault, Watched, system_clock};

impl Vault {
    /// Opens a vault; with [`Access::Create`] makes it, and its master key if that is a file that may be made.
    ///
    /// # Errors
    /// If it is not there, cannot be read or written, is of a later format, or the master key is missing, open to others or another's.
    /// Nothing is written then.
    pub fn open(settings: &Settings, access: Access) -> Result<Opened, VaultError> {
        let found = Sqlite::open(&settings.path, access == Access::Create)?;
        Self::unlock(settings, access, Box::new(found.store), found.notices)
    }

    /// Makes a vault.
    ///
    /// # Errors
    /// As [`Vault::open`], and if there is one.
    pub fn key_init(settings: &Settings) -> Result<Opened, VaultError> {
        let found = Sqlite::open(&settings.path, true)?;
        if found.store.read()?.root()?.is_some() {
            return Err(VaultError::Exists(settings.path.clone()));
        }
        Self::unlock(
            settings,
            Access::Create,
            Box::new(found.store),
            found.notices,
        )
    }

    fn unlock(
        settings: &Settings,
        access: Access,
        store: Box<dyn Store>,
        mut notices: Vec<String>,
    ) -> Result<Opened, VaultError> {
        let root = store.read()?.root()?;
        let made = match root {
            Some(_) => None,
            None if access == Access::Create => create(settings, store.as_ref())?,
            None => return Err(VaultError::NotThere(settings.path.clone())),
        };
        notices.extend(made);
        let tx = store.read()?;
        let root = tx.root()?;
        let root = root.ok_or_else(|| VaultError::NotThere(settings.path.clone()))?;
        let (keys, ring) = unwrap(settings, &root, &tx.keys()?)?;
        drop(tx);
        // For a process that was killed before it could. On a full disk the vault can still be read.
        let _ = store.empty_log();
        let keys = Arc::new(keys);
        let watched = Watched {
            watch: store.watch()?,
            keys: keys.clone(),
            generation: Ok(0),
        };
        let vault = Self {
            settings: settings.clone(),
            clock: system_clock,
            rotates_at: keyring::ROTATES_AT,
            inner: Mutex::new(Inner { store, keys, ring }),
            watched: Mutex::new(watched),
        };
        // The keyring is checked now; secrets are when they are read.
        vault.key_status()?;
        Ok(Opened { vault, notices })
    }
}

/// Makes the rows of a new vault, with a notice if a master key was made. Another process may have been faster.
fn create(settings: &Settings, store: &dyn Store) -> Result<Option<String>, VaultError> {
    let tx = store.change()?;
    if tx.root()?.is_some() {
        return Ok(None);
    }
    if !tx.keys()?.is_empty() || !tx.secrets()?.is_empty() || !tx.versions()?.is_empty() {
        return Err(VaultError::Broken(vec!["the row of root".to_owned()]));
    }
    // Whoever is here holds the lock, so one process alone makes the key.
    let (master, notice) = settings.master.load_or_make()?;
    let now = system_clock();
    let mut vault = vec![0; 16];
    getrandom::fill(&mut vault).map_err(|_| VaultError::Random)?;
    let wrapper = Wrapper::new(&master, &vault);
    let root = RootRow {
        vault: vault.clone(),
        created: now,
        check: wrapper.check.to_vec(),
        generation: 0,
        salt: Vec::new(),
        sum: Vec::new(),
        head_sum: Vec::new(),
        mac: Vec::new(),
    };
    let rows = SecretKey::random()?;
    let mut ledger = Ledger::begin(tx, Arc::new(RowKeys::new(&vault, &rows)), root);
    let keys = [
        (keyring::ROWS, rows),
        (keyring::AUDIT, SecretKey::random()?),
        (keyring::DATA, SecretKey::random()?),
    ];
    for ((purpose, key), id) in keys.iter().zip(1..) {
        let mut row = keyring::key_row(id, purpose, now);
        row.wrapped = wrapper.wrap(&row, &vault, key)?;
        ledger.add(row)?;
    }
    ledger.commit(true)?;
    Ok(notice)
}

/// The keys of a vault, by its master key.
fn unwrap(
    settings: &Settings,
    root: &RootRow,
    rows: &[KeyRow],
) -> Result<(RowKeys, Keyring), VaultError> {
    let wrapper = Wrapper::new(&*settings.master.load()?, &root.vault);
    let mut own = rows.iter().filter(|row| row.purpose == keyring::ROWS);
    let key = own
        .next()
        .and_then(|row| wrapper.unwrap(row, &root.vault))
        .filter(|_| own.next().is_none());
    let keys = match (key, wrapper.fits(root)) {
        (Some(key), _) => RowKeys::new(&root.vault, &key),
        (None, false) => return Err(VaultError::WrongMasterKey(settings.master.to_string())),
        (None, true) => {
            return Err(VaultError::Broken(vec![
                "the rows key in the keyring".to_owned(),
            ]));
        }
    };
    if !keys.root_fits(root) {
        return Err(VaultError::Broken(vec!["the row of root".to_owned()]));
    }
    let ring = Keyring::new(root.vault.clone(), settings.master.clone(), wrapper);
    Ok((keys, ring))
}
