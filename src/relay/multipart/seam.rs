//! Masking must not make a boundary: what replaces a value could be what a boundary is made of, as where it is a secret's key.

use bytes::Bytes;
use memchr::memmem::Finder;

/// Reads what goes on of a text between two boundary lines.
pub(super) struct Seam {
    /// The end of what went on, as far as a boundary may begin in it.
    tail: Vec<u8>,
}

impl Seam {
    /// At the beginning of a text, which begins a line.
    pub fn new() -> Self {
        Self { tail: vec![b'\n'] }
    }

    /// Whether a line begins like a boundary in these pieces, with what went on before. `finder` finds the two hyphens and the
    /// boundary. Of a text as it came this was ruled out, for whatever ends its lines.
    pub fn is_boundary(&mut self, pieces: &[Bytes], finder: &Finder<'_>) -> bool {
        pieces.iter().any(|piece| self.ends_in(piece, finder))
    }

    fn ends_in(&mut self, piece: &[u8], finder: &Finder<'_>) -> bool {
        // The byte before it decides, and one byte less than all of it may have gone on.
        let width = finder.needle().len();
        let kept = self.tail.len();
        self.tail
            .extend_from_slice(&piece[..piece.len().min(width)]);
        let found = begins_line(&self.tail, finder) || begins_line(piece, finder);
        if piece.len() > width {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - width..]);
        } else {
            let more = (kept + piece.len()).saturating_sub(width);
            self.tail.drain(..more);
        }
        found
    }
}

/// Whether the boundary stands behind a line end in it.
fn begins_line(text: &[u8], finder: &Finder<'_>) -> bool {
    finder
        .find_iter(text)
        .any(|at| at > 0 && matches!(text[at - 1], b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference() {
        for (text, expected) in [
            (&b""[..], false),
            (b"--b", true),
            (b"a--b", false),
            (b"a\n--b", true),
            (b"a\r--bc", true),
            (b"a\r\n--", false),
            (b"--\n-\n--a--b\n-b", false),
            (b"----b\n---b", false),
            (
                b"a long text with the boundary at its very end\r\n--b",
                true,
            ),
        ] {
            for size in 1..=text.len().max(1) {
                let pieces: Vec<Bytes> = text.chunks(size).map(Bytes::copy_from_slice).collect();
                let found = Seam::new().is_boundary(&pieces, &Finder::new("--b"));
                assert_eq!(found, expected, "{text:?} by {size}");
            }
        }
    }
}
