//! Messages made and changed: a command's envelope, a client's number in an answer, a root's session out of a message.
//!
//! Our numbers are all of eleven characters, as many as any number of a client may have, so an answer of many megabytes is changed
//! where it stands.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use zeroize::Zeroizing;

use crate::browser::envelope::Envelope;

/// Our first number, and our last: all those of 32 bits that take eleven characters.
pub(super) const FIRST_ID: i32 = i32::MIN;
pub(super) const LAST_ID: i32 = -1_000_000_000;

/// What a command's envelope takes besides method, session and parameters.
pub(super) const ENVELOPE: usize = 80;

/// A command with parameters that are an object's text, or none. It is made without leaving a copy of a part behind, and has room for
/// one byte more: parameters may hold a value.
pub(super) fn command(
    id: i32,
    method: &str,
    session: Option<&str>,
    params: Option<&[u8]>,
) -> Zeroizing<Vec<u8>> {
    const PARAMS: &[u8] = b",\"params\":";
    let head = head(id, method, session);
    let length = head.len() + PARAMS.len() + params.map_or(0, <[u8]>::len) + 1;
    let mut out = Zeroizing::new(Vec::with_capacity(length + 1));
    out.extend_from_slice(&head);
    if let Some(params) = params {
        out.extend_from_slice(PARAMS);
        out.extend_from_slice(params);
    }
    out.push(b'}');
    out
}

/// A command up to its parameters.
fn head(id: i32, method: &str, session: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE + method.len() + session.map_or(0, str::len));
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(b",\"method\":");
    quote(method, &mut out);
    if let Some(session) = session {
        out.extend_from_slice(b",\"sessionId\":");
        quote(session, &mut out);
    }
    out
}

fn quote(text: &str, out: &mut Vec<u8>) {
    // A text's JSON into memory.
    serde_json::to_writer(out, text).expect("a string is JSON and a vector takes it");
}

/// The answer to a command whose real one was too large.
pub(super) fn too_large(id: i64, session: Option<&str>) -> Vec<u8> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{{\"id\":{id},\"error\":{{\"code\":-32000,\"message\":\"the answer is larger than browser.limits.max_message_bytes\"}}"
    );
    let mut out = text.into_bytes();
    if let Some(session) = session {
        out.extend_from_slice(b",\"sessionId\":");
        quote(session, &mut out);
    }
    out.push(b'}');
    out
}

/// Takes the session out of a message: a client's root has none.
pub(super) fn drop_session(message: &mut BytesMut, entry: Range<usize>) {
    let before = message[..entry.start]
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace());
    let is_last_of = |byte: u8, at: Option<usize>| at.filter(|&at| message[at] == byte);
    let start = is_last_of(b',', before).unwrap_or(entry.start);
    let mut end = entry.end;
    if start == entry.start {
        // It is the first entry: the comma behind it goes with it.
        let comma = message[end..]
            .iter()
            .position(|byte| !byte.is_ascii_whitespace())
            .map(|at| end + at);
        end = is_last_of(b',', comma).map_or(end, |at| at + 1);
    }
    if &message[end..] == b"}" {
        message.truncate(start);
        message.extend_from_slice(b"}");
    } else {
        message[start..end].fill(b' ');
    }
}

/// Puts a client's number in the place of ours, and says by how much all that follows has moved to the front.
pub(super) fn put_id(message: &mut BytesMut, envelope: &Envelope, id: i64) -> usize {
    let Some(at) = envelope.id_at.clone() else {
        return 0;
    };
    let id = id.to_string();
    let Some(gap) = at.len().checked_sub(id.len()) else {
        // Numbers of ours are no shorter than any; the browser has changed this one.
        return 0;
    };
    message[at.start + gap..at.end].copy_from_slice(id.as_bytes());
    message.copy_within(..at.start, gap);
    message.advance(gap);
    gap
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::browser::envelope::of_browser;

    #[test]
    fn our_numbers_have_room_for_a_clients() {
        for ours in [FIRST_ID, FIRST_ID + 1, LAST_ID] {
            assert_eq!(ours.to_string().len(), 11);
            for theirs in [0, 1, -1, 12_345, i32::MAX, i32::MIN] {
                let text = format!("{{\"id\":{ours},\"result\":{{\"a\":[1]}}}}");
                let mut message = BytesMut::from(text.as_bytes());
                let envelope = of_browser(&message).unwrap();
                put_id(&mut message, &envelope, theirs.into());
                assert_eq!(
                    message,
                    format!("{{\"id\":{theirs},\"result\":{{\"a\":[1]}}}}")
                );
            }
        }
    }

    #[test]
    fn a_session_is_taken_out_wherever_it_stands() {
        for (text, expected) in [
            (r#"{"id":1,"sessionId":"S"}"#, r#"{"id":1}"#),
            (r#"{"sessionId":"S"}"#, "{}"),
            (r#"{"sessionId":"S","id":1}"#, r#"{"id":1}"#),
            (
                r#"{"id":1,"sessionId":"S","result":{}}"#,
                r#"{"id":1,"result":{}}"#,
            ),
            (r#"{"id":1 , "sessionId" : "S" } "#, r#"{"id":1}"#),
            (r#"{ "sessionId" : "S" , "id":1}"#, r#"{"id":1}"#),
        ] {
            let mut message = BytesMut::from(text.as_bytes());
            let envelope = of_browser(&message).unwrap();
            drop_session(&mut message, envelope.session_entry.unwrap());
            let got: serde_json::Value = serde_json::from_slice(&message).unwrap();
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn a_command_is_what_the_envelope_reader_reads() {
        let params = br#"{"text":"v"}"#;
        for session in [None, Some("S\"1")] {
            let made = command(LAST_ID, "A.b", session, Some(params));
            assert_eq!(made.capacity(), made.len() + 1, "it never grew");
            let read = Bytes::copy_from_slice(&made);
            let read = crate::browser::envelope::command(read).unwrap();
            assert_eq!(read.id, i64::from(LAST_ID));
            assert_eq!(&*read.method, "A.b");
            assert_eq!(read.session.as_deref(), session);
            assert_eq!(read.params(), params);
        }
        let made = command(LAST_ID, "A.b", None, None);
        assert_eq!(&made[..], br#"{"id":-1000000000,"method":"A.b"}"#);
    }
}
