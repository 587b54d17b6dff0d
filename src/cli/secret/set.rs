//! `bauta secret set`: one secret, its value typed or piped in.

use std::process::ExitCode;

use serde_json::json;

use super::args::SetArgs;
use super::{event, name_json, parsed, scope_or_own, warn_if_unseen};
use crate::audit::Kind;
use crate::cli::output::{self, Output, Stop};
use crate::cli::session::{self, Session};
use crate::cli::{Commands, prompt, secrets};
use crate::secret::vault::Access;
use crate::secret::{Key, Pattern, Secret};

pub(super) fn run(args: &SetArgs, commands: &Commands, output: Output) -> Result<ExitCode, Stop> {
    // All that can be wrong is said before somebody types a value.
    let config = session::load(&args.config)?;
    let key = parsed::<Key>(&args.key);
    let pattern = parsed::<Pattern>(&args.domain);
    let scope = scope_or_own(args.scope.as_deref(), &config);
    let (key, pattern, scope) = match (key, pattern, scope) {
        (Ok(key), Ok(pattern), Ok(scope)) => (key, pattern, scope),
        (key, pattern, scope) => {
            let texts = [key.err(), pattern.err(), scope.err()];
            return Err(Stop::Wrong(texts.into_iter().flatten().collect()));
        }
    };
    let session = Session::open(&args.config, Access::Create, commands, output)?;
    let value = prompt::value(key.as_str(), &secrets::limits(&session.config.vault.limits))?;
    let options = args.options.options();
    let secret = Secret::new(key.clone(), pattern.clone(), scope.clone(), options, value)
        .map_err(|error| Stop::wrong(error.to_string()))?;
    for text in secret.warnings() {
        output.warning(text);
    }
    if pattern.is_cleartext() {
        output.warning(&format!(
            "Secrets of '{pattern}' may go over the network unencrypted. Use https if the site offers it"
        ));
    }
    let changed = session.change(
        || vec![event(Kind::SecretSet, &key, &pattern, &scope)],
        |vault| vault.set(secret.into()),
    )?;
    warn_if_unseen(&session, &scope, output);
    if output.json() {
        let mut report = name_json(&key, &pattern, &scope);
        report.insert("id".to_owned(), json!(changed.id));
        report.insert("version".to_owned(), json!(changed.version));
        report.insert("created".to_owned(), json!(changed.created));
        output::result(&json!({ "set": report }).to_string())?;
    } else {
        let version = changed.version;
        output.say(&format!(
            "set {key} for {pattern} in {scope}: version {version}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
