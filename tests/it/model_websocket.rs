//! WebSocket: what an agent sends is masked, message by message; what comes back passes.

use std::cell::RefCell;

use bauta::app;
use bauta::config::{self, Limits, Spelling};
use bauta::mask::Syntax;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Peers, WebSocket};

use super::model_kit::{SECRETS, Sidecar, TOKEN, Upstream, VALUE, Wire, contains, secrets};
use super::model_websocket_kit::*;

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// `TOKEN` in base64, as the middle of a longer run.
fn base64_text() -> String {
    use std::fmt::Write as _;
    let bytes = format!("user:{TOKEN}\n");
    let mut out = String::new();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.as_bytes().chunks(3) {
        let word =
            group.iter().fold(0_u32, |w, b| (w << 8) | u32::from(*b)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let sign = alphabet[(word >> (18 - 6 * at)) as usize & 63];
            let sign = if at <= group.len() {
                char::from(sign)
            } else {
                '='
            };
            write!(out, "{sign}").unwrap();
        }
    }
    out
}

#[test]
fn p1_values_in_messages_become_names_and_answers_pass() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    let escaped = r#"{"a": "tr0ub4dor&3 horse\/\"st\u0061ple\"", "n": [1, 2]}"#;
    for (sent, expected) in [
        (
            "{\"a\": \"nothing\"}".to_owned(),
            "{\"a\": \"nothing\"}".to_owned(),
        ),
        (String::new(), String::new()),
        (
            format!("{{\"key\": \"{TOKEN}\"}}"),
            "{\"key\": \"x_token\"}".to_owned(),
        ),
        (
            escaped.to_owned(),
            r#"{"a": "x_password", "n": [1, 2]}"#.to_owned(),
        ),
        (
            format!("not JSON: {VALUE} é"),
            "not JSON: x_password é".to_owned(),
        ),
        (
            format!("https://h/?q={}", TOKEN.replace('-', "%2D")),
            "https://h/?q=x_token".to_owned(),
        ),
    ] {
        client.send(TEXT, &sent);
        assert_eq!(peer.text(), expected);
    }
    client.send(TEXT, format!("{{\"data\": \"{}\"}}", base64_text()));
    let seen = peer.text();
    assert!(!seen.contains(&base64_text()[8..24]), "{seen}");
    let back = format!("{{\"delta\": \"{TOKEN}\"}}");
    peer.send(TEXT, &back);
    assert_eq!(client.text(), back, "answers pass");
    assert!(!contains(&peer.wire.seen, TOKEN));
}

#[test]
fn p1_a_value_split_over_frames_and_chunks_is_found() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    let text = format!("{{\"a\": \"{TOKEN} é\"}}");
    let expected = "{\"a\": \"x_token é\"}";
    for at in 0..=text.len() {
        let (first, rest) = text.as_bytes().split_at(at);
        client.part(0, TEXT, first);
        client.part(0x80, CONTINUATION, rest);
        assert_eq!(peer.text(), expected, "split at {at}");
    }
    // A frame a byte, with empty ones between, and a byte at a time on the wire.
    client.part(0, TEXT, "");
    for byte in text.as_bytes() {
        for byte in client.bytes(0, CONTINUATION, [*byte]) {
            client.wire.send([byte]);
        }
        client.part(0, CONTINUATION, "");
    }
    client.part(0x80, CONTINUATION, "");
    assert_eq!(peer.text(), expected);
}

#[test]
fn p1_pings_pongs_and_reasons_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    for opcode in [PING, PONG] {
        for (sent, expected) in [
            ("", ""),
            ("alive", "alive"),
            (TOKEN, "x_token"),
            (&"a".repeat(125), &"a".repeat(125)),
        ] {
            client.send(opcode, sent);
            assert_eq!(peer.whole(), (opcode, expected.as_bytes().to_vec()));
            peer.send(opcode, expected);
            assert_eq!(client.whole(), (opcode, expected.as_bytes().to_vec()));
        }
    }
    // A ping overtakes the message that it stands in.
    client.part(0, TEXT, "half ");
    client.send(PING, TOKEN);
    assert_eq!(peer.whole(), (PING, b"x_token".to_vec()));
    client.part(0x80, CONTINUATION, "whole");
    assert_eq!(peer.text(), "half whole");
    client.close(4001, &format!("because of {TOKEN}"));
    assert_eq!(peer.closed(), (4001, "because of x_token".to_owned()));
    peer.close(4001, TOKEN);
    assert_eq!(client.closed(), (4001, TOKEN.to_owned()), "answers pass");
    client.ends();
    peer.ends();
}

#[test]
fn p1_a_control_frame_that_masking_makes_too_long_goes_no_further() {
    let upstream = Upstream::bind();
    let long = "x_".repeat(31);
    let secrets = format!(r#"{{"https://example.com": {{"{long}": "k3y-9fZq"}}}}"#);
    let config = super::model_kit::config(&upstream.url(), Limits::default());
    let sidecar = Sidecar::with(&config, &secrets);
    for opcode in [PING, PONG] {
        let (mut client, mut peer) = open(&sidecar, &upstream);
        client.send(opcode, "k3y-9fZq k3y-9fZq k3y-9fZq");
        assert_eq!(client.closed().0, 1008);
        assert_eq!(peer.closed().0, 1001);
    }
    let (mut client, mut peer) = open(&sidecar, &upstream);
    client.close(1000, "k3y-9fZq k3y-9fZq k3y-9fZq");
    assert_eq!(
        peer.closed(),
        (1000, String::new()),
        "the code says what counts"
    );
}

#[test]
fn p1_binary_messages_are_read_as_text_too() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    let bytes: Vec<u8> = (0..=255).collect();
    client.send(BINARY, &bytes);
    assert_eq!(peer.whole(), (BINARY, bytes.clone()));
    client.send(BINARY, [&bytes[..], TOKEN.as_bytes(), &bytes].concat());
    assert_eq!(
        peer.whole(),
        (BINARY, [&bytes[..], b"x_token", &bytes].concat())
    );
    peer.send(BINARY, &bytes);
    assert_eq!(client.whole(), (BINARY, bytes));
    // JSON in UTF-16, whose escapes would not be read: no text, though its bytes are UTF-8.
    let wide: Vec<u8> = format!(" {{\"a\": \"{TOKEN}\"}}")
        .bytes()
        .flat_map(|b| [b, 0])
        .collect();
    client.part(0, TEXT, &wide[..3]);
    client.part(0x80, CONTINUATION, &wide[3..]);
    assert_eq!(client.closed().0, 1003);
    assert_eq!(peer.closed().0, 1001);
}

#[test]
fn a_value_in_latin_1_inside_a_longer_character_leaves_text() {
    let upstream = Upstream::bind();
    let config = super::model_kit::config(&upstream.url(), Limits::default());
    let sidecar = Sidecar::with(
        &config,
        r#"{"https://example.com": {"x_word": "Passworté"}}"#,
    );
    let (mut client, mut peer) = open(&sidecar, &upstream);
    // The value's last byte in Latin-1 is the first one of this character in UTF-8.
    for end in ["!", ""] {
        client.send(TEXT, format!("Passwort\u{9999}{end}"));
        assert_eq!(peer.text(), format!("x_word\u{fffd}\u{fffd}{end}"));
    }
    client.send(TEXT, "Passworté!");
    assert_eq!(peer.text(), "x_word!");
}

#[test]
fn p1_compressed_messages_are_read_and_compressed_again() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let (mut client, mut peer, answer) = open_with(sidecar.connect(), &upstream, offer, DEFLATE);
    assert_eq!(
        answer.header("sec-websocket-extensions").unwrap(),
        "permessage-deflate"
    );
    let mut deflate = Deflate::new();
    let long = |n: usize| {
        format!(
            "{{\"n\": {n}, \"text\": \"{}\"}}",
            format!("a {TOKEN} b ").repeat(200)
        )
    };
    for n in 0..3 {
        // Later ones refer to what the earlier ones had in the window.
        let message = deflate.message(long(n).as_bytes());
        if n == 2 {
            assert!(message.len() < 50, "no shared window");
        }
        let (first, rest) = message.split_at(message.len() / 2);
        client.part(0x40, TEXT, first);
        client.send(PING, "");
        client.part(0x80, CONTINUATION, rest);
        assert_eq!(peer.whole().0, PING);
        let seen = peer.frame().unwrap();
        assert!(seen.rsv1 && seen.fin && seen.opcode == TEXT);
        let text = String::from_utf8(inflated(&seen.payload)).unwrap();
        assert_eq!(text, long(n).replace(TOKEN, "x_token"));
    }
    // Short ones are not worth it, and not all are compressed.
    client.part(0xc0, TEXT, deflate.message(TOKEN.as_bytes()));
    assert_eq!(peer.text(), "x_token");
    client.send(TEXT, TOKEN);
    assert_eq!(peer.text(), "x_token");
    client.part(0xc0, BINARY, deflate.message(b""));
    assert_eq!(peer.whole(), (BINARY, Vec::new()));
    // What comes back is plain for the client.
    let mut deflate = Deflate::new();
    for n in 0..3 {
        let message = deflate.message(long(n).as_bytes());
        peer.part(0xc0, TEXT, message);
        assert_eq!(client.text(), long(n));
        peer.part(0x40, BINARY, deflate.message(&vec![7; 300_000]));
        peer.part(0x80, CONTINUATION, "");
        assert_eq!(client.joined(), (BINARY, vec![7; 300_000]));
    }
}

#[test]
fn compression_is_agreed_on_with_each_side_by_itself() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    // Upstream does not want it.
    let (mut client, mut peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, "");
    let text = format!("{TOKEN} ").repeat(500);
    client.part(0xc0, TEXT, Deflate::new().message(text.as_bytes()));
    assert_eq!(peer.text(), text.replace(TOKEN, "x_token"));
    peer.part(0xc0, TEXT, "x");
    assert_eq!(peer.closed().0, 1002);
    assert_eq!(client.closed().0, 1011);
    // The client's conditions are answered.
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12\r\n";
    let (_, peer, answer) = open_with(sidecar.connect(), &upstream, offer, "");
    assert_eq!(
        answer.header("sec-websocket-extensions").unwrap(),
        "permessage-deflate; server_max_window_bits=12"
    );
    assert!(contains(
        &peer.wire.seen,
        "extensions: permessage-deflate; client_no_context_takeover\r\n"
    ));
    // The client does not want it: nobody does.
    let (mut client, peer, answer) = open_with(sidecar.connect(), &upstream, "", "");
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert!(!contains(&peer.wire.seen, "extensions"));
    client.part(0xc0, TEXT, "x");
    assert_eq!(client.closed().0, 1002);
}

#[test]
fn frames_from_upstream_pass_as_they_come() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    peer.part(0, TEXT, "one ");
    let first = client.frame().unwrap();
    assert!(
        !first.fin && first.opcode == TEXT && first.payload == b"one ",
        "at once"
    );
    peer.send(PING, "p");
    assert_eq!(client.whole(), (PING, b"p".to_vec()));
    client.send(PONG, "p");
    assert_eq!(peer.whole(), (PONG, b"p".to_vec()));
    peer.part(0, CONTINUATION, "two ");
    assert_eq!(client.frame().unwrap().payload, b"two ");
    peer.part(0x80, CONTINUATION, "");
    let last = client.frame().unwrap();
    assert!(last.fin && last.opcode == CONTINUATION && last.payload.is_empty());
    // Also beyond the limit for messages of a client.
    let large: Vec<u8> = (0..=250).cycle().take(20 << 20).collect();
    let bytes = peer.bytes(0x80, BINARY, &large);
    let sender = std::thread::spawn(move || {
        peer.wire.send(bytes);
        peer
    });
    assert!(client.joined() == (BINARY, large));
    sender.join().unwrap();
}

#[test]
fn a_reload_holds_from_the_next_message_on() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (mut client, mut peer) = open(&sidecar, &upstream);
    let put = |text: &str| {
        sidecar
            .running()
            .replace_secrets(secrets(text), &config::Config::default());
    };
    client.send(TEXT, TOKEN);
    assert_eq!(peer.text(), "x_token");
    client.part(0, TEXT, &TOKEN[..5]);
    // The ping's way through says that the first half was read.
    client.send(PING, "");
    peer.whole();
    put(&format!(
        r#"{{"https://example.com": {{"x_other": "{TOKEN}"}}}}"#
    ));
    client.send(PING, TOKEN);
    assert_eq!(peer.whole(), (PING, b"x_other".to_vec()));
    client.part(0x80, CONTINUATION, &TOKEN[5..]);
    assert_eq!(peer.text(), "x_token", "a message keeps what it began with");
    client.send(TEXT, TOKEN);
    assert_eq!(peer.text(), "x_other");
    put("{}");
    client.send(TEXT, TOKEN);
    assert_eq!(peer.text(), TOKEN);
    put(SECRETS);
    client.send(TEXT, TOKEN);
    assert_eq!(peer.text(), "x_token");
}

/// A tungstenite end on a wire whose handshake is done.
fn tungstenite(wire: Wire, role: Role) -> WebSocket<std::net::TcpStream> {
    let (stream, rest) = wire.into_stream();
    let config = WebSocketConfig::default().max_frame_size(None);
    WebSocket::from_partially_read(stream, rest, role, Some(config))
}

#[test]
fn another_implementation_speaks_through_it_on_both_sides() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (client, peer) = open(&sidecar, &upstream);
    let mut client = tungstenite(client.wire, Role::Client);
    let mut peer = tungstenite(peer.wire, Role::Server);
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let text = format!(
            "{{\"pad\": \"{}\", \"key\": \"{TOKEN}\"}}",
            "x ".repeat(size / 2)
        );
        client.send(Peers::text(text.clone())).unwrap();
        assert!(
            peer.read().unwrap().into_text().unwrap().as_str() == text.replace(TOKEN, "x_token")
        );
        peer.send(Peers::text(text.clone())).unwrap();
        assert!(client.read().unwrap().into_text().unwrap().as_str() == text);
    }
    client.send(Peers::Ping(TOKEN.into())).unwrap();
    assert_eq!(peer.read().unwrap(), Peers::Ping("x_token".into()));
    // It answered by itself.
    peer.flush().unwrap();
    assert_eq!(client.read().unwrap(), Peers::Pong("x_token".into()));
    client.close(None).unwrap();
    assert!(peer.read().unwrap().is_close());
    // Its answer goes out, and then there is nothing more to send.
    assert!(peer.flush().is_err());
    assert!(client.read().unwrap().is_close());
    assert!(client.read().is_err() && peer.read().is_err());
}

/// Pieces that texts are made of.
fn pieces() -> Vec<String> {
    let mut pieces: Vec<String> = [
        "{\"a\": \"",
        "\", \"b\": [",
        "]}",
        "\\u0073k-live",
        "é",
        "€",
        "𝄞",
        " ",
        "x_token",
        "\\n",
        "99",
    ]
    .map(str::to_owned)
    .into();
    pieces.extend(
        [
            TOKEN,
            VALUE,
            &TOKEN[..9],
            &TOKEN[9..],
            &TOKEN.replace('-', "\\u002d"),
        ]
        .map(str::to_owned),
    );
    pieces.push(base64_text());
    pieces.push("z".repeat(700));
    pieces
}

/// How a message goes onto the wire.
#[derive(Clone, Debug)]
struct Way {
    binary: bool,
    compressed: bool,
    /// Where frames end, in thousandths of the message.
    cuts: Vec<usize>,
    /// Sizes of writes, in turn.
    chunks: Vec<usize>,
    pings: bool,
}

fn way() -> impl Strategy<Value = Way> {
    let chunks = vec(prop_oneof![1..8_usize, 8..3000_usize], 1..5);
    (
        any::<bool>(),
        any::<bool>(),
        vec(0..=1000_usize, 0..6),
        chunks,
        any::<bool>(),
    )
        .prop_map(|(binary, compressed, mut cuts, chunks, pings)| {
            cuts.sort_unstable();
            Way {
                binary,
                compressed,
                cuts,
                chunks,
                pings,
            }
        })
}

fn frames_of(client: &Socket, way: &Way, payload: &[u8]) -> Vec<u8> {
    let opcode = if way.binary { BINARY } else { TEXT };
    let mut bytes = Vec::new();
    let mut at = 0;
    for (n, cut) in way.cuts.iter().chain([&1000]).enumerate() {
        let end = payload.len() * cut / 1000;
        let fin = if n == way.cuts.len() { 0x80 } else { 0 };
        let rsv1 = if n == 0 && way.compressed { 0x40 } else { 0 };
        let opcode = if n == 0 { opcode } else { CONTINUATION };
        bytes.extend(client.bytes(fin | rsv1, opcode, &payload[at..end]));
        if way.pings {
            bytes.extend(client.bytes(0x80, PING, "still here"));
        }
        at = end;
    }
    bytes
}

#[test]
fn p1_fragments_chunks_and_compression_never_change_what_upstream_reads() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let (client, peer, _) = open_with(sidecar.connect(), &upstream, DEFLATE, DEFLATE);
    let ends = RefCell::new((client, peer, Deflate::new()));
    let submission = bauta::secret::parse_submission(
        zeroize::Zeroizing::new(SECRETS.as_bytes().to_vec()),
        &bauta::secret::Limits::default(),
    );
    let (masker, _) = app::needles(&submission.ok().unwrap(), Spelling::Bare);
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let strategy = (
        vec(select(pieces()), 0..12).prop_map(|parts| parts.concat()),
        way(),
    );
    runner
        .run(&strategy, |(text, way)| {
            let (client, peer, deflate) = &mut *ends.borrow_mut();
            let done = masker.mask(text.as_bytes(), Syntax::Json).unwrap();
            let expected = done.map_or(text.as_bytes().to_vec(), |(masked, _)| masked);
            let payload = if way.compressed {
                deflate.message(text.as_bytes())
            } else {
                text.clone().into_bytes()
            };
            let bytes = frames_of(client, &way, &payload);
            let mut rest = &bytes[..];
            for size in way.chunks.iter().cycle() {
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                client.wire.send(chunk);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let mut pings = if way.pings { way.cuts.len() + 1 } else { 0 };
            let mut seen = None;
            while pings > 0 || seen.is_none() {
                let frame = peer.frame().unwrap();
                if frame.opcode == PING {
                    pings -= 1;
                } else {
                    prop_assert!(seen.is_none() && frame.fin);
                    prop_assert_eq!(frame.opcode, if way.binary { BINARY } else { TEXT });
                    seen = Some(if frame.rsv1 {
                        inflated(&frame.payload)
                    } else {
                        frame.payload
                    });
                }
            }
            let seen = seen.unwrap();
            prop_assert_eq!(
                seen.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
            peer.wire.forget();
            Ok(())
        })
        .unwrap();
}

#[test]
fn answers_are_masked_where_that_is_wanted() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_message_bytes: 1000,
        ..Limits::default()
    };
    let sidecar = Sidecar::masking_answers(&upstream, limits);
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, mut peer, _) = open_with(sidecar.connect(), &upstream, extension, extension);
    let text = format!("{{\"a\": \"{TOKEN} é\"}}");
    let expected = "{\"a\": \"x_token é\"}".as_bytes().to_vec();
    for at in 0..=text.len() {
        peer.part(0, TEXT, &text.as_bytes()[..at]);
        peer.part(0x80, CONTINUATION, &text.as_bytes()[at..]);
        assert_eq!(client.joined(), (TEXT, expected.clone()), "split at {at}");
    }
    peer.part(0xc0, TEXT, Deflate::new().message(text.as_bytes()));
    assert_eq!(client.joined(), (TEXT, expected));
    // Longer than a client's message may be.
    let long = format!("{TOKEN} and ").repeat(100_000);
    let bytes = peer.bytes(0x80, TEXT, &long);
    let sender = std::thread::spawn(move || {
        peer.wire.send(bytes);
        peer
    });
    assert!(client.joined() == (TEXT, long.replace(TOKEN, "x_token").into_bytes()));
    let mut peer = sender.join().unwrap();
    peer.send(PING, TOKEN);
    assert_eq!(client.whole(), (PING, b"x_token".to_vec()));
    peer.close(1000, TOKEN);
    assert_eq!(client.closed(), (1000, "x_token".to_owned()));
    client.close(1000, "");
    assert_eq!(peer.closed().0, 1000);
}
