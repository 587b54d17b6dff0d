//! The file, under its lock: continued, appended to, cut back after a failure, rotated.
//!
//! Only this file's functions write. They go through `std`, that is through the C library, so that tests can put faults there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::Resource;

use super::chain::{Link, Sealer};
use super::event::{Event, Kind};
use super::files::{self, Ident};
use super::keeper::{Head, Keeper, KeeperError};
use super::recorder::OpenError;
use super::trail::{self, Followed, Problem, Rest, Walked};

/// How often the file may be exchanged under us before that counts as a failure.
const TRIES: usize = 100;

/// How long [`Log::open`] waits for another process that writes.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// A log that this process writes to.
pub(super) struct Log {
    path: PathBuf,
    /// What the keeper knows it by.
    name: String,
    rotate_bytes: u64,
    sealer: Sealer,
    keeper: Arc<dyn Keeper>,
    /// Open while all is well; locked from `append` until `store_head`.
    file: Option<File>,
    /// Where the chain ends, as far as we know.
    tail: Tail,
    /// What the keeper was told last.
    stored: Link,
    /// Why the keeper's head could not be read.
    unread: Option<KeeperError>,
    /// What a failed write may have left behind the tail.
    doubtful: Vec<u8>,
    /// Whether a name in the folder may not be durable yet.
    is_folder_dirty: bool,
    /// The record that must come next, and its text until it has been shown.
    alarm: Option<Event>,
    unshown_alarm: Option<String>,
    /// The lines of the last batch.
    written: Vec<u8>,
}

struct Tail {
    /// The file that `len` speaks of; `None` before the first look.
    ident: Option<Ident>,
    /// Its length up to which all is durable.
    len: u64,
    link: Link,
}

impl Log {
    /// Opens the log and checks that it continues from the keeper's head.
    pub fn open(
        path: PathBuf,
        rotate_bytes: u64,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Self, OpenError> {
        let at = path.clone();
        let failed = |source| OpenError::File { path: at, source };
        if let Err(error) = files::make_folder(&path) {
            return Err(failed(error));
        }
        let name = files::log_name(&path);
        let sealer = Sealer::new(&keeper.mac_key()?);
        let head = keeper.head(&name)?;
        let link = head.map_or(Link::START, |Head { seq, mac }| Link { seq, mac });
        let mut log = Self {
            path,
            name,
            rotate_bytes,
            sealer,
            keeper,
            file: None,
            tail: Tail {
                ident: None,
                len: 0,
                link,
            },
            stored: link,
            unread: None,
            doubtful: Vec::new(),
            is_folder_dirty: false,
            alarm: None,
            unshown_alarm: None,
            written: Vec::new(),
        };
        log.lock(Some(OPEN_WAIT))
            .and_then(|()| log.catch_up())
            .map_err(failed)?;
        log.unlock();
        Ok(log)
    }

    /// Appends the events behind what is there and makes them durable. The file stays locked until [`Log::store_head`].
    ///
    /// After an error none of them counts as written; the same call can be made again.
    pub fn append<'a>(
        &mut self,
        events: &(impl Iterator<Item = &'a Event> + Clone),
    ) -> io::Result<()> {
        let result = self.try_append(events);
        if result.is_err() && self.doubtful.is_empty() {
            // Closing unlocks. What the system remembers of a failed write is not to be trusted, so the file is opened anew. Not
            // while there is something to cut off: another process would take it for written, and tell the keeper of it.
            self.file = None;
        }
        result
    }

    /// Stores the head, if the keeper does not know it yet, and unlocks the file. Fails also if the head could not be read before.
    pub fn store_head(&mut self) -> Result<(), KeeperError> {
        let link = self.tail.link;
        let mut result = Ok(());
        if link != self.stored {
            let head = Head {
                seq: link.seq,
                mac: link.mac,
            };
            result = self.keeper.store_head(&self.name, &head);
            if result.is_ok() {
                self.stored = link;
            }
        }
        self.unlock();
        // Without it nobody can tell whether the log was cut.
        let unread = self.unread.take();
        result.and(unread.map_or(Ok(()), Err))
    }

    /// Whether, without writing, all seems well: the file is where it was and as long, and the keeper knows its head.
    pub fn look(&self) -> bool {
        let is_there = match files::ident_at(&self.path) {
            Ok(Some((ident, len))) => Some(ident) == self.tail.ident && len >= self.tail.len,
            Ok(None) | Err(_) => false,
        };
        is_there && self.alarm.is_none() && self.stored == self.tail.link
    }

    /// The lines of the last batch.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// The reason of an alarm that nobody was told yet.
    pub fn take_alarm(&mut self) -> Option<String> {
        self.unshown_alarm.take()
    }

    fn try_append<'a>(
        &mut self,
        events: &(impl Iterator<Item = &'a Event> + Clone),
    ) -> io::Result<()> {
        self.written.clear();
        self.lock(None)?;
        self.catch_up()?;
        let (link, lines) = self.seal_into_room(events)?;
        if lines.is_empty() {
            if self.tail.link != self.stored {
                // A process that crashed may have left lines that are not durable: no head may speak of them.
                locked(self.file.as_ref())?.sync_data()?;
            }
            return Ok(());
        }
        if self.is_folder_dirty || self.tail.len == 0 {
            files::sync_folder(&self.path)?;
            self.is_folder_dirty = false;
        }
        self.write_durably(&lines)?;
        self.tail.len += lines.len() as u64;
        self.tail.link = link;
        self.alarm = None;
        self.written = lines;
        Ok(())
    }

    /// The records that come next, and the last one's place, with room for them in the file.
    fn seal_into_room<'a>(
        &mut self,
        events: &(impl Iterator<Item = &'a Event> + Clone),
    ) -> io::Result<(Link, Vec<u8>)> {
        for _ in 0..TRIES {
            let before = (self.tail.link, self.alarm.is_some());
            let (link, lines) = self.seal(events.clone());
            self.make_room(lines.len() as u64)?;
            if (self.tail.link, self.alarm.is_some()) == before {
                return Ok((link, lines));
            }
            // After a rotation another process wrote before us: the chain goes on behind that.
        }
        Err(io::Error::other("the log is rotated again and again"))
    }

    /// The records that come next, and the last one's place.
    fn seal<'a>(&self, events: impl Iterator<Item = &'a Event>) -> (Link, Vec<u8>) {
        let mut link = self.tail.link;
        let mut lines = Vec::new();
        if let Some(alarm) = &self.alarm {
            self.sealer.seal(alarm, &mut link, &mut lines);
        }
        for event in events {
            self.sealer.seal(event, &mut link, &mut lines);
        }
        (link, lines)
    }

    /// One write, one fsync. If either fails, what may have been written is cut off again, now or before the next try.
    fn write_durably(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut file = locked(self.file.as_ref())?;
        let result = file.write_all(lines).and_then(|()| file.sync_data());
        if result.is_err() && file.set_len(self.tail.len).is_err() {
            // `catch_up` does it.
            self.doubtful = lines.to_vec();
        }
        result
    }

    /// Opens the file if need be, and waits until no other process writes. Then it is the one at the path.
    ///
    /// With `wait` the other may not take longer than that. The writer's thread needs none: nobody waits for it for ever.
    fn lock(&mut self, wait: Option<Duration>) -> io::Result<()> {
        for _ in 0..TRIES {
            let file = if let Some(file) = self.file.take() {
                file
            } else {
                files::make_folder(&self.path)?;
                let (file, was_made) = files::open_to_append(&self.path)?;
                self.is_folder_dirty |= was_made;
                file
            };
            match wait {
                None => flock(&file, FlockOperation::LockExclusive)?,
                Some(wait) => flock_within(&file, wait)?,
            }
            let is_there = self.is_there(&file);
            if !matches!(is_there, Ok(false)) {
                // It stays locked after an error as well: there may be something to cut off.
                self.file = Some(file);
                return is_there.map(drop);
            }
            // It was rotated, removed or replaced while we waited.
        }
        Err(io::Error::other("the file is replaced again and again"))
    }

    /// Whether it is the file at the path.
    fn is_there(&self, file: &File) -> io::Result<bool> {
        let ident = Ident::of(&file.metadata()?);
        Ok(files::ident_at(&self.path)?.is_some_and(|(there, _)| there == ident))
    }

    fn unlock(&mut self) {
        if let Some(file) = self.file.take()
            && flock(&file, FlockOperation::Unlock).is_ok()
        {
            self.file = Some(file);
        }
    }

    /// Brings `tail` to the end of the log, past what other processes wrote.
    fn catch_up(&mut self) -> io::Result<()> {
        for _ in 0..TRIES {
            if self.follow()? {
                return Ok(());
            }
        }
        Err(io::Error::other("the log is rotated again and again"))
    }

    /// One try of it. `false`: the file was put aside, and another process wrote to the new one before us.
    fn follow(&mut self) -> io::Result<bool> {
        let newer = self.newer_head();
        let file = locked(self.file.as_ref())?;
        let metadata = file.metadata()?;
        let (ident, len) = (Ident::of(&metadata), metadata.len());
        let is_same = self.tail.ident == Some(ident);
        // What the keeper was told of is not ours to cut off.
        if newer.is_none() && is_same && len > self.tail.len && self.is_doubtful(file, len)? {
            file.set_len(self.tail.len)?;
            self.doubtful.clear();
            return Ok(true);
        }
        self.doubtful.clear();
        let is_whole = is_same && len >= self.tail.len && self.ends_as_known(file)?;
        if is_whole && len == self.tail.len && newer.is_none() {
            return Ok(true);
        }
        let mut walked = if is_whole {
            let (from, link) = (self.tail.len, self.tail.link);
            Walked::within(trail::follow_from(&self.sealer, file, from, link)?)
        } else {
            trail::walk(&self.sealer, &self.path, file, self.tail.link)?
        };
        if let Some(newer) = newer
            && !walked.reaches(newer)
        {
            // Another process knows better, or the log was cut back to what we know.
            walked = trail::walk(&self.sealer, &self.path, file, newer)?;
        }
        // Until both are known again: should the rest fail, the next try must not take one for the other's.
        self.tail.ident = None;
        self.tail.link = walked.followed.link;
        match walked.problem {
            Some(problem) => self.put_aside(problem, len),
            None => self.mend(&walked.followed, ident).map(|()| true),
        }
    }

    /// What the keeper was told by another process, if that is not what we know, or what comes before it.
    fn newer_head(&mut self) -> Option<Link> {
        let head = self.keeper.head(&self.name);
        let Head { seq, mac } = match head {
            Ok(head) => head?,
            Err(error) => {
                self.unread = Some(error);
                return None;
            }
        };
        let known = self.tail.link;
        (seq > known.seq || seq == known.seq && mac != known.mac).then_some(Link { seq, mac })
    }

    /// Whether what stands before the tail's end is the end of the record that we know. What was changed further up, and not in
    /// length, is for a verification to find.
    fn ends_as_known(&self, file: &File) -> io::Result<bool> {
        if self.tail.len == 0 {
            return Ok(true);
        }
        let mut ending = Vec::new();
        self.tail.link.write_ending(&mut ending);
        let mut there = vec![0; ending.len()];
        let Some(at) = self.tail.len.checked_sub(ending.len() as u64) else {
            return Ok(false);
        };
        file.read_exact_at(&mut there, at)?;
        Ok(there == ending)
    }

    /// Whether what stands behind the tail is what a failed write of ours left there.
    fn is_doubtful(&self, mut file: &File, len: u64) -> io::Result<bool> {
        let extra = len - self.tail.len;
        if extra > self.doubtful.len() as u64 {
            return Ok(false);
        }
        let mut left = Vec::new();
        file.seek(SeekFrom::Start(self.tail.len))?;
        file.take(extra).read_to_end(&mut left)?;
        Ok(self.doubtful.starts_with(&left))
    }

    /// Finishes or cuts off a line that a crashed writer left unfinished.
    fn mend(&mut self, followed: &Followed, ident: Ident) -> io::Result<()> {
        let mut file = locked(self.file.as_ref())?;
        let mut end = followed.end;
        if let Rest::Torn { is_whole } = followed.rest {
            if is_whole {
                file.write_all(b"\n")?;
                file.sync_data()?;
                let done = trail::follow_from(&self.sealer, file, end, followed.link)?;
                (self.tail.link, end) = (done.link, done.end);
            } else {
                file.set_len(end)?;
                tracing::warn!(
                    "the last line of the audit log was unfinished, after a crash; it was cut off"
                );
            }
        }
        self.tail.ident = Some(ident);
        self.tail.len = end;
        Ok(())
    }

    /// Leaves a log that cannot be continued as it is, as a rotated file, and begins a new file behind what is known.
    /// `false`: another process wrote to the new file before us.
    fn put_aside(&mut self, problem: Problem, len: u64) -> io::Result<bool> {
        if problem == Problem::Foreign {
            tracing::warn!("an audit log under another key was found and moved aside");
        } else if self.alarm.is_none() {
            let reason = problem.words(self.tail.link.seq);
            self.alarm = Some(Event::new(Kind::Alarm).reason(&reason));
            self.unshown_alarm = Some(reason);
        }
        if len > 0 {
            return self.rotate();
        }
        let file = locked(self.file.as_ref())?;
        self.tail.ident = Some(Ident::of(&file.metadata()?));
        self.tail.len = 0;
        Ok(true)
    }

    /// Rotates if the file would grow past its size, or past what the system allows: that would end the process by a signal.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        let allowed = rustix::process::getrlimit(Resource::Fsize).current;
        let allowed = allowed.unwrap_or(u64::MAX);
        if more > 0
            && self.tail.len > 0
            && self.tail.len + more > self.rotate_bytes.min(allowed)
            && !self.rotate()?
        {
            self.catch_up()?;
        }
        if self.tail.len + more > allowed {
            return Err(Errno::FBIG.into());
        }
        Ok(())
    }

    /// Renames the file to the next number, and goes on in a new one. `false`: another process wrote before us, to that one or to
    /// one that it rotated too, so that it is to be found out where the chain ends.
    fn rotate(&mut self) -> io::Result<bool> {
        let old = self.file.take();
        let old = locked(old.as_ref())?;
        // A process that crashed may have left lines that are not durable yet.
        old.sync_data()?;
        let ident = Ident::of(&old.metadata()?);
        let number = files::rotate(&self.path)?;
        self.is_folder_dirty = true;
        self.tail.ident = None;
        // Others may look what came of it. It stays open, so that no other file can have its identity.
        flock(old, FlockOperation::Unlock)?;
        self.lock(None)?;
        let metadata = locked(self.file.as_ref())?.metadata()?;
        let is_next = metadata.len() == 0
            && !files::is_followed(&self.path, number, ident)?
            && self.newer_head().is_none();
        if is_next {
            self.tail.ident = Some(Ident::of(&metadata));
            self.tail.len = 0;
        }
        Ok(is_next)
    }
}

/// The file, which [`Log::lock`] opened.
fn locked(file: Option<&File>) -> io::Result<&File> {
    file.ok_or_else(|| io::Error::other("the log is not open"))
}

/// Tries again and again: there is no lock with a time limit.
fn flock_within(file: &File, wait: Duration) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let begin = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if begin.elapsed() > wait => {
                let words = "another process has been writing to it for too long";
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            Err(_) => thread::sleep(PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

fn flock(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
