//! The beginnings and ends of values, for texts that somebody cut: `sk-live-0123…`, `…4567`.
//!
//! The masker finds whole values only, and where a text was cut on purpose the rest of a value would show. Letter case counts for
//! nothing here: too much is right.
//!
//! Invariants: no more than a search in a sorted list for each byte beside a cut; values are in zeroizing memory.

use std::collections::HashSet;

use zeroize::Zeroizing;

/// The least part of a value that counts, in bytes.
const LEAST: usize = 4;

/// What values begin with, and what they end with.
#[derive(Default)]
pub(super) struct Edges {
    starts: Side,
    /// Backwards.
    ends: Side,
    longest: usize,
}

/// Texts in order, each with the value that it is of.
#[derive(Default)]
struct Side {
    texts: Vec<(Zeroizing<Vec<u8>>, usize)>,
    firsts: HashSet<[u8; LEAST]>,
}

impl Edges {
    /// Of those texts, each with the number of its value.
    pub(super) fn of(each: impl FnOnce(&mut dyn FnMut(&[u8], usize))) -> Self {
        let mut edges = Self::default();
        each(&mut |text, value| {
            // What is not longer has no part that counts.
            if text.len() > LEAST {
                let text = Zeroizing::new(text.to_ascii_lowercase());
                let back = Zeroizing::new(text.iter().rev().copied().collect::<Vec<u8>>());
                edges.longest = edges.longest.max(text.len());
                edges.starts.texts.push((text, value));
                edges.ends.texts.push((back, value));
            }
        });
        edges.starts.settle();
        edges.ends.settle();
        edges
    }

    /// The value of which a part stands beside a cut: its beginning right before one of `stops`, or its end right behind one of
    /// `resumes`. Both in order.
    pub(super) fn beside(&self, text: &[u8], stops: &[usize], resumes: &[usize]) -> Option<usize> {
        let mut before = 0;
        for &stop in stops {
            let from = before.max(stop.saturating_sub(self.longest));
            let window = Zeroizing::new(text.get(from..stop)?.to_ascii_lowercase());
            if let Some(value) = self.starts.value_at_end(&window) {
                return Some(value);
            }
            before = stop;
        }
        for (at, &resume) in resumes.iter().enumerate() {
            let next = resumes.get(at + 1).copied().unwrap_or(text.len());
            let to = next.min(resume.saturating_add(self.longest));
            let mut window = Zeroizing::new(text.get(resume..to)?.to_ascii_lowercase());
            window.reverse();
            if let Some(value) = self.ends.value_at_end(&window) {
                return Some(value);
            }
        }
        None
    }
}

impl Side {
    fn settle(&mut self) {
        self.texts
            .sort_unstable_by(|(a, x), (b, y)| a.as_slice().cmp(b.as_slice()).then(x.cmp(y)));
        self.firsts = self
            .texts
            .iter()
            .filter_map(|(text, _)| text.first_chunk().copied())
            .collect();
    }

    /// The value that goes on where this text ends.
    fn value_at_end(&self, text: &[u8]) -> Option<usize> {
        let last = text.len().checked_sub(LEAST)?;
        (0..=last).find_map(|from| {
            let part = &text[from..];
            if !self.firsts.contains(part.first_chunk::<LEAST>()?) {
                return None;
            }
            let at = self
                .texts
                .partition_point(|(known, _)| known.as_slice() <= part);
            let (known, value) = self.texts.get(at)?;
            known.starts_with(part).then_some(*value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges() -> Edges {
        Edges::of(|add| {
            add(b"sk-live-0123456789", 0);
            add(b"Hunt3r", 1);
            add(b"abcd", 2);
            add(b"sk-live", 3);
        })
    }

    #[test]
    fn beginnings_before_a_cut() {
        for (text, expected) in [
            ("key sk-live-01", Some(0)),
            ("sk-l", Some(3)),
            ("SK-LIVE-0", Some(0)),
            ("sk-live", Some(0)),
            ("sk-", None),
            ("sk-live-0x", None),
            ("hunt", Some(1)),
            ("hunt3r", None),
            ("abcd", None),
            ("", None),
        ] {
            assert_eq!(
                edges().beside(text.as_bytes(), &[text.len()], &[]),
                expected,
                "{text}"
            );
        }
        let text = b"sk-live-0 and hun hunt3";
        assert_eq!(edges().beside(text, &[17, 23], &[]), Some(1));
        assert_eq!(edges().beside(text, &[17], &[]), None);
        assert_eq!(edges().beside(text, &[9, 17], &[]), Some(0));
    }

    #[test]
    fn ends_behind_a_cut() {
        for (text, expected) in [
            ("23456789 key", Some(0)),
            ("56789", Some(0)),
            ("789", None),
            ("x56789", None),
            ("T3R!", None),
            ("nt3R!", Some(1)),
            ("hunt3r", None),
        ] {
            assert_eq!(
                edges().beside(text.as_bytes(), &[], &[0]),
                expected,
                "{text}"
            );
        }
        assert_eq!(edges().beside(b"ab unt3r", &[], &[0, 3]), Some(1));
    }
}
