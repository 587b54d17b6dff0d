//! Finds records: streaming, in constant memory, over rotated files too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::event::{is_unprintable, stamp};
use super::files::{self, Part};
use super::lines::Lines;
use super::record::Record;

/// What a record must have to be found. A text that ends with `*` stands for all that begin so.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The placeholder's name, or another name of the same value.
    pub key: Option<String>,
    /// The task's id.
    pub task: Option<String>,
    /// The kind: `mask`, `secret.*`.
    pub event: Option<String>,
    /// The route or origin.
    pub target: Option<String>,
    /// The earliest time.
    pub since: Option<SystemTime>,
    /// The latest time.
    pub until: Option<SystemTime>,
}

/// A record that was found.
#[derive(Debug)]
pub struct Hit {
    /// The line as it stands in the log.
    pub text: String,
}

impl Hit {
    /// Its fields.
    ///
    /// # Panics
    /// If [`Hit::text`] is no longer what was found.
    pub fn record(&self) -> Record<'_> {
        serde_json::from_str(&self.text).expect("the search read this text as a record")
    }
}

/// A line that is no record. The search goes on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1 on.
    pub line: u64,
}

/// What a search comes across.
#[derive(Debug)]
pub enum Found {
    /// A record that fits.
    Hit(Hit),
    /// A line that cannot be read.
    Broken(Broken),
}

/// Searches the log at `path`, oldest records first. Whether the records are genuine is for [`verify`](super::verify) to say.
pub fn search(path: &Path, query: &Query) -> io::Result<Search> {
    let mut parts = files::parts(path)?;
    if parts.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no audit log at {}", path.display()),
        ));
    }
    parts.reverse();
    Ok(Search {
        parts,
        current: None,
        filter: Filter::new(query),
    })
}

/// A search that is under way.
pub struct Search {
    /// What is to be read, newest first.
    parts: Vec<Part>,
    current: Option<(PathBuf, Lines<File>)>,
    filter: Filter,
}

impl Iterator for Search {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.current.is_none() {
                let part = self.parts.pop()?;
                match part.open() {
                    Ok(file) => self.current = Some((part.path, Lines::new(file, 0))),
                    Err(error) => return Some(Err(error)),
                }
            }
            let (path, lines) = self.current.as_mut()?;
            let is_last = self.parts.is_empty();
            match lines.next() {
                Err(error) => {
                    self.current = None;
                    return Some(Err(error));
                }
                Ok(None) => self.current = None,
                // What is being written, or was when the writer crashed.
                Ok(Some(line)) if !line.finished && is_last => {}
                Ok(Some(line)) => match self.filter.judge(line.bytes) {
                    Judged::Other => {}
                    Judged::Fits(text) => return Some(Ok(Found::Hit(Hit { text }))),
                    Judged::Broken => {
                        return Some(Ok(Found::Broken(Broken {
                            file: path.clone(),
                            line: line.number,
                        })));
                    }
                },
            }
        }
    }
}

/// A query, ready to be asked of many lines. Times compare as texts: all have one width and one zone.
struct Filter {
    query: Query,
    since: Option<String>,
    until: Option<String>,
}

enum Judged {
    Fits(String),
    Other,
    Broken,
}

impl Filter {
    fn new(query: &Query) -> Self {
        Self {
            query: query.clone(),
            since: query.since.map(stamp),
            until: query.until.map(stamp),
        }
    }

    fn judge(&self, line: &[u8]) -> Judged {
        let Ok(text) = str::from_utf8(line) else {
            return Judged::Broken;
        };
        match serde_json::from_str::<Record<'_>>(text) {
            Err(_) => Judged::Broken,
            Ok(record) if !self.fits(&record) => Judged::Other,
            // We write nothing like that: whoever did wants a terminal to obey it.
            Ok(_) if text.contains(is_unprintable) => Judged::Broken,
            Ok(_) => Judged::Fits(text.to_owned()),
        }
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let query = &self.query;
        let text = |wanted: &Option<String>, is: Option<&str>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| is.is_some_and(|is| like(wanted, is)))
        };
        let key = query.key.as_ref().is_none_or(|wanted| {
            let names = record.keys.iter().map(|key| &*key.0);
            record
                .key
                .as_deref()
                .into_iter()
                .chain(names)
                .any(|key| like(wanted, key))
        });
        key && text(&query.task, record.task.as_deref())
            && text(&query.event, Some(&record.event))
            && text(&query.target, record.target.as_deref())
            && self
                .since
                .as_ref()
                .is_none_or(|since| *record.time >= **since)
            && self
                .until
                .as_ref()
                .is_none_or(|until| *record.time <= **until)
    }
}

fn like(wanted: &str, is: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => is.starts_with(beginning),
        None => is == wanted,
    }
}
