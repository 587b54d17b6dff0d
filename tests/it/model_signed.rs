//! Blocks that a provider signed (Anthropic's extended thinking): refused, or passed as they are; never rewritten.

use std::io::Write as _;

use bauta::config::{Config, Limits, Signed};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::guard_kit::all_events;
use super::model_kit::{
    Message, OK, SECRETS, Sidecar, TOKEN, Upstream, config, contains, last, post, secrets,
};
use super::model_websocket_kit::{TEXT, open, opening};

/// A turn of a conversation as Anthropic's clients send it back, with that block in it.
fn conversation(block: &str) -> String {
    format!(
        r#"{{"model":"claude","messages":[{{"role":"user","content":"Log in"}},{{"role":"assistant","content":[{block},{{"type":"text","text":"with {TOKEN}"}}]}},{{"role":"user","content":"is it {TOKEN}?"}}],"thinking":{{"type":"enabled","budget_tokens":1024}}}}"#
    )
}

fn with_signed(upstream: &Upstream, signed: Signed) -> Config {
    let mut config = config(&upstream.url(), Limits::default());
    if let Some(model) = &mut config.model {
        model.signed = signed;
    }
    config
}

fn json(body: &str) -> Vec<u8> {
    post(
        "/p/v1/messages",
        "Content-Type: application/json\r\n",
        body.as_bytes(),
    )
}

/// What the upstream sees of a body that is passed.
fn passed(sidecar: &Sidecar, upstream: &Upstream, body: &str) -> String {
    let mut client = sidecar.connect();
    client.send(json(body));
    let mut peer = upstream.accept();
    let seen = peer.request();
    peer.send(last(OK));
    assert_eq!(client.message("POST").body, b"ok");
    assert_eq!(
        seen.header("content-length").unwrap(),
        seen.body.len().to_string()
    );
    String::from_utf8(seen.body).unwrap()
}

#[track_caller]
fn check_refusal(answer: &Message, key: &str) {
    assert_eq!(answer.error(), (422, "signed_block".to_owned()));
    assert_eq!(answer.error_text("placeholder"), key);
    assert_eq!(answer.error_text("type"), "invalid_request_error");
    let message = answer.error_text("message");
    assert!(message.contains(key), "{message}");
    assert!(message.contains("out of the conversation"), "{message}");
    assert!(message.contains("model.signed = \"pass\""), "{message}");
    assert!(!contains(&answer.body, TOKEN));
}

/// Signed blocks with the value in them.
fn signed_blocks() -> [String; 5] {
    [
        format!(r#"{{"type":"thinking","thinking":"so {TOKEN} it is","signature":"EqQBCg=="}}"#),
        format!(r#"{{"type":"thinking","signature":"EqQBCg==","thinking":"so {TOKEN} it is"}}"#),
        format!(r#"{{ "signature" : "s", "x" : [{{}}], "thinking" : "\n{TOKEN}\n" }}"#),
        // In base64, and as the signature's own beginning.
        r#"{"thinking":"c2stbGl2ZS01MUh4MmVLZlE5d1o=","signature":"EqQBCg=="}"#.to_owned(),
        format!(r#"{{"thinking":"","signature":"{TOKEN}"}}"#),
    ]
}

#[test]
fn p1_a_value_in_a_signed_block_refuses_the_request_and_names_its_key() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for block in signed_blocks() {
        check_refusal(&sidecar.refused(&json(&conversation(&block))), "x_token");
    }
    assert!(upstream.is_untouched());
    // Half of a body that is refused already is enough.
    let body = conversation(&signed_blocks()[1]);
    let mut client = sidecar.connect();
    client.send(format!(
        "POST /p/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{body}"
    ));
    check_refusal(&client.message("POST"), "x_token");
    assert!(upstream.is_untouched());
}

#[test]
fn p1_a_block_that_is_not_signed_is_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for block in [
        format!(r#"{{"type":"thinking","thinking":"so {TOKEN} it is"}}"#),
        format!(r#"{{"type":"thinking","thinking":"so {TOKEN} it is","signature":""}}"#),
        format!(r#"{{"type":"thinking","thinking":["{TOKEN}"],"signature":"EqQBCg=="}}"#),
        format!(r#"{{"thinking":"clean","signature":"EqQBCg==","note":"{TOKEN}"}}"#),
    ] {
        let body = conversation(&block);
        assert_eq!(
            passed(&sidecar, &upstream, &body),
            body.replace(TOKEN, "x_token"),
            "{block}"
        );
    }
}

#[test]
fn with_pass_a_signed_block_goes_on_as_it_is_and_the_rest_is_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&with_signed(&upstream, Signed::Pass), SECRETS);
    for block in signed_blocks() {
        let expected = conversation("BLOCK").replace(TOKEN, "x_token");
        assert_eq!(
            passed(&sidecar, &upstream, &conversation(&block)),
            expected.replace("BLOCK", &block)
        );
    }
    let alone = format!("[{}]", signed_blocks()[0]);
    assert_eq!(passed(&sidecar, &upstream, &alone), alone);
    // What is not signed is masked with this setting too.
    let block = format!(r#"{{"type":"thinking","thinking":"{TOKEN}"}}"#);
    let seen = passed(&sidecar, &upstream, &conversation(&block));
    assert!(!seen.contains(TOKEN), "{seen}");
}

#[test]
fn what_passes_in_a_signed_block_is_in_the_log() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&with_signed(&upstream, Signed::Pass), SECRETS);
    let block = &signed_blocks()[0];
    passed(&sidecar, &upstream, &format!("[{block}]"));
    passed(&sidecar, &upstream, r#"{"a":1}"#);
    let all = all_events(sidecar);
    let said: Vec<_> = all
        .iter()
        .filter(|event| event["event"] == "mask")
        .map(|event| {
            let text = |field: &str| event[field].as_str().unwrap().to_owned();
            (text("outcome"), text("reason"), event["count"].clone())
        })
        .collect();
    let expected = ("passed".to_owned(), "signed block".to_owned(), 1.into());
    assert_eq!(said, [expected], "{all:?}");
    assert!(!all.iter().any(|event| event.to_string().contains(TOKEN)));
}

#[test]
fn p1_a_late_signed_block_aborts_what_went_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let filler = "lorem ipsum ".repeat(9 << 20 >> 3);
    for at in [0, 1] {
        let body = conversation(&format!(
            r#"{{"type":"text","text":"{filler}"}},{}"#,
            signed_blocks()[at]
        ));
        let mut client = sidecar.connect();
        let request = json(&body);
        let sending = std::thread::spawn(move || {
            // We may answer and hang up before all of it is taken.
            let _ = client.try_send(&request);
            client
        });
        let mut peer = upstream.accept();
        let seen = peer.request();
        assert!(!seen.complete, "a refused request never looks complete");
        assert!(seen.body.len() > 4 << 20);
        assert!(!contains(&peer.seen, TOKEN));
        let mut client = sending.join().unwrap();
        check_refusal(&client.message("POST"), "x_token");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn p1_signed_blocks_are_found_in_codings_batches_and_parts() {
    let upstream = Upstream::bind();
    let refusing = Sidecar::before(&upstream);
    let passing = Sidecar::with(&with_signed(&upstream, Signed::Pass), SECRETS);
    let block = &signed_blocks()[0];
    let batch = format!("{{\"custom_id\":\"1\"}}\n{{\"body\":{block}}}\n");
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n{batch}\r\n--b--\r\n"
    );
    // Long enough to be compressed, and not just stored.
    let filler = "lorem ipsum ".repeat(50);
    let alone = format!("[{block},\"{filler}\"]");
    // As SDKs send what they do not know by its name.
    let unnamed = parts.replace("application/jsonl", "application/octet-stream");
    let rows = [
        ("application/x-ndjson", "", batch.clone().into_bytes()),
        ("application/octet-stream", "", batch.clone().into_bytes()),
        ("multipart/form-data; boundary=b", "", parts.into_bytes()),
        ("multipart/form-data; boundary=b", "", unnamed.into_bytes()),
        ("application/json", "gzip", gzip(&alone)),
    ];
    for (content_type, coding, body) in rows {
        let headers = match coding {
            "" => format!("Content-Type: {content_type}\r\n"),
            _ => format!("Content-Type: {content_type}\r\nContent-Encoding: {coding}\r\n"),
        };
        let request = post("/p/v1/x", &headers, &body);
        check_refusal(&refusing.refused(&request), "x_token");
        assert!(upstream.is_untouched());
        // Nothing else is in it, so it goes on as it came, coding and all.
        let mut client = passing.connect();
        client.send(&request);
        let mut peer = upstream.accept();
        let seen = peer.request();
        assert!(seen.body == body, "{content_type} {coding}");
        let coded = seen.header("content-encoding").unwrap_or_default();
        assert_eq!(coded, coding);
        peer.send(last(OK));
        assert_eq!(client.message("POST").body, b"ok");
    }
}

#[test]
fn the_setting_comes_into_force_with_the_next_request() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = format!("[{}]", signed_blocks()[0]);
    check_refusal(&sidecar.refused(&json(&body)), "x_token");
    let pass = with_signed(&upstream, Signed::Pass);
    sidecar.running().replace_secrets(secrets(SECRETS), &pass);
    assert_eq!(passed(&sidecar, &upstream, &body), body);
}

#[test]
fn p1_a_websocket_message_with_a_signed_block_ends_it_and_names_its_key() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = conversation(&signed_blocks()[0]);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.send(TEXT, &body);
    let (code, reason) = client.closed();
    assert_eq!((code, reason.contains("x_token")), (1008, true), "{reason}");
    assert_eq!(peer.until_closed().0, 1001);
    assert!(!contains(&peer.wire.seen, TOKEN));

    let sidecar = Sidecar::with(&with_signed(&upstream, Signed::Pass), SECRETS);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.send(TEXT, &body);
    let expected = conversation("BLOCK").replace(TOKEN, "x_token");
    assert_eq!(peer.text(), expected.replace("BLOCK", &signed_blocks()[0]));
}

#[test]
fn what_a_provider_signs_in_an_answer_stays_as_it_is() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::masking_answers(&upstream, Limits::default());
    for (block, stays) in [
        (signed_blocks()[0].clone(), true),
        (signed_blocks()[1].clone(), true),
        (format!(r#"{{"thinking":"{TOKEN}"}}"#), false),
    ] {
        let body = format!(r#"{{"content":[{block},{{"text":"{TOKEN}"}}]}}"#);
        let masked = if stays {
            body.replace(&format!(r#""text":"{TOKEN}""#), r#""text":"x_token""#)
        } else {
            body.replace(TOKEN, "x_token")
        };
        let mut client = sidecar.connect();
        client.send(json("{}"));
        let mut peer = upstream.accept();
        peer.request();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = client.message("POST");
        assert_eq!(String::from_utf8_lossy(&answer.body), masked);
        let (mut client, mut peer) = open(&sidecar, &upstream);
        peer.send(TEXT, &body);
        assert_eq!(client.text(), masked);
    }
    // A request is refused for it still.
    let mut client = sidecar.connect();
    client.send(json(&conversation(&signed_blocks()[0])));
    check_refusal(&client.message("POST"), "x_token");
}

#[test]
fn a_cloud_signed_request_is_refused_and_says_why() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-west-1/bedrock/aws4_request, \
                  SignedHeaders=host, Signature=00\r\n";
    let presigned = "/p/model/x/invoke?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00";
    for request in [
        post("/p/model/x/invoke", signed, b"{}"),
        post(presigned, "", b"{}"),
        opening("/p/stream", signed).into_bytes(),
        opening(presigned, "").into_bytes(),
    ] {
        let answer = sidecar.refused(&request);
        assert_eq!(answer.error(), (422, "cloud_signed".to_owned()));
        assert_eq!(answer.error_text("type"), "invalid_request_error");
        let message = answer.error_text("message");
        assert!(message.contains("bearer token"), "{message}");
        assert!(!message.contains("AKID"), "{message}");
    }
    assert!(upstream.is_untouched());
    // The same cloud with a key that is sent as it is.
    let mut client = sidecar.connect();
    client.send(post(
        "/p/model/x/invoke",
        "Authorization: Bearer key\r\n",
        b"{}",
    ));
    let mut peer = upstream.accept();
    assert_eq!(
        peer.request().header("authorization").unwrap(),
        "Bearer key"
    );
    peer.send(OK);
    assert_eq!(client.message("POST").body, b"ok");
}
