//! The channel itself: one browser, its clients, and the requests by which they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::task::AbortHandle;

use super::client::Client;
use super::client::masking::Masking;
use super::context::Context;
use super::endpoint::{self, Access, Failure, Route};
use super::hub::{CallError, Hub, Incoming, Listed, Notice, StartError};
use super::inspect;
use super::listing::{self, Reached};
use super::pages::Pages;
use super::settings::Settings;
use crate::guard::{About, Guard};
use crate::net::body::Received;
use crate::net::host::HostPolicy;
use crate::net::io::Connection;
use crate::net::server::Takeover;
use crate::net::websocket::handshake::{self, Opening, OpeningError};

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// There is no browser.
    #[error(transparent)]
    Browser(#[from] StartError),
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Random,
}

/// The browser channel. One for all connections.
pub struct Channel {
    guard: Arc<Guard>,
    settings: Arc<Settings>,
    hub: Arc<Hub>,
    pages: Arc<Pages>,
    shared: Arc<inspect::Shared>,
    hosts: HostPolicy,
    access: Access,
    places: Arc<Semaphore>,
    /// What the browser is called in its WebSocket's address.
    id: String,
    is_up: Arc<AtomicBool>,
    notices: AbortHandle,
}

impl Channel {
    /// Starts the browser, or connects to it.
    ///
    /// # Errors
    /// There is none.
    pub async fn start(guard: Arc<Guard>, settings: Settings) -> Result<Arc<Self>, ChannelError> {
        let id = endpoint::fresh_id().map_err(|_| ChannelError::Random)?;
        let settings = Arc::new(settings);
        let hub = Hub::start(Arc::clone(&settings)).await?;
        let is_up = Arc::new(AtomicBool::new(true));
        let notices = tokio::spawn(tell(hub.notices(), Arc::clone(&is_up))).abort_handle();
        Ok(Arc::new(Self {
            guard,
            hosts: HostPolicy::new(&settings.hosts).with_typed(),
            access: Access::new(settings.token.as_deref()),
            places: Arc::new(Semaphore::new(settings.limits.max_clients)),
            pages: Arc::default(),
            shared: Arc::default(),
            id,
            settings,
            hub,
            is_up,
            notices,
        }))
    }

    /// Answers one request.
    pub async fn handle(
        self: Arc<Self>,
        connection: Arc<Connection>,
        mut request: Request<Received>,
    ) -> Response<Full<Bytes>> {
        let upgrade =
            handshake::is_asked_for(request.headers()).then(|| hyper::upgrade::on(&mut request));
        if !request.body().is_end_stream() {
            connection.leave_unread();
        }
        let (parts, _) = request.into_parts();
        let local = connection.local_addr();
        let answered = async {
            self.hosts.check(&parts, local)?;
            let (rest, reached) = self.access.admit(&parts, local)?;
            let route = endpoint::route(&parts.method, rest, parts.uri.query())?;
            let Some(upgrade) = upgrade else {
                return self.say(route, &reached).await;
            };
            let opening = Opening::of(&parts.method, parts.version, &parts.headers)?;
            if connection.is_unread() {
                return Err(OpeningError::Body.into());
            }
            let (client, place) = self.admit(route).await?;
            let mut head = HeaderMap::new();
            opening.accept(&mut head);
            let deflate = opening.offers_deflate();
            let run = move |stop: watch::Receiver<bool>| async move {
                // It fails where the client left before it had the answer.
                if let Ok(socket) = upgrade.await {
                    client.run(socket, deflate, stop).await;
                }
                drop(place);
            };
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *answer.headers_mut() = head;
            answer.extensions_mut().insert(Takeover::new(run));
            Ok(answer)
        };
        // Boxed: it is large, and the listener keeps room for it.
        let answer = Box::pin(answered).await.unwrap_or_else(|failure: Failure| {
            tracing::debug!(reason = %failure, "answered by bauta");
            failure.response()
        });
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            connection.end();
        }
        answer
    }

    /// Why no client can be served now.
    ///
    /// # Errors
    /// The browser is not there.
    pub fn ready(&self) -> Result<(), String> {
        if self.is_up.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("there is no browser now; it is started again".to_owned())
        }
    }

    /// Ends the browser, or the connection to it. For when its clients have ended.
    pub async fn stop(&self) {
        self.notices.abort();
        self.hub.stop().await;
    }

    /// A new client for what the route leads to.
    async fn admit(&self, route: Route<'_>) -> Result<(Client, OwnedSemaphorePermit), Failure> {
        let target = match route {
            Route::Browser(id) if id.is_none_or(|id| id == self.id) => None,
            Route::Browser(_) => return Err(Failure::NoTarget),
            Route::Page(target) => Some(target),
            _ => return Err(Failure::NoSocket),
        };
        let places = Arc::clone(&self.places);
        let place = places
            .try_acquire_owned()
            .map_err(|_| Failure::Full(self.settings.limits.max_clients))?;
        let (context, incoming) = self.join().await?;
        if let Some(target) = target {
            self.known(target).await?;
        }
        let ticket = self.guard.admit(about(context.member.id)).await?;
        let shared = Arc::clone(&self.shared);
        let client = Client::new(context, incoming, ticket, shared);
        let client = match target {
            Some(target) => client.of_target(target).await.map_err(no_target)?,
            None => client,
        };
        Ok((client, place))
    }

    async fn join(&self) -> Result<(Context, Incoming), Failure> {
        let (member, incoming) = self.hub.join().await?;
        let context = Context {
            hub: Arc::clone(&self.hub),
            member,
            guard: Arc::clone(&self.guard),
            settings: Arc::clone(&self.settings),
            pages: Arc::clone(&self.pages),
            casts: Arc::default(),
        };
        Ok((context, incoming))
    }

    /// Answers what needs no WebSocket.
    async fn say(
        &self,
        route: Route<'_>,
        reached: &Reached,
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let value = match route {
            Route::Version => listing::version(&self.hub.product(), &self.id, reached),
            Route::List => self.list(reached).await?,
            Route::Protocol => listing::protocol(),
            Route::New(url) => self.open(&url, reached).await?,
            Route::Activate(id) => {
                self.known(id).await?;
                let params = serde_json::json!({ "targetId": id });
                let called = self.hub.call(None, "Target.activateTarget", params).await;
                called.map_err(no_target)?;
                return Ok(endpoint::text(StatusCode::OK, "Target activated"));
            }
            Route::Close(id) => {
                self.known(id).await?;
                let params = serde_json::json!({ "targetId": id });
                let called = self.hub.call(None, "Target.closeTarget", params).await;
                called.map_err(no_target)?;
                return Ok(endpoint::text(StatusCode::OK, "Target is closing"));
            }
            Route::Browser(_) | Route::Page(_) => return Err(Failure::OnlySocket),
        };
        Ok(endpoint::json(&value))
    }

    async fn list(&self, reached: &Reached) -> Result<serde_json::Value, Failure> {
        let targets = self.hub.targets().await?;
        let ticket = self.guard.admit(about(0)).await?;
        let masking = Masking::new(ticket);
        let mut all = Vec::with_capacity(targets.len());
        for target in targets.into_iter().filter(is_there) {
            all.push(listing::target(&shown(target, &masking).await?, reached));
        }
        Ok(all.into())
    }

    /// Whether clients may know of that target.
    async fn known(&self, id: &str) -> Result<Listed, Failure> {
        let targets = self.hub.targets().await?;
        let mut there = targets.into_iter().filter(is_there);
        let found = there.find(|it| &*it.target.id == id);
        found.ok_or(Failure::NoTarget)
    }

    /// Opens a page, by the rules for a client's `Target.createTarget`.
    async fn open(&self, url: &str, reached: &Reached) -> Result<serde_json::Value, Failure> {
        inspect::check_url(url)?;
        let params = serde_json::json!({ "url": url });
        let made = self.hub.call(None, "Target.createTarget", params).await?;
        let made: Created<'_> = serde_json::from_slice(&made).map_err(|_| CallError::Unreadable)?;
        let target = self.known(made.target_id).await?;
        let ticket = self.guard.admit(about(0)).await?;
        let target = shown(target, &Masking::new(ticket)).await?;
        Ok(listing::target(&target, reached))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.notices.abort();
    }
}

/// Whether a target is there for clients.
fn is_there(listed: &Listed) -> bool {
    !inspect::is_hidden_page(&listed.target.kind, &listed.url)
}

/// The answer to `Target.createTarget`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    target_id: &'a str,
}

/// What the audit log says of a client; 0: of requests without one.
fn about(client: u64) -> About {
    About {
        channel: "browser",
        target: format!("client {client}").into(),
        method: "CDP",
    }
}

/// A target as a client may see it.
async fn shown(mut target: Listed, masking: &Masking) -> Result<Listed, Failure> {
    target.title = masking.words(&target.title).await?;
    target.url = masking.words(&target.url).await?;
    Ok(target)
}

fn no_target(error: CallError) -> Failure {
    match error {
        CallError::Refused { .. } | CallError::NotYours => Failure::NoTarget,
        error => error.into(),
    }
}

/// Says what happens to the browser.
async fn tell(mut notices: broadcast::Receiver<Notice>, is_up: Arc<AtomicBool>) {
    loop {
        match notices.recv().await {
            Ok(Notice::Lost(why)) => {
                is_up.store(false, Ordering::Relaxed);
                tracing::error!(reason = &*why, "the browser is gone; it is started again");
            }
            Ok(Notice::Failed(why)) => {
                tracing::error!(
                    reason = &*why,
                    "the browser does not start; it is tried again"
                );
            }
            Ok(Notice::Restarted(generation)) => {
                is_up.store(true, Ordering::Relaxed);
                tracing::info!(generation, "the browser is there again");
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
