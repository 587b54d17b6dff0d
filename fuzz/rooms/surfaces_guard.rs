//! The needles of the cases in `tests/it/surfaces/`, for the stand-in guard.

use std::sync::{Arc, LazyLock};

use crate::guard::{Snapshot, Ticket};
use crate::mask::{Masker, Rule};
use crate::surfaces::VALUES;

pub fn snapshot() -> Arc<Snapshot> {
    static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
        let mut builder = Masker::builder();
        for (key, value) in VALUES {
            let name = builder.name(key, key);
            let rule = if value.len() < 8 {
                Rule::Word
            } else {
                Rule::Anywhere
            };
            builder.value(name, value.as_bytes(), rule);
            if !value.is_ascii() {
                // The form in Latin-1, which the real guard makes.
                let latin: Vec<u8> = value
                    .chars()
                    .filter_map(|c| u8::try_from(u32::from(c)).ok())
                    .collect();
                builder.value(name, &latin, rule);
            }
        }
        Arc::new(Snapshot::of(
            builder,
            VALUES.map(|(key, _)| key.to_owned()).into(),
        ))
    });
    Arc::clone(&SNAPSHOT)
}

pub async fn ticket() -> Ticket {
    Ticket(snapshot())
}
