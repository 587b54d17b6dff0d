//! Lines of text in accessibility trees: a value that is wrapped stands in one node of text as a whole, and in pieces in those of
//! its lines (`InlineTextBox`).
//!
//! Where a message shows a value, or its lines joined do, their names are left out. What they say is in the text above them.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::guard::{Hits, Snapshot, Syntax};

/// The role, as Chromium writes it, and what begins the members that are looked for.
const ROLE: &[u8] = br#""role":{"#;
const LINE: &[u8] = br#""value":"InlineTextBox""#;
const NAME: &[u8] = br#""name":{"#;
const VALUE: &[u8] = br#""value":""#;

/// The message without the names of lines, where they may tell a value. `hits`: what was masked in it.
pub(super) fn blank(snapshot: &Snapshot, message: Bytes, hits: &Hits) -> Bytes {
    if memmem::find(&message, LINE).is_none() {
        return message;
    }
    let names = names(&message);
    if hits.is_empty() && !tell(snapshot, &message, &names) {
        return message;
    }
    let mut out = Vec::with_capacity(message.len());
    let mut copied = 0;
    for name in names {
        out.extend_from_slice(&message[copied..name.start]);
        copied = name.end;
    }
    out.extend_from_slice(&message[copied..]);
    out.into()
}

/// What stands between the quotes of the lines' names. A text of the page holds no bare quote, so that none can look like these.
fn names(message: &[u8]) -> Vec<Range<usize>> {
    let mut names = Vec::new();
    for line in memmem::find_iter(message, LINE) {
        let before = &message[..line];
        let role = memmem::rfind(&before[line.saturating_sub(128)..], ROLE);
        if role.is_none() {
            continue;
        }
        let from = line + LINE.len();
        let to = memmem::find(&message[from..], ROLE).map_or(message.len(), |at| from + at);
        let node = &message[from..to];
        let Some(name) = memmem::find(node, NAME) else {
            continue;
        };
        let Some(value) = memmem::find(&node[name..], VALUE) else {
            continue;
        };
        let start = from + name + value + VALUE.len();
        let mut end = start;
        while let Some(at) = memchr::memchr2(b'"', b'\\', &message[end.min(message.len())..]) {
            end += at;
            if message[end] == b'"' {
                names.push(start..end);
                break;
            }
            end += 2;
        }
    }
    names
}

/// Whether the lines hold a value together.
fn tell(snapshot: &Snapshot, message: &[u8], names: &[Range<usize>]) -> bool {
    let mut text = Vec::with_capacity(message.len() / 8);
    for glue in [&b""[..], b" "] {
        text.push(b'"');
        for name in names {
            text.extend_from_slice(&message[name.clone()]);
            text.extend_from_slice(glue);
        }
        text.extend_from_slice(b"\"\n");
    }
    // What cannot be read tells.
    !matches!(snapshot.mask(&text, Syntax::Text), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Form;
    use crate::guard::NameId;
    use crate::guard::of_submission;

    fn snapshot() -> Snapshot {
        of_submission(br#"{"https://example.com": {"x_sp": "correct horse \"battery\" staple"}}"#)
    }

    fn node(role: &str, name: &str) -> String {
        format!(
            r#"{{"nodeId":"1","ignored":false,"role":{{"type":"internalRole","value":"{role}"}},"chromeRole":{{"type":"internalRole","value":100}},"name":{{"type":"computedString","value":"{name}","sources":[]}},"properties":[],"childIds":[]}}"#
        )
    }

    fn tree(lines: &[&str]) -> String {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| node("InlineTextBox", line))
            .collect();
        format!(
            r#"{{"id":1,"result":{{"nodes":[{},{}]}}}}"#,
            node("StaticText", "x \\\"role\\\":{"),
            lines.join(",")
        )
    }

    fn blanked(message: &str, hits: &Hits) -> String {
        String::from_utf8(blank(&snapshot(), Bytes::from(message.to_owned()), hits).to_vec())
            .unwrap()
    }

    #[test]
    fn lines_that_tell_a_value_are_blank() {
        let none = Hits::new();
        let telling = tree(&["correct ", "horse ", "\\\"battery\\\" ", "staple"]);
        assert_eq!(blanked(&telling, &none), tree(&[""; 4]));
        assert_eq!(
            blanked(&tree(&["correct horse", "\\\"battery\\\" staple"]), &none),
            tree(&[""; 2])
        );
        let other = tree(&["correct ", "horse ", "battery"]);
        assert_eq!(blanked(&other, &none), other);
        let mut hits = Hits::new();
        hits.insert((NameId(0), Form::Plain), 1);
        assert_eq!(blanked(&other, &hits), tree(&[""; 3]));
        let text = r#"{"id":1,"result":{"value":"InlineTextBox","name":{"value":"a"}}}"#;
        assert_eq!(blanked(text, &hits), text);
    }
}
