//! Processes that are killed while they write, and processes that write to one log.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{env, thread};

use bauta::audit::{Recorder, Settings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::audit_kit::{
    FolderKeeper, KEY, Writer, child_folder, ids, numbered, say, shared_recorder, sure,
    verify_shared,
};

const ROTATE: u64 = 20_000;

/// Says each number once it is durable, from several threads, until its input ends or it is killed.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_writer() {
    let Some(folder) = child_folder() else { return };
    let number = |name| -> u64 { env::var(name).unwrap().parse().unwrap() };
    let (first, count) = (number("BAUTA_AUDIT_FIRST"), number("BAUTA_AUDIT_COUNT"));
    let recorder = shared_recorder(&folder, ROTATE, 1024);
    let next = Arc::new(AtomicU64::new(first));
    let is_over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (recorder, next, is_over) =
                (recorder.clone(), Arc::clone(&next), Arc::clone(&is_over));
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count {
                        return;
                    }
                    if recorder.durable_blocking(vec![numbered(number)]).is_ok() {
                        say(&number.to_string());
                    }
                }
            })
        })
        .collect();
    if count == u64::MAX / 2 {
        let _ = std::io::stdin().read(&mut [0; 1]);
        is_over.store(true, Ordering::Relaxed);
    }
    for thread in threads {
        thread.join().unwrap();
    }
    recorder.close().unwrap();
}

fn writer(folder: &Path, first: u64, count: u64) -> Writer {
    writer_under("", folder, first, count)
}

fn writer_under(limits: &str, folder: &Path, first: u64, count: u64) -> Writer {
    Writer::start_under(limits, "audit_crash::child_writer", folder, |command| {
        command.env("BAUTA_AUDIT_FIRST", first.to_string());
        command.env("BAUTA_AUDIT_COUNT", count.to_string());
    })
}

#[test]
fn p5_kill_9_loses_nothing_that_was_acknowledged() {
    let rounds = env::var("BAUTA_KILL_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let folder = crate::audit_kit::folder();
    let mut acknowledged = HashSet::new();
    let mut runner = TestRunner::default();
    let mut torn = 0;
    for round in 0..rounds {
        // Two at a time, of which one is killed after so many lines and the other goes on for as many.
        let lines = (1..60_u64).new_tree(&mut runner).unwrap().current();
        let base = round * 1_000_000;
        let first = writer(folder.path(), base, u64::MAX / 2);
        let second = writer(folder.path(), base + 500_000, u64::MAX / 2);
        for _ in 0..lines {
            acknowledged.insert(first.next().unwrap());
        }
        acknowledged.extend(first.kill());
        for _ in 0..lines {
            acknowledged.insert(second.next().unwrap());
        }
        acknowledged.extend(second.kill());
        let verified = verify_shared(folder.path()).unwrap();
        assert_eq!(verified.alarms, 0, "round {round}");
        torn += u64::from(verified.is_torn);
        let there: HashSet<String> = ids(&folder.path().join("audit.log")).into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
    eprintln!(
        "{rounds} rounds, {} acknowledged, {torn} torn lines",
        acknowledged.len()
    );
}

#[test]
fn two_processes_append_to_one_log() {
    let folder = crate::audit_kit::folder();
    let writers = [
        writer(folder.path(), 0, 150),
        writer(folder.path(), 1000, 150),
    ];
    let mut acknowledged: Vec<String> = writers.into_iter().flat_map(Writer::finish).collect();
    let verified = verify_shared(folder.path()).unwrap();
    assert_eq!(
        (verified.alarms, verified.beyond_head, verified.is_torn),
        (0, Some(0), false)
    );
    assert!(verified.files > 2);
    let mut there = ids(&folder.path().join("audit.log"));
    assert_eq!(verified.records, there.len() as u64);
    acknowledged.sort_unstable();
    there.sort_unstable();
    assert!(
        acknowledged
            .iter()
            .all(|id| there.binary_search(id).is_ok())
    );
    // None stands there twice.
    let count = there.len();
    there.dedup();
    assert_eq!(there.len(), count);
}

#[test]
fn p8_small_limits_of_files_and_their_sizes_are_lived_with() {
    let folder = crate::audit_kit::folder();
    let mut there = 0;
    for round in 0..4 {
        // 10 KiB a file, past which a write would end the process by a signal; and fewer files at a time than the log has.
        writer_under(
            "ulimit -f 20; ulimit -n 32;",
            folder.path(),
            round * 1000,
            500,
        )
        .finish();
        let verified = verify_shared(folder.path()).unwrap();
        assert_eq!(verified.alarms, 0);
        assert!(verified.records > there);
        there = verified.records;
    }
    let mut sizes = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(sizes.all(|size| size <= 10 * 1024));
    assert!(verify_shared(folder.path()).unwrap().files > 32);
}

/// Copies its lines to a standard output that nobody reads, and ends when all is in the log.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_with_copies() {
    let Some(folder) = child_folder() else { return };
    let keeper = FolderKeeper {
        folder: folder.clone(),
        key: KEY,
    };
    let settings = Settings {
        path: folder.join("audit.log"),
        rotate_bytes: 1 << 26,
        stdout: true,
        queue: 1024,
    };
    let recorder = Recorder::open(settings, Arc::new(keeper)).unwrap();
    for batch in 0..100 {
        sure(&recorder, &folder.join("audit.log"), batch * 100);
        for number in 1..10 {
            let event = numbered(batch * 100 + number);
            recorder.reserve().unwrap().commit(vec![event]);
        }
    }
    assert!(recorder.close().is_ok() && recorder.health().is_err());
    // Not by the way of the test's end, which would print, too.
    std::process::exit(7);
}

#[test]
fn a_standard_output_that_nobody_reads_does_not_hold_up_the_log() {
    let folder = crate::audit_kit::folder();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "audit_crash::child_with_copies",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("BAUTA_AUDIT_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let path = folder.path().join("audit.log");
    assert_eq!(ids(&path).len(), 1000);
    // What stands in the pipe is the log's beginning, line by line.
    let mut copied = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut copied)
        .unwrap();
    let copied = String::from_utf8(copied).unwrap();
    let begin = copied.find("{\"seq\":1,").unwrap();
    let log = std::fs::read_to_string(path).unwrap();
    // A pipe takes 64 KiB, or as little as a page where its user has many (pipe(7), `pipe-user-pages-soft`).
    assert!(copied.len() - begin > 2_000 && copied.len() < log.len());
    assert!(log.starts_with(&copied[begin..]));
}
