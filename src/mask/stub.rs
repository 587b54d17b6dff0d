//! TEMPORARY: the API of the engine with a naive body, until the engine lands.
use bytes::Bytes;
use std::collections::BTreeMap;

/// Index of a masking name, as the caller numbers them: what a hit reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u32);

/// Where a value counts as an occurrence (DESIGN 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anywhere in the text.
    Anywhere,
    /// As a whole word, and not in a URL's authority, as a whole JSON key or as the value of `role`, `type`, ...
    Word,
}

/// What the text is, where that changes what a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Syntax {
    /// Anything.
    #[default]
    Text,
    /// JSON, or a sequence of JSON texts (NDJSON). Falls back to `Text` at the first invalid byte.
    Json,
    /// `application/x-www-form-urlencoded` body: `+` may stand for a space; replacements are percent-encoded.
    Form,
    /// The query of a URL: as `Form`.
    Query,
    /// The path of a URL: replacements are percent-encoded; `+` is itself.
    Path,
}

/// In which form a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Form {
    Plain,
    Json,
    Percent,
    Html,
    Base64,
    Hex,
    Chain,
}

/// Occurrences replaced, by name and form.
pub type Hits = BTreeMap<(NameId, Form), u64>;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An encoded span that may still hold a value is longer than 64 KiB.
    #[error("an encoded span that may still hold a secret is longer than 65536 bytes")]
    PendingTooLong,
    /// Decoding it in every reading costs more than the limit allows.
    #[error("the text is nested in too many encodings to be read in full")]
    TooDeep,
}

/// Collects needles; `build` makes the `Masker`.
#[derive(Default)]
pub struct Builder {
    values: Vec<(Vec<u8>, NameId, Rule)>,
    names: Vec<String>,
}
impl Builder {
    /// Registers a placeholder as it is to be written (and left alone where it stands as a whole word already).
    pub fn name(&mut self, key: &str, replacement: &str) -> NameId {
        let _ = key;
        self.names.push(replacement.to_owned());
        NameId(self.names.len() as u32 - 1)
    }
    /// Registers a value under a name. Earlier calls win where two names have the same value.
    pub fn value(&mut self, name: NameId, value: &[u8], rule: Rule) {
        self.values.push((value.to_vec(), name, rule));
    }
    /// Builds the masker.
    pub fn build(self) -> Masker {
        Masker(std::sync::Arc::new(self))
    }
}

/// An immutable set of needles, cheap to clone.
#[derive(Clone)]
pub struct Masker(std::sync::Arc<Builder>);
impl Masker {
    /// Starts a collection.
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// Starts one pass over one text.
    pub fn stream(&self, syntax: Syntax) -> Stream {
        let _ = syntax;
        Stream {
            m: self.clone(),
            buf: Vec::new(),
            hits: Hits::new(),
        }
    }
    /// Masks one whole text: `None` if nothing was found.
    pub fn mask(&self, text: &[u8], syntax: Syntax) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        let mut s = self.stream(syntax);
        let mut out = Vec::new();
        s.push(Bytes::copy_from_slice(text), &mut out)?;
        s.finish(&mut out)?;
        if s.hits().is_empty() {
            return Ok(None);
        }
        Ok(Some((out.concat(), s.hits().clone())))
    }
    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }
}

/// One pass over one text.
pub struct Stream {
    m: Masker,
    buf: Vec<u8>,
    hits: Hits,
}
impl Stream {
    /// Takes the next piece; appends to `out` what is safe to pass on. Untouched bytes are slices of the pieces.
    pub fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        let _ = out;
        self.buf.extend_from_slice(&piece);
        Ok(())
    }
    /// Ends the text; appends the rest.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        let mut i = 0;
        let mut o = Vec::new();
        'a: while i < self.buf.len() {
            for (v, n, _) in &self.m.0.values {
                if self.buf[i..].starts_with(v) {
                    o.extend_from_slice(self.m.0.names[n.0 as usize].as_bytes());
                    *self.hits.entry((*n, Form::Plain)).or_default() += 1;
                    i += v.len();
                    continue 'a;
                }
            }
            o.push(self.buf[i]);
            i += 1;
        }
        out.push(o.into());
        Ok(())
    }
    /// What was found so far.
    pub fn hits(&self) -> &Hits {
        &self.hits
    }
}
