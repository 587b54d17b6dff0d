//! Opens the files that a configuration names, as the sidecar would, for `bauta check`.

use crate::config::Config;
use crate::net::tls::{self, Identity};

/// What is wrong with the certificate and key of the listener, and with the roots of the providers.
pub fn files(config: &Config) -> Vec<String> {
    let Some(model) = &config.model else {
        return Vec::new();
    };
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
