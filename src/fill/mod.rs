//! Placeholders in text: how they are spelled, where they stand, and what of a text that is typed may become one.
//!
//! Sans-IO. It knows keys and spellings, never values: what becomes of a placeholder is the guard's decision, and how a value is
//! written for its place is for the channel that writes it. The room imports no other of the crate.

mod finder;
mod holding;
mod spelling;

pub use finder::{Finder, Found};
pub use holding::{Holding, Step, Typed};
pub use spelling::Spelling;
