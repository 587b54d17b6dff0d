//! `bauta serve`: the process in the foreground, from its files to its last request.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;
use super::{StartError, log, settings};
use crate::cli::{self, Serve};
use crate::config::{self, Config, Level, Log, LogFormat};
use crate::secret::{self, Problem, Secret, Source, SourceError};

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The secrets cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The secrets are not valid.
    #[error("the secrets in {0} are not valid:{list}", list = problem_list(.1))]
    Secrets(Source, Vec<Problem>),
    /// The listener or a provider.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The runtime or the signal handlers.
    #[error("the system refuses what a server needs: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    /// Whether configuration or secrets are at fault, and not the system.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Source(_) | Self::Secrets(..) => true,
            Self::Start(error) => error.is_input(),
            Self::System(_) => false,
        }
    }
}

/// One problem a line, with its place.
pub(super) fn problem_list(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match problem.place() {
        Some(place) => format!("\n  {place}: {problem}"),
        None => format!("\n  {problem}"),
    };
    problems.iter().map(line).collect()
}

/// Serves until SIGTERM or SIGINT, then drains; one during the start ends that. A second signal ends the process at once, with
/// exit code 1.
///
/// # Errors
/// See [`ServeError`]; only before the listener is ready.
pub fn serve(args: &Serve) -> Result<(), ServeError> {
    let mut reloader = Reloader::load(args, |_| ())?;
    log::init(chosen(reloader.config().log, args));
    reloader.report_warnings();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(foreground(reloader));
    // A start that was broken off may wait for a lock, or for the program that prints the master key.
    runtime.shutdown_background();
    served
}

async fn foreground(mut reloader: Reloader) -> Result<(), ServeError> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let running = tokio::select! {
        running = reloader.start() => running?,
        () = either(&mut terminate, &mut interrupt) => {
            tracing::info!("the start was broken off by a signal");
            return Ok(());
        }
    };
    let live = running.live.clone();
    let follow = tokio::spawn(async move { reloader.follow(live).await });
    either(&mut terminate, &mut interrupt).await;
    follow.abort();
    tracing::info!("draining: no new connections; a second signal ends at once");
    tokio::select! {
        cut = running.shutdown() => tracing::info!(cut, "stopped"),
        () = either(&mut terminate, &mut interrupt) => {
            tracing::warn!("a second signal: requests in flight are cut");
            std::process::exit(1);
        }
    }
    Ok(())
}

/// The configured log, but for what the command line says.
pub(super) fn chosen(mut log: Log, args: &Serve) -> Log {
    if args.global.quiet {
        log.level = Level::Error;
    } else if args.global.verbose {
        log.level = log.level.max(Level::Debug);
    }
    if args.global.json {
        log.format = LogFormat::Json;
    }
    log
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Secrets that were read, and what is likely not meant about them.
pub(super) struct Loaded {
    pub secrets: Vec<Secret>,
    pub warnings: Vec<String>,
}

/// Reads and checks secrets, which are then the agent's.
pub(super) fn load_secrets(source: &Source, config: &Config) -> Result<Loaded, ServeError> {
    let (bytes, warning) = secret::read_secrets(source)?;
    let submission = secret::parse_submission(bytes, &cli::secret_limits(&config.vault.limits))
        .map_err(|problems| ServeError::Secrets(source.clone(), problems))?;
    let mut warnings: Vec<String> = warning.into_iter().collect();
    warnings.extend(
        submission
            .warnings()
            .iter()
            .map(|problem| match problem.place() {
                Some(place) => format!("{place}: {problem}"),
                None => problem.to_string(),
            }),
    );
    Ok(Loaded {
        secrets: submission.into_secrets(&settings::scope(config)),
        warnings,
    })
}
