//! What the channel needs to know, and the routes that are made of it.

use std::sync::Arc;

use http::HeaderValue;

use crate::net::dial::{Dialer, Target};
use crate::net::host::HostPolicy;
use crate::net::pool::{self, Pool};
use crate::net::tls::TlsError;
use crate::relay::Limits;
use crate::relay::body::MaskedBody;

/// Settings of the model channel that may change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host names that a request may name besides loopback names and the listener's own address.
    pub hosts: Vec<String>,
    /// Limits of one exchange.
    pub limits: Limits,
    /// Whether what comes back is masked as well.
    pub mask_responses: bool,
    /// Limits of upstream connections.
    pub upstream: pool::Limits,
    /// Where requests may go.
    pub providers: Vec<Provider>,
}

/// A route: `/<path>/rest` goes to the target's `<base_path>/rest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Name in logs.
    pub name: String,
    /// First path segment, without slashes.
    pub path: String,
    /// Whom to dial.
    pub target: Target,
    /// `host` or `host:port` for the `Host` header.
    pub authority: String,
    /// Empty, or `/…` without a slash at the end.
    pub base_path: String,
}

/// A provider with its connections.
pub(super) struct Route {
    pub provider: Provider,
    pub host: HeaderValue,
    pub pool: Arc<Pool<MaskedBody>>,
    limits: pool::Limits,
}

/// The settings made ready.
pub(super) struct Active {
    pub hosts: HostPolicy,
    pub limits: Limits,
    pub mask_responses: bool,
    pub routes: Vec<Arc<Route>>,
}

/// Why settings cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The TLS settings of a provider.
    #[error("provider {0}: {1}")]
    Tls(String, #[source] TlsError),
    /// An authority that is no header value.
    #[error("provider {0}: its host cannot be written as a Host header")]
    Authority(String),
}

impl Active {
    /// Makes settings ready; routes that did not change keep their connections.
    pub fn new(settings: &Settings, previous: Option<&Self>) -> Result<Self, SettingsError> {
        let routes = settings.providers.iter().map(|provider| {
            let same = |route: &&Arc<Route>| {
                route.provider == *provider && route.limits == settings.upstream
            };
            match previous.and_then(|active| active.routes.iter().find(same)) {
                // A `ca` file may hold something else now.
                Some(route) if provider.target.ca.is_none() => Ok(Arc::clone(route)),
                _ => Route::new(provider, settings.upstream).map(Arc::new),
            }
        });
        Ok(Self {
            hosts: HostPolicy::new(&settings.hosts),
            limits: settings.limits,
            mask_responses: settings.mask_responses,
            routes: routes.collect::<Result<_, _>>()?,
        })
    }
}

impl Route {
    fn new(provider: &Provider, limits: pool::Limits) -> Result<Self, SettingsError> {
        let host = HeaderValue::from_str(&provider.authority)
            .map_err(|_| SettingsError::Authority(provider.name.clone()))?;
        let dialer = Dialer::new(provider.target.clone(), limits.connect_timeout);
        // The platform's roots are read on first use: without any, providers on loopback still work.
        if provider.target.ca.is_some() {
            dialer
                .prepare()
                .map_err(|error| SettingsError::Tls(provider.name.clone(), error))?;
        }
        Ok(Self {
            provider: provider.clone(),
            host,
            pool: Pool::new(dialer, limits),
            limits,
        })
    }
}
