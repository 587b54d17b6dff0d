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
        if let Outgoing::Message(bytes) = &message
            && memchr(0, bytes).is_some()
        {
            // Behind it, the browser would read another command. What we send was made by JSON's rules, so there is none.
            tracing::error!("a message with a zero byte is not sent");
            return Ok(());
        }
        match message {
            // With room for one more it does not move, and leaves no copy behind.
            Outgoing::Message(mut bytes) if bytes.len() < bytes.capacity() => {
                bytes.push(0);
                self.pipe.write_all(&bytes).await
            }
            Outgoing::Message(bytes) => {
                self.pipe.write_all(&bytes).await?;
                self.pipe.write_all(&[0]).await
            }
            // There are none on a pipe.
            Outgoing::Pong(_) | Outgoing::Ping => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::unix::pipe;

    const MOST: usize = 300_000;

    /// What comes of bytes that are written in chunks: messages' sizes, and the beginnings of those that were too large.
    async fn received(bytes: Vec<u8>, chunk: usize) -> Vec<String> {
        let (mut to_us, from_browser) = pipe::pipe().unwrap();
        let writing = tokio::spawn(async move {
            for chunk in bytes.chunks(chunk) {
                to_us.write_all(chunk).await.unwrap();
            }
        });
        let mut reader = Reader::new(from_browser, MOST);
        let mut out = Vec::new();
        while let Some(received) = reader.next().await.unwrap() {
            assert!(
                reader.bytes.capacity() <= 2 * (MOST + READ),
                "held beyond the limit"
            );
            out.push(match received {
                Received::Message(message) => {
                    assert!(message.iter().all(|byte| *byte == message[0]));
                    format!("{} {}", char::from(message[0]), message.len())
                }
                Received::TooLarge(head) => {
                    assert_eq!(head.len(), HEAD_KEPT);
                    format!("{} too large", char::from(head[0]))
                }
                Received::Ping(_) | Received::Pong => unreachable!("there are none on a pipe"),
            });
        }
        writing.await.unwrap();
        out
    }

    #[tokio::test]
    async fn messages_come_whole_however_they_are_cut_and_none_beyond_the_limit() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let sizes = [1, 5, COPIED - 1, COPIED, COPIED + 1, MOST - 1, MOST, 2];
        let large = [MOST + 1, MOST + READ, 10 * MOST];
        let all = sizes.iter().chain(&large).chain(&sizes);
        for (size, letter) in all.zip(b'a'..) {
            bytes.resize(bytes.len() + size, letter);
            bytes.push(0);
            let letter = char::from(letter);
            expected.push(if *size > MOST {
                format!("{letter} too large")
            } else {
                format!("{letter} {size}")
            });
        }
        for chunk in [4096, 65_537, 1 << 20, usize::MAX] {
            assert_eq!(received(bytes.clone(), chunk).await, expected, "{chunk}");
        }
    }

    #[tokio::test]
    async fn a_message_that_is_cut_off_is_none() {
        assert_eq!(received(b"aa\0bb".to_vec(), 10).await, ["a 2"]);
        assert_eq!(
            received(vec![b'x'; 2 * MOST], 70_000).await,
            Vec::<String>::new()
        );
    }
}
