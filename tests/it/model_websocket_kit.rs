//! Both ends of a WebSocket, played frame by frame. Shares no code with the crate's framing.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::model_kit::{Message, Sidecar, Upstream, Wire};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The key of RFC 6455's example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0xa5, 0x17, 0xfe, 0x60];

/// A frame as it came.
pub struct Frame {
    pub fin: bool,
    pub rsv1: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fin, rsv1) = (self.fin, self.rsv1);
        let shown = &self.payload[..self.payload.len().min(300)];
        write!(
            f,
            "opcode {} fin {fin} rsv1 {rsv1} {:?}",
            self.opcode,
            String::from_utf8_lossy(shown)
        )
    }
}

/// One end of a WebSocket.
pub struct Socket {
    pub wire: Wire,
    /// Whether this end masks what it sends.
    client: bool,
}

/// The bytes of a frame; `flags` are FIN and the reserved bits.
pub fn frame(client: bool, flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags | opcode];
    let mask_bit = if client { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => bytes.push(mask_bit | u8::try_from(length).unwrap()),
        length @ 126..65536 => {
            bytes.push(mask_bit | 0x7e);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if client {
        bytes.extend(MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        bytes.extend(masked.map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

impl Socket {
    pub fn new(wire: Wire, client: bool) -> Self {
        Self { wire, client }
    }

    pub fn bytes(&self, flags: u8, opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        frame(self.client, flags, opcode, payload.as_ref())
    }

    /// Sends a whole message or a control frame.
    pub fn send(&mut self, opcode: u8, payload: impl AsRef<[u8]>) {
        self.part(0x80, opcode, payload);
    }

    /// Sends a frame with these flags.
    pub fn part(&mut self, flags: u8, opcode: u8, payload: impl AsRef<[u8]>) {
        let bytes = self.bytes(flags, opcode, payload);
        self.wire.send(bytes);
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
        self.send(CLOSE, payload);
    }

    /// The next frame, held to the rules for its direction; `None` if the connection ends.
    pub fn frame(&mut self) -> Option<Frame> {
        let head = self.wire.exactly(2)?;
        let length = match head[1] & 0x7f {
            126 => {
                let bytes = self.wire.exactly(2)?;
                usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
            }
            127 => {
                let bytes = self.wire.exactly(8)?;
                usize::try_from(u64::from_be_bytes(bytes.try_into().unwrap())).unwrap()
            }
            short => usize::from(short),
        };
        let masked = head[1] & 0x80 != 0;
        let key = if masked {
            self.wire.exactly(4)?
        } else {
            vec![0; 4]
        };
        let mut payload = self.wire.exactly(length)?;
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        assert_eq!(masked, !self.client, "who masks");
        assert_eq!(head[0] & 0x30, 0, "reserved bits");
        let frame = Frame {
            fin: head[0] & 0x80 != 0,
            rsv1: head[0] & 0x40 != 0,
            opcode: head[0] & 0x0f,
            payload,
        };
        if frame.opcode >= CLOSE {
            assert!(frame.fin && !frame.rsv1 && frame.payload.len() <= 125);
        }
        Some(frame)
    }

    /// The next frame, which is a whole message, as opcode and payload.
    pub fn whole(&mut self) -> (u8, Vec<u8>) {
        let frame = self.frame().expect("the connection ended");
        assert!(frame.fin && !frame.rsv1, "{frame:?}");
        (frame.opcode, frame.payload)
    }

    /// The next message, which is text in one frame.
    pub fn text(&mut self) -> String {
        let (opcode, payload) = self.whole();
        assert_eq!(opcode, TEXT, "{}", String::from_utf8_lossy(&payload));
        String::from_utf8(payload).unwrap()
    }

    /// The next data message, of any number of frames.
    pub fn joined(&mut self) -> (u8, Vec<u8>) {
        let first = self.frame().expect("the connection ended");
        let (opcode, mut payload, mut fin) = (first.opcode, first.payload, first.fin);
        assert!(opcode == TEXT || opcode == BINARY, "opcode {opcode}");
        while !fin {
            let next = self.frame().expect("the connection ended");
            assert_eq!(next.opcode, CONTINUATION);
            payload.extend(next.payload);
            fin = next.fin;
        }
        (opcode, payload)
    }

    /// The next frame, which closes: code and reason; 0 without a code.
    pub fn closed(&mut self) -> (u16, String) {
        let (opcode, payload) = self.whole();
        assert_eq!(opcode, CLOSE, "{}", String::from_utf8_lossy(&payload));
        close_of(&payload)
    }

    /// Reads on to a closing frame; data before it is dropped.
    pub fn until_closed(&mut self) -> (u16, String) {
        loop {
            let frame = self.frame().expect("the connection ended without a word");
            if frame.opcode == CLOSE {
                return close_of(&frame.payload);
            }
        }
    }

    /// Reads to the end of the connection; nothing more may come on it.
    pub fn ends(&mut self) {
        if let Some(frame) = self.frame() {
            panic!("one more frame: {frame:?}");
        }
    }
}

pub fn close_of(payload: &[u8]) -> (u16, String) {
    match payload {
        [] => (0, String::new()),
        [high, low, reason @ ..] => (
            u16::from_be_bytes([*high, *low]),
            String::from_utf8(reason.to_vec()).unwrap(),
        ),
        _ => panic!("a close frame of one byte"),
    }
}

/// An opening request, with more headers.
pub fn opening(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
    )
}

/// The answer that accepts the opening request with that head.
pub fn accepting(request: &Message, headers: &str) -> String {
    let key = request.header("sec-websocket-key").unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{headers}\r\n",
        derive_accept_key(key.as_bytes())
    )
}

/// Opens a WebSocket through the sidecar: the client's end, the upstream's end, and the answer to the client.
pub fn open_with(
    mut client: Wire,
    upstream: &Upstream,
    offered: &str,
    agreed: &str,
) -> (Socket, Socket, Message) {
    client.send(opening("/p/v1/responses", offered));
    let mut peer = upstream.accept();
    let request = peer.request();
    peer.send(accepting(&request, agreed));
    let answer = client.message("GET");
    assert_eq!(answer.status(), 101, "{}", answer.head);
    (Socket::new(client, true), Socket::new(peer, false), answer)
}

/// As [`open_with`], without extensions.
pub fn open(sidecar: &Sidecar, upstream: &Upstream) -> (Socket, Socket) {
    let (client, peer, _) = open_with(sidecar.connect(), upstream, "", "");
    (client, peer)
}

/// A compressor that keeps its window from message to message.
pub struct Deflate(Compress);

impl Deflate {
    pub fn new() -> Self {
        Self(Compress::new(Compression::best(), false))
    }

    pub fn message(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1024);
        self.0
            .compress_vec(text, &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        out
    }
}

/// Inflates a message that was compressed alone.
pub fn inflated(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 << 20);
    Decompress::new(false)
        .decompress_vec(
            &[message, &[0, 0, 0xff, 0xff]].concat(),
            &mut out,
            FlushDecompress::Sync,
        )
        .unwrap();
    out
}
