//! `bauta run` as a child process, in a folder of its own and an environment that the test writes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::model_kit::{SECRETS, Upstream, Wire};

/// A folder with a configuration, whose provider `openai` is that upstream, and with secrets.
pub fn folder(upstream: Option<&Upstream>, extra: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let url = upstream.map_or_else(|| "http://127.0.0.1:9".to_owned(), Upstream::url);
    let text = format!(
        "[model]\nlisten = \"127.0.0.1:1\"\n[[model.provider]]\nname = \"openai\"\nupstream = \"{url}\"\n{extra}"
    );
    fs::write(folder.path().join("bauta.toml"), text).unwrap();
    write_secrets(folder.path(), SECRETS);
    folder
}

pub fn write_secrets(folder: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("secrets.json");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// `bauta run OPTIONS -- CMD…` with the folder's secrets file, and nothing in its environment but PATH and HOME.
pub fn command(folder: &Path, options: &[&str], cmd: &[&str]) -> Command {
    if options.contains(&"--secrets") {
        return with_vault(folder, options, cmd);
    }
    let secrets = ["--secrets", "secrets.json"];
    with_vault(folder, &[&secrets, options].concat(), cmd)
}

/// The same with no secrets but those of the vault.
pub fn with_vault(folder: &Path, options: &[&str], cmd: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bauta"));
    command
        .current_dir(folder)
        .args(["run", "--config", "bauta.toml"])
        .args(options)
        .arg("--")
        .args(cmd)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Not in the foreground of a terminal, whose keys would reach the command by themselves.
    command.process_group(0);
    command
}

/// Runs to the end.
pub fn run(folder: &Path, options: &[&str], cmd: &[&str]) -> Output {
    command(folder, options, cmd).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A command under way, whose input and output the test holds. Dropping it kills it.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// A shell script, whose first line of output is the base URL of OpenAI's SDK.
    pub fn script(folder: &Path, script: &str) -> (Self, SocketAddr) {
        let script = format!("echo \"$OPENAI_BASE_URL\"\n{script}");
        let mut child = command(folder, &[], &["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let url = running.line();
        let address = url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix("/openai/v1"));
        let address = address
            .unwrap_or_else(|| panic!("{url:?}"))
            .parse()
            .unwrap();
        (running, address)
    }

    /// The next line that the command prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Writes a line to the command.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Sends a signal to bauta alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Closes the command's input, and gives the rest of its output and the exit code.
    pub fn end(mut self) -> (String, Option<i32>) {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn connect(addr: SocketAddr) -> Wire {
    Wire::new(TcpStream::connect(addr).unwrap())
}

/// Feeds a command its whole input while its output is read.
pub fn run_with_input(mut command: Command, input: Vec<u8>) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // The command may have ended before it read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}
