//! Which occurrences count, and what becomes of those that overlap.

use bauta::mask::{Form, NameId, Rule, Syntax};

use super::{PIN, Secrets, check, mask, needles};
use crate::reference::json;

const ADMIN: Secrets<'_> = &[("x_username", "admin", Rule::Word)];

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
fn users_before_any_password_are_no_hosts() {
    check(
        ADMIN,
        Syntax::Text,
        &[
            // A password need not be written as an authority has it.
            (
                "db://admin:a!b@h db://admin:***@h db://admin:${P}@h db://admin:{{x_p}}@h db://admin:<p>@h db://admin:1'2@h",
                "db://x_username:a!b@h db://x_username:***@h db://x_username:${P}@h db://x_username:{{x_p}}@h db://x_username:<p>@h \
                 db://admin:1'2@h",
            ),
            (
                "db://u:admin!x@h db://u:${S}-admin@h db://u:1!admin@h db://admin:1!x@h",
                "db://u:x_username!x@h db://u:${S}-x_username@h db://u:1!x_username@h db://x_username:1!x@h",
            ),
            (
                "db://admin:\u{43f}\u{430}@h db://admin:\u{5bc6}\u{7801}@h db://admin:)x@h db://admin:;x@h db://admin:|x@h db://admin::,x@h",
                "db://x_username:\u{43f}\u{430}@h db://x_username:\u{5bc6}\u{7801}@h db://x_username:)x@h db://x_username:;x@h \
                 db://x_username:|x@h db://x_username::,x@h",
            ),
            // Behind a host there is a port, or what stands for one.
            (
                "[t](http://admin:80)](mailto:a@b) <http://admin:80>,<a@b> http://admin:80\u{3002}a@b http://h:80)admin@b",
                "[t](http://admin:80)](mailto:a@b) <http://admin:80>,<a@b> http://admin:80\u{3002}a@b http://h:80)x_username@b",
            ),
            (
                "{&quot;u&quot;:&quot;http://admin:80&quot;,&quot;a@b&quot;} &lt;http://admin:80&gt;,&lt;a@b c=http://admin:80&d=a@b http://admin:80<br>a@b",
                "{&quot;u&quot;:&quot;http://admin:80&quot;,&quot;a@b&quot;} &lt;http://admin:80&gt;,&lt;a@b c=http://admin:80&d=a@b http://admin:80<br>a@b",
            ),
            (
                "db://admin:&x@h db://admin:<x>@h db://admin:x&y@h",
                "db://x_username:&x@h db://x_username:<x>@h db://x_username:x&y@h",
            ),
            (
                "http://admin: http://admin:/ (http://admin:80) 'http://admin:' http://admin:80, http://[admin::1]:80/",
                "http://admin: http://admin:/ (http://admin:80) 'http://admin:' http://admin:80, http://[admin::1]:80/",
            ),
            (
                "http://admin:{port}/@a http://admin:$PORT http://admin:*, a@b <u>http://admin:80</u> http://admin:8-9&b=1 http://admin*@h",
                "http://admin:{port}/@a http://admin:$PORT http://admin:*, a@b <u>http://admin:80</u> http://admin:8-9&b=1 http://admin*@h",
            ),
        ],
    );
    for (dollars, is_seen) in [(505, true), (506, true), (507, false), (508, false)] {
        let text = format!("http://admin:{}@h", "$".repeat(dollars));
        let masked = text.replace("admin", "x_username");
        check(
            ADMIN,
            Syntax::Text,
            &[(&text, if is_seen { &masked } else { &text })],
        );
    }
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
