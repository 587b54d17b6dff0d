//! The last symbols of a reading: as many as may still belong to a match, or stand before one.

use std::collections::VecDeque;

use super::symbol::{Stretch, Sym};

/// The last symbols of a reading.
#[derive(Clone)]
pub(super) enum History {
    /// Of the raw text: bytes in a row up to offset `end`.
    Raw {
        bytes: VecDeque<u8>,
        end: u64,
    },
    Decoded(VecDeque<Sym>),
}

impl History {
    pub fn len(&self) -> usize {
        match self {
            Self::Raw { bytes, .. } => bytes.len(),
            Self::Decoded(syms) => syms.len(),
        }
    }

    pub fn get(&self, at: usize) -> Sym {
        match self {
            Self::Raw { bytes, end } => Sym::raw(bytes[at], end - (bytes.len() - at) as u64),
            Self::Decoded(syms) => syms[at],
        }
    }

    pub fn byte(&self, at: usize) -> u8 {
        match self {
            Self::Raw { bytes, .. } => bytes[at],
            Self::Decoded(syms) => syms[at].byte,
        }
    }

    #[inline]
    pub fn push(&mut self, sym: &Sym) {
        match self {
            Self::Raw { bytes, end } => {
                bytes.push_back(sym.byte);
                *end = sym.end;
            }
            Self::Decoded(syms) => syms.push_back(*sym),
        }
    }

    pub fn extend(&mut self, stretch: &Stretch<'_>, from: usize, to: usize) {
        match self {
            Self::Raw { bytes, end } => {
                bytes.extend(&stretch.bytes[from..to]);
                if to > from {
                    *end = stretch.sym(to - 1).end;
                }
            }
            Self::Decoded(syms) => syms.extend((from..to).map(|at| stretch.sym(at))),
        }
    }

    pub fn trim(&mut self, keep: usize) {
        let surplus = self.len() - keep;
        match self {
            Self::Raw { bytes, .. } => drop(bytes.drain(..surplus)),
            Self::Decoded(syms) => drop(syms.drain(..surplus)),
        }
    }

    pub fn clear(&mut self) {
        match self {
            Self::Raw { bytes, .. } => bytes.clear(),
            Self::Decoded(syms) => syms.clear(),
        }
    }

    pub fn tail(&self, keep: usize) -> Self {
        Self::Decoded(
            (self.len().saturating_sub(keep)..self.len())
                .map(|at| self.get(at))
                .collect(),
        )
    }
}
