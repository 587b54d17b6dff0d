//! The forms of a value that are looked for besides itself: how else its characters and its lines are written.
//!
//! They are a product, and each function makes one factor of it: [`spellings`] of a value, [`lines`] or [`indented`] ones of each,
//! and of each of these what [`others`] and [`wide`] write.
//!
//! Each form is in wiped memory, made without growing, for a buffer that moves leaves a copy behind.

use std::iter;
use std::mem;
use std::ops::ControlFlow;

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
pub(super) const INDENTS: [&str; 18] = [
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

/// The same where it is written otherwise than in UTF-8 with spaces.
pub(super) const FEW_INDENTS: [&str; 8] =
    ["  ", "    ", "        ", "\t", "      ", "\t\t", " ", "   "];

/// Most bytes of all indented forms of a value. Those in UTF-8 with spaces alone take it with about 150 short lines. Beyond, the less
/// likely indents are left out.
pub(super) const MOST_INDENTED: usize = 64 * 1024;

/// A value in the two normal forms of Unicode (UAX #15), and if case does not count in lower and in upper case; itself first.
/// The case of ASCII letters is the engine's part.
pub(super) fn spellings(value: &str, ignore_case: bool) -> Vec<Zeroizing<String>> {
    let mut all = vec![made(value, value.chars())];
    if value.is_ascii() {
        return all;
    }
    add_normal(&mut all, value, value);
    if ignore_case {
        for i in 0..all.len() {
            let text = &all[i];
            let cases = [
                mapped(value, text, |c, to| to.extend(c.to_lowercase())),
                lower_by_words(value, text),
                mapped(value, text, |c, to| to.extend(c.to_uppercase())),
                mapped(value, text, |c, to| to.push(simple_upper(c))),
            ];
            for case in cases {
                add_normal(&mut all, value, &case);
            }
        }
    }
    all
}

/// A spelling of a value, and its normal forms.
fn add_normal(all: &mut Vec<Zeroizing<String>>, value: &str, text: &str) {
    add(all, made(value, text.chars()));
    add(all, made(value, text.nfc()));
    add(all, made(value, text.nfd()));
}

fn add(all: &mut Vec<Zeroizing<String>>, text: Zeroizing<String>) {
    if !all.contains(&text) {
        all.push(text);
    }
}

/// Upper case of one character, as programs that know no other write it: `ß` stays.
fn simple_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    let first = upper.next().unwrap_or(c);
    if upper.next().is_none() { first } else { c }
}

/// Lower case with another sigma at a word's end, as Unicode has it.
fn lower_by_words(value: &str, text: &str) -> Zeroizing<String> {
    // The standard library knows where. Letters that grow are another one to it, so that its buffer does not.
    let shape = mapped(value, text, |c, to| {
        let grows = c.to_lowercase().map(char::len_utf8).sum::<usize>() > c.len_utf8();
        to.push(if grows { 'x' } else { c });
    });
    let shape = Zeroizing::new(shape.to_lowercase());
    let mut shape = shape.chars();
    mapped(value, text, |c, to| match (c, shape.next()) {
        ('Σ', Some(sigma)) => to.push(sigma),
        _ => to.extend(c.to_lowercase()),
    })
}

fn mapped(value: &str, text: &str, mut write: impl FnMut(char, &mut String)) -> Zeroizing<String> {
    let mut all = made(value, iter::empty());
    for c in text.chars() {
        write(c, &mut all);
    }
    all
}

fn made(value: &str, chars: impl Iterator<Item = char>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * GROWTH));
    text.extend(chars);
    text
}

/// A text in ISO 8859-1, the charset of old of headers and Basic credentials, as far as that has its characters: the others stay in
/// UTF-8. So what programs escape as `\xHH` beside `\uXXXX` is found as well. And if that differs, with only those characters
/// as bytes that are not printable (`repr` of Python escapes no others).
fn latin1(text: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let all = narrowed(text, |_| true);
    let few =
        narrowed(text, |c| c <= '\u{a0}' || c == '\u{ad}').filter(|few| Some(few) != all.as_ref());
    [all, few].into_iter().flatten()
}

/// A text whose characters from U+0080 to U+00FF are bytes of that number where they are to be; if any is.
fn narrowed(text: &str, is_byte: impl Fn(char) -> bool) -> Option<Zeroizing<Vec<u8>>> {
    let byte = |c: char| {
        u8::try_from(c)
            .ok()
            .filter(|byte| !byte.is_ascii() && is_byte(c))
    };
    text.chars().find_map(byte)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}

/// A text as `+` for its spaces makes it, in Latin-1, and in both.
pub(super) fn others(text: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let plus = plus(text);
    let both: Vec<_> = plus
        .as_deref()
        .into_iter()
        .flat_map(|plus| latin1(plus))
        .collect();
    let plus = plus.map(|mut plus| Zeroizing::new(mem::take(&mut *plus).into_bytes()));
    plus.into_iter().chain(latin1(text)).chain(both)
}

/// A text in UTF-16LE, as PowerShell puts it into base64, if it is long enough.
pub(super) fn wide(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let is_long = text.chars().nth(WIDE_CHARS - 1).is_some();
    is_long.then(|| utf16(text))
}

/// The same with `+` for its spaces.
pub(super) fn wide_plus(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    plus(text).and_then(|plus| wide(&plus))
}

/// Whether a text is of one line, whatever line ends are around it.
pub(super) fn is_one_line(text: &str) -> bool {
    !text.trim_matches(LINE_ENDS).contains(LINE_ENDS)
}

/// A text with `+` for each space, as forms have it: what percent-decoding leaves of it in any text.
fn plus(text: &str) -> Option<Zeroizing<String>> {
    text.contains(' ')
        .then(|| made(text, text.chars().map(|c| if c == ' ' { '+' } else { c })))
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
    /// All but the line ends around it: it counts as if it were the value.
    Bare,
    /// A line or more of it, long enough to count anywhere.
    Lines,
}

/// The other forms of a value with several lines: with other line ends, without those around it, and each long line alone.
pub(super) fn lines(value: &str, mut add: impl FnMut(&str, Extent)) {
    if !value.contains(LINE_ENDS) {
        return;
    }
    let no_last = value.trim_end_matches(LINE_ENDS);
    let bare = value.trim_matches(LINE_ENDS);
    let texts = [
        (value, Extent::Whole),
        (no_last, Extent::Bare),
        (bare, Extent::Bare),
    ];
    for (i, (text, extent)) in texts.into_iter().enumerate() {
        if i > 0 && text.len() == texts[i - 1].0.len() {
            continue;
        }
        let unix = ended(text, "\n");
        let windows = ended(text, "\r\n");
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

/// A text whose line ends are all that one.
fn ended(text: &str, line_end: &str) -> Zeroizing<String> {
    let mut all = Zeroizing::new(String::with_capacity(text.len() * line_end.len()));
    let mut before = ' ';
    for c in text.chars() {
        match c {
            // The second half of one line end.
            '\n' if before == '\r' => {}
            '\n' | '\r' => all.push_str(line_end),
            c => all.push(c),
        }
        before = c;
    }
    all
}

/// The lines of a value that are too short to be looked for alone, where the value stands indented: with what is before them, or
/// after; of a value of short lines only, all of it. Each line but the first is indented alike, those without text or not.
///
/// The first indents come first, in all spellings. `add` may end it.
pub(super) fn indented(
    spellings: &[Zeroizing<String>],
    indents: &[&str],
    mut add: impl FnMut(&str, Extent) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if !spellings.iter().any(|text| text.contains(LINE_ENDS)) {
        return ControlFlow::Continue(());
    }
    let unix: Vec<_> = spellings.iter().map(|text| ended(text, "\n")).collect();
    let lines: Vec<Vec<&str>> = unix.iter().map(|text| text.split('\n').collect()).collect();
    let groups: Vec<Group> = lines.iter().flat_map(|lines| groups(lines)).collect();
    for indent in indents {
        for line_end in ["\n", "\r\n"] {
            for group in &groups {
                let blanks: &[bool] = if group.has_blank() {
                    &[false, true]
                } else {
                    &[true]
                };
                for blanks in blanks {
                    add(&group.write(line_end, indent, *blanks), group.extent)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
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
        let rows: [(&str, &[(&str, Extent)]); 12] = [
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
            ("\nhunter22", &[("\r\nhunter22", Whole), ("hunter22", Bare)]),
            // The line ends of old.
            ("a\rb", &[("a\nb", Whole), ("a\r\nb", Whole)]),
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
            let value = [Zeroizing::new(value.to_owned())];
            let flow = indented(&value, &INDENTS, |form, extent| {
                all += 1;
                let one_tab = form.contains("\n\t") && !form.contains("\t\t");
                if one_tab && !form.contains('\r') && !form.contains("\n ") {
                    forms.push((form.to_owned(), extent));
                }
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, e)| ((*f).to_owned(), *e))
                .collect();
            assert_eq!(forms, expected);
            assert_eq!(all, expected.len() * 2 * INDENTS.len(), "{forms:?}");
        }
    }

    #[test]
    fn the_first_indents_come_first_and_it_can_be_ended() {
        let values = ["a\nb", "c\nd"].map(|value| Zeroizing::new(value.to_owned()));
        let mut forms = Vec::new();
        let flow = indented(&values, &INDENTS, |form, _| {
            forms.push(form.to_owned());
            if forms.len() < 5 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        assert!(flow.is_break());
        let expected = ["a\n  b", "c\n  d", "a\r\n  b", "c\r\n  d", "a\n    b"];
        assert_eq!(forms, expected);
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
            ["Stra\u{df}e", "stra\u{df}e", "STRASSE", "STRA\u{df}E"]
        );
        let all = of("\u{c4}", true);
        assert_eq!(all, ["\u{c4}", "A\u{308}", "\u{e4}", "a\u{308}"]);
        // A sigma at the end of a word; letters whose lower case is longer do not matter.
        let all = of("\u{23a}\u{3a3}\u{3a3}-\u{3a3}", true);
        let lower = [
            "\u{2c65}\u{3c3}\u{3c3}-\u{3c3}",
            "\u{2c65}\u{3c3}\u{3c2}-\u{3c3}",
        ];
        assert_eq!(all[1..], lower);
        // In upper case it is not in a normal form any more.
        let all = of("\u{390}", true);
        assert!(all.contains(&"\u{3aa}\u{301}".to_owned()), "{all:?}");
    }

    #[test]
    fn bytes_of_other_charsets() {
        let all = |forms: &mut dyn Iterator<Item = Zeroizing<Vec<u8>>>| -> Vec<Vec<u8>> {
            forms.map(|form| form.to_vec()).collect()
        };
        for (text, expected) in [
            ("a+b", &[][..]),
            ("€", &[]),
            (" a  b", &[&b"+a++b"[..]]),
            ("é", &[b"\xe9"]),
            (
                "é €",
                &["é+€".as_bytes(), b"\xe9 \xe2\x82\xac", b"\xe9+\xe2\x82\xac"],
            ),
            ("\u{a0}é", &[b"\xa0\xe9", b"\xa0\xc3\xa9"]),
            ("\u{ad}€", &[b"\xad\xe2\x82\xac"]),
            ("é é", &["é+é".as_bytes(), b"\xe9 \xe9", b"\xe9+\xe9"]),
        ] {
            assert_eq!(all(&mut others(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("abc", &[][..]),
            ("a€𝄞d", &[&b"a\0\xac\x20\x34\xd8\x1e\xddd\0"[..]]),
            ("a bc", &[b"a\0 \0b\0c\0", b"a\0+\0b\0c\0"]),
        ] {
            let mut forms = wide(text).into_iter().chain(wide_plus(text));
            assert_eq!(all(&mut forms), expected, "{text}");
        }
    }

    #[test]
    fn every_line_end_becomes_that_one() {
        for (line_end, expected) in [("\n", "\na\n\nb\n\n"), ("\r\n", "\r\na\r\n\r\nb\r\n\r\n")] {
            assert_eq!(ended("\na\r\n\rb\n\r", line_end).as_str(), expected);
        }
    }
}
