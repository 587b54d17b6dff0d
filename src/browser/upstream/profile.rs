//! A browser's private profile: a folder that is made for one start and goes with it.
//!
//! A profile holds what pages showed: cookies, history, caches. It is locked while its browser runs, so that one which a killed
//! sidecar left behind can be told from one in use, and is removed at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

/// How a profile's folder is called; random hex follows.
const PREFIX: &str = "bauta-browser-";

/// The file in it that is locked.
const LOCK: &str = "bauta.lock";

/// The file in it that says how the browser behaves, and what we say: it keeps nothing of what is typed, by which it would offer one
/// site's user name to another one of a field of that name, and draw it there.
const PREFERENCES: &str = "Default/Preferences";
const KEEPS_NOTHING: &[u8] = br#"{"autofill":{"profile_enabled":false,"credit_card_enabled":false},"credentials_enable_service":false,"profile":{"password_manager_enabled":false}}"#;

/// How often a folder is tried to be removed: processes that are just ending may still write into it.
const REMOVALS: u32 = 20;

/// Waited between two tries.
const BETWEEN: Duration = Duration::from_millis(50);

/// A private profile. Removed when dropped.
pub(super) struct Profile {
    path: PathBuf,
    lock: Option<File>,
}

impl Profile {
    /// Makes one in a folder, which is made as well if need be, and removes those that nobody uses any more.
    pub(super) fn make(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        sweep(folder);
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        let name = format!("{PREFIX}{:032x}", u128::from_be_bytes(random));
        // Absolute: the browser may change its working directory.
        let path = std::path::absolute(folder.join(name))?;
        DirBuilder::new().mode(0o700).create(&path)?;
        let mut profile = Self { path, lock: None };
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(profile.path.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        profile.lock = Some(lock);
        let preferences = profile.path.join(PREFERENCES);
        if let Some(folder) = preferences.parent() {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(preferences)?
            .write_all(KEEPS_NOTHING)?;
        Ok(profile)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        for attempt in 1..=REMOVALS {
            match fs::remove_dir_all(&self.path) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) if attempt == REMOVALS => {
                    tracing::warn!(folder = %self.path.display(), %error, "the browser's profile stays behind");
                }
                Err(_) => std::thread::sleep(BETWEEN),
            }
        }
    }
}

/// Removes the profiles that nobody holds locked.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_profile = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Of a link, this is the link.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_profile || !is_folder {
            continue;
        }
        // One without a lock is being made this moment, or was left at that one; it holds nothing then, and stays.
        let Ok(lock) = OpenOptions::new()
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(entry.path().join(LOCK))
        else {
            continue;
        };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            drop(Profile {
                path: entry.path(),
                lock: Some(lock),
            });
        }
    }
}
