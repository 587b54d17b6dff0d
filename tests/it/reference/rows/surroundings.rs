//! Short values that were read through base64 or hex count only behind text.

use bauta::mask::{Rule, Syntax};

use super::{PIN, Secrets, is_found, mask, needles};
use crate::reference::render;

/// Before a value: do these bytes let it count?
const ROWS: &[(&[u8], bool)] = &[
    (b"", true),
    (b" ", true),
    (b"pin: ", true),
    (b"\t\r\n", true),
    ("“".as_bytes(), true),
    ("é ".as_bytes(), true),
    ("🔑".as_bytes(), true),
    // Control characters of Latin-1 are characters like others.
    (b"\xC2\x85", true),
    (b"\x00", false),
    (b"\x08", false),
    (b"\x0B", false),
    (b"\x0C", false),
    (b"\x0E", false),
    (b"\x1F", false),
    (b"\x7F", false),
    (b"\x00 ", false),
    (b"\x1B[0m ", false),
    (b"\xFF", false),
    (b"\xFF ", false),
    (b"\xC0\x80", false),
    (b"\xED\xA0\x80", false),
    // Cut, or without a beginning.
    (b"\xC3", false),
    (b"\xE2\x80", false),
    (b"\x80", false),
    (b"\xC3 ", false),
    // Twelve bytes count, more do not.
    (b"\x00lorem ipsu-", false),
    (b"\x00lorem ipsum-", true),
    (b"\xFFlorem ipsu-", false),
    (b"\xFFlorem ipsum-", true),
    (b"\x89PNG\r\n\x1A\n\x00\x00\x00\x0DIHDR\x00\x00\x00 ", false),
    // The first of the twelve may be the middle of a character: three bytes at most.
    (b"\xE2\x80\x9Clorem ipsu-", true),
    (b"\xE2\x80\x9Clorem ips-", true),
    (b"\xF0\x9F\x94\x91lorem ip-", true),
    (b"\x80\x80\x80\x80\x80lorem ip-", true),
    (b"\x80\x80\x80\x80lorem i-", false),
    // So are they where nothing was cut, if they are twelve; not if they are fewer.
    (b"\x80lorem ipsu-", true),
    (b"\x80\x80\x80lorem ip-", true),
    (b"\x80lorem ips-", false),
    // The last may not.
    (b"lorem ipsum\xC3", false),
    (b"lorem ipsum \xE2\x80", false),
    (b"lorem ipsu\xC3-", false),
];

fn text(before: &[u8]) -> Vec<u8> {
    [before, b"1234-"].concat()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .collect()
}

#[test]
fn short_values_need_text_before() {
    for (before, counts) in ROWS {
        let text = text(before);
        for encoded in [
            render::base64(&text, false, true),
            [b".A", &render::base64(&text, true, false)[..]].concat(),
            hex(&text),
            [b"0", &hex(&text)[..]].concat(),
            render::base64(&render::base64(&text, false, true), false, true),
            hex(&render::base64(&text, false, true)),
            percent(&render::base64(&text, false, true)),
        ] {
            let found = is_found(PIN, &encoded, Syntax::Text);
            assert_eq!(
                found,
                *counts,
                "for {} in {}",
                text.escape_ascii(),
                encoded.escape_ascii()
            );
        }
    }
}

/// Every byte, so that nothing is left of the run.
fn percent(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| format!("%{byte:02x}").into_bytes())
        .collect()
}

/// Long values, and readings without base64 and hex, need nothing.
#[test]
fn others_need_no_text() {
    let long: Secrets<'_> = &[("x_pw", "1234", Rule::Anywhere)];
    for (before, _) in ROWS {
        let text = text(before);
        assert!(is_found(
            long,
            &render::base64(&text, false, true),
            Syntax::Text
        ));
        assert!(
            is_found(PIN, &text, Syntax::Text),
            "for {}",
            text.escape_ascii()
        );
        assert!(
            is_found(PIN, &percent(&text), Syntax::Text),
            "for {}",
            text.escape_ascii()
        );
    }
}

#[test]
fn each_reading_has_its_own_text() {
    let rows: &[(&[u8], &[u8])] = &[
        // A control character behind percent; a blank.
        (b"%001234", b"%001234"),
        (b"%201234", b"%20x_pin"),
        // In base64 a cut character, behind JSON a whole one.
        (b"\xC3\\xA9 1234", b"\xC3\\xA9 x_pin"),
        (b"\xC3=\n\xA9 1234", b"\xC3=\n\xA9 x_pin  "),
        // In base64 text, behind JSON a control character: it counts in base64.
        (b"\\x00-1234.", b"\\x00-x_pin  ."),
        (b"\\x001234.", b"\\x001234."),
        // A run has no text before it, whatever stands before the run.
        (b"MTIzNA==", b"eF9waW4="),
        (b"\x00MTIzNA==", b"\x00eF9waW4="),
        (b"\x00 1234 MTIzNA==", b"\x00 1234 eF9waW4="),
    ];
    for (text, expected) in rows {
        let (output, _) = mask(
            &needles(PIN),
            &render::base64(text, false, false),
            Syntax::Text,
        );
        let expected = render::base64(expected, false, false);
        assert_eq!(
            output.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "for {}",
            text.escape_ascii()
        );
    }
    // A key protects behind a control character too.
    let secrets: Secrets<'_> = &[("x_1234_", "1234", Rule::Anywhere)];
    assert!(!is_found(
        secrets,
        &render::base64(b"\x00x_1234_", false, true),
        Syntax::Text
    ));
}
