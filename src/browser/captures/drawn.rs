//! What the browser draws over a page by itself, where no look at its documents finds it: the old picture of a view transition,
//! a suggestion in a field, an open list, a message beside a field.
//!
//! While one of these may show a value, no picture is taken. They do not last.

use crate::browser::spans::spans;
use crate::guard::{Counts, Snapshot};

/// Begins a script of the gate: `drawn` notes what there is of these in a document or shadow tree, `told` gives it back.
///
/// A message stands beside the field that has the focus, and may repeat parts of what is in it. A suggestion is not in the
/// field's value; where a value is there, only the field with the focus may show another one.
pub(super) const DRAWN: &str = r"
  const getter = (of, name) => { const get = Object.getOwnPropertyDescriptor(of.prototype, name).get; return (on) => get.call(on); };
  const beside = [];
  let marks = 0;
  const drawn = (root) => {
    const of = root instanceof Document ? Document : ShadowRoot;
    const all = (of === Document ? Document : DocumentFragment).prototype.querySelectorAll;
    const find = (selector) => { try { return [...all.call(root, selector)]; } catch { return []; } };
    const active = getter(of, 'activeElement')(root);
    const transition = Object.getOwnPropertyDescriptor(Document.prototype, 'activeViewTransition');
    if (find(':active-view-transition').length || of === Document && transition && transition.get.call(root)) marks |= 1;
    if (find(':autofill').some((field) => field.value === '' || field === active)) marks |= 2;
    for (const list of find('select:open')) {
      for (const option of Element.prototype.querySelectorAll.call(list, 'option, optgroup')) beside.push(option.label, getter(Node, 'textContent')(option));
    }
    if (active && 'willValidate' in active && active.willValidate && !active.validity.valid) {
      const { typeMismatch, stepMismatch, badInput } = active.validity;
      beside.push(active.validationMessage, active.title);
      if (typeMismatch || stepMismatch || badInput) beside.push(active.value);
    }
  };
  const told = () => [beside.join('\n').toWellFormed(), marks];
";

/// One of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Drawn {
    /// The picture of what was there before.
    #[error("one state of it changes into another, and what it showed before is still to be seen")]
    Transition,
    /// What the browser would fill in.
    #[error(
        "the browser shows in a field what it would fill in. Press Escape, or click into the page, before"
    )]
    Suggestion,
    /// An open list, or a message.
    #[error(
        "the browser may show a list or a message beside a field, with a secret in it. Close it, or click elsewhere, before"
    )]
    Beside,
}

impl Drawn {
    /// From what a document told.
    pub(super) fn of(snapshot: &Snapshot, beside: &str, marks: u32) -> Option<Self> {
        if marks & 1 != 0 {
            return Some(Self::Transition);
        }
        if marks & 2 != 0 {
            return Some(Self::Suggestion);
        }
        if beside.is_empty() {
            return None;
        }
        let text = bytes::Bytes::copy_from_slice(beside.as_bytes());
        let found = spans(snapshot, &text, &mut Counts::default());
        (!found.is_ok_and(|found| found.is_empty())).then_some(Self::Beside)
    }
}
