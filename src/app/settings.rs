//! The configuration in the words of the rooms that use it: they do not import `config`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::StartError;
use super::children;
use crate::browser::{self, methods};
use crate::config::{
    self, Browser, BrowserSource, Captures, Config, Inject, Limits, Model, Provider,
};
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

/// Bytes of a token, and the least that nobody guesses.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=256;

/// Rights that its file may not give: others to read, write or run it, its group to write it.
const OPEN: u32 = 0o027;

/// The browser channel's. Reads the file of its token.
///
/// # Errors
/// A method that no setting allows, a folder that holds files of ours, or a file without a token.
pub(super) fn browser(config: &Config, browser: &Browser) -> Result<browser::Settings, StartError> {
    for method in &browser.methods {
        methods::may_allow(method).map_err(|reason| StartError::Method {
            method: method.clone(),
            reason,
        })?;
    }
    stands_apart(config, &browser.folder)?;
    let upstream = match &browser.source {
        BrowserSource::Attach(address) => browser::Upstream::Attach(address.clone()),
        BrowserSource::Launch(launch) => browser::Upstream::Launch(browser::Launch {
            executable: launch.executable.clone(),
            headless: launch.headless,
            args: launch.args.clone(),
            environment: environment(),
            profiles: profiles(config),
        }),
    };
    Ok(browser::Settings {
        hosts: browser.hosts.clone(),
        upstream,
        captures: match browser.captures {
            Captures::Cover => browser::Captures::Cover,
            Captures::DenyAfterFill => browser::Captures::DenyAfterFill,
        },
        folder: browser.folder.clone(),
        methods: browser.methods.iter().cloned().collect(),
        token: browser.token_file.as_deref().map(token).transpose()?,
        limits: browser::Limits {
            max_message_bytes: browser.limits.max_message_bytes,
            max_clients: browser.limits.max_clients,
            command_timeout: browser.limits.command_timeout,
            typing_pause: browser.limits.typing_pause,
        },
    })
}

/// Pages are given files of this folder: it may not hold what no page is to read.
fn stands_apart(config: &Config, folder: &Path) -> Result<(), StartError> {
    let tls = config.model.as_ref().and_then(|model| model.tls.as_ref());
    let token = config.browser.as_ref().and_then(|b| b.token_file.clone());
    let kept = [
        Some(config.vault.path.clone()),
        config.vault.master_key.file(&config.state_dir),
        Some(config.audit.path.clone()),
        Some(profiles(config)),
        tls.map(|tls| tls.key.clone()),
        token,
    ];
    let resolved_folder = resolved(folder);
    let mut kept = kept.into_iter().flatten();
    match kept.find(|file| resolved(file).starts_with(&resolved_folder)) {
        Some(file) => Err(StartError::Folder {
            folder: folder.to_owned(),
            file,
        }),
        None => Ok(()),
    }
}

/// Where the profiles of browsers lie while they run.
fn profiles(config: &Config) -> PathBuf {
    config.state_dir.join("profiles")
}

/// The path as the system takes it, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = whole.ancestors().find_map(|front| {
        let rest = whole.strip_prefix(front).ok()?;
        Some(front.canonicalize().ok()?.join(rest))
    });
    found.unwrap_or(whole)
}

/// What Chromium gets of our environment: what every child gets, and what leads it to a display.
fn environment() -> Vec<(OsString, OsString)> {
    const DISPLAY: [&str; 4] = [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DBUS_SESSION_BUS_ADDRESS",
    ];
    let named: Vec<String> = DISPLAY.map(str::to_owned).to_vec();
    let inherited = children::inherit(std::env::vars_os(), &named);
    let owned = |(name, value): (&OsStr, &OsStr)| (name.to_owned(), value.to_owned());
    inherited.environment.iter().map(owned).collect()
}

/// The token of a file, without the line's end. It stands in paths, so only some characters will do.
fn token(file: &Path) -> Result<String, StartError> {
    let wrong = |reason: String| StartError::Token {
        file: file.to_owned(),
        reason,
    };
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(|error| wrong(error.to_string()))?;
    let metadata = opened
        .metadata()
        .map_err(|error| wrong(error.to_string()))?;
    // A pipe has no readers but us.
    if metadata.is_file() && metadata.permissions().mode() & OPEN != 0 {
        return Err(wrong(format!(
            "others of this machine may read it. Run: chmod 600 {}",
            file.display()
        )));
    }
    let most = u64::try_from(TOKEN.end() + 2).unwrap_or(u64::MAX);
    let read = opened.take(most).read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    let token = text.trim_end_matches(['\r', '\n']);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if TOKEN.contains(&token.len()) && token.bytes().all(plain) {
        return Ok(token.to_owned());
    }
    Err(wrong(format!(
        "it does not hold a token of {} to {} letters, digits and - _ . ~ alone",
        TOKEN.start(),
        TOKEN.end()
    )))
}

/// What the browser channel's listener is bound to for its life.
pub(super) fn browser_listener(browser: &Browser) -> server::Limits {
    let defaults = Limits::default();
    server::Limits {
        // Beside the clients' WebSockets, requests of those that look for them.
        max_connections: browser.limits.max_clients + 64,
        max_header_bytes: defaults.max_header_bytes,
        max_headers: MAX_HEADERS,
        header_timeout: defaults.header_timeout,
        idle_timeout: defaults.header_timeout,
        drain_timeout: std::time::Duration::from_secs(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_alone_in_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            token(&file)
        };
        let good = "0123456789abcdef";
        for text in [good, "0123456789abcdef\n", "0123456789abcdef\r\n"] {
            assert_eq!(read(text).unwrap(), good, "{text:?}");
        }
        let long = "a".repeat(257);
        for text in ["", "short", "0123456789abcd/f", "0123456789abcdef x", &long] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("16 to 256"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(token(&folder.path().join("none")).is_err());
        read(good).unwrap();
        for mode in [0o644, 0o604, 0o602, 0o660] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = token(&file).unwrap_err().to_string();
            assert!(error.contains("Run: chmod 600 "), "{mode:o}: {error}");
            assert!(!error.contains(good), "{error}");
        }
    }

    #[test]
    fn the_folder_of_pages_holds_nothing_of_ours() {
        let place = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let text = format!("state_dir = \"state\"\n{text}");
            let config = config::parse(&text, &place.path().join("bauta.toml")).unwrap();
            let browser = config.browser.clone().unwrap();
            super::browser(&config, &browser).map(|_| ())
        };
        fs::create_dir_all(place.path().join("state/profiles/p")).unwrap();
        fs::create_dir(place.path().join("other")).unwrap();
        std::os::unix::fs::symlink("../state", place.path().join("other/link")).unwrap();
        let up = place.path().join("other/link");
        for good in [
            "",
            "folder = \"d\"\n",
            "folder = \"../other\"\n",
            "folder = \"profiles-of-others\"\n",
        ] {
            read(&format!("[browser]\n{good}")).unwrap();
        }
        let moved = "[vault]\nurl = \"sqlite:/v/v.db\"\nmaster_key = \"env:K\"\n[audit]\npath = \"/v/audit\"\n";
        for (text, holds) in [
            ("[browser]\nfolder = \".\"\n".to_owned(), "vault.db"),
            ("[browser]\nfolder = \"../state\"\n".to_owned(), "vault.db"),
            (
                format!("[browser]\nfolder = \"{}\"\n", up.display()),
                "vault.db",
            ),
            (
                "[browser]\nfolder = \"d\"\n[vault]\nmaster_key = \"file:state/d/deep/key\"\n"
                    .to_owned(),
                "d/deep/key",
            ),
            (
                "[browser]\nfolder = \"d\"\n[audit]\npath = \"d/log\"\n".to_owned(),
                "d/log",
            ),
            (
                "[browser]\nfolder = \"d\"\ntoken_file = \"state/d/token\"\n".to_owned(),
                "d/token",
            ),
            (
                format!("{moved}[browser]\nfolder = \"profiles\"\n"),
                "profiles",
            ),
            (format!("{moved}[browser]\nfolder = \"/\"\n"), "v.db"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.starts_with("browser.folder: "), "{text}: {error}");
            assert!(
                error.contains(&format!("{holds}, which no page may be given")),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn methods_that_nothing_allows_are_said() {
        let read = |method: &str| {
            let text = format!("[browser]\nmethods = [\"{method}\"]\n");
            let config = config::parse(&text, Path::new("bauta.toml")).unwrap();
            let browser = config.browser.clone().unwrap();
            super::browser(&config, &browser)
        };
        assert!(
            read("Tracing.start")
                .unwrap()
                .methods
                .contains("Tracing.start")
        );
        for method in ["Target.exposeDevToolsProtocol", "Page.navigate", "No.such"] {
            let error = read(method).map(drop).expect_err(method).to_string();
            assert!(
                error.starts_with(&format!("browser.methods: {method}: ")),
                "{error}"
            );
        }
    }
}
