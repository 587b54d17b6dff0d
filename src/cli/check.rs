//! `bauta check`: everything that is wrong with the configuration, its files and the secrets, at once. Changes nothing.

use std::process::ExitCode;

use serde_json::json;

use super::output::{self, Output, Stop};
use super::{Commands, ConfigFile, secrets, session};
use crate::config::{BrowserSource, Config, Model, SecretLimits};
use crate::secret::vault::{Vault, VaultError};
use crate::secret::{Secret, Source};

/// What was found.
#[derive(Default)]
struct Report {
    errors: Vec<String>,
    warnings: Vec<String>,
    lines: Vec<String>,
}

pub(super) fn run(
    file: &ConfigFile,
    source: Option<&Source>,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    let mut report = Report::default();
    let config = match session::load(file) {
        Ok(config) => Some(config),
        Err(Stop::Wrong(texts)) => {
            report.errors.extend(texts);
            None
        }
        Err(stop) => return Err(stop),
    };
    if let Some(config) = &config {
        report.lines.extend(describe(config, output.verbose()));
        report.errors.extend((commands.files)(config));
        report.warnings.extend(config.warnings());
    }
    match (source, &config) {
        (Some(source), config) => {
            let limits = config.as_ref().map(|config| config.vault.limits);
            report.file(source, &limits.unwrap_or_default(), output.verbose())?;
        }
        (None, Some(config)) => report.vault(config, commands, output.verbose()),
        (None, None) => {}
    }
    report.say(output)
}

impl Report {
    /// The secrets of a file.
    fn file(&mut self, source: &Source, limits: &SecretLimits, verbose: bool) -> Result<(), Stop> {
        match secrets::load(source, limits) {
            Ok(loaded) => {
                self.secrets(&source.to_string(), loaded.submission.iter(), verbose);
                self.warnings.extend(loaded.warnings);
            }
            Err(Stop::Wrong(texts)) => self.errors.extend(texts),
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// The secrets of the vault: it and its master key are read, and every value that the agent may use is opened.
    fn vault(&mut self, config: &Config, commands: &Commands, verbose: bool) {
        let settings = (commands.settings)(config);
        let place = config.vault.path.display().to_string();
        let identity = settings.identity.clone().unwrap_or_default();
        let view =
            Vault::open(&settings, session::READ).and_then(|opened| opened.vault.view(&identity));
        let view = match view {
            Ok(view) => view,
            Err(VaultError::NotThere(_)) => {
                self.lines.push(format!(
                    "{place}: no vault yet; `bauta key init` or the first `bauta secret set` makes it"
                ));
                return;
            }
            Err(error) => {
                self.errors.push(error.to_string());
                return;
            }
        };
        self.secrets(&place, view.iter(), verbose);
        for provider in config.model.iter().flat_map(|model| &model.providers) {
            let missing = provider
                .secret
                .as_ref()
                .filter(|key| view.of(key).is_empty());
            if let Some(key) = missing {
                self.warnings.push(format!(
                    "model.provider {}: there is no secret {key} that the agent {} may use. Make it with: bauta secret set {key} --domain {}",
                    provider.name, identity.agent, provider.upstream
                ));
            }
        }
    }

    fn secrets<'s>(
        &mut self,
        place: &str,
        secrets: impl ExactSizeIterator<Item = &'s Secret>,
        verbose: bool,
    ) {
        let counted = output::counted(secrets.len(), "secret");
        self.lines.push(format!("{place}: {counted}"));
        if verbose {
            let each = secrets.map(|secret| format!("  {} for {}", secret.key(), secret.pattern()));
            self.lines.extend(each);
        }
    }

    fn say(self, output: Output) -> Result<ExitCode, Stop> {
        let ok = self.errors.is_empty();
        let code = ExitCode::from(if ok { 0 } else { 2 });
        if output.json() {
            let report = json!({ "ok": ok, "errors": self.errors, "warnings": self.warnings });
            output::result(&report.to_string())?;
            return Ok(code);
        }
        for text in &self.warnings {
            output.warning(text);
        }
        for text in &self.errors {
            output.error(text);
        }
        if ok {
            self.lines.iter().try_for_each(|line| output.say(line))?;
            output.say("Nothing is wrong.")?;
        }
        Ok(code)
    }
}

fn describe(config: &Config, verbose: bool) -> Vec<String> {
    let file = config
        .source
        .as_ref()
        .map_or("built-in defaults".to_owned(), |file| {
            file.display().to_string()
        });
    let mut lines = match &config.model {
        Some(model) => of_model(&file, model, verbose),
        None => vec![format!(
            "{file}: the model channel is off, as there is no [model] table"
        )],
    };
    if let Some(browser) = &config.browser {
        let what = match &browser.source {
            BrowserSource::Launch(launch) => format!("starts {}", launch.executable.display()),
            // The address may hold a token.
            BrowserSource::Attach(_) => "attached to a browser that runs".to_owned(),
        };
        lines.push(format!(
            "{file}: browser channel on {}, {what}",
            browser.listen
        ));
    }
    lines
}

fn of_model(file: &str, model: &Model, verbose: bool) -> Vec<String> {
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
