//! One WebSocket on the model channel: its opening request checked, masked and sent; then both sides joined.
//!
//! The client's handshake is answered only after upstream's: a refusal upstream reaches the client as it is, body included.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, watch};

use super::answer::{Answer, Outcome, Record};
use super::failure::Failure;
use super::links;
use super::service::{Said, UpstreamHead, own_origin, said, site};
use super::settings::{Active, Route};
use crate::guard::Ticket;
use crate::net::server::Takeover;
use crate::net::websocket::handshake::{Ask, Opening};
use crate::relay::Error;
use crate::relay::answer_body;
use crate::relay::body::MaskedBody;
use crate::relay::socket::{self, End, Opened, Side, Tunnel};

/// Both sides of a WebSocket whose handshakes are done, but for our answer to the client.
pub(super) struct Switched {
    client: OnUpgrade,
    upstream: Upgraded,
    tunnel: Tunnel,
    head: HeaderMap,
}

/// Opens a WebSocket to the upstream of `route` for a client's opening request, which has no body.
pub(super) async fn open(
    active: &Active,
    route: &Route,
    rest: &str,
    parts: &Parts,
    client: OnUpgrade,
    ticket: &Arc<Ticket>,
    record: &Record,
) -> Result<Said, Failure> {
    let opening = Opening::of(&parts.method, parts.version, &parts.headers)?;
    let fail = |error| Failure::relay(error, &route.provider.name, ticket.snapshot());
    let answers = route.answers(active.mask_responses);
    let upstream = UpstreamHead::new(
        route,
        &answers,
        rest,
        &parts.method,
        parts.headers.clone(),
        ticket,
        &record.tally,
    )
    .map_err(fail)?;
    let (uri, mut headers) = upstream.finish(route, ticket, fail).await?;
    let ask = Ask::write(&mut headers, opening.offers_deflate())
        .map_err(|_| fail(Error::Unwritable("Sec-WebSocket-Protocol")))?;

    let site = site(active, route, own_origin(record.scheme(), parts), &uri);
    let (limits, tally) = (active.limits, Arc::clone(&record.tally));
    let mut outgoing = Request::new(MaskedBody::none());
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    let opened = socket::open(&route.pool, outgoing, &ask, limits, Arc::clone(&tally)).await;
    let (upstream, mut head, agreed) = match opened.map_err(fail)? {
        Opened::Refused(answer) => {
            return said(&answers, &site, answer, &parts.method, ticket, record).map_err(fail);
        }
        Opened::Switched {
            upstream,
            head,
            agreed,
        } => (upstream, head, agreed),
    };
    links::rewrite(&mut head, &site);
    if let Some(needles) = ticket.snapshot().of_answers(&answers) {
        head = answer_body::masked_headers(&head, &needles, &record.tally).map_err(fail)?;
    }
    opening.answer(&ask, &agreed, &mut head);
    Ok(Said::Switched(Switched {
        client,
        upstream,
        tunnel: Tunnel {
            ticket: Arc::clone(ticket),
            limits,
            tally,
            client_deflate: opening.offers_deflate(),
            upstream_deflate: agreed.deflate,
            answers,
            found: Notify::new(),
        },
        head,
    }))
}

impl Switched {
    /// The answer to the client, after which the WebSocket goes on in the connection's place.
    pub(super) fn answer(self, mut record: Record) -> Response<Answer> {
        let status = StatusCode::SWITCHING_PROTOCOLS;
        record.status = Some(status);
        let mut answer = Response::new(Answer::switched());
        *answer.status_mut() = status;
        let Self {
            client,
            upstream,
            tunnel,
            head,
        } = self;
        *answer.headers_mut() = head;
        let join = |stop| join(client, upstream, tunnel, record, stop);
        answer.extensions_mut().insert(Takeover::new(join));
        answer
    }
}

async fn join(
    client: OnUpgrade,
    upstream: Upgraded,
    tunnel: Tunnel,
    mut record: Record,
    stop: watch::Receiver<bool>,
) {
    record.tally.note();
    // It fails where the client left before it had the answer.
    let Ok(client) = client.await else { return };
    let end = tunnel
        .run(TokioIo::new(client), TokioIo::new(upstream), stop)
        .await;
    record.code = end.code();
    record.outcome = match end {
        End::Lost(Side::Client) | End::Stalled(Side::Client) => Outcome::ClientGone,
        End::Lost(Side::Upstream)
        | End::Stalled(Side::Upstream)
        | End::Violation(Side::Upstream, _) => Outcome::Cut,
        _ => Outcome::Complete,
    };
    if record.code.is_some() {
        tracing::debug!(route = record.route_name(), reason = %end, "a WebSocket was closed by bauta");
    }
}
