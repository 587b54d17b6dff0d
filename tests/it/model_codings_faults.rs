//! Request bodies with content codings that are broken, too much, or not known: refused, whole or cut.

use std::thread;
use std::time::Duration;

use async_compression::zstd::CParameter;
use bauta::config::Limits;

use super::coders::{
    CODINGS, Encode, MIB, assert_as_it_came, bare_deflate, brotli, chunk, chunked_head, coded_post,
    coded_text_post, conversation, gzip, noise, stored_gzip, through, zlib, zstd, zstd_with,
};
use super::model_kit::{End, Sidecar, TOKEN, Upstream, contains, post};

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
    // Flags of gzip that are reserved, in its first member or a later one (RFC 1952, 2.3.1.2).
    for flag in [0x20, 0x40, 0x80] {
        let mut member = gzip(&text);
        member[3] |= flag;
        for body in [member.clone(), [gzip(&text), member].concat()] {
            let got = sidecar.refused(&coded_post("gzip", &body));
            assert_eq!(got.error(), (400, "content_coding_broken".to_owned()));
        }
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
    // Nor is what the messages within a body are coded by.
    for name in ["Grpc-Encoding", "Connect-Content-Encoding"] {
        let headers = format!("Content-Type: application/grpc\r\n{name}: gzip\r\n");
        let got = sidecar.refused(&post("/p/x", &headers, b"\x01\0\0\0\x01x"));
        assert_eq!(got.error(), (415, "content_coding".to_owned()), "{name}");
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
    // Text that begins with a zero is none that is read.
    let zeros = [&b"text"[..], &vec![0; 64 * MIB]].concat();
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
            assert!(!peer.saw_last_chunk(), "{coding}");
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
    assert!(!peer.saw_last_chunk());
    assert!(matches!(peer.end(), End::Close | End::Reset));
    assert!(upstream.is_untouched(), "the first one was never sent");
}
