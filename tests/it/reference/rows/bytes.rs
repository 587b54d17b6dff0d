//! Needles, names and replacements may hold any byte: UTF-16LE has a NUL in every other.

use bauta::mask::{Form, Hits, NameId, Rule, Syntax};

use super::mask;
use crate::reference::{Needles, render};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn needles() -> Needles {
    let mut needles = Needles::default();
    let key = String::from_utf8(utf16("x_u")).unwrap();
    let name = needles.name(&key, &key);
    needles.value_any_case(name, &utf16("admin"), Rule::Anywhere);
    needles
}

#[track_caller]
fn check(syntax: Syntax, text: &[u8], expected: &[u8]) {
    let (output, _) = mask(&needles(), text, syntax);
    assert_eq!(
        output.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn values_with_nul() {
    check(
        Syntax::Text,
        &utf16("log in as Admin!"),
        &utf16("log in as x_u!"),
    );
    check(Syntax::Json, &utf16("[\"ADMIN\"]"), &utf16("[\"x_u\"]"));
    check(Syntax::Text, b"admin", b"admin");
    check(Syntax::Text, b"a\0d\0m\0i\0n", b"a\0d\0m\0i\0n");
    let rows: &[(Syntax, &str, &str)] = &[
        (
            Syntax::Json,
            r#"["a\u0000d\u0000m\u0000i\u0000n\u0000"]"#,
            r#"["x\u0000_\u0000u\u0000"]"#,
        ),
        (
            Syntax::Text,
            r"\x61\x00d\x00M\x00i\x00n\x00",
            r"x\u0000_\u0000u\u0000",
        ),
        (Syntax::Text, "a%00d%00m%00i%00N%00.", "x%00_%00u%00."),
        (Syntax::Query, "q=a%00d%00m%00i%00N%00", "q=x%00_%00u%00"),
        (Syntax::Path, "/a\0d\0m\0i\0n\0", "/x%00_%00u%00"),
        (Syntax::Text, "a=00d=\n=00m=00i=00n=00", "x=00_=00u=00"),
        (Syntax::Text, "610064006D0069006e00", "78005f007500"),
        // HTML has no NUL.
        (
            Syntax::Text,
            "a&#0;d&#0;m&#0;i&#0;n&#0;",
            "a&#0;d&#0;m&#0;i&#0;n&#0;",
        ),
    ];
    for (syntax, text, expected) in rows {
        check(*syntax, text.as_bytes(), expected.as_bytes());
    }
}

#[test]
fn values_with_nul_in_base64() {
    let base64 = |text: &str| render::base64(&utf16(text), false, true);
    check(Syntax::Text, &base64("admin"), &base64("x_u"));
    check(
        Syntax::Text,
        &base64("net user Admin"),
        &base64("net user x_u"),
    );
    // 6 + 10 bytes end with a full group and one byte; x_u and two bytes more, and the group is full again.
    check(Syntax::Text, &base64("as Admin"), &base64("as x_u"));
    let (_, hits) = mask(&needles(), &base64("as Admin"), Syntax::Text);
    assert_eq!(hits, Hits::from([((NameId(0), Form::Base64), 1)]));
}

#[test]
fn fillers_are_characters_of_utf16_too() {
    let base64 = |text: &str| render::base64(&utf16(text), false, true);
    for (key, spaces) in [("x_u", "  "), ("x_us", " "), ("x_usr", "")] {
        let mut needles = Needles::default();
        let wide = String::from_utf8(utf16(key)).unwrap();
        let name = needles.name(&wide, &wide);
        needles.value(name, &utf16("admin"), Rule::Anywhere);
        for before in ["", "a", "as", "net"] {
            for after in ["!", " and so on"] {
                let (output, _) = mask(
                    &needles,
                    &base64(&format!("{before}admin{after}")),
                    Syntax::Text,
                );
                let expected = base64(&format!("{before}{key}{spaces}{after}"));
                assert_eq!(output, expected, "{before}, {after}, {key}");
            }
        }
    }
}

#[test]
fn keys_with_nul() {
    let mut needles = Needles::default();
    let key = String::from_utf8(utf16("x_admin")).unwrap();
    let name = needles.name(&key, &key);
    needles.value(name, &utf16("admin"), Rule::Anywhere);
    let text = utf16("x_admin admin");
    assert_eq!(
        mask(&needles, &text, Syntax::Text).0,
        utf16("x_admin x_admin")
    );
}

#[test]
fn words_with_nul() {
    let mut needles = Needles::default();
    let name = needles.name("x_k", "x\0k");
    needles.value(name, b"\x00ab\x00", Rule::Word);
    needles.value(name, b"cd\x00e", Rule::Word);
    let rows: &[(&[u8], &[u8])] = &[
        (b"z\x00ab\x00z", b"zx\0kz"),
        (b"cd\x00e \x00cd\x00e\x00", b"x\0k \x00x\0k\x00"),
        (b"zcd\x00e cd\x00ez", b"zcd\x00e cd\x00ez"),
    ];
    for (text, expected) in rows {
        assert_eq!(mask(&needles, text, Syntax::Text).0, *expected);
    }
}
