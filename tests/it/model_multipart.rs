//! Multipart bodies: every part masked by its own rules, the frame as it came, and no body that two servers read differently.

use std::fmt::Write as _;
use std::sync::Arc;
use std::thread;

use bauta::config::Limits;
use bauta::guard::Snapshot;
use bauta::relay::Error;
use bauta::relay::content::Declared;
use bauta::relay::multipart::{Boundary, PartError, Reader};
use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert_eq, proptest};

use super::model_kit::{
    OK, Sidecar, TOKEN, Upstream, VALUE, config, contains, last, post, secrets, unescape,
};

/// Bodies that are refused, and why.
const REFUSED: &str = include_str!("../data/multipart.tsv");

fn snapshot() -> Arc<Snapshot> {
    let text = r#"{"https://example.com": {"x_password": "tr0ub4dor&3 horse/\"staple\"", "x_token": "sk-live-51Hx2eKfQ9wZ",
        "x_pin": "99123456789012"}}"#;
    Arc::new(Snapshot::from(secrets(text)))
}

fn boundary(text: &str) -> Boundary {
    let content_type = format!("multipart/form-data; boundary=\"{text}\"");
    Boundary::of(content_type.as_bytes())
        .ok()
        .flatten()
        .unwrap()
}

/// What comes out of a body that comes in these pieces, and how many occurrences it held.
fn read<'a>(
    bound: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, u64), Error> {
    let mut reader = Reader::new(&snapshot(), Declared::Other, Some(&boundary(bound)))?;
    let mut out = Vec::new();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece), &mut out)?;
    }
    reader.finish(&mut out)?;
    Ok((out.concat(), reader.hits().values().sum()))
}

/// The result for a body, which must be the same in any pieces.
fn masked(bound: &str, body: &[u8]) -> Result<(Vec<u8>, u64), String> {
    let text = |error: Error| format!("{error:?}");
    let whole = read(bound, [body]).map_err(text);
    let bytes = read(bound, body.chunks(1)).map_err(text);
    assert_eq!(whole, bytes, "{:?}", String::from_utf8_lossy(body));
    for at in 0..=body.len() {
        let (first, second) = body.split_at(at);
        let split = read(bound, [first, second]).map_err(text);
        assert_eq!(whole, split, "at {at}: {:?}", String::from_utf8_lossy(body));
    }
    whole
}

/// A body of parts, each of header lines and content.
fn form(bound: &str, parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--{bound}\r\n{head}\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{bound}--\r\n").as_bytes());
    body
}

#[test]
#[allow(clippy::too_many_lines)] // Rows.
fn p1_each_part_is_masked_by_its_own_rules() {
    let escaped = VALUE.replace('"', "\\\"");
    let nested = format!(
        "--in\r\nContent-Type: application/json\r\n\r\n[99123456789012]\r\n--in\r\n\r\n{TOKEN}\r\n--in--\r\n"
    );
    // (headers, content, both as they go on)
    let rows: [(&str, &str, &str, &str); 20] = [
        ("A: b\r\n", TOKEN, "A: b\r\n", "x_token"),
        ("", VALUE, "", "x_password"),
        (
            "Content-Type: application/json\r\n",
            "{\"a\": 99123456789012}",
            "Content-Type: application/json\r\n",
            "{\"a\": \"x_pin\"}",
        ),
        (
            "content-type:Application/JSON;charset=UTF-8\r\n",
            "[99123456789012]",
            "content-type:Application/JSON;charset=UTF-8\r\n",
            "[\"x_pin\"]",
        ),
        // What a sender does not know by its name is JSON where it looks so.
        (
            "Content-Type: application/octet-stream\r\n",
            "\n{\"a\": 99123456789012}",
            "Content-Type: application/octet-stream\r\n",
            "\n{\"a\": \"x_pin\"}",
        ),
        (
            "Content-Type: application/octet-stream\r\n",
            "99123456789012",
            "Content-Type: application/octet-stream\r\n",
            "x_pin",
        ),
        // A text is not JSON, whatever it looks like; what has no type is JSON where it looks so.
        (
            "Content-Type: text/plain\r\n",
            "{\"a\": 99123456789012}",
            "Content-Type: text/plain\r\n",
            "{\"a\": x_pin}",
        ),
        (
            "A: b\r\n",
            " {\"a\": 99123456789012}",
            "A: b\r\n",
            " {\"a\": \"x_pin\"}",
        ),
        ("A: b\r\n", "99123456789012", "A: b\r\n", "x_pin"),
        (
            "Content-Type: application/json\r\n",
            "99123456789012",
            "Content-Type: application/json\r\n",
            "\"x_pin\"",
        ),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "a=tr0ub4dor%263+horse/%22staple%22&b=1",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "a=x_password&b=1",
        ),
        (
            "Content-Type: application/jsonl\r\n",
            "{\"a\":99123456789012}\n{\"b\":1}\n",
            "Content-Type: application/jsonl\r\n",
            "{\"a\":\"x_pin\"}\n{\"b\":1}\n",
        ),
        // "sk-live-51Hx2eKfQ9wZ" in base64.
        (
            "Content-Type: application/json\r\nContent-Transfer-Encoding: base64\r\n",
            "c2stbGl2ZS01MU\r\nh4MmVLZlE5d1o=\r\n",
            "Content-Type: application/json\r\nContent-Transfer-Encoding: base64\r\n",
            "eF90b2tlbg==\r\n",
        ),
        (
            &format!(
                "Content-Disposition: form-data; name=\"{TOKEN}\"; filename=\"{escaped}.txt\"\r\nX-A: 1\r\n"
            ),
            "a",
            "Content-Disposition: form-data; name=\"x_token\"; filename=\"x_password.txt\"\r\nX-A: 1\r\n",
            "a",
        ),
        (
            "Content-Disposition: form-data; filename*=UTF-8''tr0ub4dor%263%20horse%2F%22staple%22\r\n",
            "",
            "Content-Disposition: form-data; filename*=UTF-8''x_password\r\n",
            "",
        ),
        (
            &format!("X-Note:{TOKEN}\t\r\nX-Note: b\r\nX-Note: {TOKEN}{TOKEN}\r\n"),
            "a",
            "X-Note:x_token\t\r\nX-Note: b\r\nX-Note: x_tokenx_token\r\n",
            "a",
        ),
        (
            "Content-Encoding: identity\r\nContent-Transfer-Encoding: 8BIT\r\n",
            TOKEN,
            "Content-Encoding: identity\r\nContent-Transfer-Encoding: 8BIT\r\n",
            "x_token",
        ),
        (
            "Content-Type: multipart/mixed; boundary=in\r\n",
            &nested,
            "Content-Type: multipart/mixed; boundary=in\r\n",
            "--in\r\nContent-Type: application/json\r\n\r\n[\"x_pin\"]\r\n--in\r\n\r\nx_token\r\n--in--\r\n",
        ),
        (
            "Content-Type: audio/pcm\r\n",
            "{\0sk-live-51Hx2eKfQ9wZ",
            "Content-Type: audio/pcm\r\n",
            "{\0x_token",
        ),
        (
            "Content-Type: message/rfc822\r\n",
            "Subject: 99123456789012\r\n\r\nx",
            "Content-Type: message/rfc822\r\n",
            "Subject: x_pin\r\n\r\nx",
        ),
    ];
    for (head, content, head_after, content_after) in rows {
        let others: (&str, &[u8]) = ("Z: z\r\n", b"z\r\n-z");
        let body = form("b", &[others, (head, content.as_bytes()), others]);
        let expected = form(
            "b",
            &[others, (head_after, content_after.as_bytes()), others],
        );
        let (got, hits) = masked("b", &body).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&expected)
        );
        assert!(hits > 0, "{head}");
    }
}

#[test]
fn p7_a_body_without_a_value_goes_on_byte_for_byte() {
    let binary: Vec<u8> = (0..4000_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\r\n--\r\n-", &binary[..]].concat();
    let parts: [(&str, &[u8]); 6] = [
        (
            "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".png\"\r\nContent-Type: image/png\r\n",
            &png,
        ),
        ("content-disposition:form-data;name=a\r\n", b""),
        ("A: \u{e9}\r\nA:\r\nA: 1\r\n", b"\r\n"),
        (
            "Content-Type: application/json\r\n",
            b" { \"a\" : 1.0e5 , \"b\":\"\\u00eb\" }\r\n",
        ),
        ("", b"\r\n--bou\r\n-\r\n--Bound\r\nx--bound--\r\n"),
        ("Content-Type: application/json\r\n", b"no json"),
    ];
    let body = form("bound", &parts);
    let with = |before: &[u8], after: &[u8]| [before, &body, after].concat();
    for body in [
        body.clone(),
        with(b"\r\n", b""),
        with(b"preamble --bound \r\n\r\n", b"epilogue\n\r--boun --bound"),
        body[..body.len() - 2].to_vec(),
        with(b"", b"\r\n\r\n"),
        b"--bound--".to_vec(),
        b"--bound--\r\n".to_vec(),
        b"--bound\r\n\r\n\r\n--bound--\n".to_vec(),
    ] {
        // In a few pieces only: it is long.
        for size in [body.len(), 1, 7, 64, 1000] {
            let (got, hits) = read("bound", body.chunks(size)).ok().unwrap();
            assert!(
                got == body,
                "{size}: {:?}",
                String::from_utf8_lossy(&body[..20])
            );
            assert_eq!(hits, 0);
        }
    }
    let unix = b"--b\nContent-Type: application/json\n\n{}\n\n\n--b\nA: b\n\n\r\n\n--b--\n";
    assert_eq!(
        masked("b", unix),
        Ok((unix.to_vec(), 0)),
        "lines that end with LF alone"
    );
    assert_eq!(masked("b", b""), Ok((Vec::new(), 0)));
}

#[test]
fn p1_preamble_and_epilogue_are_searched() {
    let body = format!("a {TOKEN}\r\n--b\r\n\r\n1\r\n--b--\r\nz {VALUE}");
    let (got, hits) = masked("b", body.as_bytes()).unwrap();
    assert_eq!(got, b"a x_token\r\n--b\r\n\r\n1\r\n--b--\r\nz x_password");
    assert_eq!(hits, 2);
}

#[test]
fn p1_lines_that_end_with_lf_are_masked_too() {
    let body = format!("--b\nX-A: {TOKEN}\n\n[99123456789012]\n--b\n\n{TOKEN}\n--b--\n");
    let (got, hits) = masked("b", body.as_bytes()).unwrap();
    assert_eq!(
        got,
        b"--b\nX-A: x_token\n\n[\"x_pin\"]\n--b\n\nx_token\n--b--\n"
    );
    assert_eq!(hits, 3);
}

#[test]
fn p6_what_two_servers_could_read_differently_is_refused() {
    let rows = REFUSED.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let (body, expected) = row.split_once('\t').unwrap();
        let got =
            masked("b", &unescape(body)).map(|(out, _)| String::from_utf8_lossy(&out).into_owned());
        assert_eq!(got, Err(format!("Part({expected})")), "{row}");
        count += 1;
    }
    assert!(count > 60);
    let mut deep = String::new();
    for at in 0..5 {
        let _ = write!(
            deep,
            "--b{at}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n",
            at + 1
        );
    }
    let got = read("b0", [deep.as_bytes()]).map(|_| ());
    assert!(
        matches!(got, Err(Error::Part(PartError::Nested))),
        "{got:?}"
    );
}

#[test]
fn p6_a_part_that_shows_to_be_utf_16_is_refused() {
    for (head, content) in [
        ("Content-Type: application/json", &b"{\0\"\0a\0"[..]),
        ("Content-Type: text/plain", b"\xff\xfea\0"),
        ("Content-Type: text/plain", b"\xfe\xff"),
        ("A: b", b"\0{\0\""),
        ("A: b", b"\n\0\0\0{\0\0\0"),
        ("Content-Type: application/json", b" \0\0\0{\0\0\0"),
        ("Content-Type: text/plain", b"a\0b\0"),
        ("A: b", b"\xff\xfe{\0"),
    ] {
        let body = form(
            "b",
            &[("A: b\r\n", b"x"), (&format!("{head}\r\n"), content)],
        );
        assert_eq!(masked("b", &body), Err("Charset".to_owned()), "{head}");
    }
}

#[test]
fn p6_what_masking_would_make_a_boundary_is_refused() {
    // A key is as good a boundary as any, and so is what it begins with, or its base64.
    let encoded = "c2stbGl2ZS01MUh4MmVLZlE5d1o";
    for (bound, text) in [
        ("x_token", format!("--b\r\n\r\n--{TOKEN}\r\n--b--")),
        (
            "x_token",
            format!("--b\r\n\r\na\r\n--{TOKEN}\r\n\r\n\r\n--b--"),
        ),
        ("x_token", format!("--b\r\n\r\na\r\n--{TOKEN}--\r\n--b--")),
        ("x", format!("--b\r\n\r\na\r\n--{TOKEN}\r\n--b--")),
        ("x_", format!("--b\r\n\r\na\n--{TOKEN}\r\n--b--")),
        ("x_", format!("--b\r\n\r\na\r--{TOKEN}\r\n--b--")),
        ("x_", format!("--{TOKEN}\r\n--b\r\n\r\na\r\n--b--")),
        ("x_", format!("--b--\r\n\r\n--{TOKEN}")),
        ("x_", format!("--b--\r\n--{TOKEN}")),
        ("eF90b2tl", format!("--b\r\n\r\na\r\n--{encoded}\r\n--b--")),
        (
            "x_",
            format!(
                "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--{TOKEN}\r\n--c--\r\n--b--"
            ),
        ),
    ] {
        let body = text.replace("--b", &format!("--{bound}"));
        let got = masked(bound, body.as_bytes());
        assert_eq!(got.unwrap_err(), "Part(Made)", "{body:?}");
    }
    // Within a line it is none.
    let body = format!("--x_\r\n\r\na--{TOKEN}\r\n -{TOKEN}\r\n--x_--");
    let (got, _) = masked("x_", body.as_bytes()).unwrap();
    assert_eq!(got, body.replace(TOKEN, "x_token").into_bytes());
}

#[test]
fn p1_a_boundary_or_a_name_that_holds_a_value_is_refused() {
    let name = format!("--b\r\n{TOKEN}: a\r\n\r\n\r\n--b--");
    let nested = format!(
        "--b\r\nContent-Type: multipart/mixed; boundary={TOKEN}\r\n\r\n--{TOKEN}--\r\n--b--"
    );
    let typed = format!(
        "--b\r\nContent-Type: multipart/mixed; boundary=c; x={TOKEN}\r\n\r\n--c--\r\n--b--"
    );
    for (bound, body) in [
        ("b", name),
        ("b", nested),
        ("b", typed),
        (TOKEN, format!("--{TOKEN}--")),
    ] {
        let got = read(bound, [body.as_bytes()]).map(|_| ());
        assert!(matches!(got, Err(Error::SecretInName(_))), "{got:?}");
    }
}

#[test]
fn p1_a_value_may_not_end_at_the_edge_of_a_part() {
    // Half a value before the boundary and half behind it are two texts, and stay.
    let (first, second) = TOKEN.split_at(9);
    let body = format!(
        "--b\r\n\r\n{first}\r\n--b\r\n\r\n{second}\r\n--b\r\n\r\n{TOKEN}\r\n--b\r\nA: {TOKEN}\r\n\r\n{TOKEN}\r\n--b--{TOKEN}"
    );
    assert!(
        masked("b", body.as_bytes()).is_err(),
        "the closing line has more in it"
    );
    let body = body.replace(&format!("--b--{TOKEN}"), &format!("--b--\r\n{TOKEN}"));
    let (got, hits) = masked("b", body.as_bytes()).unwrap();
    let expected = format!(
        "--b\r\n\r\n{first}\r\n--b\r\n\r\n{second}\r\n--b\r\n\r\nx_token\r\n--b\r\nA: x_token\r\n\r\nx_token\r\n--b--\r\nx_token"
    );
    assert_eq!(String::from_utf8_lossy(&got), expected);
    assert_eq!(hits, 4);
}

#[test]
fn p8_ten_thousand_parts_pass_and_a_million_hold_nothing_back() {
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{TOKEN}\r\n");
    let body = format!("{}--b--", part.repeat(10_000));
    let (got, hits) = read("b", [body.as_bytes()]).ok().unwrap();
    assert!(got == body.replace(TOKEN, "x_token").as_bytes());
    assert_eq!(hits, 10_000);
    let mut reader = Reader::new(&snapshot(), Declared::Other, Some(&boundary("b")))
        .ok()
        .unwrap();
    let piece = Bytes::from("--b\r\n\r\nx\r\n".repeat(1000));
    let (mut given, mut taken) = (0, 0);
    for _ in 0..1000 {
        let mut out = Vec::new();
        reader.push(piece.clone(), &mut out).ok().unwrap();
        given += piece.len();
        taken += out.iter().map(Bytes::len).sum::<usize>();
        assert!(given - taken < 64, "at most a boundary line waits");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any mix of what a frame is made of is read in the same way in any pieces; what passes without a hit passes as it came; and
    /// what passes holds no value.
    #[test]
    fn pieces_make_no_difference(
        picks in proptest::collection::vec(any::<u8>(), 0..40),
        sizes in proptest::collection::vec(1_usize..40, 1..8),
    ) {
        let atoms: [&str; 22] = [
            "--b", "--b\r\n", "\r\n--b\r\n", "\r\n--b--", "--", "\r\n", "\n", "\r", "-", "b", "\r\n\r\n", "A: b\r\n",
            "Content-Type: application/json\r\n\r\n", "[99123456789012", "]", TOKEN, "sk-live-", "51Hx2eKfQ9wZ", " ",
            "--b\r\n\r\n", "Content-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\n", "\r\n--c--",
        ];
        let mut body = "--b\r\n\r\n".to_owned();
        body.extend(picks.iter().map(|at| atoms[usize::from(*at) % atoms.len()]));
        body.push_str("\r\n--b--");
        let shown = |got: Result<(Vec<u8>, u64), Error>| got.map_err(|error| format!("{error:?}"));
        let whole = shown(read("b", [body.as_bytes()]));
        let mut rest = body.as_bytes();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(&whole, &shown(read("b", pieces)));
        if let Ok((out, hits)) = whole {
            if hits == 0 {
                prop_assert_eq!(String::from_utf8_lossy(&out), body);
            }
            proptest::prop_assert!(!contains(&out, TOKEN));
        }
    }
}

#[test]
fn an_upload_goes_on_with_its_exact_length_and_its_type() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let file = [&b"\x89PNG\r\n\x1a\n"[..], &vec![0xfe; 200_000]].concat();
    let parts = |token: &str| {
        let head = format!(
            "Content-Disposition: form-data; name=\"file\"; filename=\"{token}.png\"\r\nContent-Type: image/png\r\n"
        );
        let purpose = "Content-Disposition: form-data; name=\"purpose\"\r\n";
        form(
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            &[
                (purpose, b"user_data"),
                (&head, &file),
                (purpose, token.as_bytes()),
            ],
        )
    };
    let content_type =
        "Content-Type: multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW\r\n";
    for token in ["plain", TOKEN] {
        let mut client = sidecar.connect();
        let request = post("/p/v1/files", content_type, &parts(token));
        let writer = thread::spawn(move || {
            client.send(request);
            client
        });
        let mut peer = upstream.accept();
        let seen = peer.request();
        let expected = parts(if token == TOKEN { "x_token" } else { token });
        assert!(seen.body == expected, "{token}");
        assert_eq!(
            seen.header("content-length").unwrap(),
            expected.len().to_string()
        );
        assert!(contains(
            seen.head.as_bytes(),
            content_type.trim_end().split_once(": ").unwrap().1
        ));
        peer.send(last(OK));
        assert_eq!(writer.join().unwrap().message("POST").body, b"ok");
    }
}

#[test]
fn p6_uploads_that_cannot_be_read_are_refused_before_anything_is_sent() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let body = b"--b\r\n\r\nx\r\n--b--\r\n";
    let gzip = b"--b\r\nContent-Encoding: gzip\r\n\r\nx\r\n--b--\r\n";
    let utf16 = b"--b\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nx\r\n--b--\r\n";
    let marked = b"--b\r\nContent-Type: text/plain\r\n\r\n\xff\xfea\0\r\n--b--\r\n";
    let open = b"--b\r\n\r\nx\r\n";
    let long = "b".repeat(71);
    let rows: [(&str, &[u8], (u16, &str)); 16] = [
        ("multipart/form-data", body, (400, "multipart_boundary")),
        (
            "multipart/form-data; boundary=",
            body,
            (400, "multipart_boundary"),
        ),
        (
            "multipart/form-data; boundary=b; boundary=b",
            body,
            (400, "multipart_boundary"),
        ),
        (
            "multipart/form-data; boundary*0=b",
            body,
            (400, "multipart_boundary"),
        ),
        (
            &format!("multipart/form-data; boundary={long}"),
            body,
            (400, "multipart_boundary"),
        ),
        (
            "multipart/form-data; boundary=b; charset=utf-16",
            body,
            (415, "charset"),
        ),
        (
            "multipart/form-data; boundary=b",
            open,
            (400, "multipart_invalid"),
        ),
        (
            "multipart/mixed; boundary=b",
            b"{}",
            (400, "multipart_invalid"),
        ),
        (
            "multipart/related; boundary=b",
            b"--b\r\n\r\nx\n--b--",
            (400, "multipart_invalid"),
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=f; filename*0=a; filename*1=b\r\n\r\nx\r\n--b--",
            (400, "multipart_invalid"),
        ),
        (
            "multipart/form-data; boundary=b",
            gzip,
            (415, "content_coding"),
        ),
        ("multipart/form-data; boundary=b", utf16, (415, "charset")),
        ("multipart/form-data; boundary=b", marked, (415, "charset")),
        (
            &format!("multipart/form-data; boundary={TOKEN}"),
            body,
            (400, "secret_in_name"),
        ),
        (
            &format!("multipart/form-data; boundary=b; x={TOKEN}"),
            body,
            (400, "secret_in_name"),
        ),
        (
            "multipart/form-data; boundary=b\r\nContent-Type: text/plain",
            body,
            (400, "content_type_ambiguous"),
        ),
    ];
    for (content_type, body, (status, code)) in rows {
        let headers = format!("Content-Type: {content_type}\r\n");
        let answer = sidecar.refused(&post("/p/x", &headers, body));
        assert_eq!(answer.error(), (status, code.to_owned()), "{content_type}");
        assert!(!contains(&answer.body, TOKEN));
    }
    assert!(upstream.is_untouched());
}

#[test]
fn p6_an_unclosed_upload_never_looks_complete_upstream() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    // More than is held back, so that its beginning has gone on when it turns out to have no end.
    let body = [b"--b\r\n\r\n".to_vec(), vec![b'.'; 9 << 20]].concat();
    let request = post(
        "/p/x",
        "Content-Type: multipart/form-data; boundary=b\r\n",
        &body,
    );
    let mut client = sidecar.connect();
    let writer = thread::spawn(move || {
        client.send(request);
        client
    });
    let mut peer = upstream.accept();
    assert!(!peer.request().complete);
    let answer = writer.join().unwrap().message("POST");
    assert_eq!(answer.error(), (400, "multipart_invalid".to_owned()));
}

#[test]
fn multipart_without_secrets_passes_as_it_came() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&config(&upstream.url(), Limits::default()), "{}");
    let mut client = sidecar.connect();
    client.send(post(
        "/p/x",
        "Content-Type: multipart/form-data; boundary=b\r\n",
        b"no parts",
    ));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"no parts");
    peer.send(OK);
    assert_eq!(client.message("POST").body, b"ok");
}
