//! The engine is equal to the reference masker of the integration tests.
//!
//! The first bytes choose the needles, the syntax and the lengths of the pieces; the rest is a program that makes the text
//! (`hostile::case`), so that a few bytes reach a value under a deep chain of encoders.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The reference knows the engine as `bauta::mask`.
extern crate self as bauta;

#[allow(dead_code)]
#[path = "../../src/mask/mod.rs"]
pub mod mask;

#[allow(dead_code)]
#[path = "../../tests/it/hostile/mod.rs"]
mod hostile;
#[allow(dead_code)]
#[path = "../../tests/it/reference/mod.rs"]
mod reference;

fuzz_target!(|input: &[u8]| {
    let difference = hostile::case(input).and_then(|case| hostile::difference(&case));
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
});
