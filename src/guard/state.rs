//! The guard itself: what is in force, whether it may be used, and how it is replaced.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::codes::Codes;
use super::request_id::RequestIds;
use super::snapshot::{Rules, Snapshot};
use super::ticket::{About, Ticket};
use crate::audit::{Recorder, Slot};
use crate::secret::vault::Vault;
use crate::secret::{Kind, Secret, TotpError, Value, View};

/// How long a request waits for a change of the vault to be in force that was made before it began.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Places in the log's queue that a request takes: for what stands in it, for what stands in its answer, and for what is left
/// where the answer came before the request's end.
pub(super) const SLOTS: usize = 3;

/// Why a request is not served: nothing may happen without a trace, nor with values that cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The audit log takes no more.
    #[error("the audit log cannot be written, and nothing is done without a trace")]
    Audit,
    /// The vault, or a secret in it, cannot be read; the reason, with names only.
    #[error("what is to be masked cannot be read: {0}")]
    Vault(Arc<str>),
    /// A change of the vault is not in force yet.
    #[error("a change of the vault is not in force yet")]
    Behind,
}

impl Unavailable {
    /// The code in errors and in log lines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Audit => "audit_unavailable",
            Self::Vault(_) | Self::Behind => "vault_unavailable",
        }
    }
}

/// Says whether a newer view exists than the one in force.
pub trait Source: Send + Sync {
    /// A number that grows with every change that counts for a view. Asked at each request's beginning: it must be cheap.
    ///
    /// # Errors
    /// It is not known now; what is in force stays so.
    fn generation(&self) -> Result<u64, String>;
}

impl Source for Vault {
    fn generation(&self) -> Result<u64, String> {
        Self::generation(self).map_err(|error| error.to_string())
    }
}

/// What requests that begin now get.
struct State {
    snapshot: Arc<Snapshot>,
    generation: u64,
    failed: Option<Arc<str>>,
    /// When a one-time code need not be masked any more, in seconds since 1970.
    code_expiry: Option<u64>,
}

/// What the state is made of.
struct Build {
    view: Arc<View>,
    rules: Arc<Rules>,
    codes: Codes,
    generation: u64,
    failed: Option<Arc<str>>,
}

/// Holds what is in force.
pub struct Guard {
    current: ArcSwap<State>,
    build: Mutex<Build>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) agent: String,
    source: Option<Arc<dyn Source>>,
    /// Somebody waits for a newer view.
    behind: Notify,
    generation: watch::Sender<u64>,
    pub(super) ids: RequestIds,
}

impl Guard {
    /// A guard with its first view, for the agent of that id. `source`: where newer views come from, and the number of the view.
    pub fn new(
        view: View,
        rules: Rules,
        recorder: Arc<Recorder>,
        agent: &str,
        source: Option<(Arc<dyn Source>, u64)>,
    ) -> Self {
        let (source, generation) =
            source.map_or((None, 0), |(source, number)| (Some(source), number));
        let build = Build {
            view: Arc::new(view),
            rules: Arc::new(rules),
            codes: Codes::default(),
            generation,
            failed: None,
        };
        Self {
            current: ArcSwap::from_pointee(build.state()),
            build: Mutex::new(build),
            recorder,
            agent: agent.to_owned(),
            source,
            behind: Notify::new(),
            generation: watch::Sender::new(generation),
            ids: RequestIds::new(),
        }
    }

    /// Admits a request that begins now.
    ///
    /// # Errors
    /// It cannot be served now.
    pub async fn admit(self: &Arc<Self>, about: About) -> Result<Ticket, Unavailable> {
        let slots = (0..SLOTS).map(|_| self.slot()).collect::<Result<_, _>>()?;
        let snapshot = self.fresh().await?;
        Ok(Ticket::new(Arc::clone(self), snapshot, about, slots))
    }

    /// A place in the log's queue.
    pub(super) fn slot(&self) -> Result<Slot, Unavailable> {
        self.recorder.reserve().map_err(|_| Unavailable::Audit)
    }

    /// The snapshot for what begins now: of the newest view that there is, not of the newest that was noticed.
    pub(super) async fn fresh(&self) -> Result<Arc<Snapshot>, Unavailable> {
        if let Some(source) = &self.source
            && let Ok(newest) = source.generation()
            && self.current.load().generation < newest
        {
            self.catch_up(newest).await?;
        }
        let state = self.current.load();
        if state.code_expiry.is_some_and(|expiry| expiry <= now()) {
            self.rebuild(|build| build.codes.expire(now()));
        }
        match &state.failed {
            Some(reason) => Err(Unavailable::Vault(Arc::clone(reason))),
            None => Ok(Arc::clone(&state.snapshot)),
        }
    }

    /// Boxed by its callers' rarity: waits until a view of that number is in force, or is known not to come.
    async fn catch_up(&self, newest: u64) -> Result<(), Unavailable> {
        let mut generation = self.generation.subscribe();
        self.behind.notify_one();
        let reached = Box::pin(timeout(CATCH_UP, generation.wait_for(|at| *at >= newest)));
        match reached.await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Unavailable::Behind),
        }
    }

    /// Waits until somebody needs a newer view than the one in force.
    pub async fn behind(&self) {
        self.behind.notified().await;
    }

    /// The number of the view in force, and whether there is one: none after [`Guard::fail`].
    pub fn generation(&self) -> (u64, bool) {
        let state = self.current.load();
        (state.generation, state.failed.is_none())
    }

    /// Puts another view in force; requests in flight keep theirs. `generation`: its number, 0 without a source.
    pub fn replace(&self, view: View, generation: u64) {
        self.rebuild(|build| {
            build.view = Arc::new(view);
            build.generation = generation;
            build.failed = None;
            true
        });
        self.generation.send_replace(generation);
    }

    /// Puts other rules in force.
    pub fn set_rules(&self, rules: Rules) {
        self.rebuild(|build| {
            let other = *build.rules != rules;
            if other {
                build.rules = Arc::new(rules);
            }
            other
        });
    }

    /// The view of that number cannot be had, for that reason: until one comes that can, no request is admitted. Those in
    /// flight go on with theirs, but get no value.
    pub fn fail(&self, reason: &str, generation: u64) {
        let mut build = self.build();
        build.generation = generation;
        build.failed = Some(reason.into());
        let state = self.current.load();
        self.current.store(Arc::new(State {
            snapshot: Arc::clone(&state.snapshot),
            generation,
            failed: build.failed.clone(),
            code_expiry: state.code_expiry,
        }));
        drop(build);
        self.generation.send_replace(generation);
    }

    /// Why a value must not be given out now, whatever a ticket says.
    pub(super) fn failed(&self) -> Option<Unavailable> {
        let state = self.current.load();
        state.failed.clone().map(Unavailable::Vault)
    }

    /// The keys of the secrets that belong into the environment of the agent's process.
    pub fn environment_keys(&self) -> BTreeSet<String> {
        let snapshot = Arc::clone(&self.current.load().snapshot);
        let secrets = snapshot.view().iter();
        secrets
            .filter(|secret| secret.options().kind == Kind::Env)
            .map(|secret| secret.key().as_str().to_owned())
            .collect()
    }

    /// Whether requests are served in full.
    ///
    /// # Errors
    /// Why not, with names only.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        if let Some(unavailable) = self.failed() {
            reasons.push(unavailable.to_string());
        }
        if let Err(reason) = self.recorder.health() {
            reasons.push(reason);
        }
        if let Some(Err(reason)) = self.source.as_ref().map(|source| source.generation()) {
            reasons.push(format!("the vault cannot be read: {reason}"));
        }
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(reasons)
        }
    }

    /// The code of a secret now, which is masked from here on.
    ///
    /// # Errors
    /// The secret has no codes.
    pub(super) fn issue(&self, secret: &Secret) -> Result<Value, TotpError> {
        let mut issued = Err(TotpError::Kind);
        self.rebuild(|build| {
            let mut is_new = false;
            issued = build.codes.issue(secret, now()).map(|(code, new)| {
                is_new = new;
                code
            });
            is_new
        });
        issued
    }

    /// Makes a new state if `change` says that something changed. Takes as long as its needles need.
    fn rebuild(&self, change: impl FnOnce(&mut Build) -> bool) {
        let mut build = self.build();
        if change(&mut build) {
            self.current.store(Arc::new(build.state()));
        }
    }

    fn build(&self) -> MutexGuard<'_, Build> {
        // What is built from is set as a whole, or not at all.
        self.build.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Build {
    fn state(&self) -> State {
        let view = Arc::clone(&self.view);
        State {
            snapshot: Arc::new(Snapshot::with_codes(view, &self.rules, self.codes.all())),
            generation: self.generation,
            failed: self.failed.clone(),
            code_expiry: self.codes.next_expiry(),
        }
    }
}

/// Seconds since 1970; 0 on a clock before that.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
