//! permessage-deflate's payloads (RFC 7692, 7.2): raw DEFLATE, a message's last four bytes left out.

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::Violation;

/// Bytes that end a flushed block, and that a message leaves out.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes made at a time.
const STEP: usize = 16 << 10;

/// Reads compressed messages. What came before stays in its window, so that a peer may refer to it or not.
pub struct Inflater {
    inner: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            inner: Decompress::new(false),
        }
    }
}

impl Inflater {
    /// Inflates some of `input` and appends it to `out`; takes off `input` what was read. `true` if nothing more can come of
    /// `input`, which is empty then.
    ///
    /// # Errors
    /// It is not DEFLATE.
    pub fn step(&mut self, input: &mut Bytes, out: &mut BytesMut) -> Result<bool, Violation> {
        let mut made = [0; STEP];
        let (read_before, made_before) = (self.inner.total_in(), self.inner.total_out());
        let status = self
            .inner
            .decompress(input, &mut made, FlushDecompress::Sync)
            .map_err(|_| Violation::Deflate)?;
        let read = below(self.inner.total_in() - read_before, input.len());
        let count = below(self.inner.total_out() - made_before, STEP);
        input.advance(read);
        out.extend_from_slice(&made[..count]);
        if status == Status::StreamEnd {
            // A block may say that it is the last (RFC 7692, 7.2.3.4); what follows is a stream of its own.
            self.inner.reset(false);
            return Ok(input.is_empty());
        }
        if read == 0 && count == 0 && !input.is_empty() {
            return Err(Violation::Deflate);
        }
        Ok(input.is_empty() && count < STEP)
    }

    /// What stands for the bytes that a message leaves out: to be inflated after its last piece.
    pub fn tail() -> Bytes {
        Bytes::from_static(&TAIL)
    }
}

/// Compresses one message, by itself.
pub struct Deflater {
    inner: Compress,
    out: BytesMut,
}

impl Default for Deflater {
    fn default() -> Self {
        Self {
            inner: Compress::new(Compression::fast(), false),
            out: BytesMut::new(),
        }
    }
}

impl Deflater {
    /// Takes the next part of the message.
    pub fn push(&mut self, part: &[u8]) {
        self.run(part, FlushCompress::None);
    }

    /// The compressed message.
    pub fn finish(mut self) -> BytesMut {
        self.run(&[], FlushCompress::Sync);
        let kept = self.out.len().saturating_sub(TAIL.len());
        self.out.truncate(kept);
        if self.out.is_empty() {
            // RFC 7692, 7.2.3.6: an empty message is one zero byte.
            self.out.extend_from_slice(&[0]);
        }
        self.out
    }

    fn run(&mut self, mut part: &[u8], flush: FlushCompress) {
        let mut made = [0; STEP];
        loop {
            let (read_before, made_before) = (self.inner.total_in(), self.inner.total_out());
            // Compressing fails only where its state is misused, as after its end.
            let _ = self.inner.compress(part, &mut made, flush);
            let read = below(self.inner.total_in() - read_before, part.len());
            let count = below(self.inner.total_out() - made_before, STEP);
            self.out.extend_from_slice(&made[..count]);
            part = &part[read..];
            if (count < STEP && part.is_empty()) || (read == 0 && count == 0) {
                return;
            }
        }
    }
}

fn below(count: u64, most: usize) -> usize {
    usize::try_from(count).map_or(most, |count| count.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(inflater: &mut Inflater, message: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut out = BytesMut::new();
        for mut input in [Bytes::copy_from_slice(message), Inflater::tail()] {
            while !inflater.step(&mut input, &mut out)? {}
        }
        Ok(out.to_vec())
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 7692, 7.2.3: one block, a shared window, no compression, a last block, two blocks.
        let mut one = Inflater::default();
        for (message, expected) in [
            (&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], "Hello"),
            (b"\xf2\x00\x11\x00\x00", "Hello"),
            (b"\x00\x05\x00\xfa\xffHello\x00", "Hello"),
            (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
            (
                b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
                "Hello",
            ),
            (b"\x00", ""),
        ] {
            assert_eq!(inflate(&mut one, message).unwrap(), expected.as_bytes());
        }
        assert!(inflate(&mut one, b"\xff\xff\xff").is_err());
    }

    #[test]
    fn what_is_compressed_is_read_again() {
        let noise: Vec<u8> = (0_u32..300_000)
            .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1])
            .collect();
        let mut inflater = Inflater::default();
        for text in [
            &b""[..],
            b"a",
            &b"abc".repeat(100_000),
            &noise,
            &vec![0; STEP],
        ] {
            let mut deflater = Deflater::default();
            for part in text.chunks(70_000) {
                deflater.push(part);
            }
            let message = deflater.finish();
            assert!(!message.ends_with(&TAIL));
            assert!(inflate(&mut inflater, &message).unwrap() == text);
        }
    }

    #[test]
    fn a_bomb_comes_out_step_by_step() {
        let mut deflater = Deflater::default();
        deflater.push(&vec![b' '; 50 << 20]);
        let mut input = deflater.finish().freeze();
        assert!(input.len() < 300 << 10);
        let mut inflater = Inflater::default();
        let mut out = BytesMut::new();
        inflater.step(&mut input, &mut out).unwrap();
        assert!(out.len() <= STEP);
    }
}
