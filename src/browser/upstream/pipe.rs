//! Messages over Chromium's debugging pipe: JSON, each with a zero byte behind it.

use std::io;

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::{HEAD_KEPT, Outgoing, Received};

/// Bytes asked of the pipe at a time: what it holds.
const READ: usize = 64 << 10;

/// Messages up to this many bytes are copied out of the buffer, so that one that waits holds no more than itself.
const COPIED: usize = 64 << 10;

/// The reading half.
pub(in super::super) struct Reader {
    pipe: Receiver,
    bytes: BytesMut,
    /// How many of the bytes hold no zero.
    seen: usize,
    most: usize,
    /// The beginning of the message that is being passed over.
    passing: Option<Bytes>,
}

impl Reader {
    pub(super) fn new(pipe: Receiver, most: usize) -> Self {
        Self {
            pipe,
            bytes: BytesMut::new(),
            seen: 0,
            most,
            passing: None,
        }
    }

    /// The next message; `None`: the end, also inside a message.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(end) = memchr(0, &self.bytes[self.seen..]) {
                let message = self.take(self.seen + end);
                self.seen = 0;
                return Ok(Some(match self.passing.take() {
                    Some(head) => Received::TooLarge(head),
                    None if message.len() > self.most => {
                        Received::TooLarge(Bytes::copy_from_slice(&message[..HEAD_KEPT]))
                    }
                    None => Received::Message(message),
                }));
            }
            self.seen = self.bytes.len();
            if self.passing.is_some() || self.seen > self.most {
                if self.passing.is_none() {
                    let kept = &self.bytes[..HEAD_KEPT.min(self.seen)];
                    self.passing = Some(Bytes::copy_from_slice(kept));
                    // What was gathered is freed, and not only forgotten.
                    self.bytes = BytesMut::new();
                }
                self.bytes.clear();
                self.seen = 0;
            }
            self.bytes.reserve(READ);
            if self.pipe.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes the bytes before `end` off, and drops the zero there.
    fn take(&mut self, end: usize) -> BytesMut {
        if end <= COPIED {
            let message = BytesMut::from(&self.bytes[..end]);
            bytes::Buf::advance(&mut self.bytes, end + 1);
            return message;
        }
        let rest = BytesMut::from(&self.bytes[end + 1..]);
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.truncate(end);
        message
    }
}

/// The writing half.
pub(in super::super) struct Writer {
    pipe: Sender,
}

impl Writer {
    pub(super) fn new(pipe: Sender) -> Self {
        Self { pipe }
    }

    pub(super) async fn write(&mut self, message: Outgoing) -> io::Result<()> {
        match message {
            Outgoing::Message(mut bytes) => {
                bytes.push(0);
                self.pipe.write_all(&bytes).await
            }
            // Not pushed to: it might move, and leave a copy behind.
            Outgoing::Wiped(bytes) => {
                self.pipe.write_all(&bytes).await?;
                self.pipe.write_all(&[0]).await
            }
            // There are none on a pipe.
            Outgoing::Pong(_) | Outgoing::Ping => Ok(()),
        }
    }
}
