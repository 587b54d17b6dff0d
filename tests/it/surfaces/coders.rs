//! Content codings by other code than ours: encoders, and decoders that take a whole body.

use std::io::{Read, Write};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_compression::Level;
use async_compression::tokio::bufread::{BrotliDecoder, ZstdDecoder};
use async_compression::tokio::write::{BrotliEncoder, ZstdEncoder};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Texts longer than this are not decoded: a case that makes one is not looked at any further.
pub const LONGEST: usize = 64 << 20;

/// What a case may code a text with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coder {
    Gzip,
    Zlib,
    Deflate,
    Brotli,
    Zstd,
}

pub const CODERS: [Coder; 5] = [
    Coder::Gzip,
    Coder::Zlib,
    Coder::Deflate,
    Coder::Brotli,
    Coder::Zstd,
];

impl Coder {
    /// In `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib | Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Codes a text, with `beside` in a place of the coded form that is no text, where it has one.
    pub fn encode(self, text: &[u8], beside: &[u8]) -> Vec<u8> {
        const MEMORY: &str = "writing to memory";
        match self {
            Self::Gzip => {
                let comment: Vec<u8> = beside.iter().copied().filter(|byte| *byte != 0).collect();
                let mut encoder = GzBuilder::new()
                    .comment(comment)
                    .write(Vec::new(), Compression::fast());
                encoder.write_all(text).expect(MEMORY);
                encoder.finish().expect(MEMORY)
            }
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text).expect(MEMORY);
                encoder.finish().expect(MEMORY)
            }
            // Level 0 stores the text as it is.
            Self::Deflate => {
                let mut encoder =
                    DeflateEncoder::new(Vec::new(), Compression::new(u32::from(beside.is_empty())));
                encoder.write_all(text).expect(MEMORY);
                encoder.finish().expect(MEMORY)
            }
            Self::Brotli => at_once(async {
                let mut encoder = BrotliEncoder::with_quality(Vec::new(), Level::Precise(1));
                encoder.write_all(text).await.expect(MEMORY);
                encoder.shutdown().await.expect(MEMORY);
                encoder.into_inner()
            }),
            Self::Zstd => at_once(async {
                let mut encoder = ZstdEncoder::with_quality(skippable(beside), Level::Precise(1));
                encoder.write_all(text).await.expect(MEMORY);
                encoder.shutdown().await.expect(MEMORY);
                encoder.into_inner()
            }),
        }
    }
}

/// A frame of zstd that is no text (RFC 8878, 3.1.2).
fn skippable(payload: &[u8]) -> Vec<u8> {
    if payload.is_empty() {
        return Vec::new();
    }
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    [&[0x5a, 0x2a, 0x4d, 0x18][..], &length, payload].concat()
}

/// The text of a body with that coding, all of which must belong to it; `None` if it is not whole and sound.
pub fn decode(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let most = LONGEST as u64;
    match coding {
        "gzip" => {
            MultiGzDecoder::new(body)
                .take(most)
                .read_to_end(&mut text)
                .ok()?;
        }
        "deflate" => {
            let is_zlib = body.len() > 1
                && body[0] & 0x8f == 8
                && (u32::from(body[0]) << 8 | u32::from(body[1])).is_multiple_of(31);
            let mut rest = body;
            if is_zlib {
                ZlibDecoder::new(&mut rest)
                    .take(most)
                    .read_to_end(&mut text)
                    .ok()?;
            } else {
                let mut decoder = DeflateDecoder::new(&mut rest);
                (&mut decoder).take(most).read_to_end(&mut text).ok()?;
            }
            if !rest.is_empty() {
                return None;
            }
        }
        "br" => {
            let mut rest = body;
            at_once(
                BrotliDecoder::new(&mut rest)
                    .take(most)
                    .read_to_end(&mut text),
            )
            .ok()?;
            if !rest.is_empty() {
                return None;
            }
        }
        _ => {
            let mut decoder = ZstdDecoder::new(body);
            decoder.multiple_members(true);
            at_once(decoder.take(most).read_to_end(&mut text)).ok()?;
        }
    }
    Some(text)
}

/// Runs what never waits, for it reads and writes memory.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}
