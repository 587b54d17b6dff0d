//! Request bodies with content codings: read, masked, passed as they came where nothing is in them.

use async_compression::zstd::CParameter;
use bauta::config::Limits;
use bauta::net::coding::{Coding, CodingError, Decoder};
use bytes::Bytes;

use super::coders::{
    CODINGS, Encode, MIB, assert_as_it_came, assert_text, bare_deflate, brotli, chunk,
    chunked_head, coded_post, coded_text_post, conversation, gzip, noise, stored_gzip, through,
    zlib, zstd, zstd_with,
};
use super::model_kit::{OK, Sidecar, TOKEN, Upstream, VALUE, config, contains, find, last, post};

/// Takes a coding off in pieces of these sizes.
fn decode(coding: &str, body: &[u8], input: usize, output: usize) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(Coding::named(coding.as_bytes()).unwrap());
    let (mut text, mut buffer) = (Vec::new(), vec![0; output]);
    for piece in body.chunks(input) {
        let mut piece = Bytes::copy_from_slice(piece);
        while !piece.is_empty() || decoder.has_more() {
            let written = decoder.decode(&mut piece, &mut buffer)?;
            text.extend_from_slice(&buffer[..written]);
        }
    }
    decoder.finish().map(|()| text)
}

#[test]
fn pieces_make_no_difference_to_a_decoder() {
    let text = [conversation(VALUE), noise(3000), vec![b' '; 3000]].concat();
    for (coding, encode) in CODINGS {
        let mut bodies = vec![(encode(&text), text.clone()), (encode(b""), Vec::new())];
        if coding == "gzip" || coding == "zstd" {
            let twice = [encode(&text), encode(b""), encode(&text)].concat();
            bodies.push((twice, text.repeat(2)));
        }
        for (body, text) in bodies {
            for input in [1, 2, 3, 7, 100, usize::MAX] {
                for output in [1, 2, 5, 1000, 32 << 10] {
                    let got = decode(coding, &body, input, output);
                    assert!(got.as_ref() == Ok(&text), "{coding} {input} {output}");
                    let cut = decode(coding, &body[..body.len() - 1], input, output);
                    assert_eq!(
                        cut,
                        Err(CodingError::Truncated),
                        "{coding} {input} {output}"
                    );
                    let more = [&body[..], b"x"].concat();
                    assert!(
                        decode(coding, &more, input, output).is_err(),
                        "{coding} {input} {output}"
                    );
                }
            }
        }
    }
}

#[test]
fn p1_p7_every_coding_is_read_and_clean_bodies_go_on_as_they_came() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let clean = conversation("nothing to see");
    for (coding, encode) in CODINGS {
        let body = encode(&clean);
        let seen = through(&sidecar, &upstream, coded_post(coding, &body));
        assert_as_it_came(&seen, coding, &body);
        for value in [VALUE, TOKEN] {
            let key = if value == VALUE {
                "x_password"
            } else {
                "x_token"
            };
            let seen = through(
                &sidecar,
                &upstream,
                coded_post(coding, &encode(&conversation(value))),
            );
            assert_text(&seen, &conversation(key));
        }
        // The empty text has a coded form.
        let body = encode(b"");
        let seen = through(&sidecar, &upstream, coded_post(coding, &body));
        assert_as_it_came(&seen, coding, &body);
    }
}

#[test]
fn p1_p7_codings_may_stand_one_on_another() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let stacks: [(&str, &[Encode]); 7] = [
        ("gzip, br", &[gzip, brotli]),
        ("zstd,gzip", &[zstd, gzip]),
        ("br, zstd", &[brotli, zstd]),
        ("deflate, deflate", &[zlib, bare_deflate]),
        ("gzip, gzip, gzip", &[gzip, gzip, gzip]),
        ("X-GZIP, Identity,, ZSTD ,br", &[gzip, zstd, brotli]),
        ("identity, identity, identity, identity", &[]),
    ];
    for (coding, encoders) in stacks {
        let encode = |text: Vec<u8>| encoders.iter().fold(text, |text, encode| encode(&text));
        let body = encode(conversation("nothing"));
        let seen = through(&sidecar, &upstream, coded_post(coding, &body));
        assert_as_it_came(&seen, coding, &body);
        let body = encode(conversation(VALUE));
        let seen = through(&sidecar, &upstream, coded_post(coding, &body));
        assert_eq!(seen.body, conversation("x_password"), "{coding}");
        assert_eq!(
            seen.headers("content-encoding").is_empty(),
            !encoders.is_empty()
        );
    }
    // The same, over several lines.
    let headers =
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\n";
    let body = brotli(&gzip(&conversation(TOKEN)));
    let seen = through(&sidecar, &upstream, post("/p/x", headers, &body));
    assert_text(&seen, &conversation("x_token"));
    let body = brotli(&gzip(&conversation("nothing")));
    let seen = through(&sidecar, &upstream, post("/p/x", headers, &body));
    assert_eq!(seen.headers("content-encoding"), ["gzip", "br"]);
    assert_eq!(seen.body, body);
}

#[test]
fn p1_p7_members_and_frames_may_follow_one_another() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let rows: [(&str, Encode); 2] = [("gzip", gzip), ("zstd", zstd)];
    for (coding, encode) in rows {
        for value in ["nothing", TOKEN] {
            let text = conversation(value);
            // Also inside the value, and with empty members.
            let middle = find(&text, value.as_bytes()).unwrap() + value.len() / 2;
            let body = [
                encode(&text[..1]),
                encode(&text[1..middle]),
                encode(b""),
                encode(&text[middle..]),
            ]
            .concat();
            let seen = through(&sidecar, &upstream, coded_post(coding, &body));
            if value == TOKEN {
                assert_text(&seen, &conversation("x_token"));
            } else {
                assert_as_it_came(&seen, coding, &body);
            }
        }
    }
    // A skippable frame of zstd (RFC 8878, 3.1.2) is no text.
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"abcd"].concat();
    let text = conversation("nothing");
    let body = [&skippable[..], &zstd(&text), &skippable].concat();
    let seen = through(&sidecar, &upstream, coded_post("zstd", &body));
    assert_as_it_came(&seen, "zstd", &body);
    // With checksum and content size.
    let params = [
        CParameter::checksum_flag(true),
        CParameter::content_size_flag(true),
    ];
    let body = zstd_with(&conversation(TOKEN), &params);
    let seen = through(&sidecar, &upstream, coded_post("zstd", &body));
    assert_text(&seen, &conversation("x_token"));
}

#[test]
fn p1_coded_bodies_in_one_byte_chunks_are_masked() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (coding, encode) in CODINGS {
        for value in ["nothing", VALUE] {
            let body = encode(&conversation(value));
            let mut request = chunked_head(coding).into_bytes();
            for byte in &body {
                request.extend_from_slice(&chunk(&[*byte]));
            }
            request.extend_from_slice(b"0\r\n\r\n");
            let seen = through(&sidecar, &upstream, request);
            if value == VALUE {
                assert_text(&seen, &conversation("x_password"));
            } else {
                assert_as_it_came(&seen, coding, &body);
            }
        }
    }
}

/// A gzip member whose header has a name, a comment and an extra field.
fn gzip_with_metadata(text: &[u8], name: &str, comment: &str, extra: &str) -> Vec<u8> {
    let extra = [
        b"ap",
        &u16::try_from(extra.len()).unwrap().to_le_bytes()[..],
        extra.as_bytes(),
    ]
    .concat();
    let mut encoder = flate2::GzBuilder::new()
        .filename(name)
        .comment(comment)
        .extra(extra)
        .write(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn p1_a_value_beside_the_text_of_a_coded_form_does_not_go_on() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = conversation("nothing");
    let skippable = |payload: &str| {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&[0x5f, 0x2a, 0x4d, 0x18][..], &length, payload.as_bytes()].concat()
    };
    let named = gzip_with_metadata(&text, TOKEN, "", "");
    let rows = [
        ("gzip", named.clone()),
        ("gzip", gzip_with_metadata(&text, "", TOKEN, "")),
        ("gzip", gzip_with_metadata(&text, "", "", TOKEN)),
        // In a reading, not as it is.
        (
            "gzip",
            gzip_with_metadata(&text, "", "sk%2Dlive-51Hx2eKfQ9wZ", ""),
        ),
        ("zstd", [zstd(&text), skippable(TOKEN)].concat()),
        ("zstd", [skippable(TOKEN), zstd(&text)].concat()),
        // Between two codings, where nobody sees it on the wire.
        ("gzip, br", brotli(&named)),
        (
            "zstd, gzip",
            gzip(&[zstd(&text), skippable(TOKEN)].concat()),
        ),
    ];
    for (coding, body) in rows {
        let seen = through(&sidecar, &upstream, coded_post(coding, &body));
        assert_text(&seen, &text);
    }
    // Of a coded form that holds the value as it is, nothing but the masked text goes on.
    let stored = stored_gzip(&conversation(TOKEN));
    assert!(contains(&stored, TOKEN));
    let seen = through(&sidecar, &upstream, coded_post("gzip", &stored));
    assert_text(&seen, &conversation("x_token"));
    // Metadata that holds nothing goes on.
    let body = gzip_with_metadata(&text, "a.json", "a comment", "extra");
    let seen = through(&sidecar, &upstream, coded_post("gzip", &body));
    assert_as_it_came(&seen, "gzip", &body);
}

#[test]
fn p1_p7_bodies_longer_than_what_is_held_back_go_on_as_text() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let clean = noise(9 * MIB);
    let tail = [&clean[..], TOKEN.as_bytes()].concat();
    let early = [TOKEN.as_bytes(), b" ", &clean].concat();
    let masked = |text: &[u8]| {
        let at = find(text, TOKEN.as_bytes()).unwrap();
        [&text[..at], b"x_token", &text[at + TOKEN.len()..]].concat()
    };
    for (coding, encode) in [("gzip", gzip as Encode), ("br", brotli), ("zstd", zstd)] {
        for (text, expected) in [
            (&clean, clean.clone()),
            (&tail, masked(&tail)),
            (&early, masked(&early)),
        ] {
            let seen = through(&sidecar, &upstream, coded_text_post(coding, &encode(text)));
            assert!(seen.headers("content-encoding").is_empty(), "{}", seen.head);
            assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"));
            assert!(seen.body == expected, "{coding}");
        }
    }
    // The same text and coded form within the buffer, together, go on as they came; with the value in the last bytes as text.
    let short = noise(4 * MIB);
    let body = gzip(&short);
    let seen = through(&sidecar, &upstream, coded_text_post("gzip", &body));
    assert_as_it_came(&seen, "gzip", &body);
    let text = [&short[..], TOKEN.as_bytes()].concat();
    let seen = through(&sidecar, &upstream, coded_text_post("gzip", &gzip(&text)));
    assert_text(&seen, &masked(&text));
    // Where both do not fit and the text does, the text goes on with its length.
    let middle = noise(7 * MIB);
    let seen = through(&sidecar, &upstream, coded_text_post("gzip", &gzip(&middle)));
    assert_text(&seen, &middle);
}

#[test]
fn bodies_of_no_bytes_go_on_whatever_their_header_says() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (coding, _) in CODINGS {
        let seen = through(&sidecar, &upstream, coded_post(coding, b""));
        assert_as_it_came(&seen, coding, b"");
        let request = [chunked_head(coding).as_bytes(), b"0\r\n\r\n"].concat();
        let seen = through(&sidecar, &upstream, request);
        assert_as_it_came(&seen, coding, b"");
    }
    let mut client = sidecar.connect();
    client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n\r\n");
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(seen.header("content-encoding").as_deref(), Some("gzip"));
    assert!(seen.headers("content-length").is_empty());
}

#[test]
fn without_secrets_coded_bodies_pass_unread() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&config(&upstream.url(), Limits::default()), "{}");
    for body in [
        gzip(&conversation("a")),
        b"not gzip".to_vec(),
        b"\xff\xfe{\0".to_vec(),
    ] {
        let seen = through(&sidecar, &upstream, coded_post("gzip", &body));
        assert_as_it_came(&seen, "gzip", &body);
        let request = [
            chunked_head("gzip").into_bytes(),
            chunk(&body),
            b"0\r\n\r\n".to_vec(),
        ]
        .concat();
        let seen = through(&sidecar, &upstream, request);
        assert_as_it_came(&seen, "gzip", &body);
    }
}

#[test]
fn a_coded_body_goes_on_while_its_sender_is_slow() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for (coding, encode) in [("gzip", gzip as Encode), ("br", brotli), ("zstd", zstd)] {
        let text = [noise(9 * MIB), TOKEN.as_bytes().to_vec(), noise(2 * MIB)].concat();
        let whole = encode(&text);
        let (first, rest) = whole.split_at(whole.len() - 1000);
        let mut client = sidecar.connect();
        client.send(chunked_head(coding));
        client.send(chunk(first));
        let mut peer = upstream.accept();
        peer.head();
        let mut received = Vec::new();
        // Most of the text is there before the rest of it is sent.
        while received.len() < 9 * MIB {
            received.extend_from_slice(&peer.chunk().unwrap());
        }
        client.send(chunk(rest));
        client.send("0\r\n\r\n");
        loop {
            let chunk = peer.chunk().unwrap();
            if chunk.is_empty() {
                break;
            }
            received.extend_from_slice(&chunk);
        }
        assert_eq!(received.len(), text.len() - TOKEN.len() + "x_token".len());
        assert!(!contains(&received, TOKEN) && contains(&received, "x_token"));
        peer.send(last(OK));
        assert_eq!(client.message("POST").status(), 200);
    }
}
