//! From matches to output: clusters of overlapping matches, each replaced as a whole under its first match.

use bauta::mask::{Form, Hits, NameId, Refusal, Signed, Syntax};

use super::Needles;
use super::decode::Decoder;
use super::find::Match;
use super::json::Document;
use super::{render, signed};

/// Root bytes that are replaced, and by what.
struct Edit {
    start: usize,
    end: usize,
    text: Vec<u8>,
}

/// Resolves `matches`: the output and the hits, or why there are none.
pub fn resolve(
    needles: &Needles,
    text: &[u8],
    syntax: Syntax,
    signed: Signed,
    document: Option<&Document>,
    mut matches: Vec<Match>,
) -> Result<(Vec<u8>, Hits), Refusal> {
    matches.sort_by(|one, other| {
        let key = |found: &Match| (found.start, usize::MAX - found.end, found.text.chain.len());
        key(one)
            .cmp(&key(other))
            .then_with(|| one.text.chain.cmp(&other.text.chain))
            .then_with(|| one.value.cmp(&other.value))
    });
    let matches = without_soft_padding(matches);
    let mut clusters = clusters(matches, |found| (found.start, found.end));
    if signed != Signed::Mask {
        let blocks = document.map_or_else(Vec::new, |document| signed::blocks(document, text));
        let known = |cluster: &Vec<Match>| signed::known(&blocks, span(cluster));
        if signed == Signed::Refuse {
            // The one of which it is known first; the leftmost of those.
            let refused = clusters.iter().filter(|cluster| known(cluster).is_some());
            if let Some(first) = refused.min_by_key(|cluster| (known(cluster), span(cluster).0)) {
                return Err(Refusal::Signed(needles.values[first[0].value].name));
            }
        }
        clusters.retain(|cluster| known(cluster).is_none());
    }
    let mut hits = Hits::new();
    let mut edits = Vec::new();
    for cluster in clusters {
        let mut named: Vec<NameId> = Vec::new();
        for found in &cluster {
            let name = needles.values[found.value].name;
            if !named.contains(&name) {
                named.push(name);
                *hits.entry((name, form(&found.text.chain))).or_default() += 1;
            }
        }
        let (start, end) = span(&cluster);
        edits.push(Edit {
            start,
            end,
            text: render::cluster(needles, syntax, &cluster),
        });
    }
    let quoted = quoted_tokens(document, &edits);
    Ok((apply(text, &edits, &quoted), hits))
}

/// Without the matches of a value that ends at base64's padding, if another reading takes that for a soft line break and so goes
/// on in the next line: one that starts there as well, is read through more decoders and ends later, in no padding.
fn without_soft_padding(matches: Vec<Match>) -> Vec<Match> {
    let is_padded = |found: &Match| {
        render::ancestors(&found.text).any(|text| {
            let last = text.symbols.last();
            text.padded && last.is_some_and(|last| last.end == found.end)
        })
    };
    let padded: Vec<Match> = matches
        .iter()
        .filter(|found| is_padded(found))
        .cloned()
        .collect();
    let goes_on = |found: &Match| {
        let same = |other: &&Match| (other.value, other.start) == (found.value, found.start);
        let least = padded
            .iter()
            .filter(same)
            .map(|other| (other.text.chain.len(), other.end))
            .min();
        least.is_some_and(|(decoders, end)| decoders < found.text.chain.len() && end < found.end)
    };
    matches
        .into_iter()
        .filter(|found| is_padded(found) || !goes_on(found))
        .collect()
}

/// The root bytes of a cluster, whose first match comes first.
fn span(cluster: &[Match]) -> (usize, usize) {
    let start = cluster[0].start;
    (
        start,
        cluster.iter().map(|found| found.end).max().unwrap_or(start),
    )
}

/// Groups `matches`, which are sorted by where they start, by transitive overlap.
pub fn clusters(matches: Vec<Match>, span: impl Fn(&Match) -> (usize, usize)) -> Vec<Vec<Match>> {
    let mut clusters: Vec<Vec<Match>> = Vec::new();
    let mut reach = 0;
    for found in matches {
        let (start, end) = span(&found);
        match clusters.last_mut() {
            Some(cluster) if start < reach => cluster.push(found),
            _ => clusters.push(vec![found]),
        }
        reach = reach.max(end);
    }
    clusters
}

fn form(chain: &[Decoder]) -> Form {
    let all = |class: fn(&Decoder) -> bool| chain.iter().all(class);
    match chain {
        [] => Form::Plain,
        [Decoder::Base64(_)] => Form::Base64,
        [Decoder::Hex(_)] => Form::Hex,
        _ if all(|decoder| matches!(decoder, Decoder::Json)) => Form::Json,
        _ if all(|decoder| matches!(decoder, Decoder::Percent | Decoder::Query)) => Form::Percent,
        _ if all(|decoder| matches!(decoder, Decoder::Html)) => Form::Html,
        _ if all(|decoder| matches!(decoder, Decoder::QuotedPrintable)) => Form::QuotedPrintable,
        _ => Form::Chain,
    }
}

/// The bare tokens that become strings: those that hold an edit, and are touched by none that they do not hold.
fn quoted_tokens(document: Option<&Document>, edits: &[Edit]) -> Vec<(usize, usize)> {
    let tokens = document
        .map(|document| document.tokens.clone())
        .unwrap_or_default();
    let quoted = |&(start, end): &(usize, usize)| {
        let mut touching = edits
            .iter()
            .filter(|edit| edit.start < end && start < edit.end)
            .peekable();
        touching.peek().is_some() && touching.all(|edit| start <= edit.start && edit.end <= end)
    };
    tokens.into_iter().filter(quoted).collect()
}

fn apply(text: &[u8], edits: &[Edit], quoted: &[(usize, usize)]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut at = 0;
    loop {
        if quoted.iter().any(|&(start, end)| start == at || end == at) {
            output.push(b'"');
        }
        if let Some(edit) = edits.iter().find(|edit| edit.start == at) {
            output.extend(&edit.text);
            at = edit.end;
        } else if let Some(&byte) = text.get(at) {
            output.push(byte);
            at += 1;
        } else {
            return output;
        }
    }
}
