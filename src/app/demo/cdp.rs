//! A browser tool as the demonstration needs it: it opens a WebSocket, sends commands, and keeps every byte that it gets.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use crate::net::websocket::frame::{Event, Head, Opcode, Parser};
use crate::net::websocket::handshake::Ask;
use crate::net::websocket::stream::{Reader, Writer};

/// Bytes of a message at most: many times what the story leads to.
const MAX_MESSAGE: u64 = 64 << 20;

type Io = TokioIo<Upgraded>;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CdpError {
    /// The connection.
    #[error("the connection to the browser broke off: {0}")]
    System(#[from] io::Error),
    /// Ours to the sidecar.
    #[error("the browser channel did not answer as a browser does: {0}")]
    Http(String),
    /// What the browser, or the sidecar, says.
    #[error("{0}")]
    Refused(String),
}

#[allow(clippy::needless_pass_by_value)] // what `map_err` hands over
fn strange(error: impl ToString) -> CdpError {
    CdpError::Http(error.to_string())
}

/// A connection to the browser channel.
pub(super) struct Client {
    reader: Reader<ReadHalf<Io>>,
    writer: Writer<WriteHalf<Io>>,
    last: u64,
    events: Vec<String>,
    received: Vec<u8>,
}

impl Client {
    /// Finds the browser's endpoint as all tools do, and opens it.
    pub(super) async fn open(addr: SocketAddr) -> Result<Self, CdpError> {
        let version = get(addr, "/json/version", HeaderMap::new()).await?;
        let version = version
            .into_body()
            .collect()
            .await
            .map_err(strange)?
            .to_bytes();
        let version: Value = serde_json::from_slice(&version).map_err(strange)?;
        let url = version["webSocketDebuggerUrl"].as_str().unwrap_or_default();
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut headers = HeaderMap::new();
        let ask = Ask::write(&mut headers, false).map_err(strange)?;
        let answer = get(addr, &format!("/{path}"), headers).await?;
        ask.judge(answer.headers()).map_err(strange)?;
        let io = hyper::upgrade::on(answer).await.map_err(strange)?;
        let (read, write) = tokio::io::split(TokioIo::new(io));
        Ok(Self {
            reader: Reader::new(read, Parser::new(false, false, MAX_MESSAGE)),
            writer: Writer::of_client(write),
            last: 0,
            events: Vec::new(),
            received: Vec::new(),
        })
    }

    /// A command, and its result.
    pub(super) async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, CdpError> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let head = Head {
            opcode: Opcode::Text,
            fin: true,
            compressed: false,
        };
        self.writer
            .frame(head, BytesMut::from(command.to_string().as_bytes()))?;
        self.writer.flush().await?;
        loop {
            let message = self.message().await?;
            if message["id"] != self.last {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(CdpError::Refused(
                    error["message"].as_str().unwrap_or_default().to_owned(),
                ));
            }
            return Ok(message["result"].clone());
        }
    }

    /// Waits until an event of that name has come since the last wait.
    pub(super) async fn event(&mut self, name: &str) -> Result<(), CdpError> {
        while !self.events.iter().any(|event| event == name) {
            self.message().await?;
        }
        self.events.clear();
        Ok(())
    }

    /// Every byte that it got.
    pub(super) fn received(self) -> Vec<u8> {
        self.received
    }

    async fn message(&mut self) -> Result<Value, CdpError> {
        let mut text = Vec::new();
        loop {
            match self.reader.event().map_err(strange)? {
                Some(Event::Data(piece)) => {
                    text.extend_from_slice(&piece.payload);
                    if piece.last {
                        break;
                    }
                }
                Some(Event::Close(_)) => {
                    return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
                }
                None if self.reader.fill().await? == 0 => {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Some(_) | None => {}
            }
        }
        self.received.extend_from_slice(&text);
        let message: Value = serde_json::from_slice(&text).map_err(strange)?;
        if let Some(method) = message["method"].as_str() {
            self.events.push(method.to_owned());
        }
        Ok(message)
    }
}

async fn get(
    addr: SocketAddr,
    path: &str,
    headers: HeaderMap,
) -> Result<http::Response<hyper::body::Incoming>, CdpError> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(strange)?;
    // It ends with the answer, or goes on as a WebSocket.
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::get(path).header(header::HOST, addr.to_string());
    if let Some(all) = request.headers_mut() {
        all.extend(headers);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(strange)?;
    sender.send_request(request).await.map_err(strange)
}
