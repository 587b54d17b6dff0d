//! The reference masker: what the engine computes, written slowly and plainly.
//!
//! It takes a whole small text, makes every reading of it in full, compares every needle at every place, and only then
//! decides. It shares no code with `bauta::mask`: only the words of its interface (`NameId`, `Rule`, `Syntax`, `Form`, `Hits`).
//!
//! The path: `json` says what the bytes of a JSON text are, `decode` is the table of decoders (with `units` and `runs`),
//! `readings` applies them in every permitted chain, `find` looks for values and keys and applies the rules of short values
//! (`word`, `exempt`), `resolve` forms clusters, `signed` says which of them a provider has signed, and `render` writes a
//! cluster's replacement back through the decoders that it was read through.
//!
//! It does not stream, hold back, or care for time and memory: texts are expected to be a few hundred bytes. The only refusal
//! that it knows is that of signed blocks.

use std::fmt;

use bauta::mask::{Hits, NameId, Refusal, Rule, Signed, Syntax};

pub mod decode;
pub mod exempt;
pub mod find;
pub mod json;
pub mod readings;
pub mod render;
pub mod resolve;
pub mod runs;
pub mod signed;
pub mod units;
pub mod word;

#[cfg(test)]
mod rows;

/// What is searched: the same calls as on `bauta::mask::Builder`, kept as plain lists.
#[derive(Clone, Default)]
pub struct Needles {
    /// Key and replacement text; a `NameId` is an index into it.
    pub names: Vec<(String, String)>,
    /// In order of registration.
    pub values: Vec<Value>,
}

/// A value that is searched.
#[derive(Clone)]
pub struct Value {
    /// Under this name.
    pub name: NameId,
    /// Itself.
    pub bytes: Vec<u8>,
    /// Where it counts.
    pub rule: Rule,
    /// ASCII letters match in any case.
    pub any_case: bool,
}

impl Value {
    /// Whether `found` may stand for `byte`.
    pub fn equal(&self, found: u8, byte: u8) -> bool {
        found == byte || self.any_case && found.eq_ignore_ascii_case(&byte)
    }

    /// Whether `found` is this value.
    pub fn is(&self, found: &[u8]) -> bool {
        let mut pairs = found.iter().zip(&self.bytes);
        found.len() == self.bytes.len() && pairs.all(|(&found, &byte)| self.equal(found, byte))
    }
}

impl Needles {
    /// Registers a key and what is written for it.
    pub fn name(&mut self, key: &str, replacement: &str) -> NameId {
        self.names.push((key.to_owned(), replacement.to_owned()));
        NameId(u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX))
    }

    /// Registers a value under a name.
    pub fn value(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.values.push(Value {
            name,
            bytes: value.to_vec(),
            rule,
            any_case: false,
        });
    }

    /// Registers a value whose ASCII letters match in any case.
    pub fn value_any_case(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.values.push(Value {
            name,
            bytes: value.to_vec(),
            rule,
            any_case: true,
        });
    }

    /// The replacement text of a name.
    pub fn replacement(&self, name: NameId) -> &[u8] {
        self.names[name.0 as usize].1.as_bytes()
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in &self.values {
            let (key, replacement) = &self.names[value.name.0 as usize];
            writeln!(
                f,
                "  {key:?} -> {replacement:?}: b\"{}\" {:?}{}",
                value.bytes.escape_ascii(),
                value.rule,
                if value.any_case { " any case" } else { "" }
            )?;
        }
        Ok(())
    }
}

/// Masks `text`: the output, and what was replaced.
pub fn mask(needles: &Needles, text: &[u8], syntax: Syntax) -> (Vec<u8>, Hits) {
    mask_with(needles, text, syntax, Signed::Mask).expect("nothing is refused that may be masked")
}

/// As `mask`, with a rule for the blocks that a provider signs.
pub fn mask_with(
    needles: &Needles,
    text: &[u8],
    syntax: Syntax,
    signed: Signed,
) -> Result<(Vec<u8>, Hits), Refusal> {
    let document = (syntax == Syntax::Json).then(|| json::scan(text));
    let matches = find::matches(needles, text, syntax, document.as_ref());
    resolve::resolve(needles, text, syntax, signed, document.as_ref(), matches)
}
