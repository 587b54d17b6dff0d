//! Values whose ASCII letters match in any case.

use bauta::mask::{Form, Hits, NameId, Rule, Syntax};

use super::mask;
use crate::reference::{Needles, render};

/// Key, value, rule, any case.
type Rows<'a> = &'a [(&'a str, &'a str, Rule, bool)];

fn needles(rows: Rows<'_>) -> Needles {
    let mut needles = Needles::default();
    for (key, value, rule, any_case) in rows {
        let name = needles.name(key, key);
        if *any_case {
            needles.value_any_case(name, value.as_bytes(), *rule);
        } else {
            needles.value(name, value.as_bytes(), *rule);
        }
    }
    needles
}

#[track_caller]
fn check(secrets: Rows<'_>, syntax: Syntax, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let (output, _) = mask(&needles(secrets), text.as_bytes(), syntax);
        assert_eq!(
            String::from_utf8_lossy(&output),
            *expected,
            "for {text} as {syntax:?}"
        );
    }
}

const LONG: Rows<'_> = &[("x_long", "Hunter-Zwei", Rule::Anywhere, true)];

#[test]
fn letters_match_in_any_case() {
    check(
        LONG,
        Syntax::Text,
        &[
            (
                "HUNTER-ZWEI hunter-zwei xhUnTeR-zWeIx",
                "x_long x_long xx_longx",
            ),
            (
                "hunter_zwei hunter\rzwei Hunter-Zwe",
                "hunter_zwei hunter\rzwei Hunter-Zwe",
            ),
            ("%48UNTER%2dzwei %68unter%2DZWEI", "x_long x_long"),
            (r"\u0048UNTER-zwei \x68unter-zwei", "x_long x_long"),
            ("&#72;UNTER-zwei &#x68;unter-zwei", "x_long x_long"),
            ("=48UNTER=2dzwei h=\nUnter-zwei", "x_long x_long"),
            ("68554e5445522d7a776569", "785f6c6f6e67"),
        ],
    );
    // "hUNTER-zwei!", and one byte less: spaces fill up a group, at the end of the run too.
    for (text, expected) in [("hUNTER-zwei!", "x_long  !"), ("hUNTER-ZWEi", "x_long")] {
        let (output, _) = mask(
            &needles(LONG),
            &render::base64(text.as_bytes(), false, true),
            Syntax::Text,
        );
        assert_eq!(output, render::base64(expected.as_bytes(), false, true));
    }
}

#[test]
fn only_ascii_letters_do() {
    let rows: Rows<'_> = &[
        ("x_word", "Éa-ß", Rule::Anywhere, true),
        ("x_sign", "@[`{k\u{7F}_", Rule::Anywhere, true),
    ];
    check(
        rows,
        Syntax::Text,
        &[
            ("ÉA-ß Éa-ß éa-ß ÉA-ẞ ÉA-SS", "x_word x_word éa-ß ÉA-ẞ ÉA-SS"),
            ("@[`{K\u{7F}_ `{@[K\u{7F}_", "x_sign `{@[K\u{7F}_"),
            ("@[`{k_\u{7F} @[`{+\u{7F}_", "@[`{k_\u{7F} @[`{+\u{7F}_"),
        ],
    );
    // U+212A is no K, though its lower case is.
    check(
        &[("x_kelvin", "kkkk", Rule::Anywhere, true)],
        Syntax::Text,
        &[("kK\u{212A}k KkkK", "kK\u{212A}k x_kelvin")],
    );
}

#[test]
fn rank_is_the_order_of_registration() {
    let hits = |secrets, text: &str| -> (String, Hits) {
        let (output, hits) = mask(&needles(secrets), text.as_bytes(), Syntax::Text);
        (String::from_utf8(output).unwrap(), hits)
    };
    let both = Hits::from([((NameId(0), Form::Plain), 1), ((NameId(1), Form::Plain), 1)]);
    let one = |name| Hits::from([((NameId(name), Form::Plain), 1)]);
    let exact_first: Rows<'_> = &[
        ("x_exact", "hunter-zwei", Rule::Anywhere, false),
        ("x_any", "Hunter-Zwei", Rule::Anywhere, true),
    ];
    let any_first: Rows<'_> = &[
        ("x_any", "hunter-zwei", Rule::Anywhere, true),
        ("x_exact", "Hunter-Zwei", Rule::Anywhere, false),
    ];
    assert_eq!(
        hits(exact_first, "hunter-zwei"),
        ("x_exact".to_owned(), both.clone())
    );
    assert_eq!(
        hits(exact_first, "Hunter-Zwei"),
        ("x_any".to_owned(), one(1))
    );
    assert_eq!(hits(any_first, "Hunter-Zwei"), ("x_any".to_owned(), both));
    assert_eq!(hits(any_first, "hunter-zwei"), ("x_any".to_owned(), one(0)));
    let two_any: Rows<'_> = &[
        ("x_a", "AbCdEfGh", Rule::Anywhere, true),
        ("x_b", "aBcDeFgH", Rule::Anywhere, true),
        ("x_c", "aBcDeFgHi", Rule::Anywhere, false),
    ];
    assert_eq!(hits(two_any, "abcdefgh").0, "x_a");
    assert_eq!(hits(two_any, "aBcDeFgHi").0, "x_c");
}

#[test]
fn keys_stay_exact() {
    let secrets: Rows<'_> = &[("x_password", "PassWord", Rule::Anywhere, true)];
    check(
        secrets,
        Syntax::Text,
        &[(
            "x_password X_PASSWORD x_passWord",
            "x_password X_x_password x_x_password",
        )],
    );
}

#[test]
fn the_rules_of_short_values_hold() {
    let admin: Rows<'_> = &[("x_username", "admin", Rule::Word, true)];
    check(
        admin,
        Syntax::Json,
        &[
            (
                r#"{"role":"Admin","ADMIN":"aDmin","id":"\u0041dmiN","x":["ADMIN","xAdmin"]}"#,
                r#"{"role":"Admin","ADMIN":"x_username","id":"\u0041dmiN","x":["x_username","xAdmin"]}"#,
            ),
            (
                r#"{"type":"admin","status":"Admin ","object":"%41dmin"}"#,
                r#"{"type":"admin","status":"x_username ","object":"x_username"}"#,
            ),
        ],
    );
    check(
        admin,
        Syntax::Text,
        &[
            (
                "https://ADMIN.example.com/ADMIN",
                "https://ADMIN.example.com/x_username",
            ),
            (
                "Admin ADMINs _Admin éAdmin -aDMIN-",
                "x_username ADMINs _Admin éAdmin -x_username-",
            ),
        ],
    );
    // An exact value beside it is no word of any case.
    check(
        &[("x_username", "admin", Rule::Word, false)],
        Syntax::Json,
        &[(
            r#"{"role":"Admin","x":"Admin admin"}"#,
            r#"{"role":"Admin","x":"Admin x_username"}"#,
        )],
    );
}
