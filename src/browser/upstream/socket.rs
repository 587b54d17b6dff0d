//! Messages over a browser's WebSocket: one in a text message each.

use std::io;

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::crypto::{SecureRandom, aws_lc_rs};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use super::{HEAD_KEPT, Outgoing, Received};
use crate::net::websocket::frame::{Event, Head, Kind, Opcode, Parser, Piece, apply_mask};
use crate::net::websocket::stream;

type Io = TokioIo<Upgraded>;

/// The two halves of a connection that has switched.
pub(super) fn halves(io: Io, most: usize) -> (Reader, Writer) {
    let (read, write) = split(io);
    // How long a message is, is counted here: one that is too long must be passed over, and not end the connection.
    let parser = Parser::new(false, false, u64::MAX);
    let reader = Reader {
        stream: stream::Reader::new(read, parser),
        message: BytesMut::new(),
        most,
        passing: None,
    };
    let writer = Writer {
        io: write,
        random: aws_lc_rs::default_provider().secure_random,
    };
    (reader, writer)
}

/// The reading half.
pub(in super::super) struct Reader {
    stream: stream::Reader<ReadHalf<Io>>,
    message: BytesMut,
    most: usize,
    /// The beginning of the message that is being passed over.
    passing: Option<Bytes>,
}

impl Reader {
    /// The next message; `None`: the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            while let Some(event) = self.stream.event().map_err(io::Error::other)? {
                match event {
                    Event::Data(piece) => {
                        if let Some(received) = self.piece(&piece)? {
                            return Ok(Some(received));
                        }
                    }
                    Event::Ping(payload) => return Ok(Some(Received::Ping(payload))),
                    Event::Pong(_) => return Ok(Some(Received::Pong)),
                    Event::Close(_) => return Ok(None),
                }
            }
            if self.stream.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    fn piece(&mut self, piece: &Piece) -> io::Result<Option<Received>> {
        if piece.kind == Kind::Binary {
            return Err(io::Error::other("a binary message"));
        }
        let fits = self.message.len() + piece.payload.len() <= self.most;
        if self.passing.is_none() && fits {
            self.message.extend_from_slice(&piece.payload);
        } else if self.passing.is_none() {
            let mut head = std::mem::take(&mut self.message);
            head.truncate(HEAD_KEPT);
            let more = piece.payload.len().min(HEAD_KEPT - head.len());
            head.extend_from_slice(&piece.payload[..more]);
            self.passing = Some(Bytes::copy_from_slice(&head));
        }
        Ok(piece.last.then(|| match self.passing.take() {
            Some(head) => Received::TooLarge(head),
            None => Received::Message(std::mem::take(&mut self.message)),
        }))
    }
}

/// The writing half.
pub(in super::super) struct Writer {
    io: WriteHalf<Io>,
    random: &'static dyn SecureRandom,
}

impl Writer {
    pub(super) async fn write(&mut self, message: Outgoing) -> io::Result<()> {
        match message {
            Outgoing::Message(mut bytes) => self.frame(Opcode::Text, &mut bytes).await,
            Outgoing::Pong(payload) => self.frame(Opcode::Pong, &mut payload.to_vec()).await,
            Outgoing::Ping => self.frame(Opcode::Ping, &mut []).await,
        }
    }

    /// Writes header and payload one after the other: a message is masked in its place, so that no copy is left behind.
    async fn frame(&mut self, opcode: Opcode, payload: &mut [u8]) -> io::Result<()> {
        let head = self.mask(opcode, payload)?;
        self.io.write_all(&head).await?;
        self.io.write_all(payload).await?;
        self.io.flush().await
    }

    /// Masks a payload; its frame's header.
    fn mask(&self, opcode: Opcode, payload: &mut [u8]) -> io::Result<BytesMut> {
        let mut key = [0; 4];
        self.random
            .fill(&mut key)
            .map_err(|_| io::Error::other("no randomness"))?;
        let head = Head {
            opcode,
            fin: true,
            compressed: false,
        };
        let mut out = BytesMut::new();
        head.put(payload.len(), Some(key), &mut out);
        apply_mask(payload, key);
        Ok(out)
    }
}
