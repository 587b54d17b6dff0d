//! The masking engine: finds registered values in a byte stream, however they are encoded, and writes their names.
//!
//! [`Masker`] is the immutable, shareable set of needles. [`Masker::stream`] starts one pass over one text;
//! [`Stream::push`] takes the text in any pieces and hands back what is settled, values replaced.
//!
//! # The path through it
//!
//! A byte becomes a *symbol* (`symbol`: the byte, and which raw bytes it came from), and JSON's structure is followed
//! (`json`). The root *reading* (`reading`) scans it (`scan`, with the automaton of `needle`), and feeds the readings one
//! decoder (`decode`) further, up to the chains that `chain` allows. Occurrences go to `resolve`, which settles
//! those that nothing can change any more and has `render` write what replaces them. `stream` cuts the pieces.
//!
//! # Invariants
//!
//! - Everything is decided symbol by symbol, so chunking cannot change the result.
//! - A raw byte is handed on only when no reading has a needle's beginning, an unfinished unit, group or
//!   number at or before it: the hold-back is what is pending, not a constant.
//! - What is pending (64 KiB) and what is computed (256 symbols a byte) is bounded; beyond it the text is refused.
//! - Untouched bytes are handed on as they came.
//!
//! # Absent
//!
//! No I/O, no clock, no runtime, no knowledge of secrets, HTTP or content codings. Nothing here is `Debug` that holds
//! a value. The room imports no other of the crate.

mod ahead;
mod authority;
mod begins;
mod chain;
mod decode;
mod found;
mod groups;
mod history;
mod json;
mod needle;
mod opaque;
mod plain;
mod reading;
mod render;
mod resolve;
mod scan;
mod scout;
mod signed;
mod skim;
mod stream;
mod symbol;
mod wait;
mod word;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use needle::{Builder, Masker, NameId, Rule};
pub use stream::Stream;

/// What a text is, where that changes how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Syntax {
    /// Anything.
    #[default]
    Text,
    /// JSON, or a sequence of JSON values (NDJSON). Read as `Text` from the first byte on that is not.
    Json,
    /// A body of type `application/x-www-form-urlencoded`: `+` may be a space, names are percent-encoded.
    Form,
    /// The query of a URL: as `Form`.
    Query,
    /// The path of a URL: names are percent-encoded, `+` is itself.
    Path,
}

impl Syntax {
    /// Whether `+` may be a space.
    fn is_form(self) -> bool {
        matches!(self, Self::Form | Self::Query)
    }
}

/// What becomes of a value in a block that a provider signed, an object of JSON with the string members `thinking` and
/// `signature`: to rewrite it would break the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Signed {
    /// The text is refused.
    Refuse,
    /// The value goes on as it is, and is not counted.
    Pass,
    /// The value is masked as anywhere.
    #[default]
    Mask,
}

/// In which form a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// As it is.
    Plain,
    /// With JSON string escapes, of any depth.
    Json,
    /// Percent-encoded.
    Percent,
    /// With HTML character references.
    Html,
    /// In quoted-printable.
    QuotedPrintable,
    /// In base64.
    Base64,
    /// In hex.
    Hex,
    /// In more than one of these.
    Chain,
}

impl Form {
    /// Its name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Percent => "percent",
            Self::Html => "html",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Chain => "chain",
        }
    }
}

/// How often which name was found in which form. Overlapping occurrences count once for each name.
pub type Hits = BTreeMap<(NameId, Form), u64>;

/// Why a text is refused. What was handed on before is masked; nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An encoded span that may still be a value is longer than 64 KiB; or what waits for whether the block that it stands in is signed
    /// is longer than 4 MiB or holds more than 65536 values.
    #[error(
        "an encoded span that may still hold a secret is longer than 65536 bytes, or a block that may be signed too long"
    )]
    PendingTooLong,
    /// Reading it in every encoding would cost more than 256 steps a byte.
    #[error("the text is nested in too many encodings to be read in full")]
    TooDeep,
    /// A value stands in a block that is signed (see [`Signed::Refuse`]): the name that it goes by.
    #[error("a block that the provider signed holds a secret")]
    Signed(NameId),
}
