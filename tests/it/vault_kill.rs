//! `kill -9` at random points of set, rotate, rm, `key rotate` and `key rewrap`: what was acknowledged is there, every row opens, a
//! rotation that was cut off goes on, and no value stands in the files.
//!
//! A child process changes a vault and prints a line before each change and after it. The parent kills it at some line or some
//! time after one, opens the vault, and compares it with what the lines say: a change that was announced and not acknowledged may
//! have happened or not; every other must have happened exactly as it was said.
//!
//! `BAUTA_KILL_ROUNDS` sets how often (default 25).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use bauta::secret::vault::{MasterSource, Settings, Vault};

use crate::vault_concurrent::{child, settings_in};
use crate::vault_kit::{Place, agent, secret, selector, shown, stands_in, value};

const SITE: &str = "https://example.com";
/// What every value begins with, so that it can be looked for.
const MARK: &str = "Plain-Marker-";
/// Keys that the child chooses from.
const KEYS: u64 = 12;

/// What the lines of a child say: by key, the value and the former values, oldest first.
type Model = BTreeMap<String, (String, Vec<String>)>;

/// Small and repeatable random numbers (xorshift64*); what is tested is not their quality.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

/// What a line does to a model.
fn apply(model: &mut Model, words: &[&str]) {
    match words {
        ["set", key, text] => match model.get_mut(*key) {
            Some((current, former)) => {
                former.push(std::mem::replace(current, (*text).to_owned()));
            }
            None => {
                model.insert((*key).to_owned(), ((*text).to_owned(), Vec::new()));
            }
        },
        // Without a grace: the one before is gone.
        ["replace", key, text] => {
            let (current, _) = model.get_mut(*key).unwrap();
            (*text).clone_into(current);
        }
        ["rm", key] => {
            model.remove(*key).unwrap();
        }
        ["key-rotate"] | ["key-rewrap", _] => {}
        _ => panic!("not a line of the child: {words:?}"),
    }
}

fn model_of(vault: &Vault) -> Model {
    let named = shown(&vault.view(&agent()).unwrap());
    named
        .into_iter()
        .map(|(name, values)| (name.split(' ').next().unwrap().to_owned(), values))
        .collect()
}

/// Where the child keeps which master key is in force: the file that it names last and that fits.
fn master_files(state: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "key"))
        .collect();
    files.sort();
    files
}

fn open_with(settings: &Settings, master: &Path) -> Option<Vault> {
    let settings = Settings {
        master: MasterSource::Auto(master.to_owned()),
        ..settings.clone()
    };
    let opened = Vault::open(&settings, bauta::secret::vault::Access::ReadWrite);
    Some(opened.ok()?.vault)
}

/// The vault by the one master key that fits it: neither none nor several may.
fn open_by_any(settings: &Settings, state: &Path) -> (Vault, PathBuf) {
    let mut fits = master_files(state)
        .into_iter()
        .filter_map(|file| Some((open_with(settings, &file)?, file)));
    let found = fits
        .next()
        .expect("neither the old nor the new master key fits");
    assert!(fits.next().is_none(), "two master keys fit");
    found
}

/// Reads the child's lines into the model until it is to be killed; what was announced last and not acknowledged is returned.
fn follow(
    child: &mut Child,
    model: &mut Model,
    lines: u64,
    after: Duration,
) -> (u64, Option<String>) {
    let mut open = None;
    let (mut count, mut acknowledged) = (0, 0);
    let mut killed = false;
    let output = child.stdout.take().unwrap();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // What the test harness prints stands around it.
        let Some(said) = line.split("child: ").nth(1) else {
            continue;
        };
        let words: Vec<&str> = said.split(' ').collect();
        match words.as_slice() {
            ["do", ..] => open = Some(said[3..].to_owned()),
            ["did", done @ ..] => {
                assert_eq!(open.take().as_deref(), Some(done.join(" ").as_str()));
                apply(model, done);
                acknowledged += 1;
            }
            other => panic!("{other:?}"),
        }
        count += 1;
        if count == lines && !killed {
            // Some time into whatever it does now. Not a wait for an event: the point is to hit any.
            let until = Instant::now() + after;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "the child ended by itself");
    child.wait().unwrap();
    (acknowledged, open)
}

#[test]
fn p4_kill_9_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var("BAUTA_KILL_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(25_u64);
    let (place, vault) = Place::made();
    drop(vault);
    let state = place.folder.path().join("state");
    let mut model = Model::new();
    let mut random = Random(0x5eed_0000_0000_0001 ^ u64::from(std::process::id()));
    let (mut acknowledged, mut undecided, mut happened, mut resumed) = (0, 0, 0, 0);
    for round in 0..rounds {
        let (_, master) = open_by_any(&place.settings, &state);
        fs::write(state.join("master.in-force"), master.to_str().unwrap()).unwrap();
        let seed = random.below(1 << 30).to_string();
        let mut writer = child(
            "vault_kill::child_changes_until_it_is_killed",
            &place,
            &seed,
        );
        let (lines, after) = (
            1 + random.below(24),
            Duration::from_micros(random.below(6000)),
        );
        let (done, open) = follow(&mut writer, &mut model, lines, after);
        acknowledged += done;

        // Before anything is opened, and so maybe mended: nothing stands in plain.
        assert!(!stands_in(&state, MARK.as_bytes()), "round {round}");
        let (vault, _) = open_by_any(&place.settings, &state);
        let found = model_of(&vault);
        let mut with_open = model.clone();
        if let Some(open) = &open {
            undecided += 1;
            apply(&mut with_open, &open.split(' ').collect::<Vec<_>>());
        }
        assert!(
            found == model || found == with_open,
            "round {round}, {open:?}: found {found:?}, acknowledged {model:?}"
        );
        happened += u64::from(found == with_open && with_open != model);
        model = found;
        if vault.key_status().unwrap().old > 0 {
            assert!(vault.key_rotate(&mut |_, _| ()).unwrap().resumed);
            resumed += 1;
            assert_eq!(vault.key_status().unwrap().pending, 0);
            assert_eq!(model_of(&vault), model, "round {round}");
        }
    }
    println!(
        "{rounds} rounds: {acknowledged} changes acknowledged, {undecided} cut off ({happened} of them had happened), \
         {resumed} rotations resumed"
    );
    assert!(acknowledged > 0 && undecided > 0);
}

#[test]
#[ignore = "the child of a test"]
fn child_changes_until_it_is_killed() {
    let (Some(state), Ok(seed)) = (
        std::env::var_os("BAUTA_TEST_STATE"),
        std::env::var("BAUTA_TEST_ROLE"),
    ) else {
        return;
    };
    let state = PathBuf::from(state);
    let mut settings = settings_in(&state, &Place::new().settings);
    let mut master = PathBuf::from(fs::read_to_string(state.join("master.in-force")).unwrap());
    settings.master = MasterSource::Auto(master.clone());
    let vault = Vault::open(&settings, bauta::secret::vault::Access::ReadWrite)
        .unwrap()
        .vault;
    let mut there = model_of(&vault);
    let mut random = Random(0x5eed_0000_0000_0001 + seed.parse::<u64>().unwrap());
    for step in 0.. {
        let key = format!("x_{}", random.below(KEYS));
        let text = format!("{MARK}{seed}-{step}");
        let is_there = there.contains_key(&key);
        // Only so many former values are kept.
        let is_full = there
            .get(&key)
            .is_some_and(|(_, former)| former.len() >= 60);
        let choice = if is_full { 7 } else { random.below(10) };
        let line = match choice {
            0..=4 => format!("set {key} {text}"),
            5 | 6 if is_there => format!("replace {key} {text}"),
            7 if is_there => format!("rm {key}"),
            8 => "key-rotate".to_owned(),
            9 => format!("key-rewrap {seed}-{step}"),
            _ => continue,
        };
        say(&format!("do {line}"));
        match choice {
            0..=4 => {
                vault.set(secret(&key, SITE, "agent:a", &text)).unwrap();
            }
            5 | 6 => {
                let grace = Some(Duration::ZERO);
                vault.rotate(&selector(&key), value(&text), grace).unwrap();
            }
            7 => {
                vault.remove(&selector(&key)).unwrap();
            }
            8 => {
                vault.key_rotate(&mut |_, _| ()).unwrap();
            }
            _ => {
                let fresh = state.join(format!("master-{seed}-{step}.key"));
                vault
                    .key_rewrap(&MasterSource::Auto(fresh.clone()))
                    .unwrap();
                fs::remove_file(std::mem::replace(&mut master, fresh)).unwrap();
            }
        }
        say(&format!("did {line}"));
        apply(&mut there, &line.split(' ').collect::<Vec<_>>());
    }
}

/// A line at once, past whatever the test harness keeps back.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "child: {line}").unwrap();
    output.flush().unwrap();
}
