//! One request on the model channel: checked, masked, sent, answered.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Uri, Version, header};
use http_body::Body as _;

use super::answer::{Answer, Outcome, Record};
use super::credential::Carried;
use super::failure::Failure;
use super::links::{self, Site};
use super::settings::{Active, Route, Settings, SettingsError};
use super::signature;
use super::socket::{self, Switched};
use super::target;
use crate::guard::{Answers, Guard, Ticket};
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
                // The answer may last: what stood in the request is in the log before.
                record.tally.note();
                record.status = Some(response.status());
                response.map(|body| Answer::upstream(body, record))
            }
            Err(failure) => {
                let (status, code) = failure.kind();
                (record.status, record.code) = (Some(status), Some(code));
                if let (Failure::Signed(key), Some(ticket)) = (&failure, record.tally.ticket()) {
                    ticket.refused_for(key, "it stands in a block that the provider signed");
                }
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
    signature::check(&parts.headers, rest)?;
    let ticket = record.admit(guard).await?;
    if let Some(upgrade) = upgrade {
        if !incoming.is_end_stream() {
            return Err(OpeningError::Body.into());
        }
        let opened = socket::open(active, &route, rest, &parts, upgrade, &ticket, record);
        // Boxed: it is rare, and would make every request's future larger.
        return Box::pin(opened).await;
    }
    let content = if incoming.is_end_stream() {
        content::nothing(&parts.headers)?
    } else {
        content::read(&parts.headers)?
    };
    let declared = is_declared(&parts);
    let own = own_origin(scheme, &parts);
    let (snapshot, tally) = (Arc::clone(ticket.snapshot()), Arc::clone(&record.tally));
    let fail = |error| Failure::relay(error, &route.provider.name, &snapshot);

    let multipart = content.boundary.as_ref();
    let content_type =
        |headers: &HeaderMap| multipart.and(headers.get(header::CONTENT_TYPE).cloned());
    let came_as = content_type(&parts.headers);
    let headers = std::mem::take(&mut parts.headers);
    let answers = route.answers(active.mask_responses);
    let mut upstream = UpstreamHead::new(
        &route,
        &answers,
        rest,
        &parts.method,
        headers,
        &ticket,
        &tally,
    )
    .map_err(fail)?;
    if content_type(&upstream.headers) != came_as {
        // Upstream could not find the parts by it.
        return Err(fail(Error::SecretInName("type of the multipart body")));
    }
    let limits: Limits = active.limits;
    let body = MaskedBody::start(incoming, &content, &snapshot, limits, Arc::clone(&tally))
        .await
        .map_err(fail)?;
    if body.is_decoded() {
        upstream.headers.remove(header::CONTENT_ENCODING);
    }
    let (uri, headers) = upstream.finish(&route, &ticket, fail).await?;

    let site = site(active, &route, own, &uri);
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method.clone();
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    let answer = exchange::send(&route.pool, outgoing, declared, limits, tally)
        .await
        .map_err(fail)?;
    said(&answers, &site, answer, &parts.method, &ticket, record).map_err(fail)
}

/// An answer on its way to the client: its references lead to us, and it is masked of what it may not hold.
pub(super) fn said(
    answers: &Answers,
    site: &Site<'_>,
    mut answer: Response<AnswerBody>,
    method: &Method,
    ticket: &Ticket,
    record: &Record,
) -> Result<Said, Error> {
    if links::rewrite(answer.headers_mut(), site) {
        tracing::warn!(
            route = site.provider.name.as_str(),
            "an answer named a URL of the provider outside of its base path; it was taken out"
        );
    }
    let answer = match ticket.snapshot().of_answers(answers) {
        Some(needles) => answer_body::masked(answer, method, &needles, &record.tally)?,
        None => answer_body::untouched(answer),
    };
    Ok(Said::Answer(answer))
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

/// Target and headers as they go upstream: masked, and without the provider's credential until the last moment.
pub(super) struct UpstreamHead {
    carried: Carried,
    pub headers: HeaderMap,
}

impl UpstreamHead {
    pub fn new(
        route: &Route,
        answers: &Answers,
        rest: &str,
        method: &Method,
        mut headers: HeaderMap,
        ticket: &Ticket,
        tally: &Tally,
    ) -> Result<Self, Error> {
        let mut carried = match route.bearer() {
            Some(bearer) => Carried::take(&bearer, ticket, &mut headers, rest),
            None => Carried::none(rest),
        };
        carried.mask_target(ticket, tally)?;
        let mut headers = head::request_headers(method, headers, ticket.snapshot(), tally)?;
        headers.insert(header::HOST, route.host.clone());
        if ticket.snapshot().of_answers(answers).is_some() {
            answer_body::ask(&mut headers);
        }
        Ok(Self { carried, headers })
    }

    /// Puts the credential in, if it is asked for. For when all else is ready: what follows a substitution is the request.
    pub async fn finish(
        mut self,
        route: &Route,
        ticket: &Ticket,
        fail: impl Fn(Error) -> Failure,
    ) -> Result<(Uri, HeaderMap), Failure> {
        let base_path = &route.provider.base_path;
        let put = self
            .carried
            .put(route.bearer(), ticket, base_path, &mut self.headers, fail);
        Ok((put.await?, self.headers))
    }
}

/// Whether the request says that it has a body, even an empty one. Where it says so in two ways, hyper has dropped the
/// length (RFC 9112, 6.3), so that upstream sees one. HTTP/2 needs to say nothing, where HTTP/1.1 says a length of 0.
fn is_declared(request: &Parts) -> bool {
    let usual = [Method::POST, Method::PUT, Method::PATCH];
    request.headers.contains_key(header::CONTENT_LENGTH)
        || request.headers.contains_key(header::TRANSFER_ENCODING)
        || (request.version == Version::HTTP_2 && usual.contains(&request.method))
}
