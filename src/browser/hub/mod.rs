//! The multiplexer: one connection to the browser, shared by all clients and by us.
//!
//! Each client is a [`Member`] whose root is a browser session of its own; our own work has one more, attached first. A session
//! has one owner, and commands get numbers of ours.

mod types;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use super::command::Command;
use super::settings::Settings;

pub use super::upstream::StartError;
pub use types::{CallError, Event, FromBrowser, Listed, SendError, Target, Version};

/// The multiplexer.
pub struct Hub {
    world: String,
}

/// What happened to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It ended or its connection broke; it is started again.
    Lost(Arc<str>),
    /// A start failed; it is tried again.
    Failed(Arc<str>),
    /// It is there again, as this generation.
    Restarted(u64),
}

/// A client. Clones are the same member; when the last is dropped, it leaves.
#[derive(Clone)]
pub struct Member {
    /// Its number.
    pub id: u64,
}

/// The messages for a client, bounded by bytes.
pub struct Incoming {
    _nothing: (),
}

/// Says that a client took something, while one message is long under way.
#[derive(Clone)]
pub struct Pulse {
    _nothing: (),
}

/// Events of a session of ours.
pub struct Events {
    _nothing: (),
}

#[allow(clippy::unused_async, unused_variables)]
impl Hub {
    /// Starts the browser, or connects to it.
    pub async fn start(settings: Arc<Settings>) -> Result<Arc<Self>, StartError> {
        Err(StartError::Nowhere)
    }

    /// A command of ours; its `result`. `session`: one of ours; `None`: our own browser session.
    pub async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: impl Serialize,
    ) -> Result<Bytes, CallError> {
        Err(CallError::Gone)
    }

    /// The same with parameters that hold a value: the message is wiped once it was written.
    pub async fn call_raw(
        &self,
        session: Option<&str>,
        method: &str,
        params: Zeroizing<Vec<u8>>,
    ) -> Result<Bytes, CallError> {
        Err(CallError::Gone)
    }

    /// Our own session on a target, attached on first use and kept until it detaches.
    pub async fn own(&self, target: &str) -> Result<Arc<str>, CallError> {
        Err(CallError::Gone)
    }

    /// Events of a session of ours, from now on. They end when the session detaches, or when too many wait.
    pub fn events(&self, session: &str) -> Result<Events, CallError> {
        Err(CallError::Gone)
    }

    /// A new client.
    pub async fn join(self: &Arc<Self>) -> Result<(Member, Incoming), CallError> {
        Err(CallError::Gone)
    }

    /// The targets that a client may know of.
    pub async fn targets(&self) -> Result<Vec<Listed>, CallError> {
        Err(CallError::Gone)
    }

    /// What our isolated worlds are called in this run.
    pub fn world(&self) -> &str {
        &self.world
    }

    /// What browser it is.
    pub fn product(&self) -> Arc<Version> {
        Arc::new(Version {
            browser: String::new(),
            protocol: String::new(),
            user_agent: String::new(),
            v8: String::new(),
            webkit: String::new(),
        })
    }

    /// How often the browser was started or connected to.
    pub fn generation(&self) -> u64 {
        0
    }

    /// What happens to the browser from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        broadcast::channel(1).1
    }

    /// Ends the browser, or the connection to it, and everybody's part in it.
    pub async fn stop(&self) {}
}

#[allow(clippy::unused_async, clippy::unused_self, unused_variables)]
impl Member {
    /// Sends a client's command on, under a number of ours, with other parameters if given.
    pub async fn send(&self, command: &Command, params: Option<Bytes>) -> Result<(), SendError> {
        Err(SendError::Gone)
    }

    /// A command of ours on one of the client's sessions; its `result`. The client sees neither.
    pub async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: &[u8],
    ) -> Result<Bytes, CallError> {
        Err(CallError::Gone)
    }

    /// What one of its sessions is attached to; `None`: it has no such session.
    pub fn target_of(&self, session: Option<&str>) -> Option<Arc<Target>> {
        None
    }

    /// Its sessions but for its root, and what they are attached to.
    pub fn sessions(&self) -> Vec<(Arc<str>, Arc<Target>)> {
        Vec::new()
    }
}

#[allow(clippy::unused_async, clippy::unused_self)]
impl Incoming {
    /// The next message. May be dropped while it waits, without loss.
    pub async fn next(&mut self) -> FromBrowser {
        FromBrowser::Gone("".into())
    }

    /// What tells the hub that the client goes on taking a long message.
    pub fn pulse(&self) -> Pulse {
        Pulse { _nothing: () }
    }
}

#[allow(clippy::unused_self)]
impl Pulse {
    /// The client took something.
    pub fn beat(&self) {}
}

#[allow(clippy::unused_async, clippy::unused_self)]
impl Events {
    /// The next event; `None`: the session is gone, or events were lost.
    pub async fn next(&mut self) -> Option<Event> {
        None
    }
}
