//! Streams: as they come, in any chunking, of any size.

use std::thread;

use super::model_kit::{OK, Sidecar, TOKEN, Upstream, VALUE, contains, last, post};

#[test]
fn sse_passes_event_by_event_in_lockstep() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for chunked in [true, false] {
        let mut client = sidecar.connect();
        client.send(post(
            "/p/v1/messages",
            "Accept: text/event-stream\r\n",
            br#"{"stream":true}"#,
        ));
        let mut peer = upstream.accept();
        peer.request();
        let events: Vec<String> = (0..50)
            .map(|at| format!("event: delta\ndata: {{\"n\":{at}}}\n\n"))
            .collect();
        let total: usize = events.iter().map(String::len).sum();
        let framing = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {total}")
        };
        peer.send(last(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n"
        )));
        // The head comes before any event.
        let head = client.head();
        assert!(head.contains("text/event-stream"), "{head}");
        for event in &events {
            // The next event is sent only after the client has this one.
            if chunked {
                peer.send(format!("{:x}\r\n{event}\r\n", event.len()));
                assert_eq!(client.chunk().unwrap(), event.as_bytes());
            } else {
                peer.send(event);
                assert_eq!(client.until(b"\n\n"), event.as_bytes());
            }
        }
        if chunked {
            peer.send("0\r\n\r\n");
            assert_eq!(client.chunk(), Some(Vec::new()));
        }
    }
}

#[test]
fn p1_values_split_over_one_byte_chunks_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = format!("a {TOKEN} b {VALUE} c {TOKEN}{TOKEN}");
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in body.bytes() {
        client.send([b"1\r\n", &[byte][..], b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    let mut peer = upstream.accept();
    assert_eq!(
        peer.request().body,
        b"a x_token b x_password c x_tokenx_token"
    );
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
}

#[test]
fn p1_a_value_over_the_edge_of_what_is_held_back_is_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for before in (0..=TOKEN.len()).step_by(5) {
        let edge = (8 << 20) - before;
        let body = [
            vec![b'.'; edge],
            TOKEN.as_bytes().to_vec(),
            vec![b'.'; 1000],
        ]
        .concat();
        let mut client = sidecar.connect();
        let sent = post("/p/x", "Content-Type: text/plain\r\n", &body);
        let writer = thread::spawn(move || {
            client.send(sent);
            client
        });
        let mut peer = upstream.accept();
        let seen = peer.request();
        assert!(
            seen.complete && seen.header("transfer-encoding").as_deref() == Some("chunked"),
            "{}",
            seen.head
        );
        assert_eq!(seen.body.len(), body.len() - TOKEN.len() + "x_token".len());
        assert!(!contains(&seen.body, TOKEN));
        peer.send(last(OK));
        assert_eq!(writer.join().unwrap().message("POST").status(), 200);
    }
}

#[test]
fn a_string_of_64_mib_passes() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = [
        b"{\"a\":\"".to_vec(),
        vec![b'.'; 64 << 20],
        format!("{TOKEN}\"}}").into_bytes(),
    ]
    .concat();
    let mut client = sidecar.connect();
    let sent = post("/p/x", "Content-Type: application/json\r\n", &body);
    let writer = thread::spawn(move || {
        client.send(sent);
        client
    });
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert!(seen.complete);
    assert_eq!(seen.body.len(), body.len() - TOKEN.len() + "x_token".len());
    assert!(seen.body.ends_with(b"..x_token\"}"));
    peer.send(OK);
    assert_eq!(writer.join().unwrap().message("POST").status(), 200);
}

#[test]
fn a_long_body_streams_while_its_sender_goes_on() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = |bytes: usize| {
        [
            format!("{bytes:x}\r\n").as_bytes(),
            &vec![b'.'; bytes],
            b"\r\n",
        ]
        .concat()
    };
    // More than is held back for an exact length.
    client.send(chunk(9 << 20));
    let mut peer = upstream.accept();
    peer.head();
    let (mut sent, mut received) = (9 << 20, 0);
    for _ in 0..20 {
        // Upstream has all but what a secret may have begun in, before the client sends more.
        while received + (64 << 10) < sent {
            received += peer.chunk().unwrap().len();
        }
        client.send(chunk(256 << 10));
        sent += 256 << 10;
    }
    client.send("0\r\n\r\n");
    while !peer.chunk().unwrap().is_empty() {}
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
}
