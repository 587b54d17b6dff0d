//! Real encoders for bodies with content codings, and the decoders beside them.

use std::io::Write;

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::write::{BrotliEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use tokio::io::AsyncWriteExt;

/// What a test sends, beside the token that stands in `Content-Encoding` for it.
pub const CODINGS: [(&str, Encode); 5] = [
    ("gzip", gzip),
    ("deflate", zlib),
    ("deflate", bare_deflate),
    ("br", brotli),
    ("zstd", zstd),
];

pub type Encode = fn(&[u8]) -> Vec<u8>;

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn bare_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Deflate that stores its text as it is, behind a gzip header.
pub fn stored_gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn brotli(text: &[u8]) -> Vec<u8> {
    // A window of 4 MiB, brotli's own default; quality 5, because 11 takes minutes for what some tests send.
    let params = EncoderParams::default().window_size(22);
    let mut encoder = BrotliEncoder::with_params(Vec::new(), params.quality(Level::Precise(5)));
    run(async move {
        encoder.write_all(text).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    })
}

/// One frame without content size, as Codex sends it.
pub fn zstd(text: &[u8]) -> Vec<u8> {
    zstd_with(text, &[])
}

pub fn zstd_with(text: &[u8], params: &[CParameter]) -> Vec<u8> {
    let mut encoder = ZstdEncoder::with_quality_and_params(Vec::new(), Level::Precise(3), params);
    run(async move {
        encoder.write_all(text).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    // Nothing waits in it: the encoders write to memory.
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

/// Bytes that no coding makes much shorter, and that hold no value: letters between marks, so that the engine is quick with them.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letters = b"abcdefghABCDEFGH .,;:!?()[]{}<>~^*#@$|_'` .,;:!?()[]{}<>~^*#@$|_";
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(
            state
                .to_le_bytes()
                .map(|byte| letters[usize::from(byte & 63)]),
        );
    }
    out.truncate(bytes);
    out
}
