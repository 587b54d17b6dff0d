//! Which sessions there are, whose each is, and what it is attached to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::types::Target;

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Ours: no client sees it.
    Ours,
    /// A client's, by its number.
    Member(u64),
}

/// A session.
pub(super) struct Session {
    pub(super) id: Arc<str>,
    pub(super) owner: Owner,
    pub(super) target: Arc<Target>,
    /// The session on which it was attached; a root has none.
    pub(super) parent: Option<Arc<str>>,
    /// Whether its target waits for somebody to let it run.
    pub(super) waiting: bool,
    children: HashSet<Arc<str>>,
}

impl Session {
    pub(super) fn is_root(&self) -> bool {
        self.parent.is_none()
    }
}

/// All sessions of a connection.
#[derive(Default)]
pub(super) struct Sessions {
    by_id: HashMap<Arc<str>, Session>,
}

impl Sessions {
    /// A browser session that was attached on the connection itself.
    pub(super) fn insert_root(&mut self, id: &Arc<str>, owner: Owner) {
        let target = Target {
            id: "".into(),
            kind: "browser".into(),
            browser_context: None,
        };
        self.put(id, owner, Arc::new(target), None, false);
    }

    /// A session that was attached on another. It is its parent's owner's, unless said otherwise. `false`: it is known already, and
    /// stays whose it was, or its parent is not.
    pub(super) fn insert(
        &mut self,
        parent: &str,
        id: &Arc<str>,
        target: Arc<Target>,
        waiting: bool,
        owner: Option<Owner>,
    ) -> bool {
        if self.by_id.contains_key(id) {
            return false;
        }
        let Some(parent) = self.by_id.get_mut(parent) else {
            return false;
        };
        parent.children.insert(Arc::clone(id));
        let owner = owner.unwrap_or(parent.owner);
        let parent = Arc::clone(&parent.id);
        self.put(id, owner, target, Some(parent), waiting);
        true
    }

    fn put(
        &mut self,
        id: &Arc<str>,
        owner: Owner,
        target: Arc<Target>,
        parent: Option<Arc<str>>,
        waiting: bool,
    ) {
        let session = Session {
            id: Arc::clone(id),
            owner,
            target,
            parent,
            waiting,
            children: HashSet::new(),
        };
        self.by_id.insert(Arc::clone(id), session);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.by_id.get_mut(id)
    }

    /// A session that is that owner's and no root: what it may name.
    pub(super) fn named(&self, id: &str, owner: Owner) -> Option<&Session> {
        self.get(id)
            .filter(|session| session.owner == owner && !session.is_root())
    }

    /// The sessions of an owner but for its root.
    pub(super) fn of(&self, owner: Owner) -> impl Iterator<Item = &Session> {
        self.by_id
            .values()
            .filter(move |session| session.owner == owner && !session.is_root())
    }

    /// Takes a session out, and all that were attached on it or on those: their end is not announced.
    pub(super) fn remove(&mut self, id: &str) -> Vec<Session> {
        let mut removed: Vec<Session> = self.by_id.remove(id).into_iter().collect();
        if let Some(parent) = removed
            .first()
            .and_then(|session| session.parent.as_deref())
            && let Some(parent) = self.by_id.get_mut(parent)
        {
            parent.children.remove(id);
        }
        let mut next = 0;
        while let Some(session) = removed.get(next) {
            let children = session.children.iter();
            let children: Vec<_> = children.filter_map(|id| self.by_id.remove(id)).collect();
            removed.extend(children);
            next += 1;
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str) -> Arc<Target> {
        Arc::new(Target {
            id: id.into(),
            kind: "page".into(),
            browser_context: None,
        })
    }

    fn id(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_session_is_its_parents_owners_and_goes_with_it() {
        let mut sessions = Sessions::default();
        sessions.insert_root(&id("a"), Owner::Member(1));
        sessions.insert_root(&id("b"), Owner::Ours);
        for (parent, child) in [("a", "a1"), ("a1", "a2"), ("a2", "a3"), ("b", "b1")] {
            assert!(sessions.insert(parent, &id(child), target(child), false, None));
        }
        assert!(sessions.named("a3", Owner::Member(1)).is_some());
        assert!(sessions.named("a3", Owner::Member(2)).is_none());
        assert!(sessions.named("a3", Owner::Ours).is_none());
        assert!(
            sessions.named("a", Owner::Member(1)).is_none(),
            "a root is named by no one"
        );
        assert!(
            !sessions.insert("b", &id("a3"), target("x"), false, None),
            "it stays whose it was"
        );
        assert!(!sessions.insert("nobody", &id("c"), target("c"), false, None));
        let removed: Vec<_> = sessions
            .remove("a1")
            .iter()
            .map(|s| s.id.to_string())
            .collect();
        assert_eq!(removed, ["a1", "a2", "a3"]);
        assert!(sessions.get("a").unwrap().children.is_empty());
        assert!(sessions.get("b1").is_some());
        assert!(sessions.remove("a1").is_empty());
    }
}
