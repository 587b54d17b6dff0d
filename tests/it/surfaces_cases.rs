//! Hostile cases for whole surfaces, through the real guard: random ones, and those that the fuzz target begins with.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::equivalence::config;
use super::surfaces::check;

/// Bytes of a program: as often something that a text is made of as a letter.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => 0x80..=0xff_u8, 2 => b' '..b'\x7f', 1 => any::<u8>()];
    vec(byte, 0..120)
}

/// A case of that surface: settings, then a program.
fn case(surface: u8) -> impl Strategy<Value = Vec<u8>> {
    (vec(any::<u8>(), 0..16), program())
        .prop_map(move |(settings, program)| [&[surface][..], &settings, &program].concat())
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn p1_p6_p7_coded_bodies_are_what_a_model_says(case in case(0)) {
        check(&case);
    }

    #[test]
    fn p1_p6_p7_multipart_bodies_are_what_a_model_says(case in case(1)) {
        check(&case);
    }

    #[test]
    fn p1_p6_messages_to_upstream_are_what_a_model_says(case in case(2)) {
        check(&case);
    }

    #[test]
    fn p1_p6_messages_to_a_client_are_what_a_model_says(case in case(3)) {
        check(&case);
    }
}

#[test]
fn the_fuzz_target_begins_with_what_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/surfaces");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 40, "{count}");
}
