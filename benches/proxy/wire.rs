//! Just enough of HTTP/1.1 for both ends of the bench: messages with a length or in chunks, on connections that are kept.
//!
//! Plain and cheap, so that what is measured is what stands between the two ends. It trusts its peers: it is no parser to
//! meet strangers with.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes read at once.
const BUFFER: usize = 128 * 1024;

/// A connection, and what was read from it but not used yet.
pub struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A message's head.
pub struct Head {
    /// Status code of a response; 0 of a request.
    pub status: u16,
    /// Target of a request.
    pub target: String,
    body: Framing,
}

enum Framing {
    Length(u64),
    Chunked,
    Missing,
}

/// Where in a chunked body the next byte stands.
enum Chunk {
    /// In a size line; the size so far, and whether its digits are over.
    Size(u64, bool),
    Data(u64),
    /// In the line end after a chunk's data.
    DataEnd,
    /// In the trailer; bytes of the line so far.
    Trailer(usize),
    Over,
}

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(address).await?)
    }

    /// Takes over a connection.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
        })
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a head; `None` if the connection ended before one.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(length) = memchr::memmem::find(self.unused(), b"\r\n\r\n") {
                let head = Head::parse(&self.unused()[..length]);
                self.start += length + 4;
                return head.map(Some);
            }
            if !self.fill().await? {
                return if self.start == self.end {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Reads the body that this head announces, and hands on its pieces as they come.
    pub async fn body(&mut self, head: &Head, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
        let mut chunk = match head.body {
            Framing::Length(length) => return self.exactly(length, piece).await,
            Framing::Missing => return Ok(()),
            Framing::Chunked => Chunk::Size(0, false),
        };
        while !matches!(chunk, Chunk::Over) {
            if self.start == self.end && !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let used = chunk.step(self.unused(), &mut piece)?;
            self.start += used;
        }
        Ok(())
    }

    async fn exactly(&mut self, mut left: u64, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
        while left > 0 {
            if self.start == self.end && !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let unused = self.unused();
            let take = unused
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            piece(&unused[..take]);
            self.start += take;
            left -= take as u64;
        }
        Ok(())
    }

    fn unused(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            if self.start == 0 {
                return Err(io::Error::other("a head larger than the buffer"));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        self.end += read;
        Ok(read > 0)
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let second = first.split(' ').nth(1).unwrap_or_default();
        let mut head = Self {
            status: if first.starts_with("HTTP/") {
                second.parse().map_err(io::Error::other)?
            } else {
                0
            },
            target: second.to_owned(),
            body: Framing::Missing,
        };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                head.body = Framing::Length(value.trim().parse().map_err(io::Error::other)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.body = Framing::Chunked;
            }
        }
        Ok(head)
    }
}

impl Chunk {
    /// Goes on with these bytes; returns how many of them it used.
    fn step(&mut self, bytes: &[u8], piece: &mut impl FnMut(&[u8])) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            *self = match *self {
                Self::Over => break,
                Self::Data(left) => {
                    let rest = &bytes[at..];
                    let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    piece(&rest[..take]);
                    at += take;
                    match left - take as u64 {
                        0 => *self = Self::DataEnd,
                        left => *self = Self::Data(left),
                    }
                    continue;
                }
                Self::DataEnd if byte == b'\n' => Self::Size(0, false),
                Self::DataEnd => Self::DataEnd,
                Self::Size(0, _) if byte == b'\n' => Self::Trailer(0),
                Self::Size(size, _) if byte == b'\n' => Self::Data(size),
                Self::Size(size, false) if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).unwrap_or(0);
                    let size = size.checked_mul(16).ok_or(io::ErrorKind::InvalidData)?;
                    Self::Size(size + u64::from(digit), false)
                }
                Self::Size(size, _) => Self::Size(size, true),
                Self::Trailer(0) if byte == b'\n' => Self::Over,
                Self::Trailer(_) if byte == b'\n' => Self::Trailer(0),
                Self::Trailer(length) => Self::Trailer(length + usize::from(byte != b'\r')),
            };
            at += 1;
        }
        Ok(at)
    }
}
