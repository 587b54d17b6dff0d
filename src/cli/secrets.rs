//! Reads a secrets file for a command, and words what is wrong with it.

use super::output::Stop;
use crate::secret::{self, Limits, Problem, Secret, Source, Submission};

/// Secrets, and the warnings about them.
pub(super) struct Loaded {
    pub(super) submission: Submission,
    pub(super) warnings: Vec<String>,
}

/// Reads and checks a source.
pub(super) fn load(source: &Source) -> Result<Loaded, Stop> {
    let (bytes, open_to_others) = secret::read(source).map_err(|error| {
        Stop::wrong(format!(
            "{error}. Use --secrets with a file that exists and may be read"
        ))
    })?;
    let submission = secret::parse_submission(bytes, &Limits::default()).map_err(|problems| {
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
    warnings.extend(
        submission
            .iter()
            .filter_map(not_in_force)
            .map(|text| format!("{source}: {text}")),
    );
    Ok(Loaded {
        submission,
        warnings,
    })
}

/// The text that users know, then where it stands.
fn placed(source: &Source, problem: &Problem) -> String {
    match problem.place() {
        Some(place) => format!("{source}: {problem} ({place})"),
        None => format!("{source}: {problem}"),
    }
}

/// The engine searches a value as it was written.
fn not_in_force(secret: &Secret) -> Option<String> {
    secret.options().ignore_case.then(|| {
        let (key, pattern) = (secret.key(), secret.pattern());
        format!("'ignore_case' is not in force yet: only the written letter case is masked ({key} of {pattern})")
    })
}
