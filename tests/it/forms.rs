//! The forms of values that are looked for: through the masker that the channels use, in the readings that agents send.

use bauta::app;
use bauta::config::Spelling;
use bauta::guard::Snapshot;
use bauta::mask::{Masker, Syntax};
use bauta::secret::{Limits, parse_submission};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::equivalence::{config, pattern};
use super::model_kit::secrets;
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

/// What once went through: in Latin-1 and in UTF-16LE every form is looked for that is in UTF-8.
#[test]
fn p1_lines_and_spaces_in_other_charsets_are_found() {
    let masker = masker(&json!({
        "x_end": "ende-\u{fc}-passwort\n",
        "x_note": "erste zeile der p\u{e4}sse\nzweite zeile der w\u{f6}rter",
        "x_pass": "p\u{e4}ssw\u{f6}rt mit leer",
        "x_list": "kurz\n\u{e4}1 b\n\u{f6}x",
    }));
    let utf16 = |text: &str| bytes_of(text, Charset::Utf16);
    let latin1 = |text: &str| bytes_of(text, Charset::Latin1);
    for (text, expected) in [
        ("<ende-\u{fc}-passwort>", "<x_end>"),
        ("user:ende-\u{fc}-passwort", "user:x_end"),
        (
            "erste zeile der p\u{e4}sse\r\nzweite zeile der w\u{f6}rter",
            "x_note",
        ),
        ("zweite zeile der w\u{f6}rter", "x_note"),
        ("zweite+zeile+der+w\u{f6}rter", "x_note"),
        ("p\u{e4}ssw\u{f6}rt+mit+leer", "x_pass"),
        ("- kurz\n  \u{e4}1 b\n  \u{f6}x", "- x_list"),
        ("-+kurz\r\n++\u{e4}1+b\r\n++\u{f6}x", "-+x_list"),
        ("ende-u-passwort", "ende-u-passwort"),
    ] {
        let (output, _) = masked(&masker, &latin1(text), Syntax::Text);
        assert_eq!(output.trim_end(), expected, "{text:?}");
        for bytes in [latin1(text), utf16(text)] {
            let (output, _) = masked(&masker, &base64(&bytes, false, true), Syntax::Text);
            let read: Vec<u8> = decoded(&output).into_iter().filter(|b| *b != 0).collect();
            let read = String::from_utf8_lossy(&read).replace(' ', "");
            assert_eq!(read, expected.replace(' ', ""), "{text:?}");
        }
    }
    let (output, _) = masked(&masker, br#"{"u":"p%E4ssw%F6rt+mit+leer"}"#, Syntax::Json);
    assert_eq!(output, r#"{"u":"x_pass"}"#);
}

/// As Python's `ascii` and `repr` and JavaScript's minifiers write them: `\xHH` is a character there, and a byte to the engine.
#[test]
fn p1_values_in_escapes_of_characters_and_bytes_are_found() {
    let masker = masker(&json!({
        "x_polish": "Za\u{17c}\u{f3}\u{142}\u{107}-g\u{119}\u{15b}l\u{105}",
        "x_band": "Mot\u{f6}rhead\u{20ac}uro",
        "x_blank": "p\u{e4}ss\u{a0}w\u{f6}rd-99",
        "x_soft": "zu\u{ad}sammen \u{20ac}9",
    }));
    for (text, expected) in [
        (
            r"'Za\u017c\xf3\u0142\u0107-g\u0119\u015bl\u0105'",
            "'x_polish'",
        ),
        (
            r"'Za\u017C\xF3\u0142\u0107-g\u0119\u015Bl\u0105'",
            "'x_polish'",
        ),
        (r"'Mot\xf6rhead\u20acuro'", "'x_band'"),
        (r"'p\xe4ss\xa0w\xf6rd-99'", "'x_blank'"),
        (r"'päss\xa0wörd-99'", "'x_blank'"),
        (r"'zu\xadsammen €9'", "'x_soft'"),
        (r"'zu\xadsammen+\u20ac9'", "'x_soft'"),
        (r"'Motorhead\u20acuro'", r"'Motorhead\u20acuro'"),
    ] {
        let (output, _) = masked(&masker, text.as_bytes(), Syntax::Text);
        assert_eq!(output, expected, "{text}");
        let body = serde_json::to_string(text).unwrap();
        let (output, _) = masked(&masker, body.as_bytes(), Syntax::Json);
        let read: String = serde_json::from_str(&output).unwrap();
        assert_eq!(read, expected, "{body}");
    }
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

/// Cases of the property unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 200;

/// The name of every value below. No value holds it, and nothing around it holds a letter of a value.
const KEY: &str = "x_qvw";

/// The indents that SECURITY.md lists.
fn indents() -> Vec<String> {
    let spaces = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24].map(|n| " ".repeat(n));
    let tabs = (1..=4).map(|n| "\t".repeat(n));
    spaces.into_iter().chain(tabs).collect()
}

#[derive(Clone, Debug)]
struct Registered {
    value: String,
    ignore_case: bool,
}

/// Values of one line and of several: of ASCII, of what Latin-1 can write, of any letters; with blanks in any place of a line.
fn registered() -> impl Strategy<Value = Registered> {
    let ascii = "a|B|k|S|i|J|z|+|\\|\"|%|&|/|=|-|.|'";
    let latin = "ü|é|Å|ß|Ñ|e\u{301}|A\u{30a}|\u{a0}|\u{ad}|\u{85}";
    let other = "ő|Ω|Σ|ς|ễ|o\u{308}|한|𝄞|ΐ|İ|–";
    let letter = select(vec![
        ascii.to_owned(),
        format!("{ascii}|{ascii}|{latin}"),
        format!("{ascii}|{latin}|{other}"),
    ])
    .prop_map(|all| all.split('|').map(str::to_owned).collect::<Vec<_>>());
    letter
        .prop_flat_map(|letters| {
            let letter = prop_oneof![6 => select(letters), 1 => Just(" ".to_owned())];
            let line = prop_oneof![
                6 => vec(letter.clone(), 1..14),
                3 => vec(letter, 14..30),
                1 => Just(Vec::new()),
            ];
            let end = select(vec!["\n", "\n", "\r\n", "\r"]);
            (vec((line, end), 1..5), 0..3_usize, any::<bool>()).prop_map(
                |(lines, ends, ignore_case)| {
                    let mut value = String::new();
                    let count = lines.len();
                    for (i, (line, end)) in lines.into_iter().enumerate() {
                        let line = line.concat();
                        // A line of blanks only is no line to indent.
                        value.push_str(if line.trim().is_empty() { "" } else { &line });
                        value.push_str(&end.repeat(if i + 1 < count { 1 } else { ends }));
                    }
                    Registered { value, ignore_case }
                },
            )
        })
        .prop_filter("too few letters", |registered| {
            registered
                .value
                .split_whitespace()
                .collect::<String>()
                .chars()
                .count()
                >= 6
        })
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    /// Without the line ends around it.
    Bare,
    /// Of several lines the long one by that number.
    Line(usize),
    /// By that indent; the first line too, blank lines too.
    Indented(usize, bool, bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Charset {
    Utf8,
    /// What it cannot write stays in UTF-8.
    Latin1,
    /// UTF-8, but what is not printable as in Latin-1: Python's `repr`, where `\xHH` is a byte.
    Repr,
    Utf16,
}

/// How a value is written.
#[derive(Clone, Debug)]
struct Form {
    /// As it is, lower case, upper case. Like the next, only with `ignore_case`.
    case: u8,
    /// ASCII letters that change their case, a bit each.
    flips: u64,
    /// As it is, NFC, NFD.
    normal: u8,
    part: Part,
    line_end: Option<&'static str>,
    plus: bool,
    charset: Charset,
}

fn form() -> impl Strategy<Value = Form> {
    let part = prop_oneof![
        2 => Just(Part::Whole),
        2 => Just(Part::Bare),
        2 => (0..4_usize).prop_map(Part::Line),
        3 => (0..indents().len(), any::<bool>(), any::<bool>()).prop_map(|(i, first, blanks)| Part::Indented(i, first, blanks)),
    ];
    let line_end = select(vec![None, Some("\n"), Some("\r\n")]);
    let charset = select(vec![
        Charset::Utf8,
        Charset::Latin1,
        Charset::Repr,
        Charset::Utf16,
    ]);
    let flips = prop_oneof![Just(0), any::<u64>()];
    (
        0..3_u8,
        flips,
        0..3_u8,
        part,
        line_end,
        any::<bool>(),
        charset,
    )
        .prop_map(
            |(case, flips, normal, part, line_end, plus, charset)| Form {
                case,
                flips,
                normal,
                part,
                line_end,
                plus,
                charset,
            },
        )
}

impl Form {
    /// The value in this form, by the words of SECURITY.md.
    fn of(&self, registered: &Registered) -> String {
        let mut text = registered.value.clone();
        if registered.ignore_case {
            text = match self.case {
                0 => text,
                1 => text.to_lowercase(),
                _ => text.to_uppercase(),
            };
        }
        text = match self.normal {
            0 => text,
            1 => text.nfc().collect(),
            _ => text.nfd().collect(),
        };
        if registered.ignore_case {
            let flipped = |(i, c): (usize, char)| match c {
                'a'..='z' if self.flips >> (i % 64) & 1 == 1 => c.to_ascii_uppercase(),
                'A'..='Z' if self.flips >> (i % 64) & 1 == 1 => c.to_ascii_lowercase(),
                c => c,
            };
            text = text.chars().enumerate().map(flipped).collect();
        }
        text = self.part_of(&text);
        if self.plus {
            text = text.replace(' ', "+");
        }
        text
    }

    fn part_of(&self, text: &str) -> String {
        let unix = text.replace("\r\n", "\n").replace('\r', "\n");
        let ended = |unix: &str, text: &str| match self.line_end {
            Some(end) => unix.replace('\n', end),
            None => text.to_owned(),
        };
        let bare = |text: &str| text.trim_matches(['\n', '\r']).to_owned();
        match self.part {
            Part::Bare => ended(&bare(&unix), &bare(text)),
            Part::Line(which) if unix.contains('\n') => {
                let lines = unix.split('\n').map(str::trim);
                let long: Vec<&str> = lines.filter(|line| line.chars().count() >= 16).collect();
                match long.get(which % long.len().max(1)) {
                    Some(line) => (*line).to_owned(),
                    None => ended(&unix, text),
                }
            }
            Part::Whole | Part::Line(_) => ended(&unix, text),
            Part::Indented(indent, first, blanks) => {
                let indent = &indents()[indent];
                let lines = unix.split('\n').enumerate().map(|(i, line)| {
                    let bare = (i == 0 && !first) || (line.is_empty() && !blanks);
                    format!("{}{line}", if bare { "" } else { indent })
                });
                let end = self.line_end.unwrap_or("\n");
                lines.collect::<Vec<_>>().join(end)
            }
        }
    }

    /// Without what SECURITY.md leaves out: line ends that are not alike in UTF-16LE with `+`; the less usual indents but in UTF-8 with
    /// spaces; any but those where a value makes more indented forms than there is room for.
    fn within(mut self, registered: &Registered) -> Self {
        if self.plus && self.charset == Charset::Utf16 {
            self.line_end = self.line_end.or(Some("\n"));
        }
        let Part::Indented(indent, _, _) = &mut self.part else {
            return self;
        };
        let value = &registered.value;
        let spellings = match (value.is_ascii(), registered.ignore_case) {
            (true, _) => 1,
            (false, false) => 3,
            (false, true) => 15,
        };
        let lines = value.matches(['\n', '\r']).count() + 1;
        // As if every line were short and all forms differed: with two line ends, empty lines in two ways.
        let fits = |bytes: usize| bytes * 2 * 2 * spellings <= 64 * 1024;
        let plain = value.len() * 7 + (value.len() + lines * 9) * 18;
        let others = (value.len() + lines * 4) * 8 * 7;
        if !fits(plain) {
            self.part = Part::Whole;
        } else if !fits(plain + others) {
            self.charset = Charset::Utf8;
            self.plus = false;
        } else if self.plus || self.charset != Charset::Utf8 {
            let few = [" ", "  ", "   ", "    ", "      ", "        ", "\t", "\t\t"];
            let few = few[*indent % few.len()];
            *indent = indents().iter().position(|known| known == few).unwrap();
        }
        self
    }

    /// Whether all of it becomes one name: in UTF-16LE with `+` each line does.
    fn is_one(&self, planted: &str) -> bool {
        let several = planted.trim_matches(['\n', '\r']).contains(['\n', '\r']);
        let apart = several && self.plus && self.charset == Charset::Utf16;
        !apart && !matches!(self.part, Part::Indented(..))
    }
}

#[derive(Clone, Copy, Debug)]
enum Outer {
    Plain,
    Base64 {
        url_safe: bool,
        pad: bool,
    },
    /// Which bytes are escaped, by a bit each.
    Percent(u64),
    /// Which letters are.
    Json(u64),
}

fn outer() -> impl Strategy<Value = Outer> {
    prop_oneof![
        Just(Outer::Plain),
        any::<(bool, bool)>().prop_map(|(url_safe, pad)| Outer::Base64 { url_safe, pad }),
        any::<u64>().prop_map(Outer::Percent),
        any::<u64>().prop_map(Outer::Json),
    ]
}

impl Outer {
    /// JSON holds characters: what is none stands in base64 instead.
    fn fitting(self, charset: Charset) -> Self {
        match self {
            Self::Json(_) if charset != Charset::Utf8 => Self::Base64 {
                url_safe: false,
                pad: true,
            },
            outer => outer,
        }
    }

    fn write(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Base64 { url_safe, pad } => {
                [b"1: <", &base64(bytes, url_safe, pad)[..], b"> 2"].concat()
            }
            Self::Percent(which) => {
                let escape = |(i, byte): (usize, &u8)| match which >> (i % 64) & 1 == 1 {
                    false if *byte != b'%' => vec![*byte],
                    _ if i % 2 == 0 => format!("%{byte:02x}").into_bytes(),
                    _ => format!("%{byte:02X}").into_bytes(),
                };
                bytes.iter().enumerate().flat_map(escape).collect()
            }
            Self::Json(which) => {
                let text = std::str::from_utf8(bytes).unwrap();
                let escape = |(i, c): (usize, char)| match c {
                    _ if which >> (i % 64) & 1 == 1 => escaped(c),
                    '"' => "\\\"".to_owned(),
                    '\\' => "\\\\".to_owned(),
                    '\n' => "\\n".to_owned(),
                    '\r' => "\\r".to_owned(),
                    '\t' => "\\t".to_owned(),
                    c => c.to_string(),
                };
                let text: String = text.chars().enumerate().map(escape).collect();
                format!("[\"{text}\"]").into_bytes()
            }
        }
    }

    fn read(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Base64 { .. } => {
                let text = std::str::from_utf8(bytes).unwrap();
                let run = text
                    .strip_prefix("1: <")
                    .and_then(|t| t.strip_suffix("> 2"));
                decoded(&run.unwrap().replace('-', "+").replace('_', "/"))
            }
            Self::Percent(_) => {
                let mut out = Vec::new();
                let mut rest = bytes;
                while let Some((byte, after)) = rest.split_first() {
                    rest = after;
                    if *byte == b'%' {
                        let digits = std::str::from_utf8(&after[..2]).unwrap();
                        out.push(u8::from_str_radix(digits, 16).unwrap());
                        rest = &after[2..];
                    } else {
                        out.push(*byte);
                    }
                }
                out
            }
            Self::Json(_) => {
                let read: Vec<String> = serde_json::from_slice(bytes).unwrap();
                read[0].clone().into_bytes()
            }
        }
    }
}

fn bytes_of(text: &str, charset: Charset) -> Vec<u8> {
    match charset {
        Charset::Utf8 => text.as_bytes().to_vec(),
        Charset::Latin1 => with_bytes(text, |_| true),
        Charset::Repr => with_bytes(text, |c| matches!(c, '\u{80}'..='\u{a0}' | '\u{ad}')),
        Charset::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    }
}

/// In UTF-8, but those of the first 256 characters as one byte each of which that is said.
fn with_bytes(text: &str, is_byte: impl Fn(char) -> bool) -> Vec<u8> {
    let write = |c: char| match u8::try_from(c) {
        Ok(byte) if is_byte(c) => vec![byte],
        _ => c.to_string().into_bytes(),
    };
    text.chars().flat_map(write).collect()
}

fn text_of(bytes: &[u8], charset: Charset) -> String {
    match charset {
        Charset::Utf8 => String::from_utf8(bytes.to_vec()).unwrap(),
        Charset::Repr => {
            let bytes_of = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
            let chunks = bytes.utf8_chunks();
            chunks
                .map(|chunk| chunk.valid().to_owned() + &bytes_of(chunk.invalid()))
                .collect()
        }
        Charset::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Charset::Utf16 => {
            assert!(bytes.len().is_multiple_of(2));
            let units = bytes.chunks_exact(2);
            let units: Vec<u16> = units
                .map(|two| u16::from_le_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16(&units).unwrap()
        }
    }
}

/// What stands around a value.
fn around() -> impl Strategy<Value = String> {
    let pieces = ["17", "(204)", "#3 | ", "9.5, ", "12) ", "W: ", "qvw\n"];
    let ends = select(vec!["0", ")", "#", "|", "Q", ""]);
    (ends.clone(), vec(select(pieces.to_vec()), 0..4), ends)
        .prop_map(|(first, pieces, last)| format!("{first}{}{last}", pieces.concat()))
        .prop_filter("blanks at its ends", |text| text.trim() == text)
}

/// What a snapshot makes of a text in those pieces, and how often it found something.
fn through(snapshot: &Snapshot, text: &[u8], syntax: Syntax, pattern: &[u8]) -> (Vec<u8>, u64) {
    let mut stream = snapshot.stream(syntax);
    let mut out = Vec::new();
    let mut rest = text;
    for length in pattern.iter().cycle().take(text.len() * 2) {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        rest = after;
        stream
            .push(Bytes::copy_from_slice(piece), &mut out)
            .unwrap();
    }
    stream.push(Bytes::copy_from_slice(rest), &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    let hits = stream.hits().values().sum();
    (out.concat(), hits)
}

proptest! {
    #![proptest_config(config(CASES))]

    /// Every form that SECURITY.md promises, however the ways to write a value are combined; and nothing else.
    #[test]
    fn p1_forms_equal_the_definition(
        registered in registered(), form in form(), outer in outer(), json in any::<bool>(),
        before in around(), after in around(), pattern in pattern(),
    ) {
        let Registered { value, ignore_case } = &registered;
        let secret = json!({"value": value, "mask": "always", "ignore_case": ignore_case});
        let snapshot = Snapshot::from(secrets(&json!({"https://example.com": {KEY: secret}}).to_string()));
        let form = form.within(&registered);
        let (planted, charset) = (form.of(&registered), form.charset);
        let outer = outer.fitting(charset);
        let syntax = if json && matches!(outer, Outer::Json(_)) { Syntax::Json } else { Syntax::Text };

        let text = outer.write(&bytes_of(&format!("{before}{planted}{after}"), charset));
        let (output, hits) = through(&snapshot, &text, syntax, &pattern);
        let read = text_of(&outer.read(&output), charset);
        let shown = format!("{planted:?} {charset:?} in {:?} -> {read:?}", text.escape_ascii().to_string());
        prop_assert!(hits > 0, "not found: {shown}");
        let middle = read.strip_prefix(&before).and_then(|read| read.trim_end_matches(' ').strip_suffix(&after));
        prop_assert!(middle.is_some(), "around it: {shown}");
        let middle = middle.unwrap_or_default();
        let left = middle.replace(KEY, "");
        prop_assert!(left.chars().all(|c| c.is_whitespace() || c == '+'), "left: {shown}");
        prop_assert!(!form.is_one(&planted) || middle.matches(KEY).count() == 1, "left: {shown}");

        // Its letters apart, and nothing.
        let apart: String = planted.chars().flat_map(|c| [c, '0']).collect();
        for inside in [apart.as_str(), ""] {
            let text = outer.write(&bytes_of(&format!("{before}{inside}{after}"), charset));
            let (output, hits) = through(&snapshot, &text, syntax, &pattern);
            prop_assert!(output == text && hits == 0, "changed: {}", text.escape_ascii());
        }
    }
}
