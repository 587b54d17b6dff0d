//! What a peer sends, frame by frame, made by a program; and both ends of a tunnel, played in memory.

use std::sync::Arc;

use bauta::guard::Answers;
use bauta::relay::Tally;
use bauta::relay::socket::{End, Tunnel};
use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{Notify, watch};

use super::body::limits;
use super::input::{Input, Sizes};
use super::socket_model::{BINARY, CLOSE, CONTINUATION, PING, PONG, Rules, TEXT, direction};
use super::texts::text;
use crate::surfaces_guard;

/// Where one message ends and what follows begins, in a program's bytes.
const SPLIT: u8 = 0xff;

/// The bytes of a direction by these rules.
pub fn stream(input: &mut Input, rules: Rules) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut deflate = Compress::new(Compression::fast(), false);
    let mut frames = 0;
    while !input.is_empty() && frames < 40 {
        frames += 1;
        let what = input.byte();
        let key = [what, 0x17, 0xfe, 0x60];
        let put = |flags: u8, opcode: u8, payload: &[u8]| {
            frame(rules.client.then_some(key), flags, opcode, payload)
        };
        match what {
            // A whole message in some frames, with control frames in between.
            0..160 => {
                let opcode = if what & 1 == 0 { TEXT } else { BINARY };
                let cuts = what >> 1 & 3;
                let compressed = rules.deflate && what & 8 == 8;
                let control = what & 16 == 16;
                let plain = message(input);
                let payload = if compressed {
                    compress(&mut deflate, &plain)
                } else {
                    plain
                };
                let size = (payload.len() / (usize::from(cuts) + 1)).max(1);
                let mut pieces: Vec<&[u8]> = payload.chunks(size).collect();
                if pieces.is_empty() {
                    pieces.push(b"");
                }
                let last = pieces.len() - 1;
                for (at, piece) in pieces.into_iter().enumerate() {
                    let fin = if at == last { 0x80 } else { 0 };
                    let rsv1 = if at == 0 && compressed { 0x40 } else { 0 };
                    bytes.extend(put(
                        fin | rsv1,
                        if at == 0 { opcode } else { CONTINUATION },
                        piece,
                    ));
                    if control && at < last {
                        bytes.extend(put(0x80, PING, b"still here"));
                    }
                }
            }
            160..192 => {
                let payload = message(input);
                bytes.extend(put(
                    0x80,
                    if what & 1 == 0 { PING } else { PONG },
                    &payload[..payload.len().min(125)],
                ));
            }
            192..208 => {
                let code = [1000, 1001, 1005, 1006, 1011, 3000, 4999, 999][usize::from(what & 7)];
                let reason = message(input);
                let payload = [
                    &u16::to_be_bytes(code)[..],
                    &reason[..reason.len().min(123)],
                ]
                .concat();
                bytes.extend(put(0x80, CLOSE, &payload));
            }
            // A frame of any kind.
            208..232 => {
                let (flags, opcode) = (input.byte() & 0xf0, input.byte() & 0x0f);
                let payload = message(input);
                bytes.extend(put(flags, opcode, &payload));
            }
            // Any bytes.
            232..240 => bytes.extend([input.byte(), input.byte(), input.byte()]),
            // What was written is cut or changed.
            240..248 => {
                let at = input.number() % bytes.len().max(1);
                bytes.truncate(bytes.len() - at);
            }
            _ => {
                let at = input.number() % bytes.len().max(1);
                let bits = input.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
        }
    }
    bytes
}

/// A text: the program's bytes up to the next split.
fn message(input: &mut Input) -> Vec<u8> {
    let mut program = Vec::new();
    while !input.is_empty() {
        let byte = input.byte();
        if byte == SPLIT {
            break;
        }
        program.push(byte);
    }
    text(
        &mut Input::new(&program),
        &["{\"type\":\"response.create\",\"input\":\"", "\"}"],
        2000,
    )
}

fn compress(deflate: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1024);
    // It has room, and its state is sound.
    let _ = deflate.compress_vec(text, &mut out, FlushCompress::Sync);
    out.truncate(out.len().saturating_sub(4));
    out
}

/// The bytes of a frame.
pub fn frame(key: Option<[u8; 4]>, flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags | opcode];
    let masked = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => bytes.push(masked | u8::try_from(short).unwrap_or(0)),
        medium @ 126..65536 => {
            bytes.push(masked | 0x7e);
            bytes.extend(u16::try_from(medium).unwrap_or(0).to_be_bytes());
        }
        long => {
            bytes.push(masked | 0x7f);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(
        payload
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ key[at % 4]),
    );
    bytes
}

/// What came of a direction: what its receiver got, what its sender was told, and how it ended.
pub struct Run {
    pub got: Vec<u8>,
    pub told: Vec<u8>,
    pub end: End,
}

/// Sends bytes in these pieces through a tunnel, from a client or to it. Nothing comes from the other side, which hangs up when it
/// is told that it is over.
pub async fn run(
    bytes: &[u8],
    sizes: Sizes,
    rules: Rules,
    upstream_deflate: bool,
    answers: Answers,
) -> Run {
    let tunnel = Tunnel {
        ticket: Arc::new(surfaces_guard::ticket().await),
        limits: bauta::relay::Limits {
            max_message_bytes: rules.most as u64,
            ..limits(1 << 20, 1 << 20)
        },
        tally: Arc::<Tally>::default(),
        client_deflate: rules.client && rules.deflate,
        upstream_deflate,
        answers,
        found: Notify::new(),
    };
    let room = 256 << 10;
    let ((client, client_of_tunnel), (upstream, upstream_of_tunnel)) = (duplex(room), duplex(room));
    let (sender, receiver) = if rules.client {
        (client, upstream)
    } else {
        (upstream, client)
    };
    let (_keep, stop) = watch::channel(false);
    let other_side = Rules {
        client: rules.client,
        deflate: rules.client && upstream_deflate,
        most: usize::MAX,
        utf8: true,
    };
    let (end, told, got) = tokio::join!(
        tunnel.run(client_of_tunnel, upstream_of_tunnel, stop),
        send(sender, sizes.cut(bytes)),
        receive(receiver, other_side),
    );
    Run { got, told, end }
}

async fn send(sender: DuplexStream, pieces: Vec<&[u8]>) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(sender);
    let mut told = Vec::new();
    let writes = async {
        for piece in pieces {
            // The other side may have hung up on what it was sent.
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // As before.
        let _ = write.shutdown().await;
    };
    let reads = async {
        // What came before an error counts.
        let _ = read.read_to_end(&mut told).await;
    };
    tokio::join!(writes, reads);
    told
}

/// Reads until it is told that it is over.
async fn receive(mut receiver: DuplexStream, rules: Rules) -> Vec<u8> {
    let mut got = Vec::new();
    let mut some = vec![0_u8; 16 << 10];
    loop {
        match receiver.read(&mut some).await {
            Ok(count @ 1..) => got.extend_from_slice(&some[..count]),
            _ => return got,
        }
        let closed = direction(&got, rules)
            .said
            .last()
            .is_some_and(|said| said.opcode == CLOSE);
        if closed {
            return got;
        }
    }
}
