//! What keeps values out of files and lines that nobody asked for: core dumps, memory, panics, modes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use bauta::cli::hardening;
use bauta::net::server::{self, Limits, Listener};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use rustix::process::Signal;

use super::model_child::{Process, write_config};
use super::model_kit::{OK, TOKEN, Upstream, Wire, contains, last, post};
use super::run_kit::{Running, folder, text};

/// A user id that owns nothing.
const NOBODY: u32 = 65534;

fn sh(folder: &Path, script: &str) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// All files of a folder and of its folders, but for audit logs.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            names.extend(self::names(&path));
        } else if !name.starts_with("audit-") {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn p3_sigabrt_leaves_no_core() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    fs::write(
        folder.path().join("secrets.json"),
        super::model_kit::SECRETS,
    )
    .unwrap();
    let script = format!(
        "ulimit -c unlimited; exec {} serve --config bauta.toml --secrets secrets.json",
        env!("CARGO_BIN_EXE_bauta")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path());
    let before = names(folder.path());
    let mut process = Process::of(command, folder);
    // A value is in its memory: it has masked it.
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    client.message("POST");

    process.signal(Signal::ABORT);
    let status = process.wait();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped());
    assert_eq!(names(process.folder.path()), before);
}

#[test]
fn p3_a_command_of_run_leaves_no_core_either() {
    let folder = folder(None, "");
    let before = names(folder.path());
    let script = format!(
        "ulimit -c unlimited; exec {} run -q --config bauta.toml --secrets secrets.json -- sh -c \
         'ulimit -c; ulimit -c unlimited; kill -ABRT $$'",
        env!("CARGO_BIN_EXE_bauta")
    );
    let done = sh(folder.path(), &script);
    assert_eq!(done.status.code(), Some(134), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "0\n");
    assert_eq!(names(folder.path()), before);
}

/// Reads a file as a user that owns nothing if we are root, else as the user that we are.
fn read_as_other(path: &str) -> Output {
    let mut command = Command::new("head");
    command.args(["-c", "1", path]).stdin(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/").output().unwrap()
}

#[test]
fn p3_another_user_cannot_read_the_memory() {
    let upstream = Upstream::bind();
    let process = Process::start(&upstream, "");
    assert!(read_as_other("/proc/self/environ").status.success() || cfg!(not(target_os = "linux")));
    for file in ["mem", "environ", "maps", "auxv", "fd/0", "root/"] {
        let path = format!("/proc/{}/{file}", process.child.id());
        let done = read_as_other(&path);
        let said = text(&done.stderr);
        assert!(!done.status.success() && done.stdout.is_empty(), "{path}");
        assert!(said.contains("Permission denied"), "{path}: {said}");
    }
}

#[test]
fn p3_the_command_of_run_cannot_read_the_memory_either() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything; the test before speaks of others.
        return;
    }
    let folder = folder(None, "");
    let (running, _) = Running::script(
        folder.path(),
        "head -c 1 /proc/$PPID/environ || echo none; head -c 1 /proc/$PPID/maps || echo none",
    );
    assert_eq!(running.end().0, "none\nnone\n");
}

#[test]
fn a_panic_tells_its_place_and_nothing_else() {
    const ROLE: &str = "BAUTA_TEST_PANICS";
    if env::var_os(ROLE).is_some() {
        hardening::panics_without_payloads();
        let value = env::var("BAUTA_TEST_VALUE").unwrap();
        let died = thread::Builder::new()
            .name("worker-1".to_owned())
            .spawn(move || panic!("while reading {value}"))
            .unwrap()
            .join();
        assert!(died.is_err());
        std::process::exit(0);
    }
    let done = Command::new(env::current_exe().unwrap())
        .args([
            "hardening::a_panic_tells_its_place_and_nothing_else",
            "--exact",
            "--nocapture",
        ])
        .env(ROLE, "1")
        .env("BAUTA_TEST_VALUE", TOKEN)
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    let said = text(&done.stderr);
    assert!(done.status.success(), "{said}");
    let place = concat!("error: a defect in bauta, at ", file!());
    assert!(
        said.contains(place) && said.contains("in thread worker-1"),
        "{said}"
    );
    for part in [TOKEN, "while reading"] {
        assert!(
            !contains(&done.stderr, part) && !contains(&done.stdout, part),
            "{said}"
        );
    }
}

#[test]
fn p8_a_panic_in_a_request_fails_that_request_alone() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(Listener::tcp("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let limits = Limits {
        // One place: it must come free.
        max_connections: 1,
        max_header_bytes: 8 << 10,
        max_headers: 32,
        header_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(1),
    };
    let served = runtime.spawn(server::serve(
        listener,
        limits,
        stopped,
        |_, request| async move {
            assert_ne!(request.uri().path(), "/panic", "on purpose");
            Response::new(Full::new(Bytes::from_static(b"fine")))
        },
    ));
    for path in ["/panic", "/x", "/panic", "/panic", "/y"] {
        let mut client = Wire::new(TcpStream::connect(addr).unwrap());
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ));
        match client.message_or_end("GET") {
            Some(answer) => assert_eq!((path != "/panic", answer.status()), (true, 200), "{path}"),
            None => assert_eq!(path, "/panic"),
        }
    }
    stop.send(true).unwrap();
    assert_eq!(runtime.block_on(served).unwrap(), 0);
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    process.close_log();
    for _ in 0..3 {
        let mut client = process.connect();
        client.send(post("/p/x", "Connection: close\r\n", TOKEN.as_bytes()));
        let mut peer = upstream.accept();
        assert_eq!(peer.request().body, b"x_token");
        peer.send(last(OK));
        assert_eq!(client.message("POST").status(), 200);
    }
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_socket_is_open_to_whom_the_umask_says() {
    let upstream = Upstream::bind();
    for (umask, mode) in [("022", 0o755), ("007", 0o770), ("0", 0o777)] {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), &upstream, "");
        let path = folder.path().join("bauta.toml");
        let socket = folder.path().join("model.sock");
        let config = fs::read_to_string(&path).unwrap();
        let config = config.replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
        fs::write(&path, config).unwrap();
        let script = format!(
            "umask {umask}; exec {} serve --config bauta.toml",
            env!("CARGO_BIN_EXE_bauta")
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert!(io::BufRead::read_line(&mut log, &mut line).unwrap() > 0);
        }
        let got = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(got, mode, "umask {umask}");
    }
}
