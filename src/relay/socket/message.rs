//! One message as one text for the engine.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Tunnel;
use super::end::Side;
use crate::guard::{Refusal, Snapshot, Stream, Syntax};
use crate::net::websocket::frame::Kind;
use crate::relay::content::{self, Declared, Opening};

/// What a message is read as. Text that is not JSON is read as text from where that shows.
const SYNTAX: Syntax = Syntax::Json;

/// Why a message goes no further.
pub(super) enum Unread {
    /// A text message is not UTF-8.
    Utf8,
    /// A text message shows to be JSON in UTF-16 or UTF-32.
    Charset,
    /// A block that the provider signed holds the value of that key.
    Signed(String),
    /// The engine refuses it.
    Refused(Refusal),
}

/// A message on its way through the engine, which may come in any pieces.
pub(super) struct Message<'a> {
    tunnel: &'a Tunnel,
    /// `None` where there is nothing to mask.
    masking: Option<(Arc<Snapshot>, Stream)>,
    /// For text: what came of the last character.
    came: Option<Utf8>,
    /// For text: what went of the last character.
    went: Option<Utf8>,
    /// For text: its first bytes. JSON in UTF-16 may be made of nothing but ASCII and zeros, which is UTF-8.
    opening: Option<Opening>,
}

impl<'a> Message<'a> {
    /// Begins a message of that side, masked with those needles to its end.
    pub(super) fn begin(
        needles: Option<Arc<Snapshot>>,
        tunnel: &'a Tunnel,
        side: Side,
        kind: Kind,
    ) -> Self {
        let text = || (kind == Kind::Text).then(Utf8::default);
        let masking = needles.map(|snapshot| {
            let stream = match side {
                Side::Client => snapshot.stream(SYNTAX),
                Side::Upstream => snapshot.answer_stream(SYNTAX),
            };
            (snapshot, stream)
        });
        Self {
            tunnel,
            masking,
            came: text(),
            went: text(),
            opening: (kind == Kind::Text).then(Opening::default),
        }
    }

    /// Takes the next piece; appends what is settled.
    pub(super) fn push(&mut self, piece: Bytes, out: &mut BytesMut) -> Result<(), Unread> {
        if self.came.as_mut().is_some_and(|came| !came.check(&piece)) {
            return Err(Unread::Utf8);
        }
        if let Some(opening) = &mut self.opening
            && !content::is_utf8_text(opening.with(&piece), Declared::Nothing)
        {
            return Err(Unread::Charset);
        }
        let Some((_, stream)) = &mut self.masking else {
            out.extend_from_slice(&piece);
            return Ok(());
        };
        let mut settled = Vec::new();
        let pushed = stream.push(piece, &mut settled);
        self.emit(&settled, out);
        pushed.map_err(|refusal| self.unread(refusal))
    }

    /// Ends the message; appends the rest.
    pub(super) fn finish(mut self, out: &mut BytesMut) -> Result<(), Unread> {
        if self.came.as_ref().is_some_and(|came| came.held > 0) {
            return Err(Unread::Utf8);
        }
        if let Some((_, stream)) = &mut self.masking {
            let mut settled = Vec::new();
            let finished = stream.finish(&mut settled);
            self.emit(&settled, out);
            finished.map_err(|refusal| self.unread(refusal))?;
            if let Some(went) = &mut self.went {
                went.end(out);
            }
        }
        Ok(())
    }

    fn unread(&self, refusal: Refusal) -> Unread {
        match refusal {
            Refusal::Signed(id) => {
                let masking = self.masking.as_ref();
                let key = masking.map_or("unknown", |(snapshot, _)| snapshot.key(id));
                Unread::Signed(key.to_owned())
            }
            other => Unread::Refused(other),
        }
    }

    /// A value in Latin-1 may be found where it is the beginning of a longer character: what is left of that is mended, for
    /// text must be UTF-8.
    fn emit(&mut self, settled: &[Bytes], out: &mut BytesMut) {
        for piece in settled {
            match &mut self.went {
                Some(went) => went.mend(piece, out),
                None => out.extend_from_slice(piece),
            }
        }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // A message that is refused or cut short still counts what was found in it.
        if let Some((snapshot, stream)) = &self.masking
            && !(stream.hits().is_empty() && stream.passed().is_empty())
        {
            self.tunnel.tally.add_named(stream.hits(), snapshot);
            self.tunnel.tally.add_passed_by(stream.passed(), snapshot);
            self.tunnel.found.notify_one();
        }
    }
}

/// UTF-8 in pieces: holds the beginning of a character that a piece ended in.
#[derive(Default)]
struct Utf8 {
    bytes: [u8; 4],
    held: usize,
}

/// The sign for what is no character.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

impl Utf8 {
    /// Whether the text is UTF-8 so far.
    fn check(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while self.held > 0 {
            let Some((byte, after)) = rest.split_first() else {
                return true;
            };
            rest = after;
            self.bytes[self.held] = *byte;
            self.held += 1;
            match std::str::from_utf8(&self.bytes[..self.held]) {
                Ok(_) => self.held = 0,
                // Complete after four bytes at most.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => true,
            Err(error) if error.error_len().is_none() => {
                self.hold(&rest[error.valid_up_to()..]);
                true
            }
            Err(_) => false,
        }
    }

    /// Appends the next piece of the text, with what is no character replaced.
    fn mend(&mut self, piece: &[u8], out: &mut BytesMut) {
        if self.held == 0 {
            return self.mend_whole(piece, out);
        }
        let mut joined = self.bytes[..self.held].to_vec();
        joined.extend_from_slice(piece);
        self.held = 0;
        self.mend_whole(&joined, out);
    }

    fn mend_whole(&mut self, text: &[u8], out: &mut BytesMut) {
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.extend_from_slice(chunk.valid().as_bytes());
            let invalid = chunk.invalid();
            let unfinished = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if unfinished && chunks.peek().is_none() {
                self.hold(invalid);
            } else if !invalid.is_empty() {
                out.extend_from_slice(REPLACEMENT);
            }
        }
    }

    /// The text ends: a character that it ends in is none.
    fn end(&mut self, out: &mut BytesMut) {
        if std::mem::take(&mut self.held) > 0 {
            out.extend_from_slice(REPLACEMENT);
        }
    }

    fn hold(&mut self, beginning: &[u8]) {
        self.bytes[..beginning.len()].copy_from_slice(beginning);
        self.held = beginning.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that are valid, cut short, overlong, surrogates, beyond Unicode, and stray bytes.
    const TEXTS: [&[u8]; 12] = [
        b"",
        b"plain",
        "äöü € 𝄞 z".as_bytes(),
        b"\xe2\x82",
        b"a\xf0\x9d\x84",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"a\xffb",
        b"\xe2\x82a\xe2\x82\xac",
        b"\xf0\x9d\xf0\x9d\x84\x9e\xc3",
    ];

    #[test]
    fn pieces_do_not_change_what_is_utf8() {
        for text in TEXTS {
            for size in 1..6 {
                let mut utf8 = Utf8::default();
                let valid = text.chunks(size).all(|piece| utf8.check(piece)) && utf8.held == 0;
                assert_eq!(
                    valid,
                    std::str::from_utf8(text).is_ok(),
                    "{text:x?} by {size}"
                );
            }
        }
    }

    #[test]
    fn pieces_do_not_change_what_is_mended() {
        for text in TEXTS {
            for size in 1..6 {
                let (mut utf8, mut out) = (Utf8::default(), BytesMut::new());
                for piece in text.chunks(size) {
                    utf8.mend(piece, &mut out);
                }
                utf8.end(&mut out);
                let expected = String::from_utf8_lossy(text);
                assert_eq!(out, expected.as_bytes(), "{text:x?} by {size}");
            }
        }
    }
}
