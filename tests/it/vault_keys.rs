//! Keys: data keys that rotate under values, and a master key that changes over all of them.

use std::fs;

use bauta::secret::vault::{Filter, MasterSource, Vault, VaultError};
use rusqlite::Connection;

use crate::vault_kit::{Place, agent, broken, mode, secret, selector, shown, value, values};

const SITE: &str = "https://example.com";

fn filled(count: usize) -> (Place, Vault) {
    let mut place = Place::new();
    place.settings.limits.max_secrets = 1000;
    let vault = place
        .open(bauta::secret::vault::Access::Create)
        .unwrap()
        .vault;
    for number in 0..count {
        let (key, text) = (format!("x_{number}"), format!("value number {number}"));
        vault.set(secret(&key, SITE, "agent:a", &text)).unwrap();
    }
    (place, vault)
}

#[test]
fn p4_a_rotation_moves_every_value_and_destroys_the_old_key() {
    let (place, vault) = filled(150);
    vault
        .rotate(&selector("x_7"), value("another value"), None)
        .unwrap();
    let before = shown(&vault.view(&agent()).unwrap());
    let status = vault.key_status().unwrap();
    let sealed = |vault: &Place| -> Vec<Vec<u8>> {
        let connection = Connection::open(vault.database()).unwrap();
        let sql =
            "SELECT sealed FROM versions UNION ALL SELECT wrapped FROM keys WHERE purpose = 'data'";
        let mut statement = connection.prepare(sql).unwrap();
        let all = statement.query_map([], |row| row.get(0)).unwrap();
        all.map(Result::unwrap).collect()
    };
    let old = sealed(&place);
    let mut told = Vec::new();
    let rotated = vault
        .key_rotate(&mut |done, all| told.push((done, all)))
        .unwrap();
    assert_eq!(rotated.moved, 151);
    assert!(!rotated.resumed && rotated.wiped);
    assert_eq!(told, [(0, 151), (64, 151), (128, 151), (151, 151)]);
    let after = vault.key_status().unwrap();
    assert!(after.active > status.active);
    assert_eq!((after.old, after.pending), (0, 0));
    assert_eq!(shown(&vault.view(&agent()).unwrap()), before);
    // Neither the old key nor what it sealed is anywhere in the folder.
    let files = ["vault.db", "vault.db-wal"]
        .map(|name| fs::read(place.folder.path().join("state").join(name)).unwrap_or_default());
    for blob in &old {
        assert!(
            files
                .iter()
                .all(|file| memchr::memmem::find(file, blob).is_none())
        );
    }
    drop(vault);
    assert_eq!(shown(&place.vault().view(&agent()).unwrap()), before);
}

/// Others read and write while values move; a process that began before the rotation keeps working after it.
#[test]
fn p4_a_rotation_is_online() {
    let (place, vault) = filled(100);
    let other = place.vault();
    other
        .set(secret("x_before", SITE, "agent:a", "set before"))
        .unwrap();
    let mut steps = 0;
    vault
        .key_rotate(&mut |_, _| {
            steps += 1;
            let key = format!("x_during_{steps}");
            other
                .set(secret(&key, SITE, "agent:a", "set meanwhile"))
                .unwrap();
            assert_eq!(values(&other, "x_3"), ["value number 3"]);
        })
        .unwrap();
    assert!(steps >= 2);
    other
        .set(secret("x_after", SITE, "agent:a", "set after"))
        .unwrap();
    let view = shown(&vault.view(&agent()).unwrap());
    assert_eq!(view.len(), 102 + steps);
    assert_eq!(shown(&other.view(&agent()).unwrap()), view);
    assert_eq!(vault.key_status().unwrap().pending, 0);
}

/// A value that does not open keeps the old key alive: nothing is thrown away that could be mended.
#[test]
fn p4_a_rotation_stops_at_what_does_not_open() {
    let (place, vault) = filled(10);
    let first = vault.key_status().unwrap().active;
    Connection::open(place.database())
        .unwrap()
        .execute_batch(
            "UPDATE versions SET created = created + 1
             WHERE secret = (SELECT id FROM secrets WHERE key = 'x_3')",
        )
        .unwrap();
    assert!(broken(vault.key_rotate(&mut |_, _| ()))[0].contains("version 1 of secret"));
    let status = vault.key_status().unwrap();
    assert_eq!((status.old, status.active > first), (1, true));
    assert!(status.pending > 0);
}

#[test]
fn another_master_key() {
    let (mut place, vault) = filled(5);
    let before = shown(&vault.view(&agent()).unwrap());
    let fresh = place.folder.path().join("keys/new.key");
    let source = MasterSource::Auto(fresh.clone());
    let other = place.vault();
    let generation = vault.generation().unwrap();
    let notices = vault.key_rewrap(&source).unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(mode(&fresh), 0o600);
    assert_eq!(vault.generation().unwrap(), generation);
    assert!(matches!(
        vault.key_rewrap(&source),
        Err(VaultError::SameMasterKey(_))
    ));
    // This process, and another that has it open, go on; also with a new data key.
    for (vault, text) in [(&vault, "another value"), (&other, "yet another value")] {
        vault.rotate(&selector("x_1"), value(text), None).unwrap();
        let now = shown(&vault.view(&agent()).unwrap());
        assert_eq!(now.len(), before.len());
        assert_eq!(values(vault, "x_1")[0], text);
    }
    vault.key_rotate(&mut |_, _| ()).unwrap();
    let before = shown(&vault.view(&agent()).unwrap());
    // The other one does not know the new data key, and its master key does not open it.
    assert!(matches!(
        other.view(&agent()),
        Err(VaultError::WrongMasterKey(_))
    ));
    drop((vault, other));
    // With the old one it does not open, with the new one it does.
    assert!(matches!(
        place.open(bauta::secret::vault::Access::ReadWrite),
        Err(VaultError::WrongMasterKey(_))
    ));
    place.settings.master = MasterSource::File {
        path: fresh,
        group_read: false,
    };
    let vault = place.vault();
    assert_eq!(shown(&vault.view(&agent()).unwrap()), before);
    assert_eq!(vault.entries(&Filter::default()).unwrap().len(), 5);
}

/// Where the source gives the new key in the old one's place, a process that runs takes it up by itself.
#[test]
fn a_running_process_takes_up_a_new_master_key() {
    let (place, vault) = filled(3);
    let other = place.vault();
    let fresh = place.folder.path().join("new.key");
    vault
        .key_rewrap(&MasterSource::Auto(fresh.clone()))
        .unwrap();
    fs::rename(&fresh, place.master_key()).unwrap();
    vault.key_rotate(&mut |_, _| ()).unwrap();
    assert_eq!(values(&other, "x_2"), ["value number 2"]);
    other.key_rotate(&mut |_, _| ()).unwrap();
    assert_eq!(values(&place.vault(), "x_2"), ["value number 2"]);
}

/// A master key that cannot be had changes nothing.
#[test]
fn a_rewrap_that_fails_changes_nothing() {
    let (place, vault) = filled(3);
    for source in [
        MasterSource::File {
            path: place.folder.path().join("missing.key"),
            group_read: false,
        },
        MasterSource::Env("BAUTA_NO_SUCH_VARIABLE".to_owned()),
        MasterSource::Exec(vec!["/bin/false".to_owned()]),
    ] {
        assert!(matches!(
            vault.key_rewrap(&source),
            Err(VaultError::Master(_))
        ));
    }
    assert_eq!(values(&vault, "x_2"), ["value number 2"]);
    drop(vault);
    assert_eq!(values(&place.vault(), "x_2"), ["value number 2"]);
}
