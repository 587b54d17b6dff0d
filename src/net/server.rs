//! The accept loop: connections within a limit, TLS where there is an identity, HTTP/1.1 or HTTP/2 on each, and an orderly end.
//!
//! HTTP/2 is spoken where the TLS handshake chose it, and without TLS where the client begins with its preface (RFC 9113, 3.3).

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
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

use super::body::Received;
use super::h2::{self, server::Shared};
use super::io::{Connection, ServerIo};
use super::stream::{Either, Endpoint};
use super::tls::{HTTP2, Identity};

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

/// What goes on with a connection once its answer, with status 101, has switched it to another protocol: an extension of
/// that answer. It runs in the connection's place, so it counts as one, and is cut when the drain time is over.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Continue>>>);

/// Takes the signal to stop.
type Continue =
    Box<dyn FnOnce(watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl Takeover {
    /// Goes on with that, once the answer is written or cannot be. It should end soon once the signal turns true.
    pub fn new<F>(then: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(Some(Box::new(|stop| {
            Box::pin(then(stop))
        })))))
    }

    fn take(&self) -> Option<Continue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A bound listener.
pub struct Listener {
    inner: Inner,
    identity: Option<Arc<Identity>>,
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
            identity: None,
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
            identity: None,
        })
    }

    /// Speaks TLS with its clients, and nothing else.
    #[must_use]
    pub fn with_identity(mut self, identity: Arc<Identity>) -> Self {
        self.identity = Some(identity);
        self
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
    H: Fn(Arc<Connection>, Request<Received>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let shared = Shared {
        handler,
        places: Arc::new(Semaphore::new(limits.max_connections)),
        limits,
    };
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
                let (shared, stop) = (shared.clone(), stop.clone());
                let identity = listener.identity.clone();
                connections.spawn(async move {
                    run(socket, identity.as_deref(), &shared, stop).await;
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
    let drained = timeout(shared.limits.drain_timeout, async {
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

/// Runs a connection: TLS first if we have an identity, then whichever version of HTTP the client speaks.
async fn run<H, F, B>(
    socket: Either<TcpStream, UnixStream>,
    identity: Option<&Identity>,
    shared: &Shared<H>,
    mut stop: watch::Receiver<bool>,
) where
    H: Fn(Arc<Connection>, Request<Received>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = &shared.limits;
    let socket = match identity {
        None => Either::Left(socket),
        Some(identity) => {
            let handshake = timeout(limits.header_timeout, identity.acceptor().accept(socket));
            let accepted = tokio::select! {
                accepted = handshake => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok(Ok(stream)) = accepted else {
                tracing::debug!("a client connection ended in its TLS handshake");
                return;
            };
            Either::Right(Box::new(stream))
        }
    };
    let connection = Connection::new(socket.local_addr(), identity.is_some());
    let chosen = match &socket {
        Either::Left(_) => None,
        Either::Right(tls) => Some(tls.get_ref().1.alpn_protocol() == Some(HTTP2)),
    };
    let mut io = ServerIo::new(
        socket,
        Arc::clone(&connection),
        limits.header_timeout,
        limits.idle_timeout,
    );
    let http2 = if let Some(http2) = chosen {
        http2
    } else {
        let begun = tokio::select! {
            begun = io.begins_http2() => begun,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok(http2) = begun else { return };
        http2
    };
    if http2 {
        // It times its streams itself, and what a client still sends after the end must not destroy what we sent.
        connection.begin();
        connection.leave_unread();
        h2::server::serve(io, &connection, shared, stop).await;
    } else {
        serve_http1(io, &connection, shared, stop).await;
    }
}

async fn serve_http1<T, H, F, B>(
    io: ServerIo<T>,
    connection: &Arc<Connection>,
    shared: &Shared<H>,
    mut stop: watch::Receiver<bool>,
) where
    T: Endpoint,
    H: Fn(Arc<Connection>, Request<Received>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = &shared.limits;
    let takeover = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        connection.begin();
        // Boxed: hyper keeps room for this future as long as the connection lives, and `async` would store it twice.
        let answer = Box::pin((shared.handler)(
            Arc::clone(connection),
            request.map(Received::from),
        ));
        let takeover = &takeover;
        async move {
            let mut answer = answer.await;
            if let Some(next) = answer.extensions_mut().remove::<Takeover>() {
                *takeover.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // hyper counts the idle time into this one; `ServerIo` holds heads to their own limit.
        .header_read_timeout(limits.idle_timeout.max(limits.header_timeout))
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER))
        .max_header_size(limits.max_header_bytes)
        .max_headers(limits.max_headers)
        .auto_date_header(false);
    let serving = http.serve_connection(TokioIo::new(io), service);
    let signal = stop.clone();
    let stopped = async {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let result = {
        let mut served = std::pin::pin!(serving.with_upgrades());
        tokio::select! {
            result = served.as_mut() => result,
            () = stopped => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        }
    };
    if let Err(error) = result {
        // hyper's texts name the kind of failure, never bytes of the message.
        tracing::debug!(%error, "a client connection ended early");
    }
    let takeover = takeover
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(then) = takeover.and_then(|takeover| takeover.take()) {
        then(signal).await;
    }
}
