//! Documents of which something must be remembered: those in which a value was inserted, and those that a client made itself.
//!
//! A document is known by its loader id, never by its address: `history.pushState` changes that. Invariants: bounded, and fails
//! closed. Where a document cannot be remembered any more, every page counts as one that shows a value, or every document as
//! one that a client made. Nothing is forgotten while its target is there: a document may come back out of the back-forward cache.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::hub::{CallError, Hub};

/// Documents of each sort that are remembered.
const MOST_DOCUMENTS: usize = 16_384;

/// Frames in a row, from a document up to its tab's.
const DEEPEST: usize = 64;

/// What is remembered of documents, for all clients.
#[derive(Debug, Default)]
pub struct Pages(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Loader ids of documents in which a value was inserted, by target.
    filled: HashMap<Box<str>, HashSet<Box<str>>>,
    /// One of them could not be remembered.
    any_is_filled: bool,
    /// There was one, whether it is there still or not.
    was_filled: bool,
    /// Loader ids of documents that a client made.
    tainted: HashSet<Box<str>>,
    /// One of them could not be remembered.
    any_is_tainted: bool,
}

impl Pages {
    /// A value is about to be inserted in the document of that frame.
    pub fn filled(&self, target: &str, loader: &str) {
        let mut memory = self.memory();
        memory.was_filled = true;
        let known = memory.filled.get(target);
        if known.is_some_and(|known| known.contains(loader)) {
            return;
        }
        if memory.filled.values().map(HashSet::len).sum::<usize>() >= MOST_DOCUMENTS {
            memory.any_is_filled = true;
            return;
        }
        let loaders = memory.filled.entry(target.into()).or_default();
        loaders.insert(loader.into());
    }

    /// Whether a value was inserted in that document.
    pub fn is_filled(&self, loader: &str) -> bool {
        let memory = self.memory();
        memory.any_is_filled || memory.filled.values().any(|known| known.contains(loader))
    }

    /// Whether a value was ever inserted. What was selected then stays in the window system's selection when its document goes.
    pub fn was_filled(&self) -> bool {
        self.memory().was_filled
    }

    /// A client had a hand in that document's text: it takes no values.
    pub fn taint(&self, loader: &str) {
        let mut memory = self.memory();
        if memory.tainted.len() >= MOST_DOCUMENTS && !memory.tainted.contains(loader) {
            memory.any_is_tainted = true;
        } else {
            memory.tainted.insert(loader.into());
        }
    }

    /// Whether a client had a hand in that document.
    pub fn is_tainted(&self, loader: &str) -> bool {
        let memory = self.memory();
        memory.any_is_tainted || memory.tainted.contains(loader)
    }

    /// Whether there is any document in which a client had a hand.
    pub fn has_tainted(&self) -> bool {
        let memory = self.memory();
        memory.any_is_tainted || !memory.tainted.is_empty()
    }

    /// Whether a value was inserted in a document that the tab of that target shows now, in any of its frames. What cannot be
    /// found out counts as yes.
    pub async fn is_live(&self, hub: &Hub, target: &str) -> bool {
        {
            let memory = self.memory();
            if memory.any_is_filled {
                return true;
            }
            if memory.filled.is_empty() {
                return false;
            }
        }
        self.look(hub, target).await.unwrap_or(true)
    }

    async fn look(&self, hub: &Hub, target: &str) -> Result<bool, CallError> {
        // What is filled in while the browser answers must not be forgotten because the answer does not know its target yet.
        let before = self.filled_now();
        let targets = Targets::now(hub).await?;
        self.forget_gone(&before, &targets);
        let Some(tab) = targets.tab_of(target) else {
            return Ok(true);
        };
        for (target, loaders) in self.filled_now() {
            if targets.tab_of(&target).is_some_and(|other| other != tab) {
                continue;
            }
            let Ok(tree) = frame_tree(hub, &target).await else {
                // It went meanwhile, or it does not say: the next look knows.
                return Ok(true);
            };
            let mut shown = false;
            tree.each(&mut |frame| shown |= loaders.contains(&*frame.loader_id));
            if shown {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn filled_now(&self) -> Vec<(Box<str>, HashSet<Box<str>>)> {
        let memory = self.memory();
        let filled = memory.filled.iter();
        filled
            .map(|(target, loaders)| (target.clone(), loaders.clone()))
            .collect()
    }

    fn forget_gone(&self, before: &[(Box<str>, HashSet<Box<str>>)], targets: &Targets) {
        let mut memory = self.memory();
        for (target, _) in before.iter().filter(|(t, _)| targets.get(t).is_none()) {
            memory.filled.remove(target);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Sets that are only added to, or filtered, are right whatever happened to who held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The targets that there are.
pub(super) struct Targets(Vec<TargetInfo>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetInfo {
    target_id: Box<str>,
    #[serde(rename = "type")]
    kind: Box<str>,
    parent_id: Option<Box<str>>,
    parent_frame_id: Option<Box<str>>,
}

impl Targets {
    /// Asks for them.
    pub async fn now(hub: &Hub) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            target_infos: Vec<TargetInfo>,
        }
        let answer = hub.call(
            None,
            "Target.getTargets",
            serde_json::json!({"filter": [{}]}),
        );
        let answer: Answer = read(&answer.await?)?;
        Ok(Self(answer.target_infos))
    }

    fn get(&self, id: &str) -> Option<&TargetInfo> {
        self.0.iter().find(|info| &*info.target_id == id)
    }

    /// The target that holds the frame in which an out-of-process frame stands, and that frame. `None`: it is a tab's own page.
    ///
    /// # Errors
    /// The target is not known, or does not say.
    pub fn parent(&self, id: &str) -> Result<Option<(&str, &str)>, CallError> {
        let info = self.get(id).ok_or(CallError::Detached)?;
        match (&info.parent_id, &info.parent_frame_id) {
            (Some(target), Some(frame)) => Ok(Some((target, frame))),
            _ if &*info.kind == "iframe" => Err(CallError::Unreadable),
            _ => Ok(None),
        }
    }

    /// The page in whose tab a target is shown.
    fn tab_of<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        let mut id = id;
        for _ in 0..DEEPEST {
            match self.parent(id).ok()? {
                Some((parent, _)) => id = parent,
                None => return Some(id),
            }
        }
        None
    }
}

/// A frame and those in it, of one process.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameTree {
    frame: Frame,
    #[serde(default)]
    child_frames: Vec<FrameTree>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    id: Box<str>,
    pub loader_id: Box<str>,
    /// Its document's address without the fragment.
    #[serde(default)]
    url: Box<str>,
    /// The origin of that address.
    #[serde(default)]
    security_origin: Box<str>,
}

impl FrameTree {
    /// The root's document, by its loader.
    pub fn loader(&self) -> &str {
        &self.frame.loader_id
    }

    /// The ids of all its frames.
    pub fn ids(&self) -> Vec<Box<str>> {
        let mut ids = Vec::new();
        self.each(&mut |frame| ids.push(frame.id.clone()));
        ids
    }

    fn each(&self, see: &mut impl FnMut(&Frame)) {
        see(&self.frame);
        for child in &self.child_frames {
            child.each(see);
        }
    }

    /// The loader ids from that frame up to the root; empty if it is not there.
    pub fn way_up(&self, frame: &str) -> Vec<Box<str>> {
        let way = self.frames_up(frame);
        way.iter().map(|frame| frame.loader_id.clone()).collect()
    }

    /// The origin that the browser itself gives a frame's document: that of its address, or of the nearest document around it whose
    /// text a `srcdoc` is. `None`: it is not there, or its address has none. A sandboxed document's own is another.
    pub fn origin(&self, frame: &str) -> Option<&str> {
        let way = self.frames_up(frame);
        let whose = way
            .into_iter()
            .find(|frame| &*frame.url != "about:srcdoc")?;
        let of_site = ["http://", "https://", "chrome-extension://"];
        let has_site = of_site.iter().any(|scheme| whose.url.starts_with(scheme));
        has_site.then_some(&*whose.security_origin)
    }

    fn frames_up(&self, frame: &str) -> Vec<&Frame> {
        if &*self.frame.id == frame {
            return vec![&self.frame];
        }
        for child in &self.child_frames {
            let mut way = child.frames_up(frame);
            if !way.is_empty() {
                way.push(&self.frame);
                return way;
            }
        }
        Vec::new()
    }
}

/// The frames of a target's process.
pub(super) async fn frame_tree(hub: &Hub, target: &str) -> Result<FrameTree, CallError> {
    let session = hub.own(target).await?;
    frame_tree_on(hub, &session).await
}

/// The same, on a session of ours.
pub(super) async fn frame_tree_on(hub: &Hub, session: &str) -> Result<FrameTree, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        frame_tree: FrameTree,
    }
    let answer = hub.call(Some(session), "Page.getFrameTree", serde_json::json!({}));
    let answer: Answer = read(&answer.await?)?;
    Ok(answer.frame_tree)
}

/// Our isolated world in a frame; made if it is not there, for the same name gives the same world again.
pub(super) async fn isolated_world(
    hub: &Hub,
    session: &str,
    frame: &str,
) -> Result<i64, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct World {
        execution_context_id: i64,
    }
    let params = serde_json::json!({"frameId": frame, "worldName": hub.world()});
    let answer = hub.call(Some(session), "Page.createIsolatedWorld", params);
    Ok(read::<World>(&answer.await?)?.execution_context_id)
}

/// Reads an answer of the browser.
pub(super) fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(answer).map_err(|_| CallError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_fails_closed() {
        let pages = Pages::default();
        assert!(!pages.has_tainted() && !pages.was_filled());
        for n in 0..MOST_DOCUMENTS {
            pages.taint(&format!("loader-{n}"));
            pages.filled("target", &format!("loader-{n}"));
        }
        assert!(pages.is_tainted("loader-0"));
        assert!(!pages.is_tainted("another") && !pages.memory().any_is_filled);
        pages.taint("one too many");
        assert!(pages.is_filled("loader-0") && !pages.is_filled("another"));
        pages.filled("target", "one too many");
        assert!(pages.is_filled("another"));
        assert!(pages.is_tainted("another") && pages.memory().any_is_filled);
    }

    #[test]
    fn ways_up() {
        let tree = r#"{"frame": {"id": "a", "loaderId": "1", "url": "u"}, "childFrames": [{"frame": {"id": "b", "loaderId": "2"}},
            {"frame": {"id": "c", "loaderId": "3"}, "childFrames": [{"frame": {"id": "d", "loaderId": "4"}}]}]}"#;
        let tree: FrameTree = read(tree.as_bytes()).unwrap();
        for (frame, expected) in [("a", "1"), ("b", "21"), ("d", "431"), ("e", "")] {
            assert_eq!(tree.way_up(frame).concat(), expected, "{frame}");
        }
    }

    #[test]
    fn origins_are_those_of_addresses() {
        let frame = |id: &str, url: &str, origin: &str, inside: Vec<serde_json::Value>| {
            let frame =
                serde_json::json!({"id": id, "loaderId": id, "url": url, "securityOrigin": origin});
            serde_json::json!({"frame": frame, "childFrames": inside})
        };
        let inner = frame("d", "about:srcdoc", "://", Vec::new());
        let tree = frame(
            "a",
            "https://a.test/x",
            "https://a.test",
            vec![
                frame("b", "about:blank", "://", Vec::new()),
                frame("c", "about:srcdoc", "://", vec![inner]),
                frame("e", "data:text/html,", "null", Vec::new()),
                frame("f", "http://b.test/", "http://b.test", Vec::new()),
                frame("g", "blob:https://a.test/1", "https://a.test", Vec::new()),
            ],
        );
        let tree: FrameTree = read(tree.to_string().as_bytes()).unwrap();
        let alone = frame("a", "about:srcdoc", "://", Vec::new());
        let alone: FrameTree = read(alone.to_string().as_bytes()).unwrap();
        for (frame, expected) in [
            ("a", Some("https://a.test")),
            ("b", None),
            ("c", Some("https://a.test")),
            ("d", Some("https://a.test")),
            ("e", None),
            ("f", Some("http://b.test")),
            ("g", None),
            ("h", None),
        ] {
            assert_eq!(tree.origin(frame), expected, "{frame}");
        }
        assert_eq!(alone.origin("a"), None, "who made it is elsewhere");
    }
}
