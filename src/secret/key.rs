//! Keys: the names that stand for values.

use std::fmt;
use std::str::FromStr;

use super::shown;

/// Longest key, in characters.
pub const MAX_KEY_CHARS: usize = 64;

/// The name of a secret, `^[A-Za-z_][A-Za-z0-9_]*$`, at most 64 characters. Not secret itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No characters.
    #[error("Secret key cannot be empty")]
    Empty,
    /// More than [`MAX_KEY_CHARS`].
    #[error("Secret key too long (max {MAX_KEY_CHARS} characters)")]
    TooLong,
    /// Something else than letters, digits and underscores; holds the key as it may be shown.
    #[error("Secret key '{0}' must be alphanumeric with underscores only")]
    Characters(String),
    /// A digit in front.
    #[error("Secret key cannot start with a number")]
    StartsWithNumber,
}

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let first = text.bytes().next().ok_or(KeyError::Empty)?;
        if text.chars().count() > MAX_KEY_CHARS {
            return Err(KeyError::TooLong);
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(KeyError::Characters(shown::plain(text)));
        }
        if first.is_ascii_digit() {
            return Err(KeyError::StartsWithNumber);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
