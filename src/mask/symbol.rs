//! Symbols: bytes of a reading that remember which raw bytes they came from.
//!
//! A reading is never stored whole: decoders hand symbols on one by one, and a match in the deepest reading
//! maps back to raw bytes by the spans that its first and last symbol carry.

/// What a base64 or hex layer must know to write a replacement in place of decoded bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Wrap {
    left: [u8; 2],
    left_len: u8,
    right: [u8; 2],
    right_len: u8,
    /// The last group is cut short by the end of its run.
    pub partial: bool,
    /// That last group was padded with `=`.
    pub padded: bool,
    /// base64: the URL-safe alphabet; hex: upper case.
    pub variant: bool,
    /// base64: first and last ordinal in the run's decoded bytes.
    pub ord: (u32, u32),
    /// base64: where the run begins in the raw text.
    pub run: u64,
}

impl Wrap {
    /// The place of byte `at` in the decoded group `bytes` (1 to 3 long).
    pub fn of_group(bytes: &[u8], at: usize) -> Self {
        let mut wrap = Self::default();
        for (slot, byte) in wrap.left.iter_mut().zip(&bytes[..at]) {
            *slot = *byte;
            wrap.left_len += 1;
        }
        for (slot, byte) in wrap.right.iter_mut().zip(&bytes[at + 1..]) {
            *slot = *byte;
            wrap.right_len += 1;
        }
        wrap
    }

    /// Decoded bytes of the group before this symbol.
    pub fn left(&self) -> &[u8] {
        &self.left[..usize::from(self.left_len)]
    }

    /// Decoded bytes of the group after this symbol.
    pub fn right(&self) -> &[u8] {
        &self.right[..usize::from(self.right_len)]
    }
}

/// base64 and hex layers that a chain can hold: each is one of its three steps.
pub(super) const LAYERS: usize = 3;

/// One byte of a reading and where it came from.
#[derive(Clone, Copy)]
pub(super) struct Sym {
    pub byte: u8,
    /// First raw byte (offset in the text) that it came from.
    pub start: u64,
    /// One past the last raw byte that it came from.
    pub end: u64,
    /// No decoder of any reading takes it for the beginning of an escape.
    pub inert: bool,
    /// One entry for each base64 or hex layer of the chain, outermost first.
    pub wraps: [Wrap; LAYERS],
}

impl Sym {
    /// The symbol of a raw byte.
    pub fn raw(byte: u8, at: u64) -> Self {
        Self {
            byte,
            start: at,
            end: at + 1,
            inert: false,
            wraps: [Wrap::default(); LAYERS],
        }
    }

    /// The symbol that the unit from `first` to `last` decodes to.
    pub fn joined(first: &Self, last: &Self, byte: u8) -> Self {
        let mut wraps = last.wraps;
        for (wrap, from) in wraps.iter_mut().zip(&first.wraps) {
            wrap.left = from.left;
            wrap.left_len = from.left_len;
            wrap.ord.0 = from.ord.0;
        }
        Self {
            byte,
            start: first.start,
            end: last.end,
            inert: false,
            wraps,
        }
    }
}

/// A stretch of a reading: its bytes, and the symbols that they are when somebody asks.
pub(super) struct Stretch<'a> {
    pub bytes: &'a [u8],
    place: Place<'a>,
}

enum Place<'a> {
    /// Raw bytes from this offset on.
    Raw(u64),
    /// Decoded base64 groups.
    Base64 {
        /// What they were decoded from, and the index of the first group's first character.
        above: &'a Stretch<'a>,
        first: usize,
        /// Where the run begins in the raw text, and the ordinal of the first byte in it.
        run: u64,
        ord: u32,
        layer: usize,
        /// From this byte on the run is known to use the URL-safe alphabet.
        url_safe_from: usize,
    },
}

impl<'a> Stretch<'a> {
    pub fn raw(bytes: &'a [u8], at: u64) -> Self {
        Self {
            bytes,
            place: Place::Raw(at),
        }
    }

    pub fn base64(
        bytes: &'a [u8],
        above: &'a Stretch<'a>,
        first: usize,
        (run, ord): (u64, u32),
        layer: usize,
        url_safe_from: usize,
    ) -> Self {
        Self {
            bytes,
            place: Place::Base64 {
                above,
                first,
                run,
                ord,
                layer,
                url_safe_from,
            },
        }
    }

    pub fn sym(&self, at: usize) -> Sym {
        match self.place {
            Place::Raw(start) => Sym::raw(self.bytes[at], start + at as u64),
            Place::Base64 {
                above,
                first,
                run,
                ord,
                layer,
                url_safe_from,
            } => {
                let group = at / 3;
                let (from, to) = (
                    above.sym(first + 4 * group),
                    above.sym(first + 4 * group + 3),
                );
                let mut sym = Sym::joined(&from, &to, self.bytes[at]);
                #[allow(clippy::cast_possible_truncation)] // a stretch is at most a block
                let ord = ord.wrapping_add(at as u32);
                sym.wraps[layer] = Wrap::of_group(&self.bytes[3 * group..3 * group + 3], at % 3);
                sym.wraps[layer].variant = at >= url_safe_from;
                sym.wraps[layer].ord = (ord, ord);
                sym.wraps[layer].run = run;
                sym
            }
        }
    }
}

/// Whether the byte is a base64 character, of either alphabet.
pub(super) fn is_base64(byte: u8) -> bool {
    class::OF[usize::from(byte)] & class::BASE64 != 0
}

/// Classes of bytes, as bits, so that the hot loop asks one table.
pub(super) mod class {
    /// Begins an escape of some decoder: `\`, `%`, `&`, `=`, `+`.
    pub const ESCAPE: u8 = 1;
    /// base64, either alphabet.
    pub const BASE64: u8 = 2;
    /// Hex digit.
    pub const HEX: u8 = 4;
    /// May stand in a URL's authority.
    pub const AUTHORITY: u8 = 8;
    /// `:`, `/`, `\`: may begin an authority.
    pub const AUTHORITY_MARK: u8 = 16;
    /// A line break.
    pub const LINE_BREAK: u8 = 32;
    /// A space or tab.
    pub const BLANK: u8 = 64;
    /// Ends every unit, run, word and authority before it, and is part of none (`scout`).
    pub const CLEAN: u8 = 128;
    /// May stand in a run of base64: a character, or white space where it is wrapped.
    pub const IN_RUN: u8 = BASE64 | LINE_BREAK | BLANK;

    /// Classes of every byte.
    pub static OF: [u8; 256] = table();

    const fn table() -> [u8; 256] {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            #[allow(clippy::cast_possible_truncation)] // i < 256
            let b = i as u8;
            let mut bits = 0;
            if matches!(b, b'\\' | b'%' | b'&' | b'=' | b'+') {
                bits |= ESCAPE;
            }
            if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_') {
                bits |= BASE64;
            }
            if b.is_ascii_hexdigit() {
                bits |= HEX;
            }
            if b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'.' | b'_' | b'~' | b'%' | b':' | b'@' | b'[' | b']' | b'-'
                )
            {
                bits |= AUTHORITY;
            }
            if matches!(b, b':' | b'/' | b'\\') {
                bits |= AUTHORITY_MARK;
            }
            if matches!(b, b'\n' | b'\r') {
                bits |= LINE_BREAK;
            }
            if matches!(b, b' ' | b'\t') {
                bits |= BLANK;
            }
            if matches!(
                b,
                b'"' | b'\''
                    | b'`'
                    | b','
                    | b'{'
                    | b'}'
                    | b'('
                    | b')'
                    | b'<'
                    | b'>'
                    | b'|'
                    | b'*'
                    | b'!'
                    | b'?'
                    | b'$'
                    | b'^'
            ) {
                bits |= CLEAN;
            }
            table[i] = bits;
            i += 1;
        }
        table
    }
}
