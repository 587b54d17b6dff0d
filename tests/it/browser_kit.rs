//! A browser behind the hub, a client that types through it, and a site on several origins that keeps every text it ever saw.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bauta::audit::{self, EphemeralKeeper, Recorder};
use bauta::browser::hub::{FromBrowser, Hub, Incoming};
use bauta::browser::pages::Pages;
use bauta::browser::typing::Typing;
use bauta::browser::{Captures, Command, Context, Launch, Limits, Settings, Upstream, Verdict};
use bauta::guard::{Guard, Rules, Spelling};
use bauta::secret::{self, View, parse_submission};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What every page of the site begins with: it tells its own server of each text in it, whatever frame or shadow root it is in.
const TELLS: &str = r"<!DOCTYPE html><meta charset=utf-8><script>
    window.tell = (text) => navigator.sendBeacon('/saw', text);
    window.addEventListener('input', (event) => {
        const field = event.composedPath()[0];
        tell(field.value ?? field.textContent);
    }, true);
</script>";

/// A site: each listener is an origin of its own, and so is `localhost` beside `127.0.0.1`.
pub struct Site {
    pub addresses: Vec<SocketAddr>,
    pages: Arc<Mutex<HashMap<String, String>>>,
    saw: Arc<Mutex<Vec<(String, String)>>>,
}

impl Site {
    /// With two ports.
    pub fn start() -> Self {
        let mut site = Self {
            addresses: Vec::new(),
            pages: Arc::default(),
            saw: Arc::default(),
        };
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            site.addresses.push(listener.local_addr().unwrap());
            let (pages, saw) = (Arc::clone(&site.pages), Arc::clone(&site.saw));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let (pages, saw) = (Arc::clone(&pages), Arc::clone(&saw));
                    thread::spawn(move || stream.map(|stream| serve(&stream, &pages, &saw)));
                }
            });
        }
        site
    }

    /// The origin that secrets belong to.
    pub fn home(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// The same host on another port.
    pub fn port(&self) -> String {
        format!("http://{}", self.addresses[1])
    }

    /// Another host: another site to the browser.
    pub fn other(&self) -> String {
        format!("http://localhost:{}", self.addresses[0].port())
    }

    /// Gives every origin a page there.
    pub fn page(&self, path: &str, html: &str) {
        let mut pages = self.pages.lock().unwrap();
        pages.insert(path.to_owned(), format!("{TELLS}{html}"));
    }

    /// What the server got so far at an origin: bodies, targets and whole heads.
    pub fn saw(&self, origin: &str) -> Vec<String> {
        let saw = self.saw.lock().unwrap();
        let host = origin.strip_prefix("http://").unwrap();
        let all = saw.iter().filter(|(at, _)| at == host);
        all.map(|(_, text)| text.clone()).collect()
    }
}

/// A request as a server reads it.
pub struct Asked {
    head: String,
    body: Vec<u8>,
}

impl Asked {
    /// The next one; `None` at the end.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut asked = Self {
            head,
            body: Vec::new(),
        };
        let length = asked.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body).ok()?;
        Some(asked)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    }

    pub fn target(&self) -> Option<&str> {
        self.head.split(' ').nth(1)
    }

    /// Head and body.
    pub fn whole(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

fn serve(
    stream: &TcpStream,
    pages: &Mutex<HashMap<String, String>>,
    saw: &Mutex<Vec<(String, String)>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let asked = Asked::read(&mut reader)?;
        let target = asked.target()?.to_owned();
        saw.lock()
            .unwrap()
            .push((asked.header("host")?, asked.whole()));
        let path = target.split('?').next()?;
        let page = pages.lock().unwrap().get(path).cloned();
        let body = page.unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = stream;
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

/// A browser with a client, on a thread of their own's runtime.
pub struct Kit {
    pub site: Site,
    pub hub: Arc<Hub>,
    pub context: Context,
    typing: Typing,
    incoming: Incoming,
    next: i64,
    pub events: Vec<Value>,
    log: PathBuf,
    _folder: TempDir,
}

impl Kit {
    /// With these secrets; `HOME`, `PORT` and `OTHER` stand for the site's origins, `SECURE` for the first over TLS.
    pub async fn start(secrets: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let site = Site::start();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let settings = Arc::new(settings);
        let secrets = secrets.replace("HOME", &site.home());
        let secrets = secrets.replace("SECURE", &site.home().replace("http:", "https:"));
        let secrets = secrets.replace("PORT", &site.port());
        let secrets = secrets.replace("OTHER", &site.other());
        let guard = Arc::new(guard(&secrets, &log));
        let hub = Hub::start(Arc::clone(&settings)).await.unwrap();
        let (member, incoming) = hub.join().await.unwrap();
        let context = Context {
            hub: Arc::clone(&hub),
            member,
            guard,
            settings,
            pages: Arc::new(Pages::default()),
            casts: Arc::default(),
        };
        Self {
            site,
            hub,
            typing: Typing::new(context.clone()),
            context,
            incoming,
            next: 0,
            events: Vec::new(),
            log,
            _folder: folder,
        }
    }

    pub async fn stop(self) {
        self.hub.stop().await;
    }

    /// Runs a test with a browser of its own.
    pub fn run(secrets: &str, test: impl AsyncFnOnce(&mut Kit)) {
        Self::run_with(secrets, |_| {}, test);
    }

    /// The same, with other settings.
    pub fn run_with(
        secrets: &str,
        change: impl FnOnce(&mut Settings),
        test: impl AsyncFnOnce(&mut Kit),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut kit = Self::start(secrets, change).await;
            test(&mut kit).await;
            kit.stop().await;
        });
    }

    /// A command as a client sends it, and its answer.
    pub async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let done = timeout(PATIENCE, self.call_at_once(session, method, params));
        done.await.unwrap_or_else(|_| panic!("{method} hangs"))
    }

    async fn call_at_once(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.next += 1;
        let message = params.to_string();
        let command = Command {
            id: self.next,
            method: method.into(),
            session: session.map(Into::into),
            params: Some(0..message.len()),
            message: message.into(),
        };
        let types = [
            "Input.insertText",
            "Input.dispatchKeyEvent",
            "Input.imeSetComposition",
        ];
        let verdict = if types.contains(&method) {
            self.typing.take(&command).await
        } else {
            let refusal = self.typing.before(&command).await;
            refusal.map_or(Verdict::Pass, Verdict::Refuse)
        };
        match verdict {
            Verdict::Pass => self.context.member.send(&command, None).await.unwrap(),
            Verdict::With(_) => unreachable!("typing changes no parameters"),
            Verdict::Answer(answer) => return Ok(serde_json::from_slice(&answer).unwrap()),
            Verdict::Refuse(refusal) => return Err(refusal.text),
        }
        loop {
            let answer = match self.incoming.next().await {
                FromBrowser::Reply { id, message, .. } if id == command.id => message,
                FromBrowser::Reply { .. } => continue,
                FromBrowser::Event { message, .. } => {
                    self.events.push(serde_json::from_slice(&message).unwrap());
                    continue;
                }
                FromBrowser::Gone(why) => panic!("{why}"),
            };
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["error"].is_object() {
                return Err(answer["error"]["message"].as_str().unwrap().to_owned());
            }
            return Ok(answer["result"].take());
        }
    }

    /// Waits for the pause after which typing is decided.
    pub async fn pause(&mut self) {
        let pause = self.typing.pause().expect("something is held");
        tokio::time::sleep_until(pause.into()).await;
        self.typing.paused().await;
    }

    pub fn holds(&self) -> bool {
        self.typing.pause().is_some()
    }

    /// A new tab with that page, attached.
    pub async fn open(&mut self, url: &str) -> Tab {
        let new = self
            .call(None, "Target.createTarget", json!({"url": url}))
            .await
            .unwrap();
        let target = new["targetId"].as_str().unwrap().to_owned();
        let tab = Tab {
            session: self.attach(&target).await,
            target,
        };
        self.until(
            &tab,
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        )
        .await;
        tab
    }

    pub async fn attach(&mut self, target: &str) -> String {
        let params = json!({"targetId": target, "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", params).await;
        attached.unwrap()["sessionId"].as_str().unwrap().to_owned()
    }

    /// What an expression is in the tab's page, as its client sees it.
    pub async fn eval(&mut self, tab: &Tab, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self
            .call(Some(&tab.session), "Runtime.evaluate", params)
            .await;
        let mut result = result.unwrap_or_else(|e| panic!("{expression}: {e}"));
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Waits until an expression holds there, whatever document comes meanwhile.
    pub async fn until(&mut self, tab: &Tab, condition: &str) {
        let look = format!("new Promise((done) => setTimeout(() => done(!!({condition})), 5))");
        let params = json!({"expression": look, "returnByValue": true, "awaitPromise": true});
        let waits = async {
            loop {
                let seen = self.call(Some(&tab.session), "Runtime.evaluate", params.clone());
                // A context that goes with its document says so.
                if seen.await.is_ok_and(|seen| seen["result"]["value"] == true) {
                    return;
                }
            }
        };
        let done = timeout(PATIENCE, waits).await;
        done.unwrap_or_else(|_| panic!("never: {condition}"));
    }

    pub async fn insert(&mut self, tab: &Tab, text: &str) -> Result<Value, String> {
        let session = tab.session.clone();
        self.call(Some(&session), "Input.insertText", json!({"text": text}))
            .await
    }

    pub async fn key(&mut self, tab: &Tab, params: Value) -> Result<Value, String> {
        let session = tab.session.clone();
        self.call(Some(&session), "Input.dispatchKeyEvent", params)
            .await
    }

    /// Clicks there: `[x, y]` in CSS pixels.
    pub async fn click(&mut self, tab: &Tab, spot: &Value) {
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": spot[0], "y": spot[1], "button": "left", "clickCount": 1});
            let clicked = self.call(Some(&tab.session), "Input.dispatchMouseEvent", params);
            clicked.await.unwrap();
        }
    }

    /// Types key by key, as a client does.
    pub async fn type_as(&mut self, client: Client, tab: &Tab, text: &str) -> Result<(), String> {
        for c in text.chars() {
            for params in client.messages(c) {
                if params["type"].is_null() {
                    self.insert(tab, params["text"].as_str().unwrap()).await?;
                } else {
                    self.key(tab, params).await?;
                }
            }
        }
        Ok(())
    }

    /// Types one character as a client does, whatever becomes of each message.
    pub async fn press(
        &mut self,
        client: Client,
        tab: &Tab,
        c: char,
    ) -> Vec<Result<Value, String>> {
        let mut done = Vec::new();
        for params in client.messages(c) {
            done.push(if params["type"].is_null() {
                self.insert(tab, params["text"].as_str().unwrap()).await
            } else {
                self.key(tab, params).await
            });
        }
        done
    }

    /// The client goes, and what it typed with it; another comes.
    pub fn leave(&mut self) {
        self.typing = Typing::new(self.context.clone());
    }

    /// Waits until the audit log, which is written behind what happens, has such an event.
    pub async fn audited(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let there = async {
            while !self.audit().iter().any(&is_it) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = timeout(PATIENCE, there).await;
        done.unwrap_or_else(|_| panic!("not in the log: {what}"));
    }

    /// The lines of the audit log, but for starts and stops.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        // The last line may be under way.
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let lines = lines.map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|event: &Value| event["event"] != "start" && event["event"] != "stop")
            .collect()
    }
}

/// A page that a client is attached to.
#[derive(Clone)]
pub struct Tab {
    pub target: String,
    pub session: String,
}

/// How a client sends a character.
#[derive(Clone, Copy, Debug)]
pub enum Client {
    /// Playwright, Puppeteer.
    KeyDown,
    /// browser-use.
    Char,
    /// chromedriver.
    Raw,
    /// agent-browser.
    Insert,
}

pub const CLIENTS: [Client; 4] = [Client::KeyDown, Client::Char, Client::Raw, Client::Insert];

impl Client {
    fn messages(self, c: char) -> Vec<Value> {
        let text = c.to_string();
        // The base key of a US layout, as browser-use names it.
        let (key, modifiers) = match c {
            '_' => ("-".to_owned(), 8),
            '<' => (",".to_owned(), 8),
            c if c.is_ascii_uppercase() => (c.to_ascii_lowercase().to_string(), 8),
            _ => (text.clone(), 0),
        };
        match self {
            Self::KeyDown => vec![
                json!({"type": "keyDown", "text": text, "key": text, "modifiers": 0}),
                json!({"type": "keyUp", "key": text}),
            ],
            Self::Char => vec![
                json!({"type": "keyDown", "key": key, "modifiers": modifiers}),
                json!({"type": "char", "text": text, "key": key}),
                json!({"type": "keyUp", "key": key, "modifiers": modifiers}),
            ],
            Self::Raw => vec![
                json!({"type": "rawKeyDown", "text": text, "key": text}),
                json!({"type": "char", "text": text, "key": text}),
                json!({"type": "keyUp", "text": text, "key": text}),
            ],
            Self::Insert => vec![json!({"text": text})],
        }
    }
}

fn settings(folder: &std::path::Path) -> Settings {
    Settings {
        hosts: Vec::new(),
        upstream: Upstream::Launch(Launch {
            executable: "/usr/bin/chromium".into(),
            headless: true,
            args: ["--no-sandbox", "--disable-gpu", "--site-per-process"]
                .map(str::to_owned)
                .to_vec(),
            environment: std::env::vars_os().collect(),
            profiles: folder.to_owned(),
        }),
        captures: Captures::Cover,
        folder: folder.to_owned(),
        methods: std::collections::BTreeSet::new(),
        token: None,
        limits: Limits {
            command_timeout: PATIENCE,
            ..Limits::default()
        },
    }
}

fn guard(secrets: &str, log: &std::path::Path) -> Guard {
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
    let accept = [
        ("", ""),
        ("<secret>", "</secret>"),
        ("{{", "}}"),
        ("%", "%"),
    ];
    let rules = Rules {
        accept: accept.map(|(a, b)| Spelling::new(a, b)).to_vec(),
        ..Rules::default()
    };
    Guard::new(View::new(secrets), rules, Arc::new(recorder), "a", None)
}
