//! Several processes, and several threads, on one vault: none of what they were told is done is lost.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use bauta::secret::Identity;
use bauta::secret::vault::{Access, Filter, MasterSource, Settings, Vault};

use crate::vault_kit::{Place, secret, selector, value};

const SITE: &str = "https://example.com";

/// The settings of a vault in a folder that another process has made.
pub fn settings_in(state: &Path, base: &Settings) -> Settings {
    Settings {
        path: state.join("vault.db"),
        master: MasterSource::Auto(state.join("master.key")),
        ..base.clone()
    }
}

/// Runs one ignored test of this program in a process of its own.
pub fn child(test: &str, place: &Place, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env("BAUTA_TEST_STATE", place.folder.path().join("state"))
        .env("BAUTA_TEST_ROLE", role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Two processes that find no vault make one, not two.
#[test]
fn two_processes_make_one_vault() {
    for _ in 0..5 {
        let place = Place::new();
        let children = ["first", "second"]
            .map(|role| child("vault_concurrent::child_sets_and_rotates", &place, role));
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(
                said.contains("child: done"),
                "{said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let vault = place.vault();
        for role in ["first", "second"] {
            let identity = Identity {
                agent: role.to_owned(),
                ..Identity::default()
            };
            let view = vault.view(&identity).unwrap();
            assert_eq!(view.len(), ROUNDS);
            for secret in view.iter() {
                assert_eq!(
                    secret.value().expose(),
                    format!("second of {}", secret.key())
                );
                assert_eq!(
                    secret.former()[0].expose(),
                    format!("first of {}", secret.key())
                );
            }
        }
        // Both rotated one secret that they share; each rotation is there.
        let entries = vault.entries(&Filter::default()).unwrap();
        let shared = entries
            .iter()
            .find(|entry| entry.key.as_str() == "x_shared");
        assert_eq!(shared.unwrap().versions.len(), 2 * ROUNDS);
    }
}

const ROUNDS: usize = 10;

#[test]
#[ignore = "the child of a test"]
fn child_sets_and_rotates() {
    let (Some(state), Ok(role)) = (
        std::env::var_os("BAUTA_TEST_STATE"),
        std::env::var("BAUTA_TEST_ROLE"),
    ) else {
        return;
    };
    let settings = settings_in(Path::new(&state), &Place::new().settings);
    let vault = Vault::open(&settings, Access::Create).unwrap().vault;
    for number in 0..ROUNDS {
        let key = format!("x_{role}_{number}");
        vault
            .set(secret(
                &key,
                SITE,
                &format!("agent:{role}"),
                &format!("first of {key}"),
            ))
            .unwrap();
        vault
            .rotate(&selector(&key), value(&format!("second of {key}")), None)
            .unwrap();
        let shared = secret("x_shared", SITE, "org:o", &format!("{number} of {role}"));
        vault.set(shared).unwrap();
    }
    println!("child: done");
}

/// A process sees what another one changed by asking for the generation, and is not held up by it.
#[test]
fn a_change_of_another_process_is_noticed() {
    let (place, vault) = Place::made();
    let before = vault.generation().unwrap();
    assert_eq!(vault.generation().unwrap(), before);
    let mut other = child("vault_concurrent::child_sets_and_rotates", &place, "other");
    let lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("child: done"))
    );
    other.wait().unwrap();
    assert!(vault.generation().unwrap() >= before + 3 * ROUNDS as u64);
    // While another connection writes, the answer comes all the same.
    let writer = rusqlite::Connection::open(place.database()).unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; UPDATE root SET generation = 0")
        .unwrap();
    let during = vault.generation().unwrap();
    assert!(during >= before + 3 * ROUNDS as u64);
    writer.execute_batch("COMMIT").unwrap();
    // And a number that was set by hand is none.
    assert!(vault.generation().is_err() && vault.generation().is_err());
}

/// Threads share one vault: changes, views, rotations of keys, heads of logs.
#[test]
fn threads_share_a_vault() {
    let (_place, vault) = Place::made();
    let vault = Arc::new(vault);
    let identity = Identity {
        agent: "a".to_owned(),
        ..Identity::default()
    };
    let writers: Vec<_> = (0..3)
        .map(|thread| {
            let vault = vault.clone();
            thread::spawn(move || {
                for number in 0..10 {
                    let key = format!("x_{thread}_{number}");
                    vault
                        .set(secret(&key, SITE, "agent:a", &format!("value of {key}")))
                        .unwrap();
                }
            })
        })
        .collect();
    let keys = {
        let vault = vault.clone();
        thread::spawn(move || {
            for seq in 1..=5 {
                vault.key_rotate(&mut |_, _| ()).unwrap();
                let head = bauta::secret::vault::StoredHead { seq, mac: [1; 32] };
                vault.store_audit_head("audit.log", &head).unwrap();
            }
        })
    };
    while writers.iter().any(|thread| !thread.is_finished()) {
        for secret in vault.view(&identity).unwrap().iter() {
            assert_eq!(
                secret.value().expose(),
                format!("value of {}", secret.key())
            );
        }
    }
    for thread in writers.into_iter().chain([keys]) {
        thread.join().unwrap();
    }
    assert_eq!(vault.view(&identity).unwrap().len(), 30);
    assert_eq!(vault.audit_head("audit.log").unwrap().unwrap().seq, 5);
}
