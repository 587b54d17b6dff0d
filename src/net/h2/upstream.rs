//! Outbound HTTP/2: connections that exchanges share.
//!
//! A connection leaves the list when its server says that it will take no more, or when it is over; streams on it go on. It is
//! asked for a sign of life while it has streams, so that one that is dead does not swallow requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::send::{Fault, send};
use super::{MOST_ERROR_RESETS, SEND_BUFFER};
use crate::net::body::Received;
use crate::net::io::Unstalled;
use crate::net::pool::{Again, Limits, MAX_HEADERS, SendError};

/// Streams at a time on one connection; more make another.
const MAX_STREAMS: u32 = 64;

/// Bytes of one answer that we take before its client does.
const STREAM_WINDOW: u32 = 512 << 10;

/// The same of all answers of a connection: as much as all streams may have, so that none waits for another's client.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// What small DATA frames may cost beyond their bytes, on one connection. Events of a few dozen bytes are common, and the
/// connection ends for everybody where this is spent: twice the window holds for frames of 86 bytes on every stream at once.
const SMALL_FRAMES: usize = 64 << 20;

/// While a connection has streams, it must answer a PING this often, within that time.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(20);

/// Connections to one upstream.
#[derive(Default)]
pub struct Shared {
    links: Mutex<Vec<Arc<Link>>>,
}

/// A connection. It ends once nobody holds it and its streams are through.
struct Link {
    sender: SendRequest<Bytes>,
    usage: Arc<Usage>,
}

/// How many streams a connection has, since when, and whether it takes no more.
struct Usage {
    streams: Mutex<(usize, Instant)>,
    over: AtomicBool,
}

/// A place for one stream on a connection.
pub struct Slot {
    link: Arc<Link>,
}

/// What keeps a stream's request going; dropping it ends it.
pub struct Lease {
    upload: Option<JoinHandle<()>>,
    _slot: Slot,
}

/// Why there is no answer.
pub enum Failure<B> {
    /// Nothing was written, and this connection takes no more.
    Unsent(B),
    /// The server said that it did nothing with the request (RFC 9113, 8.7). The body, if it can be sent again.
    Refused(Option<B>),
    /// Anything else.
    Failed(SendError),
}

impl<B> From<SendError> for Failure<B> {
    fn from(error: SendError) -> Self {
        Self::Failed(error)
    }
}

impl Shared {
    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.links().is_empty()
    }

    /// Takes a place on a connection that has one left. The first that has one: so those that are not needed fall idle.
    pub fn reserve(&self) -> Option<Slot> {
        let mut links = self.links();
        links.retain(|link| !link.usage.over.load(Ordering::Acquire));
        links.iter().find_map(Link::reserve)
    }

    /// Takes a connection that was just made, and a place on it.
    ///
    /// # Errors
    /// It does not speak HTTP/2 after all.
    pub async fn add<T>(&self, io: T, limits: Limits) -> Result<Slot, SendError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = Unstalled::new(io, limits.stall_timeout);
        let (sender, connection) = builder(limits)
            .handshake(io)
            .await
            .map_err(|error| classify(&error))?;
        let usage = Arc::new(Usage {
            streams: Mutex::new((1, Instant::now())),
            over: AtomicBool::new(false),
        });
        tokio::spawn(drive(connection, Arc::clone(&usage)));
        let link = Arc::new(Link { sender, usage });
        self.links().push(Arc::clone(&link));
        Ok(Slot { link })
    }

    /// Lets go of connections that have had no stream for that long.
    pub fn reap(&self, idle: Duration) {
        self.links().retain(|link| {
            let usage = link.usage.get();
            let used = usage.0 > 0 || usage.1.elapsed() < idle;
            used && !link.usage.over.load(Ordering::Acquire)
        });
    }

    fn links(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        // Nothing under this lock panics half-way.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn get(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn reserve(self: &Arc<Self>) -> Option<Slot> {
        let most = self
            .sender
            .current_max_send_streams()
            .min(MAX_STREAMS as usize);
        let mut usage = self.usage.get();
        if usage.0 >= most {
            return None;
        }
        usage.0 += 1;
        Some(Slot {
            link: Arc::clone(self),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut usage = self.link.usage.get();
        *usage = (usage.0.saturating_sub(1), Instant::now());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
    }
}

fn builder(limits: Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        // Until the server has said how many it takes: a second one makes a connection of its own.
        .initial_max_send_streams(1)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(SMALL_FRAMES)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(Some(MOST_ERROR_RESETS))
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false);
    builder
}

/// Runs a connection to its end, or until it gives no sign of life.
async fn drive<T>(mut connection: Connection<T, Bytes>, usage: Arc<Usage>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Some(pings) = connection.ping_pong() else {
        return;
    };
    tokio::select! {
        // The exchanges learn of a failure by their own streams.
        _ = connection => {}
        () = lifeless(pings, &usage) => tracing::debug!("an upstream connection gives no sign of life"),
    }
    usage.over.store(true, Ordering::Release);
}

async fn lifeless(mut pings: PingPong, usage: &Usage) {
    loop {
        sleep(PING_EVERY).await;
        let busy = usage.get().0 > 0;
        if busy
            && !matches!(
                timeout(PING_ANSWER, pings.ping(Ping::opaque())).await,
                Ok(Ok(_))
            )
        {
            return;
        }
    }
}

impl Slot {
    /// Sends a request, whose head is in the words of HTTP/1.1, and waits for the answer's head.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send<B>(
        self,
        head: &Parts,
        mut body: B,
        limits: Limits,
    ) -> Result<(Response<Received>, Lease), Failure<B>>
    where
        B: Body<Data = Bytes> + Again + Send + Unpin + 'static,
    {
        let ended = body.is_end_stream();
        let mut sender = self.link.sender.clone();
        let Ok((mut answer, mut stream)) = sender.send_request(request(head), ended) else {
            self.link.usage.over.store(true, Ordering::Release);
            return Err(Failure::Unsent(body));
        };
        let again = body.again();
        let mut upload = Box::pin(async move {
            send(&mut body, &mut stream, limits.stall_timeout, Reason::CANCEL).await
        });
        let mut over = ended;
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer,
                sent = &mut upload, if !over => match sent {
                    // Why a stream was reset, the answer tells.
                    Ok(()) | Err(Fault::Reset) => over = true,
                    Err(Fault::Body) => return Err(Failure::Failed(SendError::Body)),
                    Err(Fault::Stalled) => return Err(Failure::Failed(SendError::Stalled)),
                },
            }
        };
        let response = match answer {
            Ok(response) => response,
            Err(error) if is_refusal(&error) => {
                self.link.usage.over.store(true, Ordering::Release);
                return Err(Failure::Refused(again));
            }
            Err(error) => return Err(Failure::Failed(classify(&error))),
        };
        if response.headers().len() > MAX_HEADERS {
            return Err(Failure::Failed(SendError::Garbage));
        }
        let upload = (!over).then(|| {
            tokio::spawn(async move {
                // The answer's body learns of a failure: the stream is reset.
                let _ = upload.await;
            })
        });
        Ok((
            received(response, &head.method),
            Lease {
                upload,
                _slot: self,
            },
        ))
    }
}

fn received(response: Response<RecvStream>, method: &Method) -> Response<Received> {
    let (parts, stream) = response.into_parts();
    let mut body = Received::http2(stream, &parts.headers, None);
    let empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if *method == Method::HEAD || empty.contains(&parts.status) {
        body = body.without_body();
    }
    Response::from_parts(parts, body)
}

/// The head in the words of HTTP/2: `Host` becomes `:authority`, and nothing of one connection remains.
fn request(head: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.version_mut() = Version::HTTP_2;
    let mut uri = head.uri.clone().into_parts();
    let host = head.headers.get(header::HOST);
    uri.authority = host.and_then(|host| host.as_bytes().try_into().ok());
    uri.scheme = Some(Scheme::HTTPS);
    // Without an authority it stays in origin form, which h2 refuses to send.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    let headers: HeaderMap = head
        .headers
        .iter()
        .filter(|(name, _)| **name != header::HOST && **name != header::TRANSFER_ENCODING)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    *request.headers_mut() = headers;
    request
}

fn is_refusal(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // h2 gives a stream this error only where it is above the last one that GOAWAY says was or might be processed.
    error.is_remote() && (refused || error.is_go_away())
}

fn classify(error: &h2::Error) -> SendError {
    match error.get_io() {
        Some(error) if error.kind() == std::io::ErrorKind::TimedOut => SendError::Stalled,
        Some(_) => SendError::Closed,
        None if error.is_remote() => SendError::Reset,
        None => SendError::Garbage,
    }
}
