//! `bauta key`, through the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::cli_vault_kit::{Place, steady};

/// 64 hex digits.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn init_makes_a_vault_once_and_says_what_it_made() {
    let place = Place::new();
    let (code, out, err) = place.run(&["key", "init"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "made the vault data/vault.db\n"),
        "{err}"
    );
    assert!(
        err.starts_with("note: ") && err.contains("master.key"),
        "{err}"
    );
    for name in ["data/vault.db", "data/master.key", "data/audit.log"] {
        let mode = fs::metadata(place.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    let (code, out, err) = place.run(&["key", "init"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: there is a vault at data/vault.db already. Nothing was changed\n"
    );
    assert_eq!(place.events("key.init").len(), 1);
    place.done(&["audit", "verify"]);
}

#[test]
fn status_says_which_key_is_in_use() {
    let place = Place::new();
    place.set("x_a", "hunter22-value", &[]);
    let out = steady(&place.done(&["key", "status"]));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "vault       data/vault.db (ID)");
    assert_eq!(lines[1], "master key  auto");
    assert!(
        lines[2].starts_with("data key    ")
            && lines[2].ends_with(&format!(", made {}", "T".repeat(20))),
        "{out}"
    );
    assert!(
        lines[3].starts_with("uses        at most ")
            && lines[3].ends_with(", 0 % of those after which it is rotated"),
        "{out}"
    );
    let status = place.json(&["key", "status"]);
    assert!(status["data_key"].as_u64().unwrap() > 0);
    assert_eq!(
        (&status["pending"], &status["old_keys"]),
        (&0.into(), &0.into())
    );
    let (code, _, err) = Place::new().run(&["key", "status"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "error: there is no vault at data/vault.db. Run: bauta key init\n"
    );
}

#[test]
fn rotate_encrypts_every_value_anew() {
    let place = Place::new();
    for (key, value) in [("x_a", "hunter22-one"), ("x_b", "hunter22-two")] {
        place.set(key, value, &[]);
    }
    let before = place.json(&["key", "status"])["data_key"].as_u64().unwrap();
    let out = place.done(&["key", "rotate"]);
    let expected = format!(
        "data key {} is in use; 2 values encrypted anew\n",
        before + 1
    );
    assert_eq!(out, expected);
    assert_eq!(place.json(&["key", "status"])["data_key"], before + 1);
    let report = place.json(&["key", "rotate"]);
    assert_eq!(
        (&report["data_key"], &report["moved"]),
        (&(before + 2).into(), &2.into())
    );
    assert_eq!(place.masked("hunter22-one hunter22-two"), "x_a x_b");
    assert_eq!(place.events("key.rotate").len(), 2);
    place.done(&["audit", "verify"]);
}

#[test]
fn rewrap_changes_the_master_key_and_says_what_to_set() {
    let place = Place::with("[agent]\nid = \"agent\"\n");
    place.set("x_a", "hunter22-value", &[]);
    place.write("new.key", KEY);
    let (code, out, err) = place.run(&["key", "rewrap", "--to", "file:new.key"]);
    assert_eq!(code, 0, "{err}");
    let path = place.path().canonicalize().unwrap().join("new.key");
    let path = path.display();
    assert_eq!(
        out,
        format!(
            "the vault now opens with the master key of file:{path}, and no longer with the one before\n"
        )
    );
    assert_eq!(
        err,
        format!(
            "warning: sidecars that run go on with the keys that they have: restart them before the next `bauta key rotate`\n\
             warning: bauta.toml names another master key still. Set there, under [vault]: master_key = \"file:{path}\"\n"
        )
    );
    // The configuration names the old one still.
    let (code, _, err) = place.run(&["secret", "list"]);
    assert_eq!(code, 1);
    assert!(err.contains("does not fit the vault"), "{err}");
    assert!(!err.contains(KEY), "{err}");
    place.write("bauta.toml", "[vault]\nmaster_key = \"file:new.key\"\n");
    assert_eq!(place.masked("hunter22-value"), "x_a");
    let (code, _, err) = place.run(&["key", "rewrap", "--to", "file:new.key"]);
    assert_eq!(code, 2);
    assert!(err.contains("is the one in use"), "{err}");
    let events: Vec<Value> = place.events("key.rewrap");
    let outcomes: Vec<&str> = events
        .iter()
        .filter_map(|event| event["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["asked", "asked", "failed"]);
}

#[test]
fn a_master_key_of_the_environment_opens_it() {
    let place = Place::with("[vault]\nmaster_key = \"env:BAUTA_TEST_KEY\"\n");
    let with_key = |args: &[&str], key: &str| {
        let output = place
            .command(args)
            .env("BAUTA_TEST_KEY", key)
            .output()
            .unwrap();
        crate::cli::said(&output)
    };
    assert_eq!(with_key(&["key", "init"], KEY).0, 0);
    assert_eq!(with_key(&["key", "status"], KEY).0, 0);
    for (key, text) in [
        (&KEY[..32], "error: "),
        ("", "error: "),
        (&KEY.replace('0', "f"), "does not fit the vault"),
    ] {
        let (code, out, err) = with_key(&["key", "status"], key);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(text), "{err}");
        assert!(key.is_empty() || !err.contains(key), "{err}");
    }
}

#[test]
fn a_source_that_is_none_is_refused_without_repeating_it() {
    let place = Place::new();
    place.done(&["key", "init"]);
    for to in [KEY, "file:", "env:1A", "exec:sh -c x"] {
        let (code, out, err) = place.run(&["key", "rewrap", "--to", to]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(
            err.starts_with("error: --to ") && !err.contains(KEY),
            "{err}"
        );
    }
    for to in ["env:BAUTA_NOT_SET", "file:not-there.key"] {
        let (code, _, err) = place.run(&["key", "rewrap", "--to", to]);
        assert_eq!(code, 1, "{err}");
    }
    assert_eq!(place.run(&["key", "status"]).0, 0);
}
