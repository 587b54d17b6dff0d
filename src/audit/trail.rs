//! Following the chain through the files, from a record that is known to their end: what a writer does before it goes on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::chain::{Framed, Link, Sealer, seq_of};
use super::files;
use super::lines::{Line, Lines};

/// How far the chain holds in one file.
#[derive(Clone, Copy)]
pub(super) struct Followed {
    /// The last record that holds.
    pub link: Link,
    /// Where it ends in the file.
    pub end: u64,
    pub rest: Rest,
}

/// What stands behind the last record that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// A line without its line feed: a writer crashed. Whether it is the next record, whole.
    Torn {
        is_whole: bool,
    },
    /// A line that does not continue the chain.
    Broken,
}

/// What a log's files are found to be.
pub(super) struct Walked {
    /// How it stands with the current file.
    pub followed: Followed,
    /// Why the chain cannot go on in the current file, if it cannot.
    pub problem: Option<Problem>,
}

impl Walked {
    /// What stands behind a known place of the current file.
    pub fn within(followed: Followed) -> Self {
        let is_broken = followed.rest == Rest::Broken;
        Self {
            followed,
            problem: is_broken.then_some(Problem::Changed),
        }
    }

    /// Whether the chain goes on past this record, or ends with it.
    pub fn reaches(&self, link: Link) -> bool {
        let end = self.followed.link;
        self.problem.is_none() && (end.seq > link.seq || end == link)
    }

    /// The chain holds up to `link`, and the current file has nothing of it.
    fn to(link: Link, problem: Option<Problem>) -> Self {
        let rest = Rest::Nothing;
        Self {
            followed: Followed { link, end: 0, rest },
            problem,
        }
    }
}

/// Why a log does not continue from what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No file has a record.
    Vanished,
    /// The last known record is not there.
    Cut,
    /// What follows it does not continue the chain.
    Changed,
    /// Nothing is known of this log, and its records are under another key.
    Foreign,
}

impl Problem {
    pub fn words(self, last: u64) -> String {
        match self {
            Self::Vanished => format!("log_vanished: records up to {last} may be lost"),
            Self::Cut => format!("log_cut: the log no longer ends with record {last}"),
            Self::Changed => {
                format!("log_changed: what follows record {last} is not what was written")
            }
            Self::Foreign => "log_foreign: the records are under another key".to_owned(),
        }
    }
}

/// Follows the chain in the rest of `from`, behind `link`, which ends at `end`.
fn follow<R: Read>(sealer: &Sealer, from: &mut Lines<R>, mut link: Link) -> io::Result<Followed> {
    let mut end = from.offset();
    let rest = loop {
        let Some(read) = from.next()? else {
            break Rest::Nothing;
        };
        match next_link(sealer, &read, link) {
            follower if !read.finished => {
                break Rest::Torn {
                    is_whole: follower.is_some(),
                };
            }
            None => break Rest::Broken,
            Some(follower) => link = follower,
        }
        end = read.end();
    };
    Ok(Followed { link, end, rest })
}

/// The place in the chain of the line that was read, if it is the record that follows `link`.
fn next_link(sealer: &Sealer, read: &Line<'_>, link: Link) -> Option<Link> {
    let framed = Framed::read(read.bytes).filter(|_| !read.too_long)?;
    let follows = Some(framed.link.seq) == link.seq.checked_add(1) && framed.prev == link.mac;
    (follows && sealer.holds(&framed)).then_some(framed.link)
}

/// Follows the chain in `file` from offset `from` on, where the record of `link` ends.
pub(super) fn follow_from(
    sealer: &Sealer,
    mut file: &File,
    from: u64,
    link: Link,
) -> io::Result<Followed> {
    file.seek(SeekFrom::Start(from))?;
    follow(sealer, &mut Lines::new(file, from), link)
}

/// Follows the chain in `file` from its first record on, whatever that follows. `None`: that is not a record under this key.
fn adopt(sealer: &Sealer, mut file: &File) -> io::Result<Option<Followed>> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(file, 0);
    let link = match lines.next()? {
        Some(line) if line.finished && !line.too_long => match Framed::read(line.bytes) {
            Some(framed) if sealer.holds(&framed) => framed.link,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    follow(sealer, &mut lines, link).map(Some)
}

/// Looks for the record of `known` in `file`, or the one that follows it at the file's beginning, and follows the chain from there.
fn find_and_follow(sealer: &Sealer, mut file: &File, known: Link) -> io::Result<Option<Followed>> {
    file.seek(SeekFrom::Start(0))?;
    if first_seq(file)? == known.seq.checked_add(1) {
        return follow_from(sealer, file, 0, known).map(Some);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(file, 0);
    while let Some(line) = lines.next()? {
        if seq_of(line.bytes) != Some(known.seq) || !line.finished {
            continue;
        }
        // The known MAC is trusted: where it stands, there need be no other proof of this line.
        let is_known = Framed::read(line.bytes).is_some_and(|framed| framed.link == known);
        if !is_known {
            return Ok(None);
        }
        return follow(sealer, &mut lines, known).map(Some);
    }
    Ok(None)
}

/// The number of a file's first record. `None` if it is empty or begins with something else.
fn first_seq(mut file: &File) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut begin = [0; 32];
    let mut length = 0;
    while length < begin.len() {
        match file.read(&mut begin[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(seq_of(&begin[..length]))
}

/// Follows the chain from `known` through all files up to `current`, which is the one at `path` and locked.
pub(super) fn walk(
    sealer: &Sealer,
    path: &Path,
    current: &File,
    known: Link,
) -> io::Result<Walked> {
    let rotated: Vec<PathBuf> = files::rotated(path)?
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    let is_empty = current.metadata()?.len() == 0;
    let begin = match begin_of_walk(&rotated, current, known)? {
        Begin::At(begin) => begin,
        Begin::Nowhere { has_records } => {
            let problem = match (has_records, known == Link::START) {
                (false, true) => None,
                (true, true) => Some(Problem::Foreign),
                (false, false) => Some(Problem::Vanished),
                (true, false) => Some(Problem::Cut),
            };
            return Ok(Walked::to(known, problem));
        }
    };
    let mut link = known;
    for at in begin..=rotated.len() {
        let is_last = at == rotated.len();
        let opened;
        let file = if is_last {
            current
        } else {
            opened = File::open(&rotated[at])?;
            &opened
        };
        let followed = if at > begin {
            Some(follow_from(sealer, file, 0, link)?)
        } else if known == Link::START {
            adopt(sealer, file)?
        } else {
            find_and_follow(sealer, file, known)?
        };
        let problem = match &followed {
            None if known == Link::START => Problem::Foreign,
            None if is_empty => Problem::Vanished,
            None => Problem::Cut,
            Some(Followed { rest, .. }) if *rest == Rest::Broken => Problem::Changed,
            Some(Followed { rest, .. }) if *rest != Rest::Nothing && !is_last => Problem::Changed,
            Some(followed) if is_last => {
                return Ok(Walked {
                    followed: *followed,
                    problem: None,
                });
            }
            Some(followed) => {
                link = followed.link;
                continue;
            }
        };
        let reached = followed.map_or(link, |followed| followed.link);
        return Ok(Walked::to(reached, Some(problem)));
    }
    Ok(Walked::to(link, None))
}

/// Where a walk begins.
enum Begin {
    /// In this file.
    At(usize),
    /// No file fits, though some may have records.
    Nowhere { has_records: bool },
}

/// The newest file that holds the known record, or begins behind it. If nothing is known: the newest that has records.
fn begin_of_walk(rotated: &[PathBuf], current: &File, known: Link) -> io::Result<Begin> {
    let fits = |first| known == Link::START || first <= known.seq.saturating_add(1);
    if first_seq(current)?.is_some_and(fits) {
        return Ok(Begin::At(rotated.len()));
    }
    let mut has_records = current.metadata()?.len() > 0;
    for (at, path) in rotated.iter().enumerate().rev() {
        let file = File::open(path)?;
        if first_seq(&file)?.is_some_and(fits) {
            return Ok(Begin::At(at));
        }
        has_records |= file.metadata()?.len() > 0;
    }
    Ok(Begin::Nowhere { has_records })
}
