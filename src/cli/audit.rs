//! `bauta audit …`: reads the audit log, and checks that nobody changed it.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, Output, Stop};
use super::progress::Progress;
use super::session::{self, Session};
use super::table::{WIDTH, clean, shorten};
use super::{Commands, ConfigFile, when};
use crate::audit::{self, Finding, Found, Query, Verified, VerifyError};

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
        /// Only from the event of this number on, where what is older is known to be broken
        #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from: u64,
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
        AuditCommand::Verify { config, from } => verify(&config, from, commands, output),
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
        match found.map_err(reading)? {
            Found::Hit(hit) => show(&hit.text, output)?,
            Found::Broken(broken) => {
                let (file, line) = (broken.file.display(), broken.line);
                output.warning(&format!(
                    "{file}:{line} is no event. Run: bauta audit verify"
                ));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tail(args: &TailArgs, output: Output) -> Result<ExitCode, Stop> {
    let config = session::load(&args.config)?;
    let path = &config.audit.path;
    let count = usize::try_from(args.lines).unwrap_or(usize::MAX);
    for text in audit::tail(path, count, args.follow).map_err(no_log(path))? {
        show(&text.map_err(reading)?, output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reading(error: io::Error) -> Stop {
    Stop::Failed(anyhow::Error::new(error).context("cannot read the audit log"))
}

fn no_log(path: &Path) -> impl Fn(io::Error) -> Stop {
    let path = path.display().to_string();
    move |error| match error.kind() {
        io::ErrorKind::NotFound => Stop::Failed(anyhow::anyhow!(
            "there is no audit log at {path} yet. Check audit.path in the configuration, or use a secret first"
        )),
        _ => reading(error),
    }
}

/// One line of the log: as it is for programs, in words for people.
fn show(text: &str, output: Output) -> Result<(), Stop> {
    match serde_json::from_str::<Value>(text) {
        Ok(_) if output.json() => output::result(text),
        Ok(record) => output::result(&line(&record)),
        Err(_) => {
            output.warning("a line of the log is no event. Run: bauta audit verify");
            Ok(())
        }
    }
}

/// One event for people, in one line that fits: when, what, how it ended; then the secret, where, and who.
fn line(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut line = format!(
        "{:24}  {:14}  {:7}",
        text("time"),
        text("event"),
        text("outcome")
    );
    let keys: Vec<&str> = match record.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().filter_map(Value::as_str).collect(),
        None => vec![text("key")],
    };
    let count = record.get("count").and_then(Value::as_u64);
    let reason = match text("reason") {
        "" => String::new(),
        reason => format!("({reason})"),
    };
    let mut words = vec![
        keys.join("="),
        count.map_or(String::new(), |count| format!("x{count}")),
        text("form").to_owned(),
        reason,
    ];
    for (preposition, name) in [
        ("for", "domain"),
        ("in", "scope"),
        ("to", "target"),
        ("by", "method"),
        ("at", "place"),
        ("by", "who"),
        ("of agent", "agent"),
        ("of task", "task"),
        ("on", "channel"),
    ] {
        if !text(name).is_empty() {
            words.push(format!("{preposition} {}", text(name)));
        }
    }
    words.retain(|word| !word.is_empty());
    for word in words {
        line.push(' ');
        line.push_str(&word);
    }
    shorten(&clean(&line), WIDTH)
}

fn verify(
    file: &ConfigFile,
    from: u64,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let session = Session::open(file, session::READ, commands, output)?;
    let path = &session.config.audit.path;
    let mut progress = Progress::new(output, "checking");
    let keeper = session.keeper();
    let verified = audit::verify_since(path, &*keeper, from, &mut |done, all| {
        progress.step(done, all);
    });
    drop(progress);
    match verified {
        Ok(verified) => {
            whole(&verified, path, output)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyError::Found(finding)) => {
            tampered(&finding, output)?;
            Ok(ExitCode::from(1))
        }
        Err(error) => Err(Stop::Failed(error.into())),
    }
}

fn whole(verified: &Verified, path: &Path, output: Output) -> Result<(), Stop> {
    if verified.beyond_head.is_none() {
        output.warning(&format!(
            "the vault knows no end of the log {}, so a cut end would not show",
            path.display()
        ));
    }
    if verified.alarms > 0 {
        output.warning(&format!(
            "{} in the log: it was changed or lost while it was written. Run: bauta audit search --event alarm",
            output::counted(usize::try_from(verified.alarms).unwrap_or(usize::MAX), "alarm")
        ));
    }
    if output.json() {
        let report = json!({
            "ok": true, "events": verified.records, "files": verified.files, "first_seq": verified.first_seq,
            "last_seq": verified.last_seq, "beyond_head": verified.beyond_head, "torn": verified.is_torn,
            "alarms": verified.alarms, "older_files": verified.older_files,
        });
        return output::result(&report.to_string());
    }
    let events = output::counted(
        usize::try_from(verified.records).unwrap_or(usize::MAX),
        "event",
    );
    let files = output::counted(verified.files, "file");
    output.say(&format!(
        "{}: {events} in {files}, nothing was changed",
        path.display()
    ))?;
    if verified.first_seq > 1 {
        output.say(&format!(
            "events before number {} were not checked",
            verified.first_seq
        ))?;
    }
    if verified.beyond_head.is_some_and(|count| count > 0) || verified.is_torn {
        output.say("the end is as a crash, or a process that is writing, leaves it")?;
    }
    if verified.older_files > 0 {
        let older = output::counted(verified.older_files, "file");
        output.say(&format!("{older} of an older log were not checked"))?;
    }
    Ok(())
}

fn tampered(finding: &Finding, output: Output) -> Result<(), Stop> {
    if output.json() {
        let report = json!({
            "ok": false, "file": finding.file, "line": finding.line, "seq": finding.seq, "what": finding.what.to_string(),
        });
        return output::result(&report.to_string());
    }
    let seq = finding
        .seq
        .map_or(String::new(), |seq| format!(", event {seq}"));
    output.error(&format!(
        "{}, line {}{seq}: {}. Keep the files as they are, and compare them with a copy",
        finding.file.display(),
        finding.line,
        finding.what
    ));
    Ok(())
}
