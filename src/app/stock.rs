//! Where the secrets come from and where their uses are written: the vault and its audit log, or memory and a log of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{StartError, vault};
use crate::audit::{EphemeralKeeper, Keeper, OpenError, Recorder};
use crate::config::Config;
use crate::guard::{Guard, Source, VaultKeeper};
use crate::secret::vault::{Access, MasterSource, Vault, VaultError};
use crate::secret::{Identity, Secret, View};

use super::settings;

/// What a guard is made of.
pub(super) struct Stock {
    view: View,
    recorder: Arc<Recorder>,
    /// With the number of the view.
    vault: Option<(Arc<Vault>, u64)>,
    /// Why there is no view, if a secret cannot be opened.
    broken: Option<String>,
    /// What was made on the way, for people.
    pub notices: Vec<String>,
}

/// A vault that is followed, and whose view of it counts.
pub(super) struct Followed {
    pub vault: Arc<Vault>,
    pub identity: Identity,
}

impl Stock {
    /// Secrets that live as long as the process, and so does the key of their log. Blocks.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub fn memory(config: &Config, secrets: Vec<Secret>) -> Result<Self, StartError> {
        let mut config = config.clone();
        config.audit.path = beside(&config.audit.path);
        let keeper: Arc<dyn Keeper> = Arc::new(EphemeralKeeper::new().map_err(OpenError::Keeper)?);
        let recorder = vault::recorder(&config, keeper)?;
        Ok(Self {
            view: View::new(secrets),
            recorder: Arc::new(recorder),
            vault: None,
            broken: None,
            notices: Vec::new(),
        })
    }

    /// The vault, made if it is not there. One whose secrets do not open is no error: it may be mended while we run. Blocks.
    ///
    /// # Errors
    /// Vault or log cannot be opened.
    pub fn vault(config: &Config) -> Result<Self, StartError> {
        let (vault, notices) = vault::open(config, access(config))?;
        let keeper: Arc<dyn Keeper> = Arc::new(VaultKeeper::new(Arc::clone(&vault)));
        let recorder = vault::recorder(config, keeper)?;
        // The number first: a change in between makes the view newer than it says, never older.
        let generation = vault.generation()?;
        let (view, broken) = match vault.view(&vault::identity(config)) {
            Ok(view) => (view, None),
            Err(error @ VaultError::Broken(_)) => (View::new(Vec::new()), Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            view,
            recorder: Arc::new(recorder),
            vault: Some((vault, generation)),
            broken,
            notices,
        })
    }

    /// Secrets in view.
    pub fn len(&self) -> usize {
        self.view.len()
    }

    /// The audit log.
    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// The guard, and what it follows. Blocks for as long as the needles take.
    pub fn guard(self, config: &Config) -> (Guard, Option<Followed>) {
        let source = self.vault.as_ref().map(|(vault, generation)| {
            let source: Arc<dyn Source> = Arc::<Vault>::clone(vault);
            (source, *generation)
        });
        let rules = settings::rules(config);
        let guard = Guard::new(self.view, rules, self.recorder, &config.agent.id, source);
        if let (Some(reason), Some((_, generation))) = (&self.broken, &self.vault) {
            tracing::error!("no request is served: {reason}");
            guard.fail(reason, *generation);
        }
        let followed = self.vault.map(|(vault, _)| Followed {
            vault,
            identity: vault::identity(config),
        });
        (guard, followed)
    }
}

/// A vault is made only where nothing was yet. Where there is a master key, or one is asked for, a vault that is not there is
/// one that was lost: without it nothing would be masked.
fn access(config: &Config) -> Access {
    let is_first = match &vault::settings(config).master {
        MasterSource::Auto(path) => !path.exists() && !config.audit.path.exists(),
        _ => false,
    };
    if is_first {
        Access::Create
    } else {
        Access::ReadWrite
    }
}

/// The log of secrets in memory. Nobody can verify it after the run, so it must not go on where a vault's log ended.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push("-memory");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_memory_is_another_file() {
        for (path, expected) in [
            ("data/audit.log", "data/audit-memory.log"),
            ("audit", "audit-memory"),
        ] {
            assert_eq!(beside(Path::new(path)), Path::new(expected));
        }
    }
}
