//! Every decoder, alone and in chains, and what is written back through it.

use bauta::mask::{Form, Hits, NameId, Rule, Syntax};

use super::{Secrets, check, mask, needles};
use crate::reference::render;

const LONG: Secrets<'_> = &[("x_pw", "pass/wörd\"1", Rule::Anywhere)];

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
            // At most 64 blanks begin a line of base64.
            (
                &format!("cGFz\n{}cy93w7ZyZCIx.", " ".repeat(64)),
                "eF9wdyAg.",
            ),
            (
                &format!("cGFz\n{}cy93w7ZyZCIx.", " ".repeat(65)),
                &format!("cGFz\n{}cy93w7ZyZCIx.", " ".repeat(65)),
            ),
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
    // Two that share one, of which only JSON's reading holds the second: what remains of the group is the second's.
    check(
        &[
            ("x_user", "adal@example.com", Rule::Anywhere),
            ("x_password", "Tr0ub4dor??>>~~?x", Rule::Anywhere),
        ],
        Syntax::Json,
        &[(
            r#"{"a":"Basic YWRhbEBleGFtcGxlLmNvbTpUcjB1YjRkb3I\/Pz4+fn4\/eCBhbmQgdGhlIHJlc3Q="}"#,
            r#"{"a":"Basic eF91c2VybmQgdGhlIHJlc3Q="}"#,
        )],
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
fn forms_are_told_apart() {
    let rows: &[(&str, Form)] = &[
        ("needle-01", Form::Plain),
        (r"\u006eeedle-01", Form::Json),
        (r"\\u006eeedle-01", Form::Json),
        ("%6eeedle-01", Form::Percent),
        ("%256eeedle-01", Form::Percent),
        ("&#110;eedle-01", Form::Html),
        ("&#38;#110;eedle-01", Form::Html),
        ("=6eeedle=\n-01", Form::QuotedPrintable),
        ("=3D6eeedle-01", Form::QuotedPrintable),
        (r"\x6eeedle-01", Form::Json),
        (r"\x3d6eeedle-01", Form::Chain),
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
