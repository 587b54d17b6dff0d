//! Plain text, sixty-four bytes at a look: where in it something needs a closer one.
//!
//! A needle that stands there as it is holds a window of four bytes at one of every few places; which windows needles have is in a
//! table, so that most places are never asked. Where runs, escapes and line breaks stand is told by masks, a bit a byte, which
//! compilers make vectors of.

use zeroize::Zeroizing;

use super::begins::{Marks, WINDOW};

/// Bytes of a block: as many as a mask has bits.
pub(super) const BLOCK: usize = 64;
/// Most places from one window that is asked for to the next.
pub(super) const STRIDE: usize = 4;

/// The windows that needles have.
pub(super) struct Windows {
    marks: Marks,
    /// Set in both where the case of letters does not count.
    case: u32,
    /// Places from one window that is asked for to the next.
    stride: usize,
}

impl Windows {
    /// Of needles in folded case; `None` if one of them is too short.
    pub fn new(texts: &[Zeroizing<Vec<u8>>], any_case: bool) -> Option<Self> {
        let shortest = texts.iter().map(|text| text.len()).min()?;
        let stride = match shortest.checked_sub(WINDOW)? {
            0 => 1,
            1 | 2 => 2,
            _ => STRIDE,
        };
        let case = if any_case { 0x2020_2020 } else { 0 };
        let mut keys = Zeroizing::new(Vec::with_capacity(texts.len() * stride));
        for text in texts {
            let windows = text.windows(WINDOW).take(stride);
            keys.extend(windows.map(|window| key(window) | case));
        }
        Some(Self {
            marks: Marks::new(&keys),
            case,
            stride,
        })
    }

    /// Of the block of `text` at `base`, which four bytes more follow: the places of windows, as bits, that a needle has.
    pub fn of_block(&self, text: &[u8], base: usize) -> u64 {
        let mut places = 0;
        for at in (0..BLOCK).step_by(self.stride) {
            let window = &text[base + at..base + at + WINDOW];
            places |= u64::from(self.marks.has(key(window) | self.case)) << at;
        }
        places
    }

    /// The places where a needle could begin that has a window at `at`.
    pub fn places(&self, at: usize) -> std::ops::RangeInclusive<usize> {
        at.saturating_sub(self.stride - 1)..=at
    }
}

fn key(window: &[u8]) -> u32 {
    window
        .iter()
        .rfold(0, |key, byte| key << 8 | u32::from(*byte))
}

/// What the bytes of a block are, a bit a byte.
#[derive(Clone, Copy, Default)]
pub(super) struct Masks {
    /// base64 characters.
    pub run: u64,
    /// What some decoder takes for the beginning of an escape; but `+`.
    pub escapes: u64,
    /// Line breaks.
    pub breaks: u64,
}

impl Masks {
    pub fn of(block: &[u8; BLOCK]) -> Self {
        let run = |byte: u8| {
            let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
            let digit = byte.wrapping_sub(b'0') < 10;
            let sign = byte == b'+' || byte == b'-' || byte == b'/' || byte == b'_';
            letter || digit || sign
        };
        let escape = |byte: u8| byte == b'\\' || byte == b'%' || byte == b'&' || byte == b'=';
        let line_break = |byte: u8| byte == b'\n' || byte == b'\r';
        Self {
            run: mask(block, run),
            escapes: mask(block, escape),
            breaks: mask(block, line_break),
        }
    }
}

#[inline]
fn mask(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let bytes = block.map(|byte| u8::from(is(byte)));
    let (eights, _) = bytes.as_chunks::<8>();
    eights.iter().rfold(0, |mask, eight| {
        // The eight lowest bits, side by side.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask << 8 | bits
    })
}

/// Where rows of set bits reach the length `least`, or 64, if `before` are the bits before the first.
pub(super) fn rows(bits: u64, before: u64, least: usize) -> u64 {
    let least = least.min(64);
    let mut rows = u128::from(bits) << 64 | u128::from(before);
    let mut have = 1;
    while have < least {
        let more = have.min(least - have);
        rows &= rows << more;
        have += more;
    }
    (rows >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::symbol::class;
    use super::{BLOCK, Masks, rows};

    #[test]
    fn masks_say_what_the_classes_say() {
        for first in (0..256).step_by(BLOCK) {
            let byte = |at: usize| u8::try_from(first + at).expect("a byte");
            let masks = Masks::of(&std::array::from_fn(byte));
            for at in 0..BLOCK {
                let class = class::OF[first + at];
                let is = |mask: u64| mask >> at & 1 != 0;
                assert_eq!(is(masks.run), class & class::BASE64 != 0, "{}", byte(at));
                let escape = class & class::ESCAPE != 0 && byte(at) != b'+';
                assert_eq!(is(masks.escapes), escape, "{}", byte(at));
                assert_eq!(
                    is(masks.breaks),
                    class & class::LINE_BREAK != 0,
                    "{}",
                    byte(at)
                );
            }
        }
    }

    #[test]
    fn rows_go_over_the_edge_of_blocks() {
        assert_eq!(rows(0b1110_1111, 0, 4), 0b1000);
        assert_eq!(rows(0b11, 0b11 << 62, 4), 0b10);
        assert_eq!(rows(0b11, 0b1 << 62, 4), 0);
        assert_eq!(rows(u64::MAX, 0, 64), 1 << 63);
        assert_eq!(rows(u64::MAX, u64::MAX, 100), u64::MAX);
        assert_eq!(rows(0b101, 0, 1), 0b101);
    }
}
