//! What can go wrong around a vault: its master key, its file, its disk. Each is a clear error, and nothing is written.

use std::fs;
use std::process::Command;

use bauta::secret::vault::{Access, MasterError, MasterSource, Vault, VaultError};
use rusqlite::Connection;

use crate::vault_kit::{Place, agent, broken, mode, secret, selector, set_mode, value, values};

const SITE: &str = "https://example.com";
const HEX: &str = "00010203fbfcfdfe0102030405060708090a0b0c0d0e0fa0b0c0d0e0f0ffeeff";

fn error_of(place: &Place) -> VaultError {
    match place.open(Access::ReadWrite) {
        Ok(_) => panic!("it opens"),
        Err(error) => error,
    }
}

/// A vault with a secret in it, closed.
fn with_a_secret() -> Place {
    let (place, vault) = Place::made();
    vault
        .set(secret("x_token", SITE, "agent:a", "some value"))
        .unwrap();
    place
}

/// That the vault does not open, and that its file stays as it is.
fn refused(place: &Place) -> VaultError {
    let before = fs::read(place.database()).unwrap();
    let error = error_of(place);
    assert!(fs::read(place.database()).unwrap() == before, "{error}");
    error
}

#[test]
fn a_wrong_master_key_opens_nothing() {
    let place = with_a_secret();
    let right = fs::read_to_string(place.master_key()).unwrap();
    fs::write(place.master_key(), format!("{HEX}\n")).unwrap();
    let error = refused(&place);
    assert!(matches!(error, VaultError::WrongMasterKey(_)));
    let said = error.to_string();
    assert!(said.contains("does not fit the vault") && !said.contains(&HEX[..8]));
    fs::write(place.master_key(), right).unwrap();
    assert_eq!(values(&place.vault(), "x_token"), ["some value"]);
}

#[test]
fn a_master_key_that_is_gone_is_not_made_anew() {
    let place = with_a_secret();
    fs::remove_file(place.master_key()).unwrap();
    for access in [Access::ReadWrite, Access::Create] {
        let error = place.open(access).err().unwrap();
        assert!(matches!(error, VaultError::Master(MasterError::Missing(_))));
        assert!(!place.master_key().exists());
    }
}

#[test]
fn a_damaged_master_key_is_refused() {
    let place = with_a_secret();
    let right = fs::read_to_string(place.master_key()).unwrap();
    let right = right.trim_end();
    for text in [
        String::new(),
        "\n".to_owned(),
        right[..63].to_owned(),
        right[..32].to_owned(),
        format!("{right}{right}"),
        format!("{right}0\n"),
        format!("{right}\n\n"),
        format!(" {right}"),
        "x".repeat(64),
        "x".repeat(100_000),
    ] {
        fs::write(place.master_key(), &text).unwrap();
        let error = refused(&place);
        assert!(
            matches!(error, VaultError::Master(MasterError::Format(_))),
            "{error}"
        );
    }
}

#[test]
fn a_master_key_that_others_can_use_is_refused() {
    let place = with_a_secret();
    for (mode, says) in [
        (0o644, "everybody can read"),
        (0o602, "everybody can write"),
        (0o640, "the group can read"),
        (0o620, "the group can write"),
        (0o666, "everybody can write"),
    ] {
        set_mode(&place.master_key(), mode);
        let said = refused(&place).to_string();
        assert!(said.contains(says) && said.contains("chmod 600"), "{said}");
    }
    set_mode(&place.master_key(), 0o400);
    place.vault();
}

#[test]
fn a_group_may_read_where_it_is_said() {
    let mut place = with_a_secret();
    let source = |group_read| MasterSource::File {
        path: place.master_key(),
        group_read,
    };
    let (strict, open) = (source(false), source(true));
    set_mode(&place.master_key(), 0o440);
    place.settings.master = strict;
    assert!(refused(&place).to_string().contains("group_read"));
    place.settings.master = open;
    place.vault();
    for mode in [0o460, 0o444] {
        set_mode(&place.master_key(), mode);
        assert!(refused(&place).to_string().contains("chmod 640"));
    }
}

#[test]
fn other_sources_of_a_master_key() {
    let mut place = Place::new();
    let key = place.folder.path().join("given.key");
    fs::write(&key, format!("{HEX}\n")).unwrap();
    set_mode(&key, 0o600);
    place.settings.master = MasterSource::File {
        path: key.clone(),
        group_read: false,
    };
    let opened = place.open(Access::Create).unwrap();
    assert!(opened.notices.is_empty());
    opened
        .vault
        .set(secret("x_token", SITE, "agent:a", "some value"))
        .unwrap();
    drop(opened);

    let program = |script: &str| {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        MasterSource::Exec(argv.to_vec())
    };
    place.settings.master = program(&format!("cat '{}'", key.display()));
    assert_eq!(values(&place.vault(), "x_token"), ["some value"]);
    place.settings.master = program(&format!("echo {HEX}; exit 1"));
    assert!(matches!(
        refused(&place),
        VaultError::Master(MasterError::Program { .. })
    ));
    place.settings.master = program("echo not a key");
    assert!(matches!(
        refused(&place),
        VaultError::Master(MasterError::Format(_))
    ));
    // A variable of this process: cargo sets one that is no key, and none of that name is set.
    place.settings.master = MasterSource::Env("CARGO_PKG_NAME".to_owned());
    assert!(matches!(
        refused(&place),
        VaultError::Master(MasterError::Format(_))
    ));
    place.settings.master = MasterSource::Env("BAUTA_NO_SUCH_VARIABLE".to_owned());
    assert!(matches!(
        refused(&place),
        VaultError::Master(MasterError::NoVariable(_))
    ));
    // A folder, and a pipe that nobody writes to.
    let pipe = place.folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for path in [place.folder.path().to_owned(), pipe] {
        place.settings.master = MasterSource::File {
            path,
            group_read: false,
        };
        assert!(matches!(
            refused(&place),
            VaultError::Master(MasterError::NotAFile(_))
        ));
    }
}

#[test]
fn a_newer_database_is_refused_untouched() {
    let place = with_a_secret();
    Connection::open(place.database())
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    for access in [Access::ReadWrite, Access::Create] {
        let before = fs::read(place.database()).unwrap();
        let error = place.open(access).err().unwrap();
        assert!(matches!(error, VaultError::Newer { found: 99, .. }));
        assert!(error.to_string().contains("nothing was changed"));
        assert!(fs::read(place.database()).unwrap() == before);
    }
}

#[test]
fn what_is_no_vault_is_refused_untouched() {
    for text in [
        "something else entirely, and long enough to be looked at",
        "x",
    ] {
        let place = Place::new();
        fs::create_dir_all(place.database().parent().unwrap()).unwrap();
        fs::write(place.database(), text.repeat(100)).unwrap();
        for access in [Access::ReadWrite, Access::Create] {
            let error = place.open(access).err().unwrap();
            assert!(matches!(error, VaultError::NotAVault(_)), "{error}");
        }
        assert_eq!(
            fs::read_to_string(place.database()).unwrap(),
            text.repeat(100)
        );
        assert!(!place.master_key().exists());
    }
    // Another program's database, and a folder.
    let place = Place::new();
    fs::create_dir_all(place.database().parent().unwrap()).unwrap();
    Connection::open(place.database())
        .unwrap()
        .execute_batch("CREATE TABLE secrets (id TEXT)")
        .unwrap();
    let error = place.open(Access::Create).err().unwrap();
    assert!(matches!(error, VaultError::NotAVault(_)), "{error}");
    let place = Place::new();
    fs::create_dir_all(place.database()).unwrap();
    let error = place.open(Access::Create).err().unwrap();
    assert!(matches!(error, VaultError::NotAVault(_)), "{error}");
}

#[test]
fn a_file_that_others_can_read_is_taken_from_them() {
    let place = with_a_secret();
    set_mode(place.database(), 0o664);
    let notices = place.open(Access::ReadWrite).unwrap().notices;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("mode 664"), "{}", notices[0]);
    assert_eq!(mode(place.database()), 0o600);
}

/// While another connection writes, a change waits and then gives up; reading goes on.
#[test]
fn a_locked_database_is_said() {
    let place = with_a_secret();
    let vault = place.vault();
    let other = Connection::open(place.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(values(&vault, "x_token"), ["some value"]);
    let error = vault
        .rotate(&selector("x_token"), value("another value"), None)
        .unwrap_err();
    assert!(matches!(error, VaultError::Locked(_)), "{error}");
    assert_eq!(values(&vault, "x_token"), ["some value"]);
    other.execute_batch("ROLLBACK").unwrap();
    vault
        .rotate(&selector("x_token"), value("another value"), None)
        .unwrap();
    assert_eq!(values(&vault, "x_token"), ["another value", "some value"]);
}

/// A disk that takes no more pages: the change fails as a whole, what was there stays, and later it works.
#[test]
fn a_full_disk_loses_nothing() {
    let place = with_a_secret();
    let Some(full) = Tmpfs::new(place.folder.path(), 2048) else {
        eprintln!("not run: mounting a small file system takes root");
        return;
    };
    let mut small = Place::new();
    small.settings.path = full.path.join("vault.db");
    let opened = small.open(Access::Create).unwrap();
    let vault = opened.vault;
    let mut taken = Vec::new();
    // Until it is full, each as large as they get.
    let error = loop {
        let key = format!("x_{}", taken.len());
        let text = format!("{key} {}", "v".repeat(3900));
        match vault.set(secret(
            &key,
            SITE,
            &format!("agent:a{}", taken.len()),
            &text,
        )) {
            Ok(_) => taken.push((key, text)),
            Err(error) => break error,
        }
        assert!(taken.len() < 1000);
    };
    assert!(matches!(error, VaultError::Full(_)), "{error}");
    assert!(taken.len() > 5);
    let all_there = |vault: &Vault| {
        for (number, (key, text)) in taken.iter().enumerate() {
            let identity = bauta::secret::Identity {
                agent: format!("a{number}"),
                ..agent()
            };
            let view = vault.view(&identity).unwrap();
            assert_eq!(view.len(), 1);
            assert!(view.of(key)[0].value().expose() == text);
        }
    };
    all_there(&vault);
    drop(vault);
    let vault = small.vault();
    all_there(&vault);
    fs::remove_file(full.ballast()).unwrap();
    vault
        .set(secret("x_last", SITE, "agent:last", "one more"))
        .unwrap();
    all_there(&vault);
}

/// A small file system, unmounted when dropped. Part of it is taken by a file, so that room can be made.
struct Tmpfs {
    path: std::path::PathBuf,
}

impl Tmpfs {
    fn new(folder: &std::path::Path, kilobytes: usize) -> Option<Self> {
        let path = folder.join("small");
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            return None;
        }
        let small = Self { path };
        fs::write(small.ballast(), vec![0; kilobytes * 256]).unwrap();
        Some(small)
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// The same by SQLite's own limit, which needs no root: the file may not grow.
#[test]
fn a_file_that_may_not_grow_loses_nothing() {
    let place = with_a_secret();
    let vault = place.vault();
    let before = vault.generation().unwrap();
    // Another connection cannot limit this one; a limit of the process's files can.
    let script = format!(
        "trap '' XFSZ; ulimit -f {} && exec \"$0\" --exact vault_faults::child_fills_the_file --include-ignored --nocapture",
        // In blocks of 512 bytes: what is there, and a little.
        fs::metadata(place.database()).unwrap().len() / 512 + 16
    );
    drop(vault);
    let output = Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("BAUTA_TEST_STATE", place.folder.path().join("state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("child: refused after"), "{said}");
    let vault = place.vault();
    assert_eq!(values(&vault, "x_token"), ["some value"]);
    assert!(vault.generation().unwrap() > before);
}

#[test]
#[ignore = "the child of a test"]
fn child_fills_the_file() {
    let Some(state) = std::env::var_os("BAUTA_TEST_STATE") else {
        return;
    };
    let mut place = Place::new();
    let state = std::path::PathBuf::from(state);
    place.settings.path = state.join("vault.db");
    place.settings.master = MasterSource::Auto(state.join("master.key"));
    let vault = place.vault();
    for number in 0..1000 {
        let made = vault.set(secret(
            &format!("x_{number}"),
            SITE,
            &format!("agent:f{number}"),
            &"v".repeat(4000),
        ));
        if let Err(error) = made {
            // What was there can still be read.
            assert_eq!(values(&vault, "x_token"), ["some value"]);
            println!("child: refused after {number}: {error}");
            return;
        }
    }
    println!("child: never refused");
}

/// A folder or file that cannot be written. Root can write anything, so as root the test runs a child as somebody else.
#[test]
fn a_read_only_place_is_said() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o777);
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(&exe);
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        // Where others cannot even reach this program, they get a copy.
        let copy = folder.path().join("tests");
        fs::copy(&exe, &copy).unwrap();
        set_mode(&copy, 0o755);
        command = Command::new(copy);
        command.uid(65534).gid(65534);
    }
    let output = command
        .args([
            "--exact",
            "vault_faults::child_writes_to_what_it_may_not",
            "--include-ignored",
            "--nocapture",
        ])
        .env("BAUTA_TEST_STATE", folder.path())
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("child: all refused"), "{said}");
}

#[test]
#[ignore = "the child of a test"]
fn child_writes_to_what_it_may_not() {
    if std::env::var_os("BAUTA_TEST_STATE").is_none() {
        return;
    }
    let place = with_a_secret();
    let state = place.database().parent().unwrap().to_owned();
    // The file, then its folder, then a folder where one is to be made.
    set_mode(place.database(), 0o400);
    assert!(matches!(error_of(&place), VaultError::ReadOnly(_)));
    set_mode(place.database(), 0o600);
    set_mode(&state, 0o500);
    let error = place
        .open(Access::ReadWrite)
        .and_then(|opened| {
            opened
                .vault
                .set(secret("x_b", SITE, "agent:a", "other value"))
        })
        .err()
        .unwrap();
    assert!(matches!(error, VaultError::ReadOnly(_)), "{error}");
    set_mode(&state, 0o700);
    assert_eq!(values(&place.vault(), "x_token"), ["some value"]);
    let fresh = Place::new();
    set_mode(fresh.folder.path(), 0o500);
    let error = fresh.open(Access::Create).err().unwrap();
    assert!(matches!(error, VaultError::ReadOnly(_)), "{error}");
    set_mode(fresh.folder.path(), 0o700);
    println!("child: all refused");
}

/// A sidecar whose key program hangs or whose vault is broken says so; it shows nothing.
#[test]
fn errors_hold_no_value() {
    let place = with_a_secret();
    let connection = Connection::open(place.database()).unwrap();
    connection
        .execute_batch("UPDATE secrets SET key = 'x_else'")
        .unwrap();
    let names = broken(place.vault().view(&agent()));
    assert!(names.iter().all(|name| !name.contains("some value")));
}
