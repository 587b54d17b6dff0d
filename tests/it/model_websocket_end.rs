//! WebSocket: how it ends, what is said about it, and what it may hold meanwhile.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use bauta::config::Limits;
use rustix::process::Signal;

use super::model_child::Process;
use super::model_kit::{OK, Sidecar, TOKEN, Upstream};
use super::model_websocket_kit::*;

#[test]
fn close_codes_pass_both_ways() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for code in [1000, 1001, 1008, 1011, 1012, 1014, 3000, 4999] {
        for by_client in [true, false] {
            let (client, peer) = open(&sidecar, &upstream);
            let (mut first, mut second) = if by_client {
                (client, peer)
            } else {
                (peer, client)
            };
            first.close(code, "why");
            assert_eq!(second.closed(), (code, "why".to_owned()));
            // What was under way still comes before the answer.
            second.send(TEXT, "one more thing");
            assert_eq!(first.text(), "one more thing");
            second.close(code, "then");
            assert_eq!(first.closed(), (code, "then".to_owned()));
            first.ends();
            second.ends();
        }
    }
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.send(CLOSE, "");
    assert_eq!(peer.closed(), (0, String::new()));
    peer.send(CLOSE, "");
    assert_eq!(client.closed(), (0, String::new()));
}

#[test]
fn a_last_word_arrives_though_nothing_can_be_sent_any_more() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for _ in 0..20 {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        client.send(TEXT, "one");
        peer.text();
        peer.close(1008, "policy");
        drop(peer);
        for _ in 0..20 {
            // It may be closed to us by now.
            let bytes = client.bytes(0x80, TEXT, "more");
            let _ = client.wire.try_send(bytes);
        }
        assert_eq!(client.closed(), (1008, "policy".to_owned()));
    }
}

#[test]
fn a_side_that_does_not_answer_a_close_is_not_waited_for_long() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    // It hangs up without a word.
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.close(1000, "");
    peer.closed();
    drop(peer);
    assert_eq!(client.closed().0, 1000);
    // It says nothing at all.
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.close(1000, "");
    peer.closed();
    assert_eq!(client.closed().0, 1000);
    peer.ends();
}

#[test]
fn a_websocket_counts_as_a_connection_until_it_ends() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let (client, mut peer) = open(&sidecar, &upstream);
    let mut next = sidecar.connect();
    next.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer.send(PING, "");
    assert!(upstream.is_untouched());
    drop(client);
    peer.until_closed();
    drop(peer);
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    assert_eq!(next.message("GET").status(), 200);
}

#[test]
fn draining_tells_both_sides_after_the_message_under_way() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let (mut client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    let (mut quiet, mut quiet_peer, _) = open_with(process.connect(), &upstream, "", "");
    peer.part(0, TEXT, "one ");
    client.frame().unwrap();
    process.signal(Signal::TERM);
    process.line("draining");
    assert_eq!(quiet.closed().0, 1001);
    assert_eq!(quiet_peer.closed().0, 1001);
    peer.part(0x80, CONTINUATION, "two");
    assert_eq!(client.frame().unwrap().payload, b"two");
    assert_eq!(client.closed(), (1001, "bauta ends".to_owned()));
    assert_eq!(peer.closed().0, 1001);
    client.ends();
    peer.ends();
    drop((client, peer, quiet, quiet_peer));
    assert_eq!(process.wait().code(), Some(0));
    assert!(process.rest_of_log().contains("\"cut\":0"));
}

#[test]
fn draining_cuts_what_does_not_end_in_time() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "[model.limits]\ndrain_timeout = \"200ms\"\n");
    let (mut client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    peer.part(0, TEXT, "and so on");
    client.frame().unwrap();
    process.signal(Signal::TERM);
    client.ends();
    peer.ends();
    assert_eq!(process.wait().code(), Some(0));
    assert!(process.rest_of_log().contains("\"cut\":1"));
}

#[test]
fn p3_the_log_counts_by_the_keys_of_each_moment_and_names_no_value() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let (mut client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    client.send(TEXT, format!("{TOKEN} {TOKEN}"));
    assert_eq!(peer.text(), "x_token x_token");
    client.send(PING, TOKEN);
    peer.whole();
    let renamed = format!(
        r#"{{"https://example.com": {{"a_first": "no such thing", "x_other": "{TOKEN}"}}}}"#
    );
    std::fs::write(process.path("secrets.json"), renamed).unwrap();
    let mut sent = 2 * TOKEN.len() + 1;
    let mut before = 2 + 1;
    loop {
        client.send(TEXT, TOKEN);
        sent += TOKEN.len();
        if peer.text() == "x_other" {
            break;
        }
        before += 1;
    }
    peer.send(TEXT, "back-of-mine");
    client.text();
    client.close(1000, "reason-of-mine");
    peer.closed();
    peer.close(1000, "");
    client.closed();
    drop((client, peer));
    let line: serde_json::Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
    for (field, expected) in [
        ("route", serde_json::json!("p")),
        ("method", "GET".into()),
        ("status", 101.into()),
        ("outcome", "complete".into()),
        ("bytes_in", sent.into()),
        ("bytes_out", "back-of-mine".len().into()),
        ("masked", format!("x_other=1 x_token={before}").into()),
    ] {
        assert_eq!(line[field], expected, "{field} in {line}");
    }
    // Ended by us: by whose fault.
    let (mut client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    client.part(0x80, 5, TOKEN);
    client.closed();
    peer.closed();
    let line: serde_json::Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
    assert_eq!(line["code"], "websocket_violation");
    let (client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    drop(client);
    peer.closed();
    drop(peer);
    let line: serde_json::Value = serde_json::from_str(&process.line("\"request\"")).unwrap();
    assert_eq!(line["outcome"], "client gone");
    process.signal(Signal::TERM);
    process.wait();
    let log = process.rest_of_log();
    assert!(!log.contains(TOKEN) && !log.contains("of-mine"), "{log}");
}

/// Sends until the other end takes no more; how many bytes that took.
fn until_stalled(from: &mut Socket, bytes: &[u8], most: usize) -> usize {
    let (mut stream, _) = std::mem::replace(&mut from.wire, placeholder()).into_stream();
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(&bytes[sent % bytes.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

fn placeholder() -> super::model_kit::Wire {
    let upstream = Upstream::bind();
    super::model_kit::Wire::new(std::net::TcpStream::connect(upstream.addr).unwrap())
}

#[test]
fn p8_a_side_that_does_not_read_holds_the_other_back() {
    const MOST: usize = 256 << 20;
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    std::fs::write(process.path("secrets.json"), "{}").unwrap();
    process.line("in force");
    let before = process.memory("VmRSS");
    let (mut client, mut peer, _) = open_with(process.connect(), &upstream, "", "");
    let message = client.bytes(0x80, BINARY, vec![7; 1 << 20]);
    let sent = until_stalled(&mut client, &message, MOST);
    assert!(sent < MOST / 2, "{sent} bytes were taken");
    let (_client, mut other, _) = open_with(process.connect(), &upstream, "", "");
    let message = other.bytes(0x80, BINARY, vec![7; 1 << 20]);
    let sent = until_stalled(&mut other, &message, MOST);
    assert!(sent < MOST / 2, "{sent} bytes were taken");
    let grown = process.memory("VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more");
    peer.send(PING, "");
}
