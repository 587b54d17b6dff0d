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
use super::links::{self, Site};
use super::settings::{Active, Route, Settings, SettingsError};
use super::socket::{self, Switched};
use super::target;
use crate::guard::{Guard, Snapshot};
use crate::net::body::Received;
use crate::net::io::Connection;
use crate::net::websocket::handshake::{self, OpeningError};
use crate::relay::answer_body::{self, Reply};
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
            route: None,
            method: request.method().clone(),
            version: request.version(),
            begun: Instant::now(),
            status: None,
            code: None,
            outcome: Outcome::ClientGone,
        };
        let unread = !request.body().is_end_stream();
        match run(&active, &self.guard, request, &mut record).await {
            Ok(Said::Switched(switched)) => switched.answer(record),
            Ok(Said::Answer(response)) => {
                record.status = Some(response.status());
                response.map(|body| Answer::upstream(body, record))
            }
            Err(failure) => {
                let (status, code) = failure.kind();
                (record.status, record.code) = (Some(status), Some(code));
                if unread {
                    record.connection.leave_unread();
                }
                tracing::debug!(route = record.route_name(), reason = %failure, "answered by bauta");
                failure.response().map(|body| Answer::own(body, record))
            }
        }
    }
}

/// What an upstream said.
pub(super) enum Said {
    /// An answer to be passed on.
    Answer(Response<Reply>),
    /// It speaks WebSocket from now on.
    Switched(Switched),
}

async fn run(
    active: &Active,
    guard: &Arc<Guard>,
    mut request: Request<Received>,
    record: &mut Record,
) -> Result<Said, Failure> {
    let upgrade =
        handshake::is_asked_for(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, incoming) = request.into_parts();
    active.hosts.check(&parts, record.connection.local_addr())?;
    let scheme = record.scheme();
    let (route, rest) = target::find(&parts.method, &parts.uri, scheme, &active.routes)?;
    record.route = Some(Arc::clone(&route));
    if let Some(upgrade) = upgrade {
        if !incoming.is_end_stream() {
            return Err(OpeningError::Body.into());
        }
        let opened = socket::open(active, &route, rest, &parts, upgrade, guard, record);
        // Boxed: it is rare, and would make every request's future larger.
        return Box::pin(opened).await;
    }
    let content = content::read(&parts.headers)?;
    let declared = is_declared(&parts);
    let own = own_origin(scheme, &parts);
    let (snapshot, tally) = (Arc::clone(&record.snapshot), Arc::clone(&record.tally));
    let fail = |error| Failure::relay(error, &route.provider.name, &snapshot);

    let multipart = content.boundary.as_ref();
    let content_type =
        |headers: &HeaderMap| multipart.and(headers.get(header::CONTENT_TYPE).cloned());
    let came_as = content_type(&parts.headers);
    let headers = std::mem::take(&mut parts.headers);
    let (uri, mut headers) =
        upstream_head(active, &route, rest, &parts.method, headers, record).map_err(fail)?;
    if content_type(&headers) != came_as {
        // Upstream could not find the parts by it.
        return Err(fail(Error::SecretInName("type of the multipart body")));
    }
    let limits: Limits = active.limits;
    let body = MaskedBody::start(incoming, &content, &snapshot, limits, Arc::clone(&tally))
        .await
        .map_err(fail)?;
    if body.is_decoded() {
        headers.remove(header::CONTENT_ENCODING);
    }

    let site = site(active, &route, own, &uri);
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method.clone();
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    let answer = exchange::send(&route.pool, outgoing, declared, limits, tally)
        .await
        .map_err(fail)?;
    said(active, &site, answer, &parts.method, record).map_err(fail)
}

/// An answer on its way to the client: its references lead to us, and it is masked where answers are.
pub(super) fn said(
    active: &Active,
    site: &Site<'_>,
    mut answer: Response<AnswerBody>,
    method: &Method,
    record: &Record,
) -> Result<Said, Error> {
    if links::rewrite(answer.headers_mut(), site) {
        tracing::warn!(
            route = site.provider.name.as_str(),
            "an answer named a URL of the provider outside of its base path; it was taken out"
        );
    }
    let answer = if masks_answer(active, record) {
        answer_body::masked(answer, method, &record.snapshot, &record.tally)?
    } else {
        answer_body::untouched(answer)
    };
    Ok(Said::Answer(answer))
}

/// Whether the answer to this request is masked.
pub(super) fn masks_answer(active: &Active, record: &Record) -> bool {
    active.mask_responses && !record.snapshot.is_empty()
}

/// Where the references of an answer lead from; `own`: see [`own_origin`].
pub(super) fn site<'a>(active: &'a Active, route: &'a Route, own: String, uri: &Uri) -> Site<'a> {
    Site {
        own,
        provider: &route.provider,
        providers: active.routes.iter().map(|r| &r.provider).collect(),
        path: uri.path().to_owned(),
    }
}

/// Our scheme and authority, as the client wrote them. They were checked.
pub(super) fn own_origin(scheme: &str, head: &Parts) -> String {
    let host = head.headers.get(header::HOST);
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    format!("{scheme}://{authority}")
}

/// Target and headers as they go upstream.
pub(super) fn upstream_head(
    active: &Active,
    route: &Route,
    rest: &str,
    method: &Method,
    headers: HeaderMap,
    record: &Record,
) -> Result<(Uri, HeaderMap), Error> {
    let (snapshot, tally) = (&record.snapshot, &record.tally);
    let uri = upstream_uri(route, rest, snapshot, tally)?;
    let mut headers = head::request_headers(method, headers, snapshot, tally)?;
    headers.insert(header::HOST, route.host.clone());
    if masks_answer(active, record) {
        answer_body::ask(&mut headers);
    }
    Ok((uri, headers))
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

/// Whether the request says that it has a body, even an empty one. Where it says so in two ways, hyper has dropped the
/// length (RFC 9112, 6.3), so that upstream sees one. HTTP/2 needs to say nothing, where HTTP/1.1 says a length of 0.
fn is_declared(request: &Parts) -> bool {
    let usual = [Method::POST, Method::PUT, Method::PATCH];
    request.headers.contains_key(header::CONTENT_LENGTH)
        || request.headers.contains_key(header::TRANSFER_ENCODING)
        || (request.version == Version::HTTP_2 && usual.contains(&request.method))
}
