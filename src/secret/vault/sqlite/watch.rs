//! Notices changes of the database, by a connection of its own that never writes.
//!
//! In WAL mode it waits for nobody: it reads what was committed last while others change what they change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::rows::Rows;
use super::{SqlTransaction, connect, failed};
use crate::secret::vault::error::VaultError;
use crate::secret::vault::store::{RootRow, Transaction as _, Watch};

/// How long it waits where it must: while a process recovers the log of one that was killed, or closes the database.
const PATIENCE: Duration = Duration::from_millis(250);

/// A connection that looks for changes.
pub(super) struct Watcher {
    path: PathBuf,
    /// The file that is open: device and inode.
    file: Option<(u64, u64)>,
    connection: Connection,
    /// SQLite's number of the last commit that was seen; it is another after each commit of any other connection.
    seen: Option<i64>,
}

impl Watcher {
    /// Nothing is seen yet.
    pub(super) fn new(path: &Path) -> Result<Self, VaultError> {
        let connection = connect(path)?;
        connection
            .busy_timeout(PATIENCE)
            .and_then(|()| connection.pragma_update(None, "query_only", "ON"))
            .map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file: ident(path),
            connection,
            seen: None,
        })
    }
}

/// Which file stands at a path.
fn ident(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

impl Watch for Watcher {
    fn changed(&mut self) -> Result<Option<RootRow>, VaultError> {
        let path = self.path.as_path();
        // Nobody writes any more to a file that another one took the place of: it would stay as it is for good.
        if ident(path) != self.file {
            return Err(VaultError::Replaced(path.to_owned()));
        }
        let fail = |error| failed(path, &error);
        let version = || {
            let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        };
        let now = version().map_err(fail)?;
        if self.seen == Some(now) {
            return Ok(None);
        }
        // A commit between the two is read now and noticed again, which does no harm.
        let transaction =
            SqlTransaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)
                .map_err(fail)?;
        let root = Rows { path, transaction }.root()?;
        match root {
            Some(root) => {
                self.seen = Some(now);
                Ok(Some(root))
            }
            // Said again each time.
            None => Err(VaultError::Broken(vec!["the row of root".to_owned()])),
        }
    }
}
