//! The wiring: builds the rooms from a configuration, runs them, follows changed files, and ends in order.
//!
//! The way through: [`serve`] reads configuration and secrets, sets up the log and calls [`Running::start`] or
//! [`Running::start_with_vault`], which opens the audit log and the vault (`stock`), binds the listeners and spawns the channels;
//! `reload` watches the files and `follow` the vault, and put what changed in force; a signal drains.
//!
//! Invariants: new content that is not valid changes nothing; a request in flight keeps the masker and the routes that it
//! began with; a second signal ends the process at once.
//!
//! No request is looked at here.

mod browser;
pub mod check;
mod children;
mod clients;
mod demo;
mod follow;
mod health;
mod log;
mod model;
mod reload;
mod run;
mod serve;
mod settings;
mod stock;
pub mod vault;
mod watch;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use tokio::sync::watch as signal;
use tokio::task::{AbortHandle, spawn_blocking};

use crate::audit::{Event, Kind, OpenError, Recorder};
use crate::browser::ChannelError;
use crate::cli::hardening;
use crate::config::{Config, Listen, Spelling};
use crate::guard::{Guard, Needles};
use crate::mask::Masker;
use crate::model::{Channel, SettingsError};
use crate::net::server::Listener;
use crate::net::tls::{Identity, TlsError};
use crate::secret::vault::VaultError;
use crate::secret::{Secret, Submission, View};
use health::Readiness;
use stock::Stock;

pub use demo::{DemoError, demo};
pub use run::{RunError, run};
pub use serve::{ServeError, serve};

/// How long the last event may take: nobody waits for it but the one who ends us.
const LAST_EVENT: Duration = Duration::from_secs(5);

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has no channel.
    #[error(
        "there is nothing to serve: the configuration has neither a [model] nor a [browser] table. Add one"
    )]
    NoChannel,
    /// A listener cannot be bound.
    #[error("cannot listen on {listen}: {source}. {mend}", mend = listen_mend(.table, .source))]
    Listen {
        /// The table of the configuration that names the address.
        table: &'static str,
        /// The address.
        listen: Listen,
        /// The system's reason.
        source: io::Error,
    },
    /// The listener's certificate or key.
    #[error("model.tls: {0}")]
    Tls(#[from] TlsError),
    /// A provider's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] OpenError),
    /// The browser.
    #[error("browser: {0}")]
    Browser(#[from] ChannelError),
    /// A method that the configuration names and cannot allow.
    #[error("browser.methods: {method}: {reason}. Leave it out")]
    Method {
        /// As it stands there.
        method: String,
        /// Why.
        reason: String,
    },
    /// The folder for downloads and uploads.
    #[error(
        "browser.folder: {} holds {}, which no page may be given. Use a folder of its own",
        .folder.display(), .file.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What lies in it.
        file: PathBuf,
    },
    /// The file with the token of the browser channel.
    #[error(
        "browser.token_file: {0}: {reason}. Make it with: (umask 077; openssl rand -hex 32 > {0})",
        .file.display()
    )]
    Token {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The start was broken off.
    #[error("the start was broken off")]
    BrokenOff,
}

impl StartError {
    /// Whether the configuration is at fault, and not the system.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::NoChannel
                | Self::Tls(_)
                | Self::Settings(_)
                | Self::Method { .. }
                | Self::Folder { .. }
                | Self::Token { .. }
        )
    }
}

fn listen_mend(table: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("End the program that uses it, or set another {table}.listen")
        }
        io::ErrorKind::PermissionDenied => {
            format!("Set a {table}.listen that this user may bind, such as a port from 1024 on")
        }
        _ => format!("Set {table}.listen to an address of this machine"),
    }
}

/// Binds the address that a table of the configuration names.
async fn bind(table: &'static str, listen: &Listen) -> Result<Listener, StartError> {
    let bound = match listen {
        Listen::Tcp { host, port } => Listener::tcp(host, *port).await,
        Listen::Unix(path) => Listener::unix(path).await.and_then(|listener| {
            open_to_clients(path)?;
            Ok(listener)
        }),
    };
    bound.map_err(|source| StartError::Listen {
        table,
        listen: listen.clone(),
        source,
    })
}

/// Clients may have another user id: who may connect is up to the mask that we were started with.
fn open_to_clients(socket: &Path) -> io::Result<()> {
    let Some(umask) = hardening::original_umask() else {
        return Ok(());
    };
    let mode = (Mode::RWXU | Mode::RWXG | Mode::RWXO) - umask;
    rustix::fs::chmod(socket, mode).map_err(io::Error::from)
}

/// A sidecar that runs. Dropping it stops it without waiting.
pub struct Running {
    model: Option<model::Served>,
    browser: Option<browser::Served>,
    live: Live,
    stop: signal::Sender<bool>,
    recorder: Arc<Recorder>,
    agent: String,
    follow: Option<AbortHandle>,
    readiness: Arc<Readiness>,
    health: Option<health::Served>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(follow) = &self.follow {
            follow.abort();
        }
    }
}

/// The parts that can be changed while it runs.
#[derive(Clone)]
struct Live {
    guard: Arc<Guard>,
    /// The model channel, if there is one.
    channel: Option<Arc<Channel>>,
    identity: Option<Arc<Identity>>,
}

impl Running {
    /// Serves these secrets, which live as long as the process. Must be called within a tokio runtime; returns once the listener
    /// is ready.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, secrets: Vec<Secret>) -> Result<Self, StartError> {
        Self::with(config, |config| Stock::memory(config, secrets)).await
    }

    /// Serves what the vault of the configuration holds for its agent, and follows it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with_vault(config: &Config) -> Result<Self, StartError> {
        Self::with(config, Stock::vault).await
    }

    async fn with(
        config: &Config,
        stock: impl FnOnce(&Config) -> Result<Stock, StartError> + Send + 'static,
    ) -> Result<Self, StartError> {
        if config.model.is_none() && config.browser.is_none() {
            return Err(StartError::NoChannel);
        }
        let all = config.clone();
        let stocked = spawn_blocking(move || {
            let mut stock = stock(&all)?;
            let notices = std::mem::take(&mut stock.notices);
            let (secrets, recorder) = (stock.len(), stock.recorder());
            let (guard, followed) = stock.guard(&all);
            Ok::<_, StartError>((guard, followed, notices, secrets, recorder))
        });
        let stocked = stocked.await.map_err(|_| StartError::BrokenOff)?;
        let (guard, followed, notices, secrets, recorder) = stocked?;
        for notice in notices {
            tracing::info!("{notice}");
        }
        let guard = Arc::new(guard);
        let model = match &config.model {
            Some(model) => Some(model::Bound::new(model, &guard, secrets).await?),
            None => None,
        };
        let browser = match &config.browser {
            Some(browser) => Some(browser::Bound::new(config, browser, &guard).await?),
            None => None,
        };
        let started = Event::new(Kind::Start)
            .agent(&config.agent.id)
            .outcome("done");
        if let Err(error) = recorder.durable(vec![started]).await {
            tracing::error!("the start is not in the audit log: {error}");
        }
        let (stop, stopped) = signal::channel(false);
        let follow = followed.map(|followed| {
            tokio::spawn(follow::follow(followed, Arc::clone(&guard))).abort_handle()
        });
        let live = Live {
            guard,
            channel: model.as_ref().map(|model| Arc::clone(&model.channel)),
            identity: model.as_ref().and_then(|model| model.identity.clone()),
        };
        let model = model.map(|model| model.serve(stopped.clone()));
        let browser = browser.map(|browser| browser.serve(stopped));
        let guarded = Arc::clone(&live.guard);
        let ready = move || guarded.ready().map_err(|reasons| reasons.join("; "));
        let mut readiness = Readiness::default().with("secrets", ready);
        if let Some(browser) = &browser {
            readiness = readiness.with("browser", browser.check());
        }
        let readiness = Arc::new(readiness);
        let health = match &config.health {
            Some(settings) => Some(health::start(settings, Arc::clone(&readiness)).await?),
            None => None,
        };
        Ok(Self {
            model,
            browser,
            live,
            stop,
            recorder,
            agent: config.agent.id.clone(),
            follow,
            readiness,
            health,
        })
    }

    /// Where the model channel listens; `None` if it is off, or on a Unix socket.
    pub fn model_addr(&self) -> Option<SocketAddr> {
        self.model.as_ref()?.addr()
    }

    /// Where the browser channel listens; `None` if it is off, or on a Unix socket.
    pub fn browser_addr(&self) -> Option<SocketAddr> {
        self.browser.as_ref()?.addr()
    }

    /// The address of the browser channel for a command of ours, its token included.
    pub(crate) fn browser_url(&self) -> Option<String> {
        self.browser.as_ref()?.url()
    }

    /// Where health is told; `None` if nowhere, or on a Unix socket.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.addr()
    }

    /// Puts other secrets in force for requests that begin from now on.
    pub fn replace_secrets(&self, secrets: Vec<Secret>, config: &Config) {
        self.live.guard.set_rules(settings::rules(config));
        self.live.guard.replace(View::new(secrets), 0);
    }

    /// The keys of the secrets that belong into the environment of the agent's process, as placeholders.
    pub fn environment_keys(&self) -> BTreeSet<String> {
        self.live.guard.environment_keys()
    }

    /// Whether requests are served in full.
    ///
    /// # Errors
    /// Why not, with names only.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        self.live.guard.ready()
    }

    /// Accepts no more, lets requests in flight finish within the drain time, and says how many were cut.
    pub async fn shutdown(mut self) -> usize {
        // The receiver lives as long as the task; if that is gone, nothing is left to stop.
        self.readiness.drain();
        let _ = self.stop.send(true);
        let (model, browser) = (self.model.take(), self.browser.take());
        let model = async {
            match model {
                Some(model) => model.ended().await,
                None => 0,
            }
        };
        let browser = async {
            match browser {
                Some(browser) => browser.ended().await,
                None => 0,
            }
        };
        let (of_model, of_browser) = tokio::join!(model, browser);
        let cut = of_model + of_browser;
        if let Some(health) = self.health.take() {
            health.stop().await;
        }
        let stopped = Event::new(Kind::Stop).agent(&self.agent).outcome("done");
        let recorder = Arc::clone(&self.recorder);
        let closed = spawn_blocking(move || {
            let stopped = recorder.durable_within(vec![stopped], LAST_EVENT);
            recorder.close().and(stopped)
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!("not all is in the audit log: {error}");
        }
        cut
    }
}

/// The masker of a submission, for commands that need no channel, and the keys by the number under which it reports them.
pub fn needles(submission: &Submission, spelling: Spelling) -> (Masker, Vec<String>) {
    needles_of(&submission.iter().collect::<Vec<_>>(), spelling)
}

/// The same of some secrets.
pub fn needles_of(secrets: &[&Secret], spelling: Spelling) -> (Masker, Vec<String>) {
    let needles = Needles::new(secrets.iter().copied(), |key| spelling.write(key));
    (needles.masker, needles.keys)
}
