//! What tests of the browser channel's hub share: a browser of their own, commands, answers, events.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bauta::browser::hub::{CallError, FromBrowser, Hub, Incoming, Member};
use bauta::browser::{Captures, Launch, Limits, Settings, Upstream, envelope};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Where Debian installs it.
pub const CHROMIUM: &str = "/usr/bin/chromium";

/// Longer than anything should take, on a busy machine as well.
pub const LONG: Duration = Duration::from_secs(60);

/// Settings that start a browser with its profiles in that folder.
pub fn settings(folder: &Path) -> Settings {
    assert!(
        Path::new(CHROMIUM).exists(),
        "these tests need Chromium at {CHROMIUM}: apt install chromium (tests/run does)"
    );
    let launch = Launch {
        executable: CHROMIUM.into(),
        headless: true,
        args: ["--no-sandbox", "--disable-gpu"]
            .map(str::to_owned)
            .to_vec(),
        environment: environment(folder),
        profiles: folder.join("profiles"),
    };
    Settings {
        hosts: Vec::new(),
        upstream: Upstream::Launch(launch),
        captures: Captures::default(),
        folder: folder.join("files"),
        methods: std::collections::BTreeSet::new(),
        token: None,
        limits: Limits {
            command_timeout: LONG,
            ..Limits::default()
        },
    }
}

/// A browser's environment: a home of its own, and where programs are.
pub fn environment(folder: &Path) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    vec![("PATH".into(), path), ("HOME".into(), folder.into())]
}

/// The launch of settings that start a browser.
pub fn launch(settings: &mut Settings) -> &mut Launch {
    match &mut settings.upstream {
        Upstream::Launch(launch) => launch,
        Upstream::Attach(_) => panic!("these settings start no browser"),
    }
}

/// A hub with a browser of its own.
pub struct Browser {
    pub hub: Arc<Hub>,
    pub folder: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut settings = settings(folder.path());
        change(&mut settings);
        let hub = Hub::start(Arc::new(settings)).await;
        let hub = hub.unwrap_or_else(|error| panic!("{error}"));
        Self { hub, folder }
    }

    pub async fn join(&self) -> Client {
        let (member, incoming) = self.hub.join().await.unwrap();
        Client::new(member, incoming)
    }

    /// The profiles that there are.
    pub fn profiles(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("profiles")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A client as its channel would serve it.
pub struct Client {
    pub member: Member,
    pub incoming: Incoming,
    next: i64,
    /// Events that came while an answer was awaited.
    pub seen: Vec<Value>,
}

impl Client {
    pub fn new(member: Member, incoming: Incoming) -> Self {
        Self {
            member,
            incoming,
            next: 0,
            seen: Vec::new(),
        }
    }

    pub async fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> i64 {
        self.next += 1;
        let id = self.next;
        let command = command(id, session, method, &params);
        self.member.send(&command, None).await.unwrap();
        id
    }

    /// Sends a command and waits for its answer, as the client reads it.
    pub async fn ask(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.send(session, method, params).await;
        self.answer(id).await
    }

    /// The same for one that must succeed.
    pub async fn must(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let mut answer = self.ask(session, method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    pub async fn answer(&mut self, id: i64) -> Value {
        loop {
            match self.next().await {
                FromBrowser::Reply {
                    id: of,
                    session,
                    message,
                    ..
                } => {
                    let message: Value = serde_json::from_slice(&message).unwrap();
                    assert_eq!(message["id"], json!(of));
                    assert_eq!(message["sessionId"].as_str(), session.as_deref());
                    assert_eq!(of, id, "{message}");
                    return message;
                }
                event => self.seen.push(shown(event)),
            }
        }
    }

    /// The next event of that name, which may have come already.
    pub async fn event(&mut self, method: &str) -> Value {
        loop {
            let at = self.seen.iter().position(|event| event["method"] == method);
            if let Some(at) = at {
                return self.seen.remove(at);
            }
            let next = self.next().await;
            self.seen.push(shown(next));
        }
    }

    pub async fn next(&mut self) -> FromBrowser {
        let next = timeout(LONG, self.incoming.next()).await;
        next.expect("nothing came")
    }

    /// A page of its own, and the client's session on it.
    pub async fn page(&mut self, url: &str) -> (String, String) {
        let target = self
            .must(None, "Target.createTarget", json!({ "url": url }))
            .await;
        let target = target["targetId"].as_str().unwrap().to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.must(None, "Target.attachToTarget", attach).await;
        (target, session["sessionId"].as_str().unwrap().to_owned())
    }

    pub async fn evaluate(&mut self, session: &str, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let mut got = self.must(Some(session), "Runtime.evaluate", params).await;
        got["result"]["value"].take()
    }
}

/// A command as the channel would read it.
pub fn command(
    id: i64,
    session: Option<&str>,
    method: &str,
    params: &Value,
) -> bauta::browser::Command {
    let mut command = json!({ "id": id, "method": method, "params": params });
    if let Some(session) = session {
        command["sessionId"] = json!(session);
    }
    envelope::command(Bytes::from(command.to_string())).unwrap()
}

/// An event, held to what is said of it.
pub fn shown(message: FromBrowser) -> Value {
    match message {
        FromBrowser::Event {
            method,
            session,
            message,
            params,
        } => {
            let event: Value = serde_json::from_slice(&message).unwrap();
            assert_eq!(event["method"], json!(&*method));
            assert_eq!(event["sessionId"].as_str(), session.as_deref());
            let at = params.map_or(&b"null"[..], |params| &message[params]);
            let said: Value = serde_json::from_slice(at).unwrap();
            assert_eq!(event["params"], said);
            event
        }
        FromBrowser::Reply { id, .. } => panic!("an answer to {id}"),
        FromBrowser::Gone(reason) => panic!("gone: {reason}"),
    }
}

/// The error of a call, without its words.
pub fn refused(error: &CallError) -> i64 {
    match error {
        CallError::Refused { code, .. } => *code,
        error => panic!("{error:?}"),
    }
}

/// A site that answers with that page, whatever it is asked; its address.
pub async fn site(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let asked = stream.read(&mut head).await;
                let length = page.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
                );
                if asked.is_ok() {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    format!("http://{address}/")
}

/// The processes that have a text in their command line.
pub fn processes_with(text: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text)
        })
        .collect()
}

/// Waits until no process has a text in its command line: what was killed takes a moment on a busy machine.
pub async fn none_with(text: &str) {
    while !processes_with(text).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
