//! What we answer ourselves, in Chrome's words.

use bytes::Bytes;
use serde_json::json;

use crate::browser::Refusal;

/// JSON-RPC's codes.
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
        ] {
            assert_eq!(answer, expected.as_bytes());
        }
    }
}
