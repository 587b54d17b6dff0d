//! A program that prints the master key.
//!
//! It runs without a shell, with an environment of a few listed variables, without input, and for ten seconds at most; then it and
//! what it started are killed. What it writes to standard error is dropped: it might repeat the key.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use zeroize::Zeroizing;

use super::file::read_bounded;
use super::{MAX_TEXT_BYTES, MasterError};

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether it has ended, once it has closed its output.
const LOOK: Duration = Duration::from_millis(5);

/// What it gets of our environment. Whatever else it needs can be said by `env NAME=VALUE PROGRAM`.
const ENVIRONMENT: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Runs the program and takes what it prints.
pub(super) fn read(argv: &[String]) -> Result<Zeroizing<Vec<u8>>, MasterError> {
    read_within(argv, PATIENCE)
}

fn read_within(argv: &[String], patience: Duration) -> Result<Zeroizing<Vec<u8>>, MasterError> {
    let deadline = Instant::now() + patience;
    let program = argv.first().cloned().unwrap_or_default();
    let failed = |what: &str| MasterError::Program {
        program: program.clone(),
        what: what.to_owned(),
    };
    let mut child = Command::new(&program)
        .args(argv.get(1..).unwrap_or_default())
        .env_clear()
        .envs(
            ENVIRONMENT
                .iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(|error| MasterError::Start {
            program: program.clone(),
            error,
        })?;
    let output = child.stdout.take().expect("stdout is piped");
    let text = printed(output, deadline);
    let Some(text) = text else {
        end(&mut child);
        return Err(failed("did not end within 10 seconds"));
    };
    if text.len() == MAX_TEXT_BYTES {
        end(&mut child);
        return Err(failed("printed more than a key"));
    }
    match ended(&mut child, deadline) {
        Some(Ok(true)) => Ok(text),
        Some(Ok(false)) => Err(failed("ended with an error")),
        Some(Err(())) | None => {
            end(&mut child);
            Err(failed("did not end within 10 seconds"))
        }
    }
}

/// What the program prints, up to the limit; `None` if it is not through in time. Where another process holds the output open for
/// longer than that, the thread stays until it closes.
fn printed(output: ChildStdout, deadline: Instant) -> Option<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        if let Ok(text) = read_bounded(output) {
            let _ = sender.send(text);
        }
    });
    receiver
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .ok()
}

/// Whether it ended well; `None` if not in time.
fn ended(child: &mut Child, deadline: Instant) -> Option<Result<bool, ()>> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(Ok(status.success())),
            Ok(None) if Instant::now() >= deadline => return None,
            Ok(None) => thread::sleep(LOOK),
            Err(_) => return Some(Err(())),
        }
    }
}

/// Kills it with its group and takes its exit status, so that no zombie is left. It was not waited for yet, so its number is still
/// its own.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<Zeroizing<Vec<u8>>, MasterError> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        read_within(&argv, patience)
    }

    fn what(result: Result<Zeroizing<Vec<u8>>, MasterError>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn takes_what_is_printed() {
        let text = shell("printf 'abc\\n'; echo noise >&2", PATIENCE).unwrap();
        assert_eq!(&**text, b"abc\n");
    }

    #[test]
    fn arguments_meet_no_shell() {
        let argv = ["/bin/echo", "$(id)", ";", "`id`"].map(str::to_owned);
        assert_eq!(&**read(&argv).unwrap(), b"$(id) ; `id`\n");
    }

    #[test]
    fn gets_a_listed_environment_only() {
        // Set for the tests by cargo, and not on the list.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        let text = shell(
            "printf '%s' \"${CARGO_MANIFEST_DIR-none}${PATH:+path}\"",
            PATIENCE,
        );
        assert_eq!(&**text.unwrap(), b"nonepath");
    }

    #[test]
    fn failures_are_told_apart() {
        assert!(what(shell("echo abc; exit 3", PATIENCE)).contains("ended with an error"));
        assert!(what(shell("kill -9 $$", PATIENCE)).contains("ended with an error"));
        let missing = ["/nonexistent/program".to_owned()];
        assert!(matches!(read(&missing), Err(MasterError::Start { .. })));
        assert!(matches!(read(&[]), Err(MasterError::Start { .. })));
    }

    #[test]
    fn what_prints_without_end_is_ended() {
        assert!(
            what(shell(
                "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaa; done",
                PATIENCE
            ))
            .contains("more than a key")
        );
    }

    /// It hangs, with its output closed or not, and with a child of its own that holds the output: each is killed and reaped.
    #[test]
    fn what_hangs_is_killed() {
        let patience = Duration::from_millis(300);
        for script in [
            "sleep 1000",
            "exec sleep 1000 >/dev/null",
            "sleep 1000 & exit 0",
            "trap '' TERM INT; sleep 1000; sleep 1000",
        ] {
            let begun = Instant::now();
            assert!(
                what(shell(script, patience)).contains("within 10 seconds"),
                "{script}"
            );
            assert!(begun.elapsed() < PATIENCE, "{script}");
        }
    }
}
