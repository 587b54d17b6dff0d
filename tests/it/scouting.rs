//! Long texts, of which the engine passes over the most: what it makes of them is what it makes of them byte by byte, which
//! leaves it nothing to pass over.

use bauta::mask::{Masker, Rule, Signed, Syntax};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::equivalence::{config, pattern, programs};
use crate::hostile::{self, Op, SIGNED, encode::Encoder, profiles};
use crate::reference::Needles;

/// Cases unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 300;

/// What programs make is cut at this length.
const LONGEST: usize = 3000;

/// The digits of base64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What agents send between values, as raw text.
fn filler() -> impl Strategy<Value = String> {
    let pieces = [
        "The quick brown fox reads the configuration file, line by line. ",
        "    if (user.name === \"bob\" && path != 'C:\\\\temp\\\\x') {\n\treturn fetch(`https://api.example.com/v1/items?id=${id}&limit=20`);\n    }\n",
        "<a href=\"/x?a=1&amp;b=2%20c\" class=\"wide\">100&nbsp;%</a>\n",
        "def f(x):\n    return x == 1 or x != '\\x41\\n'\n",
        "AGVsbG8gd29ybGQsIHRoaXMgaXMgYSBsb25nIGxpbmUgb2YgYmFzZTY0IHRleHQu",
        "6d61736b6564206865782064756d70206f66206120736d616c6c2066696c65",
        "QUJD\n    REVG\n    R0hJ\n",
        "=\nsoft=20break=3D\n",
        "{\"role\":\"user\",\"n\":[1,22,333,4e5],\"s\":\"a\\nb\\\\c\\u00e9\"}",
        "\\u0041\\u043f\\ud83d\\ude00 \\/ ",
        "git@host:path/to/some_long_file_name_with_words.rs ",
        "русский текст, und noch mehr Wörter. ",
        "\\\\\\\\server\\\\share ",
        "\n\n",
    ];
    let piece = prop_oneof![
        12 => select(pieces.to_vec()).prop_map(str::to_owned),
        1 => picture(),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A long run of base64: of any bytes, or of text, in one of the alphabets; or of hex digits in part.
fn picture() -> impl Strategy<Value = String> {
    let alphabet = select(vec![
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "JSUlXFxcJiYmPT09QUJD",
        "0123456789abcdef",
    ]);
    let chars = (alphabet, vec(any::<u8>(), 0..2000)).prop_map(|(alphabet, bytes)| {
        let alphabet = alphabet.as_bytes();
        let char = |byte: &u8| char::from(alphabet[usize::from(*byte) % alphabet.len()]);
        bytes.iter().map(char).collect::<String>()
    });
    vec(chars, 1..4).prop_map(|parts| parts.concat())
}

/// Base64 as it stands in the middle of a run: whole groups, without padding.
fn base64(bytes: &[u8]) -> String {
    let group = |bytes: &[u8]| {
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(b' '));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    };
    bytes.chunks(3).flat_map(group).collect()
}

const TEXT: (Syntax, Signed) = (Syntax::Text, Signed::Mask);
const JSON: (Syntax, Signed) = (Syntax::Json, Signed::Mask);

/// The engine's masker for these needles, alone or among many others, for which it works in another way.
fn masker(needles: &Needles, many: bool) -> Masker {
    let mut needles = needles.clone();
    for number in 0..if many { 250 } else { 0 } {
        let key = format!("x_other_{number}");
        let name = needles.name(&key, &key);
        let value = format!("value {number} of others: {}", (key + "/").repeat(5));
        needles.value(name, value.as_bytes(), Rule::Anywhere);
    }
    hostile::masker(&needles)
}

/// Where a long run stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Text,
    /// All of a JSON string.
    String,
    /// Bare in JSON, as numbers do.
    Token,
}

/// Values among text under one encoder after another.
fn layers() -> impl Strategy<Value = Vec<Op>> {
    let text =
        || filler().prop_map(|text| Op::Raw(text.chars().take(150).collect::<String>().into()));
    let encoders = vec![
        Encoder::Surrounded,
        Encoder::Surrounded,
        Encoder::Base64,
        Encoder::Json,
        Encoder::Slashes,
        Encoder::Percent,
        Encoder::Html,
        Encoder::QuotedPrintable,
        Encoder::Hex,
        Encoder::Cut,
    ];
    let layer = (
        prop::option::weighted(0.3, text()),
        select(encoders),
        any::<u8>(),
        prop::option::weighted(0.3, text()),
    );
    (any::<u8>(), vec(layer, 1..5)).prop_map(|(value, layers)| {
        let mut program = vec![Op::Open; layers.len()];
        program.push(Op::Value(value));
        for (before, encoder, seed, after) in layers {
            // What stands before is encoded with it.
            let at = program
                .iter()
                .position(|op| !matches!(op, Op::Open))
                .unwrap_or(0);
            program.splice(at..at, before);
            program.extend(after);
            program.push(Op::Close(encoder, seed));
        }
        program
    })
}

/// What comes out, with the counts; or the refusal.
fn mask(masker: &Masker, text: &[u8], how: (Syntax, Signed), pieces: &[u16]) -> String {
    let mut stream = masker.stream_with(how.0, how.1);
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(text);
    let mut lengths = pieces.iter().cycle();
    while !rest.is_empty() {
        let len = lengths.next().map_or(rest.len(), |n| usize::from(*n));
        let piece = rest.split_to(len.min(rest.len()));
        if let Err(refusal) = stream.push(piece, &mut out) {
            return refusal.to_string();
        }
    }
    match stream.finish(&mut out) {
        Ok(()) => format!("{} {:?}", out.concat().escape_ascii(), stream.hits()),
        Err(refusal) => refusal.to_string(),
    }
}

fn as_json(parts: &[(String, Vec<u8>)], level: usize) -> Vec<u8> {
    let texts: Vec<String> = parts
        .iter()
        .map(|(filler, made)| format!("{filler}{}", String::from_utf8_lossy(made)))
        .collect();
    let mut json = serde_json::json!({ "messages": texts }).to_string();
    for _ in 0..level {
        json = serde_json::json!([{ "content": json }]).to_string();
    }
    json.into_bytes()
}

/// That pieces of these lengths make no difference to what comes out of a text.
fn check(
    masker: &Masker,
    text: &[u8],
    how: (Syntax, Signed),
    pieces: &[u16],
) -> Result<(), TestCaseError> {
    // Pieces of no length at all would never end.
    let pieces: &[u16] = if pieces.iter().all(|n| *n == 0) {
        &[]
    } else {
        pieces
    };
    let slow = mask(masker, text, how, &[1]);
    prop_assert_eq!(mask(masker, text, how, pieces), slow);
    Ok(())
}

/// Lengths of pieces.
fn pieces() -> impl Strategy<Value = Vec<u16>> {
    let short = pattern().prop_map(|lengths| lengths.into_iter().map(u16::from).collect());
    prop_oneof![Just(vec![]), Just(vec![255]), short, vec(0..3000_u16, 1..5)]
}

/// Found by a property test after 2,277 cases of its fourteenth round.
#[test]
fn p1_a_character_after_a_carriage_return_alone_begins_a_run() {
    let needles = profiles::profile(0);
    let masker = hostile::masker(&needles);
    let text = br#"{"\u005c\u007B\u000d\u0059\u0057RtaW\u0034\r\n\u0036\u0057g\u006f":1}"#;
    let whole = mask(&masker, text, TEXT, &[]);
    assert_eq!(whole, mask(&masker, text, TEXT, &[1]));
    assert!(whole.contains("eF91c2VybmFtZSA6"), "{whole}");
}

/// Found by the fuzzer of surfaces: where the rest of a bare token was passed over, it did not become a string.
#[test]
fn p1_a_bare_token_is_a_string_whatever_of_it_is_passed_over() {
    let masker = hostile::masker(&profiles::profile(0));
    let value = base64(b"x x_username: admin");
    for rest in [0, 100, 300, 1800] {
        let rest = "E5d1o".repeat(rest / 5);
        for text in [
            format!("[-{value}{rest},2]"),
            format!("-{value}{rest}\n{{\"a\":1}}"),
            format!("{{\"a\":-{rest}{value}{rest} ,\"b\":1}}"),
        ] {
            let whole = mask(&masker, text.as_bytes(), JSON, &[]);
            let by_bytes = mask(&masker, text.as_bytes(), JSON, &[1]);
            assert_eq!(whole, by_bytes);
            assert!(
                !whole.contains(&value) && whole.contains("\\\"-"),
                "{whole}"
            );
        }
    }
}

/// Found by a review: a run within the run of which less was seen than shows that it is one.
#[test]
fn p1_a_run_within_a_run_is_read_from_its_beginning() {
    let mut needles = Needles::default();
    let name = needles.name("x_token", "x_token");
    let value = b"ghp_Zq7mN4vX9cB2kLp8sWd5tRyGhJ0uFe6aQ1iT";
    needles.value(name, value, Rule::Anywhere);
    let masker = hostile::masker(&needles);
    let inner = base64(value);
    let (dots, escape) = (
        ".".repeat(50),
        inner[..46].to_owned() + "\\n" + &inner[46..],
    );
    for (inner, pieces) in [(&inner, 0..0), (&inner, 60..180), (&escape, 0..0)] {
        let text = base64(format!("{dots}{inner}\"{dots}").as_bytes());
        let by_bytes = mask(&masker, text.as_bytes(), TEXT, &[1]);
        assert!(by_bytes.contains("NameId(0)"), "{by_bytes}");
        assert_eq!(mask(&masker, text.as_bytes(), TEXT, &[]), by_bytes);
        for piece in pieces {
            assert_eq!(
                mask(&masker, text.as_bytes(), TEXT, &[piece, 9999]),
                by_bytes
            );
        }
    }
}

/// Found by a second review: runs that go on through escapes.
#[test]
fn p1_runs_that_go_on_through_escapes_are_read() {
    let json = r#"","n":[1,2,3],"e":{"k":"v","w":"x"},"l":["#;
    let long = base64(format!("kiosk?door-7391{}and more text", json.repeat(5)).as_bytes());
    for (value, text) in [
        // A long run behind the escape, in the middle of which something else could begin.
        (
            "kiosk?door-7391",
            format!("{{\"a\": \"{}\"}}", long.replace('/', "\\/")),
        ),
        ("kiosk?door-7391", long.replace('/', "%2F")),
        (
            "kiosk?door-7391",
            format!("{}=\n{}", &long[..9], &long[9..]),
        ),
        // It begins in what another reading takes for the digits of an escape, behind a line break.
        (
            "token-of-bob-7391",
            "[\"x, A%0d&#71;9rZW4tb2YtYm9iLTczOTE, y\"]".to_owned(),
        ),
        (
            "password-of-bob-7391",
            "x, A&#13%42hc3N3b3JkLW9mLWJvYi03Mzkx, y".to_owned(),
        ),
        (
            "password-of-bob-7391",
            "x, A\\x0d%77YXNzd29yZC1vZi1ib2ItNzM5MQ, y".to_owned(),
        ),
        (
            "4th0fJuly-long-secret",
            "[\"x, A\\\\u000d\\u0047gwZkp1bHktbG9uZy1zZWNyZXQ, y\"]".to_owned(),
        ),
        (
            "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}",
            "A\\u000d%64%30%62%66d0b0d180d0bed0bbd18c".to_owned(),
        ),
        // Such digits are most of it.
        (
            "N5kiosk?door",
            "[\"x, \\\\u0041a2lvc2s\\/ZG9vcg, y\"]".to_owned(),
        ),
        (
            "\u{3042}\u{3044}\u{3046}",
            "%44&#71;&#67;&#52;&#52;&#71;&#69;&#52;&#52;&#71;&#71;".to_owned(),
        ),
        // A row of hex digits ends at the line's end, and the reference in it does.
        (
            "password-of-bob",
            "x, 70617373776f72642d6f662d626f26233938\n3120, y".to_owned(),
        ),
        (
            "password-of-bob",
            "x, &#55;0617373776f72642d6f662d626f26233938&#10;3120616e64206d6f7265, y".to_owned(),
        ),
        // In JSON the run begins behind the escape.
        (
            "\u{5bc6}\u{7801}\u{662f}\u{79d8}\u{5bc6}\u{5bc6}\u{7801}",
            r#"{"a": "x, one\nAAlNWErRzU2Q0IlMzVwaXY1NmVZNWErRzVhK0c1NkNC, y"}"#.to_owned(),
        ),
        (
            "\u{5bc6}\u{7801}\u{662f}\u{79d8}\u{5bc6}\u{5bc6}\u{7801}",
            r#"{"a": "x, \u202535612b47353643422533357069763536655935612b4735612b4735364342, y"}"#
                .to_owned(),
        ),
        // Of three backslashes one stays, and ends the run.
        (
            "password-of-bob",
            r"x, \\\u0063GFzc3dvcmQtb2YtYm8mIzk4\\\u004dSBhbmQgbW9yZQ==, y".to_owned(),
        ),
    ] {
        let mut needles = Needles::default();
        let name = needles.name("x_key", "x_key");
        needles.value(name, value.as_bytes(), Rule::Anywhere);
        let masker = hostile::masker(&needles);
        for how in [TEXT, JSON] {
            let by_bytes = mask(&masker, text.as_bytes(), how, &[1]);
            assert_eq!(mask(&masker, text.as_bytes(), how, &[]), by_bytes);
            assert_eq!(mask(&masker, text.as_bytes(), how, &[20, 9999]), by_bytes);
        }
        let found = [TEXT, JSON].map(|how| mask(&masker, text.as_bytes(), how, &[]));
        assert!(found.concat().contains("NameId(0)"), "{text}: {found:?}");
    }
}

/// A piece of a run: as it is, or by one of several kinds of escapes; or what may stand within a run.
fn run_piece() -> impl Strategy<Value = Vec<u8>> {
    let digit = || select(DIGITS.to_vec());
    let styles = |byte: u8| {
        [
            format!("%{byte:02x}"),
            format!("&#{byte};"),
            format!("&#x{byte:X}"),
            format!("\\u{byte:04x}"),
            format!("\\x{byte:02X}"),
            format!("={byte:02X}"),
            format!("\\{}", char::from(byte)),
            format!("&#{byte}"),
            format!("\\\\\\u{byte:04x}"),
            format!("\\\\u{byte:04x}"),
        ]
    };
    let escaped = (digit(), 0_usize..10).prop_map(move |(byte, style)| {
        let style = if style == 6 && byte != b'/' { 0 } else { style };
        styles(byte)[style].clone().into_bytes()
    });
    let gaps = [
        "=\n", "=\r\n", "\r\n", "\n", "\n  ", "%0d%0A", "%0d", "&#13", "&#10;", "\\u000d", "\\n",
        "\\r\\n", "\\x0d",
    ];
    prop_oneof![
        10 => vec(digit(), 1..9),
        6 => escaped,
        2 => select(gaps.to_vec()).prop_map(|gap| gap.as_bytes().to_vec()),
        1 => picture().prop_map(|run| run.into_bytes().into_iter().take(900).collect()),
    ]
}

/// The text as one reader sees it that knows one kind of escape.
fn read_by(kind: usize, text: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(digits, radix).ok()
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let digits = rest
            .iter()
            .skip(2)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (unit, len) = match (kind, rest) {
            (0, [b'%', high, low, ..]) | (3, [b'=', high, low, ..])
                if !matches!(high, b'\r' | b'\n') =>
            {
                (number(&[*high, *low], 16), 3)
            }
            (1, [b'&', b'#', ..]) => (
                number(&rest[2..2 + digits], 10),
                2 + digits + usize::from(rest.get(2 + digits) == Some(&b';')),
            ),
            (2, [b'\\', b'u', b'0', b'0', high, low, ..]) => (number(&[*high, *low], 16), 6),
            (2, [b'\\', b'n', ..]) => (Some(b'\n'), 2),
            (2, [b'\\', b'r', ..]) => (Some(b'\r'), 2),
            (2, [b'\\', b'/', ..]) => (Some(b'/'), 2),
            (2, [b'\\', b'x', high, low, ..]) => (number(&[*high, *low], 16), 4),
            (3, [b'=', b'\n', ..]) => {
                at += 2;
                continue;
            }
            (3, [b'=', b'\r', b'\n', ..]) => {
                at += 3;
                continue;
            }
            _ => (None, 1),
        };
        match unit {
            Some(byte) => out.push(byte),
            None => out.push(text[at]),
        }
        at += if unit.is_some() { len } else { 1 };
    }
    out
}

/// What the run in the middle of a text decodes to, from that character of it on.
fn decoded(text: &[u8], middle: usize, phase: usize) -> Vec<u8> {
    let in_run = |byte: &u8| DIGITS.contains(byte) || b"\r\n".contains(byte);
    let middle = middle.min(text.len());
    let from = text[..middle]
        .iter()
        .rposition(|byte| !in_run(byte))
        .map_or(0, |at| at + 1);
    let to = text[middle..]
        .iter()
        .position(|byte| !in_run(byte))
        .map_or(text.len(), |at| middle + at);
    let sextets: Vec<u32> = text[from..to]
        .iter()
        .filter_map(|byte| DIGITS.iter().position(|digit| digit == byte))
        .filter_map(|at| u32::try_from(at).ok())
        .skip(phase)
        .collect();
    let bytes = sextets.chunks_exact(4).flat_map(|group| {
        let bits = group.iter().fold(0, |bits, sextet| bits << 6 | sextet);
        bits.to_be_bytes()[1..].to_vec()
    });
    bytes.collect()
}

/// What may stand in a run: a value in some form, by `kind`, or what only looks like one. `at` says where in it something is done.
fn item(value: &[u8], kind: u8, at: usize) -> Vec<u8> {
    const ENDS: [&str; 7] = ["=\n", "\n", "\r\n    ", "\\n", "\\r\\n\\t", "%0A", "&#10;"];
    let base64 = |bytes: &[u8]| base64(bytes).into_bytes();
    let hex = |bytes: &[u8]| -> Vec<u8> {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>().into_bytes()
    };
    let escaped = |bytes: &[u8]| {
        let (before, rest) = bytes.split_at(at % bytes.len());
        let byte = rest[0];
        let styles = [
            format!("%{byte:02x}"),
            format!("\\u{byte:04x}"),
            format!("&#{byte};"),
            format!("\\x{byte:02X}"),
            format!("={byte:02X}"),
            format!("%25{byte:02x}"),
            format!("&amp;#{byte};"),
            format!("\\\\u{byte:04x}"),
        ];
        [before, styles[at % styles.len()].as_bytes(), &rest[1..]].concat()
    };
    let broken = |bytes: &[u8], end: &str| {
        let (before, after) = bytes.split_at(at % bytes.len());
        [before, end.as_bytes(), after].concat()
    };
    let end = ENDS[at % ENDS.len()];
    match kind % 17 {
        0 => value.to_vec(),
        1 => base64(value),
        2 => [&DIGITS[..at % 9], &base64(value)].concat(),
        3 => base64(value)[..value.len()].to_vec(),
        4 => hex(value),
        5 => escaped(value),
        6 => broken(value, "=\n"),
        7 => escaped(&base64(value)),
        8 | 9 => broken(&base64(value), end),
        10 => escaped(&hex(value)),
        11 => broken(&hex(value), "=\n"),
        12 => base64(&base64(value)),
        13 => base64(&hex(value)),
        14 => hex(&base64(value)),
        15 => DIGITS.iter().copied().cycle().take(at % 90).collect(),
        _ => [&vec![b'\\'; at % 70][..], b"u002b"].concat(),
    }
}

/// So many bytes that are part of nothing, or little of it.
fn gap(kind: u8, length: usize) -> Vec<u8> {
    const KINDS: [&[u8]; 5] = [
        b"\x01\x02\x03",
        b". , ",
        b"\x80\xff\x90",
        b"! ",
        b"a.b\nA0 ",
    ];
    let bytes = KINDS[usize::from(kind) % KINDS.len()];
    bytes.iter().copied().cycle().take(length).collect()
}

proptest! {
    #![proptest_config(config(CASES))]

    /// Two things in one run, at any distance from one another and from its ends, however long the shortest value is.
    #[test]
    fn p1_two_things_in_one_run_are_not_passed_over(
        (length, letters) in (select(vec![6_usize, 8, 9, 12, 16, 24, 36, 38, 40, 44, 60, 100, 150]), vec(any::<u8>(), 150)),
        alphabet in select(vec![&DIGITS[..], b"0123456789abcdef", b"ab", b"!#$*-_.:ab", b"abc+/-_%&\\="]),
        items in [(any::<u8>(), any::<u16>()), (any::<u8>(), any::<u16>())],
        gaps in [(any::<u8>(), 0_usize..320), (any::<u8>(), 0..140), (any::<u8>(), 0..210)],
        (layers, shift, json) in (1_usize..4, 0_usize..4, any::<bool>()),
        pieces in pieces(),
    ) {
        let value: Vec<u8> = letters[..length].iter().map(|at| alphabet[usize::from(*at) % alphabet.len()]).collect();
        let mut needles = Needles::default();
        let name = needles.name("x_key", "x_key");
        needles.value(name, &value, Rule::Anywhere);
        let [one, two] = items.map(|(kind, at)| item(&value, kind, usize::from(at)));
        let [before, between, after] = gaps.map(|(kind, length)| gap(kind, length));
        let mut run = [&before[..], &one, &between, &two, &after].concat();
        for layer in 0..layers {
            let around = if layer > 0 { gap(gaps[0].0, gaps[layer].1) } else { Vec::new() };
            run = base64(&[&around, &run[..]].concat()).into_bytes();
        }
        let run = [b"x \"abc"[..].split_at(3 + shift).0, &run, b"\""].concat();
        let (text, how) = if json {
            (serde_json::json!([String::from_utf8_lossy(&run)]).to_string().into_bytes(), JSON)
        } else {
            (run, TEXT)
        };
        check(&hostile::masker(&needles), &text, how, &pieces)?;
    }

    #[test]
    fn p1_what_is_passed_over_holds_nothing(
        profile in any::<u8>(),
        parts in vec((filler(), prop_oneof![programs(), layers()]), 1..8),
        level in select(vec![None, Some(0), Some(0), Some(1), Some(2)]),
        pieces in pieces(),
        many in prop::bool::weighted(0.1),
        signed in select(SIGNED.to_vec()),
    ) {
        let needles = profiles::profile(profile);
        let made = |program: &[Op]| hostile::long_text(&needles, program, LONGEST);
        let parts: Vec<_> = parts.iter().map(|(filler, p)| (filler.clone(), made(p))).collect();
        let (text, syntax) = match level {
            None => (
                parts.iter().flat_map(|(f, made)| [f.as_bytes(), made].concat()).collect(),
                Syntax::Text,
            ),
            Some(level) => (as_json(&parts, level), Syntax::Json),
        };
        check(&masker(&needles, many), &text, (syntax, signed), &pieces)?;
    }

    /// Values in the middle of long runs, in all their alignments.
    #[test]
    fn p1_what_is_passed_over_of_a_long_run_holds_nothing(
        profile in any::<u8>(),
        parts in vec((picture(), prop_oneof![programs(), layers()], 0_usize..4), 1..5),
        place in select(vec![Place::Text, Place::String, Place::Token]),
        pieces in pieces(),
        many in prop::bool::weighted(0.1),
        signed in select(SIGNED.to_vec()),
    ) {
        let needles = profiles::profile(profile);
        let mut run = Vec::new();
        for (picture, program, shift) in &parts {
            run.extend_from_slice(picture.as_bytes());
            run.resize(run.len() + shift, b'A');
            run.extend_from_slice(base64(&hostile::long_text(&needles, program, LONGEST)).as_bytes());
        }
        run.extend_from_slice(parts[0].0.as_bytes());
        let run = String::from_utf8_lossy(&run).into_owned();
        let (text, syntax) = match place {
            Place::Text => (run, Syntax::Text),
            Place::String => (serde_json::json!({ "image": run, "data": run }).to_string(), Syntax::Json),
            Place::Token => {
                let token = run.replace(|c: char| !c.is_ascii_alphanumeric(), "");
                let (short, rest) = token.split_at(token.len().min(4000));
                (format!("[{{\"a\":-{short} }},[1{rest}]]"), Syntax::Json)
            }
        };
        check(&masker(&needles, many), text.as_bytes(), (syntax, signed), &pieces)?;
    }

    /// The value is what one reader makes of a part of the text, whatever others make of it.
    #[test]
    fn p1_what_any_reader_sees_is_not_passed_over(
        pieces_of in vec(run_piece(), 4..40),
        around in (filler(), filler()),
        (kind, phase, place) in (0_usize..5, 0_usize..4, 0.0..1.0),
        (skipped, length) in (0_usize..6, 4_usize..40),
        json in any::<bool>(),
        pieces in pieces(),
    ) {
        let soup = pieces_of.concat();
        let seen = read_by(kind, &soup);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // a place in a short text
        let middle = (seen.len() as f64 * place) as usize;
        let bytes = decoded(&seen, middle, phase);
        let value = &bytes[skipped.min(bytes.len())..bytes.len().min(skipped + length)];
        if value.len() < 4 || value.contains(&0) {
            return Ok(());
        }
        let mut needles = Needles::default();
        let name = needles.name("x_key", "x_key");
        needles.value(name, value, Rule::Anywhere);
        let text = [around.0.as_bytes(), b" \"", &soup, b"\" ", around.1.as_bytes()].concat();
        let how = if json { JSON } else { TEXT };
        check(&hostile::masker(&needles), &text, how, &pieces)?;
    }
}
