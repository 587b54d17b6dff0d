//! Frames (RFC 6455, 5), without I/O: bytes to events, payloads to bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A frame up to this many bytes comes out whole; a longer one in pieces of at least as many.
pub const PIECE: usize = 64 << 10;

/// Longest payload of a control frame (RFC 6455, 5.5).
pub const MOST_CONTROL: usize = 125;

/// Longest reason in a close frame: its code takes two bytes.
pub const MOST_REASON: usize = MOST_CONTROL - 2;

/// The longest header of a frame.
const MOST_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const OTHER_RSV: u8 = 0x30;
const MASKED: u8 = 0x80;
/// Lengths that say that the length follows in two, in eight bytes.
const MEDIUM: u8 = 0x7e;
const LONG: u8 = 0x7f;

/// What a data message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next frame of a message.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The end of the connection.
    Close,
    /// A question for a pong.
    Ping,
    /// The answer to a ping, or a sign of life.
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// What a peer may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A reserved bit that no extension gave a meaning.
    #[error("a reserved bit is set")]
    Reserved,
    /// An opcode that the standard leaves open.
    #[error("an unknown opcode")]
    Opcode,
    /// A client's frame without a mask, or a server's with one.
    #[error("a frame with a mask where none may be, or without one")]
    Mask,
    /// A length in more bytes than it needs, or beyond 63 bits.
    #[error("a badly written length")]
    Length,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("a control frame that is fragmented or too long")]
    Control,
    /// A continuation of nothing, or a new message inside one.
    #[error("frames of a message out of order")]
    Order,
    /// A close frame whose code may not be sent.
    #[error("a bad close code")]
    CloseCode,
    /// Text that is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A compressed message that cannot be read.
    #[error("a compressed message that cannot be read")]
    Deflate,
    /// A message that is longer than the limit.
    #[error("a message that is longer than the limit")]
    TooLarge,
}

impl Violation {
    /// The close code that says so (RFC 6455, 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::Utf8 | Self::Deflate => 1007,
            Self::TooLarge => 1009,
            _ => 1002,
        }
    }
}

/// What came.
pub enum Event {
    /// A piece of a data message.
    Data(Piece),
    /// A ping with its payload.
    Ping(Bytes),
    /// A pong with its payload.
    Pong(Bytes),
    /// The peer sends nothing after this; `None`: without a code.
    Close(Option<Close>),
}

/// A piece of a data message: a frame, or a part of a long one.
pub struct Piece {
    /// Of the message.
    pub kind: Kind,
    /// Whether the message is compressed.
    pub compressed: bool,
    /// Whether the message begins here.
    pub first: bool,
    /// Unmasked.
    pub payload: Bytes,
    /// Whether the message ends here.
    pub last: bool,
}

/// Code and reason of a close frame.
pub struct Close {
    /// One that may stand in a frame.
    pub code: u16,
    /// At most [`MOST_REASON`] bytes.
    pub reason: String,
}

/// Makes events of the bytes of one direction.
pub struct Parser {
    from_client: bool,
    deflate: bool,
    max_frame: u64,
    frame: Option<Frame>,
    message: Option<Message>,
}

/// The frame under way.
#[derive(Clone, Copy)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// Rotated, so that it begins with the byte for the next one of the payload.
    key: Option<[u8; 4]>,
    left: u64,
}

/// The message under way.
#[derive(Clone, Copy)]
struct Message {
    kind: Kind,
    compressed: bool,
    /// Whether none of it came out yet.
    fresh: bool,
}

impl Parser {
    /// For what a client sends, or else a server; `deflate`: compressed messages were agreed on. A frame that says that it is
    /// longer than `max_frame` is refused by its header.
    pub fn new(from_client: bool, deflate: bool, max_frame: u64) -> Self {
        Self {
            from_client,
            deflate,
            max_frame,
            frame: None,
            message: None,
        }
    }

    /// Whether a frame or a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.frame.is_some() || self.message.is_some()
    }

    /// Takes the next event off the bytes; `None` if more must come first.
    ///
    /// # Errors
    /// See [`Violation`]. After one, nothing more may be read.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Event>, Violation> {
        let mut frame = match self.frame {
            Some(frame) => frame,
            None => match self.header(bytes)? {
                Some(frame) => *self.frame.insert(frame),
                None => return Ok(None),
            },
        };
        let whole = usize::try_from(frame.left)
            .ok()
            .filter(|left| *left <= bytes.len());
        if whole.is_none() && (frame.opcode.is_control() || bytes.len() < PIECE) {
            return Ok(None);
        }
        let mut payload = bytes.split_to(whole.unwrap_or(bytes.len()));
        if let Some(key) = &mut frame.key {
            apply_mask(&mut payload, *key);
            key.rotate_left(payload.len() % 4);
        }
        frame.left -= payload.len() as u64;
        self.frame = whole.is_none().then_some(frame);
        if frame.opcode.is_control() {
            return control(frame.opcode, payload.freeze()).map(Some);
        }
        // A data frame's header has begun its message or found it.
        let Some(message) = &mut self.message else {
            return Err(Violation::Order);
        };
        let piece = Piece {
            kind: message.kind,
            compressed: message.compressed,
            first: std::mem::take(&mut message.fresh),
            payload: payload.freeze(),
            last: whole.is_some() && frame.fin,
        };
        if piece.last {
            self.message = None;
        }
        Ok(Some(Event::Data(piece)))
    }

    fn header(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let [first, second, ..] = **bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::Opcode)?;
        let fin = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        let may_compress = self.deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & OTHER_RSV != 0 || (compressed && !may_compress) {
            return Err(Violation::Reserved);
        }
        let masked = second & MASKED != 0;
        if masked != self.from_client {
            return Err(Violation::Mask);
        }
        let short = second & 0x7f;
        if opcode.is_control() && (!fin || usize::from(short) > MOST_CONTROL) {
            return Err(Violation::Control);
        }
        if !opcode.is_control() && (opcode == Opcode::Continuation) != self.message.is_some() {
            return Err(Violation::Order);
        }
        let extra = match short {
            MEDIUM => 2,
            LONG => 8,
            _ => 0,
        };
        let key_at = 2 + extra;
        let end = key_at + if masked { 4 } else { 0 };
        if bytes.len() < end {
            return Ok(None);
        }
        let written = bytes[2..key_at]
            .iter()
            .fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        let (left, least) = match short {
            MEDIUM => (written, 126),
            LONG => (written, 1 << 16),
            _ => (u64::from(short), 0),
        };
        if left < least || left >> 63 != 0 {
            return Err(Violation::Length);
        }
        if left > self.max_frame {
            return Err(Violation::TooLarge);
        }
        let key = bytes[key_at..end].first_chunk::<4>().copied();
        bytes.advance(end);
        if matches!(opcode, Opcode::Text | Opcode::Binary) {
            self.message = Some(Message {
                kind: if opcode == Opcode::Text {
                    Kind::Text
                } else {
                    Kind::Binary
                },
                compressed,
                fresh: true,
            });
        }
        Ok(Some(Frame {
            opcode,
            fin,
            key,
            left,
        }))
    }
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Event, Violation> {
    Ok(match opcode {
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        _ => Event::Close(close(&payload)?),
    })
}

fn close(payload: &[u8]) -> Result<Option<Close>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk().ok_or(Violation::CloseCode)?;
    let code = u16::from_be_bytes(*code);
    // Those of the standard and of its registry that may be sent, and those for libraries and applications.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::CloseCode);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
    Ok(Some(Close {
        code,
        reason: reason.to_owned(),
    }))
}

/// The bytes of a close frame's payload.
pub fn close_payload(close: Option<&Close>) -> Vec<u8> {
    close.map_or_else(Vec::new, |close| {
        [&close.code.to_be_bytes()[..], close.reason.as_bytes()].concat()
    })
}

/// A frame to be sent, but for its payload.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// What it is.
    pub opcode: Opcode,
    /// Whether its message ends with it.
    pub fin: bool,
    /// Whether its message is compressed; only the first frame says so.
    pub compressed: bool,
}

impl Head {
    /// Appends the header of a frame whose payload has that length; a client's with its masking key.
    pub fn put(self, length: usize, key: Option<[u8; 4]>, out: &mut BytesMut) {
        out.reserve(MOST_HEADER);
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.compressed { RSV1 } else { 0 };
        out.put_u8(fin | rsv1 | self.opcode.bits());
        let masked = if key.is_some() { MASKED } else { 0 };
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..126), _) => out.put_u8(masked | short),
            (_, Ok(medium)) => {
                out.put_u8(masked | MEDIUM);
                out.put_u16(medium);
            }
            _ => {
                out.put_u8(masked | LONG);
                out.put_u64(length as u64);
            }
        }
        out.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
    }
}

/// Masks or unmasks (RFC 6455, 5.3).
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, key) in word.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn client(deflate: bool) -> Parser {
        Parser::new(true, deflate, u64::MAX)
    }

    fn shown(event: &Event) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match event {
            Event::Data(piece) => {
                let last = if piece.last { "." } else { "" };
                format!("{:?} {}{last}", piece.kind, text(&piece.payload))
            }
            Event::Ping(payload) => format!("ping {}", text(payload)),
            Event::Pong(payload) => format!("pong {}", text(payload)),
            Event::Close(None) => "close".to_owned(),
            Event::Close(Some(close)) => format!("close {} {}", close.code, close.reason),
        }
    }

    /// All events of the bytes, taken in chunks of that size.
    fn events(mut parser: Parser, bytes: &[u8], chunk: usize) -> Result<Vec<String>, Violation> {
        let mut buffer = BytesMut::new();
        let mut out = Vec::new();
        for chunk in bytes.chunks(chunk) {
            buffer.extend_from_slice(chunk);
            while let Some(event) = parser.next(&mut buffer)? {
                out.push(shown(&event));
            }
        }
        Ok(out)
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 6455, 5.7.
        for (from_client, bytes, expected) in [
            (false, &b"\x81\x05Hello"[..], &["Text Hello."][..]),
            (
                true,
                b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                &["Text Hello."],
            ),
            (false, b"\x01\x03Hel\x80\x02lo", &["Text Hel", "Text lo."]),
            (false, b"\x89\x05Hello", &["ping Hello"]),
            (
                true,
                b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                &["pong Hello"],
            ),
            (
                false,
                b"\x01\x01a\x89\x01p\x00\x00\x80\x01b",
                &["Text a", "ping p", "Text ", "Text b."],
            ),
            (false, b"\x88\x00", &["close"]),
            (false, b"\x88\x05\x03\xe8bye", &["close 1000 bye"]),
            (false, b"\x82\x7e\x00\x7e", &[]),
        ] {
            for chunk in [1, 2, 3, 100] {
                let parser = Parser::new(from_client, false, u64::MAX);
                assert_eq!(events(parser, bytes, chunk).unwrap(), expected, "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_may_not_be_sent() {
        for (bytes, expected) in [
            (&b"\xc1\x80"[..], Violation::Reserved),
            (b"\xa1\x80", Violation::Reserved),
            (b"\x91\x80", Violation::Reserved),
            (b"\x83\x80", Violation::Opcode),
            (b"\x87\x80", Violation::Opcode),
            (b"\x8b\x80", Violation::Opcode),
            (b"\x8f\x80", Violation::Opcode),
            (b"\x81\x05", Violation::Mask),
            (b"\x88\x00", Violation::Mask),
            (b"\x81\xfe\x00\x7d\0\0\0\0", Violation::Length),
            (b"\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", Violation::Length),
            (b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", Violation::Length),
            (b"\x09\x80", Violation::Control),
            (b"\x89\xfe", Violation::Control),
            (b"\x88\xff", Violation::Control),
            (b"\x80\x80", Violation::Order),
            (b"\x00\x80", Violation::Order),
            (b"\x01\x80\0\0\0\0\x81\x80", Violation::Order),
            (b"\x01\x80\0\0\0\0\x02\x80", Violation::Order),
            (b"\x81\x80\0\0\0\0\x80\x80", Violation::Order),
            (b"\x88\x81\0\0\0\0\x03", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x03\xe7", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x03\xec", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x03\xed", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x03\xee", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x03\xf7", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x07\xd0", Violation::CloseCode),
            (b"\x88\x82\0\0\0\0\x13\x88", Violation::CloseCode),
            (b"\x88\x83\0\0\0\0\x03\xe8\xff", Violation::Utf8),
        ] {
            for chunk in [1, 100] {
                let found = events(client(false), bytes, chunk).err();
                assert_eq!(found, Some(expected), "{bytes:x?}");
            }
        }
        let masked_by_server = Parser::new(false, false, u64::MAX);
        assert_eq!(
            events(masked_by_server, b"\x81\x80", 9).err(),
            Some(Violation::Mask)
        );
        // With the extension, RSV1 is for the first frame of a message only.
        assert!(events(client(true), b"\xc1\x80\0\0\0\0", 9).is_ok());
        for bytes in [
            &b"\x41\x80\0\0\0\0\xc0\x80"[..],
            b"\xc9\x80",
            b"\xc8\x80",
            b"\xe1\x80",
        ] {
            assert_eq!(
                events(client(true), bytes, 9).err(),
                Some(Violation::Reserved)
            );
        }
        let small = || Parser::new(true, false, 300);
        assert!(events(small(), b"\x81\xfe\x01\x2c\0\0\0\0", 9).is_ok());
        assert_eq!(
            events(small(), b"\x81\xfe\x01\x2d\0\0\0\0", 9).err(),
            Some(Violation::TooLarge)
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 125, 126, 65535, 65536, 200_000] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            for key in [None, Some(KEY)] {
                let mut bytes = BytesMut::new();
                let head = Head {
                    opcode: Opcode::Binary,
                    fin: true,
                    compressed: false,
                };
                head.put(length, key, &mut bytes);
                let at = bytes.len();
                bytes.extend_from_slice(&payload);
                if let Some(key) = key {
                    apply_mask(&mut bytes[at..], key);
                }
                for chunk in [7, 70_000, 1 << 20] {
                    let mut parser = Parser::new(key.is_some(), false, u64::MAX);
                    let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
                    let mut ends = 0;
                    for chunk in bytes.chunks(chunk) {
                        buffer.extend_from_slice(chunk);
                        while let Some(event) = parser.next(&mut buffer).unwrap() {
                            let Event::Data(piece) = event else {
                                panic!("not data");
                            };
                            assert_eq!(piece.first, read.is_empty());
                            assert!(piece.last || piece.payload.len() >= PIECE);
                            read.extend_from_slice(&piece.payload);
                            ends += usize::from(piece.last);
                        }
                    }
                    assert!(read == payload && ends == 1 && !parser.is_inside());
                }
            }
        }
    }
}
