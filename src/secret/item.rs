//! One secret: a value, its name, whose it is, and where it belongs.

use super::allow::{NotAllowed, Use};
use super::totp::{Seed, SeedError};
use super::{
    Key, Kind, MAX_USES, MaskOption, Masking, Options, Pattern, Scope, Value, allow, rule,
};

/// A value, its name, and where it belongs. Neither `Debug` nor `Clone`: it holds values.
pub struct Secret {
    pub(super) key: Key,
    pub(super) pattern: Pattern,
    pub(super) scope: Scope,
    pub(super) options: Options,
    pub(super) value: Value,
    /// Superseded values: still masked, never substituted.
    pub(super) former: Vec<Value>,
}

/// Why valid parts do not make a secret. Never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The value is its own placeholder.
    #[error("Secret value must not equal a placeholder name")]
    EqualsName,
    /// No use at all, or too many.
    #[error("Secret option 'max_uses' must be a whole number from 1 to {MAX_USES}")]
    Uses,
    /// Of kind `totp`, but no seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Secret {
    /// A secret of parts that are valid each for itself, without superseded values.
    ///
    /// # Errors
    /// If they do not fit together.
    pub fn new(
        key: Key,
        pattern: Pattern,
        scope: Scope,
        options: Options,
        value: Value,
    ) -> Result<Self, SecretError> {
        if !(1..=MAX_USES).contains(&options.max_uses) {
            return Err(SecretError::Uses);
        }
        if options.kind == Kind::Totp {
            Seed::parse(value.expose())?;
        }
        let secret = Self {
            key,
            pattern,
            scope,
            options,
            value,
            former: Vec::new(),
        };
        if secret.is_called(secret.key.as_str()) {
            return Err(SecretError::EqualsName);
        }
        Ok(secret)
    }

    /// The same with these superseded values, which are masked until they are destroyed, and never substituted.
    #[must_use]
    pub fn with_former(self, former: Vec<Value>) -> Self {
        Self { former, ..self }
    }

    /// The placeholder's name. Several secrets of different patterns or scopes may share it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where it belongs.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whose it is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its superseded values.
    pub fn former(&self) -> &[Value] {
        &self.former
    }

    /// Where its value is looked for.
    pub fn masking(&self) -> Masking {
        self.masking_of(self.value.expose())
    }

    /// Where that text is looked for if it stands for the value.
    pub fn masking_of(&self, text: &str) -> Masking {
        rule(self.options.mask, text)
    }

    /// Whether its value, or another text that is masked for it, is that name: what was masked could not be told from it.
    fn is_called(&self, name: &str) -> bool {
        let mut is_called = false;
        self.expose_each(|text, any_case| {
            is_called |= text == name || any_case && text.eq_ignore_ascii_case(name);
        });
        is_called
    }

    /// What is allowed, but likely not meant. Never holds the value.
    pub fn warnings(&self) -> Vec<&'static str> {
        warnings(&self.value, &self.options)
    }

    /// Whether its value may be put there.
    ///
    /// # Errors
    /// Why not.
    pub fn may_go(&self, wanted: &Use<'_>) -> Result<(), NotAllowed> {
        self.options.may_go(wanted.place, wanted.header)?;
        if wanted.uses > self.options.max_uses {
            return Err(NotAllowed::Uses(self.options.max_uses));
        }
        // Of a seed, what goes is a code.
        if self.options.kind == Kind::Totp {
            return Ok(());
        }
        allow::text(wanted.place, self.value.expose())
    }

    /// Hands out every text that is looked for in its stead, and whether in any case: the value, superseded ones, and the
    /// ways in which a seed of one-time codes is written.
    pub fn expose_each(&self, mut each: impl FnMut(&str, bool)) {
        let any_case = self.options.ignore_case;
        for value in std::iter::once(&self.value).chain(&self.former) {
            each(value.expose(), any_case);
        }
        if self.options.kind == Kind::Totp {
            for value in std::iter::once(&self.value).chain(&self.former) {
                // A superseded value may be from a time when the kind was another.
                if let Ok(seed) = Seed::parse(value.expose()) {
                    seed.forms(|form| each(form, true));
                }
            }
        }
    }
}

const NOT_MASKED: &str = "Not masked: a value under 4 bytes stands in ordinary text by chance. \
    Set 'mask' to 'word' or 'always' to mask it all the same";

const SHORT_SEED: &str =
    "The seed is shorter than sites give them out (80 bits or more). Check that it is all of it";

/// What is allowed, but likely not meant.
pub(super) fn warnings(value: &Value, options: &Options) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    let text = value.expose();
    if options.mask == MaskOption::Auto && rule(options.mask, text) == Masking::No {
        warnings.push(NOT_MASKED);
    }
    if options.kind == Kind::Totp && Seed::parse(text).is_ok_and(|seed| seed.is_short()) {
        warnings.push(SHORT_SEED);
    }
    warnings
}
