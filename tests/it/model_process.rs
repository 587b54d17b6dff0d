//! The real binary: ready line, drain, signals, log, memory, a port in use.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use async_compression::zstd::CParameter;
use rustix::process::{Pid, Signal, kill_process};

use super::coders::{gzip, noise, stored_gzip, zstd_with};
use super::model_child::{Process, command, write_config};
use super::model_kit::{BOUND, OK, SECRETS, TOKEN, Upstream, Wire, contains, last, post};

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
    let begun = Instant::now();
    while TcpStream::connect(process.addr).is_ok() {
        assert!(begun.elapsed() < BOUND, "the listener stays open");
    }
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
    client.send("SECRETIVE /p/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    peer.request();
    peer.send(OK);
    client.message("POST");
    client.send(post("/nowhere-of-mine", "", b"body-of-mine"));
    client.message("POST");
    drop(client);
    process.line("route_unknown");
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    let log = process.rest_of_log();
    assert!(
        !log.contains("of-mine") && !log.contains("SECRETIVE") && !log.contains(TOKEN),
        "{log}"
    );
}

#[test]
fn an_answer_with_trailers_or_without_a_body_is_complete_in_the_log() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    let mut peer = None;
    let trailers =
        "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
    for (te, answer, end) in [
        ("TE: trailers\r\n", trailers, "x-sum: 1\r\n\r\n"),
        ("", trailers, "ok\r\n0\r\n\r\n"),
        ("", "Content-Length: 0\r\n\r\n", "\r\n\r\n"),
    ] {
        client.send(format!("GET /p/x HTTP/1.1\r\nHost: localhost\r\n{te}\r\n"));
        let peer = peer.get_or_insert_with(|| upstream.accept());
        peer.request();
        peer.send(format!("HTTP/1.1 200 OK\r\n{answer}"));
        client.until(end.as_bytes());
        let line: serde_json::Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
        assert_eq!(line["outcome"], "complete", "{line}");
    }
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
    let mut client = Wire::new(TcpStream::connect(address).unwrap());
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

#[test]
fn p8_chunks_of_one_byte_do_not_multiply_in_memory() {
    const BYTES: usize = 2 << 20;
    let upstream = Upstream::bind();
    let process = Process::start(&upstream, "");
    let before = process.memory("VmRSS");
    let mut client = process.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..64 {
        client.send(b"1\r\n.\r\n".repeat(BYTES / 64));
    }
    client.send("0\r\n\r\n");
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(
        (seen.body.len(), seen.header("content-length").unwrap()),
        (BYTES, BYTES.to_string())
    );
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    let grown = process.memory("VmHWM").saturating_sub(before);
    assert!(grown < 16 << 10, "grew by {grown} KiB from {before} KiB");
}

#[test]
fn p8_a_heavy_coded_body_passes_in_little_memory() {
    const MEMBERS: usize = 64;
    let upstream = Upstream::bind();
    let process = Process::start(&upstream, "");
    let text = noise(1 << 20);
    let window = [
        CParameter::window_log(23),
        CParameter::content_size_flag(false),
    ];
    let before = process.memory("VmRSS");
    for (coding, member) in [
        ("gzip", gzip(&text)),
        ("zstd", zstd_with(&text, &window)),
        ("gzip, gzip", stored_gzip(&gzip(&text))),
    ] {
        let mut client = process.connect();
        let length = member.len() * MEMBERS;
        let writer = thread::spawn(move || {
            client.send(format!(
                "POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\n\
                 Content-Length: {length}\r\n\r\n"
            ));
            for _ in 0..MEMBERS {
                client.send(&member);
            }
            client
        });
        let mut peer = upstream.accept();
        peer.head();
        let mut total = 0;
        while let Some(chunk) = peer.chunk().filter(|chunk| !chunk.is_empty()) {
            total += chunk.len();
            peer.forget();
        }
        assert_eq!(total, text.len() * MEMBERS, "{coding}");
        peer.send(last(OK));
        assert_eq!(writer.join().unwrap().message("POST").status(), 200);
    }
    // What is held back, twice over for freed memory that the allocator keeps, and one window of zstd.
    let grown = process.memory("VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "grew by {grown} KiB from {before} KiB");
}

#[test]
fn a_unix_socket_serves_and_a_stale_one_is_replaced() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("model.sock");
    // Left behind by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    write_config(folder.path(), &upstream, "");
    let path = folder.path().join("bauta.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("127.0.0.1:0", &format!("unix:{}", socket.display())),
    )
    .unwrap();
    fs::write(folder.path().join("secrets.json"), SECRETS).unwrap();
    let mut child = command(folder.path(), "secrets.json").spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    let second = command(folder.path(), "secrets.json").output().unwrap();
    assert_eq!(
        second.status.code(),
        Some(1),
        "it is in use: {}",
        String::from_utf8_lossy(&second.stderr)
    );
    let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    client
        .write_all(&post("/p/x", "Connection: close\r\n", TOKEN.as_bytes()))
        .unwrap();
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"),
        "{answer}"
    );
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!socket.exists());
}
