//! From the browser to the client: looked at where the table says so, masked, written.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::end::End;
use super::masking::Unsent;
use super::{Shared, captures, count, reply};
use crate::browser::envelope;
use crate::browser::hub::{FromBrowser, Incoming};
use crate::browser::inspect::NO_CONTEXT;
use crate::browser::methods::{self, Handler};
use crate::browser::{Event, Observed, Refusal};

/// Says of a page's own connection that its session is gone.
const DETACHED: &str = "Target.detachedFromTarget";

/// Runs until the browser or the client is gone.
pub(super) async fn run(shared: &Shared, incoming: &mut Incoming) -> End {
    loop {
        let passed = match incoming.next().await {
            FromBrowser::Reply {
                id,
                method,
                session,
                message,
            } => {
                let message = lost(shared, id, &method, session.as_ref(), message);
                answer(shared, id, session.as_ref(), message).await
            }
            FromBrowser::Event {
                method,
                session,
                message,
                params,
            } => event(shared, &method, session.as_ref(), message, params).await,
            FromBrowser::Gone(why) => Err(End::Gone(why)),
        };
        if let Err(end) = passed {
            return end;
        }
    }
}

/// A context that went meanwhile, in the words that clients know: they named it by its number, and we by its unique id.
fn lost(
    shared: &Shared,
    id: i64,
    method: &str,
    session: Option<&Arc<str>>,
    message: Bytes,
) -> Bytes {
    const LONGEST: usize = 512;
    let may_be = matches!(method, "Runtime.evaluate" | "Runtime.callFunctionOn");
    let is_it = may_be
        && message.len() <= LONGEST
        && memchr::memmem::find(&message, b"uniqueContextId").is_some()
        && serde_json::from_slice::<Failed>(&message)
            .is_ok_and(|failed| failed.error.message == "uniqueContextId not found");
    if !is_it {
        return message;
    }
    reply::refused(id, shared.shown(session), &Refusal::new(NO_CONTEXT))
}

#[derive(serde::Deserialize)]
struct Failed {
    error: Why,
}

#[derive(serde::Deserialize)]
struct Why {
    message: String,
}

async fn answer(
    shared: &Shared,
    id: i64,
    session: Option<&Arc<str>>,
    message: Bytes,
) -> Result<(), End> {
    let message = shared.as_root(session, message);
    match shared.masking.message(message).await {
        Ok(message) => send(shared, message).await,
        Err(Unsent::End(unmasked)) => Err(unmasked.into()),
        Err(Unsent::Misaligned) => {
            let refusal = Refusal::new(
                "the answer holds a secret across more than one of its parts, and cannot be masked",
            );
            send(shared, reply::refused(id, shared.shown(session), &refusal)).await
        }
    }
}

async fn event(
    shared: &Shared,
    method: &Arc<str>,
    session: Option<&Arc<str>>,
    message: Bytes,
    params: Option<Range<usize>>,
) -> Result<(), End> {
    let mut message = message;
    if let Some(handler) = methods::observer(method) {
        let event = Event {
            method,
            session,
            message: &message,
            params: params.as_ref(),
        };
        let context = &shared.context;
        let observed = match handler {
            Handler::Capture => captures::frame(context, &event).await,
            _ => shared.inspector.observe(context, &event).await,
        };
        match observed {
            Observed::Keep => {}
            Observed::Drop => return Ok(()),
            Observed::Replace(other) => message = other,
        }
    }
    if let Some(root) = &shared.root
        && session.is_none()
    {
        // The browser session behind a page's own connection is not the client's.
        let params = params.map(|params| message.slice(params));
        let gone = **method == *DETACHED && params.is_some_and(|params| names(&params, root));
        return if gone { Err(End::Target) } else { Ok(()) };
    }
    let message = shared.as_root(session, message);
    match shared.masking.message(message).await {
        Ok(message) => send(shared, message).await,
        Err(Unsent::End(unmasked)) => Err(unmasked.into()),
        Err(Unsent::Misaligned) => {
            tracing::debug!("an event that cannot be masked in its parts was dropped");
            Ok(())
        }
    }
}

async fn send(shared: &Shared, message: Bytes) -> Result<(), End> {
    count(&shared.tally.sent, message.len());
    shared.outlet.text(message).await
}

/// Whether a detachment is that of a session.
fn names(params: &[u8], session: &str) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Detached<'a> {
        session_id: &'a str,
    }
    serde_json::from_slice::<Detached<'_>>(params).is_ok_and(|it| it.session_id == session)
}

impl Shared {
    /// A message of the session that is the client's root, without its session.
    fn as_root(&self, session: Option<&Arc<str>>, message: Bytes) -> Bytes {
        if self.root.is_none() || session != self.root.as_ref() {
            return message;
        }
        let Some(at) = envelope::of_browser(&message)
            .ok()
            .and_then(|e| e.session_entry)
        else {
            return message;
        };
        without(&message, at)
    }
}

/// The message without an entry, and without one of the commas beside it.
fn without(message: &Bytes, entry: Range<usize>) -> Bytes {
    let (mut start, mut end) = (entry.start, entry.end);
    let blanks = |byte: &u8| byte.is_ascii_whitespace();
    let before = &message[..start];
    let after = &message[end..];
    let leading = before.iter().rev().take_while(|b| blanks(b)).count();
    let trailing = after.iter().take_while(|b| blanks(b)).count();
    if before[..before.len() - leading].last() == Some(&b',') {
        start -= leading + 1;
    } else if after.get(trailing) == Some(&b',') {
        end += trailing + 1;
    }
    [&message[..start], &message[end..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_with_one_comma() {
        for text in [
            r#"{"id":1,"result":{},"sessionId":"S"}"#,
            r#"{"sessionId":"S","id":1,"result":{}}"#,
            r#"{ "sessionId" : "S" , "id":1,"result":{}}"#,
            r#"{"id":1 , "sessionId":"S" ,"result":{}}"#,
            r#"{"sessionId":"S"}"#,
        ] {
            let start = text.find("\"sessionId").unwrap();
            let end = text.find("\"S\"").unwrap() + 3;
            let left = without(&Bytes::from(text), start..end);
            let left: serde_json::Value = serde_json::from_slice(&left).unwrap();
            assert!(left.get("sessionId").is_none(), "{text}");
            assert_eq!(left.get("id").is_some(), text.contains("id\":1"), "{text}");
        }
    }

    #[test]
    fn a_detachment_is_known() {
        assert!(names(br#"{"sessionId":"A","targetId":"T"}"#, "A"));
        assert!(!names(br#"{"sessionId":"B","targetId":"A"}"#, "A"));
        assert!(!names(b"{}", "A"));
    }
}
