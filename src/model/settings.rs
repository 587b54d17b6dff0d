//! What the channel needs to know, and the routes that are made of it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::credential::{Bearer, Credential, usual_carrier};
use crate::guard::{Answers, Host, Origin, OriginScheme};
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
    /// Its credential, if it is a secret of ours.
    pub credential: Option<Credential>,
}

/// A provider with its connections.
pub(super) struct Route {
    pub provider: Provider,
    /// Its name, for the audit log.
    pub name: Arc<str>,
    pub host: HeaderValue,
    /// Where it leads, and the header in which its credential usually goes.
    destination: Option<Origin>,
    usual: HeaderName,
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
    #[error("provider {0}: its host is not valid")]
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
            hosts: HostPolicy::new(&settings.hosts).with_own_sockets(),
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
        let pool = Pool::new(dialer, limits);
        let destination = destination(pool.target());
        if provider.credential.is_some() && destination.is_none() {
            return Err(SettingsError::Authority(provider.name.clone()));
        }
        Ok(Self {
            provider: provider.clone(),
            name: provider.name.as_str().into(),
            host,
            destination,
            usual: usual_carrier(&provider.name, &provider.target.host),
            pool,
            limits,
        })
    }

    /// Its credential and where that goes, if it has one of ours.
    pub fn bearer(&self) -> Option<Bearer<'_>> {
        Some(Bearer {
            credential: self.provider.credential.as_ref()?,
            destination: self.destination.as_ref()?,
            usual: &self.usual,
        })
    }

    /// What its answers are masked of.
    pub fn answers(&self, all: bool) -> Answers {
        match &self.provider.credential {
            _ if all => Answers::All,
            Some(credential) => Answers::Only(credential.key.clone()),
            None => Answers::Untouched,
        }
    }
}

/// The origin of what a pool dials and verifies.
fn destination(target: &Target) -> Option<Origin> {
    let scheme = if target.tls {
        OriginScheme::Https
    } else {
        OriginScheme::Http
    };
    let host = Host::from_plain(&target.host)?;
    Some(Origin::new(scheme, host, Some(target.port)))
}
