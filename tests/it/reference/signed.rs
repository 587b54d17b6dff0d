//! The blocks that a provider signs: objects with the members `thinking` and `signature`, which it checks when they come back.

use super::exempt::is_member;
use super::json::{Document, JsonString};

/// A signed object.
pub struct Block {
    /// Where it is known to be one: the end of the string that was missing.
    known: usize,
    /// What must not change: the contents of its strings of these names.
    strings: Vec<(usize, usize)>,
}

/// The signed objects of a text.
pub fn blocks(document: &Document, text: &[u8]) -> Vec<Block> {
    let mut objects: Vec<usize> = document
        .strings
        .iter()
        .filter_map(|string| Some(string.member?.object))
        .collect();
    objects.dedup();
    objects
        .into_iter()
        .filter_map(|object| {
            let members = |key: &'static [u8]| {
                document.strings.iter().filter(move |string| {
                    string.member.is_some_and(|member| member.object == object)
                        && is_member(string, text, &[key])
                })
            };
            let end = |string: &JsonString| string.closed.then_some(string.end);
            let thinking = members(b"thinking").find_map(end)?;
            let signature = members(b"signature")
                .filter(|string| string.start < string.end)
                .find_map(end)?;
            Some(Block {
                known: thinking.max(signature),
                strings: members(b"thinking")
                    .chain(members(b"signature"))
                    .map(|string| (string.start, string.end))
                    .collect(),
            })
        })
        .collect()
}

/// Where it is known at the earliest that the root bytes `start..end` are signed; `None` if they are not.
pub fn known(blocks: &[Block], (start, end): (usize, usize)) -> Option<usize> {
    // Of an empty string, that it stands within.
    let touches = |&(first, last): &(usize, usize)| first < end && start < last;
    blocks
        .iter()
        .filter(|block| block.strings.iter().any(touches))
        .map(|block| block.known.max(end))
        .min()
}
