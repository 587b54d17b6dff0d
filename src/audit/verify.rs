//! Verifies a log: every record, every gap between them, and its end against the keeper's head.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::chain::{Framed, Link, Sealer};
use super::event::Kind;
use super::files::{self, Part};
use super::keeper::{Head, Keeper, KeeperError};
use super::lines::{Line, Lines};

/// How many records must fail, and none hold, before the key is said to be the wrong one.
const KEY_SAMPLE: usize = 50;

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records that were checked.
    pub records: u64,
    /// Files that they stand in.
    pub files: usize,
    /// The first record's number. Over 1: older files were archived, and are not verified.
    pub first_seq: u64,
    /// The last record's number; 0 if there is none.
    pub last_seq: u64,
    /// Records behind the stored head: what was written just before a crash, or since the verification began. `None`: no head is
    /// known for this path, so that a cut tail would not show.
    pub beyond_head: Option<u64>,
    /// Whether the last line is unfinished, as a crash leaves it. Nobody was told that it is there.
    pub is_torn: bool,
    /// Alarms that the writer raised in the records that were checked.
    pub alarms: u64,
    /// Files before the log's first record: another, older log's.
    pub older_files: usize,
}

/// The first place where a log is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}, line {line}: {what}", file.display())]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1 on. For what is missing at the end: the line behind the last one.
    pub line: u64,
    /// The number of the record on that line, if it has one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a line, or before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // Each says in words what it is.
pub enum What {
    #[error("this is not a record: it was edited or inserted")]
    NotARecord,
    #[error("the record was edited or inserted: its MAC does not hold")]
    Edited,
    #[error("no record holds: the log was written under another key")]
    WrongKey,
    #[error("records {from} to {to} are missing before this line: they were removed or moved")]
    Missing { from: u64, to: u64 },
    #[error(
        "this record does not belong here, where record {expected} should stand: it was moved, repeated or inserted"
    )]
    OutOfPlace { expected: u64 },
    #[error("this record follows another one than the one before it")]
    OtherChain,
    #[error("records {from} to {to} are missing at the end: the log was cut")]
    Cut { from: u64, to: u64 },
    #[error("this is not the record that was written last under its number")]
    OtherHead,
}

/// Why a log is not verified.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not as it was written.
    #[error(transparent)]
    Found(#[from] Finding),
    /// It cannot be read.
    #[error("cannot read the audit log: {0}")]
    Read(#[from] io::Error),
    /// Key or head are not to be had.
    #[error("cannot verify the audit log: {0}")]
    Keeper(#[from] KeeperError),
}

/// Verifies the log at `path` with its rotated files.
pub fn verify(path: &Path, keeper: &dyn Keeper) -> Result<Verified, VerifyError> {
    verify_since(path, keeper, 1, &mut |_, _| {})
}

/// Verifies what stands from record `since` on, for a log whose older part is known to be broken. `progress` is told the bytes
/// that were read and all there are.
pub fn verify_since(
    path: &Path,
    keeper: &dyn Keeper,
    since: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified, VerifyError> {
    let sealer = Sealer::new(&keeper.mac_key()?);
    // The head first: what is written meanwhile is behind it.
    let head = keeper.head(&files::log_name(path))?;
    let mut parts = files::parts(path)?;
    let older_files = begins_at(&sealer, &parts)?;
    parts.drain(..older_files);
    let all = parts.iter().map(|part| part.length).sum();
    let mut check = Check {
        sealer,
        head,
        since,
        link: None,
        first: (path.to_owned(), 1),
        place: (path.to_owned(), 1),
        seen: Verified {
            records: 0,
            files: 0,
            first_seq: 0,
            last_seq: 0,
            beyond_head: None,
            is_torn: false,
            alarms: 0,
            older_files,
        },
    };
    let mut done = 0;
    for (at, part) in parts.iter().enumerate() {
        let length = check.file(part, at + 1 == parts.len(), &mut |bytes| {
            progress(done + bytes, all);
        })?;
        done += length;
    }
    Ok(check.end()?)
}

/// How many files stand before the log's first record: another, older log's, under another key. Nothing of this log can hide
/// there, as from its first record to the head all must follow.
fn begins_at(sealer: &Sealer, parts: &[Part]) -> io::Result<usize> {
    for (at, part) in parts.iter().enumerate() {
        let mut lines = Lines::new(part.open()?, 0);
        let first = lines.next()?.and_then(|line| {
            let framed = Framed::read(line.bytes)?;
            sealer.holds(&framed).then_some(framed.link.seq)
        });
        match first {
            None => {}
            Some(1) => return Ok(at),
            // What comes before it was archived, or is to be missed.
            Some(_) => return Ok(0),
        }
    }
    Ok(0)
}

/// A verification under way.
struct Check {
    sealer: Sealer,
    head: Option<Head>,
    since: u64,
    /// The record before; `None` before the first.
    link: Option<Link>,
    /// Where the first record stands.
    first: (PathBuf, u64),
    /// The line behind the last record.
    place: (PathBuf, u64),
    seen: Verified,
}

impl Check {
    /// Checks one file; gives its length.
    fn file(
        &mut self,
        part: &Part,
        is_last: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, VerifyError> {
        const REPORT: u64 = 4096;
        let path = &part.path;
        let mut lines = Lines::new(part.open()?, 0);
        self.seen.files += 1;
        self.place = (path.clone(), 1);
        while let Some(line) = lines.next()? {
            if !line.finished && is_last {
                self.seen.is_torn = true;
                break;
            }
            let found = |(seq, what)| Finding {
                file: path.clone(),
                line: line.number,
                seq,
                what,
            };
            match self.line(&line) {
                Ok(()) => {}
                Err((seq, What::Edited))
                    if self.seen.records == 0 && self.is_other_key(part)? =>
                {
                    return Err(found((seq, What::WrongKey)).into());
                }
                Err((Some(seq), What::OutOfPlace { .. })) if seq < self.seen.first_seq => {
                    return Err(self.moved_before_the_first().into());
                }
                Err(wrong) => return Err(found(wrong).into()),
            }
            if self.seen.records == 1 {
                self.first = (path.clone(), line.number);
            }
            self.place.1 = line.number + 1;
            if line.number % REPORT == 0 {
                progress(line.offset);
            }
        }
        progress(lines.offset());
        Ok(lines.offset())
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), (Option<u64>, What)> {
        let framed = Framed::read(line.bytes).filter(|_| line.finished && !line.too_long);
        if self.link.is_none() && self.since > 1 {
            match &framed {
                Some(framed) if framed.link.seq >= self.since => {}
                _ => return Ok(()),
            }
        }
        let framed = framed.ok_or((None, What::NotARecord))?;
        let Link { seq, mac } = framed.link;
        let wrong = |what| Err((Some(seq), what));
        if !self.sealer.holds(&framed) {
            return wrong(What::Edited);
        }
        let is_alarm = is_alarm(line.bytes);
        let before = match self.link {
            Some(before) => before,
            None if is_alarm && seq > 1 && self.since <= 1 => {
                return wrong(What::Missing {
                    from: 1,
                    to: seq - 1,
                });
            }
            None => Link {
                seq: seq - 1,
                mac: framed.prev,
            },
        };
        let expected = before.seq.saturating_add(1);
        if seq > expected {
            return wrong(What::Missing {
                from: expected,
                to: seq - 1,
            });
        }
        if seq < expected {
            return wrong(What::OutOfPlace { expected });
        }
        if framed.prev != before.mac {
            return wrong(What::OtherChain);
        }
        if self
            .head
            .is_some_and(|head| head.seq == seq && head.mac != mac)
        {
            return wrong(What::OtherHead);
        }
        if self.seen.records == 0 {
            self.seen.first_seq = seq;
        }
        self.link = Some(framed.link);
        self.seen.records += 1;
        self.seen.alarms += u64::from(is_alarm);
        Ok(())
    }

    /// An older record than the first one stands further down: so it was not archived, and the first one is not in its place.
    fn moved_before_the_first(&self) -> Finding {
        let (file, line) = self.first.clone();
        let first = self.seen.first_seq;
        let what = What::Missing {
            from: 1,
            to: first - 1,
        };
        Finding {
            file,
            line,
            seq: Some(first),
            what,
        }
    }

    /// Whether no record of the file holds, as far as is looked.
    fn is_other_key(&self, part: &Part) -> io::Result<bool> {
        let mut lines = Lines::new(part.open()?, 0);
        for _ in 0..KEY_SAMPLE {
            match lines.next()? {
                None => break,
                Some(line) => {
                    if Framed::read(line.bytes).is_some_and(|framed| self.sealer.holds(&framed)) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Judges the end.
    fn end(mut self) -> Result<Verified, Finding> {
        let last = self.link.map_or(0, |link| link.seq);
        self.seen.last_seq = last;
        if let Some(head) = self.head {
            // Where nothing was looked at, since it all is before what was asked for, nothing is missing.
            let last = if self.link.is_none() {
                self.since.saturating_sub(1).max(last)
            } else {
                last
            };
            if head.seq > last {
                let (file, line) = self.place;
                return Err(Finding {
                    file,
                    line,
                    seq: None,
                    what: What::Cut {
                        from: last + 1,
                        to: head.seq,
                    },
                });
            }
            self.seen.beyond_head = Some(self.seen.last_seq.saturating_sub(head.seq));
        }
        Ok(self.seen)
    }
}

/// Whether the record is an alarm. Inside a text a quotation mark is escaped, so this stands nowhere else.
fn is_alarm(line: &[u8]) -> bool {
    let field = format!(",\"event\":\"{}\"", Kind::Alarm.name());
    memchr::memmem::find(&line[..line.len().min(128)], field.as_bytes()).is_some()
}
