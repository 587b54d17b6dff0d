//! `bauta secret rotate`, `rm`, `assign` and `promote`: changes of one secret that is there.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;

use super::args::{AssignArgs, PromoteArgs, RmArgs, RotateArgs};
use super::{event_of, exactly, name_json};
use crate::audit::Kind;
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{Session, named};
use crate::cli::{Commands, prompt, secrets, when};
use crate::secret::Scope;
use crate::secret::vault::{Access, Entry};

/// `secret rotate`.
pub(super) fn rotate(
    args: &RotateArgs,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let which = args.which.selector()?;
    let grace = args.grace.as_deref();
    let grace = grace.map(|text| when::span("--grace", text)).transpose()?;
    let session = Session::open(&args.config, Access::ReadWrite, commands, output)?;
    let entry = session.pick(&which)?;
    let value = prompt::value(
        entry.key.as_str(),
        &secrets::limits(&session.config.vault.limits),
    )?;
    let changed = session.change(
        || vec![event_of(Kind::SecretRotate, &entry)],
        |vault| vault.rotate(&exactly(&entry), value, grace),
    )?;
    let version = changed.version;
    let grace = grace.unwrap_or(session.config.vault.grace);
    let text = if grace.is_zero() {
        format!(
            "rotated {}: version {version}; the value before is gone",
            named(&entry)
        )
    } else {
        let grace = humantime::format_duration(grace);
        format!(
            "rotated {}: version {version}; the value before stays masked for {grace}",
            named(&entry)
        )
    };
    report(
        &entry,
        "rotated",
        [("version", json!(version))],
        &text,
        output,
    )
}

/// `secret rm`.
pub(super) fn remove(args: &RmArgs, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let which = args.which.selector()?;
    let session = Session::open(&args.config, Access::ReadWrite, commands, output)?;
    let entry = session.pick(&which)?;
    if !args.yes {
        confirm(&entry)?;
    }
    session.change(
        || vec![event_of(Kind::SecretRemove, &entry)],
        |vault| vault.remove(&exactly(&entry)),
    )?;
    let text = format!("removed {}", named(&entry));
    report(&entry, "removed", [], &text, output)
}

/// Asks whether it is meant: with the secret go its former values, which are then no longer masked.
fn confirm(entry: &Entry) -> Result<(), Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::wrong(format!(
            "{} would be removed for good. Say --yes where nobody can be asked",
            named(entry)
        )));
    }
    let mut stderr = io::stderr();
    let question = format!(
        "Remove {} with all its versions? They are no longer masked then. [y/N] ",
        named(entry)
    );
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| {
        Stop::Failed(anyhow::Error::new(error).context("cannot read from the terminal"))
    })?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Stop::wrong("nothing was removed. Answer y to remove it"))
    }
}

/// `secret assign`.
pub(super) fn assign(
    args: &AssignArgs,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let which = args.which.selector()?;
    let session = Session::open(&args.config, Access::ReadWrite, commands, output)?;
    let entry = session.pick(&which)?;
    let kind = if args.remove {
        Kind::SecretUnassign
    } else {
        Kind::SecretAssign
    };
    session.change(
        || vec![event_of(kind, &entry).agent(&args.agent)],
        |vault| {
            if args.remove {
                vault.unassign(&exactly(&entry), &args.agent)
            } else {
                vault.assign(&exactly(&entry), &args.agent)
            }
        },
    )?;
    let (done, text) = if args.remove {
        (
            "unassigned",
            format!("{} is no longer assigned to {}", named(&entry), args.agent),
        )
    } else {
        (
            "assigned",
            format!("assigned {} to {}", named(&entry), args.agent),
        )
    };
    report(&entry, done, [("agent", json!(args.agent))], &text, output)
}

/// `secret promote`.
pub(super) fn promote(
    args: &PromoteArgs,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let which = args.which.selector()?;
    let session = Session::open(&args.config, Access::ReadWrite, commands, output)?;
    let user = args.user.clone().or(session.config.agent.user.clone());
    let Some(user) = user else {
        return Err(Stop::wrong(
            "there is no user to promote it to. Say --user ID, or set agent.user in the configuration",
        ));
    };
    let entry = session.pick(&which)?;
    let scope: Scope = super::parsed(&format!("user:{user}")).map_err(Stop::wrong)?;
    session.change(
        || vec![event_of(Kind::SecretPromote, &entry).target(scope.to_string())],
        |vault| vault.promote(&exactly(&entry), &user),
    )?;
    let text = format!("promoted {} to {scope}", named(&entry));
    report(
        &entry,
        "promoted",
        [("to", json!(scope.to_string()))],
        &text,
        output,
    )
}

fn report<const N: usize>(
    entry: &Entry,
    done: &str,
    more: [(&str, serde_json::Value); N],
    text: &str,
    output: Output,
) -> Result<ExitCode, Stop> {
    if output.json() {
        let mut report = name_json(&entry.key, &entry.pattern, &entry.scope);
        report.insert("id".to_owned(), json!(entry.id));
        report.extend(more.map(|(name, value)| (name.to_owned(), value)));
        output::result(&json!({ done: report }).to_string())?;
    } else {
        output.say(text)?;
    }
    Ok(ExitCode::SUCCESS)
}
