//! The accept loop: connections within a limit, HTTP/1.1 on each, and an orderly end.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::io::{Connection, ServerIo};
use super::stream::{Either, Endpoint};

/// hyper's least size of a connection's buffer.
const MIN_BUFFER: usize = 8192;

/// Pause after a failed accept: out of file descriptors, usually; they come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener allows a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the system's backlog.
    pub max_connections: usize,
    /// Bytes of a request head; at least 8192 are buffered.
    pub max_header_bytes: usize,
    /// Header lines of a request.
    pub max_headers: usize,
    /// From a head's first byte to its last.
    pub header_timeout: Duration,
    /// Silence between two requests, and the longest wait for a client that does not read.
    pub idle_timeout: Duration,
    /// How long requests in flight may go on once the end was asked for.
    pub drain_timeout: Duration,
}

/// A bound listener.
pub struct Listener {
    inner: Inner,
}

enum Inner {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds `host:port`; port 0 lets the system choose.
    ///
    /// # Errors
    /// The system's: the port is in use, the address is not ours, the name is unknown.
    pub async fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            inner: Inner::Tcp(listener, address),
        })
    }

    /// Binds a Unix socket; one that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The system's; `AddrInUse` if somebody listens there, or if something other than a socket is there.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        if let Ok(meta) = std::fs::symlink_metadata(path)
            && meta.file_type().is_socket()
            && UnixStream::connect(path)
                .await
                .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        {
            std::fs::remove_file(path)?;
        }
        Ok(Self {
            inner: Inner::Unix(UnixListener::bind(path)?, path.to_owned()),
        })
    }

    /// The bound TCP address; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.inner {
            Inner::Tcp(_, address) => Some(*address),
            Inner::Unix(..) => None,
        }
    }

    async fn accept(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        match &self.inner {
            Inner::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Inner::Unix(listener, _) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Inner::Unix(_, path) = &self.inner {
            // Left behind it would only be replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves until `stop` turns true; then accepts no more, lets requests in flight finish within the drain time, and cuts
/// what is left. Returns how many connections were cut.
pub async fn serve<H, F, B>(
    listener: Listener,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    handler: H,
) -> usize
where
    H: Fn(Arc<Connection>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            // The loop must reap what has ended, or the set would grow.
            Some(_) = connections.join_next() => continue,
            socket = accept_within(&listener, &slots) => socket,
        };
        match socket {
            Ok((socket, slot)) => {
                let (limits, stop, handler) = (limits.clone(), stop.clone(), handler.clone());
                connections.spawn(async move {
                    run(socket, &limits, stop, handler).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = timeout(limits.drain_timeout, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    let cut = if drained.is_err() {
        connections.len()
    } else {
        0
    };
    connections.shutdown().await;
    cut
}

async fn accept_within(
    listener: &Listener,
    slots: &Arc<Semaphore>,
) -> io::Result<(Either<TcpStream, UnixStream>, OwnedSemaphorePermit)> {
    // The semaphore is never closed; if it were, refusing is right.
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((listener.accept().await?, slot))
}

async fn run<H, F, B>(
    socket: Either<TcpStream, UnixStream>,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(Arc<Connection>, Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection = Connection::new(socket.local_addr());
    let io = ServerIo::new(
        socket,
        Arc::clone(&connection),
        limits.header_timeout,
        limits.idle_timeout,
    );
    let service = service_fn(|request| {
        connection.begin();
        let answer = handler(Arc::clone(&connection), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // hyper counts the idle time into this one; `ServerIo` holds heads to their own limit.
        .header_read_timeout(limits.idle_timeout.max(limits.header_timeout))
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER))
        .max_header_size(limits.max_header_bytes)
        .max_headers(limits.max_headers)
        .auto_date_header(false);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(io), service));
    let stopped = async {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stopped => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        // hyper's texts name the kind of failure, never bytes of the message.
        tracing::debug!(%error, "a client connection ended early");
    }
}
