//! `bauta check`: everything that is wrong with the configuration and the secrets, at once.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::output::{self, Output, Stop};
use super::secrets;
use crate::config::{self, Config, SecretLimits};
use crate::secret::Source;

pub(super) fn run(
    config: Option<&Path>,
    source: Option<&Source>,
    output: Output,
) -> Result<ExitCode, Stop> {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    let mut lines = Vec::new();
    let mut limits = SecretLimits::default();
    match config::load(config) {
        Ok(config) => {
            lines.extend(describe(&config, output.verbose()));
            limits = config.vault.limits;
        }
        Err(error) => errors.extend(error.to_string().lines().map(str::to_owned)),
    }
    if let Some(source) = source {
        match secrets::load(source, &limits) {
            Ok(loaded) => {
                lines.push(format!(
                    "{source}: {}",
                    output::counted(loaded.submission.len(), "secret")
                ));
                if output.verbose() {
                    let each = loaded.submission.iter();
                    lines.extend(
                        each.map(|secret| format!("  {} for {}", secret.key(), secret.pattern())),
                    );
                }
                warnings = loaded.warnings;
            }
            Err(Stop::Wrong(texts)) => errors.extend(texts),
            Err(stop) => return Err(stop),
        }
    }
    let code = if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    };
    if output.json() {
        let report = json!({ "ok": errors.is_empty(), "errors": errors, "warnings": warnings });
        output::result(&report.to_string())?;
        return Ok(code);
    }
    for text in &warnings {
        output.warning(text);
    }
    for text in &errors {
        output.error(text);
    }
    if errors.is_empty() {
        lines.iter().try_for_each(|line| output.say(line))?;
        output.say("Nothing is wrong.")?;
    }
    Ok(code)
}

fn describe(config: &Config, verbose: bool) -> Vec<String> {
    let file = config
        .source
        .as_ref()
        .map_or("built-in defaults".to_owned(), |file| {
            file.display().to_string()
        });
    let Some(model) = &config.model else {
        return vec![format!(
            "{file}: the model channel is off, as there is no [model] table"
        )];
    };
    let routes = output::counted(model.providers.len(), "route");
    let mut lines = vec![format!(
        "{file}: model channel on {}, {routes}",
        model.listen
    )];
    if verbose {
        lines.extend(
            model
                .providers
                .iter()
                .map(|provider| format!("  /{} to {}", provider.path, provider.upstream)),
        );
    }
    lines
}
