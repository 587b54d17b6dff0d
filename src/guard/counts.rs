//! How often what was found, by the secrets that it may be of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Form;
use crate::secret::Secret;

/// A secret as the log names it: never its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Its key.
    pub key: String,
    /// Whose it is.
    pub scope: String,
    /// Where it belongs.
    pub domain: String,
}

impl Owner {
    /// The names of a secret.
    pub fn of(secret: &Secret) -> Self {
        Self {
            key: secret.key().as_str().to_owned(),
            scope: secret.scope().to_string(),
            domain: secret.pattern().to_string(),
        }
    }
}

/// Occurrences by secrets and form. Of one value under several keys all are named, the one that is written first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(Arc<[Owner]>, Form), u64>);

impl Counts {
    /// Adds occurrences.
    pub fn add(&mut self, owners: &Arc<[Owner]>, form: Form, count: u64) {
        let sum = self.0.entry((Arc::clone(owners), form)).or_default();
        *sum = sum.saturating_add(count);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        for ((owners, form), count) in &other.0 {
            self.add(owners, *form, *count);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its secrets and form.
    pub fn iter(&self) -> impl Iterator<Item = (&[Owner], Form, u64)> {
        self.0
            .iter()
            .map(|((owners, form), count)| (&owners[..], *form, *count))
    }

    /// Each by the key that it was written as.
    pub fn by_key(&self) -> BTreeMap<(&str, Form), u64> {
        let mut all = BTreeMap::new();
        for (owners, form, count) in self.iter() {
            let key = owners.first().map_or("unknown", |owner| owner.key.as_str());
            let sum: &mut u64 = all.entry((key, form)).or_default();
            *sum = sum.saturating_add(count);
        }
        all
    }
}
