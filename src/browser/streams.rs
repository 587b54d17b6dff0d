//! Streams that the browser hands out piece by piece (`IO.read`): a PDF, a body.
//!
//! A piece may end inside a value, so pieces cannot be masked. On the first read of a handle all of the stream is taken by reads of
//! our own, masked as a whole, and the client's reads are served from memory: by its sizes and offsets, in the browser's words.
//!
//! What is text is masked as text. What is not (a PDF, a picture) is masked as base64 in JSON is: there, short values that occur by
//! chance do not count.
//!
//! Invariants: one stream is no longer than a message may be, and all of a client's together neither; what is not read to its end
//! is not served at all, its rest neither; nobody else reads a stream meanwhile, for all sessions of a target share its position.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::base64;
use super::client::masking::{Masking, Unmasked};
use super::command::{Command, Refusal, Verdict};
use super::context::Context;
use super::hub::CallError;
use crate::guard::Syntax;

/// Streams that one client may have open.
const MOST_STREAMS: usize = 16;

/// Bytes that we ask for at a time.
const PIECE: usize = 1 << 20;

/// Bytes of a read that names no size, and the most of one that does.
const USUAL_READ: usize = 1 << 20;
const MOST_READ: usize = 16 << 20;

/// A stream by the session that it belongs to and its handle.
type Name = (Option<Arc<str>>, Box<str>);

/// The open streams of one client.
pub(super) struct Streams {
    open: Mutex<HashMap<Name, Stored>>,
    /// Held while one is read from the browser.
    turn: tokio::sync::Mutex<()>,
    max: usize,
}

/// Streams that are not read to their end and are not remembered one by one any more: then no stream is read.
const MOST_CLAIMS: usize = 16_384;

/// A stream by the browser's run, the target and the handle.
type Claim = (u64, Box<str>, Box<str>);

/// Streams of which somebody reads now, or of which a part was read and is gone: what is left may begin inside a value.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashSet<Claim>>);

impl Claims {
    fn claims(&self) -> MutexGuard<'_, HashSet<Claim>> {
        // Nothing under this lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that was read to its end.
struct Stored {
    bytes: Bytes,
    /// Whether the browser gave it as base64, or masking left no UTF-8.
    binary: bool,
    at: usize,
}

#[derive(Deserialize)]
struct Read {
    handle: Box<str>,
    offset: Option<u64>,
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default)]
    base64_encoded: bool,
    #[serde(borrow)]
    data: std::borrow::Cow<'a, str>,
    eof: bool,
}

impl Streams {
    /// `max`: bytes of all streams together.
    pub(super) fn new(max: usize) -> Self {
        Self {
            open: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            max,
        }
    }

    /// Decides about `IO.read` and `IO.close`.
    pub(super) async fn take(
        &self,
        context: &Context,
        masking: &Masking,
        command: &Command,
    ) -> Verdict {
        if !matches!(&*command.method, "IO.read" | "IO.close") {
            // It hands out a stream.
            return Verdict::Pass;
        }
        let Ok(read) = serde_json::from_slice::<Read>(command.params()) else {
            return refuse(
                "IO.read and IO.close take a handle, and a size and an offset that are whole numbers",
            );
        };
        let name: Name = (command.session.clone(), read.handle.clone());
        if &*command.method == "IO.close" {
            self.open().remove(&name);
            return Verdict::Pass;
        }
        // One is collected at a time, so that there is room for what is.
        let turn = self.turn.lock().await;
        if !self.open().contains_key(&name) {
            match self.begin(context, masking, &name).await {
                Ok(stored) => {
                    self.open().insert(name.clone(), stored);
                }
                Err(refusal) => return Verdict::Refuse(refusal),
            }
        }
        drop(turn);
        match self.open().get_mut(&name) {
            Some(stored) => Verdict::Answer(stored.read(read.offset, read.size)),
            None => refuse("the stream was closed"),
        }
    }

    /// Collects a stream that nobody else reads.
    async fn begin(
        &self,
        context: &Context,
        masking: &Masking,
        name: &Name,
    ) -> Result<Stored, Refusal> {
        let room = self.room()?;
        let target = context.member.target_of(name.0.as_deref());
        let target = target.map_or_else(Box::default, |target| target.id.clone());
        let claim = (context.hub.generation(), target, name.1.clone());
        let claims = &context.hub.streams;
        {
            let mut claims = claims.claims();
            if claims.len() >= MOST_CLAIMS || !claims.insert(claim.clone()) {
                return Err(Refusal::new(
                    "the stream is read elsewhere, or broke off: nothing more is read of it",
                ));
            }
        }
        let collected = collect(context, masking, name, room).await;
        if collected.is_ok() || close(context, name).await {
            claims.claims().remove(&claim);
        }
        collected
    }

    /// Bytes that one more stream may have.
    fn room(&self) -> Result<usize, Refusal> {
        let open = self.open();
        if open.len() >= MOST_STREAMS {
            return Err(Refusal::new(format!(
                "a client may read {MOST_STREAMS} streams at a time. Close one with IO.close"
            )));
        }
        let held: usize = open.values().map(|stored| stored.bytes.len()).sum();
        Ok(self.max.saturating_sub(held))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Name, Stored>> {
        // Nothing under this lock panics half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a stream; whether the browser itself says from now on that it is not there.
async fn close(context: &Context, (session, handle): &Name) -> bool {
    let params = json!({ "handle": handle }).to_string();
    let closed = context
        .member
        .call(session.as_deref(), "IO.close", params.as_bytes());
    matches!(closed.await, Ok(_) | Err(CallError::Refused { .. }))
}

/// Reads all of a stream, and masks it.
async fn collect(
    context: &Context,
    masking: &Masking,
    (session, handle): &Name,
    room: usize,
) -> Result<Stored, Refusal> {
    let mut bytes = Vec::new();
    let mut binary = false;
    loop {
        let params = json!({ "handle": handle, "size": PIECE }).to_string();
        let answer = context
            .member
            .call(session.as_deref(), "IO.read", params.as_bytes())
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(said(masking, error).await),
        };
        let unread = || Refusal::new("the browser's stream cannot be read");
        let part: Part<'_> = serde_json::from_slice(&answer).map_err(|_| unread())?;
        if part.base64_encoded {
            binary = true;
            let decoded = base64::decode(part.data.as_bytes()).ok_or_else(unread)?;
            bytes.extend_from_slice(&decoded);
        } else {
            bytes.extend_from_slice(part.data.as_bytes());
        }
        if bytes.len() > room {
            return Err(Refusal::new(
                "the stream is longer than max_message_bytes of [browser.limits] leaves room for, and it is masked as a whole",
            ));
        }
        if part.eof {
            break;
        }
    }
    let bytes = masked(masking, bytes).await.map_err(|unmasked| {
        Refusal::new(match unmasked {
            Unmasked::Refused(refusal) => format!("the stream cannot be masked: {refusal}"),
            Unmasked::Unavailable(unavailable) => unavailable.to_string(),
        })
    })?;
    let binary = binary || std::str::from_utf8(&bytes).is_err();
    Ok(Stored {
        bytes,
        binary,
        at: 0,
    })
}

/// The whole stream, masked.
async fn masked(masking: &Masking, bytes: Vec<u8>) -> Result<Bytes, Unmasked> {
    if std::str::from_utf8(&bytes).is_ok() {
        let bytes = Bytes::from(bytes);
        let masked = masking.text(bytes.clone(), Syntax::Text).await?;
        return Ok(masked.map_or(bytes, Bytes::from));
    }
    let text = format!("{{\"data\":\"{}\"}}", base64::encode(&bytes));
    let masked = masking.text(Bytes::from(text), Syntax::Json).await?;
    let Some(masked) = masked else {
        return Ok(bytes.into());
    };
    // What replaces a value in base64 is base64 of whole groups. If it were not, nothing may be served.
    let inner = masked.get(9..masked.len().saturating_sub(2));
    let decoded = inner.and_then(base64::decode);
    decoded
        .map(Bytes::from)
        .ok_or(Unmasked::Refused(crate::guard::Refusal::TooDeep))
}

/// The browser's reason, masked.
async fn said(masking: &Masking, error: CallError) -> Refusal {
    let CallError::Refused { code, message } = error else {
        return Refusal::new(error.to_string());
    };
    match masking.words(&message).await {
        Ok(text) => Refusal {
            code: i32::try_from(code).unwrap_or(-32000),
            text,
        },
        Err(_) => Refusal::new("the browser refused it"),
    }
}

fn refuse(text: &str) -> Verdict {
    Verdict::Refuse(Refusal::new(text))
}

impl Stored {
    /// The next piece, as the browser words it.
    fn read(&mut self, offset: Option<u64>, size: Option<u64>) -> Bytes {
        let whole = self.bytes.len();
        let clamp = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let start = offset.map_or(self.at, clamp).min(whole);
        let size = size.map_or(USUAL_READ, clamp).clamp(1, MOST_READ);
        let end = start.saturating_add(size).min(whole);
        let rest = &self.bytes[start..end];
        let (taken, answer) = match (self.binary, std::str::from_utf8(rest)) {
            (false, Ok(text)) => (text.len(), json!({ "base64Encoded": false, "data": text })),
            // It ends inside a character, which goes with the next piece; or it begins inside of one.
            (false, Err(error)) if error.error_len().is_none() && error.valid_up_to() > 0 => {
                let text = String::from_utf8_lossy(&rest[..error.valid_up_to()]).into_owned();
                (text.len(), json!({ "base64Encoded": false, "data": text }))
            }
            _ => (
                rest.len(),
                json!({ "base64Encoded": true, "data": base64::encode(rest) }),
            ),
        };
        self.at = start + taken;
        let mut answer = answer;
        answer["eof"] = json!(self.at >= whole);
        Bytes::from(answer.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], binary: bool, size: u64) -> (Vec<u8>, usize) {
        let mut stored = Stored {
            bytes: Bytes::copy_from_slice(bytes),
            binary,
            at: 0,
        };
        let (mut all, mut reads) = (Vec::new(), 0);
        loop {
            let answer = stored.read(None, Some(size));
            let part: Part<'_> = serde_json::from_slice(&answer).unwrap();
            let data = part.data.as_bytes();
            if part.base64_encoded {
                all.extend_from_slice(&base64::decode(data).unwrap());
            } else {
                all.extend_from_slice(data);
            }
            reads += 1;
            if part.eof {
                return (all, reads);
            }
        }
    }

    #[test]
    fn any_size_gives_all_of_it() {
        let text = "aö€𝄞\"\n".repeat(7);
        let noise: Vec<u8> = (0..=255).collect();
        for (bytes, binary) in [
            (text.as_bytes(), false),
            (&noise[..], true),
            (b"", false),
            (b"", true),
        ] {
            for size in 1..20 {
                let (all, reads) = read_all(bytes, binary, size);
                assert_eq!(all, bytes, "by {size}");
                assert!(reads <= bytes.len() + 1);
            }
        }
    }

    #[test]
    fn offsets_are_taken() {
        let mut stored = Stored {
            bytes: Bytes::from_static(b"0123456789"),
            binary: false,
            at: 0,
        };
        let mut read = |offset, size| {
            let answer = stored.read(offset, size);
            let part: Part<'_> = serde_json::from_slice(&answer).unwrap();
            (part.data.into_owned(), part.eof)
        };
        assert_eq!(read(Some(8), Some(1)), ("8".to_owned(), false));
        assert_eq!(read(None, Some(5)), ("9".to_owned(), true));
        assert_eq!(read(Some(99), None), (String::new(), true));
        assert_eq!(read(Some(u64::MAX), Some(u64::MAX)), (String::new(), true));
        assert_eq!(read(Some(2), Some(3)), ("234".to_owned(), false));
    }
}
