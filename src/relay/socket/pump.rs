//! One direction of a WebSocket: reads events, masks, writes frames.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::end::{End, Side};
use super::message::{Message, Unread};
use super::{Tunnel, close_payload};
use crate::guard::{Answers, Snapshot, Syntax};
use crate::net::websocket::deflate::{Deflater, Inflater};
use crate::net::websocket::frame::{
    Close, Event, Head, Kind, MOST_CONTROL, MOST_REASON, Opcode, PIECE, Piece, Violation,
};
use crate::net::websocket::stream::{Reader, Writer};

/// Queued bytes from which they are written before more events are taken.
const MANY_QUEUED: usize = PIECE;

/// Bytes of a message from which it is compressed for the upstream: below, little is won.
const COMPRESS_FROM: usize = 1024;

/// What the directions know of each other.
pub(super) struct Activity {
    /// When something last came, from either side.
    last: Mutex<Instant>,
    /// Whether the client, the upstream, is inside a message: then its silence is its own fault.
    inside: [AtomicBool; 2],
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            inside: [const { AtomicBool::new(false) }; 2],
        }
    }
}

impl Activity {
    fn renew(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_inside(&self, side: Side, inside: bool) {
        self.inside[usize::from(side == Side::Upstream)].store(inside, Ordering::Relaxed);
    }

    fn is_inside(&self) -> bool {
        self.inside.iter().any(|side| side.load(Ordering::Relaxed))
    }
}

/// What both directions have.
pub(super) struct Pump<'a, R, W> {
    reader: &'a mut Reader<R>,
    writer: &'a mut Writer<W>,
    from: Side,
    activity: &'a Activity,
    idle: Duration,
}

impl<'a, R, W> Pump<'a, R, W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    pub(super) fn new(
        reader: &'a mut Reader<R>,
        writer: &'a mut Writer<W>,
        from: Side,
        activity: &'a Activity,
        idle: Duration,
    ) -> Self {
        Self {
            reader,
            writer,
            from,
            activity,
            idle,
        }
    }

    fn to(&self) -> Side {
        match self.from {
            Side::Client => Side::Upstream,
            Side::Upstream => Side::Client,
        }
    }

    /// The next event. Writes what is queued before it reads more. `stop` ends it between two messages.
    async fn next(&mut self, stop: &mut Option<watch::Receiver<bool>>) -> Result<Event, End> {
        loop {
            let event = self.reader.event();
            if let Some(event) = event.map_err(|violation| self.violation(violation))? {
                if self.writer.queued() >= MANY_QUEUED {
                    self.flush().await?;
                }
                return Ok(event);
            }
            self.flush().await?;
            self.fill(stop).await?;
        }
    }

    /// Reads more. Inside a message this side must go on in time; between two, either side.
    async fn fill(&mut self, stop: &mut Option<watch::Receiver<bool>>) -> Result<(), End> {
        let inside = self.reader.is_inside();
        self.activity.set_inside(self.from, inside);
        let mut began = Instant::now();
        loop {
            let since = if inside {
                began
            } else {
                began.max(self.activity.last())
            };
            tokio::select! {
                filled = self.reader.fill() => {
                    if !matches!(filled, Ok(1..)) {
                        return Err(End::Lost(self.from));
                    }
                    self.activity.renew();
                    return Ok(());
                }
                () = stopped(stop), if !inside => return Err(End::Stopped),
                () = sleep_until(since + self.idle) => {
                    if inside {
                        return Err(End::Stalled(self.from));
                    }
                    if self.activity.is_inside() {
                        began = Instant::now();
                    } else if self.activity.last() <= since {
                        return Err(End::Idle);
                    }
                }
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let flushed = self.writer.flush().await;
        flushed.map_err(|_| End::Lost(self.to()))
    }

    fn send(&mut self, head: Head, payload: BytesMut) -> Result<(), End> {
        let queued: io::Result<()> = self.writer.frame(head, payload);
        queued.map_err(|_| End::Lost(self.to()))
    }

    fn violation(&self, violation: Violation) -> End {
        End::Violation(self.from, violation)
    }

    fn unread(&self, unread: Unread) -> End {
        match unread {
            Unread::Utf8 => self.violation(Violation::Utf8),
            Unread::Charset => End::Charset(self.from),
            Unread::Signed(key) => End::Signed(key),
            Unread::Refused(refusal) => End::Refused(self.from, refusal),
        }
    }

    /// Passes a control frame on, masked if `tunnel` is given. After a closing one it is over.
    async fn control(&mut self, event: Event, tunnel: Option<&Tunnel>) -> Result<(), End> {
        let (opcode, payload, code) = match event {
            Event::Ping(payload) => (
                Opcode::Ping,
                masked(self.from, &payload, tunnel).await?,
                None,
            ),
            Event::Pong(payload) => (
                Opcode::Pong,
                masked(self.from, &payload, tunnel).await?,
                None,
            ),
            Event::Close(close) => {
                let code = close.as_ref().map(|close| close.code);
                let close = match close {
                    Some(close) => Some(masked_close(self.from, &close, tunnel).await?),
                    None => None,
                };
                (Opcode::Close, close_payload(close.as_ref()), Some(code))
            }
            Event::Data(_) => return Ok(()),
        };
        if payload.len() > MOST_CONTROL {
            return Err(End::ControlTooLong(self.from));
        }
        let head = Head {
            opcode,
            fin: true,
            compressed: false,
        };
        self.send(head, BytesMut::from(&payload[..]))?;
        if let Some(code) = code {
            self.flush().await?;
            return Err(End::Closed(code));
        }
        Ok(())
    }
}

/// What a side said in a control frame, masked if `tunnel` is given. No method: a pump may not be shared between threads.
async fn masked(from: Side, text: &[u8], tunnel: Option<&Tunnel>) -> Result<Vec<u8>, End> {
    let Some(tunnel) = tunnel.filter(|_| !text.is_empty()) else {
        return Ok(text.to_vec());
    };
    let Some(snapshot) = tunnel.needles(from).await? else {
        return Ok(text.to_vec());
    };
    let masked = snapshot.mask(text, Syntax::Text);
    match masked.map_err(|refusal| End::Refused(from, refusal))? {
        None => Ok(text.to_vec()),
        Some((masked, hits)) => {
            tunnel.tally.add_named(&hits, &snapshot);
            tunnel.found.notify_one();
            Ok(masked)
        }
    }
}

/// A reason that becomes too long is left out: the code says what counts.
async fn masked_close(from: Side, close: &Close, tunnel: Option<&Tunnel>) -> Result<Close, End> {
    let reason = masked(from, close.reason.as_bytes(), tunnel).await?;
    let reason = String::from_utf8_lossy(&reason).into_owned();
    Ok(Close {
        code: close.code,
        reason: if reason.len() > MOST_REASON {
            String::new()
        } else {
            reason
        },
    })
}

impl Tunnel {
    /// What is masked in what that side sends now; `None` if nothing is.
    async fn needles(&self, from: Side) -> Result<Option<Arc<Snapshot>>, End> {
        let snapshot = self.ticket.next().await.map_err(End::Unavailable)?;
        Ok(match from {
            Side::Client => (!snapshot.is_empty()).then_some(snapshot),
            Side::Upstream => snapshot.of_answers(&self.answers),
        })
    }

    /// A message of that side that begins now.
    async fn message(&self, from: Side, kind: Kind) -> Result<Message<'_>, End> {
        let needles = self.needles(from).await?;
        Ok(Message::begin(needles, self, from, kind))
    }
}

/// Ready once the signal is given; never where there is none to wait for.
async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
    match stop {
        Some(stop) => {
            // A sender that is gone means the same.
            let _ = stop.wait_for(|stop| *stop).await;
        }
        None => pending().await,
    }
}

/// From the client to the upstream: whole messages, masked.
pub(super) struct Upward<'a, R, W> {
    tunnel: &'a Tunnel,
    pump: Pump<'a, R, W>,
    inflater: Inflater,
    message: Option<Message<'a>>,
    /// Bytes of the message as it is read.
    size: u64,
    out: BytesMut,
}

impl<'a, R, W> Upward<'a, R, W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    pub(super) fn new(tunnel: &'a Tunnel, pump: Pump<'a, R, W>) -> Self {
        Self {
            tunnel,
            pump,
            inflater: Inflater::default(),
            message: None,
            size: 0,
            out: BytesMut::new(),
        }
    }

    pub(super) async fn run(&mut self) -> End {
        match self.passed().await {
            Err(end) => end,
        }
    }

    async fn passed(&mut self) -> Result<Infallible, End> {
        loop {
            match self.pump.next(&mut None).await? {
                Event::Data(piece) => self.take(piece).await?,
                control => self.pump.control(control, Some(self.tunnel)).await?,
            }
        }
    }

    async fn take(&mut self, piece: Piece) -> Result<(), End> {
        if piece.first {
            self.message = Some(self.tunnel.message(self.pump.from, piece.kind).await?);
            self.size = 0;
        }
        self.tunnel.tally.count_received(piece.payload.len());
        if piece.compressed {
            self.inflate(piece.payload).await?;
            if piece.last {
                self.inflate(Inflater::tail()).await?;
            }
        } else {
            self.push(piece.payload)?;
        }
        if !piece.last {
            return Ok(());
        }
        if let Some(message) = self.message.take() {
            let finished = message.finish(&mut self.out);
            finished.map_err(|unread| self.pump.unread(unread))?;
        }
        self.send(piece.kind).await
    }

    async fn inflate(&mut self, mut input: Bytes) -> Result<(), End> {
        loop {
            let mut made = BytesMut::new();
            let step = self.inflater.step(&mut input, &mut made);
            let done = step.map_err(|violation| self.pump.violation(violation))?;
            self.push(made.freeze())?;
            if done {
                return Ok(());
            }
            // A little may become much: others get their turn.
            yield_now().await;
        }
    }

    fn push(&mut self, piece: Bytes) -> Result<(), End> {
        self.size += piece.len() as u64;
        if self.size > self.tunnel.limits.max_message_bytes {
            return Err(self.pump.violation(Violation::TooLarge));
        }
        match &mut self.message {
            Some(message) => message
                .push(piece, &mut self.out)
                .map_err(|unread| self.pump.unread(unread)),
            None => Ok(()),
        }
    }

    async fn send(&mut self, kind: Kind) -> Result<(), End> {
        let mut payload = std::mem::take(&mut self.out);
        let compressed = self.tunnel.upstream_deflate && payload.len() >= COMPRESS_FROM;
        if compressed {
            let mut deflater = Deflater::default();
            for part in payload.chunks(PIECE) {
                deflater.push(part);
                yield_now().await;
            }
            payload = deflater.finish();
        }
        let head = Head {
            opcode: kind.into(),
            fin: true,
            compressed,
        };
        self.pump.send(head, payload)
    }
}

/// From the upstream to the client: frames as they come; masked where answers are.
pub(super) struct Downward<'a, R, W> {
    tunnel: &'a Tunnel,
    pump: Pump<'a, R, W>,
    inflater: Inflater,
    message: Option<Message<'a>>,
    out: BytesMut,
    /// Whether a frame of the message went on already.
    begun: bool,
}

impl<'a, R, W> Downward<'a, R, W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    pub(super) fn new(tunnel: &'a Tunnel, pump: Pump<'a, R, W>) -> Self {
        Self {
            tunnel,
            pump,
            inflater: Inflater::default(),
            message: None,
            out: BytesMut::new(),
            begun: false,
        }
    }

    pub(super) async fn run(&mut self, stop: watch::Receiver<bool>) -> End {
        match self.passed(Some(stop)).await {
            Err(end) => end,
        }
    }

    async fn passed(&mut self, mut stop: Option<watch::Receiver<bool>>) -> Result<Infallible, End> {
        let masking = (self.tunnel.answers != Answers::Untouched).then_some(self.tunnel);
        loop {
            match self.pump.next(&mut stop).await? {
                Event::Data(piece) => self.take(piece).await?,
                control => self.pump.control(control, masking).await?,
            }
        }
    }

    async fn take(&mut self, piece: Piece) -> Result<(), End> {
        if piece.first && self.tunnel.answers != Answers::Untouched {
            self.message = Some(self.tunnel.message(self.pump.from, piece.kind).await?);
        }
        self.tunnel.tally.count_sent(piece.payload.len());
        if piece.compressed {
            self.inflate(piece.payload, piece.kind).await?;
            if piece.last {
                self.inflate(Inflater::tail(), piece.kind).await?;
            }
        } else {
            self.push(piece.payload)?;
        }
        if piece.last {
            if let Some(message) = self.message.take() {
                let finished = message.finish(&mut self.out);
                finished.map_err(|unread| self.pump.unread(unread))?;
            }
            return self.emit(piece.kind, true);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        self.emit(piece.kind, false)
    }

    async fn inflate(&mut self, mut input: Bytes, kind: Kind) -> Result<(), End> {
        loop {
            let mut made = BytesMut::new();
            let step = self.inflater.step(&mut input, &mut made);
            let done = step.map_err(|violation| self.pump.violation(violation))?;
            self.push(made.freeze())?;
            if done {
                return Ok(());
            }
            if self.out.len() >= PIECE {
                self.emit(kind, false)?;
                self.pump.flush().await?;
                yield_now().await;
            }
        }
    }

    fn push(&mut self, piece: Bytes) -> Result<(), End> {
        if let Some(message) = &mut self.message {
            let pushed = message.push(piece, &mut self.out);
            return pushed.map_err(|unread| self.pump.unread(unread));
        }
        self.out.extend_from_slice(&piece);
        Ok(())
    }

    fn emit(&mut self, kind: Kind, fin: bool) -> Result<(), End> {
        let opcode = if self.begun {
            Opcode::Continuation
        } else {
            kind.into()
        };
        self.begun = !fin;
        let head = Head {
            opcode,
            fin,
            compressed: false,
        };
        self.pump.send(head, self.out.split())
    }
}
