//! Chains of decoders: which readings exist, how they are ordered and named.

use super::Form;

/// A decoder, in the order in which readings are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Decoder {
    /// JSON string escapes.
    Json,
    /// Percent-encoding.
    Percent,
    /// Percent-encoding with `+` as space; on the root of forms and queries only.
    FormPercent,
    /// HTML character references.
    Html,
    /// Quoted-printable.
    QuotedPrintable,
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

/// Steps of a chain.
pub(super) const STEPS: usize = 3;
/// Repeats of JSON escaping that count as one step.
const JSON_REPEATS: usize = 6;
/// Repeats of percent-encoding that count as one step.
const PERCENT_REPEATS: usize = 2;
/// Decoders in the longest chain: three steps of JSON.
const LONGEST: usize = STEPS * JSON_REPEATS;

/// The decoders that lead from the root text to a reading, outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Chain {
    len: u8,
    /// There is another of these decoders, which has read over a gap of the root: what the one finds is nothing to the other.
    pub anew: bool,
    decoders: [Decoder; LONGEST],
}

impl Chain {
    /// The root text itself.
    pub const ROOT: Self = Self {
        len: 0,
        anew: false,
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
        let mut chain = *self;
        *chain.decoders.get_mut(so_far.len())? = next;
        chain.len += 1;
        (chain.steps() <= STEPS).then_some(chain)
    }

    /// The chain without the layers that it ends in: of the text that holds the run.
    pub fn text(&self) -> Self {
        let layers = self.decoders().iter().rev().take_while(|d| d.is_layer());
        let kept = self.decoders().len() - layers.count();
        let mut chain = Self {
            anew: self.anew,
            ..Self::ROOT
        };
        for (slot, decoder) in chain.decoders.iter_mut().zip(&self.decoders()[..kept]) {
            *slot = *decoder;
            chain.len += 1;
        }
        chain
    }

    /// The chain with `to` in the place of `from`, if it is that and layers on it, and the other is a reading.
    pub fn with_beginning(&self, from: &Self, to: &Self) -> Option<Self> {
        let after = self.decoders().strip_prefix(from.decoders())?;
        let fits = self.anew == from.anew && after.iter().all(|decoder| decoder.is_layer());
        let mut chain = fits.then_some(*to)?;
        for decoder in after {
            chain = chain.then(*decoder)?;
        }
        Some(chain)
    }

    /// A row of JSON levels is a step for every six, a row of percent-encodings for every two, all else a step each. So a
    /// decoder that changes nothing can be left out of a chain, and what is left is a reading still.
    fn steps(&self) -> usize {
        let row = |a: &Decoder, b: &Decoder| {
            (a == b && *a == Decoder::Json) || (a.is_percent() && b.is_percent())
        };
        let steps = self.decoders().chunk_by(row).map(|row| match row[0] {
            Decoder::Json => row.len().div_ceil(JSON_REPEATS),
            d if d.is_percent() => row.len().div_ceil(PERCENT_REPEATS),
            _ => row.len(),
        });
        steps.sum()
    }

    /// base64 and hex layers.
    pub fn layers(&self) -> usize {
        self.decoders().iter().filter(|d| d.is_layer()).count()
    }

    /// The chain up to and including its first base64 decoder, if it has one; and whether it is the only one.
    pub fn until_base64(&self) -> Option<(&[Decoder], bool)> {
        let all = self.decoders();
        let first = all.iter().position(|d| d.is_base64())?;
        let only = !all[first + 1..].iter().any(|d| d.is_base64());
        Some((&all[..=first], only))
    }

    /// The index among the layers of the innermost base64 layer.
    pub fn innermost_base64(&self) -> Option<usize> {
        let layers = self.decoders().iter().filter(|d| d.is_layer());
        let base64 = layers.enumerate().filter(|(_, d)| d.is_base64());
        base64.last().map(|(layer, _)| layer)
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
            all if all.iter().all(|d| *d == Decoder::QuotedPrintable) => Form::QuotedPrintable,
            [Decoder::Base64(_)] => Form::Base64,
            [Decoder::Hex(_)] => Form::Hex,
            _ => Form::Chain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Decoder as D};

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
            &[D::Json, D::QuotedPrintable, D::Base64(0)],
            &[D::Json, D::Json, D::Base64(1), D::Json, D::Json],
            &[D::Percent, D::Percent, D::Json, D::Percent, D::Percent],
            &[D::Json; 18],
            &[D::Percent; 6],
            &[D::FormPercent, D::Percent, D::Percent],
        ] {
            assert!(is_reading(yes), "{yes:?}");
        }
        for no in [
            &[D::Json; 19][..],
            &[D::Percent; 7],
            &[D::Json, D::FormPercent],
            &[D::Html; 4],
            &[D::QuotedPrintable; 4],
            &[D::Json, D::Base64(0), D::Json, D::Hex(0)],
        ] {
            assert!(!is_reading(no), "{no:?}");
        }
    }
}
