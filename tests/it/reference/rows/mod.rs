//! The reference, and the engine, against rows that were worked out by hand.

use bauta::mask::{Hits, Rule, Signed, Syntax};
use proptest::prelude::*;

use super::{Needles, find, json, resolve};
use crate::hostile::{self, Case, Outcome};

mod any_case;
mod bytes;
mod escapes;
mod opaque;
mod quoted_printable;
mod readings;
mod rules;
mod signed;
mod surroundings;

/// Names, values and rules; each name is written bare.
type Secrets<'a> = &'a [(&'a str, &'a str, Rule)];

fn needles(secrets: Secrets<'_>) -> Needles {
    let mut needles = Needles::default();
    for (key, value, rule) in secrets {
        let name = needles.name(key, key);
        needles.value(name, value.as_bytes(), *rule);
    }
    needles
}

/// What the reference makes of `text`, and the engine too, in one piece and byte by byte.
#[track_caller]
fn mask_with(needles: &Needles, text: &[u8], syntax: Syntax, signed: Signed) -> Outcome {
    let masker = hostile::masker(needles);
    for pattern in [vec![], vec![1]] {
        let case = Case {
            needles: needles.clone(),
            text: text.to_vec(),
            syntax,
            signed,
            pattern,
        };
        assert_eq!(hostile::difference(&case, &masker).unwrap_or_default(), "");
    }
    super::mask_with(needles, text, syntax, signed)
}

/// As `mask_with`, whatever is signed.
#[track_caller]
fn mask(needles: &Needles, text: &[u8], syntax: Syntax) -> (Vec<u8>, Hits) {
    mask_with(needles, text, syntax, Signed::Mask).unwrap()
}

#[track_caller]
fn check(secrets: Secrets<'_>, syntax: Syntax, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let (output, _) = mask(&needles(secrets), text.as_bytes(), syntax);
        assert_eq!(
            String::from_utf8_lossy(&output),
            *expected,
            "for {text} as {syntax:?}"
        );
    }
}

/// Whether the value of `secrets`, which are one, is found in `text`; if not, nothing is changed.
#[track_caller]
fn is_found(secrets: Secrets<'_>, text: &[u8], syntax: Syntax) -> bool {
    let (output, hits) = mask(&needles(secrets), text, syntax);
    assert_eq!(
        output == text,
        hits.is_empty(),
        "for {}",
        text.escape_ascii()
    );
    !hits.is_empty()
}

const PIN: Secrets<'_> = &[("x_pin", "1234", Rule::Word)];

proptest! {
    /// A decoder that changes nothing adds nothing: this is why the reference may leave it out.
    #[test]
    fn pruning_is_neutral(text in hostile(), opaque_before: bool) {
        let mut needles = needles(&[("x_a", "ab%1", Rule::Anywhere), ("x_b", "1a", Rule::Word)]);
        let name = needles.name("x_c", "x_c");
        needles.value_any_case(name, b"A=4", Rule::Word);
        let opaque = format!("{{\"data\":\"{}=", "a+4/".repeat(16));
        let text = if opaque_before { [opaque.as_bytes(), &text].concat() } else { text };
        for syntax in [Syntax::Text, Syntax::Json, Syntax::Form] {
            let document = (syntax == Syntax::Json).then(|| json::scan(&text));
            let all = |unpruned| {
                let found = find::search(&needles, &text, syntax, document.as_ref(), unpruned);
                resolve::resolve(&needles, &text, syntax, Signed::Mask, document.as_ref(), found)
            };
            prop_assert_eq!(all(false), all(true));
        }
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "ab", "a", "1", "%1", "%2", "5", "%25", "\\u00", "\\", "&#", "&amp;", "6", ";", "\"", "{",
        ":", " ", "YWIl", "MQ", "=", "=3", "D", "\n", "\\x", "4",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12)
        .prop_map(|pieces| pieces.concat().into_bytes())
}
