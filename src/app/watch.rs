//! Notices that files have changed: in place, by a rename over them, or by a swapped symlink (Kubernetes volumes).
//!
//! Folders are watched, not files: a rename replaces the file, and a watch on it would stay with the old one. Events only wake
//! us; whether a file is another one is decided by looking at it. A slow look without events covers file systems that have none.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Quiet that ends a burst of events.
const QUIET: Duration = Duration::from_millis(40);
/// How long a burst can put off a look.
const MAX_BURST: u32 = 5;
/// Between two looks without events.
const LOOK: Duration = Duration::from_secs(2);
/// The same where the system gives no events.
const LOOK_BLIND: Duration = Duration::from_millis(400);

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    /// The state of a file now, symlinks followed; `None` if there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// Wakes when something happens near the files.
pub(super) struct Watch {
    files: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
    events: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches the folders of these files, and those of the files that they link to.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let (wake, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_event: notify::Result<notify::Event>| {
            // Full means that a look is due already.
            let _ = wake.try_send(());
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "no file events; files are looked at instead"),
            )
            .ok();
        let mut watch = Self {
            files,
            watcher,
            folders: HashSet::new(),
            events,
        };
        watch.follow();
        watch
    }

    /// Waits for the next occasion to look.
    pub(super) async fn wake(&mut self) {
        if self.watcher.is_none() {
            sleep(LOOK_BLIND).await;
            return;
        }
        if timeout(LOOK, self.events.recv()).await.is_ok() {
            for _ in 0..MAX_BURST {
                if timeout(QUIET, self.events.recv()).await.is_err() {
                    break;
                }
            }
        }
        self.follow();
    }

    /// Watches the folders that matter now and are not watched yet: a link may lead elsewhere.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut folders = HashSet::new();
        for file in &self.files {
            let real = fs::canonicalize(file).ok();
            for path in [Some(file.clone()), real].into_iter().flatten() {
                let parent = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                folders.insert(parent.unwrap_or(Path::new(".")).to_owned());
            }
        }
        for gone in self.folders.difference(&folders) {
            // A removed folder has lost its watch already.
            let _ = watcher.unwatch(gone);
        }
        let mut kept: HashSet<PathBuf> = self.folders.intersection(&folders).cloned().collect();
        for folder in folders {
            if kept.contains(&folder) || watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                kept.insert(folder);
            }
        }
        self.folders = kept;
    }
}
