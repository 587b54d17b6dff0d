//! `bauta audit …`: reads the audit log, and checks that nobody changed it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, Output, Stop};
use super::progress::Progress;
use super::session::{self, Session};
use super::table::{WIDTH, clean, shorten};
use super::{Commands, ConfigFile, when};
use crate::audit::{self, Found, Query};
use crate::secret::vault::Access;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; `verify`: nothing was changed
  1  it failed on the way (vault, audit log, reading, writing); `verify`: the log was changed
  2  wrong usage, configuration or time";

/// The most records that `tail` goes back.
const MOST_TAIL: i64 = 1_000_000;

/// The commands.
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Show the last events
    #[command(after_help = EXIT_CODES)]
    Tail(TailArgs),
    /// Find events, oldest first; --json gives the log's own lines
    #[command(after_help = EXIT_CODES)]
    Search(SearchArgs),
    /// Check that no event was changed, removed, moved or added, and that the end is there
    #[command(after_help = EXIT_CODES)]
    Verify {
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// `audit tail`.
#[derive(Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// How many events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=MOST_TAIL))]
    lines: u32,
    /// Go on with new ones until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// `audit search`.
#[derive(Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Only events of a secret's key; in all of these, * at the end stands for any rest
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only events of a task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Only events of a kind, such as mask, substitute, refuse or secret.*
    #[arg(long, value_name = "KIND")]
    event: Option<String>,
    /// Only events of a target: a route's name or an origin
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only events since then: an age such as 2h or 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Runs one of them.
pub(super) fn run(
    command: AuditCommand,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    match command {
        AuditCommand::Tail(args) => tail(&args, output),
        AuditCommand::Search(args) => search(&args, output),
        AuditCommand::Verify { config } => verify(&config, commands, output),
    }
}

fn search(args: &SearchArgs, output: Output) -> Result<ExitCode, Stop> {
    let now = SystemTime::now();
    let time = |option: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| when::past(option, text, now))
            .transpose()
    };
    let query = Query {
        key: args.key.clone(),
        task: args.task.clone(),
        event: args.event.clone(),
        target: args.target.clone(),
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
    };
    let config = session::load(&args.config)?;
    let found = audit::search(&config.audit.path, &query).map_err(no_log(&config.audit.path))?;
    for found in found {
        show(found.map_err(reading)?, output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reading(error: std::io::Error) -> Stop {
    Stop::Failed(anyhow::Error::new(error).context("cannot read the audit log"))
}

fn show(found: Found, output: Output) -> Result<(), Stop> {
    match found {
        Found::Hit(hit) if output.json() => output::result(&hit.text),
        Found::Hit(hit) => output::result(&line(&hit.text)),
        Found::Broken(broken) => {
            let (file, line) = (broken.file.display(), broken.line);
            output.warning(&format!("{file}:{line} is no event. Run: bauta audit verify"));
            Ok(())
        }
    }
}

/// One event for people: time, event, how often, key, where, who, how it ended and why; in one line that fits.
fn line(record: &str) -> String {
    let Ok(record) = serde_json::from_str::<Value>(record) else {
        return shorten(&clean(record), WIDTH);
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut words = vec![format!("{:24}  {:14}", text("time"), text("event"))];
    let keys: Vec<&str> = match record.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().filter_map(Value::as_str).collect(),
        None => vec![text("key")],
    };
    words.push(keys.join("="));
    if let Some(count) = record.get("count").and_then(Value::as_u64) {
        words.push(format!("x{count}"));
    }
    words.push(text("form").to_owned());
    words.push(text("domain").to_owned());
    for (preposition, name) in [
        ("in", "scope"),
        ("to", "target"),
        ("by", "method"),
        ("at", "place"),
        ("of agent", "agent"),
        ("of task", "task"),
        ("by", "who"),
        ("on", "channel"),
    ] {
        if !text(name).is_empty() {
            words.push(format!("{preposition} {}", text(name)));
        }
    }
    words.push(text("outcome").to_owned());
    if !text("reason").is_empty() {
        words.push(format!("({})", text("reason")));
    }
    words.retain(|word| !word.is_empty());
    shorten(&clean(&words.join(" ")), WIDTH)
}
