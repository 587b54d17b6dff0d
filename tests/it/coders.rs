//! Bodies with content codings: real encoders, requests that carry them, and what upstream may see of those.

use std::io::Write;
use std::thread;

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::write::{BrotliEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use tokio::io::AsyncWriteExt;

use super::model_kit::{Message, OK, Sidecar, TOKEN, Upstream, VALUE, contains, last, post};

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

pub const MIB: usize = 1 << 20;

pub fn coded_post(coding: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
    post("/p/x", &headers, body)
}

pub fn coded_text_post(coding: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
    post("/p/x", &headers, body)
}

pub fn chunked_head(coding: &str) -> String {
    format!(
        "POST /p/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
}

pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Sends a request and returns what the upstream saw of it.
pub fn through(sidecar: &Sidecar, upstream: &Upstream, request: Vec<u8>) -> Message {
    let mut client = sidecar.connect();
    let writer = thread::spawn(move || {
        client.send(request);
        client
    });
    let mut peer = upstream.accept();
    let message = peer.request();
    assert!(message.complete, "{}", message.head);
    peer.send(last(OK));
    assert_eq!(writer.join().unwrap().message("POST").body, b"ok");
    for value in [VALUE, TOKEN] {
        assert!(!contains(&peer.seen, value), "{}", message.head);
    }
    message
}

/// It went on as it came.
pub fn assert_as_it_came(seen: &Message, coding: &str, body: &[u8]) {
    assert_eq!(seen.headers("content-encoding"), [coding]);
    assert_eq!(
        seen.header("content-length").unwrap(),
        body.len().to_string()
    );
    assert!(seen.body == body, "{coding}: {} bytes", seen.body.len());
}

/// It went on as this text, with its exact length.
pub fn assert_text(seen: &Message, text: &[u8]) {
    assert!(seen.headers("content-encoding").is_empty(), "{}", seen.head);
    assert_eq!(
        seen.header("content-length").unwrap(),
        text.len().to_string()
    );
    assert!(
        seen.body == text,
        "{:?}",
        String::from_utf8_lossy(&seen.body)
    );
}

pub fn conversation(value: &str) -> Vec<u8> {
    let value = serde_json::to_string(value).unwrap();
    let text = format!(
        "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{value}}}], \"n\" :  1}}\n"
    );
    text.into_bytes()
}
