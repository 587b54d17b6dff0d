//! A stand-in for a model provider: keeps every byte that it gets, and answers a chat completion.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request at most: several times what the story sends.
const MAX_BYTES: usize = 1 << 20;

/// What the model says in the end, piece by piece. It knows names only.
const WORDS: [&str; 6] = [
    "Signed in as ",
    "x_username",
    ". The form sent x_password, ",
    "and the script may use x_api_key. ",
    "Next I confirm with x_pin",
    ".",
];

/// A provider on a free port of loopback. Dropping it stops it.
pub(super) struct StandIn {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl StandIn {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that breaks shows as a request that is missing.
                tokio::spawn(serve(stream, Arc::clone(&record)));
            }
        });
        Ok(Self {
            addr,
            received,
            task,
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The requests, each with its head.
    pub(super) fn received(&self) -> Vec<Vec<u8>> {
        let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, record: Arc<Mutex<Vec<Vec<u8>>>>) -> io::Result<()> {
    loop {
        let request = read(&mut stream).await?;
        if request.is_empty() {
            return Ok(());
        }
        let streamed = body(&request).is_some_and(|body| {
            serde_json::from_slice::<serde_json::Value>(body)
                .is_ok_and(|asked| asked["stream"] == true)
        });
        record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        answer(&mut stream, streamed).await?;
    }
}

/// One whole request; nothing if the connection ends.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(body) = body(&request)
            && body.len() >= length(&request)
        {
            return Ok(request);
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(Vec::new());
        }
        if request.len() > MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// What follows a request's head, if that is whole.
pub(super) fn body(request: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find(request, b"\r\n\r\n").map(|at| &request[at + 4..])
}

/// The body's length as the head says it; the sidecar always knows it for bodies of this size.
fn length(request: &[u8]) -> usize {
    let head = String::from_utf8_lossy(request);
    let lines = head.split("\r\n").take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse().ok())
        .unwrap_or(0)
}

async fn answer(stream: &mut TcpStream, streamed: bool) -> io::Result<()> {
    if !streamed {
        let body = completion();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        return stream.write_all((head + &body).as_bytes()).await;
    }
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for event in events() {
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// The answer to the first request: the model wants a tool, and names what it is to use.
pub(super) fn completion() -> String {
    let arguments = json!({ "url": "https://shop.example.com/login", "user": "x_username", "password": "x_password" });
    let call = json!({ "id": "call_1", "type": "function",
        "function": { "name": "log_in", "arguments": arguments.to_string() } });
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stand-in-1",
        "choices": [{ "index": 0, "finish_reason": "tool_calls",
            "message": { "role": "assistant", "content": null, "tool_calls": [call] } }],
    })
    .to_string()
}

/// The events of the second answer, as they stand on the wire.
pub(super) fn events() -> Vec<String> {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let body = json!({ "id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 2,
            "model": "stand-in-1", "choices": [choice] });
        format!("data: {body}\n\n")
    };
    let mut events: Vec<String> = WORDS
        .iter()
        .map(|words| chunk(json!({ "content": words }), None))
        .collect();
    events.push(chunk(json!({}), Some("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// What the events say together.
pub(super) fn words() -> String {
    WORDS.concat()
}
