//! All secrets of a vault, read and checked as a whole: either every row is what was written, or the ones that are not are named.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::VaultError;
use super::ledger::{Ledger, Tally};
use super::store::{AssignmentRow, SecretRow, Sum, VersionRow};
use super::types::{Assignment, Entry, Version, VersionState};
use crate::secret::options;
use crate::secret::raw::Node;
use crate::secret::{Identity, Key, Options, Pattern, Scope};

/// A secret with its rows. Its values are sealed.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) row: SecretRow,
    pub(super) key: Key,
    pub(super) pattern: Pattern,
    pub(super) scope: Scope,
    pub(super) options: Options,
    /// Oldest first.
    pub(super) versions: Vec<VersionRow>,
    pub(super) assignments: Vec<AssignmentRow>,
}

impl Stored {
    /// A secret's rows in words; `None` if they do not fit together.
    fn parse(
        row: SecretRow,
        versions: Vec<VersionRow>,
        assignments: Vec<AssignmentRow>,
    ) -> Option<Self> {
        let current = versions
            .iter()
            .find(|version| version.number == row.current)?;
        let newest = versions.last()?;
        if current.sealed.is_none() || current.ends.is_some() || newest.number != row.current {
            return None;
        }
        Some(Self {
            key: row.key.parse().ok()?,
            pattern: row.pattern.parse().ok()?,
            scope: row.scope.parse().ok()?,
            options: parse_options(&row.options)?,
            row,
            versions,
            assignments,
        })
    }

    /// The version that is substituted.
    pub(super) fn current(&self) -> &VersionRow {
        self.versions
            .last()
            .expect("a secret without versions is not read, and none is written")
    }

    /// Versions that are masked only.
    pub(super) fn former(&self) -> impl Iterator<Item = &VersionRow> {
        let current = self.row.current;
        self.versions
            .iter()
            .filter(move |version| version.number != current && version.sealed.is_some())
    }

    /// Versions whose value is gone.
    pub(super) fn destroyed(&self) -> impl Iterator<Item = &VersionRow> {
        self.versions
            .iter()
            .filter(|version| version.sealed.is_none())
    }

    /// Whether it is assigned to an agent.
    pub(super) fn is_assigned(&self, agent: &str) -> bool {
        self.assignments.iter().any(|row| row.agent == agent)
    }

    /// Whether it is in an agent's view.
    pub(super) fn is_seen_by(&self, identity: &Identity) -> bool {
        self.scope
            .seen_by(identity, self.is_assigned(&identity.agent))
            .is_ok()
    }

    /// In words, for people.
    pub(super) fn name(&self) -> String {
        format!("{} for {} in {}", self.key, self.pattern, self.scope)
    }

    /// As it is listed.
    pub(super) fn entry(&self) -> Entry {
        let version = |row: &VersionRow| Version {
            number: u32::try_from(row.number).unwrap_or(u32::MAX),
            created: row.created.unsigned_abs(),
            state: match (row.number == self.row.current, &row.sealed) {
                (true, _) => VersionState::Current,
                (false, Some(_)) => VersionState::Former,
                (false, None) => VersionState::Destroyed,
            },
            destroyed_at: row.ends.map(i64::unsigned_abs),
        };
        let assignment = |row: &AssignmentRow| Assignment {
            agent: row.agent.clone(),
            since: row.created.unsigned_abs(),
        };
        Entry {
            id: self.row.id.clone(),
            key: self.key.clone(),
            pattern: self.pattern.clone(),
            scope: self.scope.clone(),
            options: self.options.clone(),
            versions: self.versions.iter().map(version).collect(),
            agents: self.assignments.iter().map(assignment).collect(),
            created: self.row.created.unsigned_abs(),
            changed: self.row.changed.unsigned_abs(),
        }
    }
}

/// Reads everything that views depend on.
pub(super) fn load(ledger: &Ledger<'_>) -> Result<Vec<Stored>, VaultError> {
    let rows = ledger.rows();
    let mut tally = ledger.tally();
    for key in rows.keys()? {
        tally.row(&key);
    }
    let mut versions = by_secret(&mut tally, rows.versions()?, |row| {
        (row.secret.clone(), row.number.to_string())
    });
    let mut assignments = by_secret(&mut tally, rows.assignments()?, |row| {
        (row.secret.clone(), row.agent.clone())
    });
    let mut all = Vec::new();
    let mut last = String::new();
    for row in rows.secrets()? {
        tally.row(&row);
        if row.id == last {
            tally.broken(&format!("secret {} (twice)", row.id));
        }
        last.clone_from(&row.id);
        let (name, id) = (crate::secret::vault::store::Row::name(&row), row.id.clone());
        let versions = versions.remove(&id).unwrap_or_default();
        missing(&mut tally, &row, &versions);
        let assignments = assignments.remove(&id).unwrap_or_default();
        match Stored::parse(row, versions, assignments) {
            Some(stored) => all.push(stored),
            None => tally.broken(&name),
        }
    }
    for row in versions.into_values().flatten() {
        tally.broken(&format!("version {} of no secret", row.number));
    }
    for row in assignments.into_values().flatten() {
        tally.broken(&format!("assignment of no secret to {}", row.agent));
    }
    ledger.complete(tally, Sum::Main)?;
    Ok(all)
}

/// Sorts rows by the secret that they belong to, in the order of their keys, and names those that stand there twice.
fn by_secret<R: super::store::Row>(
    tally: &mut Tally<'_>,
    rows: Vec<R>,
    key: impl Fn(&R) -> (String, String),
) -> BTreeMap<String, Vec<R>> {
    let mut all: BTreeMap<String, Vec<R>> = BTreeMap::new();
    let mut last = None;
    for row in rows {
        tally.row(&row);
        let key = key(&row);
        if last.as_ref() == Some(&key) {
            tally.broken(&format!("{} (twice)", row.name()));
        }
        all.entry(key.0.clone()).or_default().push(row);
        last = Some(key);
    }
    all
}

/// Names the versions that a secret lists and that are not there, and those that are there and not listed.
fn missing(tally: &mut Tally<'_>, row: &SecretRow, versions: &[VersionRow]) {
    let listed: Vec<&str> = row
        .versions
        .split(',')
        .filter(|number| !number.is_empty())
        .collect();
    let there: Vec<String> = versions
        .iter()
        .map(|version| version.number.to_string())
        .collect();
    for number in &listed {
        if !there.iter().any(|other| other == number) {
            tally.broken(&format!("version {number} of secret {} (missing)", row.id));
        }
    }
    for number in &there {
        if !listed.contains(&number.as_str()) {
            tally.broken(&format!(
                "version {number} of secret {} (not listed)",
                row.id
            ));
        }
    }
}

/// The numbers of versions as a secret's row lists them.
pub(super) fn list(versions: &[VersionRow]) -> String {
    let numbers: Vec<String> = versions
        .iter()
        .map(|version| version.number.to_string())
        .collect();
    numbers.join(",")
}

/// Options as they are stored: the members that a submission has.
pub(super) fn write_options(options: &Options) -> String {
    let allow: Vec<&str> = options.allow.iter().map(|place| place.as_str()).collect();
    json!({
        "kind": options.kind.as_str(),
        "mask": options.mask.as_str(),
        "allow": allow,
        "field": options.field.as_str(),
        "fill": options.fill.as_str(),
        "max_uses": options.max_uses,
        "ignore_case": options.ignore_case,
    })
    .to_string()
}

fn parse_options(text: &str) -> Option<Options> {
    let Node::Object(members) = serde_json::from_str(text).ok()? else {
        return None;
    };
    let parsed = options::parse(members);
    (parsed.problems.is_empty() && parsed.value.is_none()).then_some(parsed.options)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secret::{Field, Fill, Kind, MaskOption, Place};

    #[test]
    fn options_survive() {
        let other = Options {
            kind: Kind::Totp,
            mask: MaskOption::Word,
            allow: BTreeSet::from([Place::Query, Place::Path, Place::Body]),
            field: Field::Any,
            fill: Fill::Network,
            max_uses: 7,
            ignore_case: true,
        };
        let none = Options {
            allow: BTreeSet::new(),
            ..other.clone()
        };
        for options in [Options::default(), other, none] {
            assert_eq!(parse_options(&write_options(&options)), Some(options));
        }
        assert_eq!(parse_options("[]"), None);
        assert_eq!(parse_options(r#"{"kind":"other"}"#), None);
    }
}
