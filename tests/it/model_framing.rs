//! HTTP on the wire: lengths, expectations, answers without bodies, headers of one hop, connections.

use super::model_kit::{OK, Sidecar, Upstream, contains, last, post};
use super::model_websocket_kit::opening;
use bauta::config::Limits;

#[test]
fn conflicting_framing_makes_at_most_one_request() {
    // (request, what may happen: refused with 400, or one request whose body is this)
    let rows: [(&str, Option<&[u8]>); 13] = [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Some(b"abc"),
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            Some(b"abcd"),
        ),
        (
            "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            Some(b"abc"),
        ),
        ("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", None),
        ("Content-Length: 3, 3\r\n\r\nabc", None),
        ("Content-Length: +3\r\n\r\nabc", None),
        ("Content-Length: 0x3\r\n\r\nabc", None),
        ("Content-Length: 99999999999999999999999\r\n\r\nabc", None),
        ("Transfer-Encoding: gzip\r\n\r\nabc", None),
        (
            "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            None,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            None,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            None,
        ),
        ("Content-Length : 3\r\n\r\nabc", None),
    ];
    for (rest, expected) in rows {
        let upstream = Upstream::bind();
        let sidecar = Sidecar::before(&upstream);
        let mut client = sidecar.connect();
        client.send(format!("POST /p/x HTTP/1.1\r\nHost: localhost\r\n{rest}"));
        if let Some(body) = expected {
            let mut peer = upstream.accept();
            let seen = peer.request();
            assert_eq!(seen.body, body, "{rest}");
            assert_eq!(
                seen.headers("content-length"),
                [body.len().to_string()],
                "{rest}"
            );
            assert!(seen.headers("transfer-encoding").is_empty(), "{rest}");
            peer.send(OK);
            assert_eq!(client.message("POST").status(), 200);
            client.half_close();
            client.end();
            sidecar.shutdown();
            peer.end();
            assert_eq!(
                peer.seen.len(),
                seen.head.len() + body.len(),
                "one request only: {}",
                peer.shown()
            );
        } else {
            assert_eq!(client.message("POST").status(), 400, "{rest}");
            assert!(upstream.is_untouched(), "{rest}");
        }
    }
}

#[test]
fn http_1_0_is_answered_and_sent_on_as_1_1() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(
        (seen.line(), &seen.body[..]),
        ("POST /x HTTP/1.1", &b"hi"[..])
    );
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let answer = client.message("POST");
    assert_eq!(
        (answer.complete, &answer.body[..]),
        (true, &b"ok"[..]),
        "{}",
        answer.head
    );
    assert!(answer.headers("transfer-encoding").is_empty());

    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(client.message("POST").status(), 400);
}

#[test]
fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.message("POST").status(), 100);
    client.send("hi");
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(seen.body, b"hi");
    assert!(seen.headers("expect").is_empty());
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(OK);
    assert_eq!(
        client.message("POST").status(),
        200,
        "the upstream's own 100 stays on its hop"
    );

    let mut client = sidecar.connect();
    client.send("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(
        client.message("POST").error(),
        (404, "route_unknown".to_owned()),
        "no 100 for a body that nobody wants"
    );
}

#[test]
fn answers_without_a_body_keep_their_headers_and_the_connection() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    let mut peer = None;
    for (method, answer, length) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nX-A: 1\r\n\r\n",
            Some("500"),
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n",
            None,
        ),
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nX-A: 1\r\n\r\n",
            None,
        ),
        (
            "POST",
            "HTTP/1.1 200 Fine By Me\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n",
            Some("0"),
        ),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n",
            Some("0"),
        ),
    ] {
        client.send(format!("{method} /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let peer = peer.get_or_insert_with(|| upstream.accept());
        let seen = peer.request();
        assert!(seen.line().starts_with(method));
        if method != "POST" {
            assert!(
                seen.headers("content-length").is_empty()
                    && seen.headers("transfer-encoding").is_empty()
            );
        }
        peer.send(answer);
        let got = client.message(method);
        assert_eq!(got.header("x-a").as_deref(), Some("1"), "{answer}");
        assert_eq!(got.header("content-length").as_deref(), length, "{answer}");
        assert!(got.body.is_empty());
        if answer.contains("Fine By Me") {
            assert_eq!(got.line(), "HTTP/1.1 200 Fine By Me");
        }
    }
}

#[test]
fn headers_of_one_hop_stay_on_it_both_ways() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send(
        "POST /p/x HTTP/1.1\r\nHost: localhost\r\nConnection: authorization, X-Drop ,keep-alive\r\nConnection: content-length\r\n\
         Authorization: Bearer a\r\nX-Drop: 1\r\nX-Keep: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nProxy-Authorization: Basic x\r\nTrailer: x\r\nAccept-Encoding: gzip, br\r\nContent-Length: 2\r\n\r\nhi",
    );
    let mut peer = upstream.accept();
    let seen = peer.request();
    for gone in [
        "connection",
        "authorization",
        "x-drop",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "trailer",
        "proxy-authorization",
    ] {
        assert!(seen.headers(gone).is_empty(), "{gone} in {}", seen.head);
    }
    assert_eq!(seen.body, b"hi");
    assert_eq!(
        seen.header("content-length").as_deref(),
        Some("2"),
        "a client cannot strip what we write"
    );
    assert_eq!(seen.header("host").unwrap(), upstream.addr.to_string());
    assert_eq!(seen.header("x-keep").as_deref(), Some("1"));
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("gzip, br"));
    assert!(
        !contains(seen.head.to_ascii_lowercase().as_bytes(), "forwarded"),
        "{}",
        seen.head
    );
    peer.send(
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nContent-Encoding: br\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    );
    let answer = client.message("POST");
    for gone in ["connection", "x-hop", "keep-alive", "upgrade"] {
        assert!(answer.headers(gone).is_empty(), "{gone} in {}", answer.head);
    }
    assert_eq!(answer.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("content-encoding").as_deref(), Some("br"));
    assert!(
        answer.headers("date").is_empty(),
        "nothing is added: {}",
        answer.head
    );
}

#[test]
fn request_trailers_are_dropped() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n");
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"hi");
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    assert!(!contains(&peer.seen, "railer"), "{}", peer.shown());
}

#[test]
fn connections_are_kept_and_used_again_on_both_sides() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send(post("/p/1", "", b"a"));
    let mut peer = upstream.accept();
    for at in 1..20 {
        assert!(peer.request().line().contains(&format!("/{at} ")));
        peer.send(OK);
        assert_eq!(client.message("POST").body, b"ok");
        client.send(post(&format!("/p/{}", at + 1), "", b"a"));
    }
    assert_eq!(peer.request().body, b"a");
    peer.send(OK);
    client.message("POST");
    assert!(
        upstream.is_untouched(),
        "one upstream connection did for all"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send([post("/p/1", "", b"a"), post("/p/2", "", b"b")].concat());
    let mut peer = upstream.accept();
    for body in [b"a", b"b"] {
        assert_eq!(peer.request().body, body);
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
            char::from(body[0])
        ));
        assert_eq!(client.message("POST").body, body);
    }
}

#[test]
fn a_get_may_have_a_body() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(
        (seen.header("content-length").as_deref(), &seen.body[..]),
        (Some("2"), &b"hi"[..])
    );
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let many = "X-A: 1\r\n".repeat(200);
    let long = format!("X-A: {}\r\n", "a".repeat(70 << 10));
    for headers in [many, long] {
        let mut client = sidecar.connect();
        let _ = client.try_send(format!(
            "GET /p/x HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ));
        assert_eq!(client.message("GET").status(), 431);
    }
    assert!(upstream.is_untouched());
}

#[test]
fn answers_are_framed_once() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let rows = [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ];
    for answer in rows {
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"{}"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(last(answer));
        drop(peer);
        let got = client.message("POST");
        assert_eq!(
            (got.complete, &got.body[..]),
            (true, &b"ok"[..]),
            "{answer} {}",
            got.head
        );
        let framings = got.headers("content-length").len() + got.headers("transfer-encoding").len();
        assert_eq!(framings, 1, "{}", got.head);
    }
}

#[test]
fn p6_an_answer_with_a_transfer_coding_that_is_not_taken_off_is_a_502() {
    let upstream = Upstream::bind();
    let plain = Sidecar::before(&upstream);
    let masking = Sidecar::masking_answers(&upstream, Limits::default());
    let body = "3\r\nabc\r\n0\r\n\r\n";
    let requests = [
        "GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        opening("/p/x", ""),
    ];
    for coding in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding:",
        "Transfer-Encoding: gzip, chunked\r\nContent-Length: 3",
    ] {
        for (sidecar, request) in [&plain, &masking]
            .into_iter()
            .flat_map(|sidecar| requests.iter().map(move |request| (sidecar, request)))
        {
            let mut client = sidecar.connect();
            client.send(request);
            let mut peer = upstream.accept();
            peer.request();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{coding}\r\n\r\n{body}"
            ));
            let got = client.message("GET");
            assert_eq!(
                got.error(),
                (502, "upstream_garbage".to_owned()),
                "{coding}"
            );
            // Nobody knows where the next answer would begin.
            drop(client);
            peer.end();
        }
    }
    // Where there is no body, there is nothing to take off.
    for (method, status) in [
        ("HEAD", "200 OK"),
        ("GET", "204 No Content"),
        ("GET", "304 x"),
    ] {
        let mut client = plain.connect();
        client.send(format!("{method} /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        ));
        assert_eq!(client.message(method).status().to_string(), status[..3]);
    }
}

#[test]
fn a_connection_is_used_again_after_an_answer_with_trailers() {
    let upstream = Upstream::bind();
    for sidecar in [
        Sidecar::before(&upstream),
        Sidecar::masking_answers(&upstream, Limits::default()),
    ] {
        let mut client = sidecar.connect();
        let mut peer = None;
        for te in ["", "TE: trailers\r\n", ""] {
            client.send(format!("GET /p/x HTTP/1.1\r\nHost: localhost\r\n{te}\r\n"));
            let peer = peer.get_or_insert_with(|| upstream.accept());
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n");
            let head = client.head();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(client.chunk().unwrap(), b"ok");
            let end = client.until(b"0\r\n");
            assert_eq!(end, b"0\r\n");
            let trailers = client.until(b"\r\n");
            if trailers != b"\r\n" {
                client.until(b"\r\n");
            }
        }
        assert!(upstream.is_untouched(), "one connection did for all");
    }
}
