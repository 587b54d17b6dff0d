//! The browser's life: opened, watched, opened again when it ends, and ended with us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::link::{EndsWith, Link, Queued};
use super::route::Router;
use super::sessions::Owner;
use super::types::{CallError, Notice, Version};
use crate::browser::settings::Settings;
use crate::browser::upstream::{self, Connection, Process, StartError, Writer};

/// How long a browser may take from its start to its first answers, and how long one may be silent that we are attached to: so many
/// times what a command may take.
const START: u32 = 3;

/// Waited before a browser is started again: first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A browser that lived this long is started again without much ado.
const SOUND: Duration = Duration::from_secs(10);

/// How long is waited for how a browser ended, once its connection has.
const HOW: Duration = Duration::from_secs(2);

/// How long a browser may take to close itself.
const CLOSE: Duration = Duration::from_secs(2);

/// What the hub and its supervisor share.
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    /// The connection; `None` while there is no browser.
    pub(super) link: watch::Sender<Option<Arc<Link>>>,
    pub(super) version: ArcSwapOption<Version>,
    pub(super) generation: AtomicU64,
    /// The browser's process; 0: none of ours.
    pub(super) pid: AtomicU32,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) stopped: watch::Sender<bool>,
}

/// A browser that answers.
pub(super) struct Running {
    link: Arc<Link>,
    version: Version,
    process: Option<Process>,
    tasks: [JoinHandle<()>; 2],
    since: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.link.die("the browser was ended");
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    product: String,
    protocol_version: String,
    revision: String,
    user_agent: String,
    js_version: String,
}

#[derive(Deserialize)]
struct CommandLine {
    arguments: Vec<String>,
}

impl Running {
    /// Opens a connection, and asks it what every browser can answer.
    pub(super) async fn open(
        settings: &Settings,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        let limits = &settings.limits;
        let connection = upstream::open(&settings.upstream, limits).await?;
        let Connection {
            reader,
            writer,
            process,
        } = connection;
        let (link, queued) = Link::new(limits.max_message_bytes, limits.command_timeout);
        let silence = START * limits.command_timeout;
        let router = Router::new(Arc::clone(&link), reader, silence);
        let tasks = [
            tokio::spawn(router.run()),
            tokio::spawn(write(Arc::clone(&link), writer, queued)),
        ];
        let mut running = Self {
            link,
            version: Version::default(),
            process,
            tasks,
            since: Instant::now(),
        };
        let met = tokio::select! {
            met = timeout(START * limits.command_timeout, running.meet(settings)) => met.unwrap_or(Err(CallError::Timeout.into())),
            // Not dropped in the middle: what there is of it is ended first.
            _ = stop.wait_for(|stop| *stop) => Err(CallError::Gone.into()),
        };
        match met {
            Ok(version) => running.version = version,
            Err(failure) => return Err(running.failed(failure).await),
        }
        if let Some(process) = &running.process {
            process.hush();
        }
        Ok(running)
    }

    async fn meet(&self, settings: &Settings) -> Result<Version, Failure> {
        let limit = START * settings.limits.command_timeout;
        self.link.attach_own(limit).await?;
        let told = self.ask("Browser.getVersion").await?;
        let told: Told = serde_json::from_slice(&told).map_err(|_| CallError::Unreadable)?;
        if self.process.is_some() {
            // A wrapper may have added to what we said.
            let line = self.ask("Browser.getBrowserCommandLine").await?;
            let line: CommandLine =
                serde_json::from_slice(&line).map_err(|_| CallError::Unreadable)?;
            let arguments = line.arguments.iter().map(String::as_str);
            upstream::judge(arguments).map_err(Failure::Switch)?;
        }
        // Before anybody can open a page: what is downloaded goes into the one folder, and nowhere else.
        let folder = std::path::absolute(&settings.folder);
        let folder = folder.unwrap_or_else(|_| settings.folder.clone());
        let downloads = serde_json::json!({
            "behavior": "allow",
            "downloadPath": folder.to_string_lossy(),
        });
        let downloads = Some(downloads.to_string().into_bytes().into());
        let set = "Browser.setDownloadBehavior";
        self.link.call(Owner::Ours, None, set, downloads).await?;
        Ok(told.into())
    }

    async fn ask(&self, method: &str) -> Result<bytes::Bytes, CallError> {
        self.link.call(Owner::Ours, None, method, None).await
    }

    /// Why it did not start; what there is of it ends.
    async fn failed(self, failure: Failure) -> StartError {
        let error = match failure {
            Failure::Switch(refused) => return self.end_then(refused.into()).await,
            Failure::Call(error) => error,
        };
        let mut said = String::new();
        let mut reason = match &error {
            CallError::Timeout => "it does not answer".to_owned(),
            CallError::Gone => "it closed the connection".to_owned(),
            error => error.to_string(),
        };
        if let Some(process) = &self.process {
            if error == CallError::Gone {
                // It is about to end by itself, if it has not yet: how says more.
                if let Ok(how) = timeout(CLOSE, process.ended()).await {
                    reason = format!("it ended ({how})");
                }
            }
            said = process.said();
        }
        self.end_then(StartError::Silent { reason, said }).await
    }

    async fn end_then(self, error: StartError) -> StartError {
        self.end(false).await;
        error
    }

    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    pub(super) fn version(&self) -> Version {
        self.version.clone()
    }

    /// Waits until it is no more; why.
    async fn lost(&self) -> Arc<str> {
        match &self.process {
            None => self.link.ended().await,
            Some(process) => tokio::select! {
                reason = self.link.ended() => {
                    // Most often it was its end that closed the connection: how it ended says more.
                    timeout(HOW, process.ended()).await.unwrap_or(reason)
                }
                how = process.ended() => how,
            },
        }
    }

    /// Ends it, and waits until nothing of it is left.
    async fn end(self, gently: bool) {
        if let Some(process) = &self.process {
            if gently {
                {
                    let mut state = self.link.state();
                    self.link.post(&mut state, "Browser.close", None, &None);
                }
                let _ = timeout(CLOSE, process.ended()).await;
            }
            self.link.die("the browser was ended");
            process.kill();
            process.cleaned().await;
        }
    }
}

enum Failure {
    Call(CallError),
    Switch(upstream::Refused),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Told> for Version {
    fn from(told: Told) -> Self {
        let webkit = told.user_agent.split_once("AppleWebKit/");
        let webkit = webkit.and_then(|(_, rest)| rest.split(' ').next());
        Self {
            webkit: format!("{} ({})", webkit.unwrap_or_default(), told.revision),
            browser: told.product,
            protocol: told.protocol_version,
            user_agent: told.user_agent,
            v8: told.js_version,
        }
    }
}

/// Writes what is sent, one after another.
async fn write(link: Arc<Link>, mut writer: Writer, mut queued: mpsc::UnboundedReceiver<Queued>) {
    let _ends = EndsWith(Arc::clone(&link));
    while let Some(queued) = queued.recv().await {
        // Its room is free once it is written.
        let Queued { outgoing, _room } = queued;
        if let Err(error) = writer.write(outgoing).await {
            link.die(&format!("the browser takes nothing any more: {error}"));
            return;
        }
    }
}

/// Keeps a browser there until it is to stop.
pub(super) async fn supervise(shared: Arc<Shared>, first: Running) {
    let mut stop = shared.stop.subscribe();
    let mut running = first;
    let mut wait = FIRST_WAIT;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            reason = running.lost() => {
                shared.link.send_replace(None);
                tracing::warn!(%reason, "the browser is gone; it is started again");
                let _ = shared.notices.send(Notice::Lost(reason));
            }
        }
        if running.since.elapsed() >= SOUND {
            wait = FIRST_WAIT;
        }
        running.end(false).await;
        let Some(again) = reopen(&shared, &mut stop, &mut wait).await else {
            shared.stopped.send_replace(true);
            return;
        };
        running = again;
    }
    shared.link.send_replace(None);
    running.end(true).await;
    shared.stopped.send_replace(true);
}

/// Opens again and again until it works; `None`: it is to stop.
async fn reopen(
    shared: &Shared,
    stop: &mut watch::Receiver<bool>,
    wait: &mut Duration,
) -> Option<Running> {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return None,
            () = sleep(*wait) => {}
        }
        *wait = (*wait * 2).min(LAST_WAIT);
        match Running::open(&shared.settings, stop).await {
            Ok(running) => {
                let generation = shared.enter(&running);
                tracing::info!(generation, "the browser is there again");
                let _ = shared.notices.send(Notice::Restarted(generation));
                return Some(running);
            }
            Err(_) if *stop.borrow() => return None,
            Err(error) => {
                tracing::warn!(%error, "the browser cannot be started");
                let _ = shared
                    .notices
                    .send(Notice::Failed(error.to_string().into()));
            }
        }
    }
}

impl Shared {
    /// Puts a browser in force; its generation.
    pub(super) fn enter(&self, running: &Running) -> u64 {
        self.version.store(Some(Arc::new(running.version())));
        let pid = running.process.as_ref().and_then(Process::pid);
        self.pid.store(pid.unwrap_or(0), Ordering::SeqCst);
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        self.link.send_replace(Some(running.link()));
        generation
    }
}
