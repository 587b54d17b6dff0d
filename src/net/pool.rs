//! Connections to one upstream: idle ones are kept, each exchange holds one alone.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::dial::{DialError, Dialer};
use super::io::Unstalled;

/// Idle connections kept per upstream.
const MAX_IDLE: usize = 32;

/// How long one is kept. Shorter than common servers' own limit (60 s and more), so that we rarely send into a connection
/// that is being closed.
const IDLE_TIME: Duration = Duration::from_secs(50);

/// How long a connection may take to be ready again after an answer's last byte.
const READY_TIME: Duration = Duration::from_secs(1);

/// hyper's least size of a connection's buffer.
const MIN_BUFFER: usize = 8192;

/// Header lines of a response head.
const MAX_HEADERS: usize = 256;

/// Limits of the connections of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest wait for an upstream that takes no bytes.
    pub stall_timeout: Duration,
    /// Bytes of a response head; at least 8192 are buffered.
    pub max_header_bytes: usize,
}

/// Why an exchange has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// What came is not HTTP.
    #[error("its answer is not HTTP")]
    Garbage,
    /// The connection ended before an answer's head.
    #[error("it closed the connection before answering")]
    Closed,
    /// The connection took no bytes for too long.
    #[error("it takes no bytes")]
    Stalled,
    /// The request's own body failed.
    #[error("the request body ended early")]
    Body,
}

/// Connections to one upstream.
pub struct Pool<B> {
    dialer: Dialer,
    limits: Limits,
    idle: Mutex<Vec<Idle<B>>>,
    reaping: AtomicBool,
}

/// A connection: dropping it closes it.
struct Link<B> {
    sender: SendRequest<B>,
    task: AbortHandle,
}

impl<B> Drop for Link<B> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Idle<B> {
    link: Link<B>,
    since: Instant,
}

/// One exchange's hold on a connection. Dropped, it closes the connection; [`Lease::release`] gives it back.
pub struct Lease<B: Body + Send + 'static> {
    link: Link<B>,
    pool: Arc<Pool<B>>,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// An empty pool.
    pub fn new(dialer: Dialer, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            limits,
            idle: Mutex::new(Vec::new()),
            reaping: AtomicBool::new(false),
        })
    }

    /// Sends a request on an idle connection or a new one; returns the answer's head and body.
    ///
    /// A request is sent once: only one of which no byte was written moves on to another connection.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<B>,
    ) -> Result<(Response<Incoming>, Lease<B>), SendError> {
        while let Some(mut link) = self.take() {
            // Usually ready by now; at most hyper's task has not had its turn since the last answer.
            if !matches!(timeout(READY_TIME, link.sender.ready()).await, Ok(Ok(()))) {
                continue;
            }
            let mut lease = Lease {
                link,
                pool: Arc::clone(self),
            };
            match lease.link.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(classify(error.error())),
                },
            }
        }
        let mut lease = Lease {
            link: self.open().await?,
            pool: Arc::clone(self),
        };
        match lease.link.sender.try_send_request(request).await {
            Ok(response) => Ok((response, lease)),
            Err(error) => Err(classify(error.error())),
        }
    }

    /// Sends a request that asks to switch protocols, on a new connection that speaks HTTP/1.1; an answer with status 101
    /// can then be turned into the bare connection ([`hyper::upgrade::on`]).
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_upgrade(
        self: &Arc<Self>,
        request: Request<B>,
    ) -> Result<(Response<Incoming>, Lease<B>), SendError> {
        let stream = Unstalled::new(self.dialer.dial().await?, self.limits.stall_timeout);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(self.limits.max_header_bytes.max(MIN_BUFFER))
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| classify(&error))?;
        let task = tokio::spawn(async move {
            // As in `open`.
            let _ = connection.with_upgrades().await;
        });
        let mut lease = Lease {
            link: Link {
                sender,
                task: task.abort_handle(),
            },
            pool: Arc::clone(self),
        };
        match lease.link.sender.try_send_request(request).await {
            Ok(response) => Ok((response, lease)),
            Err(error) => Err(classify(error.error())),
        }
    }

    async fn open(&self) -> Result<Link<B>, SendError> {
        let stream = Unstalled::new(self.dialer.dial().await?, self.limits.stall_timeout);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(self.limits.max_header_bytes.max(MIN_BUFFER))
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| classify(&error))?;
        let task = tokio::spawn(async move {
            // The exchange learns of a failure by its own future or body.
            let _ = connection.await;
        });
        Ok(Link {
            sender,
            task: task.abort_handle(),
        })
    }

    fn take(&self) -> Option<Link<B>> {
        let mut idle = self.idle();
        while let Some(entry) = idle.pop() {
            if entry.since.elapsed() < IDLE_TIME && !entry.link.sender.is_closed() {
                return Some(entry.link);
            }
        }
        None
    }

    fn put(self: Arc<Self>, link: Link<B>) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                link,
                since: Instant::now(),
            });
        }
        drop(idle);
        if !self.reaping.swap(true, Ordering::AcqRel) {
            tokio::spawn(reap(Arc::downgrade(&self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<B>>> {
        // Nothing under this lock panics half-way; a list of idle connections is right whatever happened.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that were idle for too long, until there is none.
async fn reap<B>(pool: Weak<Pool<B>>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        sleep(IDLE_TIME / 5).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        idle.retain(|entry| entry.since.elapsed() < IDLE_TIME && !entry.link.sender.is_closed());
        if idle.is_empty() {
            pool.reaping.store(false, Ordering::Release);
            return;
        }
    }
}

impl<B> Lease<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Gives the connection back: for an exchange that is complete in both directions.
    pub fn release(self) {
        self.pool.put(self.link);
    }
}

fn classify(error: &hyper::Error) -> SendError {
    let timed_out = error
        .source()
        .and_then(|e| e.downcast_ref::<std::io::Error>());
    if timed_out.is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut) {
        SendError::Stalled
    } else if error.is_parse() {
        SendError::Garbage
    } else if error.is_user() {
        SendError::Body
    } else {
        SendError::Closed
    }
}
