//! `mask_responses`: what comes back is masked, in every coding, event by event.

use std::thread;

use bauta::config::Limits;

use super::coders::{CODINGS, brotli, gzip, noise, zstd};
use super::model_kit::{
    Message, OK, SECRETS, Sidecar, TOKEN, Upstream, VALUE, Wire, config, contains, last, post,
};

fn masking(upstream: &Upstream) -> Sidecar {
    Sidecar::masking_answers(upstream, Limits::default())
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// What a client gets that sends this request where upstream answers so, and what upstream saw.
fn exchange(
    sidecar: &Sidecar,
    upstream: &Upstream,
    request: &[u8],
    answer: Vec<u8>,
) -> (Message, Message) {
    let mut client = sidecar.connect();
    client.send(request);
    let mut peer = upstream.accept();
    let seen = peer.request();
    let method = seen.line().split(' ').next().unwrap().to_owned();
    let writer = thread::spawn(move || {
        // The sidecar may have enough of it before its end.
        let _ = peer.try_send(last(answer));
    });
    let got = client.message(&method);
    writer.join().unwrap();
    for value in [VALUE, TOKEN, "tr0ub4dor"] {
        assert!(!contains(&client.seen, value), "{}", client.shown());
    }
    (got, seen)
}

fn get(sidecar: &Sidecar, upstream: &Upstream, answer: Vec<u8>) -> Message {
    let request = b"GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    exchange(sidecar, upstream, request, answer).0
}

#[test]
fn p1_answers_of_every_type_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let escaped = serde_json::to_string(VALUE).unwrap();
    for (content_type, body, expected) in [
        (
            "application/json",
            format!("{{\"a\": {escaped}, \"b\":  1}}"),
            "{\"a\": \"x_password\", \"b\":  1}",
        ),
        (
            "application/json; charset=utf-8",
            format!("{{\"{TOKEN}\":null}}"),
            "{\"x_token\":null}",
        ),
        (
            "text/plain",
            format!("a {TOKEN}{TOKEN} b"),
            "a x_tokenx_token b",
        ),
        (
            "text/html; charset=ISO-8859-1",
            format!("<p>{TOKEN}</p>"),
            "<p>x_token</p>",
        ),
        (
            "text/event-stream",
            format!("data: {{\"t\":{escaped}}}\n\n"),
            "data: {\"t\":\"x_password\"}\n\n",
        ),
        (
            "application/octet-stream",
            format!("\0{TOKEN}\0"),
            "\0x_token\0",
        ),
        (
            "application/json",
            "{\"a\": \"nothing\"}".to_owned(),
            "{\"a\": \"nothing\"}",
        ),
    ] {
        let headers = format!("Content-Type: {content_type}\r\n");
        let got = get(&sidecar, &upstream, answer(&headers, body.as_bytes()));
        assert_eq!((got.status(), got.complete), (200, true), "{content_type}");
        assert_eq!(String::from_utf8_lossy(&got.body), expected);
        assert_eq!(got.header("content-type").as_deref(), Some(content_type));
        assert!(got.headers("content-length").is_empty(), "{}", got.head);
    }
    // Without a type, and with two.
    for headers in [
        "",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
    ] {
        let got = get(
            &sidecar,
            &upstream,
            answer(headers, format!("{{\"a\":{escaped}}}").as_bytes()),
        );
        assert_eq!(got.body, b"{\"a\":\"x_password\"}", "{headers}");
    }
    // Upstream's own errors pass, masked too.
    let error = format!("{{\"error\":\"bad key {TOKEN}\"}}");
    let head = format!(
        "HTTP/1.1 401 No {TOKEN}\r\nContent-Length: {}\r\n\r\n",
        error.len()
    );
    let got = get(&sidecar, &upstream, [head, error].concat().into_bytes());
    assert_eq!(got.status(), 401);
    assert_eq!(got.body, b"{\"error\":\"bad key x_token\"}");
}

#[test]
fn p1_headers_of_answers_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let headers = format!(
        "X-Echo: is {TOKEN}\r\nLocation: /a?k=sk%2Dlive-51Hx2eKfQ9wZ\r\nSet-Cookie: a=1\r\nSet-Cookie: b={TOKEN}\r\nX-{TOKEN}: 1\r\nX-Same: 1\r\n"
    );
    let rows = [
        ("GET", answer(&headers, b"{}")),
        ("HEAD", format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 500\r\nContent-Encoding: unheard-of\r\n\r\n").into_bytes()),
        ("GET", format!("HTTP/1.1 204 No Content\r\n{headers}\r\n").into_bytes()),
        ("GET", format!("HTTP/1.1 304 Not Modified\r\n{headers}Content-Encoding: br\r\n\r\n").into_bytes()),
        ("GET", answer(&headers, b"")),
    ];
    for (method, answer) in rows {
        let request = format!("{method} /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let bodiless = !answer.ends_with(b"{}");
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let (got, _) = exchange(&sidecar, &upstream, request.as_bytes(), answer);
        assert_eq!(got.header("x-echo").as_deref(), Some("is x_token"));
        assert!(
            got.header("location").unwrap().starts_with("/p/a?k=x_"),
            "{}",
            got.head
        );
        assert_eq!(got.headers("set-cookie"), ["a=1", "b=x_token"]);
        assert_eq!(got.header("x-same").as_deref(), Some("1"));
        // What says how long a body would be stays where there is none.
        for name in ["Content-Length", "Content-Encoding"] {
            let was = shown
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}: ")));
            let kept = was.filter(|_| bodiless).map(str::trim_end);
            assert_eq!(got.header(name).as_deref(), kept, "{method} {}", got.head);
        }
    }
}

#[test]
fn p1_answers_in_every_coding_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let (text, expected) = (format!("{{\"a\":\"{TOKEN}\"}}"), b"{\"a\":\"x_token\"}");
    for (coding, encode) in CODINGS {
        let body = encode(text.as_bytes());
        let headers = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
        let got = get(&sidecar, &upstream, answer(&headers, &body));
        assert!(got.complete);
        assert_eq!(got.body, expected, "{coding}");
        assert!(got.headers("content-encoding").is_empty(), "{}", got.head);
        // One byte at a time, the end by the connection's end.
        let mut chunked =
            format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for byte in &body {
            chunked.extend_from_slice(&[b"1\r\n", &[*byte][..], b"\r\n"].concat());
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(get(&sidecar, &upstream, chunked).body, expected, "{coding}");
    }
    let body = brotli(&zstd(&gzip(text.as_bytes())));
    let got = get(
        &sidecar,
        &upstream,
        answer("Content-Encoding: gzip, zstd, br\r\n", &body),
    );
    assert_eq!(got.body, expected);
}

#[test]
fn p6_answers_that_cannot_be_read_are_a_502() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let mut rows = vec![
        answer("Content-Encoding: compress\r\n", b"whatever"),
        answer("Content-Encoding: gzip, unheard-of\r\n", b"whatever"),
        answer("Content-Encoding: gzip, gzip, gzip, gzip\r\n", b"whatever"),
        answer("Grpc-Encoding: gzip\r\n", b"\x01\0\0\0\x01x"),
        answer("Connect-Content-Encoding: br\r\n", b"\x01\0\0\0\x01x"),
        answer("Content-Type: application/json; charset=utf-16\r\n", b"{\0}\0"),
        answer("Content-Type: text/plain; charset=utf-7\r\n", b"+AGE-"),
        answer("Content-Type: text/plain; charset*=''utf-16be\r\n", b"\0a"),
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    ];
    for row in &mut rows {
        let got = get(&sidecar, &upstream, std::mem::take(row));
        assert_eq!(got.error(), (502, "answer_unreadable".to_owned()));
    }
}

#[test]
fn p6_an_answer_that_breaks_inside_never_looks_complete() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let text = [format!("{{\"a\":\"{TOKEN}\"}}").into_bytes(), noise(300)].concat();
    for (coding, encode) in CODINGS {
        let headers = format!("Content-Encoding: {coding}\r\n");
        let whole = encode(&text);
        let bombs = encode(&vec![b' '; 32 << 20]);
        let bodies = [
            whole[..whole.len() / 2].to_vec(),
            whole[..whole.len() - 1].to_vec(),
            [&whole[..], b"junk"].concat(),
            bombs,
            text.clone(),
        ];
        for body in bodies {
            assert_cut(&sidecar, &upstream, answer(&headers, &body));
        }
    }
    // Not UTF-8, without saying so.
    for (content_type, body) in [
        ("", &b"\xff\xfes\0k\0"[..]),
        ("", b"\n\0\0\0{\0\0\0"),
        ("application/json", b" \0\0\0{\0\0\0"),
        ("application/json", b"\x001"),
        ("text/plain", b"s\0k\0"),
        ("text/event-stream", b"d\0a\0"),
    ] {
        let headers = match content_type {
            "" => String::new(),
            content_type => format!("Content-Type: {content_type}\r\n"),
        };
        assert_cut(&sidecar, &upstream, answer(&headers, body));
    }
    // Sound begins as it likes.
    let sound = [b"\xfe\xff\x01\0", TOKEN.as_bytes()].concat();
    let got = get(
        &sidecar,
        &upstream,
        answer("Content-Type: audio/pcm\r\n", &sound),
    );
    assert_eq!(got.body, b"\xfe\xff\x01\0x_token");
    // What the framing says is cut stays cut.
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome";
    assert_cut(&sidecar, &upstream, short.to_vec());
}

/// What the client gets of this answer does not look complete, and holds no value.
fn assert_cut(sidecar: &Sidecar, upstream: &Upstream, answer: Vec<u8>) {
    let mut client = sidecar.connect();
    client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
    let writer = thread::spawn(move || {
        let _ = peer.try_send(last(answer));
    });
    // It may be known before the head has left.
    if let Some(got) = client.message_or_end("GET") {
        assert!(!got.complete, "{shown}");
    }
    writer.join().unwrap();
    assert!(!contains(&client.seen, TOKEN), "{shown}");
}

fn event(text: &str) -> String {
    format!(
        "event: delta\ndata: {{\"text\":{}}}\n\n",
        serde_json::to_string(text).unwrap()
    )
}

/// What becomes of a stream of events that comes in pieces of that size.
fn events(sidecar: &Sidecar, upstream: &Upstream, text: &str, size: usize) -> String {
    let mut client = sidecar.connect();
    client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    peer.send(head);
    for piece in text.as_bytes().chunks(size) {
        send_chunk(&mut peer, piece);
    }
    peer.send("0\r\n\r\n");
    let got = client.message("GET");
    assert!(got.complete);
    String::from_utf8(got.body).unwrap()
}

#[test]
fn p1_what_stands_in_a_line_of_data_is_read_as_a_text_of_its_own() {
    let upstream = Upstream::bind();
    let mut config = config(&upstream.url(), Limits::default());
    config.model.as_mut().unwrap().mask_responses = true;
    let secrets = format!(
        r#"{{"https://example.com": {{"x_pin": "739154", "x_user": "user", "x_token": "{TOKEN}"}}}}"#
    );
    let sidecar = Sidecar::with(&config, &secrets);
    for (text, expected) in [
        // A name in place of a number is a string.
        (
            "data: {\"n\": 739154, \"l\": [739154]}\n\n",
            "data: {\"n\": \"x_pin\", \"l\": [\"x_pin\"]}\n\n",
        ),
        ("data:{\"n\":739154}\n\n", "data:{\"n\":\"x_pin\"}\n\n"),
        // A short value is no part of JSON's structure.
        (
            "data: {\"role\":\"user\",\"user\":\"a user\"}\n\n",
            "data: {\"role\":\"user\",\"user\":\"a x_user\"}\n\n",
        ),
        // Each line begins anew, whatever the last one left open.
        (
            "event: a\ndata: {\"a\": \"\ndata: {\"n\":739154}\n\n",
            "event: a\ndata: {\"a\": \"\ndata: {\"n\":\"x_pin\"}\n\n",
        ),
        (
            "data: {\"n\":739154}\r\n\r\ndata: {\"n\":739154}\r\n\r\n",
            "data: {\"n\":\"x_pin\"}\r\n\r\ndata: {\"n\":\"x_pin\"}\r\n\r\n",
        ),
        (
            "data: {\"n\":739154}\r\rdata: {\"role\":\"user\"}\r\r",
            "data: {\"n\":\"x_pin\"}\r\rdata: {\"role\":\"user\"}\r\r",
        ),
        // What is no JSON is text, and so is every other line.
        ("data: pin 739154 user\n\n", "data: pin x_pin x_user\n\n"),
        (
            ": user 739154\nid: 739154\nretry: 1\ndata\n\n",
            ": x_user x_pin\nid: x_pin\nretry: 1\ndata\n\n",
        ),
        (
            "dat: 739154\ndata : 739154\n data: 739154\n",
            "dat: x_pin\ndata : x_pin\n data: x_pin\n",
        ),
        ("data: [DONE]\n\n", "data: [DONE]\n\n"),
        // It may end anywhere.
        ("data: {\"n\":739154", "data: {\"n\":\"x_pin\""),
        ("\n\ndata: {\"n\":739154}", "\n\ndata: {\"n\":\"x_pin\"}"),
        ("data:", "data:"),
        ("id: 739154", "id: x_pin"),
    ] {
        for size in [1, 2, 7, text.len()] {
            let got = events(&sidecar, &upstream, text, size);
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }
}

/// Client and upstream of an exchange whose answer has begun, with that head.
fn begun(
    sidecar: &Sidecar,
    upstream: &Upstream,
    request: impl AsRef<[u8]>,
    head: impl AsRef<[u8]>,
) -> (Wire, Wire) {
    let mut client = sidecar.connect();
    client.send(request);
    let mut peer = upstream.accept();
    peer.request();
    peer.send(head);
    let got = client.head();
    assert!(got.contains("text/event-stream"), "{got}");
    (client, peer)
}

const GET: &str = "GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn send_chunk(peer: &mut Wire, bytes: &[u8]) {
    peer.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
}

/// What its last line ends with could go on as an escape, or as base64.
#[test]
fn an_event_goes_on_with_its_empty_line() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let (mut client, mut peer) = begun(&sidecar, &upstream, GET, EVENTS);
    for last in [
        "id: MTc2NDA=",
        "id: x%3D",
        ": a=",
        "id: a&",
        "id: sk-live-",
        "data: a=",
        "id: a\\",
    ] {
        for end in ["\n", "\r\n", "\r"] {
            let event = format!("data: {{\"a\":1}}{end}{last}{end}{end}");
            send_chunk(&mut peer, event.as_bytes());
            let mut got = Vec::new();
            // All of it, before anything else comes.
            while got.len() < event.len() {
                got.extend_from_slice(&client.chunk().unwrap());
            }
            assert_eq!(String::from_utf8(got).unwrap(), event);
        }
    }
    peer.send("0\r\n\r\n");
    assert_eq!(client.chunk(), Some(Vec::new()));
}

#[test]
fn p1_events_pass_one_by_one_in_lockstep_and_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let texts = [
        "plain",
        TOKEN,
        "two words",
        VALUE,
        "",
        "YWJjZGVmZ2hpamtsbW5vcA==",
        "deadbeefdeadbeef",
        "ends in sk-live",
        "[DONE]",
        "100%",
        "a&amp;b",
        "\u{e9}\u{1f600}\n\n",
    ];
    for round in 0..2 {
        let request = post(
            "/p/v1/messages",
            "Accept: text/event-stream\r\n",
            b"{\"stream\":true}",
        );
        let (mut client, mut peer) = begun(&sidecar, &upstream, request, last(EVENTS));
        for text in texts.iter().cycle().take(50) {
            let expected = match *text {
                TOKEN => event("x_token"),
                VALUE => event("x_password"),
                text => event(text),
            };
            // The next event is sent only after the client has this one.
            if round == 0 {
                send_chunk(&mut peer, event(text).as_bytes());
                assert_eq!(
                    String::from_utf8(client.chunk().unwrap()).unwrap(),
                    expected
                );
            } else {
                for byte in event(text).bytes() {
                    send_chunk(&mut peer, &[byte]);
                }
                let mut got = Vec::new();
                while got.len() < expected.len() {
                    got.extend_from_slice(&client.chunk().unwrap());
                }
                assert_eq!(String::from_utf8(got).unwrap(), expected);
            }
        }
        // As a stream really ends.
        send_chunk(&mut peer, b"data: [DONE]\n\n");
        assert_eq!(client.chunk().unwrap(), b"data: [DONE]\n\n");
        peer.send("0\r\n\r\n");
        assert_eq!(client.chunk(), Some(Vec::new()));
        for value in [VALUE, TOKEN] {
            assert!(!contains(&client.seen, value));
        }
    }
}

#[test]
fn p1_coded_events_pass_one_by_one_in_lockstep() {
    use std::io::Write;
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let request = "GET /p/x HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut client, mut peer) = begun(&sidecar, &upstream, request, head);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for text in ["a", TOKEN, "b", VALUE, "c"].iter().cycle().take(20) {
        encoder.write_all(event(text).as_bytes()).unwrap();
        encoder.flush().unwrap();
        send_chunk(&mut peer, &std::mem::take(encoder.get_mut()));
        let expected = match *text {
            TOKEN => event("x_token"),
            VALUE => event("x_password"),
            text => event(text),
        };
        let mut got = Vec::new();
        while got.len() < expected.len() {
            got.extend_from_slice(&client.chunk().unwrap());
        }
        assert_eq!(String::from_utf8(got).unwrap(), expected);
    }
    send_chunk(&mut peer, &encoder.finish().unwrap());
    peer.send("0\r\n\r\n");
    assert_eq!(client.chunk(), Some(Vec::new()));
}

#[test]
fn p1_a_value_split_over_pieces_of_an_answer_is_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    for at in 1..TOKEN.len() {
        let mut client = sidecar.connect();
        client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut peer = upstream.accept();
        peer.request();
        peer.send(last(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
        ));
        client.head();
        send_chunk(&mut peer, format!("so: {}", &TOKEN[..at]).as_bytes());
        // Only what could begin the value is held back.
        assert_eq!(client.chunk().unwrap(), b"so: ");
        send_chunk(&mut peer, format!("{}!", &TOKEN[at..]).as_bytes());
        peer.send("0\r\n\r\n");
        let mut rest = Vec::new();
        while let Some(chunk) = client.chunk().filter(|chunk| !chunk.is_empty()) {
            rest.extend_from_slice(&chunk);
        }
        assert_eq!(String::from_utf8(rest).unwrap(), "x_token!", "{at}");
    }
}

#[test]
fn requests_ask_for_nothing_that_could_not_be_masked() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    for (asked, wanted) in [
        ("", "identity"),
        (
            "Accept-Encoding: gzip, deflate, br, zstd\r\n",
            "gzip, deflate, br, zstd",
        ),
        (
            "Accept-Encoding: GZIP;q=0.5 , dcb,x-unheard;q=1, br;q=0\r\n",
            "GZIP;q=0.5, br;q=0",
        ),
        (
            "Accept-Encoding: gzip\r\nAccept-Encoding: zstd\r\n",
            "gzip, zstd",
        ),
        ("Accept-Encoding: *\r\n", "identity"),
        ("Accept-Encoding:\r\n", "identity"),
        ("Accept-Encoding: compress\r\n", "identity"),
    ] {
        let request = post(
            "/p/x",
            &format!("{asked}Range: bytes=0-5\r\nIf-Range: \"a\"\r\n"),
            b"{}",
        );
        let (_, seen) = exchange(&sidecar, &upstream, &request, OK.into());
        assert_eq!(
            seen.header("accept-encoding").as_deref(),
            Some(wanted),
            "{asked}"
        );
        assert!(seen.headers("range").is_empty() && seen.headers("if-range").is_empty());
    }
}

#[test]
fn a_long_answer_is_masked_in_little_memory_and_its_connection_is_used_again() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let mut client = sidecar.connect();
    client.send("GET /p/1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    let body = [noise(12 << 20), TOKEN.as_bytes().to_vec()].concat();
    let length = body.len();
    let writer = thread::spawn(move || {
        peer.send(answer("Content-Type: text/plain\r\n", &body));
        peer
    });
    let got = client.message("GET");
    assert!(got.complete && got.body.ends_with(b"x_token"));
    assert_eq!(got.body.len(), length - TOKEN.len() + "x_token".len());
    let mut peer = writer.join().unwrap();
    client.send("GET /p/2 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(peer.request().line().contains("/2 "));
    peer.send(OK);
    assert_eq!(client.message("GET").body, b"ok");
    assert!(
        upstream.is_untouched(),
        "one upstream connection did for both"
    );
}

#[test]
fn a_client_of_http_1_0_gets_a_masked_answer() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let request = b"GET /p/x HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let (got, _) = exchange(&sidecar, &upstream, request, answer("", TOKEN.as_bytes()));
    assert!(
        got.complete && got.headers("transfer-encoding").is_empty(),
        "{}",
        got.head
    );
    assert_eq!(got.body, b"x_token");
}

#[test]
fn a_client_that_leaves_closes_the_masked_answer_upstream() {
    let upstream = Upstream::bind();
    let sidecar = masking(&upstream);
    let mut client = sidecar.connect();
    client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunk(&mut peer, b"first ");
    client.head();
    assert_eq!(client.chunk().unwrap(), b"first ");
    drop(client);
    peer.end();
}

#[test]
fn without_the_setting_or_without_secrets_answers_pass_as_they_come() {
    let upstream = Upstream::bind();
    let plain = Sidecar::before(&upstream);
    let mut without_secrets = config(&upstream.url(), Limits::default());
    if let Some(model) = &mut without_secrets.model {
        model.mask_responses = true;
    }
    let without_secrets = Sidecar::with(&without_secrets, "{}");
    assert!(SECRETS.contains(TOKEN));
    for sidecar in [&plain, &without_secrets] {
        for body in [TOKEN.as_bytes().to_vec(), b"not gzip".to_vec()] {
            let mut client = sidecar.connect();
            client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-5\r\nAccept-Encoding: x\r\n\r\n");
            let mut peer = upstream.accept();
            let seen = peer.request();
            assert_eq!(seen.header("accept-encoding").as_deref(), Some("x"));
            assert_eq!(seen.header("range").as_deref(), Some("bytes=0-5"));
            peer.send(last(answer("Content-Encoding: gzip\r\n", &body)));
            let got = client.message("GET");
            assert_eq!(got.body, body);
            assert_eq!(
                got.header("content-length").unwrap(),
                body.len().to_string()
            );
            assert_eq!(got.header("content-encoding").as_deref(), Some("gzip"));
        }
    }
}
