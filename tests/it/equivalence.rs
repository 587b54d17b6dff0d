//! The engine is equal to the reference, on hostile texts and in any chunking.
//!
//! `PROPTEST_CASES` raises the number of cases.

use bauta::mask::{Rule, Signed, Syntax};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;

use crate::hostile::{
    self, Case, Op, SIGNED, SYNTAXES,
    encode::{ENCODERS, Encoder},
    profiles,
};
use crate::reference::{self, Needles};

/// Cases of each property unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 1500;

/// `cases` of a property, or as many as the environment says.
pub fn config(cases: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(cases);
    Config {
        cases,
        max_global_rejects: 1024.max(cases),
        failure_persistence: None,
        ..Config::default()
    }
}

fn syntax() -> impl Strategy<Value = Syntax> {
    prop_oneof![3 => Just(Syntax::Text), 4 => Just(Syntax::Json), 3 => select(SYNTAXES.to_vec())]
}

fn signed() -> impl Strategy<Value = Signed> {
    select(SIGNED.to_vec())
}

/// A set of needles: a profile, or random values over few letters.
fn needles() -> impl Strategy<Value = Needles> {
    let count = u8::try_from(profiles::COUNT).unwrap_or(1);
    prop_oneof![3 => (0..count).prop_map(profiles::profile), 1 => random_needles()]
}

fn random_needles() -> impl Strategy<Value = Needles> {
    let letters = [
        "a", "b", "n", "u", "0", "1", "4", "%", "\\", "\"", "&", "/", "+", "é", "🔑", "\n", " ",
        ";", "_", "=", "A", "B", "x", "–",
    ];
    let value = vec(select(letters.to_vec()), 2..9).prop_map(|letters| letters.concat());
    let rule = prop_oneof![2 => Just(Rule::Anywhere), 1 => Just(Rule::Word)];
    let key = select(vec!["x_a", "ab", "n_1", "x_a_b", "u0_"]);
    let any_case = prop::bool::weighted(0.25);
    vec((key, value, rule, any_case), 1..5).prop_map(|rows| {
        let mut needles = Needles::default();
        for (key, value, rule, any_case) in rows {
            let name = needles.name(key, key);
            if any_case {
                needles.value_any_case(name, value.as_bytes(), rule);
            } else {
                needles.value(name, value.as_bytes(), rule);
            }
        }
        needles
    })
}

/// Junk: what decoders react to, and a few letters of values.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let signs = b"\\\"%&;#xu041+/=-_{}[]:,\n\r <@.aAbn".to_vec();
    let pieces = [
        "\\u",
        "\\u00",
        "\\\\",
        "&#",
        "&#x",
        "&amp",
        "%2",
        "%25",
        "://",
        "\":",
        "\",\"",
        "{\"",
        "\\ud83d",
        "é",
        "\u{1F511}",
        "==",
        "1e5",
        "true",
        "\r\n",
        "&apos",
        "x_",
        "=\n",
        "=\r\n",
        "=3D",
        "=4",
        "\\x",
        "\\x41",
        "&#150;",
        "\",\"signature\":\"",
        "data:;base64,",
    ];
    prop_oneof![
        4 => vec(select(signs), 1..5),
        2 => select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..3),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => junk().prop_map(Op::Raw),
        6 => any::<u8>().prop_map(Op::Value),
        1 => any::<u8>().prop_map(Op::Key),
        2 => (any::<u8>(), 0..4u8, 0..4u8).prop_map(|(which, first, last)| Op::Piece(which, first, last)),
        6 => Just(Op::Open),
        8 => close(),
    ]
}

fn close() -> impl Strategy<Value = Op> {
    (select(ENCODERS.to_vec()), any::<u8>()).prop_map(|(encoder, seed)| Op::Close(encoder, seed))
}

/// Any operations in any order.
fn wild() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..16)
}

/// A few values, each under a chain of its own, all under a common chain, with junk at every edge.
fn nested() -> impl Strategy<Value = Vec<Op>> {
    let inner = (
        prop::option::weighted(0.5, junk()),
        any::<u8>(),
        vec(close(), 0..5),
        prop::option::weighted(0.4, junk()),
    );
    (
        vec(inner, 1..4),
        vec(close(), 0..3),
        prop::option::weighted(0.3, junk()),
    )
        .prop_map(|(inner, outer, after)| {
            let mut program = vec![Op::Open; outer.len()];
            for (before, value, chain, between) in inner {
                program.extend(before.map(Op::Raw));
                program.extend(vec![Op::Open; chain.len()]);
                program.push(Op::Value(value));
                program.extend(chain);
                program.extend(between.map(Op::Raw));
            }
            program.extend(outer);
            program.extend(after.map(Op::Raw));
            program
        })
}

/// Values in places of JSON texts, one text after the other, nothing between.
fn placed() -> impl Strategy<Value = Vec<Op>> {
    let place = select(vec![
        Encoder::JsonPlace,
        Encoder::OpaquePlace,
        Encoder::OpaquePlace,
        Encoder::SignedPlace,
        Encoder::SignedPlace,
    ]);
    let encoder = prop::option::weighted(0.4, close());
    let before = prop::option::weighted(0.3, junk());
    let json = prop::bool::weighted(0.8);
    vec(
        (before, any::<u8>(), encoder, json, place, any::<u8>()),
        1..4,
    )
    .prop_map(|places| {
        let mut program = Vec::new();
        for (before, value, encoder, json, place, seed) in places {
            program.extend([Op::Open, Op::Open]);
            program.extend(before.map(Op::Raw));
            program.push(Op::Open);
            program.push(Op::Value(value));
            program.push(encoder.unwrap_or(Op::Close(Encoder::Cut, 0)));
            // Mostly what is put into the place is the content of a JSON string.
            program.push(Op::Close(
                if json { Encoder::Json } else { Encoder::Cut },
                seed & 0xF8,
            ));
            program.push(Op::Close(place, seed));
        }
        program
    })
}

pub fn programs() -> impl Strategy<Value = Vec<Op>> {
    prop_oneof![2 => wild(), 3 => nested(), 2 => placed()]
}

/// Needles, a program, and as what its text is read: places in JSON mostly as JSON, and with values that may stand in base64.
fn texts() -> impl Strategy<Value = (Needles, Vec<Op>, Syntax)> {
    prop_oneof![
        5 => (needles(), prop_oneof![2 => wild(), 3 => nested()], syntax()),
        2 => (
            prop_oneof![needles(), Just(profiles::profile(profiles::OPAQUE))],
            placed(),
            prop_oneof![1 => syntax(), 5 => Just(Syntax::Json)],
        ),
    ]
}

/// Whether the sign of quoted-printable stands behind what may be base64, where that has its padding.
fn has_sign_behind_run(text: &[u8]) -> bool {
    let behind = |sign: &[u8]| {
        text.windows(3 + sign.len()).any(|part| {
            let digits = part[1 + sign.len()..].iter().all(u8::is_ascii_hexdigit);
            part[0].is_ascii_alphanumeric() && part[1..].starts_with(sign) && digits
        })
    };
    behind(b"=") || behind(b"==")
}

/// Whether there is a numeric character reference without its semicolon.
fn has_open_reference(text: &[u8]) -> bool {
    let begins = text.windows(2).enumerate().filter(|(_, two)| *two == b"&#");
    begins.into_iter().any(|(at, _)| {
        let rest = &text[at + 2..];
        let rest = rest
            .strip_prefix(b"x")
            .or(rest.strip_prefix(b"X"))
            .unwrap_or(rest);
        let digits = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        digits > 0 && rest.get(digits) != Some(&b';')
    })
}

/// The program without the outermost encoders around values that have more of them than a chain of decoders has steps, of
/// which a place in a text with a syntax may be one.
fn within_reach(program: Vec<Op>, syntax: Syntax) -> Vec<Op> {
    let steps = if syntax == Syntax::Text { 3 } else { 2 };
    // Of what is open: where that began, and the most encoders around a value in it. What has no beginning ends what is first.
    let mut open: Vec<(Option<usize>, Option<usize>)> = vec![(None, None)];
    let mut too_many = Vec::new();
    for (at, op) in program.iter().enumerate() {
        let inner = match op {
            Op::Open => {
                open.push((Some(at), None));
                continue;
            }
            Op::Value(_) => Some(0),
            Op::Close(..) => {
                let (begin, encoders) = match open.pop_if(|(begin, _)| begin.is_some()) {
                    Some(last) => last,
                    None => (None, open[0].1),
                };
                if encoders == Some(steps) {
                    too_many.extend(begin.into_iter().chain([at]));
                    encoders
                } else {
                    encoders.map(|encoders| encoders + 1)
                }
            }
            _ => continue,
        };
        if let Some((_, most)) = open.last_mut() {
            *most = (*most).max(inner);
        }
    }
    let ops = program.into_iter().enumerate();
    ops.filter(|(at, _)| !too_many.contains(at))
        .map(|(_, op)| op)
        .collect()
}

/// Lengths of pieces: all short, or any.
pub fn pattern() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![1]), vec(0..4u8, 1..6), vec(0..60u8, 1..6)]
}

/// Texts on which the two once differed: profile, syntax, text.
const ONCE_DIFFERENT: &[(u8, Syntax, &str)] = &[
    // An escape that only a later decoder's escape completes.
    (7, Syntax::Text, "%C\\u0033%a9"),
    (7, Syntax::Text, "%C&#51;&#37;a9"),
    (2, Syntax::Text, "&\\u0023X25;41%4zz%"),
    (0, Syntax::Text, "ad\\%75%3006di%6e"),
    (0, Syntax::Text, "\\&#117;&#x030;&#X30;61dmin"),
    (3, Syntax::Form, "&\\u0061mpéa é"),
    (0, Syntax::Text, "%\\"),
    // The padding of base64 in base64 belongs to the last group.
    (0, Syntax::Text, "YTEwSUNCaFpHMXBiZz09"),
    (0, Syntax::Text, "AX01TQWlZV1J0YVc0PXo"),
    // A bare token that two replacements share, one of which goes on after it.
    (7, Syntax::Json, "0IlxcXH\r\nEyWg=="),
    (7, Syntax::Json, "8qéq"),
    // Base64 in base64 beside a value in the outer one.
    (7, Syntax::Text, "YSJ6elh6SjZlZz09"),
    (7, Syntax::Text, "YTFcXFxcXFxcdTAwNTlUXHUwMDQ2XHUwMDc4"),
    // Decoders that change nothing here, but elsewhere.
    (0, Syntax::Text, "%25252561dmin \\ &amp; %2561dmin"),
    (0, Syntax::Text, "\\\\ &amp; %25252561dmin"),
    (0, Syntax::Text, "&amp; \\\\ %252561dmin"),
    (0, Syntax::Json, r#"{"role":"admin","a":"%25 &amp; \\n"}"#),
    (
        0,
        Syntax::Json,
        r#"{"a":"%25 &amp; \\n","role":"admin","admin":1}"#,
    ),
    (6, Syntax::Text, "https://a.b@c/ https://x:a.b@c/"),
    (7, Syntax::Text, r"AA0IHF6\r\n\tejJ6"),
    // A match that ends inside hex digits.
    (8, Syntax::Text, "%MWRlYWRiZWVmejoK"),
    // Many readings that find the same in a row, when more of them wake: and keys among what they find.
    (
        7,
        Syntax::Form,
        r"%2525aa&%25\\\\\q%7a%7azzzzzzzzzzzzzzzzz%7azzzzzzzzzzzzzzazza\\\qazzzz\\=aa",
    ),
    (
        7,
        Syntax::Form,
        r"%2525aa&%25\\\\\q%7a%7azzzzzzzzzzzzzzzzz%7azzzzzzzzzzzzzzazza\\\qazzzz\\=aa$x_k$x_l$x_k$x_l$zz$x_k$zzzzzz",
    ),
    // Base64 that holds a slash, as many write that in JSON: it was passed over, and the run ended there.
    (3, Syntax::Json, r#"{"a":"X\/CflJFrw6l58J+Ukg=="}"#),
    (
        12,
        Syntax::Json,
        r#"["w7\/Dvj4+fn4\/Py0wMTIzNDU2Nzg5 and"]"#,
    ),
    // Two values in one base64 text that share a group, the second of which only JSON's reading holds.
    (
        12,
        Syntax::Json,
        r#"{"a":"c29tZW9uZS5lbHNlQGV4YW1wbGUuY29tOsO\/w74+Pn5+Pz8tMDEyMzQ1Njc4OQ=="}"#,
    ),
    // JSON behind a byte order mark, or a part of one, and behind record separators.
    (0, Syntax::Json, "\u{feff}{\"role\":\"admin\",\"a\":1234}"),
    (
        0,
        Syntax::Json,
        "\x1e{\"role\":\"admin\",\"a\":1234}\n\x1e{\"id\":\"admin\",\"a\":-1234}",
    ),
    (0, Syntax::Json, " \u{feff}{\"role\":\"admin\",\"a\":1234}"),
    // A value in base64 in HTML in base64.
    (
        5,
        Syntax::Json,
        "YWh0dHBzOi8mI1gwMDAwMDJGYS5JJiN4NDg7aGZjRwogICYjWDAwMDAwNDY7d1lTWWoKJiMzMjsgV0Rjek8zCiAgTjNKaU5ZCiAgTmsmI1gwMDAwMDVBOyYjWDc5O1pICiYjWDIwOyBoZiYjeDYzR0Z6CiYjMzI7IFlTWWpXRAomIzAzMjsgWkVPMlV0CiYjWDAwMDAwMjAgZG1Gc2RXCiAgVXNKaU5ZJiN4MDAwMDBhJiN4MDAwMDAyMDsgTURBd01ECiAgQTNNenRoCiYjeDIwOyBiV1V0ZG0KICBGc2QmI1gwMDAwMDU3OyYjeDU2OzQKICBYM0ImI3gwNjhjMwogIE4zYjMmIzc0awogIFhDODZNZwogIG9ABgEuJiMwMTAxO3hhbXBsZS5jb20vIHBhc3N3b3JkYSYjWDAwMDAwMjA7cGFzc3dvcmQgeF9wYSxwYXNzd29yZL4ABXhfcGEscGFzc3dvcmS-AP___w___2MyCg==",
    ),
];

fn difference(case: &Case) -> Option<String> {
    hostile::difference(case, &hostile::masker(&case.needles))
}

#[test]
fn p1_once_different() {
    for (profile, syntax, text) in ONCE_DIFFERENT {
        for pattern in [vec![], vec![1], vec![2, 3], vec![1, 7, 25]] {
            let case = Case {
                needles: profiles::profile(*profile),
                text: text.as_bytes().to_vec(),
                syntax: *syntax,
                signed: Signed::Mask,
                pattern,
            };
            assert_eq!(difference(&case).unwrap_or_default(), "");
        }
    }
}

/// A value that is the quotes of an empty string in a signed block: without them the block would be another one.
#[test]
fn p1_an_empty_string_in_a_signed_block_is_a_part_of_it() {
    for pattern in [vec![], vec![1]] {
        let mut needles = Needles::default();
        let name = needles.name("x_a", "x_a");
        needles.value(name, b"\"\"", Rule::Anywhere);
        let case = Case {
            needles,
            text: br#"{"thinking":"","signature":"c2ln"}"#.to_vec(),
            syntax: Syntax::Json,
            signed: Signed::Refuse,
            pattern,
        };
        assert_eq!(difference(&case).unwrap_or_default(), "");
    }
}

/// The byte with which a text stops being JSON belongs to no string, so not to an opaque one either.
#[test]
fn p1_the_byte_that_ends_json_is_not_opaque() {
    for end in ["\\0", "\\uz"] {
        let mut needles = Needles::default();
        let name = needles.name("x_a", "x_a");
        needles.value(name, end.as_bytes(), Rule::Word);
        let base64 = "Ab+/".repeat(20);
        for pattern in [vec![], vec![1], vec![7]] {
            let case = Case {
                needles: needles.clone(),
                text: format!("{{\"data\":\"{base64}{end}\"}}").into_bytes(),
                syntax: Syntax::Json,
                signed: Signed::Mask,
                pattern,
            };
            assert_eq!(difference(&case).unwrap_or_default(), "");
        }
    }
}

/// Whether it is a word may be told by an escape of JSON before it, and so may what it is, by one behind the end of JSON.
#[test]
fn p1_words_go_on_from_an_escape_over_the_end_of_json() {
    for value in [
        "a\"b",
        "a\"\\b",
        "a\"\\q",
        "a\"\\",
        "a\"\\u00",
        "a\"\\u0041",
        "a\"\\x4",
        "a\"b\\",
        "a\"%41\\u",
    ] {
        let mut needles = Needles::default();
        let name = needles.name("x_a", "x_a");
        needles.value(name, value.as_bytes(), Rule::Word);
        for (before, after) in [
            ("\\n", ""),
            (". \\n", ""),
            ("\\n", "\\u0041 z"),
            ("\\n", "\\x41 z"),
            // The number stands for the first byte of a letter.
            ("\\n", "\u{1}\\xa9 z"),
            ("\\n", "\\u0020z"),
            ("\\n", "\\n"),
            ("x\\t", "41\""),
            ("\\n", "q \\"),
            ("\\/", "zz zz"),
        ] {
            for more in ["", "&amp; ", "%20", "\\\""] {
                for pattern in [vec![], vec![1], vec![7]] {
                    let text = format!("{{\"k\":\"{before}{value}{after}{more}\"}}");
                    let case = Case {
                        needles: needles.clone(),
                        text: text
                            .bytes()
                            .map(|b| if b == 1 { 0xc3 } else { b })
                            .collect(),
                        syntax: Syntax::Json,
                        signed: Signed::Mask,
                        pattern,
                    };
                    assert_eq!(difference(&case).unwrap_or_default(), "", "{text}");
                }
            }
        }
    }
}

/// What the fuzzer starts from.
#[test]
fn p1_fuzz_seeds() {
    let seeds = std::fs::read_dir(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fuzz/seeds/engine_equals_reference"
    ))
    .expect("the seeds");
    let mut cases = 0;
    for seed in seeds {
        let path = seed.expect("a seed").path();
        let case =
            hostile::case(&std::fs::read(&path).expect("a seed")).expect("a seed has a head");
        assert_eq!(
            difference(&case).unwrap_or_default(),
            "",
            "for {}",
            path.display()
        );
        cases += 1;
    }
    assert!(cases > 200, "the seeds are gone");
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn p1_engine_equals_reference((needles, program, syntax) in texts(), signed in signed(), pattern in pattern()) {
        let text = hostile::text(&needles, &program);
        for pattern in [Vec::new(), pattern] {
            let case = Case { needles: needles.clone(), text: text.clone(), syntax, signed, pattern };
            let difference = difference(&case);
            prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        }
    }

    /// Without an occurrence the engine says so, and not a byte differs.
    #[test]
    fn p7_no_occurrence_no_change(needles in needles(), junk in vec(junk(), 0..20), syntax in syntax(), pattern in pattern()) {
        let text = junk.concat();
        let (output, hits) = reference::mask(&needles, &text, syntax);
        prop_assume!(hits.is_empty());
        prop_assert_eq!(&output, &text);
        let masker = hostile::masker(&needles);
        prop_assert!(masker.mask(&text, syntax).is_ok_and(|found| found.is_none()), "{:?}", text.escape_ascii());
        for signed in SIGNED {
            let case = Case { needles: needles.clone(), text: text.clone(), syntax, signed, pattern: pattern.clone() };
            let (output, hits) = hostile::engine(&masker, &case).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert!(output == text && hits.is_empty(), "{:?}", text.escape_ascii());
        }
    }

    /// Masking what is masked changes nothing. This is no law: the first letter of a key, or of its encoding, may complete a value
    /// whose other letters stood before it; spaces that fill up a base64 group can make a word of what was none; and where a
    /// numeric reference without its semicolon is replaced, digits behind it are none of its own any more; nor are those behind base64's
    /// padding, which looks like the sign of quoted-printable; and what no chain reads for a step too many, one may read once an
    /// escape is replaced together with a value beside it. It holds for values
    /// that have no letter in common with keys and their encodings, where no pieces of values and no such references lie about,
    /// and chains reach all values.
    #[test]
    fn masking_is_idempotent(program in programs(), syntax in syntax()) {
        let mut needles = Needles::default();
        for (key, value) in [("x_one", "!é\"(§)[!"), ("x_two", "?{ü}!'\\¿"), ("x_three", "(🔑)!<é>\"")] {
            let name = needles.name(key, key);
            needles.value(name, value.as_bytes(), Rule::Anywhere);
        }
        let whole = |op: &Op| !matches!(op, Op::Piece(..) | Op::Raw(_) | Op::Close(Encoder::Cut, _));
        let in_base64 = |op: &Op| matches!(op, Op::Close(Encoder::Base64 | Encoder::Surrounded | Encoder::Binary, _));
        let program = within_reach(program.into_iter().filter(whole).collect(), syntax);
        let text = hostile::text(&needles, &program);
        prop_assume!(!(has_open_reference(&text) || program.iter().any(in_base64) && has_sign_behind_run(&text)));
        // Such a reference within other encodings: it goes on with what stands behind them where they have no padding.
        let is_bare = |op: &Op| matches!(op, Op::Close(Encoder::Html, _)) || !matches!(op, Op::Close(..));
        let bare: Vec<Op> = program.into_iter().filter(is_bare).collect();
        prop_assume!(!has_open_reference(&hostile::text(&needles, &bare)));
        let (once, _) = reference::mask(&needles, &text, syntax);
        let (twice, hits) = reference::mask(&needles, &once, syntax);
        prop_assert!(once == twice && hits.is_empty(), "{} {}", text.escape_ascii(), once.escape_ascii());
    }
}
