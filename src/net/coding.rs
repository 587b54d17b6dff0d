//! Content codings (RFC 9110, 8.4.1): which ones a body has, and one decoder at work.
//!
//! Bytes in, bytes out: a [`Decoder`] is given what came of the coded form and writes into a buffer of its caller's, so that
//! neither input nor output is ever more than the caller asked for. It keeps a window: 32 KiB for gzip and deflate, at most
//! 8 MiB for zstd (RFC 9659), at most 16 MiB for brotli (RFC 7932; large windows are refused).
//!
//! It knows no ratio and no total size; whoever runs decoders in a row sets those.

use std::io;

use async_compression::codecs::{
    BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use async_compression::core::util::{PartialBuffer, WriteBuffer};
use async_compression::zstd::DParameter;
use bytes::{Buf, Bytes};
use flate2::DecompressError;
use http::{HeaderMap, header};

use super::headers::elements;

/// Codings that a body may have one on top of another.
pub const MOST_CODINGS: usize = 3;

/// How a frame of zstd begins, and the longest header of one.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_HEADER: usize = 18;

/// Largest window of a zstd frame, as a power of two: 8 MiB, the most that RFC 9659 lets an encoder use over HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Where a gzip member has its flags, and which of them none has that this specification knows how to read (RFC 1952, 2.3.1).
const GZIP_FLAGS: usize = 3;
const GZIP_RESERVED: u8 = 0xe0;

/// A coding that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 1950; or, as some clients send it, RFC 1951 without the wrapper.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, any number of frames.
    Zstd,
}

/// Why a coded body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// Not what its coding calls for, or it needs a larger window than is allowed, or a dictionary.
    #[error("its content coding is corrupt, or needs a window or a dictionary that is not allowed")]
    Corrupt,
    /// It ends before its coding does.
    #[error("it is cut short inside its content coding")]
    Truncated,
    /// Bytes follow the end of its coding.
    #[error("bytes follow the end of its content coding")]
    Trailing,
}

impl Coding {
    /// The coding of that name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            // RFC 9110, 8.4.1.3: `x-gzip` is the same.
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            b"br" => Some(Self::Brotli),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codings of a body with these headers, in the order in which they were applied; `identity` is none.
    ///
    /// `None` where one of them cannot be read, or there are more than [`MOST_CODINGS`].
    pub fn of(headers: &HeaderMap) -> Option<Vec<Self>> {
        let mut codings = Vec::new();
        for name in elements(headers, &header::CONTENT_ENCODING) {
            if !name.eq_ignore_ascii_case(b"identity") {
                codings.push(Self::named(name)?);
            }
        }
        (codings.len() <= MOST_CODINGS).then_some(codings)
    }
}

/// Takes one coding off a body, piece by piece.
pub struct Decoder {
    coding: Coding,
    /// `None` until the first bytes have told which one it takes.
    codec: Option<Box<dyn DecodeV2 + Send>>,
    /// The first byte of two that decide, where it came alone.
    first: Option<u8>,
    /// Bytes that were taken of this member or frame.
    taken: usize,
    /// What a frame of zstd says of its length.
    frame: Frame,
    /// The last output was filled: more may be ready without more input.
    full: bool,
    /// The coded form has come to an end, where it may end.
    done: bool,
}

impl Decoder {
    /// A decoder at the beginning of a body.
    pub fn new(coding: Coding) -> Self {
        Self {
            coding,
            codec: None,
            first: None,
            taken: 0,
            frame: Frame::default(),
            full: false,
            done: false,
        }
    }

    /// Whether it can go on without more input.
    pub fn has_more(&self) -> bool {
        self.full
    }

    /// Whether it stands at the end of a member, where the coded form may end.
    pub fn is_at_end(&self) -> bool {
        self.done
    }

    /// Decodes from the front of `input` into `output`, as much as one call of the codec does: until the output is full, the
    /// input empty, or a member or the header of a frame ends. Returns how many bytes it wrote.
    ///
    /// # Errors
    /// The body is not what its coding calls for; the decoder is not to be used afterwards.
    pub fn decode(&mut self, input: &mut Bytes, output: &mut [u8]) -> Result<usize, CodingError> {
        if self.done && !input.is_empty() {
            self.begin_again()?;
        }
        if self.codec.is_none() {
            self.codec = self.open(input)?;
        }
        let Some(codec) = &mut self.codec else {
            return Ok(0);
        };
        // The codec passes over them.
        if self.coding == Coding::Gzip
            && let Some(flags) = GZIP_FLAGS.checked_sub(self.taken)
            && input
                .get(flags)
                .is_some_and(|flags| flags & GZIP_RESERVED != 0)
        {
            return Err(CodingError::Corrupt);
        }
        let most = match self.coding {
            Coding::Zstd => self.frame.at_once(input),
            _ => input.len(),
        };
        let mut from = PartialBuffer::new(&input[..most]);
        let mut to = WriteBuffer::new_initialized(output);
        let ended = codec.decode(&mut from, &mut to);
        let (taken, written) = (from.written_len(), to.written_len());
        self.done = match ended {
            Ok(ended) => ended,
            Err(error) if input.is_empty() && is_hunger(self.coding, &error) => false,
            Err(_) => return Err(CodingError::Corrupt),
        };
        // What is given bytes and room must use some, or it never will.
        if !input.is_empty() && taken == 0 && written == 0 && !self.done {
            return Err(CodingError::Corrupt);
        }
        self.full = !self.done && written == output.len();
        if self.coding == Coding::Zstd {
            self.frame.pass(&input[..taken], written);
            if self.done && !self.frame.is_whole() {
                return Err(CodingError::Corrupt);
            }
        }
        input.advance(taken);
        self.taken = self.taken.saturating_add(taken);
        Ok(written)
    }

    /// Says that no more input comes, once all that came was decoded.
    ///
    /// # Errors
    /// [`CodingError::Truncated`].
    pub fn finish(&self) -> Result<(), CodingError> {
        if self.done {
            Ok(())
        } else {
            Err(CodingError::Truncated)
        }
    }

    /// The codec, once the first bytes tell which.
    fn open(&mut self, input: &mut Bytes) -> Result<Option<Box<dyn DecodeV2 + Send>>, CodingError> {
        let Some(first) = input.first().copied() else {
            return Ok(None);
        };
        Ok(Some(match self.coding {
            Coding::Gzip => Box::new(GzipDecoder::new()),
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                Box::new(ZstdDecoder::new_with_params(&[window]))
            }
            // The beginning by which an extension of brotli asks for windows of up to 1 GiB; RFC 7932 has no such thing.
            Coding::Brotli if first & 0x7f == 0x11 => return Err(CodingError::Corrupt),
            Coding::Brotli => Box::new(BrotliDecoder::new()),
            Coding::Deflate => {
                let (first, second) = match (self.first.take(), input.get(1)) {
                    (Some(held), _) => {
                        *input = Bytes::from([&[held][..], input].concat());
                        (held, first)
                    }
                    (None, Some(second)) => (first, *second),
                    (None, None) => {
                        self.first = Some(first);
                        input.clear();
                        return Ok(None);
                    }
                };
                if is_zlib(first, second) {
                    Box::new(ZlibDecoder::new())
                } else {
                    Box::new(DeflateDecoder::new())
                }
            }
        }))
    }

    /// Another member or frame follows the last.
    fn begin_again(&mut self) -> Result<(), CodingError> {
        match (self.coding, &mut self.codec) {
            (Coding::Gzip | Coding::Zstd, Some(codec)) => {
                codec.reinit().map_err(|_| CodingError::Corrupt)?;
                (self.full, self.done, self.taken) = (false, false, 0);
                self.frame = Frame::default();
                Ok(())
            }
            _ => Err(CodingError::Trailing),
        }
    }
}

/// The header of a zstd frame as far as it has come (RFC 8878, 3.1.1.1), and what the frame made.
///
/// Of a frame that comes at once the codec makes all at once, by other rules than piece by piece: an empty compressed block is
/// corrupt there and nothing here; a length is held against what is made there, and here only if the last block is not empty.
/// So it gets the header alone, and never makes all at once.
#[derive(Default)]
struct Frame {
    header: [u8; ZSTD_HEADER],
    len: usize,
    made: u64,
}

impl Frame {
    /// How much of the input the codec may have in one call: what is left of the header, or all.
    fn at_once(&self, input: &[u8]) -> usize {
        let mut new = Self {
            header: self.header,
            ..*self
        };
        new.pass(input, 0);
        let header = &new.header[..new.len];
        let len = match header.strip_prefix(&ZSTD_MAGIC).and_then(<[u8]>::first) {
            Some(descriptor) => ZSTD_MAGIC.len() + 1 + fields(*descriptor).iter().sum::<usize>(),
            None => 0,
        };
        match len.saturating_sub(self.len) {
            0 => input.len(),
            left => left.min(input.len()),
        }
    }

    fn pass(&mut self, taken: &[u8], made: usize) {
        let room = &mut self.header[self.len..];
        let wanted = room.len().min(taken.len());
        room[..wanted].copy_from_slice(&taken[..wanted]);
        self.len += wanted;
        self.made += made as u64;
    }

    /// Whether it made as many bytes as it says, once it has ended, and named no dictionary: there is none over HTTP.
    fn is_whole(&self) -> bool {
        self.says().is_none_or(|(dictionary, length)| {
            dictionary.iter().all(|byte| *byte == 0)
                && length.is_none_or(|length| length == self.made)
        })
    }

    /// Its dictionary's number and its length, where it says so; nothing if it is no frame of data.
    fn says(&self) -> Option<(&[u8], Option<u64>)> {
        let header = self.header[..self.len].strip_prefix(&ZSTD_MAGIC)?;
        let (descriptor, rest) = header.split_first()?;
        let [window, dictionary, bytes] = fields(*descriptor);
        let (dictionary, rest) = rest.get(window..)?.split_at_checked(dictionary)?;
        if bytes == 0 {
            return Some((dictionary, None));
        }
        let mut length = [0; 8];
        length[..bytes].copy_from_slice(rest.get(..bytes)?);
        let offset = if bytes == 2 { 256 } else { 0 };
        Some((dictionary, Some(u64::from_le_bytes(length) + offset)))
    }
}

/// How many bytes a frame's window, its dictionary's number and its length have, which follow this descriptor.
fn fields(descriptor: u8) -> [usize; 3] {
    let is_single = descriptor & 0x20 != 0;
    let length = match descriptor >> 6 {
        0 => usize::from(is_single),
        power => 1 << power,
    };
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    [usize::from(!is_single), dictionary, length]
}

/// Whether the two bytes are a zlib header (RFC 1950, 2.2). No encoder writes them at the beginning of bare deflate: there
/// they are a stored block with set bits where zeros stand.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8
        && first >> 4 <= 7
        && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31)
}

/// Whether an error only says that there was nothing to take: the codecs of deflate say so of empty input, in words; what is
/// wrong with a stream they hand on as flate2 says it.
fn is_hunger(coding: Coding, error: &io::Error) -> bool {
    matches!(coding, Coding::Gzip | Coding::Deflate)
        && error.kind() == io::ErrorKind::Other
        && !matches!(error.get_ref(), Some(inner) if inner.is::<DecompressError>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What zstd makes of a body in pieces of that length.
    fn decoded(body: &[u8], piece: usize) -> Result<usize, CodingError> {
        let mut decoder = Decoder::new(Coding::Zstd);
        let (mut output, mut made) = ([0; 64], 0);
        for piece in body.chunks(piece) {
            let mut input = Bytes::copy_from_slice(piece);
            while !input.is_empty() || decoder.has_more() {
                made += decoder.decode(&mut input, &mut output)?;
            }
        }
        decoder.finish().map(|()| made)
    }

    /// By byte the codec takes some of these for whole, and all at once for corrupt.
    #[test]
    fn frames_of_zstd_make_what_they_say() {
        const EMPTY: &[u8] = &[1, 0, 0];
        // Of a frame that comes at once the codec says that this is corrupt.
        const COMPRESSED: &[u8] = &[1 | 2 << 1, 0, 0];
        const FIVE: &[u8] = &[1 | 5 << 3, 0, 0, b'a', b'b', b'c', b'd', b'e'];
        // Five bytes and then a last block of none.
        const SPLIT: &[u8] = &[5 << 3, 0, 0, b'a', b'b', b'c', b'd', b'e', 1, 0, 0];
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        for (header, says) in [
            (&[0x20, 5][..], Some(5)),
            (&[0x20, 0], Some(0)),
            (&[0x20, 6], Some(6)),
            (&[0x60, 0, 0], Some(256)),
            (&[0xa0, 5, 0, 0, 0], Some(5)),
            (&[0xa0, 0, 1, 0, 0], Some(256)),
            (&[0xe0, 5, 0, 0, 0, 0, 0, 0, 0], Some(5)),
            (&[0xe0, 5, 0, 1, 0, 0, 0, 0, 0], Some((1 << 16) + 5)),
            // A dictionary of number 0 is none.
            (&[0x21, 0, 5], Some(5)),
            (&[0x22, 0, 0, 5], Some(5)),
            (&[0x23, 0, 0, 0, 0, 5], Some(5)),
            (&[0x83, 0x58, 0, 0, 0, 0, 5, 0, 0, 0], Some(5)),
            (&[0x83, 0x58, 0, 0, 0, 0, 4, 0, 0, 0], Some(4)),
            // With a window, and without a length.
            (&[0x80, 0x58, 5, 0, 0, 0], Some(5)),
            (&[0x80, 0x58, 4, 0, 0, 0], Some(4)),
            (&[0x00, 0x58], None),
        ] {
            for (blocks, makes) in [(EMPTY, 0), (COMPRESSED, 0), (FIVE, 5), (SPLIT, 5)] {
                let frame = [&ZSTD_MAGIC[..], header, blocks].concat();
                let expected = if says.is_none_or(|says| says == makes) {
                    Ok(usize::try_from(makes).unwrap())
                } else {
                    Err(CodingError::Corrupt)
                };
                let twice = [&frame[..], &skippable, &frame].concat();
                for piece in [1, 2, 7, 100] {
                    let what = format!("{header:x?} {blocks:x?} by {piece}");
                    assert_eq!(decoded(&frame, piece), expected, "{what}");
                    let expected = expected.map(|made| 2 * made);
                    assert_eq!(decoded(&twice, piece), expected, "twice {what}");
                }
            }
        }
        // Longer than the output, of 300 bytes.
        let long = [&[0x61, 9, 0][..], &[b'a'; 300]].concat();
        for (header, expected) in [
            (&[0x60, 44, 0][..], Ok(300)),
            (&[0x60, 45, 0], Err(CodingError::Corrupt)),
            (&[0x00, 0x58], Ok(300)),
            (&[0x01, 0x58, 7], Err(CodingError::Corrupt)),
        ] {
            let frame = [&ZSTD_MAGIC[..], header, &long].concat();
            for piece in [1, 7, 1000] {
                assert_eq!(decoded(&frame, piece), expected, "{header:x?} by {piece}");
            }
        }
    }
}
