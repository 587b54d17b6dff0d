//! The real binary as a child process, its folder, and its log.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::model_kit::{BOUND, SECRETS, Upstream, Wire};

/// A running `bauta serve` with its folder. Dropping it kills it.
pub struct Process {
    pub child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    pub addr: SocketAddr,
    pub folder: TempDir,
}

impl Process {
    pub fn start(upstream: &Upstream, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), upstream, extra);
        fs::write(folder.path().join("secrets.json"), SECRETS).unwrap();
        Self::start_in(folder, "secrets.json")
    }

    pub fn start_in(folder: TempDir, secrets: &str) -> Self {
        Self::of(command(folder.path(), secrets), folder)
    }

    /// Of a command that ends in `bauta serve`.
    pub fn of(mut command: Command, folder: TempDir) -> Self {
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .all(|line| sender.send(line).is_ok())
        });
        let addr = "127.0.0.1:1".parse().unwrap();
        let mut process = Self {
            child,
            lines,
            log: Vec::new(),
            addr,
            folder,
        };
        process.addr = process.listening("model");
        process
    }

    /// Waits for a channel's listener.
    pub fn listening(&mut self, channel: &str) -> SocketAddr {
        let ready = self.line(&format!("\"channel\":\"{channel}\",\"address\""));
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        ready["address"].as_str().unwrap().parse().unwrap()
    }

    /// Reads the log no more, and closes it.
    pub fn close_log(&mut self) {
        // The thread that reads ends at the next line, which finds no receiver.
        let (_, lines) = channel();
        self.lines = lines;
    }

    /// Waits for a log line with that text.
    pub fn line(&mut self, text: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(BOUND)
                .unwrap_or_else(|_| panic!("no {text:?} in {:#?}", self.log));
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// All lines to the end of the log.
    pub fn rest_of_log(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(BOUND) {
            self.log.push(line);
        }
        self.log.join("\n")
    }

    pub fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A field of `/proc/PID/status`, in KiB.
    pub fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim_start_matches(':')
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn command(folder: &Path, secrets: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bauta"));
    command
        .current_dir(folder)
        .arg("serve")
        .args(["--config", "bauta.toml", "--secrets", secrets]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

pub fn write_config(folder: &Path, upstream: &Upstream, extra: &str) {
    let text = format!(
        "[model]\nlisten = \"127.0.0.1:0\"\n[[model.provider]]\nname = \"p\"\nupstream = \"{}\"\n[log]\nformat = \"json\"\n{extra}",
        upstream.url()
    );
    put_config(folder, &text);
}

/// Puts a configuration there as a whole: a process that watches it must not read half of it.
pub fn put_config(folder: &Path, text: &str) {
    let next = folder.join("next.toml");
    fs::write(&next, text).unwrap();
    fs::rename(next, folder.join("bauta.toml")).unwrap();
}
