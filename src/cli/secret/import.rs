//! `bauta secret import`: a whole file in the domain-specific format, or nothing of it.

use std::process::ExitCode;

use serde_json::json;

use super::args::ImportArgs;
use super::{event, name_json, scope_or_own, warn_if_unseen};
use crate::audit::Kind;
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{self, Session};
use crate::cli::{Commands, secrets};
use crate::secret::vault::Access;
use crate::secret::{self, Key, Pattern, Source};

pub(super) fn run(
    args: &ImportArgs,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let config = session::load(&args.config)?;
    let scope = scope_or_own(args.scope.as_deref(), &config).map_err(Stop::wrong)?;
    let source = Source::new(&args.file);
    let (bytes, open_to_others) = secret::read(&source).map_err(|error| {
        Stop::wrong(format!(
            "{error}. Give a file that exists and may be read, or - for standard input"
        ))
    })?;
    let submission = secret::parse_submission(bytes, &secrets::limits(&config.vault.limits))
        .map_err(Stop::Invalid)?;
    if let Some(warning) = open_to_others {
        output.warning(&warning);
    }
    if !output.quiet() {
        for problem in submission.warnings() {
            output.problem("warning", problem);
        }
    }
    let names: Vec<(Key, Pattern)> = submission
        .iter()
        .map(|secret| (secret.key().clone(), secret.pattern().clone()))
        .collect();
    if names.is_empty() {
        return Err(Stop::wrong(format!(
            "there is no secret in {source}, so nothing was changed. \
             Use: {{\"https://example.com\": {{\"x_api_key\": \"value\"}}}}"
        )));
    }
    let session = Session::open(&args.config, Access::Create, commands, output)?;
    session.change(
        || {
            let each = names.iter();
            each.map(|(key, pattern)| event(Kind::SecretImport, key, pattern, &scope))
                .collect()
        },
        |vault| vault.import(submission, &scope),
    )?;
    warn_if_unseen(&session, &scope, output);
    if output.json() {
        let each = names.iter();
        let secrets: Vec<_> = each
            .map(|(key, pattern)| name_json(key, pattern, &scope))
            .collect();
        output::result(&json!({ "imported": secrets }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if output.verbose() {
        for (key, pattern) in &names {
            output.say(&format!("  {key} for {pattern}"))?;
        }
    }
    let counted = output::counted(names.len(), "secret");
    output.say(&format!("imported {counted} into {scope}"))?;
    Ok(ExitCode::SUCCESS)
}
