//! The secrets that one agent may use, and which of them counts where.
//!
//! Several secrets may share a key: of different patterns, and of different scopes. For masking all of them count. For use, the
//! one counts whose pattern fits the origin most closely, and of those the one of the narrowest scope ([`View::find`]); what it
//! does not allow, a wider one cannot.

use std::cmp::Reverse;
use std::fmt;

use super::{Origin, Secret, Verdict};

/// The secrets that an agent may use.
pub struct View {
    /// By key, then by scope, the narrowest first, then by pattern.
    secrets: Vec<Secret>,
}

/// Why no secret answers to a key at an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// No secret of the view has that key.
    #[error("no secret of this name is in the agent's view")]
    UnknownKey,
    /// None of its secrets belongs there.
    #[error("no secret of this name belongs to the destination")]
    NoPattern,
}

/// How a secret fares in the choice for an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the one.
    Chosen,
    /// Its pattern does not match; never [`Verdict::Match`].
    NoMatch(Verdict),
    /// It matches, but another's pattern fits more closely.
    LessSpecific,
    /// It matches as closely, but another's scope is narrower.
    WiderScope,
    /// Another is as good; the first in the order of scopes and patterns counts.
    Later,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("it is the one that counts"),
            Self::NoMatch(verdict) => verdict.fmt(f),
            Self::LessSpecific => f.write_str("another pattern fits more closely"),
            Self::WiderScope => f.write_str("a narrower scope has one of its own"),
            Self::Later => f.write_str("another fits as well and comes first"),
        }
    }
}

impl View {
    /// A view of these secrets, each of which the agent may use.
    pub fn new(mut secrets: Vec<Secret>) -> Self {
        secrets.sort_by_cached_key(|secret| {
            (
                secret.key().clone(),
                secret.scope().clone(),
                secret.pattern().to_string(),
            )
        });
        Self { secrets }
    }

    /// Its secrets, by key, then by scope, the narrowest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// How many secrets there are.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// All secrets of a key, the narrowest scope first.
    pub fn of(&self, key: &str) -> &[Secret] {
        let start = self.secrets.partition_point(|s| s.key().as_str() < key);
        let rest = &self.secrets[start..];
        &rest[..rest.partition_point(|s| s.key().as_str() == key)]
    }

    /// The secret for which the key stands at an origin: of those whose pattern matches, an exact host over a wildcard, a longer
    /// suffix over a shorter, then the narrower scope, then an exact scheme and port over open ones.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, key: &str, origin: &Origin) -> Result<&Secret, NotThere> {
        let all = self.of(key);
        if all.is_empty() {
            return Err(NotThere::UnknownKey);
        }
        // Of equals, `min_by_key` takes the first.
        all.iter()
            .filter(|secret| secret.pattern().matches(origin))
            .min_by_key(|secret| closeness(secret))
            .ok_or(NotThere::NoPattern)
    }

    /// Every secret of the key, and how it fares in the choice that [`View::find`] makes.
    pub fn standings(&self, key: &str, origin: &Origin) -> Vec<(&Secret, Standing)> {
        let chosen = self.find(key, origin).ok();
        let standing = |secret: &Secret| {
            let verdict = secret.pattern().verdict(origin);
            let Some(chosen) = chosen.filter(|_| verdict == Verdict::Match) else {
                return Standing::NoMatch(verdict);
            };
            if std::ptr::eq(chosen, secret) {
                return Standing::Chosen;
            }
            let host = |secret: &Secret| secret.pattern().specificity().host();
            if host(secret) < host(chosen) {
                Standing::LessSpecific
            } else if secret.scope().rank() > chosen.scope().rank() {
                Standing::WiderScope
            } else if secret.pattern().specificity() < chosen.pattern().specificity() {
                Standing::LessSpecific
            } else {
                Standing::Later
            }
        };
        self.of(key)
            .iter()
            .map(|secret| (secret, standing(secret)))
            .collect()
    }
}

/// Orders secrets that match one origin: the least counts.
fn closeness(secret: &Secret) -> impl Ord + use<> {
    let specificity = secret.pattern().specificity();
    (
        Reverse(specificity.host()),
        secret.scope().rank(),
        Reverse(specificity),
    )
}
