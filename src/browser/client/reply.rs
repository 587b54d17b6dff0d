//! What we answer ourselves, in Chrome's words.

use bytes::Bytes;
use serde_json::json;

use crate::browser::Refusal;

/// JSON-RPC's codes.
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const SERVER_ERROR: i32 = -32000;
pub(super) const SESSION_NOT_FOUND: i32 = -32001;

/// The answer to a command with this result, an object's text.
pub(super) fn result(id: i64, session: Option<&str>, result: &[u8]) -> Bytes {
    let mut text = format!("{{\"id\":{id},\"result\":").into_bytes();
    text.extend_from_slice(result);
    close(text, session)
}

/// The answer to a command that is refused.
pub(super) fn refused(id: i64, session: Option<&str>, refusal: &Refusal) -> Bytes {
    let error = json!({ "code": refusal.code, "message": refusal.text });
    let text = format!("{{\"id\":{id},\"error\":{error}").into_bytes();
    close(text, session)
}

/// The answer to a message that is no command: there is no number to answer to.
pub(super) fn no_command(code: i32, text: &str) -> Bytes {
    Bytes::from(json!({ "error": { "code": code, "message": text } }).to_string())
}

fn close(mut text: Vec<u8>, session: Option<&str>) -> Bytes {
    if let Some(session) = session {
        text.extend_from_slice(format!(",\"sessionId\":{}", json!(session)).as_bytes());
    }
    text.push(b'}');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_look_like_chromes() {
        for (answer, expected) in [
            (result(1, None, b"{}"), r#"{"id":1,"result":{}}"#),
            (
                result(-5, Some("AB\"C"), b"{\"a\":1}"),
                r#"{"id":-5,"result":{"a":1},"sessionId":"AB\"C"}"#,
            ),
            (
                refused(7, Some("S"), &Refusal::new("no \"x\"")),
                r#"{"id":7,"error":{"code":-32000,"message":"no \"x\""},"sessionId":"S"}"#,
            ),
            (
                no_command(PARSE_ERROR, "JSON: parse"),
                r#"{"error":{"code":-32700,"message":"JSON: parse"}}"#,
            ),
        ] {
            assert_eq!(answer, expected.as_bytes());
        }
    }
}
