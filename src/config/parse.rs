//! From a TOML document to the typed configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::reader::{Item, Report, Table};
use super::{
    Agent, Browser, Config, Error, Health, Level, Limits, Listen, ListenError, Log, LogFormat,
    Model, Placeholder, Problem, Signed, Spelling, Tls, address, browser, duration, provider,
    vault,
};

/// Reads the text of a configuration file. Relative paths are taken from the file's folder.
///
/// # Errors
/// Every problem of the file.
pub fn parse(text: &str, file: &Path) -> Result<Config, Error> {
    let (config, problems, _) = read(text, file);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(Error::Invalid(file.to_owned(), problems))
    }
}

/// The dotted keys that a configuration may have.
pub fn known_keys() -> BTreeSet<String> {
    // One provider, so that its keys are asked for.
    let (_, _, known) = read("[[model.provider]]\n", Path::new("bauta.toml"));
    known
}

fn read(text: &str, file: &Path) -> (Config, Vec<Problem>, BTreeSet<String>) {
    let report = Report::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        report.problem(
            at,
            "",
            format!("not TOML: {}. Mend the line", error.message()),
        );
    }
    let base = file.parent().unwrap_or(Path::new(""));
    // What a broken document holds is not judged: it may be half of what was meant.
    let config = errors
        .is_empty()
        .then(|| document(Table::root(&report, &root), file, base));
    let (problems, known) = report.finish();
    (config.unwrap_or_default(), problems, known)
}

fn document(mut root: Table<'_, '_, '_>, file: &Path, base: &Path) -> Config {
    let state_dir = base.join(
        root.parse("state_dir", path)
            .unwrap_or(Config::default().state_dir),
    );
    let hosts = root.parse("hosts", hosts).unwrap_or_default();
    let agent = agent(root.table("agent"));
    let vault = vault::vault(root.table("vault"), base, &state_dir);
    let placeholder = placeholder(root.table("placeholder"));
    let browser = browser::browser(root.table("browser"), &hosts, base, &state_dir);
    let model = model(root.table("model"), hosts, base, &state_dir);
    let health = health(
        root.table("health"),
        &state_dir,
        model.as_ref(),
        browser.as_ref(),
    );
    let audit = vault::audit(root.table("audit"), &state_dir, &vault);
    let log = log(root.table("log"));
    root.finish();
    Config {
        source: Some(file.to_owned()),
        state_dir,
        agent,
        vault,
        placeholder,
        model,
        browser,
        health,
        audit,
        log,
    }
}

fn agent(mut table: Table<'_, '_, '_>) -> Agent {
    let defaults = Agent::default();
    let agent = Agent {
        id: table.parse("id", id).unwrap_or(defaults.id),
        user: table.parse("user", id),
        organization: table.parse("organization", id),
        profiles: table.parse("profiles", ids).unwrap_or(defaults.profiles),
    };
    table.finish();
    agent
}

fn placeholder(mut table: Table<'_, '_, '_>) -> Placeholder {
    let defaults = Placeholder::default();
    let accept = table.parse("accept", spellings).unwrap_or(defaults.accept);
    let output = table.parse("output", |item| {
        let output = spelling(item)?;
        if accept.contains(&output) {
            Ok(output)
        } else {
            Err(not_accepted(output))
        }
    });
    if table.item("output").is_none() && !accept.contains(&defaults.output) {
        table.missing(
            "output",
            "accept leaves out the default \"{key}\". Use output with one that accept holds",
        );
    }
    table.finish();
    Placeholder {
        output: output.unwrap_or(defaults.output),
        accept,
    }
}

fn not_accepted(output: Spelling) -> String {
    format!(
        "accept does not hold it. Use accept with {:?} as well, or another output",
        output.template()
    )
}

fn model(
    mut table: Table<'_, '_, '_>,
    hosts_of_all: Vec<String>,
    base: &Path,
    state_dir: &Path,
) -> Option<Model> {
    let defaults = Model::default();
    let listen = table.parse("listen", |item| listen(item, state_dir));
    let listen = listen.unwrap_or(defaults.listen);
    let mut all_hosts = hosts_of_all;
    for host in table.parse("hosts", hosts).unwrap_or_default() {
        if !all_hosts.contains(&host) {
            all_hosts.push(host);
        }
    }
    let mask_responses = table.parse("mask_responses", Item::boolean);
    let signed = table.parse("signed", |item| match item.text()? {
        "refuse" => Ok(Signed::Refuse),
        "pass" => Ok(Signed::Pass),
        _ => Err("not a way. Use \"refuse\" or \"pass\"".to_owned()),
    });
    let tls = tls(table.table("tls"), base);
    let limits = limits(table.table("limits"));
    let providers = provider::read(table.tables("provider"), base);
    let present = table.is_present();
    table.finish();
    present.then_some(Model {
        listen,
        tls,
        hosts: all_hosts,
        mask_responses: mask_responses.unwrap_or(defaults.mask_responses),
        signed: signed.unwrap_or(defaults.signed),
        limits,
        providers,
    })
}

fn tls(mut table: Table<'_, '_, '_>, base: &Path) -> Option<Tls> {
    let (has_cert, has_key) = (table.item("cert").is_some(), table.item("key").is_some());
    let cert = table.parse("cert", |item| pem_file(item, base));
    let key = table.parse("key", |item| pem_file(item, base));
    if table.is_present() && !has_cert {
        table.missing("cert", "Use cert = \"…\", a PEM file with the certificate");
    }
    if table.is_present() && !has_key {
        table.missing(
            "key",
            "Use key = \"…\", a PEM file with the certificate's private key",
        );
    }
    table.finish();
    Some(Tls {
        cert: cert?,
        key: key?,
    })
}

/// A PEM file that exists; what is in it shows when it is used.
pub(super) fn pem_file(item: &Item<'_, '_, '_>, base: &Path) -> Result<PathBuf, String> {
    let path = base.join(item.text()?);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "{} is not a file. Use the path of a PEM file, absolute or from this file's folder",
        path.display()
    ))
}

fn limits(mut table: Table<'_, '_, '_>) -> Limits {
    let defaults = Limits::default();
    let mut time = |name, default: Duration| {
        table
            .parse(name, |item| duration::parse(item.text()?))
            .unwrap_or(default)
    };
    let header_timeout = time("header_timeout", defaults.header_timeout);
    let idle_timeout = time("idle_timeout", defaults.idle_timeout);
    let connect_timeout = time("connect_timeout", defaults.connect_timeout);
    let response_timeout = time("response_timeout", defaults.response_timeout);
    let drain_timeout = time("drain_timeout", defaults.drain_timeout);
    let mut size = |name, range, default| {
        table
            .parse(name, |item| size(item, range))
            .unwrap_or(default)
    };
    let max_connections = size("max_connections", 1..=1_000_000, defaults.max_connections);
    let max_header_bytes = size(
        "max_header_bytes",
        8 << 10..=16 << 20,
        defaults.max_header_bytes,
    );
    let max_body_bytes = table
        .parse("max_body_bytes", |item| item.whole(1..=1 << 50))
        .unwrap_or(defaults.max_body_bytes);
    let max_message_bytes = table
        .parse("max_message_bytes", |item| item.whole(1..=1 << 30))
        .unwrap_or(defaults.max_message_bytes);
    table.finish();
    Limits {
        max_connections,
        max_header_bytes,
        max_body_bytes,
        max_message_bytes,
        header_timeout,
        idle_timeout,
        connect_timeout,
        response_timeout,
        drain_timeout,
    }
}

/// Health has no default address: most who run one agent on one machine need none.
fn health(
    mut table: Table<'_, '_, '_>,
    state_dir: &Path,
    model: Option<&Model>,
    browser: Option<&Browser>,
) -> Option<Health> {
    let present = table.item("listen").is_some();
    let listen = table.parse("listen", |item| {
        let listen = listen(item, state_dir)?;
        let any_port = matches!(listen, Listen::Tcp { port: 0, .. });
        if !any_port && model.is_some_and(|model| model.listen == listen) {
            return Err("is model.listen already. Use another address".to_owned());
        }
        if !any_port && browser.is_some_and(|browser| browser.listen == listen) {
            return Err("is browser.listen already. Use another address".to_owned());
        }
        Ok(listen)
    });
    if table.is_present() && !present {
        table.missing("listen", "Use listen = \"127.0.0.1:8604\"");
    }
    table.finish();
    Some(Health { listen: listen? })
}

fn log(mut table: Table<'_, '_, '_>) -> Log {
    let defaults = Log::default();
    let level = table.parse("level", |item| {
        let text = item.text()?;
        let level = Level::ALL.into_iter().find(|level| level.as_str() == text);
        level.ok_or_else(|| {
            "not a level. Use \"error\", \"warn\", \"info\", \"debug\" or \"trace\"".to_owned()
        })
    });
    let format = table.parse("format", |item| match item.text()? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("not a format. Use \"text\" or \"json\"".to_owned()),
    });
    table.finish();
    Log {
        level: level.unwrap_or(defaults.level),
        format: format.unwrap_or(defaults.format),
    }
}

/// A socket is written, so a relative one lives under the state.
pub(super) fn listen(item: &Item<'_, '_, '_>, state_dir: &Path) -> Result<Listen, String> {
    let address = match item.text()?.parse() {
        Ok(Listen::Unix(path)) => Listen::unix(state_dir.join(path)),
        other => other,
    };
    address.map_err(|error: ListenError| error.to_string())
}

pub(super) fn path(item: &Item<'_, '_, '_>) -> Result<PathBuf, String> {
    let text = item.text()?;
    if text.is_empty() || text.contains('\0') {
        return Err("not a path. Use a relative or absolute path".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn size(
    item: &Item<'_, '_, '_>,
    range: std::ops::RangeInclusive<u64>,
) -> Result<usize, String> {
    let number = item.whole(range)?;
    usize::try_from(number)
        .map_err(|_| "too large for this machine. Use a smaller number".to_owned())
}

/// Ids stand in scopes, URLs and logs.
fn id(item: &Item<'_, '_, '_>) -> Result<String, String> {
    let text = item.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if (1..=128).contains(&text.len()) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("not an id. Use 1 to 128 letters, digits and - _ . @ :".to_owned())
}

fn ids(item: &Item<'_, '_, '_>) -> Result<Vec<String>, String> {
    each(item, id)
}

pub(super) fn hosts(item: &Item<'_, '_, '_>) -> Result<Vec<String>, String> {
    each(item, |item| {
        let host = address::parse_host(item.text()?);
        host.ok_or_else(|| {
            "not a host. Use a name or address alone, without scheme and port".to_owned()
        })
    })
}

fn spellings(item: &Item<'_, '_, '_>) -> Result<Vec<Spelling>, String> {
    each(item, spelling)
}

fn spelling(item: &Item<'_, '_, '_>) -> Result<Spelling, String> {
    let text = item.text()?;
    Spelling::ALL
        .into_iter()
        .find(|spelling| spelling.template() == text)
        .ok_or_else(|| {
            let templates: Vec<String> = Spelling::ALL
                .iter()
                .map(|spelling| format!("{:?}", spelling.template()))
                .collect();
            format!("not a spelling. Use one of {}", templates.join(", "))
        })
}

/// Reads a list; every item that is wrong is a problem of its own.
pub(super) fn each<'r, 't, 'd, T>(
    list: &Item<'r, 't, 'd>,
    parse: impl Fn(&Item<'r, 't, 'd>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = list.texts()?;
    Ok(items
        .iter()
        .filter_map(|item| parse(item).map_err(|text| item.problem(text)).ok())
        .collect())
}
