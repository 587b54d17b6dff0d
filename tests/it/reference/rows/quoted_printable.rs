//! Quoted-printable: alone, in chains, at every edge.

use bauta::mask::{Form, NameId, Rule, Syntax};

use super::{PIN, Secrets, check, mask, needles};
use crate::reference::render;

const LONG: Secrets<'_> = &[("x_pw", "pass=wörd\"1", Rule::Anywhere)];

fn base64(text: &str) -> String {
    String::from_utf8(render::base64(text.as_bytes(), false, true)).unwrap()
}

#[test]
fn quoted_printable_alone() {
    check(
        LONG,
        Syntax::Text,
        &[
            ("pass=3Dw=C3=B6rd\"1", "x_pw"),
            ("=70=61=73=73=3d=77=c3=b6=72=64=22=31 end", "x_pw end"),
            // The plain sign is itself where no hex digits follow; here they do not.
            ("pass=w=C3=B6rd\"1", "x_pw"),
            // Soft breaks belong to a match that goes on after them, and to no other.
            ("pa=\nss=3Dw=C3=\r\n=B6rd\"=\n1 end", "x_pw end"),
            ("pass=\n=\r\n=\n=3Dw=C3=B6rd\"1", "x_pw"),
            ("pass=\n=w=C3=B6rd\"1", "x_pw"),
            ("=\npass=3Dwörd\"1=\r\n.", "=\nx_pw=\r\n."),
            ("=\r\n=\npass=3Dwörd\"1=\n", "=\r\n=\nx_pw=\n"),
            // No soft breaks.
            ("pa= \nss=3Dwörd\"1", "pa= \nss=3Dwörd\"1"),
            ("pa=\rss=3Dwörd\"1", "pa=\rss=3Dwörd\"1"),
            ("pa=\r\r\nss=3Dwörd\"1", "pa=\r\r\nss=3Dwörd\"1"),
            ("pa\nss=3Dwörd\"1", "pa\nss=3Dwörd\"1"),
            // The end of the text.
            ("pass=3Dwörd\"1=", "x_pw="),
            ("pass=3Dwörd\"1=3", "x_pw=3"),
            ("pass=3Dwörd\"1=\r", "x_pw=\r"),
            ("pass=3Dwörd\"=", "pass=3Dwörd\"="),
            // Three steps, not four.
            ("pass=3D3Dwörd\"1", "x_pw"),
            ("pass=3D3D3Dwörd\"1", "x_pw"),
            ("pass=3D3D3D3Dwörd\"1", "pass=3D3D3D3Dwörd\"1"),
        ],
    );
    let signs: Secrets<'_> = &[("x_k", "k==v==", Rule::Anywhere)];
    check(
        signs,
        Syntax::Text,
        &[
            (
                "k==v== k==3Dv==3d k=3D=v=3D= k=3D=3Dv=\n==",
                "x_k x_k x_k x_k",
            ),
            ("k=3Dv== k==v= =", "k=3Dv== k==v= ="),
            ("k===\nv==", "x_k"),
        ],
    );
    // The value is a unit itself: nothing is decoded in the root.
    check(
        &[("x_k", "=3D=3D=3D", Rule::Anywhere)],
        Syntax::Text,
        &[
            ("=3D=3D=3D", "x_k"),
            ("=3D3D=3D3D=3D3D", "x_k"),
            ("===", "==="),
        ],
    );
}

#[test]
fn quoted_printable_is_written_back() {
    let mut needles = needles(LONG);
    needles.names[0].1 = "<x=\"é~ y\t\\\u{7F}>".to_owned();
    let rows: &[(Syntax, &str, &str)] = &[
        (Syntax::Text, "pass=3Dwörd\"1", "<x=3D\"=C3=A9~ y=09\\=7F>"),
        (
            Syntax::Text,
            "pass=3D3Dwörd\"1",
            "<x=3D3D\"=3DC3=3DA9~ y=3D09\\=3D7F>",
        ),
        // JSON outside, and inside.
        (
            Syntax::Json,
            r#"["pass=3Dwörd\"1"]"#,
            r#"["<x=3D\"=C3=A9~ y=09\\=7F>"]"#,
        ),
        (
            Syntax::Text,
            r#"pass=5Cu003Dwörd"1"#,
            r#"<x=3D\"=C3=A9~ y\u0009\\=7F>"#,
        ),
        // Percent outside, and inside.
        (
            Syntax::Text,
            "pass%3D3Dwörd\"1",
            "%3Cx%3D3D%22%3DC3%3DA9~%20y%3D09%5C%3D7F%3E",
        ),
        (
            Syntax::Text,
            "pass=253Dwörd\"1",
            "%3Cx%3D%22%C3%A9~%20y%09%5C%7F%3E",
        ),
        // HTML outside, and inside.
        (
            Syntax::Text,
            "pass&#61;3Dwörd\"1",
            "&lt;x=3D&quot;=C3=A9~ y=09\\=7F&gt;",
        ),
        (
            Syntax::Text,
            "pass=26#61;wörd\"1",
            "&lt;x=3D&quot;=C3=A9~ y=09\\=7F&gt;",
        ),
        // Not percent-encoded yet, where that is needed.
        (
            Syntax::Path,
            "pass=3Dwörd\"1",
            "%3Cx%3D3D%22%3DC3%3DA9~%20y%3D09%5C%3D7F%3E",
        ),
        (
            Syntax::Query,
            "pass%3d3Dwörd\"1",
            "%3Cx%3D3D%22%3DC3%3DA9~%20y%3D09%5C%3D7F%3E",
        ),
    ];
    for (syntax, text, expected) in rows {
        let (output, hits) = mask(&needles, text.as_bytes(), *syntax);
        assert_eq!(
            String::from_utf8_lossy(&output),
            *expected,
            "for {text} as {syntax:?}"
        );
        let form =
            if expected.starts_with("<x=3D3D") || *expected == rows[0].2 || *syntax == Syntax::Path
            {
                Form::QuotedPrintable
            } else {
                Form::Chain
            };
        assert_eq!(
            hits.into_iter().collect::<Vec<_>>(),
            [((NameId(0), form), 1)],
            "for {text}"
        );
    }
}

#[test]
fn quoted_printable_and_base64() {
    check(
        LONG,
        Syntax::Text,
        &[
            // Inside: 22 bytes, of which the first 21 are replaced.
            (&base64("pass=3Dw=C3=\r\n=B6rd\"1!"), &base64("x_pw  !")),
            (&base64("a=\npass=3Dwörd\"1"), &base64("a=\nx_pw")),
            (&base64("a=\npass=3Dwörd\"1=\n"), &base64("a=\nx_pw =\n")),
        ],
    );
    let needle: Secrets<'_> = &[("x_k", "needle01", Rule::Anywhere)];
    check(
        needle,
        Syntax::Text,
        &[
            // base64("aaneedle01") is YWFuZWVkbGUwMQ==, base64("aax_k") is YWF4X2s=. Outside, the padding is encoded too.
            ("YWFuZWVkbGUwMQ=3D=3D", "YWF4X2s=3D"),
            ("YWFuZWVk=\r\nbGUwMQ=3D=\n=3D.", "YWF4X2s=3D."),
            ("YWFuZWVk=\nbGUwMQ", "YWF4X2s"),
            ("=59WFuZWVkbGUwMQ=3D=3D", "YWF4X2s=3D"),
            // The first sign pads the run in the root: one match there, a longer one in quoted-printable.
            ("bmVlZGxlMDE=3D", "eF9r"),
            ("bmVlZGxlMDE=", "eF9r"),
            ("bmVlZGxlMDE=\n", "eF9r\n"),
            // A soft break in the root ends the run there.
            ("bmVl=\nZGxl=\nMDE=", "eF9r"),
            ("bmVl=\n ZGxlMDE=", "bmVl=\n ZGxlMDE="),
        ],
    );
    // Hex: "=31234" and "12=\n34".
    check(
        PIN,
        Syntax::Text,
        &[
            ("3D3331323334", "785F70696E"),
            ("31323d0a3334", "785f70696e"),
            ("3=\n132333=\r\n4", "785f70696e"),
            ("3=\n1323334=\r\n", "785f70696e=\r\n"),
        ],
    );
}

#[test]
fn short_values_in_quoted_printable() {
    check(
        PIN,
        Syntax::Text,
        &[
            ("12=\n34 =31234 =201234=20", "x_pin x_pin =20x_pin=20"),
            ("x12=\n34 a=31234 12=\r\n345", "x12=\n34 a=31234 12=\r\n345"),
            // In the root the sign ends the word, whatever it means in quoted-printable.
            ("a=\n1234 1234=\na 1234=41", "a=\nx_pin x_pin=\na x_pin=41"),
            ("=C3=A91234 =C31234", "=C3=A91234 =C3x_pin"),
            (
                "http://1234/ http:=2F/12=\n34/=31234",
                "http://1234/ http:=2F/12=\n34/x_pin",
            ),
        ],
    );
    check(
        PIN,
        Syntax::Json,
        &[
            // The line break is an escape: a break in the root, a soft line break behind JSON.
            (r#"{"a":"12=\n34"}"#, r#"{"a":"x_pin"}"#),
            (
                r#"{"a":"12=\r\n34","b":"12=\r34"}"#,
                r#"{"a":"x_pin","b":"12=\r34"}"#,
            ),
            (r#"{"a":"=\u00331234"}"#, r#"{"a":"x_pin"}"#),
            // The escape is no part of a unit in the root.
            (r#"{"a":"=3\u00311234"}"#, r#"{"a":"=3\u00311234"}"#),
            ("[12=\n34]", "[x_pin]"),
            (
                r#"{"role":"=31234","id":"1234"}"#,
                r#"{"role":"x_pin","id":"1234"}"#,
            ),
        ],
    );
    // A soft break within a unit: the second pass finds it whole.
    let (_, hits) = mask(&needles(PIN), b"=3=\n1=\n234", Syntax::Text);
    assert_eq!(
        hits.into_iter().collect::<Vec<_>>(),
        [((NameId(0), Form::QuotedPrintable), 1)]
    );
}

#[test]
fn p7_what_follows_the_padding_of_base64_in_the_next_line_stays() {
    // `=` and the line's end are a soft line break as well.
    check(
        &[("x_db", "hunter22pass12", Rule::Anywhere)],
        Syntax::Text,
        &[
            ("T=aHVudGVyMjJwYXNzMTI=\nNEXT=1\n", "T=eF9kYg==\nNEXT=1\n"),
            (
                "T=aHVudGVyMjJwYXNzMTI=\r\nNEXT=1\r\n",
                "T=eF9kYg==\r\nNEXT=1\r\n",
            ),
            (
                "aHVudGVyMjJwYXNzMTI=\naHVudGVyMjJwYXNzMTI=\naHVudGVyMjJwYXNzMTI=\n",
                "eF9kYg==\neF9kYg==\neF9kYg==\n",
            ),
            // Where one within the value shows that it is quoted-printable, they are nothing else.
            ("aHVudGVyMjJwYXN=\nzMTI=\nNEXT", "eF9kYiANEXT"),
        ],
    );
}
