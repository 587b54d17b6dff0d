//! Writes what replaces a cluster: the first match's replacement text, back through the decoders that it was read through.

use std::rc::Rc;

use bauta::mask::Syntax;

use super::Needles;
use super::decode::Decoder;
use super::find::Match;
use super::readings::Text;
use super::resolve::clusters;

/// What replaces `cluster`, whose first match comes first.
pub fn cluster(needles: &Needles, syntax: Syntax, cluster: &[Match]) -> Vec<u8> {
    let first = &cluster[0];
    let chain = &first.text.chain;
    let base64s = chain
        .iter()
        .filter(|decoder| matches!(decoder, Decoder::Base64(_)))
        .count();
    let mut output = if base64s == 1 {
        joined(needles, cluster)
    } else {
        let replacement = needles
            .replacement(needles.values[first.value].name)
            .to_vec();
        let end = end_of(cluster);
        up(replacement, &first.text, (first.from, first.to), None, end).0
    };
    let is_percent_already = matches!(chain.first(), Some(Decoder::Percent | Decoder::Query));
    if matches!(syntax, Syntax::Form | Syntax::Query | Syntax::Path) && !is_percent_already {
        output = percent(&output);
    }
    output
}

/// As one edit in the base64 text of the first match: all matches of the cluster that lie in that text, and what is between them.
fn joined(needles: &Needles, cluster: &[Match]) -> Vec<u8> {
    let base64 = ancestors(&cluster[0].text)
        .find(|text| matches!(text.chain.last(), Some(Decoder::Base64(_))));
    let end = end_of(cluster);
    let base64 = base64.expect("the caller has seen a base64 decoder in the chain");
    let lies_in_it = |found: &&Match| ancestors(&found.text).any(|text| Rc::ptr_eq(&text, &base64));
    let in_text = cluster.iter().filter(lies_in_it).cloned().collect();
    // Only what hangs together in this text: between others, parts of the matches that joined them might stand.
    let mut members = clusters(in_text, |found| (found.start, found.end)).swap_remove(0);
    let span = |found: &Match| {
        up(
            Vec::new(),
            &found.text,
            (found.from, found.to),
            Some(&base64),
            end,
        )
        .1
    };
    members.sort_by(|one, other| {
        let key = |found: &Match| {
            (
                span(found).0,
                usize::MAX - span(found).1,
                found.text.chain.len(),
            )
        };
        key(one)
            .cmp(&key(other))
            .then_with(|| one.text.chain.cmp(&other.text.chain))
            .then_with(|| one.value.cmp(&other.value))
    });
    let mut output = Vec::new();
    let mut whole: Option<(usize, usize)> = None;
    for group in clusters(members, span) {
        let first = &group[0];
        let from = span(first).0;
        if let Some((_, before)) = whole {
            output.extend(
                base64.symbols[before..from]
                    .iter()
                    .filter_map(|symbol| symbol.byte),
            );
        }
        let replacement = needles
            .replacement(needles.values[first.value].name)
            .to_vec();
        output.extend(
            up(
                replacement,
                &first.text,
                (first.from, first.to),
                Some(&base64),
                end,
            )
            .0,
        );
        let to = group
            .iter()
            .map(|found| span(found).1)
            .max()
            .unwrap_or(from);
        whole = Some((whole.map_or(from, |(from, _)| from), to));
    }
    up(
        output,
        &base64,
        whole.expect("the first match is a member"),
        None,
        end,
    )
    .0
}

/// Where the root bytes of a cluster end.
fn end_of(cluster: &[Match]) -> usize {
    cluster.iter().map(|found| found.end).max().unwrap_or(0)
}

/// A text and all that it came from, innermost first.
pub fn ancestors(text: &Rc<Text>) -> impl Iterator<Item = Rc<Text>> {
    std::iter::successors(Some(Rc::clone(text)), |text| text.parent.clone())
}

/// Takes `content`, which replaces the symbols `span` of `text`, up to the text `until` (the root if `None`): what it is there, and
/// which symbols there it replaces. `end` is where the root bytes of the cluster end that it belongs to.
fn up(
    content: Vec<u8>,
    text: &Rc<Text>,
    span: (usize, usize),
    until: Option<&Rc<Text>>,
    end: usize,
) -> (Vec<u8>, (usize, usize)) {
    let (Some(parent), Some(decoder)) = (&text.parent, text.chain.last()) else {
        return (content, span);
    };
    if until.is_some_and(|until| Rc::ptr_eq(until, text)) {
        return (content, span);
    }
    let (from, to) = span;
    let outside = (text.symbols[from].from, text.symbols[to - 1].to);
    let run_so_far = |to: usize| {
        parent.symbols[text.run_start..to]
            .iter()
            .filter_map(|symbol| symbol.byte)
    };
    let encoded = match decoder {
        Decoder::Json => json(&content),
        Decoder::Percent | Decoder::Query => percent(&content),
        Decoder::Html => html(&content),
        Decoder::QuotedPrintable => quoted_printable(&content),
        Decoder::Hex(_) => {
            let mut run = run_so_far(outside.1);
            let upper = run.clone().any(|byte| byte.is_ascii_uppercase())
                && !run.any(|byte| byte.is_ascii_lowercase());
            hex(&content, upper)
        }
        Decoder::Base64(_) => {
            let url_safe = run_so_far(outside.1).any(|byte| matches!(byte, b'-' | b'_'));
            let goes_on = text.symbols[to - 1].end < end;
            base64_groups(content, text, span, url_safe, goes_on)
        }
    };
    up(encoded, parent, outside, until, end)
}

/// The groups that cover `span`, with `content` in its place. If the cluster `goes_on`, the rest of the last may be another match's,
/// and is left out.
fn base64_groups(
    content: Vec<u8>,
    text: &Text,
    (from, to): (usize, usize),
    url_safe: bool,
    goes_on: bool,
) -> Vec<u8> {
    let bytes: Vec<u8> = text
        .symbols
        .iter()
        .filter_map(|symbol| symbol.byte)
        .collect();
    let first_group = from - from % 3;
    let full_end = to.div_ceil(3) * 3;
    let ends_partial = full_end > bytes.len();
    let mut whole = bytes[first_group..from].to_vec();
    whole.extend(content);
    let rest = if goes_on {
        &[]
    } else {
        &bytes[to..full_end.min(bytes.len())]
    };
    if !ends_partial {
        // UTF-16LE ends in NUL here.
        let space: &[u8] = if whole.ends_with(b"\0") { b" \0" } else { b" " };
        while !(whole.len() + rest.len()).is_multiple_of(3) {
            whole.extend(space);
        }
    }
    whole.extend(rest);
    base64(&whole, url_safe, ends_partial && text.padded)
}

/// Encodes `bytes`.
pub fn base64(bytes: &[u8], url_safe: bool, pad: bool) -> Vec<u8> {
    let last: &[u8; 2] = if url_safe { b"-_" } else { b"+/" };
    let alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*last)
        .collect();
    let mut output = Vec::new();
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0, |number, &byte| number << 8 | usize::from(byte));
        output.extend((0..=group.len()).map(|digit| alphabet[number >> (18 - 6 * digit) & 63]));
        if pad {
            output.extend(std::iter::repeat_n(b'=', 3 - group.len()));
        }
    }
    output
}

fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    let pair = |byte: &u8| {
        if upper {
            format!("{byte:02X}")
        } else {
            format!("{byte:02x}")
        }
    };
    bytes.iter().map(pair).collect::<String>().into_bytes()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"._~-".contains(&byte) {
            output.push(byte);
        } else {
            output.extend(format!("%{byte:02X}").bytes());
        }
    }
    output
}

fn html(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for byte in bytes {
        match byte {
            b'&' => output.extend(b"&amp;"),
            b'<' => output.extend(b"&lt;"),
            b'>' => output.extend(b"&gt;"),
            b'"' => output.extend(b"&quot;"),
            b'\'' => output.extend(b"&#39;"),
            _ => output.push(*byte),
        }
    }
    output
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for &byte in bytes {
        match byte {
            b' '..=b'<' | b'>'..=b'~' => output.push(byte),
            _ => output.extend(format!("={byte:02X}").bytes()),
        }
    }
    output
}

fn json(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => output.extend([b'\\', byte]),
            0..0x20 => output.extend(format!("\\u{byte:04x}").bytes()),
            _ => output.push(byte),
        }
    }
    output
}
