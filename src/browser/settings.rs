//! What the browser channel is told: by the wiring, from the configuration.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the channel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host names that a request may name besides loopback names and the listener's own address.
    pub hosts: Vec<String>,
    /// Where the browser is.
    pub upstream: Upstream,
    /// What becomes of pictures of pages that show a value.
    pub captures: Captures,
    /// The one folder for downloads and uploads.
    pub folder: PathBuf,
    /// Methods that the table denies and the configuration allows.
    pub methods: BTreeSet<String>,
    /// What clients must present; `None`: nothing.
    pub token: Option<String>,
    /// Limits and timeouts.
    pub limits: Limits,
}

/// Where the browser is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Started by us, spoken to over a pipe.
    Launch(Launch),
    /// Started by somebody else: its address, `http://host:port` or the WebSocket's URL. Its operator vouches for its TLS and DNS.
    Attach(String),
}

/// How a browser is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program; a name is looked up in `PATH`.
    pub executable: PathBuf,
    /// Whether it shows no window.
    pub headless: bool,
    /// More arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder in which each start gets a private profile, which goes with it.
    pub profiles: PathBuf,
}

/// What becomes of pictures of pages that show a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Captures {
    /// The value is painted over.
    #[default]
    Cover,
    /// There are none once a value was inserted, until the document changes.
    DenyAfterFill,
}

/// Limits and timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, in either direction.
    pub max_message_bytes: usize,
    /// Clients at a time.
    pub max_clients: usize,
    /// How long a command of our own may take.
    pub command_timeout: Duration,
    /// Silence after which a half-typed placeholder is taken for text.
    pub typing_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 256 << 20,
            max_clients: 16,
            command_timeout: Duration::from_secs(10),
            typing_pause: Duration::from_millis(600),
        }
    }
}
