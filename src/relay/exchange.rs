//! One exchange with an upstream: the masked request goes out, the answer streams back as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use tokio::time::sleep;

use super::body::{MaskedBody, Upload};
use super::{Error, Limits, Tally, content, head};
use crate::net::body::Received;
use crate::net::io::Patience;
use crate::net::pool::{Lease, Pool, SendError};

/// Sends a request whose head is masked already, and waits for the answer's head.
///
/// `declared`: the client said that there is a body, even if it is empty.
///
/// # Errors
/// The body fails, the upstream cannot be reached, answers garbage, or does not answer in time. Nothing is sent twice.
pub async fn send(
    pool: &Arc<Pool<MaskedBody>>,
    mut request: Request<MaskedBody>,
    declared: bool,
    limits: Limits,
    tally: Arc<Tally>,
) -> Result<Response<AnswerBody>, Error> {
    let upload = request.body().upload();
    match request.body().length() {
        Some(0) if !declared => {}
        Some(length) => {
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            // Said outright, because hyper sends a GET's body of unknown length only then.
            request.headers_mut().insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
    }
    let sent = tokio::select! {
        sent = pool.send(request) => sent,
        () = overdue(&upload, limits.response_timeout) => return Err(Error::ResponseTimeout),
    };
    let (response, lease) = match sent {
        Ok(answer) => answer,
        Err(error) => return Err(upload.take_fault().unwrap_or_else(|| reason(error))),
    };
    if response.status().is_informational() {
        return Err(Error::Switched);
    }
    answer(response, lease, upload, limits.idle_timeout, tally)
}

pub(super) fn reason(error: SendError) -> Error {
    match error {
        // Without a fault the body was dropped with its client.
        SendError::Body => Error::ClientBody,
        other => Error::Upstream(other),
    }
}

/// Ends once the whole body was handed on and the answer's head then takes too long.
async fn overdue(upload: &Upload, limit: Duration) {
    upload.over().await;
    sleep(limit).await;
}

/// The answer for the client: its head without what belongs to upstream's hop, its body as it comes.
///
/// # Errors
/// It has a transfer coding that nobody has taken off, and whose name does not go on.
pub(super) fn answer(
    response: Response<Received>,
    lease: Lease<MaskedBody>,
    upload: Arc<Upload>,
    idle_timeout: Duration,
    tally: Arc<Tally>,
) -> Result<Response<AnswerBody>, Error> {
    let (mut parts, incoming) = response.into_parts();
    if !incoming.is_end_stream() && !content::is_framed_plainly(&parts.headers) {
        return Err(Error::AnswerTransfer);
    }
    head::strip_response(&mut parts.headers);
    let body = AnswerBody {
        incoming,
        ended: false,
        lease: Some(lease),
        upload,
        patience: Patience::new(idle_timeout),
        tally,
    };
    let mut out = Response::new(body);
    *out.status_mut() = parts.status;
    *out.headers_mut() = parts.headers;
    if let Some(phrase) = parts.extensions.remove::<ReasonPhrase>() {
        out.extensions_mut().insert(phrase);
    }
    Ok(out)
}

/// An answer's body, frame by frame as it comes. Dropped before its end, it cancels the exchange upstream.
pub struct AnswerBody {
    incoming: Received,
    /// Its last frame has come.
    ended: bool,
    lease: Option<Lease<MaskedBody>>,
    upload: Arc<Upload>,
    patience: Patience,
    tally: Arc<Tally>,
}

impl AnswerBody {
    /// Whether the request was handed on to its end.
    pub fn request_is_complete(&self) -> bool {
        self.upload.is_complete()
    }

    fn settle(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.upload.is_complete()
        {
            lease.release();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            ready!(this.patience.poll_lost(cx));
            this.lease = None;
            return Poll::Ready(Some(Err(Error::AnswerStalled)));
        };
        this.patience.renew();
        Poll::Ready(match frame {
            None => {
                this.ended = true;
                this.settle();
                None
            }
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.tally.count_sent(data.len());
                } else if let Some(trailers) = frame.trailers_mut() {
                    head::strip_response(trailers);
                    // Nothing comes behind them, and not everybody asks.
                    this.ended = true;
                    this.settle();
                }
                Some(Ok(frame))
            }
            Some(Err(_)) => {
                this.lease = None;
                Some(Err(Error::AnswerBroken))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // hyper does not poll a body of known length once more to hear that it has ended.
        if self.is_end_stream() {
            self.settle();
        }
    }
}
