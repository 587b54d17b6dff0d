//! Requests that wait for the client: what it makes of them.
//!
//! A placeholder in a header becomes its value where the request's own destination matches; Basic credentials that a server asks
//! for, likewise. A request that left our hands with a value is not led elsewhere by another interception behind this one. A
//! document that the client makes up takes no values.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::draft::{Draft, Hole, Spelling};
use super::params::{read, rest};
use super::paused::Request;
use super::url::{self, Kind, Wrong};
use super::{Inspector, MOST_SHARED, Shared, admit, header, place};
use crate::browser::context::Context;
use crate::browser::hub::Target;
use crate::browser::{Command, Event, Observed, Refusal, Verdict, base64};
use crate::guard::{Ask, Finder, Origin, Place, Spot, Ticket};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Continue {
    request_id: String,
    url: Option<String>,
    headers: Option<Vec<Header>>,
    post_data: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithAuth {
    request_id: String,
    auth_challenge_response: Credentials,
}

#[derive(Deserialize)]
struct Credentials {
    response: String,
    username: Option<String>,
    password: Option<String>,
}

/// Types of requests whose answers are no documents.
const PARTS: [&str; 14] = [
    "CSPViolationReport",
    "EventSource",
    "Fetch",
    "Font",
    "Image",
    "Manifest",
    "Media",
    "Ping",
    "Preflight",
    "Script",
    "Stylesheet",
    "TextTrack",
    "WebSocket",
    "XHR",
];

impl Inspector {
    pub(super) async fn fetch(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        match &*command.method {
            "Fetch.enable" => self.enable(context, command).await,
            "Fetch.continueRequest" => self.resume(context, command).await,
            "Fetch.continueWithAuth" => self.authenticate(context, command).await,
            "Fetch.fulfillRequest" => self.fulfill(context, command),
            // failRequest and continueResponse: nothing of the request goes anywhere.
            _ => Ok(Verdict::Pass),
        }
    }

    /// On a client's root, requests of all clients would wait. Chromium numbers requests only where somebody listens to them, so we
    /// do, on a session of ours: by its number a request is known to all interceptions, and a document to whoever fills it.
    async fn enable(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        let session = command.session.as_deref();
        let target = context.member.target_of(session);
        match (session, target.as_ref().map(|target| &*target.kind)) {
            (_, Some("browser" | "tab")) | (None, None) => {
                return Err(Refusal::new(
                    "Fetch is not there on the browser as a whole, where requests of all clients would wait: enable it on the session \
                     of a page, a frame or a worker",
                ));
            }
            // A session that is not this client's is refused on its way.
            _ => {}
        }
        if let Some(target) = target {
            let listening = listen(context.clone(), target);
            if self.waited(session.unwrap_or_default()) {
                // We can attach only once the client let it run, which it will after this command.
                tokio::spawn(listening);
            } else {
                listening.await;
            }
        }
        Ok(Verdict::Pass)
    }

    async fn resume(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        let Continue {
            request_id,
            url,
            headers,
            post_data,
        } = read(command)?;
        if url.is_none() && headers.is_none() && post_data.is_none() {
            return Ok(Verdict::Pass);
        }
        let request = self.request(command, &request_id);
        if let Some(url) = &url {
            let is_same = self.redirect(url, request.as_ref())?;
            if let Some(request) = request.as_ref().filter(|_| !is_same) {
                // The page does not see it: what another server says would count as its own.
                made(context, command, request)?;
            }
        }
        let own = request.as_ref().and_then(|request| request.origin.clone());
        let ticket = admit(
            context,
            command,
            &place(own.as_ref(), frame(request.as_ref())),
        )
        .await?;
        let finder = ticket.snapshot().finder();
        if let Some(key) = post_data.as_deref().and_then(|data| in_body(data, finder)) {
            let reason =
                "bodies take no values here. Leave postData out, and type into the page's own form";
            return Err(self.said.refused(&ticket, &key, reason));
        }
        let mut draft = Draft::default();
        draft.raw("{");
        let mut destination = own;
        if let Some(url) = &url {
            destination = url.parse().ok();
            draft.raw("\"url\":\"");
            match self.overriding(url, &ticket)? {
                Some((inside, origin)) => {
                    draft.append(inside);
                    destination = Some(origin);
                }
                None => {
                    draft.text(url);
                }
            }
            draft.raw("\",");
        }
        if let Some(headers) = &headers {
            self.headers(headers, destination.as_ref(), &ticket, &mut draft)?;
        }
        if draft.is_text() {
            return Ok(Verdict::Pass);
        }
        let destination = destination.ok_or_else(unknown)?;
        self.note_sent(request.as_ref())?;
        // The last of the members ends with a comma, so one more follows.
        let rest = rest(command, &["url", "headers", "requestId"])?;
        let id = serde_json::Value::String(request_id);
        draft.raw(rest).raw(format!("\"requestId\":{id}}}"));
        Ok(Verdict::With(
            draft.fill(&ticket, &destination, &self.said).await?,
        ))
    }

    /// Whether the client may lead a request to another address; and whether that is of the same origin.
    fn redirect(&self, url: &str, request: Option<&Request>) -> Result<bool, Refusal> {
        if url::check(url)? != Kind::Web {
            return Err(Refusal::new(
                "a request that waits goes on to http: and https: addresses only",
            ));
        }
        let request = request.ok_or_else(unknown)?;
        let is_same = request.origin.is_some() && url.parse().ok() == request.origin;
        let network = request.network.as_deref();
        if !is_same && network.is_none_or(|id| self.shared.was_sent(id)) {
            return Err(Refusal::new(
                "this request has a value in its headers, which is not led to another origin",
            ));
        }
        Ok(is_same)
    }

    fn overriding(&self, url: &str, ticket: &Ticket) -> Result<Option<(Draft, Origin)>, Refusal> {
        let drafted = url::draft(
            url,
            ticket.snapshot().finder(),
            |key, place, destination| {
                let spots = &[Spot {
                    place,
                    header: None,
                }];
                ticket
                    .entry(&Ask {
                        key,
                        spots,
                        destination,
                    })
                    .map(drop)
            },
        );
        drafted.map_err(|wrong| self.wrong(ticket, wrong))
    }

    fn headers(
        &self,
        headers: &[Header],
        destination: Option<&Origin>,
        ticket: &Ticket,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let finder = ticket.snapshot().finder();
        draft.raw("\"headers\":[");
        for (at, Header { name, value }) in headers.iter().enumerate() {
            draft.raw(if at == 0 { "" } else { "," });
            draft.raw("{\"name\":\"").text(name).raw("\",\"value\":\"");
            let Some(destination) = destination else {
                // Nothing is put in where the destination is not known.
                let mut found = finder.find(value).into_iter();
                if let Some(found) = found.next() {
                    let reason = "where this request goes is not known";
                    return Err(self.said.refused(ticket, found.key, reason));
                }
                draft.text(value).raw("\"}");
                continue;
            };
            let may = |key: &str, place: Place| {
                let header = (place == Place::Header).then_some(name.as_str());
                let spots = &[Spot { place, header }];
                ticket
                    .entry(&Ask {
                        key,
                        spots,
                        destination,
                    })
                    .map(drop)
            };
            let drafted = header::draft(name, value, finder, may, draft);
            drafted.map_err(|wrong| self.wrong(ticket, wrong))?;
            draft.raw("\"}");
        }
        draft.raw("],");
        Ok(())
    }

    fn wrong(&self, ticket: &Ticket, wrong: Wrong) -> Refusal {
        match wrong {
            Wrong::Denied(key, denied) => self.said.denied(ticket, &key, &denied),
            Wrong::Place(key, reason) => self.said.refused(ticket, &key, reason),
        }
    }

    /// From now on this request is not led elsewhere.
    fn note_sent(&self, request: Option<&Request>) -> Result<(), Refusal> {
        let request = request.ok_or_else(unknown)?;
        if request.has_left {
            return Err(Refusal::new(
                "this request left already: it takes no value any more",
            ));
        }
        let network = request.network.as_deref().ok_or_else(unknown)?;
        self.shared.sent(network);
        Ok(())
    }

    async fn authenticate(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        let WithAuth {
            request_id,
            auth_challenge_response: response,
        } = read(command)?;
        let Credentials {
            response,
            username,
            password,
        } = response;
        let request = self.request(command, &request_id);
        let own = request.as_ref().and_then(|request| request.origin.clone());
        let ticket = admit(
            context,
            command,
            &place(own.as_ref(), frame(request.as_ref())),
        )
        .await?;
        let finder = ticket.snapshot().finder();
        let id = serde_json::Value::String(request_id);
        let kind = serde_json::Value::String(response);
        let mut draft = Draft::default();
        draft.raw(format!(
            "{{\"requestId\":{id},\"authChallengeResponse\":{{\"response\":{kind}"
        ));
        for (name, text) in [("username", username), ("password", password)] {
            let Some(text) = text else { continue };
            draft.raw(format!(",\"{name}\":\""));
            let found = finder.find(&text);
            match found.first() {
                Some(found) if found.range == (0..text.len()) => {
                    draft.hole(Hole::new(found.key, Place::Basic, None, Spelling::Json));
                }
                Some(found) if text[found.range.clone()] != *found.key => {
                    let reason = "user name and password are a placeholder as a whole, or none";
                    return Err(self.said.refused(&ticket, found.key, reason));
                }
                _ => {
                    draft.text(&text);
                }
            }
            draft.raw("\"");
        }
        draft.raw("}}");
        if draft.is_text() {
            return Ok(Verdict::Pass);
        }
        let request = request.ok_or_else(unknown)?;
        let asks = request.challenge;
        let destination = asks.filter(|asks| Some(asks) == request.origin.as_ref()).ok_or_else(|| {
            Refusal::new("credentials with a placeholder are for the server itself that asked for them, not for a proxy")
        })?;
        Ok(Verdict::With(
            draft.fill(&ticket, &destination, &self.said).await?,
        ))
    }

    fn fulfill(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fulfill {
            request_id: String,
            response_code: i64,
            response_headers: Option<Vec<Header>>,
            binary_response_headers: Option<IgnoredAny>,
            #[serde(rename = "body")]
            _body: Option<IgnoredAny>,
        }
        let Fulfill {
            request_id,
            response_code,
            response_headers,
            binary_response_headers,
            ..
        } = read(command)?;
        let request = self.request(command, &request_id).ok_or_else(unknown)?;
        // What a redirect leads to is made by its own server; one that leads nowhere shows the body.
        let is_redirect = matches!(response_code, 301 | 302 | 303 | 307 | 308)
            && binary_response_headers.is_none()
            && leads_somewhere(response_headers.as_deref().unwrap_or_default());
        if !is_redirect {
            made(context, command, &request)?;
        }
        Ok(Verdict::Pass)
    }

    fn request(&self, command: &Command, id: &str) -> Option<Request> {
        self.state()
            .paused
            .get(command.session.as_deref().unwrap_or_default(), id)
    }

    pub(super) fn see_request(&self, _context: &Context, event: &Event<'_>) -> Observed {
        if let Some((id, request)) = seen(event.params()) {
            let session = event.session.map_or("", |session| &**session);
            self.state().paused.put(session, &id, request);
        }
        Observed::Keep
    }
}

/// What the browser says of a request that waits; `None` if it cannot be read, so that it takes no value.
fn seen(params: &[u8]) -> Option<(String, Request)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Seen<'a> {
        request_id: String,
        #[serde(borrow)]
        request: Sent<'a>,
        frame_id: Box<str>,
        #[serde(borrow)]
        resource_type: Cow<'a, str>,
        network_id: Option<Box<str>>,
        response_status_code: Option<i64>,
        response_error_reason: Option<IgnoredAny>,
        auth_challenge: Option<Challenge>,
    }
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        url: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Challenge {
        source: Option<Box<str>>,
        origin: String,
    }
    let seen: Seen<'_> = serde_json::from_slice(params).ok()?;
    let is_server = |challenge: &Challenge| challenge.source.as_deref() == Some("Server");
    let challenge = seen.auth_challenge.and_then(|challenge| {
        is_server(&challenge)
            .then(|| challenge.origin.parse().ok())
            .flatten()
    });
    let request = Request {
        origin: seen.request.url.parse().ok(),
        frame: seen.frame_id,
        network: seen.network_id.filter(|id| !id.is_empty()),
        may_be_document: !PARTS.contains(&&*seen.resource_type),
        has_left: seen.response_status_code.is_some() || seen.response_error_reason.is_some(),
        challenge,
    };
    Some((seen.request_id, request))
}

/// Where this fails, requests have no number, and those without take no value and make no document.
async fn listen(context: Context, target: Arc<Target>) {
    let Ok(own) = context.hub.own(&target.id).await else {
        return;
    };
    let nothing_kept = serde_json::json!({"maxTotalBufferSize": 0, "maxResourceBufferSize": 0, "maxPostDataSize": 0});
    let enabled = context
        .hub
        .call(Some(&own), "Network.enable", nothing_kept)
        .await;
    if let Err(error) = enabled {
        tracing::debug!(%error, "requests of this target have no numbers");
    }
}

/// The key of a placeholder with delimiters in a body.
fn in_body(data: &str, finder: &Finder) -> Option<String> {
    let body = base64::decode_wiped(data)?;
    url::delimited(&String::from_utf8_lossy(&body), finder)
}

/// A client, or a server of its choice, answers a request in the place of the page's own server: a document takes no values. A
/// service worker's script would answer for documents for as long as it is kept.
fn made(context: &Context, command: &Command, request: &Request) -> Result<(), Refusal> {
    let target = context.member.target_of(command.session.as_deref());
    let is_service = target.is_none_or(|target| &*target.kind == "service_worker");
    if is_service {
        // Whatever their type: a navigation that the worker passes on looks like any other fetch of its script's.
        return Err(Refusal::new(
            "a service worker's requests are not answered by a client, nor by another server: it would make documents of the site. \
             Answer the requests of pages instead, and let them pass workers by (Network.setBypassServiceWorker)",
        ));
    }
    if request.may_be_document {
        let loader = request.network.as_deref().ok_or_else(unknown)?;
        context.pages.taint(loader);
    }
    Ok(())
}

/// Whether Chromium follows it. With none that it can read, it shows the body.
fn leads_somewhere(headers: &[Header]) -> bool {
    let mut locations = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("location"));
    let (first, second) = (locations.next(), locations.next());
    // Which of two it takes need not be known.
    let Some(location) = first.filter(|_| second.is_none()) else {
        return false;
    };
    let location = location.value.as_str();
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=@/?:#".contains(&byte);
    if !location.bytes().all(is_plain) {
        return false;
    }
    match location.strip_prefix('/') {
        Some(path) => !path.starts_with('/'),
        None => {
            url::check(location).is_ok_and(|kind| kind == Kind::Web)
                && location.parse::<Origin>().is_ok()
        }
    }
}

/// The frame that made a request.
fn frame(request: Option<&Request>) -> &str {
    request.map_or("unknown", |request| &request.frame)
}

fn unknown() -> Refusal {
    Refusal::new("this request is not known, or not any more: it cannot be said where it goes")
}

impl Shared {
    fn sent(&self, network: &str) {
        let mut common = self.common();
        if common.sent.len() < MOST_SHARED {
            common.sent.insert(network.into());
        }
    }

    /// Once there is no room, all may have been.
    fn was_sent(&self, network: &str) -> bool {
        let common = self.common();
        common.sent.len() >= MOST_SHARED || common.sent.contains(network)
    }
}

#[cfg(test)]
mod tests;
