//! Processes that are killed while they write, and processes that write to one log.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{env, thread};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::audit_kit::{Writer, child_folder, ids, numbered, say, shared_recorder, verify_shared};

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
            let (recorder, next, is_over) = (recorder.clone(), Arc::clone(&next), Arc::clone(&is_over));
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

fn writer(folder: &std::path::Path, first: u64, count: u64) -> Writer {
    Writer::start("audit_crash::child_writer", folder, |command| {
        command.env("BAUTA_AUDIT_FIRST", first.to_string());
        command.env("BAUTA_AUDIT_COUNT", count.to_string());
    })
}

#[test]
fn p5_kill_9_loses_nothing_that_was_acknowledged() {
    let rounds = env::var("BAUTA_KILL_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
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
    eprintln!("{rounds} rounds, {} acknowledged, {torn} torn lines", acknowledged.len());
}

#[test]
fn two_processes_append_to_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let writers = [writer(folder.path(), 0, 150), writer(folder.path(), 1000, 150)];
    let mut acknowledged: Vec<String> = writers.into_iter().flat_map(Writer::finish).collect();
    let verified = verify_shared(folder.path()).unwrap();
    assert_eq!((verified.alarms, verified.beyond_head, verified.is_torn), (0, Some(0), false));
    assert!(verified.files > 2);
    let mut there = ids(&folder.path().join("audit.log"));
    assert_eq!(verified.records, there.len() as u64);
    acknowledged.sort_unstable();
    there.sort_unstable();
    assert!(acknowledged.iter().all(|id| there.binary_search(id).is_ok()));
    // None stands there twice.
    let count = there.len();
    there.dedup();
    assert_eq!(there.len(), count);
}
