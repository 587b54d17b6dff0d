//! Opens the vault and the audit log of a configuration, for the sidecar and for commands.

use std::sync::Arc;

use crate::audit::{self, Keeper, OpenError, Recorder};
use crate::cli;
use crate::config::{Config, MASTER_KEY_FILE, MasterKey};
use crate::guard::VaultKeeper;
use crate::secret::Identity;
use crate::secret::vault::{Access, MasterSource, Opened, Settings, Vault, VaultError};

/// Places in the queue of the audit log, at least.
const QUEUE: usize = 16 * 1024;

/// Places for each connection that there may be: three for its request of HTTP/1.1, and three for one of HTTP/2, of which as many may be
/// in flight.
const PLACES: usize = 6;

/// The vault of a configuration in the words of the room that keeps it.
pub fn settings(config: &Config) -> Settings {
    let vault = &config.vault;
    Settings {
        path: vault.path.clone(),
        master: match &vault.master_key {
            MasterKey::Auto => MasterSource::Auto(config.state_dir.join(MASTER_KEY_FILE)),
            MasterKey::File(path) => MasterSource::File {
                path: path.clone(),
                group_read: vault.group_read,
            },
            MasterKey::Env(name) => MasterSource::Env(name.clone()),
            MasterKey::Exec(argv) => MasterSource::Exec(argv.clone()),
        },
        limits: cli::secret_limits(&vault.limits),
        grace: vault.grace,
        identity: Some(identity(config)),
    }
}

/// Who the configured agent is.
pub fn identity(config: &Config) -> Identity {
    let agent = &config.agent;
    Identity {
        agent: agent.id.clone(),
        user: agent.user.clone(),
        organization: agent.organization.clone(),
        profiles: agent.profiles.clone(),
    }
}

/// Opens the vault of a configuration; says besides what was made or mended on the way.
///
/// # Errors
/// See [`VaultError`].
pub fn open(config: &Config, access: Access) -> Result<(Arc<Vault>, Vec<String>), VaultError> {
    let Opened { vault, notices } = Vault::open(&settings(config), access)?;
    Ok((Arc::new(vault), notices))
}

/// Keeps the audit log's key and head in a vault.
pub fn keeper(vault: Arc<Vault>) -> Arc<dyn Keeper> {
    Arc::new(VaultKeeper::new(vault))
}

/// Opens the audit log of a configuration for writing.
///
/// # Errors
/// See [`OpenError`].
pub fn recorder(config: &Config, keeper: Arc<dyn Keeper>) -> Result<Recorder, OpenError> {
    let audit = &config.audit;
    let connections = config
        .model
        .as_ref()
        .map_or(0, |model| model.limits.max_connections);
    let settings = audit::Settings {
        path: audit.path.clone(),
        rotate_bytes: audit.rotate_bytes,
        stdout: audit.stdout,
        queue: QUEUE.max(connections.saturating_mul(PLACES)),
    };
    Recorder::open(settings, keeper)
}

/// The same for a command, whose standard output is its result's.
///
/// # Errors
/// See [`OpenError`].
pub fn command_recorder(config: &Config, keeper: Arc<dyn Keeper>) -> Result<Recorder, OpenError> {
    let mut config = config.clone();
    config.audit.stdout = false;
    recorder(&config, keeper)
}
