//! The prompt for a value, on a terminal of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cli_vault_kit::Place;

const FIRST: &str = "(not shown): ";
const SECOND: &str = "The same again: ";
const HANDLER: &str = include_str!("../data/pty.py");

/// Runs a command on a terminal; each step waits for a text and then types, or does something else.
fn on_terminal(place: &Place, args: &[&str], steps: &[Value]) -> Value {
    let mut line = vec![env!("CARGO_BIN_EXE_bauta")];
    line.extend(args);
    let mut child = Command::new("python3")
        .args(["-c", HANDLER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let task = json!({ "argv": line, "folder": place.path(), "steps": steps });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(task.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn types(wait: &str, text: &str) -> Value {
    json!({ "await": wait, "type": text })
}

const SET: [&str; 5] = ["secret", "set", "x_a", "--domain", "example.com"];

#[test]
fn p3_a_typed_value_is_not_shown_and_the_terminal_comes_back() {
    let place = Place::new();
    let got = on_terminal(
        &place,
        &SET,
        &[
            types(FIRST, "hunter22-typed\r"),
            types(SECOND, "hunter22-typed\r"),
        ],
    );
    assert_eq!(got["code"], 0, "{got}");
    assert_eq!(got["echoed"], json!([false, false]));
    assert_eq!(got["restored"], true);
    let said = got["said"].as_str().unwrap();
    assert!(
        said.contains("Value of x_a (not shown): \r\nThe same again: \r\n"),
        "{said:?}"
    );
    assert!(!said.contains("hunter"), "{said}");
    assert_eq!(place.masked("is hunter22-typed here"), "is x_a here");
}

#[test]
fn a_typed_line_can_be_mended() {
    let place = Place::new();
    let first = "wrong\u{15}hunter2é\u{7f}2-mendedX\u{8}\r";
    let got = on_terminal(
        &place,
        &SET,
        &[types(FIRST, first), types(SECOND, "hunter22-mended\n")],
    );
    assert_eq!(got["code"], 0, "{got}");
    assert_eq!(place.masked("hunter22-mended"), "x_a");
}

#[test]
fn what_is_no_value_changes_nothing_and_says_what_to_do() {
    type Step = (&'static str, &'static str);
    let rows: [(&[Step], i32, &str); 6] = [
        (
            &[(FIRST, "hunter22\r"), (SECOND, "hunter23\r")],
            2,
            "are not the same",
        ),
        (
            &[(FIRST, "hunter22\rhunter23\rhunter24\r")],
            2,
            "more than one line",
        ),
        (&[(FIRST, "hunt\u{1b}[Der22\r")], 2, "makes no text"),
        (
            &[(FIRST, "\r"), (SECOND, "\r")],
            2,
            "Secret value cannot be empty",
        ),
        (&[(FIRST, "\u{4}")], 2, "no value was typed"),
        (&[(FIRST, "hunter22\u{3}")], 130, "\r\n"),
    ];
    let place = Place::new();
    place.set("x_other", "other-value", &[]);
    for (steps, code, text) in rows {
        let steps: Vec<Value> = steps
            .iter()
            .map(|(wait, typed)| types(wait, typed))
            .collect();
        let got = on_terminal(&place, &SET, &steps);
        assert_eq!(
            (&got["code"], &got["restored"]),
            (&json!(code), &json!(true)),
            "{got}"
        );
        assert_eq!(
            got["left"], 0,
            "what was typed would reach the shell: {got}"
        );
        let said = got["said"].as_str().unwrap();
        assert!(said.contains(text), "{said:?}");
        assert!(
            !said.contains("hunter") && !said.contains("hunt"),
            "{said:?}"
        );
    }
    assert!(!place.done(&["secret", "list"]).contains("x_a"));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for (signal, code) in [(2, 130), (15, 143), (1, 129), (3, 131)] {
        let place = Place::new();
        let step = json!({ "await": FIRST, "signal": signal });
        let got = on_terminal(&place, &SET, &[step]);
        assert_eq!(got["echoed"], json!([false]));
        assert_eq!(
            (&got["code"], &got["restored"]),
            (&json!(code), &json!(true)),
            "{got}"
        );
    }
}

#[test]
fn p8_a_terminal_that_hangs_up_ends_the_prompt() {
    let place = Place::new();
    let step = json!({ "await": FIRST, "hang_up": true });
    let got = on_terminal(&place, &SET, &[step]);
    assert_ne!(got["code"], 0, "{got}");
}

#[test]
fn removal_is_confirmed_on_a_terminal() {
    let place = Place::new();
    place.set("x_a", "hunter22-value", &[]);
    for (answer, code, is_there) in [("n\r", 2, true), ("\r", 2, true), ("y\r", 0, false)] {
        let got = on_terminal(&place, &["secret", "rm", "x_a"], &[types("[y/N] ", answer)]);
        assert_eq!(got["code"], code, "{got}");
        assert_eq!(place.done(&["secret", "list"]).contains("x_a"), is_there);
    }
}
