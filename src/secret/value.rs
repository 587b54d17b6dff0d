//! Values: zeroizing memory without `Debug`, `Display` or `Clone`.

use zeroize::Zeroizing;

use super::Limits;

/// A secret's value: non-empty UTF-8 without NUL. Wiped when dropped; readable only through [`Value::expose`].
pub struct Value(Zeroizing<String>);

/// Why a text is no value. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No bytes.
    #[error("Secret value cannot be empty")]
    Empty,
    /// More than the limit, which it holds.
    #[error("Secret value too large (max {0} bytes)")]
    TooLarge(usize),
    /// A NUL character.
    #[error("Secret value contains forbidden content")]
    Nul,
}

impl Value {
    /// Checks a text and takes it over.
    ///
    /// # Errors
    /// If it is empty, longer than `limits` allows, or holds NUL.
    pub fn new(text: Zeroizing<String>, limits: &Limits) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Err(ValueError::Empty);
        }
        if text.len() > limits.max_value_bytes {
            return Err(ValueError::TooLarge(limits.max_value_bytes));
        }
        if text.contains('\0') {
            return Err(ValueError::Nul);
        }
        Ok(Self(text))
    }

    /// The value itself. What is done with it must not print, log or measure it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
