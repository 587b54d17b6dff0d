//! Where placeholders stand in a whole text.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

use super::Spelling;

/// Bytes of the longest key (a secret's keys are not longer).
pub const LONGEST_KEY: usize = 64;

/// Finds the placeholders of some keys in accepted spellings.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    keys: Arc<BTreeSet<Box<str>>>,
    accept: Arc<[Spelling]>,
}

/// A placeholder in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'f> {
    /// Its bytes, delimiters included.
    pub range: Range<usize>,
    /// Its key.
    pub key: &'f str,
    /// Whether it is a bare key without an underscore, which counts only where it is the whole text of its place.
    pub only_whole: bool,
}

impl Finder {
    /// Of these keys, in these spellings.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>, accept: &[Spelling]) -> Self {
        Self {
            keys: Arc::new(keys.into_iter().map(Box::from).collect()),
            accept: accept.into(),
        }
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() || self.accept.is_empty()
    }

    /// The key, if it is one of ours.
    pub fn key(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(|key| &**key)
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// The accepted spellings.
    pub fn spellings(&self) -> &[Spelling] {
        &self.accept
    }

    /// The placeholders of a whole text, in order, none over another. Delimited ones count anywhere; a bare key as a whole word if
    /// it has an underscore, and any key where it is the whole text. Where two begin at one place, the longer one counts.
    pub fn find(&self, text: &str) -> Vec<Found<'_>> {
        let mut all = Vec::new();
        for spelling in self.accept.iter() {
            if spelling.is_bare() {
                self.bare(text, &mut all);
            } else {
                self.delimited(text, spelling, &mut all);
            }
        }
        all.sort_by_key(|found| (found.range.start, usize::MAX - found.range.end));
        let mut end = 0;
        all.retain(|found| {
            let apart = found.range.start >= end;
            if apart {
                end = found.range.end;
            }
            apart
        });
        all
    }

    fn bare<'f>(&'f self, text: &str, all: &mut Vec<Found<'f>>) {
        let mut start = None;
        let ends = text.char_indices().map(Some).chain([None]);
        for next in ends {
            let (at, word) = next.map_or((text.len(), false), |(at, c)| (at, is_word(c)));
            if word {
                start.get_or_insert(at);
            } else if let Some(start) = start.take()
                && let Some(key) = self.key(&text[start..at])
            {
                let whole = start == 0 && at == text.len();
                let only_whole = !key.contains('_');
                if whole || !only_whole {
                    let range = start..at;
                    all.push(Found {
                        range,
                        key,
                        only_whole,
                    });
                }
            }
        }
    }

    fn delimited<'f>(&'f self, text: &str, spelling: &Spelling, all: &mut Vec<Found<'f>>) {
        let before = memmem::Finder::new(spelling.before());
        let mut from = 0;
        // Beginnings may overlap: in `{{{key}}` the second one counts.
        while let Some(at) = text
            .as_bytes()
            .get(from..)
            .and_then(|rest| before.find(rest))
        {
            let start = from + at;
            from = start + 1;
            // With nothing before the key, it may be amid a character.
            let Some(inner) = text.get(start + spelling.before().len()..) else {
                continue;
            };
            let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let length = inner
                .bytes()
                .take(LONGEST_KEY + 1)
                .take_while(|&byte| is_key(byte))
                .count();
            if inner[length..].starts_with(spelling.after())
                && let Some(key) = self.key(&inner[..length])
            {
                let end = start + spelling.before().len() + length + spelling.after().len();
                all.push(Found {
                    range: start..end,
                    key,
                    only_whole: false,
                });
            }
        }
    }
}

/// Whether a character belongs to a word.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let accept = [
            ("", ""),
            ("<secret>", "</secret>"),
            ("{{", "}}"),
            ("%", "%"),
            ("<<<", ">>>"),
        ];
        let accept = accept.map(|(before, after)| Spelling::new(before, after));
        let finder = Finder::new(["x_pass", "x_password", "pin"], &accept);
        let all = finder.find(text);
        all.iter()
            .map(|f| (text[f.range.clone()].to_owned(), f.key.to_owned()))
            .collect()
    }

    #[test]
    fn placeholders_of_a_text() {
        for (text, expected) in [
            ("", &[][..]),
            ("x_password", &[("x_password", "x_password")]),
            ("x_pass", &[("x_pass", "x_pass")]),
            ("x_passw", &[]),
            ("ax_pass", &[]),
            ("\u{f6}x_pass", &[]),
            ("pin", &[("pin", "pin")]),
            ("a pin", &[]),
            ("a {{pin}}", &[("{{pin}}", "pin")]),
            ("u:x_pass@h", &[("x_pass", "x_pass")]),
            (
                "<secret>x_pass</secret>",
                &[("<secret>x_pass</secret>", "x_pass")],
            ),
            ("<secret>x_pass</secre", &[("x_pass", "x_pass")]),
            (
                "%x_pass%x_password%",
                &[("%x_pass%", "x_pass"), ("x_password", "x_password")],
            ),
            (
                "<<<pin>>>{{x_pass}}",
                &[("<<<pin>>>", "pin"), ("{{x_pass}}", "x_pass")],
            ),
            ("{{{{pin}}}}", &[("{{pin}}", "pin")]),
            ("{{{pin}}", &[("{{pin}}", "pin")]),
            ("%%x_pass%%", &[("%x_pass%", "x_pass")]),
            ("{{unknown}} {{ pin }}", &[]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
