//! Reads a secrets file for a command, and words what is wrong with it.

use super::output::Stop;
use crate::config::SecretLimits;
use crate::secret::{self, Limits, Problem, Source, SourceError, Submission};

/// Secrets, and the warnings about them.
pub(super) struct Loaded {
    pub(super) submission: Submission,
    pub(super) warnings: Vec<String>,
}

/// Reads and checks a source.
pub(super) fn load(source: &Source, limits: &SecretLimits) -> Result<Loaded, Stop> {
    let (bytes, open_to_others) = secret::read_secrets(source).map_err(|error| match error {
        SourceError::Blank(_) => Stop::wrong(error.to_string()),
        _ => Stop::wrong(format!(
            "{error}. Use --secrets with a file that exists and may be read"
        )),
    })?;
    let submission =
        secret::parse_submission(bytes, &self::limits(limits)).map_err(|problems| {
            Stop::Wrong(
                problems
                    .iter()
                    .map(|problem| placed(source, problem))
                    .collect(),
            )
        })?;
    let mut warnings: Vec<String> = open_to_others.into_iter().collect();
    warnings.extend(
        submission
            .warnings()
            .iter()
            .map(|problem| placed(source, problem)),
    );
    Ok(Loaded {
        submission,
        warnings,
    })
}

/// The limits of a configuration in the words of the room that keeps them.
pub fn limits(limits: &SecretLimits) -> Limits {
    Limits {
        max_secrets: limits.max_secrets,
        max_domains: limits.max_domains,
        max_value_bytes: limits.max_value_bytes,
        max_total_bytes: limits.max_total_bytes,
    }
}

/// The text that users know, then where it stands.
fn placed(source: &Source, problem: &Problem) -> String {
    match problem.place() {
        Some(place) => format!("{source}: {problem} ({place})"),
        None => format!("{source}: {problem}"),
    }
}
