//! Hex: one alignment of one run.

use super::super::symbol::Sym;
use super::Decoded;

/// Hex, one alignment of one run.
#[derive(Clone)]
pub struct Hex {
    skip: u8,
    layer: usize,
    first: Option<Sym>,
    upper: bool,
    lower: bool,
}

impl Hex {
    /// `skip`: digits of the run that are dropped first. `layer`: how many layers lie outside.
    pub fn new(skip: u8, layer: usize) -> Self {
        Self {
            skip,
            layer,
            first: None,
            upper: false,
            lower: false,
        }
    }

    /// First raw byte of the pair under way.
    pub fn pending(&self) -> Option<u64> {
        self.first.as_ref().map(|sym| sym.start)
    }

    pub fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Decoded)) {
        self.upper |= sym.byte.is_ascii_uppercase();
        self.lower |= sym.byte.is_ascii_lowercase();
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let Some(first) = self.first.take() else {
            self.first = Some(*sym);
            return;
        };
        let mut pair = Sym::joined(&first, sym, digit(first.byte) << 4 | digit(sym.byte));
        pair.wraps[self.layer].variant = self.upper && !self.lower;
        emit(Decoded::Byte(pair));
    }
}

/// Decodes pairs of hex digits into `bytes`.
pub fn decode_hex(digits: &[u8], bytes: &mut Vec<u8>) {
    bytes.clear();
    let pairs = digits.chunks_exact(2);
    bytes.extend(pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
}

/// The four bits of a hex digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
