//! Request bodies with content codings: read, masked, passed as they came where nothing is in them, refused where they are broken.

use std::thread;
use std::time::Duration;

use async_compression::zstd::CParameter;
use bauta::config::Limits;
use bauta::net::coding::{Coding, CodingError, Decoder};
use bytes::Bytes;

use super::coders::{
    CODINGS, Encode, bare_deflate, brotli, gzip, noise, stored_gzip, zlib, zstd, zstd_with,
};
use super::model_kit::{
    End, Message, OK, Sidecar, TOKEN, Upstream, VALUE, Wire, config, contains, find, post,
};

const MIB: usize = 1 << 20;

fn coded_post(coding: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
    post("/p/x", &headers, body)
}

fn coded_text_post(coding: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
    post("/p/x", &headers, body)
}

fn chunked_head(coding: &str) -> String {
    format!(
        "POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Sends a request and returns what the upstream saw of it.
fn through(sidecar: &Sidecar, upstream: &Upstream, request: Vec<u8>) -> Message {
    let mut client = sidecar.connect();
    let writer = thread::spawn(move || {
        client.send(request);
        client
    });
    let mut peer = upstream.accept();
    let message = peer.request();
    assert!(message.complete, "{}", message.head);
    peer.send(OK.replacen("\r\n", "\r\nConnection: close\r\n", 1));
    assert_eq!(writer.join().unwrap().message("POST").body, b"ok");
    for value in [VALUE, TOKEN] {
        assert!(!contains(&peer.seen, value), "{}", message.head);
    }
    message
}

/// It went on as it came.
fn assert_as_it_came(seen: &Message, coding: &str, body: &[u8]) {
    assert_eq!(seen.headers("content-encoding"), [coding]);
    assert_eq!(
        seen.header("content-length").unwrap(),
        body.len().to_string()
    );
    assert!(seen.body == body, "{coding}: {} bytes", seen.body.len());
}

/// It went on as this text, with its exact length.
fn assert_text(seen: &Message, text: &[u8]) {
    assert!(seen.headers("content-encoding").is_empty(), "{}", seen.head);
    assert_eq!(
        seen.header("content-length").unwrap(),
        text.len().to_string()
    );
    assert!(
        seen.body == text,
        "{:?}",
        String::from_utf8_lossy(&seen.body)
    );
}

fn conversation(value: &str) -> Vec<u8> {
    let value = serde_json::to_string(value).unwrap();
    let text = format!(
        "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{value}}}], \"n\" :  1}}\n"
    );
    text.into_bytes()
}

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
fn p6_what_cannot_be_decoded_is_refused_and_leaves_no_trace() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = [conversation(TOKEN), noise(3000)].concat();
    for (coding, encode) in CODINGS {
        let whole = encode(&text);
        let ends = (1..40)
            .chain((40..whole.len()).step_by(97))
            .chain(whole.len() - 12..whole.len());
        for end in ends {
            let got = sidecar.refused(&coded_post(coding, &whole[..end]));
            assert_eq!(
                got.error(),
                (400, "content_coding_broken".to_owned()),
                "{coding} cut at {end}"
            );
            assert!(!contains(&got.body, TOKEN));
        }
        for trailing in [
            &b"\0"[..],
            b"\n",
            b"{}",
            TOKEN.as_bytes(),
            &noise(100_000),
            &whole[..7],
        ] {
            let body = [&whole[..], trailing].concat();
            let got = sidecar.refused(&coded_post(coding, &body));
            assert_eq!(
                got.error(),
                (400, "content_coding_broken".to_owned()),
                "{coding} + {}",
                trailing.len()
            );
        }
        // The first bytes say what it is; plain JSON is nothing of the kind. (As brotli it may be anything, but not whole.)
        let got = sidecar.refused(&coded_post(coding, &conversation(TOKEN)));
        assert_eq!(got.error().0, 400, "{coding}");
        let got = sidecar.refused(&coded_post(&format!("{coding}, gzip"), &gzip(&text)));
        assert_eq!(got.error().0, 400, "{coding}");
    }
    // A second coded form behind one of a coding that has no members.
    for (coding, encode) in [
        ("br", brotli as Encode),
        ("deflate", zlib),
        ("deflate", bare_deflate),
    ] {
        let got = sidecar.refused(&coded_post(
            coding,
            &[encode(b"{}"), encode(b"{}")].concat(),
        ));
        assert_eq!(
            got.error(),
            (400, "content_coding_broken".to_owned()),
            "{coding}"
        );
    }
    assert!(upstream.is_untouched());
}

#[test]
fn p6_corrupt_streams_never_pass_what_was_not_read() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = [conversation("nothing"), noise(2000)].concat();
    // Of these the form has a checksum; each flipped bit must show.
    let params = [CParameter::checksum_flag(true)];
    let rows = [
        ("gzip", gzip(&text), 10),
        ("deflate", zlib(&text), 2),
        ("zstd", zstd_with(&text, &params), 6),
    ];
    for (coding, whole, header) in rows {
        for at in (header..whole.len())
            .step_by(61)
            .chain(whole.len() - 4..whole.len())
        {
            let mut body = whole.clone();
            body[at] ^= 1 << (at % 8);
            let got = sidecar.refused(&coded_post(coding, &body));
            assert_eq!(
                got.error(),
                (400, "content_coding_broken".to_owned()),
                "{coding} at {at}"
            );
        }
    }
    assert!(upstream.is_untouched());
}

#[test]
fn p6_unknown_codings_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for coding in [
        "compress",
        "x-compress",
        "lzma",
        "aes128gcm",
        "exi",
        "dcb",
        "dcz",
        "gzip;q=1",
        "gzip br",
        "\"gzip\"",
        "*",
        "gzip, gzip, gzip, gzip",
        "gzip, unknown",
        "unknown, gzip",
        "\u{b}gzip",
        "gz",
        "utf-8",
    ] {
        let got = sidecar.refused(&coded_post(coding, &gzip(b"{}")));
        if coding.starts_with('\u{b}') {
            // No header at all.
            assert_eq!(got.status(), 400);
            continue;
        }
        assert_eq!(got.error(), (415, "content_coding".to_owned()), "{coding}");
    }
    // A coding of the transfer is another thing.
    let got = sidecar.refused(b"POST /p/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(got.status(), 400);
    assert!(upstream.is_untouched());
}

#[test]
fn p6_windows_beyond_what_http_allows_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = noise(100);
    let window = |log| {
        zstd_with(
            &text,
            &[
                CParameter::window_log(log),
                CParameter::content_size_flag(false),
            ],
        )
    };
    let seen = through(&sidecar, &upstream, coded_post("zstd", &window(23)));
    assert_as_it_came(&seen, "zstd", &window(23));
    for log in [24, 27] {
        let got = sidecar.refused(&coded_post("zstd", &window(log)));
        assert_eq!(
            got.error(),
            (400, "content_coding_broken".to_owned()),
            "{log}"
        );
    }
    // Brotli's large windows: 0x11, then the size in six bits.
    for size in [10, 24, 30] {
        let got = sidecar.refused(&coded_post("br", &[0x11, size, 0x03, 0]));
        assert_eq!(
            got.error(),
            (400, "content_coding_broken".to_owned()),
            "{size}"
        );
    }
    // A frame that calls for a dictionary.
    let got = sidecar.refused(&coded_post(
        "zstd",
        b"\x28\xb5\x2f\xfd\x21\x07\x02\x11\x00\x00{}",
    ));
    assert_eq!(got.error().0, 400);
    assert!(upstream.is_untouched());
}

#[test]
fn p8_bombs_are_refused_before_they_go_off() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let zeros = vec![0; 64 * MIB];
    let spaces = vec![b' '; 64 * MIB];
    let (gzipped, zstded) = (gzip(&zeros), zstd(&zeros));
    let rows = [
        ("gzip", gzipped.clone()),
        ("deflate", zlib(&spaces)),
        ("deflate", bare_deflate(&spaces)),
        ("br", brotli(&spaces)),
        ("zstd", zstded.clone()),
        ("gzip, gzip", gzip(&gzipped)),
        ("gzip, zstd", zstd(&gzipped)),
        ("zstd, br", brotli(&zstded)),
        ("gzip, gzip, gzip", gzip(&gzip(&gzipped))),
        // What is between two codings counts, even where no text comes of it: empty members.
        ("gzip, zstd", zstd(&gzip(b"").repeat(2 * MIB))),
    ];
    for (coding, body) in rows {
        assert!(body.len() < MIB);
        let got = sidecar.refused(&coded_text_post(coding, &body));
        assert_eq!(
            got.error(),
            (413, "content_coding_ratio".to_owned()),
            "{coding}"
        );
    }
    assert!(upstream.is_untouched());
    // Small bodies may be as even as they like.
    let body = gzip(&vec![b' '; 4 * MIB - 9000]);
    let seen = through(&sidecar, &upstream, coded_text_post("gzip", &body));
    assert_as_it_came(&seen, "gzip", &body);
}

#[test]
fn p8_the_size_of_the_text_has_the_limit_of_a_body() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_body_bytes: 100_000,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    for (coding, encode) in CODINGS {
        let most = vec![b' '; 100_000];
        let body = encode(&most);
        let seen = through(&sidecar, &upstream, coded_text_post(coding, &body));
        assert_as_it_came(&seen, coding, &body);
        let body = encode(&[&most[..], b" "].concat());
        let got = sidecar.refused(&coded_text_post(coding, &body));
        assert_eq!(got.error(), (413, "body_too_large".to_owned()), "{coding}");
        // So has what is between two codings.
        let got = sidecar.refused(&coded_text_post(
            &format!("gzip, {coding}"),
            &encode(&stored_gzip(&most)),
        ));
        assert_eq!(got.error(), (413, "body_too_large".to_owned()), "{coding}");
    }
    assert!(upstream.is_untouched());
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
    for (coding, encode) in CODINGS {
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

/// Reads to the end of an upstream connection; whether the request on it looked complete.
fn saw_last_chunk(peer: &mut Wire) -> bool {
    while let Some(chunk) = peer.chunk() {
        if chunk.is_empty() {
            return true;
        }
    }
    false
}

#[test]
fn p6_what_breaks_after_the_first_upstream_byte_never_looks_complete() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let text = noise(10 * MIB);
    for (coding, encode) in [("gzip", gzip as Encode), ("br", brotli), ("zstd", zstd)] {
        let whole = encode(&text);
        let cut = whole[..whole.len() - 1].to_vec();
        let trailing = [&whole[..], b"junk"].concat();
        for body in [cut, trailing] {
            let mut client = sidecar.connect();
            let request = coded_text_post(coding, &body);
            let writer = thread::spawn(move || {
                client.send(request);
                client
            });
            let mut peer = upstream.accept();
            assert!(
                peer.head()
                    .to_ascii_lowercase()
                    .contains("transfer-encoding: chunked")
            );
            assert!(!saw_last_chunk(&mut peer), "{coding}");
            let got = writer.join().unwrap().message("POST");
            assert_eq!(
                got.error(),
                (400, "content_coding_broken".to_owned()),
                "{coding}"
            );
        }
    }
}

#[test]
fn p6_text_that_is_not_utf8_is_refused_behind_its_coding_too() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let utf16: Vec<u8> = String::from_utf8(conversation(TOKEN))
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (coding, encode) in CODINGS {
        for text in [utf16.clone(), [&b"\xff\xfe"[..], &utf16].concat()] {
            let got = sidecar.refused(&coded_post(coding, &encode(&text)));
            assert_eq!(got.error(), (415, "charset".to_owned()), "{coding}");
        }
    }
    assert!(upstream.is_untouched());
    // The coded form may begin with any bytes; only the text counts.
    let body = bare_deflate(b"");
    let seen = through(&sidecar, &upstream, coded_post("deflate", &body));
    assert_as_it_came(&seen, "deflate", &body);
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
fn a_sender_that_stalls_inside_a_coded_body_is_given_up() {
    let upstream = Upstream::bind();
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let body = gzip(&conversation(TOKEN));
    let mut client = sidecar.connect();
    client.send(&coded_post("gzip", &body)[..coded_post("gzip", &body).len() - 9]);
    assert_eq!(
        client.message("POST").error(),
        (408, "body_stalled".to_owned())
    );
    assert!(upstream.is_untouched());
}

#[test]
fn a_client_that_leaves_inside_a_coded_body_takes_the_upstream_request_with_it() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    // Within what is held back: nobody hears of it.
    let whole = gzip(&noise(10 * MIB));
    let mut client = sidecar.connect();
    client.send(chunked_head("gzip"));
    client.send(chunk(&whole[..1000]));
    drop(client);
    // Beyond: upstream sees it cut.
    let mut client = sidecar.connect();
    client.send(chunked_head("gzip"));
    client.send(chunk(&whole[..whole.len() - 1000]));
    let mut peer = upstream.accept();
    peer.head();
    assert!(peer.chunk().is_some_and(|chunk| !chunk.is_empty()));
    drop(client);
    assert!(!saw_last_chunk(&mut peer));
    assert!(matches!(peer.end(), End::Close | End::Reset));
    assert!(upstream.is_untouched(), "the first one was never sent");
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
        peer.send(OK);
        assert_eq!(client.message("POST").status(), 200);
    }
}
