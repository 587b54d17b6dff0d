//! Chains of decoders: which readings exist, how they are ordered and named.

use super::Form;

/// A decoder, in the order in which readings are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decoder {
    /// JSON string escapes.
    Json,
    /// Percent-encoding.
    Percent,
    /// Percent-encoding with `+` as space; on the root of forms and queries only.
    FormPercent,
    /// HTML character references.
    Html,
    /// base64; the number is how many characters of a run are dropped first (0 to 3).
    Base64(u8),
    /// Hex; the number is how many digits of a run are dropped first (0 or 1).
    Hex(u8),
}

impl Decoder {
    /// Whether it wraps whole runs, and so needs an entry in `Sym::wraps`.
    pub fn is_layer(self) -> bool {
        matches!(self, Self::Base64(_) | Self::Hex(_))
    }

    pub fn is_base64(self) -> bool {
        matches!(self, Self::Base64(_))
    }

    fn is_percent(self) -> bool {
        matches!(self, Self::Percent | Self::FormPercent)
    }
}

/// Steps of a chain (DESIGN 5.1).
const STEPS: usize = 3;
/// Repeats of JSON escaping that count as one step.
const JSON_REPEATS: usize = 6;
/// Repeats of percent-encoding that count as one step.
const PERCENT_REPEATS: usize = 2;
/// Decoders in the longest chain: six levels of JSON, percent twice, six levels of JSON.
const LONGEST: usize = 2 * JSON_REPEATS + PERCENT_REPEATS;

/// The decoders that lead from the root text to a reading, outermost first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    len: u8,
    decoders: [Decoder; LONGEST],
}

impl Chain {
    /// The root text itself.
    pub const ROOT: Self = Self {
        len: 0,
        decoders: [Decoder::Json; LONGEST],
    };

    pub fn decoders(&self) -> &[Decoder] {
        &self.decoders[..usize::from(self.len)]
    }

    /// The chain with one more decoder, or `None` if that is not a reading.
    pub fn then(&self, next: Decoder) -> Option<Self> {
        let so_far = self.decoders();
        if next == Decoder::FormPercent && !so_far.is_empty() {
            return None;
        }
        let repeats =
            |same: fn(Decoder) -> bool| so_far.iter().rev().take_while(|d| same(**d)).count();
        let (repeat, most) = match next {
            Decoder::Json => (repeats(|d| d == Decoder::Json), JSON_REPEATS),
            Decoder::Percent | Decoder::FormPercent => {
                (repeats(Decoder::is_percent), PERCENT_REPEATS)
            }
            _ => (0, 1),
        };
        if repeat >= most || (repeat == 0 && self.steps() == STEPS) {
            return None;
        }
        let mut chain = *self;
        chain.decoders[so_far.len()] = next;
        chain.len += 1;
        Some(chain)
    }

    fn steps(&self) -> usize {
        let mut steps = 0;
        let mut last = None;
        for decoder in self.decoders() {
            let group = match decoder {
                Decoder::Json => Some(0),
                d if d.is_percent() => Some(1),
                _ => None,
            };
            if group.is_none() || group != last {
                steps += 1;
            }
            last = group;
        }
        steps
    }

    /// base64 and hex layers.
    pub fn layers(&self) -> usize {
        self.decoders().iter().filter(|d| d.is_layer()).count()
    }

    /// The chain up to and including its base64 decoder, if it has exactly one.
    pub fn until_base64(&self) -> Option<&[Decoder]> {
        let all = self.decoders();
        let mut at = all
            .iter()
            .enumerate()
            .filter(|(_, d)| d.is_base64())
            .map(|(i, _)| i);
        match (at.next(), at.next()) {
            (Some(i), None) => Some(&all[..=i]),
            _ => None,
        }
    }

    /// Whether its first decoder is JSON's.
    pub fn begins_with_json(&self) -> bool {
        self.decoders().first() == Some(&Decoder::Json)
    }

    /// For the root, the chain of JSON's decoder alone.
    pub fn with_json_first(&self) -> Self {
        if self.len == 0 {
            self.then(Decoder::Json).unwrap_or(*self)
        } else {
            *self
        }
    }

    /// Whether this is the root or one level of JSON escapes on it: the true text of a JSON string.
    pub fn is_json_text(&self) -> bool {
        matches!(self.decoders(), [] | [Decoder::Json])
    }

    /// How it is named in hits.
    pub fn form(&self) -> Form {
        match self.decoders() {
            [] => Form::Plain,
            all if all.iter().all(|d| *d == Decoder::Json) => Form::Json,
            all if all.iter().all(|d| d.is_percent()) => Form::Percent,
            all if all.iter().all(|d| *d == Decoder::Html) => Form::Html,
            [Decoder::Base64(_)] => Form::Base64,
            [Decoder::Hex(_)] => Form::Hex,
            _ => Form::Chain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Decoder as D};

    const J: D = D::Json;

    fn is_reading(decoders: &[D]) -> bool {
        let mut chain = Some(Chain::ROOT);
        for d in decoders {
            chain = chain.and_then(|c| c.then(*d));
        }
        chain.is_some()
    }

    #[test]
    fn p1_chains_hold_three_steps_and_the_repeats_that_count_as_one() {
        for yes in [
            &[D::Json; 6][..],
            &[D::Percent, D::Percent],
            &[D::FormPercent, D::Percent],
            &[D::Html, D::Html, D::Html],
            &[D::Json, D::Json, D::Base64(1), D::Json, D::Json],
            &[D::Percent, D::Percent, D::Json, D::Percent, D::Percent],
            &[J, J, J, J, J, J, D::Percent, D::Percent, J, J, J, J, J, J],
        ] {
            assert!(is_reading(yes), "{yes:?}");
        }
        for no in [
            &[D::Json; 7][..],
            &[D::Percent; 3],
            &[D::FormPercent, D::Percent, D::Percent],
            &[D::Json, D::FormPercent],
            &[D::Html; 4],
            &[D::Json, D::Base64(0), D::Json, D::Hex(0)],
        ] {
            assert!(!is_reading(no), "{no:?}");
        }
    }
}
