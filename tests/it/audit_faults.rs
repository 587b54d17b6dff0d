//! Disks that fail or hang under a writing process: nothing is believed, health says so, and all is well again by itself.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bauta::audit::Unavailable;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::audit_kit::{
    Clock, PATIENCE, Writer, child_folder, ids, numbered, say, shared_recorder, sure, until,
    verify_shared,
};

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;

/// From the first failure on, health must fail within this time; the rest is for a busy machine.
const NOTICE: Duration = Duration::from_secs(1);

const HANGS: &str = "health bad: the audit log hangs";
const CANNOT_BE_WRITTEN: &str = "health bad: the audit log cannot be written";

const QUEUE: usize = 64;

/// Writes and says how that goes: `ok N`, `late N`, `health …`, and `full` when no request would be let in any more.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child_under_faults() {
    let Some(folder) = child_folder() else { return };
    let rotate =
        std::env::var("BAUTA_AUDIT_ROTATE").map_or(1 << 26, |bytes| bytes.parse().unwrap());
    let recorder = shared_recorder(&folder, rotate, QUEUE);
    let is_over = Arc::new(AtomicBool::new(false));
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut was = None;
            while !is_over.load(Ordering::Relaxed) {
                let health = recorder.health();
                if was.as_ref() != Some(&health) {
                    was = Some(health.clone());
                    say(&health.map_or_else(
                        |reason| format!("health bad: {reason}"),
                        |()| "health ok".to_owned(),
                    ));
                }
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        scope.spawn(|| {
            let mut was_full = false;
            while !is_over.load(Ordering::Relaxed) {
                match recorder.reserve() {
                    Ok(slot) => {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        slot.commit(vec![numbered(number)]);
                        was_full = false;
                        say(&format!("queued {number}"));
                    }
                    Err(reason) => {
                        if !was_full {
                            assert_eq!(reason, Unavailable::Full);
                            say("full");
                        }
                        was_full = true;
                    }
                }
                thread::park_timeout(Duration::from_millis(10));
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match recorder.durable_blocking(vec![numbered(number)]) {
                    Ok(()) => say(&format!("ok {number}")),
                    Err(Unavailable::Late) => say(&format!("late {number}")),
                    // The queue is full: no substitution either.
                    Err(_) => thread::park_timeout(Duration::from_millis(20)),
                }
            }
        });
        let _ = std::io::stdin().read(&mut [0; 1]);
        is_over.store(true, Ordering::Relaxed);
    });
    recorder.close().unwrap();
}

/// A writer on a disk whose faults can be switched.
struct Faulty {
    folder: TempDir,
    control: PathBuf,
    writer: Writer,
    /// What was acknowledged, and what was queued: both must be there in the end.
    owed: HashSet<String>,
}

impl Faulty {
    fn start(rotate: Option<u64>) -> Self {
        let mut new = Self::begin(crate::audit_kit::folder(), rotate, "");
        new.until("health ok");
        new.until("ok ");
        new
    }

    /// The same, with faults from its beginning on.
    fn begin(folder: TempDir, rotate: Option<u64>, faults: &str) -> Self {
        let shim = shim(folder.path());
        let control = folder.path().join("control");
        fs::write(&control, faults).unwrap();
        let writer = Writer::start(
            "audit_faults::child_under_faults",
            folder.path(),
            |command| {
                command.env("LD_PRELOAD", &shim);
                command.env("BAUTA_FAULT_PATH", "audit.log");
                command.env("BAUTA_FAULT_CONTROL", &control);
                if let Some(bytes) = rotate {
                    command.env("BAUTA_AUDIT_ROTATE", bytes.to_string());
                }
            },
        );
        Self {
            folder,
            control,
            writer,
            owed: HashSet::new(),
        }
    }

    /// Switches the faults, between two calls of the process.
    fn set(&self, faults: &str) {
        let new = self.folder.path().join("control.new");
        fs::write(&new, faults).unwrap();
        fs::rename(&new, &self.control).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    fn take(&mut self) -> String {
        let line = self.writer.next().expect("the child goes on");
        self.note(&line);
        line
    }

    fn note(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("ok ").or(line.strip_prefix("queued ")) {
            self.owed.insert(number.to_owned());
        }
    }

    /// Reads on to a line that begins so.
    fn until(&mut self, beginning: &str) -> String {
        let begin = Instant::now();
        loop {
            let line = self.take();
            if line.starts_with(beginning) {
                return line;
            }
            assert!(begin.elapsed() < PATIENCE, "no `{beginning}`");
        }
    }

    /// Reads on to where health fails so, which must not take long.
    fn notice(&mut self, beginning: &str) {
        let mut clock = Clock::start();
        loop {
            let line = self.writer.poll();
            let passed = clock.lap();
            if let Some(line) = line {
                self.note(&line);
                if line.starts_with(beginning) {
                    return;
                }
            }
            assert!(passed < NOTICE, "no `{beginning}` after {passed:?}");
        }
    }

    /// Nothing was lost, nothing stands there twice, and the log is whole.
    fn finish(self) {
        let Self {
            folder,
            writer,
            mut owed,
            ..
        } = self;
        for line in writer.finish() {
            if let Some(number) = line.strip_prefix("ok ").or(line.strip_prefix("queued ")) {
                owed.insert(number.to_owned());
            }
        }
        let verified = verify_shared(folder.path()).unwrap();
        assert_eq!(
            (verified.alarms, verified.is_torn, verified.beyond_head),
            (0, false, Some(0))
        );
        let there = ids(&folder.path().join("audit.log"));
        let set: HashSet<String> = there.iter().cloned().collect();
        assert_eq!(set.len(), there.len(), "a record stands there twice");
        let lost: Vec<_> = owed.difference(&set).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

/// Compiles the shim.
fn shim(folder: &Path) -> PathBuf {
    let to = folder.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&to)
        .arg(source);
    let output = cc.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    to
}

/// A fault comes and goes. While it is there nothing is acknowledged and health fails; then all is well again.
fn check(disk: &str) {
    let mut faulty = Faulty::start(None);
    faulty.set(disk);
    let hangs = disk.contains("hang");
    faulty.notice(if hangs { HANGS } else { CANNOT_BE_WRITTEN });
    // From here on nothing may be acknowledged: what was under way has come to its end, though it may not have been said yet.
    let (mut late, mut last) = (0, 0);
    let mut is_full = false;
    while late < 1 || !is_full {
        let line = faulty.take();
        late += u64::from(line.starts_with("late "));
        is_full |= line == "full";
        if hangs && late == 0 && line == "health ok" {
            // A machine that stood still before seemed to hang too.
            last = 0;
            continue;
        }
        last += u64::from(line.starts_with("ok "));
        assert!(last == 0 || last == 1 && late == 0, "{disk}: {line}");
        assert!(line != "health ok", "{disk}: {line}");
    }
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.until("queued ");
    faulty.finish();
}

#[test]
fn p5_a_full_disk_refuses_and_recovers() {
    check(&format!("write {ENOSPC}"));
}

#[test]
fn p5_a_disk_that_fills_within_a_write_refuses_and_recovers() {
    check(&format!("short {ENOSPC}"));
}

#[test]
fn p5_a_disk_that_fills_and_cannot_be_cut_back_refuses_and_recovers() {
    check(&format!("short {ENOSPC}\ntruncate {EIO}"));
}

#[test]
fn p5_writes_that_fail_refuse_and_recover() {
    check(&format!("write {EIO}"));
}

#[test]
fn p5_a_file_that_may_not_grow_refuses_and_recovers() {
    check(&format!("write {EFBIG}"));
}

#[test]
fn p5_an_fsync_that_fails_refuses_and_recovers() {
    check(&format!("sync {EIO}"));
}

#[test]
fn p5_an_fsync_that_fails_where_nothing_can_be_cut_back_refuses_and_recovers() {
    check(&format!("sync {EIO}\ntruncate {EIO}\n"));
}

#[test]
fn p5_a_file_that_cannot_be_opened_again_refuses_and_recovers() {
    check(&format!("sync {EIO}\nopen {EACCES}"));
    check(&format!("write {ENOSPC}\nopen {ENOENT}"));
}

#[test]
fn p5_a_disk_that_hangs_refuses_and_recovers() {
    check("write hang");
    check("sync hang");
}

#[test]
fn p5_a_hang_of_two_seconds_is_over_by_itself() {
    let mut faulty = Faulty::start(None);
    faulty.set("sync hang");
    let begin = Instant::now();
    faulty.notice(HANGS);
    let mut last = 0;
    while begin.elapsed() < Duration::from_secs(2) {
        let line = faulty.take();
        last += u64::from(line.starts_with("ok "));
        if line == "health ok" {
            // A machine that stood still before seemed to hang too.
            last = 0;
        }
        assert!(last <= 1, "{line}");
        if line == "full" {
            break;
        }
    }
    // Full, it says nothing more; the rest of the two seconds passes in waiting for a call that cannot come back.
    faulty.until("late ");
    thread::park_timeout(Duration::from_secs(2).saturating_sub(begin.elapsed()));
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.finish();
}

#[test]
fn p5_a_rotation_that_fails_refuses_and_recovers() {
    let mut faulty = Faulty::start(Some(3000));
    faulty.set(&format!("open {EACCES}"));
    let begin = Instant::now();
    faulty.until("health bad");
    assert!(begin.elapsed() < PATIENCE);
    faulty.until("late ");
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.finish();
}

/// What another process does to the log while ours hangs between a rotation and its new file: it writes so many records, and then
/// what `end` is told of the path, the number of our rotated file, and what the keeper knew before.
fn overtake(records: u64, end: impl FnOnce(&Path, u64, &[u8])) -> Faulty {
    const ROTATE: u64 = 3000;
    let mut faulty = Faulty::start(Some(ROTATE));
    faulty.set("open hang");
    // It has renamed its file, and hangs where it opens the new one.
    faulty.until("full");
    let path = faulty.path();
    until(PATIENCE, "a rotation", || !path.exists());
    let mut numbers = 1..;
    let last = numbers.find(|number| !rotated(&path, number + 1).exists());
    let head = fs::read(path.with_file_name("head")).unwrap();
    let other = shared_recorder(faulty.folder.path(), ROTATE, QUEUE);
    for number in 0..records {
        sure(&other, &path, 1_000_000 + number);
    }
    other.close().unwrap();
    end(&path, last.unwrap(), &head);
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty
}

fn rotated(path: &Path, number: u64) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

#[test]
fn p5_a_rotation_that_another_process_overtakes_goes_on_behind_it() {
    overtake(40, |_, _, _| {}).finish();
    // It rotates too, has not written yet, and could not tell the keeper.
    let rotate = |path: &Path, last: u64, head: &[u8]| {
        let mut numbers = last..;
        let free = numbers.find(|number| !rotated(path, *number).exists());
        fs::rename(path, rotated(path, free.unwrap())).unwrap();
        fs::write(path.with_file_name("head"), head).unwrap();
    };
    overtake(40, rotate).finish();
}

#[test]
fn p5_what_another_process_left_unfinished_after_a_rotation_is_mended() {
    let torn = |text: &'static str| {
        move |path: &Path, _: u64, _: &[u8]| {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    };
    overtake(4, torn("{\"seq\":1")).finish();
    overtake(
        4,
        torn("{\"seq\":57,\"time\":\"2026-01-01T00:00:00.000Z\",\"ev"),
    )
    .finish();
    // Of a last line that is whole but for its line feed no head speaks yet.
    let without_its_line_feed = |path: &Path, _: u64, _: &[u8]| {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let before: serde_json::Value = serde_json::from_str(lines[lines.len() - 2]).unwrap();
        let hex = before["mac"].as_str().unwrap().as_bytes().chunks(2);
        let mac: Vec<String> = hex
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .map(|byte| byte.to_string())
            .collect();
        let head = format!("{} {}", before["seq"], mac.join(","));
        fs::write(path.with_file_name("head"), head).unwrap();
        fs::write(path, text.trim_end()).unwrap();
    };
    overtake(4, without_its_line_feed).finish();
}

#[test]
fn p5_a_rotated_file_whose_number_is_used_again_is_not_taken_for_ours() {
    let archive = |path: &Path, last: u64, head: &[u8]| {
        for number in 1..=last {
            fs::remove_file(rotated(path, number)).unwrap();
        }
        fs::rename(path, rotated(path, last)).unwrap();
        fs::write(path.with_file_name("head"), head).unwrap();
    };
    let Faulty { folder, writer, .. } = overtake(4, archive);
    writer.finish();
    let verified = verify_shared(folder.path()).unwrap();
    assert_eq!((verified.alarms, verified.beyond_head), (0, Some(0)));
    assert!(verified.first_seq > 1);
}

/// What is found is mended later, as nothing can be cut; until then it is not forgotten where the file was known to end.
#[test]
fn p5_a_line_that_cannot_be_cut_off_yet_raises_no_alarm() {
    let mut faulty = Faulty::start(Some(1));
    faulty.set(&format!("write {ENOSPC}"));
    faulty.until("late ");
    let path = faulty.path();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    let other = shared_recorder(faulty.folder.path(), 1 << 26, QUEUE);
    for number in 0..3 {
        sure(&other, &path, 1_000_000 + number);
    }
    other.close().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    faulty.set(&format!("truncate {EIO}\nwrite {ENOSPC}"));
    file.write_all(b"{\"seq\":").unwrap();
    faulty.until(&format!("{CANNOT_BE_WRITTEN}: Input/output error"));
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.finish();
}

#[test]
fn p5_the_head_speaks_only_of_what_is_durable() {
    let folder = crate::audit_kit::folder();
    let (path, head) = (folder.path().join("audit.log"), folder.path().join("head"));
    let write = |number: u64| {
        let recorder = shared_recorder(folder.path(), 1 << 26, QUEUE);
        sure(&recorder, &path, 1_000_000 + number);
        recorder.close().unwrap();
    };
    write(0);
    let before = fs::read(&head).unwrap();
    // As if this one's writer was killed before it was sure.
    write(1);
    fs::write(&head, &before).unwrap();
    let mut faulty = Faulty::begin(folder, None, &format!("sync {EIO}"));
    faulty.until("health bad");
    faulty.until("late ");
    assert_eq!(fs::read(&head).unwrap(), before);
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.finish();
}

#[test]
fn p5_what_may_be_cut_off_again_is_shown_to_no_other_process() {
    let mut faulty = Faulty::start(None);
    faulty.set(&format!("sync {EIO}\ntruncate {EIO}"));
    faulty.until("health bad");
    faulty.until("late ");
    let file = fs::File::open(faulty.path()).unwrap();
    let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(locked, Err(Errno::WOULDBLOCK));
    faulty.set("");
    faulty.until("health ok");
    faulty.until("ok ");
    faulty.finish();
}

#[test]
fn p5_faults_that_come_and_go_lose_nothing() {
    let mut faulty = Faulty::start(Some(20_000));
    for round in 0..12 {
        let fault = [
            "write 28",
            "short 28",
            "sync 5",
            "sync 5\ntruncate 5",
            "short 5\nopen 13",
            "write hang",
        ][round % 6];
        faulty.set(fault);
        faulty.until("health bad");
        faulty.set("");
        faulty.until("health ok");
        faulty.until("ok ");
    }
    faulty.finish();
}

#[test]
fn p5_kill_9_under_faults_loses_nothing_that_was_acknowledged() {
    for fault in ["short 28\ntruncate 5", "sync 5\ntruncate 5"] {
        let mut faulty = Faulty::start(None);
        faulty.set(fault);
        faulty.until("health bad");
        let path = faulty.path();
        let Faulty {
            folder,
            writer,
            owed,
            ..
        } = faulty;
        let said = writer.kill();
        let acknowledged = said.iter().filter_map(|line| line.strip_prefix("ok "));
        verify_shared(folder.path()).unwrap();
        // The next process ends what is unfinished, and goes on.
        let recorder = shared_recorder(folder.path(), 1 << 26, QUEUE);
        sure(&recorder, &path, u64::MAX);
        recorder.close().unwrap();
        let verified = verify_shared(folder.path()).unwrap();
        assert_eq!((verified.alarms, verified.is_torn), (0, false));
        let there: HashSet<String> = ids(&path).into_iter().collect();
        assert!(
            acknowledged
                .into_iter()
                .all(|number| there.contains(number))
        );
        // Of what had only been queued, the last 200 ms may be gone.
        assert!(
            owed.iter()
                .filter(|number| !there.contains(*number))
                .count()
                <= 2 * QUEUE
        );
    }
}
