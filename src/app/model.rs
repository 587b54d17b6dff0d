//! The model channel while it runs: its listener and its end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch as signal;
use tokio::task::JoinHandle;

use super::{StartError, bind, settings};
use crate::config::Model;
use crate::guard::Guard;
use crate::model::Channel;
use crate::net::server::{self, Limits, Listener};
use crate::net::tls::Identity;

/// The model channel, bound and not served yet.
pub(super) struct Bound {
    pub channel: Arc<Channel>,
    pub identity: Option<Arc<Identity>>,
    listener: Listener,
    limits: Limits,
}

/// The model channel while it runs. Dropping it leaves it to the runtime.
pub(super) struct Served {
    addr: Option<SocketAddr>,
    task: JoinHandle<usize>,
}

impl Bound {
    /// Makes the channel and binds its listener.
    pub(super) async fn new(
        model: &Model,
        guard: &Arc<Guard>,
        secrets: usize,
    ) -> Result<Self, StartError> {
        let channel = Channel::new(Arc::clone(guard), &settings::channel(model))?;
        let identity = match &model.tls {
            Some(tls) => Some(Arc::new(Identity::load(&tls.cert, &tls.key)?)),
            None => None,
        };
        let mut listener = bind("model", &model.listen).await?;
        if let Some(identity) = &identity {
            listener = listener.with_identity(Arc::clone(identity));
        }
        let addr = listener.local_addr();
        let address = addr.map_or_else(|| model.listen.to_string(), |addr| addr.to_string());
        tracing::info!(
            channel = "model",
            address,
            tls = identity.is_some(),
            secrets,
            "listening"
        );
        Ok(Self {
            channel: Arc::new(channel),
            identity,
            listener,
            limits: settings::listener(model),
        })
    }

    /// Serves until `stopped` turns true.
    pub(super) fn serve(self, stopped: signal::Receiver<bool>) -> Served {
        let addr = self.listener.local_addr();
        let channel = self.channel;
        let task = tokio::spawn(server::serve(
            self.listener,
            self.limits,
            stopped,
            move |connection, request| {
                let channel = Arc::clone(&channel);
                async move { channel.handle(connection, request).await }
            },
        ));
        Served { addr, task }
    }
}

impl Served {
    /// Where it listens; `None` on a Unix socket.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Waits for its end, after it was told to stop. Says how many connections were cut.
    pub(super) async fn ended(self) -> usize {
        self.task.await.unwrap_or(0)
    }
}
