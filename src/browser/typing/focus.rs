//! Which element has the focus, in which document: through shadow roots, open and closed, and frames, in and out of process.
//!
//! No event of the protocol tells of focus; it is asked for, on sessions of ours, in worlds of ours, which the page cannot fool. What
//! is found may be another a moment later: the call that inserts checks all of it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::browser::hub::{CallError, Hub};
use crate::browser::pages::{Pages, Targets, frame_tree, isolated_world, read};

/// Finds what has the focus below a document or a shadow root.
const ACTIVE: &str = include_str!("active.js");

/// Looks at an element, or inserts into it.
pub(super) const INSERT: &str = include_str!("insert.js");

/// Frames, and closed shadow roots, in a row.
const DEEPEST: usize = 32;

/// The element that has the focus.
pub(super) struct Focus {
    /// Our session on its target.
    pub session: Arc<str>,
    /// The target that its frame belongs to.
    pub target: Box<str>,
    /// Its frame.
    pub frame: Box<str>,
    /// Its document.
    pub loader: Box<str>,
    /// Handle of the element, in our world.
    pub object: Box<str>,
    /// Chromium's number of the element, the same at each look.
    pub node: i64,
    /// The origin that the browser itself gives its document; what the element says of it must be the same.
    pub origin: Option<Box<str>>,
    /// What it is.
    pub facts: Facts,
    /// Whether a client had a hand in its document, or in one around it.
    pub is_tainted: bool,
}

/// A document: its target, its frame, its loader.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Document {
    target: Box<str>,
    frame: Box<str>,
    loader: Box<str>,
}

impl Document {
    /// What the main frame of a target shows now.
    pub async fn top(hub: &Hub, target: &str) -> Result<Self, CallError> {
        let way = frame_tree(hub, target).await?.way_up(target);
        Ok(Self {
            target: target.into(),
            // A page's main frame, and the frame of a process of its own, go by their target's id.
            frame: target.into(),
            loader: way.first().cloned().ok_or(CallError::Detached)?,
        })
    }

    /// Whether its frame still shows it.
    pub async fn is_there(&self, hub: &Hub) -> bool {
        let tree = frame_tree(hub, &self.target).await;
        tree.is_ok_and(|tree| tree.way_up(&self.frame).first() == Some(&self.loader))
    }

    /// Its frame.
    pub fn frame(&self) -> &str {
        &self.frame
    }
}

impl Focus {
    /// Its document, as the audit log names it.
    pub fn place(&self) -> String {
        format!("{} frame {}", self.facts.origin, self.frame)
    }

    /// The element's document.
    pub fn document(&self) -> Document {
        Document {
            target: self.target.clone(),
            frame: self.frame.clone(),
            loader: self.loader.clone(),
        }
    }
}

/// What an element is, as `insert.js` tells it.
#[derive(Clone, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // As `insert.js` tells them.
pub(super) struct Facts {
    /// `self.origin` of its document.
    pub origin: Box<str>,
    /// The scheme of its document's address with the colon, or `about:srcdoc`.
    pub scheme: Box<str>,
    /// An input's type, `textarea`, `editable` or `other`.
    pub kind: Box<str>,
    /// Where its form may send it: origins, and other schemes with the colon.
    pub actions: Vec<Box<str>>,
    /// Whether a text typed now would be all that stands in it.
    pub whole: bool,
    pub disabled: bool,
    pub readonly: bool,
    pub connected: bool,
}

/// Why no element was found.
pub(super) enum Nowhere {
    /// Nothing has the focus that could take text.
    Nothing,
    /// The browser does not say.
    Call(CallError),
}

impl From<CallError> for Nowhere {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Handles of elements in the browser, which are let go with it.
pub(super) struct Handles {
    hub: Arc<Hub>,
    group: String,
    sessions: Vec<Arc<str>>,
}

impl Handles {
    pub fn new(hub: &Arc<Hub>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            hub: Arc::clone(hub),
            group: format!("typing-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            sessions: Vec::new(),
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        let (hub, group) = (Arc::clone(&self.hub), std::mem::take(&mut self.group));
        let sessions = std::mem::take(&mut self.sessions);
        // Nobody waits for it: handles that stay go with their document.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            for session in sessions {
                let params = json!({"objectGroup": group});
                let _ = hub
                    .call(Some(&session), "Runtime.releaseObjectGroup", params)
                    .await;
            }
        });
    }
}

#[derive(Deserialize)]
struct Described {
    node: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    backend_node_id: i64,
    #[serde(rename = "nodeName")]
    name: Box<str>,
    frame_id: Option<Box<str>>,
    #[serde(default)]
    shadow_roots: Vec<ShadowRoot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShadowRoot {
    backend_node_id: i64,
    shadow_root_type: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remote {
    object_id: Option<Box<str>>,
    value: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called {
    result: Remote,
    exception_details: Option<serde::de::IgnoredAny>,
}

/// Reads what a function returned by value; `None`: it threw.
pub(super) fn returned(answer: &[u8]) -> Result<Option<serde_json::Value>, CallError> {
    let called: Called = read(answer)?;
    match called.exception_details {
        Some(_) => Ok(None),
        None => Ok(called.result.value),
    }
}

/// What a function of ours, given nothing, says of an element.
pub(super) async fn ask<T: DeserializeOwned>(
    hub: &Hub,
    session: &str,
    object: &str,
    function: &str,
) -> Result<T, CallError> {
    let params = json!({
        "functionDeclaration": hub.script(function), "objectId": object, "arguments": [{"value": null}], "returnByValue": true, "silent": true,
    });
    let answer = hub
        .call(Some(session), "Runtime.callFunctionOn", params)
        .await?;
    let said = returned(&answer)?.ok_or(CallError::Unreadable)?;
    serde_json::from_value(said).map_err(|_| CallError::Unreadable)
}

struct Walk<'a> {
    hub: &'a Hub,
    handles: &'a mut Handles,
    session: Arc<str>,
    target: Box<str>,
    frame: Box<str>,
    world: i64,
}

/// Finds what has the focus in a target: a page's, or an out-of-process frame's.
pub(super) async fn find(
    handles: &mut Handles,
    pages: &Pages,
    target: &str,
) -> Result<Focus, Nowhere> {
    let hub = Arc::clone(&handles.hub);
    let session = hub.own(target).await?;
    handles.sessions.push(Arc::clone(&session));
    let mut walk = Walk {
        hub: &hub,
        handles,
        session,
        target: target.into(),
        frame: target.into(),
        world: 0,
    };
    for _ in 0..DEEPEST {
        walk.enter().await?;
        let (object, node) = walk.element().await?;
        if let Some(frame) = node.frame() {
            walk.frame = frame.into();
            continue;
        }
        let facts = walk.facts(&object).await?;
        // Asked last: while the handle is good, its document is the one that the frame shows. Where it is not, it takes nothing.
        let (loader, origin, is_tainted) = walk.document(pages).await?;
        return Ok(Focus {
            session: walk.session,
            target: walk.target,
            frame: walk.frame,
            loader,
            object,
            node: node.backend_node_id,
            origin,
            facts,
            is_tainted,
        });
    }
    Err(Nowhere::Nothing)
}

impl Node {
    /// The frame that it shows, if it is the element of one.
    fn frame(&self) -> Option<&str> {
        let name = self.name.to_ascii_uppercase();
        let is_owner = ["IFRAME", "FRAME", "OBJECT", "EMBED", "FENCEDFRAME"].contains(&&*name);
        self.frame_id.as_deref().filter(|_| is_owner)
    }
}

impl Walk<'_> {
    /// Our world in the frame; a frame of another process has a target of its own, which goes by the frame's id.
    async fn enter(&mut self) -> Result<(), Nowhere> {
        self.world = match self.isolated_world().await {
            Err(CallError::Refused { .. }) if self.frame != self.target => {
                self.session = match self.hub.own(&self.frame).await {
                    Err(CallError::Refused { .. }) => {
                        // Chromium makes a frame's target when somebody asks for targets: nobody may have done so yet.
                        Targets::now(self.hub).await?;
                        self.hub.own(&self.frame).await?
                    }
                    session => session?,
                };
                self.handles.sessions.push(Arc::clone(&self.session));
                self.target = self.frame.clone();
                self.isolated_world().await?
            }
            world => world?,
        };
        Ok(())
    }

    async fn isolated_world(&self) -> Result<i64, CallError> {
        isolated_world(self.hub, &self.session, &self.frame).await
    }

    /// What has the focus in the frame, through its shadow roots.
    async fn element(&self) -> Result<(Box<str>, Node), Nowhere> {
        let below = json!({"executionContextId": self.world});
        let mut object = self.active(below).await?.ok_or(Nowhere::Nothing)?;
        for _ in 0..DEEPEST {
            let params = json!({"objectId": object, "depth": 0, "pierce": true});
            let described = self.call("DOM.describeNode", params).await?;
            let Described { node } = read(&described)?;
            let closed = |root: &&ShadowRoot| root.shadow_root_type.as_deref() == Some("closed");
            let Some(root) = node.shadow_roots.iter().find(closed) else {
                return Ok((object, node));
            };
            let inside = self.inside(root.backend_node_id).await?;
            match self.active(json!({"objectId": inside})).await? {
                Some(inner) => object = inner,
                None => return Ok((object, node)),
            }
        }
        Err(Nowhere::Nothing)
    }

    /// A handle of a closed shadow root.
    async fn inside(&self, node: i64) -> Result<Box<str>, CallError> {
        #[derive(Deserialize)]
        struct Resolved {
            object: Remote,
        }
        let group = &self.handles.group;
        let params =
            json!({"backendNodeId": node, "executionContextId": self.world, "objectGroup": group});
        let answer = self.call("DOM.resolveNode", params).await?;
        let resolved: Resolved = read(&answer)?;
        resolved.object.object_id.ok_or(CallError::Unreadable)
    }

    async fn active(&self, mut below: serde_json::Value) -> Result<Option<Box<str>>, CallError> {
        below["functionDeclaration"] = self.hub.script(ACTIVE).into();
        below["objectGroup"] = self.handles.group.as_str().into();
        below["silent"] = true.into();
        let answer = self.call("Runtime.callFunctionOn", below).await?;
        let object = read::<Called>(&answer)?.result.object_id;
        if let Some(object) = &object {
            self.hub.note_ours(object);
        }
        Ok(object)
    }

    async fn facts(&self, object: &str) -> Result<Facts, CallError> {
        ask(self.hub, &self.session, object, INSERT).await
    }

    /// The frame's document, its origin in the browser's own words, and whether a client had a hand in it or in one around it.
    async fn document(
        &self,
        pages: &Pages,
    ) -> Result<(Box<str>, Option<Box<str>>, bool), CallError> {
        let tree = frame_tree(self.hub, &self.target).await?;
        let way = tree.way_up(&self.frame);
        let loader = way.first().cloned().ok_or(CallError::Detached)?;
        let origin = tree.origin(&self.frame).map(Box::from);
        let is_tainted = pages.has_tainted() && self.is_tainted(pages, &way).await?;
        Ok((loader, origin, is_tainted))
    }

    /// Whether a client had a hand in one of those documents, or in one around them.
    async fn is_tainted(&self, pages: &Pages, way: &[Box<str>]) -> Result<bool, CallError> {
        let is_tainted = |way: &[Box<str>]| way.iter().any(|loader| pages.is_tainted(loader));
        if is_tainted(way) {
            return Ok(true);
        }
        let targets = Targets::now(self.hub).await?;
        let mut target = &*self.target;
        for _ in 0..DEEPEST {
            let Some((parent, frame)) = targets.parent(target)? else {
                return Ok(false);
            };
            let way = frame_tree(self.hub, parent).await?.way_up(frame);
            if way.is_empty() {
                return Err(CallError::Detached);
            }
            if is_tainted(&way) {
                return Ok(true);
            }
            target = parent;
        }
        Ok(true)
    }

    async fn call(
        &self,
        method: &str,
        params: serde_json::Value,
    ) -> Result<bytes::Bytes, CallError> {
        self.hub.call(Some(&self.session), method, params).await
    }
}
