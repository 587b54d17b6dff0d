//! A sidecar with a provider's credential, and what its audit log says.

use std::fs;
use std::path::Path;

use bauta::config::{Config, Inject, Limits};
use serde_json::Value;

use super::model_kit::{Sidecar, TOKEN, Upstream, config};

/// The provider's credential: its key and its value, which no client may see.
pub const KEY: &str = "x_provider_key";
pub const CREDENTIAL: &str = "sk-proj/9fQ2+credential==";
/// The same in a query.
pub const IN_QUERY: &str = "sk-proj%2F9fQ2%2Bcredential%3D%3D";

/// One provider with that credential.
pub fn configured(upstream: &str, inject: Inject) -> Config {
    let mut config = config(upstream, Limits::default());
    let provider = &mut config.model.as_mut().unwrap().providers[0];
    provider.secret = Some(KEY.to_owned());
    provider.inject = inject;
    config
}

/// The credential under that pattern with these options, and a secret of another domain.
pub fn submission(pattern: &str, value: &str, options: &str) -> String {
    let value = serde_json::to_string(value).unwrap();
    format!(
        r#"{{"{pattern}": {{"{KEY}": {{"value": {value}{options}}}}}, "https://example.com": {{"x_token": "{TOKEN}"}}}}"#
    )
}

/// Before that upstream, for which the credential is meant.
pub fn sidecar(upstream: &Upstream, inject: Inject, options: &str) -> Sidecar {
    let text = submission(&upstream.url(), CREDENTIAL, options);
    Sidecar::with(&configured(&upstream.url(), inject), &text)
}

/// The log of a sidecar in this process.
pub fn log(sidecar: &Sidecar) -> std::path::PathBuf {
    sidecar.state.path().join("audit-memory.log")
}

/// The events that are in a log now, but for those of starts and stops.
pub fn events(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|event: &Value| event["event"] != "start" && event["event"] != "stop")
        .collect()
}

/// All events of a sidecar, which ends.
pub fn all_events(sidecar: Sidecar) -> Vec<Value> {
    let log = log(&sidecar);
    let state = sidecar.stop();
    let events = events(&log);
    drop(state);
    events
}

/// A request with a body and these headers.
pub fn with_headers(headers: &str) -> Vec<u8> {
    super::model_kit::post("/p/v1/x", headers, b"{}")
}
