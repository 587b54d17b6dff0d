//! Which execution contexts a client was told of, by session.
//!
//! A context may be named where its target's own sessions of this client were told of it. Numbers mean something within a process
//! only, and begin again in the next; so they are held while their session is told of contexts that go, and where script runs by a
//! number, its context's unique id takes the number's place. Bounded: what is not remembered is not known, and refused.

use std::collections::{HashMap, HashSet};

/// Sessions that are remembered.
const MOST_SESSIONS: usize = 1024;

/// Contexts of a session that are remembered.
const MOST_CONTEXTS: usize = 16_384;

/// The contexts that a client knows.
#[derive(Debug, Default)]
pub struct Worlds(HashMap<Box<str>, Known>);

#[derive(Debug, Default)]
struct Known {
    target: Box<str>,
    /// It is told of contexts that come and go.
    is_told: bool,
    numbers: HashSet<i64>,
    /// Their unique ids, by number.
    unique: HashMap<i64, Box<str>>,
    /// Our own, which the session was not told of.
    ours: HashSet<i64>,
}

impl Worlds {
    /// The session of that target was told of a context. `is_there`: which sessions there are, in case there is no room.
    pub fn announce(
        &mut self,
        session: &str,
        target: &str,
        number: i64,
        unique: Option<&str>,
        is_there: impl Fn(&str) -> bool,
    ) {
        let Some(known) = self.session(session, target, is_there) else {
            return;
        };
        if known.numbers.len() >= MOST_CONTEXTS {
            return;
        }
        known.ours.remove(&number);
        known.numbers.insert(number);
        if let Some(unique) = unique {
            known.unique.insert(number, unique.into());
        }
    }

    /// A context of ours, which the session is not told of.
    pub fn hide(
        &mut self,
        session: &str,
        target: &str,
        number: i64,
        is_there: impl Fn(&str) -> bool,
    ) {
        if let Some(known) = self.session(session, target, is_there)
            && known.ours.len() < MOST_CONTEXTS
        {
            known.ours.insert(number);
        }
    }

    /// A context is gone; whether the session knew of it.
    pub fn forget(&mut self, session: &str, number: i64) -> bool {
        let Some(known) = self.0.get_mut(session) else {
            return false;
        };
        known.ours.remove(&number);
        known.unique.remove(&number);
        known.numbers.remove(&number)
    }

    /// The session of that target is told of contexts from now on.
    pub fn enable(&mut self, session: &str, target: &str, is_there: impl Fn(&str) -> bool) {
        if let Some(known) = self.session(session, target, is_there) {
            known.is_told = true;
        }
    }

    /// Whether a session is told of contexts.
    pub fn is_told(&self, session: &str) -> bool {
        self.0.get(session).is_some_and(|known| known.is_told)
    }

    /// All contexts of a session are gone.
    pub fn clear(&mut self, session: &str) {
        if let Some(known) = self.0.get_mut(session) {
            known.numbers.clear();
            known.unique.clear();
            known.ours.clear();
        }
    }

    /// A session is gone, or is not told of contexts any more: what it was told grows old.
    pub fn remove(&mut self, session: &str) {
        self.0.remove(session);
    }

    /// Whether a context is ours.
    pub fn is_ours(&self, session: &str, number: i64) -> bool {
        self.0
            .get(session)
            .is_some_and(|known| known.ours.contains(&number))
    }

    /// Whether a session of that target was told of the context with that number.
    pub fn knows(&self, target: &str, number: i64) -> bool {
        self.of(target).any(|known| known.numbers.contains(&number))
    }

    /// The unique id of the context that a session, or else another one of that target, knows by that number.
    pub fn unique(&self, session: &str, target: &str, number: i64) -> Option<&str> {
        let own = self.0.get(session).filter(|own| *own.target == *target);
        let mut all = own.into_iter().chain(self.of(target));
        let found = all.find_map(|known| known.unique.get(&number));
        found.map(|unique| &**unique)
    }

    /// The same by its unique id.
    pub fn knows_unique(&self, target: &str, unique: &str) -> bool {
        self.of(target)
            .any(|known| known.unique.values().any(|id| **id == *unique))
    }

    fn of(&self, target: &str) -> impl Iterator<Item = &Known> {
        self.0
            .values()
            .filter(move |known| *known.target == *target)
    }

    fn session(
        &mut self,
        session: &str,
        target: &str,
        is_there: impl Fn(&str) -> bool,
    ) -> Option<&mut Known> {
        if !self.0.contains_key(session) && self.0.len() >= MOST_SESSIONS {
            self.0.retain(|session, _| is_there(session));
            if self.0.len() >= MOST_SESSIONS {
                return None;
            }
        }
        let known = self.0.entry(session.into()).or_default();
        if *known.target != *target {
            known.target = target.into();
        }
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_announced_is_known() {
        let mut worlds = Worlds::default();
        let there = |_: &str| true;
        worlds.announce("s1", "t1", 1, Some("u1"), there);
        worlds.hide("s1", "t1", 2, there);
        worlds.announce("s2", "t2", 2, None, there);
        assert!(worlds.knows("t1", 1) && worlds.knows_unique("t1", "u1"));
        assert!(
            !worlds.knows("t1", 2),
            "a number of another target's process"
        );
        assert!(
            worlds.knows("t2", 2) && !worlds.knows("t2", 1) && !worlds.knows_unique("t2", "u1")
        );
        assert!(worlds.is_ours("s1", 2) && !worlds.is_ours("s2", 2));
        assert!(!worlds.forget("s1", 2), "the client never knew of it");
        assert!(
            worlds.forget("s1", 1) && !worlds.knows("t1", 1) && !worlds.knows_unique("t1", "u1")
        );
        worlds.clear("s2");
        assert!(!worlds.knows("t2", 2));
    }

    #[test]
    fn what_a_session_is_not_told_of_grows_old() {
        let mut worlds = Worlds::default();
        let there = |_: &str| true;
        worlds.enable("s1", "t", there);
        worlds.announce("s1", "t", 1, Some("old"), there);
        worlds.announce("s2", "t", 1, Some("new"), there);
        worlds.announce("s2", "t", 2, None, there);
        assert_eq!(
            worlds.unique("s1", "t", 1),
            Some("old"),
            "its own word first"
        );
        assert_eq!(worlds.unique("s2", "t", 1), Some("new"));
        assert_eq!(worlds.unique("s2", "t", 2), None);
        assert_eq!(worlds.unique("s2", "another", 1), None);
        worlds.clear("s1");
        assert!(worlds.is_told("s1") && worlds.unique("s1", "t", 1) == Some("new"));
        worlds.remove("s2");
        worlds.remove("s1");
        assert!(!worlds.is_told("s1") && !worlds.knows("t", 1) && !worlds.knows_unique("t", "new"));
    }

    #[test]
    fn sessions_and_contexts_have_limits() {
        let mut worlds = Worlds::default();
        for n in 0..3 * MOST_SESSIONS {
            worlds.announce(&n.to_string(), "t", 1, None, |session| session.len() > 3);
        }
        assert!(worlds.0.len() <= MOST_SESSIONS);
        assert!(worlds.0.contains_key("1000"), "one that is there stays");
        let mut worlds = Worlds::default();
        for n in 0..2 * i64::try_from(MOST_CONTEXTS).unwrap() {
            worlds.announce("s", "t", n, None, |_| true);
            worlds.hide("s", "t", n + 1, |_| true);
        }
        assert!(worlds.knows("t", 1) && !worlds.knows("t", i64::try_from(MOST_CONTEXTS).unwrap()));
        assert!(worlds.0["s"].ours.len() <= MOST_CONTEXTS);
    }
}
