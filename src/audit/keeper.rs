//! What the log needs from outside: the key of its chain, and a place for its head.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;
use zeroize::Zeroizing;

/// The last record that is known to be in a log. Kept apart from the log, so that a cut tail shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The record's number, from 1 on.
    pub seq: u64,
    /// The record's MAC.
    pub mac: [u8; 32],
}

/// Keeps what must not lie beside the log: the key of the chain, and the head of each log by its name.
///
/// The head is read and stored while the log is locked against other processes, and read before what is written is
/// acknowledged. So a keeper must not wait in it for somebody who waits for the log: never hold a lock of the vault while
/// waiting for an event to become durable.
pub trait Keeper: Send + Sync {
    /// The key of all MACs. The same for as long as a log shall be verified.
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError>;

    /// The head that was stored last for this log.
    fn head(&self, log: &str) -> Result<Option<Head>, KeeperError>;

    /// Stores the head of this log durably.
    fn store_head(&self, log: &str, head: &Head) -> Result<(), KeeperError>;
}

/// Why a keeper could not help. The text holds names and reasons, never key material.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct KeeperError(String);

impl KeeperError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A keeper in memory, for runs without a vault: its log can be verified only while the process runs.
pub struct EphemeralKeeper {
    key: Zeroizing<[u8; 32]>,
    heads: Mutex<HashMap<String, Head>>,
}

impl EphemeralKeeper {
    /// A keeper with a key of its own, made now.
    pub fn new() -> Result<Self, KeeperError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|error| {
            KeeperError::new(format!("the system gives no random bytes: {error}"))
        })?;
        Ok(Self {
            key,
            heads: Mutex::default(),
        })
    }
}

impl Keeper for EphemeralKeeper {
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError> {
        Ok(self.key.clone())
    }

    fn head(&self, log: &str) -> Result<Option<Head>, KeeperError> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(heads.get(log).copied())
    }

    fn store_head(&self, log: &str, head: &Head) -> Result<(), KeeperError> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.insert(log.to_owned(), *head);
        Ok(())
    }
}
