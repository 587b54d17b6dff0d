//! A body as it comes in, a request's or an answer's, over either version of HTTP.
//!
//! It ends well only where its sender said that it is over. hyper takes a stream that is reset with NO_ERROR for one that
//! has ended (RFC 9113, 8.1, allows a server to stop an upload so); here it is broken off, unless its end came before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;

/// The body broke off, or is badly framed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body broke off")]
pub struct Broken;

/// A body as it comes in.
pub struct Received {
    kind: Kind,
}

enum Kind {
    Http1(Incoming),
    Http2(Stream),
}

struct Stream {
    inner: RecvStream,
    /// Bytes that are still to come, where the sender said how many.
    left: Option<u64>,
    data_over: bool,
    /// The message has no body, whatever comes.
    bodiless: bool,
    /// Told at the first look, for a sender that waits for a 100.
    wanted: Option<oneshot::Sender<()>>,
}

impl From<Incoming> for Received {
    fn from(body: Incoming) -> Self {
        Self {
            kind: Kind::Http1(body),
        }
    }
}

impl Received {
    /// The body of a message with these headers. h2 holds it to their `Content-Length`.
    pub(super) fn http2(
        inner: RecvStream,
        headers: &HeaderMap,
        wanted: Option<oneshot::Sender<()>>,
    ) -> Self {
        let length = headers.get(header::CONTENT_LENGTH);
        let left = length.and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            kind: Kind::Http2(Stream {
                inner,
                left,
                data_over: false,
                bodiless: false,
                wanted,
            }),
        }
    }

    /// The same of a message that has no body (RFC 9110, 6.4.1), even where its sender leaves the end of the stream open.
    pub(super) fn without_body(mut self) -> Self {
        if let Kind::Http2(stream) = &mut self.kind {
            stream.bodiless = true;
        }
        self
    }
}

impl Stream {
    fn is_over(&self) -> bool {
        self.bodiless || self.inner.is_end_stream()
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.bodiless {
            return Poll::Ready(None);
        }
        if let Some(wanted) = self.wanted.take() {
            // Nobody may wait for it any more.
            let _ = wanted.send(());
        }
        while !self.data_over {
            let Some(data) = ready!(self.inner.poll_data(cx)?) else {
                self.data_over = true;
                break;
            };
            // Frames that are taken make room for others; it fails only for more than there was.
            let _ = self.inner.flow_control().release_capacity(data.len());
            if !data.is_empty() {
                let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.left = self.left.map(|left| left.saturating_sub(bytes));
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        let trailers = ready!(self.inner.poll_trailers(cx)?);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.kind {
            Kind::Http1(body) => Pin::new(body).poll_frame(cx).map_err(|_| Broken),
            Kind::Http2(stream) => stream.poll_frame(cx).map_err(|_| Broken),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Http2(stream) => stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Http1(body) => body.size_hint(),
            // The answer to a HEAD has a length and no body.
            Kind::Http2(stream) if stream.is_over() => SizeHint::with_exact(0),
            Kind::Http2(stream) => stream
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
