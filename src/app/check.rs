//! Opens the files that a configuration names, as the sidecar would, for `bauta check`.

use super::settings;
use crate::config::{Config, Model};
use crate::net::tls::{self, Identity};

/// What is wrong with the certificate and key of the listener, with the roots of the providers, and with what the browser channel
/// is told.
pub fn files(config: &Config) -> Vec<String> {
    let browser = config.browser.as_ref();
    let browser = browser.and_then(|browser| settings::browser(config, browser).err());
    let mut wrong: Vec<String> = browser.iter().map(ToString::to_string).collect();
    if let Some(model) = &config.model {
        wrong.extend(of_model(model));
    }
    wrong
}

fn of_model(model: &Model) -> Vec<String> {
    let listener = model
        .tls
        .iter()
        .filter_map(|files| Identity::load(&files.cert, &files.key).err())
        .map(|error| format!("model.tls: {error}"));
    let providers = model.providers.iter().filter_map(|provider| {
        let error = tls::client_config(Some(provider.ca.as_deref()?)).err()?;
        Some(format!("model.provider {}: {error}", provider.name))
    });
    listener.chain(providers).collect()
}
