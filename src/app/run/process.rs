//! The command's process: started, sent the signals that we get, waited for.
//!
//! It stays in our process group, so that the terminal goes on as if we were not there: what is typed goes to it, Ctrl-Z stops
//! both, a changed size is told to both. What the terminal sends to the whole group it has got already, so that is not sent again:
//! to many agents a second Ctrl-C means something else than the first.
//!
//! A process id is somebody else's as soon as the process is waited for. So its end is first only looked at, then no more signals
//! are sent, and only then it is waited for.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::signal::unix::{self, SignalKind};

use super::children::Environment;
use crate::cli::hardening;

/// The signals that go on to the command. Those whose default is to stop or to go on reach its group by themselves.
pub(super) struct Signals {
    interrupt: unix::Signal,
    quit: unix::Signal,
    hangup: unix::Signal,
    terminate: unix::Signal,
    user1: unix::Signal,
    user2: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            hangup: unix::signal(SignalKind::hangup())?,
            terminate: unix::signal(SignalKind::terminate())?,
            user1: unix::signal(SignalKind::user_defined1())?,
            user2: unix::signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.user1.recv() => Signal::USR1,
            _ = self.user2.recv() => Signal::USR2,
        }
    }

    /// The next one that asks for our end.
    pub(super) async fn ending(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if !matches!(signal, Signal::USR1 | Signal::USR2) {
                return signal;
            }
        }
    }
}

/// A command that runs.
pub(super) struct Process {
    child: Child,
    /// `None` once it has ended.
    alive: Arc<Mutex<Option<Pid>>>,
}

impl Process {
    /// Starts it with that environment and no other, and with the mask of file permissions that we were started with.
    pub(super) fn start(
        name: &OsStr,
        arguments: &[OsString],
        environment: &Environment,
        no_input: bool,
    ) -> io::Result<Self> {
        let mut command = Command::new(name);
        command.args(arguments).env_clear().envs(environment.iter());
        if no_input {
            command.stdin(Stdio::null());
        }
        let spawned = match hardening::original_umask() {
            // The mask is one of the whole process. Our own files name their modes when they are made, so a moment with another
            // mask opens none of them.
            Some(umask) => {
                let ours = rustix::process::umask(umask);
                let spawned = command.spawn();
                rustix::process::umask(ours);
                spawned
            }
            None => command.spawn(),
        };
        let child = spawned?;
        let alive = Arc::new(Mutex::new(Some(Pid::from_child(&child))));
        Ok(Self { child, alive })
    }

    /// Waits for its end, and sends it the signals that come meanwhile.
    pub(super) async fn wait(mut self, signals: &mut Signals) -> io::Result<ExitStatus> {
        let alive = Arc::clone(&self.alive);
        let mut ended = tokio::task::spawn_blocking(move || {
            let pid = *self.alive.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pid) = pid {
                look_for_end(pid)?;
            }
            *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.child.wait()
        });
        loop {
            tokio::select! {
                // It fails only if the closure panics.
                status = &mut ended => return status.map_err(|_| io::Error::from(io::ErrorKind::Other))?,
                signal = signals.next() => send(&alive, signal),
            }
        }
    }
}

/// Blocks until it has ended, and leaves it to be waited for.
fn look_for_end(pid: Pid) -> io::Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), options) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn send(alive: &Mutex<Option<Pid>>, signal: Signal) {
    if matches!(signal, Signal::INT | Signal::QUIT) && terminal_is_ours() {
        return;
    }
    let alive = alive.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = *alive {
        // It fails if the command has another user id by now: then nobody may signal it but root.
        if let Err(error) = rustix::process::kill_process(pid, signal) {
            tracing::warn!(%error, "a signal does not reach the command");
        }
    }
}

/// Whether what is typed at our terminal goes to our process group, signals of its keys included.
fn terminal_is_ours() -> bool {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty());
    terminal
        .and_then(rustix::termios::tcgetpgrp)
        .is_ok_and(|group| group == rustix::process::getpgrp())
}

/// A command's exit code; 128 and the signal's number if a signal ended it, as shells have it.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.or_else(|| status.signal().map(code_of)).unwrap_or(1)
}

/// The exit code for an end by that signal.
pub(super) fn code_of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
