//! The store in one SQLite file.
//!
//! WAL, so that readers and the one writer do not wait for each other; `synchronous=FULL`, so that what was committed lasts; and
//! `secure_delete`, so that what was deleted is overwritten. A file that somebody else may have written to is met with distrust:
//! its schema must be exactly ours, triggers and views are off, and what rows say is for `ledger` to check.

mod file;
mod rows;
mod watch;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, Transaction as SqlTransaction, TransactionBehavior,
};

use super::error::VaultError;
use super::store::{Store, Transaction, Watch};

/// How long a statement waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries at what it does not wait for by itself.
const PAUSE: Duration = Duration::from_millis(10);
/// "Baut": marks the file as ours.
const APPLICATION_ID: i64 = 0x4261_7574;
/// From each format to the next. What was published never changes.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_vault.sql")];
/// The format of this version.
const FORMAT: i64 = MIGRATIONS.len().cast_signed() as i64;

/// A database file.
pub(super) struct Sqlite {
    path: PathBuf,
    connection: Connection,
}

/// A database file that was opened, and what was mended.
pub(super) struct Found {
    pub(super) store: Sqlite,
    pub(super) notices: Vec<String>,
}

impl Sqlite {
    /// Opens the file; with `create`, makes it and its folder if they are not there.
    pub(super) fn open(path: &Path, create: bool) -> Result<Found, VaultError> {
        let notices = file::prepare(path, create)?;
        let connection = connect(path)?;
        let mut store = Self {
            path: path.to_owned(),
            connection,
        };
        let format = store.examine(create)?;
        store.configure().map_err(|error| failed(path, &error))?;
        if format < FORMAT {
            store.migrate()?;
        }
        store.check_schema()?;
        Ok(Found { store, notices })
    }

    /// Whether it is a vault that this version can use. Nothing is written before that is known.
    fn examine(&self, create: bool) -> Result<i64, VaultError> {
        let fail = |error| failed(&self.path, &error);
        self.connection.busy_timeout(PATIENCE).map_err(fail)?;
        if self.connection.is_readonly("main").map_err(fail)? {
            return Err(VaultError::ReadOnly(self.path.clone()));
        }
        // One consistent state: another process may be making it.
        let state = self.connection.unchecked_transaction().map_err(fail)?;
        let number = |pragma: &str| -> Result<i64, VaultError> {
            state
                .pragma_query_value(None, pragma, |row| row.get(0))
                .map_err(fail)
        };
        let (format, application) = (number("user_version")?, number("application_id")?);
        let objects: i64 = state
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(fail)?;
        drop(state);
        let empty = format == 0 && application == 0 && objects == 0;
        if empty && !create {
            return Err(VaultError::NotThere(self.path.clone()));
        }
        if !empty && application != APPLICATION_ID {
            return Err(VaultError::NotAVault(self.path.clone()));
        }
        if format > FORMAT {
            return Err(VaultError::Newer {
                path: self.path.clone(),
                found: format,
                known: FORMAT,
            });
        }
        Ok(format)
    }

    fn configure(&self) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        self.use_wal()?;
        for (name, value) in [
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
            ("cell_size_check", "ON"),
            ("temp_store", "MEMORY"),
        ] {
            connection.pragma_update(None, name, value)?;
        }
        connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))
    }

    /// Two processes that make one database may both be at this, and then SQLite refuses at once, whatever the busy time is.
    fn use_wal(&self) -> rusqlite::Result<()> {
        let begun = Instant::now();
        loop {
            let connection = &self.connection;
            let set = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
            match set {
                Err(error) if is_busy(&error) && begun.elapsed() < PATIENCE => sleep(PAUSE),
                done => return done,
            }
        }
    }

    /// Brings the schema up to this version's, all or nothing.
    fn migrate(&mut self) -> Result<(), VaultError> {
        let path = &self.path;
        let fail = |error| failed(path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        // Anew: another process may have done it while this one waited.
        let format: i64 = transaction
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(fail)?;
        for step in MIGRATIONS
            .iter()
            .skip(usize::try_from(format).unwrap_or_default())
        {
            transaction.execute_batch(step).map_err(fail)?;
        }
        for (name, value) in [("application_id", APPLICATION_ID), ("user_version", FORMAT)] {
            transaction.pragma_update(None, name, value).map_err(fail)?;
        }
        transaction.commit().map_err(fail)
    }

    /// Whether tables are what migrations make, and nothing stands beside them.
    fn check_schema(&self) -> Result<(), VaultError> {
        let expected = || {
            let reference = Connection::open_in_memory()?;
            for step in MIGRATIONS {
                reference.execute_batch(step)?;
            }
            schema(&reference)
        };
        let fail = |error| failed(&self.path, &error);
        if schema(&self.connection).map_err(fail)? == expected().map_err(fail)? {
            return Ok(());
        }
        Err(VaultError::Broken(vec![
            "the schema is not the one that Bauta makes".to_owned(),
        ]))
    }
}

/// A connection of its own. `READ_WRITE` falls back to reading only, which is asked about once.
fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    Connection::open_with_flags(path, flags).map_err(|error| failed(path, &error))
}

fn schema(connection: &Connection) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?
        .query_map([], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })?
        .collect()
}

impl Store for Sqlite {
    fn read(&self) -> Result<Box<dyn Transaction + '_>, VaultError> {
        self.begin(TransactionBehavior::Deferred)
    }

    fn change(&self) -> Result<Box<dyn Transaction + '_>, VaultError> {
        self.begin(TransactionBehavior::Immediate)
    }

    fn wipe_deleted(&self) -> Result<bool, VaultError> {
        // Deleted rows are overwritten, but where rows moved within a page or to another, their former bytes may stay in the gaps
        // between: only writing the whole file anew leaves none. What stands in its way leaves the change as it is.
        let rewritten = self
            .connection
            .execute_batch("PRAGMA temp_store = MEMORY; VACUUM")
            .is_ok();
        Ok(self.empty_log()? && rewritten)
    }

    fn empty_log(&self) -> Result<bool, VaultError> {
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            });
        match busy {
            Ok(busy) => Ok(busy == 0),
            Err(error) => match failed(&self.path, &error) {
                VaultError::Locked(_) => Ok(false),
                other => Err(other),
            },
        }
    }

    fn watch(&self) -> Result<Box<dyn Watch>, VaultError> {
        Ok(Box::new(watch::Watcher::new(&self.path)?))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Sqlite {
    /// Unchecked: that there is no other transaction is known at run time only, and SQLite refuses a second.
    fn begin(
        &self,
        behavior: TransactionBehavior,
    ) -> Result<Box<dyn Transaction + '_>, VaultError> {
        let path = &self.path;
        let transaction = SqlTransaction::new_unchecked(&self.connection, behavior)
            .map_err(|error| failed(path, &error))?;
        Ok(Box::new(rows::Rows { path, transaction }))
    }
}

/// What an error of SQLite means here. Its own words are left out: they may quote a statement.
fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn failed(path: &Path, error: &rusqlite::Error) -> VaultError {
    let here = || path.to_owned();
    let Some(code) = error.sqlite_error() else {
        // A column of another type than its table allows.
        return VaultError::Broken(vec![
            "a row of a type that its table does not take".to_owned(),
        ]);
    };
    match code.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => VaultError::Locked(here()),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            VaultError::ReadOnly(here())
        }
        ErrorCode::DiskFull => VaultError::Full(here()),
        ErrorCode::NotADatabase => VaultError::NotAVault(here()),
        ErrorCode::DatabaseCorrupt => {
            VaultError::Broken(vec!["the database file itself is malformed".to_owned()])
        }
        _ => VaultError::Database {
            path: here(),
            what: rusqlite::ffi::code_to_str(code.extended_code).to_owned(),
        },
    }
}
