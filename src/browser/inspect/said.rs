//! Refusals that were in the log a moment ago.
//!
//! Clients try again what was refused, many times a second and until a timeout of their own. Each answer is the same, but the log
//! gets one event of a kind in ten seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::draft;
use crate::browser::Refusal;
use crate::guard::{Denied, Ticket};

/// How long a refusal is not said again.
const QUIET: Duration = Duration::from_secs(10);

/// Refusals that are remembered.
const MOST: usize = 256;

/// Refusals by key and reason.
#[derive(Debug, Default)]
pub struct Said(Mutex<HashMap<Refused, Instant>>);

/// Key and reason.
type Refused = (Box<str>, Box<str>);

impl Said {
    /// Refuses a placeholder for a reason that the guard gave, and says so in the log.
    pub fn denied(&self, ticket: &Ticket, key: &str, denied: &Denied) -> Refusal {
        self.log(ticket, key, &denied.to_string());
        draft::refusal(key, denied)
    }

    /// Refuses a placeholder for a reason of ours, and says so in the log.
    pub fn refused(&self, ticket: &Ticket, key: &str, reason: &str) -> Refusal {
        self.log(ticket, key, reason);
        Refusal::new(format!("{key} is not put in here: {reason}"))
    }

    fn log(&self, ticket: &Ticket, key: &str, reason: &str) {
        if self.is_new(key, reason, Instant::now()) {
            ticket.refused_for(key, reason);
        }
    }

    fn is_new(&self, key: &str, reason: &str, now: Instant) -> bool {
        // A map of times is right whatever happened to who held the lock.
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST {
            said.retain(|_, at| now.saturating_duration_since(*at) < QUIET);
        }
        if said.len() >= MOST {
            said.clear();
        }
        match said.insert((key.into(), reason.into()), now) {
            Some(at) if now.saturating_duration_since(at) < QUIET => {
                said.insert((key.into(), reason.into()), at);
                false
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_in_ten_seconds() {
        let said = Said::default();
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert!(said.is_new("x_a", "why", now));
        assert!(!said.is_new("x_a", "why", now + second));
        assert!(said.is_new("x_b", "why", now + second));
        assert!(said.is_new("x_a", "another", now + second));
        assert!(!said.is_new("x_a", "why", now + 9 * second));
        assert!(
            said.is_new("x_a", "why", now + 11 * second),
            "from when it was said"
        );
    }

    #[test]
    fn it_does_not_grow() {
        let said = Said::default();
        let now = Instant::now();
        for n in 0..10 * MOST {
            assert!(said.is_new(&format!("k{n}"), "why", now));
        }
        assert!(said.0.lock().unwrap().len() <= MOST);
    }
}
