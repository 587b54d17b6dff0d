//! Lines of a log, one at a time, in bounded memory.

use std::io::{self, Read};

/// The longest line that can be a record, with room to spare. A longer one is cut, and said to be too long.
pub(super) const MAX_LINE: usize = 64 * 1024;

const BUFFER: usize = 256 * 1024;

/// What is read at once while the rest of a line that is too long is passed over.
const SKIP: usize = 8 * 1024;

/// Reads lines from `R`.
pub(super) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// What was read and not given out yet.
    begin: usize,
    end: usize,
    /// The offset in the file of `begin`.
    offset: u64,
    number: u64,
}

/// One line.
pub(super) struct Line<'a> {
    /// Its bytes, without the line feed; the first [`MAX_LINE`] of them.
    pub bytes: &'a [u8],
    /// Where it begins in the file.
    pub offset: u64,
    /// Counted from 1.
    pub number: u64,
    /// Whether a line feed ends it.
    pub finished: bool,
    /// Whether it has more bytes than `bytes`.
    pub too_long: bool,
}

impl Line<'_> {
    /// Where the next line begins.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + u64::from(self.finished)
    }
}

impl<R: Read> Lines<R> {
    /// Reads from where `from` stands, which is `offset` in its file.
    pub fn new(from: R, offset: u64) -> Self {
        Self {
            from,
            // Behind a line that is too long there is room for what was read of the next.
            buffer: vec![0; BUFFER + SKIP],
            begin: 0,
            end: 0,
            offset,
            number: 0,
        }
    }

    /// The next line. Its last one may be unfinished. `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        let feed = loop {
            let held = &self.buffer[self.begin + searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', held) {
                break Some(searched + at);
            }
            searched = self.end - self.begin;
            if searched > MAX_LINE || !self.fill()? {
                break None;
            }
        };
        let length = feed.unwrap_or(self.end - self.begin);
        if feed.is_none() && length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let (begin, offset) = (self.begin, self.offset);
        let too_long = length > MAX_LINE;
        let finished = if too_long && feed.is_none() {
            self.begin = self.end;
            self.offset += length as u64;
            self.skip_to_feed()?
        } else {
            let taken = length + usize::from(feed.is_some());
            self.begin += taken;
            self.offset += taken as u64;
            feed.is_some()
        };
        Ok(Some(Line {
            bytes: &self.buffer[begin..begin + length.min(MAX_LINE)],
            offset,
            number: self.number,
            finished,
            too_long,
        }))
    }

    /// The offset of what comes next.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads more; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.begin > 0 && self.end > BUFFER / 2 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        let read = read_some(&mut self.from, &mut self.buffer[self.end..BUFFER])?;
        self.end += read;
        Ok(read > 0)
    }

    /// Passes over the rest of a line that is too long; whether a line feed ended it. What `buffer` holds up to `end` stays.
    fn skip_to_feed(&mut self) -> io::Result<bool> {
        let mut rest = [0; SKIP];
        loop {
            let read = read_some(&mut self.from, &mut rest)?;
            if read == 0 {
                return Ok(false);
            }
            match memchr::memchr(b'\n', &rest[..read]) {
                None => self.offset += read as u64,
                Some(at) => {
                    // What follows is the next line's.
                    let next = &rest[at + 1..read];
                    self.buffer[self.end..self.end + next.len()].copy_from_slice(next);
                    self.end += next.len();
                    self.offset += at as u64 + 1;
                    return Ok(true);
                }
            }
        }
    }
}

fn read_some(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn check(text: &[u8]) {
        for step in [1, 7, 1000, usize::MAX] {
            if step == 1 && text.len() > 100_000 {
                continue;
            }
            let mut lines = Lines::new(Trickle(text, step), 0);
            let mut at = 0;
            let mut number = 0;
            while at < text.len() {
                let feed = text[at..].iter().position(|&byte| byte == b'\n');
                let length = feed.unwrap_or(text.len() - at);
                let line = lines.next().unwrap().unwrap();
                number += 1;
                assert_eq!(line.offset, at as u64, "step {step}");
                assert_eq!(line.number, number);
                assert_eq!(line.finished, feed.is_some());
                assert_eq!(line.too_long, length > MAX_LINE);
                assert!(line.bytes == &text[at..at + length.min(MAX_LINE)]);
                at += length + usize::from(feed.is_some());
            }
            assert!(lines.next().unwrap().is_none());
            assert_eq!(lines.offset(), text.len() as u64);
        }
    }

    #[test]
    fn lines_are_read_whatever_the_pieces() {
        check(b"");
        check(b"\n");
        check(b"a");
        check(b"a\n\nbc\nd");
        check(&vec![b'x'; MAX_LINE]);
        for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 5 * MAX_LINE] {
            let mut text = b"first\n".to_vec();
            text.extend(vec![b'x'; length]);
            check(&text);
            text.extend(b"\nnext\nlast");
            check(&text);
        }
        check("0123456789abcdef\n".repeat(60_000).as_bytes());
    }
}
