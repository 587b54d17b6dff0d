//! base64: one alignment of one run, symbol by symbol or by whole groups.

use super::super::symbol::{Stretch, Sym, Wrap};
use super::Decoded;

/// base64 (RFC 4648 sections 4 and 5, as one alphabet), one alignment of one run.
#[derive(Clone)]
pub struct Base64 {
    skip: u8,
    layer: usize,
    group: Vec<Sym>,
    /// The last of the `=` signs, and how many.
    padding: Option<(Sym, usize)>,
    ord: u32,
    url_safe: bool,
    /// Where the run begins in the raw text.
    run: Option<u64>,
}

impl Base64 {
    /// `skip`: characters of the run that are dropped first. `layer`: how many layers lie outside.
    pub fn new(skip: u8, layer: usize) -> Self {
        Self {
            skip,
            layer,
            group: Vec::with_capacity(4),
            padding: None,
            ord: 0,
            url_safe: false,
            run: None,
        }
    }

    /// Of a run of the raw text that began at `run`: after its first `chars` characters, more than a group.
    pub fn inside(skip: u8, run: u64, chars: usize, url_safe: bool) -> Self {
        let groups = (chars - usize::from(skip)).div_ceil(4);
        let mut base64 = Self::new(0, 0);
        // The group under way is beyond what can matter: at most three characters are left out. The ordinal wraps, as where it is
        // counted.
        #[allow(clippy::cast_possible_truncation)]
        let (left_out, ord) = (
            (4 * groups + usize::from(skip) - chars) as u8,
            (3 * groups) as u32,
        );
        (base64.skip, base64.ord) = (left_out, ord);
        base64.url_safe = url_safe;
        base64.run = Some(run);
        base64
    }

    /// Where the run begins in the raw text, and whether it is known to use the URL-safe alphabet.
    pub fn begun(&self) -> Option<(u64, bool)> {
        self.run.map(|run| (run, self.url_safe))
    }

    /// First raw byte of the group under way.
    pub fn pending(&self) -> Option<u64> {
        self.group.first().map(|sym| sym.start)
    }

    pub fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Decoded)) {
        if sym.byte == b'=' {
            return self.pad(sym);
        }
        self.run.get_or_insert(sym.start);
        self.url_safe |= matches!(sym.byte, b'-' | b'_');
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.group.push(*sym);
        if self.group.len() == 4 {
            self.emit_group(emit);
        }
    }

    /// Decodes the whole groups of `above[from..to]`, all of it characters of the run: where they begin, and the bytes.
    /// Before and after them symbols must be pushed one by one.
    pub fn whole_groups(&self, above: &Stretch<'_>, from: usize, to: usize) -> (usize, Vec<u8>) {
        let begun = (4 - self.group.len()) % 4 + usize::from(self.skip);
        let first = to.min(from + begun);
        let chars = &above.bytes[first..to];
        let whole = chars.len() / 4 * 4;
        let mut bytes = Vec::with_capacity(whole / 4 * 3);
        decode_base64(&chars[..whole], &mut bytes);
        (first, bytes)
    }

    /// The stretch that these groups are; they count as taken.
    pub fn stretch<'a>(
        &mut self,
        above: &'a Stretch<'a>,
        first: usize,
        bytes: &'a [u8],
    ) -> Stretch<'a> {
        let chars = &above.bytes[first..first + bytes.len() / 3 * 4];
        let mark = memchr::memchr2(b'-', b'_', chars);
        let url_safe_from = if self.url_safe {
            0
        } else {
            mark.map_or(usize::MAX, |at| at / 4 * 3)
        };
        self.url_safe |= mark.is_some();
        let ord = self.ord;
        #[allow(clippy::cast_possible_truncation)] // a stretch is at most a block
        let taken = bytes.len() as u32;
        self.ord = ord.wrapping_add(taken);
        let run = self.run.unwrap_or(0);
        Stretch::base64(bytes, above, first, (run, ord), self.layer, url_safe_from)
    }

    fn pad(&mut self, sym: &Sym) {
        let so_far = self.padding.map_or(0, |(_, n)| n);
        if matches!(self.group.len(), 2 | 3) && self.group.len() + so_far < 4 {
            self.padding = Some((*sym, so_far + 1));
        }
    }

    pub fn flush(&mut self, emit: &mut impl FnMut(Decoded)) {
        self.emit_group(emit);
    }

    fn emit_group(&mut self, emit: &mut impl FnMut(Decoded)) {
        let chars = self.group.len();
        if chars >= 2 {
            let bits = self
                .group
                .iter()
                .fold(0, |bits, sym| bits << 6 | sextet(sym.byte));
            let bytes = (bits << (6 * (4 - chars))).to_be_bytes();
            let bytes = &bytes[1..chars];
            let first = self.group[0];
            let last = self.padding.map_or(self.group[chars - 1], |(last, _)| last);
            for (at, byte) in bytes.iter().enumerate() {
                let mut sym = Sym::joined(&first, &last, *byte);
                let wrap = &mut sym.wraps[self.layer];
                *wrap = Wrap::of_group(bytes, at);
                wrap.partial = chars < 4;
                wrap.padded = self.padding.is_some();
                wrap.variant = self.url_safe;
                wrap.ord = (self.ord, self.ord);
                wrap.run = self.run.unwrap_or(0);
                self.ord = self.ord.wrapping_add(1);
                emit(Decoded::Byte(sym));
            }
        }
        self.group.clear();
        self.padding = None;
    }
}

/// The six bits of every base64 character of either alphabet (RFC 4648 sections 4 and 5).
static SEXTETS: [u8; 256] = sextets();

const fn sextets() -> [u8; 256] {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [0; 256];
    let mut i = 0;
    while i < digits.len() {
        #[allow(clippy::cast_possible_truncation)] // i < 64
        let sextet = i as u8;
        table[digits[i] as usize] = sextet;
        i += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
}

/// Decodes base64 characters into `bytes`, and what a last group of two or three holds.
pub fn decode_base64(chars: &[u8], bytes: &mut Vec<u8>) {
    bytes.clear();
    for group in chars.chunks(4) {
        bytes.extend_from_slice(&decode_group(group)[..group.len() - 1]);
    }
}

/// Decodes a group of up to four characters: one byte less than it has of them, then what the rest of it leads to.
pub fn decode_group(group: &[u8]) -> [u8; 3] {
    let bits = group.iter().fold(0, |bits, c| bits << 6 | sextet(*c));
    let [_, bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
    bytes
}

/// The six bits of a base64 character, of either alphabet.
#[inline]
pub fn sextet(byte: u8) -> u32 {
    u32::from(SEXTETS[usize::from(byte)])
}
