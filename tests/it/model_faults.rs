//! What goes wrong on either side is visible to the other, and nothing of it harms anyone else.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use bauta::config::Limits;

use super::model_kit::{End, OK, SECRETS, Sidecar, TOKEN, Upstream, Wire, config, contains, post};

/// Small enough to wait for, long enough for what must come in time.
const SHORT: Duration = Duration::from_millis(300);

/// For what also runs while the test itself is about to go on: a machine that is busy may let it wait for longer than that.
const LONGER: Duration = Duration::from_secs(2);

/// More than is held back for an exact length.
const MORE_THAN_THE_BUFFER: usize = 9 << 20;

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

const CHUNKED_POST: &str = "POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A client that has sent more than is held back and goes on, and the upstream that has seen its beginning.
fn uploading(sidecar: &Sidecar, upstream: &Upstream) -> (Wire, Wire) {
    let mut client = sidecar.connect();
    client.send(CHUNKED_POST);
    client.send(chunk(&vec![b'.'; MORE_THAN_THE_BUFFER]));
    let mut peer = upstream.accept();
    let head = peer.head();
    assert!(
        head.to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
        "{head}"
    );
    assert!(peer.chunk().is_some_and(|chunk| !chunk.is_empty()));
    (client, peer)
}

#[test]
fn an_upstream_that_refuses_is_a_502() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [
        format!("http://{gone}"),
        "http://does-not-exist.invalid".to_owned(),
        format!("https://{gone}"),
    ] {
        let sidecar = Sidecar::with(&config(&url, Limits::default()), SECRETS);
        let answer = sidecar.refused(&post(
            &format!("/p/{TOKEN}"),
            &format!("X-A: {TOKEN}\r\n"),
            TOKEN.as_bytes(),
        ));
        assert_eq!(
            answer.error(),
            (502, "upstream_unreachable".to_owned()),
            "{url}"
        );
        assert!(!contains(&answer.body, TOKEN));
    }
}

#[test]
fn an_answer_cut_at_any_byte_never_looks_complete() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst two",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n3\r\ntwo\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let head = answer.find("\r\n\r\n").unwrap() + 4;
        for (cut, reset) in (0..answer.len()).flat_map(|cut| [(cut, false), (cut, true)]) {
            for version in ["1.1", "1.0"] {
                let mut client = sidecar.connect();
                client.send(format!(
                    "GET /p/x HTTP/{version}\r\nHost: localhost\r\n\r\n"
                ));
                let mut peer = upstream.accept();
                peer.request();
                peer.send(&answer[..cut]);
                if reset {
                    peer.reset();
                } else {
                    drop(peer);
                }
                let Some(got) = client.message_or_end("GET") else {
                    // The cut may be known before the head has left.
                    assert!(
                        cut >= head,
                        "cut {cut}, reset {reset}, {version}: no answer"
                    );
                    continue;
                };
                // A reset may overtake a head that came just before it.
                if got.status() == 502 && (cut < head || reset) {
                    assert_eq!(got.error().1, "upstream_closed", "cut {cut}");
                } else {
                    assert!(
                        cut >= head && !got.complete,
                        "cut {cut}, reset {reset}, {version}: {got:?}"
                    );
                    assert!("first two".as_bytes().starts_with(&got.body), "{got:?}");
                }
            }
        }
    }
}

#[test]
fn an_answer_until_close_ends_with_the_close_and_not_with_a_reset() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for reset in [false, true] {
        let mut client = sidecar.connect();
        client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut peer = upstream.accept();
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nsome");
        let head = client.head();
        assert_eq!(client.chunk().unwrap(), b"some", "{head}");
        if reset {
            peer.reset();
        } else {
            drop(peer);
        }
        assert_eq!(client.chunk(), if reset { None } else { Some(Vec::new()) });
    }
}

#[test]
fn an_upstream_that_talks_garbage_is_a_502() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(200 << 10));
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 banana\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nA B: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "\0\0\u{12}\u{4}\0\0\0\0\0\r\n\r\n",
        &long,
    ] {
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"{}"));
        let mut peer = upstream.accept();
        peer.request();
        // It may hang up before it has read all of it.
        let _ = peer.try_send(garbage);
        let shown = &garbage[..garbage.len().min(40)];
        assert_eq!(
            client.message("POST").error(),
            (502, "upstream_garbage".to_owned()),
            "{shown:?}"
        );
        peer.end();
    }
}

#[test]
fn an_upstream_that_stalls_is_given_up() {
    let upstream = Upstream::bind();
    let before_head = Limits {
        response_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, before_head);
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-"] {
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"{}"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(sent);
        assert_eq!(
            client.message("POST").error(),
            (504, "upstream_timeout".to_owned())
        );
        peer.end();
    }
    let inside = Limits {
        idle_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, inside);
    let mut client = sidecar.connect();
    client.send(post("/p/x", "", b"{}"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    let got = client.message("POST");
    assert_eq!((got.complete, &got.body[..]), (false, &b"ab"[..]));
    peer.end();
}

#[test]
fn a_tls_handshake_that_stalls_is_a_504() {
    let upstream = Upstream::bind();
    let limits = Limits {
        connect_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::with(
        &config(&format!("https://{}", upstream.addr), limits),
        SECRETS,
    );
    assert_eq!(
        sidecar.refused(&post("/p/x", "", b"{}")).error(),
        (504, "upstream_connect_timeout".to_owned())
    );
    upstream.accept().end();
}

#[test]
fn a_kept_connection_that_is_closed_meanwhile_is_not_used_and_nothing_is_sent_twice() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send(post("/p/1", "", b"a"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");
    // The next one arrives on the kept connection, which then ends without an answer.
    client.send(post("/p/2", "", b"b"));
    peer.request();
    drop(peer);
    assert_eq!(
        client.message("POST").error(),
        (502, "upstream_closed".to_owned())
    );
    assert!(
        upstream.is_untouched(),
        "a request that may have arrived is not sent again"
    );
    client.send(post("/p/3", "", b"c"));
    assert_eq!(upstream.accept().request().body, b"c");
}

#[test]
fn a_client_gone_while_it_waits_cancels_the_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for streaming in [false, true] {
        for reset in [false, true] {
            let mut client = sidecar.connect();
            client.send(post("/p/x", "", b"{}"));
            let mut peer = upstream.accept();
            peer.request();
            if streaming {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
                client.head();
                assert_eq!(client.chunk().unwrap(), b"a");
            }
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            peer.end();
        }
    }
}

#[test]
fn a_client_gone_inside_its_body_never_looks_complete_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for reset in [false, true] {
        let (client, mut peer) = uploading(&sidecar, &upstream);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        assert!(!peer.saw_last_chunk());
    }
    // Within the buffer upstream never hears of it.
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf");
    drop(client);
    sidecar.shutdown();
    assert!(upstream.is_untouched());
}

#[test]
fn a_body_badly_framed_after_its_beginning_went_on_is_a_400_and_aborts_the_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = uploading(&sidecar, &upstream);
    client.send("zz\r\n");
    assert!(!peer.saw_last_chunk());
    assert_eq!(
        client.message("POST").error(),
        (400, "body_broken".to_owned())
    );
}

#[test]
fn p8_bodies_over_the_limit_are_refused() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_body_bytes: 100,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let long = [CHUNKED_POST.as_bytes(), &chunk(&[b'.'; 101]), b"0\r\n\r\n"].concat();
    for request in [post("/p/x", "", &[b'.'; 101]), long] {
        assert_eq!(
            sidecar.refused(&request).error(),
            (413, "body_too_large".to_owned())
        );
    }
    let promised = "POST /p/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n";
    assert_eq!(sidecar.refused(promised.as_bytes()).error().0, 413);
    assert!(upstream.is_untouched());
    let mut client = sidecar.connect();
    client.send(post("/p/x", "", &[b'.'; 100]));
    assert_eq!(upstream.accept().request().body.len(), 100);
}

#[test]
fn p8_a_limit_met_after_the_beginning_went_on_aborts_the_upstream_and_answers_the_client() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_body_bytes: (MORE_THAN_THE_BUFFER + 5) as u64,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let (mut client, mut peer) = uploading(&sidecar, &upstream);
    // The client goes on sending, as clients do; the answer must not be lost to a reset.
    let _ = client.try_send(chunk(&[b'.'; 1000]));
    assert!(!peer.saw_last_chunk());
    let _ = client.try_send(chunk(&[b'.'; 1000]));
    assert_eq!(
        client.message("POST").error(),
        (413, "body_too_large".to_owned())
    );
}

/// An HTML character reference that never ends: a value may hide behind it for as long as it goes on.
const ENDLESS: usize = 100 << 10;

#[test]
fn p8_a_span_that_cannot_be_read_in_full_is_refused_before_anything_is_sent() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = [b"&#".to_vec(), vec![b'0'; ENDLESS]].concat();
    let answer = sidecar.refused(&post("/p/x", "Content-Type: text/plain\r\n", &body));
    assert_eq!(answer.error(), (413, "encoded_span_too_long".to_owned()));
    assert!(upstream.is_untouched());
}

#[test]
fn p8_a_refusal_after_the_beginning_went_on_aborts_the_upstream_and_answers_the_client() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = uploading(&sidecar, &upstream);
    client.send(chunk(&[b"&#".to_vec(), vec![b'0'; ENDLESS]].concat()));
    assert!(!peer.saw_last_chunk());
    assert_eq!(
        client.message("POST").error(),
        (413, "encoded_span_too_long".to_owned())
    );
}

#[test]
fn an_answer_that_comes_before_the_request_is_through_reaches_the_client() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = uploading(&sidecar, &upstream);
    peer.send("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nslow");
    let got = client.message("POST");
    assert_eq!((got.status(), &got.body[..]), (429, &b"slow"[..]));
    assert!(!peer.saw_last_chunk());
}

#[test]
fn an_upstream_that_takes_no_bytes_is_given_up() {
    let upstream = Upstream::bind();
    let limits = Limits {
        idle_timeout: LONGER,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut client = sidecar.connect();
    client.send(CHUNKED_POST);
    let _peer = upstream_of(&mut client, &upstream);
    assert_eq!(
        client.message("POST").error(),
        (504, "upstream_stalled".to_owned())
    );
}

/// Sends until nobody takes any more; the upstream never reads.
fn upstream_of(client: &mut Wire, upstream: &Upstream) -> Wire {
    let block = chunk(&vec![b'.'; 1 << 20]);
    while client.try_send(&block).is_ok() {}
    upstream.accept()
}

#[test]
fn a_slow_sender_harms_nobody_else_and_a_stalled_one_is_given_up() {
    let upstream = Upstream::bind();
    let limits = Limits {
        header_timeout: LONGER,
        idle_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut in_head = sidecar.connect();
    in_head.send("POST /p/x HTTP/1.1\r\nHost: loc");
    let mut in_body = sidecar.connect();
    in_body.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nha");
    let mut silent = sidecar.connect();
    let mut peer = None;
    for _ in 0..20 {
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"{}"));
        let peer = peer.get_or_insert_with(|| upstream.accept());
        peer.request();
        peer.send(OK);
        assert_eq!(client.message("POST").status(), 200);
    }
    assert_eq!(
        in_body.message("POST").error(),
        (408, "body_stalled".to_owned())
    );
    assert_eq!(in_head.end(), End::Close);
    assert_eq!(silent.end(), End::Close);
    assert!(silent.seen.is_empty());
}

#[test]
fn p8_connections_beyond_the_limit_wait_for_a_free_one() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut first = sidecar.connect();
    first.send(post("/p/1", "", b"1"));
    let mut peer = upstream.accept();
    peer.request();
    let mut second = sidecar.connect();
    second.send(post("/p/2", "", b"2"));
    assert!(upstream.is_untouched());
    peer.send(OK);
    first.message("POST");
    drop(first);
    assert_eq!(peer.request().body, b"2");
    peer.send(OK);
    assert_eq!(second.message("POST").status(), 200);
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_the_upstream_cancelled() {
    let upstream = Upstream::bind();
    let limits = Limits {
        idle_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut client = sidecar.connect();
    client.send(post("/p/x", "", b"{}"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let block = chunk(&vec![b'.'; 1 << 20]);
    // Fills every buffer on the way; then a write fails, because we have hung up.
    let writer = thread::spawn(move || (0..1000).any(|_| peer.try_send(&block).is_err()));
    assert!(writer.join().unwrap());
    client.end();
}
