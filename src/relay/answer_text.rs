//! An answer's text as the engine reads it: as a whole, or event by event.
//!
//! In a stream of events (`text/event-stream`: WHATWG HTML, 9.2.6) what stands in a `data:` line is a text of its own, and JSON as
//! far as it is JSON: so the results are well-formed there too, and the words of its structure stay. What is found never reaches
//! over the ends of such a line. The lines between are read together, as plain text, at most to the end of their event: an event
//! goes on as a whole once it is complete.

use std::sync::Arc;

use bytes::Bytes;

use super::Tally;
use crate::guard::{Refusal, Snapshot, Stream, Syntax};

/// What begins a line of data.
const FIELD: &[u8] = b"data:";

enum How {
    Whole(Syntax),
    Events(Line),
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy)]
enum Line {
    /// Behind so many bytes of [`FIELD`], and no others.
    Begin(usize),
    /// Behind the whole of it.
    Data,
    /// In a line of another field.
    Other,
    /// Behind a CR that ended a line: an LF is a part of that end.
    Cr,
}

impl Line {
    /// Behind that byte, which ends a line.
    fn behind(end: u8) -> Self {
        if end == b'\r' {
            Self::Cr
        } else {
            Self::Begin(0)
        }
    }
}

/// How an answer's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As one text.
    Whole(Syntax),
    /// As a stream of events.
    Events,
}

/// An answer's text.
pub(super) struct Text {
    how: How,
    /// What reads the text: of events the data of the line, or else the lines since the last data.
    stream: Option<Stream>,
    snapshot: Arc<Snapshot>,
    tally: Arc<Tally>,
}

impl Text {
    pub fn new(reading: Reading, snapshot: &Arc<Snapshot>, tally: &Arc<Tally>) -> Self {
        Self {
            how: match reading {
                Reading::Whole(syntax) => How::Whole(syntax),
                Reading::Events => How::Events(Line::Begin(0)),
            },
            stream: None,
            snapshot: Arc::clone(snapshot),
            tally: Arc::clone(tally),
        }
    }

    /// Takes the next piece; appends to `out` what is settled.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn push(&mut self, mut piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        while !piece.is_empty() {
            match self.how {
                How::Whole(syntax) => self.read(std::mem::take(&mut piece), syntax, out)?,
                How::Events(line) => {
                    let line = self.push_line(line, &mut piece, out)?;
                    self.how = How::Events(line);
                }
            }
        }
        Ok(())
    }

    /// Takes what follows in the line, at most to its end; where the byte after it stands.
    fn push_line(
        &mut self,
        line: Line,
        piece: &mut Bytes,
        out: &mut Vec<Bytes>,
    ) -> Result<Line, Refusal> {
        match line {
            // The empty line behind an event.
            Line::Begin(0) if matches!(piece.first(), Some(b'\r' | b'\n')) => {
                let end = piece.split_to(1);
                let next = Line::behind(end[0]);
                if self.stream.is_some() {
                    self.read(end, Syntax::Text, out)?;
                    self.end(out)?;
                } else {
                    out.push(end);
                }
                Ok(next)
            }
            Line::Begin(taken) => {
                let wanted = FIELD[taken..].iter().zip(piece.iter());
                let same = wanted.take_while(|(field, byte)| field == byte).count();
                self.read(piece.split_to(same), Syntax::Text, out)?;
                if taken + same == FIELD.len() {
                    self.end(out)?;
                    return Ok(Line::Data);
                }
                Ok(if piece.is_empty() {
                    Line::Begin(taken + same)
                } else {
                    Line::Other
                })
            }
            Line::Data => {
                let end = line_end(piece);
                let data = piece.split_to(end.unwrap_or(piece.len()));
                self.read(data, Syntax::Json, out)?;
                if end.is_none() {
                    return Ok(Line::Data);
                }
                self.end(out)?;
                Ok(Line::Other)
            }
            Line::Other => {
                let end = line_end(piece);
                let next = end.map_or(Line::Other, |end| Line::behind(piece[end]));
                let text = piece.split_to(end.map_or(piece.len(), |end| end + 1));
                self.read(text, Syntax::Text, out)?;
                Ok(next)
            }
            Line::Cr => {
                let rest = usize::from(piece.first() == Some(&b'\n'));
                self.read(piece.split_to(rest), Syntax::Text, out)?;
                Ok(Line::Begin(0))
            }
        }
    }

    /// Ends what is read: appends the rest of it; what was found counts.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        let ended = self.stream.as_mut().map(|stream| stream.finish(out));
        self.count();
        ended.unwrap_or(Ok(()))
    }

    fn read(&mut self, text: Bytes, syntax: Syntax, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if text.is_empty() {
            return Ok(());
        }
        let stream = self
            .stream
            .get_or_insert_with(|| self.snapshot.answer_stream(syntax));
        stream.push(text, out)
    }

    /// What was found counts; nothing is read on.
    fn count(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.tally.add_named(stream.hits(), &self.snapshot);
        }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.count();
    }
}

fn line_end(text: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', text)
}
