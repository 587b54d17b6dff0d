//! The reference against rows that were worked out by hand.

use bauta::mask::{Form, Hits, NameId, Rule, Signed, Syntax};
use proptest::prelude::*;

use super::{Needles, find, json, mask, render, resolve};

/// Names, values and rules; each name is written bare.
type Secrets<'a> = &'a [(&'a str, &'a str, Rule)];

fn needles(secrets: Secrets<'_>) -> Needles {
    let mut needles = Needles::default();
    for (key, value, rule) in secrets {
        let name = needles.name(key, key);
        needles.value(name, value.as_bytes(), *rule);
    }
    needles
}

#[track_caller]
fn check(secrets: Secrets<'_>, syntax: Syntax, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let (output, _) = mask(&needles(secrets), text.as_bytes(), syntax);
        assert_eq!(
            String::from_utf8_lossy(&output),
            *expected,
            "for {text} as {syntax:?}"
        );
    }
}

const LONG: Secrets<'_> = &[("x_pw", "pass/wörd\"1", Rule::Anywhere)];
const PIN: Secrets<'_> = &[("x_pin", "1234", Rule::Word)];
const ADMIN: Secrets<'_> = &[("x_username", "admin", Rule::Word)];

#[test]
fn every_decoder_alone() {
    check(
        LONG,
        Syntax::Text,
        &[
            ("a pass/wörd\"1 b", "a x_pw b"),
            (r#"pass\/w\u00F6rd\"1"#, "x_pw"),
            (r"\u0070ass\/w\u00f6rd\u00221!", "x_pw!"),
            ("pass%2Fw%C3%b6rd%221", "x_pw"),
            ("pass%252Fw%25c3%25B6rd%25221", "x_pw"),
            ("pass/w&#246;rd&quot;1", "x_pw"),
            ("pass/w&#x0000F6rd&quot1", "x_pw"),
            ("&#112;ass&#47w&#XF6;rd&#00034;&#49; end", "x_pw end"),
            ("706173732f77c3b672642231", "785f7077"),
            ("A706173732F77C3B672642231F", "A785F7077F"),
            ("cGFzcy93w7ZyZCIx", "eF9wdyAg"),
            ("IGFwYXNzL3fDtnJkIjEhIQ", "IGF4X3B3ICAhIQ"),
            ("cGFz\r\n  cy93w7Z\nyZCIx.", "eF9wdyAg."),
        ],
    );
}

#[test]
fn chains_render_back() {
    let secrets: Secrets<'_> = &[("x_pw", "say \"hi\" & go", Rule::Anywhere)];
    let mut braces = needles(secrets);
    braces.names[0].1 = "<x&\"y>".to_owned();
    let rows: &[(Syntax, &str, &str)] = &[
        (Syntax::Text, r#"say \"hi\" & go"#, r#"<x&\"y>"#),
        (Syntax::Text, r#"say \\\"hi\\\" & go"#, r#"<x&\\\"y>"#),
        (Syntax::Text, "say%20%22hi%22%20%26%20go", "%3Cx%26%22y%3E"),
        (
            Syntax::Text,
            "say &quot;hi&quot; &amp; go",
            "&lt;x&amp;&quot;y&gt;",
        ),
        // JSON in percent: the percent decoder is applied first, and last on the way back.
        (
            Syntax::Text,
            "say%20%5C%22hi%5C%22%20%26%20go",
            "%3Cx%26%5C%22y%3E",
        ),
        (Syntax::Text, "7361792022686922202620676f", "3c782622793e"),
        (Syntax::Path, "say \"hi\" & go", "%3Cx%26%22y%3E"),
        (Syntax::Form, "say+%22hi%22+%26+go", "%3Cx%26%22y%3E"),
        (Syntax::Query, "a=say+\"hi\"+&+go", "a=%3Cx%26%22y%3E"),
        (Syntax::Text, "say+\"hi\"+&+go", "say+\"hi\"+&+go"),
        (Syntax::Path, "say+%22hi%22+%26+go", "say+%22hi%22+%26+go"),
        // Base64 of the JSON form; base64 of that; two spaces, one, none.
        (Syntax::Text, "c2F5IFwiaGlcIiAmIGdv", "PHgmXCJ5PiAg"),
        (
            Syntax::Text,
            "YzJGNUlGd2lhR2xjSWlBbUlHZHY=",
            "UEhnbVhDSjVQaUFn",
        ),
    ];
    for (syntax, text, expected) in rows {
        let (output, hits) = mask(&braces, text.as_bytes(), *syntax);
        assert_eq!(
            String::from_utf8_lossy(&output),
            *expected,
            "for {text} as {syntax:?}"
        );
        assert_eq!(hits.len(), usize::from(text != expected));
    }
}

/// Six JSON levels and two of percent are one step, more are more steps; three steps in all.
#[test]
fn readings_end_at_three_steps() {
    let json = |levels: u32| "deep\\value".replace('\\', &"\\".repeat(1 << levels));
    let percent = |levels: usize| format!("deep%{}5Cvalue", "25".repeat(levels - 1));
    let base64 = |times, text: String| {
        let bytes = (0..times).fold(text.into_bytes(), |bytes, _| {
            render::base64(&bytes, false, true)
        });
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let needles = needles(&[("x_pw", "deep\\value", Rule::Anywhere)]);
    let read = [
        json(0),
        json(6),
        percent(6),
        base64(3, json(0)),
        base64(2, json(6)),
        base64(1, json(7)),
        base64(2, percent(2)),
        base64(1, percent(4)),
    ];
    for text in read {
        assert_eq!(
            mask(&needles, text.as_bytes(), Syntax::Text).1.len(),
            1,
            "for {text}"
        );
    }
    for text in [
        percent(7),
        base64(4, json(0)),
        base64(3, percent(1)),
        base64(2, json(7)),
        base64(2, percent(3)),
        base64(1, percent(5)),
    ] {
        assert_eq!(
            mask(&needles, text.as_bytes(), Syntax::Text),
            (text.clone().into_bytes(), Hits::new()),
            "for {text}"
        );
    }
}

#[test]
fn escapes_are_not_read_raw() {
    let secrets: Secrets<'_> = &[
        ("x_n", "nabcdefg", Rule::Anywhere),
        ("x_u", "u0041bcd", Rule::Anywhere),
    ];
    check(
        secrets,
        Syntax::Json,
        &[
            (r#"{"a":"\nabcdefg"}"#, r#"{"a":"\nabcdefg"}"#),
            (r#"{"a":"C:\\nabcdefg"}"#, r#"{"a":"C:\\x_n"}"#),
            (r#"{"a":"\u0041bcd"}"#, r#"{"a":"\u0041bcd"}"#),
            (r#"{"a":"\\u0041bcd"}"#, r#"{"a":"\\x_u"}"#),
            // No JSON: the backslash is a backslash. From the byte where it stops being JSON.
            (r#"{"a":"\nabcdefg"#, r#"{"a":"\nabcdefg"#),
            (r#"}{"a":"\nabcdefg"}"#, r#"}{"a":"\x_n"}"#),
            (
                r#"{"a":"\nabcdefg" "\nabcdefg"}"#,
                r#"{"a":"\nabcdefg" "\x_n"}"#,
            ),
            (r#"["\u0041bcd \q \u0041bcd"]"#, r#"["\u0041bcd \q \x_u"]"#),
        ],
    );
    check(
        secrets,
        Syntax::Text,
        &[(r#"{"a":"\nabcdefg"}"#, r#"{"a":"\x_n"}"#)],
    );
}

#[test]
fn bare_tokens_become_strings() {
    check(
        PIN,
        Syntax::Json,
        &[
            (
                r#"{"pin":1234,"a":[12345,-1234,1234.5]}"#,
                r#"{"pin":"x_pin","a":[12345,"-x_pin","x_pin.5"]}"#,
            ),
            (
                r#"{"pin":"1234","a":"[1234]"}"#,
                r#"{"pin":"x_pin","a":"[x_pin]"}"#,
            ),
            ("1234", "\"x_pin\""),
            ("1234\n1234", "\"x_pin\"\n\"x_pin\""),
            ("1234 }1234", "\"x_pin\" }x_pin"),
        ],
    );
    let anywhere: Secrets<'_> = &[("x_pin", "123456789012", Rule::Anywhere)];
    check(
        anywhere,
        Syntax::Json,
        &[
            ("[99123456789012]", "[\"99x_pin\"]"),
            ("[123456789012123456789012]", "[\"x_pinx_pin\"]"),
            ("[t123456789012]", "[\"tx_pin\"]"),
        ],
    );
    let across: Secrets<'_> = &[
        ("x_row", "[1, 2, 3", Rule::Anywhere),
        ("x_pin", "3000000000", Rule::Anywhere),
    ];
    check(
        across,
        Syntax::Json,
        &[
            ("[1, 2, 33000000000]", "x_rowx_pin]"),
            ("[1, 2, 44]", "[1, 2, 44]"),
        ],
    );
    check(PIN, Syntax::Text, &[("[1234]", "[x_pin]")]);
}

#[test]
fn base64_keeps_alignment() {
    let basic: Secrets<'_> = &[
        ("x_user", "aladdin_", Rule::Anywhere),
        ("x_password", "open sesame", Rule::Anywhere),
    ];
    // base64("aladdin_:open sesame"): the values share no group, so each is replaced alone: "x_user  :" and "x_password".
    check(
        basic,
        Syntax::Text,
        &[(
            "Basic YWxhZGRpbl86b3BlbiBzZXNhbWU=",
            "Basic eF91c2VyICA6eF9wYXNzd29yZA==",
        )],
    );
    // base64("user:password"): they share one: "x_user:x_password".
    let basic: Secrets<'_> = &[
        ("x_password", "password", Rule::Anywhere),
        ("x_user", "user", Rule::Word),
    ];
    check(
        basic,
        Syntax::Text,
        &[(
            "Basic dXNlcjpwYXNzd29yZA==",
            "Basic eF91c2VyOnhfcGFzc3dvcmQ=",
        )],
    );
    // base64("user:password!"): the last group is full, so spaces keep its length a multiple of three.
    check(
        basic,
        Syntax::Text,
        &[("dXNlcjpwYXNzd29yZCE-", "eF91c2VyOnhfcGFzc3dvcmQgICE-")],
    );
    let one: Secrets<'_> = &[("x_k", "needle01", Rule::Anywhere)];
    check(
        one,
        Syntax::Text,
        &[
            // "needle01" + "tail": the last group is full: a space keeps what follows in place. x_k + 01's remnant "t".
            ("bmVlZGxlMDF0YWls", "eF9rICB0YWls"),
            // A final partial group, padded and not.
            ("bmVlZGxlMDE=", "eF9r"),
            ("YW5lZWRsZTAx", "YXhfayAg"),
            ("YWFuZWVkbGUwMQ==", "YWF4X2s="),
            ("YWFuZWVkbGUwMQ", "YWF4X2s"),
            ("YWFuZWVkbGUwMQ=", "YWF4X2s="),
            ("_WFuZWVkbGUwMQ=", "_WF4X2s="),
            ("bmVlZGxlMDFuZWVkbGUwMQ==", "eF9reF9r"),
        ],
    );
}

#[test]
fn short_values_are_words() {
    check(
        PIN,
        Syntax::Text,
        &[
            ("1234", "x_pin"),
            (
                "01234 12345 _1234 1234_ é1234 1234é",
                "01234 12345 _1234 1234_ é1234 1234é",
            ),
            ("-1234- “1234” 1234\u{301}", "-x_pin- “x_pin” x_pin\u{301}"),
            (r"\u00e91234 \n1234 \x1234", r"\u00e91234 \nx_pin \x1234"),
            ("%5F1234 %20%31234", "%5F1234 %20x_pin"),
        ],
    );
    check(
        PIN,
        Syntax::Json,
        &[(
            r#""\n1234 \u00e91234 1234\t""#,
            r#""\nx_pin \u00e91234 x_pin\t""#,
        )],
    );
    let signs: Secrets<'_> = &[("x_pin", "#12-", Rule::Word)];
    check(signs, Syntax::Text, &[("a#12-b", "ax_pinb")]);
}

#[test]
fn the_site_of_a_short_value_goes_on_working() {
    check(
        ADMIN,
        Syntax::Json,
        &[
            (
                r#"{"admin":"https://admin.example.com/admin","role":"admin","name":"admin","x":["admin"]}"#,
                r#"{"admin":"https://admin.example.com/x_username","role":"admin","name":"x_username","x":["x_username"]}"#,
            ),
            (
                r#"{"a":"https:\/\/admin.example.com\/admin"}"#,
                r#"{"a":"https:\/\/admin.example.com\/x_username"}"#,
            ),
            (
                r#"{"role":"\u0061dmin","id":"admin ","rol\u0065":"admin"}"#,
                r#"{"role":"\u0061dmin","id":"x_username ","rol\u0065":"x_username"}"#,
            ),
            (
                r#"{"role":"admin","x":"%25 &amp; \n"}"#,
                r#"{"role":"admin","x":"%25 &amp; \n"}"#,
            ),
            (
                r#"{"role":"%61dmin","type":["admin"]}"#,
                r#"{"role":"x_username","type":["x_username"]}"#,
            ),
            (r#"} {"role":"admin"}"#, r#"} {"role":"x_username"}"#),
        ],
    );
    check(
        ADMIN,
        Syntax::Text,
        &[
            (
                "http://admin http://a.admin:80/ ://[admin]",
                "http://admin http://a.admin:80/ ://[admin]",
            ),
            ("http:/admin ://x/admin", "http:/x_username ://x/x_username"),
            (
                "https://admin@example.com https://admin:x@h",
                "https://x_username@example.com https://x_username:x@h",
            ),
            (
                "https://user@admin.example.com",
                "https://user@admin.example.com",
            ),
            (
                r":/\/\\admin ://\ admin ://a\admin",
                r":/\/\\admin ://\ x_username ://a\x_username",
            ),
            (
                "https%3A%2F%2Fadmin.example.com%2F admin",
                "https%3A%2F%2Fadmin.example.com%2F x_username",
            ),
        ],
    );
    let long = format!("http://admin.{}", "a".repeat(506));
    check(
        ADMIN,
        Syntax::Text,
        &[
            (&long, &long),
            (
                &format!("{long}a"),
                &format!("http://x_username.{}a", "a".repeat(506)),
            ),
        ],
    );
}

#[test]
fn overlaps_become_one() {
    let secrets: Secrets<'_> = &[
        ("x_a", "abcdefgh", Rule::Anywhere),
        ("x_b", "fghijklm", Rule::Anywhere),
        ("x_c", "abcdefghij", Rule::Anywhere),
    ];
    let (output, hits) = mask(
        &needles(secrets),
        b"..abcdefghijklm..abcdefghfghijklm",
        Syntax::Text,
    );
    assert_eq!(output, b"..x_c..x_ax_b");
    let expected = [
        ((NameId(0), Form::Plain), 2),
        ((NameId(1), Form::Plain), 2),
        ((NameId(2), Form::Plain), 1),
    ];
    assert_eq!(hits.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_same_value_twice_names_both() {
    let secrets: Secrets<'_> = &[
        ("x_b", "same-value", Rule::Anywhere),
        ("x_a", "same-value", Rule::Anywhere),
    ];
    let (output, hits) = mask(&needles(secrets), b"%73ame-value", Syntax::Text);
    assert_eq!(output, b"x_b");
    assert_eq!(
        hits.into_iter().collect::<Vec<_>>(),
        [
            ((NameId(0), Form::Percent), 1),
            ((NameId(1), Form::Percent), 1)
        ]
    );
}

#[test]
fn keys_are_left_alone() {
    let secrets: Secrets<'_> = &[
        ("x_password", "password", Rule::Anywhere),
        ("eF9wYXNzd29yZA", "x_other_key", Rule::Anywhere),
    ];
    check(
        secrets,
        Syntax::Text,
        &[
            ("x_password password", "x_password x_password"),
            ("ax_password", "ax_x_password"),
            (r"\nx_password", r"\nx_password"),
            // The key in base64 is a key in that reading; and again after masking.
            (
                "eF9wYXNzd29yZCBwYXNzd29yZA==",
                "eF9wYXNzd29yZCB4X3Bhc3N3b3Jk",
            ),
            (
                "eF9wYXNzd29yZCB4X3Bhc3N3b3Jk",
                "eF9wYXNzd29yZCB4X3Bhc3N3b3Jk",
            ),
        ],
    );
    // Escaped, the key protects only in its own reading.
    check(
        &[("x_password", "password", Rule::Anywhere)],
        Syntax::Text,
        &[("x%5Fpassword", "x%5Fx_password")],
    );
}

#[test]
fn forms_are_told_apart() {
    let rows: &[(&str, Form)] = &[
        ("needle-01", Form::Plain),
        (r"\u006eeedle-01", Form::Json),
        (r"\\u006eeedle-01", Form::Json),
        ("%6eeedle-01", Form::Percent),
        ("%256eeedle-01", Form::Percent),
        ("&#110;eedle-01", Form::Html),
        ("&#38;#110;eedle-01", Form::Html),
        ("bmVlZGxlLTAx", Form::Base64),
        ("6E6565646c652d3031", Form::Hex),
        ("Ym1WbFpHeGxMVEF4", Form::Chain),
        (r"&#92;u006eeedle-01", Form::Chain),
    ];
    for (text, form) in rows {
        let (_, hits) = mask(
            &needles(&[("x_k", "needle-01", Rule::Anywhere)]),
            text.as_bytes(),
            Syntax::Text,
        );
        assert_eq!(
            hits.into_iter().collect::<Vec<_>>(),
            [((NameId(0), *form), 1)],
            "for {text}"
        );
    }
}

#[test]
fn json_stops_where_it_stops() {
    // The texts, cut where they stop being JSON; `|` marks the place.
    let rows = [
        "{}[]\"\"1 {\"a\":[1,true,{\"b\":null}]}|",
        "[1,|]",
        "{\"a\":1,|}",
        "|,",
        "[|,",
        "[1|:",
        "{|1:2}",
        "{\"a\"|,",
        "{\"a\":|}",
        "{\"a\" |\"",
        "[1 |2]",
        "[\"a\"|\"b\"]",
        "[12|\"a\"]",
        "12\"a\"{}[]|",
        "|+1",
        "|.5",
        "1+.-eE5|",
        "|hello",
        "true false|",
        "nul|",
        "tr|_",
        "\"a\\u00e9\\n\\/|",
        "\"a\\|q",
        "\"a\\u12|x",
        "\"a|\nb",
        "\"a\x7f\u{80}|",
        "[|}",
        "{|]",
        "|]",
        "[[[]]|}",
        "\t\r\n |\u{b}",
    ];
    for row in rows {
        let valid = row.find('|').expect("every row has the mark");
        let text = row.replacen('|', "", 1);
        assert_eq!(json::scan(text.as_bytes()).valid, valid, "for {row}");
    }
    let token = |length| json::scan("1".repeat(length).as_bytes()).valid;
    assert_eq!((token(4096), token(4097)), (4096, 4096));
}

proptest! {
    /// A decoder that changes nothing adds nothing: this is why the reference may leave it out.
    #[test]
    fn pruning_is_neutral(text in hostile()) {
        let needles = needles(&[("x_a", "ab%1", Rule::Anywhere), ("x_b", "1a", Rule::Word)]);
        for syntax in [Syntax::Text, Syntax::Json, Syntax::Form] {
            let document = (syntax == Syntax::Json).then(|| json::scan(&text));
            let all = |unpruned| {
                let found = find::search(&needles, &text, syntax, document.as_ref(), unpruned);
                resolve::resolve(&needles, &text, syntax, Signed::Mask, document.as_ref(), found)
            };
            prop_assert_eq!(all(false), all(true));
        }
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "ab", "a", "1", "%1", "%2", "5", "%25", "\\u00", "\\", "&#", "&amp;", "6", ";", "\"", "{",
        ":", " ", "YWIl", "MQ",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12)
        .prop_map(|pieces| pieces.concat().into_bytes())
}
