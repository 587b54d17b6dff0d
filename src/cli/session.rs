//! One command's hold of the vault and of the audit log, and the one way in which a command changes anything.
//!
//! Invariant: no change without a trace. The event that asks for it is durable before the commit; if the commit then fails, a second
//! event says so. A crash between the two leaves an event without a change, never a change without an event.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::output::{Output, Stop};
use super::{Commands, ConfigFile};
use crate::audit::{Event, Keeper};
use crate::config::{self, Config};
use crate::secret::Identity;
use crate::secret::vault::{Access, Entry, Filter, Selector, Vault, VaultError};

/// How commands open the vault that change nothing.
pub(super) const READ: Access = Access::ReadWrite;

/// For how long a command waits for the disk: longer than a request may.
const DISK: Duration = Duration::from_secs(10);

/// Events that become durable at a time.
const BATCH: usize = 1024;

/// The vault of a configuration, open.
pub(super) struct Session<'a> {
    pub(super) config: Config,
    pub(super) vault: Arc<Vault>,
    commands: &'a Commands,
}

impl<'a> Session<'a> {
    /// Reads the configuration and opens its vault.
    pub(super) fn open(
        file: &ConfigFile,
        access: Access,
        commands: &'a Commands,
        output: Output,
    ) -> Result<Self, Stop> {
        let config = load(file)?;
        let opened = Vault::open(&(commands.settings)(&config), access).map_err(stop)?;
        for notice in &opened.notices {
            output.note(notice);
        }
        Ok(Self::with(config, Arc::new(opened.vault), commands))
    }

    /// A vault that is open already.
    pub(super) fn with(config: Config, vault: Arc<Vault>, commands: &'a Commands) -> Self {
        Self {
            config,
            vault,
            commands,
        }
    }

    /// Who the configured agent is.
    pub(super) fn identity(&self) -> Identity {
        let settings = (self.commands.settings)(&self.config);
        settings.identity.unwrap_or_default()
    }

    /// What holds the audit log's key and head.
    pub(super) fn keeper(&self) -> Arc<dyn Keeper> {
        (self.commands.keeper)(Arc::clone(&self.vault))
    }
}

impl Session<'_> {
    /// The one secret that is meant.
    pub(super) fn pick(&self, which: &Selector) -> Result<Entry, Stop> {
        let filter = Filter {
            key: Some(which.key.clone()),
            pattern: which.pattern.clone(),
            scope: which.scope.clone(),
        };
        let mut fits = self.vault.entries(&filter).map_err(stop)?;
        match (fits.len(), fits.pop()) {
            (1, Some(entry)) => Ok(entry),
            (0, _) | (_, None) => Err(stop(VaultError::Unknown(which.to_string()))),
            (_, Some(last)) => {
                fits.push(last);
                Err(stop(VaultError::Ambiguous {
                    what: which.to_string(),
                    fits: fits.iter().map(named).collect(),
                }))
            }
        }
    }

    /// Makes a change: first the events that ask for it, then the commit, and the same events as failed if that fails.
    ///
    /// `events` makes them anew each time.
    pub(super) fn change<T>(
        &self,
        events: impl Fn() -> Vec<Event>,
        commit: impl FnOnce(&Vault) -> Result<T, VaultError>,
    ) -> Result<T, Stop> {
        let recorder = (self.commands.recorder)(&self.config, self.keeper())
            .context("nothing was changed")
            .map_err(Stop::Failed)?;
        let tell = |outcome: &str| {
            let who = user();
            let events = events().into_iter();
            let events: Vec<Event> = events
                .map(|event| event.who(&who).outcome(outcome))
                .collect();
            let mut batches = events.chunks(BATCH);
            batches.try_for_each(|batch| recorder.durable_within(batch.to_vec(), DISK))
        };
        tell("asked")
            .context("nothing was changed, as the event for it must be on the disk first. Mend the audit log and try again")
            .map_err(Stop::Failed)?;
        let done = commit(&self.vault);
        if done.is_err() {
            // The failure itself is what is reported; the log may be gone by now.
            let _ = tell("failed");
        }
        // The event is durable; what is left is the log's head, which the next process that writes makes up for.
        let _ = recorder.close();
        done.map_err(stop)
    }
}

/// A secret as people name it.
pub(super) fn named(entry: &Entry) -> String {
    format!("{} for {} in {}", entry.key, entry.pattern, entry.scope)
}

/// Who runs the command, for the audit log.
fn user() -> String {
    format!("uid:{}", rustix::process::getuid().as_raw())
}

/// What went wrong with the vault: the fault of what was asked for, or of something on the way.
pub(super) fn stop(error: VaultError) -> Stop {
    match error {
        VaultError::Invalid(problems) => Stop::Invalid(problems),
        VaultError::Exists(_)
        | VaultError::Unknown(_)
        | VaultError::Ambiguous { .. }
        | VaultError::NotAUsers(_)
        | VaultError::NotAnAgents(_)
        | VaultError::Taken(_)
        | VaultError::Assigned { .. }
        | VaultError::Name(_)
        | VaultError::SameMasterKey(_)
        | VaultError::TooManyVersions { .. } => Stop::wrong(error.to_string()),
        other => Stop::Failed(other.into()),
    }
}

/// Reads the configuration.
pub(super) fn load(file: &ConfigFile) -> Result<Config, Stop> {
    config::load(file.config.as_deref())
        .map_err(|error| Stop::Wrong(error.to_string().lines().map(str::to_owned).collect()))
}
