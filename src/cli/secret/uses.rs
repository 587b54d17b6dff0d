//! When a secret was used last, from the audit log. Streams; keeps two times for each secret that the log names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use serde::Deserialize;

use crate::audit::{self, Found, Kind, Query};
use crate::cli::output::Stop;
use crate::config::Config;
use crate::secret::Key;
use crate::secret::vault::Entry;

/// Which secret a record is about. The log may leave domain and scope open; then it is about all of that key.
#[derive(PartialEq, Eq, Hash)]
struct Subject {
    key: String,
    domain: Option<String>,
    scope: Option<String>,
}

/// Seconds since 1970.
#[derive(Default)]
struct Last {
    substituted: Option<u64>,
    masked: Option<u64>,
}

/// The last uses that the log knows of.
#[derive(Default)]
pub(super) struct Uses {
    last: HashMap<Subject, Last>,
}

/// What is looked at of a record.
#[derive(Deserialize)]
struct Use<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(default)]
    keys: Vec<String>,
    domain: Option<String>,
    scope: Option<String>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
}

impl Uses {
    /// Reads the log of a configuration: all of it, or what it says of one key. No log means no uses.
    pub(super) fn read(config: &Config, key: Option<&Key>) -> Result<Self, Stop> {
        let mut uses = Self::default();
        let query = Query {
            key: key.map(Key::to_string),
            ..Query::default()
        };
        let search = match audit::search(&config.audit.path, &query) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(uses),
            search => search
                .context("cannot read the audit log")
                .map_err(Stop::Failed)?,
        };
        for found in search {
            let found = found
                .context("cannot read the audit log")
                .map_err(Stop::Failed)?;
            // `audit verify` is there to judge the log.
            if let Found::Hit(hit) = found {
                uses.take(&hit.text);
            }
        }
        Ok(uses)
    }

    fn take(&mut self, line: &str) {
        let Ok(record) = serde_json::from_str::<Use<'_>>(line) else {
            return;
        };
        let substituted = record.event == Kind::Substitute.name();
        let done = !matches!(record.outcome.as_deref(), Some("failed" | "refused"));
        let is_use = done && (substituted || record.event == Kind::Mask.name());
        let time = humantime::parse_rfc3339(&record.time).ok();
        let Some(time) = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) else {
            return;
        };
        if !is_use {
            return;
        }
        let (mut keys, first) = (record.keys, record.key);
        keys.extend(first.map(Cow::into_owned));
        keys.sort_unstable();
        keys.dedup();
        // Domain and scope are those of the first key; of the others they are not known.
        let alone = keys.len() == 1;
        for key in keys {
            let subject = Subject {
                key,
                domain: record.domain.clone().filter(|_| alone),
                scope: record.scope.clone().filter(|_| alone),
            };
            let last = self.last.entry(subject).or_default();
            let last = if substituted {
                &mut last.substituted
            } else {
                &mut last.masked
            };
            *last = (*last).max(Some(time.as_secs()));
        }
    }

    /// When its value was last put somewhere.
    pub(super) fn substituted(&self, entry: &Entry) -> Option<u64> {
        self.latest(entry, |last| last.substituted)
    }

    /// When its value was last found, and replaced by its name.
    pub(super) fn masked(&self, entry: &Entry) -> Option<u64> {
        self.latest(entry, |last| last.masked)
    }

    /// The later of both.
    pub(super) fn last(&self, entry: &Entry) -> Option<u64> {
        self.substituted(entry).max(self.masked(entry))
    }

    fn latest(&self, entry: &Entry, time: impl Fn(&Last) -> Option<u64>) -> Option<u64> {
        let (domain, scope) = (entry.pattern.to_string(), entry.scope.to_string());
        let mut latest = None;
        for domain in [None, Some(domain)] {
            for scope in [None, Some(scope.clone())] {
                let subject = Subject {
                    key: entry.key.to_string(),
                    domain: domain.clone(),
                    scope,
                };
                latest = latest.max(self.last.get(&subject).and_then(&time));
            }
        }
        latest
    }
}
