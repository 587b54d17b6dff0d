//! `bauta secret list`: what is in the vault, a line each.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::ListArgs;
use super::uses::Uses;
use super::{name_json, parsed};
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{self, Session};
use crate::cli::table::{self, cut, whole};
use crate::cli::{Commands, when};
use crate::secret::vault::{Entry, Filter, VersionState};

/// Seconds of a day.
const DAY: u64 = 86_400;

pub(super) fn run(args: &ListArgs, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let key = args.key.as_deref().map(parsed).transpose();
    let scope = args.scope.as_deref().map(parsed).transpose();
    let (key, scope) = match (key, scope) {
        (Ok(key), Ok(scope)) => (key, scope),
        (key, scope) => {
            let texts = [key.err(), scope.err()];
            return Err(Stop::Wrong(texts.into_iter().flatten().collect()));
        }
    };
    let filter = Filter {
        key,
        pattern: None,
        scope,
    };
    let session = Session::open(&args.config, session::READ, commands, output)?;
    let mut entries = session.vault.entries(&filter).map_err(session::stop)?;
    let uses = if args.stale.is_some() {
        Some(Uses::read(&session.config, filter.key.as_ref())?)
    } else {
        None
    };
    if let (Some(days), Some(uses)) = (args.stale, &uses) {
        let border = now().saturating_sub(u64::from(days) * DAY);
        entries.retain(|entry| {
            entry.changed <= border && uses.last(entry).is_none_or(|last| last <= border)
        });
    }
    if output.json() {
        let secrets: Vec<_> = entries
            .iter()
            .map(|entry| brief(entry, uses.as_ref()))
            .collect();
        output::result(&json!({ "secrets": secrets }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if entries.is_empty() {
        output::result("no secrets")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut columns = vec![
        whole("KEY"),
        cut("DOMAIN"),
        cut("SCOPE"),
        whole("KIND"),
        whole("VERSION"),
        whole("CHANGED"),
    ];
    if uses.is_some() {
        columns.push(whole("LAST USE"));
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| row(entry, uses.as_ref()))
        .collect();
    table::lines(&columns, &rows)
        .iter()
        .try_for_each(|line| output::result(line))?;
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Entry, uses: Option<&Uses>) -> Vec<String> {
    let mut row = vec![
        entry.key.to_string(),
        entry.pattern.to_string(),
        entry.scope.to_string(),
        entry.options.kind.as_str().to_owned(),
        version(entry).map_or(String::new(), |number| number.to_string()),
        day(entry.changed),
    ];
    if let Some(uses) = uses {
        row.push(uses.last(entry).map_or("never".to_owned(), day));
    }
    row
}

/// The date alone.
fn day(seconds: u64) -> String {
    when::shown(seconds).chars().take(10).collect()
}

fn brief(entry: &Entry, uses: Option<&Uses>) -> serde_json::Map<String, serde_json::Value> {
    let mut brief = name_json(&entry.key, &entry.pattern, &entry.scope);
    brief.insert("id".to_owned(), json!(entry.id));
    brief.insert("kind".to_owned(), json!(entry.options.kind.as_str()));
    brief.insert("version".to_owned(), json!(version(entry)));
    brief.insert("created".to_owned(), json!(when::shown(entry.created)));
    brief.insert("changed".to_owned(), json!(when::shown(entry.changed)));
    if let Some(uses) = uses {
        brief.insert(
            "last_use".to_owned(),
            json!(uses.last(entry).map(when::shown)),
        );
    }
    brief
}

/// The number of the current version.
pub(super) fn version(entry: &Entry) -> Option<u32> {
    let mut versions = entry.versions.iter();
    versions
        .find(|version| version.state == VersionState::Current)
        .map(|version| version.number)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
