//! Sockets with the timeouts that hyper leaves to its caller: a stalled writer, a slow request head, a polite close.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::stream::Endpoint;

/// For how long an answered connection goes on swallowing a request that nobody wants: closing at once would reset it,
/// and a reset can destroy the answer before the client has read it.
pub const LINGER: Duration = Duration::from_secs(2);

/// What a client of HTTP/2 sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that are read at once to tell HTTP/2 from HTTP/1.1.
const OPENING: usize = 4096;

/// A limit for each wait in a row of waits: it runs while somebody waits, and starts anew with every step forward.
///
/// The timer is set for the first wait and left alone; when it fires, it is set again for the wait that is on by then. So a
/// step forward costs no timer.
pub struct Patience {
    limit: Duration,
    /// Fires no later than the deadline.
    timer: Option<Pin<Box<Sleep>>>,
    /// The end of the wait that is on.
    deadline: Option<Instant>,
}

impl Patience {
    /// Patience for `limit` at a time.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            deadline: None,
        }
    }

    /// Something came forward.
    pub fn renew(&mut self) {
        self.deadline = None;
    }

    /// Ready once the wait that the first of these calls began has taken too long.
    pub fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.begin();
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// Begins a wait, unless one is on; returns its end.
    fn begin(&mut self) -> Instant {
        let limit = self.limit;
        *self.deadline.get_or_insert_with(|| Instant::now() + limit)
    }

    /// Whether the wait that is on has taken too long by now.
    fn is_lost(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// A stream whose writes fail once the peer has taken nothing for a while.
pub struct Unstalled<T> {
    inner: T,
    patience: Patience,
}

impl<T> Unstalled<T> {
    /// Gives `inner` a limit for every wait to write.
    pub fn new(inner: T, limit: Duration) -> Self {
        Self {
            inner,
            patience: Patience::new(limit),
        }
    }

    /// Turns a wait beyond the limit into an error.
    fn bound<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.patience.renew();
            return polled;
        }
        ready!(self.patience.poll_lost(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes no bytes",
        )))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Unstalled<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Unstalled<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.bound(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.bound(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.bound(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.bound(cx, polled)
    }
}

/// What an inbound connection and the requests on it tell each other.
pub struct Connection {
    local: Option<SocketAddr>,
    tls: bool,
    phase: AtomicU8,
    unread: AtomicBool,
    reset: AtomicBool,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

impl Connection {
    /// A fresh connection: its first head must come within the head's time.
    pub fn new(local: Option<SocketAddr>, tls: bool) -> Arc<Self> {
        Arc::new(Self {
            local,
            tls,
            phase: AtomicU8::new(HEAD),
            unread: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        })
    }

    /// Our end's address, if it is an IP one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Whether the client speaks TLS with us.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The same place for one stream of an HTTP/2 connection, which times and ends its streams itself.
    pub fn of_stream(&self) -> Arc<Self> {
        Self::new(self.local, self.tls)
    }

    /// A request head is complete.
    pub fn begin(&self) {
        self.phase.store(BUSY, Ordering::Release);
        self.unread.store(false, Ordering::Release);
    }

    /// The answer is through; the next head may take the idle time to begin.
    pub fn end(&self) {
        self.phase.store(IDLE, Ordering::Release);
    }

    /// The request was answered before it was read to its end: keep reading for a moment when closing.
    pub fn leave_unread(&self) {
        self.unread.store(true, Ordering::Release);
    }

    /// Whether the request was answered before it was read to its end.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Close by reset: the message under way ends with the connection, so a plain close would look like its end.
    pub fn close_by_reset(&self) {
        self.reset.store(true, Ordering::Release);
    }
}

/// An inbound stream: a head that takes too long fails the read, an early answer lingers, a cut message resets.
pub struct ServerIo<T: Endpoint> {
    inner: Unstalled<T>,
    connection: Arc<Connection>,
    /// For the head that is coming.
    head: Patience,
    linger: Option<Pin<Box<Sleep>>>,
    /// What was read to tell the protocol, and is still to be read by it.
    opening: Bytes,
}

impl<T: Endpoint> ServerIo<T> {
    /// `head_limit` runs from a head's first byte to its last, `stall` for every wait to write.
    pub fn new(
        socket: T,
        connection: Arc<Connection>,
        head_limit: Duration,
        stall: Duration,
    ) -> Self {
        Self {
            inner: Unstalled::new(socket, stall),
            connection,
            head: Patience::new(head_limit),
            linger: None,
            opening: Bytes::new(),
        }
    }

    /// Whether the client begins with the preface of HTTP/2. What was read for that is read again.
    ///
    /// # Errors
    /// The client breaks off, or takes too long.
    pub async fn begins_http2(&mut self) -> io::Result<bool> {
        let mut opening = BytesMut::with_capacity(OPENING);
        loop {
            let ended = self.read_buf(&mut opening).await? == 0;
            let seen = opening.len().min(PREFACE.len());
            let differs = opening[..seen] != PREFACE[..seen];
            if ended || differs || seen == PREFACE.len() {
                self.opening = opening.freeze();
                return Ok(!ended && !differs);
            }
        }
    }

    /// Swallows what still comes, until the peer closes or the time is up.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0_u8; 8192];
        // Bounded per turn, so that a fast sender cannot hold the worker.
        for _ in 0..64 {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Endpoint> AsyncRead for ServerIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.opening.is_empty() {
            let count = self.opening.len().min(buf.remaining());
            buf.put_slice(&self.opening.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let phase = self.connection.phase.load(Ordering::Acquire);
        if phase == BUSY {
            self.head.renew();
            return polled;
        }
        if polled.is_ready() && buf.filled().len() > before && phase == IDLE {
            self.connection.phase.store(HEAD, Ordering::Release);
            self.head.renew();
            self.head.begin();
            return polled;
        }
        if phase == HEAD {
            self.head.begin();
            // Most heads come at once: only a wait for the rest needs the timer.
            let waits = polled.is_pending();
            if self.head.is_lost() || (waits && self.head.poll_lost(cx).is_ready()) {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the request head takes too long",
                )));
            }
        }
        polled
    }
}

impl<T: Endpoint> AsyncWrite for ServerIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.connection.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}

impl<T: Endpoint> Drop for ServerIo<T> {
    fn drop(&mut self) {
        if self.connection.reset.load(Ordering::Acquire) {
            self.inner.inner.close_by_reset();
        }
    }
}
