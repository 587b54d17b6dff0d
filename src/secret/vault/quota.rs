//! The limits of 7.1, counted over what one agent sees, and the rule that no value reads as a name of its view.
//!
//! Which agents see a secret is known as far as the vault knows it: an agent's own secrets and those assigned to it; and the whole
//! view of the agent that this configuration is about. Profiles and organizations are counted each for itself besides.
//!
//! A limit that was lowered below what is there does not stand in the way of a change that adds nothing: a leaked value must be
//! rotated at any time.

use std::collections::{BTreeSet, HashMap, HashSet};

use zeroize::Zeroizing;

use super::contents::Stored;
use super::error::VaultError;
use super::keyring::Keyring;
use crate::secret::{Id, Identity, Limits, Pattern, Problem, Scope};

/// Most secrets of a vault, whoever they belong to.
const MOST: usize = 1_000_000;

/// Secrets that one agent sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// This configuration's agent.
    Own,
    /// Another one, as far as it is known, and its user.
    Agent(Id, Option<Id>),
    /// All of one scope.
    Scope(Scope),
}

/// What limits are about.
#[derive(Clone, Copy, Default)]
struct Measure {
    secrets: usize,
    domains: usize,
    bytes: usize,
}

/// Judges a change: what there was, what there would be, and the ids of what it touches.
pub(super) struct Judge<'a> {
    pub(super) limits: &'a Limits,
    pub(super) identity: Option<&'a Identity>,
    pub(super) ring: &'a Keyring,
    pub(super) before: &'a [Stored],
    pub(super) after: &'a [Stored],
    pub(super) touched: &'a HashSet<String>,
}

impl Judge<'_> {
    /// Everything that is wrong with it.
    pub(super) fn judge(&self) -> Result<(), VaultError> {
        let mut problems = Vec::new();
        for group in self.groups() {
            let members: Vec<&Stored> = self.members(&group, self.after).collect();
            self.names(&members, &mut problems)?;
            self.sizes(&group, &members, &mut problems)?;
        }
        if self.after.len() > MOST && self.after.len() > self.before.len() {
            problems.push(whole(format!("Maximum {MOST} secrets allowed in a vault")));
        }
        // An agent's view may be counted in two ways, and found wrong in both.
        let mut unique: Vec<Problem> = Vec::new();
        for problem in problems {
            if !unique.contains(&problem) {
                unique.push(problem);
            }
        }
        if unique.is_empty() {
            Ok(())
        } else {
            Err(VaultError::Invalid(unique))
        }
    }

    fn groups(&self) -> BTreeSet<Group> {
        let mut groups = BTreeSet::new();
        for stored in self.after.iter().filter(|stored| self.touches(stored)) {
            if self
                .identity
                .is_some_and(|identity| stored.is_seen_by(identity))
            {
                groups.insert(Group::Own);
            }
            match &stored.scope {
                Scope::Agent(agent) => {
                    groups.insert(Group::Agent(agent.clone(), None));
                    let users = self.after.iter().filter_map(|other| match &other.scope {
                        Scope::User(user) if other.is_assigned(agent.as_str()) => Some(user),
                        _ => None,
                    });
                    groups
                        .extend(users.map(|user| Group::Agent(agent.clone(), Some(user.clone()))));
                }
                Scope::User(user) => {
                    let agents = stored
                        .assignments
                        .iter()
                        .filter_map(|row| row.agent.parse().ok());
                    groups.extend(agents.map(|agent| Group::Agent(agent, Some(user.clone()))));
                }
                scope => {
                    groups.insert(Group::Scope(scope.clone()));
                }
            }
        }
        groups
    }

    fn touches(&self, stored: &Stored) -> bool {
        self.touched.contains(&stored.row.id)
    }

    fn members<'b>(
        &'b self,
        group: &'b Group,
        all: &'b [Stored],
    ) -> impl Iterator<Item = &'b Stored> {
        all.iter()
            .filter(move |stored| match (group, &stored.scope) {
                (Group::Own, _) => self
                    .identity
                    .is_some_and(|identity| stored.is_seen_by(identity)),
                (Group::Agent(agent, _), Scope::Agent(own)) => agent == own,
                (Group::Agent(agent, Some(user)), Scope::User(own)) => {
                    user == own && stored.is_assigned(agent.as_str())
                }
                (Group::Agent(..), _) => false,
                (Group::Scope(scope), own) => scope == own,
            })
    }

    /// A value that reads as a name of its view could not be told from the name.
    fn names(&self, members: &[&Stored], problems: &mut Vec<Problem>) -> Result<(), VaultError> {
        // Whether each name is one that the change touches; by its lower case as well.
        let mut exact: HashMap<&str, bool> = HashMap::new();
        let mut folded: HashMap<String, bool> = HashMap::new();
        for member in members {
            let touched = self.touches(member);
            *exact.entry(member.key.as_str()).or_default() |= touched;
            *folded
                .entry(member.key.as_str().to_ascii_lowercase())
                .or_default() |= touched;
        }
        for member in members {
            for version in member.former().chain([member.current()]) {
                let text = self.open(member, version)?;
                let named = if member.options.ignore_case {
                    folded.get(Zeroizing::new(text.to_ascii_lowercase()).as_str())
                } else {
                    exact.get(text.as_str())
                };
                if named.is_some_and(|touched| *touched || self.touches(member)) {
                    problems.push(Problem {
                        text: "Secret value must not equal a placeholder name".to_owned(),
                        domain: Some(member.pattern.to_string()),
                        key: Some(member.key.to_string()),
                    });
                }
            }
        }
        Ok(())
    }

    fn sizes(
        &self,
        group: &Group,
        members: &[&Stored],
        problems: &mut Vec<Problem>,
    ) -> Result<(), VaultError> {
        let limits = self.limits;
        let after = self.measure(members)?;
        if after.secrets <= limits.max_secrets
            && after.domains <= limits.max_domains
            && after.bytes <= limits.max_total_bytes
        {
            return Ok(());
        }
        let before: Vec<&Stored> = self.members(group, self.before).collect();
        let before = self.measure(&before)?;
        let grew = |after: usize, before: usize, limit: usize| after > limit && after > before;
        if grew(after.secrets, before.secrets, limits.max_secrets) {
            let most = limits.max_secrets;
            problems.push(whole(format!("Maximum {most} secrets allowed per agent")));
        }
        if grew(after.domains, before.domains, limits.max_domains) {
            let most = limits.max_domains;
            problems.push(whole(format!("Maximum {most} domains allowed per agent")));
        }
        if grew(after.bytes, before.bytes, limits.max_total_bytes) {
            let most = limits.max_total_bytes;
            problems.push(whole(format!(
                "Total secrets size too large (max {most} bytes)"
            )));
        }
        Ok(())
    }

    fn measure(&self, members: &[&Stored]) -> Result<Measure, VaultError> {
        let domains: HashSet<&Pattern> = members.iter().map(|member| &member.pattern).collect();
        let mut measure = Measure {
            secrets: members.len(),
            domains: domains.len(),
            bytes: 0,
        };
        for member in members {
            measure.bytes += self.open(member, member.current())?.len();
        }
        Ok(measure)
    }

    fn open(
        &self,
        stored: &Stored,
        version: &super::store::VersionRow,
    ) -> Result<Zeroizing<String>, VaultError> {
        self.ring
            .open(version)
            .ok_or_else(|| VaultError::Broken(vec![stored.name()]))
    }
}

fn whole(text: String) -> Problem {
    Problem {
        text,
        domain: None,
        key: None,
    }
}
