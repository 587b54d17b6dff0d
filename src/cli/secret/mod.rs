//! `bauta secret …`: what stands in the vault, and every change of it.
//!
//! The way through: [`run`] takes one parsed command; a change goes through `Session::change`, which makes the audit event durable before
//! the commit. No command shows a value or how long it is.

mod alter;
mod args;
mod import;
mod list;
mod set;
mod show;
mod test_pattern;
mod uses;
mod why;

use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;

use serde_json::{Value, json};

pub(super) use args::SecretCommand;
use args::Which;

use super::Commands;
use super::output::{Output, Stop};
use super::session::Session;
use crate::audit::{Event, Kind};
use crate::config::Config;
use crate::secret::vault::{Entry, Filter, Selector};
use crate::secret::{Key, Pattern, Scope};

/// Runs one of them.
pub(super) fn run(
    command: SecretCommand,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    match command {
        SecretCommand::Set(args) => set::run(&args, commands, output),
        SecretCommand::Import(args) => import::run(&args, commands, output),
        SecretCommand::List(args) => list::run(&args, commands, output),
        SecretCommand::Show(args) => show::run(&args, commands, output),
        SecretCommand::Rotate(args) => alter::rotate(&args, commands, output),
        SecretCommand::Rm(args) => alter::remove(&args, commands, output),
        SecretCommand::Assign(args) => alter::assign(&args, commands, output),
        SecretCommand::Promote(args) => alter::promote(&args, commands, output),
        SecretCommand::Why(args) => why::run(&args, commands, output),
        SecretCommand::Test { pattern, url } => test_pattern::run(&pattern, &url, output),
    }
}

/// A word of the command line, or what is wrong with it.
fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The scope that was named, else the configured agent's own.
fn scope_or_own(named: Option<&str>, config: &Config) -> Result<Scope, String> {
    match named {
        Some(text) => parsed(text),
        None => parsed(&format!("agent:{}", config.agent.id)),
    }
}

/// Says so where the configured agent will not have what was stored: then it is not masked either.
fn warn_if_unseen(session: &Session<'_>, scope: &Scope, output: Output) {
    let identity = session.identity();
    let is_assigned = || {
        let all = session
            .vault
            .entries(&Filter::default())
            .unwrap_or_default();
        let mut of_scope = all.iter().filter(|entry| entry.scope == *scope);
        of_scope.all(|entry| entry.agents.iter().any(|one| one.agent == identity.agent))
    };
    let assigned = matches!(scope, Scope::User(_)) && is_assigned();
    if let Err(unseen) = scope.seen_by(&identity, assigned) {
        output.warning(&format!(
            "not masked for agent {}: {unseen}",
            identity.agent
        ));
    }
}

impl Which {
    /// The same for the vault.
    fn selector(&self) -> Result<Selector, Stop> {
        let key = parsed(&self.key);
        let pattern = self.domain.as_deref().map(parsed).transpose();
        let scope = self.scope.as_deref().map(parsed).transpose();
        match (key, pattern, scope) {
            (Ok(key), Ok(pattern), Ok(scope)) => Ok(Selector {
                key,
                pattern,
                scope,
            }),
            (key, pattern, scope) => {
                let texts = [key.err(), pattern.err(), scope.err()];
                Err(Stop::Wrong(texts.into_iter().flatten().collect()))
            }
        }
    }
}

/// What is meant, exactly.
fn exactly(entry: &Entry) -> Selector {
    Selector {
        key: entry.key.clone(),
        pattern: Some(entry.pattern.clone()),
        scope: Some(entry.scope.clone()),
    }
}

/// An event about one secret.
fn event(kind: Kind, key: &Key, pattern: &Pattern, scope: &Scope) -> Event {
    Event::new(kind)
        .channel("cli")
        .key(key.as_str())
        .domain(pattern.to_string())
        .scope(scope.to_string())
}

/// An event about a secret that is in the vault.
fn event_of(kind: Kind, entry: &Entry) -> Event {
    event(kind, &entry.key, &entry.pattern, &entry.scope)
}

/// A secret's name, for programs.
fn name_json(key: &Key, pattern: &Pattern, scope: &Scope) -> serde_json::Map<String, Value> {
    let mut name = serde_json::Map::new();
    name.insert("key".to_owned(), json!(key.as_str()));
    name.insert("domain".to_owned(), json!(pattern.to_string()));
    name.insert("scope".to_owned(), json!(scope.to_string()));
    name
}
