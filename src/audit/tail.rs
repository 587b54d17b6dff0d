//! The last lines of a log, and those to come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::event::printable;
use super::files::{self, Ident, Part};
use super::lines::{Lines, MAX_LINE};

/// How often a file is asked for more.
const POLL: Duration = Duration::from_millis(250);

/// So many lines are read before they are given out, or a few more.
const READY: usize = 1024;

const BLOCK: usize = 64 * 1024;

/// The last `count` lines of the log at `path`, over rotated files too; then, with `follow`, what is written from now on.
pub fn tail(path: &Path, count: usize, follow: bool) -> io::Result<Tail> {
    let mut parts = files::parts(path)?;
    if parts.is_empty() && !follow {
        return Err(io::Error::new(
            ErrorKind::NotFound,
            format!("there is no audit log at {}", path.display()),
        ));
    }
    let mut ready = VecDeque::new();
    let mut current = None;
    while let Some(part) = parts.pop() {
        let file = part.open()?;
        let (lines, end) = last_lines(&file, count - ready.len())?;
        for line in lines.into_iter().rev() {
            ready.push_front(line);
        }
        current.get_or_insert(Position {
            file,
            offset: end,
            begun: Vec::new(),
        });
        if ready.len() >= count {
            break;
        }
    }
    Ok(Tail {
        path: path.to_owned(),
        ready,
        current: current.filter(|_| follow),
        follow,
    })
}

/// Lines of a log, as they come. As an iterator it waits for the next one, without end if it follows.
pub struct Tail {
    path: PathBuf,
    ready: VecDeque<String>,
    /// Where it reads on. `None`: no file was there yet.
    current: Option<Position>,
    follow: bool,
}

struct Position {
    file: File,
    /// What was read of it.
    offset: u64,
    /// A line without its line feed yet.
    begun: Vec<u8>,
}

impl Iterator for Tail {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_within(Duration::MAX) {
                Ok(Some(line)) => return Some(Ok(line)),
                Ok(None) if self.follow => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Tail {
    /// The next line, if it comes within this time.
    pub fn next_within(&mut self, time: Duration) -> io::Result<Option<String>> {
        let begin = Instant::now();
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if !self.follow {
                return Ok(None);
            }
            self.read_on()?;
            if self.ready.is_empty() {
                let left = time.saturating_sub(begin.elapsed());
                if left.is_zero() {
                    return Ok(None);
                }
                thread::sleep(POLL.min(left));
            }
        }
    }

    /// Reads what has come, through rotated files to the current one.
    fn read_on(&mut self) -> io::Result<()> {
        // Whether the file was left is asked before it is read to its end: then nothing is written to it any more.
        let next = self.file_behind()?;
        let is_through = match &mut self.current {
            Some(position) => position.read(&mut self.ready)?,
            None => true,
        };
        if let (true, Some(file)) = (is_through, next) {
            self.current = Some(Position {
                file,
                offset: 0,
                begun: Vec::new(),
            });
        }
        Ok(())
    }

    /// The file behind the one that is read; `None` if that is the newest.
    fn file_behind(&self) -> io::Result<Option<File>> {
        let there = files::ident_at(&self.path)?;
        let Some(position) = &self.current else {
            return match there {
                Some(_) => File::open(&self.path).map(Some),
                None => Ok(None),
            };
        };
        let ident = Ident::of(&position.file.metadata()?);
        if there.is_none_or(|(there, _)| there == ident) {
            return Ok(None);
        }
        let parts = files::parts(&self.path)?;
        // One that is not among them was removed: what is the newest goes on.
        let next = match parts.iter().position(|part| part.ident == ident) {
            Some(at) => parts.get(at + 1),
            None => parts.last(),
        };
        next.map(Part::open).transpose()
    }
}

impl Position {
    /// Reads on. `true`: to the end, as it is now.
    fn read(&mut self, ready: &mut VecDeque<String>) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        if length < self.offset {
            // An unfinished line was cut off.
            self.offset = length;
            self.begun.clear();
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut block = vec![0; BLOCK];
        while ready.len() < READY {
            let read = match self.file.read(&mut block) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(true);
            }
            self.offset += read as u64;
            for piece in block[..read].split_inclusive(|&byte| byte == b'\n') {
                if self.begun.len() < MAX_LINE {
                    self.begun.extend_from_slice(piece);
                }
                if piece.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.begun);
                    ready.push_back(text(line.strip_suffix(b"\n").unwrap_or(&line)));
                }
            }
        }
        Ok(false)
    }
}

/// The last lines of a file that are finished, and where the last one ends.
fn last_lines(file: &File, count: usize) -> io::Result<(Vec<String>, u64)> {
    let length = file.metadata()?.len();
    // Backwards, block by block, until one line feed more than lines are wanted was seen.
    let mut begin = length;
    let mut feeds = 0;
    let mut end = 0;
    let mut block = vec![0; BLOCK];
    'back: while begin > 0 {
        let size = begin.min(BLOCK as u64);
        let block = &mut block[..usize::try_from(size).unwrap_or(BLOCK)];
        begin -= size;
        file.read_exact_at(block, begin)?;
        for at in memchr::memrchr_iter(b'\n', block) {
            feeds += 1;
            let behind = begin + at as u64 + 1;
            end = end.max(behind);
            if feeds > count {
                begin = behind;
                break 'back;
            }
        }
    }
    let mut from = file;
    from.seek(SeekFrom::Start(begin))?;
    let mut lines = Lines::new(from.take(end.saturating_sub(begin)), begin);
    let mut found = Vec::new();
    while let Some(line) = lines.next()? {
        found.push(text(line.bytes));
    }
    Ok((found, end))
}

/// What is no UTF-8, and so no record, is shown as well as it can be, and so that no terminal obeys it.
fn text(line: &[u8]) -> String {
    printable(&String::from_utf8_lossy(line)).into_owned()
}
