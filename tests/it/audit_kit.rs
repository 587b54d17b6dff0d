//! What the tests of the audit log share: a keeper on disk, records made quickly, children that write, waits with a bound.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bauta::audit::{
    Event, Finding, Found, Head, Keeper, KeeperError, Kind, Query, Recorder, Settings, Unavailable,
    Verified, VerifyError, search, verify,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const KEY: [u8; 32] = [9; 32];

/// Keeps heads in a folder, so that several processes share them.
pub struct FolderKeeper {
    pub folder: PathBuf,
    pub key: [u8; 32],
}

impl Keeper for FolderKeeper {
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError> {
        Ok(Zeroizing::new(self.key))
    }

    fn head(&self, _: &str) -> Result<Option<Head>, KeeperError> {
        let Ok(text) = fs::read_to_string(self.folder.join("head")) else {
            return Ok(None);
        };
        let (seq, mac) = text.split_once(' ').unwrap();
        let bytes: Vec<u8> = mac.split(',').map(|byte| byte.parse().unwrap()).collect();
        Ok(Some(Head {
            seq: seq.parse().unwrap(),
            mac: bytes.try_into().unwrap(),
        }))
    }

    fn store_head(&self, _: &str, head: &Head) -> Result<(), KeeperError> {
        let mac: Vec<String> = head.mac.iter().map(u8::to_string).collect();
        let new = self.folder.join(format!("head.{}", std::process::id()));
        fs::write(&new, format!("{} {}", head.seq, mac.join(","))).unwrap();
        fs::rename(&new, self.folder.join("head")).unwrap();
        Ok(())
    }
}

/// Keeps heads in memory; can be told to fail.
#[derive(Default)]
pub struct MemoryKeeper {
    pub heads: Mutex<HashMap<String, Head>>,
    pub fails: Mutex<bool>,
    pub stored: Mutex<u64>,
}

impl Keeper for MemoryKeeper {
    fn mac_key(&self) -> Result<Zeroizing<[u8; 32]>, KeeperError> {
        Ok(Zeroizing::new(KEY))
    }

    fn head(&self, log: &str) -> Result<Option<Head>, KeeperError> {
        Ok(self.heads.lock().unwrap().get(log).copied())
    }

    fn store_head(&self, log: &str, head: &Head) -> Result<(), KeeperError> {
        if *self.fails.lock().unwrap() {
            return Err(KeeperError::new("the vault is locked"));
        }
        self.heads.lock().unwrap().insert(log.to_owned(), *head);
        *self.stored.lock().unwrap() += 1;
        Ok(())
    }
}

/// A new folder, in memory where that can be: a disk that others keep busy may take many seconds for an fsync.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A folder with a log and its keeper.
pub struct Place {
    pub folder: TempDir,
    pub keeper: Arc<MemoryKeeper>,
    pub rotate_bytes: u64,
    pub queue: usize,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: folder(),
            keeper: Arc::default(),
            rotate_bytes: 1 << 26,
            queue: 1024,
        }
    }

    pub fn rotating(rotate_bytes: u64) -> Self {
        let new = Self::new();
        Self {
            rotate_bytes,
            ..new
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    pub fn rotated(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("audit.log.{number}"))
    }

    pub fn settings(&self) -> Settings {
        Settings {
            path: self.path(),
            rotate_bytes: self.rotate_bytes,
            stdout: false,
            queue: self.queue,
        }
    }

    pub fn open(&self) -> Recorder {
        let keeper: Arc<dyn Keeper> = self.keeper.clone();
        Recorder::open(self.settings(), keeper).unwrap()
    }

    pub fn verify(&self) -> Result<Verified, Finding> {
        finding(verify(&self.path(), &*self.keeper))
    }

    /// Writes events named by their numbers, each durable before the next.
    pub fn write(&self, numbers: std::ops::Range<u64>) {
        let recorder = self.open();
        for number in numbers {
            sure(&recorder, &self.path(), number);
        }
        recorder.close().unwrap();
    }
}

/// A verification that could be made at all.
pub fn finding(result: Result<Verified, VerifyError>) -> Result<Verified, Finding> {
    result.map_err(|error| match error {
        VerifyError::Found(finding) => finding,
        other => panic!("{other}"),
    })
}

/// An event that is known again by its request id.
pub fn numbered(number: u64) -> Event {
    Event::new(Kind::Substitute)
        .channel("model")
        .agent("a")
        .key("x_key")
        .target("openai")
        .request_id(number.to_string())
}

/// Writes an event durably, once, on a machine that may be too busy to do it within a second.
pub fn sure(recorder: &Recorder, path: &Path, number: u64) {
    while let Err(error) = recorder.durable_blocking(vec![numbered(number)]) {
        assert_eq!(error, Unavailable::Late);
        until(PATIENCE, "the log recovers", || recorder.health().is_ok());
        if ids(path).contains(&number.to_string()) {
            return;
        }
    }
}

/// The request ids of the log's records, in their order; no line may be broken.
pub fn ids(path: &Path) -> Vec<String> {
    let found = search(path, &Query::default()).unwrap();
    found
        .filter_map(|found| match found.unwrap() {
            Found::Hit(hit) => hit.record().request_id.map(Cow::into_owned),
            Found::Broken(broken) => panic!("{broken:?}"),
        })
        .collect()
}

/// Waits until `condition` holds.
pub fn until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let mut clock = Clock::start();
    while !condition() {
        assert!(clock.lap() < within, "{what}: not within {within:?}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Time while the machine runs: where it stands still, all of that counts as one short lap.
pub struct Clock {
    last: Instant,
    passed: Duration,
}

impl Clock {
    const LONGEST: Duration = Duration::from_millis(50);

    pub fn start() -> Self {
        Self {
            last: Instant::now(),
            passed: Duration::ZERO,
        }
    }

    /// Ends a lap, of less than `LONGEST` if nothing stands still; gives all that has passed.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        self.passed += (now - self.last).min(Self::LONGEST);
        self.last = now;
        self.passed
    }
}

/// This test binary again, as a process of its own that runs one ignored test.
pub struct Writer {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Writer {
    /// Runs the ignored test `name`; `set` says what it is to do.
    pub fn start(name: &str, folder: &Path, set: impl FnOnce(&mut Command)) -> Self {
        Self::start_under("", name, folder, set)
    }

    /// The same, in a shell's limits.
    pub fn start_under(
        limits: &str,
        name: &str,
        folder: &Path,
        set: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{limits} exec \"$0\" \"$@\""));
        command.arg(std::env::current_exe().unwrap());
        command
            .args([
                name,
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("BAUTA_AUDIT_FOLDER", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                // The harness says something before the first line of a test.
                if let Some((_, said)) = line.split_once("said ") {
                    drop(sender.send(said.to_owned()));
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// The next line; `None` when there will be none.
    pub fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child says nothing any more"),
        }
    }

    /// A line that is there, or comes soon.
    pub fn poll(&self) -> Option<String> {
        self.lines.recv_timeout(Duration::from_millis(10)).ok()
    }

    /// Ends the child's input, which makes it close its log and end; gives what it still says.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let rest = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().unwrap().success());
        rest
    }

    /// As SIGKILL does it.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child process says to its parent, in one write.
pub fn say(text: &str) {
    let line = format!("said {text}\n");
    let mut stdout = std::io::stdout().lock();
    // The parent may have gone.
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
}

/// The folder a child works in; `None` if this is not a child.
pub fn child_folder() -> Option<PathBuf> {
    std::env::var_os("BAUTA_AUDIT_FOLDER").map(PathBuf::from)
}

/// A log shared with other processes.
pub fn shared_recorder(folder: &Path, rotate_bytes: u64, queue: usize) -> Recorder {
    let keeper = FolderKeeper {
        folder: folder.to_owned(),
        key: KEY,
    };
    let settings = Settings {
        path: folder.join("audit.log"),
        rotate_bytes,
        stdout: false,
        queue,
    };
    Recorder::open(settings, Arc::new(keeper)).unwrap()
}

pub fn verify_shared(folder: &Path) -> Result<Verified, Finding> {
    let keeper = FolderKeeper {
        folder: folder.to_owned(),
        key: KEY,
    };
    finding(verify(&folder.join("audit.log"), &keeper))
}
