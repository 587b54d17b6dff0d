//! The typed configuration: plain data, no secrets in it, every value already checked.

use std::path::PathBuf;
use std::time::Duration;

use super::{Audit, Browser, Listen, Upstream, Vault, presets};

/// The whole configuration of one sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from; `None` for the built-in defaults.
    pub source: Option<PathBuf>,
    /// Folder under which everything written lives.
    pub state_dir: PathBuf,
    /// The agent that this sidecar serves.
    pub agent: Agent,
    /// Where secrets are kept.
    pub vault: Vault,
    /// How placeholders are written and read.
    pub placeholder: Placeholder,
    /// The model channel; `None` if it is off.
    pub model: Option<Model>,
    /// The browser channel; `None` if it is off.
    pub browser: Option<Browser>,
    /// Where health is told; `None` if nowhere.
    pub health: Option<Health>,
    /// The audit log.
    pub audit: Audit,
    /// What is logged, and how.
    pub log: Log,
}

/// The agent that this sidecar serves: its ids decide which scopes it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Id of the agent, `agent` by default.
    pub id: String,
    /// Id of its user.
    pub user: Option<String>,
    /// Id of its organization.
    pub organization: Option<String>,
    /// System skill profiles that it uses.
    pub profiles: Vec<String>,
}

/// How placeholders are written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The spelling that masking writes; always one of `accept`.
    pub output: Spelling,
    /// The spellings that count as a placeholder.
    pub accept: Vec<Spelling>,
}

/// One way to spell a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `x_password`
    Bare,
    /// `<secret>x_password</secret>` (browser-use, Playwright MCP)
    Tag,
    /// `{{x_password}}`
    Braces,
    /// `%x_password%` (Stagehand)
    Percent,
    /// `$[secret:x_password]` (Gobii)
    Dollar,
    /// `<<<x_password>>>` (Gobii)
    Angles,
}

impl Spelling {
    /// All spellings, in the order in which the reference configuration shows them.
    pub const ALL: [Self; 6] = [
        Self::Bare,
        Self::Tag,
        Self::Braces,
        Self::Percent,
        Self::Dollar,
        Self::Angles,
    ];

    /// The spelling as the configuration writes it, with `{key}` for the key.
    pub fn template(self) -> &'static str {
        match self {
            Self::Bare => "{key}",
            Self::Tag => "<secret>{key}</secret>",
            Self::Braces => "{{{key}}}",
            Self::Percent => "%{key}%",
            Self::Dollar => "$[secret:{key}]",
            Self::Angles => "<<<{key}>>>",
        }
    }

    /// The placeholder of `key` in this spelling.
    pub fn write(self, key: &str) -> String {
        self.template().replacen("{key}", key, 1)
    }
}

/// The model channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Where it listens.
    pub listen: Listen,
    /// What it presents over TLS; `None` for no TLS.
    pub tls: Option<Tls>,
    /// Host names that a request may name besides loopback names and the listener's own address: lower case,
    /// without port, IPv6 without brackets.
    pub hosts: Vec<String>,
    /// Whether answers are masked too.
    pub mask_responses: bool,
    /// What becomes of values in blocks that a provider signed.
    pub signed: Signed,
    /// Limits and timeouts.
    pub limits: Limits,
    /// Routes, presets included; names and paths are unique.
    pub providers: Vec<Provider>,
}

/// What becomes of a value in a block that a provider signed, where to rewrite it would break the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Signed {
    /// The request is refused.
    #[default]
    Refuse,
    /// The block goes on as it is.
    Pass,
}

/// A listener's certificate and key, PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and after it those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Limits and timeouts of the model channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at a time.
    pub max_connections: usize,
    /// Bytes of a request's or a response's head.
    pub max_header_bytes: usize,
    /// Bytes of a request body.
    pub max_body_bytes: u64,
    /// Bytes of a WebSocket message from a client.
    pub max_message_bytes: u64,
    /// Within which a whole request head must have arrived.
    pub header_timeout: Duration,
    /// Silence after which a connection is given up: between two requests, or inside a body, on either side.
    pub idle_timeout: Duration,
    /// For name lookup, TCP and TLS towards the upstream together.
    pub connect_timeout: Duration,
    /// From the request's last byte to the response's head.
    pub response_timeout: Duration,
    /// For which requests in flight may go on after SIGTERM.
    pub drain_timeout: Duration,
}

/// One route of the model channel: `/<path>/rest` goes to `<upstream>/rest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Name in logs and errors.
    pub name: String,
    /// First path segment of the route, without slashes.
    pub path: String,
    /// Base URL of the provider.
    pub upstream: Upstream,
    /// PEM file with the roots to trust for it instead of the platform's.
    pub ca: Option<PathBuf>,
    /// Key of the secret that is its credential.
    pub secret: Option<String>,
    /// When that credential is put in.
    pub inject: Inject,
}

/// When a provider's credential is put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Inject {
    /// Where the client sends its placeholder as the credential.
    #[default]
    Placeholder,
    /// Into every request, instead of any credential that the client sends.
    Always,
}

/// Where health is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it listens.
    pub listen: Listen,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is logged.
    pub level: Level,
    /// Shape of a line.
    pub format: LogFormat,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing works without a mend.
    Error,
    /// Something is likely wrong.
    Warn,
    /// One line per request.
    Info,
    /// Connections and decisions.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// All levels, the most severe first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    /// The built-in defaults: the model channel on loopback with every preset that needs no setting.
    fn default() -> Self {
        let state_dir = PathBuf::from("data");
        Self {
            source: None,
            agent: Agent::default(),
            vault: Vault::under(&state_dir),
            placeholder: Placeholder::default(),
            model: Some(Model::default()),
            browser: None,
            health: None,
            audit: Audit::under(&state_dir),
            state_dir,
            log: Log::default(),
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            id: "agent".to_owned(),
            user: None,
            organization: None,
            profiles: Vec::new(),
        }
    }
}

impl Default for Placeholder {
    fn default() -> Self {
        Self {
            output: Spelling::Bare,
            accept: Spelling::ALL.to_vec(),
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 8601,
            },
            tls: None,
            hosts: Vec::new(),
            mask_responses: false,
            signed: Signed::default(),
            limits: Limits::default(),
            providers: presets::providers(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_header_bytes: 64 << 10,
            max_body_bytes: 4 << 30,
            max_message_bytes: 16 << 20,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60),
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(15 * 60),
            drain_timeout: Duration::from_secs(25),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Text,
        }
    }
}
