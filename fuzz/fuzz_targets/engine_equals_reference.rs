//! The engine is equal to the reference masker of the integration tests.
//!
//! The first bytes choose the needles, the syntax and the lengths of the pieces; the rest is a program that makes the text
//! (`hostile::program`), so that a few bytes reach a value under a deep chain of encoders.
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
    let [profile, syntax, pieces, program @ ..] = input else { return };
    let needles = hostile::profiles::profile(*profile);
    let syntax = hostile::SYNTAXES[usize::from(*syntax) % hostile::SYNTAXES.len()];
    let pattern: &[u8] = match pieces {
        0..64 => &[],
        64..128 => &[1],
        _ => &[pieces & 7, pieces >> 3 & 7, pieces & 31],
    };
    let text = hostile::text(&needles, &hostile::program(program));
    let expected = reference::mask(&needles, &text, syntax);
    let found = hostile::engine(&hostile::masker(&needles), &text, syntax, pattern);
    assert!(
        found.as_ref() == Ok(&expected),
        "as {syntax:?}, in pieces of {pattern:?}: b\"{}\"\n{needles:?}engine:    {}\nreference: b\"{}\" {:?}",
        text.escape_ascii(),
        found.as_ref().map_or_else(|refusal| refusal.to_string(), |(output, hits)| format!("b\"{}\" {hits:?}", output.escape_ascii())),
        expected.0.escape_ascii(),
        expected.1,
    );
});
