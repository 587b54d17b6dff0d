//! What is written in place of values: the name, encoded for its place from the inside out.

use super::Syntax;
use super::chain::Decoder;
use super::found::Found;
use super::needle::Needles;
use super::symbol::Wrap;

/// The text that replaces a cluster of overlapping occurrences, of which the first counts.
pub(super) fn replacement(cluster: &[Found], syntax: Syntax, needles: &Needles) -> Vec<u8> {
    let first = &cluster[0];
    let end = cluster.iter().map(Found::end).max().unwrap_or(0);
    let decoders = first.chain.decoders();
    let text = if let Some((base, true)) = first.chain.until_base64() {
        let (text, last) = base64_pieces(cluster, base, end, needles);
        let outer = base.len() - 1;
        encode(text, &decoders[..outer], 0, last, end)
    } else {
        let name = needles.replacement(first.name).into();
        encode(name, decoders, 0, first, end)
    };
    let in_url = syntax.is_form() || syntax == Syntax::Path;
    let encoded = matches!(
        decoders.first(),
        Some(Decoder::Percent | Decoder::FormPercent)
    );
    if in_url && !encoded {
        percent(&text)
    } else {
        text
    }
}

/// Encodes `text`, which stands for `found` in a cluster that ends before `end`, by `decoders`, innermost (last) first, where
/// `outside` base64 and hex layers lie outside of them.
fn encode(
    mut text: Vec<u8>,
    decoders: &[Decoder],
    outside: usize,
    found: &Found,
    end: u64,
) -> Vec<u8> {
    let mut layer = outside + layers(decoders);
    for decoder in decoders.iter().rev() {
        layer -= usize::from(decoder.is_layer());
        text = match decoder {
            Decoder::Json => json(&text),
            Decoder::Percent | Decoder::FormPercent => percent(&text),
            Decoder::Html => html(&text),
            Decoder::QuotedPrintable => quoted_printable(&text),
            Decoder::Hex(_) => hex(&text, found.last.wraps[layer].variant),
            Decoder::Base64(_) => {
                let (first, last) = (&found.first.wraps[layer], &found.last.wraps[layer]);
                base64_groups(&text, first, last, right(found, layer, end))
            }
        };
    }
    text
}

fn layers(decoders: &[Decoder]) -> usize {
    decoders.iter().filter(|d| d.is_layer()).count()
}

/// The occurrences of a cluster that lie in the same base64 text, with what stands between them, as whole groups; and the
/// one that ends last.
fn base64_pieces<'a>(
    cluster: &'a [Found],
    base: &[Decoder],
    end: u64,
    needles: &Needles,
) -> (Vec<u8>, &'a Found) {
    let layer = layers(base) - 1;
    let run = cluster[0].first.wraps[layer].run;
    let same_text = |f: &&Found| {
        let same_chain = f.chain.until_base64().is_some_and(|(b, _)| b == base);
        same_chain && f.first.wraps[layer].run == run
    };
    let mut pieces: Vec<&Found> = cluster.iter().filter(same_text).collect();
    let ord = |f: &Found| (f.first.wraps[layer].ord.0, f.last.wraps[layer].ord.1);
    pieces.sort_by(|a, b| (ord(a).0.cmp(&ord(b).0)).then(ord(b).1.cmp(&ord(a).1)));
    let name = |f: &Found| {
        let inner = &f.chain.decoders()[base.len()..];
        encode(needles.replacement(f.name).into(), inner, layer + 1, f, end)
    };
    let from = pieces[0];
    let mut to = from;
    let mut text = name(from);
    for piece in &pieces[1..] {
        let (begins, ended) = (ord(piece).0, ord(to).1);
        if begins > ended {
            if begins / 3 != ended / 3 {
                break;
            }
            // They share a group: what lies between begins what remains of it after the first of them.
            let between = (begins - ended - 1) as usize;
            text.extend_from_slice(&to.last.wraps[layer].right()[..between]);
            text.extend_from_slice(&name(piece));
        }
        if ord(piece).1 > ord(to).1 {
            to = piece;
        }
    }
    let (first, last) = (&from.first.wraps[layer], &to.last.wraps[layer]);
    let text = base64_groups(&text, first, last, right(to, layer, end));
    (text, to)
}

/// What remains of the last group behind an occurrence: nothing if the cluster goes on to `end`, for then it may be another's.
fn right(found: &Found, layer: usize, end: u64) -> &[u8] {
    if found.end() < end {
        return &[];
    }
    found.last.wraps[layer].right()
}

/// RFC 8259 section 7.
fn json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// RFC 3986 section 2.3: all but the unreserved characters.
fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-' => out.push(*byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            _ => out.push(*byte),
        }
    }
    out
}

/// RFC 2045 section 6.7, in one line: a soft break is never needed where nobody counts.
fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'=' => out.extend_from_slice(b"=3D"),
            b' '..=b'~' => out.push(*byte),
            _ => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
        }
    }
    out
}

fn hex(text: &[u8], upper: bool) -> Vec<u8> {
    let digits: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let digit = |nibble: u8| digits[usize::from(nibble)];
    text.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// RFC 4648: `text` with what remains of the first group and, `right`, of the last, as whole groups, so that what follows keeps its
/// alignment. Spaces fill up after `text`, in UTF-16LE if that is what it ends in; a group cut short by the end of its run is cut
/// short again.
fn base64_groups(text: &[u8], first: &Wrap, last: &Wrap, right: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 6);
    bytes.extend_from_slice(first.left());
    bytes.extend_from_slice(text);
    if !last.partial {
        let missing = (3 - (bytes.len() + right.len()) % 3) % 3;
        // A NUL ends a character of UTF-16LE; half a character more would put what follows out of step.
        let (space, count): (&[u8], _) = match (bytes.last(), missing) {
            (Some(0), 1) => (b" \0", 2),
            (Some(0), 2) => (b" \0", 1),
            _ => (b" ", missing),
        };
        bytes.extend(space.repeat(count));
    }
    bytes.extend_from_slice(right);
    base64(&bytes, last.variant, last.padded)
}

fn base64(bytes: &[u8], url_safe: bool, padded: bool) -> Vec<u8> {
    const SHARED: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digit = |sextet: u32| match (sextet & 63, url_safe) {
        (62, true) => b'-',
        (63, true) => b'_',
        (62, false) => b'+',
        (63, false) => b'/',
        (n, _) => SHARED[n as usize],
    };
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            out.push(digit(bits >> (18 - 6 * at)));
        }
        if padded {
            out.resize(out.len() + 3 - group.len(), b'=');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{base64, hex, json, percent, quoted_printable};

    #[test]
    fn encodes_by_the_rfcs() {
        assert_eq!(base64(b"foobar", false, true), b"Zm9vYmFy");
        assert_eq!(base64(b"foob", false, true), b"Zm9vYg==");
        assert_eq!(base64(b"fooba", false, false), b"Zm9vYmE");
        assert_eq!(base64(&[0xfb, 0xff], true, false), b"-_8");
        assert_eq!(hex(b"\x0fz", true), b"0F7A");
        assert_eq!(json(b"a\"\\\n"), b"a\\\"\\\\\\u000a");
        assert_eq!(percent(b"{{a_b}}/%"), b"%7B%7Ba_b%7D%7D%2F%25");
        assert_eq!(quoted_printable(b"a_b =\n\xe9"), b"a_b =3D=0A=E9");
    }
}
