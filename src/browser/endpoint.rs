//! The requests of a client: which there are, who may make them, and what is answered when one is wrong.
//!
//! They are Chrome's (`/json/version`, `/devtools/browser/ID`, …), so that any client takes us for Chrome. A token, where one is
//! asked for, may stand in the query, in the `Authorization` header or as the first segment of the path; addresses that we hand
//! out keep it where it stood.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::Refusal;
use super::client::masking::Unmasked;
use super::hub::CallError;
use super::listing::Reached;
use crate::guard::Unavailable;
use crate::net::host::HostError;
use crate::net::websocket::handshake::OpeningError;

/// Longest target id that is asked about.
const LONGEST_ID: usize = 128;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/json/version`
    Version,
    /// `/json` and `/json/list`
    List,
    /// `/json/protocol`
    Protocol,
    /// `/json/new?URL`
    New(Cow<'a, str>),
    /// `/json/activate/ID`
    Activate(&'a str),
    /// `/json/close/ID`
    Close(&'a str),
    /// `/devtools/browser/ID`
    Browser(Option<&'a str>),
    /// `/devtools/page/ID`
    Page(&'a str),
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}. Use the address that bauta says at its start, or add the name to `hosts`")]
    Host(HostError),
    #[error(
        "this needs the token of [browser].token_file: as ?token=…, as Authorization: Bearer …, or as the first part of the path"
    )]
    Token,
    #[error(
        "there is /json/version, /json/list, /json/protocol, /json/new?URL, /json/activate/ID, /json/close/ID, and by WebSocket /devtools/browser/ID and /devtools/page/ID"
    )]
    NotFound,
    #[error("use GET, or PUT for /json/new")]
    Method,
    #[error("No such target id")]
    NoTarget,
    #[error("this address is for a WebSocket")]
    OnlySocket,
    #[error("there is no WebSocket at this address. GET /json/version says where one is")]
    NoSocket,
    #[error("{0}")]
    Opening(OpeningError),
    #[error("{0} clients are connected already. Close one, or raise browser.limits.max_clients")]
    Full(usize),
    #[error("{}", .0.text)]
    Refused(Refusal),
    #[error("{0}")]
    Browser(CallError),
    #[error("{0}")]
    Unavailable(Unavailable),
    #[error("the answer cannot be masked")]
    Unmaskable,
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<OpeningError> for Failure {
    fn from(error: OpeningError) -> Self {
        Self::Opening(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Browser(error)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<Unmasked> for Failure {
    fn from(unmasked: Unmasked) -> Self {
        match unmasked {
            Unmasked::Refused(_) => Self::Unmaskable,
            Unmasked::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Host(HostError::Foreign) => StatusCode::MISDIRECTED_REQUEST,
            Self::Host(HostError::Origin) | Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Host(_) | Self::Opening(_) => StatusCode::BAD_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::NoTarget | Self::NoSocket => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::OnlySocket => StatusCode::UPGRADE_REQUIRED,
            Self::Full(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Browser(CallError::Timeout) => StatusCode::GATEWAY_TIMEOUT,
            Self::Browser(_) => StatusCode::BAD_GATEWAY,
            Self::Unmaskable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer that says so.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = text(self.status(), &self.to_string());
        let headers = response.headers_mut();
        match self {
            Self::Token => {
                let scheme = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, PUT"));
            }
            Self::OnlySocket => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            }
            _ => {}
        }
        response
    }
}

/// A short text.
pub(super) fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = status;
    of_type(&mut response, "text/plain; charset=utf-8");
    response
}

/// A JSON value.
pub(super) fn json(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value:#}")));
    of_type(&mut response, "application/json; charset=UTF-8");
    response
}

fn of_type(response: &mut Response<Full<Bytes>>, kind: &'static str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// What the path asks for; `path` is without a token.
pub(super) fn route<'a>(
    method: &Method,
    path: &'a str,
    query: Option<&'a str>,
) -> Result<Route<'a>, Failure> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    // Playwright asks with a slash at the end.
    let segments = match segments.split_last() {
        Some((&"", rest)) => rest,
        _ => &segments[..],
    };
    let route = match *segments {
        ["json", "version"] => Route::Version,
        ["json"] | ["json", "list"] => Route::List,
        ["json", "protocol"] => Route::Protocol,
        ["json", "new"] => Route::New(page_address(query)),
        ["json", "activate", id] if is_id(id) => Route::Activate(id),
        ["json", "close", id] if is_id(id) => Route::Close(id),
        ["devtools", "browser"] => Route::Browser(None),
        ["devtools", "browser", id] => Route::Browser(Some(id)),
        ["devtools", "page", id] if is_id(id) => Route::Page(id),
        _ => return Err(Failure::NotFound),
    };
    let allowed =
        *method == Method::GET || (*method == Method::PUT && matches!(route, Route::New(_)));
    if allowed {
        Ok(route)
    } else {
        Err(Failure::Method)
    }
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.()".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// The address that a new page is asked for: the whole query, as Chrome has it, but for our token.
fn page_address(query: Option<&str>) -> Cow<'_, str> {
    let query = query.unwrap_or_default();
    let rest = match query.split_once('&') {
        Some((first, rest)) if first.starts_with(TOKEN) => rest,
        None if query.starts_with(TOKEN) => "",
        _ => query.rsplit_once('&').map_or(query, |(front, last)| {
            if last.starts_with(TOKEN) {
                front
            } else {
                query
            }
        }),
    };
    if rest.is_empty() {
        return "about:blank".into();
    }
    percent_decoded(rest)
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|hex| bytes[at] == b'%' && hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

/// How a token stands in a query.
const TOKEN: &str = "token=";

/// Who may ask.
pub(super) struct Access {
    token: Option<String>,
}

impl Access {
    pub(super) fn new(token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
        }
    }

    /// The path without a token, and how the client reaches us. `Host` was checked.
    ///
    /// # Errors
    /// It has no token, or a wrong one.
    pub(super) fn admit<'a>(
        &self,
        request: &'a Parts,
        local: Option<SocketAddr>,
    ) -> Result<(&'a str, Reached), Failure> {
        let mut reached = Reached {
            authority: authority(request, local),
            prefix: String::new(),
            query: String::new(),
        };
        let path = request.uri.path();
        let Some(token) = &self.token else {
            return Ok((path, reached));
        };
        let first = path.strip_prefix('/').unwrap_or(path);
        let (first, rest) = first.find('/').map_or((first, ""), |at| first.split_at(at));
        if is_same(first, token) {
            reached.prefix = format!("/{token}");
            return Ok((rest, reached));
        }
        let bearer = request.headers.get(header::AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok()?.split_once(' '));
        if bearer.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("bearer") && is_same(given.trim(), token)
        }) {
            return Ok((path, reached));
        }
        let query = request.uri.query().unwrap_or_default();
        let given = query.split('&').filter_map(|part| part.strip_prefix(TOKEN));
        if given.take(4).any(|given| is_same(given, token)) {
            reached.query = format!("?{TOKEN}{token}");
            return Ok((path, reached));
        }
        Err(Failure::Token)
    }
}

fn is_same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

/// The address by which the client reaches us: as it called us, if that names a port; else our own. chromedriver leaves out
/// the port.
fn authority(request: &Parts, local: Option<SocketAddr>) -> String {
    let host = request.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    let is_name = !is_address && !host.eq_ignore_ascii_case("localhost");
    match local {
        Some(local) if !has_port && !is_name => local.to_string(),
        _ => host.to_owned(),
    }
}

/// An id for the browser, which nobody can guess.
pub(super) fn fresh_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests;
