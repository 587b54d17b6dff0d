//! Processes that end with us, and what the system says that they take.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// The first argument with which this program runs another one in its own place: see [`become_other`].
pub const EXEC: &str = "--exec";

/// Clock ticks in which Linux tells CPU time to programs: 100 a second on every machine that we build for.
const TICK: Duration = Duration::from_millis(10);

/// Between two looks at a process's memory.
const LOOK: Duration = Duration::from_millis(50);

/// For which a process may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// A process that we started, with its children. Dropped, it ends.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program, `folder` its working directory and its log there. It ends when we do, however that is.
    pub fn start(command: &[OsString], folder: &Path) -> io::Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new(std::env::current_exe()?)
            .arg(EXEC)
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child })
    }

    /// It and its children.
    pub fn tree(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut at = 0;
        while at < all.len() {
            all.extend(children(all[at]));
            at += 1;
        }
        all
    }

    /// The exit code's text, if it has ended.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while self.ended().is_none() {
            if begun.elapsed() > GRACE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Asks to be ended with our parent, then becomes the program of these arguments. Returns only if that fails.
pub fn become_other(command: &[OsString]) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::other("no program is named");
    };
    match set_parent_process_death_signal(Some(Signal::TERM)) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

/// CPU time of these processes, in user and kernel mode, of all their threads.
pub fn cpu(pids: &[u32]) -> Duration {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is a name, which may hold blanks; what follows it does not.
        let fields = text.rsplit_once(')')?.1.split_whitespace();
        let ticks: u32 = fields
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u32>().ok())
            .sum();
        Some(TICK * ticks)
    };
    pids.iter().filter_map(of).sum()
}

/// Bytes of memory of these processes: their share (PSS), in which a page that several hold counts once.
pub fn memory(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let number = line.split_whitespace().next()?;
        number.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    pids.iter().filter_map(of).sum()
}

/// Looks at processes' memory again and again, until [`MemoryWatch::most`].
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl MemoryWatch {
    /// Begins to look.
    pub fn start(pids: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut most = 0;
            loop {
                most = memory(&pids).max(most);
                if seen.load(Ordering::Acquire) {
                    return most;
                }
                sleep(LOOK);
            }
        });
        Self { stop, thread }
    }

    /// The most that was seen.
    pub fn most(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or(0)
    }
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
