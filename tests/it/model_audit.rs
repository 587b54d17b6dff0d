//! Every use leaves a trace, and nothing happens without one.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use bauta::audit;
use bauta::config::Inject;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::guard_kit::{CREDENTIAL, KEY, all_events, events, log, sidecar, with_headers};
use super::model_child::Process;
use super::model_kit::{BOUND, OK, Sidecar, TOKEN, Upstream, VALUE, contains, last, post};
use super::model_websocket_kit::{TEXT, open};

/// Waits for the next event that is not a start, as it comes into a log.
fn next_event(tail: &mut audit::Tail) -> Value {
    loop {
        let line = tail.next_within(BOUND).unwrap().expect("no event");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] != "start" {
            return event;
        }
    }
}

/// Asks, with the upstream's help where it is asked, until the status is that one.
fn until_status(sidecar: &Sidecar, upstream: &Upstream, headers: &str, wanted: u16) {
    let begun = Instant::now();
    loop {
        let mut client = sidecar.connect();
        client.send(with_headers(headers));
        // It is served, or refused without the upstream: whichever comes first says which.
        let status = std::thread::scope(|scope| {
            let answer = scope.spawn(|| client.message("POST").status());
            while !answer.is_finished() {
                if let Some(mut peer) = upstream.try_accept() {
                    peer.request();
                    peer.send(last(OK));
                }
                std::thread::yield_now();
            }
            answer.join().unwrap()
        });
        if status == wanted {
            return;
        }
        assert!(begun.elapsed() < BOUND, "still {status}");
    }
}

#[test]
fn p5_what_was_masked_is_one_event_for_each_value_and_form() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    let header = format!("X-A: {TOKEN}\r\n");
    let body = format!(
        "[\"{TOKEN}\", \"{TOKEN}\", \"c2stbGl2ZS01MUh4MmVLZlE5d1o=\", {}]",
        serde_json::to_string(VALUE).unwrap()
    );
    client.send(post(&format!("/p/{TOKEN}"), &header, body.as_bytes()));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");
    // Nothing found, nothing said.
    client.send(post("/p/x", "", b"{}"));
    peer.request();
    peer.send(OK);
    client.message("POST");
    drop((client, peer));
    let all = all_events(sidecar);
    let shown: Vec<_> = all
        .iter()
        .map(|event| {
            (
                event["key"].as_str().unwrap(),
                event["form"].as_str().unwrap(),
                event["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(shown.len(), 3, "{all:?}");
    assert!(
        shown.contains(&("x_token", "plain", 4)) && shown.contains(&("x_token", "base64", 1)),
        "{shown:?}"
    );
    assert!(
        shown
            .iter()
            .any(|(key, _, count)| (*key, *count) == ("x_password", 1))
    );
    for event in &all {
        for (field, expected) in [
            ("event", "mask"),
            ("channel", "model"),
            ("agent", "agent"),
            ("scope", "agent:agent"),
            ("domain", "https://example.com"),
            ("target", "p"),
            ("method", "POST"),
            ("outcome", "done"),
        ] {
            assert_eq!(event[field], expected, "{event}");
        }
        assert_eq!(event["request_id"], all[0]["request_id"]);
    }
}

#[test]
fn p5_of_one_value_under_two_keys_all_are_named() {
    let upstream = Upstream::bind();
    let text = format!(
        r#"{{"https://a.example": {{"x_second": "{TOKEN}"}}, "https://b.example": {{"x_first": "{TOKEN}"}}}}"#
    );
    let sidecar = Sidecar::with(
        &super::model_kit::config(&upstream.url(), bauta::config::Limits::default()),
        &text,
    );
    let mut client = sidecar.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_first");
    peer.send(OK);
    client.message("POST");
    drop((client, peer));
    let all = all_events(sidecar);
    assert_eq!(
        (all.len(), &all[0]["key"], &all[0]["domain"]),
        (1, &"x_first".into(), &"https://b.example".into())
    );
    assert_eq!(all[0]["keys"], serde_json::json!(["x_first", "x_second"]));
}

#[test]
fn p5_a_refused_request_still_says_what_it_held() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let answer = sidecar.refused(&post(
        "/p/x",
        &format!("X-A: {TOKEN}\r\nContent-Encoding: gzip\r\n"),
        b"no gzip",
    ));
    assert_eq!(answer.status(), 400);
    let all = all_events(sidecar);
    assert_eq!((all.len(), &all[0]["key"]), (1, &"x_token".into()));
}

#[test]
fn p5_messages_of_a_websocket_are_in_the_log_within_a_second() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let log = log(&sidecar);
    let mut tail = audit::tail(&log, 10, true).unwrap();
    let (mut client, mut peer) = open(&sidecar, &upstream);
    for _ in 0..3 {
        let begun = Instant::now();
        client.send(TEXT, TOKEN);
        assert_eq!(peer.text(), "x_token");
        let event = next_event(&mut tail);
        assert_eq!(
            (&event["event"], &event["method"], &event["count"]),
            (&"mask".into(), &"GET".into(), &1.into())
        );
        // The tail looks every quarter of a second; the rest is for a machine that is busy. The socket is open all the while.
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }
    // Many at once are few events, and none is lost.
    for _ in 0..200 {
        client.send(TEXT, TOKEN);
        peer.text();
    }
    client.close(1000, "");
    peer.closed();
    peer.close(1000, "");
    client.closed();
    drop((client, peer));
    let all = all_events(sidecar);
    let count: u64 = all
        .iter()
        .map(|event| event["count"].as_u64().unwrap())
        .sum();
    assert_eq!(count, 203);
    assert!(all.len() < 60, "{}", all.len());
}

#[test]
fn p5_no_value_goes_out_while_the_log_hangs_and_it_recovers() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let line = "Authorization: Bearer x_provider_key\r\n";
    until_status(&sidecar, &upstream, line, 200);
    let file = File::open(log(&sidecar)).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    let begun = Instant::now();
    for _ in 0..2 {
        let answer = sidecar.refused(&with_headers(line));
        assert_eq!(answer.error(), (503, "audit_unavailable".to_owned()));
        assert_eq!(answer.error_text("placeholder"), KEY);
    }
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "it did not wait for the log"
    );
    assert!(upstream.is_untouched());
    assert!(sidecar.running().ready().unwrap_err()[0].contains("audit log"));
    // What needs no value goes on: its events have their place.
    until_status(&sidecar, &upstream, &format!("X-A: {TOKEN}\r\n"), 200);
    flock(&file, FlockOperation::Unlock).unwrap();
    drop(file);
    until_status(&sidecar, &upstream, line, 200);
    let begun = Instant::now();
    while sidecar.running().ready().is_err() {
        assert!(begun.elapsed() < BOUND);
        std::thread::yield_now();
    }
    let all = all_events(sidecar);
    assert!(all.iter().any(|event| event["event"] == "mask"));
    assert!(all.iter().any(|event| event["event"] == "refuse"
        && event["reason"].as_str().unwrap().contains("audit log")));
}

#[test]
fn p5_no_value_goes_out_while_the_log_cannot_be_written() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let line = "Authorization: Bearer x_provider_key\r\n";
    until_status(&sidecar, &upstream, line, 200);
    let path = log(&sidecar);
    // A folder in its place cannot be written, whoever we are.
    fs::rename(&path, path.with_extension("kept")).unwrap();
    fs::create_dir(&path).unwrap();
    until_status(&sidecar, &upstream, line, 503);
    assert!(upstream.is_untouched());
    assert!(sidecar.running().ready().is_err());
    fs::remove_dir(&path).unwrap();
    fs::rename(path.with_extension("kept"), &path).unwrap();
    until_status(&sidecar, &upstream, line, 200);
    assert!(!contains(&fs::read(&path).unwrap(), CREDENTIAL));
}

#[test]
fn p5_starts_stops_and_requests_are_tied_together() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");
    drop((client, peer));
    let line: Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
    process.signal(rustix::process::Signal::TERM);
    assert!(process.wait().success());
    let path = process.path("data/audit-memory.log");
    let text = fs::read_to_string(&path).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["event"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["start", "mask", "stop"]);
    assert_eq!(
        events(Path::new(&path))[0]["request_id"],
        line["request_id"]
    );
}
