//! Why a placeholder was not typed, in words; and which refusals were said a moment ago.
//!
//! Clients try again until their own timeout: the same refusal is the same text each time, costs little, and stands in the audit
//! log once a second. No text holds a value or its length.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::browser::Refusal;
use crate::browser::hub::CallError;

/// How long a refusal is remembered.
const MEMORY: Duration = Duration::from_secs(1);

/// Refusals that are remembered.
const MOST: usize = 256;

/// The refusals of the last second, by what they are about.
#[derive(Default)]
pub(super) struct Recent(HashMap<Box<str>, (Instant, Option<Refusal>)>);

impl Recent {
    /// Whether that was not said within the last second; it is from now on.
    pub fn is_new(&mut self, about: &str) -> bool {
        self.forget();
        if self.0.contains_key(about) {
            return false;
        }
        self.0.insert(about.into(), (Instant::now(), None));
        true
    }

    /// What an attempt came to that would come to the same now.
    pub fn same(&mut self, about: &str) -> Option<Refusal> {
        self.forget();
        self.0.get(about)?.1.clone()
    }

    /// Keeps what an attempt came to.
    pub fn keep(&mut self, about: &str, refusal: &Refusal) {
        self.forget();
        self.0
            .insert(about.into(), (Instant::now(), Some(refusal.clone())));
    }

    fn forget(&mut self) {
        self.0.retain(|_, (said, _)| said.elapsed() < MEMORY);
        if self.0.len() >= MOST {
            self.0.clear();
        }
    }
}

/// What the inserting call answered in place of `ok`: why nothing was inserted, and whether the same attempt would come to the same.
pub(super) fn of_code(code: &str) -> (&'static str, bool) {
    match code {
        "origin" | "gone" => ("the page changed meanwhile. Look at it again", false),
        "focus" => ("the focus moved meanwhile. Focus the field again", false),
        "kind" | "actions" => (
            "the field or its form changed meanwhile. Look at the page again",
            false,
        ),
        "disabled" => (DISABLED, false),
        "readonly" => (READ_ONLY, false),
        "moved" => (
            "the field's text or the caret changed while the placeholder was typed. Clear the field and type it again",
            false,
        ),
        "long" => ("the field does not take so much text (maxlength)", true),
        "lines" => ("the value has several lines, and the field takes one", true),
        "format" => (
            "the value is not of the form that a field of this type takes",
            true,
        ),
        "nottaken" => (
            "the field did not take the value. What stood in it before was put back",
            true,
        ),
        _ => ("the page cannot be asked. Look at it again", false),
    }
}

pub(super) const DISABLED: &str = "the field is disabled";
pub(super) const READ_ONLY: &str = "the field is read-only";
pub(super) const NOTHING: &str = "nothing that takes text has the focus. Focus the field first";
pub(super) const TAINTED: &str = "the document, or one around it, was made or changed by a client (Fetch.fulfillRequest, Page.setDocumentContent)";

/// Why the browser could not be asked.
pub(super) fn of_call(error: &CallError) -> String {
    match error {
        CallError::Timeout => {
            "the page did not answer in time. A dialog or a debugger may hold it up".to_owned()
        }
        CallError::Refused { .. } | CallError::Detached | CallError::NotYours => {
            "the page changed meanwhile. Look at it again".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The refusal of a placeholder.
pub(super) fn refusal(key: &str, reason: &str) -> Refusal {
    Refusal::new(format!("{key} was not typed: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_not_said_again_and_memory_is_bounded() {
        let mut recent = Recent::default();
        assert!(recent.is_new("a") && !recent.is_new("a") && recent.is_new("b"));
        assert_eq!(recent.same("a"), None);
        let refusal = refusal("x_a", "the field is disabled");
        recent.keep("a", &refusal);
        assert_eq!(recent.same("a"), Some(refusal));
        for n in 0..10 * MOST {
            recent.is_new(&n.to_string());
            assert!(recent.0.len() <= MOST);
        }
    }
}
