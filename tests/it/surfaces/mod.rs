//! Hostile input for whole surfaces: bodies with content codings, multipart bodies, WebSockets. Any bytes are a case: the first
//! one chooses the surface, the next ones its settings, the rest is a program that makes the texts.
//!
//! A case goes through the code that channels run, in the pieces that it names, and must come to what a slow and simple model
//! says of it, which knows no pieces: models of frames and of parts, independent decoders, and the engine on one whole text (which
//! the reference masker of `reference/` is held against elsewhere).
//!
//! The property tests of `surfaces_cases.rs` run cases with the real guard, the fuzz target `surfaces` with a stand-in for it.

mod body;
mod coders;
mod input;
mod multipart;
mod parts;
mod socket;
mod socket_model;
mod socket_wire;
mod texts;

use input::Input;
pub use texts::VALUES;

/// How many surfaces there are.
pub const SURFACES: u8 = 4;

/// Runs a case.
///
/// # Panics
/// What came out is not what the model says.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    match input.below(SURFACES) {
        0 => body::check(&mut input),
        1 => multipart::check(&mut input),
        2 => socket::check_upward(&mut input),
        _ => socket::check_downward(&mut input),
    }
}
