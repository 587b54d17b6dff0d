//! HTTP/2 on both sides of a sidecar: by a library where a peer behaves, by single frames where it does not.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bauta::config::{Config, Limits};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::model_kit::BOUND;
use super::model_tls::{Authority, over_tls};

/// Runs a test that plays its peers by a library, within the bound.
pub fn play<T>(scene: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { timeout(BOUND, scene).await })
        .expect("within the bound")
}

/// A client's connection.
pub struct Client {
    pub sender: SendRequest<Bytes>,
    pub driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// An answer to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Client {
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::with(h2::client::Builder::new(), io).await
    }

    pub async fn with(
        builder: h2::client::Builder,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Self {
        let (sender, connection) = builder.handshake(io).await.unwrap();
        let driver = tokio::spawn(connection);
        Self { sender, driver }
    }

    /// With prior knowledge.
    pub async fn plain(addr: SocketAddr) -> Self {
        Self::over(tokio::net::TcpStream::connect(addr).await.unwrap()).await
    }

    pub async fn tls(addr: SocketAddr, authority: &Authority) -> Self {
        Self::over(tls(addr, authority, &["h2", "http/1.1"]).await.unwrap()).await
    }

    pub fn begin(
        &mut self,
        request: Request<()>,
        ended: bool,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        self.sender.send_request(request, ended).unwrap()
    }

    pub async fn send(&mut self, request: Request<()>, body: &[u8]) -> Result<Answer, h2::Error> {
        let (answer, mut stream) = self.begin(request, body.is_empty());
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true)?;
        }
        collect(answer.await?).await
    }
}

pub async fn tls(
    addr: SocketAddr,
    authority: &Authority,
    protocols: &[&str],
) -> io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(authority.client(protocols)));
    connector
        .connect(ServerName::try_from("localhost").unwrap(), tcp)
        .await
}

/// A POST with a plain text to the provider, in the words of a connection without TLS.
pub fn post(path: &str) -> http::request::Builder {
    Request::post(format!("http://localhost{path}")).header("content-type", "text/plain")
}

pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://localhost{path}"))
        .body(())
        .unwrap()
}

pub async fn collect(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        trailers: stream.trailers().await?,
    })
}

impl Answer {
    /// Status and code of an error in our shape.
    pub fn error(&self) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        (
            self.status,
            body["error"]["code"].as_str().unwrap().to_owned(),
        )
    }
}

/// What an upstream does with all of its connections.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// GOAWAY; what is under way goes on.
    Graceful,
    /// GOAWAY with an error; everything ends.
    Abrupt,
    /// Closes without a word.
    Close,
}

/// A TLS upstream that speaks HTTP/2; the test answers its requests.
pub struct Upstream {
    pub addr: SocketAddr,
    pub authority: Authority,
    exchanges: mpsc::UnboundedReceiver<Exchange>,
    orders: broadcast::Sender<Order>,
}

/// One request as the upstream has it.
pub struct Exchange {
    /// Which of the upstream's connections it came on, from 0.
    pub connection: usize,
    pub head: http::request::Parts,
    pub body: RecvStream,
    pub reply: SendResponse<Bytes>,
}

impl Upstream {
    pub async fn bind() -> Self {
        Self::with(h2::server::Builder::new()).await
    }

    pub async fn with(builder: h2::server::Builder) -> Self {
        let authority = Authority::new();
        let acceptor =
            TlsAcceptor::from(Arc::new(authority.server("localhost", &["h2", "http/1.1"])));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, exchanges) = mpsc::unbounded_channel();
        let (orders, _) = broadcast::channel(8);
        let for_all = orders.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                let Ok(tls) = acceptor.accept(tcp).await else {
                    continue;
                };
                assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                let (builder, sender, orders) =
                    (builder.clone(), sender.clone(), for_all.subscribe());
                tokio::spawn(serve(tls, builder, connection, sender, orders));
            }
        });
        Self {
            addr,
            authority,
            exchanges,
            orders,
        }
    }

    /// The configuration of a sidecar in front of it.
    pub fn config(&self, limits: Limits) -> Config {
        let mut config = over_tls("localhost", self.addr, Some(self.authority.file()));
        config.model.as_mut().unwrap().limits = limits;
        config
    }

    /// The next request.
    pub async fn accept(&mut self) -> Exchange {
        timeout(BOUND, self.exchanges.recv())
            .await
            .expect("a request upstream")
            .unwrap()
    }

    /// Whether no request has come. Meaningful once the sidecar has answered without an upstream.
    pub fn is_untouched(&mut self) -> bool {
        self.exchanges.try_recv().is_err()
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }
}

async fn serve<T: AsyncRead + AsyncWrite + Unpin>(
    io: T,
    builder: h2::server::Builder,
    connection: usize,
    sender: mpsc::UnboundedSender<Exchange>,
    mut orders: broadcast::Receiver<Order>,
) {
    let mut http = builder.handshake::<_, Bytes>(io).await.unwrap();
    loop {
        tokio::select! {
            accepted = http.accept() => {
                let Some(Ok((request, reply))) = accepted else { return };
                let (head, body) = request.into_parts();
                let exchange = Exchange { connection, head, body, reply };
                if sender.send(exchange).is_err() {
                    return;
                }
            }
            order = orders.recv() => match order {
                Ok(Order::Graceful) => http.graceful_shutdown(),
                Ok(Order::Abrupt) => http.abrupt_shutdown(Reason::INTERNAL_ERROR),
                _ => return,
            },
        }
    }
}

impl Exchange {
    /// The whole request body, or how it broke off.
    pub async fn read(&mut self) -> Result<Vec<u8>, h2::Error> {
        let mut body = Vec::new();
        while let Some(data) = self.body.data().await {
            let data = data?;
            self.body
                .flow_control()
                .release_capacity(data.len())
                .unwrap();
            body.extend_from_slice(&data);
        }
        Ok(body)
    }

    /// Begins an answer.
    pub fn begin(&mut self, status: u16, ended: bool) -> SendStream<Bytes> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        self.reply.send_response(response, ended).unwrap()
    }

    pub fn answer(&mut self, status: u16, body: &[u8]) {
        self.begin(status, false)
            .send_data(Bytes::copy_from_slice(body), true)
            .unwrap();
    }

    /// Waits until the stream is reset or its connection gone.
    pub async fn cancelled(&mut self) -> Option<Reason> {
        poll_fn(|cx| self.reply.poll_reset(cx)).await.ok()
    }
}

/// Sends that many bytes as the peer takes them, without an end.
pub async fn fill(stream: &mut SendStream<Bytes>, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        stream.reserve_capacity(left.min(16 << 10));
        while stream.capacity() == 0 {
            let grown = poll_fn(|cx| stream.poll_capacity(cx)).await;
            grown.expect("the stream").unwrap();
        }
        let part = stream.capacity().min(left);
        let data = Bytes::from(vec![b'.'; part]);
        stream.send_data(data, false).unwrap();
        left -= part;
    }
}

// Single frames.

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals that are not indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            integer(&mut out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn integer(out: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        out.push(u8::try_from(value).unwrap());
        return;
    }
    out.push(127);
    value -= 127;
    while value >= 128 {
        out.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    out.push(u8::try_from(value).unwrap());
}

pub const REQUEST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/p/x"),
];

/// The head of a request with these headers more.
pub fn head(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&REQUEST[..], more].concat();
    frame(HEADERS, flags | END_HEADERS, stream, &block(&fields))
}

/// One end of a connection, frame by frame. Settings and pings are answered.
pub struct Raw<S> {
    pub stream: S,
    seen: Vec<u8>,
}

impl Raw<TcpStream> {
    /// A client that has said hello.
    pub fn client(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(BOUND)).unwrap();
        }
        let mut raw = Self::new(stream);
        raw.send(PREFACE);
        raw.send(frame(SETTINGS, 0, 0, &[]));
        raw
    }
}

impl<S: Read + Write> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// A server: reads the preface, and says hello.
    pub fn server(stream: S) -> Self {
        let mut raw = Self::new(stream);
        let mut preface = [0; 24];
        raw.stream.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
        raw.send(frame(SETTINGS, 0, 0, &[]));
        raw
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// The next frame; `None` at the end, however it comes.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                if frame.flags & ACK == 0 && (frame.kind == SETTINGS || frame.kind == PING) {
                    let payload = if frame.kind == PING {
                        &frame.payload[..]
                    } else {
                        &[]
                    };
                    // The other end may be gone by now.
                    let _ = self.try_send(self::frame(frame.kind, ACK, 0, payload));
                }
                return Some(frame);
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.seen.extend_from_slice(&buffer[..count]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => panic!("no frame came"),
                    // As when a debugger or a container's freezer halted the process.
                    io::ErrorKind::Interrupted => {}
                    _ => return None,
                },
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let (length, rest) = self.seen.split_first_chunk::<3>()?;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let frame = rest.get(..6 + length).map(|bytes| Frame {
            kind: bytes[0],
            flags: bytes[1],
            stream: u32::from_be_bytes(bytes[2..6].try_into().unwrap()) & 0x7fff_ffff,
            payload: bytes[6..].to_vec(),
        })?;
        self.seen.drain(..9 + length);
        Some(frame)
    }

    /// The next frame of that kind.
    pub fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self
                .next()
                .unwrap_or_else(|| panic!("the end before a frame of kind {kind}"));
            if frame.kind == kind && (frame.flags & ACK == 0 || (kind != SETTINGS && kind != PING))
            {
                return frame;
            }
        }
    }

    /// Reads to the end; the reason of the last GOAWAY, if there was one.
    pub fn end(&mut self) -> Option<Reason> {
        let mut reason = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                reason = Some(code(&frame.payload[4..8]));
            }
        }
        reason
    }

    /// The reason with which that stream is reset; frames of others are passed over.
    pub fn reset_of(&mut self, stream: u32) -> Reason {
        loop {
            let frame = self.until(RST_STREAM);
            if frame.stream == stream {
                return code(&frame.payload);
            }
        }
    }

    /// Reads the answer on a stream to its end: the first byte of its head, which tells common statuses, and its body. `None` if
    /// it is reset.
    pub fn answer(&mut self, stream: u32) -> Option<(u8, Vec<u8>)> {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = self.next().expect("an answer");
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RST_STREAM => return None,
                HEADERS => status = frame.payload[0],
                DATA => body.extend_from_slice(&frame.payload),
                _ => continue,
            }
            if frame.flags & END_STREAM != 0 {
                return Some((status, body));
            }
        }
    }
}

fn code(bytes: &[u8]) -> Reason {
    u32::from_be_bytes(bytes.try_into().unwrap()).into()
}

/// How a header block begins that says `:status: 200` by the static table.
pub const STATUS_200: u8 = 0x88;
