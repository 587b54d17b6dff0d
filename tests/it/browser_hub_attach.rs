//! The hub with a Chromium that somebody else started, over its WebSocket.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bauta::browser::hub::{
    AttachError, CallError, FromBrowser, Hub, Notice, SendError, StartError,
};
use bauta::browser::{Settings, Upstream};
use rustix::process::{Pid, Signal};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::browser_hub_kit::{CHROMIUM, Client, LONG, command, environment, settings};

/// A browser with a debugging port; it ends with the test.
pub struct Foreign {
    child: Child,
    /// Of its WebSocket.
    url: String,
}

impl Foreign {
    /// Starts one on a port; 0: any.
    pub fn start(folder: &Path, port: u16) -> Self {
        let mut child = Command::new(CHROMIUM)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .arg("--disable-background-networking")
            .arg(format!("--remote-debugging-port={port}"))
            .arg(format!("--user-data-dir={}", folder.display()))
            .env_clear()
            .envs(environment(folder))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let url =
            lines.find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()));
        // What else it says must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url: url.expect("it says where it listens"),
        }
    }

    pub fn port(&self) -> u16 {
        let address = self.url.split('/').nth(2).unwrap();
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn attached(folder: &Path, address: &str) -> Arc<Settings> {
    let mut settings = settings(folder);
    settings.upstream = Upstream::Attach(address.to_owned());
    Arc::new(settings)
}

async fn join(hub: &Arc<Hub>) -> Client {
    let (member, incoming) = hub.join().await.unwrap();
    Client::new(member, incoming)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_attached_to_is_shared_in_the_same_way_and_outlives_us() {
    let folder = TempDir::new().unwrap();
    let foreign = Foreign::start(&folder.path().join("profile"), 0);
    let http = format!("http://127.0.0.1:{}", foreign.port());
    let hub = Hub::start(attached(folder.path(), &http)).await.unwrap();
    assert!(hub.product().browser.starts_with("Chrome/"));
    assert_eq!(hub.process(), None);

    let (mut a, mut b) = (join(&hub).await, join(&hub).await);
    let (page, session) = a.page("about:blank").await;
    let (_, session_b) = b.page("about:blank").await;
    assert_eq!(b.evaluate(&session_b, "6*8").await, json!(48));
    let foreign_session = command(1, Some(&session_b), "Runtime.enable", &json!({}));
    assert_eq!(
        a.member.send(&foreign_session, None).await,
        Err(SendError::NotYours)
    );
    let own = hub.own(&page).await.unwrap();
    hub.call(Some(&own), "Runtime.enable", ()).await.unwrap();
    // Both directions, over the sizes at which frames are written otherwise.
    for bytes in [100, 125, 126, 65_535, 65_536, 3 << 20] {
        let expression = format!("'{}'", "ü".repeat(bytes / 2));
        let got = a.evaluate(&session, &expression).await;
        assert_eq!(got.as_str().unwrap().len(), bytes / 2 * 2);
    }

    // Its WebSocket's own address is as good.
    let second = Hub::start(attached(folder.path(), &foreign.url))
        .await
        .unwrap();
    assert!(
        second
            .targets()
            .await
            .unwrap()
            .iter()
            .any(|listed| *listed.target.id == *page)
    );
    hub.stop().await;
    assert!(matches!(a.next().await, FromBrowser::Gone(_)));
    assert_eq!(
        hub.call(None, "Browser.getVersion", ()).await,
        Err(CallError::Gone)
    );
    second
        .call(None, "Browser.getVersion", ())
        .await
        .expect("the browser goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_gone_is_attached_to_again_when_it_is_back() {
    let folder = TempDir::new().unwrap();
    let mut foreign = Foreign::start(&folder.path().join("first"), 0);
    let port = foreign.port();
    let hub = Hub::start(attached(folder.path(), &format!("http://localhost:{port}")))
        .await
        .unwrap();
    let mut notices = hub.notices();
    let mut client = join(&hub).await;
    foreign.kill();
    assert!(matches!(client.next().await, FromBrowser::Gone(_)));
    let failed = loop {
        match timeout(LONG, notices.recv()).await.unwrap().unwrap() {
            Notice::Failed(why) => break why,
            Notice::Lost(_) => {}
            Notice::Restarted(_) => panic!("there is none"),
        }
    };
    assert!(
        failed.contains(&format!("--remote-debugging-port={port}")),
        "{failed}"
    );
    assert!(!hub.is_up());
    let _again = Foreign::start(&folder.path().join("second"), port);
    while timeout(LONG, notices.recv()).await.unwrap().unwrap() != Notice::Restarted(2) {}
    join(&hub)
        .await
        .must(None, "Browser.getVersion", json!({}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_answers_nothing_any_more_is_given_up() {
    let folder = TempDir::new().unwrap();
    let foreign = Foreign::start(&folder.path().join("profile"), 0);
    let mut settings = settings(folder.path());
    settings.upstream = Upstream::Attach(foreign.url.clone());
    settings.limits.command_timeout = Duration::from_secs(5);
    let hub = Hub::start(Arc::new(settings)).await.unwrap();
    let mut notices = hub.notices();
    let mut client = join(&hub).await;
    client.send(None, "Browser.getVersion", json!({})).await;
    assert!(matches!(client.next().await, FromBrowser::Reply { .. }));
    let pid = Pid::from_child(&foreign.child);
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    let call = hub.call(None, "Browser.getVersion", ()).await;
    assert_eq!(call, Err(CallError::Timeout));
    let lost = timeout(LONG, notices.recv()).await.unwrap().unwrap();
    assert!(
        matches!(&lost, Notice::Lost(why) if why.contains("answers nothing")),
        "{lost:?}"
    );
    assert!(matches!(client.next().await, FromBrowser::Gone(_)));
    rustix::process::kill_process(pid, Signal::CONT).unwrap();
    while timeout(LONG, notices.recv()).await.unwrap().unwrap() != Notice::Restarted(2) {}
}

/// Answers each connection with those bytes, whatever it is asked.
async fn answering(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok() {
                    // Who asked may have heard enough.
                    let _ = stream.write_all(&bytes).await;
                }
            });
        }
    });
    address.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_browser_is_not_attached_to() {
    let folder = TempDir::new().unwrap();
    let start = async |address: &str| {
        let started = timeout(LONG, Hub::start(attached(folder.path(), address))).await;
        match started.expect("it gives up in time") {
            Err(StartError::Attach(error)) => error,
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("{address} is no browser"),
        }
    };
    let said = |answer: &str| answer.replace('\n', "\r\n").into_bytes();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = start(&format!("http://{closed}")).await;
    assert!(
        matches!(error, AttachError::Unreachable { .. }),
        "{error:?}"
    );
    assert_eq!(start("nonsense").await, AttachError::Address);

    let refusing = answering(said("HTTP/1.1 403 No\nContent-Length: 0\n\n")).await;
    for scheme in ["http", "ws"] {
        let error = start(&format!("{scheme}://{refusing}")).await;
        assert!(
            matches!(error, AttachError::Status { status: 403, .. }),
            "{error:?}"
        );
    }
    let endless = format!(
        "HTTP/1.1 200 OK\nContent-Length: {}\n\n{}",
        1 << 20,
        "x".repeat(1 << 20)
    );
    let elsewhere =
        "HTTP/1.1 200 OK\nContent-Length: 38\n\n{\"webSocketDebuggerUrl\":\"ftp://a/b/cc\"}";
    for answer in [
        &endless,
        elsewhere,
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    ] {
        let error = start(&format!("http://{}", answering(said(answer)).await)).await;
        assert!(matches!(error, AttachError::Answer { .. }), "{error:?}");
    }
    let other =
        "HTTP/1.1 101 Yes\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: AAAA\n\n";
    let error = start(&format!("ws://{}", answering(said(other)).await)).await;
    assert!(matches!(error, AttachError::Answer { .. }), "{error:?}");
}
