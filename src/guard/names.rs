//! Names that were judged clean, so that the few that all requests use are judged once.
//!
//! It holds names only, never values of headers, and only such as were found to hold nothing: what it says is what the
//! engine said. Of what clients send it keeps a bounded amount, and forgets nothing: a client that fills it with names of its
//! own makes judging as dear as it is without it, for the life of one snapshot.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// Names that are kept.
const MOST_NAMES: usize = 512;

/// Bytes of a name that is kept.
const LONGEST_NAME: usize = 64;

/// Bytes that there is room for at once in a joined text: what a request's headers usually take.
const JOINED: usize = 1024;

/// The names that are known to hold no value of one snapshot.
#[derive(Default)]
pub(super) struct CleanNames(RwLock<HashSet<Box<[u8]>>>);

impl CleanNames {
    /// Those of `names` that are not known.
    pub fn unknown<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
        // A set of which names are only added is right whatever happened to the thread that held the lock.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.filter(|name| !known.contains(*name)).collect()
    }

    /// Keeps names that were judged clean, as far as there is room.
    pub fn keep(&self, names: &[&[u8]]) {
        let full = |known: &HashSet<_>| known.len() >= MOST_NAMES;
        if full(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for name in names.iter().filter(|name| name.len() <= LONGEST_NAME) {
            if full(&known) {
                return;
            }
            known.insert(Box::from(*name));
        }
    }
}

/// The parts as one text, so that one pass over it tells whether any holds a value: most hold none.
///
/// They are set apart by NUL, at which every reading ends, and by more of it than a value's UTF-16 holds in a row, so that this
/// finds what a pass over each part alone finds.
pub fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = Vec::with_capacity(JOINED);
    for part in parts {
        text.extend_from_slice(&[0; 3]);
        text.extend_from_slice(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_so_many_short_names_and_no_more() {
        let names = CleanNames::default();
        let many: Vec<String> = (0..=MOST_NAMES).map(|n| format!("x-{n}")).collect();
        let many: Vec<&[u8]> = many.iter().map(String::as_bytes).collect();
        let long = [b'x'; LONGEST_NAME + 1];
        names.keep(&[&long]);
        assert_eq!(names.unknown([&long[..]].into_iter()), [&long[..]]);
        names.keep(&[&long[1..]]);
        assert!(names.unknown([&long[1..]].into_iter()).is_empty());
        names.keep(&many);
        // One place was taken, so that the last two found none.
        assert_eq!(names.unknown(many.iter().copied()), many[MOST_NAMES - 1..]);
        names.keep(&many);
        assert_eq!(names.unknown(many.iter().copied()), many[MOST_NAMES - 1..]);
    }
}
