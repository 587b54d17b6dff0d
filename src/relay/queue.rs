//! Pieces of a body that wait to go on.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces below this many bytes are copied together: each piece costs as much again, and may keep a whole read buffer alive.
const SMALL: usize = 4096;

/// Copied pieces go on when they reach this many bytes.
const BLOCK: usize = 16 << 10;

/// Pieces in their order; small ones become larger ones.
#[derive(Clone, Default)]
pub(super) struct Queue {
    pieces: VecDeque<Bytes>,
    small: BytesMut,
    bytes: u64,
}

impl Queue {
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= BLOCK {
                self.flush();
            }
        } else {
            self.flush();
            self.pieces.push_back(piece);
        }
    }

    /// Lets small pieces go on that wait for more.
    pub fn flush(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }

    pub fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes = self
            .bytes
            .saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Some(piece)
    }

    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.small.is_empty()
    }

    /// Whether small pieces wait for more.
    pub fn has_small(&self) -> bool {
        !self.small.is_empty()
    }
}
