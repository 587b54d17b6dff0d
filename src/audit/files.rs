//! The files of one log: the one that is written to, and the rotated ones.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ident {
    device: u64,
    inode: u64,
}

impl Ident {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The folder of a log.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the folder if it is not there, for its owner only.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let folder = folder(path);
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The name under which a keeper knows the log: its path, absolute, with the folder's symlinks resolved.
pub(super) fn log_name(path: &Path) -> String {
    let folder = folder(path);
    let folder = fs::canonicalize(folder)
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().unwrap_or_default();
    folder.join(name).to_string_lossy().into_owned()
}

/// The rotated files, oldest first: `PATH.N`, N decimal without leading zeros.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if let Some(number) = number_behind(&entry.file_name(), &prefix) {
            found.push((number, path.with_file_name(entry.file_name())));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn number_behind(name: &OsString, prefix: &OsString) -> Option<u64> {
    let digits = name
        .as_encoded_bytes()
        .strip_prefix(prefix.as_encoded_bytes())?;
    let plain = digits.iter().all(u8::is_ascii_digit) && digits.first()? != &b'0';
    plain.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}

/// One file of a log. A rotated one is opened when it is read: there may be more of them than a process may have open.
pub(super) struct Part {
    pub path: PathBuf,
    /// The current file, which has been opened, as it may be renamed at any time.
    current: Option<File>,
    pub length: u64,
    pub ident: Ident,
}

impl Part {
    fn new(path: PathBuf, metadata: &Metadata, current: Option<File>) -> Self {
        Self {
            path,
            current,
            length: metadata.len(),
            ident: Ident::of(metadata),
        }
    }

    /// The file, at its beginning.
    pub fn open(&self) -> io::Result<File> {
        match &self.current {
            // It shares its offset with the one before, which is read no more by then.
            Some(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Ok(file)
            }
            None => File::open(&self.path),
        }
    }
}

/// All files of a log that exist, oldest first. Consistent while the log is rotated: none is missing or twice.
pub(super) fn parts(path: &Path) -> io::Result<Vec<Part>> {
    const TRIES: usize = 10;
    let mut last = io::Error::other("the log's files change too fast to be read");
    for _ in 0..TRIES {
        // The current one first: should it be rotated now, it is found again among the others, and stands in its place there.
        let current = match open_existing(path)? {
            Some(file) => Some(Part::new(path.to_owned(), &file.metadata()?, Some(file))),
            None => None,
        };
        match rotated_parts(path, current) {
            // Archived meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => last = error,
            result => return result,
        }
    }
    Err(last)
}

/// The rotated files, and then the one that was just the current one, which may be the last of them by now.
fn rotated_parts(path: &Path, current: Option<Part>) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (_, rotated) in rotated(path)? {
        let part = Part::new(rotated.clone(), &fs::metadata(&rotated)?, None);
        if current
            .as_ref()
            .is_some_and(|current| current.ident == part.ident)
        {
            break;
        }
        parts.push(part);
    }
    parts.extend(current);
    Ok(parts)
}

fn open_existing(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

/// Opens the file to append to; makes it if it is not there, for its owner only. `true`: it was made.
pub(super) fn open_to_append(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    let (file, made) = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (options.create(true).open(path)?, true)
        }
        file => (file?, false),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok((file, made))
}

/// The identity of what the path leads to now; `None` if nothing.
pub(super) fn ident_at(path: &Path) -> io::Result<Option<(Ident, u64)>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        metadata => metadata.map(|metadata| Some((Ident::of(&metadata), metadata.len()))),
    }
}

/// Renames the current file to the next free number, which it gives. Nothing is overwritten.
pub(super) fn rotate(path: &Path) -> io::Result<u64> {
    const TRIES: u64 = 100;
    let last = rotated(path)?.last().map_or(0, |(last, _)| *last);
    for number in (1..=TRIES).map_while(|more| last.checked_add(more)) {
        let to = with_number(path, number);
        match rustix::fs::renameat_with(CWD, path, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(number),
            Err(Errno::EXIST) => {}
            // A file system without this flag. Other writers of this log wait for our lock.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                if fs::symlink_metadata(&to).is_err() {
                    fs::rename(path, &to)?;
                    return Ok(number);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Whether, since this file was rotated to that number, another one was rotated, to a higher one or to the same again.
pub(super) fn is_followed(path: &Path, number: u64, ident: Ident) -> io::Result<bool> {
    let Some((last, at)) = rotated(path)?.pop() else {
        return Ok(false);
    };
    let is_it = ident_at(&at)?.is_some_and(|(there, _)| there == ident);
    Ok(last > number || last == number && !is_it)
}

fn with_number(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    path.with_file_name(name)
}

/// Makes names in the log's folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}
