//! Bytes that are read as choices.

/// What is left of a case's bytes. Where nothing is left, every choice is zero.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below that, which is not 0.
    pub fn below(&mut self, most: u8) -> u8 {
        self.byte() % most
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of two bytes.
    pub fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sizes of pieces, over and over: of one that never ends, of single bytes, or of three sizes.
    pub fn sizes(&mut self) -> Sizes {
        let how = self.byte();
        Sizes(match how {
            0..64 => [usize::MAX; 3],
            64..96 => [1; 3],
            96..128 => [usize::from(how - 95) * 101; 3],
            _ => [self.byte(), self.byte(), how].map(|size| usize::from(size & 31).max(1)),
        })
    }
}

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub struct Sizes([usize; 3]);

impl Sizes {
    pub const WHOLE: Self = Self([usize::MAX; 3]);

    pub fn cut(self, bytes: &[u8]) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        for size in self.0.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
