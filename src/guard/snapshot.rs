//! What holds at one moment: the secrets in view, and the needles made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::codes::Issued;
use super::counts::Owner;
use super::names::{CleanNames, joined};
use super::needles::Needles;
use super::{Finder, Hits, NameId, Refusal, Signed, Spelling, Stream, Syntax};
use crate::secret::{MaskOption, Secret, View};

/// How placeholders are written and read, and what is treated apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What masking writes.
    pub output: Spelling,
    /// What counts as a placeholder.
    pub accept: Vec<Spelling>,
    /// What becomes of values in blocks that a provider signed.
    pub signed: Signed,
    /// The keys of providers' credentials, which answers never hold.
    pub credentials: BTreeSet<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            output: Spelling::bare(),
            accept: vec![Spelling::bare()],
            signed: Signed::Refuse,
            credentials: BTreeSet::new(),
        }
    }
}

/// Which answers are masked, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// None.
    Untouched,
    /// Of the secrets of that key.
    Only(String),
    /// Of all secrets.
    All,
}

/// The needles of one moment, and the keys that hits are reported under.
pub struct Snapshot {
    needles: Needles,
    rules: Arc<Rules>,
    clean: CleanNames,
    view: Arc<View>,
    finder: Finder,
    /// The needles of each provider's credential alone.
    credentials: BTreeMap<String, Arc<Snapshot>>,
    /// Those of all answers, where requests do not have the same: a credential that is never masked is masked there.
    answers: Option<Arc<Snapshot>>,
}

/// A snapshot of these needles alone, for answers.
fn of_answers(needles: Needles, rules: &Arc<Rules>) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        needles,
        rules: Arc::clone(rules),
        clean: CleanNames::default(),
        view: Arc::new(View::new(Vec::new())),
        finder: Finder::default(),
        credentials: BTreeMap::new(),
        answers: None,
    })
}

/// A snapshot of the secrets of one key, whatever their `mask`; `None` if the view has none.
fn alone(view: &View, rules: &Arc<Rules>, key: &str) -> Option<Arc<Snapshot>> {
    let secrets = view.of(key);
    let needles = || Needles::with(secrets, &[], |_| true, |key: &str| rules.output.write(key));
    (!secrets.is_empty()).then(|| of_answers(needles(), rules))
}

impl Snapshot {
    /// A snapshot of a view by those rules.
    ///
    /// One value under two keys goes by that of the narrowest scope, then by the first in key order.
    pub fn new(view: Arc<View>, rules: &Arc<Rules>) -> Self {
        Self::with_codes(view, rules, &[])
    }

    pub(super) fn with_codes(view: Arc<View>, rules: &Arc<Rules>, codes: &[Issued]) -> Self {
        let write = |key: &str| rules.output.write(key);
        let named = rules.credentials.iter();
        let credentials = named
            .filter_map(|key| Some((key.clone(), alone(&view, rules, key)?)))
            .collect();
        let is_credential = |key: &str| rules.credentials.contains(key);
        let is_unmasked = |secret: &Secret| {
            secret.options().mask == MaskOption::Never && is_credential(secret.key().as_str())
        };
        let answers = view.iter().any(is_unmasked).then(|| {
            of_answers(
                Needles::with(view.iter(), codes, is_credential, write),
                rules,
            )
        });
        Self {
            needles: Needles::with(view.iter(), codes, |_| false, write),
            rules: Arc::clone(rules),
            clean: CleanNames::default(),
            finder: Finder::new(view.iter().map(|s| s.key().as_str()), &rules.accept),
            view,
            credentials,
            answers,
        }
    }

    /// What answers are masked with; `None` if there is nothing to mask.
    pub fn of_answers(self: &Arc<Self>, answers: &Answers) -> Option<Arc<Self>> {
        let snapshot = match answers {
            Answers::Untouched => return None,
            Answers::Only(key) => match self.credentials.get(key) {
                Some(alone) => Arc::clone(alone),
                // The rules name it no more, but the route of this request does still.
                None => alone(&self.view, &self.rules, key)?,
            },
            Answers::All => Arc::clone(self.answers.as_ref().unwrap_or(self)),
        };
        (!snapshot.is_empty()).then_some(snapshot)
    }

    /// Whether there is nothing to mask, so that texts need not be read.
    pub fn is_empty(&self) -> bool {
        self.needles.masker.is_empty()
    }

    /// Starts one pass over one text on its way to a provider.
    pub fn stream(&self, syntax: Syntax) -> Stream {
        let signed = self.rules.signed;
        self.needles.masker.stream_with(syntax, signed)
    }

    /// Starts one pass over one text on its way back. What a provider signed stays as it is: it must be sent again as it came,
    /// and on that way it is refused or let pass.
    pub fn answer_stream(&self, syntax: Syntax) -> Stream {
        self.needles.masker.stream_with(syntax, Signed::Pass)
    }

    /// Masks one whole text; `None` if it holds nothing.
    ///
    /// # Errors
    /// The text cannot be read in full within the engine's limits.
    pub fn mask(&self, text: &[u8], syntax: Syntax) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        self.needles.masker.mask(text, syntax)
    }

    /// The same of a text that is at hand as a whole, without a copy of it where it holds nothing. Blocks that look signed are
    /// masked like all else: what a page says goes back to nobody.
    ///
    /// # Errors
    /// As [`Snapshot::mask`].
    pub fn mask_whole(
        &self,
        text: Bytes,
        syntax: Syntax,
    ) -> Result<Option<(Vec<u8>, Hits)>, Refusal> {
        let mut stream = self.needles.masker.stream(syntax);
        let mut pieces = Vec::new();
        stream.push(text, &mut pieces)?;
        stream.finish(&mut pieces)?;
        let hits = stream.hits();
        Ok((!hits.is_empty()).then(|| (pieces.concat(), hits.clone())))
    }

    /// Whether one of these names, which cannot be rewritten, such as headers', holds a value. What was judged clean once is
    /// not judged again.
    ///
    /// A value that counts as a whole word only does not count here: `user` must not refuse every `User-Agent`.
    ///
    /// # Errors
    /// As [`Snapshot::mask`].
    pub fn is_in_names<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Result<bool, Refusal> {
        if self.is_empty() {
            return Ok(false);
        }
        let unknown = self.clean.unknown(names);
        if unknown.is_empty() {
            return Ok(false);
        }
        let text = joined(unknown.iter().copied());
        let found = self.needles.names().mask(&text, Syntax::Text)?.is_some();
        if !found {
            self.clean.keep(&unknown);
        }
        Ok(found)
    }

    /// Whether a text that was cut shows a part of a value, of four bytes or more: its beginning right before one of `stops`, or its
    /// end right behind one of `resumes`, both in order. Whose it is, and the placeholder that may stand for the whole text.
    pub fn beside_cuts(
        &self,
        text: &[u8],
        stops: &[usize],
        resumes: &[usize],
    ) -> Option<(NameId, String)> {
        let id = self.needles.beside(text, stops, resumes)?;
        Some((id, self.rules.output.write(self.key(id))))
    }

    /// The key of a hit.
    pub fn key(&self, id: NameId) -> &str {
        // A hit can only carry an id that the builder gave out.
        usize::try_from(id.0)
            .ok()
            .and_then(|at| self.needles.keys.get(at))
            .map_or("unknown", String::as_str)
    }

    /// Whose a hit may be: all secrets with that value, the one that names it first.
    pub fn owners(&self, id: NameId) -> Option<&Arc<[Owner]>> {
        let at = usize::try_from(id.0).ok()?;
        self.needles.owners.get(at)
    }

    /// Whether a text is the placeholder of that key in an accepted spelling, and nothing else.
    pub fn is_placeholder(&self, text: &str, key: &str) -> bool {
        let mut accepted = self.rules.accept.iter();
        accepted.any(|spelling| spelling.is(text, key))
    }

    /// Finds the placeholders of its secrets.
    pub fn finder(&self) -> &Finder {
        &self.finder
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// The secrets in it.
    pub fn secrets(&self) -> usize {
        self.view.len()
    }
}

impl From<Vec<Secret>> for Snapshot {
    fn from(secrets: Vec<Secret>) -> Self {
        Self::new(Arc::new(View::new(secrets)), &Arc::default())
    }
}

/// A snapshot of these secrets, for the tests of other rooms.
#[cfg(test)]
pub(crate) fn of_submission(text: &[u8]) -> Snapshot {
    use crate::secret::{Limits, parse_submission};

    let parsed = parse_submission(text.to_vec().into(), &Limits::default());
    let parsed = parsed.unwrap_or_else(|problems| panic!("{problems:?}"));
    parsed
        .into_secrets(&"agent:a".parse().expect("a scope"))
        .into()
}
