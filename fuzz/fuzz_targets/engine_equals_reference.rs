//! The engine is equal to the reference masker of the integration tests.
//!
//! The first bytes choose the needles, the syntax and the lengths of the pieces; the rest is a program that makes the text
//! (`hostile::case`), so that a few bytes reach a value under a deep chain of encoders.
#![no_main]

use std::sync::LazyLock;

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

/// The maskers of all profiles: to build one takes longer than to mask a short text.
static MASKERS: LazyLock<Vec<mask::Masker>> = LazyLock::new(|| {
    let profiles = 0..u8::try_from(hostile::profiles::COUNT).unwrap_or(u8::MAX);
    profiles
        .map(|number| hostile::masker(&hostile::profiles::profile(number)))
        .collect()
});

fuzz_target!(|input: &[u8]| {
    let Some(case) = hostile::case(input) else {
        return;
    };
    let masker = &MASKERS[usize::from(input[0]) % MASKERS.len()];
    let difference = hostile::difference(&case, masker);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
});
