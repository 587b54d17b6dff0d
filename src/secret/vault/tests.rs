//! What takes a clock or a limit of their own: graces that end, clocks that go wrong, data keys that are used up.

use std::sync::atomic::{AtomicI64, Ordering};

use zeroize::Zeroizing;

use super::*;
use crate::secret::Options;

/// A vault in a folder of its own, whose clock is turned by hand.
struct Bench {
    _folder: tempfile::TempDir,
    settings: Settings,
}

/// Time, for the one test that runs in this process (nextest) or thread by thread (cargo test): each test has a clock of its own.
macro_rules! clock {
    ($name:ident) => {
        static $name: AtomicI64 = AtomicI64::new(1_000_000);
    };
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            path: folder.path().join("vault.db"),
            master: MasterSource::Auto(folder.path().join("master.key")),
            limits: Limits::default(),
            grace: Duration::from_secs(100),
            identity: None,
        };
        Self {
            _folder: folder,
            settings,
        }
    }

    fn open(&self, clock: fn() -> i64) -> Vault {
        let mut vault = Vault::open(&self.settings, Access::Create).unwrap().vault;
        vault.clock = clock;
        vault
    }
}

fn text(value: &str) -> Value {
    Value::new(Zeroizing::new(value.to_owned()), &Limits::default()).unwrap()
}

fn set(vault: &Vault, key: &str, value: &str) {
    vault
        .set(NewSecret {
            key: key.parse().unwrap(),
            pattern: "https://example.com".parse().unwrap(),
            scope: "agent:a".parse().unwrap(),
            options: Options::default(),
            value: text(value),
        })
        .unwrap();
}

/// All values under the one key, the current first.
fn values(vault: &Vault) -> Vec<String> {
    let agent = Identity {
        agent: "a".to_owned(),
        ..Identity::default()
    };
    let view = vault.view(&agent).unwrap();
    let secret = view.iter().next().unwrap();
    std::iter::once(secret.value())
        .chain(secret.former())
        .map(|value| value.expose().to_owned())
        .collect()
}

#[test]
fn a_grace_ends() {
    clock!(NOW);
    let bench = Bench::new();
    let vault = bench.open(|| NOW.load(Ordering::SeqCst));
    set(&vault, "k", "first value");
    set(&vault, "k", "second value");
    NOW.fetch_add(50, Ordering::SeqCst);
    set(&vault, "k", "third value");
    assert!(!vault.maintain().unwrap());
    assert_eq!(
        values(&vault),
        ["third value", "first value", "second value"]
    );

    NOW.fetch_add(50, Ordering::SeqCst);
    let generation = vault.generation().unwrap();
    // Masked until it is destroyed, whatever the clock says.
    assert_eq!(values(&vault).len(), 3);
    assert!(vault.maintain().unwrap());
    assert_eq!(values(&vault), ["third value", "second value"]);
    assert!(vault.generation().unwrap() > generation);
    assert!(!vault.maintain().unwrap());
    let entry = vault.entries(&Filter::default()).unwrap().remove(0);
    assert_eq!(entry.versions[0].state, VersionState::Destroyed);
    assert_eq!(entry.versions[0].destroyed_at, Some(1_000_100));

    // A change of another secret does it, too.
    NOW.fetch_add(1000, Ordering::SeqCst);
    set(&vault, "other", "other value");
    let entries = vault.entries(&Filter::default()).unwrap();
    let states: Vec<_> = entries[0].versions.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            VersionState::Destroyed,
            VersionState::Destroyed,
            VersionState::Current
        ]
    );
}

#[test]
fn a_clock_that_goes_back_brings_nothing_back() {
    clock!(NOW);
    let bench = Bench::new();
    let vault = bench.open(|| NOW.load(Ordering::SeqCst));
    set(&vault, "k", "first value");
    set(&vault, "k", "second value");
    NOW.fetch_add(100, Ordering::SeqCst);
    assert!(vault.maintain().unwrap());
    assert_eq!(values(&vault), ["second value"]);
    // Years back, and before 1970.
    for now in [500_000, -1_000_000] {
        NOW.store(now, Ordering::SeqCst);
        assert!(!vault.maintain().unwrap());
        set(&vault, "k", &format!("value of {now}"));
        assert!(!vault.maintain().unwrap());
    }
    let all = values(&vault);
    assert_eq!(
        all,
        ["value of -1000000", "second value", "value of 500000"]
    );
    drop(vault);
    // A clock that is right again: both graces are over.
    NOW.store(2_000_000, Ordering::SeqCst);
    let vault = bench.open(|| NOW.load(Ordering::SeqCst));
    assert!(vault.maintain().unwrap());
    assert_eq!(values(&vault), ["value of -1000000"]);
}

/// Uses are counted before they happen, so a process that ends or is killed leaves the count too high, never too low.
#[test]
fn uses_are_counted_ahead() {
    let bench = Bench::new();
    let mut sealed = 0;
    for round in 0..3 {
        let vault = bench.open(system_clock);
        for number in 0..10 {
            set(
                &vault,
                &format!("k{number}"),
                &format!("value {round} {number}"),
            );
            sealed += if round == 0 { 1 } else { 2 };
            assert!(vault.key_status().unwrap().uses >= sealed);
        }
        assert_eq!(
            vault.key_status().unwrap().uses,
            (round + 1) * u64::try_from(keyring::BLOCK).unwrap()
        );
    }
}

/// The next data key takes over by itself, and values move to it a batch at a time, until the old one can go.
#[test]
fn a_key_that_is_used_up_is_rotated_unasked() {
    let bench = Bench::new();
    let mut vault = bench.open(system_clock);
    vault.rotates_at = 2 * keyring::BLOCK;
    vault.settings.limits.max_secrets = 10_000;
    let first = vault.key_status().unwrap().active;
    let mut number = 0;
    while vault.key_status().unwrap().active == first {
        number += 1;
        assert!(number < 2000, "never rotated");
        set(&vault, &format!("k{number}"), &format!("value {number}"));
    }
    let status = vault.key_status().unwrap();
    assert!(status.uses <= status.rotates_at);
    while vault.key_status().unwrap().old > 0 {
        assert!(vault.maintain().unwrap());
    }
    assert_eq!(vault.key_status().unwrap().pending, 0);
    let agent = Identity {
        agent: "a".to_owned(),
        ..Identity::default()
    };
    assert_eq!(vault.view(&agent).unwrap().len(), number);
}

/// A rotation that was begun and cut off is carried on by whatever happens next.
#[test]
fn a_rotation_that_was_cut_off_goes_on() {
    let bench = Bench::new();
    let vault = bench.open(system_clock);
    for number in 0..20 {
        set(&vault, &format!("k{number}"), &format!("value {number}"));
    }
    assert!(!vault.begin_rotation().unwrap());
    drop(vault);
    let vault = bench.open(system_clock);
    let status = vault.key_status().unwrap();
    assert_eq!((status.old, status.pending), (1, 20));
    assert!(vault.begin_rotation().unwrap());
    set(&vault, "more", "another value");
    let status = vault.key_status().unwrap();
    assert_eq!((status.old, status.pending), (0, 0));
}

/// A data key of a change that failed is not kept in memory: another process may give its number to another key.
#[test]
fn a_key_that_was_not_committed_is_forgotten() {
    let bench = Bench::new();
    let (vault, other) = (bench.open(system_clock), bench.open(system_clock));
    set(&vault, "k", "first value");
    {
        let mut inner = vault.lock();
        let Inner { store, keys, ring } = &mut *inner;
        let mut ledger = Ledger::open(store.change().unwrap(), keys.clone()).unwrap();
        let rows = ring.sync(&ledger).unwrap();
        ring.next(&mut ledger, &rows, 0).unwrap();
        // Dropped, and so undone.
    }
    let rotated = other.key_rotate(&mut |_, _| ()).unwrap();
    assert_eq!((rotated.moved, rotated.resumed), (1, false));
    assert_eq!(values(&vault), ["first value"]);
    set(&vault, "k", "second value");
    assert_eq!(values(&other), ["second value", "first value"]);
}
