//! Reads a secrets file for a command, and words what is wrong with it.

use super::output::Stop;
use crate::secret::{self, Limits, Problem, Source, Submission};

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
