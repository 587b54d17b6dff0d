//! One inbound HTTP/2 connection: its streams within their limits, its idle time, its orderly end.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::send::{Fault, send};
use super::{MOST_ERROR_RESETS, SEND_BUFFER};
use crate::net::body::Received;
use crate::net::headers::HOP_BY_HOP;
use crate::net::io::{Connection, LINGER};
use crate::net::server::Limits;

/// Streams at a time, the least that RFC 9113, 6.5.2, recommends.
const MAX_STREAMS: u32 = 100;

/// Bytes of one body, and of all bodies together, that a client may send before they are read.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Streams that a client has reset before we saw them.
const MOST_UNSEEN_RESETS: usize = 50;

/// By how many a client's cancelled requests may outnumber its answered ones: rapid resets make work and wait for nothing.
const MOST_CANCELLED: usize = 200;

/// How long a connection that was told to end may take for that once nothing is in flight.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all streams of a listener share.
#[derive(Clone)]
pub struct Shared<H> {
    /// Answers one request.
    pub handler: H,
    /// A place for each request in flight.
    pub places: Arc<Semaphore>,
    /// The listener's.
    pub limits: Limits,
}

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Answered,
    Cancelled,
}

/// Serves a connection until it ends, or until `stop` turns true and what is in flight is through.
///
/// `io` has not been read from. `connection` says where it came in.
pub async fn serve<T, H, F, B>(
    io: T,
    connection: &Connection,
    shared: &Shared<H>,
    mut stop: watch::Receiver<bool>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Arc<Connection>, Request<Received>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let mut deadline = Instant::now() + shared.limits.header_timeout;
    let handshake = timeout_at(deadline, builder(&shared.limits).handshake(io));
    let http = tokio::select! {
        http = handshake => http,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let Ok(Ok(mut http)) = http else {
        tracing::debug!("a client connection ended in its preface");
        return;
    };
    let mut streams: JoinSet<Ended> = JoinSet::new();
    let (mut answered, mut cancelled) = (0_usize, 0_usize);
    let (mut stopping, mut leaving, mut banned) = (false, false, false);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                http.graceful_shutdown();
            }
            Some(ended) = streams.join_next() => {
                match ended {
                    Ok(Ended::Answered) => answered += 1,
                    // A handler that panicked has answered nobody either.
                    Ok(Ended::Cancelled) | Err(_) => cancelled += 1,
                }
                if cancelled > answered + MOST_CANCELLED && !banned {
                    banned = true;
                    http.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
                deadline = Instant::now() + if leaving { FAREWELL } else { shared.limits.idle_timeout };
            }
            accepted = http.accept() => match accepted {
                Some(Ok((request, reply))) => {
                    let connection = connection.of_stream();
                    streams.spawn(answer(request, reply, connection, shared.clone()));
                }
                Some(Err(error)) => return log_end(&error),
                None => return,
            },
            () = sleep_until(deadline), if streams.is_empty() => {
                if leaving {
                    return;
                }
                leaving = true;
                http.graceful_shutdown();
                deadline = Instant::now() + FAREWELL;
            }
        }
    }
}

fn builder(limits: &Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MOST_UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(MOST_ERROR_RESETS))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// The reason alone: the error's text may hold what the peer sent.
fn log_end(error: &h2::Error) {
    let reason = error.reason();
    let reason = reason.as_ref().map(Reason::description);
    let kind = error.get_io().map(|error| error.kind().to_string());
    tracing::debug!(?reason, ?kind, "a client connection ended early");
}

/// Answers one stream.
async fn answer<H, F, B>(
    request: Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
    connection: Arc<Connection>,
    shared: Shared<H>,
) -> Ended
where
    H: Fn(Arc<Connection>, Request<Received>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    if request.headers().len() > shared.limits.max_headers {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        // A client that is gone needs no answer.
        let _ = reply.send_response(response, true);
        return Ended::Answered;
    }
    let place = tokio::select! {
        // What was taken back before its turn came is not begun.
        biased;
        _ = poll_fn(|cx| reply.poll_reset(cx)) => return Ended::Cancelled,
        // The semaphore is never closed; if it were, one request more does no harm.
        place = shared.places.acquire() => place.ok(),
    };
    let handler = Arc::clone(&connection);
    let handler = |request| (shared.handler)(handler, request);
    let Some(response) = handle(request, &mut reply, handler).await else {
        return Ended::Cancelled;
    };
    let (mut parts, mut body) = response.into_parts();
    strip(&mut parts.headers);
    let ended = body.is_end_stream();
    if let (false, Some(length)) = (ended, body.size_hint().exact()) {
        let length = HeaderValue::from(length);
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    let Ok(mut stream) = reply.send_response(Response::from_parts(parts, ()), ended) else {
        return Ended::Cancelled;
    };
    let sent = if ended {
        Ok(())
    } else {
        let stall = shared.limits.idle_timeout;
        send(&mut body, &mut stream, stall, Reason::INTERNAL_ERROR).await
    };
    // Writes the log line, and tells whether the request was read.
    drop(body);
    drop(place);
    match sent {
        Ok(()) => {
            if connection.is_unread() {
                // Once nobody holds the stream it is reset, and some clients then forget the answer that came before.
                let _ = timeout(LINGER, poll_fn(|cx| stream.poll_reset(cx))).await;
            }
            Ended::Answered
        }
        Err(Fault::Body) => Ended::Answered,
        Err(Fault::Reset | Fault::Stalled) => Ended::Cancelled,
    }
}

/// Has the request handled, and says 100 when its body is wanted. `None` if the client takes it back.
async fn handle<F, B>(
    request: Request<RecvStream>,
    reply: &mut SendResponse<Bytes>,
    handler: impl FnOnce(Request<Received>) -> F,
) -> Option<Response<B>>
where
    F: Future<Output = Response<B>>,
{
    let (request, mut wanted) = received(request);
    let mut work = std::pin::pin!(handler(request));
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            response = work.as_mut() => return Some(response),
            _ = poll_fn(|cx| reply.poll_reset(cx)) => return None,
            Ok(()) = &mut wanted, if !told => {
                told = true;
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                // If it cannot be sent, the client is gone, which shows.
                let _ = reply.send_informational(go_on);
            }
        }
    }
}

/// The request as the handler takes it, in the words of HTTP/1.1, and what tells that its body is wanted.
fn received(request: Request<RecvStream>) -> (Request<Received>, oneshot::Receiver<()>) {
    let (mut parts, stream) = request.into_parts();
    let headers = &mut parts.headers;
    if let (Some(authority), false) = (parts.uri.authority(), headers.contains_key(header::HOST))
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        // RFC 9113, 8.3.1.
        headers.insert(header::HOST, host);
    }
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        // RFC 9113, 8.2.3: a cookie may come in crumbs; a value in it must be seen whole.
        let mut whole = [first.as_bytes(), b"; ", second.as_bytes()].concat();
        for crumb in crumbs {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(crumb.as_bytes());
        }
        if let Ok(whole) = HeaderValue::from_bytes(&whole) {
            headers.insert(header::COOKIE, whole);
        }
    }
    let (wants, wanted) = oneshot::channel();
    let expects = headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let body = Received::http2(stream, headers, expects.then_some(wants));
    (Request::from_parts(parts, body), wanted)
}

/// Drops what has no meaning in HTTP/2 and would make the answer malformed (RFC 9113, 8.2.2).
fn strip(headers: &mut http::HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
