//! Short values in the base64 of JSON's opaque strings.

use bauta::mask::{Rule, Syntax};

use super::{PIN, Secrets, check, is_found};
use crate::reference::render;

/// 64 bytes of base64; what follows is a word.
const FILLER: &str = "AbZz09+/AbZz09-_AbZz09+/AbZz09-_AbZz09==AbZz09-_AbZz09+/AbZz09+/";

#[track_caller]
fn found(text: &str) -> bool {
    is_found(PIN, text.as_bytes(), Syntax::Json)
}

#[test]
fn members_that_are_opaque() {
    for key in [
        "signature",
        "encrypted_content",
        "thoughtSignature",
        "thought_signature",
        "data",
        "b64_json",
        "file_data",
        "audio",
        "bytes",
    ] {
        assert!(
            !found(&format!(r#"{{"{key}":"{FILLER}1234"}}"#)),
            "for {key}"
        );
        assert!(
            !found(&format!(r#"[{{"a":{{"{key}" : "{FILLER}zz/1234/zz"}}}}]"#)),
            "for {key}"
        );
        assert!(
            found(&format!(r#"{{"{key}":["{FILLER}1234"]}}"#)),
            "for {key}"
        );
        assert!(
            found(&format!(r#"{{"{key}":{{"a":"{FILLER}1234"}}}}"#)),
            "for {key}"
        );
    }
    for key in [
        "text",
        "Data",
        r"d\u0061ta",
        "data ",
        "data_",
        "",
        "thinking",
    ] {
        assert!(
            found(&format!(r#"{{"{key}":"{FILLER}1234"}}"#)),
            "for {key}"
        );
    }
    assert!(found(&format!(r#"{{"{FILLER}1234":"data"}}"#)));
    assert!(found(&format!(r#"["data","{FILLER}1234"]"#)));
    assert!(found(&format!(r#""{FILLER}1234""#)));
}

#[test]
fn opaque_from_the_sixty_fifth_byte() {
    let data = |content: &str| format!(r#"{{"data":"{content}"}}"#);
    assert!(found(&data("1234")));
    assert!(found(&data(&format!("{}1234", &FILLER[1..]))));
    assert!(!found(&data(&format!("{FILLER}1234"))));
    assert!(!found(&data(&format!("{FILLER}/1234"))));
    // More than one, with base64 between; and with something else.
    assert!(!found(&data(&format!("{FILLER}1234+1234=="))));
    check(
        PIN,
        Syntax::Json,
        &[
            (
                &data(&format!("1234/{FILLER}1234")),
                &data(&format!("x_pin/{FILLER}1234")),
            ),
            (
                &data(&format!("{FILLER}1234 1234")),
                &data(&format!("{FILLER}1234 x_pin")),
            ),
        ],
    );
    for other in [" ", ".", "%", r"\/", r"\n", r"\u0041/", "é/", ":", ","] {
        assert!(found(&data(&format!("{FILLER}{other}1234"))), "for {other}");
        assert!(found(&data(&format!("{other}{FILLER}1234"))), "for {other}");
        assert!(
            !found(&data(&format!("{FILLER}1234{other}"))),
            "for {other}"
        );
    }
}

#[test]
fn data_urls_are_opaque() {
    for (head, opaque) in [
        ("data:;base64,", true),
        ("data:image/png;base64,", true),
        (r"data:image\/png;base64,", true),
        (r"data:\u0061;base64,", true),
        ("data:text/plain;charset=utf-8;base64,", true),
        ("data:text/plain,", false),
        ("data:base64,", false),
        ("data:,;base64,", false),
        ("data:a,b;base64,", false),
        ("Data:;base64,", false),
        ("data:;BASE64,", false),
        (" data:;base64,", false),
        (r"\u0064ata:;base64,", false),
    ] {
        let content = format!("{head}{FILLER}1234");
        for text in [
            format!(r#"{{"url":"{content}"}}"#),
            format!(r#"{{"data":"{content}"}}"#),
            format!(r#"{{"image_url":["a","{content}"]}}"#),
            format!(r#"[{{"r\u006fle":"{content}"}}]"#),
            format!(r#""{content}""#),
        ] {
            assert_eq!(!found(&text), opaque, "for {text}");
        }
        // Not so if it is a key; nor its head.
        assert!(found(&format!(r#"{{"{content}":1}}"#)));
        assert!(found(&format!(r#"{{"url":"{head}{}1234"}}"#, &FILLER[1..])));
    }
    let head = |length: usize| format!("data:{};base64,", "a".repeat(length - 13));
    assert_eq!(head(256).len(), 256);
    assert!(!found(&format!(r#"{{"url":"{}{FILLER}1234"}}"#, head(256))));
    assert!(found(&format!(r#"{{"url":"{}{FILLER}1234"}}"#, head(257))));
    assert!(found(r#"{"url":"data:image/1234;base64,"}"#));
}

#[test]
fn only_what_stands_there_literally() {
    let word = |value| -> [(&str, &str, Rule); 1] { [("x_k", value, Rule::Word)] };
    let data = |content: &str| format!(r#"{{"data":"{FILLER}{content}"}}"#).into_bytes();
    assert!(!is_found(&word("+/9x"), &data("=+/9x"), Syntax::Json));
    assert!(is_found(&word("+/9x"), &data(r"=+\/9x"), Syntax::Json));
    assert!(is_found(PIN, &data("%31234"), Syntax::Json));
    assert!(is_found(PIN, &data(r"\u0031234"), Syntax::Json));
    assert!(is_found(PIN, &data("=31234"), Syntax::Json));
    // The hyphen is no base64 behind the sign: what is decoded before the value does not matter, the value is literal.
    assert!(!is_found(PIN, &data("=2D1234"), Syntax::Json));
    // Decoders that are at work elsewhere change nothing.
    for (before, after) in [
        (r#"{"a":"%25 &amp; \\n =3D","data":""#, r#""}"#),
        (r#"{"data":""#, r#"","a":"%25 &amp; \\n =3D"}"#),
        (r#"{"data":"=3D=41/"#, r#"=3D"}"#),
    ] {
        assert!(!found(&format!("{before}{FILLER}1234{after}")));
    }
    // The match must lie in the base64.
    assert!(is_found(&word("#1234"), &data("#1234"), Syntax::Json));
    assert!(is_found(&word("12 34"), &data("=12 34"), Syntax::Json));
    assert!(is_found(&word("a b c"), &data("/a b c"), Syntax::Json));
    // It must lie in the string; long values count, and base64 is read.
    assert!(is_found(&word("1234\""), &data("1234"), Syntax::Json));
    assert!(is_found(
        &[("x_k", "1234", Rule::Anywhere)],
        &data("1234"),
        Syntax::Json
    ));
    let text = format!("{}, the pin is 1234", "lorem ipsum ".repeat(5));
    let encoded = String::from_utf8(render::base64(text.as_bytes(), false, true)).unwrap();
    assert!(found(&format!(r#"{{"data":"{encoded}"}}"#)));
}

#[test]
fn opaque_while_it_is_json() {
    let text = format!(r#"{{"data":"{FILLER}1234"}}"#);
    assert!(!found(&text));
    // Not closed: the string reaches as far as it does.
    assert!(!found(&text[..text.len() - 2]));
    assert!(!found(&text.replace("1234", "1234\n")));
    assert!(!found(&text.replace("1234", r"1234\q")));
    // No JSON (any more).
    assert!(found(&format!("}}{text}")));
    assert!(found(&text.replace(':', ":,")));
    assert!(found(&text.replace("1234", "\n1234")));
    assert!(!found(&format!("{{}}{text}}}")));
    for syntax in [Syntax::Text, Syntax::Form, Syntax::Query, Syntax::Path] {
        assert!(is_found(PIN, text.as_bytes(), syntax));
    }
    let secrets: Secrets<'_> = &[("x_k", "1234\n", Rule::Word)];
    assert!(is_found(
        secrets,
        text.replace("1234", "1234\n").as_bytes(),
        Syntax::Json
    ));
}
