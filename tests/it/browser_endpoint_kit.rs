//! A sidecar with the browser channel and a browser of its own, raw requests to it, and a client that speaks CDP over a WebSocket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bauta::audit::{self, EphemeralKeeper, Recorder};
use bauta::browser::{Channel, Settings};
use bauta::guard::{Guard, Rules, Spelling};
use bauta::net::server::{self, Listener};
use bauta::secret::{self, Secret, View, parse_submission};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client::client_with_config};

use crate::browser_hub_kit::settings;

const LIMITS: server::Limits = server::Limits {
    max_connections: 64,
    max_header_bytes: 64 << 10,
    max_headers: 100,
    header_timeout: Duration::from_secs(30),
    idle_timeout: Duration::from_secs(30),
    drain_timeout: Duration::from_secs(5),
};

/// Longer than anything takes that works, on a busy machine as well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Holds in a page that has loaded and is not the empty one that it was.
pub const LOADED: &str = "location.href !== 'about:blank' && document.readyState === 'complete'";

/// A value with everything that needs escaping somewhere, and one that is also a number.
pub const PASSWORD: &str = "Tr0ub&dor\"3/\u{f6}";
pub const PIN: &str = "4821";

pub const SECRETS: &str =
    r#"{"http://127.0.0.1:*": {"x_password": "Tr0ub&dor\"3/ö", "x_pin": "4821"}}"#;

/// The secrets of a submission.
pub fn secrets(text: &str) -> Vec<Secret> {
    let submission = parse_submission(text.as_bytes().to_vec().into(), &secret::Limits::default());
    let submission = submission.unwrap_or_else(|problems| panic!("{problems:?}"));
    submission.into_secrets(&"agent:agent".parse().unwrap())
}

/// The browser channel with its listener, as the sidecar has it.
pub struct Bauta {
    pub runtime: Runtime,
    pub guard: Arc<Guard>,
    channel: Arc<Channel>,
    recorder: Arc<Recorder>,
    stop: watch::Sender<bool>,
    served: JoinHandle<usize>,
    pub addr: SocketAddr,
    pub state: TempDir,
}

impl Bauta {
    /// With the usual settings, changed.
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = settings(state.path());
        change(&mut settings);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let log = audit::Settings {
            path: log(&state),
            rotate_bytes: 1 << 30,
            stdout: false,
            queue: 4096,
        };
        let keeper = Arc::new(EphemeralKeeper::new().unwrap());
        let recorder = Arc::new(Recorder::open(log, keeper).unwrap());
        let rules = Rules {
            accept: vec![Spelling::bare(), Spelling::new("<secret>", "</secret>")],
            ..Rules::default()
        };
        let view = View::new(secrets(SECRETS));
        let guard = Arc::new(Guard::new(
            view,
            rules,
            Arc::clone(&recorder),
            "agent",
            None,
        ));
        let (stop, stopped) = watch::channel(false);
        let (channel, addr, served) = runtime.block_on(async {
            let listener = Listener::tcp("127.0.0.1", 0).await.unwrap();
            let addr = listener.local_addr().unwrap();
            let channel = Channel::start(Arc::clone(&guard), settings).await;
            let channel = channel.unwrap_or_else(|error| panic!("{error}"));
            let handler = Arc::clone(&channel);
            let served = tokio::spawn(server::serve(
                listener,
                LIMITS,
                stopped,
                move |connection, request| Arc::clone(&handler).handle(connection, request),
            ));
            (channel, addr, served)
        });
        Self {
            runtime,
            guard,
            channel,
            recorder,
            stop,
            served,
            addr,
            state,
        }
    }

    pub fn ready(&self) -> Result<(), String> {
        self.channel.ready()
    }

    /// Sends a head and returns the answer's status and body.
    pub fn ask(&self, head: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    /// GET with the usual `Host`.
    pub fn get(&self, target: &str) -> (u16, String) {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: {}", self.addr))
    }

    pub fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target);
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A client of the whole browser.
    pub fn connect(&self) -> Cdp {
        let version = self.json("/json/version");
        let url = version["webSocketDebuggerUrl"].as_str().unwrap();
        self.socket(url).unwrap()
    }

    /// A client at that address; else the status of the refusal.
    pub fn socket(&self, url: &str) -> Result<Cdp, u16> {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let limits = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        match client_with_config(url, stream, Some(limits)) {
            Ok((socket, _)) => Ok(Cdp {
                socket,
                next: 0,
                seen: Vec::new(),
                came: String::new(),
            }),
            Err(tokio_tungstenite::tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends; what it wrote is left.
    pub fn stop(self) -> TempDir {
        self.stop.send(true).unwrap();
        self.runtime.block_on(async {
            self.served.await.unwrap();
            self.channel.stop().await;
        });
        drop((self.channel, self.guard));
        self.recorder.close().unwrap();
        self.state
    }
}

/// The audit log of a state's folder.
pub fn log(state: &TempDir) -> PathBuf {
    state.path().join("audit.log")
}

/// A client of CDP.
pub struct Cdp {
    pub socket: WebSocket<TcpStream>,
    next: i64,
    /// Events that came while an answer was awaited.
    pub seen: Vec<Value>,
    /// Every text that ever came.
    pub came: String,
}

impl Cdp {
    pub fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> i64 {
        self.next += 1;
        let mut command = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        self.say(&command.to_string());
        self.next
    }

    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next message; an error says how it ended.
    pub fn read(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    self.came.push_str(&text);
                    self.came.push('\n');
                    return Ok(serde_json::from_str(&text).expect("a message that is JSON"));
                }
                Ok(Message::Close(close)) => {
                    let close = close.map(|close| (u16::from(close.code), close.reason));
                    return Err(close.map_or("closed".to_owned(), |(code, reason)| {
                        format!("{code} {}", reason.as_str())
                    }));
                }
                Ok(_) => {}
                // As when a debugger or a container's freezer halted the process.
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    pub fn answer(&mut self, id: i64) -> Value {
        loop {
            let message = self.read().unwrap_or_else(|end| panic!("ended: {end}"));
            if message["id"] == json!(id) {
                return message;
            }
            self.seen.push(message);
        }
    }

    /// A command and its whole answer.
    pub fn ask(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let id = self.send(session, method, params);
        self.answer(id)
    }

    /// The result of a command that must succeed.
    pub fn must(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let mut answer = self.ask(session, method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Enables domains on a session.
    pub fn enable<const N: usize>(&mut self, session: &str, domains: [&str; N]) {
        for domain in domains {
            self.must(Some(session), &format!("{domain}.enable"), &json!({}));
        }
    }

    /// Goes to that address and takes its body as a stream, of which the handle is in `stream`.
    pub fn body_of(&mut self, session: &str, url: &str) -> Value {
        let on = Some(session);
        let patterns = json!({ "patterns": [{ "requestStage": "Response" }] });
        self.must(on, "Fetch.enable", &patterns);
        self.send(on, "Page.navigate", &json!({ "url": url }));
        let paused = self.event("Fetch.requestPaused");
        let request = json!({ "requestId": paused["params"]["requestId"] });
        self.must(on, "Fetch.takeResponseBodyAsStream", &request)
    }

    /// The next event of that name, which may have come already.
    pub fn event(&mut self, method: &str) -> Value {
        loop {
            let at = self.seen.iter().position(|event| event["method"] == method);
            if let Some(at) = at {
                return self.seen.remove(at);
            }
            let next = self.read().unwrap_or_else(|end| panic!("ended: {end}"));
            self.seen.push(next);
        }
    }

    /// How the connection ends.
    pub fn end(&mut self) -> String {
        loop {
            if let Err(end) = self.read() {
                return end;
            }
        }
    }

    /// A session of a target that is there.
    pub fn attach(&mut self, target: &str) -> String {
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = self.must(None, "Target.attachToTarget", &attach);
        attached["sessionId"].as_str().unwrap().to_owned()
    }

    /// A page of its own, loaded, and the client's session on it.
    pub fn page(&mut self, url: &str) -> (String, String) {
        let target = self.must(
            None,
            "Target.createTarget",
            &json!({ "url": "about:blank" }),
        );
        let target = target["targetId"].as_str().unwrap().to_owned();
        let session = self.attach(&target);
        self.must(Some(&session), "Page.enable", &json!({}));
        if url != "about:blank" {
            self.must(Some(&session), "Page.navigate", &json!({ "url": url }));
            self.event("Page.loadEventFired");
            // It may have been that of the first, empty document.
            self.until(&session, LOADED);
        }
        (target, session)
    }

    /// Waits until an expression holds there, whatever document comes meanwhile.
    pub fn until(&mut self, session: &str, condition: &str) {
        let look = json!({ "expression": format!("!!({condition})"), "returnByValue": true });
        let holds = eventually(|| {
            // A context that goes with its document says so.
            let seen = self.ask(Some(session), "Runtime.evaluate", &look);
            seen["result"]["result"]["value"] == true
        });
        assert!(holds, "never: {condition}");
    }

    pub fn evaluate(&mut self, session: &str, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut got = self.must(Some(session), "Runtime.evaluate", &params);
        got["result"]["value"].take()
    }
}

/// Whether that becomes true in time; each look is a request, or as dear as one.
pub fn eventually(mut look: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        if look() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// A site that answers any request with that type and body; its address.
pub fn site(kind: &'static str, body: Vec<u8>) -> String {
    site_of(move |_| (kind, body.clone()))
}

/// The same, with an answer for each target of a request.
pub fn site_of(
    answers: impl Fn(&str) -> (&'static str, Vec<u8>) + Clone + Send + 'static,
) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answers = answers.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut piece = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(count @ 1..) => head.extend_from_slice(&piece[..count]),
                        _ => return,
                    }
                }
                let head = String::from_utf8_lossy(&head);
                let (kind, body) = answers(head.split(' ').nth(1).unwrap_or_default());
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                // A browser that went away is no concern of ours.
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.write_all(&body);
            });
        }
    });
    format!("http://{address}/")
}
