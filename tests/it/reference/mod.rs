//! The reference masker: what the engine computes, written slowly and plainly.
//!
//! It takes a whole small text, makes every reading of it in full, compares every needle at every place, and only then
//! decides. It shares no code with `bauta::mask`: only the words of its interface (`NameId`, `Rule`, `Syntax`, `Form`, `Hits`).
//!
//! The path: `json` says what the bytes of a JSON text are, `decode` is the table of decoders, `readings` applies them in every
//! permitted chain, `find` looks for values and keys and applies the rules of short values, `resolve` forms clusters, and
//! `render` writes a cluster's replacement back through the decoders that it was read through.
//!
//! It does not stream, hold back, refuse, or care for time and memory: texts are expected to be a few hundred bytes.

use std::fmt;

use bauta::mask::{Hits, NameId, Rule, Syntax};

pub mod decode;
pub mod find;
pub mod json;
pub mod readings;
pub mod render;
pub mod resolve;

#[cfg(test)]
mod rows;

/// What is searched: the same calls as on `bauta::mask::Builder`, kept as plain lists.
#[derive(Clone, Default)]
pub struct Needles {
    /// Key and replacement text; a `NameId` is an index into it.
    pub names: Vec<(String, String)>,
    /// In order of registration.
    pub values: Vec<(NameId, Vec<u8>, Rule)>,
}

impl Needles {
    /// Registers a key and what is written for it.
    pub fn name(&mut self, key: &str, replacement: &str) -> NameId {
        self.names.push((key.to_owned(), replacement.to_owned()));
        NameId(u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX))
    }

    /// Registers a value under a name.
    pub fn value(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.values.push((name, value.to_vec(), rule));
    }

    /// The replacement text of a name.
    pub fn replacement(&self, name: NameId) -> &[u8] {
        self.names[name.0 as usize].1.as_bytes()
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value, rule) in &self.values {
            let (key, replacement) = &self.names[name.0 as usize];
            writeln!(
                f,
                "  {key} -> {replacement}: b\"{}\" {rule:?}",
                value.escape_ascii()
            )?;
        }
        Ok(())
    }
}

/// Masks `text`: the output, and what was replaced.
pub fn mask(needles: &Needles, text: &[u8], syntax: Syntax) -> (Vec<u8>, Hits) {
    let document = (syntax == Syntax::Json).then(|| json::scan(text));
    let matches = find::matches(needles, text, syntax, document.as_ref());
    resolve::resolve(needles, text, syntax, document.as_ref(), matches)
}
