//! A browser of our own: started, watched, ended, and its profile removed.
//!
//! It is the leader of a process group, so that its helpers end with it, and it ends when its pipe does, so that it does not outlive
//! us however we end. A thread waits for its end: it alone takes its exit status, after it has ended the group. Until then the
//! group's number cannot be anybody else's.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::profile::Profile;
use super::switches::arguments;
use super::{Connection, Reader, StartError, Writer};
use crate::browser::settings::Launch;

/// What Chromium reads from, and what it writes to.
const THEIR_INPUT: i32 = 3;
const THEIR_OUTPUT: i32 = 4;

/// Bytes of standard error that are kept while it starts.
const TAIL: usize = 2048;

/// How long what it said last is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A browser that we started. Dropped, it ends.
pub(in super::super) struct Process {
    alive: Arc<Mutex<Option<Pid>>>,
    said: Arc<Mutex<Option<Vec<u8>>>>,
    end: watch::Receiver<End>,
}

/// The end of a process.
#[derive(Clone, Default)]
struct End {
    /// How it ended, once it did.
    how: Option<Arc<str>>,
    /// Whether its profile is gone as well.
    clean: bool,
}

/// Starts one.
pub(super) async fn start(launch: &Launch, most: usize) -> Result<Connection, StartError> {
    let launch = launch.clone();
    // Making a profile and starting a program may take a while.
    let spawned = tokio::task::spawn_blocking(move || Spawned::make(&launch));
    let spawned = spawned.await.map_err(|_| StartError::Silent {
        reason: "it could not be started".to_owned(),
        said: String::new(),
    })??;
    Ok(Connection {
        reader: Reader::Pipe(super::pipe::Reader::new(spawned.from_browser, most)),
        writer: Writer::Pipe(super::pipe::Writer::new(spawned.to_browser)),
        process: Some(spawned.process),
    })
}

struct Spawned {
    process: Process,
    to_browser: pipe::Sender,
    from_browser: pipe::Receiver,
}

impl Spawned {
    fn make(launch: &Launch) -> Result<Self, StartError> {
        // Before anything is made: what is refused leaves no trace.
        arguments(launch.headless, &launch.args, Path::new(""))?;
        let profile = Profile::make(&launch.profiles).map_err(|error| StartError::Profile {
            folder: launch.profiles.clone(),
            reason: error.to_string(),
        })?;
        let arguments = arguments(launch.headless, &launch.args, profile.path())?;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => StartError::NotFound(launch.executable.clone()),
            _ => StartError::Spawn {
                program: launch.executable.clone(),
                reason: error.to_string(),
            },
        };
        let (to_browser, theirs_to_read) = pipe::pipe().map_err(failed)?;
        let (theirs_to_write, from_browser) = pipe::pipe().map_err(failed)?;
        let mut command = Command::new(&launch.executable);
        command
            .args(arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            // Dumps of what crashed go there, whatever its switches say; so they go with the profile.
            .env("XDG_CONFIG_HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mappings = vec![
            FdMapping {
                parent_fd: theirs_to_read.into_blocking_fd().map_err(failed)?,
                child_fd: THEIR_INPUT,
            },
            FdMapping {
                parent_fd: theirs_to_write.into_blocking_fd().map_err(failed)?,
                child_fd: THEIR_OUTPUT,
            },
        ];
        command
            .fd_mappings(mappings)
            .map_err(|error| failed(io::Error::other(error.to_string())))?;
        let child = command.spawn().map_err(failed)?;
        // Their ends of the pipes are the command's: they close here.
        drop(command);
        Ok(Self {
            process: Process::watch(child, profile),
            to_browser,
            from_browser,
        })
    }
}

impl Process {
    fn watch(mut child: Child, profile: Profile) -> Self {
        let pid = Pid::from_child(&child);
        let alive = Arc::new(Mutex::new(Some(pid)));
        let said = Arc::new(Mutex::new(Some(Vec::new())));
        let (tell, end) = watch::channel(End::default());
        let (talks, silence) = mpsc::channel::<()>();
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                listen(stderr, &said);
                drop(talks);
            });
        }
        let watched = Arc::clone(&alive);
        thread::spawn(move || {
            look_for_end(pid);
            let mut alive = watched.lock().unwrap_or_else(PoisonError::into_inner);
            // Its helpers. It fails if there are none left.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let status = child.wait();
            *alive = None;
            drop(alive);
            // What it said last is read before its end is told; a helper that got away may keep the pipe open.
            let _ = silence.recv_timeout(LAST_WORDS);
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            tell.send_modify(|end| end.how = Some(how.into()));
            drop(profile);
            tell.send_modify(|end| end.clean = true);
        });
        Self { alive, said, end }
    }

    /// The process's number, while it runs.
    pub(in super::super) fn pid(&self) -> Option<u32> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Ends it and its helpers at once.
    pub(in super::super) fn kill(&self) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *alive {
            // It fails if it has just ended.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    /// Waits until it has ended; how it did.
    pub(in super::super) async fn ended(&self) -> Arc<str> {
        let mut end = self.end.clone();
        let ended = end.wait_for(|end| end.how.is_some()).await;
        // The thread that tells it does not end before.
        ended
            .ok()
            .and_then(|end| end.how.clone())
            .unwrap_or_else(|| "it ended".into())
    }

    /// Waits until it has ended and its profile is gone.
    pub(in super::super) async fn cleaned(&self) {
        let mut end = self.end.clone();
        let _ = end.wait_for(|end| end.clean).await;
    }

    /// The end of what it wrote on standard error so far.
    pub(in super::super) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(said.as_deref().unwrap_or_default()).into_owned();
        let printable = text.replace(char::is_control, " ");
        printable.trim().to_owned()
    }

    /// From now on what it writes is dropped: pages may be in it.
    pub(in super::super) fn hush(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Blocks until it has ended, and leaves it to be waited for.
fn look_for_end(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    // Anything but an interruption means that it cannot be waited for in this way: then it is waited for in the usual one.
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
}

/// Reads what it writes, so that it never waits for us, and keeps the end of it while it starts.
fn listen(mut stderr: ChildStderr, said: &Mutex<Option<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        if let Some(said) = &mut *said.lock().unwrap_or_else(PoisonError::into_inner) {
            said.extend_from_slice(&buffer[..count]);
            let over = said.len().saturating_sub(TAIL);
            said.drain(..over);
        }
    }
}
