//! A browser behind the hub, clients whose commands and events an inspector sees, and a server that keeps every request.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bauta::audit::{self, EphemeralKeeper, Recorder};
use bauta::browser::hub::{FromBrowser, Hub, Incoming};
use bauta::browser::inspect::{self, Inspector};
use bauta::browser::pages::Pages;
use bauta::browser::{
    Captures, Command, Context, Event, Launch, Limits, Observed, Settings, Upstream, Verdict,
    methods,
};
use bauta::guard::{Guard, Rules, Spelling};
use bauta::secret::{self, View, parse_submission};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::browser_kit::Asked;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on two ports; `localhost` is another site beside `127.0.0.1`.
pub struct Server {
    ports: [u16; 2],
    saw: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    fn start() -> Self {
        let saw: Arc<Mutex<Vec<_>>> = Arc::default();
        let ports = [(); 2].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let saw = Arc::clone(&saw);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let saw = Arc::clone(&saw);
                    thread::spawn(move || stream.map(|stream| serve(&stream, &saw)));
                }
            });
            port
        });
        Self { ports, saw }
    }

    /// The origin that secrets belong to.
    pub fn home(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Another.
    pub fn other(&self) -> String {
        format!("http://localhost:{}", self.ports[1])
    }

    /// The requests that an origin got, whole.
    pub fn saw(&self, origin: &str) -> Vec<String> {
        let saw = self.saw.lock().unwrap();
        let host = origin.strip_prefix("http://").unwrap();
        let all = saw.iter().filter(|(at, _)| at == host);
        all.map(|(_, text)| text.clone()).collect()
    }
}

/// `/auth` wants credentials, `/file` is a download, `/to?URL` leads there with 307; everything else is a page.
fn serve(stream: &TcpStream, saw: &Mutex<Vec<(String, String)>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let asked = Asked::read(&mut reader)?;
        let seen = (asked.header("host")?, asked.whole());
        saw.lock().unwrap().push(seen);
        let target = asked.target()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (status, more) = match path {
            "/auth" if asked.header("authorization").is_none() => (
                "401 Unauthorized",
                "www-authenticate: Basic realm=\"r\"\r\n".to_owned(),
            ),
            "/file" => (
                "200 OK",
                "content-disposition: attachment; filename=got.txt\r\n".to_owned(),
            ),
            "/to" => ("307 Temporary Redirect", format!("location: {query}\r\n")),
            _ => ("200 OK", String::new()),
        };
        let body = "<!DOCTYPE html><title>t</title><p>page</p>";
        let answer = format!(
            "HTTP/1.1 {status}\r\n{more}content-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = stream;
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

/// What all clients of a test share.
pub struct Kit {
    pub server: Server,
    pub hub: Arc<Hub>,
    pub pages: Arc<Pages>,
    guard: Arc<Guard>,
    settings: Arc<Settings>,
    shared: Arc<inspect::Shared>,
    log: PathBuf,
    folder: TempDir,
}

impl Kit {
    /// Runs a test with a browser of its own; `HOME` and `OTHER` in the secrets stand for the server's origins.
    pub fn run(secrets: &str, test: impl AsyncFnOnce(&Kit)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let kit = Self::start(secrets).await;
            test(&kit).await;
            kit.hub.stop().await;
        });
    }

    async fn start(secrets: &str) -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let log = folder.path().join("audit.log");
        let secrets = secrets.replace("HOME", &server.home());
        let secrets = secrets.replace("OTHER", &server.other());
        let settings = Arc::new(settings(folder.path()));
        let hub = Hub::start(Arc::clone(&settings)).await;
        Self {
            server,
            hub: hub.unwrap_or_else(|error| panic!("{error}")),
            pages: Arc::default(),
            guard: Arc::new(guard(&secrets, &log)),
            settings,
            shared: Arc::default(),
            log,
            folder,
        }
    }

    pub async fn client(&self) -> Client {
        let (member, incoming) = self.hub.join().await.unwrap();
        let context = Context {
            hub: Arc::clone(&self.hub),
            member,
            guard: Arc::clone(&self.guard),
            settings: Arc::clone(&self.settings),
            pages: Arc::clone(&self.pages),
            casts: Arc::default(),
        };
        Client {
            inspector: Inspector::new(Arc::clone(&self.shared)),
            context,
            incoming,
            next: 0,
            events: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// The folder for downloads and uploads.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files").canonicalize().unwrap()
    }

    /// The audit log's events of that kind.
    pub fn audited(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["event"] == event)
            .collect()
    }
}

/// A client, as its channel would serve it but for typing and masking.
pub struct Client {
    pub context: Context,
    inspector: Inspector,
    incoming: Incoming,
    next: i64,
    events: Vec<Value>,
    answers: Vec<Value>,
}

impl Client {
    /// A command and its answer; an error's text.
    pub async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.send(session, method, params).await?;
        self.answer(id).await
    }

    /// The same for one that must succeed.
    pub async fn must(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let answer = self.call(session, method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// A command as a client sends it; an error where it is refused.
    pub async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<i64, String> {
        self.next += 1;
        let message = params.to_string();
        let command = Command {
            id: self.next,
            method: method.into(),
            session: session.map(Into::into),
            params: Some(0..message.len()),
            message: message.into(),
        };
        let allowed = &self.context.settings.methods;
        let (handler, _) = methods::judge(method, allowed).map_err(|refusal| refusal.text)?;
        let verdict = match handler {
            Some(handler) => self.inspector.take(&self.context, handler, &command).await,
            None => Verdict::Pass,
        };
        let params = match verdict {
            Verdict::Pass => None,
            Verdict::With(params) => Some(params),
            Verdict::Answer(answer) => {
                let result: Value = serde_json::from_slice(&answer).unwrap();
                self.answers
                    .push(json!({"id": self.next, "result": result}));
                return Ok(self.next);
            }
            Verdict::Refuse(refusal) => return Err(refusal.text),
        };
        self.context.member.send(&command, params).await.unwrap();
        Ok(self.next)
    }

    pub async fn answer(&mut self, id: i64) -> Result<Value, String> {
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer["id"] == id) {
                let mut answer = self.answers.remove(at);
                if answer["error"].is_object() {
                    return Err(answer["error"]["message"].as_str().unwrap().to_owned());
                }
                return Ok(answer["result"].take());
            }
            self.take_one().await;
        }
    }

    /// The parameters of the next event of that name, which may have come already.
    pub async fn event(&mut self, method: &str) -> Value {
        self.event_where(method, |_| true).await
    }

    /// The next one of which that holds.
    pub async fn event_where(&mut self, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let is_that = |event: &Value| event["method"] == method && is_it(&event["params"]);
            if let Some(at) = self.events.iter().position(is_that) {
                return self.events.remove(at)["params"].take();
            }
            self.take_one().await;
        }
    }

    /// The events that came so far and were not taken.
    pub fn seen(&self) -> &[Value] {
        &self.events
    }

    async fn take_one(&mut self) {
        let next = timeout(PATIENCE, self.incoming.next()).await;
        match next.expect("something comes") {
            FromBrowser::Reply { message, .. } => {
                self.answers.push(serde_json::from_slice(&message).unwrap());
            }
            FromBrowser::Event {
                method,
                session,
                message,
                params,
            } => {
                let event = Event {
                    method: &method,
                    session: session.as_ref(),
                    message: &message,
                    params: params.as_ref(),
                };
                match self.inspector.observe(&self.context, &event).await {
                    Observed::Keep => self.events.push(serde_json::from_slice(&message).unwrap()),
                    Observed::Drop => {}
                    Observed::Replace(_) => panic!("an inspector replaces nothing"),
                }
            }
            FromBrowser::Gone(why) => panic!("{why}"),
        }
    }

    /// A new empty tab: its session and its target.
    pub async fn tab(&mut self) -> (String, String) {
        let new = self
            .must(None, "Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let target = new["targetId"].as_str().unwrap().to_owned();
        let session = self.attach(&target).await;
        (session, target)
    }

    pub async fn attach(&mut self, target: &str) -> String {
        let params = json!({"targetId": target, "flatten": true});
        let attached = self.must(None, "Target.attachToTarget", params).await;
        attached["sessionId"].as_str().unwrap().to_owned()
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        hosts: Vec::new(),
        upstream: Upstream::Launch(Launch {
            executable: "/usr/bin/chromium".into(),
            headless: true,
            args: ["--no-sandbox", "--disable-gpu"]
                .map(str::to_owned)
                .to_vec(),
            environment: vec![
                ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
                ("HOME".into(), folder.into()),
            ],
            profiles: folder.join("profiles"),
        }),
        captures: Captures::Cover,
        folder: folder.join("files"),
        methods: std::collections::BTreeSet::new(),
        token: None,
        limits: Limits {
            command_timeout: PATIENCE,
            ..Limits::default()
        },
    }
}

fn guard(secrets: &str, log: &Path) -> Guard {
    let limits = secret::Limits::default();
    let submission = parse_submission(secrets.as_bytes().to_vec().into(), &limits);
    let submission = submission.unwrap_or_else(|problems| panic!("{problems:?}"));
    let secrets = submission.into_secrets(&"agent:a".parse().unwrap());
    let settings = audit::Settings {
        path: log.to_owned(),
        rotate_bytes: 1 << 30,
        stdout: false,
        queue: 4096,
    };
    let recorder = Recorder::open(settings, Arc::new(EphemeralKeeper::new().unwrap())).unwrap();
    let accept = [("", ""), ("<secret>", "</secret>"), ("{{", "}}")];
    let rules = Rules {
        accept: accept.map(|(a, b)| Spelling::new(a, b)).to_vec(),
        ..Rules::default()
    };
    Guard::new(View::new(secrets), rules, Arc::new(recorder), "a", None)
}
