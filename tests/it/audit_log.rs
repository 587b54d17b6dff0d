//! The audit log as its callers see it: durable, bounded, carried on.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bauta::audit::{EphemeralKeeper, Event, Keeper, Kind, Recorder, Unavailable, What, verify};
use rustix::fs::FlockOperation;

use crate::audit_kit::{PATIENCE, Place, ids, numbered, sure, until};

#[test]
fn p5_what_was_acknowledged_stands_in_the_file() {
    let place = Place::new();
    let recorder = place.open();
    for number in 0..20 {
        sure(&recorder, &place.path(), number);
        let text = fs::read_to_string(place.path()).unwrap();
        assert!(text.ends_with("}\n"));
        assert_eq!(ids(&place.path()).len() as u64, number + 1);
    }
    recorder.health().unwrap();
    recorder.close().unwrap();
    let verified = place.verify().unwrap();
    assert_eq!(
        (verified.records, verified.first_seq, verified.last_seq),
        (20, 1, 20)
    );
    assert_eq!(verified.beyond_head, Some(0));
}

#[tokio::test]
async fn p5_durable_waits_in_a_runtime_too() {
    let place = Place::new();
    let recorder = place.open();
    let many = (0..200).map(|number| {
        let recorder = recorder.clone();
        tokio::spawn(async move { recorder.durable(vec![numbered(number)]).await })
    });
    for task in many.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let mut found: Vec<u64> = ids(&place.path())
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
    // They shared their fsyncs: the head is stored once for each.
    recorder.close().unwrap();
    assert!(*place.keeper.stored.lock().unwrap() < 200);
}

#[test]
fn files_and_folders_are_their_owners_alone() {
    let mut place = Place::rotating(400);
    place.folder = crate::audit_kit::folder();
    let inner = place.folder.path().join("made/here");
    let mut settings = place.settings();
    settings.path = inner.join("audit.log");
    let recorder = Recorder::open(settings, place.keeper.clone()).unwrap();
    for number in 0..4 {
        sure(&recorder, &inner.join("audit.log"), number);
    }
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(inner.clone()), 0o700);
    assert_eq!(mode(inner.join("audit.log")), 0o600);
    assert_eq!(mode(inner.join("audit.log.1")), 0o600);
}

#[test]
fn p5_a_slots_events_become_durable_within_a_second_and_after_waiting_for_company() {
    let place = Place::new();
    let recorder = place.open();
    let begin = Instant::now();
    for number in 0..50 {
        let slot = recorder.reserve().unwrap();
        slot.commit(vec![numbered(number)]);
    }
    until(Duration::from_secs(1), "mask events are written", || {
        ids(&place.path()).len() == 50
    });
    assert!(
        begin.elapsed() >= Duration::from_millis(190),
        "they waited for company"
    );
    until(PATIENCE, "the head is stored", || {
        *place.keeper.stored.lock().unwrap() > 0
    });
    assert_eq!(
        *place.keeper.stored.lock().unwrap(),
        1,
        "they shared one batch"
    );
    // One that somebody waits for takes along what waits.
    recorder.reserve().unwrap().commit(vec![numbered(50)]);
    sure(&recorder, &place.path(), 51);
    assert_eq!(ids(&place.path()).len(), 52);
}

#[test]
fn p5_p8_the_queue_is_bounded_and_a_dropped_slot_is_given_back() {
    let mut place = Place::new();
    place.queue = 3;
    let recorder = place.open();
    let mut slots: Vec<_> = (0..3).map(|_| recorder.reserve().unwrap()).collect();
    assert_eq!(recorder.reserve().err(), Some(Unavailable::Full));
    assert_eq!(
        recorder.durable_blocking(vec![numbered(0)]),
        Err(Unavailable::Full)
    );
    drop(slots.pop());
    sure(&recorder, &place.path(), 1);
    slots.pop().unwrap().commit(Vec::new());
    slots.pop().unwrap().commit(vec![numbered(2)]);
    until(PATIENCE, "all places are free again", || {
        let all: Vec<_> = (0..3).map(|_| recorder.reserve()).collect();
        all.iter().all(Result::is_ok)
    });
}

#[test]
fn p5_closing_writes_what_is_queued_and_nothing_is_taken_in_afterwards() {
    let place = Place::new();
    let recorder = place.open();
    let slot = recorder.reserve().unwrap();
    recorder.reserve().unwrap().commit(vec![numbered(1)]);
    recorder.close().unwrap();
    assert_eq!(ids(&place.path()), ["1"]);
    assert_eq!(recorder.reserve().err(), Some(Unavailable::Closed));
    assert_eq!(
        recorder.durable_blocking(vec![numbered(2)]),
        Err(Unavailable::Closed)
    );
    assert!(recorder.health().is_err());
    slot.commit(vec![numbered(3)]);
    assert_eq!(ids(&place.path()), ["1"]);
    place.verify().unwrap();
}

#[test]
fn the_last_recorder_that_goes_closes_the_log() {
    let place = Place::new();
    let recorder = place.open();
    recorder.reserve().unwrap().commit(vec![numbered(1)]);
    let other = recorder.clone();
    drop(recorder);
    drop(other);
    assert_eq!(ids(&place.path()), ["1"]);
    assert_eq!(place.verify().unwrap().beyond_head, Some(0));
}

#[test]
fn rotation_and_restarts_carry_the_chain() {
    let place = Place::rotating(2000);
    // A file that has a number already is not overwritten.
    fs::write(place.rotated(7), "").unwrap();
    for round in 0..6 {
        place.write(round * 10..round * 10 + 10);
    }
    let verified = place.verify().unwrap();
    assert_eq!((verified.records, verified.first_seq), (60, 1));
    assert!(verified.files > 8);
    assert_eq!(fs::read(place.rotated(7)).unwrap(), b"");
    assert!(place.rotated(8).exists() && !place.rotated(1).exists());
    for number in 8..verified.files - 1 {
        assert!(fs::metadata(place.rotated(number)).unwrap().len() <= 2000);
    }
    let expected: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    assert_eq!(ids(&place.path()), expected);
}

#[test]
fn two_recorders_append_to_one_log() {
    // So small that they rotate all the time, and under one another's hands.
    let place = Place::rotating(2000);
    let writers: Vec<_> = (0..4).map(|_| place.open()).collect();
    let threads: Vec<_> = (0..)
        .zip(writers)
        .map(|(writer, recorder): (u64, _)| {
            let path = place.path();
            thread::spawn(move || {
                for number in 0..100 {
                    sure(&recorder, &path, writer * 1000 + number);
                }
                recorder.close().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let verified = place.verify().unwrap();
    assert_eq!(
        (verified.records, verified.alarms, verified.beyond_head),
        (400, 0, Some(0))
    );
    assert!(verified.files > 4);
    let mut found: Vec<u64> = ids(&place.path())
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 400);
}

#[test]
fn p5_a_log_that_vanishes_is_noticed_while_idle_and_goes_on() {
    for with_rotated in [false, true] {
        let place = Place::rotating(if with_rotated { 800 } else { 1 << 20 });
        let recorder = place.open();
        for number in 0..5 {
            sure(&recorder, &place.path(), number);
        }
        recorder.health().unwrap();
        fs::remove_file(place.path()).unwrap();
        until(Duration::from_secs(1), "health fails", || {
            let health = recorder.health();
            health.is_err_and(|reason| reason.contains("log_vanished"))
        });
        sure(&recorder, &place.path(), 5);
        recorder.close().unwrap();
        // The hole is named, at the first record behind it.
        let found = place.verify().unwrap_err();
        assert_eq!((found.file, found.line), (place.path(), 1));
        assert!(
            matches!(found.what, What::Missing { to: 5, .. }),
            "{:?}",
            found.what
        );
        assert_eq!(ids(&place.path()).last().unwrap(), "5");
        let since = bauta::audit::verify_since(&place.path(), &*place.keeper, 6, &mut |_, _| {});
        assert_eq!(since.unwrap().alarms, 1);
    }
}

/// Of two writers one knows less of the log. What became of it is said, and they do not put each other's files aside.
#[test]
fn p5_two_recorders_agree_on_what_became_of_their_log() {
    type Harm = fn(&Path);
    let harms: [Harm; 2] = [
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        },
    ];
    for (harm, has_written) in [(0, true), (0, false), (1, true), (1, false)] {
        let place = Place::new();
        let path = place.path();
        let stale = place.open();
        if has_written {
            sure(&stale, &path, 0);
        }
        let recorder = place.open();
        for number in 1..6 {
            sure(&recorder, &path, number);
        }
        harms[harm](&path);
        until(PATIENCE, "one of them notices", || {
            stale.health().is_err() || recorder.health().is_err()
        });
        sure(&stale, &path, 6);
        sure(&recorder, &path, 7);
        sure(&stale, &path, 8);
        stale.close().unwrap();
        recorder.close().unwrap();
        let last = place.keeper.heads.lock().unwrap().values().next().copied();
        let since = last.unwrap().seq - 3;
        let verified =
            bauta::audit::verify_since(&path, &*place.keeper, since, &mut |_, _| {}).unwrap();
        assert_eq!((verified.records, verified.alarms), (4, 1));
        assert_eq!(verified.files, 1 + harm, "{harm} {has_written}");
        assert!(!place.rotated(2).exists());
    }
}

#[test]
fn p5_a_log_that_is_cut_back_to_what_a_recorder_knows_is_noticed() {
    let place = Place::new();
    let path = place.path();
    let stale = place.open();
    sure(&stale, &path, 0);
    let known = fs::metadata(&path).unwrap().len();
    place.write(1..6);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(known).unwrap();
    sure(&stale, &path, 6);
    stale.close().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("log_cut: the log no longer ends with record 6"),
        "{text}"
    );
    let found = place.verify().unwrap_err();
    assert_eq!(found.what, What::Missing { from: 2, to: 6 });
}

#[test]
fn p5_a_log_that_vanished_between_two_runs_is_noticed() {
    let place = Place::new();
    place.write(0..5);
    fs::remove_file(place.path()).unwrap();
    let recorder = place.open();
    until(PATIENCE, "health fails", || recorder.health().is_err());
    recorder.close().unwrap();
    let found = place.verify().unwrap_err();
    assert_eq!(found.what, What::Missing { from: 1, to: 5 });
}

#[test]
fn p5_a_log_that_was_cut_or_edited_is_put_aside_and_the_chain_goes_on() {
    type Edit = fn(&fs::File, u64);
    let edits: [(Edit, &str, u64); 3] = [
        (|file, len| file.set_len(len / 2).unwrap(), "log_cut", 3),
        (
            |file, len| file.write_all_at(b" ", len - 1).unwrap(),
            "log_cut",
            5,
        ),
        (
            |file, len| file.write_all_at(b"{\"seq\":6}\n", len).unwrap(),
            "log_changed",
            6,
        ),
    ];
    for while_running in [false, true] {
        for (edit, reason, line) in edits {
            let place = Place::new();
            place.write(0..5);
            let running = while_running.then(|| place.open());
            // In place: the running writer keeps the file open, and may look at it at any time.
            let file = fs::File::options().write(true).open(place.path()).unwrap();
            edit(&file, file.metadata().unwrap().len());
            let recorder = running.unwrap_or_else(|| place.open());
            sure(&recorder, &place.path(), 5);
            assert!(recorder.health().unwrap_err().contains(reason));
            recorder.close().unwrap();
            assert_eq!(
                ident(&file.metadata().unwrap()),
                ident(&fs::metadata(place.rotated(1)).unwrap())
            );
            let found = place.verify().unwrap_err();
            assert_eq!(
                (found.file, found.line),
                (place.rotated(1), line),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_log_that_others_rotate_goes_on_without_an_alarm() {
    let place = Place::new();
    let recorder = place.open();
    sure(&recorder, &place.path(), 0);
    // What `logrotate` does without `copytruncate`.
    fs::rename(place.path(), place.rotated(1)).unwrap();
    sure(&recorder, &place.path(), 1);
    recorder.health().unwrap();
    let verified = place.verify().unwrap();
    assert_eq!(
        (verified.records, verified.files, verified.alarms),
        (2, 2, 0)
    );
    // And with it.
    fs::copy(place.path(), place.rotated(2)).unwrap();
    let file = fs::File::options().write(true).open(place.path()).unwrap();
    file.set_len(0).unwrap();
    sure(&recorder, &place.path(), 2);
    recorder.health().unwrap();
    let verified = place.verify().unwrap();
    assert_eq!((verified.records, verified.alarms), (3, 0));
}

#[test]
fn a_crash_leaves_an_unfinished_line_which_the_next_writer_ends() {
    let place = Place::new();
    place.write(0..3);
    let whole = fs::read(place.path()).unwrap();
    let keeper = &place.keeper;
    let heads = keeper.heads.lock().unwrap().clone();
    place.write(3..5);
    let longer = fs::read(place.path()).unwrap();
    let third = whole.len();
    // Around each end of a record, and here and there between.
    let near = |length: &usize| longer[..*length].ends_with(b"}\n") || length.is_multiple_of(41);
    let near = |length: &usize| (*length - 2..*length + 3).any(|at| near(&at.min(longer.len())));
    for length in (third..=longer.len()).filter(near) {
        fs::write(place.path(), &longer[..length]).unwrap();
        (*keeper.heads.lock().unwrap()).clone_from(&heads);
        let behind = longer[third..length].split(|&byte| byte == b'\n').count() as u64 - 1;
        let verified = place.verify().unwrap();
        assert_eq!(verified.records, 3 + behind, "length {length}");
        assert_eq!(verified.is_torn, longer[..length].last() != Some(&b'\n'));
        place.write(9..10);
        // A line that only lacks its line feed is finished: it is whole.
        let is_whole = longer.get(length) == Some(&b'\n');
        let verified = place.verify().unwrap();
        assert_eq!(
            verified.records,
            4 + behind + u64::from(is_whole),
            "length {length}"
        );
        assert_eq!((verified.alarms, verified.is_torn), (0, false));
    }
}

#[test]
fn a_keeper_that_cannot_store_the_head_fails_health_and_not_the_log() {
    let place = Place::new();
    let recorder = place.open();
    *place.keeper.fails.lock().unwrap() = true;
    sure(&recorder, &place.path(), 0);
    until(PATIENCE, "health fails", || recorder.health().is_err());
    assert!(
        recorder
            .health()
            .unwrap_err()
            .contains("the vault is locked")
    );
    sure(&recorder, &place.path(), 1);
    *place.keeper.fails.lock().unwrap() = false;
    // Nothing more need be written for it to be stored.
    until(PATIENCE, "health recovers", || recorder.health().is_ok());
    assert_eq!(place.verify().unwrap().beyond_head, Some(0));
}

#[test]
fn a_log_under_another_key_is_moved_aside() {
    let place = Place::new();
    place.write(0..3);
    let before = fs::read(place.path()).unwrap();
    let keeper: Arc<dyn Keeper> = Arc::new(EphemeralKeeper::new().unwrap());
    let recorder = Recorder::open(place.settings(), Arc::clone(&keeper)).unwrap();
    recorder
        .durable_blocking(vec![Event::new(Kind::Start)])
        .unwrap();
    recorder.health().unwrap();
    recorder.close().unwrap();
    assert_eq!(fs::read(place.rotated(1)).unwrap(), before);
    let verified = verify(&place.path(), &*keeper).unwrap();
    assert_eq!((verified.records, verified.older_files), (1, 1));
}

#[test]
fn a_log_whose_folder_moved_goes_on() {
    let place = Place::rotating(1000);
    place.write(0..5);
    let moved = Place::rotating(1000);
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), moved.folder.path().join(entry.file_name())).unwrap();
    }
    assert_eq!(
        moved.verify().unwrap().beyond_head,
        None,
        "a cut tail would not show"
    );
    moved.write(5..9);
    let verified = moved.verify().unwrap();
    assert_eq!(
        (verified.records, verified.alarms, verified.beyond_head),
        (9, 0, Some(0))
    );
}

#[test]
fn what_is_no_regular_file_is_no_log() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let keeper: Arc<dyn Keeper> = place.keeper.clone();
    let error = Recorder::open(place.settings(), keeper).err().unwrap();
    assert!(
        error.to_string().contains("cannot open the audit log"),
        "{error}"
    );
}

fn ident(metadata: &fs::Metadata) -> (u64, u64, u64) {
    (metadata.dev(), metadata.ino(), metadata.len())
}

#[test]
fn p5_p8_another_process_that_hangs_while_it_writes_hangs_nobody_for_ever() {
    let place = Place::new();
    let recorder = place.open();
    sure(&recorder, &place.path(), 0);
    let other = fs::File::open(place.path()).unwrap();
    rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
    assert_eq!(
        recorder.durable_blocking(vec![numbered(1)]),
        Err(Unavailable::Late)
    );
    assert!(recorder.health().is_err());
    // A command that comes now ends, and says why.
    let keeper: Arc<dyn Keeper> = place.keeper.clone();
    let error = Recorder::open(place.settings(), keeper).err().unwrap();
    assert!(error.to_string().contains("another process"), "{error}");
    rustix::fs::flock(&other, FlockOperation::Unlock).unwrap();
    until(PATIENCE, "health recovers", || recorder.health().is_ok());
    sure(&recorder, &place.path(), 2);
    recorder.close().unwrap();
    assert_eq!(place.verify().unwrap().alarms, 0);
}
