//! `bauta secret test`: would a secret of this pattern be used at this URL.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::output::{self, Output, Stop};
use crate::secret::{Origin, OriginError, Pattern, PatternError, Verdict};

pub(super) fn run(pattern: &str, url: &str, output: Output) -> Result<ExitCode, Stop> {
    let pattern = pattern
        .parse()
        .map_err(|error: PatternError| error.to_string());
    let origin = url.parse().map_err(|error: OriginError| error.to_string());
    let (pattern, origin): (Pattern, Origin) = match (pattern, origin) {
        (Ok(pattern), Ok(origin)) => (pattern, origin),
        (pattern, origin) => {
            let texts = [pattern.err(), origin.err()]
                .into_iter()
                .flatten()
                .collect();
            return Err(Stop::Wrong(texts));
        }
    };
    let verdict = pattern.verdict(&origin);
    let matches = verdict == Verdict::Match;
    let reason = verdict.to_string();
    if output.json() {
        let report = json!({
            "match": matches, "reason": reason, "pattern": pattern.to_string(), "origin": origin.to_string(),
        });
        output::result(&report.to_string())?;
    } else {
        let word = if matches { "match" } else { "no match" };
        output.say(&format!("{word}: {pattern} and {origin}: {reason}"))?;
    }
    Ok(ExitCode::from(u8::from(!matches)))
}
