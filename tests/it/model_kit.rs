//! Raw wires on both sides of a sidecar: what is sent is what the test wrote, what is seen is what came.
//!
//! Tests drive client and upstream from one thread, in lockstep. Every wait has a bound; nothing sleeps.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bauta::app::Running;
use bauta::config::{Config, Inject, Limits, Listen, Model, Provider, Signed};
use bauta::secret::{Limits as SecretLimits, Secret, parse_submission};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// The bound of every wait: reached only where a test fails.
pub const BOUND: Duration = Duration::from_secs(30);

/// The value that no upstream may see, and its key.
pub const VALUE: &str = "tr0ub4dor&3 horse/\"staple\"";
/// A second value, of plain characters.
pub const TOKEN: &str = "sk-live-51Hx2eKfQ9wZ";
pub const SECRETS: &str = r#"{"https://example.com": {"x_password": "tr0ub4dor&3 horse/\"staple\"", "x_token": "sk-live-51Hx2eKfQ9wZ"}}"#;

/// A sidecar in this process.
pub struct Sidecar {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    pub addr: SocketAddr,
    /// What it writes.
    pub state: TempDir,
}

pub fn secrets(text: &str) -> Vec<Secret> {
    let bytes = Zeroizing::new(text.as_bytes().to_vec());
    match parse_submission(bytes, &SecretLimits::default()) {
        Ok(submission) => submission.into_secrets(&"agent:agent".parse().unwrap()),
        Err(problems) => panic!("{problems:?}"),
    }
}

/// The same configuration, whose state is in that folder.
pub fn housed(config: &Config, folder: &Path) -> Config {
    let mut config = config.clone();
    config.vault.path = folder.join("vault.db");
    config.audit.path = folder.join("audit.log");
    config.state_dir = folder.into();
    config
}

/// One provider `p` at that base URL, the listener on a free port.
pub fn config(upstream: &str, limits: Limits) -> Config {
    let provider = Provider {
        name: "p".to_owned(),
        path: "p".to_owned(),
        upstream: upstream.parse().unwrap(),
        ca: None,
        secret: None,
        inject: Inject::default(),
    };
    Config {
        model: Some(Model {
            listen: Listen::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
            hosts: vec!["bauta.internal".to_owned()],
            mask_responses: false,
            signed: Signed::Refuse,
            limits,
            providers: vec![provider],
            ..Model::default()
        }),
        ..Config::default()
    }
}

impl Sidecar {
    /// In front of that upstream, with the usual secrets and limits.
    pub fn before(upstream: &Upstream) -> Self {
        Self::with(&config(&upstream.url(), Limits::default()), SECRETS)
    }

    /// In front of that upstream, with other limits.
    pub fn limited(upstream: &Upstream, limits: Limits) -> Self {
        Self::with(&config(&upstream.url(), limits), SECRETS)
    }

    /// As [`Sidecar::limited`], and it masks answers too.
    pub fn masking_answers(upstream: &Upstream, limits: Limits) -> Self {
        let mut config = config(&upstream.url(), limits);
        if let Some(model) = &mut config.model {
            model.mask_responses = true;
        }
        Self::with(&config, SECRETS)
    }

    pub fn with(config: &Config, secrets_text: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let state = tempfile::tempdir().unwrap();
        let config = housed(config, state.path());
        let running = runtime
            .block_on(Running::start(&config, secrets(secrets_text)))
            .unwrap();
        let addr = running.model_addr().unwrap();
        Self {
            runtime,
            running: Some(running),
            addr,
            state,
        }
    }

    pub fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).unwrap())
    }

    /// Sends one request on a connection of its own, for which no upstream is asked, and returns the answer.
    pub fn refused(&self, request: &[u8]) -> Message {
        let mut client = self.connect();
        client.send(request);
        client.message("POST")
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// In front of what the configuration says, with the vault of the configuration.
    pub fn over_vault(config: &Config, state: TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(Running::start_with_vault(config)).unwrap();
        let addr = running.model_addr().unwrap();
        Self {
            runtime,
            running: Some(running),
            addr,
            state,
        }
    }

    /// Ends, and leaves what it wrote.
    pub fn stop(mut self) -> TempDir {
        self.runtime
            .block_on(self.running.take().unwrap().shutdown());
        self.state
    }

    /// Drains; returns how many connections were cut.
    pub fn shutdown(mut self) -> usize {
        self.runtime
            .block_on(self.running.take().unwrap().shutdown())
    }
}

/// A listener whose connections the test plays the provider on.
pub struct Upstream {
    pub addr: SocketAddr,
    connections: Receiver<TcpStream>,
}

impl Upstream {
    pub fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, connections) = channel();
        // Ends when the test is over: the next accepted connection finds no receiver, or the process ends.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { addr, connections }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next connection.
    pub fn accept(&self) -> Wire {
        Wire::new(
            self.connections
                .recv_timeout(BOUND)
                .expect("no connection to the upstream"),
        )
    }

    /// A connection, if there is one by now.
    pub fn try_accept(&self) -> Option<Wire> {
        self.connections.try_recv().ok().map(Wire::new)
    }

    /// The next connection within that time.
    pub fn accept_until(&self, time: Duration) -> Option<Wire> {
        self.connections.recv_timeout(time).ok().map(Wire::new)
    }

    /// Whether nobody has connected. Meaningful once the sidecar has answered without an upstream.
    pub fn is_untouched(&self) -> bool {
        self.connections.try_recv().is_err()
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An ordinary close.
    Close,
    /// A reset.
    Reset,
}

/// One end of a TCP connection, with all that came on it.
pub struct Wire {
    stream: TcpStream,
    /// Every byte that came.
    pub seen: Vec<u8>,
    taken: usize,
}

/// A message as it was framed on the wire.
#[derive(Debug)]
pub struct Message {
    /// First line and headers, with the empty line.
    pub head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the framing said that it was all.
    pub complete: bool,
    /// The chunks, for a chunked body.
    pub chunks: Vec<Vec<u8>>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            seen: Vec::new(),
            taken: 0,
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends, where the other end may be gone already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// As [`Wire::half_close`], where the other end may be gone already.
    pub fn try_half_close(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Closes by reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.seen.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn rest(&self) -> &[u8] {
        &self.seen[self.taken..]
    }

    /// Reads until `wanted` has come, and takes all up to its end.
    pub fn until(&mut self, wanted: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = find(self.rest(), wanted) {
                let end = self.taken + at + wanted.len();
                let out = self.seen[self.taken..end].to_vec();
                self.taken = end;
                return out;
            }
            let count = self
                .fill()
                .unwrap_or_else(|e| panic!("{e} while waiting; so far: {}", self.shown()));
            assert!(count > 0, "closed while waiting; so far: {}", self.shown());
        }
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    pub fn head(&mut self) -> String {
        String::from_utf8(self.until(b"\r\n\r\n")).unwrap()
    }

    /// A request with its body.
    pub fn request(&mut self) -> Message {
        let head = self.head();
        self.body_of(head, false)
    }

    /// A request with its body, or `None` if the connection ends before there is a whole head.
    pub fn request_or_end(&mut self) -> Option<Message> {
        while find(self.rest(), b"\r\n\r\n").is_none() {
            if self.fill().ok()? == 0 {
                return None;
            }
        }
        Some(self.request())
    }

    /// A response as [`Wire::message`], or `None` if the connection ends before there is a whole head.
    pub fn message_or_end(&mut self, method: &str) -> Option<Message> {
        while find(self.rest(), b"\r\n\r\n").is_none() {
            match self.fill() {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error} while waiting for a head"),
            }
        }
        Some(self.message(method))
    }

    /// A response to a request of that method, with its body.
    pub fn message(&mut self, method: &str) -> Message {
        let head = self.head();
        let status = status_of(&head);
        if method == "HEAD" || status == 204 || status == 304 || status < 200 {
            return Message {
                head,
                body: Vec::new(),
                complete: true,
                chunks: Vec::new(),
            };
        }
        self.body_of(head, true)
    }

    pub fn body_of(&mut self, head: String, response: bool) -> Message {
        let mut message = Message {
            head,
            body: Vec::new(),
            complete: false,
            chunks: Vec::new(),
        };
        if let Some(length) = message.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.rest().len() < length && self.fill().is_ok_and(|count| count > 0) {}
            message.body = self.take(length);
            message.complete = message.body.len() == length;
        } else if message.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                if chunk.is_empty() {
                    message.complete = true;
                    break;
                }
                message.body.extend_from_slice(&chunk);
                message.chunks.push(chunk);
            }
        } else if response {
            message.complete = matches!(self.end(), End::Close);
            message.body = self.take(usize::MAX);
        } else {
            message.complete = true;
        }
        message
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        let end = self.taken.saturating_add(most).min(self.seen.len());
        let out = self.seen[self.taken..end].to_vec();
        self.taken = end;
        out
    }

    /// The next chunk of a chunked body: empty for the last one, `None` if the connection ends before it is whole.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let end_of_line = loop {
            if let Some(at) = find(self.rest(), b"\r\n") {
                break at;
            }
            if self.fill().ok()? == 0 {
                return None;
            }
        };
        let line = String::from_utf8(self.rest()[..end_of_line].to_vec()).unwrap();
        let length = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
        let whole = end_of_line + 2 + length + 2;
        while self.rest().len() < whole {
            if self.fill().ok()? == 0 {
                return None;
            }
        }
        let framed = self.take(whole);
        assert!(framed.ends_with(b"\r\n"));
        Some(framed[end_of_line + 2..whole - 2].to_vec())
    }

    /// Reads to the end of the connection; whether the chunked body on it looked complete.
    pub fn saw_last_chunk(&mut self) -> bool {
        while let Some(chunk) = self.chunk() {
            if chunk.is_empty() {
                return true;
            }
        }
        false
    }

    /// The next bytes, so many; `None` if the connection ends before.
    pub fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.rest().len() < count {
            match self.fill() {
                Ok(1..) => {}
                Ok(0) => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error} while waiting; so far: {}", self.shown()),
            }
        }
        Some(self.take(count))
    }

    /// The bare connection, and what came and was not taken.
    pub fn into_stream(self) -> (TcpStream, Vec<u8>) {
        let rest = self.rest().to_vec();
        (self.stream, rest)
    }

    /// Drops what was taken from the record: for bodies that do not fit into memory.
    pub fn forget(&mut self) {
        self.seen.drain(..self.taken);
        self.taken = 0;
    }

    /// Reads to the end and says how it ended.
    pub fn end(&mut self) -> End {
        loop {
            match self.fill() {
                Ok(0) => return End::Close,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!(
                    "the connection did not end: {error}; so far: {}",
                    self.shown()
                ),
            }
        }
    }
}

impl Message {
    /// The value of a header that stands once.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut all = self.headers(name);
        assert!(all.len() < 2, "{name} stands twice in {}", self.head);
        all.pop()
    }

    pub fn headers(&self, name: &str) -> Vec<String> {
        let lines = self
            .head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
            .collect()
    }

    pub fn status(&self) -> u16 {
        status_of(&self.head)
    }

    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    /// Status and code of an error in our shape, after a look at that shape.
    pub fn error(&self) -> (u16, String) {
        assert!(self.complete, "{}", self.head);
        assert_eq!(
            self.header("content-type").as_deref(),
            Some("application/json"),
            "{}",
            self.head
        );
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["type"], "error");
        let error = body["error"].as_object().unwrap();
        assert!(error["type"].is_string() && error["message"].as_str().unwrap().len() > 20);
        let code = error["code"].as_str().unwrap();
        let names_one = matches!(code, "signed_block" | "credential_refused");
        assert!(error["placeholder"].is_null() != names_one || code.ends_with("_unavailable"));
        (self.status(), code.to_owned())
    }

    /// A member of an error in our shape.
    pub fn error_text(&self, member: &str) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["error"][member].as_str().unwrap().to_owned()
    }
}

pub fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

pub fn contains(haystack: &[u8], needle: &str) -> bool {
    find(haystack, needle.as_bytes()).is_some()
}

/// A POST to the provider, with `Host` and its length.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An answer that says that its connection ends with it.
///
/// For tests whose upstream goes after one answer and takes the next request on a new connection: nobody can say when the sidecar
/// hears of an end that was not announced.
pub fn last(answer: impl AsRef<[u8]>) -> Vec<u8> {
    let answer = answer.as_ref();
    let line = answer.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    [&answer[..line], b"Connection: close\r\n", &answer[line..]].concat()
}

/// Takes back the escapes of `tests/data/smuggling.tsv`, which says what they are.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '{' => {
                let (inner, after) = after.split_once('}').unwrap();
                match inner {
                    "P" => out.extend_from_slice(b"POST /p/x HTTP/1.1\r\nHost: localhost\r\n"),
                    "G" => out.extend_from_slice(b"GET /p/x HTTP/1.1\r\nHost: localhost\r\n"),
                    repeated => {
                        let (text, times) = repeated.rsplit_once('*').unwrap();
                        out.extend(unescape(text).repeat(times.parse().unwrap()));
                    }
                }
                after
            }
            '\\' => {
                let (byte, length) = match after.as_bytes()[0] {
                    b'r' => (b'\r', 1),
                    b'n' => (b'\n', 1),
                    b't' => (b'\t', 1),
                    b'0' => (0, 1),
                    b'\\' => (b'\\', 1),
                    b'x' => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
                    other => panic!("an escape that is none: {}", char::from(other)),
                };
                out.push(byte);
                &after[length..]
            }
            plain => {
                out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
        };
    }
    out
}
