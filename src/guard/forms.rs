//! The forms of a value that are looked for besides itself: how else its characters and its lines are written.
//!
//! Each form is in wiped memory, made without growing, for a buffer that moves leaves a copy behind.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Characters from which on a line of a value is looked for alone.
const LINE_CHARS: usize = 16;

/// What ends a line; alone, or the one after the other.
const LINE_ENDS: [char; 2] = ['\n', '\r'];

/// Characters from which on a value is looked for in UTF-16.
const WIDE_CHARS: usize = 4;

/// Most bytes that a character's other forms take for each of its own (Unicode UAX #15 says 3; case mapping is under it).
const GROWTH: usize = 4;

/// How a value of several lines is indented where it stands in other text; the likely ones first.
const INDENTS: [&str; 18] = [
    "  ",
    "    ",
    "        ",
    "\t",
    "      ",
    "\t\t",
    " ",
    "   ",
    "            ",
    "          ",
    "                ",
    "\t\t\t",
    "     ",
    "       ",
    "              ",
    "                    ",
    "                        ",
    "\t\t\t\t",
];

/// Most bytes of all indented forms of a value: about 150 short lines. Beyond, the less likely indents are left out.
pub(super) const MOST_INDENTED: usize = 64 * 1024;

/// A value in the two normal forms of Unicode (UAX #15), and if case does not count in lower and in upper case; itself first.
/// The case of ASCII letters is the engine's part.
pub(super) fn spellings(value: &str, ignore_case: bool) -> Vec<Zeroizing<String>> {
    let mut all = vec![made(value, value.chars())];
    if value.is_ascii() {
        return all;
    }
    add(&mut all, made(value, value.nfc()));
    add(&mut all, made(value, value.nfd()));
    if ignore_case {
        for i in 0..all.len() {
            let lower = made(value, all[i].chars().flat_map(char::to_lowercase));
            let upper = made(value, all[i].chars().flat_map(char::to_uppercase));
            add(&mut all, lower);
            add(&mut all, upper);
        }
    }
    all
}

fn add(all: &mut Vec<Zeroizing<String>>, text: Zeroizing<String>) {
    if !all.contains(&text) {
        all.push(text);
    }
}

fn made(value: &str, chars: impl Iterator<Item = char>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * GROWTH));
    text.extend(chars);
    text
}

/// A text in ISO 8859-1, the charset of old of headers and Basic credentials, where that differs.
pub(super) fn latin1(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.is_ascii() {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for c in text.chars() {
        bytes.push(u8::try_from(c).ok()?);
    }
    Some(bytes)
}

/// A text with `+` for each space, as forms have it: what percent-decoding leaves of it in any text.
pub(super) fn plus(text: &str) -> Option<Zeroizing<String>> {
    text.contains(' ')
        .then(|| made(text, text.chars().map(|c| if c == ' ' { '+' } else { c })))
}

/// A text in UTF-16LE, as PowerShell puts it into base64, if it is long enough.
pub(super) fn wide(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    (text.chars().count() >= WIDE_CHARS).then(|| utf16(text))
}

/// A text in UTF-16LE.
pub(super) fn utf16(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 2));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

/// What part of a value a form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it: it counts where the value counts.
    Whole,
    /// All but the line ends after it: it counts as if it were the value.
    Bare,
    /// A line or more of it, long enough to count anywhere.
    Lines,
}

/// The other forms of a value with several lines: with the other line ends, without the last of them, and each long line alone.
pub(super) fn lines(value: &str, mut add: impl FnMut(&str, Extent)) {
    if !value.contains(LINE_ENDS) {
        return;
    }
    let bare = value.trim_end_matches(LINE_ENDS);
    for (text, extent) in [(value, Extent::Whole), (bare, Extent::Bare)] {
        if extent == Extent::Bare && bare.len() == value.len() {
            continue;
        }
        let unix = Zeroizing::new(text.replace("\r\n", "\n"));
        let windows = Zeroizing::new(unix.replace('\n', "\r\n"));
        let as_it_is = Some(text).filter(|_| extent == Extent::Bare);
        let others = [unix.as_str(), windows.as_str()];
        let others = others.into_iter().filter(|form| *form != text);
        for form in as_it_is.into_iter().chain(others) {
            add(form, extent);
        }
    }
    // The lines in which PEM names what it holds are no secret, and alike in every key.
    for line in value.split(LINE_ENDS).map(str::trim) {
        if !is_short(line) && !is_armour(line) && line != value {
            add(line, Extent::Lines);
        }
    }
}

/// The lines of a value that are too short to be looked for alone, where the value stands indented: with what is before them, or
/// after; of a value of short lines only, all of it. Each line but the first is indented alike, those without text or not.
///
/// `room` is how many bytes of such forms there may be.
pub(super) fn indented(value: &str, room: &mut usize, mut add: impl FnMut(&str, Extent)) {
    let unix = Zeroizing::new(value.replace("\r\n", "\n"));
    let lines: Vec<&str> = unix.split(LINE_ENDS).collect();
    let groups = groups(&lines);
    for line_end in ["\n", "\r\n"] {
        for indent in INDENTS {
            for group in &groups {
                let blanks: &[bool] = if group.has_blank() {
                    &[false, true]
                } else {
                    &[true]
                };
                for blanks in blanks {
                    let text = group.write(line_end, indent, *blanks);
                    let Some(left) = room.checked_sub(text.len()) else {
                        return;
                    };
                    *room = left;
                    add(&text, group.extent);
                }
            }
        }
    }
}

/// Short lines that follow one another, and what they are told by.
struct Group<'a> {
    /// The end of the line before.
    before: Option<&'a str>,
    lines: &'a [&'a str],
    /// The beginning of the line after; `None` where what is before says enough.
    after: Option<&'a str>,
    extent: Extent,
}

fn groups<'a>(lines: &'a [&'a str]) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    let mut at = 0;
    for run in lines.chunk_by(|a, b| is_short(a) == is_short(b)) {
        let (start, end) = (at, at + run.len());
        at = end;
        if !is_short(run[0]) {
            continue;
        }
        let (before, after) = (
            start.checked_sub(1).map(|i| lines[i]),
            lines.get(end).copied(),
        );
        // Blank lines at the ends of the value need not be there.
        let text = |line: &&str| !line.trim().is_empty();
        let first = if before.is_some() {
            0
        } else {
            run.iter().position(text).unwrap_or(0)
        };
        let last = if after.is_some() {
            run.len()
        } else {
            run.iter().rposition(text).map_or(0, |i| i + 1)
        };
        let lines = run.get(first..last).unwrap_or_default();
        let secret = |line: Option<&str>| line.is_some_and(|line| !is_armour(line));
        if !lines.iter().any(text) || before.or(after).is_none() && lines.len() == 1 {
            continue;
        }
        groups.push(Group {
            before: before.map(tail),
            lines,
            after: after.filter(|_| !secret(before)).map(head),
            extent: if secret(before) || secret(after) {
                Extent::Lines
            } else {
                Extent::Whole
            },
        });
    }
    groups
}

impl Group<'_> {
    fn has_blank(&self) -> bool {
        self.lines.iter().any(|line| line.is_empty())
    }

    /// The text of it, each line but the first with that indent; those without text only if `blanks` is set.
    fn write(&self, line_end: &str, indent: &str, blanks: bool) -> Zeroizing<String> {
        let lines = || {
            let all = self.before.iter().chain(self.lines).chain(&self.after);
            all.copied().enumerate().map(move |(i, line)| {
                let is_indented = i > 0 && (blanks || !line.is_empty());
                let line_end = if i > 0 { line_end } else { "" };
                (line_end, if is_indented { indent } else { "" }, line)
            })
        };
        let length = lines().map(|(a, b, c)| a.len() + b.len() + c.len()).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        for (line_end, indent, line) in lines() {
            text.push_str(line_end);
            text.push_str(indent);
            text.push_str(line);
        }
        text
    }
}

fn is_short(line: &str) -> bool {
    line.trim().chars().nth(LINE_CHARS - 1).is_none()
}

fn is_armour(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("-----") && line.ends_with("-----")
}

/// The last characters of a long line, with the blanks after them.
fn tail(line: &str) -> &str {
    let mut chars = line.trim_end().char_indices().rev();
    let start = chars.nth(LINE_CHARS - 1).map_or(0, |(i, _)| i);
    &line[start..]
}

/// The first characters of a long line, with the blanks before them.
fn head(line: &str) -> &str {
    let blanks = line.len() - line.trim_start().len();
    let mut chars = line[blanks..].char_indices();
    let end = chars
        .nth(LINE_CHARS)
        .map_or(line.len(), |(i, _)| blanks + i);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_has_other_forms() {
        use Extent::{Bare, Lines, Whole};
        let rows: [(&str, &[(&str, Extent)]); 10] = [
            ("one line, however long it is", &[]),
            ("a\nb", &[("a\r\nb", Whole)]),
            ("a\r\nb", &[("a\nb", Whole)]),
            // Mixed line ends are neither form.
            ("a\r\nb\nc", &[("a\nb\nc", Whole), ("a\r\nb\r\nc", Whole)]),
            (
                "fifteen letters\nsixteen letters!",
                &[
                    ("fifteen letters\r\nsixteen letters!", Whole),
                    ("sixteen letters!", Lines),
                ],
            ),
            // Characters, not bytes.
            (
                "ääääääääääääääa\n",
                &[("ääääääääääääääa\r\n", Whole), ("ääääääääääääääa", Bare)],
            ),
            (
                "ended\nwith-a-newline-or-two\n\n",
                &[
                    ("ended\r\nwith-a-newline-or-two\r\n\r\n", Whole),
                    ("ended\nwith-a-newline-or-two", Bare),
                    ("ended\r\nwith-a-newline-or-two", Bare),
                    ("with-a-newline-or-two", Lines),
                ],
            ),
            ("hunter22\r\n", &[("hunter22\n", Whole), ("hunter22", Bare)]),
            (
                "x\n \t indented and long\t y\r\nz",
                &[
                    ("x\n \t indented and long\t y\nz", Whole),
                    ("x\r\n \t indented and long\t y\r\nz", Whole),
                    ("indented and long\t y", Lines),
                ],
            ),
            (
                "-----BEGIN KEY-----\nMIGHAgEAMBMGByqG\n-----END KEY-----",
                &[
                    (
                        "-----BEGIN KEY-----\r\nMIGHAgEAMBMGByqG\r\n-----END KEY-----",
                        Whole,
                    ),
                    ("MIGHAgEAMBMGByqG", Lines),
                ],
            ),
        ];
        for (value, expected) in rows {
            let mut forms = Vec::new();
            lines(value, |form, extent| forms.push((form.to_owned(), extent)));
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, e)| ((*f).to_owned(), *e))
                .collect();
            assert_eq!(forms, expected, "{value:?}");
        }
    }

    #[test]
    fn short_lines_are_told_by_what_is_beside_them() {
        use Extent::{Lines, Whole};
        // As with an indent of one tab, and line feeds.
        let rows: [(&str, &[(&str, Extent)]); 9] = [
            ("one line", &[]),
            ("one line\n", &[]),
            ("\n\n", &[]),
            ("a\r\nb\n", &[("a\n\tb", Whole)]),
            ("a\n\nb", &[("a\n\n\tb", Whole), ("a\n\t\n\tb", Whole)]),
            (
                "the first of all lines\nb\n  c\nthe last of all lines\nd\n\n",
                &[
                    ("rst of all lines\n\tb\n\t  c", Lines),
                    ("ast of all lines\n\td", Lines),
                ],
            ),
            (
                "a\nb\n the last of all lines",
                &[("a\n\tb\n\t the last of all ", Lines)],
            ),
            (
                "-----BEGIN KEY-----\na\n-----END KEY-----",
                &[("--BEGIN KEY-----\n\ta\n\t-----END KEY----", Whole)],
            ),
            (
                "-----BEGIN THE KEY-----\nMIGHAgEAMBMGByqG\ngo=\n-----END THE KEY-----\n",
                &[("MIGHAgEAMBMGByqG\n\tgo=", Lines)],
            ),
        ];
        for (value, expected) in rows {
            let (mut forms, mut all) = (Vec::new(), 0);
            indented(value, &mut MOST_INDENTED.clone(), |form, extent| {
                all += 1;
                let one_tab = form.contains("\n\t") && !form.contains("\t\t");
                if one_tab && !form.contains('\r') && !form.contains("\n ") {
                    forms.push((form.to_owned(), extent));
                }
            });
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, e)| ((*f).to_owned(), *e))
                .collect();
            assert_eq!(forms, expected, "{value:?}");
            assert_eq!(all, expected.len() * 2 * INDENTS.len(), "{value:?}");
        }
    }

    #[test]
    fn p8_indented_forms_are_bounded() {
        let value = "a\n".repeat(2048);
        let (mut room, mut bytes) = (MOST_INDENTED, 0);
        indented(&value, &mut room, |form, _| bytes += form.len());
        assert_eq!(bytes + room, MOST_INDENTED);
        assert!(bytes > MOST_INDENTED / 2);
    }

    #[test]
    fn spellings_are_of_the_same_characters() {
        let of = |value, any_case| -> Vec<String> {
            let all = spellings(value, any_case);
            all.iter().map(|text| text.to_string()).collect()
        };
        assert_eq!(of("plain", true), ["plain"]);
        assert_eq!(of("caf\u{e9}", false), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(of("cafe\u{301}", false), ["cafe\u{301}", "caf\u{e9}"]);
        assert_eq!(
            of("Stra\u{df}e", true),
            ["Stra\u{df}e", "stra\u{df}e", "STRASSE"]
        );
        let all = of("\u{c4}", true);
        assert_eq!(all, ["\u{c4}", "A\u{308}", "\u{e4}", "a\u{308}"]);
    }

    #[test]
    fn bytes_of_other_charsets() {
        assert_eq!(plus("a+b"), None);
        assert_eq!(plus(" a  b").as_deref().map(String::as_str), Some("+a++b"));
        assert_eq!(latin1("plain"), None);
        assert_eq!(latin1("€"), None);
        assert_eq!(latin1("é").as_deref(), Some(&vec![0xe9]));
        assert_eq!(wide("abc"), None);
        let bytes = wide("a€𝄞d").unwrap_or_default();
        assert_eq!(*bytes, *b"a\0\xac\x20\x34\xd8\x1e\xddd\0");
    }
}
