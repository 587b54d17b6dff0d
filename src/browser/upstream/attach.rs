//! Connecting to a browser that somebody else started: `/json/version` tells the address of its WebSocket, unless the configuration
//! names that itself.
//!
//! Over plain TCP the `Host` is an address, whatever the browser's name: Chromium answers to no other, so that no web page can reach
//! it by a name of its own. There is no `Origin`, for the same reason. Redirects are not followed, and of the address that
//! `/json/version` tells only the path is taken: the browser may know itself by another name than we do.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::time::timeout;

use super::{CONNECT, socket};
use crate::net::dial::{DialError, Dialer, Target, Versions};
use crate::net::websocket::handshake::{AnswerError, Ask};

/// Bytes of `/json/version` that are read.
const MOST_ANSWER: usize = 64 << 10;

/// Why a browser cannot be attached to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The address is none.
    #[error(
        "the address in browser.attach is not http://HOST:PORT or the URL of a browser's WebSocket"
    )]
    Address,
    /// It cannot be reached.
    #[error(
        "the browser at {address} cannot be reached: {reason}. Start it with --remote-debugging-port={port}, or correct browser.attach"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// Its port.
        port: u16,
        /// Why.
        reason: String,
    },
    /// It answers with another status than it should.
    #[error("{address} answers {status} to {what}: is it a browser's debugging port?")]
    Status {
        /// Where.
        address: String,
        /// The status.
        status: u16,
        /// What it was asked.
        what: &'static str,
    },
    /// What it answers makes no sense.
    #[error("{address} is no browser's debugging port: {reason}")]
    Answer {
        /// Where.
        address: String,
        /// What is wrong.
        reason: String,
    },
}

/// The address of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
    /// The path of its WebSocket, if that is known.
    socket: Option<String>,
}

impl Address {
    fn parse(text: &str) -> Result<Self, AttachError> {
        let uri: Uri = text.parse().map_err(|_| AttachError::Address)?;
        let scheme = uri.scheme().map_or("", Scheme::as_str);
        let (tls, is_socket) = match scheme {
            "http" => (false, false),
            "https" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => return Err(AttachError::Address),
        };
        let authority = uri.authority().map_or("", Authority::as_str);
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || authority.contains('@') {
            return Err(AttachError::Address);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        if !is_socket && path != "/" {
            return Err(AttachError::Address);
        }
        Ok(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            socket: is_socket.then(|| path.to_owned()),
        })
    }

    /// As it is shown. A WebSocket's path may hold a token, and is not.
    fn shown(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("{host}:{}", self.port)
    }

    fn host_header(&self) -> String {
        if self.tls {
            self.shown()
        } else {
            format!("127.0.0.1:{}", self.port)
        }
    }

    fn unreachable(&self, reason: &str) -> AttachError {
        AttachError::Unreachable {
            address: self.shown(),
            port: self.port,
            reason: reason.to_owned(),
        }
    }

    fn nonsense(&self, reason: &str) -> AttachError {
        AttachError::Answer {
            address: self.shown(),
            reason: reason.to_owned(),
        }
    }

    /// Asks for something, on a connection of its own, which may become something else.
    async fn ask(
        &self,
        dialer: &Dialer,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, AttachError> {
        let stream = dialer
            .dial(Versions::Http1)
            .await
            .map_err(|error: DialError| self.unreachable(&error.to_string()))?;
        let broken = |_| self.unreachable("the connection broke");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with the answer's body, or becomes the WebSocket.
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(broken)
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, AttachError> {
        let host = HeaderValue::try_from(self.host_header()).map_err(|_| AttachError::Address)?;
        Request::get(path)
            .header(HOST, host)
            .body(Empty::new())
            .map_err(|_| AttachError::Address)
    }

    /// The path of the browser's WebSocket.
    async fn find(&self, dialer: &Dialer) -> Result<String, AttachError> {
        #[derive(Deserialize)]
        struct Told {
            #[serde(rename = "webSocketDebuggerUrl")]
            socket: String,
        }

        let answer = self.ask(dialer, self.request("/json/version")?).await?;
        if answer.status() != StatusCode::OK {
            return Err(AttachError::Status {
                address: self.shown(),
                status: answer.status().as_u16(),
                what: "/json/version",
            });
        }
        let body = Limited::new(answer.into_body(), MOST_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|_| self.nonsense("its /json/version cannot be read"))?;
        let told: Told = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| self.nonsense("its /json/version names no webSocketDebuggerUrl"))?;
        let found = Self::parse(&told.socket)
            .ok()
            .and_then(|found| found.socket);
        found.ok_or_else(|| self.nonsense("its webSocketDebuggerUrl is no WebSocket's"))
    }
}

/// Connects to the browser at an address.
pub(super) async fn connect(
    address: &str,
    most: usize,
) -> Result<(socket::Reader, socket::Writer), AttachError> {
    connect_within(address, most, CONNECT).await
}

async fn connect_within(
    address: &str,
    most: usize,
    limit: Duration,
) -> Result<(socket::Reader, socket::Writer), AttachError> {
    let address = Address::parse(address)?;
    let connected = timeout(limit, open(&address, most, limit)).await;
    connected.map_err(|_| address.unreachable("it does not answer"))?
}

async fn open(
    address: &Address,
    most: usize,
    limit: Duration,
) -> Result<(socket::Reader, socket::Writer), AttachError> {
    let target = Target {
        tls: address.tls,
        host: address.host.clone(),
        port: address.port,
        ca: None,
    };
    let dialer = Dialer::new(target, limit);
    let path = match address.socket.clone() {
        Some(path) => path,
        None => address.find(&dialer).await?,
    };
    let mut request = address.request(&path)?;
    // Compression between two processes of one machine costs more than it gains.
    let ask = Ask::write(request.headers_mut(), false).map_err(|_| AttachError::Address)?;
    let answer = address.ask(&dialer, request).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(AttachError::Status {
            address: address.shown(),
            status: answer.status().as_u16(),
            what: "a WebSocket's opening request",
        });
    }
    ask.judge(answer.headers())
        .map_err(|error: AnswerError| address.nonsense(&error.to_string()))?;
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = upgraded.map_err(|_| address.unreachable("the connection broke"))?;
    Ok(socket::halves(TokioIo::new(upgraded), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = |tls, host: &str, port, socket: Option<&str>| {
            Ok(Address {
                tls,
                host: host.to_owned(),
                port,
                socket: socket.map(str::to_owned),
            })
        };
        for (text, expected) in [
            (
                "http://127.0.0.1:9222",
                address(false, "127.0.0.1", 9222, None),
            ),
            ("http://[::1]:9222/", address(false, "::1", 9222, None)),
            (
                "https://chrome.example",
                address(true, "chrome.example", 443, None),
            ),
            (
                "ws://chrome:9222/devtools/browser/a?b=c",
                address(false, "chrome", 9222, Some("/devtools/browser/a?b=c")),
            ),
            ("wss://host/", address(true, "host", 443, Some("/"))),
            ("", Err(AttachError::Address)),
            ("127.0.0.1:9222", Err(AttachError::Address)),
            ("ftp://a", Err(AttachError::Address)),
            ("http://", Err(AttachError::Address)),
            ("http://user:pw@host:1", Err(AttachError::Address)),
            ("http://host:1/json/version", Err(AttachError::Address)),
            ("ws:///a", Err(AttachError::Address)),
        ] {
            assert_eq!(Address::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn the_host_is_one_that_chromium_answers_to() {
        let header = |text: &str| Address::parse(text).unwrap().host_header();
        assert_eq!(header("http://chrome:9222"), "127.0.0.1:9222");
        assert_eq!(header("ws://[::1]:1/x"), "127.0.0.1:1");
        assert_eq!(header("wss://chrome.example/x"), "chrome.example:443");
    }
}
