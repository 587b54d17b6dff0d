//! `bauta secret`, through the real binary.

use std::fs;

use serde_json::{Value, json};

use crate::cli_vault_kit::{Place, steady};

const T: &str = "TTTTTTTTTTTTTTTTTTTT";

#[test]
fn a_secret_is_set_listed_and_masked_for() {
    let place = Place::new();
    let (code, out, err) = place.give(
        &[
            "secret",
            "set",
            "x_password",
            "--domain",
            "https://Example.com",
        ],
        "hunter22-value\n",
    );
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out,
        "set x_password for https://example.com in agent:agent: version 1\n"
    );
    place.set(
        "x_api_key",
        "other-value-1",
        &["--domain", "*.service.com", "--scope", "user:ada", "--env"],
    );
    place.set("x_password", "hunter23-value", &[]);
    let expected = "\
KEY         DOMAIN                 SCOPE        KIND        VERSION  CHANGED
x_api_key   https://*.service.com  user:ada     env         1        TTTTTTTTTT
x_password  https://example.com    agent:agent  credential  2        TTTTTTTTTT
";
    assert_eq!(steady(&place.done(&["secret", "list"])), expected);
    assert_eq!(
        place.masked("hunter22-value, hunter23-value"),
        "x_password, x_password"
    );
    // Not assigned to this agent, so not in its view.
    assert_eq!(place.masked("other-value-1"), "other-value-1");
    assert_eq!(
        steady(&place.done(&["secret", "list", "-q"])),
        expected,
        "a list is a result"
    );
}

#[test]
fn list_can_be_narrowed_and_read_by_programs() {
    let place = Place::new();
    assert_eq!(place.run(&["secret", "list"]).0, 1, "there is no vault");
    place.done(&["key", "init"]);
    assert_eq!(place.done(&["secret", "list"]), "no secrets\n");
    assert_eq!(place.json(&["secret", "list"]), json!({ "secrets": [] }));
    place.set("x_a", "hunter22-one", &[]);
    place.set("x_b", "hunter22-two", &["--scope", "org:acme"]);
    let keys = |args: &[&str]| -> Vec<String> {
        let list = place.json(args);
        let secrets = list["secrets"].as_array().unwrap();
        secrets
            .iter()
            .map(|secret| secret["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&["secret", "list"]), ["x_a", "x_b"]);
    assert_eq!(keys(&["secret", "list", "--scope", "org:acme"]), ["x_b"]);
    assert_eq!(keys(&["secret", "list", "--key", "x_a"]), ["x_a"]);
    assert_eq!(keys(&["secret", "list", "--stale", "0"]), ["x_a", "x_b"]);
    assert_eq!(keys(&["secret", "list", "--stale", "1"]), [""; 0]);
    let (code, _, err) = place.run(&["secret", "list", "--scope", "nobody", "--key", "1"]);
    assert_eq!(code, 2);
    assert_eq!(
        err,
        "error: Secret key cannot start with a number\n\
         error: Invalid scope 'nobody'. Use task:ID, agent:ID, user:ID, profile:NAME or org:ID\n"
    );
}

#[test]
fn a_use_in_the_log_makes_a_secret_fresh() {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    let path = place.path().join("data/audit.log");
    let mut log = fs::read_to_string(&path).unwrap();
    log.push_str(concat!(
        r#"{"seq":9,"time":"2026-01-02T03:04:05.000Z","event":"mask","channel":"model","key":"x_a","domain":"https://example.com","scope":"agent:agent","prev":"","mac":""}"#,
        "\n",
        r#"{"seq":10,"time":"2026-01-02T03:04:06.000Z","event":"substitute","channel":"model","key":"x_a","domain":"https://other.com","scope":"agent:agent","prev":"","mac":""}"#,
        "\n",
    ));
    fs::write(&path, log).unwrap();
    let shown = place.json(&["secret", "show", "x_a"]);
    let secret = &shown["secrets"][0];
    assert_eq!(
        (&secret["masked"], &secret["substituted"]),
        (&json!("2026-01-02T03:04:05Z"), &Value::Null)
    );
    let list = place.json(&["secret", "list", "--stale", "0"]);
    assert_eq!(list["secrets"][0]["last_use"], "2026-01-02T03:04:05Z");
    let out = place.done(&["secret", "list", "--stale", "0"]);
    assert!(
        out.lines()
            .next()
            .unwrap()
            .ends_with("CHANGED     LAST USE"),
        "{out}"
    );
    assert!(out.contains("  2026-01-02\n"), "{out}");
}

#[test]
fn show_tells_all_but_the_value() {
    let place = Place::new();
    let options = [
        "--mask",
        "word",
        "--allow",
        "header,query",
        "--allow",
        "body",
        "--field",
        "any",
        "--fill",
        "network",
        "--max-uses",
        "3",
        "--ignore-case",
        "--scope",
        "user:ada",
    ];
    place.set("x_a", "hunter22-one", &options);
    place.done(&["secret", "assign", "x_a", "--agent", "agent"]);
    let (code, out, err) = place.give(
        &["secret", "rotate", "x_a", "--grace", "24h"],
        "hunter22-two",
    );
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out,
        "rotated x_a for https://example.com in user:ada: version 2; the value before stays masked for 1day\n"
    );
    let expected = format!(
        "\
x_a
  domain       https://example.com
  scope        user:ada
  kind         credential
  mask         word
  allow        header, query, body
  field        any
  fill         network
  max_uses     3
  ignore_case  true
  assigned to  agent
  id           ID
  created      {T}
  changed      {T}
  substituted  never
  masked       never
  VERSION  STATE    CREATED               DESTROYED
  2        current  {T}
  1        former   {T}  {T}
"
    );
    assert_eq!(steady(&place.done(&["secret", "show", "x_a"])), expected);
    let shown = place.json(&["secret", "show", "x_a"]);
    let secret = &shown["secrets"][0];
    assert_eq!(secret["allow"], json!(["header", "query", "body"]));
    assert_eq!(secret["versions"][1]["state"], "current");
    assert_eq!(secret["assigned"][0]["agent"], "agent");
    let (code, _, err) = place.run(&["secret", "show", "x_b"]);
    assert_eq!(
        (code, err.as_str()),
        (
            2,
            "error: there is no secret x_b. List them with: bauta secret list\n"
        )
    );
}

#[test]
fn what_is_piped_in_is_the_value_but_for_one_newline() {
    let place = Place::new();
    let rows: [(&[u8], &str, &str); 5] = [
        (b"hunter22-a", "[hunter22-a]", "[x_a]"),
        (b"hunter22-b\n", "[hunter22-b]", "[x_a]"),
        (b"hunter22-c\r\n", "[hunter22-c]", "[x_a]"),
        (b"hunter22-d\n\n", "[hunter22-d\n]", "[x_a]"),
        (b" hunter22-e ", "[ hunter22-e ]", "[x_a]"),
    ];
    for (input, text, expected) in rows {
        let (code, _, err) =
            place.give(&["secret", "set", "x_a", "--domain", "example.com"], input);
        assert_eq!(code, 0, "{err}");
        assert_eq!(place.masked(text), expected);
    }
}

#[test]
fn what_is_no_value_is_refused_with_the_known_texts() {
    let long = "a".repeat(4097);
    let rows: [(&[u8], &str); 7] = [
        (
            b"",
            "there is no value: standard input is empty and no terminal. ",
        ),
        (b"\n", "Secret value cannot be empty. "),
        (b"\r\n", "Secret value cannot be empty. "),
        (long.as_bytes(), "Secret value too large (max 4096 bytes). "),
        (b"hunter\0x", "Secret value contains forbidden content. "),
        (b"hunter\xff\xfe", "the value is not UTF-8. "),
        (b"x_a", "Secret value must not equal a placeholder name"),
    ];
    let place = Place::new();
    place.done(&["key", "init"]);
    for (input, text) in rows {
        let (code, out, err) =
            place.give(&["secret", "set", "x_a", "--domain", "example.com"], input);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.starts_with(&format!("error: {text}")), "{err}");
        assert!(!err.contains("hunter"), "{err}");
    }
    assert_eq!(place.done(&["secret", "list"]), "no secrets\n");
    assert_eq!(
        place
            .run(&["secret", "set", "x_a", "--domain", "example.com"])
            .0,
        2,
        "standard input is /dev/null"
    );
}

#[test]
fn all_that_is_wrong_with_the_arguments_is_said_before_a_value_is_asked_for() {
    let place = Place::new();
    let (code, out, err) = place.run(&[
        "secret",
        "set",
        "invalid-key",
        "--domain",
        "invalid-domain",
        "--scope",
        "x",
    ]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: Secret key 'invalid-key' must be alphanumeric with underscores only\n\
         error: Invalid domain pattern 'invalid-domain'. Domain must be a valid URL pattern.\n\
         error: Invalid scope 'x'. Use task:ID, agent:ID, user:ID, profile:NAME or org:ID\n"
    );
    assert!(
        !place.path().join("data").exists(),
        "a wrong command makes no vault"
    );
    for args in [
        &["secret", "set", "x_a"][..],
        &[
            "secret",
            "set",
            "x_a",
            "hunter22",
            "--domain",
            "example.com",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--value",
            "hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--mask",
            "sometimes",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--allow",
            "header,nowhere",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--max-uses",
            "0",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--env",
            "--kind",
            "totp",
        ],
    ] {
        assert_eq!(place.run(args).0, 2, "{args:?}");
    }
}

#[test]
fn likely_mistakes_are_warned_about() {
    let place = Place::new();
    let (code, _, err) = place.give(
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "http://shop.example.com",
        ],
        "abc",
    );
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("warning: Not masked: a value under 4 bytes"),
        "{err}"
    );
    assert!(
        err.contains(
            "warning: Secrets of 'http://shop.example.com' may go over the network unencrypted."
        ),
        "{err}"
    );
}

/// The texts of the design's section 7.1, each with an input that earns it.
#[test]
fn import_says_the_known_texts_all_together() {
    let long_key = "k".repeat(65);
    let rows: [(String, &str); 15] = [
        (
            r#"{"x_api_key": "value"}"#.to_owned(),
            "Secrets must be in domain-specific format. Use: {'https://example.com': {'x_api_key': 'value'}} instead of: {'x_api_key': 'value'}",
        ),
        ("[]".to_owned(), "Secrets must be a dictionary"),
        (
            r#"{"https://example.com": 7}"#.to_owned(),
            "Secrets must be a dictionary (https://example.com)",
        ),
        (
            one("invalid-key", r#""v""#),
            "Secret key 'invalid-key' must be alphanumeric with underscores only (invalid-key of https://example.com)",
        ),
        (
            one("1a", r#""v""#),
            "Secret key cannot start with a number (1a of https://example.com)",
        ),
        (
            one("", r#""v""#),
            "Secret key cannot be empty ( of https://example.com)",
        ),
        (
            one(&long_key, r#""v""#),
            "Secret key too long (max 64 characters)",
        ),
        (
            r#"{"invalid-domain": {"x_a": "v"}}"#.to_owned(),
            "Invalid domain pattern 'invalid-domain'. Domain must be a valid URL pattern. (invalid-domain)",
        ),
        (
            one("x_a", r#""""#),
            "Secret value cannot be empty (x_a of https://example.com)",
        ),
        (
            one("x_a", &format!("{:?}", "v".repeat(4097))),
            "Secret value too large (max 4096 bytes) (x_a of https://example.com)",
        ),
        (
            one("x_a", "7"),
            "Secret value must be a string (x_a of https://example.com)",
        ),
        (
            one("x_a", r#""a\u0000b""#),
            "Secret value contains forbidden content (x_a of https://example.com)",
        ),
        (
            one("x_a", r#""x_a""#),
            "Secret value must not equal a placeholder name (x_a of https://example.com)",
        ),
        (many(51, 1, 8), "Maximum 50 secrets allowed per agent"),
        (many(21, 21, 8), "Maximum 20 domains allowed per agent"),
    ];
    let place = Place::new();
    place.done(&["key", "init"]);
    for (input, text) in &rows {
        let (code, out, err) = place.give(&["secret", "import", "-"], input);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(
            err.lines()
                .any(|line| line.starts_with(&format!("error: {text}"))),
            "{text}: {err}"
        );
    }
    let (_, _, err) = place.give(&["secret", "import", "-"], many(26, 1, 4000));
    assert_eq!(
        err,
        "error: Total secrets size too large (max 102400 bytes)\n"
    );
    let two = r#"{"bad": {"1a": "v"}, "https://example.com": {"x_a": ""}}"#;
    let expected = "\
error: Invalid domain pattern 'bad'. Domain must be a valid URL pattern. (bad)
error: Secret key cannot start with a number (1a of bad)
error: Secret value cannot be empty (x_a of https://example.com)
";
    assert_eq!(
        place.give(&["secret", "import", "-"], two),
        (2, String::new(), expected.to_owned())
    );
    let (_, _, err) = place.give(&["--json", "secret", "import", "-"], two);
    let texts: Vec<Value> = err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        texts[1],
        json!({ "level": "error", "text": "Secret key cannot start with a number", "domain": "bad", "key": "1a" })
    );
    assert_eq!(place.done(&["secret", "list"]), "no secrets\n");
    assert_eq!(place.events("secret.import").len(), 0);
}

fn one(key: &str, value: &str) -> String {
    format!(r#"{{"https://example.com": {{"{key}": {value}}}}}"#)
}

/// So many secrets on so many domains, with values of so many bytes.
fn many(secrets: usize, domains: usize, bytes: usize) -> String {
    let mut all = serde_json::Map::new();
    for at in 0..secrets {
        let domain = format!("https://d{}.example.com", at % domains);
        let of = all.entry(domain).or_insert_with(|| json!({}));
        of[format!("x_k{at}")] = json!(format!("{at:0bytes$}"));
    }
    Value::Object(all).to_string()
}

#[test]
fn import_takes_a_whole_file_or_nothing() {
    let place = Place::new();
    let json = r#"{"https://example.com": {"x_username": "alice.liddell", "x_password": {"value": "correct horse", "mask": "always"}},
        "https://api.service.com": {"x_api_key": "hunter22-hunter22"}}"#;
    place.write("secrets.json", json);
    let (code, out, err) = place.run(&["secret", "import", "secrets.json"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "imported 3 secrets into agent:agent\n"),
        "{err}"
    );
    assert_eq!(
        place.masked("alice.liddell correct horse hunter22-hunter22"),
        "x_username x_password x_api_key"
    );
    assert_eq!(place.events("secret.import").len(), 3);

    // One more than an agent may have, together with those that are there: the vault says so, and the log that it failed.
    let (code, out, err) = place.give(&["secret", "import", "-"], many(48, 1, 8));
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(err, "error: Maximum 50 secrets allowed per agent\n");
    assert_eq!(
        place.json(&["secret", "list"])["secrets"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let events = place.events("secret.import");
    let failed = events.iter().filter(|event| event["outcome"] == "failed");
    assert_eq!(failed.count(), 48);

    for (input, text) in [
        ("", "there is no secret in standard input"),
        ("{}", "there is no secret in standard input"),
        ("{", "Secrets must be valid JSON"),
    ] {
        let (code, _, err) = place.give(&["secret", "import", "-"], input);
        assert_eq!(code, 2);
        assert!(err.starts_with(&format!("error: {text}")), "{err}");
    }
    let (code, _, err) = place.run(&["secret", "import", "no.json"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("error: cannot read the secrets from no.json: "),
        "{err}"
    );
}

#[test]
fn a_secret_that_is_not_certain_is_asked_for() {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    place.set("x_a", "hunter22-two", &["--domain", "https://other.com"]);
    place.set("x_a", "hunter22-three", &["--scope", "user:ada"]);
    for args in [
        &["secret", "rotate", "x_a"][..],
        &["secret", "rm", "x_a", "--yes"],
        &["secret", "promote", "x_a", "--user", "bob"],
    ] {
        let (code, _, err) = place.give(args, "hunter22-new");
        assert_eq!(code, 2, "{args:?}: {err}");
        for text in [
            "several secrets fit x_a",
            "x_a for https://other.com in agent:agent",
            "Say which, by domain and scope",
        ] {
            assert!(err.contains(text), "{args:?}: {err}");
        }
    }
    place.done(&["secret", "rm", "x_a", "--domain", "other.com", "--yes"]);
    place.done(&["secret", "rm", "x_a", "--scope", "user:ada", "--yes"]);
    assert_eq!(
        place.done(&["secret", "rm", "x_a", "-y"]),
        "removed x_a for https://example.com in agent:agent\n"
    );
    assert_eq!(place.done(&["secret", "list"]), "no secrets\n");
}

#[test]
fn removal_needs_a_yes_where_nobody_can_be_asked() {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    let (code, out, err) = place.give(&["secret", "rm", "x_a"], "y\n");
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: x_a for https://example.com in agent:agent would be removed for good. Say --yes where nobody can be asked\n"
    );
    assert_eq!(place.masked("hunter22-one"), "x_a");
    let (code, _, _) = place.run(&["secret", "rm", "x_none", "--yes"]);
    assert_eq!(code, 2);
}

#[test]
fn rotation_masks_the_value_before_for_its_grace() {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    let (code, out, _) = place.give(&["secret", "rotate", "x_a"], "hunter22-two");
    assert_eq!(code, 0);
    assert!(
        out.contains("version 2; the value before stays masked for 7days"),
        "{out}"
    );
    assert_eq!(place.masked("hunter22-one hunter22-two"), "x_a x_a");
    let (_, out, _) = place.give(
        &["secret", "rotate", "x_a", "--grace", "0s"],
        "hunter22-three",
    );
    assert!(out.contains("version 3; the value before is gone"), "{out}");
    assert_eq!(
        place.masked("hunter22-one hunter22-two hunter22-three"),
        "x_a hunter22-two x_a"
    );
    let (code, _, err) = place.give(
        &["secret", "rotate", "x_a", "--grace", "soon"],
        "hunter22-four",
    );
    assert_eq!(
        (code, err.as_str()),
        (
            2,
            "error: --grace is no span of time. Use a number with a unit, such as 0s, 30m, 24h or 7d\n"
        )
    );
    let events = place.events("secret.rotate");
    assert_eq!(events.len(), 2);
}

#[test]
fn a_secret_is_assigned_and_promoted() {
    let place = Place::with("[agent]\nid = \"seven\"\nuser = \"ada\"\n");
    place.set("x_a", "hunter22-one", &["--domain", "example.com"]);
    let id = place.json(&["secret", "show", "x_a"])["secrets"][0]["id"].clone();
    let (code, _, err) = place.run(&["secret", "assign", "x_a", "--agent", "eight"]);
    assert_eq!(code, 2);
    assert!(err.contains("is not of user scope"), "{err}");
    let out = place.done(&["secret", "promote", "x_a"]);
    assert_eq!(
        out,
        "promoted x_a for https://example.com in agent:seven to user:ada\n"
    );
    let shown = place.json(&["secret", "show", "x_a"]);
    assert_eq!(
        (&shown["secrets"][0]["id"], &shown["secrets"][0]["scope"]),
        (&id, &json!("user:ada"))
    );
    let out = place.done(&["secret", "assign", "x_a", "--agent", "eight"]);
    assert_eq!(
        out,
        "assigned x_a for https://example.com in user:ada to eight\n"
    );
    assert_eq!(
        place
            .run(&["secret", "assign", "x_a", "--agent", "eight"])
            .0,
        2,
        "twice"
    );
    let out = place.done(&["secret", "assign", "x_a", "--agent", "eight", "--remove"]);
    assert_eq!(
        out,
        "x_a for https://example.com in user:ada is no longer assigned to eight\n"
    );
    assert_eq!(
        place.run(&["secret", "promote", "x_a"]).0,
        2,
        "it is a user's already"
    );
    for (kind, count) in [("secret.promote", 1), ("secret.unassign", 1)] {
        let events = place.events(kind);
        let done = events
            .iter()
            .filter(|event| event["outcome"] == "asked")
            .count();
        assert!(done >= count, "{kind}");
    }
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    let (code, _, err) = place.run(&["secret", "promote", "x_a"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("error: there is no user to promote it to. "),
        "{err}"
    );
}

#[test]
fn why_says_whether_and_why_not() {
    let place = Place::with("[agent]\nid = \"seven\"\nuser = \"ada\"\n");
    place.set(
        "x_a",
        "hunter22-one",
        &["--domain", "*.example.com", "--allow", "header"],
    );
    place.set(
        "x_a",
        "hunter22-two",
        &[
            "--domain",
            "https://login.example.com",
            "--scope",
            "user:ada",
        ],
    );
    let expected = format!(
        "\
yes: x_a is substituted at https://login.example.com
  fulfilled  version 1, set {T}
  scope      agent:seven, the agent itself
  pattern    https://*.example.com matches
  places     header
  last use   never
  not https://login.example.com in user:ada: it is not assigned to this agent. Assign it with: bauta secret assign
"
    );
    let args = [
        "secret",
        "why",
        "x_a",
        "--origin",
        "https://login.example.com/form",
    ];
    assert_eq!(steady(&place.done(&args)), expected);
    let report = place.json(&args);
    assert_eq!(
        (&report["substituted"], &report["secret"]["domain"]),
        (&json!(true), &json!("https://*.example.com"))
    );

    place.done(&[
        "secret",
        "assign",
        "x_a",
        "--domain",
        "https://login.example.com",
        "--agent",
        "seven",
    ]);
    let out = place.done(&args);
    assert!(
        out.contains("scope      user:ada, assigned to the agent seven"),
        "{out}"
    );
    assert!(
        out.contains("not https://*.example.com in agent:seven: another pattern fits more closely"),
        "{out}"
    );

    let (code, out, _) = place.run(&["secret", "why", "x_a", "--origin", "http://evil.com"]);
    assert_eq!(code, 1);
    assert!(
        out.starts_with("no: x_a is not substituted at http://evil.com\n"),
        "{out}"
    );
    assert!(
        out.contains("  not https://*.example.com in agent:seven: the host is another\n"),
        "{out}"
    );
    let (code, out, _) = place.run(&["secret", "why", "x_b", "--origin", "https://example.com"]);
    assert_eq!(code, 1);
    assert!(out.contains("there is no secret x_b. Make one with: bauta secret set x_b --domain https://example.com"), "{out}");
    let (code, _, err) = place.run(&["secret", "why", "1", "--origin", "file:///x"]);
    assert_eq!((code, err.lines().count()), (2, 2), "{err}");
}

#[test]
fn p5_no_change_without_a_trace() {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    // A folder where the log should be: nothing can be written there.
    let log = place.path().join("data/audit.log");
    fs::rename(&log, place.path().join("kept.log")).unwrap();
    fs::create_dir(&log).unwrap();
    let rows: [&[&str]; 6] = [
        &["secret", "set", "x_b", "--domain", "example.com"],
        &["secret", "rotate", "x_a"],
        &["secret", "rm", "x_a", "--yes"],
        &["secret", "promote", "x_a", "--user", "ada"],
        &["key", "rotate"],
        &["key", "rewrap", "--to", "auto"],
    ];
    let before = (
        place.json(&["secret", "list"]),
        place.json(&["key", "status"]),
    );
    for args in rows {
        let (code, out, err) = place.give(args, "hunter22-two");
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}: {err}");
        assert!(err.contains("nothing was changed"), "{args:?}: {err}");
    }
    assert_eq!(
        (
            place.json(&["secret", "list"]),
            place.json(&["key", "status"])
        ),
        before
    );
}

#[test]
fn p3_no_command_shows_a_value() {
    let place = Place::with("[agent]\nid = \"seven\"\nuser = \"ada\"\n");
    place.set("x_a", "hunter22-value", &[]);
    let rows: [(&[&str], &str); 22] = [
        (
            &["-v", "secret", "set", "x_b", "--domain", "example.com"],
            "hunter22-second",
        ),
        (
            &["--json", "secret", "set", "x_c", "--domain", "example.com"],
            "hunter22-third",
        ),
        (
            &["-v", "secret", "import", "-"],
            r#"{"https://example.com": {"x_d": "hunter22-fourth"}}"#,
        ),
        (
            &["--json", "secret", "import", "-"],
            r#"{"https://example.com": {"x_e": "hunter22-fifth"}}"#,
        ),
        (
            &["secret", "import", "-"],
            r#"{"https://example.com": {"x_f": {"value": "hunter22-sixth", "mask": "hunter22"}}}"#,
        ),
        (&["secret", "import", "-"], r#"{"hunter22": "hunter22"}"#),
        (&["secret", "rotate", "x_a"], "hunter22-seventh"),
        (
            &[
                "secret",
                "set",
                "x_g",
                "--domain",
                "example.com",
                "--kind",
                "totp",
            ],
            "hunter22-no-seed",
        ),
        (&["-v", "secret", "list"], ""),
        (&["--json", "secret", "list", "--stale", "0"], ""),
        (&["-v", "secret", "show", "x_a"], ""),
        (&["--json", "secret", "show", "x_a"], ""),
        (
            &["secret", "why", "x_a", "--origin", "https://example.com"],
            "",
        ),
        (
            &[
                "--json",
                "secret",
                "why",
                "x_a",
                "--origin",
                "https://example.com",
            ],
            "",
        ),
        (&["secret", "promote", "x_a"], ""),
        (&["secret", "assign", "x_a", "--agent", "seven"], ""),
        (&["key", "status"], ""),
        (&["key", "rotate"], ""),
        (&["check", "-v"], ""),
        (&["--json", "audit", "search"], ""),
        (&["audit", "tail"], ""),
        (&["secret", "rm", "x_b", "--yes"], ""),
    ];
    for (args, input) in rows {
        let (_, out, err) = place.give(args, input);
        assert!(
            !format!("{out}{err}").contains("hunter"),
            "{args:?}: {out}{err}"
        );
        // Nor how long: every value here has its own length.
        for length in [14, 15, 16, 17] {
            let said = format!("{out}{err}");
            assert!(
                !said.contains(&format!("{length} bytes")),
                "{args:?}: {said}"
            );
        }
    }
}

#[test]
fn check_reads_the_vault_and_changes_nothing() {
    let place = Place::new();
    let out = place.done(&["check"]);
    assert!(out.contains("data/vault.db: no vault yet; "), "{out}");
    assert!(!place.path().join("data").exists());
    place.set("x_a", "hunter22-one", &[]);
    let out = place.done(&["check", "-v"]);
    assert!(
        out.contains("data/vault.db: 1 secret\n  x_a for https://example.com\n"),
        "{out}"
    );
    let toml = r#"
[[model.provider]]
name = "openai"
secret = "x_openai_key"
[[model.provider]]
name = "own"
upstream = "https://llm.example.com"
ca = "ca.pem"
[model.tls]
cert = "tls.crt"
key = "tls.key"
"#;
    for name in ["ca.pem", "tls.crt", "tls.key"] {
        place.write(name, "no certificate");
    }
    place.write("bauta.toml", toml);
    let (code, _, err) = place.run(&["check"]);
    assert_eq!(code, 2);
    for text in [
        "error: model.tls: the tls certificate ",
        "error: model.provider own: the ca file ",
        "warning: model.provider openai: there is no secret x_openai_key that the agent agent may use. Make it with: bauta secret set x_openai_key --domain https://api.openai.com",
    ] {
        assert!(err.contains(text), "{err}");
    }
    place.write("bauta.toml", "");
    fs::remove_file(place.path().join("data/master.key")).unwrap();
    let (code, _, err) = place.run(&["check"]);
    assert_eq!(code, 2);
    assert!(err.contains("master key is missing"), "{err}");
    assert!(!place.path().join("data/master.key").exists());
}

#[test]
fn p3_a_value_that_is_typed_as_an_argument_is_not_repeated() {
    let place = Place::new();
    for args in [
        &[
            "secret",
            "set",
            "x_a",
            "hunter22",
            "--domain",
            "example.com",
        ][..],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "-Zhunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--value",
            "hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--value=hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--Hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--mask",
            "hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--max-uses",
            "hunter22",
        ],
        &[
            "secret",
            "set",
            "x_a",
            "--domain",
            "example.com",
            "--ignore-case=hunter22",
        ],
        &["secret", "rotate", "x_a", "hunter22"],
        &["secret", "rotate", "x_a", "--grace", "hunter22"],
    ] {
        let (code, out, err) = place.run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(!err.to_lowercase().contains("unter22"), "{args:?}: {err}");
    }
    let (_, _, err) = place.run(&["secret", "rotate", "x_a", "hunter22"]);
    assert!(err.contains("unexpected argument '…' found"), "{err}");
    assert!(err.contains("a value is never an argument"), "{err}");
}

#[test]
fn help_says_how_a_value_is_given_and_what_the_exit_codes_mean() {
    let place = Place::new();
    for args in [
        &["secret", "set"][..],
        &["secret", "import"],
        &["secret", "list"],
        &["secret", "show"],
        &["secret", "rotate"],
        &["secret", "rm"],
        &["secret", "assign"],
        &["secret", "promote"],
        &["secret", "why"],
        &["key", "init"],
        &["key", "status"],
        &["key", "rotate"],
        &["key", "rewrap"],
        &["audit", "tail"],
        &["audit", "search"],
        &["audit", "verify"],
    ] {
        let out = place.done(&[args, &["--help"]].concat());
        assert!(out.contains("Exit codes:\n  0  done"), "{args:?}: {out}");
        assert!(!out.contains('\u{1b}'), "{args:?}");
        let takes_a_value = ["set", "rotate"].contains(&args[1]) && args[0] == "secret";
        assert_eq!(
            out.contains("without one newline at its end"),
            takes_a_value,
            "{args:?}"
        );
    }
}

#[test]
fn what_is_piped_in_has_a_limit() {
    let place = Place::new();
    let much = vec![b'a'; (16 << 20) + 1];
    let args = ["secret", "set", "x_a", "--domain", "example.com"];
    let (code, _, err) = place.give(&args, &much);
    assert_eq!(code, 2);
    assert!(err.contains("larger than 16777216 bytes"), "{err}");
    let (code, _, err) = place.give(&["secret", "import", "-"], &much);
    assert_eq!(code, 2);
    assert!(err.contains("larger than 16777216 bytes"), "{err}");
}
