//! One request on the model channel: checked, masked, sent, answered.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, Uri, Version, header};
use http_body::Body as _;

use super::answer::{Answer, Outcome, Record};
use super::failure::Failure;
use super::settings::{Active, Route, Settings, SettingsError};
use super::target;
use crate::guard::{Guard, Snapshot};
use crate::net::body::Received;
use crate::net::io::Connection;
use crate::relay::body::MaskedBody;
use crate::relay::exchange::{self, AnswerBody};
use crate::relay::{Error, Limits, Tally, content, head};

/// The model channel. Cheap to share; one for all connections.
pub struct Channel {
    guard: Arc<Guard>,
    active: ArcSwap<Active>,
}

impl Channel {
    /// A channel with its first settings.
    ///
    /// # Errors
    /// The settings of a provider cannot work.
    pub fn new(guard: Arc<Guard>, settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            guard,
            active: ArcSwap::from_pointee(Active::new(settings, None)?),
        })
    }

    /// Puts other settings in force; requests in flight keep theirs.
    ///
    /// # Errors
    /// As [`Channel::new`]; then the old settings stay.
    pub fn reconfigure(&self, settings: &Settings) -> Result<(), SettingsError> {
        let active = Active::new(settings, Some(&self.active.load()))?;
        self.active.store(Arc::new(active));
        Ok(())
    }

    /// Answers one request.
    pub async fn handle(
        &self,
        connection: Arc<Connection>,
        request: Request<Received>,
    ) -> Response<Answer> {
        let active = self.active.load_full();
        let mut record = Record {
            connection,
            snapshot: self.guard.snapshot(),
            tally: Arc::default(),
            route: "-".to_owned(),
            method: request.method().clone(),
            version: request.version(),
            begun: Instant::now(),
            status: None,
            code: None,
            outcome: Outcome::ClientGone,
        };
        let unread = !request.body().is_end_stream();
        match run(&active, request, &mut record).await {
            Ok(response) => {
                record.status = Some(response.status());
                response.map(|body| Answer::upstream(body, record))
            }
            Err(failure) => {
                let (status, code) = failure.kind();
                (record.status, record.code) = (Some(status), Some(code));
                if unread {
                    record.connection.leave_unread();
                }
                tracing::debug!(route = record.route.as_str(), reason = %failure, "answered by bauta");
                failure.response().map(|body| Answer::own(body, record))
            }
        }
    }
}

async fn run(
    active: &Active,
    request: Request<Received>,
    record: &mut Record,
) -> Result<Response<AnswerBody>, Failure> {
    let (parts, incoming) = request.into_parts();
    active.hosts.check(&parts, record.connection.local_addr())?;
    let scheme = if record.connection.is_tls() {
        "https"
    } else {
        "http"
    };
    let (route, rest) = target::find(&parts.method, &parts.uri, scheme, &active.routes)?;
    record.route.clone_from(&route.provider.name);
    if wants_websocket(&parts.headers) {
        return Err(Failure::WebSocket);
    }
    let syntax = content::syntax(&parts.headers)?;
    let declared = is_declared(&parts);
    let fail = |error| Failure::relay(error, &route.provider.name);
    let (snapshot, tally) = (Arc::clone(&record.snapshot), Arc::clone(&record.tally));

    let uri = upstream_uri(&route, rest, &snapshot, &tally).map_err(fail)?;
    let mut headers =
        head::request_headers(&parts.method, &parts.headers, &snapshot, &tally).map_err(fail)?;
    headers.insert(header::HOST, route.host.clone());
    let limits: Limits = active.limits;
    let body = MaskedBody::start(incoming, syntax, &snapshot, limits, Arc::clone(&tally))
        .await
        .map_err(fail)?;

    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    exchange::send(&route.pool, outgoing, declared, limits, tally)
        .await
        .map_err(fail)
}

/// The base path and the masked rest, in origin form.
fn upstream_uri(
    route: &Route,
    rest: &str,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<Uri, Error> {
    let mut target = route.provider.base_path.clone();
    let rest = head::mask_target(rest, snapshot, tally)?;
    if target.is_empty() && !rest.starts_with('/') {
        target.push('/');
    }
    target.push_str(&rest);
    let target: PathAndQuery = target.parse().map_err(|_| Error::Unwritable("target"))?;
    Ok(Uri::from(target))
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let upgrades = headers.get_all(header::UPGRADE).iter();
    upgrades
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// Whether the request says that it has a body, even an empty one. Where it says so in two ways, hyper has dropped the
/// length (RFC 9112, 6.3), so that upstream sees one. HTTP/2 needs to say nothing, where HTTP/1.1 says a length of 0.
fn is_declared(request: &Parts) -> bool {
    let usual = [Method::POST, Method::PUT, Method::PATCH];
    request.headers.contains_key(header::CONTENT_LENGTH)
        || request.headers.contains_key(header::TRANSFER_ENCODING)
        || (request.version == Version::HTTP_2 && usual.contains(&request.method))
}
