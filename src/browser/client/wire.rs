//! The client's side of the WebSocket: whole messages in, whole messages out.
//!
//! A message is one frame on its way out, never compressed (the client is on the same machine), and joined of its fragments on
//! its way in, compressed or not, up to `max_message_bytes`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::end::End;
use crate::browser::hub::Pulse;
use crate::net::websocket::deflate::Inflater;
use crate::net::websocket::frame::{
    Close, Event, Head, Kind, MOST_REASON, Opcode, Piece, Violation, close_payload,
};
use crate::net::websocket::stream::{Reader, Writer};

/// How long a client may stop inside a message.
const STALL: Duration = Duration::from_secs(30);

/// Between two looks at whether a client goes on taking a long message.
const STEP: Duration = Duration::from_secs(1);

/// How long a client may take to read our last words and to hang up.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whole messages of a client.
pub(super) struct Inlet<R> {
    reader: Reader<R>,
    inflater: Inflater,
    joined: BytesMut,
    max: usize,
}

/// What a client sent.
pub(super) enum Came {
    /// A message, UTF-8.
    Text(Bytes),
    /// A ping, to be answered with this.
    Ping(Bytes),
}

impl<R: AsyncRead + Unpin> Inlet<R> {
    pub(super) fn new(reader: Reader<R>, max: usize) -> Self {
        Self {
            reader,
            inflater: Inflater::default(),
            joined: BytesMut::new(),
            max,
        }
    }

    /// The next message or ping. May be dropped while it waits, without loss.
    pub(super) async fn next(&mut self) -> Result<Came, End> {
        loop {
            match self.reader.event().map_err(End::Violation)? {
                Some(Event::Data(piece)) => {
                    if let Some(message) = self.take(piece).await? {
                        return Ok(Came::Text(message));
                    }
                }
                Some(Event::Ping(payload)) => return Ok(Came::Ping(payload)),
                Some(Event::Pong(_)) => {}
                Some(Event::Close(close)) => {
                    return Err(End::Closed(close.map(|close| close.code)));
                }
                None => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        let filled = if self.reader.is_inside() {
            let filled = timeout(STALL, self.reader.fill()).await;
            filled.map_err(|_| End::Stalled)?
        } else {
            self.reader.fill().await
        };
        match filled {
            Ok(1..) => Ok(()),
            _ => Err(End::Lost),
        }
    }

    /// Takes a piece of a message; the message, once it is whole.
    async fn take(&mut self, piece: Piece) -> Result<Option<Bytes>, End> {
        if piece.kind == Kind::Binary {
            return Err(End::Binary);
        }
        if !piece.compressed && piece.first && piece.last {
            return self.checked(piece.payload).map(Some);
        }
        if piece.compressed {
            self.inflate(piece.payload).await?;
            if piece.last {
                self.inflate(Inflater::tail()).await?;
            }
        } else {
            self.joined.extend_from_slice(&piece.payload);
            self.check_size(self.joined.len())?;
        }
        if !piece.last {
            return Ok(None);
        }
        let message = self.joined.split().freeze();
        self.checked(message).map(Some)
    }

    /// Not to be dropped half-way: its callers hold the message until it is whole.
    async fn inflate(&mut self, mut input: Bytes) -> Result<(), End> {
        loop {
            let step = self.inflater.step(&mut input, &mut self.joined);
            let done = step.map_err(End::Violation)?;
            self.check_size(self.joined.len())?;
            if done {
                return Ok(());
            }
            // A little may become much: others get their turn.
            yield_now().await;
        }
    }

    fn check_size(&self, size: usize) -> Result<(), End> {
        if size > self.max {
            return Err(End::Violation(Violation::TooLarge));
        }
        Ok(())
    }

    fn checked(&self, message: Bytes) -> Result<Bytes, End> {
        self.check_size(message.len())?;
        match std::str::from_utf8(&message) {
            Ok(_) => Ok(message),
            Err(_) => Err(End::Violation(Violation::Utf8)),
        }
    }

    /// Reads and drops what still comes.
    pub(super) async fn drain(&mut self) {
        self.reader.drain().await;
    }
}

/// Messages to a client. Shared by all that have something to say to it; each message goes out as a whole.
pub(super) struct Outlet<W> {
    writer: Mutex<Writer<W>>,
    pulse: Pulse,
}

impl<W: AsyncWrite + Unpin> Outlet<W> {
    /// `pulse` is told of every step in which the client takes something.
    pub(super) fn new(writer: Writer<W>, pulse: Pulse) -> Self {
        Self {
            writer: Mutex::new(writer),
            pulse,
        }
    }

    /// A message; returns once the client's system has it.
    pub(super) async fn text(&self, message: Bytes) -> Result<(), End> {
        self.frame(Opcode::Text, message).await
    }

    /// The answer to a ping.
    pub(super) async fn pong(&self, payload: Bytes) -> Result<(), End> {
        self.frame(Opcode::Pong, payload).await
    }

    async fn frame(&self, opcode: Opcode, payload: Bytes) -> Result<(), End> {
        let head = Head {
            opcode,
            fin: true,
            compressed: false,
        };
        let mut writer = self.writer.lock().await;
        // Without a copy where nobody else holds it.
        let queued = writer.frame(head, BytesMut::from(payload));
        queued.map_err(|_| End::Lost)?;
        let mut left = writer.queued();
        loop {
            let flushed = timeout(STEP, writer.flush()).await;
            self.pulse.beat(left - writer.queued());
            left = writer.queued();
            if let Ok(flushed) = flushed {
                return flushed.map_err(|_| End::Lost);
            }
        }
    }

    /// Tells the client that it is over, and lets it read that: unread bytes would turn our close into a reset, which can
    /// overtake it.
    pub(super) async fn part<R: AsyncRead + Unpin>(&self, inlet: &mut Inlet<R>, end: &End) {
        let close = end.farewell().map(|(code, reason)| Close {
            code,
            reason: shortened(&reason).to_owned(),
        });
        let said = async {
            let head = Head {
                opcode: Opcode::Close,
                fin: true,
                compressed: false,
            };
            let mut writer = self.writer.lock().await;
            let payload = BytesMut::from(&close_payload(close.as_ref())[..]);
            // Where it fails, the client is gone: nobody is left to be told.
            if writer.frame(head, payload).is_ok() && writer.flush().await.is_ok() {
                writer.shutdown().await;
                inlet.drain().await;
            }
        };
        let _ = timeout(FAREWELL, said).await;
    }
}

/// As much of a reason as a frame takes.
fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(MOST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
