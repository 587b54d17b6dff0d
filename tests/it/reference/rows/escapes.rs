//! `\xHH` in strings of programs, and what HTML makes of the numbers 128 to 159.

use bauta::mask::{Rule, Syntax};

use super::{PIN, Secrets, check, is_found};
use crate::reference::render;

const LONG: Secrets<'_> = &[("x_pw", "pass/wörd\"1", Rule::Anywhere)];

#[test]
fn backslash_x_is_a_byte() {
    check(
        LONG,
        Syntax::Text,
        &[
            (r"\x70ass\x2Fw\xC3\xb6rd\x221", "x_pw"),
            (r#".\x70ass\/w\u00f6rd\"1."#, ".x_pw."),
            // A byte, no code point.
            (r#"pass/w\xf6rd"1"#, r#"pass/w\xf6rd"1"#),
            // Two levels, also of the backslash alone.
            (r#"\\x70ass/wörd"1"#, "x_pw"),
            (r#"\x5Cx70ass/wörd"1"#, "x_pw"),
            // Quoted-printable within, and around.
            (r#"\x3d70ass/wörd"1"#, "x_pw"),
            (r#"=5Cx70ass/wörd"1"#, "x_pw"),
            (r"%5Cx70ass/wörd%5cx221", "x_pw"),
            // No unit.
            (r#"\x7 pass/wörd"1"#, r"\x7 x_pw"),
            (r#"\xg0pass/wörd"1"#, r"\xg0x_pw"),
            (r#"\X70ass/wörd"1"#, r#"\X70ass/wörd"1"#),
            (r#"\x7pass/wörd"1 \x"#, r"\x7x_pw \x"),
        ],
    );
    check(
        &[
            ("x_a", "p0needle", Rule::Anywhere),
            ("x_b", "\u{FFFD}Abcdefg", Rule::Anywhere),
            ("x_c", "\\x4needle", Rule::Anywhere),
        ],
        Syntax::Text,
        &[
            (r"\x700needle", "x_a"),
            (r"\ud83d\x41bcdefg", "x_b"),
            (r"\\x4needle \x4needle \x5cx4needle", "x_c x_c x_c"),
        ],
    );
    check(
        PIN,
        Syntax::Text,
        &[
            (r"\x201234 \x2d1234\x20", r"\x20x_pin \x2dx_pin\x20"),
            (
                r"\x1234 \x411234 \xc3\xa91234",
                r"\x1234 \x411234 \xc3\xa91234",
            ),
            (r"\x31234", "x_pin"),
        ],
    );
    assert!(is_found(
        LONG,
        &render::base64(r"\x70ass/wörd\x221".as_bytes(), false, true),
        Syntax::Text
    ));
}

#[test]
fn backslash_x_ends_json() {
    check(
        LONG,
        Syntax::Json,
        &[
            (r#"{"a":"\\x70ass/wörd\\x221"}"#, r#"{"a":"x_pw"}"#),
            (r#"{"a":"\x70ass/wörd\"1"}"#, r#"{"a":"x_pw"}"#),
            (r#"{"a":"\\\\x70ass/wörd\"1"}"#, r#"{"a":"x_pw"}"#),
        ],
    );
    let newline: Secrets<'_> = &[("x_n", "nabcdefg", Rule::Anywhere)];
    check(
        newline,
        Syntax::Json,
        &[
            (r#"["\x41","\nabcdefg"]"#, r#"["\x41","\x_n"]"#),
            (r#"["\\x41","\nabcdefg"]"#, r#"["\\x41","\nabcdefg"]"#),
        ],
    );
}

/// What the numbers from 128 on stand for.
const FROM_128: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ";

#[test]
fn html_numbers_are_windows_1252() {
    assert_eq!(FROM_128.chars().count(), 32);
    for (number, char) in (128..).zip(FROM_128.chars()) {
        let value = format!("<{char}>abc");
        let secrets: Secrets<'_> = &[("x_k", &value, Rule::Anywhere)];
        for text in [
            format!("<&#{number};>abc"),
            format!("<&#x{number:x}>abc"),
            format!("<&#X00{number:X};>abc"),
            format!("<&#{};>abc", u32::from(char)),
        ] {
            // 150 means the dash of 8211; and no number means the control character 150.
            check(secrets, Syntax::Text, &[(&text, "x_k")]);
        }
        let control = format!("<{}>abc", char::from(u8::try_from(number).unwrap()));
        let secrets: Secrets<'_> = &[("x_k", &control, Rule::Anywhere)];
        let text = format!("<&#{number};>abc");
        assert_eq!(
            is_found(secrets, text.as_bytes(), Syntax::Text),
            control == value
        );
    }
}

#[test]
fn html_numbers_in_values() {
    let price: Secrets<'_> = &[("x_price", "“Preis–1€”", Rule::Anywhere)];
    check(
        price,
        Syntax::Text,
        &[
            ("&#147;Preis&#150;1&#128;&#148;", "x_price"),
            ("&#147Preis&#x96;1&#128&#X94", "x_price"),
            ("&#8220;Preis&#8211;1€&#148;", "x_price"),
            ("&amp;#147;Preis–1€”", "x_price"),
            (r"\u0026#147;Preis–1€”", "x_price"),
            ("&#147;Preis&#1500;1€”", "&#147;Preis&#1500;1€”"),
            ("&#147;Preis&#1501€”", "&#147;Preis&#1501€”"),
        ],
    );
    let edges: Secrets<'_> = &[("x_k", "a\u{7F}b\u{A0}c", Rule::Anywhere)];
    check(
        edges,
        Syntax::Text,
        &[("a&#127;b&#160;c", "x_k"), ("a&#x7f;b&#xa0;c", "x_k")],
    );
    let word: Secrets<'_> = &[("x_pin", "1234", Rule::Word)];
    // A dash is no word, the ligature is.
    check(
        word,
        Syntax::Text,
        &[
            ("&#150;&#49;234&#x96;", "&#150;x_pin&#x96;"),
            ("&#156;&#49;234", "&#156;&#49;234"),
            ("12&#51;4&#x9c", "12&#51;4&#x9c"),
        ],
    );
}
