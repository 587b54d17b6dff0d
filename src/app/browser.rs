//! The browser channel while it runs: its listener, its browser, and their end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch as signal;
use tokio::task::JoinHandle;

use super::{StartError, bind, settings};
use crate::browser::Channel;
use crate::config::{Browser, Config};
use crate::guard::Guard;
use crate::net::server::{self, Limits, Listener};

/// The browser channel with its browser, bound and not served yet.
pub(super) struct Bound {
    channel: Arc<Channel>,
    listener: Listener,
    limits: Limits,
    token: Option<String>,
}

/// The browser channel while it runs. Dropping it leaves it to the runtime, and the browser ends with it.
pub(super) struct Served {
    addr: Option<SocketAddr>,
    channel: Arc<Channel>,
    task: JoinHandle<usize>,
    token: Option<String>,
}

impl Bound {
    /// Binds the listener, and starts the browser or connects to it.
    pub(super) async fn new(
        config: &Config,
        browser: &Browser,
        guard: &Arc<Guard>,
    ) -> Result<Self, StartError> {
        let settings = settings::browser(config, browser)?;
        // First: a port that is taken is said at once, and no browser starts for it.
        let listener = bind("browser", &browser.listen).await?;
        let token = settings.token.clone();
        let channel = Channel::start(Arc::clone(guard), settings).await?;
        let addr = listener.local_addr();
        let address = addr.map_or_else(|| browser.listen.to_string(), |addr| addr.to_string());
        tracing::info!(channel = "browser", address, "listening");
        Ok(Self {
            channel,
            listener,
            limits: settings::browser_listener(browser),
            token,
        })
    }

    /// Serves until `stopped` turns true.
    pub(super) fn serve(self, stopped: signal::Receiver<bool>) -> Served {
        let addr = self.listener.local_addr();
        let handler = Arc::clone(&self.channel);
        let task = tokio::spawn(server::serve(
            self.listener,
            self.limits,
            stopped,
            move |connection, request| Arc::clone(&handler).handle(connection, request),
        ));
        Served {
            addr,
            channel: self.channel,
            task,
            token: self.token,
        }
    }
}

impl Served {
    /// Where it listens; `None` on a Unix socket.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// The address for a command of ours, its token included; `None` on a Unix socket.
    pub(super) fn url(&self) -> Option<String> {
        let addr = self.addr?;
        Some(match &self.token {
            Some(token) => format!("http://{addr}/{token}"),
            None => format!("http://{addr}"),
        })
    }

    /// What says whether clients can be served.
    pub(super) fn check(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let channel = Arc::clone(&self.channel);
        move || channel.ready()
    }

    /// Waits for the end of its clients, after it was told to stop, and ends the browser. Says how many connections were cut.
    pub(super) async fn ended(self) -> usize {
        let cut = self.task.await.unwrap_or(0);
        self.channel.stop().await;
        cut
    }
}
