//! A search for values that knows nothing of the engine, beside one by the engine itself.
//!
//! The plain search looks for every piece of so many characters of a value, as it is, and for that piece in the codings in which
//! text is written: it shares nothing with what masks. The engine adds the readings that are chains of codings. That
//! the search finds what is there is tested, for a search that finds nothing would praise everything.

use aho_corasick::AhoCorasick;
use bauta::app;
use bauta::config::Spelling;
use bauta::mask::{Masker, Syntax};
use bauta::secret::{Limits, MaskOption, Options, Secret, Value};

/// Characters of the shortest piece that is looked for: so many of a random text are nowhere by chance.
const PIECE: usize = 7;

/// Letters and digits, none of which are written in another way in JSON, URLs or HTML.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyzACDEFGHKR";

/// A text that nobody has seen before.
pub fn random(length: usize) -> String {
    drawn(length, ALPHABET)
}

/// The same in the letters of base32.
pub fn random_base32(length: usize) -> String {
    drawn(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
}

fn drawn(length: usize, alphabet: &[u8; 32]) -> String {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    let letters = bytes
        .iter()
        .map(|byte| char::from(alphabet[usize::from(byte % 32)]));
    letters.collect()
}

/// Base64, padded.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = digits64(bytes, *b"+/");
    while text.len() % 4 != 0 {
        text.push('=');
    }
    text
}

/// Base64 without padding, made bit by bit, with those last two digits.
fn digits64(bytes: &[u8], last: [u8; 2]) -> String {
    let mut alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .collect();
    alphabet.extend(last);
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let digit = |six: &[u8]| {
        (0..6).fold(0, |sum, at| {
            sum << 1 | usize::from(six.get(at).copied().unwrap_or(0))
        })
    };
    bits.chunks(6)
        .map(|six| char::from(alphabet[digit(six)]))
        .collect()
}

/// A piece in every coding; the names are for people.
fn codings(piece: &str) -> Vec<(&'static str, Vec<u8>)> {
    let each =
        |code: &dyn Fn(u8) -> String| piece.bytes().map(code).collect::<String>().into_bytes();
    let wide = |little: bool| -> Vec<u8> {
        let units = piece.encode_utf16();
        units
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    };
    let mut all = vec![
        ("plain", piece.as_bytes().to_vec()),
        ("backwards", piece.bytes().rev().collect()),
        ("hex", each(&|byte| format!("{byte:02x}"))),
        ("escaped hex", each(&|byte| format!("\\x{byte:02x}"))),
        ("percent", each(&|byte| format!("%{byte:02x}"))),
        ("JSON", each(&|byte| format!("\\u{byte:04x}"))),
        ("HTML", each(&|byte| format!("&#{byte};"))),
        ("bytes as numbers", each(&|byte| format!("{byte}, "))),
        ("quoted-printable", each(&|byte| format!("={byte:02X}"))),
        ("UTF-16LE", wide(true)),
        ("UTF-16BE", wide(false)),
    ];
    for (text, name) in [
        (piece.as_bytes().to_vec(), "base64"),
        (wide(true), "base64 of UTF-16LE"),
    ] {
        for before in 0..3 {
            let bytes = [vec![0; before], text.clone()].concat();
            for last in [*b"+/", *b"-_"] {
                // The digits that hold bits of nothing else.
                let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
                all.push((name, digits64(&bytes, last)[start..end].as_bytes().to_vec()));
            }
        }
    }
    all
}

/// What is looked for.
pub struct Search {
    values: Vec<(String, String)>,
    /// Values of which no part is looked for: digits are everywhere.
    whole: Vec<String>,
    built: Built,
}

struct Built {
    pieces: AhoCorasick,
    /// By the number of a piece: the key and the coding.
    names: Vec<(String, &'static str)>,
    engine: Masker,
}

impl Search {
    /// For values by their keys.
    pub fn new(values: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let values = values.iter().map(owned).collect();
        let built = Built::new(&values, &[]);
        Self {
            values,
            whole: Vec::new(),
            built,
        }
    }

    /// Looks for another value too.
    pub fn add(&mut self, key: &str, value: &str) {
        self.values.push((key.to_owned(), value.to_owned()));
        self.built = Built::new(&self.values, &self.whole);
    }

    /// Looks for a one-time code too.
    pub fn add_plain(&mut self, code: &str) {
        self.whole.push(code.to_owned());
        self.built = Built::new(&self.values, &self.whole);
    }

    /// Whether a value of that key is there, or a piece of it, in any coding.
    pub fn finds(&self, key: &str, bytes: &[u8]) -> bool {
        self.built
            .found(bytes)
            .iter()
            .any(|(found, _)| found == key)
    }

    /// Panics if anything is there.
    pub fn nothing_in(&self, what: &str, bytes: &[u8]) {
        let found = self.built.found(bytes);
        assert!(
            found.is_empty(),
            "{what} holds a part of {found:?}:\n{}",
            String::from_utf8_lossy(bytes)
        );
        let read = self.built.engine.mask(bytes, Syntax::Text);
        let read = read.unwrap_or_else(|refusal| panic!("{what} cannot be read: {refusal}"));
        assert!(
            read.is_none(),
            "{what} holds a value in some reading:\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

impl Built {
    fn new(values: &Vec<(String, String)>, whole: &[String]) -> Self {
        let (mut needles, mut names) = (Vec::new(), Vec::new());
        let mut add = |key: &str, piece: &str| {
            for (coding, bytes) in codings(piece) {
                needles.push(bytes);
                names.push((key.to_owned(), coding));
            }
        };
        for (key, value) in values {
            let mut pieces = 0;
            for run in value.split(|c: char| !c.is_ascii_alphanumeric()) {
                for start in 0..(run.len() + 1).saturating_sub(PIECE) {
                    add(key, &run[start..start + PIECE]);
                    pieces += 1;
                }
            }
            assert!(
                pieces > 0,
                "a value of {key} has no part that can be looked for"
            );
        }
        for code in whole {
            add("a code", code);
        }
        let pieces = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(needles)
            .unwrap();
        let secrets = secrets(values.iter().map(|(_, value)| value).chain(whole));
        let (engine, _) = app::needles_of(&secrets.iter().collect::<Vec<_>>(), Spelling::Bare);
        Self {
            pieces,
            names,
            engine,
        }
    }

    fn found(&self, bytes: &[u8]) -> Vec<(String, &'static str)> {
        let mut found: Vec<_> = self
            .pieces
            .find_overlapping_iter(bytes)
            .map(|hit| self.names[hit.pattern().as_usize()].clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// The values as secrets that are found anywhere, in any case.
fn secrets<'a>(values: impl Iterator<Item = &'a String>) -> Vec<Secret> {
    let options = Options {
        mask: MaskOption::Always,
        ignore_case: true,
        ..Options::default()
    };
    let secret = |(at, value): (usize, &String)| {
        let value = Value::new(value.clone().into(), &Limits::default()).unwrap();
        let key = format!("found_{at}").parse().unwrap();
        let (pattern, scope) = ("example.com".parse().unwrap(), "agent:a".parse().unwrap());
        Secret::new(key, pattern, scope, options.clone(), value).unwrap()
    };
    values.enumerate().map(secret).collect()
}

/// A search that finds nothing would praise everything.
#[test]
fn the_search_finds_what_is_there() {
    let value = format!("front-{}", random(PIECE + 5));
    let search = Search::new(&[("x_a", &value)]);
    let random = value.split_once('-').unwrap().1;
    assert!(!search.finds("x_a", b"front-"));
    search.nothing_in("a text", b"the front-page of a text");
    for start in 0..=5 {
        let piece = &random[start..start + PIECE];
        for (coding, bytes) in codings(piece) {
            for case in [
                bytes.clone(),
                bytes.to_ascii_uppercase(),
                bytes.to_ascii_lowercase(),
            ] {
                let text = [b"before ", &case[..], b" after"].concat();
                assert!(search.finds("x_a", &text), "{coding}");
            }
        }
        for before in 0..4 {
            let bytes = [&[b'-'; 9][..before], piece.as_bytes(), b"---"].concat();
            assert!(
                search.finds("x_a", base64(&bytes).as_bytes()),
                "base64 after {before}"
            );
        }
    }
    let only_the_engine = value
        .bytes()
        .map(|byte| format!("%25{byte:02x}"))
        .collect::<String>();
    assert!(!search.finds("x_a", only_the_engine.as_bytes()));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        search.nothing_in("a text", only_the_engine.as_bytes());
    }));
    assert!(caught.is_err());
}
