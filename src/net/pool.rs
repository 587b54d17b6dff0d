//! Connections to one upstream. Of HTTP/1.1 idle ones are kept, and each exchange holds one alone; of HTTP/2, which the upstream
//! chooses in the TLS handshake, exchanges share them.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::body::Received;
use super::dial::{DialError, Dialer, Target, Versions};
use super::h2::upstream::{self, Failure, Shared, Slot};
use super::io::Unstalled;
use super::stream::Either;
use super::tls::HTTP2;

/// Idle connections kept per upstream.
const MAX_IDLE: usize = 32;

/// How long one is kept. Shorter than common servers' own limit (60 s and more), so that we rarely send into a connection
/// that is being closed.
const IDLE_TIME: Duration = Duration::from_secs(50);

/// How long a connection may take to be ready again after an answer's last byte.
const READY_TIME: Duration = Duration::from_secs(1);

/// hyper's least size of a connection's buffer.
const MIN_BUFFER: usize = 8192;

/// Header lines of a response head: as many as Python's `http.client` and hyper take by default, so that most clients could not
/// read more either. For more than these hyper allocates, for every head.
pub(super) const MAX_HEADERS: usize = 100;

/// How often a request is sent in all, where servers say that they did nothing with it.
const ATTEMPTS: usize = 3;

/// A body that may be sent a second time.
pub trait Again: Sized {
    /// The same body from its beginning, if all of it is held.
    fn again(&self) -> Option<Self>;
}

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
    /// The stream was reset before an answer's head.
    #[error("it reset the request before answering")]
    Reset,
    /// It refused the request time and again, without looking at it.
    #[error("it refused to take the request")]
    Refused,
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
    shared: Shared,
    idle: Mutex<Vec<Idle<B>>>,
    reaping: AtomicBool,
}

/// Whether an exchange may turn its connection into something else than HTTP.
#[derive(Clone, Copy)]
enum Upgrades {
    Yes,
    No,
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

/// One exchange's hold on its upstream. Dropped, it ends what is still under way: it closes a connection of HTTP/1.1, resets a
/// stream of HTTP/2.
pub struct Lease<B: Body + Send + 'static> {
    hold: Hold<B>,
}

enum Hold<B: Body + Send + 'static> {
    Alone(Link<B>, Arc<Pool<B>>),
    Shared { _lease: upstream::Lease },
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Again + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// An empty pool.
    pub fn new(dialer: Dialer, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            limits,
            shared: Shared::default(),
            idle: Mutex::new(Vec::new()),
            reaping: AtomicBool::new(false),
        })
    }

    /// Whom its connections lead to.
    pub fn target(&self) -> &Target {
        self.dialer.target()
    }

    /// Sends a request on a connection that is there or a new one; returns the answer's head and body.
    ///
    /// A request is sent once. Only one of which no byte was written moves on to another connection, and one that the server
    /// says it did nothing with (RFC 9113, 8.7), where all of its body is held.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        self: &Arc<Self>,
        request: Request<B>,
    ) -> Result<(Response<Received>, Lease<B>), SendError> {
        if !self.dialer.is_tls() {
            let request = match self.send_on_idle(request).await? {
                Either::Left(answer) => return Ok(answer),
                Either::Right(unsent) => unsent,
            };
            // Boxed, here and below: what opens a connection is rare, and would make every exchange's future larger.
            let stream = Box::pin(self.dialer.dial(Versions::Any)).await?;
            return Box::pin(self.send_alone(stream, request, Upgrades::No)).await;
        }
        let (head, mut body) = request.into_parts();
        for _ in 0..ATTEMPTS {
            match self.attempt(&head, body).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(Some(again)) | Failure::Unsent(again)) => body = again,
                Err(Failure::Refused(None)) => return Err(SendError::Refused),
                Err(Failure::Failed(error)) => return Err(error),
            }
        }
        Err(SendError::Refused)
    }

    /// Sends a request over TLS: on a shared connection, on an idle one, or on a new one of either version.
    async fn attempt(
        self: &Arc<Self>,
        head: &Parts,
        mut body: B,
    ) -> Result<(Response<Received>, Lease<B>), Failure<B>> {
        while let Some(slot) = self.shared.reserve() {
            match self.send_shared(slot, head, body).await {
                Err(Failure::Unsent(unsent)) => body = unsent,
                other => return other,
            }
        }
        let request = Request::from_parts(head.clone(), body);
        let request = match self.send_on_idle(request).await? {
            Either::Left(answer) => return Ok(answer),
            Either::Right(unsent) => unsent,
        };
        match Box::pin(self.dialer.dial(Versions::Any))
            .await
            .map_err(SendError::from)?
        {
            Either::Right(tls) if tls.get_ref().1.alpn_protocol() == Some(HTTP2) => {
                let slot = Box::pin(self.shared.add(tls, self.limits)).await?;
                self.reap();
                self.send_shared(slot, head, request.into_body()).await
            }
            stream => Ok(Box::pin(self.send_alone(stream, request, Upgrades::No)).await?),
        }
    }

    async fn send_shared(
        &self,
        slot: Slot,
        head: &Parts,
        body: B,
    ) -> Result<(Response<Received>, Lease<B>), Failure<B>> {
        let (response, lease) = slot.send(head, body, self.limits).await?;
        let hold = Hold::Shared { _lease: lease };
        Ok((response, Lease { hold }))
    }

    /// Sends a request on an idle connection of HTTP/1.1, or hands it back where there is none.
    async fn send_on_idle(
        self: &Arc<Self>,
        mut request: Request<B>,
    ) -> Result<Either<(Response<Received>, Lease<B>), Request<B>>, SendError> {
        while let Some(mut link) = self.take() {
            // Usually ready by now; at most hyper's task has not had its turn since the last answer.
            if !matches!(timeout(READY_TIME, link.sender.ready()).await, Ok(Ok(()))) {
                continue;
            }
            match link.sender.try_send_request(request).await {
                Ok(response) => return Ok(Either::Left(self.alone(link, response))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(classify(error.error())),
                },
            }
        }
        Ok(Either::Right(request))
    }

    /// Sends a request as the first on a new connection of HTTP/1.1.
    async fn send_alone<T>(
        self: &Arc<Self>,
        stream: T,
        request: Request<B>,
        upgrades: Upgrades,
    ) -> Result<(Response<Received>, Lease<B>), SendError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut link = self.open(stream, upgrades).await?;
        match link.sender.try_send_request(request).await {
            Ok(response) => Ok(self.alone(link, response)),
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
    ) -> Result<(Response<Received>, Lease<B>), SendError> {
        let stream = self.dialer.dial(Versions::Http1).await?;
        self.send_alone(stream, request, Upgrades::Yes).await
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .max_buf_size(self.limits.max_header_bytes.max(MIN_BUFFER))
            .max_headers(MAX_HEADERS);
        builder
    }

    fn alone(
        self: &Arc<Self>,
        link: Link<B>,
        response: Response<Incoming>,
    ) -> (Response<Received>, Lease<B>) {
        let hold = Hold::Alone(link, Arc::clone(self));
        (response.map(Received::from), Lease { hold })
    }

    async fn open<T>(&self, stream: T, upgrades: Upgrades) -> Result<Link<B>, SendError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Unstalled::new(stream, self.limits.stall_timeout);
        let (sender, connection) = self
            .http1()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| classify(&error))?;
        let task = tokio::spawn(async move {
            // The exchange learns of a failure by its own future or body.
            let _ = match upgrades {
                Upgrades::Yes => connection.with_upgrades().await,
                Upgrades::No => connection.await,
            };
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

    fn put(self: &Arc<Self>, link: Link<B>) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                link,
                since: Instant::now(),
            });
        }
        drop(idle);
        self.reap();
    }

    /// Sees to it that connections that fall idle are closed in time.
    fn reap(self: &Arc<Self>) {
        if !self.reaping.swap(true, Ordering::AcqRel) {
            tokio::spawn(reap(Arc::downgrade(self)));
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
    B: Body<Data = Bytes> + Again + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        sleep(IDLE_TIME / 5).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        idle.retain(|entry| entry.since.elapsed() < IDLE_TIME && !entry.link.sender.is_closed());
        pool.shared.reap(IDLE_TIME);
        if idle.is_empty() && pool.shared.is_empty() {
            pool.reaping.store(false, Ordering::Release);
            return;
        }
    }
}

impl<B> Lease<B>
where
    B: Body<Data = Bytes> + Again + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Gives the connection back: for an exchange that is complete in both directions.
    pub fn release(self) {
        if let Hold::Alone(link, pool) = self.hold {
            pool.put(link);
        }
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
