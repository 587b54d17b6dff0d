//! Multipart bodies: the frame stays, each part is masked as what it is, and two servers read the same parts.

use super::body::{Outcome, limits, through};
use super::coders::Coder;
use super::input::{Input, Sizes};
use super::parts::{self, Expected, Part};
use super::texts::{LONGEST, assert_clean, text};

/// Boundaries: a usual one, short ones, one that is a key, one that begins a key, one in a value.
const BOUNDARIES: [&str; 7] = [
    "b",
    "----WebKitFormBoundary7MA4YW",
    "-",
    "x_token",
    "x",
    "sk",
    "eF90b2tl",
];

const CRLF: [&str; 25] = [
    "--\u{1}",
    "\r\n--\u{1}\r\n",
    "\r\n--\u{1}\r\n\r\n",
    "\r\n--\u{1}--\r\n",
    "\r\n--\u{1}--",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "--",
    "A: b\r\n",
    "Content-Type: application/json\r\n",
    "Content-Type: text/plain\r\n\r\n",
    "Content-Disposition: form-data; name=\"a\"\r\n",
    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n",
    "\r\n--c\r\n",
    "\r\n--c--\r\n",
    "Content-Type: ",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Encoding: gzip\r\n",
    ": ",
    "; charset=utf-16",
    "Content-Type: application/octet-stream\r\n\r\n{",
    "\r\n--",
    "\u{1}",
];

const LF: [&str; 14] = [
    "\n--\u{1}\n",
    "\n--\u{1}\n\n",
    "\n--\u{1}--\n",
    "\n--\u{1}--",
    "\n\n",
    "\r\n",
    "A: b\n",
    "Content-Type: application/json\n\n",
    "Content-Disposition: form-data; name=\"a\"\n",
    "Content-Type: multipart/mixed; boundary=c\n\n--c\n",
    "\n--c\n",
    "\n--c--\n",
    "\n--",
    "\u{1}",
];

pub fn check(input: &mut Input) {
    let boundary = BOUNDARIES[usize::from(input.byte()) % BOUNDARIES.len()];
    let lf = input.below(4) == 3;
    let (sizes, gaps, coded, framed) = (
        input.sizes(),
        input.flag(),
        input.below(8) == 7,
        input.below(8) != 7,
    );
    let fragments: &[&str] = if lf { &LF } else { &CRLF };
    let fragments: Vec<String> = fragments
        .iter()
        .map(|fragment| fragment.replace('\u{1}', boundary))
        .collect();
    let fragments: Vec<&str> = fragments.iter().map(String::as_str).collect();
    let mut body = text(input, &fragments, LONGEST);
    if framed {
        let end = if lf { "\n" } else { "\r\n" };
        body = [
            format!("--{boundary}{end}").as_bytes(),
            &body,
            format!("{end}--{boundary}--{end}").as_bytes(),
        ]
        .concat();
    }
    let head = format!("Content-Type: multipart/form-data; boundary=\"{boundary}\"\r\n");
    let (head, sent) = if coded {
        (
            format!("{head}Content-Encoding: gzip\r\n"),
            Coder::Gzip.encode(&body, b""),
        )
    } else {
        (head, body.clone())
    };
    let limits = limits(64 << 20, 8 << 20);
    let outcome = through(&head, &sent, sizes, gaps, limits);
    let whole = through(&head, &sent, Sizes::WHOLE, false, limits);
    let what = || format!("{boundary} {sizes:?} b\"{}\"", body.escape_ascii());
    outcome.assert_like(&whole, &what);

    let expected = parts::expected(&body, boundary.as_bytes());
    let seen = match (&outcome, &expected) {
        (Outcome::Refused(_, before), Expected::Refused | Expected::Unsure) => {
            return assert_clean(before, "before a refusal");
        }
        (Outcome::Refused(..), Expected::Passes(_)) => {
            panic!("refused: {}\n{}", what(), outcome.shown())
        }
        (Outcome::Passed(..), Expected::Refused) => {
            panic!("not refused: {}\n{}", what(), outcome.shown())
        }
        (Outcome::Passed(decoded, seen), _) if coded && !decoded => {
            assert!(*seen == sent, "as it came: {}", what());
            &body
        }
        (Outcome::Passed(_, seen), _) => seen,
    };
    if let Expected::Passes(expected) = &expected {
        assert!(
            seen == expected,
            "{}\n b\"{}\"\nexpected: b\"{}\"",
            what(),
            seen.escape_ascii(),
            expected.escape_ascii()
        );
    }
    same_parts(&body, seen, boundary.as_bytes(), &what);
}

/// That servers of either kind see as many parts as before, and the same ones.
fn same_parts(before: &[u8], after: &[u8], boundary: &[u8], what: &dyn Fn() -> String) {
    let lenient = parts::lenient_server(after, boundary);
    let readings = [
        (parts::lenient_server(before, boundary), lenient.clone()),
        (
            parts::strict_server(before, boundary),
            parts::strict_server(after, boundary),
        ),
    ];
    let count = |parts: &Option<Vec<Part>>| parts.as_ref().map(Vec::len);
    for (before, after) in &readings {
        assert_eq!(
            count(before),
            count(after),
            "another number of parts: {}\nb\"{}\"",
            what(),
            shown(after.as_ref())
        );
    }
    if let (Some(lenient), Some(strict)) = (&lenient, &readings[1].1) {
        assert!(
            lenient == strict,
            "two servers see other parts: {}\n{}\n{}",
            what(),
            shown(readings[0].1.as_ref()),
            shown(readings[1].1.as_ref())
        );
    }
    for (_, content) in lenient.iter().flatten() {
        assert_clean(content, "a part");
    }
}

fn shown(parts: Option<&Vec<Part>>) -> String {
    let shown =
        |(head, content): &Part| format!("[{} | {}]", head.escape_ascii(), content.escape_ascii());
    parts.into_iter().flatten().map(shown).collect()
}
