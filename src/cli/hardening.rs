//! What keeps values out of files and lines that nobody asked for.

use std::io::Write as _;
use std::panic;
use std::sync::OnceLock;
use std::thread;

use rustix::fs::Mode;

/// Switches off core dumps of this process and its children, and on Linux keeps other processes of the user from reading its memory.
///
/// Best effort: where the system refuses, the command still runs.
pub(super) fn no_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// The mask of file permissions that we were started with.
static STARTED_WITH: OnceLock<Mode> = OnceLock::new();

/// Whatever is written is the user's alone.
pub(super) fn private_files() {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // A second call, as in tests of this process, would find our own.
    let _ = STARTED_WITH.set(before);
}

/// The mask of file permissions that we were started with, for what is not ours alone: a command that we run, a socket that its
/// clients may have under other user ids. `None` where it is in force still.
pub fn original_umask() -> Option<Mode> {
    STARTED_WITH.get().copied()
}

/// A panic tells where it was, and nothing else: its message may quote what was worked on.
///
/// What panics in a request fails that request and no other; the process lives.
pub fn panics_without_payloads() {
    panic::set_hook(Box::new(|panic| {
        let (file, line) = panic
            .location()
            .map_or(("an unknown place", 0), |at| (at.file(), at.line()));
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        // Not by the log, which may be what panicked; and standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "error: a defect in bauta, at {file}:{line} in thread {name}. Please report it"
        );
    }));
}
