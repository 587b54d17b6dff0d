//! The vault: secrets at rest.
//!
//! The way through: [`Vault::open`] finds the database (`sqlite`) and the master key (`master`), which unwraps the keyring
//! (`keyring`). Every row is signed and counted (`ledger`); values are sealed (`envelope`). [`Vault::view`] reads and checks
//! everything (`contents`) and opens what one agent may use. Each change (`change`) is one transaction over a vault that was checked
//! as a whole, and is judged as a whole (`quota`) before it is committed. `keys` rotates keys and changes the master key.
//!
//! Invariants:
//! - A value stands in the database only as AES-256-GCM ciphertext that is bound to every other field of its row.
//! - What was written by anybody who has not the keys is not read: a flipped bit, swapped fields, a row that was removed, doubled or
//!   put back are errors that name what they can. Only the database as a whole can be put back unseen.
//! - What a method returned from lasts: it was committed and is on disk.
//! - A superseded value is never substituted again, and masked until it is destroyed in the database. No clock decides that when a
//!   view is made: a clock that goes back or forth brings nothing back.
//! - No error, and no type but `View`, `Secret`, `Value` and `NewSecret`, holds a value.
//!
//! Several processes may have one vault open. All methods block: on the disk, and up to five seconds on another process's change.
//! Not done here: deciding who may use what where (`guard`), and leaving a trace (`audit`).

mod change;
mod contents;
mod envelope;
mod error;
mod heads;
mod keyring;
mod keys;
mod ledger;
mod master;
mod open;
mod quota;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
mod types;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use error::VaultError;
pub use master::{MasterError, MasterSource};
pub use types::{
    Access, Assignment, Changed, Entry, Filter, KeyStatus, NewSecret, Rotated, Selector, Settings,
    StoredHead, Version, VersionState,
};

use super::{
    Id, Identity, Limits, Problem, Scope, Secret, SecretError, Submission, Value, ValueError, View,
};
use change::{Change, Rest};
use contents::{Stored, load};
use keyring::Keyring;
use ledger::{Ledger, RowKeys};
use store::{Store, VersionRow, Watch};

/// How often a change begins anew because another process rotated the data key between its reservation and itself.
const ATTEMPTS: usize = 16;

/// Secrets at rest, opened. It can be shared by threads; one at a time is at work.
pub struct Vault {
    settings: Settings,
    /// Seconds since 1970.
    clock: fn() -> i64,
    /// Uses after which a data key is rotated.
    rotates_at: i64,
    inner: Mutex<Inner>,
    /// Apart from the rest, so that who asks for changes does not wait for one.
    watched: Mutex<Watched>,
}

struct Watched {
    watch: Box<dyn Watch>,
    keys: Arc<RowKeys>,
    generation: Result<u64, String>,
}

struct Inner {
    store: Box<dyn Store>,
    keys: Arc<RowKeys>,
    ring: Keyring,
}

/// A vault that was opened, and what its operator should know.
pub struct Opened {
    /// The vault.
    pub vault: Vault,
    /// What was made or mended on the way.
    pub notices: Vec<String>,
}

fn system_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

impl Vault {
    /// A panic while it was locked leaves nothing half done: the transaction was undone.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }

    /// A number that goes up with every change of secrets, whichever process makes it. Cheap enough to be asked for with every
    /// request: it waits for no change under way, and where nothing was committed since, it costs a look into shared memory.
    ///
    /// # Errors
    /// If it cannot be read or was changed by hand.
    pub fn generation(&self) -> Result<u64, VaultError> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = watched.watch.changed()? {
            watched.generation = if watched.keys.root_fits(&root) {
                Ok(root.generation.unsigned_abs())
            } else {
                Err("the row of root".to_owned())
            };
        }
        // Said again, as long as nothing changes: once it was changed by hand, it stays so.
        watched
            .generation
            .clone()
            .map_err(|name| VaultError::Broken(vec![name]))
    }

    /// The secrets that an agent may use, opened.
    ///
    /// # Errors
    /// If anything in the vault is not as it was written, whether this agent sees it or not.
    pub fn view(&self, identity: &Identity) -> Result<View, VaultError> {
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let ledger = Ledger::open(store.read()?, keys.clone())?;
        ring.sync(&ledger)?;
        let mut secrets = Vec::new();
        let mut broken = Vec::new();
        for stored in load(&ledger)? {
            if stored.is_seen_by(identity) {
                match opened(ring, &stored) {
                    Some(secret) => secrets.push(secret),
                    None => broken.push(stored.name()),
                }
            }
        }
        if broken.is_empty() {
            Ok(View::new(secrets))
        } else {
            Err(VaultError::Broken(broken))
        }
    }

    /// Secrets without their values, by key, scope and pattern.
    ///
    /// # Errors
    /// If anything in the vault is not as it was written.
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, VaultError> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let ledger = Ledger::open(inner.store.read()?, inner.keys.clone())?;
        let mut entries: Vec<Entry> = load(&ledger)?
            .iter()
            .map(Stored::entry)
            .filter(|entry| filter.fits(entry))
            .collect();
        entries.sort_by_cached_key(|entry| {
            (
                entry.key.clone(),
                entry.scope.clone(),
                entry.pattern.to_string(),
            )
        });
        Ok(entries)
    }

    /// Makes a secret. If there is one of this key, pattern and scope, it gets a new version and these options, as by
    /// [`Vault::rotate`] with the grace of the settings.
    ///
    /// # Errors
    /// If it breaks a rule of 7.1, or the vault cannot be changed.
    pub fn set(&self, secret: NewSecret) -> Result<Changed, VaultError> {
        let secret = self.valid(secret)?;
        let grace = self.settings.grace;
        self.change(2, |change| change.put(&secret, grace))
    }

    /// As [`Vault::set`] for all secrets of a submission: all of them or none.
    ///
    /// # Errors
    /// As for [`Vault::set`]; all that is wrong is said at once.
    pub fn import(
        &self,
        submission: Submission,
        scope: &Scope,
    ) -> Result<Vec<Changed>, VaultError> {
        let secrets = submission.into_secrets(scope);
        let grace = self.settings.grace;
        let uses = i64::try_from(secrets.len())
            .unwrap_or(i64::MAX)
            .saturating_mul(2);
        self.change(uses, |change| {
            secrets
                .iter()
                .map(|secret| change.put(secret, grace))
                .collect()
        })
    }

    /// Gives a secret a new value. The one before it is never substituted again; it stays masked for the grace, which is that of
    /// the settings if none is given, and is destroyed at once if it is zero.
    ///
    /// # Errors
    /// If not exactly one secret is meant, the value breaks a rule of 7.1, or the vault cannot be changed.
    pub fn rotate(
        &self,
        selector: &Selector,
        value: Value,
        grace: Option<Duration>,
    ) -> Result<Changed, VaultError> {
        let grace = grace.unwrap_or(self.settings.grace);
        // Judged with what the secret is, which only its row says.
        self.change(2, |change| {
            let at = change.find(selector)?;
            let stored = change.at(at);
            let secret = self.valid(NewSecret {
                key: stored.key.clone(),
                pattern: stored.pattern.clone(),
                scope: stored.scope.clone(),
                options: stored.options.clone(),
                value,
            })?;
            let options = secret.options().clone();
            change.supersede(at, secret.value().expose(), options, grace)
        })
    }

    /// Removes a secret with all of its versions: it is neither substituted nor masked any more.
    ///
    /// # Errors
    /// If not exactly one secret is meant, or the vault cannot be changed.
    pub fn remove(&self, selector: &Selector) -> Result<Changed, VaultError> {
        self.change(0, |change| {
            let at = change.find(selector)?;
            change.remove(at)
        })
    }

    /// Lets an agent use a secret of user scope.
    ///
    /// # Errors
    /// If not exactly one secret is meant, it is of another scope, assigned already, or one more than the agent may have.
    pub fn assign(&self, selector: &Selector, agent: &str) -> Result<Changed, VaultError> {
        let agent = id(agent)?;
        self.change(0, |change| {
            let at = change.find(selector)?;
            change.assign(at, agent.as_str())
        })
    }

    /// Takes that back.
    ///
    /// # Errors
    /// If not exactly one secret is meant, or it is not assigned.
    pub fn unassign(&self, selector: &Selector, agent: &str) -> Result<Changed, VaultError> {
        self.change(0, |change| {
            let at = change.find(selector)?;
            change.unassign(at, agent)
        })
    }

    /// Makes an agent's secret a user's: the same secret with the same history, assigned to that agent.
    ///
    /// # Errors
    /// If not exactly one secret is meant, it is of another scope, or the user has one of this key and pattern.
    pub fn promote(&self, selector: &Selector, user: &str) -> Result<Changed, VaultError> {
        let user = Scope::User(id(user)?);
        self.change(0, |change| {
            let at = change.find(selector)?;
            change.promote(at, user.clone())
        })
    }

    /// Destroys values whose grace is over, and moves values that wait for a newer data key, one batch of them. Every change does
    /// it as well; the sidecar does it now and then. Whether anything was done.
    ///
    /// # Errors
    /// If the vault cannot be changed.
    pub fn maintain(&self) -> Result<bool, VaultError> {
        let mut done = false;
        if self.has_due()? {
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method is of one lifetime only"
            )]
            let (destroyed, _) = self.commit(0, |change| change.destroy_all_due())?;
            done |= destroyed;
        }
        let status = self.key_status()?;
        if status.pending > 0 {
            done |= self.move_some()? > 0;
        }
        if status.old > 0 {
            done |= self.end_rotation()?;
        }
        if done {
            self.lock().store.wipe_deleted()?;
        }
        Ok(done)
    }

    fn has_due(&self) -> Result<bool, VaultError> {
        let now = self.now();
        let inner = self.lock();
        let tx = inner.store.read()?;
        // Not checked here: whatever is found due is checked when it is changed.
        let due =
            |row: &VersionRow| row.sealed.is_some() && row.ends.is_some_and(|ends| ends <= now);
        Ok(tx.versions()?.iter().any(due))
    }

    /// One change that seals at most so many values, and what is left to do after it.
    fn change<T>(
        &self,
        uses: i64,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let (out, rest) = self.commit(uses, work)?;
        // The change is made and lasts, whatever comes of the rest: that is tried again by the next change.
        if rest.wipe {
            let _ = self.lock().store.wipe_deleted();
        }
        if rest.maintain {
            let _ = self.maintain();
        }
        Ok(out)
    }

    fn commit<T>(
        &self,
        uses: i64,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, VaultError>,
    ) -> Result<(T, Rest), VaultError> {
        let now = self.now();
        let mut inner = self.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let ledger = reserved(store.as_ref(), keys, ring, uses, self.rotates_at, now)?;
        let mut change = Change::begin(ledger, ring, &self.settings, now)?;
        let out = work(&mut change)?;
        Ok((out, change.commit()?))
    }

    /// A secret of parts that fit together, within the limit of one value.
    fn valid(&self, secret: NewSecret) -> Result<Secret, VaultError> {
        let (domain, key) = (secret.pattern.to_string(), secret.key.to_string());
        let problem = |text: String| {
            VaultError::Invalid(vec![Problem {
                text,
                domain: Some(domain.clone()),
                key: Some(key.clone()),
            }])
        };
        if secret.value.expose().len() > self.settings.limits.max_value_bytes {
            let most = self.settings.limits.max_value_bytes;
            return Err(problem(ValueError::TooLarge(most).to_string()));
        }
        Secret::new(
            secret.key,
            secret.pattern,
            secret.scope,
            secret.options,
            secret.value,
        )
        .map_err(|error: SecretError| problem(error.to_string()))
    }
}

fn id(text: &str) -> Result<Id, VaultError> {
    text.parse()
        .map_err(|error: super::IdError| VaultError::Name(error.to_string()))
}

/// A change for which enough uses of the active key are counted.
fn reserved<'a>(
    store: &'a dyn Store,
    keys: &Arc<RowKeys>,
    ring: &mut Keyring,
    uses: i64,
    rotates_at: i64,
    now: i64,
) -> Result<Ledger<'a>, VaultError> {
    let path = store.path().to_owned();
    for _ in 0..ATTEMPTS {
        if ring.left() < uses {
            let mut ledger = Ledger::open(store.change()?, keys.clone())?;
            let grant = ring.reserve(&mut ledger, uses, rotates_at, now)?;
            ledger.commit(false)?;
            ring.grant(grant);
        }
        let ledger = Ledger::open(store.change()?, keys.clone())?;
        ring.sync(&ledger)?;
        if ring.left() >= uses {
            return Ok(ledger);
        }
    }
    Err(VaultError::Locked(path))
}

/// A secret with its values opened; `None` if one does not open.
fn opened(ring: &Keyring, stored: &Stored) -> Option<Secret> {
    // What was taken once stays usable when a limit is lowered.
    let limits = Limits {
        max_value_bytes: usize::MAX,
        ..Limits::default()
    };
    let value = |row: &VersionRow| Value::new(ring.open(row)?, &limits).ok();
    let former = stored.former().map(value).collect::<Option<Vec<_>>>()?;
    let secret = Secret::new(
        stored.key.clone(),
        stored.pattern.clone(),
        stored.scope.clone(),
        stored.options.clone(),
        value(stored.current())?,
    );
    Some(secret.ok()?.with_former(former))
}
