//! Bodies with content codings: read through a connection of HTTP/1.1 in any pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bauta::guard::Syntax;
use bauta::net::body::Received;
use bauta::relay::body::MaskedBody;
use bauta::relay::{Error, Limits, Tally, content};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::coders::{CODERS, Coder, decode};
use super::input::{Input, Sizes};
use super::texts::{LONGEST, assert_clean, masked, snapshot, text};

/// Empty members, of 20 bytes or less, that make any short body a bomb.
const MEMBERS: usize = 700;

/// Types, and how they are read: text that is no JSON, and text that begins like it.
const TYPES: [(&str, Syntax, Syntax); 5] = [
    ("application/json", Syntax::Json, Syntax::Json),
    ("text/plain", Syntax::Text, Syntax::Text),
    (
        "application/x-www-form-urlencoded",
        Syntax::Form,
        Syntax::Form,
    ),
    (
        "application/x-ndjson; charset=utf-8",
        Syntax::Json,
        Syntax::Json,
    ),
    ("application/octet-stream", Syntax::Text, Syntax::Json),
];

/// Bytes that tell whether a text begins like JSON.
const BEGINNING: usize = 8;

/// How a text of such a type is read.
fn syntax_of(typed: (&str, Syntax, Syntax), text: &[u8]) -> Syntax {
    let (_, otherwise, as_json) = typed;
    let beginning = text[..text.len().min(BEGINNING)].trim_ascii_start();
    match beginning.first() {
        Some(b'{' | b'[') => as_json,
        _ => otherwise,
    }
}

/// What became of a body.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It went on: whether without its codings, and as what.
    Passed(bool, Vec<u8>),
    /// It was refused, for that reason; what went on before.
    Refused(String, Vec<u8>),
}

impl Outcome {
    pub fn shown(&self) -> String {
        match self {
            Self::Passed(decoded, body) => {
                format!("passed, decoded: {decoded}, b\"{}\"", body.escape_ascii())
            }
            Self::Refused(reason, before) => {
                format!("refused: {reason}, after b\"{}\"", before.escape_ascii())
            }
        }
    }

    /// Holds what became of something in pieces against what became of it as a whole.
    pub fn assert_like(&self, whole: &Self, what: &dyn Fn() -> String) {
        assert!(
            self.agrees(whole),
            "pieces made a difference: {}\n{}\nwhole: {}",
            what(),
            self.shown(),
            whole.shown()
        );
    }

    /// Whether two refusals or two passes are the same, as far as pieces may not matter. Which of several limits is met first
    /// may depend on them, and so may what reading costs (see ARCHITECTURE.md, "Why this gives chunk invariance").
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(..), Self::Refused(..)) => true,
            (Self::Refused(reason, _), Self::Passed(..))
            | (Self::Passed(..), Self::Refused(reason, _)) => reason.contains("TooDeep"),
            _ => self == other,
        }
    }
}

pub fn limits(max_body_bytes: usize, buffer_bytes: usize) -> Limits {
    Limits {
        buffer_bytes: buffer_bytes.max(1) as u64,
        max_body_bytes: max_body_bytes as u64,
        idle_timeout: Duration::from_secs(60),
        response_timeout: Duration::from_secs(60),
        max_message_bytes: 100_000,
    }
}

pub fn check(input: &mut Input) {
    let typed = TYPES[usize::from(input.byte()) % TYPES.len()];
    let content_type = typed.0;
    let coders: Vec<Coder> = match input.byte() {
        0..16 => Vec::new(),
        one @ 16..160 => vec![coder(one)],
        two @ 160..224 => vec![coder(two), coder(input.byte())],
        three => vec![coder(three), coder(input.byte()), coder(input.byte())],
    };
    let damage = Damage::read(input);
    let (sizes, gaps) = (input.sizes(), input.flag());
    let limits = match input.below(8) {
        0 => limits(input.number(), 8 << 20),
        1 => limits(64 << 20, input.number()),
        2 => limits(input.number(), input.number()),
        _ => limits(64 << 20, 8 << 20),
    };
    let beside = match input.below(8) {
        0 => super::texts::VALUES[usize::from(input.byte()) % 3]
            .1
            .as_bytes(),
        1 => b"something else",
        _ => b"",
    };
    let bomb = input.byte() == 0xbb;
    let mut layers = vec![text(input, &[], LONGEST)];
    for coder in &coders {
        let mut coded = coder.encode(layers.last().map_or(&[], Vec::as_slice), beside);
        if bomb && layers.len() == 1 {
            // Ends of members count like text (`relay::coded`), and are quicker to fuzz with than megabytes.
            coded.extend(coder.encode(b"", b"").repeat(MEMBERS));
        }
        layers.push(coded);
    }
    let bomb = bomb && !coders.is_empty();
    let mut body = layers.last().cloned().unwrap_or_default();
    let damaged = damage.apply(&mut body);
    let names: Vec<&str> = coders.iter().map(|coder| coder.name()).collect();
    let head = format!(
        "Content-Type: {content_type}\r\nContent-Encoding: {}\r\n",
        names.join(", ")
    );

    let outcome = through(&head, &body, sizes, gaps, limits);
    let whole = through(&head, &body, Sizes::WHOLE, false, limits);
    let what = || {
        format!(
            "{head}{limits:?} {sizes:?} b\"{}\"",
            body[..body.len().min(5000)].escape_ascii()
        )
    };
    outcome.assert_like(&whole, &what);
    if damaged {
        // What went on must have been sound all the same.
        if let Outcome::Passed(decoded, _) = &outcome {
            let read = names
                .iter()
                .rev()
                .try_fold(vec![body.clone()], |mut layers, name| {
                    let next = decode(name, layers.last()?);
                    layers.push(next?);
                    Some(layers)
                });
            // A body without a byte goes on whatever coding it names.
            let read = if body.is_empty() {
                Some(vec![Vec::new(); names.len() + 1])
            } else {
                read
            };
            let Some(mut read) = read else {
                panic!(
                    "what cannot be decoded went on, decoded: {decoded}: {}\n{}",
                    what(),
                    outcome.shown()
                );
            };
            read.reverse();
            judge(&read, typed, limits, &outcome, &what);
        }
    } else if bomb {
        let refused = matches!(outcome, Outcome::Refused(..));
        assert!(refused, "a bomb went on: {}", what());
    } else {
        judge(&layers, typed, limits, &outcome, &what);
    }
    let (Outcome::Passed(_, seen) | Outcome::Refused(_, seen)) = &outcome;
    if names.is_empty() {
        assert_clean(seen, "as it came");
    }
}

fn coder(byte: u8) -> Coder {
    CODERS[usize::from(byte) % CODERS.len()]
}

/// Holds what became of a sound body against what must become of it. `layers`: the text, then each coding's form of it.
fn judge(
    layers: &[Vec<u8>],
    typed: (&str, Syntax, Syntax),
    limits: Limits,
    outcome: &Outcome,
    what: &dyn Fn() -> String,
) {
    let (Some(plain), Some(coded)) = (layers.first(), layers.last()) else {
        return;
    };
    let syntax = syntax_of(typed, plain);
    let is_coded = layers.len() > 1;
    let too_long = layers
        .iter()
        .any(|layer| layer.len() as u64 > limits.max_body_bytes);
    match outcome {
        Outcome::Refused(reason, before) => {
            assert_clean(before, "before a refusal");
            let expected = match reason.split(['(', ' ']).next().unwrap_or_default() {
                "TooLarge" => too_long,
                "Charset" => {
                    plain.first().is_some_and(|first| *first >= 0xfe)
                        || plain.iter().take(4).any(|byte| *byte == 0)
                }
                "Refused" => masked(plain, syntax).is_err(),
                _ => false,
            };
            assert!(
                expected,
                "refused without a reason: {}\n{}",
                what(),
                outcome.shown()
            );
        }
        Outcome::Passed(decoded, body) => {
            assert!(
                !too_long || coded.is_empty(),
                "longer than may be: {}",
                what()
            );
            let Ok((expected, found)) = masked(plain, syntax) else {
                panic!(
                    "what the engine refuses went on: {}\n{}",
                    what(),
                    outcome.shown()
                );
            };
            let beside = layers[1..]
                .iter()
                .any(|layer| masked(layer, Syntax::Text).map_or(true, |(_, found)| found));
            let fits =
                ((coded.len() + plain.len()) as u64) < limits.buffer_bytes || coded.is_empty();
            let as_text = is_coded && (found || beside || !fits) && !coded.is_empty();
            let expected = if is_coded && !as_text {
                coded
            } else {
                &expected
            };
            assert_eq!(*decoded, as_text, "{}\n{}", what(), outcome.shown());
            assert!(
                body == expected,
                "{}\n{}\nexpected: b\"{}\"",
                what(),
                outcome.shown(),
                expected.escape_ascii()
            );
            if !is_coded || *decoded {
                assert_clean(body, "text");
            }
        }
    }
}

/// What happens to a body on its way.
enum Damage {
    None,
    Cut(usize),
    Flip(usize, u8),
    Append(Vec<u8>),
    Insert(usize, Vec<u8>),
    Twice,
}

impl Damage {
    fn read(input: &mut Input) -> Self {
        match input.byte() {
            0..128 => Self::None,
            128..152 => Self::Cut(input.number()),
            152..200 => Self::Flip(input.number(), input.byte()),
            200..216 => Self::Append(vec![input.byte(); 1 + usize::from(input.below(9))]),
            216..232 => Self::Insert(input.number(), vec![input.byte()]),
            _ => Self::Twice,
        }
    }

    fn apply(self, body: &mut Vec<u8>) -> bool {
        let within = |at: usize, body: &[u8]| at % body.len().max(1);
        match self {
            Self::None => return false,
            Self::Cut(at) => body.truncate(within(at, body)),
            Self::Flip(at, bits) => {
                let at = within(at, body);
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Append(bytes) => body.extend(bytes),
            Self::Insert(at, bytes) => {
                let at = within(at, body);
                body.splice(at..at, bytes);
            }
            Self::Twice => body.extend_from_within(..),
        }
        true
    }
}

/// One reader for all cases of a thread.
pub fn runtime<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_time()
            .build()
            .expect("a runtime that opens nothing")
    });
    RUNTIME.block_on(work)
}

/// Sends a body in these pieces and says what became of it.
pub fn through(head: &str, body: &[u8], sizes: Sizes, gaps: bool, limits: Limits) -> Outcome {
    let mut pieces: Vec<Vec<u8>> = vec![
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{head}\r\n")
            .into_bytes(),
    ];
    pieces.extend(
        sizes
            .cut(body)
            .into_iter()
            .map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()),
    );
    pieces.push(b"0\r\n\r\n".to_vec());
    if !gaps {
        pieces = vec![pieces.concat()];
    }
    pieces.reverse();
    let wire = Wire {
        pieces,
        at: 0,
        pause: false,
    };
    let (outcome, over) = (Mutex::new(None), Notify::new());
    let service = service_fn(|request: Request<Incoming>| {
        let (outcome, over) = (&outcome, &over);
        async move {
            let seen = read(request, limits).await;
            *outcome.lock().expect("no panic under it") = Some(seen);
            over.notify_one();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(wire), service);
    runtime(async {
        // What becomes of the connection is of no interest: a body that is refused is not read to its end.
        tokio::select! {
            biased;
            () = over.notified() => {}
            _ = connection => {}
        }
    });
    let outcome = outcome.into_inner().expect("no panic under it");
    outcome.expect("a request was sent")
}

/// What the relay makes of a request's body.
async fn read(request: Request<Incoming>, limits: Limits) -> Outcome {
    let refused = |error: Error, before: Vec<u8>| Outcome::Refused(format!("{error:?}"), before);
    let content = match content::read(request.headers()) {
        Ok(content) => content,
        Err(error) => return Outcome::Refused(format!("{error:?}"), Vec::new()),
    };
    let body = Received::from(request.into_body());
    let started =
        MaskedBody::start(body, &content, &snapshot(), limits, Arc::<Tally>::default()).await;
    let mut body = match started {
        Ok(body) => body,
        Err(error) => return refused(error, Vec::new()),
    };
    let (length, upload, decoded) = (body.length(), body.upload(), body.is_decoded());
    let mut seen = Vec::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => break,
            Some(Ok(frame)) => seen.extend(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => {
                assert_eq!(length, None, "a body of known length broke");
                return refused(
                    upload.take_fault().expect("a body that fails says why"),
                    seen,
                );
            }
        }
    }
    assert!(upload.is_complete(), "the end was not told");
    assert!(
        length.is_none_or(|length| length == seen.len() as u64),
        "another length than was said"
    );
    assert_eq!(
        body.is_decoded(),
        decoded,
        "the head has gone on with another word"
    );
    Outcome::Passed(decoded, seen)
}

/// A connection on which pieces come, with a pause after each.
struct Wire {
    /// The next one is the last.
    pieces: Vec<Vec<u8>>,
    at: usize,
    pause: bool,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if std::mem::take(&mut this.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // An end of the connection would end the request.
        let Some(piece) = this.pieces.last() else {
            return Poll::Pending;
        };
        let count = buf.remaining().min(piece.len() - this.at);
        buf.put_slice(&piece[this.at..this.at + count]);
        this.at += count;
        if this.at == piece.len() {
            this.pieces.pop();
            (this.at, this.pause) = (0, true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
