//! Following the chain through the files, from a record that is known to their end: what a writer does before it goes on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::chain::{Framed, Link, Sealer, seq_of};
use super::files;
use super::lines::{Line, Lines};

/// How far the chain holds in one file.
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

/// Follows the chain in the rest of `lines`, behind `link`, which ends at `end`.
fn follow<R: Read>(sealer: &Sealer, lines: &mut Lines<R>, mut link: Link) -> io::Result<Followed> {
    let mut end = lines.offset();
    let rest = loop {
        let Some(line) = lines.next()? else {
            break Rest::Nothing;
        };
        let next = next_link(sealer, &line, link);
        match next {
            next if !line.finished => {
                break Rest::Torn {
                    is_whole: next.is_some(),
                };
            }
            None => break Rest::Broken,
            Some(next) => link = next,
        }
        end = line.end();
    };
    Ok(Followed { link, end, rest })
}

/// The line's place in the chain, if it is the record that follows `link`.
pub(super) fn next_link(sealer: &Sealer, line: &Line<'_>, link: Link) -> Option<Link> {
    let framed = Framed::read(line.bytes).filter(|_| !line.too_long)?;
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
pub(super) fn adopt(sealer: &Sealer, mut file: &File) -> io::Result<Option<Followed>> {
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
    let mut files = Vec::new();
    for (_, rotated) in files::rotated(path)? {
        files.push(File::open(rotated)?);
    }
    let nothing = |link| Followed {
        link,
        end: 0,
        rest: Rest::Nothing,
    };
    let current_is_empty = current.metadata()?.len() == 0;
    let result = |followed: Followed, problem| Walked { followed, problem };
    // From the newest file on backwards: the one that holds the known record, or begins behind it.
    let mut from = None;
    let is_known = known != Link::START;
    let mut has_records = !current_is_empty;
    let all = files.iter().chain([current]);
    for (at, file) in all
        .clone()
        .enumerate()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let Some(first) = first_seq(file)? else {
            continue;
        };
        has_records = true;
        if !is_known || first <= known.seq.saturating_add(1) {
            from = Some(at);
            break;
        }
    }
    let Some(from) = from else {
        let problem = match (has_records, is_known) {
            (false, false) => return Ok(result(nothing(known), None)),
            (true, false) => Problem::Foreign,
            (false, true) => Problem::Vanished,
            (true, true) => Problem::Cut,
        };
        return Ok(result(nothing(known), Some(problem)));
    };
    let mut link = known;
    let last = files.len();
    for (at, file) in all.enumerate().skip(from) {
        let followed = if at > from {
            Some(follow_from(sealer, file, 0, link)?)
        } else if is_known {
            find_and_follow(sealer, file, known)?
        } else {
            adopt(sealer, file)?
        };
        let Some(followed) = followed else {
            let problem = match (is_known, current_is_empty) {
                (true, true) => Problem::Vanished,
                (true, false) => Problem::Cut,
                (false, _) => Problem::Foreign,
            };
            return Ok(result(nothing(link), Some(problem)));
        };
        link = followed.link;
        if at == last {
            let problem = (followed.rest == Rest::Broken).then_some(Problem::Changed);
            return Ok(result(followed, problem));
        }
        if followed.rest != Rest::Nothing {
            return Ok(result(nothing(link), Some(Problem::Changed)));
        }
    }
    Ok(result(nothing(link), None))
}
