//! Changes of secrets. Each is one transaction over a vault that was checked as a whole before.

use std::collections::HashSet;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::contents::{Stored, list, load, write_options};
use super::envelope::random_id;
use super::error::VaultError;
use super::keyring::{Keyring, old};
use super::ledger::Ledger;
use super::quota::Judge;
use super::store::{AssignmentRow, SecretRow, VersionRow};
use super::types::{Changed, Selector, Settings};
use crate::secret::{Options, Scope, Secret};

/// Most former values of one secret that are still masked.
const MOST_FORMER: usize = 64;
/// Most destroyed versions of one secret that are still listed.
const MOST_DESTROYED: usize = 32;

/// A change under way.
pub(super) struct Change<'a> {
    pub(super) ledger: Ledger<'a>,
    pub(super) ring: &'a mut Keyring,
    settings: &'a Settings,
    /// As it was before.
    before: Vec<Stored>,
    /// As it is so far.
    all: Vec<Stored>,
    /// Ids of what was added or changed.
    touched: HashSet<String>,
    now: i64,
    /// Whether something was overwritten that should not linger in the database's log.
    wipe: bool,
    /// Whether data keys wait to be given up.
    old_keys: bool,
}

/// What is left to do after a change was committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Overwrite what was deleted.
    pub(super) wipe: bool,
    /// Destroy versions whose grace is over, or move values to another data key.
    pub(super) maintain: bool,
}

impl<'a> Change<'a> {
    /// Reads and checks everything.
    pub(super) fn begin(
        ledger: Ledger<'a>,
        ring: &'a mut Keyring,
        settings: &'a Settings,
        now: i64,
    ) -> Result<Self, VaultError> {
        let keys = ring.sync(&ledger)?;
        let all = load(&ledger)?;
        Ok(Self {
            ledger,
            ring,
            settings,
            before: all.clone(),
            all,
            touched: HashSet::new(),
            now,
            wipe: false,
            old_keys: old(&keys).next().is_some(),
        })
    }

    /// Judges it as a whole and ends it.
    pub(super) fn commit(self) -> Result<Rest, VaultError> {
        Judge {
            limits: &self.settings.limits,
            identity: self.settings.identity.as_ref(),
            ring: self.ring,
            before: &self.before,
            after: &self.all,
            touched: &self.touched,
        }
        .judge()?;
        let rest = Rest {
            wipe: self.wipe,
            maintain: self.old_keys || self.all.iter().any(|stored| is_due(stored, self.now)),
        };
        self.ledger.commit(true)?;
        Ok(rest)
    }

    /// The one secret that is meant.
    pub(super) fn find(&self, selector: &Selector) -> Result<usize, VaultError> {
        let fits: Vec<usize> = (0..self.all.len())
            .filter(|at| {
                let stored = &self.all[*at];
                selector.fits(&stored.key, &stored.pattern, &stored.scope)
            })
            .collect();
        match fits.as_slice() {
            [] => Err(VaultError::Unknown(selector.to_string())),
            [one] => Ok(*one),
            _ => Err(VaultError::Ambiguous {
                what: selector.to_string(),
                fits: fits.iter().map(|at| self.all[*at].name()).collect(),
            }),
        }
    }

    /// The secret at that place.
    pub(super) fn at(&self, at: usize) -> &Stored {
        &self.all[at]
    }

    /// Makes a secret, or gives one that is there a new version and these options.
    pub(super) fn put(&mut self, secret: &Secret, grace: Duration) -> Result<Changed, VaultError> {
        let there = self.place_of(secret);
        match there {
            // So that the same file can be imported again and again.
            Some(at) if self.is_same(at, secret) => Ok(self.changed(at, false)),
            Some(at) => {
                let options = secret.options().clone();
                self.supersede(at, secret.value().expose(), options, grace)
            }
            None => self.create(secret),
        }
    }

    /// Whether a secret has this value and these options already.
    fn is_same(&self, at: usize, secret: &Secret) -> bool {
        let stored = &self.all[at];
        let same = |text: Zeroizing<String>| {
            let value = secret.value().expose().as_bytes();
            bool::from(text.as_bytes().ct_eq(value))
        };
        stored.options == *secret.options() && self.ring.open(stored.current()).is_some_and(same)
    }

    fn place_of(&self, secret: &Secret) -> Option<usize> {
        self.all.iter().position(|stored| {
            stored.key == *secret.key()
                && stored.pattern == *secret.pattern()
                && stored.scope == *secret.scope()
        })
    }

    fn create(&mut self, secret: &Secret) -> Result<Changed, VaultError> {
        let id = random_id()?;
        let mut version = version(&id, 1, self.now);
        self.ring.seal(&mut version, secret.value().expose())?;
        let row = SecretRow {
            id: id.clone(),
            key: secret.key().to_string(),
            pattern: secret.pattern().to_string(),
            scope: secret.scope().to_string(),
            options: write_options(secret.options()),
            current: 1,
            versions: list(std::slice::from_ref(&version)),
            created: self.now,
            changed: self.now,
            mac: Vec::new(),
        };
        // The secret before its version, which refers to it.
        let row = self.ledger.add(row)?;
        let version = self.ledger.add(version)?;
        self.all.push(Stored {
            row,
            key: secret.key().clone(),
            pattern: secret.pattern().clone(),
            scope: secret.scope().clone(),
            options: secret.options().clone(),
            versions: vec![version],
            assignments: Vec::new(),
        });
        Ok(self.changed(self.all.len() - 1, true))
    }

    /// A new version of a secret. The one before it stays masked for the grace, or is destroyed at once without one.
    pub(super) fn supersede(
        &mut self,
        at: usize,
        text: &str,
        options: Options,
        grace: Duration,
    ) -> Result<Changed, VaultError> {
        self.destroy_due(at)?;
        let stored = &self.all[at];
        let count = stored.former().count();
        if !grace.is_zero() && count >= MOST_FORMER {
            return Err(VaultError::TooManyVersions {
                secret: stored.name(),
                count,
            });
        }
        let current = stored.current().clone();
        let mut next = version(&stored.row.id, current.number + 1, self.now);
        self.ring.seal(&mut next, text)?;
        let next = self.ledger.add(next)?;
        let place = self.all[at].versions.len() - 1;
        self.all[at].versions.push(next);
        if grace.is_zero() {
            self.destroy(at, place)?;
        } else {
            self.retire(at, place, grace)?;
        }
        self.rewrite(at, |row| {
            row.current += 1;
            row.options = write_options(&options);
        })?;
        self.all[at].options = options;
        Ok(self.changed(at, false))
    }

    /// Sets an end to a version. Its value is bound to that, so it is sealed anew.
    fn retire(&mut self, at: usize, place: usize, grace: Duration) -> Result<(), VaultError> {
        let old = self.all[at].versions[place].clone();
        let text = self.ring.open(&old);
        let text = text.ok_or_else(|| VaultError::Broken(vec![self.all[at].name()]))?;
        let mut row = VersionRow {
            ends: Some(self.now.saturating_add(seconds(grace))),
            ..old.clone()
        };
        self.ring.seal(&mut row, &text)?;
        self.all[at].versions[place] = self.ledger.replace(&old, row)?;
        Ok(())
    }

    /// Destroys a version's value. That it was there stays on record.
    fn destroy(&mut self, at: usize, place: usize) -> Result<(), VaultError> {
        let old = self.all[at].versions[place].clone();
        let row = VersionRow {
            ends: Some(self.now),
            data_key: None,
            sealed: None,
            ..old.clone()
        };
        self.all[at].versions[place] = self.ledger.replace(&old, row)?;
        self.wipe = true;
        Ok(())
    }

    /// Destroys the versions of a secret whose grace is over. Whether there were any.
    fn destroy_due(&mut self, at: usize) -> Result<bool, VaultError> {
        let now = self.now;
        let due: Vec<usize> = (0..self.all[at].versions.len())
            .filter(|place| version_is_due(&self.all[at].versions[*place], now))
            .collect();
        for place in &due {
            self.destroy(at, *place)?;
        }
        Ok(!due.is_empty())
    }

    /// Destroys all versions whose grace is over. Whether there were any.
    pub(super) fn destroy_all_due(&mut self) -> Result<bool, VaultError> {
        let mut any = false;
        for at in 0..self.all.len() {
            if self.destroy_due(at)? {
                self.rewrite(at, |_| ())?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Writes a secret's row anew, with its list of versions. The oldest of those that were destroyed leave the list.
    fn rewrite(
        &mut self,
        at: usize,
        change: impl FnOnce(&mut SecretRow),
    ) -> Result<(), VaultError> {
        let destroyed: Vec<VersionRow> = self.all[at].destroyed().cloned().collect();
        let surplus = destroyed.len().saturating_sub(MOST_DESTROYED);
        for row in &destroyed[..surplus] {
            self.ledger.remove(row)?;
            self.all[at]
                .versions
                .retain(|version| version.number != row.number);
        }
        // What stands in `all` is what was written last.
        let old = self.all[at].row.clone();
        let mut row = SecretRow {
            versions: list(&self.all[at].versions),
            changed: self.now,
            ..old.clone()
        };
        change(&mut row);
        self.all[at].row = self.ledger.replace(&old, row)?;
        Ok(())
    }

    /// Removes a secret with its versions and assignments.
    pub(super) fn remove(&mut self, at: usize) -> Result<Changed, VaultError> {
        let stored = self.all.remove(at);
        for row in &stored.assignments {
            self.ledger.remove(row)?;
        }
        for row in &stored.versions {
            self.ledger.remove(row)?;
        }
        self.ledger.remove(&stored.row)?;
        self.wipe = true;
        Ok(Changed {
            id: stored.row.id.clone(),
            created: false,
            version: number(&stored),
        })
    }

    /// Lets an agent use a secret of user scope.
    pub(super) fn assign(&mut self, at: usize, agent: &str) -> Result<Changed, VaultError> {
        let stored = &self.all[at];
        if !matches!(stored.scope, Scope::User(_)) {
            return Err(VaultError::NotAUsers(stored.name()));
        }
        if stored.is_assigned(agent) {
            return Err(self.assigned(at, agent, true));
        }
        let row = AssignmentRow {
            secret: stored.row.id.clone(),
            agent: agent.to_owned(),
            created: self.now,
            mac: Vec::new(),
        };
        let row = self.ledger.add(row)?;
        self.all[at].assignments.push(row);
        self.rewrite(at, |_| ())?;
        Ok(self.changed(at, false))
    }

    /// Takes that back.
    pub(super) fn unassign(&mut self, at: usize, agent: &str) -> Result<Changed, VaultError> {
        let stored = &mut self.all[at];
        let place = stored.assignments.iter().position(|row| row.agent == agent);
        let Some(place) = place else {
            return Err(self.assigned(at, agent, false));
        };
        let row = stored.assignments.remove(place);
        self.ledger.remove(&row)?;
        self.rewrite(at, |_| ())?;
        Ok(self.changed(at, false))
    }

    fn assigned(&self, at: usize, agent: &str, assigned: bool) -> VaultError {
        VaultError::Assigned {
            secret: self.all[at].name(),
            agent: agent.to_owned(),
            assigned,
        }
    }

    /// Makes an agent's secret a user's, assigned to that agent. It stays the same secret.
    pub(super) fn promote(&mut self, at: usize, user: Scope) -> Result<Changed, VaultError> {
        let stored = &self.all[at];
        let Scope::Agent(agent) = stored.scope.clone() else {
            return Err(VaultError::NotAnAgents(stored.name()));
        };
        let taken = self.all.iter().find(|other| {
            other.key == stored.key && other.pattern == stored.pattern && other.scope == user
        });
        if let Some(taken) = taken {
            return Err(VaultError::Taken(taken.name()));
        }
        self.rewrite(at, |row| row.scope = user.to_string())?;
        self.all[at].scope = user;
        self.assign(at, agent.as_str())
    }

    fn changed(&mut self, at: usize, created: bool) -> Changed {
        let stored = &self.all[at];
        self.touched.insert(stored.row.id.clone());
        Changed {
            id: stored.row.id.clone(),
            created,
            version: number(stored),
        }
    }
}

fn number(stored: &Stored) -> u32 {
    u32::try_from(stored.row.current).unwrap_or(u32::MAX)
}

fn version(secret: &str, number: i64, now: i64) -> VersionRow {
    VersionRow {
        secret: secret.to_owned(),
        number,
        created: now,
        ends: None,
        data_key: None,
        sealed: None,
        mac: Vec::new(),
    }
}

/// In whole seconds, rounded up: a grace is never shorter than asked for.
fn seconds(grace: Duration) -> i64 {
    let up = u64::from(grace.subsec_nanos() > 0);
    i64::try_from(grace.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}

fn version_is_due(version: &VersionRow, now: i64) -> bool {
    version.sealed.is_some() && version.ends.is_some_and(|ends| ends <= now)
}

fn is_due(stored: &Stored, now: i64) -> bool {
    stored
        .versions
        .iter()
        .any(|version| version_is_due(version, now))
}
