//! What goes back to the client: an upstream's answer or our own, and the log line when it is through.

use std::error::Error;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::settings::Route;
use crate::guard::{About, Form, Guard, Ticket, Unavailable};
use crate::net::io::Connection;
use crate::relay::Tally;
use crate::relay::answer_body::Reply;

/// A response body of the channel.
pub struct Answer {
    kind: Kind,
    /// `None` where what follows the answer writes the line.
    record: Option<Record>,
}

enum Kind {
    Upstream(Reply),
    Own(Full<Bytes>),
}

/// One request, from its head to its answer's end; dropping it writes the log line.
pub(super) struct Record {
    pub connection: Arc<Connection>,
    /// With the ticket, once the request was admitted.
    pub tally: Arc<Tally>,
    /// `None` as long as none is found.
    pub route: Option<Arc<Route>>,
    pub method: Method,
    pub version: Version,
    pub begun: Instant,
    pub status: Option<StatusCode>,
    /// Our own code, where we answered.
    pub code: Option<&'static str>,
    pub outcome: Outcome,
}

/// How far an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// To its end.
    Complete,
    /// Its client left before the end.
    ClientGone,
    /// The upstream broke off or stalled inside it.
    Cut,
}

impl Answer {
    /// An upstream's answer.
    pub(super) fn upstream(body: Reply, record: Record) -> Self {
        Self {
            kind: Kind::Upstream(body),
            record: Some(record),
        }
    }

    /// Our own.
    pub(super) fn own(body: Full<Bytes>, record: Record) -> Self {
        Self {
            kind: Kind::Own(body),
            record: Some(record),
        }
    }

    /// None: the connection changes protocols, and the request goes on as long as that.
    pub(super) fn switched() -> Self {
        Self {
            kind: Kind::Own(Full::default()),
            record: None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Upstream(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        };
        let Some(record) = &mut this.record else {
            return polled;
        };
        match &polled {
            Poll::Ready(None) => record.outcome = Outcome::Complete,
            // Nothing comes behind them, and not everybody asks.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                record.outcome = Outcome::Complete;
            }
            Poll::Ready(Some(Err(_))) => {
                record.outcome = Outcome::Cut;
                if record.version < Version::HTTP_11 {
                    // The connection's end is the message's end for such a client.
                    record.connection.close_by_reset();
                }
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Upstream(body) => body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Upstream(body) => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let ended = self.is_end_stream();
        let Some(record) = &mut self.record else {
            return;
        };
        if record.outcome == Outcome::ClientGone && ended {
            record.outcome = Outcome::Complete;
        }
        if let Kind::Upstream(body) = &self.kind
            && !body.request_is_complete()
        {
            record.connection.leave_unread();
        }
    }
}

impl Record {
    /// Asks for admission to that route.
    ///
    /// # Errors
    /// It cannot be served now.
    pub async fn admit(&mut self, guard: &Arc<Guard>) -> Result<Arc<Ticket>, Unavailable> {
        let target = self
            .route
            .as_ref()
            .map_or_else(|| "-".into(), |route| Arc::clone(&route.name));
        let about = About {
            channel: "model",
            target,
            method: self.known_method(),
        };
        let ticket = Arc::new(guard.admit(about).await?);
        self.tally = Arc::new(Tally::of(Arc::clone(&ticket)));
        Ok(ticket)
    }

    /// A method may be any token that a client likes; only known ones are named.
    fn known_method(&self) -> &'static str {
        match self.method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        }
    }

    /// The route's name in logs.
    pub fn route_name(&self) -> &str {
        let route = self.route.as_ref();
        route.map_or("-", |route| route.provider.name.as_str())
    }

    /// The scheme of the URLs that lead to us.
    pub fn scheme(&self) -> &'static str {
        if self.connection.is_tls() {
            "https"
        } else {
            "http"
        }
    }

    /// The occurrences that were replaced, as `key=count`, or `key=count(form)` where it was not plain.
    fn masked(&self) -> String {
        let mut text = String::new();
        let total = self.tally.note();
        for ((key, form), count) in total.by_key() {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{space}{key}={count}");
            if form != Form::Plain {
                let _ = write!(text, "({})", form.as_str());
            }
        }
        text
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.connection.end();
        let request_id = self.tally.ticket().map(|ticket| ticket.id().to_string());
        let outcome = match self.outcome {
            Outcome::Complete => "complete",
            Outcome::ClientGone => "client gone",
            Outcome::Cut => "upstream cut",
        };
        tracing::info!(
            route = self.route_name(),
            method = self.known_method(),
            status = self.status.map_or(0, |status| status.as_u16()),
            code = self.code,
            outcome,
            bytes_in = self.tally.received(),
            bytes_out = self.tally.sent(),
            ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            masked = self.masked(),
            request_id,
            "request"
        );
    }
}
