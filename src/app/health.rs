//! Health, for a machine that keeps us running: `GET /healthz` and `GET /readyz` on a listener of their own.
//!
//! The way through: `app` collects in [`Readiness`] what must work, [`start`] binds, `net::server` serves. Kubelet asks by
//! the pod's address, so here any `Host` will do: nothing that is said is secret, and nothing can be changed.
//!
//! Invariants: it answers as long as the process lives, while requests are drained as well; no body is read; the limits are
//! small and fixed, so that nobody can keep kubelet out for long.
//!
//! It decides nothing: whether the channels answer 503 is theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::Full;
use serde_json::json;
use tokio::sync::watch as signal;
use tokio::task::JoinHandle;

use super::{StartError, bind};
use crate::config::Health;
use crate::net::body::Received;
use crate::net::server;

/// A few machines that ask every few seconds.
const LIMITS: server::Limits = server::Limits {
    max_connections: 64,
    max_header_bytes: 8 << 10,
    max_headers: 64,
    header_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(10),
    drain_timeout: Duration::from_secs(1),
};

/// Gives the reason why a part does not work.
type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Whether requests should be sent to us, and if not, why.
#[derive(Default)]
pub(super) struct Readiness {
    draining: AtomicBool,
    checks: Vec<(&'static str, Check)>,
}

impl Readiness {
    /// Asks that part as well. A check does not block, and its reason holds no value.
    #[must_use]
    pub(super) fn with(
        mut self,
        part: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((part, Box::new(check)));
        self
    }

    /// From now on no new requests are wanted.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The reasons why not; none if it is ready.
    fn reasons(&self) -> Vec<String> {
        let draining = self
            .draining
            .load(Ordering::Relaxed)
            .then(|| "draining: no new connections".to_owned());
        let failing = self
            .checks
            .iter()
            .filter_map(|(part, check)| Some(format!("{part}: {}", check().err()?)));
        draining.into_iter().chain(failing).collect()
    }
}

/// The listener while it runs. Dropping it leaves it to the runtime.
pub(super) struct Served {
    addr: Option<SocketAddr>,
    stop: signal::Sender<bool>,
    task: JoinHandle<usize>,
}

impl Served {
    /// Where it listens; `None` on a Unix socket.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        // The receiver lives as long as the task; if that is gone, nothing is left to stop.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// Binds and serves.
pub(super) async fn start(
    health: &Health,
    readiness: Arc<Readiness>,
) -> Result<Served, StartError> {
    let listener = bind("health", &health.listen).await?;
    let addr = listener.local_addr();
    let address = addr.map_or_else(|| health.listen.to_string(), |addr| addr.to_string());
    tracing::info!(channel = "health", address, "listening");
    let (stop, stopped) = signal::channel(false);
    let task = tokio::spawn(server::serve(
        listener,
        LIMITS,
        stopped,
        move |connection, request: Request<Received>| {
            if !request.body().is_end_stream() {
                connection.leave_unread();
            }
            let response = answer(request.method(), request.uri().path(), &readiness);
            async move { response }
        },
    ));
    Ok(Served { addr, stop, task })
}

fn answer(method: &Method, path: &str, readiness: &Readiness) -> Response<Full<Bytes>> {
    let (status, body) = match path {
        "/healthz" | "/readyz" if method != Method::GET && method != Method::HEAD => (
            StatusCode::METHOD_NOT_ALLOWED,
            json!({ "error": "use GET" }),
        ),
        "/healthz" => (StatusCode::OK, json!({ "alive": true })),
        "/readyz" => {
            let reasons = readiness.reasons();
            let status = if reasons.is_empty() {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (
                status,
                json!({ "ready": reasons.is_empty(), "reasons": reasons }),
            )
        }
        _ => (
            StatusCode::NOT_FOUND,
            json!({ "error": "there is /healthz and /readyz" }),
        ),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told() {
        let failing = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&failing);
        let readiness = Readiness::default()
            .with("vault", || Ok(()))
            .with("audit", move || {
                if state.load(Ordering::Relaxed) {
                    Err("no space left".to_owned())
                } else {
                    Ok(())
                }
            });
        assert_eq!(readiness.reasons(), ["audit: no space left"]);
        readiness.drain();
        assert_eq!(
            readiness.reasons(),
            ["draining: no new connections", "audit: no space left"]
        );
        failing.store(false, Ordering::Relaxed);
        assert_eq!(readiness.reasons(), ["draining: no new connections"]);
    }

    #[test]
    fn paths_and_methods() {
        let ready = Readiness::default();
        for (method, path, status) in [
            (Method::GET, "/healthz", 200),
            (Method::HEAD, "/readyz", 200),
            (Method::POST, "/readyz", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/readyz/", 404),
            (Method::GET, "/metrics", 404),
        ] {
            assert_eq!(answer(&method, path, &ready).status(), status, "{path}");
        }
        ready.drain();
        assert_eq!(answer(&Method::GET, "/readyz", &ready).status(), 503);
        assert_eq!(answer(&Method::GET, "/healthz", &ready).status(), 200);
    }
}
