//! The command line, through the real binary.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const SECRETS: &str = r#"{"https://example.com": {"x_username": "alice.liddell", "x_password": "correct horse"},
    "https://api.service.com": {"x_api_key": "hunter22-hunter22"}}"#;

/// The binary in a folder of its own, so that no configuration file is found by chance.
pub(crate) fn bauta(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bauta"));
    command
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    bauta(folder, args).output().unwrap()
}

pub(crate) fn run_with_input(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = bauta(folder, args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The child may have ended with an error before it read anything.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

/// Exit code, standard output, standard error.
pub(crate) fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

pub(crate) fn folder_with_secrets(json: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    fs::write(&path, json).unwrap();
    close_to_others(&path);
    folder
}

fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn secret_test_answers_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let rows: [(&str, &str, i32, &str, &str); 6] = [
        (
            "*.example.com",
            "https://www.example.com/login",
            0,
            "match: https://*.example.com and https://www.example.com: scheme, host and port are the pattern's\n",
            "",
        ),
        (
            "example.com",
            "https://evil.com/",
            1,
            "no match: https://example.com and https://evil.com: the host is another\n",
            "",
        ),
        (
            "example.com",
            "http://example.com/",
            1,
            "no match: https://example.com and http://example.com: the scheme is another\n",
            "",
        ),
        (
            "example.com",
            "https://example.com:8443/",
            1,
            "no match: https://example.com and https://example.com:8443: the port is another (without a port, a pattern \
             means the scheme's default; :* means any)\n",
            "",
        ),
        (
            "*.com",
            "https://example.com/",
            2,
            "",
            "error: Invalid domain pattern '*.com'. Domain must be a valid URL pattern. Wildcards in TLD part are not \
             allowed (e.g., *.com would match any .com domain).\n",
        ),
        (
            "example.com",
            "file:///etc/passwd",
            2,
            "",
            "error: Invalid URL 'file:///etc/passwd'. Only http, https, ws, wss and chrome-extension URLs have an origin \
             that a pattern can match.\n",
        ),
    ];
    for (pattern, url, code, out, err) in rows {
        let got = said(&run(folder.path(), &["secret", "test", pattern, url]));
        assert_eq!(
            got,
            (code, out.to_owned(), err.to_owned()),
            "{pattern} {url}"
        );
    }
    let json = said(&run(
        folder.path(),
        &[
            "--json",
            "secret",
            "test",
            "example.com",
            "https://evil.com/",
        ],
    ));
    let expected = serde_json::json!({
        "match": false, "reason": "the host is another", "pattern": "https://example.com", "origin": "https://evil.com",
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.1).unwrap(),
        expected
    );
    assert_eq!(json.0, 1);
    let quiet = said(&run(
        folder.path(),
        &["secret", "test", "-q", "example.com", "https://evil.com/"],
    ));
    assert_eq!(quiet, (1, String::new(), String::new()));
}

#[test]
fn check_is_content_with_defaults_and_good_secrets() {
    let folder = folder_with_secrets(SECRETS);
    let got = said(&run(folder.path(), &["check", "--secrets", "secrets.json"]));
    let out = "built-in defaults: model channel on 127.0.0.1:8601, 10 routes\nsecrets.json: 3 secrets\nNothing is wrong.\n";
    assert_eq!(got, (0, out.to_owned(), String::new()));

    let got = said(&run_with_input(
        folder.path(),
        &["check", "-v", "--secrets", "-"],
        SECRETS.as_bytes(),
    ));
    assert!(
        got.1
            .contains("standard input: 3 secrets\n  x_username for https://example.com\n"),
        "{}",
        got.1
    );
    assert!(
        got.1
            .contains("\n  /anthropic to https://api.anthropic.com\n"),
        "{}",
        got.1
    );

    let got = said(&run_with_input(
        folder.path(),
        &["check", "--secrets", "-"],
        b"{}",
    ));
    assert!(got.1.contains("standard input: 0 secrets\n"), "{}", got.1);
}

#[test]
fn check_finds_the_configuration_here_or_under_config() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    fs::write(
        folder.path().join("config/bauta.toml"),
        "[model]\nlisten = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let got = said(&run(folder.path(), &["check"]));
    assert!(
        got.1
            .starts_with("config/bauta.toml: model channel on 127.0.0.1:1, "),
        "{}",
        got.1
    );
    fs::write(folder.path().join("bauta.toml"), "[log]\n").unwrap();
    let got = said(&run(folder.path(), &["check"]));
    assert!(
        got.1.starts_with("bauta.toml: the model channel is off"),
        "{}",
        got.1
    );
}

#[test]
fn limits_of_secrets_are_those_of_the_configuration() {
    let folder = folder_with_secrets(SECRETS);
    let check = |limits: &str| {
        let text = format!("[vault.limits]\n{limits}\n");
        fs::write(folder.path().join("bauta.toml"), text).unwrap();
        let secrets = ["--secrets", "secrets.json"];
        let check = said(&run(folder.path(), &[&["check"], &secrets[..]].concat()));
        let mask = said(&run(folder.path(), &[&["mask"], &secrets[..]].concat()));
        assert_eq!((check.0, &check.2), (mask.0, &mask.2), "{limits}");
        (check.0, check.2)
    };
    assert_eq!(check("max_secrets = 3"), (0, String::new()));
    for (limit, text) in [
        ("max_secrets = 2", "Maximum 2 secrets allowed per agent"),
        ("max_domains = 1", "Maximum 1 domains allowed per agent"),
        (
            "max_total_bytes = 42",
            "Total secrets size too large (max 42 bytes)",
        ),
        (
            "max_value_bytes = 16",
            "Secret value too large (max 16 bytes) (x_api_key of https://api.service.com)",
        ),
    ] {
        let expected = (2, format!("error: secrets.json: {text}\n"));
        assert_eq!(check(limit), expected, "{limit}");
    }
}

#[test]
fn check_says_everything_at_once() {
    let folder = folder_with_secrets(r#"{"bad": {"1a": "hunter22", "x_a": ""}}"#);
    fs::write(
        folder.path().join("bauta.toml"),
        "[model]\nlisten = \"nowhere\"\n[sidecars]\n",
    )
    .unwrap();
    let got = said(&run(folder.path(), &["check", "--secrets", "secrets.json"]));
    let err = "\
error: bauta.toml:2: model.listen: not an address. Use \"host:port\", such as \"127.0.0.1:8601\", or \"unix:PATH\"
error: bauta.toml:3: sidecars: unknown key. Known keys here: agent, audit, browser, health, hosts, log, model, placeholder, state_dir, vault
error: secrets.json: Invalid domain pattern 'bad'. Domain must be a valid URL pattern. (bad)
error: secrets.json: Secret key cannot start with a number (1a of bad)
error: secrets.json: Secret value cannot be empty (x_a of bad)
";
    assert_eq!(got, (2, String::new(), err.to_owned()));

    let got = said(&run(
        folder.path(),
        &["check", "--json", "--secrets", "secrets.json"],
    ));
    let report: serde_json::Value = serde_json::from_str(&got.1).unwrap();
    assert_eq!(
        (
            got.0,
            &report["ok"],
            report["errors"].as_array().unwrap().len()
        ),
        (2, &false.into(), 5)
    );
    assert_eq!(got.2, "");
}

#[test]
fn files_that_cannot_be_read_are_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = said(&run(
        folder.path(),
        &["check", "--config", "no.toml", "--secrets", "no.json"],
    ));
    assert_eq!(code, 2);
    let lines: Vec<&str> = err.lines().collect();
    assert!(
        lines[0].starts_with("error: no.toml: cannot read the configuration: "),
        "{err}"
    );
    assert!(
        lines[1].starts_with("error: cannot read the secrets from no.json: "),
        "{err}"
    );
    assert!(
        lines[1].ends_with("Use --secrets with a file that exists and may be read"),
        "{err}"
    );
}

#[test]
fn nothing_at_all_is_not_taken_for_no_secrets() {
    for blank in ["", " \r\n\t"] {
        let folder = folder_with_secrets(blank);
        let args: [&[&str]; 4] = [
            &["check", "--secrets", "secrets.json"],
            &["mask", "--secrets", "secrets.json"],
            &["serve", "--secrets", "secrets.json"],
            &["run", "--secrets", "secrets.json", "--", "echo", "it ran"],
        ];
        for args in args {
            let (code, out, err) = said(&run_with_input(folder.path(), args, b"text"));
            assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
            assert!(
                err.contains(
                    "there is nothing in secrets.json, which is not taken for no secrets. Write {} to have none"
                ),
                "{args:?}: {err}"
            );
        }
        // As of a command that failed.
        let args = ["run", "--secrets", "-", "--", "echo", "it ran"];
        let (code, out, err) = said(&run_with_input(folder.path(), &args, blank.as_bytes()));
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("there is nothing in standard input"), "{err}");
    }
    let folder = folder_with_secrets("{}");
    let args = ["mask", "--secrets", "secrets.json"];
    let masked = run_with_input(folder.path(), &args, b"text");
    assert_eq!(said(&masked), (0, "text".to_owned(), String::new()));
}

#[test]
fn a_secrets_file_that_others_may_read_is_warned_about() {
    let folder = folder_with_secrets(SECRETS);
    open_to_others(&folder.path().join("secrets.json"));
    let args = ["check", "--secrets", "secrets.json"];
    let (code, _, err) = said(&run(folder.path(), &args));
    assert_eq!(code, 0);
    assert_eq!(
        err,
        "warning: other users of this machine may read secrets.json. Run: chmod 600 secrets.json\n"
    );
    let (_, _, err) = said(&run(
        folder.path(),
        &["-q", "check", "--secrets", "secrets.json"],
    ));
    assert_eq!(err, "");
}

#[test]
fn p3_no_output_shows_a_value() {
    let json = r#"{"https://example.com": {"x_a": "hunter22", "x_a": "hunter23", "x_b": {"value": "hunter24", "mask": "hunter25",
        "Hunter26": 1}, "x_c": ["hunter27"], "x_d": "hunter28\u0000"}, "http://x.example.com": {"x_e": "h2"}}"#;
    let folder = folder_with_secrets(json);
    for args in [
        &["check", "-v", "--secrets", "secrets.json"][..],
        &["mask", "--secrets", "secrets.json"],
        &["check", "--json", "--secrets", "secrets.json"],
    ] {
        let (code, out, err) = said(&run(folder.path(), args));
        assert_eq!(code, 2);
        assert!(
            !format!("{out}{err}").to_lowercase().contains("hunter"),
            "{out}{err}"
        );
    }
    // Broken just after a value: the parser must not quote what it saw.
    fs::write(
        folder.path().join("secrets.json"),
        r#"{"https://example.com": {"x_a": "hunter22" "hunter23"}}"#,
    )
    .unwrap();
    let (code, out, err) = said(&run(folder.path(), &["check", "--secrets", "secrets.json"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: secrets.json: Secrets must be valid JSON (see line 1, column 44)\n"
    );
}

#[test]
fn mask_replaces_values_and_counts_them() {
    let folder = folder_with_secrets(SECRETS);
    let text = b"login alice.liddell with correct horse, again correct horse; \xff stays\n";
    let args = ["mask", "--count", "--secrets", "secrets.json"];
    let output = run_with_input(folder.path(), &args, text);
    assert_eq!(
        output.stdout,
        b"login x_username with x_password, again x_password; \xff stays\n"
    );
    let (code, err) = (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(code, Some(0));
    assert_eq!(
        err,
        "       0 x_api_key\n       2 x_password\n       1 x_username\n"
    );

    let args = ["mask", "--json", "--count", "--secrets", "secrets.json"];
    let err = run_with_input(folder.path(), &args, text).stderr;
    let expected =
        serde_json::json!({ "counts": { "x_api_key": 0, "x_password": 2, "x_username": 1 } });
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&err).unwrap(),
        expected
    );
}

#[test]
fn mask_writes_the_configured_spelling() {
    let folder = folder_with_secrets(SECRETS);
    fs::write(
        folder.path().join("bauta.toml"),
        "[placeholder]\noutput = \"<secret>{key}</secret>\"\n",
    )
    .unwrap();
    let output = run_with_input(
        folder.path(),
        &["mask", "--secrets", "secrets.json"],
        b"correct horse",
    );
    assert_eq!(output.stdout, b"<secret>x_password</secret>");
}

#[test]
fn mask_obeys_the_masking_rules() {
    let json = r#"{"https://example.com": {"x_short": "abc", "x_never": {"value": "visible text", "mask": "never"},
        "x_always": {"value": "zq", "mask": "always"}}}"#;
    let folder = folder_with_secrets(json);
    let output = run_with_input(
        folder.path(),
        &["mask", "--secrets", "secrets.json"],
        b"abc, visible text, (zq)",
    );
    assert_eq!(output.stdout, b"abc, visible text, (x_always)");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("warning: secrets.json: Not masked: a value under 4 bytes"),
        "{err}"
    );
    assert!(
        err.ends_with(" (x_short of https://example.com)\n"),
        "{err}"
    );
}

#[test]
fn mask_takes_json_behind_a_byte_order_mark_for_json() {
    let folder = folder_with_secrets(r#"{"https://example.com": {"x_pin": "123456789012"}}"#);
    for before in ["", "\u{feff}", "\u{feff} \n"] {
        let input = format!("{before}{{\"n\": 123456789012}}");
        let args = ["mask", "--secrets", "secrets.json"];
        let output = run_with_input(folder.path(), &args, input.as_bytes());
        let expected = format!("{before}{{\"n\": \"x_pin\"}}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn mask_knows_no_signed_blocks() {
    let folder = folder_with_secrets(r#"{"https://example.com": {"x_token": "sk-live-0123"}}"#);
    let output = run_with_input(
        folder.path(),
        &["mask", "--secrets", "secrets.json"],
        br#"{"thinking": "sk-live-0123", "signature": "s"}"#,
    );
    let expected = br#"{"thinking": "x_token", "signature": "s"}"#;
    assert_eq!(output.stdout, expected);
}

#[test]
fn p7_mask_passes_text_without_occurrence_byte_for_byte() {
    let folder = folder_with_secrets(SECRETS);
    let mut text: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    text.extend(b"  \n{\"a\": [1, 2, \"\\u00e9\"]}");
    for input in [
        &text[..],
        b"",
        b"   \n\n",
        b"  {\"a\":1}\n",
        b"[2026-11-22] text",
    ] {
        for syntax in ["auto", "text", "json"] {
            let args = ["mask", "--syntax", syntax, "--secrets", "secrets.json"];
            let output = run_with_input(folder.path(), &args, input);
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stdout == input, "{syntax}: {} bytes in", input.len());
        }
    }
}

#[test]
fn mask_needs_secrets_from_elsewhere_than_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let got = said(&run(folder.path(), &["mask", "--secrets", "-"]));
    let err = "error: standard input is the text to mask, so it cannot hold the secrets as well. Use --secrets with a file\n";
    assert_eq!(got, (2, String::new(), err.to_owned()));
    let got = said(&run(folder.path(), &["mask"]));
    assert_eq!(
        got,
        (
            2,
            String::new(),
            "error: there are no secrets to mask, as there is no vault at data/vault.db. Use --secrets FILE, or make a vault with: \
             bauta key init\n".to_owned()
        )
    );
}

/// The output is far larger than a pipe holds, so the child is writing when its reader leaves.
#[test]
fn a_broken_pipe_is_a_quiet_exit() {
    let folder = folder_with_secrets(SECRETS);
    let mut child: Child = bauta(folder.path(), &["mask", "--secrets", "secrets.json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let writer = std::thread::spawn(move || {
        let text = vec![b'a'; 8 << 20];
        // Fails once the child has gone.
        let _ = stdin.write_all(&text);
    });
    let mut first = [0; 16];
    let read = stdout.read(&mut first);
    drop(stdout);
    writer.join().unwrap();
    assert!(read.is_ok());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn help_documents_exit_codes_and_wrong_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["--help"][..],
        &["mask", "--help"],
        &["check", "--help"],
        &["serve", "--help"],
        &["secret", "test", "--help"],
    ] {
        let (code, out, _) = said(&run(folder.path(), args));
        assert_eq!(code, 0);
        assert!(out.contains("Exit codes:\n  0  done"), "{args:?}: {out}");
    }
    for args in [
        &["nonsense"][..],
        &["check", "--nonsense"],
        &["-q", "-v", "check"],
        &["secret", "test", "one"],
        &[],
    ] {
        assert_eq!(said(&run(folder.path(), args)).0, 2, "{args:?}");
    }
    let (code, out, _) = said(&run(folder.path(), &["--version"]));
    assert_eq!(
        (code, out),
        (0, format!("bauta {}\n", env!("CARGO_PKG_VERSION")))
    );
}
