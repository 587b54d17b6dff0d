//! `bauta secret show`: all that is known of a secret but its value.

use std::process::ExitCode;

use serde_json::json;

use super::args::ShowArgs;
use super::name_json;
use super::uses::Uses;
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{self, Session};
use crate::cli::table::{self, cut, whole};
use crate::cli::{Commands, when};
use crate::secret::vault::{Entry, Filter, VaultError, Version};
use crate::secret::{Options, Place};

/// Characters of a field's name.
const NAME_WIDTH: usize = 13;

pub(super) fn run(args: &ShowArgs, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let which = args.which.selector()?;
    let session = Session::open(&args.config, session::READ, commands, output)?;
    let filter = Filter {
        key: Some(which.key.clone()),
        pattern: which.pattern.clone(),
        scope: which.scope.clone(),
    };
    let entries = session.vault.entries(&filter).map_err(session::stop)?;
    if entries.is_empty() {
        return Err(session::stop(VaultError::Unknown(which.to_string())));
    }
    let uses = Uses::read(&session.config, Some(&which.key))?;
    if output.json() {
        let secrets: Vec<_> = entries.iter().map(|entry| full(entry, &uses)).collect();
        output::result(&json!({ "secrets": secrets }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            output::result("")?;
        }
        lines(entry, &uses)
            .iter()
            .try_for_each(|line| output::result(line))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(entry: &Entry, uses: &Uses) -> Vec<String> {
    let mut lines = vec![entry.key.to_string()];
    let fields = [
        ("domain", entry.pattern.to_string()),
        ("scope", entry.scope.to_string()),
    ]
    .into_iter()
    .chain(options(&entry.options))
    .chain([
        ("assigned to", assigned(entry)),
        ("id", entry.id.clone()),
        ("created", when::shown(entry.created)),
        ("changed", when::shown(entry.changed)),
        ("substituted", last(uses.substituted(entry))),
        ("masked", last(uses.masked(entry))),
    ]);
    lines.extend(fields.map(|(name, text)| {
        let line = format!("  {name:NAME_WIDTH$}{}", table::clean(&text));
        line.trim_end().to_owned()
    }));
    let columns = [
        whole("  VERSION"),
        cut("STATE"),
        whole("CREATED"),
        whole("DESTROYED"),
    ];
    let rows: Vec<Vec<String>> = entry.versions.iter().rev().map(row).collect();
    lines.extend(table::lines(&columns, &rows));
    lines
}

fn row(version: &Version) -> Vec<String> {
    vec![
        format!("  {}", version.number),
        version.state.as_str().to_owned(),
        when::shown(version.created),
        version.destroyed_at.map_or(String::new(), when::shown),
    ]
}

fn last(seconds: Option<u64>) -> String {
    seconds.map_or("never".to_owned(), when::shown)
}

fn assigned(entry: &Entry) -> String {
    let agents: Vec<&str> = entry
        .agents
        .iter()
        .map(|assignment| assignment.agent.as_str())
        .collect();
    if agents.is_empty() {
        "nobody".to_owned()
    } else {
        agents.join(", ")
    }
}

/// The options, as a submission names them.
fn options(options: &Options) -> [(&'static str, String); 7] {
    [
        ("kind", options.kind.as_str().to_owned()),
        ("mask", options.mask.as_str().to_owned()),
        ("allow", places(options).join(", ")),
        ("field", options.field.as_str().to_owned()),
        ("fill", options.fill.as_str().to_owned()),
        ("max_uses", options.max_uses.to_string()),
        ("ignore_case", options.ignore_case.to_string()),
    ]
}

/// The places that take the value.
pub(super) fn places(options: &Options) -> Vec<&'static str> {
    options.allow.iter().copied().map(Place::as_str).collect()
}

fn full(entry: &Entry, uses: &Uses) -> serde_json::Map<String, serde_json::Value> {
    let mut full = name_json(&entry.key, &entry.pattern, &entry.scope);
    let options = &entry.options;
    let versions: Vec<_> = entry
        .versions
        .iter()
        .map(|version| {
            json!({
                "number": version.number,
                "state": version.state.as_str(),
                "created": when::shown(version.created),
                "destroyed": version.destroyed_at.map(when::shown),
            })
        })
        .collect();
    let agents: Vec<_> = entry
        .agents
        .iter()
        .map(|assignment| json!({ "agent": assignment.agent, "since": when::shown(assignment.since) }))
        .collect();
    let more = [
        ("id", json!(entry.id)),
        ("kind", json!(options.kind.as_str())),
        ("mask", json!(options.mask.as_str())),
        ("allow", json!(places(options))),
        ("field", json!(options.field.as_str())),
        ("fill", json!(options.fill.as_str())),
        ("max_uses", json!(options.max_uses)),
        ("ignore_case", json!(options.ignore_case)),
        ("assigned", json!(agents)),
        ("versions", json!(versions)),
        ("created", json!(when::shown(entry.created))),
        ("changed", json!(when::shown(entry.changed))),
        (
            "substituted",
            json!(uses.substituted(entry).map(when::shown)),
        ),
        ("masked", json!(uses.masked(entry).map(when::shown))),
    ];
    full.extend(more.map(|(name, value)| (name.to_owned(), value)));
    full
}
