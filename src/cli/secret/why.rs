//! `bauta secret why`: would a key become its value at an origin, and if not, why.

use std::process::ExitCode;

use serde_json::json;

use super::args::WhyArgs;
use super::list::version;
use super::uses::Uses;
use super::{parsed, show};
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{self, Session};
use crate::cli::{Commands, when};
use crate::secret::vault::{Entry, Filter};
use crate::secret::{Identity, Key, Origin, Scope, Standing, View};

pub(super) fn run(args: &WhyArgs, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    let (key, origin) = match (parsed::<Key>(&args.key), parsed::<Origin>(&args.origin)) {
        (Ok(key), Ok(origin)) => (key, origin),
        (key, origin) => {
            let texts = [key.err(), origin.err()];
            return Err(Stop::Wrong(texts.into_iter().flatten().collect()));
        }
    };
    let session = Session::open(&args.config, session::READ, commands, output)?;
    let filter = Filter {
        key: Some(key.clone()),
        ..Filter::default()
    };
    let entries = session.vault.entries(&filter).map_err(session::stop)?;
    let identity = (commands.settings)(&session.config)
        .identity
        .unwrap_or_default();
    // What does not open is not substituted either, but masks nothing any more: that is an error, not an answer.
    let view = session.vault.view(&identity).map_err(session::stop)?;
    let answer = Answer::new(&entries, &view, &key, &origin, &identity);
    let uses = Uses::read(&session.config, Some(&key))?;
    if output.json() {
        output::result(&answer.json(&key, &origin, &uses).to_string())?;
    } else {
        answer
            .lines(&key, &origin, &identity, &uses)
            .iter()
            .try_for_each(|line| output.say(line))?;
    }
    Ok(ExitCode::from(u8::from(answer.chosen.is_none())))
}

/// How every secret of the key fares.
struct Answer<'a> {
    chosen: Option<&'a Entry>,
    others: Vec<(&'a Entry, String)>,
}

impl<'a> Answer<'a> {
    fn new(
        entries: &'a [Entry],
        view: &View,
        key: &Key,
        origin: &Origin,
        identity: &Identity,
    ) -> Self {
        let standings = view.standings(key.as_str(), origin);
        let mut answer = Self {
            chosen: None,
            others: Vec::new(),
        };
        for entry in entries {
            let assigned = entry
                .agents
                .iter()
                .any(|assignment| assignment.agent == identity.agent);
            if let Err(unseen) = entry.scope.seen_by(identity, assigned) {
                answer.others.push((entry, unseen.to_string()));
                continue;
            }
            let standing = standings.iter().find(|(secret, _)| {
                *secret.pattern() == entry.pattern && *secret.scope() == entry.scope
            });
            match standing {
                Some((_, Standing::Chosen)) => answer.chosen = Some(entry),
                Some((_, standing)) => answer.others.push((entry, standing.to_string())),
                None => answer
                    .others
                    .push((entry, "it has no value any more".to_owned())),
            }
        }
        answer
    }

    fn lines(&self, key: &Key, origin: &Origin, identity: &Identity, uses: &Uses) -> Vec<String> {
        let Some(entry) = self.chosen else {
            let mut lines = vec![format!("no: {key} is not substituted at {origin}")];
            if self.others.is_empty() {
                lines.push(format!(
                    "  fulfilled  there is no secret {key}. Make one with: bauta secret set {key} --domain {origin}"
                ));
            }
            lines.extend(self.other_lines());
            return lines;
        };
        let set = entry
            .versions
            .last()
            .map_or(entry.changed, |version| version.created);
        let number = version(entry).unwrap_or_default();
        let last = uses.last(entry).map_or("never".to_owned(), when::shown);
        let mut lines = vec![
            format!("yes: {key} is substituted at {origin}"),
            format!("  fulfilled  version {number}, set {}", when::shown(set)),
            format!(
                "  scope      {}, {}",
                entry.scope,
                belongs(&entry.scope, identity)
            ),
            format!("  pattern    {} matches", entry.pattern),
            format!("  places     {}", show::places(&entry.options).join(", ")),
            format!("  last use   {last}"),
        ];
        lines.extend(self.other_lines());
        lines
    }

    fn other_lines(&self) -> impl Iterator<Item = String> {
        self.others
            .iter()
            .map(|(entry, reason)| format!("  not {} in {}: {reason}", entry.pattern, entry.scope))
    }

    fn json(&self, key: &Key, origin: &Origin, uses: &Uses) -> serde_json::Value {
        let others: Vec<_> = self
            .others
            .iter()
            .map(|(entry, reason)| {
                json!({
                    "domain": entry.pattern.to_string(), "scope": entry.scope.to_string(), "reason": reason,
                })
            })
            .collect();
        let fulfilled = self.chosen.is_some() || !others.is_empty();
        let chosen = self.chosen.map(|entry| {
            json!({
                "domain": entry.pattern.to_string(),
                "scope": entry.scope.to_string(),
                "id": entry.id,
                "version": version(entry),
                "allow": show::places(&entry.options),
                "last_use": uses.last(entry).map(when::shown),
            })
        });
        json!({
            "key": key.as_str(), "origin": origin.to_string(), "substituted": self.chosen.is_some(),
            "fulfilled": fulfilled, "secret": chosen, "others": others,
        })
    }
}

fn belongs(scope: &Scope, identity: &Identity) -> String {
    match scope {
        Scope::Agent(_) => "the agent itself".to_owned(),
        Scope::User(_) => format!("assigned to the agent {}", identity.agent),
        Scope::Profile(_) => "a profile that the agent uses".to_owned(),
        Scope::Org(_) => "the agent's organization".to_owned(),
        Scope::Task(_) => "a task".to_owned(),
    }
}
