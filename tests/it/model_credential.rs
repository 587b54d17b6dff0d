//! The provider's credential on its way there: where its placeholder becomes its value, and where not.

use std::thread;
use std::time::Duration;

use bauta::config::{Inject, Spelling};

use super::guard_kit::{
    CREDENTIAL, IN_QUERY, KEY, all_events, configured, events, log, sidecar, submission,
    with_headers,
};
use super::model_kit::{Message, OK, Sidecar, TOKEN, Upstream, Wire, contains, last, post};
use super::model_tls::Authority;
use super::model_websocket_kit::Socket;
use super::model_websocket_kit::{TEXT, accepting, opening};

/// What upstream sees of a request.
fn seen(sidecar: &Sidecar, upstream: &Upstream, request: &[u8]) -> Message {
    let mut client = sidecar.connect();
    client.send(request);
    let mut peer = upstream.accept();
    let seen = peer.request();
    peer.send(last(OK));
    assert_eq!(client.message("POST").body, b"ok");
    seen
}

/// The headers of a request that may carry a credential.
fn carried(seen: &Message) -> Vec<String> {
    let names = [
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "cookie",
        "x-auth-token",
        "sec-websocket-protocol",
    ];
    let of = |name: &&str| {
        let all = seen.headers(name).into_iter();
        all.map(|value| format!("{name}: {value}"))
            .collect::<Vec<_>>()
    };
    names.iter().flat_map(of).collect()
}

#[test]
fn p2_the_placeholder_becomes_the_value_wherever_a_client_puts_it() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let mut rows = Vec::new();
    for spelling in Spelling::ALL {
        rows.push((
            format!("Authorization: Bearer {}", spelling.write(KEY)),
            format!("authorization: Bearer {CREDENTIAL}"),
        ));
    }
    for (line, expected) in [
        (
            "AUTHORIZATION:bearer \t x_provider_key",
            "authorization: bearer \t ",
        ),
        ("Authorization: x_provider_key", "authorization: "),
        (
            "Authorization: Token x_provider_key",
            "authorization: Token ",
        ),
        ("X-API-Key: x_provider_key", "x-api-key: "),
        ("x-goog-api-key: {{x_provider_key}}", "x-goog-api-key: "),
        ("api-key:   x_provider_key  ", "api-key: "),
    ] {
        rows.push((line.to_owned(), format!("{expected}{CREDENTIAL}")));
    }
    for (at, (line, expected)) in rows.iter().enumerate() {
        let mut client = sidecar.connect();
        client.send(with_headers(&format!("{line}\r\n")));
        let mut peer = upstream.accept();
        let seen = peer.request();
        // The event was there before the value was sent.
        let events = events(&log(&sidecar));
        assert_eq!(events.len(), at + 1, "{line}");
        let event = &events[at];
        for (field, value) in [
            ("event", "substitute"),
            ("channel", "model"),
            ("agent", "agent"),
            ("key", KEY),
            ("scope", "agent:agent"),
            ("target", "p"),
            ("method", "POST"),
            ("place", "header"),
            ("outcome", "done"),
        ] {
            assert_eq!(event[field], value, "{event}");
        }
        assert_eq!(event["domain"], upstream.url());
        assert_eq!(event["request_id"].as_str().unwrap().len(), 32);
        assert_eq!(carried(&seen), [expected.as_str()]);
        peer.send(last(OK));
        client.message("POST");
        drop(client);
        drop(peer);
    }
    let log = std::fs::read(log(&sidecar)).unwrap();
    assert!(!contains(&log, CREDENTIAL) && !contains(&log, "9fQ2"));
}

#[test]
fn p1_what_stands_before_the_credential_is_masked_unless_it_is_a_scheme() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    for (line, expected) in [
        (
            format!("Authorization: {TOKEN} x_provider_key"),
            "x_token x_provider_key".to_owned(),
        ),
        (
            format!("Authorization: {TOKEN} {CREDENTIAL}"),
            "x_token x_provider_key".to_owned(),
        ),
    ] {
        let got = seen(&sidecar, &upstream, &with_headers(&format!("{line}\r\n")));
        assert_eq!(got.header("authorization").unwrap(), expected);
    }
}

#[test]
fn what_is_no_placeholder_stays_as_it_is() {
    let upstream = Upstream::bind();
    let mut config = configured(&upstream.url(), Inject::Placeholder);
    config.placeholder.accept = vec![Spelling::Bare, Spelling::Braces];
    let sidecar = Sidecar::with(&config, &submission(&upstream.url(), CREDENTIAL, ""));
    for line in [
        "authorization: Bearer x_provider_key2",
        "authorization: Bearer x_provider_key x",
        "authorization: Bearer X_PROVIDER_KEY",
        "authorization: Bearer {{ x_provider_key }}",
        "authorization: Bearer <secret>x_provider_key</secret>",
        "authorization: Bearer %x_provider_key%",
        "authorization: Basic x_provider_key",
        "authorization: Bearer x_token",
        "x-api-key: x_other",
        "x-api-key: Bearer x_provider_key",
        "cookie: x_provider_key",
        "x-auth-token: x_provider_key",
    ] {
        let seen = seen(&sidecar, &upstream, &with_headers(&format!("{line}\r\n")));
        assert_eq!(carried(&seen), [line]);
    }
    // Nor is a query, a path or a body a place for it, nor another route's request.
    let request = post(
        "/p/x_provider_key?k=x_provider_key&Key=x_provider_key",
        "",
        b"x_provider_key",
    );
    let got = seen(&sidecar, &upstream, &request);
    assert_eq!(
        got.line(),
        "POST /x_provider_key?k=x_provider_key&Key=x_provider_key HTTP/1.1"
    );
    assert_eq!(got.body, b"x_provider_key");
    assert!(all_events(sidecar).is_empty());
}

#[test]
fn p2_a_query_takes_the_value_where_the_secret_allows_it() {
    let upstream = Upstream::bind();
    let allowed = sidecar(&upstream, Inject::Placeholder, r#", "allow": ["query"]"#);
    for (target, expected) in [
        (
            "/p/m:go?key=x_provider_key",
            format!("/m:go?key={IN_QUERY}"),
        ),
        (
            "/p/m?alt=sse&key=x_provider_key&b=%2F",
            format!("/m?alt=sse&key={IN_QUERY}&b=%2F"),
        ),
        (
            "/p?%6bey=%7B%7Bx_provider_key%7D%7D&access_token=mine",
            format!("/?%6bey={IN_QUERY}"),
        ),
        // What stands around it is masked.
        (
            "/p/sk-live-51Hx2eKfQ9wZ?a=sk-live-51Hx2eKfQ9wZ&key=x_provider_key&b=sk-live-51Hx2eKfQ9wZ",
            format!("/x_token?a=x_token&key={IN_QUERY}&b=x_token"),
        ),
    ] {
        let got = seen(&allowed, &upstream, &post(target, "", b""));
        assert_eq!(got.line(), format!("POST {expected} HTTP/1.1"));
    }
    let all = all_events(allowed);
    let substituted = all.iter().filter(|event| event["event"] == "substitute");
    assert!(substituted.clone().all(|event| event["place"] == "query") && substituted.count() == 4);

    let refusing = sidecar(&upstream, Inject::Placeholder, "");
    let answer = refusing.refused(&post("/p/m?key=x_provider_key", "", b""));
    assert_eq!(answer.error(), (403, "credential_refused".to_owned()));
    assert!(upstream.is_untouched());
}

#[test]
fn p2_elsewhere_it_is_refused_said_and_audited() {
    let upstream = Upstream::bind();
    let port = upstream.addr.port();
    let other = if port == 1024 { 1025 } else { port - 1 };
    let two = "Authorization: Bearer x_provider_key\r\nx-api-key: x_provider_key\r\n";
    let one = "Authorization: Bearer x_provider_key\r\n";
    let here = upstream.url();
    let foreign = "belongs to the destination";
    let patterns = [
        format!("https://127.0.0.1:{port}"),
        "http://127.0.0.1".to_owned(),
        format!("http://127.0.0.1:{other}"),
        format!("http://127.0.0.2:{port}"),
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        "https://api.openai.com".to_owned(),
    ];
    let elsewhere = patterns
        .iter()
        .map(|pattern| (&**pattern, CREDENTIAL, "", one, foreign));
    let allow = r#", "allow": ["body", "basic", "query"]"#;
    let here_but = [
        (&*here, CREDENTIAL, allow, one, "header"),
        (&here, CREDENTIAL, r#", "allow": []"#, one, "header"),
        (&here, CREDENTIAL, "", two, "1 times"),
        (&here, "two\r\nlines: of it", "", one, "line breaks"),
        (&here, "ends in a line\n", "", one, "line breaks"),
        (&here, "a\u{7f}control", "", one, "control"),
    ];
    for (pattern, value, options, headers, reason) in elsewhere.chain(here_but) {
        let text = submission(pattern, value, options);
        let sidecar = Sidecar::with(&configured(&here, Inject::Placeholder), &text);
        let answer = sidecar.refused(&with_headers(headers));
        assert_eq!(
            answer.error(),
            (403, "credential_refused".to_owned()),
            "{pattern}"
        );
        assert_eq!(answer.error_text("placeholder"), KEY);
        assert!(
            answer.error_text("message").contains(reason),
            "{}",
            answer.error_text("message")
        );
        assert!(upstream.is_untouched());
        let all = all_events(sidecar);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(
            (&all[0]["event"], &all[0]["key"]),
            (&"refuse".into(), &KEY.into())
        );
        assert!(
            all[0]["reason"].as_str().unwrap().contains(reason),
            "{}",
            all[0]
        );
        assert!(!all[0].to_string().contains("lines: of it"));
    }
    // A key that is in no view.
    let sidecar = Sidecar::with(&configured(&here, Inject::Placeholder), "{}");
    let answer = sidecar.refused(&with_headers(one));
    assert_eq!(answer.error().0, 403);
    assert!(
        answer
            .error_text("message")
            .contains("bauta secret set x_provider_key --domain http://127.0.0.1")
    );
}

#[test]
fn p2_two_uses_need_the_secrets_leave() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, r#", "max_uses": 2"#);
    let two = "Authorization: Bearer x_provider_key\r\nx-api-key: x_provider_key\r\n";
    let got = seen(&sidecar, &upstream, &with_headers(two));
    let expected = [
        format!("authorization: Bearer {CREDENTIAL}"),
        format!("x-api-key: {CREDENTIAL}"),
    ];
    assert_eq!(carried(&got), expected);
    let three = format!("{two}api-key: x_provider_key\r\n");
    assert_eq!(sidecar.refused(&with_headers(&three)).error().0, 403);
    let all = all_events(sidecar);
    assert_eq!((&all[0]["count"], &all[1]["count"]), (&2.into(), &3.into()));
}

#[test]
fn p2_the_value_arrives_alone_whatever_stands_beside_it() {
    let upstream = Upstream::bind();
    let others = "x-api-key: the-clients-own\r\nCookie: session=1\r\nx_goog_api_key: x\r\nAPI_KEY: y\r\nX-Auth-Token: z\r\n\
        Authorization: Bearer another\r\n";
    for (inject, own, expected) in [
        (
            Inject::Placeholder,
            "Authorization: Bearer x_provider_key\r\n",
            "authorization: Bearer ",
        ),
        (Inject::Always, "", "x-api-key: "),
    ] {
        let sidecar = sidecar(&upstream, inject, "");
        for connection in ["", "Connection: authorization, x-api-key\r\n"] {
            let got = seen(
                &sidecar,
                &upstream,
                &with_headers(&format!("{others}{connection}{own}")),
            );
            assert_eq!(carried(&got), [format!("{expected}{CREDENTIAL}")]);
            for name in ["x_goog_api_key", "api_key", "connection"] {
                assert!(
                    got.headers(name)
                        .iter()
                        .all(|value| value != "x" && value != "y" && !value.contains("auth")),
                    "{}",
                    got.head
                );
            }
        }
    }
}

#[test]
fn p2_always_puts_it_where_the_client_puts_its_own_or_where_the_provider_wants_it() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Always, "");
    for (headers, expected) in [
        ("", "authorization: Bearer "),
        (
            "Authorization: Bearer sk-of-the-client\r\n",
            "authorization: Bearer ",
        ),
        (
            "Authorization: Bearer x_provider_key\r\n",
            "authorization: Bearer ",
        ),
        ("Authorization: Basic dTpw\r\n", "authorization: Bearer "),
        ("api-key: x\r\n", "api-key: "),
        (
            "x-goog-api-key: x\r\nx-goog-api-key: y\r\n",
            "x-goog-api-key: ",
        ),
        ("Authorization: Bearer x\r\nx-api-key: y\r\n", "x-api-key: "),
    ] {
        let got = seen(&sidecar, &upstream, &with_headers(headers));
        assert_eq!(
            carried(&got),
            [format!("{expected}{CREDENTIAL}")],
            "{headers}"
        );
    }
    let got = seen(
        &sidecar,
        &upstream,
        &post("/p/m?key=mine&alt=sse&api-key=mine&x=1", "", b""),
    );
    assert_eq!(got.line(), "POST /m?alt=sse&x=1 HTTP/1.1");
    // What the client took out of a text must not join its ends to a value.
    let got = seen(
        &sidecar,
        &upstream,
        &post("/p/m?sk-live-51Hx2e&key=mine", "", b""),
    );
    assert_eq!(got.line(), "POST /m?sk-live-51Hx2e HTTP/1.1");

    let mut config = configured(&upstream.url(), Inject::Always);
    let provider = &mut config.model.as_mut().unwrap().providers[0];
    (provider.name, provider.path) = ("anthropic".to_owned(), "p".to_owned());
    let sidecar = Sidecar::with(&config, &submission(&upstream.url(), CREDENTIAL, ""));
    assert_eq!(
        carried(&seen(&sidecar, &upstream, &with_headers(""))),
        [format!("x-api-key: {CREDENTIAL}")]
    );
}

#[test]
fn p1_the_value_itself_passes_in_its_own_header_and_nowhere_else() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let headers = format!(
        "Authorization: Bearer {CREDENTIAL}\r\nX-Other: {CREDENTIAL}\r\nx-api-key: {TOKEN}\r\n"
    );
    let got = seen(
        &sidecar,
        &upstream,
        &post("/p/m", &headers, format!("a {CREDENTIAL} b").as_bytes()),
    );
    assert_eq!(
        carried(&got),
        [
            format!("authorization: Bearer {CREDENTIAL}"),
            "x-api-key: x_token".to_owned()
        ]
    );
    assert_eq!(got.header("x-other").unwrap(), KEY);
    assert_eq!(got.body, b"a x_provider_key b");
    // In a query it passes where that is a place for it, which it is not here.
    let got = seen(
        &sidecar,
        &upstream,
        &post(&format!("/p/m?key={IN_QUERY}&k=1"), "", b""),
    );
    assert_eq!(got.line(), "POST /m?key=x_provider_key&k=1 HTTP/1.1");
    drop(sidecar);
    let sidecar =
        super::guard_kit::sidecar(&upstream, Inject::Placeholder, r#", "allow": ["query"]"#);
    let got = seen(
        &sidecar,
        &upstream,
        &post(&format!("/p/m?key={IN_QUERY}&k={IN_QUERY}"), "", b""),
    );
    assert_eq!(
        got.line(),
        format!("POST /m?key={IN_QUERY}&k=x_provider_key HTTP/1.1")
    );

    // Where it does not belong it is masked like all else.
    let text = submission("https://api.openai.com", CREDENTIAL, "");
    let sidecar = Sidecar::with(&configured(&upstream.url(), Inject::Placeholder), &text);
    let got = seen(
        &sidecar,
        &upstream,
        &with_headers(&format!("Authorization: Bearer {CREDENTIAL}\r\n")),
    );
    assert_eq!(carried(&got), [format!("authorization: Bearer {KEY}")]);
}

#[test]
fn p2_over_tls_the_verified_name_counts() {
    let authority = Authority::new();
    for (pattern, status) in [
        ("https://localhost:PORT", 200),
        ("https://localhost:*", 200),
        ("http*://localhost:PORT", 200),
        ("http://localhost:PORT", 403),
        ("https://localhost", 403),
        ("https://127.0.0.1:PORT", 403),
    ] {
        let (addr, server) = authority.serve("localhost", OK, true);
        let mut config = configured(
            &format!("https://localhost:{}", addr.port()),
            Inject::Always,
        );
        config.model.as_mut().unwrap().providers[0].ca = Some(authority.file());
        let pattern = pattern.replace("PORT", &addr.port().to_string());
        let sidecar = Sidecar::with(&config, &submission(&pattern, CREDENTIAL, ""));
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"the end"));
        assert_eq!(client.message("POST").status(), status, "{pattern}");
        if status == 200 {
            assert!(contains(&server.join().unwrap(), CREDENTIAL));
        } else {
            // Nobody dialled: the thread ends with the process.
            drop(server);
        }
    }
}

/// The answer to a request with the credential, for which the upstream is dialled or not.
fn asked(client: &mut Wire, upstream: &Upstream, line: &str) -> Message {
    client.send(with_headers(line));
    thread::scope(|scope| {
        let answer = scope.spawn(|| client.message("POST"));
        while !answer.is_finished() {
            if let Some(mut peer) = upstream.accept_until(Duration::from_millis(10)) {
                assert!(peer.request().head.contains(CREDENTIAL));
                peer.send(last(OK));
            }
        }
        answer.join().unwrap()
    })
}

#[test]
fn p5_a_request_that_moves_to_another_connection_is_one_use() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let line = "Authorization: Bearer x_provider_key\r\n";
    let mut client = sidecar.connect();
    client.send(with_headers(line));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");
    // The kept connection ends: the next request finds it dead, or moves on.
    drop(peer);
    let mut answer = asked(&mut client, &upstream, line);
    let mut sent = 2;
    if answer.status() == 502 {
        // Nobody knew of the end yet: the request went out there, and is not sent twice.
        assert_eq!(answer.error().1, "upstream_closed");
        answer = asked(&mut client, &upstream, line);
        sent += 1;
    }
    assert_eq!(answer.status(), 200);
    drop(client);
    assert!(upstream.is_untouched());
    assert_eq!(all_events(sidecar).len(), sent);
}

#[test]
fn p2_a_websocket_is_opened_with_the_value() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    for (headers, expected) in [
        ("Authorization: Bearer x_provider_key\r\n", vec![]),
        // As browsers hand it to OpenAI.
        (
            "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.x_provider_key, openai-beta.realtime-v1\r\n",
            vec!["sec-websocket-protocol: realtime, openai-beta.realtime-v1".to_owned()],
        ),
    ] {
        let mut client = sidecar.connect();
        client.send(opening("/p/v1/realtime", headers));
        let mut peer = upstream.accept();
        let request = peer.request();
        let mut all = vec![format!("authorization: Bearer {CREDENTIAL}")];
        all.extend(expected);
        assert_eq!(carried(&request), all);
        let agreed = request.headers("sec-websocket-protocol");
        let agreed = if agreed.is_empty() {
            ""
        } else {
            "Sec-WebSocket-Protocol: realtime\r\n"
        };
        peer.send(accepting(&request, agreed));
        let answer = client.message("GET");
        assert_eq!(answer.status(), 101);
        assert_eq!(
            answer.headers("sec-websocket-protocol").len(),
            usize::from(!agreed.is_empty())
        );
        let (mut client, mut peer) = (Socket::new(client, true), Socket::new(peer, false));
        client.send(TEXT, format!("{{\"k\":\"{CREDENTIAL}\"}}"));
        assert_eq!(peer.text(), "{\"k\":\"x_provider_key\"}");
    }
    drop(sidecar);
    let text = submission("https://api.openai.com", CREDENTIAL, "");
    let sidecar = Sidecar::with(&configured(&upstream.url(), Inject::Always), &text);
    let mut client = sidecar.connect();
    client.send(opening("/p/v1/realtime", ""));
    assert_eq!(client.message("GET").error().0, 403);
    assert!(upstream.is_untouched());
}
