//! The reading and the writing half of a WebSocket connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustls::crypto::{SecureRandom, aws_lc_rs};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::frame::{Event, Head, Parser, Violation, apply_mask};

/// Bytes asked of a socket at a time.
const READ: usize = 16 << 10;

/// Payloads below this many bytes are copied behind their headers; longer ones are queued as they are.
const COPIED: usize = 64 << 10;

/// Reads events.
pub struct Reader<R> {
    io: R,
    bytes: BytesMut,
    parser: Parser,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads from `io` by the rules of `parser`.
    pub fn new(io: R, parser: Parser) -> Self {
        Self {
            io,
            bytes: BytesMut::new(),
            parser,
        }
    }

    /// The next event of what was read.
    ///
    /// # Errors
    /// See [`Violation`]; nothing more may be read then.
    pub fn event(&mut self) -> Result<Option<Event>, Violation> {
        self.parser.next(&mut self.bytes)
    }

    /// Reads more; how much, 0 at the end. May be dropped at any time without loss.
    ///
    /// # Errors
    /// The connection's.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.bytes.reserve(READ);
        self.io.read_buf(&mut self.bytes).await
    }

    /// Reads and drops what still comes, until the end.
    pub async fn drain(&mut self) {
        loop {
            self.bytes.clear();
            if !matches!(self.fill().await, Ok(1..)) {
                return;
            }
        }
    }

    /// Whether something has begun that must end: a frame or a message.
    pub fn is_inside(&self) -> bool {
        self.parser.is_inside() || !self.bytes.is_empty()
    }
}

/// Writes frames, masked or not.
pub struct Writer<W> {
    io: W,
    queue: VecDeque<Bytes>,
    /// Small frames, to be written together.
    tail: BytesMut,
    queued: usize,
    /// Where a client's masking keys come from.
    random: Option<&'static dyn SecureRandom>,
    closed: bool,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// A server's half: frames go unmasked.
    pub fn of_server(io: W) -> Self {
        Self {
            io,
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            queued: 0,
            random: None,
            closed: false,
        }
    }

    /// A client's half: each frame is masked with a fresh key.
    pub fn of_client(io: W) -> Self {
        Self {
            random: Some(aws_lc_rs::default_provider().secure_random),
            ..Self::of_server(io)
        }
    }

    /// Queues a frame. After a close frame nothing is sent any more.
    ///
    /// # Errors
    /// There is no randomness for a key.
    pub fn frame(&mut self, head: Head, payload: BytesMut) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.closed = head.opcode == super::frame::Opcode::Close;
        let key = self.key()?;
        let before = self.tail.len();
        head.put(payload.len(), key, &mut self.tail);
        if payload.len() < COPIED {
            let at = self.tail.len();
            self.tail.extend_from_slice(&payload);
            if let Some(key) = key {
                apply_mask(&mut self.tail[at..], key);
            }
            self.queued += self.tail.len() - before;
            return Ok(());
        }
        self.queued += self.tail.len() - before + payload.len();
        let mut payload = payload;
        if let Some(key) = key {
            apply_mask(&mut payload, key);
        }
        self.settle_tail();
        self.queue.push_back(payload.freeze());
        Ok(())
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Writes all that is queued. May be dropped at any time: what is left stays queued.
    ///
    /// # Errors
    /// The connection's.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Says that nothing more comes.
    pub async fn shutdown(&mut self) {
        // The peer may be gone, which is as good.
        let _ = poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.settle_tail();
        while let Some(front) = self.queue.front_mut() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, front))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            front.advance(count);
            self.queued -= count;
            if front.is_empty() {
                self.queue.pop_front();
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn settle_tail(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
    }

    fn key(&self) -> io::Result<Option<[u8; 4]>> {
        let Some(random) = self.random else {
            return Ok(None);
        };
        let mut key = [0; 4];
        random
            .fill(&mut key)
            .map_err(|_| io::Error::other("no randomness"))?;
        Ok(Some(key))
    }
}
