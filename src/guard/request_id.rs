//! The number that ties a request's log line to its audit events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits, shown in hex: 64 that this process drew, then 64 that count. No two requests share one; it is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64, u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

/// Gives them out.
pub(super) struct RequestIds {
    drawn: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        let mut bytes = [0; 8];
        // Without the system's randomness the time of the start still sets processes apart.
        let drawn = match getrandom::fill(&mut bytes) {
            Ok(()) => u64::from_ne_bytes(bytes),
            Err(_) => since_epoch_nanos(),
        };
        Self {
            drawn,
            next: AtomicU64::new(1),
        }
    }

    pub fn next(&self) -> RequestId {
        RequestId(self.drawn, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

fn since_epoch_nanos() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_a_process_and_between_two() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let all = [one.next(), one.next(), other.next()].map(|id| id.to_string());
        assert!(all.iter().all(|id| id.len() == 32));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    }
}
