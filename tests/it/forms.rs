//! The forms of values that are looked for: through the masker that the channels use, in the readings that agents send.

use bauta::app;
use bauta::config::Spelling;
use bauta::mask::{Masker, Syntax};
use bauta::secret::{Limits, parse_submission};
use zeroize::Zeroizing;

use super::reference::render::base64;

fn masker(secrets: &serde_json::Value) -> (Masker, Vec<String>) {
    let text = serde_json::json!({"https://example.com": secrets}).to_string();
    let bytes = Zeroizing::new(text.into_bytes());
    let Ok(submission) = parse_submission(bytes, &Limits::default()) else {
        panic!("not a submission");
    };
    app::needles(&submission, Spelling::Bare)
}

/// What masking makes of a text, and the keys that it was for.
fn masked(
    (masker, keys): &(Masker, Vec<String>),
    text: &[u8],
    syntax: Syntax,
) -> (String, Vec<String>) {
    let Some((bytes, hits)) = masker.mask(text, syntax).unwrap() else {
        return (String::from_utf8_lossy(text).into_owned(), Vec::new());
    };
    let mut found: Vec<String> = hits
        .keys()
        .map(|(id, _)| keys[id.0 as usize].clone())
        .collect();
    found.dedup();
    (String::from_utf8_lossy(&bytes).into_owned(), found)
}

/// Rows of a text and what becomes of it: as it is, in a JSON string, and in base64.
#[track_caller]
fn check(secrets: &serde_json::Value, rows: &[(&str, &str)]) {
    let masker = masker(secrets);
    for (text, expected) in rows {
        let (plain, keys) = masked(&masker, text.as_bytes(), Syntax::Text);
        assert_eq!(plain, *expected, "{text:?}");
        assert_eq!(keys.is_empty(), text == expected);

        // Escapes of both kinds.
        let ascii: String = text.chars().map(escaped).collect();
        for body in [
            serde_json::json!([text]).to_string(),
            format!("[\"{ascii}\"]"),
        ] {
            let (json, _) = masked(&masker, body.as_bytes(), Syntax::Json);
            let read: Vec<String> = serde_json::from_str(&json).unwrap();
            assert_eq!(read, [*expected], "{body}");
        }
        let encoded = base64(text.as_bytes(), false, true);
        let (encoded, _) = masked(&masker, &encoded, Syntax::Text);
        let read = decoded(&encoded);
        let without_fill = String::from_utf8(read).unwrap().replace(' ', "");
        assert_eq!(without_fill, expected.replace(' ', ""), "{text:?}");
    }
}

fn escaped(c: char) -> String {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    let escapes: Vec<String> = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
    escapes.concat()
}

/// Base64, by hand: the tests know nothing of the engine.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (i, byte) in group.iter().enumerate() {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => panic!("not base64: {text}"),
            };
            bits |= u32::from(digit) << (18 - 6 * i);
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    out
}

#[test]
fn p1_both_normal_forms_of_a_value_are_found() {
    // Registered composed, and decomposed.
    let secrets = serde_json::json!({
        "x_wine": "Ch\u{e2}teau-d\u{2019}Yquem",
        "x_pass": "cre\u{301}me-bru\u{302}le\u{301}e",
        "x_note": "one\nn\u{e9}cessairement secret",
    });
    check(
        &secrets,
        &[
            ("<Ch\u{e2}teau-d\u{2019}Yquem>", "<x_wine>"),
            ("<Cha\u{302}teau-d\u{2019}Yquem>", "<x_wine>"),
            ("<cr\u{e9}me-br\u{fb}l\u{e9}e>", "<x_pass>"),
            ("<cre\u{301}me-bru\u{302}le\u{301}e>", "<x_pass>"),
            ("<ne\u{301}cessairement secret>", "<x_note>"),
            ("<one\r\nne\u{301}cessairement secret>", "<x_note>"),
            ("<creme-brulee>", "<creme-brulee>"),
        ],
    );
}

#[test]
fn p1_form_text_in_any_text_is_read() {
    let secrets = serde_json::json!({
        "x_phrase": "correct horse+battery",
        "x_note": "1\nthe second line of it",
        "x_user": "a bc",
    });
    check(
        &secrets,
        &[
            ("p=correct+horse%2Bbattery&b=1", "p=x_phrase&b=1"),
            ("p=%63orrect+horse%2bbattery", "p=x_phrase"),
            ("p=correct%20horse%2Bbattery", "p=x_phrase"),
            ("p=1%0D%0Athe+second+line+of+it", "p=x_note"),
            ("p=the+second+line%20of+it", "p=the+second+line%20of+it"),
            ("u=a+bc&v=a+bcd", "u=x_user&v=a+bcd"),
        ],
    );
}

#[test]
fn p1_with_ignore_case_a_value_is_found_in_any_case() {
    let secrets = serde_json::json!({
        "x_host": {"value": "Db-Primary.Internal", "ignore_case": true},
        "x_user": {"value": "Admin", "ignore_case": true},
        "x_name": {"value": "Gr\u{fc}\u{df}-Gott", "ignore_case": true},
        "x_pass": "CaseCounts",
    });
    check(
        &secrets,
        &[
            ("<db-primary.internal>", "<x_host>"),
            ("<DB-PRIMARY.INTERNAL>", "<x_host>"),
            ("<aDMIN>, administrator", "<x_user>, administrator"),
            ("<gr\u{fc}\u{df}-gott>", "<x_name>"),
            ("<GR\u{dc}SS-GOTT>", "<x_name>"),
            ("<GRU\u{308}SS-GOTT>", "<x_name>"),
            ("<CaseCounts>, casecounts", "<x_pass>, casecounts"),
        ],
    );
}

#[test]
fn p1_utf16_in_base64_is_found_and_answered_in_utf16() {
    let secrets = serde_json::json!({
        "x_password": "tr0ub4dor&3",
        "x_user": {"value": "Admin", "ignore_case": true},
        "x_pin": "abc",
        "x_key": "\u{e9}t\u{e9} \u{1d11e}",
        "x_pem": "-----BEGIN KEY-----\nMIGHAgEAMBMGByqG\n-----END KEY-----",
    });
    let masker = masker(&secrets);
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (script, expected, key) in [
        (
            "$p = \"tr0ub4dor&3\"; net use",
            "$p = \"x_password\"; net use",
            "x_password",
        ),
        ("tr0ub4dor&3", "x_password", "x_password"),
        ("$u = 'ADMIN'", "$u = 'x_user'", "x_user"),
        ("(e\u{301}te\u{301} \u{1d11e})", "(x_key)", "x_key"),
        ("'MIGHAgEAMBMGByqG'", "'x_pem'", "x_pem"),
        ("# abc", "# abc", ""),
    ] {
        for shift in ["", "#", "##"] {
            let script = format!("{shift}{script}");
            let text = [
                b"powershell -enc ",
                &base64(&utf16(&script), false, true)[..],
            ]
            .concat();
            let json = serde_json::json!({"command": String::from_utf8_lossy(&text)}).to_string();
            for (text, syntax) in [(&text[..], Syntax::Text), (json.as_bytes(), Syntax::Json)] {
                let (output, keys) = masked(&masker, text, syntax);
                let start = output.find("-enc ").unwrap() + 5;
                let encoded = output[start..].trim_end_matches("\"}");
                let units: Vec<u16> = decoded(encoded)
                    .chunks_exact(2)
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                let read = String::from_utf16(&units).unwrap();
                let bare = |text: &str| text.replace(' ', "");
                assert_eq!(bare(&read), bare(&format!("{shift}{expected}")), "{script}");
                assert_eq!(keys.join(" "), key, "{script}");
            }
        }
    }
    // As it is, too: what stands in a name is left alone, and every key has its form.
    let (output, keys) = masked(&masker, &utf16("tr0ub4dor&3 x_password"), Syntax::Text);
    assert_eq!(output.into_bytes(), utf16("x_password x_password"));
    assert_eq!(keys, ["x_password"]);
}

#[test]
fn p1_an_indented_value_leaves_no_short_line() {
    let key = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBG0waw==\nIBAQQ=\n-----END KEY-----\n";
    let secrets = serde_json::json!({
        "x_pem": key,
        "x_list": "alpha-1\nbravo-2\n\ncharlie-3",
        "x_conf": "user: ada\npassword: it is a long one\nport: 5432\n",
        "x_file": "hunter22-\n",
    });
    let masker = masker(&secrets);
    for line_end in ["\n", "\r\n"] {
        for indent in [
            "  ",
            "    ",
            "\t",
            "      ",
            "                        ",
            "\t\t\t\t",
        ] {
            for (value, tails, gone) in [
                (key, "", vec!["IBAQQ", "MIGH", "CCqG"]),
                (
                    "alpha-1\nbravo-2\n\ncharlie-3",
                    ".",
                    vec!["alpha", "bravo", "charlie"],
                ),
                (
                    "user: ada\npassword: it is a long one\nport: 5432\n",
                    "",
                    vec!["ada", "long", "5432"],
                ),
                ("hunter22-\n", "end", vec!["hunter22"]),
            ] {
                for blanks in [true, false] {
                    let lines: Vec<String> = value
                        .split_inclusive('\n')
                        .map(|line| match line {
                            "\n" if !blanks => line.to_owned(),
                            line => format!("{indent}{line}"),
                        })
                        .collect();
                    let text = format!("data: |\n{}{tails}", lines.concat());
                    let text = text.replace('\n', line_end);
                    let json = serde_json::json!([text]).to_string();
                    for (text, syntax) in [(&text, Syntax::Text), (&json, Syntax::Json)] {
                        let (output, _) = masked(&masker, text.as_bytes(), syntax);
                        let left: Vec<_> =
                            gone.iter().filter(|part| output.contains(**part)).collect();
                        assert!(left.is_empty(), "{left:?} in {output:?} of {text:?}");
                        assert!(output.starts_with("data: |") || output.starts_with("[\"data: |"));
                    }
                }
            }
        }
    }
    // Short lines count with what is beside them only.
    let (output, _) = masked(&masker, b"port: 5432\n  user: ada\nhunter22", Syntax::Text);
    assert_eq!(output, "port: 5432\n  user: ada\nhunter22");
}

#[test]
fn p1_a_value_without_its_last_line_end_is_found_by_its_own_rule() {
    let secrets = serde_json::json!({"x_a": "hunter22\n", "x_b": "admin\n", "x_c": "abc\n", "x_d": "12345678901\r\n"});
    check(
        &secrets,
        &[
            ("-hunter22-", "-x_a-"),
            ("admin, administrator", "x_b, administrator"),
            ("abc, abcd", "abc, abcd"),
            ("12345678901, 123456789012", "x_d, 123456789012"),
        ],
    );
}

#[test]
fn what_one_secret_costs_is_bounded() {
    // The most that a submission may hold, in the form that makes the most needles.
    let mut secrets = serde_json::Map::new();
    for i in 0..25 {
        let line = char::from(b'a' + i);
        secrets.insert(format!("x_{i}"), format!("{line}\n").repeat(2048).into());
    }
    let masker = masker(&serde_json::Value::Object(secrets));
    let text = "  b\n".repeat(2048);
    let (output, keys) = masked(&masker, text.as_bytes(), Syntax::Text);
    assert_eq!((output.as_str(), keys), ("  x_1\n", vec!["x_1".to_owned()]));
}
