//! WebSocket: opening requests and the answers to them.

use std::fmt::Write as _;

use bauta::config::Limits;

use super::model_kit::{End, Sidecar, TOKEN, Upstream, config, contains};
use super::model_websocket_kit::*;

#[test]
fn p1_the_masked_head_goes_upstream_and_its_answer_comes_back() {
    let upstream = Upstream::bind();
    let config = config(&format!("{}/base", upstream.url()), Limits::default());
    let sidecar = Sidecar::with(&config, super::model_kit::SECRETS);
    let mut client = sidecar.connect();
    let headers = format!(
        "X-Mine: {TOKEN}\r\nOpenAI-Beta: responses_websockets=2026-02-06\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\
         Content-Length: 0\r\nKeep-Alive: 1\r\nSec-WebSocket-Accept: mine\r\nSec-WebSocket-Extensions: x-other\r\n"
    );
    let path = format!("/p/v1/realtime?key={TOKEN}");
    client.send(opening(&path, &headers).replace("websocket\r\n", "WebSocket\r\n"));
    let mut peer = upstream.accept();
    let request = peer.request();
    assert_eq!(request.line(), "GET /base/v1/realtime?key=x_token HTTP/1.1");
    for (name, expected) in [
        ("host", Some(upstream.addr.to_string())),
        ("x-mine", Some("x_token".to_owned())),
        (
            "openai-beta",
            Some("responses_websockets=2026-02-06".to_owned()),
        ),
        ("connection", Some("Upgrade".to_owned())),
        ("upgrade", Some("websocket".to_owned())),
        ("sec-websocket-version", Some("13".to_owned())),
        ("sec-websocket-extensions", None),
        ("sec-websocket-accept", None),
        ("x-hop", None),
        ("keep-alive", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(request.header(name), expected, "{name}");
    }
    let key = request.header("sec-websocket-key").unwrap();
    assert!(key != KEY && key.len() == 24, "a key of its own");
    peer.send(accepting(
        &request,
        "X-Request-Id: 7\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x-hop\r\nX-Hop: 1\r\n",
    ));
    let answer = client.message("GET");
    assert_eq!(answer.line(), "HTTP/1.1 101 Switching Protocols");
    for (name, expected) in [
        ("connection", Some("upgrade")),
        ("upgrade", Some("websocket")),
        // RFC 6455, 1.3.
        ("sec-websocket-accept", Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        ("sec-websocket-protocol", None),
        ("x-request-id", Some("7")),
        ("x-hop", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(answer.header(name).as_deref(), expected, "{name}");
    }
    assert_eq!(answer.headers("set-cookie"), ["a", "b"]);
    assert!(!contains(&peer.seen, TOKEN));
}

#[test]
fn p1_subprotocols_are_masked_and_chosen_by_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let offered = format!(
        "Sec-WebSocket-Protocol: realtime, key.{TOKEN}\r\nSec-WebSocket-Protocol: beta\r\n"
    );
    for (chosen, answered) in [
        ("", None),
        ("realtime", Some("realtime".to_owned())),
        ("beta", Some("beta".to_owned())),
        // The client knows it by what it said itself.
        ("key.x_token", Some(format!("key.{TOKEN}"))),
    ] {
        let agreed = if chosen.is_empty() {
            String::new()
        } else {
            format!("Sec-WebSocket-Protocol: {chosen}\r\n")
        };
        let (_, peer, answer) = open_with(sidecar.connect(), &upstream, &offered, &agreed);
        assert_eq!(answer.header("sec-websocket-protocol"), answered);
        assert!(contains(&peer.wire.seen, "realtime, key.x_token\r\n"));
        assert!(!contains(&peer.wire.seen, TOKEN));
    }
}

#[test]
fn a_refusal_upstream_reaches_the_client_as_it_is() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (status, headers) in [
        ("401 Unauthorized", "WWW-Authenticate: Bearer\r\n"),
        ("404 Not Found", ""),
        (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        ),
        ("429 Too Many Requests", "Retry-After: 1\r\n"),
        ("200 OK", "Content-Type: text/plain\r\n"),
    ] {
        let mut client = sidecar.connect();
        client.send(opening("/p/v1/responses", ""));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: 7\r\n\r\nbecause"
        ));
        let answer = client.message("GET");
        assert!(answer.line().ends_with(status), "{}", answer.head);
        assert!(answer.complete && answer.body == b"because");
        assert_eq!(answer.header("upgrade"), None);
        if let Some((name, value)) = headers.split("\r\n").next().unwrap().split_once(": ")
            && name != "Upgrade"
        {
            assert_eq!(answer.header(name).unwrap(), value);
        }
        // The connection is one for HTTP still.
        client.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(
            client.message("GET").error(),
            (404, "route_unknown".to_owned())
        );
    }
}

#[test]
fn with_mask_responses_the_head_and_what_follows_it_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::masking_answers(&upstream, Limits::default());
    let echoed = format!("X-Echo: got {TOKEN}\r\nX-{TOKEN}: 1\r\n");
    let protocol = "Sec-WebSocket-Protocol: key.x_token\r\n";
    let (mut client, mut peer, answer) = open_with(
        sidecar.connect(),
        &upstream,
        &format!("Sec-WebSocket-Protocol: key.{TOKEN}\r\nAccept-Encoding: gzip, snappy\r\n"),
        &format!("{echoed}{protocol}"),
    );
    assert_eq!(answer.header("x-echo").as_deref(), Some("got x_token"));
    assert_eq!(answer.header(&format!("x-{TOKEN}").to_lowercase()), None);
    // Its own word comes back to the client, which knows no other.
    let own = format!("key.{TOKEN}");
    assert_eq!(answer.header("sec-websocket-protocol"), Some(own));
    assert!(contains(&peer.wire.seen, "accept-encoding: gzip\r\n"));
    peer.send(TEXT, format!("{{\"you said\": \"{TOKEN}\"}}"));
    assert_eq!(client.text(), r#"{"you said": "x_token"}"#);

    let mut client = sidecar.connect();
    client.send(opening("/p/v1/responses", ""));
    let mut peer = upstream.accept();
    peer.request();
    let body = format!("no {TOKEN} here");
    peer.send(format!(
        "HTTP/1.1 401 Unauthorized\r\n{echoed}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.message("GET");
    assert_eq!(answer.header("x-echo").as_deref(), Some("got x_token"));
    assert!(answer.complete && answer.body == b"no x_token here");
}

#[test]
fn a_bad_answer_upstream_is_a_502() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let good = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, code) in [
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), "upstream_garbage"),
        (
            format!("HTTP/1.1 101 Yes\r\n{good}\r\n"),
            "upstream_handshake",
        ),
        (
            format!(
                "HTTP/1.1 101 Yes\r\n{good}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            ),
            "upstream_handshake",
        ),
        ("ACCEPT Upgrade: h2c\r\n".to_owned(), "upstream_handshake"),
        (
            "ACCEPT Sec-WebSocket-Protocol: mine\r\n".to_owned(),
            "upstream_handshake",
        ),
        (
            "ACCEPT Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned(),
            "upstream_handshake",
        ),
        (String::new(), "upstream_closed"),
    ] {
        let mut client = sidecar.connect();
        client.send(opening("/p/v1/responses", ""));
        let mut peer = upstream.accept();
        let request = peer.request();
        match answer.strip_prefix("ACCEPT ") {
            Some(headers) => peer.send(accepting(&request, headers)),
            None if answer.is_empty() => peer.half_close(),
            None => peer.send(&answer),
        }
        let seen = client.message("GET");
        assert_eq!(seen.error(), (502, code.to_owned()), "{answer}");
        peer.end();
    }
    // Nobody there at all.
    let config = config("http://127.0.0.1:1", Limits::default());
    let sidecar = Sidecar::with(&config, super::model_kit::SECRETS);
    let answer = sidecar.refused(opening("/p/v1/responses", "").as_bytes());
    assert_eq!(answer.error(), (502, "upstream_unreachable".to_owned()));
}

#[test]
fn an_upstream_that_answers_no_handshake_is_a_504() {
    let upstream = Upstream::bind();
    let limits = Limits {
        response_timeout: std::time::Duration::from_millis(300),
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut client = sidecar.connect();
    client.send(opening("/p/v1/responses", ""));
    let mut peer = upstream.accept();
    // The time covers the dial too: on a machine that stands still it may be over before the request is written.
    peer.request_or_end();
    assert_eq!(
        client.message("GET").error(),
        (504, "upstream_timeout".to_owned())
    );
    peer.end();
}

#[test]
fn what_opens_no_websocket_is_refused_before_anything_is_sent() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let good = opening("/p/v1/responses", "");
    let with = |header: &str| opening("/p/v1/responses", header);
    let mut long = String::new();
    for n in 0..130 {
        write!(long, "X-{n}: 1\r\n").unwrap();
    }
    for (request, status, code) in [
        (good.replace("GET ", "POST "), 400, "websocket_handshake"),
        (
            good.replace("HTTP/1.1", "HTTP/1.0"),
            400,
            "websocket_handshake",
        ),
        (
            good.replace("Connection: Upgrade\r\n", ""),
            400,
            "websocket_handshake",
        ),
        (good.replace(KEY, "short"), 400, "websocket_handshake"),
        (
            good.replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""),
            400,
            "websocket_handshake",
        ),
        (
            with(&format!("Sec-WebSocket-Key: {KEY}\r\n")),
            400,
            "websocket_handshake",
        ),
        (
            with("Sec-WebSocket-Protocol: a b\r\n"),
            400,
            "websocket_handshake",
        ),
        (
            with("Content-Length: 5\r\n") + "hello",
            400,
            "websocket_handshake",
        ),
        (
            with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            400,
            "websocket_handshake",
        ),
        (
            good.replace("Version: 13", "Version: 8"),
            426,
            "websocket_version",
        ),
        (
            with("Origin: http://localhost:8601\r\n"),
            403,
            "origin_foreign",
        ),
        (
            with("Sec-Fetch-Site: same-origin\r\n"),
            403,
            "origin_foreign",
        ),
        (
            good.replace("Host: localhost", "Host: evil.example"),
            421,
            "host_foreign",
        ),
        (good.replace("/p/v1", "/q/v1"), 404, "route_unknown"),
        (good.replace("/p/v1", "/p/../v1"), 400, "path_ambiguous"),
        (with(&format!("X-{TOKEN}: 1\r\n")), 400, "secret_in_name"),
    ] {
        let answer = sidecar.refused(request.as_bytes());
        assert_eq!(answer.error(), (status, code.to_owned()), "{request}");
        if status == 426 {
            assert_eq!(answer.header("sec-websocket-version").unwrap(), "13");
        }
    }
    assert_eq!(sidecar.refused(with(&long).as_bytes()).status(), 431);
    assert!(upstream.is_untouched());
}

#[test]
fn a_placeholder_that_is_no_subprotocol_is_refused() {
    let upstream = Upstream::bind();
    let mut config = config(&upstream.url(), Limits::default());
    config.placeholder.output = bauta::config::Spelling::Braces;
    let sidecar = Sidecar::with(&config, super::model_kit::SECRETS);
    let request = opening("/p/x", &format!("Sec-WebSocket-Protocol: {TOKEN}\r\n"));
    let answer = sidecar.refused(request.as_bytes());
    assert_eq!(answer.error(), (400, "masked_head_invalid".to_owned()));
    assert!(upstream.is_untouched());
}

#[test]
fn a_client_that_leaves_during_the_handshake_ends_it_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send(opening("/p/v1/responses", ""));
    let mut peer = upstream.accept();
    let request = peer.request();
    client.reset();
    // Before the answer or with it: in either case nobody is left.
    let _ = peer.try_send(accepting(&request, ""));
    assert!(matches!(peer.end(), End::Close | End::Reset));
}
