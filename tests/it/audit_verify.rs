//! `verify` names every edit of a log, and takes no crash for one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use bauta::audit::{Event, Head, Keeper, KeeperError, Kind, Recorder, What, verify, verify_since};
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::audit_kit::{KEY, MemoryKeeper, Place, finding, numbered};

/// A log in memory: the lines of its files, oldest first, the current one last.
#[derive(Clone)]
struct Files(Vec<Vec<Vec<u8>>>);

/// Some 60 records in several files, made by a real writer, and the head.
static LOG: LazyLock<(Files, Head)> = LazyLock::new(|| {
    let place = Place::rotating(6000);
    let recorder = place.open();
    for number in 0..60 {
        let event = numbered(number).reason("r".repeat(usize::try_from(number).unwrap() * 3));
        recorder.reserve().unwrap().commit(vec![event]);
        if number % 4 == 0 {
            crate::audit_kit::sure(&recorder, &place.path(), 100 + number);
        }
    }
    recorder.close().unwrap();
    let files = place.verify().unwrap().files;
    assert!(files > 4);
    let path = |number| match number {
        number if number == files => place.path(),
        number => place.rotated(number),
    };
    let lines = |path: PathBuf| {
        let text = fs::read(path).unwrap();
        text.split_inclusive(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let head = *place.keeper.heads.lock().unwrap().values().next().unwrap();
    (Files((1..=files).map(path).map(lines).collect()), head)
});

impl Files {
    fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The file and the index of a line, counted over all files.
    fn place(&self, mut line: usize) -> (usize, usize) {
        for (file, lines) in self.0.iter().enumerate() {
            if line < lines.len() {
                return (file, line);
            }
            line -= lines.len();
        }
        panic!("no such line");
    }

    fn line(&mut self, line: usize) -> &mut Vec<u8> {
        let (file, at) = self.place(line);
        &mut self.0[file][at]
    }

    /// Writes them and verifies; gives what was found, and its line counted over all files as they are now.
    fn verify(&self, keeper: &MemoryKeeper, head: Head) -> Result<(), (usize, What)> {
        let folder = crate::audit_kit::folder();
        let path = folder.path().join("audit.log");
        let last = self.0.len();
        let mut names = Vec::new();
        for (at, lines) in self.0.iter().enumerate() {
            let path = match at + 1 {
                number if number == last => path.clone(),
                number => folder.path().join(format!("audit.log.{number}")),
            };
            fs::write(&path, lines.concat()).unwrap();
            names.push(path);
        }
        let name = fs::canonicalize(folder.path()).unwrap().join("audit.log");
        keeper.store_head(name.to_str().unwrap(), &head).unwrap();
        finding(verify(&path, keeper)).map(drop).map_err(|found| {
            let file = names.iter().position(|name| *name == found.file).unwrap();
            let before: usize = self.0[..file].iter().map(Vec::len).sum();
            (
                before + usize::try_from(found.line).unwrap() - 1,
                found.what,
            )
        })
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Flip { line: usize, byte: usize, bit: u8 },
    Delete { line: usize, count: usize },
    Repeat { line: usize, to: usize },
    Swap { line: usize, other: usize },
    Insert { line: usize, text: Vec<u8> },
    Truncate { line: usize, byte: usize },
    DropFile { file: usize },
    SwapFiles { file: usize, other: usize },
    RepeatFile { file: usize, to: usize },
}

fn edits() -> impl Strategy<Value = Edit> {
    let (files, _) = &*LOG;
    let (lines, count) = (files.count(), files.0.len());
    let line = move || 0..lines;
    let file = move || 0..count;
    prop_oneof![
        8 => (line(), any::<usize>(), 0..8u8).prop_map(|(line, byte, bit)| Edit::Flip { line, byte, bit }),
        4 => (line(), 1..4usize).prop_map(|(line, count)| Edit::Delete { line, count }),
        4 => (line(), line()).prop_map(|(line, to)| Edit::Repeat { line, to }),
        4 => (line(), line()).prop_map(|(line, other)| Edit::Swap { line, other }),
        4 => (line(), proptest::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(line, text)| Edit::Insert { line, text }),
        4 => (line(), any::<usize>()).prop_map(|(line, byte)| Edit::Truncate { line, byte }),
        1 => file().prop_map(|file| Edit::DropFile { file }),
        1 => (file(), file()).prop_map(|(file, other)| Edit::SwapFiles { file, other }),
        1 => (file(), file()).prop_map(|(file, to)| Edit::RepeatFile { file, to }),
    ]
}

/// Makes the edit. Gives the first line that is not as it was, counted over all files, or `None` if nothing changed.
fn apply(edit: &Edit, files: &mut Files) -> Option<usize> {
    let before: Vec<Vec<u8>> = files.0.concat();
    match edit {
        Edit::Flip { line, byte, bit } => {
            let line = files.line(*line);
            let at = byte % line.len();
            line[at] ^= 1 << bit;
        }
        Edit::Delete { line, count } => {
            for _ in 0..(*count).min(files.count() - line) {
                let (file, at) = files.place(*line);
                files.0[file].remove(at);
            }
        }
        Edit::Repeat { line, to } => {
            let copy = files.line(*line).clone();
            let (file, at) = files.place(*to);
            files.0[file].insert(at, copy);
        }
        Edit::Swap { line, other } => {
            let (first, second) = (files.line(*line).clone(), files.line(*other).clone());
            *files.line(*line) = second;
            *files.line(*other) = first;
        }
        Edit::Insert { line, text } => {
            let (file, at) = files.place(*line);
            let mut text = text.clone();
            text.push(b'\n');
            files.0[file].insert(at, text);
        }
        Edit::Truncate { line, byte } => {
            let (file, at) = files.place(*line);
            let line = &mut files.0[file][at];
            line.truncate(byte % line.len());
            files.0[file].truncate(at + 1);
            files.0.truncate(file + 1);
            // The last one is the current file again.
        }
        Edit::DropFile { file } => {
            files.0[*file].clear();
        }
        Edit::SwapFiles { file, other } => files.0.swap(*file, *other),
        Edit::RepeatFile { file, to } => {
            let copy = files.0[*file].clone();
            files.0.insert(*to, copy);
        }
    }
    // Lines as a reader sees them: an edit may have joined or split some.
    let now: Vec<u8> = files.0.concat().concat();
    let now: Vec<&[u8]> = now.split_inclusive(|&byte| byte == b'\n').collect();
    let changed = (0..)
        .zip(&before)
        .find(|(at, line)| now.get(*at) != Some(&&line[..]));
    let changed = changed.map(|(at, _)| at);
    changed.or((now.len() > before.len()).then_some(before.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_edit_is_named_with_its_line(edit in edits()) {
        let (whole, head) = &*LOG;
        let mut files = whole.clone();
        let keeper = MemoryKeeper::default();
        let first = apply(&edit, &mut files);
        let found = files.verify(&keeper, *head);
        match first {
            None => prop_assert_eq!(found, Ok(())),
            Some(line) => {
                // Files at the front may have been archived; then what is left must be whole, and it is.
                if found.is_ok() && is_only_archived(whole, &files) {
                    return Ok(());
                }
                let (named, what) = found.expect_err("an edit must be found");
                prop_assert_eq!(named, line, "{}", what);
            }
        }
    }
}

/// Whether whole files are gone from the front, and nothing else happened.
fn is_only_archived(whole: &Files, now: &Files) -> bool {
    let whole: Vec<u8> = whole.0.concat().concat();
    let now: Vec<u8> = now.0.concat().concat();
    !now.is_empty() && whole.ends_with(&now)
}

#[test]
fn each_kind_of_edit_has_its_words() {
    let (whole, head) = &*LOG;
    let keeper = MemoryKeeper::default();
    let all = whole.count();
    let check = |edit: Edit, line: usize, what: What| {
        let mut files = whole.clone();
        apply(&edit, &mut files);
        assert_eq!(files.verify(&keeper, *head), Err((line, what)), "{edit:?}");
    };
    whole.verify(&keeper, *head).unwrap();
    let first = whole.0[0].len();
    check(
        Edit::Flip {
            line: 5,
            byte: 40,
            bit: 0,
        },
        5,
        What::Edited,
    );
    check(
        Edit::Flip {
            line: 0,
            byte: 40,
            bit: 0,
        },
        0,
        What::Edited,
    );
    check(
        Edit::Flip {
            line: 5,
            byte: 0,
            bit: 0,
        },
        5,
        What::NotARecord,
    );
    check(
        Edit::Delete { line: 3, count: 2 },
        3,
        What::Missing { from: 4, to: 5 },
    );
    check(
        Edit::Repeat { line: 3, to: 9 },
        9,
        What::OutOfPlace { expected: 10 },
    );
    check(
        Edit::Swap { line: 3, other: 4 },
        3,
        What::Missing { from: 4, to: 4 },
    );
    let (from, to) = (first as u64 + 1, (first + whole.0[1].len()) as u64);
    check(
        Edit::DropFile { file: 1 },
        first,
        What::Missing { from, to },
    );
    let last = all as u64;
    check(
        Edit::Delete {
            line: all - 1,
            count: 1,
        },
        all - 1,
        What::Cut {
            from: last,
            to: last,
        },
    );
    check(
        Edit::Truncate {
            line: all - 1,
            byte: 7,
        },
        all - 1,
        What::Cut {
            from: last,
            to: last,
        },
    );
    let garbage = Edit::Insert {
        line: 9,
        text: b"{}".to_vec(),
    };
    check(garbage, 9, What::NotARecord);
}

#[test]
fn another_record_under_the_head_is_found() {
    let place = Place::new();
    place.write(0..3);
    let mut head = *place.keeper.heads.lock().unwrap().values().next().unwrap();
    head.mac[0] ^= 1;
    let name = place
        .keeper
        .heads
        .lock()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    place.keeper.store_head(&name, &head).unwrap();
    let found = place.verify().unwrap_err();
    assert_eq!((found.line, found.what), (3, What::OtherHead));
}

#[test]
fn a_record_of_another_branch_of_the_chain_is_found() {
    // Two logs under one key that have the first record in common: a record of one does not fit into the other.
    let place = Place::new();
    place.write(0..1);
    let common = fs::read(place.path()).unwrap();
    let heads = place.keeper.heads.lock().unwrap().clone();
    place.write(1..3);
    let ours = fs::read_to_string(place.path()).unwrap();
    fs::write(place.path(), common).unwrap();
    *place.keeper.heads.lock().unwrap() = heads;
    place.write(7..9);
    let theirs = fs::read_to_string(place.path()).unwrap();
    let third: Vec<&str> = theirs.split_inclusive('\n').collect();
    let second: String = ours.split_inclusive('\n').take(2).collect();
    fs::write(place.path(), second + third[2]).unwrap();
    let found = place.verify().unwrap_err();
    assert_eq!((found.line, found.what), (3, What::OtherChain));
}

#[test]
fn a_log_that_is_gone_is_found() {
    let place = Place::new();
    assert_eq!(
        place.verify().unwrap().records,
        0,
        "there has never been one"
    );
    place.write(0..3);
    fs::remove_file(place.path()).unwrap();
    assert_eq!(
        place.verify().unwrap_err().what,
        What::Cut { from: 1, to: 3 }
    );
}

#[test]
fn archived_files_are_said_and_accepted() {
    let place = Place::rotating(1500);
    place.write(0..20);
    fs::remove_file(place.rotated(1)).unwrap();
    fs::remove_file(place.rotated(2)).unwrap();
    let verified = place.verify().unwrap();
    assert!(verified.first_seq > 1);
    assert_eq!(verified.last_seq, 20);
    assert_eq!(verified.records, 21 - verified.first_seq);
    // And the writer goes on.
    place.write(20..22);
    assert_eq!(place.verify().unwrap().last_seq, 22);
}

struct OtherKey;

impl Keeper for OtherKey {
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError> {
        Ok(Zeroizing::new([1; 32]))
    }
    fn head(&self, _: &str) -> Result<Option<Head>, KeeperError> {
        Ok(None)
    }
    fn store_head(&self, _: &str, _: &Head) -> Result<(), KeeperError> {
        Ok(())
    }
}

#[test]
fn a_wrong_key_is_told_from_an_edit() {
    let place = Place::new();
    place.write(0..3);
    let found = finding(verify(&place.path(), &OtherKey)).unwrap_err();
    assert_eq!((found.line, found.what), (1, What::WrongKey));
}

#[test]
fn verification_can_begin_behind_what_is_known_to_be_broken() {
    let (whole, head) = &*LOG;
    let place = Place::new();
    let mut text = whole.0.concat();
    text[4][20] ^= 1;
    fs::write(place.path(), text.concat()).unwrap();
    let name = fs::canonicalize(place.folder.path())
        .unwrap()
        .join("audit.log");
    place
        .keeper
        .store_head(name.to_str().unwrap(), head)
        .unwrap();
    assert_eq!(place.verify().unwrap_err().line, 5);
    let mut told = Vec::new();
    let since = |since| verify_since(&place.path(), &*place.keeper, since, &mut |_, _| {});
    assert_eq!(finding(since(5)).unwrap_err().line, 5);
    assert_eq!(since(6).unwrap().first_seq, 6);
    verify_since(&place.path(), &*place.keeper, 6, &mut |done, all| {
        told.push((done, all));
    })
    .unwrap();
    let length = fs::metadata(place.path()).unwrap().len();
    assert_eq!(told.last(), Some(&(length, length)));
}

#[test]
fn p8_hostile_files_are_judged_in_bounded_memory() {
    let place = Place::new();
    place.write(0..2);
    let good = fs::read(place.path()).unwrap();
    for hostile in [
        vec![b'x'; 1 << 20],
        vec![0; 1 << 20],
        vec![b'\n'; 1000],
        b"{\"seq\":".repeat(100_000),
    ] {
        let mut text = good.clone();
        text.extend(&hostile);
        // A last line without its end is what a crash leaves, however long.
        fs::write(place.path(), &text).unwrap();
        let ends = hostile.ends_with(b"\n");
        assert_eq!(place.verify().is_ok(), !ends);
        text.push(b'\n');
        fs::write(place.path(), &text).unwrap();
        let found = place.verify().unwrap_err();
        assert_eq!((found.line, found.what), (3, What::NotARecord));
        let recorder = place.open();
        crate::audit_kit::sure(&recorder, &place.rotated(2), 0);
        recorder.close().unwrap();
        fs::remove_file(place.path()).unwrap();
        fs::rename(place.rotated(1), place.path()).unwrap();
        fs::write(place.path(), &good).unwrap();
        place.keeper.heads.lock().unwrap().clear();
    }
}

#[test]
fn a_verifier_in_another_language_agrees() {
    let place = Place::rotating(2000);
    place.write(0..20);
    let recorder: Recorder = place.open();
    let odd = Event::new(Kind::Refuse)
        .reason("\u{1b}[1m \"quoted\" \\ é 🎭 \u{202e}\n")
        .keys(["a", "b"]);
    recorder.durable_blocking(vec![odd]).unwrap();
    recorder.close().unwrap();
    let files = place.verify().unwrap().files;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/verify.py");
    let key: String = KEY.map(|byte| format!("{byte:02x}")).concat();
    let run = || {
        let mut command = Command::new("python3");
        command.arg(script).arg(&key);
        command
            .args((1..files).map(|number| place.rotated(number)))
            .arg(place.path());
        command.output().unwrap()
    };
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("there is no python3 here");
        return;
    }
    let output = run();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "whole up to record 21\n",
        "{output:?}"
    );
    let mut text = fs::read(place.rotated(2)).unwrap();
    text[30] ^= 1;
    fs::write(place.rotated(2), text).unwrap();
    let output = run();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("audit.log.2, line 1: edited"), "{said}");
}
