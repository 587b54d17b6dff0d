//! A multipart body (RFC 2046, 5.1; RFC 7578), read part by part while it streams.
//!
//! Each part is a text of its own, as upstream reads it, with the syntax that its own headers name. Its headers are masked as
//! headers; boundary lines go on as they came. What stands before the first and after the last boundary is searched as text.
//!
//! Servers differ in what they take for a boundary, so whatever two of them could read differently is refused:
//! - The first boundary line says how all lines of the frame end, with CR LF or, as some clients write, with LF. A boundary
//!   line that ends or follows otherwise is an error, and so is a header line.
//! - A line that begins with two hyphens and the boundary must be a boundary line, all of it: no blanks, nothing else. Within a
//!   line they mean nothing.
//! - A boundary line directly after the headers' empty line, or after the closing one, is an error; so is its absence.
//! - Headers are not folded.
//! - A part that is said to be in base64 has nothing but its letters and line ends.
//! - What masking makes of a text must have no line that begins like a boundary: a boundary may be chosen so that a key is one.
//!
//! A part's own `Content-Length` counts for nothing (RFC 7578, 4.8) and stays as it came, also where masking changed the length.
//!
//! A value that holds a line break, two hyphens and the boundary itself could only be found by reading over the edge of parts,
//! which no reader of parts does: it is not searched for.

mod boundary;
mod part;
mod seam;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

pub use boundary::Boundary;
use part::Part;
use seam::Seam;

use super::Error;
use super::content::{ContentError, Declared, OPENING};
use crate::guard::{Hits, Snapshot, Stream, Syntax};

/// Bytes of a part's headers.
const LONGEST_HEAD: usize = 16 << 10;

/// Header lines of a part.
const MOST_LINES: usize = 100;

/// Multipart bodies within one another.
const DEEPEST: u8 = 4;

/// Why a multipart body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// It ends before its closing boundary.
    #[error("the multipart body ends without its closing boundary")]
    Unclosed,
    /// See the module's rules.
    #[error(
        "a line of the multipart body can be read as a boundary and as something else, or its lines end in different ways"
    )]
    Delimiter,
    /// What replaces a value would make a boundary.
    #[error("masking would make a line of the multipart body into a boundary")]
    Made,
    /// A part's header lines are none.
    #[error(
        "a part of the multipart body has headers that are not valid, folded, or written in sections (filename*0)"
    )]
    Head,
    /// Too many or too long header lines.
    #[error("a part of the multipart body has more than 16384 bytes or 100 lines of headers")]
    HeadTooLong,
    /// Multipart in multipart in multipart …
    #[error("the multipart body is nested too deep")]
    Nested,
    /// A part in base64 has bytes that base64 does not have: some decoders skip them.
    #[error("a part of the multipart body is said to be base64 and has other bytes in it")]
    Base64,
    /// A part says of itself what cannot be read.
    #[error("in a part of the multipart body: {0}")]
    Content(#[from] ContentError),
}

/// One pass over one body: as one text, or part by part.
pub enum Reader {
    /// One text whose first bytes tell how it is read: those that have come.
    Opening(Arc<Snapshot>, Declared, BytesMut),
    /// One text.
    Text(Box<Stream>),
    /// A multipart body.
    Parts(Box<Multipart>),
}

/// What the parts of a body share.
struct Context {
    snapshot: Arc<Snapshot>,
    /// How many more levels may be within.
    depth: u8,
}

/// How the lines of the frame end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    CrLf,
    Lf,
}

/// Where in the body we are.
enum Place {
    Preamble(Part),
    /// In the headers of a part: its lines so far, and where the last one begins.
    Head(Vec<u8>, usize),
    Body(Part),
    Epilogue(Part),
}

/// A multipart body on its way through.
pub struct Multipart {
    context: Context,
    /// Finds the two hyphens and the boundary.
    finder: Finder<'static>,
    line_end: Option<LineEnd>,
    place: Place,
    /// Reads what goes on of the text at this place.
    seam: Seam,
    /// Nothing was taken at this place yet.
    fresh: bool,
    /// Anything was taken at all.
    begun: bool,
    /// What may be the beginning of a boundary line, until more comes.
    carry: BytesMut,
    /// Of what is through: what was replaced, and what passed in signed blocks.
    hits: Hits,
    passed: Hits,
}

/// A place in a text where the boundary stands at the beginning of a line.
enum Found {
    /// Not in this text; so many bytes are certainly before it.
    Nowhere(usize),
    /// The text ends too early to tell; so many bytes are before it.
    Perhaps(usize),
    /// From here on a boundary line, up to there.
    Line(usize, usize),
    /// The closing one.
    Close(usize, usize),
}

impl Reader {
    /// A reader of a body that is one text, or has a boundary.
    ///
    /// # Errors
    /// The boundary holds a value.
    pub fn new(
        snapshot: &Arc<Snapshot>,
        declared: Declared,
        boundary: Option<&Boundary>,
    ) -> Result<Self, Error> {
        let Some(boundary) = boundary else {
            return Ok(if declared.is_told_by_opening() {
                Self::Opening(Arc::clone(snapshot), declared, BytesMut::new())
            } else {
                Self::text(snapshot, declared.syntax(b""))
            });
        };
        let context = Context {
            snapshot: Arc::clone(snapshot),
            depth: DEEPEST,
        };
        Self::nested(boundary, &context)
    }

    fn text(snapshot: &Snapshot, syntax: Syntax) -> Self {
        Self::Text(Box::new(snapshot.stream(syntax)))
    }

    /// A reader of a multipart body one level below.
    fn nested(boundary: &Boundary, context: &Context) -> Result<Self, Error> {
        if boundary.holds_value(&context.snapshot)? {
            return Err(Error::SecretInName("boundary of the multipart body"));
        }
        Ok(Self::Parts(Box::new(Multipart {
            context: Context {
                snapshot: Arc::clone(&context.snapshot),
                depth: context.depth.saturating_sub(1),
            },
            finder: Finder::new(&boundary.dashed()).into_owned(),
            line_end: None,
            place: Place::Preamble(Part::text()),
            seam: Seam::new(),
            fresh: true,
            begun: false,
            carry: BytesMut::new(),
            hits: Hits::new(),
            passed: Hits::new(),
        })))
    }

    /// Takes the next piece; appends to `out` what is settled.
    ///
    /// # Errors
    /// The engine refuses the text, or the body is not one that can be read. After an error, nothing more may be pushed.
    pub fn push(&mut self, mut piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        match self {
            Self::Opening(_, _, opening) => {
                let wanted = OPENING - opening.len();
                opening.extend_from_slice(&piece.split_to(wanted.min(piece.len())));
                if opening.len() < OPENING {
                    return Ok(());
                }
                self.begin(out)?;
                self.push(piece, out)
            }
            Self::Text(stream) => Ok(stream.push(piece, out)?),
            Self::Parts(parts) => parts.push(&piece, out),
        }
    }

    /// Ends the body; appends the rest of it.
    ///
    /// # Errors
    /// As [`Reader::push`]; a multipart body must be closed.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        if matches!(self, Self::Opening(..)) {
            self.begin(out)?;
        }
        match self {
            Self::Opening(..) => Ok(()),
            Self::Text(stream) => Ok(stream.finish(out)?),
            Self::Parts(parts) => parts.finish(out),
        }
    }

    /// Begins the text whose first bytes are there.
    fn begin(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let Self::Opening(snapshot, declared, opening) = self else {
            return Ok(());
        };
        let opening = opening.split().freeze();
        *self = Self::text(snapshot, declared.syntax(&opening));
        self.push(opening, out)
    }

    /// What was replaced so far.
    pub fn hits(&self) -> Hits {
        match self {
            Self::Opening(..) => Hits::default(),
            Self::Text(stream) => stream.hits().clone(),
            Self::Parts(parts) => parts.all(Part::hits, &parts.hits),
        }
    }

    /// What passed so far in signed blocks.
    pub fn passed(&self) -> Hits {
        match self {
            Self::Opening(..) => Hits::default(),
            Self::Text(stream) => stream.passed().clone(),
            Self::Parts(parts) => parts.all(Part::passed, &parts.passed),
        }
    }
}

impl Multipart {
    fn push(&mut self, piece: &Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        self.begun |= !piece.is_empty();
        let mut at = 0;
        while at < piece.len() {
            if self.carry.is_empty() {
                at += self.step(&piece.slice(at..), false, out)?;
                if at < piece.len() {
                    self.carry.extend_from_slice(&piece[at..]);
                }
                return Ok(());
            }
            // Enough of the piece to tell what the carried bytes are; then the rest of it goes on without a copy.
            let before = self.carry.len();
            let more = (piece.len() - at).min(self.reach());
            self.carry.extend_from_slice(&piece[at..at + more]);
            let joint = self.carry.split().freeze();
            let taken = self.step(&joint, false, out)?;
            if taken < before {
                self.carry.extend_from_slice(&joint[taken..]);
                at += more;
            } else {
                at += taken - before;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let rest = self.carry.split().freeze();
        let taken = self.step(&rest, true, out)?;
        match &mut self.place {
            Place::Epilogue(part) if taken == rest.len() => {
                let from = out.len();
                part.finish(&self.context, out)?;
                if self.seam.is_boundary(&out[from..], &self.finder) {
                    return Err(PartError::Made.into());
                }
                let through = std::mem::replace(part, Part::text());
                self.count(&through);
                Ok(())
            }
            // A body without a byte has nothing that could be read otherwise.
            Place::Preamble(_) if !self.begun => Ok(()),
            _ => Err(PartError::Unclosed.into()),
        }
    }

    /// Counts what was found in a part that is through.
    fn count(&mut self, part: &Part) {
        add(&mut self.hits, &part.hits());
        add(&mut self.passed, &part.passed());
    }

    /// What was found in all parts, of which `of` is one.
    fn all(&self, of: fn(&Part) -> Hits, so_far: &Hits) -> Hits {
        let mut all = so_far.clone();
        if let Place::Preamble(part) | Place::Body(part) | Place::Epilogue(part) = &self.place {
            add(&mut all, &of(part));
        }
        all
    }

    /// Bytes that say of any place whether a boundary line begins there: a line break, the boundary, two hyphens, a line break.
    fn reach(&self) -> usize {
        self.finder.needle().len() + 6
    }

    /// Takes from a text as much as can be told; returns how much that is. The rest is shorter than [`Self::reach`].
    fn step(&mut self, text: &Bytes, last: bool, out: &mut Vec<Bytes>) -> Result<usize, Error> {
        let mut at = 0;
        while at < text.len() {
            let rest = text.slice(at..);
            let taken = match self.place {
                Place::Head(..) => self.take_head(&rest, out)?,
                _ => self.take_text(&rest, last, out)?,
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        Ok(at)
    }

    /// Takes text up to the next boundary line, and that line.
    fn take_text(
        &mut self,
        text: &Bytes,
        last: bool,
        out: &mut Vec<Bytes>,
    ) -> Result<usize, Error> {
        let found = self.find(text, last)?;
        let (Found::Nowhere(before)
        | Found::Perhaps(before)
        | Found::Line(before, _)
        | Found::Close(before, _)) = found;
        let (Place::Preamble(part) | Place::Body(part) | Place::Epilogue(part)) = &mut self.place
        else {
            return Ok(0);
        };
        let from = out.len();
        if before > 0 {
            part.push(text.slice(..before), &self.context, out)?;
            self.fresh = false;
        }
        let (next, end) = match found {
            Found::Nowhere(_) | Found::Perhaps(_) => (None, before),
            Found::Line(_, end) => (Some(Place::Head(Vec::new(), 0)), end),
            Found::Close(_, end) => (Some(Place::Epilogue(Part::text())), end),
        };
        if next.is_some() {
            part.finish(&self.context, out)?;
        }
        if self.seam.is_boundary(&out[from..], &self.finder) {
            return Err(PartError::Made.into());
        }
        let Some(next) = next else {
            return Ok(before);
        };
        out.push(text.slice(before..end));
        if let Place::Preamble(part) | Place::Body(part) | Place::Epilogue(part) =
            std::mem::replace(&mut self.place, next)
        {
            self.count(&part);
        }
        self.seam = Seam::new();
        self.fresh = true;
        Ok(end)
    }

    fn find(&mut self, text: &[u8], last: bool) -> Result<Found, Error> {
        let width = self.finder.needle().len();
        let mut from = 0;
        while let Some(at) = self.finder.find(&text[from..]).map(|at| from + at) {
            let before = match text[..at] {
                [] if self.fresh => None,
                [.., b'\r', b'\n'] => Some(LineEnd::CrLf),
                [.., b'\n'] => Some(LineEnd::Lf),
                [.., b'\r'] => return Err(PartError::Delimiter.into()),
                _ => {
                    from = at + 1;
                    continue;
                }
            };
            let start = at - before.map_or(0, LineEnd::len);
            let (after, closes) = match &text[at + width..] {
                [b'\r', b'\n', ..] => (Some(LineEnd::CrLf), false),
                [b'\n', ..] => (Some(LineEnd::Lf), false),
                [b'-', b'-', b'\r', b'\n', ..] => (Some(LineEnd::CrLf), true),
                [b'-', b'-', b'\n', ..] => (Some(LineEnd::Lf), true),
                b"--" if last => (None, true),
                b"" | b"\r" | b"-" | b"--" | b"--\r" if last => {
                    return Err(PartError::Unclosed.into());
                }
                b"" | b"\r" | b"-" | b"--" | b"--\r" => return Ok(Found::Perhaps(start)),
                _ => return Err(PartError::Delimiter.into()),
            };
            self.check_line(before, after, closes)?;
            let end = at + width + after.map_or(0, LineEnd::len);
            return Ok(if closes {
                Found::Close(start, end + 2)
            } else {
                Found::Line(start, end)
            });
        }
        if last {
            return Ok(Found::Nowhere(text.len()));
        }
        // A line break and all but one byte of the boundary may stand at the end.
        Ok(Found::Nowhere(text.len().saturating_sub(width + 1)))
    }

    /// Whether a boundary line may stand here with these line ends.
    fn check_line(
        &mut self,
        before: Option<LineEnd>,
        after: Option<LineEnd>,
        closes: bool,
    ) -> Result<(), Error> {
        let begins = matches!(self.place, Place::Preamble(_)) && before.is_none();
        // What ends the closing line is the epilogue's, which nobody reads.
        let frame = [before, after.filter(|_| !closes)];
        for line_end in frame.into_iter().flatten() {
            if *self.line_end.get_or_insert(line_end) != line_end {
                return Err(PartError::Delimiter.into());
            }
        }
        if matches!(self.place, Place::Epilogue(_)) || (before.is_none() && !begins) {
            return Err(PartError::Delimiter.into());
        }
        Ok(())
    }

    /// Takes header lines of a part up to the end of this text or of the headers.
    fn take_head(&mut self, text: &[u8], out: &mut Vec<Bytes>) -> Result<usize, Error> {
        let Place::Head(head, line_from) = &mut self.place else {
            return Ok(0);
        };
        let newline = memchr::memchr(b'\n', text);
        let taken = newline.map_or(text.len(), |at| at + 1);
        if head.len() + taken > LONGEST_HEAD {
            return Err(PartError::HeadTooLong.into());
        }
        head.extend_from_slice(&text[..taken]);
        if newline.is_none() {
            return Ok(taken);
        }
        // The first boundary line had a line end.
        let line_end = self.line_end.unwrap_or(LineEnd::CrLf).bytes();
        let Some(line) = head[*line_from..].strip_suffix(line_end) else {
            return Err(PartError::Delimiter.into());
        };
        if line.starts_with(self.finder.needle()) || line.contains(&b'\r') {
            return Err(PartError::Delimiter.into());
        }
        if !line.is_empty() {
            *line_from = head.len();
            return Ok(taken);
        }
        let all = std::mem::take(head);
        let part = self.begin_part(&all, line_end, out)?;
        self.place = Place::Body(part);
        self.fresh = true;
        Ok(taken)
    }

    /// Reads and masks a part's headers, which end with an empty line.
    fn begin_part(
        &mut self,
        head: &[u8],
        line_end: &[u8],
        out: &mut Vec<Bytes>,
    ) -> Result<Part, Error> {
        let block = head.strip_suffix(line_end).unwrap_or(head);
        let lines: Vec<&[u8]> = block
            .split(|b| *b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        if lines.len() > MOST_LINES {
            return Err(PartError::HeadTooLong.into());
        }
        let kind = part::kind(&lines, &self.context)?;
        let snapshot = &self.context.snapshot;
        match part::masked(&lines, line_end, &kind, snapshot, &mut self.hits)? {
            None => out.push(Bytes::copy_from_slice(head)),
            Some(mut text) => {
                text.extend_from_slice(line_end);
                out.push(Bytes::from(text));
            }
        }
        Ok(Part::new(kind))
    }
}

impl LineEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }

    fn len(self) -> usize {
        self.bytes().len()
    }
}

fn add(sum: &mut Hits, hits: &Hits) {
    for (key, count) in hits {
        let entry = sum.entry(*key).or_default();
        *entry = entry.saturating_add(*count);
    }
}
