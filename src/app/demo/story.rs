//! The secrets and the conversation of the demonstration. All of it is made up.
//!
//! The encoders here are the demo's own, so that what it shows does not rest on the engine that it shows.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

const USERNAME: &str = "mira.lind@example.com";
const PASSWORD: &str = r#"grün"Tee\49!"#;
const API_KEY: &str = "sk-demo-4fT9wQ2zLm8XcV1b";
const PIN: &str = "770413";

/// Key and value of every secret.
pub(super) const VALUES: [(&str, &str); 4] = [
    ("x_api_key", API_KEY),
    ("x_password", PASSWORD),
    ("x_pin", PIN),
    ("x_username", USERNAME),
];

/// The secrets in the format of `--secrets`; `site`: where the login page of the second act is.
pub(super) fn secrets(site: SocketAddr) -> String {
    json!({
        "https://shop.example.com": { "x_username": USERNAME, "x_password": PASSWORD, "x_pin": PIN },
        "https://api.example.com": { "x_api_key": API_KEY },
        format!("http://{site}"): { "x_username": USERNAME, "x_password": PASSWORD },
    })
    .to_string()
}

/// What the login page's form is to get: user and password.
pub(super) fn login() -> (String, String) {
    (USERNAME.to_owned(), PASSWORD.to_owned())
}

/// A part of a text: as it is everywhere, or a value in some encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    pub is_value: bool,
}

/// One place of the conversation that holds values.
pub(super) struct Row {
    /// What it is, and how the values are written there.
    pub label: &'static str,
    /// Where it stands in the second request.
    pub pointer: &'static str,
    pub pieces: Vec<Piece>,
}

impl Row {
    /// `template` with `{}` wherever a value goes.
    fn new(
        label: &'static str,
        pointer: &'static str,
        template: &str,
        values: Vec<String>,
    ) -> Self {
        let mut pieces = Vec::new();
        let mut values = values.into_iter();
        for (at, text) in template.split("{}").enumerate() {
            if at > 0 {
                pieces.extend(values.next().map(|text| Piece {
                    text,
                    is_value: true,
                }));
            }
            pieces.push(Piece {
                text: text.to_owned(),
                is_value: false,
            });
        }
        Self {
            label,
            pointer,
            pieces,
        }
    }

    pub(super) fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }

    /// The same place in what arrived: what stands between the texts that do not change. `None` if one of those is gone.
    pub(super) fn arrived(&self, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let last = self.pieces.len() - 1;
        for (at, piece) in self.pieces.iter().enumerate() {
            if piece.is_value {
                continue;
            }
            let found = match at {
                0 => rest.starts_with(&piece.text).then_some(0)?,
                _ if at == last => rest
                    .ends_with(&piece.text)
                    .then(|| rest.len() - piece.text.len())?,
                _ => rest.find(&piece.text)?,
            };
            if at > 0 {
                pieces.push(Piece {
                    text: rest[..found].to_owned(),
                    is_value: true,
                });
            }
            pieces.push(piece.clone());
            rest = &rest[found + piece.text.len()..];
        }
        Some(pieces)
    }
}

/// The places of the second request that hold values.
pub(super) fn rows() -> Vec<Row> {
    let own = str::to_owned;
    let basic = base64(format!("{USERNAME}:{PASSWORD}").as_bytes());
    // The dump is a JSON text in a JSON string; only its values are told apart.
    let escaped = json_escaped(&ascii_json(PASSWORD));
    vec![
        Row::new(
            "What the user says (plain text)",
            "/messages/1/content",
            "Log in at https://shop.example.com/login as {} with the password {} and confirm with the PIN {}. Then run the script.",
            vec![own(USERNAME), own(PASSWORD), own(PIN)],
        ),
        Row::new(
            "A tool call's arguments (JSON in JSON)",
            "/messages/2/tool_calls/0/function/arguments",
            r#"{"url":"https://shop.example.com/login","user":"{}","password":"{}"}"#,
            vec![own(USERNAME), json_escaped(PASSWORD)],
        ),
        Row::new(
            "The tool's log (base64 and percent-encoding)",
            "/messages/3/content",
            "> GET /login HTTP/1.1\n> Authorization: Basic {}\n< 302 Found\n< Location: /hello?user={}&pin={}",
            vec![basic, percent(USERNAME), own(PIN)],
        ),
        Row::new(
            "A page's source (HTML entities)",
            "/messages/4/content",
            r#"<input name="user" value="{}"><input name="password" value="{}">"#,
            vec![html(USERNAME), html(PASSWORD)],
        ),
        Row::new(
            "A script's environment (JSON in JSON, \\u escapes)",
            "/messages/5/content",
            r#"{"env":"{\"API_KEY\":\"{}\",\"PASSWORD\":\"{}\"}"}"#,
            vec![own(API_KEY), escaped],
        ),
        Row::new(
            "A hex dump",
            "/messages/6/content",
            "$ printf %s \"$API_KEY\" | xxd -p -c 99\n{}\n",
            vec![hex(API_KEY.as_bytes())],
        ),
    ]
}

const SYSTEM: &str = "You are a shopping agent. Use the names of secrets, such as x_password, as if they were the values.";

/// The conversation's beginning.
pub(super) fn first_request() -> String {
    let user = rows().swap_remove(0).text();
    let messages =
        json!([{ "role": "system", "content": SYSTEM }, { "role": "user", "content": user }]);
    json!({ "model": "stand-in-1", "messages": messages }).to_string()
}

/// The conversation after the tools have run; the answer is to be streamed.
pub(super) fn second_request() -> String {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "log_in", "arguments": "" } });
    let tool = || json!({ "role": "tool", "tool_call_id": "call_1", "content": "" });
    let mut request = json!({ "model": "stand-in-1", "stream": true, "messages": [
        { "role": "system", "content": SYSTEM },
        { "role": "user", "content": "" },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        tool(), tool(), tool(), tool(),
    ] });
    for row in rows() {
        if let Some(place) = request.pointer_mut(row.pointer) {
            *place = Value::String(row.text());
        }
    }
    request.to_string()
}

/// The inside of a JSON string.
pub(super) fn json_escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

/// The inside of a JSON string, in ASCII. For characters of the Basic Multilingual Plane.
pub(super) fn ascii_json(text: &str) -> String {
    let mut out = String::new();
    for char in json_escaped(text).chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        }
    }
    out
}

pub(super) fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A value of a form (`application/x-www-form-urlencoded`).
pub(super) fn unform(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 2;
            }
            None => out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] }),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn html(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '"' => out.push_str("&quot;"),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            char if char.is_ascii() => out.push(char),
            char => {
                let _ = write!(out, "&#{};", u32::from(char));
            }
        }
    }
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(*group.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let digit = ALPHABET[bits >> (18 - 6 * at) & 63];
            out.push(if at <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

/// What a base64 text stands for, if it is one and a text.
pub(super) fn unbase64(text: &str) -> Option<String> {
    let (mut bits, mut count) = (0_usize, 0);
    let mut bytes = Vec::new();
    for byte in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | ALPHABET.iter().position(|digit| *digit == byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What a hex text stands for, if it is one and a text.
pub(super) fn unhex(text: &str) -> Option<String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]);
    String::from_utf8(bytes.collect()).ok()
}
