//! Rows in SQL. Every statement is here.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Params, Row, params};

use super::failed;
use crate::secret::vault::envelope::Sealed;
use crate::secret::vault::error::VaultError;
use crate::secret::vault::store::{
    AssignmentRow, HeadRow, KeyRow, RootRow, SecretRow, Transaction, VersionRow,
};

/// A transaction.
pub(super) struct Rows<'a> {
    pub(super) path: &'a Path,
    pub(super) transaction: rusqlite::Transaction<'a>,
}

impl Rows<'_> {
    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, VaultError> {
        let query = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.transaction.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(read(row)?);
            }
            Ok(all)
        };
        query().map_err(|error| failed(self.path, &error))
    }

    fn put(&self, sql: &str, params: impl Params) -> Result<(), VaultError> {
        let run = || self.transaction.prepare_cached(sql)?.execute(params);
        run().map(drop).map_err(|error| failed(self.path, &error))
    }
}

/// Text as it stands. What is no UTF-8 is not what we wrote, and its row will not match its MAC.
fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    match row.get_ref(at)? {
        ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => row.get(at),
    }
}

fn root(row: &Row<'_>) -> rusqlite::Result<(i64, RootRow)> {
    let root = RootRow {
        vault: row.get(1)?,
        created: row.get(2)?,
        check: row.get(3)?,
        generation: row.get(4)?,
        salt: row.get(5)?,
        sum: row.get(6)?,
        head_sum: row.get(7)?,
        mac: row.get(8)?,
    };
    Ok((row.get(0)?, root))
}

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        id: row.get(0)?,
        purpose: text(row, 1)?,
        state: text(row, 2)?,
        created: row.get(3)?,
        uses: row.get(4)?,
        wrapped: Sealed {
            nonce: row.get(5)?,
            text: row.get(6)?,
        },
        mac: row.get(7)?,
    })
}

fn secret(row: &Row<'_>) -> rusqlite::Result<SecretRow> {
    Ok(SecretRow {
        id: text(row, 0)?,
        key: text(row, 1)?,
        pattern: text(row, 2)?,
        scope: text(row, 3)?,
        options: text(row, 4)?,
        current: row.get(5)?,
        versions: text(row, 6)?,
        created: row.get(7)?,
        changed: row.get(8)?,
        mac: row.get(9)?,
    })
}

/// A nonce without a text, or a text without a nonce, is read as one with an empty other half, so that its MAC does not fit.
fn version(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    let (nonce, sealed): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(5)?, row.get(6)?);
    let sealed = (nonce.is_some() || sealed.is_some()).then(|| Sealed {
        nonce: nonce.unwrap_or_default(),
        text: sealed.unwrap_or_default(),
    });
    Ok(VersionRow {
        secret: text(row, 0)?,
        number: row.get(1)?,
        created: row.get(2)?,
        ends: row.get(3)?,
        data_key: row.get(4)?,
        sealed,
        mac: row.get(7)?,
    })
}

fn assignment(row: &Row<'_>) -> rusqlite::Result<AssignmentRow> {
    Ok(AssignmentRow {
        secret: text(row, 0)?,
        agent: text(row, 1)?,
        created: row.get(2)?,
        mac: row.get(3)?,
    })
}

fn head(row: &Row<'_>) -> rusqlite::Result<HeadRow> {
    Ok(HeadRow {
        log: text(row, 0)?,
        seq: row.get(1)?,
        head: row.get(2)?,
        mac: row.get(3)?,
    })
}

const VERSIONS: &str =
    "SELECT secret, number, created, ends, data_key, nonce, sealed, mac FROM versions";

impl Transaction for Rows<'_> {
    fn root(&self) -> Result<Option<RootRow>, VaultError> {
        let mut all = self.all(
            "SELECT id, vault, created, check_value, generation, salt, sum, head_sum, mac FROM root",
            [],
            root,
        )?;
        match all.pop() {
            None => Ok(None),
            Some((1, row)) if all.is_empty() => Ok(Some(row)),
            Some(_) => Err(VaultError::Broken(vec!["the row of root".to_owned()])),
        }
    }

    fn put_root(&self, row: &RootRow) -> Result<(), VaultError> {
        self.put(
            "INSERT INTO root (id, vault, created, check_value, generation, salt, sum, head_sum, mac)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET vault = ?1, created = ?2, check_value = ?3, generation = ?4, salt = ?5,
             sum = ?6, head_sum = ?7, mac = ?8",
            params![
                row.vault,
                row.created,
                row.check,
                row.generation,
                row.salt,
                row.sum,
                row.head_sum,
                row.mac
            ],
        )
    }

    fn keys(&self) -> Result<Vec<KeyRow>, VaultError> {
        self.all(
            "SELECT id, purpose, state, created, uses, nonce, wrapped, mac FROM keys ORDER BY id",
            [],
            key,
        )
    }

    fn put_key(&self, row: &KeyRow) -> Result<(), VaultError> {
        self.put(
            "INSERT INTO keys (id, purpose, state, created, uses, nonce, wrapped, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET purpose = ?2, state = ?3, created = ?4, uses = ?5, nonce = ?6, wrapped = ?7,
             mac = ?8",
            params![
                row.id,
                row.purpose,
                row.state,
                row.created,
                row.uses,
                row.wrapped.nonce,
                row.wrapped.text,
                row.mac
            ],
        )
    }

    fn delete_key(&self, id: i64) -> Result<(), VaultError> {
        self.put("DELETE FROM keys WHERE id = ?1", [id])
    }

    fn secrets(&self) -> Result<Vec<SecretRow>, VaultError> {
        self.all(
            "SELECT id, key, pattern, scope, options, current, versions, created, changed, mac FROM secrets ORDER BY id",
            [],
            secret,
        )
    }

    fn put_secret(&self, row: &SecretRow) -> Result<(), VaultError> {
        self.put(
            "INSERT INTO secrets (id, key, pattern, scope, options, current, versions, created, changed, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET key = ?2, pattern = ?3, scope = ?4, options = ?5, current = ?6, versions = ?7,
             created = ?8, changed = ?9, mac = ?10",
            params![
                row.id,
                row.key,
                row.pattern,
                row.scope,
                row.options,
                row.current,
                row.versions,
                row.created,
                row.changed,
                row.mac
            ],
        )
    }

    fn delete_secret(&self, id: &str) -> Result<(), VaultError> {
        self.put("DELETE FROM secrets WHERE id = ?1", [id])
    }

    fn versions(&self) -> Result<Vec<VersionRow>, VaultError> {
        self.all(&format!("{VERSIONS} ORDER BY secret, number"), [], version)
    }

    fn versions_not_under(&self, key: i64, most: usize) -> Result<Vec<VersionRow>, VaultError> {
        self.all(
            &format!("{VERSIONS} WHERE data_key IS NOT NULL AND data_key <> ?1 LIMIT ?2"),
            params![key, i64::try_from(most).unwrap_or(i64::MAX)],
            version,
        )
    }

    fn count_not_under(&self, key: i64) -> Result<u64, VaultError> {
        let sql = "SELECT count(*) FROM versions WHERE data_key IS NOT NULL AND data_key <> ?1";
        let count = self
            .transaction
            .query_row(sql, [key], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(|error| failed(self.path, &error))?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    fn put_version(&self, row: &VersionRow) -> Result<(), VaultError> {
        let (nonce, text) = match &row.sealed {
            Some(sealed) => (Some(&sealed.nonce), Some(&sealed.text)),
            None => (None, None),
        };
        self.put(
            "INSERT INTO versions (secret, number, created, ends, data_key, nonce, sealed, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (secret, number) DO UPDATE SET created = ?3, ends = ?4, data_key = ?5, nonce = ?6, sealed = ?7,
             mac = ?8",
            params![
                row.secret,
                row.number,
                row.created,
                row.ends,
                row.data_key,
                nonce,
                text,
                row.mac
            ],
        )
    }

    fn delete_version(&self, secret: &str, number: i64) -> Result<(), VaultError> {
        self.put(
            "DELETE FROM versions WHERE secret = ?1 AND number = ?2",
            params![secret, number],
        )
    }

    fn assignments(&self) -> Result<Vec<AssignmentRow>, VaultError> {
        self.all(
            "SELECT secret, agent, created, mac FROM assignments ORDER BY secret, agent",
            [],
            assignment,
        )
    }

    fn put_assignment(&self, row: &AssignmentRow) -> Result<(), VaultError> {
        self.put(
            "INSERT INTO assignments (secret, agent, created, mac) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (secret, agent) DO UPDATE SET created = ?3, mac = ?4",
            params![row.secret, row.agent, row.created, row.mac],
        )
    }

    fn delete_assignment(&self, secret: &str, agent: &str) -> Result<(), VaultError> {
        self.put(
            "DELETE FROM assignments WHERE secret = ?1 AND agent = ?2",
            [secret, agent],
        )
    }

    fn heads(&self) -> Result<Vec<HeadRow>, VaultError> {
        self.all(
            "SELECT log, seq, head, mac FROM heads ORDER BY log",
            [],
            head,
        )
    }

    fn put_head(&self, row: &HeadRow) -> Result<(), VaultError> {
        self.put(
            "INSERT INTO heads (log, seq, head, mac) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (log) DO UPDATE SET seq = ?2, head = ?3, mac = ?4",
            params![row.log, row.seq, row.head, row.mac],
        )
    }

    fn commit(self: Box<Self>) -> Result<(), VaultError> {
        let path = self.path;
        self.transaction
            .commit()
            .map_err(|error| failed(path, &error))
    }
}
