//! WebSocket: what may not be sent, and sides that break off.

use std::time::Duration;

use bauta::config::Limits;

use super::model_kit::{Sidecar, TOKEN, Upstream, contains};
use super::model_websocket_kit::*;

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// The client is told that code, upstream that we leave, and no data went on.
fn refused(mut client: Socket, mut peer: Socket, code: u16) {
    let (told, reason) = client.closed();
    assert_eq!(told, code, "{reason}");
    assert!(!reason.is_empty());
    assert_eq!(peer.closed().0, 1001);
    client.ends();
    peer.ends();
}

#[test]
fn p1_sound_in_binary_messages_may_begin_as_it_likes_and_is_searched() {
    let upstream = Upstream::bind();
    for sidecar in [
        Sidecar::before(&upstream),
        Sidecar::masking_answers(&upstream, Limits::default()),
    ] {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        for opening in [
            &b"\xfe\xff\x01\0"[..],
            b"\xff\xfe\xff\xfe",
            b"\"\0\x01\0",
            b"[\0\0\0",
            b"{\0",
            b"\0\0\"\0",
            b"\0\0\xfe\xff",
        ] {
            client.send(BINARY, [opening, TOKEN.as_bytes(), b"\0"].concat());
            assert_eq!(peer.whole(), (BINARY, [opening, b"x_token\0"].concat()));
            peer.send(BINARY, [opening, b"\0"].concat());
            assert_eq!(client.whole(), (BINARY, [opening, b"\0"].concat()));
        }
    }
}

#[test]
fn p8_what_the_protocol_does_not_allow_a_client_ends_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (_why, bytes) in [
        ("reserved bit", frame(true, 0xc0, TEXT, b"x")),
        ("reserved bit", frame(true, 0xa0, TEXT, b"x")),
        ("unknown opcode", frame(true, 0x80, 3, b"x")),
        ("unknown opcode", frame(true, 0x80, 11, b"x")),
        ("no mask", frame(false, 0x80, TEXT, b"x")),
        ("no mask", frame(false, 0x80, PING, b"x")),
        (
            "continuation of nothing",
            frame(true, 0x80, CONTINUATION, b"x"),
        ),
        (
            "message in a message",
            [frame(true, 0, TEXT, b"x"), frame(true, 0x80, TEXT, b"y")].concat(),
        ),
        ("fragmented ping", frame(true, 0, PING, b"x")),
        ("long ping", frame(true, 0x80, PING, &[b'x'; 126])),
        ("code of one byte", frame(true, 0x80, CLOSE, b"\x03")),
        ("code 999", frame(true, 0x80, CLOSE, b"\x03\xe7")),
        ("code 1006", frame(true, 0x80, CLOSE, b"\x03\xee")),
        ("code 5000", frame(true, 0x80, CLOSE, b"\x13\x88")),
        (
            "length in too many bytes",
            b"\x81\xfe\x00\x01\0\0\0\0x".to_vec(),
        ),
        (
            "length beyond 63 bits",
            b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
    ] {
        let (mut client, peer) = open(&sidecar, &upstream);
        client.wire.send(&bytes);
        refused(client, peer, 1002);
    }
}

#[test]
fn p8_text_that_is_not_utf8_ends_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for text in [&b"\xff"[..], b"a\xc0\xaf", b"\xed\xa0\x80", b"cut \xe2\x82"] {
        for at in 0..text.len() {
            let (mut client, peer) = open(&sidecar, &upstream);
            client.part(0, TEXT, &text[..at]);
            client.part(0x80, CONTINUATION, &text[at..]);
            refused(client, peer, 1007);
        }
    }
    let (mut client, peer) = open(&sidecar, &upstream);
    client.send(CLOSE, b"\x03\xe8\xff");
    refused(client, peer, 1007);
    let (mut client, peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, DEFLATE);
    client.part(0xc0, TEXT, Deflate::new().message(b"\xff"));
    refused(client, peer, 1007);
    let (mut client, peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, DEFLATE);
    client.part(0xc0, TEXT, b"\xff\xff\xff\xff\xff not deflate");
    refused(client, peer, 1007);
}

#[test]
fn p8_a_message_over_the_limit_ends_it() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_message_bytes: 1000,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.part(0, BINARY, [7; 600]);
    client.part(0x80, CONTINUATION, [7; 400]);
    assert_eq!(peer.whole(), (BINARY, vec![7; 1000]), "the limit itself");
    client.part(0, BINARY, [7; 600]);
    client.part(0x80, CONTINUATION, [7; 401]);
    refused(client, peer, 1009);
    // Its header says it: nothing of it must come.
    let (mut client, peer) = open(&sidecar, &upstream);
    client
        .wire
        .send(b"\x82\xff\x40\0\0\0\0\0\0\0\x01\x02\x03\x04");
    refused(client, peer, 1009);
}

#[test]
fn p8_a_bomb_ends_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let bomb = Deflate::new().message(&vec![b'a'; 64 << 20]);
    assert!(bomb.len() < 100 << 10);
    let (mut client, peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, DEFLATE);
    client.part(0xc0, TEXT, bomb);
    refused(client, peer, 1009);
}

#[test]
fn p8_what_cannot_be_read_in_full_ends_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    // A character reference that never ends: a value may hide behind it for as long as it goes on.
    let endless = format!("{TOKEN} &#{}", "0".repeat(100 << 10));
    let (mut client, peer) = open(&sidecar, &upstream);
    client.send(TEXT, endless);
    refused(client, peer, 1008);
}

#[test]
fn what_the_protocol_does_not_allow_an_upstream_ends_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (bytes, code) in [
        (frame(true, 0x80, TEXT, b"masked"), 1002),
        (frame(false, 0xc0, TEXT, b"x"), 1002),
        (frame(false, 0x80, CONTINUATION, b"x"), 1002),
        (frame(false, 0x80, 5, b"x"), 1002),
        (frame(false, 0x80, CLOSE, b"\x03\xed"), 1002),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 1002),
    ] {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        peer.wire.send(&bytes);
        assert_eq!(peer.closed().0, code);
        assert_eq!(client.closed().0, 1011);
        client.ends();
        peer.ends();
    }
    let (mut client, mut peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, DEFLATE);
    peer.part(0xc0, TEXT, b"\xff\xff\xff\xff\xff not deflate");
    assert_eq!(peer.closed().0, 1007);
    assert_eq!(client.closed().0, 1011);
}

#[test]
fn an_upstream_that_breaks_off_never_looks_complete() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for reset in [false, true] {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        peer.part(0, TEXT, "the beginning ");
        assert!(!client.frame().unwrap().fin);
        // And the beginning of a frame that goes no further.
        peer.wire.send(b"\x80\x7e\x01\x00abc");
        if reset {
            peer.wire.reset();
        } else {
            drop(peer);
        }
        assert_eq!(client.closed().0, 1011);
        client.ends();
    }
}

#[test]
fn a_client_that_breaks_off_ends_it_upstream_and_half_a_message_goes_nowhere() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for reset in [false, true] {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        client.part(0, TEXT, "half of ");
        client.send(PING, "");
        peer.whole();
        if reset {
            client.wire.reset();
        } else {
            drop(client);
        }
        assert_eq!(peer.closed().0, 1001);
        peer.ends();
        assert!(!contains(&peer.wire.seen, "half"));
    }
}

/// What the client of a scene is told. The scene is played again where the machine stood still before its first step, so that
/// the tunnel was idle.
fn told(scene: impl Fn() -> (u16, String)) -> (u16, String) {
    (0..3)
        .map(|_| scene())
        .find(|(_, reason)| reason != "idle")
        .expect("idle each time")
}

#[test]
fn p8_silence_ends_it() {
    let upstream = Upstream::bind();
    let limits = Limits {
        idle_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    assert_eq!(client.closed(), (1001, "idle".to_owned()));
    assert_eq!(peer.closed().0, 1001);
    // Inside a message the other side's signs of life do not count.
    let (code, reason) = told(|| {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        client.wire.send(b"\x81");
        let pings = peer.bytes(0x80, PING, "");
        let told = loop {
            // It may be over by now.
            let _ = peer.wire.try_send(&pings);
            let (opcode, payload) = client.whole();
            if opcode == CLOSE {
                break close_of(&payload);
            }
        };
        assert_eq!(peer.until_closed().0, 1001);
        told
    });
    assert_eq!(code, 1008, "{reason}");
    let (code, reason) = told(|| {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        peer.part(0, TEXT, "and then");
        let told = client.until_closed();
        assert_eq!(peer.closed().0, 1001);
        told
    });
    assert_eq!(code, 1011, "{reason}");
}
