//! Key files: whose they must be, how they are read, and how one is made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{MAX_TEXT_BYTES, MasterError};
use crate::secret::vault::envelope::{KEY_BYTES, hex};

/// Reads a key file, if nobody else can use it. What is judged is the file that was opened, not what its name leads to later.
pub(super) fn read(path: &Path, group_read: bool) -> Result<Zeroizing<Vec<u8>>, MasterError> {
    let fail = |error| MasterError::Read {
        path: path.to_owned(),
        error,
    };
    // Without waiting: to open a pipe would hang until somebody writes.
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) fit an int");
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(MasterError::NotAFile(path.to_owned()));
    }
    let mode = metadata.permissions().mode();
    if let Some(what) = open_to(mode, group_read) {
        return Err(MasterError::Open {
            path: path.to_owned(),
            what,
            mode: if group_read { "640" } else { "600" },
        });
    }
    read_bounded(file).map_err(fail)
}

/// Who else can use a file of that mode.
fn open_to(mode: u32, group_read: bool) -> Option<&'static str> {
    match mode & 0o777 {
        mode if mode & 0o002 != 0 => Some("everybody can write"),
        mode if mode & 0o004 != 0 => Some("everybody can read"),
        mode if mode & 0o020 != 0 => Some("the group can write"),
        mode if mode & 0o040 != 0 && !group_read => {
            Some("the group can read (which vault.group_read would accept)")
        }
        _ => None,
    }
}

/// At most [`MAX_TEXT_BYTES`], in a buffer that never moves. What is longer is no key, as far as it is read.
pub(super) fn read_bounded(mut source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; MAX_TEXT_BYTES]);
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Makes a key file, unless it is there. It appears under its name as a whole and on disk, or not at all. Whether it was made.
pub(super) fn make(path: &Path) -> Result<bool, MasterError> {
    let made = try_make(path).map_err(|error| match error {
        Some(error) => MasterError::Make {
            path: path.to_owned(),
            error,
        },
        None => MasterError::Random,
    })?;
    Ok(made)
}

/// `Err(None)` if there are no random numbers.
fn try_make(path: &Path) -> Result<bool, Option<io::Error>> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let fresh = beside(path);
    // Left by a process that was killed; it may be a second name of the key. Whoever makes keys holds the vault's write lock, so
    // nobody else is at it.
    let removed = fs::remove_file(&fresh);
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Some(error)),
        _ => {}
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|_| None)?;
    let text = Zeroizing::new(hex(&*key));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link does not replace what somebody else made meanwhile.
        .and_then(|()| fs::hard_link(&fresh, path));
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        linked => linked?,
    }
    sync_folder(folder)?;
    Ok(true)
}

/// The name under which a key file is written first.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// The folder of a file.
pub(in crate::secret::vault) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes a folder that is ours alone, and those above it. One that is there stays as it is.
pub(in crate::secret::vault) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes names in a folder last.
pub(in crate::secret::vault) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (mode, group_read, refused) in [
            (0o600, false, false),
            (0o400, false, false),
            (0o100_600, false, false),
            (0o640, false, true),
            (0o440, false, true),
            (0o640, true, false),
            (0o440, true, false),
            (0o620, true, true),
            (0o660, true, true),
            (0o604, true, true),
            (0o602, true, true),
            (0o644, true, true),
            (0o666, false, true),
        ] {
            assert_eq!(open_to(mode, group_read).is_some(), refused, "{mode:o}");
        }
    }

    #[test]
    fn makes_a_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/deep/master.key");
        // What a killed process left, before the key was there and after.
        make_folder(folder_of(&path)).unwrap();
        fs::write(beside(&path), "half").unwrap();
        assert!(make(&path).unwrap());
        fs::hard_link(&path, beside(&path)).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(first.len(), 65);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(folder_of(&path)), 0o700);
        assert!(!make(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), first);
        assert!(!beside(&path).exists());
        assert!(super::super::text::parse(&first).is_some());
    }
}
