//! What is looked for: the values, the other forms of those with several lines, and the key that each goes by.
//!
//! Here values leave their wrappers, into the masker, which does not give them out.

use zeroize::Zeroizing;

use crate::mask::{Masker, NameId, Rule};
use crate::secret::{Masking, Secret};

/// Characters from which on a line of a value is looked for alone.
const LINE_CHARS: usize = 16;

/// The maskers of some secrets.
pub struct Needles {
    /// Finds every value by its rule.
    pub masker: Masker,
    /// Finds only what counts as a value anywhere, also in lower case: for names that cannot be rewritten.
    pub names: Masker,
    /// The keys, in order: a hit's number is its key's place.
    pub keys: Vec<String>,
}

impl Needles {
    /// The needles of these secrets; `write` spells the placeholder of a key.
    ///
    /// One value under two keys goes by the first in key order; a value goes before another's line.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        write: impl Fn(&str) -> String,
    ) -> Self {
        let mut secrets: Vec<&Secret> = secrets.into_iter().collect();
        secrets.sort_by(|a, b| a.key().cmp(b.key()));
        let mut keys: Vec<String> = secrets
            .iter()
            .map(|s| s.key().as_str().to_owned())
            .collect();
        keys.dedup();
        Self {
            masker: build(&secrets, &keys, &write, false),
            names: build(&secrets, &keys, &write, true),
            keys,
        }
    }
}

/// A masker of the values; for names of those that count anywhere, also in the lower case that names are brought to. The secrets
/// are in the order of the keys.
fn build(
    secrets: &[&Secret],
    keys: &[String],
    write: impl Fn(&str) -> String,
    for_names: bool,
) -> Masker {
    let mut builder = Masker::builder();
    let ids: Vec<NameId> = keys
        .iter()
        .map(|key| builder.name(key, &write(key)))
        .collect();
    let mut found = Vec::with_capacity(secrets.len());
    let mut at = 0;
    for secret in secrets {
        while keys[at] != secret.key().as_str() {
            at += 1;
        }
        let rule = match secret.masking() {
            Masking::Anywhere => Rule::Anywhere,
            Masking::Word => Rule::Word,
            Masking::No => continue,
        };
        found.push((ids[at], secret.value().expose(), rule));
    }
    let mut add = |id: NameId, form: &[u8], rule: Rule| {
        if !for_names {
            builder.value(id, form, rule);
        } else if rule == Rule::Anywhere {
            builder.value(id, form, rule);
            builder.value(id, &Zeroizing::new(form.to_ascii_lowercase()), rule);
        }
    };
    for (id, value, rule) in &found {
        add(*id, value.as_bytes(), *rule);
    }
    for (id, value, rule) in &found {
        other_lines(value, |form, is_line| {
            add(
                *id,
                form.as_bytes(),
                if is_line { Rule::Anywhere } else { *rule },
            );
        });
        if let Some(form) = latin1(value) {
            add(*id, &form, *rule);
        }
    }
    builder.build()
}

/// The value in ISO 8859-1, the charset of old of headers and Basic credentials, where that differs.
fn latin1(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = value.chars().map(|c| u8::try_from(c).ok());
    let bytes = Zeroizing::new(bytes.collect::<Option<Vec<u8>>>()?);
    (bytes.as_slice() != value.as_bytes()).then_some(bytes)
}

/// The other forms of a value with several lines: with the other line ends, and each long line alone.
///
/// The lines in which PEM names what it holds are no secret, and alike in every key.
fn other_lines(value: &str, mut add: impl FnMut(&str, bool)) {
    if !value.contains(['\n', '\r']) {
        return;
    }
    let unix = Zeroizing::new(value.replace("\r\n", "\n"));
    let windows = Zeroizing::new(unix.replace('\n', "\r\n"));
    for form in [&unix, &windows] {
        if form.as_str() != value {
            add(form, false);
        }
    }
    for line in value.split(['\n', '\r']).map(str::trim) {
        let armour = line.starts_with("-----") && line.ends_with("-----");
        if !armour && line != value && line.chars().count() >= LINE_CHARS {
            add(line, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Syntax;
    use crate::secret::{Limits, parse_submission};

    #[test]
    fn a_value_of_several_lines_has_other_forms() {
        let rows: [(&str, &[(&str, bool)]); 9] = [
            ("one line, however long it is", &[]),
            ("a\nb", &[("a\r\nb", false)]),
            ("a\r\nb", &[("a\nb", false)]),
            // Mixed line ends are neither form.
            ("a\r\nb\nc", &[("a\nb\nc", false), ("a\r\nb\r\nc", false)]),
            (
                "fifteen letters\nsixteen letters!",
                &[
                    ("fifteen letters\r\nsixteen letters!", false),
                    ("sixteen letters!", true),
                ],
            ),
            // Characters, not bytes.
            ("ääääääääääääääa\n", &[("ääääääääääääääa\r\n", false)]),
            (
                "ended-with-a-newline\n",
                &[
                    ("ended-with-a-newline\r\n", false),
                    ("ended-with-a-newline", true),
                ],
            ),
            (
                "x\n \t indented and long\t \r\n",
                &[
                    ("x\n \t indented and long\t \n", false),
                    ("x\r\n \t indented and long\t \r\n", false),
                    ("indented and long", true),
                ],
            ),
            (
                "-----BEGIN KEY-----\nMIGHAgEAMBMGByqG\n-----END KEY-----",
                &[
                    (
                        "-----BEGIN KEY-----\r\nMIGHAgEAMBMGByqG\r\n-----END KEY-----",
                        false,
                    ),
                    ("MIGHAgEAMBMGByqG", true),
                ],
            ),
        ];
        for (value, expected) in rows {
            let mut forms = Vec::new();
            other_lines(value, |form, is_line| {
                forms.push((form.to_owned(), is_line));
            });
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, l)| ((*f).to_owned(), *l))
                .collect();
            assert_eq!(forms, expected, "{value:?}");
        }
    }

    /// A text, what masking makes of it, and whether it holds what counts anywhere.
    fn check(secrets: &str, rows: &[(&str, &str, bool)]) {
        let bytes = Zeroizing::new(secrets.as_bytes().to_vec());
        let submission =
            parse_submission(bytes, &Limits::default()).unwrap_or_else(|p| panic!("{p:?}"));
        let needles = Needles::new(submission.iter(), str::to_owned);
        for (text, expected, anywhere) in rows {
            let of = |masker: &Masker| {
                let masked = masker
                    .mask(text.as_bytes(), Syntax::Text)
                    .expect("not refused");
                masked.map_or((*text).to_owned(), |(bytes, _)| {
                    String::from_utf8(bytes).expect("a text")
                })
            };
            assert_eq!(of(&needles.masker), *expected, "{text}");
            assert_eq!(of(&needles.names) != *text, *anywhere, "{text}");
        }
    }

    #[test]
    fn lines_and_line_ends_go_by_the_values_key() {
        check(
            r#"{"https://example.com": {"x_note": "first line of the note\nshort\nthird line of the note"}}"#,
            &[
                (
                    "<first line of the note\nshort\nthird line of the note>",
                    "<x_note>",
                    true,
                ),
                (
                    "<first line of the note\r\nshort\r\nthird line of the note>",
                    "<x_note>",
                    true,
                ),
                ("> third line of the note", "> x_note", true),
                ("short", "short", false),
            ],
        );
    }

    #[test]
    fn the_first_key_names_a_value_and_a_value_goes_before_a_line() {
        check(
            r#"{"https://b.example.com": {"x_b": "shared-value", "x_z": "one line of a value"},
                "https://a.example.com": {"x_c": "shared-value", "x_d": "one line of a value\n"}}"#,
            &[
                ("shared-value", "x_b", true),
                ("one line of a value", "x_z", true),
            ],
        );
    }

    #[test]
    fn words_do_not_count_anywhere() {
        check(
            r#"{"https://example.com": {"x_group": "user", "x_token": "sk-live-0123",
                "x_ticket": {"value": "sk-live-0123", "mask": "word"}, "x_off": {"value": "never-masked", "mask": "never"}}}"#,
            &[
                ("user-agent", "x_group-agent", false),
                // Of two keys with one value, one counts anywhere: so does the value.
                ("a-sk-live-0123-b", "a-x_ticket-b", true),
                ("never-masked", "never-masked", false),
            ],
        );
    }
}
