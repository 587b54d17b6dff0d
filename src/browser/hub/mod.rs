//! The multiplexer: one connection to the browser, shared by all clients and by us.
//!
//! The way through: [`Hub::start`] opens a browser and keeps one there (`supervise`); a connection is a `link`, on which everybody
//! sends, and a task that takes what comes to whom it belongs (`route`). Each client is a [`Member`] whose root is a browser session
//! of its own (`Target.attachToBrowserTarget`); our own work has one more, attached first. The connection's own session is used to
//! attach and detach those, and for nothing else.
//!
//! Invariants: a session has one owner, whose the sessions attached on it are too, and is unknown to all others; commands go under
//! numbers of ours, so answers cannot be mixed up; what belongs to nobody is dropped; a client that takes nothing delays the others
//! for a limited time, and is cut; after a restart nothing of before is valid, and everybody is told.
//!
//! It inspects no command and masks nothing: messages leave as the browser sent them, but for number and root session.

mod events;
mod link;
mod member;
mod ours;
mod queue;
mod rewrite;
mod route;
mod sessions;
mod state;
mod supervise;
mod types;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::settings::Settings;
use link::Link;
use ours::Ours;
use sessions::Owner;
use supervise::{Running, Shared};

pub use super::upstream::{AttachError, Refused, StartError};
pub use events::Events;
pub use member::Member;
pub use queue::{Incoming, Pulse};
pub use types::{CallError, Event, FromBrowser, Listed, Notice, SendError, Target, Version};

/// Notices that wait for one who listens; who is slower misses the oldest.
const MOST_NOTICES: usize = 64;

/// The multiplexer. Dropped, it ends its browser, though nobody waits for that.
pub struct Hub {
    shared: Arc<Shared>,
    world: String,
    members: AtomicU64,
    ours: Mutex<Ours>,
    /// Its streams that are being read.
    pub(super) streams: super::streams::Claims,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

impl Hub {
    /// Starts the browser, or connects to it, and keeps one there until [`Hub::stop`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Arc<Settings>) -> Result<Arc<Self>, StartError> {
        let stop = watch::channel(false).0;
        let running = Running::open(&settings, &mut stop.subscribe()).await?;
        let shared = Arc::new(Shared {
            settings,
            link: watch::channel(None).0,
            version: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            pid: AtomicU32::new(0),
            notices: broadcast::channel(MOST_NOTICES).0,
            stop,
            stopped: watch::channel(false).0,
        });
        shared.enter(&running);
        tokio::spawn(supervise::supervise(Arc::clone(&shared), running));
        Ok(Arc::new(Self {
            shared,
            world: random_name(),
            members: AtomicU64::new(0),
            ours: Mutex::default(),
            streams: super::streams::Claims::default(),
        }))
    }

    /// A command of ours; its `result`. `session`: one of ours; `None`: our own browser session.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: impl Serialize,
    ) -> Result<Bytes, CallError> {
        // What cannot be written as JSON is a mistake of ours; the browser would refuse it too.
        let params = serde_json::to_vec(&params).map_err(|_| CallError::Unreadable)?;
        let params = (params != b"null").then(|| params.into());
        self.link()?
            .call(Owner::Ours, session, method, params)
            .await
    }

    /// The same with parameters that are written already. They and the message made of them are wiped, as all that we send is.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_raw(
        &self,
        session: Option<&str>,
        method: &str,
        params: Zeroizing<Vec<u8>>,
    ) -> Result<Bytes, CallError> {
        let params = Some(params);
        self.link()?
            .call(Owner::Ours, session, method, params)
            .await
    }

    /// Our own session on a target, attached on first use and kept until it detaches.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn own(&self, target: &str) -> Result<Arc<str>, CallError> {
        self.link()?.own(target).await
    }

    /// Events of a session of ours from now on; `None`: our own browser session. They end when the session detaches, or when too many wait.
    ///
    /// # Errors
    /// It is none of ours, or the browser is gone.
    pub fn events(&self, session: Option<&str>) -> Result<Events, CallError> {
        self.link()?.events(session)
    }

    /// A new client. While there is no browser, it waits for one as long as a command may take.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn join(self: &Arc<Self>) -> Result<(Member, Incoming), CallError> {
        let link = self.link_soon().await?;
        let id = self.members.fetch_add(1, Ordering::SeqCst) + 1;
        // If the browser is slow, or we are dropped here, the member goes as it comes.
        let member = Member::new(id, Arc::clone(&link));
        link.attach_root(Owner::Member(id), self.limit()).await?;
        let queue = link
            .state()
            .seats
            .get(&id)
            .map(|seat| Arc::clone(&seat.queue));
        Ok((member, Incoming::of(queue.ok_or(CallError::Gone)?)))
    }

    /// The targets that a client may know of. Titles and addresses may show values.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn targets(&self) -> Result<Vec<Listed>, CallError> {
        let hidden = ["browser", "browser_ui", "tab"];
        let hidden = hidden.map(|kind| serde_json::json!({ "type": kind, "exclude": true }));
        let mut filter = hidden.to_vec();
        filter.push(serde_json::json!({}));
        let filter = serde_json::json!({ "filter": filter });
        let targets = self.call(None, "Target.getTargets", filter).await?;
        let targets: Targets =
            serde_json::from_slice(&targets).map_err(|_| CallError::Unreadable)?;
        Ok(targets.target_infos.into_iter().map(Into::into).collect())
    }

    /// Whether there is a browser now.
    pub fn is_up(&self) -> bool {
        self.shared.link.borrow().is_some()
    }

    /// What our isolated worlds are called in this run.
    pub fn world(&self) -> &str {
        &self.world
    }

    /// A script of ours under that name, by which clients' debuggers are not told of it.
    pub fn script(&self, source: &str) -> String {
        format!("{source}\n//# sourceURL={}\n", self.world)
    }

    /// That handle of the protocol (`objectId`) is of a world of ours, and so are all of that world.
    pub fn note_ours(&self, object: &str) {
        self.worlds().note(object);
    }

    /// Whether a handle is of a world of ours. What is no handle counts as one.
    pub fn is_ours(&self, object: &str) -> bool {
        self.worlds().has(object)
    }

    fn worlds(&self) -> MutexGuard<'_, Ours> {
        // What is put in is put in as a whole.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What browser it is, or was last.
    pub fn product(&self) -> Arc<Version> {
        self.shared.version.load_full().unwrap_or_default()
    }

    /// How often the browser was started or connected to.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::SeqCst)
    }

    /// The process of the browser that was started last, if we start it.
    pub fn process(&self) -> Option<u32> {
        let pid = self.shared.pid.load(Ordering::SeqCst);
        (pid != 0).then_some(pid)
    }

    /// What happens to the browser from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }

    /// Ends the browser, or the connection to it, and everybody's part in it; returns when nothing of it is left.
    pub async fn stop(&self) {
        self.shared.stop.send_replace(true);
        let mut stopped = self.shared.stopped.subscribe();
        // It fails if the supervisor is gone with the runtime, which is as good.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    fn limit(&self) -> Duration {
        self.shared.settings.limits.command_timeout
    }

    fn link(&self) -> Result<Arc<Link>, CallError> {
        self.shared.link.borrow().clone().ok_or(CallError::Gone)
    }

    /// The connection, or the next one.
    async fn link_soon(&self) -> Result<Arc<Link>, CallError> {
        let mut link = self.shared.link.subscribe();
        let mut stop = self.shared.stop.subscribe();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Err(CallError::Gone),
            found = timeout(self.limit(), link.wait_for(Option::is_some)) => {
                let found = found.ok().and_then(Result::ok);
                found.and_then(|link| link.clone()).ok_or(CallError::Gone)
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    target_infos: Vec<Info>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    target_id: Box<str>,
    #[serde(rename = "type")]
    kind: Box<str>,
    title: String,
    url: String,
    opener_id: Option<String>,
    browser_context_id: Option<Box<str>>,
}

impl From<Info> for Listed {
    fn from(info: Info) -> Self {
        Self {
            target: Target {
                id: info.target_id,
                kind: info.kind,
                browser_context: info.browser_context_id,
            },
            title: info.title,
            url: info.url,
            opener: info.opener_id,
        }
    }
}

/// A name that no page can guess, and that says nothing.
fn random_name() -> String {
    let mut random = [0; 16];
    // Without randomness a process has no keys either, and would not have come so far.
    getrandom::fill(&mut random).expect("the system has randomness");
    format!("{:032x}", u128::from_be_bytes(random))
}
