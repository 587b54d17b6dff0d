//! Long texts, of which the engine passes over the most: what it makes of them is what it makes of them byte by byte, which
//! leaves it nothing to pass over.

use bauta::mask::{Masker, Signed, Syntax};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::equivalence::{config, pattern, programs};
use crate::hostile::{self, Op, profiles};

/// Cases unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 300;

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
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(b' '));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        [18, 12, 6, 0].map(|shift| char::from(digits[(bits >> shift & 63) as usize]))
    };
    bytes.chunks(3).flat_map(group).collect()
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

/// What comes out, with the counts; or the refusal.
fn mask(masker: &Masker, text: &[u8], syntax: Syntax, pieces: &[u8]) -> String {
    let mut stream = masker.stream_with(syntax, Signed::Mask);
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
fn check(masker: &Masker, text: &[u8], syntax: Syntax, pieces: &[u8]) -> Result<(), TestCaseError> {
    // Pieces of no length at all would never end.
    let pieces: &[u8] = if pieces.iter().all(|n| *n == 0) {
        &[]
    } else {
        pieces
    };
    let slow = mask(masker, text, syntax, &[1]);
    prop_assert_eq!(mask(masker, text, syntax, pieces), slow);
    Ok(())
}

/// Lengths of pieces.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), Just(vec![255]), pattern()]
}

/// Found by a property test after 2,277 cases of its fourteenth round.
#[test]
fn p1_a_character_after_a_carriage_return_alone_begins_a_run() {
    let needles = profiles::profile(0);
    let masker = hostile::masker(&needles);
    let text = br#"{"\u005c\u007B\u000d\u0059\u0057RtaW\u0034\r\n\u0036\u0057g\u006f":1}"#;
    let whole = mask(&masker, text, Syntax::Text, &[]);
    assert_eq!(whole, mask(&masker, text, Syntax::Text, &[1]));
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
            let whole = mask(&masker, text.as_bytes(), Syntax::Json, &[]);
            let by_bytes = mask(&masker, text.as_bytes(), Syntax::Json, &[1]);
            assert_eq!(whole, by_bytes);
            assert!(
                !whole.contains(&value) && whole.contains("\\\"-"),
                "{whole}"
            );
        }
    }
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn p1_what_is_passed_over_holds_nothing(
        profile in any::<u8>(),
        parts in vec((filler(), programs()), 1..8),
        level in select(vec![None, Some(0), Some(0), Some(1), Some(2)]),
        pieces in pieces(),
    ) {
        let needles = profiles::profile(profile);
        let made = |program: &[Op]| hostile::text(&needles, program);
        let parts: Vec<_> = parts.iter().map(|(filler, p)| (filler.clone(), made(p))).collect();
        let (text, syntax) = match level {
            None => (
                parts.iter().flat_map(|(f, made)| [f.as_bytes(), made].concat()).collect(),
                Syntax::Text,
            ),
            Some(level) => (as_json(&parts, level), Syntax::Json),
        };
        check(&hostile::masker(&needles), &text, syntax, &pieces)?;
    }

    /// Values in the middle of long runs, in all their alignments.
    #[test]
    fn p1_what_is_passed_over_of_a_long_run_holds_nothing(
        profile in any::<u8>(),
        parts in vec((picture(), programs(), 0_usize..4), 1..5),
        place in select(vec![Place::Text, Place::String, Place::Token]),
        pieces in pieces(),
    ) {
        let needles = profiles::profile(profile);
        let mut run = Vec::new();
        for (picture, program, shift) in &parts {
            run.extend_from_slice(picture.as_bytes());
            run.resize(run.len() + shift, b'A');
            run.extend_from_slice(base64(&hostile::text(&needles, program)).as_bytes());
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
        check(&hostile::masker(&needles), text.as_bytes(), syntax, &pieces)?;
    }
}
