//! `[health]`: whether the process lives, and whether it is ready.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use super::model_child::{Process, write_config};
use super::model_kit::{BOUND, Message, OK, TOKEN, Upstream, Wire, last, post};

const TABLE: &str = "[health]\nlisten = \"127.0.0.1:0\"\n";

fn ask(addr: SocketAddr, request: &str) -> Message {
    let mut client = Wire::new(TcpStream::connect(addr).unwrap());
    client.send(request);
    let method = request.split(' ').next().unwrap();
    client.message(method)
}

fn get(addr: SocketAddr, path: &str) -> (u16, serde_json::Value) {
    let answer = ask(
        addr,
        &format!("GET {path} HTTP/1.1\r\nHost: 10.1.2.3:8604\r\n\r\n"),
    );
    (
        answer.status(),
        serde_json::from_slice(&answer.body).unwrap(),
    )
}

#[test]
fn it_lives_and_is_ready_whatever_it_is_called() {
    let mut process = Process::start(&Upstream::bind(), TABLE);
    let addr = process.listening("health");
    // The log may still be busy with the start.
    assert_eq!(
        until(addr, 200),
        serde_json::json!({ "ready": true, "reasons": [] })
    );
    for path in ["/healthz", "/readyz", "/readyz?verbose"] {
        assert_eq!(get(addr, path).0, 200, "{path}");
    }
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /p/x HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (
            "POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n",
            405,
        ),
        ("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
    ] {
        assert_eq!(ask(addr, request).status(), status, "{request}");
    }
}

#[test]
fn draining_is_not_ready_and_still_answered() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, TABLE);
    let addr = process.listening("health");
    let mut client = process.connect();
    client.send(post("/p/1", "", b"1"));
    let mut peer = upstream.accept();
    peer.request();
    process.signal(Signal::TERM);
    process.line("draining");
    let ready = until(addr, 503);
    assert_eq!(ready["reasons"][0], "draining: no new connections");
    assert_eq!(get(addr, "/healthz").0, 200);
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    assert_eq!(process.wait().code(), Some(0));
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn p5_a_log_that_cannot_be_written_is_not_ready_until_it_can() {
    let upstream = Upstream::bind();
    let mut process = Process::start(
        &upstream,
        &format!("[audit]\npath = \"log/audit.log\"\n{TABLE}"),
    );
    let addr = process.listening("health");
    let (folder, aside) = (process.path("data/log"), process.path("data/aside"));
    let ask_one = |process: &Process| {
        let mut client = process.connect();
        client.send(post("/p/1", "Connection: close\r\n", TOKEN.as_bytes()));
        let mut peer = upstream.accept();
        assert_eq!(peer.request().body, b"x_token");
        peer.send(last(OK));
        assert_eq!(client.message("POST").status(), 200);
    };
    ask_one(&process);
    until(addr, 200);
    // A file where its folder was: nothing can be made there, by root either.
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    ask_one(&process);
    let reasons = until(addr, 503)["reasons"].to_string();
    assert!(
        reasons.contains("audit") && !reasons.contains(TOKEN),
        "{reasons}"
    );
    assert_eq!(get(addr, "/healthz").0, 200);
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    until(addr, 200);
}

/// Waits until it answers so.
fn until(addr: SocketAddr, wanted: u16) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let (status, body) = get(addr, "/readyz");
        if status == wanted {
            return body;
        }
        assert!(begun.elapsed() < BOUND, "{body}");
    }
}

#[test]
fn p8_clients_that_say_nothing_do_not_keep_others_out() {
    let mut process = Process::start(&Upstream::bind(), TABLE);
    let addr = process.listening("health");
    // As many as it takes at a time, which say nothing or half of a head.
    let idle: Vec<Wire> = (0..64)
        .map(|at| {
            let mut client = Wire::new(TcpStream::connect(addr).unwrap());
            if at % 2 == 0 {
                client.send("GET /healthz HTTP/1.1\r\nHo");
            }
            client
        })
        .collect();
    assert_eq!(get(addr, "/healthz").0, 200);
    drop(idle);
}

#[test]
fn an_address_in_use_names_its_table() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(
        folder.path(),
        &upstream,
        &format!("[health]\nlisten = \"{}\"\n", upstream.addr),
    );
    fs::write(folder.path().join("secrets.json"), "{}").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_bauta"))
        .args(["serve", "--secrets", "secrets.json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("set another health.listen"), "{said}");
}
