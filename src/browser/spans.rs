//! Where values stand in a text, without a value leaving the guard: what the masker hands back untouched are slices of the
//! text's own memory, so what lies between them was replaced.

use std::ops::Range;

use bytes::Bytes;

use crate::guard::{Counts, Refusal, Snapshot, Syntax};

/// The parts of the text in which values stand, in order. What was found is added to `counts`.
///
/// # Errors
/// The text cannot be read in full within the engine's limits.
pub(super) fn spans(
    snapshot: &Snapshot,
    text: &Bytes,
    counts: &mut Counts,
) -> Result<Vec<Range<usize>>, Refusal> {
    let mut stream = snapshot.stream(Syntax::Text);
    let mut out = Vec::new();
    stream.push(text.clone(), &mut out)?;
    stream.finish(&mut out)?;
    for (&(id, form), &count) in stream.hits() {
        if let Some(owners) = snapshot.owners(id) {
            counts.add(owners, form, count);
        }
    }
    let from = text.as_ptr() as usize;
    let untouched = out.iter().filter_map(|piece| {
        let start = (piece.as_ptr() as usize).checked_sub(from)?;
        let end = start + piece.len();
        (!piece.is_empty() && end <= text.len()).then_some(start..end)
    });
    let mut spans = Vec::new();
    let mut at = 0;
    for Range { start, end } in untouched {
        if start > at {
            spans.push(at..start);
        }
        at = end;
    }
    if at < text.len() {
        spans.push(at..text.len());
    }
    Ok(spans)
}
