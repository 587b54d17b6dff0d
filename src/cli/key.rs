//! `bauta key …`: the master key, and the data keys that it wraps.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::output::{self, Output, Stop};
use super::progress::Progress;
use super::session::{self, Session};
use super::{Commands, ConfigFile, when};
use crate::audit::{Event, Kind};
use crate::config::MasterKey;
use crate::secret::vault::{Access, Vault};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed on the way (vault, master key, audit log)
  2  wrong usage or configuration";

/// The commands.
#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Make the vault and its first data key; with master_key = "auto" the master key as well
    #[command(after_help = EXIT_CODES)]
    Init {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Say which data key is in use, since when, and how much it has sealed
    #[command(after_help = EXIT_CODES)]
    Status {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make a new data key and encrypt every value with it; the old key is destroyed. Sidecars go on meanwhile
    #[command(after_help = EXIT_CODES)]
    Rotate {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Wrap the data keys with another master key; the values stay as they are
    #[command(after_help = EXIT_CODES)]
    Rewrap {
        #[command(flatten)]
        config: ConfigFile,
        /// The new master key's source: auto, file:PATH, env:NAME or `exec:["PROGRAM", "ARGUMENT"]`, as `[vault] master_key` writes it
        #[arg(long, value_name = "SOURCE")]
        to: String,
    },
}

/// Runs one of them.
pub(super) fn run(
    command: KeyCommand,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    match command {
        KeyCommand::Init { config } => init(&config, commands, output),
        KeyCommand::Status { config } => status(&config, commands, output),
        KeyCommand::Rotate { config } => rotate(&config, commands, output),
        KeyCommand::Rewrap { config, to } => rewrap(&config, &to, commands, output),
    }
}

fn event(kind: Kind) -> Vec<Event> {
    vec![Event::new(kind).channel("cli")]
}

/// The log's key is in the vault, so here alone the event follows the change.
fn init(file: &ConfigFile, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let config = session::load(file)?;
    let opened = Vault::key_init(&(commands.settings)(&config)).map_err(session::stop)?;
    let path = config.vault.path.display().to_string();
    for notice in &opened.notices {
        output.note(notice);
    }
    let session = Session::with(config, Arc::new(opened.vault), commands);
    session.change(|| event(Kind::KeyInit), |_| Ok(()))?;
    if output.json() {
        let report = json!({ "vault": path, "notices": opened.notices });
        output::result(&report.to_string())?;
    } else {
        output.say(&format!("made the vault {path}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn status(file: &ConfigFile, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let session = Session::open(file, session::READ, commands, output)?;
    let status = session.vault.key_status().map_err(session::stop)?;
    let vault = &session.config.vault;
    let master = source(&vault.master_key);
    if output.json() {
        let report = json!({
            "vault": vault.path, "id": status.vault, "master_key": master, "data_key": status.active,
            "created": when::shown(status.created), "uses": status.uses, "rotates_at": status.rotates_at,
            "old_keys": status.old, "pending": status.pending,
        });
        output::result(&report.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let percent = status.uses.saturating_mul(100) / status.rotates_at.max(1);
    let fields = [
        (
            "vault",
            format!("{} ({})", vault.path.display(), status.vault),
        ),
        ("master key", master),
        (
            "data key",
            format!("{}, made {}", status.active, when::shown(status.created)),
        ),
        (
            "uses",
            format!(
                "at most {}, {percent} % of those after which it is rotated",
                status.uses
            ),
        ),
    ];
    for (name, text) in fields {
        output::result(&format!("{name:12}{text}"))?;
    }
    if status.old > 0 {
        let (keys, values) = (status.old, status.pending);
        output::result(&format!(
            "{:12}a rotation is not finished: {keys} old, {values} values to move. Run: bauta key rotate",
            "old keys"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the master key comes from. The program's arguments are left out: somebody may have put a password there.
fn source(key: &MasterKey) -> String {
    match key {
        MasterKey::Auto => "auto".to_owned(),
        MasterKey::File(path) => format!("file:{}", path.display()),
        MasterKey::Env(name) => format!("env:{name}"),
        MasterKey::Exec(argv) => format!("exec:{}", argv.first().map_or("", String::as_str)),
    }
}

fn rotate(file: &ConfigFile, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let session = Session::open(file, Access::ReadWrite, commands, output)?;
    let mut progress = Progress::new(output, "encrypting anew");
    let rotated = session.change(
        || event(Kind::KeyRotate),
        |vault| vault.key_rotate(&mut |done, all| progress.step(done, all)),
    );
    drop(progress);
    let rotated = rotated?;
    if !rotated.wiped {
        output.warning(
            "another process was reading, so the old key may still stand in the database's log. \
             The next process that opens the vault cleans it",
        );
    }
    if output.json() {
        let report = json!({
            "data_key": rotated.active, "moved": rotated.moved, "resumed": rotated.resumed, "wiped": rotated.wiped,
        });
        output::result(&report.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let moved = output::counted(
        usize::try_from(rotated.moved).unwrap_or(usize::MAX),
        "value",
    );
    let resumed = if rotated.resumed {
        "; a rotation that had been cut off is finished"
    } else {
        ""
    };
    output.say(&format!(
        "data key {} is in use; {moved} encrypted anew{resumed}",
        rotated.active
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn rewrap(
    file: &ConfigFile,
    to: &str,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let here = std::env::current_dir()
        .context("cannot tell the current folder")
        .map_err(Stop::Failed)?;
    let to =
        MasterKey::parse(to, &here).map_err(|error| Stop::wrong(format!("--to is {error}")))?;
    let session = Session::open(file, Access::ReadWrite, commands, output)?;
    let mut other = session.config.clone();
    other.vault.master_key = to.clone();
    let master = (commands.settings)(&other).master;
    let notices = session.change(|| event(Kind::KeyRewrap), |vault| vault.key_rewrap(&master))?;
    for notice in &notices {
        output.note(notice);
    }
    let source = source(&to);
    if output.json() {
        output::result(&json!({ "master_key": source, "notices": notices }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    output.say(&format!(
        "the vault now opens with the master key of {source}, and no longer with the one before"
    ))?;
    output.warning(
        "sidecars that run go on with the keys that they have: restart them before the next `bauta key rotate`",
    );
    if to != session.config.vault.master_key {
        let place = session.config.source.unwrap_or(PathBuf::from("bauta.toml"));
        output.warning(&format!(
            "{} names another master key still. Set there, under [vault]: master_key = {:?}",
            place.display(),
            written(&to)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// As the configuration writes it.
fn written(key: &MasterKey) -> String {
    match key {
        MasterKey::Exec(argv) => format!("exec:{}", json!(argv)),
        other => source(other),
    }
}
