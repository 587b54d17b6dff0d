//! The database file: that it is there, and nobody else's business.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::secret::vault::error::VaultError;
use crate::secret::vault::master::{folder_of, make_folder, sync_folder};

/// The files that SQLite keeps beside the database. It gives new ones the database's mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Makes the file if it may, and takes it and its companions away from others. What was mended is said.
pub(super) fn prepare(path: &Path, create: bool) -> Result<Vec<String>, VaultError> {
    let fail = |error| refused(path, error);
    if create {
        make_folder(folder_of(path)).map_err(fail)?;
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match made {
            Ok(_) => sync_folder(folder_of(path)).map_err(fail)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fail(error)),
        }
    }
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::NotThere(path.to_owned()),
        _ => fail(error),
    })?;
    if !metadata.is_file() {
        return Err(VaultError::NotAVault(path.to_owned()));
    }
    let mut notices = Vec::new();
    notices.extend(close(path)?);
    for companion in COMPANIONS {
        notices.extend(close(&companion_of(path, companion))?);
    }
    Ok(notices)
}

fn companion_of(path: &Path, companion: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(companion);
    name.into()
}

/// Takes a file's permissions away from group and others.
fn close(path: &Path) -> Result<Option<String>, VaultError> {
    // Not there, or gone again: SQLite removes companions when the last process leaves.
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(None);
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode | 0o700 == 0o700 {
        return Ok(None);
    }
    match fs::set_permissions(path, Permissions::from_mode(mode & 0o700)) {
        Ok(()) => Ok(Some(format!(
            "others could read or write {} (mode {mode:o}). Its mode is {:o} now",
            path.display(),
            mode & 0o700
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VaultError::Open {
            path: path.to_owned(),
            error,
        }),
    }
}

fn refused(path: &Path, error: io::Error) -> VaultError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            VaultError::ReadOnly(path.to_owned())
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            VaultError::Full(path.to_owned())
        }
        _ => VaultError::Io {
            path: path.to_owned(),
            error,
        },
    }
}
