//! Follows the files while the process runs: what changed and is valid comes into force, anything else changes nothing.

use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::serve::{ServeError, load_secrets};
use super::watch::{Mark, Watch};
use super::{Live, Running, StartError, settings};
use crate::cli::Serve;
use crate::config::{self, Config};
use crate::secret::{Secret, Source, View};

/// What is in force, and the files that it came from.
pub(super) struct Reloader {
    config: Config,
    config_mark: Option<Mark>,
    /// `None`: the vault is followed instead.
    source: Option<Source>,
    /// What was read first, until it is taken.
    secrets: Option<Vec<Secret>>,
    secrets_mark: Option<Mark>,
    tls_marks: [Option<Mark>; 2],
    warnings: Vec<String>,
    adjust: Adjust,
}

/// What the command that runs the sidecar changes about each configuration that is read.
pub(super) type Adjust = fn(&mut Config);

impl Reloader {
    /// Reads everything for the first time.
    pub(super) fn load(args: &Serve, adjust: Adjust) -> Result<Self, ServeError> {
        let mut config = config::load(args.config.as_deref())?;
        // Looked at before it is read again: a change in between shows as one.
        let config_mark = config.source.as_deref().and_then(Mark::of);
        if let Some(path) = config.source.clone() {
            config = config::load(Some(&path))?;
        }
        adjust(&mut config);
        let secrets_mark = args.secrets.as_ref().and_then(file).and_then(Mark::of);
        let tls_marks = tls_files(&config).map(|path| path.and_then(Mark::of));
        let mut warnings = config.warnings();
        let secrets = match &args.secrets {
            Some(source) => {
                let loaded = load_secrets(source, &config)?;
                warnings.extend(loaded.warnings);
                Some(loaded.secrets)
            }
            None => None,
        };
        Ok(Self {
            config,
            config_mark,
            source: args.secrets.clone(),
            secrets,
            secrets_mark,
            tls_marks,
            warnings,
            adjust,
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Serves, once, the secrets of the command line, or else of the vault.
    pub(super) async fn start(&mut self) -> Result<Running, StartError> {
        match self.secrets.take() {
            Some(secrets) => Running::start(&self.config, secrets).await,
            None => Running::start_with_vault(&self.config).await,
        }
    }

    /// Logs what is likely not meant.
    pub(super) fn report_warnings(&mut self) {
        for warning in self.warnings.drain(..) {
            tracing::warn!("{warning}");
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn follow(mut self, live: Live) {
        let [cert, key] = tls_files(&self.config);
        let files: Vec<PathBuf> = [
            self.config.source.as_deref(),
            self.source.as_ref().and_then(file),
            cert,
            key,
        ]
        .into_iter()
        .flatten()
        .map(Path::to_owned)
        .collect();
        if files.is_empty() {
            return;
        }
        let mut watch = Watch::new(files);
        loop {
            // It reads files, and builds needles.
            let live = live.clone();
            let looked = spawn_blocking(move || {
                self.look(&live);
                self
            });
            match looked.await {
                Ok(back) => self = back,
                Err(error) if error.is_panic() => {
                    return tracing::error!("changed files are followed no more: restart bauta");
                }
                // The runtime ends.
                Err(_) => return,
            }
            watch.wake().await;
        }
    }

    fn look(&mut self, live: &Live) {
        let config_mark = self.config.source.as_deref().and_then(Mark::of);
        if config_mark != self.config_mark {
            self.config_mark = config_mark;
            self.reload_config(live);
        }
        let secrets_mark = self.source.as_ref().and_then(file).and_then(Mark::of);
        if secrets_mark != self.secrets_mark {
            self.secrets_mark = secrets_mark;
            self.reload_secrets(live);
        }
        let tls_marks = tls_files(&self.config).map(|path| path.and_then(Mark::of));
        if tls_marks != self.tls_marks {
            self.tls_marks = tls_marks;
            self.reload_tls(live);
        }
    }

    fn reload_config(&mut self, live: &Live) {
        let mut next = match config::load(self.config.source.as_deref()) {
            Ok(next) => next,
            Err(error) => return tracing::error!("the changed configuration is not used: {error}"),
        };
        (self.adjust)(&mut next);
        if self.config.model.is_some() != next.model.is_some() {
            return tracing::error!(
                "the changed configuration is not used: a [model] table that comes or goes needs a restart"
            );
        }
        // Credentials are masked in answers before one can be put in.
        let (before, after) = (settings::rules(&self.config), settings::rules(&next));
        let mut both = before.clone();
        both.credentials.extend(after.credentials.iter().cloned());
        live.guard.set_rules(both);
        if let (Some(channel), Some(new)) = (&live.channel, &next.model)
            && let Err(error) = channel.reconfigure(&settings::channel(new))
        {
            live.guard.set_rules(before);
            return tracing::error!("the changed configuration is not used: {error}");
        }
        live.guard.set_rules(after);
        let rebound = match (&self.config.model, &next.model) {
            (Some(old), Some(new)) => {
                old.listen != new.listen
                    || old.tls != new.tls
                    || settings::listener(old) != settings::listener(new)
            }
            _ => false,
        };
        let rehoused = self.config.agent != next.agent
            || self.config.vault != next.vault
            || self.config.audit != next.audit;
        let others = self.config.browser != next.browser
            || self.config.health != next.health
            || self.config.log != next.log;
        if rebound || rehoused || others {
            tracing::warn!(
                "listen, the names of the files of tls, the limits of connections and heads, [browser], [health], [agent], [vault], [audit] and [log] change with a restart only"
            );
        }
        let tls = self.config.model.as_ref().and_then(|old| old.tls.clone());
        self.config = next;
        if let Some(model) = &mut self.config.model {
            // The listener's, for its life.
            model.tls = tls;
        }
        self.warnings = self.config.warnings();
        self.report_warnings();
        tracing::info!("the changed configuration is in force");
    }

    fn reload_tls(&self, live: &Live) {
        let ([Some(cert), Some(key)], Some(identity)) = (tls_files(&self.config), &live.identity)
        else {
            return;
        };
        match identity.reload(cert, key) {
            Ok(()) => tracing::info!("the changed certificate is in force"),
            // One of the two may be about to follow.
            Err(error) => tracing::error!("the changed certificate is not used: {error}"),
        }
    }

    fn reload_secrets(&mut self, live: &Live) {
        let Some(source) = &self.source else { return };
        let loaded = match load_secrets(source, &self.config) {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!("the changed secrets are not used: {error}"),
        };
        let secrets = loaded.secrets.len();
        live.guard.replace(View::new(loaded.secrets), 0);
        self.warnings = loaded.warnings;
        self.report_warnings();
        tracing::info!(secrets, "the changed secrets are in force");
    }
}

/// The listener's certificate and key.
fn tls_files(config: &Config) -> [Option<&Path>; 2] {
    let tls = config.model.as_ref().and_then(|model| model.tls.as_ref());
    [
        tls.map(|tls| tls.cert.as_path()),
        tls.map(|tls| tls.key.as_path()),
    ]
}

fn file(source: &Source) -> Option<&Path> {
    match source {
        Source::File(path) => Some(path),
        Source::Stdin => None,
    }
}
