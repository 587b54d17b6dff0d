//! The configuration: the reference file, and what a wrong file is told.

use std::path::Path;
use std::time::Duration;

use bauta::config::{
    self, BrowserSource, Captures, Config, Error, Health, Inject, Launch, Listen, MasterKey,
    Spelling,
};

const REFERENCE: &str = include_str!("../../config/bauta.toml");

fn parse(text: &str) -> Result<Config, String> {
    config::parse(text, Path::new("bauta.toml")).map_err(|error| error.to_string())
}

/// The problems of a text, one per line.
fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_reference_shows_the_defaults() {
    let expected = Config {
        source: Some("bauta.toml".into()),
        ..Config::default()
    };
    assert_eq!(parse(REFERENCE), Ok(expected));
}

/// The reference with its commented keys switched on, of which those that name files are wrong: there are none.
fn reference_in_full() -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    REFERENCE
        .lines()
        .map(uncommented)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_reference_shows_every_key_and_no_other() {
    let text = reference_in_full();
    let missing = "is not a file. Use the path of a PEM file, absolute or from this file's folder";
    let found = problems(&text);
    let without_line = found.iter().filter_map(|line| line.split_once(": "));
    let texts: Vec<&str> = without_line.map(|(_, text)| text).collect();
    let expected = [
        format!("model.tls.cert: tls.crt {missing}"),
        format!("model.tls.key: tls.key {missing}"),
        format!("model.provider.ca: ca.pem {missing}"),
        "browser.attach: there is a [browser.launch] as well. Use one of the two: a browser that bauta starts, or one that runs"
            .to_owned(),
    ];
    assert_eq!(texts, expected);

    let table: toml::Table = text.parse().unwrap();
    let mut shown = std::collections::BTreeSet::new();
    dotted_keys("", &table, &mut shown);
    assert_eq!(shown, config::known_keys());
}

fn dotted_keys(path: &str, table: &toml::Table, keys: &mut std::collections::BTreeSet<String>) {
    for (key, value) in table {
        let dotted = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        if let Some(inner) = value.as_table() {
            dotted_keys(&dotted, inner, keys);
        }
        for item in value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_table)
        {
            dotted_keys(&dotted, item, keys);
        }
        keys.insert(dotted);
    }
}

const NO_KEY_SOURCE: &str = "bauta.toml:2: vault.master_key: not a source of a key. Use \"auto\", \"file:PATH\", \
                             \"env:NAME\" or 'exec:[\"PROGRAM\", \"ARGUMENT\"]'";
const NO_PROGRAM: &str = "bauta.toml:2: vault.master_key: names no program. Use 'exec:[\"/path/to/program\", \"argument\"]'; \
                          no shell reads it";

/// Texts of a file, and their problems.
const WRONG: &[(&str, &[&str])] = &[
    (
        "lisen = 1\n",
        &[
            "bauta.toml:1: lisen: unknown key. Known keys here: agent, audit, browser, health, hosts, log, model, placeholder, \
             state_dir, vault",
        ],
    ),
    (
        "[model]\n\nlisten_on = \"\"\nlisen = 2\n",
        &[
            "bauta.toml:3: model.listen_on: unknown key. Did you mean \"listen\"?",
            "bauta.toml:4: model.lisen: unknown key. Did you mean \"listen\"?",
        ],
    ),
    (
        "[egress]\n",
        &[
            "bauta.toml:1: egress: unknown key. Known keys here: agent, audit, browser, health, hosts, log, model, placeholder, \
             state_dir, vault",
        ],
    ),
    (
        "[browser]\nattach = \"127.0.0.1:9222\"\ncaptures = \"blur\"\nmethods = [\"Tracing\", \"Page.x y\"]\n\
         [browser.launch]\nargs = [\"lang=de\"]\nheadless = 1\n[browser.limits]\nmax_clients = 0\ntyping_pause = \"0s\"\n",
        &[
            "bauta.toml:2: browser.attach: not the address of a browser. Use \"http://127.0.0.1:9222\", or the URL of its WebSocket",
            "bauta.toml:3: browser.captures: not a way. Use \"cover\" or \"deny-after-fill\"",
            "bauta.toml:4: browser.methods: not a method. Use \"Domain.method\", such as \"Tracing.start\"",
            "bauta.toml:4: browser.methods: not a method. Use \"Domain.method\", such as \"Tracing.start\"",
            "bauta.toml:6: browser.launch.args: not a switch. Use \"--name\" or \"--name=value\", one a text",
            "bauta.toml:7: browser.launch.headless: must be true or false, not an integer",
            "bauta.toml:9: browser.limits.max_clients: must be a whole number. Use 1 to 1024",
            "bauta.toml:10: browser.limits.typing_pause: not a time. Use a whole number and a unit, such as \"250ms\", \"30s\", \
             \"5m\" or \"1h\" (at most \"24h\")",
        ],
    ),
    (
        "[browser]\nattach = \"ws://h/s3cr et\"\n[health]\nlisten = \"127.0.0.1:8603\"\n",
        &[
            "bauta.toml:2: browser.attach: not the address of a browser. Use \"http://127.0.0.1:9222\", or the URL of its WebSocket",
            "bauta.toml:4: health.listen: is browser.listen already. Use another address",
        ],
    ),
    (
        "[model]\nlisten = 8601\n",
        &["bauta.toml:2: model.listen: must be a text, not an integer. Use quotes"],
    ),
    (
        "[model]\nlisten = \"8601\"\n",
        &[
            "bauta.toml:2: model.listen: not an address. Use \"host:port\", such as \"127.0.0.1:8601\", or \"unix:PATH\"",
        ],
    ),
    (
        "[model]\nlisten = \"127.0.0.1:x\"\n",
        &[
            "bauta.toml:2: model.listen: bad port. Use a number from 0 to 65535 after the last colon",
        ],
    ),
    (
        "model = 1\n",
        &["bauta.toml:1: model: must be a table. Use [model]"],
    ),
    (
        "[model.provider]\nname = \"a\"\n",
        &["bauta.toml:1: model.provider: must be tables. Use [[model.provider]]"],
    ),
    (
        "[[model.provider]]\n",
        &[
            "bauta.toml:1: model.provider.name: missing. Use name = \"…\", the provider's name and the path of its route",
        ],
    ),
    (
        "\n[[model.provider]]\nname = \"azure\"\n",
        &[
            "bauta.toml:2: model.provider.upstream: missing. Use upstream = \"https://RESOURCE.openai.azure.com\"",
        ],
    ),
    (
        "[[model.provider]]\nname = \"mine\"\n",
        &[
            "bauta.toml:1: model.provider.upstream: missing. Use upstream = \"https://api.example.com\"",
        ],
    ),
    (
        "[[model.provider]]\nname = \"mine\"\nupstream = \"ftp://x\"\n",
        &[
            "bauta.toml:3: model.provider.upstream: not an http or https URL. Use a base URL such as \"https://api.example.com\"",
        ],
    ),
    (
        "[[model.provider]]\nname = \"openai\"\n[[model.provider]]\nname = \"openai\"\n",
        &[
            "bauta.toml:4: model.provider.name: \"openai\" stands here twice. Use another name, or one table for both",
        ],
    ),
    (
        "[[model.provider]]\nname = \"mine\"\npath = \"openai\"\nupstream = \"https://x.example\"\n",
        &[
            "bauta.toml:3: model.provider.path: the path \"openai\" is that of \"openai\" already. Use another path, or \
             name = \"openai\" to change the preset",
        ],
    ),
    (
        "[[model.provider]]\nname = \"a\"\nupstream = \"https://x.example\"\n[[model.provider]]\nname = \"b\"\npath = \"a\"\n\
          upstream = \"https://x.example\"\n",
        &[
            "bauta.toml:6: model.provider.path: the path \"a\" is that of \"a\" already. Use another path",
        ],
    ),
    (
        "[[model.provider]]\nname = \"bauta\"\nupstream = \"https://x.example\"\n",
        &["bauta.toml:2: model.provider.name: \"bauta\" is reserved for our own API. Use another"],
    ),
    (
        "[[model.provider]]\nname = \"a\"\npath = \"Bauta\"\nupstream = \"https://x.example\"\n",
        &["bauta.toml:3: model.provider.path: \"bauta\" is reserved for our own API. Use another"],
    ),
    (
        "[[model.provider]]\nname = \"a/b\"\nupstream = \"https://x.example\"\n",
        &[
            "bauta.toml:2: model.provider.name: not one path segment. Use 1 to 64 letters, digits and - _ . without slashes",
        ],
    ),
    (
        "[placeholder]\noutput = \"[key]\"\n",
        &[
            "bauta.toml:2: placeholder.output: not a spelling. Use one of \"{key}\", \"<secret>{key}</secret>\", \
             \"{{{key}}}\", \"%{key}%\", \"$[secret:{key}]\", \"<<<{key}>>>\"",
        ],
    ),
    (
        "[placeholder]\naccept = [\"%{key}%\"]\noutput = \"{{{key}}}\"\n",
        &[
            "bauta.toml:3: placeholder.output: accept does not hold it. Use accept with \"{{{key}}}\" as well, or another output",
        ],
    ),
    (
        "[placeholder]\naccept = [\"%{key}%\"]\n",
        &[
            "bauta.toml:1: placeholder.output: missing. accept leaves out the default \"{key}\". Use output with one that \
             accept holds",
        ],
    ),
    (
        "[model.limits]\nidle_timeout = \"5 minutes\"\nmax_connections = 0\n",
        &[
            "bauta.toml:2: model.limits.idle_timeout: not a time. Use a whole number and a unit, such as \"250ms\", \"30s\", \
             \"5m\" or \"1h\" (at most \"24h\")",
            "bauta.toml:3: model.limits.max_connections: must be a whole number. Use 1 to 1000000",
        ],
    ),
    (
        "hosts = [\"ok.example\", \"http://x\", \"a:1\"]\n",
        &[
            "bauta.toml:1: hosts: not a host. Use a name or address alone, without scheme and port",
            "bauta.toml:1: hosts: not a host. Use a name or address alone, without scheme and port",
        ],
    ),
    (
        "[model]\nmask_responses = \"yes\"\n",
        &["bauta.toml:2: model.mask_responses: must be true or false, not a string"],
    ),
    (
        "[model]\nsigned = \"mask\"\n",
        &["bauta.toml:2: model.signed: not a way. Use \"refuse\" or \"pass\""],
    ),
    (
        "hosts = \"a\"\n",
        &["bauta.toml:1: hosts: must be a list of texts. Use [\"…\", \"…\"]"],
    ),
    (
        "[log]\nlevel = \"loud\"\nformat = \"xml\"\n",
        &[
            "bauta.toml:2: log.level: not a level. Use \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
            "bauta.toml:3: log.format: not a format. Use \"text\" or \"json\"",
        ],
    ),
    (
        "[agent]\nid = \"\"\n",
        &["bauta.toml:2: agent.id: not an id. Use 1 to 128 letters, digits and - _ . @ :"],
    ),
    (
        "[vault]\nurl = \"postgres://h/db\"\n",
        &[
            "bauta.toml:2: vault.url: not a vault. Use \"sqlite:PATH\", a relative path counted from state_dir",
        ],
    ),
    (
        "[vault]\nurl = \"sqlite://host/vault.db\"\n",
        &[
            "bauta.toml:2: vault.url: not a vault. Use \"sqlite:PATH\", a relative path counted from state_dir",
        ],
    ),
    (
        // As one might paste it; an error must not repeat it.
        "[vault]\nmaster_key = \"3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
        &[NO_KEY_SOURCE],
    ),
    ("[vault]\nmaster_key = \"auto:\"\n", &[NO_KEY_SOURCE]),
    (
        "[vault]\nmaster_key = \"file:\"\n",
        &[
            "bauta.toml:2: vault.master_key: names no file. Use \"file:PATH\", absolute or from this file's folder",
        ],
    ),
    (
        "[vault]\nmaster_key = \"env:A=B\"\n",
        &[
            "bauta.toml:2: vault.master_key: names no variable. Use \"env:NAME\" with letters, digits and underscores",
        ],
    ),
    ("[vault]\nmaster_key = \"exec:cat key\"\n", &[NO_PROGRAM]),
    ("[vault]\nmaster_key = \"exec:[]\"\n", &[NO_PROGRAM]),
    ("[vault]\nmaster_key = 'exec:[\"\"]'\n", &[NO_PROGRAM]),
    ("[vault]\nmaster_key = 'exec:[\"cat\", 1]'\n", &[NO_PROGRAM]),
    (
        "[vault]\ngroup_read = true\n",
        &[
            "bauta.toml:2: vault.group_read: has no effect with this master_key. Use master_key = \"file:PATH\", or leave it out",
        ],
    ),
    (
        // One mistake, one error.
        "[vault]\nmaster_key = \"file:\"\ngroup_read = true\n",
        &[
            "bauta.toml:2: vault.master_key: names no file. Use \"file:PATH\", absolute or from this file's folder",
        ],
    ),
    (
        "[vault]\ngrace = \"a week\"\n[vault.limits]\nmax_secrets = 0\nmax_value_bytes = 65537\n",
        &[
            "bauta.toml:2: vault.grace: not a time. Use a whole number and a unit, such as \"0s\", \"12h\" or \"7d\" (at most \
             \"3650d\")",
            "bauta.toml:4: vault.limits.max_secrets: must be a whole number. Use 1 to 100000",
            "bauta.toml:5: vault.limits.max_value_bytes: must be a whole number. Use 1 to 65536",
        ],
    ),
    (
        "[audit]\npath = \"\"\nrotate_bytes = 1\nstdout = 1\n",
        &[
            "bauta.toml:2: audit.path: not a path. Use a relative or absolute path",
            "bauta.toml:3: audit.rotate_bytes: must be a whole number. Use 65536 to 1099511627776",
            "bauta.toml:4: audit.stdout: must be true or false, not an integer",
        ],
    ),
    // The log moves aside what it finds in its place and does not know.
    (
        "[vault]\nurl = \"sqlite:v.db\"\n[audit]\npath = \"v.db\"\n",
        &[
            "bauta.toml:4: audit.path: the vault or its master key is there. Use a file of the log's own",
        ],
    ),
    (
        "[audit]\npath = \"./vault.db-wal\"\n",
        &[
            "bauta.toml:2: audit.path: the vault or its master key is there. Use a file of the log's own",
        ],
    ),
    (
        "[audit]\npath = \"master.key\"\n",
        &[
            "bauta.toml:2: audit.path: the vault or its master key is there. Use a file of the log's own",
        ],
    ),
    (
        "state_dir = \"s\"\n[vault]\nmaster_key = \"file:s/k\"\n[audit]\npath = \"k\"\n",
        &[
            "bauta.toml:5: audit.path: the vault or its master key is there. Use a file of the log's own",
        ],
    ),
    (
        "[health]\n",
        &["bauta.toml:1: health.listen: missing. Use listen = \"127.0.0.1:8604\""],
    ),
    (
        "[model]\n[health]\nlisten = \"127.0.0.1:8601\"\n",
        &["bauta.toml:3: health.listen: is model.listen already. Use another address"],
    ),
    (
        "[[model.provider]]\nname = \"openai\"\ninject = \"always\"\n",
        &[
            "bauta.toml:3: model.provider.inject: has no effect without a credential. Use secret = \"KEY\" as well",
        ],
    ),
    (
        // As one might paste it; an error must not repeat it.
        "[[model.provider]]\nname = \"openai\"\nsecret = \"sk-proj-1\"\ninject = \"never\"\n",
        &[
            "bauta.toml:3: model.provider.secret: not a secret's key. Use the name of a secret, such as \"x_openai_key\"; its \
             value never stands here",
            "bauta.toml:4: model.provider.inject: not a way. Use \"placeholder\" or \"always\"",
        ],
    ),
    (
        "state_dir = \"\"\n",
        &["bauta.toml:1: state_dir: not a path. Use a relative or absolute path"],
    ),
];

#[test]
fn a_wrong_file_is_told_file_line_key_and_mend() {
    for (text, expected) in WRONG {
        assert_eq!(problems(text), *expected, "{text}");
    }
}

#[test]
fn what_is_open_to_others_is_warned_about() {
    let warned = |text: &str| parse(text).unwrap().warnings();
    let provider = "[[model.provider]]\nname = \"openai\"\nupstream = ";
    for quiet in [
        REFERENCE,
        "[model]\nlisten = \"0.0.0.0:1\"\n[browser]\nlisten = \"[::1]:1\"\n",
        "[browser]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"t\"\n",
        "[browser]\nlisten = \"unix:b\"\n",
        &format!("{provider}\"http://localhost:1\"\nsecret = \"x_k\"\ninject = \"always\"\n"),
        &format!("{provider}\"https://a.example\"\n"),
    ] {
        assert_eq!(warned(quiet), [""; 0], "{quiet}");
    }
    for (text, warning) in [
        (
            format!("{provider}\"http://llm.example/v1\"\n"),
            "model.provider openai: what is sent to http://llm.example/v1 can be read on its way, keys too. Use https",
        ),
        (
            format!(
                "[model]\nlisten = \"0.0.0.0:1\"\n{provider}\"https://a.example\"\nsecret = \"x_k\"\ninject = \"always\"\n"
            ),
            "model.listen: whoever reaches 0.0.0.0:1 uses the key of openai. Use an address of this machine, or a firewall",
        ),
        (
            "[browser]\nlisten = \"[::]:1\"\n".to_owned(),
            "browser.listen: whoever reaches [::]:1 drives the browser. Use token_file, or an address of this machine",
        ),
    ] {
        assert_eq!(warned(&text), [warning], "{text}");
    }
}

#[test]
fn broken_toml_names_the_line() {
    for (text, line) in [
        ("[model\n", 1),
        ("state_dir = \"a\"\nstate_dir = \"b\"\n", 2),
        ("\n\n= 3\n", 3),
    ] {
        let found = problems(text);
        assert!(
            found[0].starts_with(&format!("bauta.toml:{line}: not TOML: ")),
            "{found:?}"
        );
    }
}

#[test]
fn a_channel_without_its_table_is_off() {
    assert_eq!(parse("[log]\n").unwrap().model, None);
    assert_eq!(parse("[model]\n").unwrap().model, Config::default().model);
    assert_eq!(parse("[model]\n").unwrap().browser, None);
}

#[test]
fn a_browser_is_started_or_attached_to() {
    let read = |text: &str| {
        let config = config::parse(text, Path::new("/etc/bauta/bauta.toml")).unwrap();
        config.browser.unwrap()
    };
    let usual = read("state_dir = \"/var\"\n[browser]\n");
    assert_eq!(usual.listen.to_string(), "127.0.0.1:8603");
    assert_eq!(usual.source, BrowserSource::Launch(Launch::default()));
    assert_eq!(usual.captures, Captures::Cover);
    assert_eq!(usual.folder, Path::new("/var/downloads"));
    assert_eq!((usual.methods.len(), usual.token_file), (0, None));

    let other = read(
        "hosts = [\"a\"]\n[browser]\nhosts = [\"a\", \"b\"]\nlisten = \"unix:b.sock\"\ncaptures = \"deny-after-fill\"\n\
         folder = \"/f\"\nmethods = [\"Tracing.start\"]\ntoken_file = \"t\"\n\
         [browser.launch]\nexecutable = \"./chrome\"\nheadless = false\nargs = [\"--lang=de\"]\n\
         [browser.limits]\nmax_clients = 2\n",
    );
    assert_eq!(other.hosts, ["a", "b"]);
    assert_eq!(other.listen, Listen::Unix("/etc/bauta/data/b.sock".into()));
    assert_eq!(
        other.source,
        BrowserSource::Launch(Launch {
            executable: "/etc/bauta/./chrome".into(),
            headless: false,
            args: vec!["--lang=de".to_owned()],
        })
    );
    assert_eq!(other.captures, Captures::DenyAfterFill);
    assert_eq!(other.folder, Path::new("/f"));
    assert_eq!(other.methods, ["Tracing.start"]);
    assert_eq!(other.token_file, Some("/etc/bauta/t".into()));
    assert_eq!(other.limits.max_clients, 2);

    let attached = read("[browser]\nattach = \"http://127.0.0.1:9222\"\n");
    let address = "http://127.0.0.1:9222".to_owned();
    assert_eq!(attached.source, BrowserSource::Attach(address));
}

#[test]
fn relative_paths_start_at_the_file_and_sockets_at_the_state() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "").unwrap();
    let text = "state_dir = \"state\"\n[model]\nlisten = \"unix:run/model.sock\"\n[[model.provider]]\nname = \"openai\"\n\
                ca = \"ca.pem\"\n";
    let config = config::parse(text, &folder.path().join("bauta.toml")).unwrap();
    assert_eq!(config.state_dir, folder.path().join("state"));
    let model = config.model.unwrap();
    assert_eq!(
        model.listen,
        Listen::Unix(folder.path().join("state/run/model.sock"))
    );
    assert_eq!(model.providers[0].ca, Some(folder.path().join("ca.pem")));
}

#[test]
fn what_is_written_lives_under_the_state_and_the_key_beside_the_file() {
    let read = |text: &str| config::parse(text, Path::new("/etc/bauta/bauta.toml")).unwrap();
    let config = read("state_dir = \"/var/lib/bauta\"\n");
    assert_eq!(config.vault.path, Path::new("/var/lib/bauta/vault.db"));
    assert_eq!(config.audit.path, Path::new("/var/lib/bauta/audit.log"));

    let config = read(
        "[vault]\nurl = \"sqlite:v/1.db\"\nmaster_key = \"file:key\"\ngroup_read = true\ngrace = \"0s\"\n\
         [audit]\npath = \"/log/audit\"\n[health]\nlisten = \"unix:h.sock\"\n",
    );
    assert_eq!(config.vault.path, Path::new("/etc/bauta/data/v/1.db"));
    assert_eq!(
        config.vault.master_key,
        MasterKey::File("/etc/bauta/key".into())
    );
    assert!(config.vault.group_read);
    assert_eq!(config.vault.grace, Duration::ZERO);
    assert_eq!(config.audit.path, Path::new("/log/audit"));
    let socket = Listen::Unix("/etc/bauta/data/h.sock".into());
    assert_eq!(config.health, Some(Health { listen: socket }));
}

#[test]
fn a_master_key_comes_from_a_program_or_the_environment() {
    for (text, expected) in [
        ("auto", MasterKey::Auto),
        ("env:_KEY1", MasterKey::Env("_KEY1".into())),
        ("file:/run/key", MasterKey::File("/run/key".into())),
        // Found in PATH.
        (
            r#"exec:["pass", "show", "a b"]"#,
            MasterKey::Exec(vec!["pass".into(), "show".into(), "a b".into()]),
        ),
        (
            r#"exec:["./key.sh"]"#,
            MasterKey::Exec(vec!["/etc/./key.sh".into()]),
        ),
    ] {
        let file = format!("[vault]\nmaster_key = '{text}'\n");
        let config = config::parse(&file, Path::new("/etc/bauta.toml")).unwrap();
        assert_eq!(config.vault.master_key, expected, "{text}");
    }
}

#[test]
fn a_provider_names_its_credential() {
    let text = "[[model.provider]]\nname = \"openai\"\nsecret = \"x_openai_key\"\n\
                [[model.provider]]\nname = \"gemini\"\nsecret = \"KEY\"\ninject = \"always\"\n";
    let providers = parse(text).unwrap().model.unwrap().providers;
    let named: Vec<_> = providers
        .iter()
        .filter_map(|provider| {
            Some((
                provider.name.as_str(),
                provider.secret.as_deref()?,
                provider.inject,
            ))
        })
        .collect();
    assert_eq!(
        named,
        [
            ("openai", "x_openai_key", Inject::Placeholder),
            ("gemini", "KEY", Inject::Always)
        ]
    );
}

#[test]
fn a_socket_path_that_is_too_long_with_the_state_is_refused() {
    let text = format!(
        "state_dir = \"/{}\"\n[model]\nlisten = \"unix:model.sock\"\n",
        "s".repeat(90)
    );
    assert_eq!(
        problems(&text),
        [
            "bauta.toml:3: model.listen: bad socket path. Use \"unix:PATH\" with a path of 1 to 100 bytes, a relative one \
          counted from state_dir"
        ]
    );
}

#[test]
fn a_table_changes_a_preset_or_adds_a_route() {
    let text = "[[model.provider]]\nname = \"openai\"\nupstream = \"http://127.0.0.1:9/v1/\"\n\
                [[model.provider]]\nname = \"azure\"\nupstream = \"https://r.openai.azure.com\"\n\
                [[model.provider]]\nname = \"mine\"\npath = \"m\"\nupstream = \"https://x.example:444\"\n\
                [model.limits]\nidle_timeout = \"250ms\"\n\
                [placeholder]\noutput = \"<<<{key}>>>\"\n";
    // A table of the limits after the providers' is legal TOML.
    let config = parse(text).unwrap();
    let model = config.model.unwrap();
    let route = |name: &str| {
        let provider = model
            .providers
            .iter()
            .find(|provider| provider.name == name)
            .unwrap();
        (provider.path.clone(), provider.upstream.to_string())
    };
    assert_eq!(
        route("openai"),
        ("openai".into(), "http://127.0.0.1:9/v1".into())
    );
    assert_eq!(
        route("azure"),
        ("azure".into(), "https://r.openai.azure.com".into())
    );
    assert_eq!(route("mine"), ("m".into(), "https://x.example:444".into()));
    assert_eq!(
        route("anthropic"),
        ("anthropic".into(), "https://api.anthropic.com".into())
    );
    assert_eq!(model.limits.idle_timeout, Duration::from_millis(250));
    assert_eq!(config.placeholder.output, Spelling::Angles);
    assert_eq!(config.placeholder.output.write("x_a"), "<<<x_a>>>");
}

#[test]
fn presets_are_the_documented_ones() {
    let model = Config::default().model.unwrap();
    let routes: Vec<String> = model
        .providers
        .iter()
        .map(|provider| format!("{} {}", provider.path, provider.upstream))
        .collect();
    assert_eq!(
        routes,
        [
            "openai https://api.openai.com",
            "anthropic https://api.anthropic.com",
            "gemini https://generativelanguage.googleapis.com",
            "openrouter https://openrouter.ai/api",
            "mistral https://api.mistral.ai",
            "groq https://api.groq.com/openai",
            "deepseek https://api.deepseek.com",
            "xai https://api.x.ai",
            "ollama http://127.0.0.1:11434",
            "vllm http://127.0.0.1:8000",
        ]
    );
}

#[test]
fn a_named_file_must_exist() {
    let error = config::load(Some(Path::new("no/such/bauta.toml"))).unwrap_err();
    assert!(matches!(error, Error::Read(..)));
    assert!(
        error
            .to_string()
            .starts_with("no/such/bauta.toml: cannot read the configuration: "),
        "{error}"
    );
}
