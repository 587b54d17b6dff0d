//! How needles begin, so that of most places in a text one look says that none does.

use zeroize::Zeroizing;

/// The first two bytes of all needles, a bit a pair.
pub(super) struct Begins {
    pairs: Box<[u64; 1024]>,
}

impl Begins {
    pub fn new(texts: &[Zeroizing<Vec<u8>>], fold: [u8; 256]) -> Self {
        let mut folded = Box::new([0; 1024]);
        let mut add = |first: u8, second: u8| {
            let (word, bit) = Self::slot(first, second);
            folded[word] |= bit;
        };
        for text in texts {
            match text.as_slice() {
                [first, second, ..] => add(*first, *second),
                [first] => (0..=u8::MAX).for_each(|second| add(*first, second)),
                [] => {}
            }
        }
        let folded = Self { pairs: folded };
        let mut pairs = Box::new([0; 1024]);
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                if folded.bytes(fold[usize::from(first)], fold[usize::from(second)]) {
                    let (word, bit) = Self::slot(first, second);
                    pairs[word] |= bit;
                }
            }
        }
        Self { pairs }
    }

    #[inline]
    fn slot(first: u8, second: u8) -> (usize, u64) {
        let pair = usize::from(first) << 8 | usize::from(second);
        (pair / 64, 1 << (pair % 64))
    }

    /// Whether a needle begins with these bytes.
    #[inline]
    pub fn bytes(&self, first: u8, second: u8) -> bool {
        let (word, bit) = Self::slot(first, second);
        self.pairs[word] & bit != 0
    }

    /// Whether a needle begins with this byte.
    pub fn byte(&self, first: u8) -> bool {
        let from = usize::from(first) * 4;
        self.pairs[from..from + 4].iter().any(|word| *word != 0)
    }

    /// Whether a needle could begin at `text[at]`, as far as two bytes tell.
    #[inline]
    pub fn pair(&self, text: &[u8], at: usize) -> bool {
        match text.get(at + 1) {
            Some(next) => self.bytes(text[at], *next),
            None => self.byte(text[at]),
        }
    }
}

/// Tells of most places in a text that no needle begins there, at the price of one load: the needles' first bytes.
pub(super) struct Filter {
    marks: Marks,
    /// Bytes of a window: four, or as many as the shortest needle has.
    window: usize,
    mask: u32,
    fold: [u8; 256],
}

/// Bytes of a window; no needle that is shorter has a whole one.
pub(super) const WINDOW: usize = 4;

impl Filter {
    pub fn new(texts: &[Zeroizing<Vec<u8>>], fold: [u8; 256]) -> Self {
        let shortest = texts.iter().map(|text| text.len()).min().unwrap_or(WINDOW);
        let window = shortest.min(WINDOW);
        let first = |text: &Zeroizing<Vec<u8>>| {
            let mut first = [0; WINDOW];
            first[..window].copy_from_slice(&text[..window]);
            u32::from_le_bytes(first)
        };
        let keys: Zeroizing<Vec<u32>> = Zeroizing::new(texts.iter().map(first).collect());
        Self {
            marks: Marks::new(&keys),
            window,
            mask: u32::MAX >> (8 * (WINDOW - window)),
            fold,
        }
    }

    /// Bytes that decide.
    pub fn window(&self) -> usize {
        self.window
    }

    /// False if no needle begins with the first bytes of `next`, or `next` is too short to tell.
    #[inline]
    pub fn begins(&self, next: &[u8]) -> bool {
        let mut first = [0; WINDOW];
        match next.first_chunk() {
            Some(chunk) => first = *chunk,
            None if next.len() < self.window => return false,
            None => first[..next.len()].copy_from_slice(next),
        }
        let first = first.map(|byte| self.fold[usize::from(byte)]);
        self.marks.has(u32::from_le_bytes(first) & self.mask)
    }
}

/// A set that may hold more than was put in: a bit for the hash of every key, and no keys.
pub(super) struct Marks {
    bits: Vec<u64>,
    /// Hashes keep their upper bits.
    shift: u32,
}

/// Bits for every key; and at least and at most so many, as powers of two.
const BITS_PER_KEY: usize = 64;
const LEAST_BITS: u32 = 15;
const MOST_BITS: u32 = 21;

impl Marks {
    pub fn new(keys: &[u32]) -> Self {
        let wanted = (keys.len() * BITS_PER_KEY)
            .next_power_of_two()
            .trailing_zeros();
        let log = wanted.clamp(LEAST_BITS, MOST_BITS);
        let mut marks = Self {
            bits: vec![0; 1 << (log - 6)],
            shift: u32::BITS - log,
        };
        for key in keys {
            let (word, bit) = marks.slot(*key);
            marks.bits[word] |= bit;
        }
        marks
    }

    #[inline]
    fn slot(&self, key: u32) -> (usize, u64) {
        let hash = (key.wrapping_mul(0x9e37_79b1) >> self.shift) as usize;
        (hash / 64, 1 << (hash % 64))
    }

    /// False if the key was not put in.
    #[inline]
    pub fn has(&self, key: u32) -> bool {
        let (word, bit) = self.slot(key);
        self.bits[word] & bit != 0
    }
}
