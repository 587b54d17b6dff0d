//! `bauta demo`, through the real binary: it needs nothing, shows what it promises, and holds itself to it. Its second act needs
//! Chromium, as other tests here do.

use std::process::{Command, Output, Stdio};

/// In an empty folder and environment, so that it cannot lean on a configuration. Only where temporary files go is passed on.
fn demo(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_bauta"))
        .arg("demo")
        .args(args)
        .env_clear()
        .envs(std::env::var_os("TMPDIR").map(|folder| ("TMPDIR", folder)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Standard output of a run that went well.
#[track_caller]
fn said(args: &[&str]) -> String {
    let output = demo(args);
    let err = String::from_utf8(output.stderr).unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    out
}

#[test]
fn both_sides_of_every_place_are_shown() {
    let out = said(&[]);
    assert!(!out.contains('\u{1b}'), "no colour into a pipe");
    for line in [
        "made up",
        r#"agent sends    Log in at https://shop.example.com/login as mira.lind@example.com with the password grün"Tee\49! and"#,
        "provider gets  Log in at https://shop.example.com/login as x_username with the password x_password and",
        r#""user":"mira.lind@example.com","password":"grün\"Tee\\49!"}"#,
        r#""user":"x_username","password":"x_password"}"#,
        "Authorization: Basic bWlyYS5saW5kQGV4YW1wbGUuY29tOmdyw7xuIlRlZVw0OSE=",
        "(decoded: x_username  :x_password)",
        "/hello?user=mira.lind%40example.com&pin=770413",
        "/hello?user=x_username&pin=x_pin",
        r#"value="gr&#252;n&quot;Tee\49!">"#,
        r#"\"PASSWORD\":\"gr\\u00fcn\\\"Tee\\\\49!\""#,
        r#"\"API_KEY\":\"x_api_key\",\"PASSWORD\":\"x_password\""#,
        "(decoded: x_api_key)",
        "Signed in as x_username.",
        "agent types    user: x_username   password: {{x_password}}",
        r#"site gets      user: mira.lind@example.com   password: grün"Tee\49!"#,
        "agent reads    field: x_password   page: Welcome, x_username. Your password is x_password",
        "elsewhere      x_password was not typed: it belongs to ",
        ", the focused frame is http://localhost:",
        "bauta serve --secrets",
        "bauta mask --count --secrets",
        "bauta check --secrets",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    assert_eq!(out.matches("\n  ok  ").count(), 8, "{out}");
}

#[test]
fn what_a_quiet_demo_says_is_its_verdict() {
    let out = said(&["-q"]);
    assert!(out.starts_with("Checked\n"), "{out}");
    assert_eq!(out.lines().count(), 9, "{out}");
}

#[test]
fn a_verbose_demo_shows_the_request_as_it_arrived() {
    let out = said(&["-v"]);
    assert!(
        out.contains("\nPOST /v1/chat/completions HTTP/1.1\n"),
        "{out}"
    );
    assert!(out.contains(r#""stream":true"#), "{out}");
}

#[test]
fn the_summary_for_programs_holds_counts_and_no_value() {
    let out = said(&["--json"]);
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["ok"], true);
    let counted = |key: &str, form: &str| summary["counts"][key][form].as_u64().unwrap_or(0);
    for (key, form, count) in [
        // Once in the first request, and there again in the second.
        ("x_pin", "plain", 3),
        ("x_username", "base64", 1),
        ("x_username", "percent", 1),
        ("x_password", "base64", 1),
        ("x_password", "json", 4),
        ("x_api_key", "hex", 1),
    ] {
        assert_eq!(counted(key, form), count, "{key} {form}\n{out}");
    }
    let checks = summary["checks"].as_array().unwrap();
    assert!(
        checks.len() == 8 && checks.iter().all(|check| check["ok"] == true),
        "{out}"
    );
    for value in ["mira.lind", "Tee", "770413", "sk-demo"] {
        assert!(!out.contains(value), "{value}\n{out}");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_bauta"))
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}
