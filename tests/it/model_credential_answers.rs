//! The provider's credential on its way back: no client ever gets it, whatever the provider echoes, with or without
//! `mask_responses`.

use bauta::config::Inject;

use super::coders::{brotli, gzip, zstd};
use super::guard_kit::{
    CREDENTIAL, KEY, all_events, configured, sidecar, submission, with_headers,
};
use super::model_kit::{Message, Sidecar, TOKEN, Upstream, Wire, contains, last};
use super::model_websocket_kit::{Deflate, PING, Socket, TEXT, open_with};

type Coder = fn(&[u8]) -> Vec<u8>;

const LINE: &str = "Authorization: Bearer x_provider_key\r\nAccept-Encoding: gzip, unknown\r\nRange: bytes=0-9\r\n";

/// What a client gets where upstream answers so, which never holds the value.
fn get(sidecar: &Sidecar, upstream: &Upstream, answer: &[u8]) -> Message {
    let mut client = sidecar.connect();
    client.send(with_headers(LINE));
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("gzip"));
    assert!(seen.headers("range").is_empty());
    let _ = peer.try_send(last(answer));
    drop(peer);
    let got = client.message("POST");
    assert!(
        !contains(&client.seen, CREDENTIAL) && !contains(&client.seen, "9fQ2"),
        "{}",
        client.shown()
    );
    got
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn p3_no_answer_holds_the_credential_and_another_secret_stays() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let json = "Content-Type: application/json\r\n";
    let text = format!(
        "{{\"error\": {{\"message\": \"Incorrect API key provided: {CREDENTIAL}\"}}, \"b\": \"{TOKEN}\"}}"
    );
    let masked = text.replace(CREDENTIAL, KEY);
    for status in ["200 OK", "401 Unauthorized", "500 Oops", "404 Not Found"] {
        let got = get(&sidecar, &upstream, &answer(status, json, text.as_bytes()));
        assert_eq!(
            (got.status().to_string(), got.complete),
            (status[..3].to_owned(), true)
        );
        assert_eq!(String::from_utf8_lossy(&got.body), masked);
    }
    for (coding, coded) in [("gzip", gzip as Coder), ("br", brotli), ("zstd", zstd)] {
        let headers = format!("{json}Content-Encoding: {coding}\r\n");
        let got = get(
            &sidecar,
            &upstream,
            &answer("400 Bad", &headers, &coded(text.as_bytes())),
        );
        assert_eq!(String::from_utf8_lossy(&got.body), masked);
        assert!(got.headers("content-encoding").is_empty());
    }
    // Encoded, in the head, and in what is no error.
    let body = format!("{{\"a\": \"{}\"}}", CREDENTIAL.replace('/', "\\/"));
    let headers = format!(
        "{json}X-Echo: Bearer {CREDENTIAL}\r\nWWW-Authenticate: Bearer realm=\"{CREDENTIAL}\"\r\nLocation: /v1?key={CREDENTIAL}\r\n"
    );
    let got = get(
        &sidecar,
        &upstream,
        &answer("200 OK", &headers, body.as_bytes()),
    );
    assert_eq!(got.body, b"{\"a\": \"x_provider_key\"}");
    assert_eq!(got.header("x-echo").unwrap(), "Bearer x_provider_key");
    assert_eq!(
        got.header("www-authenticate").unwrap(),
        "Bearer realm=\"x_provider_key\""
    );
    assert!(
        got.header("location")
            .unwrap()
            .ends_with("?key=x_provider_key")
    );
    // What cannot be read goes no further.
    let headers = "Content-Encoding: unheard-of\r\n";
    let got = get(
        &sidecar,
        &upstream,
        &answer("200 OK", headers, CREDENTIAL.as_bytes()),
    );
    assert_eq!(got.error(), (502, "answer_unreadable".to_owned()));

    let all = all_events(sidecar);
    let masks: Vec<_> = all
        .iter()
        .filter(|event| event["event"] == "mask")
        .collect();
    // Four answers, three coded, and one with its head and a body in another form.
    assert_eq!(masks.len(), 9, "{masks:?}");
    assert!(
        masks
            .iter()
            .all(|event| event["key"] == KEY && event["domain"] == upstream.url())
    );
    assert_eq!(
        (&masks[7]["count"], &masks[8]["count"]),
        (&3.into(), &1.into())
    );
    assert_eq!(masks[7]["request_id"], masks[8]["request_id"]);
}

#[test]
fn p3_at_every_split_of_an_answer_the_credential_is_found() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Always, "");
    let mut client = sidecar.connect();
    client.send(with_headers(""));
    let mut peer = upstream.accept();
    peer.request();
    for at in 1..CREDENTIAL.len() {
        peer.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n",
        );
        let (front, back) = CREDENTIAL.split_at(at);
        for part in [format!("<{front}"), format!("{back}>")] {
            peer.send(format!("{:x}\r\n{part}\r\n", part.len()));
        }
        peer.send("0\r\n\r\n");
        assert_eq!(client.message("POST").body, b"<x_provider_key>");
        client.send(with_headers(""));
        peer.request();
    }
    assert!(!contains(&client.seen, CREDENTIAL));
}

/// One event after another, each only once the one before has come out.
#[test]
fn p3_events_pass_in_lockstep_and_masked() {
    let upstream = Upstream::bind();
    let sidecar = sidecar(&upstream, Inject::Placeholder, "");
    let mut client = sidecar.connect();
    client.send(with_headers("x-api-key: x_provider_key\r\n"));
    let mut peer: Wire = upstream.accept();
    peer.request();
    peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert!(client.head().contains("text/event-stream"));
    for n in 0..20 {
        let event = format!("data: {{\"n\":{n},\"k\":\"{CREDENTIAL}\",\"t\":\"sk-\"}}\n\n");
        peer.send(format!("{:x}\r\n{event}\r\n", event.len()));
        let expected = event.replace(CREDENTIAL, KEY);
        let mut came = Vec::new();
        while came.len() < expected.len() {
            came.extend(client.chunk().unwrap());
        }
        assert_eq!(String::from_utf8(came).unwrap(), expected);
    }
    peer.send("0\r\n\r\n");
    assert!(client.saw_last_chunk());
}

#[test]
fn p3_frames_of_a_websocket_are_masked() {
    let upstream = Upstream::bind();
    let config = configured(&upstream.url(), Inject::Always);
    let mut config = config;
    config.model.as_mut().unwrap().providers[0].path = "p".to_owned();
    let sidecar = Sidecar::with(&config, &submission(&upstream.url(), CREDENTIAL, ""));
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let agreed = format!("{extension}X-Echo: {CREDENTIAL}\r\n");
    let (client, peer, answer) = open_with(sidecar.connect(), &upstream, extension, &agreed);
    assert_eq!(answer.header("x-echo").unwrap(), KEY);
    let (mut client, mut peer): (Socket, Socket) = (client, peer);
    let text = format!("{{\"k\":\"{CREDENTIAL}\",\"t\":\"{TOKEN}\"}}");
    let expected = text.replace(CREDENTIAL, KEY);
    peer.send(TEXT, &text);
    assert_eq!(client.joined(), (TEXT, expected.clone().into_bytes()));
    peer.part(0xc0, TEXT, Deflate::new().message(text.as_bytes()));
    assert_eq!(client.joined(), (TEXT, expected.into_bytes()));
    peer.send(PING, CREDENTIAL);
    assert_eq!(client.whole(), (PING, KEY.as_bytes().to_vec()));
    peer.close(1000, CREDENTIAL);
    assert_eq!(client.closed(), (1000, KEY.to_owned()));
}

#[test]
fn p3_a_credential_that_is_never_masked_is_masked_in_answers() {
    let upstream = Upstream::bind();
    for all in [false, true] {
        let mut config = configured(&upstream.url(), Inject::Placeholder);
        config.model.as_mut().unwrap().mask_responses = all;
        let text = submission(&upstream.url(), CREDENTIAL, r#", "mask": "never""#);
        let sidecar = Sidecar::with(&config, &text);
        let got = get(
            &sidecar,
            &upstream,
            &answer("200 OK", "", format!("<{CREDENTIAL}>").as_bytes()),
        );
        assert_eq!(got.body, b"<x_provider_key>");
    }
}

#[test]
fn p3_with_mask_responses_everything_is_masked_the_credential_too() {
    let upstream = Upstream::bind();
    let mut config = configured(&upstream.url(), Inject::Placeholder);
    config.model.as_mut().unwrap().mask_responses = true;
    let sidecar = Sidecar::with(&config, &submission(&upstream.url(), CREDENTIAL, ""));
    let body = format!("{CREDENTIAL} {TOKEN}");
    let got = get(&sidecar, &upstream, &answer("200 OK", "", body.as_bytes()));
    assert_eq!(got.body, b"x_provider_key x_token");
}
