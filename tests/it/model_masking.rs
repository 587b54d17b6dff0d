//! What leaves through the model channel: values nowhere, everything else as it was.

use super::model_kit::{
    OK, SECRETS, Sidecar, TOKEN, Upstream, VALUE, config, contains, last, post,
};
use bauta::config::Limits;

/// Standard base64, by hand: the tests know nothing of the engine.
fn base64_of(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

/// Sends a request and returns what the upstream saw of it.
fn through(sidecar: &Sidecar, upstream: &Upstream, request: &[u8]) -> super::model_kit::Message {
    let mut client = sidecar.connect();
    client.send(request);
    let mut peer = upstream.accept();
    let message = peer.request();
    // Said, as the next request must not meet a connection that is about to be dropped.
    peer.send(last(OK));
    assert_eq!(client.message("POST").body, b"ok");
    assert!(
        !contains(&peer.seen, VALUE) && !contains(&peer.seen, TOKEN),
        "{}",
        peer.shown()
    );
    message
}

#[test]
fn p1_bodies_of_every_type_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (content_type, body, expected) in [
        (
            "application/json",
            format!(r#"{{"k": "is {TOKEN}"}}"#),
            r#"{"k": "is x_token"}"#,
        ),
        (
            "application/json",
            format!(r#"{{"{TOKEN}": 1}}"#),
            r#"{"x_token": 1}"#,
        ),
        (
            "text/plain",
            format!("a {TOKEN} b {VALUE}"),
            "a x_token b x_password",
        ),
        (
            "application/x-ndjson",
            format!("{{\"a\":\"{TOKEN}\"}}\n{{}}\n"),
            "{\"a\":\"x_token\"}\n{}\n",
        ),
        (
            "application/x-www-form-urlencoded",
            format!("a={TOKEN}&b=1"),
            "a=x_token&b=1",
        ),
        (
            "multipart/form-data; boundary=b",
            format!("--b\r\n\r\n{TOKEN}\r\n--b--"),
            "--b\r\n\r\nx_token\r\n--b--",
        ),
        (
            "application/octet-stream",
            format!("\u{0}\u{1}{TOKEN}"),
            "\u{0}\u{1}x_token",
        ),
    ] {
        let seen = through(
            &sidecar,
            &upstream,
            &post(
                "/p/x",
                &format!("Content-Type: {content_type}\r\n"),
                body.as_bytes(),
            ),
        );
        assert_eq!(
            String::from_utf8_lossy(&seen.body),
            expected,
            "{content_type}"
        );
        assert_eq!(
            seen.header("content-length").unwrap(),
            expected.len().to_string()
        );
        assert_eq!(seen.header("content-type").unwrap(), content_type);
    }
    let seen = through(
        &sidecar,
        &upstream,
        &post("/p/x", "", format!(r#"{{"k":"{TOKEN}"}}"#).as_bytes()),
    );
    assert_eq!(seen.body, br#"{"k":"x_token"}"#, "no content type");
}

#[test]
fn p1_path_query_and_headers_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let basic = base64_of(&format!("user:{TOKEN}"));
    let request = format!(
        "POST /p/v1/{TOKEN}/x?key={TOKEN}&a=b%20c HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         X-Note: {VALUE}\r\nX-Note: plain\r\nX-Basic: Basic {basic}\r\nCookie: a={TOKEN}\r\nContent-Length: 0\r\n\r\n"
    );
    let seen = through(&sidecar, &upstream, request.as_bytes());
    assert_eq!(
        seen.line(),
        "POST /v1/x_token/x?key=x_token&a=b%20c HTTP/1.1"
    );
    assert_eq!(seen.header("authorization").unwrap(), "Bearer x_token");
    assert_eq!(seen.headers("x-note"), ["x_password", "plain"]);
    assert_eq!(seen.header("cookie").unwrap(), "a=x_token");
    assert!(!contains(seen.head.as_bytes(), &basic), "{}", seen.head);
}

#[test]
fn p1_every_method_and_every_part_of_a_query_is_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = format!(r#"{{"{TOKEN}":["{TOKEN}"]}}"#);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
        // What a target has no room for (RFC 9112, 3.2), its fragment, does not go on.
        let request = format!(
            "{method} /p/x?{TOKEN}=1&b[{TOKEN}]&%73{}=;{TOKEN}#{TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            &TOKEN[1..],
            body.len()
        );
        let seen = through(&sidecar, &upstream, request.as_bytes());
        let target = "/x?x_token=1&b[x_token]&x_token=;x_token";
        assert_eq!(seen.line(), format!("{method} {target} HTTP/1.1"));
        assert_eq!(seen.body, br#"{"x_token":["x_token"]}"#, "{method}");
    }
}

#[test]
fn p1_names_that_cannot_be_masked_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(
        &config(&upstream.url(), Limits::default()),
        r#"{"https://example.com": {"x_token": "sk-live-token-one", "x_word": "WORDWORDWORD"}}"#,
    );
    let clean =
        b"GET /p/ HTTP/1.1\r\nHost: localhost\r\nX-Word: 1\r\nAccept: a\r\nAccept: b\r\n\r\n";
    let refused = [
        "GET /p/ HTTP/1.1\r\nHost: localhost\r\nsk-live-token-one: 1\r\n\r\n",
        "WORDWORDWORD /p/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        // Names of headers arrive in lower case.
        "GET /p/ HTTP/1.1\r\nHost: localhost\r\nX-WordWordWord: 1\r\n\r\n",
        // Beside names that are known to be clean.
        "GET /p/ HTTP/1.1\r\nHost: localhost\r\nX-Word: 1\r\nAccept: a\r\nX-WordWordWord: 1\r\n\r\n",
    ];
    let refuse = || {
        for request in refused {
            assert_eq!(
                sidecar.refused(request.as_bytes()).error(),
                (400, "secret_in_name".to_owned())
            );
        }
    };
    refuse();
    refuse();
    assert!(upstream.is_untouched());
    // What was judged once is judged no other way afterwards, clean or not.
    for _ in 0..2 {
        let seen = through(&sidecar, &upstream, clean);
        assert_eq!(seen.headers("accept"), ["a", "b"]);
        refuse();
    }
}

#[test]
fn a_value_that_counts_as_a_word_refuses_no_name() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(
        &config(&upstream.url(), Limits::default()),
        r#"{"https://example.com": {"x_token": "sk-live-token-one", "x_group": "user", "x_verb": "POST"}}"#,
    );
    let request = "POST /p/x HTTP/1.1\r\nHost: localhost\r\nUser-Agent: the user\r\nX-User: sk-live-token-one\r\n\
                   Content-Length: 8\r\n\r\nthe user";
    let seen = through(&sidecar, &upstream, request.as_bytes());
    assert_eq!(seen.line(), "POST /x HTTP/1.1");
    assert_eq!(seen.header("user-agent").unwrap(), "the x_group");
    assert_eq!(seen.header("x-user").unwrap(), "x_token");
    assert_eq!(seen.body, b"the x_group");
    let refused = "POST /p/x HTTP/1.1\r\nHost: localhost\r\nUser-sk-live-token-one: 1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        sidecar.refused(refused.as_bytes()).error(),
        (400, "secret_in_name".to_owned())
    );
}

#[test]
fn p1_a_value_of_several_lines_goes_with_other_line_ends_and_line_by_line() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(
        &config(&upstream.url(), Limits::default()),
        r#"{"https://example.com": {"x_pem": "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\ntD0mVh9d5u2yXcR7pLw1\n-----END KEY-----"}}"#,
    );
    for (body, expected) in [
        (
            r#"{"k":"-----BEGIN KEY-----\r\nMIGHAgEAMBMGByqGSM49\r\ntD0mVh9d5u2yXcR7pLw1\r\n-----END KEY-----"}"#,
            r#"{"k":"x_pem"}"#,
        ),
        (r#"{"k":"2: tD0mVh9d5u2yXcR7pLw1"}"#, r#"{"k":"2: x_pem"}"#),
        (
            r#"{"k":"-----BEGIN KEY-----"}"#,
            r#"{"k":"-----BEGIN KEY-----"}"#,
        ),
    ] {
        let request = post(
            "/p/x",
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        );
        let seen = through(&sidecar, &upstream, &request);
        assert_eq!(String::from_utf8_lossy(&seen.body), expected);
    }
}

#[test]
fn p6_codings_and_charsets_that_cannot_be_read_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (header, expected) in [
        ("Content-Encoding: compress", (415, "content_coding")),
        ("Content-Encoding: identity, dcz", (415, "content_coding")),
        ("Content-Encoding: gzip, br, x", (415, "content_coding")),
        ("Content-Encoding: unheard-of", (415, "content_coding")),
        (
            "Content-Type: application/json; charset=utf-16",
            (415, "charset"),
        ),
        (
            "Content-Type: text/plain; charset=\"latin1\"",
            (415, "charset"),
        ),
        (
            "Content-Type: text/plain; charset*=us-ascii''utf-16be",
            (415, "charset"),
        ),
        (
            "Content-Type: application/json; charset*0=utf-16be",
            (415, "charset"),
        ),
        (
            "Content-Type: text/plain\r\nContent-Type: application/json",
            (400, "content_type_ambiguous"),
        ),
    ] {
        let answer = sidecar.refused(&post("/p/x", &format!("{header}\r\n"), b"{}"));
        assert_eq!(
            answer.error(),
            (expected.0, expected.1.to_owned()),
            "{header}"
        );
    }
    assert!(upstream.is_untouched());
    through(
        &sidecar,
        &upstream,
        &post("/p/x", "Content-Encoding: identity\r\n", b"{}"),
    );
}

#[test]
fn p6_a_body_that_shows_to_be_utf_16_is_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let utf16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let marked = [&[0xff, 0xfe][..], &utf16("{}")].concat();
    for (header, body) in [
        ("Content-Type: application/json\r\n", &utf16("{}")),
        ("Content-Type: application/json\r\n", &marked),
        ("Content-Type: text/plain\r\n", &marked),
        ("", &marked),
    ] {
        let answer = sidecar.refused(&post("/p/x", header, body));
        assert_eq!(answer.error(), (415, "charset".to_owned()), "{header}");
    }
    assert!(upstream.is_untouched());
}

/// A character as UTF-16 or UTF-32 has it.
type Unit = fn(char) -> Vec<u8>;

const WIDE: [Unit; 4] = [
    |c| (c as u16).to_le_bytes().to_vec(),
    |c| (c as u16).to_be_bytes().to_vec(),
    |c| (c as u32).to_le_bytes().to_vec(),
    |c| (c as u32).to_be_bytes().to_vec(),
];

#[test]
fn p6_json_in_utf_16_and_utf_32_is_refused_with_blanks_before_it_too() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = format!("{{\"a\": \"{TOKEN}\"}}");
    for (blank, unit) in ["", " ", "\n", "\r\n", "\t", "   "]
        .iter()
        .flat_map(|blank| WIDE.map(|unit| (blank, unit)))
    {
        let body: Vec<u8> = format!("{blank}{text}").chars().flat_map(unit).collect();
        for header in [
            "Content-Type: application/json\r\n",
            "Content-Type: application/vnd.x+json\r\n",
            "Content-Type: text/plain\r\n",
            "",
        ] {
            let got = sidecar.refused(&post("/p/x", header, &body));
            assert_eq!(
                got.error(),
                (415, "charset".to_owned()),
                "{header:?} {:?}",
                &body[..8]
            );
        }
    }
    // A number alone, which only what is declared as JSON could mean.
    let json = "Content-Type: application/json\r\n";
    for unit in WIDE {
        let got = sidecar.refused(&post("/p/x", json, &unit('1')));
        assert_eq!(got.error(), (415, "charset".to_owned()));
    }
    assert!(upstream.is_untouched());
}

#[test]
fn p1_sound_and_pictures_may_begin_as_they_like_and_are_searched() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let openings = [
        &b"\xfe\xff\x01\0"[..],
        b"\xff\xfe\xff\xfe",
        b"\"\0\x01\0",
        b"[\0\0\0",
        b"\0\0\0{",
        b"\0\0\xfe\xff",
    ];
    for opening in openings {
        let body = [opening, TOKEN.as_bytes(), b"\0"].concat();
        let masked = [opening, b"x_token\0"].concat();
        for content_type in ["audio/pcm", "Audio/L16; rate=16000", "video/x", "image/x"] {
            let header = format!("Content-Type: {content_type}\r\n");
            let seen = through(&sidecar, &upstream, &post("/p/x", &header, &body));
            assert_eq!(seen.body, masked, "{content_type} {opening:?}");
        }
    }
    // What may be text all the same.
    for content_type in ["application/octet-stream", "image/svg+xml"] {
        let header = format!("Content-Type: {content_type}\r\n");
        for opening in [openings[0], openings[1], openings[5]] {
            let got = sidecar.refused(&post("/p/x", &header, opening));
            assert_eq!(got.error(), (415, "charset".to_owned()), "{content_type}");
        }
        through(&sidecar, &upstream, &post("/p/x", &header, openings[2]));
    }
    // An MP4 file that nobody says to be one.
    let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0";
    assert_eq!(
        through(&sidecar, &upstream, &post("/p/x", "", mp4)).body,
        mp4
    );
}

#[test]
fn what_a_request_without_a_body_says_of_one_does_not_matter() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for header in [
        "Content-Type: multipart/form-data",
        "Content-Type: application/json; charset=utf-16",
        "Content-Type: text/plain\r\nContent-Type: application/json",
        "Content-Encoding: unheard-of",
    ] {
        for head in [
            "GET /p/x HTTP/1.1\r\n",
            "POST /p/x HTTP/1.1\r\nContent-Length: 0\r\n",
        ] {
            let request = format!("{head}Host: localhost\r\n{header}\r\n\r\n");
            let seen = through(&sidecar, &upstream, request.as_bytes());
            assert!(contains(
                seen.head.to_ascii_lowercase().as_bytes(),
                "content-"
            ));
            assert!(seen.headers("transfer-encoding").is_empty() && seen.body.is_empty());
        }
        // Whoever announces one and sends none is held to what is said of it.
        let request = format!(
            "POST /p/x HTTP/1.1\r\nHost: localhost\r\n{header}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        let status = sidecar.refused(request.as_bytes()).status();
        assert!([400, 415].contains(&status), "{header}: {status}");
    }
    assert!(upstream.is_untouched());
}

#[test]
fn p1_latin_1_is_read_too() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(
        &config(&upstream.url(), Limits::default()),
        r#"{"https://example.com": {"x_password": "p\u00e4sswort-123"}}"#,
    );
    let mut request = b"GET /p/x?p=p%E4sswort-123 HTTP/1.1\r\nHost: localhost\r\nX-P: p".to_vec();
    // "ada:(password)" in Latin-1.
    request.extend_from_slice(b"\xe4sswort-123\r\nX-A: Basic YWRhOnDkc3N3b3J0LTEyMw==\r\n\r\n");
    let seen = through(&sidecar, &upstream, &request);
    assert_eq!(seen.line(), "GET /x?p=x_password HTTP/1.1");
    assert_eq!(seen.header("x-p").unwrap(), "x_password");
    assert_eq!(seen.header("x-a").unwrap(), "Basic YWRhOnhfcGFzc3dvcmQ=");
}

#[test]
fn p7_bodies_without_an_occurrence_arrive_byte_for_byte() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let bytes: Vec<u8> = (0..=255).collect();
    let rows: [(&str, &[u8]); 9] = [
        (
            "application/json",
            b" { \"b\" : 1.0e5,\t\"a\":\"\\u00eb\\/\" } \n",
        ),
        ("application/json", b"{\"cut\": \"off"),
        ("application/json", b"not json at all"),
        ("application/json", b"{\"a\": \"\xff\xfe\xc0\x80\"}"),
        ("application/json", &deep),
        ("text/plain", b"\xc0\xff\xfe \x00 \xc3"),
        ("application/octet-stream", &bytes),
        ("application/x-www-form-urlencoded", b"a=%zz&b=+%20+&&&=%"),
        ("application/json", b""),
    ];
    for (content_type, body) in rows {
        let seen = through(
            &sidecar,
            &upstream,
            &post("/p/x", &format!("Content-Type: {content_type}\r\n"), body),
        );
        assert!(
            seen.body == body,
            "{content_type}: {}",
            String::from_utf8_lossy(&body[..body.len().min(60)])
        );
        assert_eq!(
            seen.header("content-length").unwrap(),
            body.len().to_string()
        );
    }
}

#[test]
fn p1_broken_json_is_masked_as_text() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (body, expected) in [
        (
            format!("{{\"a\": nope {TOKEN}").into_bytes(),
            b"{\"a\": nope x_token".to_vec(),
        ),
        (
            [b"{\"a\": \"\xff\xfe ", TOKEN.as_bytes(), b"\"}"].concat(),
            b"{\"a\": \"\xff\xfe x_token\"}".to_vec(),
        ),
        (TOKEN.as_bytes().to_vec(), b"x_token".to_vec()),
    ] {
        let seen = through(
            &sidecar,
            &upstream,
            &post("/p/x", "Content-Type: application/json\r\n", &body),
        );
        assert_eq!(seen.body, expected);
    }
}

#[test]
fn without_secrets_everything_passes_as_it_came() {
    let upstream = Upstream::bind();
    for text in ["", "{}", r#"{"https://example.com": {}}"#] {
        let sidecar = Sidecar::with(&config(&upstream.url(), Limits::default()), text);
        let seen = {
            let mut client = sidecar.connect();
            client.send(post("/p/v1?k=1", "X-A: 1\r\n", TOKEN.as_bytes()));
            let mut peer = upstream.accept();
            let seen = peer.request();
            peer.send(OK);
            client.message("POST");
            seen
        };
        assert_eq!(seen.body, TOKEN.as_bytes());
        assert_eq!(
            seen.header("content-length").unwrap(),
            TOKEN.len().to_string()
        );
    }
}

#[test]
fn replaced_secrets_hold_for_the_next_request_and_not_for_one_in_flight() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("POST /p/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n");
    // The request has its snapshot now: it asks for its body.
    assert_eq!(client.message("POST").status(), 100);
    let none = super::model_kit::secrets("{}");
    sidecar
        .running()
        .replace_secrets(none, &bauta::config::Config::default());
    client.send(TOKEN);
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    client.message("POST");
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    assert_eq!(
        peer.request().body,
        TOKEN.as_bytes(),
        "the connections live on"
    );
    peer.send(OK);
    client.message("POST");
    let some = super::model_kit::secrets(SECRETS);
    sidecar
        .running()
        .replace_secrets(some, &bauta::config::Config::default());
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    assert_eq!(peer.request().body, b"x_token");
}
