//! Whole surfaces: content codings, multipart bodies and WebSockets do in any pieces what simple models say of them.
//!
//! The cases and their models are those of `tests/it/surfaces/`. What they go through is the code of `relay` and `net`, with the
//! engine; only the room `guard`, which would bring SQLite and the audit log along, is stood in for.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The cases know the rooms as `bauta::…`.
extern crate self as bauta;

#[allow(dead_code)]
#[path = "../rooms/guard.rs"]
pub mod guard;
#[allow(dead_code)]
#[path = "../../src/mask/mod.rs"]
pub mod mask;
#[allow(dead_code)]
#[path = "../../src/net/mod.rs"]
pub mod net;
#[allow(dead_code)]
#[path = "../../src/relay/mod.rs"]
pub mod relay;
#[allow(dead_code)]
#[path = "../../tests/it/surfaces/mod.rs"]
mod surfaces;
#[path = "../rooms/surfaces_guard.rs"]
mod surfaces_guard;

fuzz_target!(|input: &[u8]| surfaces::check(input));
