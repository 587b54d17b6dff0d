//! Follows the vault while the process runs: what changed is in force within a quarter of a second, and for a request that begins
//! after the change at once, because the guard asks for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::stock::Followed;
use crate::guard::Guard;
use crate::secret::vault::VaultError;

/// Between two looks that nobody asked for.
const LOOK: Duration = Duration::from_millis(250);

/// Between two looks at a view that could not be had, where nothing changed since.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Between two times at which versions are destroyed whose grace is over.
const MAINTAIN: Duration = Duration::from_secs(60);

/// Runs until it is dropped.
pub(super) async fn follow(followed: Followed, guard: Arc<Guard>) {
    let mut state = Follower {
        followed,
        guard: Arc::clone(&guard),
        unread: None,
        failed_at: Instant::now(),
        checked: Instant::now(),
        maintained: None,
    };
    loop {
        // It reads files, and builds needles.
        let looked = spawn_blocking(move || {
            state.look();
            state
        });
        match looked.await {
            Ok(back) => state = back,
            // The runtime ends, or it panicked: then nobody would notice a change any more.
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("the vault is followed no more: restart bauta");
                    let reason = "the vault is followed no more. Restart bauta";
                    guard.fail(reason, guard.generation().0);
                }
                return;
            }
        }
        tokio::select! {
            () = guard.behind() => {}
            () = sleep(LOOK) => {}
        }
    }
}

struct Follower {
    followed: Followed,
    guard: Arc<Guard>,
    /// Why the vault could not be asked, as it was logged.
    unread: Option<String>,
    failed_at: Instant,
    /// When all rows were read last.
    checked: Instant,
    maintained: Option<Instant>,
}

impl Follower {
    fn look(&mut self) {
        let vault = Arc::clone(&self.followed.vault);
        if self.maintained.is_none_or(|at| at.elapsed() >= MAINTAIN) {
            self.maintained = Some(Instant::now());
            if let Err(error) = vault.maintain() {
                tracing::error!("versions whose time is over are not destroyed: {error}");
            }
        }
        let newest = match vault.generation() {
            Ok(newest) => newest,
            Err(error @ (VaultError::Broken(_) | VaultError::Replaced(_))) => {
                // What cannot be opened cannot be masked.
                let (have, is_good) = self.guard.generation();
                if is_good {
                    tracing::error!("no request is served: {error}");
                }
                self.failed_at = Instant::now();
                return self.guard.fail(&error.to_string(), have);
            }
            Err(error) => return self.not_read(&error.to_string()),
        };
        if self.unread.take().is_some() {
            tracing::info!("the vault can be read again");
        }
        let (have, is_good) = self.guard.generation();
        // Damage of a row does not show in the number: now and then all of them are read.
        let is_due = self.checked.elapsed() >= MAINTAIN;
        if newest == have && !is_due && (is_good || self.failed_at.elapsed() < LOOK_AGAIN) {
            return;
        }
        self.checked = Instant::now();
        match vault.view(&self.followed.identity) {
            Ok(_) if newest == have && is_good => {}
            Ok(view) => {
                let secrets = view.len();
                self.guard.replace(view, newest);
                tracing::info!(secrets, "the changed secrets are in force");
            }
            Err(error) => {
                self.failed_at = Instant::now();
                if is_good || newest != have {
                    tracing::error!("no request is served: {error}");
                }
                self.guard.fail(&error.to_string(), newest);
            }
        }
    }

    /// What is in force stays so; readiness fails by itself.
    fn not_read(&mut self, reason: &str) {
        if self.unread.as_deref() != Some(reason) {
            tracing::error!(
                "the vault cannot be read, and what it held before stays in force: {reason}"
            );
            self.unread = Some(reason.to_owned());
        }
    }
}
