//! The browser channel: the `[browser]` table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::Listen;
use super::duration;
use super::parse::{each, hosts, listen, path, size};
use super::reader::{Item, Table};

/// The browser channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// Where it listens.
    pub listen: Listen,
    /// Host names that a request may name besides loopback names and the listener's own address.
    pub hosts: Vec<String>,
    /// The browser: one that we start, or one that runs.
    pub source: BrowserSource,
    /// What becomes of pictures of pages that show a value.
    pub captures: Captures,
    /// The one folder for downloads and uploads.
    pub folder: PathBuf,
    /// Denied methods that are allowed.
    pub methods: Vec<String>,
    /// The file with what clients must present; `None`: nothing.
    pub token_file: Option<PathBuf>,
    /// Limits and timeouts.
    pub limits: BrowserLimits,
}

/// Where the browser is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserSource {
    /// Started by us.
    Launch(Launch),
    /// Started by somebody else: the address of its debugging port, or the URL of its WebSocket.
    Attach(String),
}

/// How a browser is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program; a name without a slash is looked up in `PATH`.
    pub executable: PathBuf,
    /// Whether it shows no window.
    pub headless: bool,
    /// More arguments.
    pub args: Vec<String>,
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

/// Limits and timeouts of the browser channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserLimits {
    /// Bytes of a message, in either direction.
    pub max_message_bytes: usize,
    /// Clients at a time.
    pub max_clients: usize,
    /// How long a command of our own to the browser may take.
    pub command_timeout: Duration,
    /// Silence after which a half-typed placeholder is taken for text.
    pub typing_pause: Duration,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            executable: PathBuf::from("chromium"),
            headless: true,
            args: Vec::new(),
        }
    }
}

impl Default for BrowserLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: 256 << 20,
            max_clients: 16,
            command_timeout: Duration::from_secs(10),
            typing_pause: Duration::from_millis(600),
        }
    }
}

/// Reads `[browser]`; `None` if it is not there.
pub(super) fn browser(
    mut table: Table<'_, '_, '_>,
    hosts_of_all: &[String],
    base: &Path,
    state_dir: &Path,
) -> Option<Browser> {
    let address = table.parse("listen", |item| listen(item, state_dir));
    let mut all_hosts = hosts_of_all.to_vec();
    for host in table.parse("hosts", hosts).unwrap_or_default() {
        if !all_hosts.contains(&host) {
            all_hosts.push(host);
        }
    }
    let launch_table = table.table("launch");
    let is_launched = launch_table.is_present();
    let launch = launch(launch_table, base);
    let attach = table.parse("attach", |item| {
        let address = attach(item)?;
        if is_launched {
            return Err(
                "there is a [browser.launch] as well. Use one of the two: a browser that bauta starts, or one that runs"
                    .to_owned(),
            );
        }
        Ok(address)
    });
    let captures = table.parse("captures", |item| match item.text()? {
        "cover" => Ok(Captures::Cover),
        "deny-after-fill" => Ok(Captures::DenyAfterFill),
        _ => Err("not a way. Use \"cover\" or \"deny-after-fill\"".to_owned()),
    });
    let folder = table.parse("folder", |item| Ok(state_dir.join(path(item)?)));
    let methods = table.parse("methods", |list| each(list, method));
    let token_file = table.parse("token_file", |item| Ok(base.join(path(item)?)));
    let limits = limits(table.table("limits"));
    let present = table.is_present();
    table.finish();
    present.then(|| Browser {
        listen: address.unwrap_or(Listen::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 8603,
        }),
        hosts: all_hosts,
        source: attach.map_or(BrowserSource::Launch(launch), BrowserSource::Attach),
        captures: captures.unwrap_or_default(),
        folder: folder.unwrap_or_else(|| state_dir.join("downloads")),
        methods: methods.unwrap_or_default(),
        token_file,
        limits,
    })
}

fn launch(mut table: Table<'_, '_, '_>, base: &Path) -> Launch {
    let defaults = Launch::default();
    let executable = table.parse("executable", |item| {
        let program = path(item)?;
        let is_name = program.components().count() == 1 && !item.text()?.contains('/');
        Ok(if is_name { program } else { base.join(program) })
    });
    let headless = table.parse("headless", Item::boolean);
    let args = table.parse("args", |list| {
        each(list, |item| {
            let text = item.text()?;
            if text.starts_with("--") && !text.contains('\0') {
                return Ok(text.to_owned());
            }
            Err("not a switch. Use \"--name\" or \"--name=value\", one a text".to_owned())
        })
    });
    table.finish();
    Launch {
        executable: executable.unwrap_or(defaults.executable),
        headless: headless.unwrap_or(defaults.headless),
        args: args.unwrap_or(defaults.args),
    }
}

/// The address is not repeated in an error: it may hold a token.
fn attach(item: &Item<'_, '_, '_>) -> Result<String, String> {
    let text = item.text()?;
    let rest = text.split_once("://").map(|(scheme, rest)| {
        let known = ["http", "https", "ws", "wss"].contains(&scheme);
        (known, rest)
    });
    match rest {
        Some((true, rest)) if !rest.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err(
            "not the address of a browser. Use \"http://127.0.0.1:9222\", or the URL of its WebSocket"
                .to_owned(),
        ),
    }
}

fn method(item: &Item<'_, '_, '_>) -> Result<String, String> {
    let text = item.text()?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    match text.split_once('.') {
        Some((domain, name)) if is_name(domain) && is_name(name) => Ok(text.to_owned()),
        _ => Err("not a method. Use \"Domain.method\", such as \"Tracing.start\"".to_owned()),
    }
}

fn limits(mut table: Table<'_, '_, '_>) -> BrowserLimits {
    let defaults = BrowserLimits::default();
    let mut time = |name, default: Duration| {
        table
            .parse(name, |item| duration::parse(item.text()?))
            .unwrap_or(default)
    };
    let command_timeout = time("command_timeout", defaults.command_timeout);
    let typing_pause = time("typing_pause", defaults.typing_pause);
    let mut size = |name, range, default| {
        table
            .parse(name, |item| size(item, range))
            .unwrap_or(default)
    };
    let limits = BrowserLimits {
        max_message_bytes: size(
            "max_message_bytes",
            1 << 20..=1 << 30,
            defaults.max_message_bytes,
        ),
        max_clients: size("max_clients", 1..=1024, defaults.max_clients),
        command_timeout,
        typing_pause,
    };
    table.finish();
    limits
}
