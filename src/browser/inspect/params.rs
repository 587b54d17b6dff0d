//! Reads a command's parameters, and answers of the browser.
//!
//! Only what a rule needs is read, into typed structs. What does not parse is refused, not passed: Chromium's reader takes texts
//! that ours does not (comments), and of a key that stands twice it takes one, which need not be ours.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::browser::hub::CallError;
use crate::browser::{Command, Refusal};

/// The parameters of a command.
///
/// # Errors
/// They are not JSON of that shape, or one of the keys that are read stands twice. What they hold is not repeated.
pub fn read<'a, T: Deserialize<'a>>(command: &'a Command) -> Result<T, Refusal> {
    serde_json::from_slice(command.params()).map_err(|_| unreadable(command))
}

/// All parameters but those, as members of an object with a comma after each.
///
/// # Errors
/// As [`read`].
pub fn rest(command: &Command, except: &[&str]) -> Result<String, Refusal> {
    let all: Map<String, Value> = read(command)?;
    let mut text = String::new();
    for (key, value) in all {
        if !except.contains(&key.as_str()) {
            let key = Value::String(key);
            // Into a string it cannot fail.
            let _ = write!(text, "{key}:{value},");
        }
    }
    Ok(text)
}

/// An answer of the browser.
///
/// # Errors
/// It is not what the protocol says.
pub fn answer<'a, T: Deserialize<'a>>(answer: &'a Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(answer).map_err(|_| failed(CallError::Unreadable))
}

/// What the client is told where a command of ours, or its own through us, was not answered. The browser's words are masked on
/// their way, as all that goes to a client.
pub fn failed(error: CallError) -> Refusal {
    match error {
        CallError::Refused { code, message } => Refusal {
            code: i32::try_from(code).unwrap_or(-32000),
            text: message.into(),
        },
        other => Refusal::new(other.to_string()),
    }
}

fn unreadable(command: &Command) -> Refusal {
    Refusal {
        code: -32602,
        text: format!(
            "the parameters of {} are not what the protocol says, or a key stands twice",
            crate::browser::methods::rule(&command.method).1
        ),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A command with those parameters.
    pub fn command(method: &str, params: &str) -> Command {
        let before = format!(r#"{{"id":1,"method":"{method}","params":"#);
        let range = before.len()..before.len() + params.len();
        Command {
            id: 1,
            method: method.into(),
            session: None,
            message: format!("{before}{params}}}").into(),
            params: Some(range),
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        #[derive(Deserialize)]
        struct One {
            url: String,
        }
        for (params, expected) in [
            (r#"{"url":"a","other":{"url":"b"}}"#, Some("a")),
            (r#"{"other":1,"other":2,"url":"a"}"#, Some("a")),
            (r#"{"ur\u006c":"a"}"#, Some("a")),
            (r#"{"url":"a","url":"b"}"#, None),
            (r#"{"url":"a","ur\u006c":"b"}"#, None),
            (r#"{"url":"a"/**/}"#, None),
            (r#"{"url":"a",}"#, None),
            (r#"{"url":'a'}"#, None),
            (r#"{"url":"\ud800"}"#, None),
            (r#"{"url":["a"]}"#, None),
            (r#"{"URL":"a"}"#, None),
        ] {
            let read: Result<One, _> = read(&command("Page.navigate", params));
            let url = read.as_ref().ok().map(|one| one.url.as_str());
            assert_eq!(url, expected, "{params}");
            if let Err(refusal) = read {
                assert!(!refusal.text.contains("\"b\"") && refusal.code == -32602);
            }
        }
    }

    #[test]
    fn the_rest_of_the_parameters_is_kept() {
        let command = command(
            "Page.navigate",
            r#"{"url":"a","b\"":[1,{"c":null}],"frameId":"\n"}"#,
        );
        let rest = rest(&command, &["url"]).unwrap();
        let all: Value = serde_json::from_str(&format!("{{{rest}\"end\":1}}")).unwrap();
        let expected = serde_json::json!({"b\"": [1, {"c": null}], "frameId": "\n", "end": 1});
        assert_eq!(all, expected);
    }
}
