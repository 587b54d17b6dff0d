//! Rows that show what the engine does; `tests/it` holds it equal to the slow reference on everything else.

use std::iter;

use bytes::Bytes;

use super::{Form, Masker, Refusal, Rule, Signed, Syntax};

const PASSWORD: &str = "Tr0ub&dor\"3/ö";

fn masker() -> Masker {
    let mut builder = Masker::builder();
    let mut add = |key: &str, value: &str, rule| {
        let name = builder.name(key, key);
        builder.value(name, value.as_bytes(), rule);
    };
    add("x_password", PASSWORD, Rule::Anywhere);
    add("x_user", "alice@example.com", Rule::Anywhere);
    add("x_pin", "12345678", Rule::Word);
    add("x_admin", "admin", Rule::Word);
    add("x_n", "nabcdefgh", Rule::Anywhere);
    add("x_key", "password", Rule::Anywhere);
    builder.build()
}

#[track_caller]
fn check(syntax: Syntax, text: &str, expected: &str) {
    let masked = masker().mask(text.as_bytes(), syntax).expect("not refused");
    let masked = masked.map_or(text.to_owned(), |(out, _)| {
        String::from_utf8(out).expect("UTF-8")
    });
    assert_eq!(masked, expected);
    let mut stream = masker().stream(syntax);
    let mut out = Vec::new();
    for byte in text.bytes() {
        stream
            .push(Bytes::copy_from_slice(&[byte]), &mut out)
            .expect("not refused");
    }
    stream.finish(&mut out).expect("not refused");
    assert_eq!(
        String::from_utf8(out.concat()).expect("UTF-8"),
        expected,
        "byte by byte"
    );
}

#[test]
fn p1_plain_and_escaped() {
    check(Syntax::Text, "a Tr0ub&dor\"3/ö b", "a x_password b");
    check(
        Syntax::Json,
        r#"{"p":"Tr0ub&dor\"3\/\u00F6"}"#,
        r#"{"p":"x_password"}"#,
    );
    check(
        Syntax::Json,
        r#"{"p":"{\"q\":\"Tr0ub&dor\\\"3\\/\\u00f6\"}"}"#,
        r#"{"p":"{\"q\":\"x_password\"}"}"#,
    );
    check(
        Syntax::Query,
        "p=Tr0ub%26dor%223%2f%C3%B6&x=1",
        "p=x_password&x=1",
    );
    check(Syntax::Text, "Tr0ub&amp;dor&quot;3/&#xf6;!", "x_password!");
    check(
        Syntax::Text,
        "616c696365406578616d706c652e636f6d",
        "785f75736572",
    );
}

#[test]
fn p1_an_escape_is_not_read_raw_in_json() {
    check(Syntax::Json, r#""\nabcdefgh""#, r#""\nabcdefgh""#);
    check(Syntax::Json, r#""C:\\nabcdefgh""#, r#""C:\\x_n""#);
    check(Syntax::Text, r"\nabcdefgh", r"\x_n");
}

#[test]
fn p1_base64_keeps_what_surrounds_the_value() {
    // "alice@example.com:Tr0ub&dor"3/ö"
    check(
        Syntax::Text,
        "Basic YWxpY2VAZXhhbXBsZS5jb206VHIwdWImZG9yIjMvw7Y=",
        "Basic eF91c2VyICA6eF9wYXNzd29yZA==",
    );
    // "--alice@example.com--": spaces keep the alignment of what follows.
    check(
        Syntax::Text,
        "LS1hbGljZUBleGFtcGxlLmNvbS0t",
        "LS14X3VzZXIgIC0t",
    );
    // "--alice@example.com-(password).": the two share a group: one edit, what lies between is kept.
    check(
        Syntax::Text,
        "LS1hbGljZUBleGFtcGxlLmNvbS1UcjB1YiZkb3IiMy/Dti4=",
        "LS14X3VzZXIteF9wYXNzd29yZC4=",
    );
}

#[test]
fn json_numbers_become_strings() {
    check(
        Syntax::Json,
        r#"{"a":12345678,"b":[12345678]}"#,
        r#"{"a":"x_pin","b":["x_pin"]}"#,
    );
    check(Syntax::Json, "12345678", "\"x_pin\"");
    check(Syntax::Json, "[-12345678.5]", "[\"-x_pin.5\"]");
}

#[test]
fn short_values_leave_names_of_sites_and_members_alone() {
    check(
        Syntax::Json,
        r#"{"role":"admin","admin":"admin","u":"https://admin.example.com/a admin"}"#,
        r#"{"role":"admin","admin":"x_admin","u":"https://admin.example.com/a x_admin"}"#,
    );
    check(
        Syntax::Text,
        "https://admin:x@h/ administrator _admin",
        "https://x_admin:x@h/ administrator _admin",
    );
    check(Syntax::Text, "“admin”", "“x_admin”");
    check(
        Syntax::Json,
        r#"["a\nadmin\nb","\u0061admin"]"#,
        r#"["a\nx_admin\nb","\u0061admin"]"#,
    );
}

#[test]
fn masking_is_idempotent() {
    check(Syntax::Text, "x_password password", "x_password x_key");
    check(Syntax::Json, r#"["\nx_password"]"#, r#"["\nx_password"]"#);
}

#[test]
fn hits_name_the_form() {
    let (_, hits) = masker()
        .mask(b"alice@example.com %61lice@example.com", Syntax::Text)
        .expect("fine")
        .expect("found");
    let forms: Vec<_> = hits
        .into_iter()
        .map(|((name, form), n)| (name.0, form, n))
        .collect();
    assert_eq!(forms, [(1, Form::Plain, 1), (1, Form::Percent, 1)]);
}

#[test]
fn p8_what_is_pending_has_a_limit() {
    let mut stream = masker().stream(Syntax::Text);
    let mut out = Vec::new();
    let zeros = Bytes::from(format!("&#{}", "0".repeat(70_000)));
    assert_eq!(stream.push(zeros, &mut out), Err(Refusal::PendingTooLong));
    assert_eq!(stream.finish(&mut out), Err(Refusal::PendingTooLong));
}

#[test]
fn p8_what_reading_costs_has_a_limit() {
    // Runs that go on through escapes of every decoder; and the same around names, which must be remembered.
    for unit in [
        r"4a4a4a4a\\u005c%25&amp;=3D4a4a",
        r"x_key4a4a\\u005c%25&amp;=3D4a4a",
    ] {
        let text = unit.repeat(20_000);
        let refused = masker().mask(text.as_bytes(), Syntax::Text);
        assert_eq!(refused.err(), Some(Refusal::TooDeep), "{unit}");
    }
    // What agents send costs far less: JSON in JSON in JSON, full of names and values.
    let mut text =
        r#"{"u":"https://h/?a=x_key&p=password%20","h":"<a href=\"x?a=1&amp;b=x_key\">100%</a>"}"#
            .repeat(2_000);
    for _ in 0..3 {
        text = format!("{text:?}");
        for syntax in [Syntax::Json, Syntax::Text] {
            assert!(masker().mask(text.as_bytes(), syntax).is_ok());
        }
    }
}

#[test]
fn p8_what_is_refused_does_not_depend_on_the_pieces() {
    let mut builder = Masker::builder();
    let name = builder.name("x_key", "x_key");
    builder.value(name, b"zz", Rule::Anywhere);
    let masker = builder.build();
    // One occurrence overlaps the next: all wait for the last, and none may be gone through again with every piece.
    let text = "z".repeat(20_000);
    for piece in [text.len(), 1] {
        let mut stream = masker.stream(Syntax::Text);
        let mut out = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            let taken = stream.push(Bytes::copy_from_slice(bytes), &mut out);
            assert_eq!(taken, Ok(()), "in pieces of {piece}");
        }
        assert_eq!(stream.finish(&mut out), Ok(()), "in pieces of {piece}");
        assert_eq!(out.concat(), b"x_key", "in pieces of {piece}");
    }
}

/// What comes out of a text in pieces of that length, or the refusal.
fn in_pieces(signed: Signed, text: &str, piece: usize) -> Result<String, Refusal> {
    let mut stream = masker().stream_with(Syntax::Json, signed);
    let mut out = Vec::new();
    for bytes in text.as_bytes().chunks(piece) {
        stream.push(Bytes::copy_from_slice(bytes), &mut out)?;
    }
    stream.finish(&mut out)?;
    Ok(String::from_utf8(out.concat()).expect("UTF-8"))
}

/// Each of these took the square of its length once: minutes for what takes a second.
#[test]
fn p8_what_may_be_signed_costs_no_more_for_being_much() {
    let refused = Signed::Refuse;
    let member = |value: &str| format!("\"thinking\":\"{value}\"");
    let members = |value: &str| format!("{{{}}}", vec![member(value); 100_000].join(","));
    let text = members("alice@example.com");
    assert_eq!(in_pieces(refused, &text, 4096), Ok(members("x_user")));
    let signed = text.replacen('{', "{\"signature\":\"s\",", 1);
    assert_eq!(
        in_pieces(refused, &signed, 4096),
        Err(Refusal::Signed(super::NameId(1)))
    );
    // It waits for the end of the block, with all that was found.
    let block = |of: &str, value: &str| {
        let numbers = vec![value; 60_000].join(",");
        format!("{{\"thinking\":\"{of}\",\"x\":[{numbers}]}}")
    };
    let text = block("alice@example.com", "12345678");
    let expected = Ok(block("x_user", "\"x_pin\""));
    for piece in [text.len(), 4096, 7] {
        assert_eq!(in_pieces(Signed::Pass, &text, piece), expected, "{piece}");
    }
    // Whatever other blocks end meanwhile.
    let others = "{\"thinking\":\"\"},".repeat(20_000);
    let block = |value: &str| {
        let found = vec![value; 30_000].join(" ");
        format!("{{\"thinking\":\"{found}\",\"x\":[{others}1]}}")
    };
    let (text, expected) = (block("alice@example.com"), Ok(block("x_user")));
    for piece in [text.len(), 4096, 16] {
        assert_eq!(in_pieces(Signed::Pass, &text, piece), expected, "{piece}");
    }
    // Those that do not count are not counted, wherever the text is cut.
    let (few, many) = (["x_key ", "x_password "].concat(), "alice@example.com ");
    let text = format!(
        "{{\"thinking\":\"{many}{}{}{}\"}}",
        few.repeat(50),
        many.repeat(65_400),
        " ".repeat(9000)
    );
    for first in [4096, 24, 1] {
        let (first, rest) = text.split_at(first);
        let mut stream = masker().stream_with(Syntax::Json, Signed::Pass);
        let mut out = Vec::new();
        for bytes in iter::once(first).chain([rest]) {
            stream
                .push(Bytes::copy_from_slice(bytes.as_bytes()), &mut out)
                .expect("not refused");
        }
        assert_eq!(stream.finish(&mut out), Ok(()), "{}", first.len());
    }
    let text = format!(
        "{{{}]}}",
        vec!["\"thinking\":\"admin, admin\""; 40_000].join(",")
    );
    for piece in [text.len(), 4096, 7] {
        let taken = in_pieces(Signed::Pass, &text, piece);
        assert_eq!(taken, Err(Refusal::PendingTooLong), "{piece}");
    }
}

/// The limits of what waits for a signature are looked at where blocks of the text end, and nowhere else.
#[test]
fn p8_limits_of_what_may_be_signed_do_not_depend_on_the_pieces() {
    const BLOCK: usize = 4096;
    let values = |count: usize, behind: usize| {
        let found = "alice@example.com ".repeat(count);
        format!("{{\"thinking\":\"{found}{}\"}}", ". ".repeat(behind / 2))
    };
    let texts = |length: usize| {
        let text = ", and so on. ".repeat(length / 13);
        format!("{{\"thinking\":\"alice@example.com {text}\"}}")
    };
    // Read by one reading or by two, as the pieces have it.
    let escaped = |found: &str| {
        let found = found.repeat(40_000);
        format!("{{\"thinking\":\"{found}{}\"}}", " ".repeat(2 * BLOCK))
    };
    for (text, is_refused) in [
        (escaped("alice@example.com\\\" "), false),
        (values(65_536, 2 * BLOCK), false),
        (values(65_537, 2 * BLOCK), true),
        (texts((4 << 20) - 2 * BLOCK), false),
        (texts((4 << 20) + 2 * BLOCK), true),
    ] {
        let by_bytes = (text.len() < 1 << 20).then_some(1);
        for piece in [text.len(), 65_536, 4096, 1000].into_iter().chain(by_bytes) {
            let taken = in_pieces(Signed::Pass, &text, piece);
            let refused = taken == Err(Refusal::PendingTooLong);
            assert_eq!(refused, is_refused, "{} by {piece}", text.len());
        }
    }
}

#[test]
fn p8_looking_ahead_over_soft_line_breaks_ends() {
    let mut builder = Masker::builder();
    let name = builder.name("x_key", "x_key");
    builder.value(name, "=\n".repeat(41).as_bytes(), Rule::Anywhere);
    let few = builder.build();
    for count in [20, 40, 400] {
        let text = format!("<<{}Q hello world, and more", "=\n".repeat(count));
        let masked = few.mask(text.as_bytes(), Syntax::Text);
        assert_eq!(masked.map(|found| found.is_some()), Ok(count > 40));
    }
}
