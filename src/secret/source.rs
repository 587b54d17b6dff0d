//! Where a submission is read from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

/// Largest input that is read. JSON may spell a byte with six, and options take room as well.
pub const MAX_INPUT_BYTES: usize = 16 << 20;

/// A file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system's reason.
    #[error("cannot read the secrets from {0}: {1}")]
    Read(Source, #[source] io::Error),
    /// More than [`MAX_INPUT_BYTES`].
    #[error(
        "cannot read the secrets from {0}: larger than {MAX_INPUT_BYTES} bytes. Use a smaller file"
    )]
    TooLarge(Source),
    /// Not even `{}`, as of a file that is being written, or the output of a command that failed.
    #[error("there is nothing in {0}, which is not taken for no secrets. Write {{}} to have none")]
    Blank(Source),
}

impl Source {
    /// `-` and the names that the system gives it are standard input, anything else is a file.
    pub fn new(text: &Path) -> Self {
        const STDIN: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
        if STDIN.iter().any(|name| text.as_os_str() == *name) {
            Self::Stdin
        } else {
            Self::File(text.to_owned())
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads a source in full, with a warning if other users of the machine can read the file.
///
/// # Errors
/// If it cannot be read, or is larger than [`MAX_INPUT_BYTES`].
pub fn read(source: &Source) -> Result<(Zeroizing<Vec<u8>>, Option<String>), SourceError> {
    let fail = |error| SourceError::Read(source.clone(), error);
    let (bytes, warning) = match source {
        Source::Stdin => (read_bounded(io::stdin().lock()).map_err(fail)?, None),
        Source::File(path) => {
            let file = File::open(path).map_err(fail)?;
            let warning = open_to_others(&file, path).map_err(fail)?;
            (read_bounded(file).map_err(fail)?, warning)
        }
    };
    bytes
        .map(|bytes| (bytes, warning))
        .ok_or_else(|| SourceError::TooLarge(source.clone()))
}

/// As [`read`], for secrets that are to be in force: nothing at all is an error.
///
/// # Errors
/// As [`read`], or if there is nothing in it but white space.
pub fn read_secrets(source: &Source) -> Result<(Zeroizing<Vec<u8>>, Option<String>), SourceError> {
    let (bytes, warning) = read(source)?;
    if bytes.trim_ascii().is_empty() {
        return Err(SourceError::Blank(source.clone()));
    }
    Ok((bytes, warning))
}

/// `None` if there is more than the limit. A buffer that is outgrown is wiped before it is freed.
fn read_bounded(mut reader: impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(vec![0; 64 << 10]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled > MAX_INPUT_BYTES {
                return Ok(None);
            }
            let mut larger = Zeroizing::new(vec![0; filled * 2]);
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes[filled..].zeroize();
    bytes.truncate(filled);
    Ok((filled <= MAX_INPUT_BYTES).then_some(bytes))
}

#[cfg(unix)]
fn open_to_others(file: &File, path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata()?;
    // A pipe (`<(…)`, `/dev/stdin`) has no readers but us.
    if !metadata.is_file() || metadata.permissions().mode() & 0o044 == 0 {
        return Ok(None);
    }
    Ok(Some(format!(
        "other users of this machine may read {0}. Run: chmod 600 {0}",
        path.display()
    )))
}

#[cfg(not(unix))]
fn open_to_others(_: &File, _: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_limit() {
        let exact = vec![7_u8; MAX_INPUT_BYTES];
        assert_eq!(read_bounded(&exact[..]).unwrap().unwrap().as_slice(), exact);
        let more = vec![7_u8; MAX_INPUT_BYTES + 1];
        assert!(read_bounded(&more[..]).unwrap().is_none());
        assert!(read_bounded(&[][..]).unwrap().unwrap().is_empty());
    }
}
