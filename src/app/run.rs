//! `bauta run`: a command with a sidecar of its own, which lives as long as the command does.
//!
//! The way through: [`run`] reads configuration and secrets as `serve` does, puts the channels on free ports of loopback,
//! and starts the command (`process`) with the variables that lead its SDK there (`clients`) and little else of our own
//! environment (`children`). Signals go on to the command; its exit code is ours.
//!
//! Invariants: no credential of our environment reaches the command unless the command line names its variable; what the command
//! writes and reads on its standard streams is its own; the command's files get the permissions that they would have without us.
//!
//! The command runs as our own user, so nothing here protects the values from it: [`PROTECTION`] says so at every start.

mod process;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::children::{self, Environment, Inherited};
use super::reload::{Adjust, Reloader};
use super::serve::{ServeError, chosen};
use super::{Running, clients, log};
use crate::cli::{self, Run, Serve};
use crate::config::{Config, Level, Listen, MasterKey};
use crate::secret::Source;
use process::{Process, Signals};

/// What holds with one user id, and what does not.
const PROTECTION: &str = "values are kept from the model, not from the command: it runs as the same user, and could read what \
                          this user can read. A client that ignores the base URLs in its environment goes around Bauta";

/// Most names of variables that one line lists.
const MOST_NAMES: usize = 12;

/// Why the command does not run, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The sidecar.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The command line.
    #[error("{}", .0.join("\n"))]
    Line(Vec<String>),
    /// The command cannot be started.
    #[error("cannot run {name}: {source}. {mend}", mend = command_mend(.source))]
    Command {
        /// As it was written.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The runtime, the signal handlers or waiting.
    #[error("the system refuses what running a command needs: {0}")]
    System(#[from] io::Error),
}

impl RunError {
    /// The exit code that says so: as shells do, 127 if the command is not there and 126 if it cannot be run.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Line(_) => 2,
            Self::Serve(error) if error.is_input() => 2,
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Command { .. } => 126,
            Self::Serve(_) | Self::System(_) => 1,
        }
    }
}

fn command_mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "Write its path, or the name of a program in PATH",
        io::ErrorKind::PermissionDenied => "Make it executable, or name another program",
        _ => "Name a program of this machine",
    }
}

/// Runs the command to its end, and gives its exit code; 128 and the signal's number if a signal ended it.
///
/// # Errors
/// See [`RunError`]; the command has not run, but for [`RunError::System`].
pub fn run(args: &Run) -> Result<u8, RunError> {
    let serve = Serve {
        config: args.config.clone(),
        secrets: args.secrets.clone(),
        global: args.global,
    };
    let adjust: Adjust = match args.secrets {
        Some(_) => in_memory,
        None => beside_a_command,
    };
    let mut reloader = Reloader::load(&serve, adjust)?;
    let mut inherited = children::inherit(std::env::vars_os(), &args.env);
    check(args, reloader.config())?;
    if let MasterKey::Env(name) = &reloader.config().vault.master_key {
        // Whatever it is called.
        inherited.environment.remove(name);
    }
    // The terminal is the command's: a line per request would run through what it draws there.
    let mut log = chosen(reloader.config().log, &serve);
    if !args.global.verbose {
        log.level = log.level.min(Level::Warn);
    }
    log::init(log);
    reloader.report_warnings();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(beside(args, reloader, inherited));
    // A start that was broken off may wait for a lock, or for the program that prints the master key.
    runtime.shutdown_background();
    code
}

/// Starts the sidecar, then the command; ends in the other order.
async fn beside(args: &Run, mut reloader: Reloader, inherited: Inherited) -> Result<u8, RunError> {
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        running = reloader.start() => running.map_err(ServeError::from)?,
        signal = signals.ending() => return Ok(process::code_of(signal.as_raw())),
    };
    // A free port of loopback: it is there wherever the channel is.
    let root = running.model_addr().map(|addr| format!("http://{addr}"));
    let process = start(args, &reloader, &running, inherited, root.as_deref())?;
    let live = running.live.clone();
    let follow = tokio::spawn(async move { reloader.follow(live).await });
    let status = process.wait(&mut signals).await;
    follow.abort();
    tokio::select! {
        cut = running.shutdown() => tracing::info!(cut, "stopped"),
        _ = signals.ending() => tracing::warn!("a signal: requests in flight are cut"),
    }
    Ok(process::exit_code(status?))
}

/// The sidecar of a command listens for it alone, on a port that nobody else has, and nobody asks for its health.
fn beside_a_command(config: &mut Config) {
    config.health = None;
    // Standard output is the command's.
    config.audit.stdout = false;
    let free_port = Listen::Tcp {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    if let Some(browser) = &mut config.browser {
        browser.listen = free_port.clone();
    }
    if let Some(model) = &mut config.model {
        model.listen = free_port;
        // Base URLs are http: the SDKs would not trust our certificate.
        model.tls = None;
        clients::add_routes(model);
    }
}

/// Without a vault every run keeps the key of its audit log to itself. So it needs a log of its own: commands run side by side.
fn in_memory(config: &mut Config) {
    beside_a_command(config);
    let log = &mut config.audit.path;
    let mut name = log.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-run-{}", std::process::id()));
    if let Some(extension) = log.extension() {
        name.push(".");
        name.push(extension);
    }
    *log = log.with_file_name(name);
}

/// Whether the variables that the command line names may be handed on.
fn check(args: &Run, config: &Config) -> Result<(), RunError> {
    let mut ours = clients::variables(config, config.model.as_ref().map(|_| ""));
    if config.browser.is_some() {
        ours.extend(clients::browser_variables(""));
    }
    let mut wrong = Vec::new();
    for name in &args.env {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !plain {
            // What was written is not repeated: it may hold a value.
            wrong.push(
                "--env takes the name of a variable alone. Set the variable before, and write --env NAME"
                    .to_owned(),
            );
        } else if ours.contains_key(name) {
            wrong.push(format!(
                "--env {name}: the command gets this variable from bauta. Leave it out"
            ));
        } else if config.vault.master_key == MasterKey::Env(name.clone()) {
            wrong.push(format!(
                "--env {name}: that is the vault's master key. Leave it out"
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(RunError::Line(wrong))
    }
}

/// Starts the command, and says what it gets.
fn start(
    args: &Run,
    reloader: &Reloader,
    running: &Running,
    inherited: Inherited,
    root: Option<&str>,
) -> Result<Process, RunError> {
    let config = reloader.config();
    let Inherited {
        mut environment,
        withheld,
        missing,
    } = inherited;
    let mut variables = clients::variables(config, root);
    if let Some(url) = running.browser_url() {
        variables.extend(clients::browser_variables(&url));
    }
    for (name, value) in variables {
        environment.add(&name, &value);
    }
    let mut notes = vec![PROTECTION.to_owned()];
    if !withheld.is_empty() {
        notes.push(format!(
            "not handed on to the command: {}. Register what it needs as a secret, or name it with --env",
            names(&withheld)
        ));
    }
    if !missing.is_empty() {
        notes.push(format!("--env: not set here: {}", names(&missing)));
    }
    let taken = export(&running.environment_keys(), config, &mut environment);
    if !taken.is_empty() {
        let taken: Vec<String> = taken.into_iter().collect();
        notes.push(format!(
            "secrets of the kind env that are not exported, for the command has a variable of that name: {}",
            names(&taken)
        ));
    }
    cli::notes(args.global, &notes);
    let (name, rest) = args.command.split_first().ok_or_else(|| {
        RunError::Line(vec![
            "no command. Write it behind --, such as: bauta run -- codex".to_owned(),
        ])
    })?;
    let first = root.map_or_else(Vec::new, |root| clients::arguments(name, config, root));
    let arguments: Vec<OsString> = first
        .into_iter()
        .map(OsString::from)
        .chain(rest.iter().cloned())
        .collect();
    // What is left of a file behind our place in it would be the secrets themselves, if it is read from its beginning again.
    let no_input = args.secrets == Some(Source::Stdin);
    Process::start(name, &arguments, &environment, no_input).map_err(|source| RunError::Command {
        name: Path::new(name).display().to_string(),
        source,
    })
}

/// Puts the placeholders of secrets of the kind `env` into the environment, and gives the names that were taken.
fn export(
    keys: &BTreeSet<String>,
    config: &Config,
    environment: &mut Environment,
) -> BTreeSet<String> {
    keys.iter()
        .filter(|key| !environment.add(key, &config.placeholder.output.write(key)))
        .cloned()
        .collect()
}

fn names(names: &[String]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
