//! The real binary: ready line, reload, drain, signals, memory, a port in use.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::model_kit::{BOUND, OK, SECRETS, TOKEN, Upstream, Wire, contains, post};

/// A running `bauta serve` with its folder. Dropping it kills it.
struct Process {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    addr: SocketAddr,
    folder: TempDir,
}

impl Process {
    fn start(upstream: &Upstream, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), upstream, extra);
        fs::write(folder.path().join("secrets.json"), SECRETS).unwrap();
        Self::start_in(folder, "secrets.json")
    }

    fn start_in(folder: TempDir, secrets: &str) -> Self {
        let mut child = command(folder.path(), secrets).spawn().unwrap();
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
        let ready = process.line("listening");
        process.addr = serde_json::from_str::<serde_json::Value>(&ready).unwrap()["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        process
    }

    /// Waits for a log line with that text.
    fn line(&mut self, text: &str) -> String {
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
    fn rest_of_log(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(BOUND) {
            self.log.push(line);
        }
        self.log.join("\n")
    }

    fn connect(&self) -> Wire {
        Wire::new(std::net::TcpStream::connect(self.addr).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A field of `/proc/PID/status`, in KiB.
    fn memory(&self, field: &str) -> u64 {
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

fn command(folder: &Path, secrets: &str) -> Command {
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

fn write_config(folder: &Path, upstream: &Upstream, extra: &str) {
    let text = format!(
        "[model]\nlisten = \"127.0.0.1:0\"\n[[model.provider]]\nname = \"p\"\nupstream = \"{}\"\n[log]\nformat = \"json\"\n{extra}",
        upstream.url()
    );
    fs::write(folder.join("bauta.toml"), text).unwrap();
}

/// Sends `body` until the upstream sees `expected`, each answer on the same two connections.
fn until_seen(client: &mut Wire, peer: &mut Wire, body: &str, expected: &str) -> Duration {
    let begun = Instant::now();
    loop {
        client.send(post("/p/x", "", body.as_bytes()));
        let seen = peer.request().body;
        peer.send(OK);
        assert_eq!(client.message("POST").status(), 200);
        if seen == expected.as_bytes() {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < BOUND,
            "never in force: {}",
            String::from_utf8_lossy(&seen)
        );
    }
}

#[test]
fn changed_secrets_are_live_within_a_second_and_no_connection_drops() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    client.message("POST");

    let renamed = |key: &str| format!(r#"{{"https://example.com": {{"{key}": "{TOKEN}"}}}}"#);
    let path = process.path("secrets.json");
    // In place.
    fs::write(&path, renamed("x_in_place")).unwrap();
    let mut took = vec![until_seen(&mut client, &mut peer, TOKEN, "x_in_place")];
    // By a rename over it.
    fs::write(process.path("next"), renamed("x_renamed")).unwrap();
    fs::rename(process.path("next"), &path).unwrap();
    took.push(until_seen(&mut client, &mut peer, TOKEN, "x_renamed"));
    assert!(
        took.iter().all(|took| *took < Duration::from_secs(1)),
        "{took:?}"
    );

    // What is not valid changes nothing, and is said without a value.
    for bad in [
        format!("{{\"{TOKEN}"),
        format!(r#"{{"x_token": "{TOKEN}"}}"#),
        String::new(),
        " \n".to_owned(),
    ] {
        fs::write(process.path("next"), bad).unwrap();
        fs::rename(process.path("next"), &path).unwrap();
        process.line("the changed secrets are not used");
        until_seen(&mut client, &mut peer, TOKEN, "x_renamed");
    }
    fs::remove_file(&path).unwrap();
    process.line("the changed secrets are not used");
    until_seen(&mut client, &mut peer, TOKEN, "x_renamed");
    fs::write(&path, "{}").unwrap();
    until_seen(&mut client, &mut peer, TOKEN, TOKEN);
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert!(!process.rest_of_log().contains(TOKEN));
}

#[test]
fn a_swapped_kubernetes_volume_counts_as_a_change() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    let volume = |name: &str, key: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(
            path.join("secrets.json"),
            format!(r#"{{"https://example.com": {{"{key}": "{TOKEN}"}}}}"#),
        )
        .unwrap();
    };
    let link =
        |from: &str, to: &str| std::os::unix::fs::symlink(from, folder.path().join(to)).unwrap();
    volume("..one", "x_one");
    volume("..two", "x_two");
    volume("..three", "x_three");
    link("..one", "..data");
    link("..data/secrets.json", "secrets.json");
    let root = folder.path().to_owned();
    let process = Process::start_in(folder, "secrets.json");
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_one");
    peer.send(OK);
    client.message("POST");
    for (name, expected) in [("..two", "x_two"), ("..three", "x_three")] {
        std::os::unix::fs::symlink(name, root.join("..tmp")).unwrap();
        fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
        let took = until_seen(&mut client, &mut peer, TOKEN, expected);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_changed_configuration_is_live_and_a_bad_one_changes_nothing() {
    let (upstream, other) = (Upstream::bind(), Upstream::bind());
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post("/p/1", "", b"1"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");

    fs::write(process.path("bauta.toml"), "[model]\nnonsense = 1\n").unwrap();
    process.line("the changed configuration is not used");
    client.send(post("/p/2", "", b"2"));
    assert_eq!(peer.request().body, b"2");

    // While a request is in flight.
    write_config(
        process.folder.path(),
        &other,
        "[placeholder]\noutput = \"{{{key}}}\"\n",
    );
    process.line("the changed configuration is in force");
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    client.send(post(
        "/p/3",
        "Content-Type: text/plain\r\n",
        TOKEN.as_bytes(),
    ));
    let mut peer = other.accept();
    assert_eq!(peer.request().body, b"{{x_token}}");
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);

    let text = fs::read_to_string(process.path("bauta.toml")).unwrap();
    fs::write(
        process.path("bauta.toml"),
        text.replace("127.0.0.1:0", "127.0.0.1:9"),
    )
    .unwrap();
    process.line("change with a restart only");
}

#[test]
fn sigterm_drains_requests_in_flight_and_accepts_no_more() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut idle = process.connect();
    idle.send(post("/p/0", "", b"0"));
    let mut first = upstream.accept();
    first.request();
    first.send(OK);
    idle.message("POST");
    let mut client = process.connect();
    client.send(post("/p/1", "", b"1"));
    first.request();
    first.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    client.head();
    assert_eq!(client.chunk().unwrap(), b"a");

    process.signal(Signal::TERM);
    process.line("draining");
    idle.end();
    // The listener is closed once the loop has seen the signal: an idle connection that has ended says so.
    assert!(std::net::TcpStream::connect(process.addr).is_err());
    for _ in 0..3 {
        first.send("1\r\nb\r\n");
        assert_eq!(client.chunk().unwrap(), b"b");
    }
    first.send("0\r\n\r\n");
    assert_eq!(client.chunk().unwrap(), b"");
    assert_eq!(process.wait().code(), Some(0));
    assert!(process.rest_of_log().contains("\"cut\":0"));
}

#[test]
fn draining_ends_with_its_time_or_a_second_signal() {
    let upstream = Upstream::bind();
    for second in [false, true] {
        let time = if second { "10m" } else { "200ms" };
        let mut process = Process::start(
            &upstream,
            &format!("[model.limits]\ndrain_timeout = \"{time}\"\n"),
        );
        let mut client = process.connect();
        client.send(post("/p/1", "", b"1"));
        let mut peer = upstream.accept();
        peer.request();
        process.signal(Signal::INT);
        process.line("draining");
        if second {
            process.signal(Signal::TERM);
        }
        peer.end();
        client.end();
        assert_eq!(process.wait().code(), Some(i32::from(second)));
    }
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    let path = folder.path().join("bauta.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("127.0.0.1:0", &upstream.addr.to_string()),
    )
    .unwrap();
    fs::write(folder.path().join("secrets.json"), SECRETS).unwrap();
    let done = command(folder.path(), "secrets.json").output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    for part in [
        "error:",
        &upstream.addr.to_string(),
        "in use",
        "model.listen",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    for (name, text) in [
        ("secrets.json", "{\"x\": \"y\"}"),
        ("bauta.toml", "[modle]\n"),
    ] {
        let kept = fs::read(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let done = command(folder.path(), "secrets.json").output().unwrap();
        assert_eq!(
            done.status.code(),
            Some(2),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        fs::write(folder.path().join(name), kept).unwrap();
    }
}

#[test]
fn p3_the_log_has_counts_by_key_and_nothing_that_was_sent() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post(
        "/p/path-of-mine?query-of-mine",
        "X-Mine: header-of-mine\r\n",
        format!("body-of-mine {TOKEN} {TOKEN}").as_bytes(),
    ));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nback");
    client.message("POST");
    let line: serde_json::Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
    let sent = format!("body-of-mine {TOKEN} {TOKEN}").len();
    for (field, expected) in [
        ("route", serde_json::json!("p")),
        ("method", "POST".into()),
        ("status", 201.into()),
        ("outcome", "complete".into()),
        ("bytes_in", sent.into()),
        ("bytes_out", 4.into()),
        ("masked", "x_token=2".into()),
    ] {
        assert_eq!(line[field], expected, "{field} in {line}");
    }
    assert!(line["ms"].is_u64());
    client.send(format!(
        "SECRETIVE /p/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    ));
    peer.request();
    peer.send(OK);
    client.message("POST");
    client.send(post("/nowhere-of-mine", "", b"body-of-mine"));
    client.message("POST");
    process.line("route_unknown");
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    let log = process.rest_of_log();
    assert!(
        !log.contains("of-mine") && !log.contains("SECRETIVE") && !log.contains(TOKEN),
        "{log}"
    );
}

/// FNV-1a over everything that passes: order and content, without keeping it.
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[test]
fn p8_a_gibibyte_passes_byte_for_byte_in_16_mib() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: usize = 1024;
    let upstream = Upstream::bind();
    let process = Process::start(&upstream, "");
    // Something has passed before: pools, buffers and threads exist.
    let mut client = process.connect();
    client.send(post("/p/x", "", b"{}"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");
    let before = process.memory("VmRSS");

    let writer = thread::spawn(move || {
        let mut sum = Sum(0xcbf2_9ce4_8422_2325);
        client.send(format!(
            "POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            BLOCK * BLOCKS
        ));
        let line = b"{\"role\":\"user\",\"text\":\"The quick brown fox jumps over the lazy dog. \\u00eb 0123456789\"}\n";
        let text: Vec<u8> = line
            .iter()
            .copied()
            .cycle()
            .take(line.len() * 16 * 1024)
            .collect();
        for at in 0..BLOCKS {
            let from = at * 97 % line.len();
            let block = &text[from..from + BLOCK];
            sum.add(block);
            client.send(block);
        }
        (client, sum.0)
    });
    let head = peer.head();
    assert!(
        head.to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
        "{head}"
    );
    let (mut sum, mut total) = (Sum(0xcbf2_9ce4_8422_2325), 0);
    loop {
        let chunk = peer.chunk().unwrap();
        if chunk.is_empty() {
            break;
        }
        sum.add(&chunk);
        total += chunk.len();
        peer.forget();
    }
    peer.send(OK);
    let (mut client, sent) = writer.join().unwrap();
    assert_eq!(client.message("POST").status(), 200);
    assert_eq!((total, sum.0), (BLOCK * BLOCKS, sent));
    let grown = process.memory("VmHWM").saturating_sub(before);
    assert!(grown < 16 << 10, "grew by {grown} KiB from {before} KiB");
}

#[test]
fn secrets_come_from_standard_input() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    let mut child = command(folder.path(), "-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(SECRETS.as_bytes())
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !line.contains("listening") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    let address = serde_json::from_str::<serde_json::Value>(&line).unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut client = Wire::new(std::net::TcpStream::connect(address).unwrap());
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    client.message("POST");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut rest = Vec::new();
    stderr.read_to_end(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!contains(&rest, TOKEN));
}
