//! The decoders: each takes the symbols of one reading and hands on those of the next.
//!
//! Escapes (JSON, percent, HTML) let other bytes through as they are. base64 and hex are fed whole runs only
//! (`reading` finds them). A decoder holds what it cannot decide yet, and never more than one unit.

mod base64;
mod escapes;
mod grammar;
mod hex;

use escapes::Escapes;
use hex::Hex;

use super::chain::Decoder;
use super::symbol::Sym;

pub(super) use base64::{Base64, decode_base64, decode_group, sextet};
pub(super) use grammar::{NAMES, html_character, short_escape};
pub(super) use hex::decode_hex;

/// What a decoder hands on.
pub(super) enum Decoded {
    /// A byte that was let through.
    Literal(Sym),
    /// A byte that was decoded.
    Byte(Sym),
    /// Nothing, for a unit that stands for nothing.
    Nothing,
}

/// A decoder at work.
#[derive(Clone)]
pub(super) enum Decode {
    Escapes(Escapes),
    Base64(Base64),
    Hex(Hex),
}

impl Decode {
    /// `layer`: how many base64 and hex layers lie outside of it.
    pub fn new(decoder: Decoder, layer: usize) -> Self {
        match decoder {
            Decoder::Base64(skip) => Self::Base64(Base64::new(skip, layer)),
            Decoder::Hex(skip) => Self::Hex(Hex::new(skip, layer)),
            escapes => Self::Escapes(Escapes::new(escapes)),
        }
    }

    /// Takes a symbol; hands on what it leads to.
    #[inline]
    pub fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Decoded)) {
        match self {
            Self::Escapes(d) => d.push(sym, emit),
            Self::Base64(d) => d.push(sym, emit),
            Self::Hex(d) => d.push(sym, emit),
        }
    }

    /// Nothing more comes without a gap: what is held stands for itself.
    pub fn flush(&mut self, emit: &mut impl FnMut(Decoded)) {
        match self {
            Self::Escapes(d) => d.flush(emit),
            Self::Base64(d) => d.flush(emit),
            Self::Hex(_) => {}
        }
    }

    /// First raw byte of what is held.
    pub fn pending(&self) -> Option<u64> {
        match self {
            Self::Escapes(d) => d.pending(),
            Self::Base64(d) => d.pending(),
            Self::Hex(d) => d.pending(),
        }
    }

    /// Whether nothing is held.
    pub fn is_idle(&self) -> bool {
        self.pending().is_none()
    }
}
