//! P4 against somebody who writes to the database file without the keys: every field of every row, rows that are taken away,
//! doubled, swapped or put back, and the schema.

use std::collections::BTreeSet;

use bauta::secret::vault::{Access, Filter, StoredHead, Vault, VaultError};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use crate::vault_kit::{Place, agent, broken, secret, selector, shown, value, values};

const SITE: &str = "https://example.com";

/// A vault with something in every table: two secrets with former and destroyed versions, assignments, heads.
fn furnished() -> Place {
    let (place, vault) = Place::made();
    for key in ["x_one", "x_two"] {
        vault
            .set(secret(key, SITE, "user:u", &format!("destroyed {key}")))
            .unwrap();
        let rotate = |text: &str, grace| {
            let text = value(&format!("{text} {key}"));
            vault.rotate(&selector(key), text, grace).unwrap();
        };
        rotate("former", Some(std::time::Duration::ZERO));
        rotate("current", None);
        vault.assign(&selector(key), "a").unwrap();
        vault.assign(&selector(key), "b").unwrap();
    }
    let head = |seq| StoredHead { seq, mac: [7; 32] };
    vault.store_audit_head("audit.log", &head(5)).unwrap();
    vault.store_audit_head("other.log", &head(6)).unwrap();
    place
}

/// The database as anybody with the file can open it.
fn raw(place: &Place) -> Connection {
    let connection = Connection::open(place.database()).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")
        .unwrap();
    connection
}

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let sql = "SELECT name FROM pragma_table_info(?1)";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([table], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn rows(connection: &Connection, table: &str) -> Vec<Vec<Sql>> {
    let mut statement = connection
        .prepare(&format!("SELECT * FROM {table}"))
        .unwrap();
    let width = statement.column_count();
    let all = statement
        .query_map([], |row| (0..width).map(|at| row.get(at)).collect())
        .unwrap();
    all.map(Result::unwrap).collect()
}

/// Replaces all rows of a table, if the schema takes them: what it refuses, nobody can put there by SQL.
fn rewrite(connection: &Connection, table: &str, rows: &[Vec<Sql>]) -> bool {
    let attempt = || -> rusqlite::Result<()> {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
        for row in rows {
            let marks = vec!["?"; row.len()].join(", ");
            let sql = format!("INSERT INTO {table} VALUES ({marks})");
            transaction.execute(&sql, params_from_iter(row))?;
        }
        transaction.commit()
    };
    attempt().is_ok()
}

/// The same with one bit of it flipped; of nothing, something.
fn flipped(field: &Sql) -> Vec<Sql> {
    match field {
        Sql::Null => vec![Sql::Integer(0), Sql::Blob(Vec::new())],
        Sql::Integer(number) => vec![Sql::Integer(number ^ 1), Sql::Integer(number ^ 1 << 40)],
        Sql::Real(_) => panic!("no column of ours is real"),
        Sql::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            vec![Sql::Text(String::from_utf8(bytes).unwrap()), Sql::Null]
        }
        Sql::Blob(bytes) => {
            let flip = |at: usize, bit: u8| {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                Sql::Blob(flipped)
            };
            let cut = Sql::Blob(bytes[..bytes.len() - 1].to_vec());
            vec![flip(0, 1), flip(bytes.len() - 1, 0x80), cut, Sql::Null]
        }
    }
}

/// How a vault that was changed by hand answers: when it is opened, when it is read, when a log's head is asked for.
fn found(place: &Place) -> Option<String> {
    let vault = match place.open(Access::ReadWrite) {
        Ok(opened) => opened.vault,
        Err(error) => return Some(error.to_string()),
    };
    let view = vault.view(&agent()).map(|_| ());
    let heads = vault.audit_head("audit.log").map(|_| ());
    let change = vault
        .set(secret("x_new", SITE, "agent:a", "new value"))
        .map(|_| ());
    // Reading and changing agree, so that nothing broken is built upon.
    assert_eq!(view.is_err(), change.is_err());
    assert_eq!(view.is_err(), vault.entries(&Filter::default()).is_err());
    view.and(heads).err().map(|error| error.to_string())
}

/// Every field of every row of every table: whatever is changed in it is found, and the error names the row or its table.
#[test]
fn p4_a_flipped_bit_in_any_column_is_found() {
    let place = furnished();
    let pristine = std::fs::read(place.database()).unwrap();
    let reference = raw(&place);
    let mut tried = BTreeSet::new();
    let mut all_columns = BTreeSet::new();
    for table in tables(&reference) {
        let columns = columns(&reference, &table);
        for (number, row) in rows(&reference, &table).iter().enumerate() {
            for (at, column) in columns.iter().enumerate() {
                all_columns.insert((table.clone(), column.clone()));
                for other in flipped(&row[at]) {
                    let changed = Place::new();
                    copy(&place, &changed, &pristine);
                    let connection = raw(&changed);
                    let mut all = rows(&connection, &table);
                    all[number][at] = other;
                    if !rewrite(&connection, &table, &all) {
                        continue;
                    }
                    drop(connection);
                    let said = found(&changed);
                    let said = said.unwrap_or_else(|| panic!("{table}.{column} of row {number}"));
                    let names = match table.as_str() {
                        "root" => ["root", "master key"],
                        "keys" => ["key", "keyring"],
                        "secrets" => ["secret", "secret"],
                        "versions" => ["version", "version"],
                        "assignments" => ["assignment", "assignment"],
                        _ => ["head", "head"],
                    };
                    assert!(
                        names.iter().any(|name| said.contains(name)),
                        "{table}.{column}: {said}"
                    );
                    tried.insert((table.clone(), column.clone()));
                }
            }
        }
    }
    assert_eq!(tried, all_columns);
}

/// The same vault in another folder. The journal was merged into the database when it was closed.
fn copy(from: &Place, to: &Place, database: &[u8]) {
    std::fs::create_dir_all(to.database().parent().unwrap()).unwrap();
    std::fs::write(to.database(), database).unwrap();
    std::fs::copy(from.master_key(), to.master_key()).unwrap();
}

fn changed_by(sql: &str) -> String {
    let place = furnished();
    raw(&place).execute_batch(sql).unwrap();
    found(&place).unwrap_or_else(|| panic!("not found: {sql}"))
}

#[test]
fn p4_rows_that_were_taken_away_are_missed() {
    for (sql, says) in [
        (
            "DELETE FROM versions WHERE number = 2",
            "version 2 of secret",
        ),
        (
            "DELETE FROM versions WHERE sealed IS NULL",
            "version 1 of secret",
        ),
        (
            "DELETE FROM versions WHERE number = 3",
            "version 3 of secret",
        ),
        (
            "DELETE FROM assignments WHERE agent = 'b'",
            "the list of rows",
        ),
        (
            "DELETE FROM versions; DELETE FROM assignments; DELETE FROM secrets",
            "the list of rows",
        ),
        ("DELETE FROM secrets WHERE key = 'x_one'", "of no secret"),
        (
            "DELETE FROM versions WHERE secret = (SELECT id FROM secrets WHERE key = 'x_one');
             DELETE FROM assignments WHERE secret = (SELECT id FROM secrets WHERE key = 'x_one');
             DELETE FROM secrets WHERE key = 'x_one'",
            "the list of rows",
        ),
        (
            "DELETE FROM heads WHERE log = 'audit.log'",
            "the list of rows",
        ),
        ("DELETE FROM heads", "the list of rows"),
        ("DELETE FROM keys WHERE purpose = 'data'", "key"),
        (
            "DELETE FROM keys WHERE purpose = 'audit'",
            "the list of rows",
        ),
        ("DELETE FROM keys WHERE purpose = 'rows'", "key"),
        ("DELETE FROM root", "there is no vault"),
    ] {
        let said = changed_by(sql);
        assert!(said.contains(says), "{sql}: {said}");
    }
}

/// Where the row of the vault is gone but not the secrets, no new vault is made over them.
#[test]
fn p4_a_vault_without_its_root_is_not_made_anew() {
    let place = furnished();
    raw(&place).execute_batch("DELETE FROM root").unwrap();
    assert_eq!(broken(place.open(Access::Create)), ["the row of root"]);
}

#[test]
fn p4_rows_that_change_places_are_found() {
    let swap = |table: &str, column: &str, one: &str, other: &str| {
        format!(
            "CREATE TEMP TABLE held AS SELECT {column} AS field FROM {table} WHERE {one};
             UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {other}) WHERE {one};
             UPDATE {table} SET {column} = (SELECT field FROM held) WHERE {other};
             DROP TABLE held;"
        )
    };
    let of =
        |key: &str| format!("secret = (SELECT id FROM secrets WHERE key = '{key}') AND number = 3");
    // Two values change places, each with its nonce and its key; then with the MACs as well; then all fields of two secrets.
    for columns in [
        &["sealed"][..],
        &["nonce", "sealed"],
        &["nonce", "sealed", "mac"],
    ] {
        let sql: String = columns
            .iter()
            .map(|column| swap("versions", column, &of("x_one"), &of("x_two")))
            .collect();
        assert!(
            changed_by(&sql).contains("version 3 of secret"),
            "{columns:?}"
        );
    }
    for column in ["key", "pattern", "scope", "versions", "mac", "changed"] {
        let place = furnished();
        let connection = raw(&place);
        // So that the two differ in every column.
        let differ = place.vault();
        differ
            .set(secret(
                "x_three",
                "https://other.example",
                "agent:a",
                "some value",
            ))
            .unwrap();
        drop(differ);
        connection
            .execute_batch(&swap("secrets", column, "key = 'x_one'", "key = 'x_three'"))
            .unwrap();
        let same = column == "changed" && found(&place).is_none();
        assert!(
            same || found(&place).unwrap().contains("secret"),
            "{column}"
        );
    }
}

#[test]
fn p4_an_assignment_made_by_hand_does_not_count() {
    for sql in [
        "UPDATE assignments SET agent = 'evil' WHERE agent = 'b'",
        "INSERT INTO assignments SELECT secret, 'evil', created, mac FROM assignments WHERE agent = 'b'",
        "INSERT INTO assignments SELECT secret, 'evil', created, x'00' FROM assignments WHERE agent = 'b'",
        "UPDATE secrets SET scope = 'org:o'",
    ] {
        let said = changed_by(sql);
        assert!(
            said.contains("assignment of secret") || said.contains("secret "),
            "{sql}: {said}"
        );
        assert!(said.contains("changed by hand"), "{said}");
    }
}

/// A row as it once was is as good as forged, though its MAC fits.
#[test]
fn p4_a_row_from_an_older_copy_is_found() {
    let place = furnished();
    let old = rows(&raw(&place), "versions");
    let old_secrets = rows(&raw(&place), "secrets");
    let old_heads = rows(&raw(&place), "heads");
    let vault = place.vault();
    vault
        .rotate(&selector("x_one"), value("the newest one"), None)
        .unwrap();
    let head = StoredHead {
        seq: 9,
        mac: [9; 32],
    };
    vault.store_audit_head("audit.log", &head).unwrap();
    drop(vault);
    assert!(rewrite(&raw(&place), "versions", &old));
    assert!(rewrite(&raw(&place), "secrets", &old_secrets));
    let vault = place.vault();
    assert!(broken(vault.view(&agent()))[0].contains("older copy"));
    // Heads are judged apart from that.
    assert_eq!(vault.audit_head("audit.log").unwrap(), Some(head));
    drop(vault);
    assert!(rewrite(&raw(&place), "heads", &old_heads));
    assert!(broken(place.vault().audit_head("audit.log"))[0].contains("older copy"));
}

/// What is broken is not mended by what is changed after it.
#[test]
fn p4_changes_do_not_hide_what_was_taken_away() {
    let place = furnished();
    raw(&place)
        .execute_batch(
            "DELETE FROM heads WHERE log = 'audit.log'; DELETE FROM assignments WHERE agent = 'b'",
        )
        .unwrap();
    let vault = place.vault();
    let head = StoredHead {
        seq: 1,
        mac: [1; 32],
    };
    // A log that seems new: its head goes in, and the sum still shows that one is missing.
    vault.store_audit_head("audit.log", &head).unwrap();
    vault.store_audit_head("third.log", &head).unwrap();
    assert!(!broken(vault.audit_head("audit.log")).is_empty());
    assert!(!broken(vault.set(secret("x_new", SITE, "agent:a", "new value"))).is_empty());
    vault.key_rotate(&mut |_, _| ()).unwrap();
    assert!(!broken(vault.view(&agent())).is_empty());
}

#[test]
fn p4_another_schema_is_refused() {
    for sql in [
        "CREATE TRIGGER gone AFTER INSERT ON versions BEGIN DELETE FROM versions; END",
        "CREATE VIEW more AS SELECT * FROM secrets",
        "CREATE INDEX quick ON secrets (key)",
        "CREATE TABLE other (id INTEGER)",
        "ALTER TABLE secrets ADD COLUMN more TEXT",
        "DROP TABLE assignments",
    ] {
        let place = furnished();
        raw(&place).execute_batch(sql).unwrap();
        assert_eq!(
            broken(place.open(Access::ReadWrite)),
            ["the schema is not the one that Bauta makes"],
            "{sql}"
        );
    }
}

/// While nothing is wrong, all of the above find nothing.
#[test]
fn an_untouched_vault_is_whole() {
    let place = furnished();
    assert_eq!(found(&place), None);
    let vault: Vault = place.vault();
    assert_eq!(values(&vault, "x_one"), ["current x_one", "former x_one"]);
    assert_eq!(shown(&vault.view(&agent()).unwrap()).len(), 3);
}

/// Bytes of the file itself, anywhere: nothing panics, and what is shown is either an error or the truth.
#[test]
fn p8_a_damaged_file_is_an_error_or_harmless() {
    let place = furnished();
    let pristine = std::fs::read(place.database()).unwrap();
    let truth = {
        let vault = place.vault();
        let shown = shown(&vault.view(&agent()).unwrap());
        drop(vault);
        shown
    };
    let mut at = 0;
    let mut errors = 0;
    while at < pristine.len() {
        let mut damaged = pristine.clone();
        damaged[at] ^= 1 << (at % 8);
        let other = Place::new();
        copy(&place, &other, &damaged);
        match other
            .open(Access::ReadWrite)
            .and_then(|opened| opened.vault.view(&agent()))
        {
            Ok(view) => assert_eq!(shown(&view), truth, "byte {at}"),
            Err(VaultError::Master(error)) => panic!("byte {at}: {error}"),
            Err(_) => errors += 1,
        }
        at += 211;
    }
    assert!(errors > 0);
}
