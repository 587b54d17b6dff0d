//! Texts that the browser cut before it sent them: of a value that stands over the cut, a part is left that the masker cannot know.
//!
//! V8 cuts a text in a preview to 50 characters, `…` and the last 49, or to 99 and `…`; what `JSON.parse` could not read to 10 on
//! both sides, between `..."` and `"...`. Blink cuts a text node to 10,000 and `…`. A string in which a value's beginning ends at such
//! a cut, or its end begins there, goes by the value's name as a whole.
//!
//! Invariants: nothing but strings is changed; what is not cut costs a search for the marks.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr2, memmem};

use super::captures::Text;
use crate::guard::{Form, Hits, Snapshot};

/// Characters that stand before V8's mark, and behind it, at least.
const BEFORE: usize = 50;
const BEHIND: usize = 49;

/// `…` as it stands in JSON, in both spellings.
const MARKS: [&[u8]; 2] = [b"\\u2026", MARK];
/// The mark itself.
const MARK: &[u8] = "…".as_bytes();
/// How V8 says that it cut what is no JSON.
const PARSED: &[u8] = b"is not valid JSON";
const PARSED_STOP: &[u8] = b"\"... is not valid JSON";
const PARSED_RESUME: &[u8] = b", ...\"";

/// The message without strings that show a part of a value beside a cut; what was found is added to the hits.
pub(super) fn cover(snapshot: &Snapshot, message: Bytes, hits: &mut Hits) -> Bytes {
    if !has_mark(&message) {
        return message;
    }
    let mut out = Vec::new();
    let mut copied = 0;
    for string in strings(&message) {
        let inner = &message[string.clone()];
        if !has_mark(inner) {
            continue;
        }
        let Ok(Text(text)) = serde_json::from_slice(inner) else {
            continue;
        };
        let (stops, resumes) = cuts(&text);
        let Some((id, name)) = snapshot.beside_cuts(&text, &stops, &resumes) else {
            continue;
        };
        *hits.entry((id, Form::Plain)).or_default() += 1;
        out.extend_from_slice(&message[copied..string.start]);
        out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
        copied = string.end;
    }
    if copied == 0 {
        return message;
    }
    out.extend_from_slice(&message[copied..]);
    out.into()
}

fn has_mark(text: &[u8]) -> bool {
    let mut marks = MARKS.iter().chain(std::iter::once(&PARSED));
    marks.any(|mark| memmem::find(text, mark).is_some())
}

/// The strings of a JSON text, quotes included, but for names of members.
fn strings(json: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr::memchr(b'"', json.get(at..)?)?;
            let mut end = start + 1;
            loop {
                end += memchr2(b'"', b'\\', json.get(end..)?)?;
                if json[end] == b'"' {
                    break;
                }
                end += 2;
            }
            at = end + 1;
            let next = json[at..].iter().find(|byte| !byte.is_ascii_whitespace());
            if next != Some(&b':') {
                return Some(start..at);
            }
        }
    })
}

/// Where a text was cut: where a part of it ends, and where it goes on.
fn cuts(text: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let (mut stops, mut resumes) = (Vec::new(), Vec::new());
    let all = units(text);
    let (mut before, mut from) = (0, 0);
    for mark in memmem::find_iter(text, MARK) {
        before += units(&text[from..mark]);
        from = mark;
        if before >= BEFORE {
            stops.push(mark);
            if all - before > BEHIND {
                resumes.push(mark + MARK.len());
            }
        }
    }
    if memmem::find(text, PARSED).is_some() {
        stops.extend(memmem::find_iter(text, PARSED_STOP));
        let found = memmem::find_iter(text, PARSED_RESUME);
        resumes.extend(found.map(|at| at + PARSED_RESUME.len()));
        stops.sort_unstable();
        resumes.sort_unstable();
    }
    (stops, resumes)
}

/// The length of a text in UTF-16.
fn units(text: &[u8]) -> usize {
    let units = text.iter().map(|byte| match byte {
        0x80..=0xbf => 0,
        0xf0.. => 2,
        _ => 1,
    });
    units.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::of_submission;

    fn snapshot() -> Snapshot {
        of_submission(br#"{"https://example.com": {"x_token": "LongTok_0123456789abcdefghijklmnopqrstuvwxyz"}}"#)
    }

    fn covered(message: &str) -> (String, u64) {
        let mut hits = Hits::new();
        let text = cover(&snapshot(), Bytes::from(message.to_owned()), &mut hits);
        (
            String::from_utf8(text.to_vec()).unwrap(),
            hits.values().sum(),
        )
    }

    #[test]
    fn a_part_beside_a_cut_goes_by_its_name() {
        let (filler, tail) = ("f".repeat(40), "t".repeat(39));
        for text in [
            format!("{filler}LongTok_01…{}", "x".repeat(49)),
            format!("{}…qrstuvwxyz{tail}", "x".repeat(50)),
            format!("{filler}\\ud83dxxxxxLongTok\\u2026{}", "x".repeat(49)),
            format!("{}LongTok_01…", "f".repeat(9990)),
            "Unexpected token 'L', \\\"LongTok_01\\\"... is not valid JSON".to_owned(),
            "Unexpected token '?', ...\\\"vwxyz?\\\" is not valid JSON".to_owned(),
            "SyntaxError: Unexpected token '?', ...\\\"  vwxyz?...\\\"Long\\\"... is not valid JSON\\n at".to_owned(),
        ] {
            let message = format!(r#"{{"a":"{text}","b":["{text}",1]}}"#);
            let expected = r#"{"a":"x_token","b":["x_token",1]}"#;
            assert_eq!(covered(&message), (expected.to_owned(), 2), "{text}");
        }
    }

    #[test]
    fn other_texts_stay() {
        let filler = "f".repeat(60);
        for text in [
            // Nobody cut so early.
            "LongTok…".to_owned(),
            format!("{filler}Lon…"),
            format!("{filler}LongTok …"),
            format!("{filler}…wxyz"),
            format!("{filler}LongTok_01..."),
            "LongTok_01\\\"... is no JSON".to_owned(),
        ] {
            let message = format!(r#"{{"a":"{text}"}}"#);
            assert_eq!(covered(&message), (message.clone(), 0));
        }
        let name = format!(r#"{{"{filler}LongTok…":1, "…":"}}"#);
        assert_eq!(covered(&name), (name.clone(), 0));
    }
}
