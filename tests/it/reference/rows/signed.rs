//! Blocks that a provider signs.

use bauta::mask::{Form, Hits, NameId, Refusal, Rule, Signed, Syntax};

use super::{Secrets, mask_with, needles};

const SECRETS: Secrets<'_> = &[
    ("x_pin", "1234", Rule::Word),
    ("x_user", "admin", Rule::Word),
    ("x_end", "b\",\"signature", Rule::Anywhere),
];
/// Ends with the quote before a signature.
const QUOTES: Secrets<'_> = &[
    ("x_pin", "1234", Rule::Word),
    ("x_mid", "\",\"signature\":\"", Rule::Anywhere),
];
const PIN: Option<u32> = Some(0);
const USER: Option<u32> = Some(1);
const END: Option<u32> = Some(2);

/// For each text: whose value it is refused for, and what becomes of it if signed blocks are passed.
#[track_caller]
fn check(rows: &[(&str, Option<u32>, &str)]) {
    check_with(SECRETS, rows);
}

#[track_caller]
fn check_with(secrets: Secrets<'_>, rows: &[(&str, Option<u32>, &str)]) {
    let needles = needles(secrets);
    for (text, refused, passed) in rows {
        let result = mask_with(&needles, text.as_bytes(), Syntax::Json, Signed::Refuse);
        match refused {
            Some(name) => assert_eq!(result, Err(Refusal::Signed(NameId(*name))), "for {text}"),
            None => assert_eq!(result.unwrap().0, passed.as_bytes(), "for {text}"),
        }
        let (output, _) = mask_with(&needles, text.as_bytes(), Syntax::Json, Signed::Pass).unwrap();
        assert_eq!(String::from_utf8_lossy(&output), *passed, "for {text}");
        // As if there were no signed blocks.
        let (_, hits) = mask_with(&needles, text.as_bytes(), Syntax::Json, Signed::Mask).unwrap();
        assert!(!hits.is_empty(), "for {text}");
        let as_text = mask_with(&needles, text.as_bytes(), Syntax::Text, Signed::Refuse);
        assert!(
            as_text.is_ok_and(|(_, hits)| !hits.is_empty()),
            "for {text}"
        );
    }
}

#[test]
fn signed_objects() {
    let same = |text, name| (text, name, text);
    check(&[
        same(r#"{"thinking":"a 1234","signature":"s"}"#, PIN),
        same(r#"{"signature":"s","thinking":"1234"}"#, PIN),
        same(r#"{"thinking":"","signature":"s/1234"}"#, PIN),
        same(
            r#"[{"content":[{"type":"thinking","signature":"s","x":1, "thinking" : "\n1234\n"}]}]"#,
            PIN,
        ),
        same(r#"{"thinking":"MTIzNA==","signature":"s"}"#, PIN),
        same(r#"{"thinking":"%31234 \u0031234","signature":"s"}"#, PIN),
        // Signed or not, what else is in the object may change.
        (
            r#"{"thinking":"a","x":"1234","signature":"s","n":1234,"1234.":["1234"]}"#,
            None,
            r#"{"thinking":"a","x":"x_pin","signature":"s","n":"x_pin","x_pin.":["x_pin"]}"#,
        ),
        (
            r#"{"x":"1234","thinking":"1234","signature":"s","y":{"thinking":"1234"}}"#,
            PIN,
            r#"{"x":"x_pin","thinking":"1234","signature":"s","y":{"thinking":"x_pin"}}"#,
        ),
    ]);
}

#[test]
fn objects_that_are_not_signed() {
    check(&[
        (r#"{"thinking":"1234"}"#, None, r#"{"thinking":"x_pin"}"#),
        (r#"{"signature":"1234"}"#, None, r#"{"signature":"x_pin"}"#),
        (
            r#"{"thinking":"1234","signature":""}"#,
            None,
            r#"{"thinking":"x_pin","signature":""}"#,
        ),
        (
            r#"{"thinking":"1234","signature":["s"]}"#,
            None,
            r#"{"thinking":"x_pin","signature":["s"]}"#,
        ),
        (
            r#"{"thinking":["1234"],"signature":"1234 s"}"#,
            None,
            r#"{"thinking":["x_pin"],"signature":"x_pin s"}"#,
        ),
        (
            r#"{"thinkin\u0067":"1234","signature":"s"}"#,
            None,
            r#"{"thinkin\u0067":"x_pin","signature":"s"}"#,
        ),
        (
            r#"{"Thinking":"1234","signature":"s"}"#,
            None,
            r#"{"Thinking":"x_pin","signature":"s"}"#,
        ),
        (
            r#"{"thinking":"1234","x":{"signature":"s"}}"#,
            None,
            r#"{"thinking":"x_pin","x":{"signature":"s"}}"#,
        ),
        (
            r#"{"thinking":"1234"}{"signature":"s"}"#,
            None,
            r#"{"thinking":"x_pin"}{"signature":"s"}"#,
        ),
        (
            r#"["thinking","1234","signature","s"]"#,
            None,
            r#"["thinking","x_pin","signature","s"]"#,
        ),
    ]);
}

#[test]
fn members_that_come_twice() {
    let same = |text, name| (text, name, text);
    check(&[
        same(r#"{"thinking":1,"thinking":"1234","signature":"s"}"#, PIN),
        same(r#"{"signature":"","thinking":"1234","signature":"s"}"#, PIN),
        same(r#"{"thinking":"1234","signature":"s","thinking":"a"}"#, PIN),
        same(r#"{"thinking":"a","signature":"s","thinking":"1234"}"#, PIN),
        same(
            r#"{"thinking":"a","signature":"s","signature":"1234 1"}"#,
            PIN,
        ),
    ]);
}

/// Both strings must have been closed while the text was JSON; then it does not matter what comes.
#[test]
fn texts_that_end_early() {
    let same = |text, name| (text, name, text);
    check(&[
        same(r#"{"thinking":"1234","signature":"s""#, PIN),
        same(r#"{"thinking":"1234","signature":"s"}]"#, PIN),
        same(r#"{"thinking":"1234","signature":"s",,"#, PIN),
        same(r#"{"thinking":"a","signature":"s","thinking":"1234"#, PIN),
        same(
            "{\"thinking\":\"a\",\"signature\":\"s\",\"thinking\":\"1234\n",
            PIN,
        ),
        (
            r#"{"thinking":"1234","signature":"s"#,
            None,
            r#"{"thinking":"x_pin","signature":"s"#,
        ),
        (
            "{\"thinking\":\"1234\",\"signature\":\"s\n\"}",
            None,
            "{\"thinking\":\"x_pin\",\"signature\":\"s\n\"}",
        ),
        (
            r#"{"signature":"s","thinking":"1234"#,
            None,
            r#"{"signature":"s","thinking":"x_pin"#,
        ),
        (
            r#"{"thinking":"1234",]"signature":"s"}"#,
            None,
            r#"{"thinking":"x_pin",]"signature":"s"}"#,
        ),
        (
            "{\"thinking\":\"a\",\"signature\":\"s\",\"thinking\":\"\n1234",
            None,
            "{\"thinking\":\"a\",\"signature\":\"s\",\"thinking\":\"\nx_pin",
        ),
    ]);
}

/// What is replaced as one is signed as one.
#[test]
fn values_across_the_edge() {
    let same = |text, name| (text, name, text);
    check(&[
        same(r#"{"thinking":"ab","signature":"s"}"#, END),
        (
            r#"{"x":"ab","signature":"s","thinking":"1234"}"#,
            PIN,
            r#"{"x":"ax_end":"s","thinking":"1234"}"#,
        ),
        (
            r#"{"x":"ab","signature":"s","thinking":""}"#,
            None,
            r#"{"x":"ax_end":"s","thinking":""}"#,
        ),
    ]);
    // Quotes are no content.
    check_with(
        QUOTES,
        &[
            (
                r#"{"thinking":"a","signature":"s"}"#,
                None,
                r#"{"thinking":"ax_mids"}"#,
            ),
            (
                r#"{"thinking":"1234","signature":"s"}"#,
                PIN,
                r#"{"thinking":"1234x_mids"}"#,
            ),
        ],
    );
}

#[test]
fn the_refusal_names_what_was_known_first() {
    let same = |text, name| (text, name, text);
    check(&[
        same(r#"{"thinking":"1234","signature" :"admin."}"#, PIN),
        same(r#"{"signature":"admin.","thinking":"1234"}"#, USER),
        same(
            r#"{"thinking":"1234","signature" :"s"}{"thinking":"admin","signature" :"s"}"#,
            PIN,
        ),
        // The inner object is known to be signed before the outer one is.
        same(
            r#"{"thinking":"1234","x":{"thinking":"admin","signature" :"s"},"signature" :"t"}"#,
            USER,
        ),
        same(
            r#"{"thinking":"1234","signature" :"t","x":{"thinking":"admin","signature" :"s"}}"#,
            PIN,
        ),
        same(
            r#"{"thinking":"a","signature" :"t","x":{"thinking":"admin","signature" :"s"},"thinking":"1234"}"#,
            USER,
        ),
        same(
            r#"{"thinking":"1234","x":{"thinking":"a","signature" :"s"},"signature" :"admin."}"#,
            PIN,
        ),
    ]);
}

#[test]
fn what_is_passed_is_not_counted() {
    let text = br#"{"thinking":"1234 admin","signature" :"s","x":"1234","y":"admin","n":1234}"#;
    let (output, hits) = mask_with(&needles(SECRETS), text, Syntax::Json, Signed::Pass).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output),
        r#"{"thinking":"1234 admin","signature" :"s","x":"x_pin","y":"x_user","n":"x_pin"}"#
    );
    assert_eq!(
        hits,
        Hits::from([((NameId(0), Form::Plain), 2), ((NameId(1), Form::Plain), 1)])
    );
}
