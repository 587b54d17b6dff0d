//! `bauta demo`: both directions at work, on this machine alone.
//!
//! The way through: [`demo`] starts a stand-in provider (`provider`) and a sidecar before it, sends a conversation (`story`) as an
//! agent would, judges what arrived (`check`) and shows both sides (`show`). Where there is a browser, a second act (`browse`)
//! drives it through the same sidecar (`cdp`), to a login page (`site`).
//!
//! Invariants: no address but loopback, no file but the audit log, in a folder of its own that goes with the demonstration, no
//! configuration; every wait ends; the judgement uses nothing of the engine. The
//! values are made up, and this is the only command that prints any.

mod browse;
mod cdp;
mod check;
mod provider;
mod show;
mod site;
mod story;

use std::fs::DirBuilder;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{fmt, registry};
use zeroize::Zeroizing;

use super::{Running, StartError, settings};
use crate::cli::Demo;
use crate::config::{
    Browser, BrowserLimits, BrowserSource, Captures, Config, Inject, Launch, Listen, Model,
    Provider, UpstreamError,
};
use crate::secret::{self, Limits};
use browse::Act;
use check::{Report, Run};
use provider::StandIn;
use show::Page;
use site::Site;

/// Within which it is through on any machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Why there is no demonstration, or not the one that was promised.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Sockets, the runtime or standard output.
    #[error("the system refuses what the demonstration needs: {0}")]
    System(#[from] io::Error),
    /// The sidecar.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The stand-in's address.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The demo's own secrets.
    #[error("the demonstration's own secrets are not valid: {0}")]
    Secrets(String),
    /// A request of the demonstration.
    #[error("the demonstration's request broke off: {0}")]
    Http(#[from] hyper::Error),
    /// A part of the story that is not HTTP.
    #[error("the demonstration's request cannot be written: {0}")]
    Story(#[from] http::Error),
    /// The second act.
    #[error("the demonstration's browser failed it: {0}")]
    Browser(String),
    /// It takes too long.
    #[error("the demonstration did not end within {} seconds. Try again", LIMIT.as_secs())]
    TooSlow,
    /// What was promised does not hold.
    #[error("masking did not hold: {}. Please report it", .0.join("; "))]
    Failed(Vec<&'static str>),
}

/// Runs the demonstration and prints it.
///
/// # Errors
/// See [`DemoError`]; all but [`DemoError::Failed`] come before anything is printed.
pub fn demo(args: Demo) -> Result<ExitCode, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let log = Log::default();
    let lines = log.clone();
    let layer = fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(move || lines.clone())
        .with_filter(Targets::new().with_target("bauta", LevelFilter::DEBUG));
    // One thread runs it all, so the log of this thread is the sidecar's.
    let run = tracing::subscriber::with_default(registry().with(layer), || {
        runtime.block_on(async { tokio::time::timeout(LIMIT, converse()).await })
    });
    let (run, act) = run.map_err(|_| DemoError::TooSlow)??;
    let report = Report::new(&run, act, &log.taken());
    let page = Page::of(io::stdout().is_terminal());
    let text = if args.global.json {
        show::json(&report)
    } else {
        page.text(&report, args.global)
    };
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let failed = report.failed();
    if failed.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(DemoError::Failed(failed))
    }
}

/// Both requests of the story and the second act, through a sidecar of its own.
async fn converse() -> Result<(Run, Option<Act>), DemoError> {
    let stand_in = StandIn::start().await?;
    let site = Site::start().await?;
    let bytes = Zeroizing::new(story::secrets(site.addr()).into_bytes());
    let secrets = secret::parse_submission(bytes, &Limits::default())
        .map_err(|problems| DemoError::Secrets(super::serve::problem_list(&problems)))?
        .into_secrets(&settings::scope(&Config::default()));
    let scratch = Scratch::new()?;
    let running = Running::start(&config(stand_in.addr(), &scratch.0)?, secrets).await?;
    let Some(addr) = running.model_addr() else {
        return Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into());
    };
    let mut run = Run::default();
    for (body, expected) in [
        (story::first_request(), provider::completion()),
        (story::second_request(), provider::events().concat()),
    ] {
        let answer = post(addr, body.clone().into_bytes()).await?;
        run.sent.push(body.into_bytes());
        run.answers.push((expected.into_bytes(), answer));
    }
    let act = match running.browser_addr() {
        Some(addr) => {
            let act = browse::act(addr, &site).await;
            Some(act.map_err(|error| DemoError::Browser(error.to_string()))?)
        }
        None => None,
    };
    // Only once it has ended has it logged everything.
    running.shutdown().await;
    run.received = stand_in.received();
    Ok((run, act))
}

fn config(provider: SocketAddr, folder: &Path) -> Result<Config, UpstreamError> {
    let provider = Provider {
        name: "stand-in".to_owned(),
        path: "stand-in".to_owned(),
        upstream: format!("http://{provider}").parse()?,
        ca: None,
        secret: None,
        inject: Inject::default(),
    };
    let model = Model {
        listen: free_port(),
        providers: vec![provider],
        ..Model::default()
    };
    let browser = |executable| Browser {
        listen: free_port(),
        hosts: Vec::new(),
        source: BrowserSource::Launch(Launch {
            executable,
            args: browse::arguments(),
            ..Launch::default()
        }),
        captures: Captures::default(),
        folder: folder.join("downloads"),
        methods: Vec::new(),
        token_file: None,
        limits: BrowserLimits::default(),
    };
    let mut config = Config {
        state_dir: folder.to_owned(),
        model: Some(model),
        browser: browse::browser().map(browser),
        ..Config::default()
    };
    config.audit.path = folder.join("audit.log");
    Ok(config)
}

fn free_port() -> Listen {
    Listen::Tcp {
        host: "127.0.0.1".to_owned(),
        port: 0,
    }
}

/// A folder that only this user can read, and that goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn).map_err(io::Error::other)?;
        let name = format!("bauta-demo-{:016x}", u64::from_ne_bytes(drawn));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing in it is secret; what cannot be removed stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One request as an SDK would send it; the answer's body.
async fn post(addr: SocketAddr, body: Vec<u8>) -> Result<Bytes, DemoError> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::post("/stand-in/v1/chat/completions")
        .header(header::HOST, addr.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer not-a-secret-of-the-demo")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let answer = response.into_body().collect().await?.to_bytes();
    drop(sender);
    // How the connection ends no longer matters: the answer is whole.
    let _ = driver.await;
    Ok(answer)
}

/// What the sidecar logs, kept in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
