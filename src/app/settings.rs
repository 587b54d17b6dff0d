//! The configuration in the words of the rooms that use it: they do not import `config`.

use crate::config::{self, Config, Inject, Limits, Model, Provider};
use crate::guard::{Rules, Signed, Spelling};
use crate::model::{self, Credential, Settings};
use crate::net::dial::Target;
use crate::net::{pool, server};
use crate::relay;
use crate::secret::Scope;

/// Body bytes that are held back for an exact length.
const BUFFER_BYTES: u64 = 8 << 20;

/// Header lines of a request: several times what any SDK sends, and as many as hyper reads without allocating for them.
const MAX_HEADERS: usize = 100;

/// How placeholders are written and read, and what is treated apart.
pub(super) fn rules(config: &Config) -> Rules {
    let model = config.model.as_ref();
    let providers = model.map_or(&[][..], |model| &model.providers);
    Rules {
        output: spelling(config.placeholder.output),
        accept: config
            .placeholder
            .accept
            .iter()
            .copied()
            .map(spelling)
            .collect(),
        signed: match model.map(|model| model.signed) {
            Some(config::Signed::Pass) => Signed::Pass,
            Some(config::Signed::Refuse) | None => Signed::Refuse,
        },
        credentials: providers
            .iter()
            .filter_map(|provider| provider.secret.clone())
            .collect(),
    }
}

fn spelling(spelling: config::Spelling) -> Spelling {
    // Every template has the key in it.
    let (before, after) = spelling.template().split_once("{key}").unwrap_or_default();
    Spelling::new(before, after)
}

/// Whose the secrets are that come without a vault: the agent's.
pub(super) fn scope(config: &Config) -> Scope {
    let id = config.agent.id.parse();
    Scope::Agent(id.expect("the configuration takes for ids what is one"))
}

/// What may change while the channel runs.
pub(super) fn channel(model: &Model) -> Settings {
    let Limits {
        max_header_bytes,
        max_body_bytes,
        idle_timeout,
        connect_timeout,
        response_timeout,
        max_message_bytes,
        ..
    } = model.limits;
    Settings {
        hosts: model.hosts.clone(),
        mask_responses: model.mask_responses,
        limits: relay::Limits {
            buffer_bytes: BUFFER_BYTES,
            max_body_bytes,
            idle_timeout,
            response_timeout,
            max_message_bytes,
        },
        upstream: pool::Limits {
            connect_timeout,
            stall_timeout: idle_timeout,
            max_header_bytes,
        },
        providers: model.providers.iter().map(provider).collect(),
    }
}

/// What the listener is bound to for its life.
pub(super) fn listener(model: &Model) -> server::Limits {
    let Limits {
        max_connections,
        max_header_bytes,
        header_timeout,
        idle_timeout,
        drain_timeout,
        ..
    } = model.limits;
    server::Limits {
        max_connections,
        max_header_bytes,
        max_headers: MAX_HEADERS,
        header_timeout,
        idle_timeout,
        drain_timeout,
    }
}

fn provider(provider: &Provider) -> model::Provider {
    let upstream = &provider.upstream;
    model::Provider {
        name: provider.name.clone(),
        path: provider.path.clone(),
        target: Target {
            tls: upstream.tls,
            host: upstream.host.clone(),
            port: upstream.port,
            ca: provider.ca.clone(),
        },
        authority: upstream.authority(),
        base_path: upstream.base_path.clone(),
        credential: provider.secret.clone().map(|key| Credential {
            key,
            always: provider.inject == Inject::Always,
        }),
    }
}
