//! A stream that is one of two kinds: plain or TLS, TCP or a Unix socket.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// One of two streams.
pub enum Either<A, B> {
    /// The first kind.
    Left(A),
    /// The second kind.
    Right(B),
}

/// What is asked of an inbound stream besides reading and writing.
pub trait Endpoint: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Our end's address, if it is an IP one.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// Makes the coming close a reset, so that it cannot be taken for the end of a message.
    fn close_by_reset(&self);
}

impl Endpoint for TcpStream {
    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }

    fn close_by_reset(&self) {
        // If it fails the peer sees an ordinary close: nothing better can be done for it.
        let _ = self.set_zero_linger();
    }
}

impl Endpoint for UnixStream {
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn close_by_reset(&self) {}
}

impl<A: Endpoint, B: Endpoint> Endpoint for Either<A, B> {
    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Left(stream) => stream.local_addr(),
            Self::Right(stream) => stream.local_addr(),
        }
    }

    fn close_by_reset(&self) {
        match self {
            Self::Left(stream) => stream.close_by_reset(),
            Self::Right(stream) => stream.close_by_reset(),
        }
    }
}

impl<T: Endpoint> Endpoint for Box<TlsStream<T>> {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.get_ref().0.local_addr()
    }

    fn close_by_reset(&self) {
        self.get_ref().0.close_by_reset();
    }
}

impl<A: AsyncRead + Unpin, B: AsyncRead + Unpin> AsyncRead for Either<A, B> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Left(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Right(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<A: AsyncWrite + Unpin, B: AsyncWrite + Unpin> AsyncWrite for Either<A, B> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Left(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Right(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Left(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Right(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Left(stream) => stream.is_write_vectored(),
            Self::Right(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Left(stream) => Pin::new(stream).poll_flush(cx),
            Self::Right(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Left(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Right(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
