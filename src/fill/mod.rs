//! Placeholders in text: how they are spelled, and where they stand.
//!
//! Sans-IO. It knows keys and spellings, never values: what becomes of a placeholder is the guard's decision, and how a value is
//! written for its place is for the channel that writes it. The room imports no other of the crate.

mod finder;
mod spelling;

pub use finder::{Finder, Found};
pub use spelling::Spelling;
