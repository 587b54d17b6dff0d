//! Where values are drawn in a page: in all of its frames, of this process and of others, as rectangles of the page's viewport.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::covers::{STYLES, covers, zoom};
use super::drawn::Drawn;
use super::gate::{Glance, glance, numbers};
use super::geometry::{Rect, Shown};
use super::texts::Texts;
use super::tree::Tree;
use crate::browser::hub::{CallError, Hub};
use crate::browser::pages::read;
use crate::browser::spans::spans;
use crate::guard::{Counts, Refusal, Snapshot};

/// Frames of other processes inside one another that are followed, and all of them together. What is beyond is covered as a whole.
const MOST_DEPTH: usize = 8;
const MOST_TARGETS: usize = 64;
/// How long a frame of another process may take before it is covered as a whole.
const FRAME_PATIENCE: Duration = Duration::from_secs(2);

/// Why it is not known where values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Blind {
    /// The browser did not answer as it must.
    #[error("the browser did not tell what the page shows")]
    Browser,
    /// A text cannot be read in full.
    #[error("the page's text cannot be read in full: {0}")]
    Text(Refusal),
    /// The browser's own zoom is set.
    #[error("the page is shown in a zoom that cannot be followed")]
    Zoomed,
    /// The browser draws something over it.
    #[error("{0}")]
    Drawn(Drawn),
}

impl From<CallError> for Blind {
    fn from(_: CallError) -> Self {
        Self::Browser
    }
}

impl From<Refusal> for Blind {
    fn from(refusal: Refusal) -> Self {
        Self::Text(refusal)
    }
}

/// What a look at a page said.
#[derive(Default)]
pub(super) struct Places {
    /// Where values are, in the page's layout viewport.
    pub(super) covers: Vec<Rect>,
    /// What was found.
    pub(super) counts: Counts,
    /// Whether the page holds a value, drawn or not, or has a part that cannot be read.
    pub(super) found: bool,
    /// The main document, by its loader.
    pub(super) document: Box<str>,
}

/// A page, and the frames of other processes in it.
pub(super) struct Page<'a> {
    pub(super) hub: &'a Hub,
    pub(super) snapshot: &'a Snapshot,
    /// The page's target, whose id is its main frame's as well.
    pub(super) target: &'a str,
}

/// A target of the page that was glanced at.
struct Part {
    target: String,
    /// Our session on it, and what it said; `None`: it cannot be read.
    glance: Option<(Arc<str>, Glance)>,
    /// The part that it is in.
    parent: Option<usize>,
    depth: usize,
}

impl Part {
    /// Whether it must be looked at in full, or be covered.
    fn may_show(&self) -> bool {
        self.glance
            .as_ref()
            .is_none_or(|(_, glance)| glance.may_show)
    }
}

/// A part whose values are known.
struct Scene {
    covers: Vec<Rect>,
    width: f64,
    height: f64,
    tree: Tree,
    /// The zoom of each document's frame.
    zooms: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetInfo {
    target_id: String,
    #[serde(rename = "type")]
    kind: String,
    parent_frame_id: Option<Box<str>>,
}

impl Page<'_> {
    /// Where values are now.
    pub(super) async fn places(&self) -> Result<Places, Blind> {
        let parts = self.parts().await?;
        let mut glances = parts.iter().filter_map(|part| part.glance.as_ref());
        if let Some(drawn) = glances.find_map(|(_, glance)| glance.drawn) {
            return Err(Blind::Drawn(drawn));
        }
        let mut places = Places {
            document: parts[0]
                .glance
                .as_ref()
                .map(|(_, glance)| glance.document.clone())
                .unwrap_or_default(),
            ..Places::default()
        };
        if !parts.iter().any(Part::may_show) {
            return Ok(places);
        }
        // A part's parent comes before it; each is mapped into its parent once what is in it is known.
        let mut needed = vec![false; parts.len()];
        for (at, part) in parts.iter().enumerate() {
            let mut at = part.may_show().then_some(at);
            while let Some(here) = at {
                needed[here] = true;
                at = parts[here].parent;
            }
        }
        let mut scenes: Vec<Option<Scene>> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let scene = if needed[at] {
                self.scene(&parts, &scenes, part, &mut places.counts)
                    .await?
            } else {
                None
            };
            scenes.push(scene);
        }
        for at in (1..parts.len()).rev() {
            if needed[at] {
                self.lift(&parts, &mut scenes, at).await?;
            }
        }
        places.found = !places.counts.is_empty() || parts.iter().any(|part| part.glance.is_none());
        if let Some(Some(scene)) = scenes.into_iter().next() {
            places.covers = scene.covers;
        }
        Ok(places)
    }

    /// The page's target and those of its frames in other processes, each glanced at.
    async fn parts(&self) -> Result<Vec<Part>, Blind> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            target_infos: Vec<TargetInfo>,
        }
        let session = self.hub.own(self.target).await?;
        let main = glance(self.hub, &session, self.snapshot).await?;
        let answer = self.hub.call(None, "Target.getTargets", json!({})).await?;
        let mut others: Vec<TargetInfo> = read::<Answer>(&answer)?.target_infos;
        others.retain(|info| info.kind != "page" && info.parent_frame_id.is_some());
        let mut parts = vec![Part {
            target: self.target.to_owned(),
            glance: Some((session, main)),
            parent: None,
            depth: 0,
        }];
        let mut at = 0;
        while at < parts.len() {
            let frames = parts[at]
                .glance
                .as_ref()
                .map_or(&[][..], |(_, glance)| &glance.frames);
            let is_in = |info: &TargetInfo| {
                info.parent_frame_id
                    .as_ref()
                    .is_some_and(|parent| frames.contains(parent))
            };
            let (inside, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_in);
            others = rest;
            for info in inside {
                let depth = parts[at].depth + 1;
                let readable = depth <= MOST_DEPTH && parts.len() < MOST_TARGETS;
                let glance = if readable {
                    self.glance(&info.target_id).await
                } else {
                    None
                };
                parts.push(Part {
                    target: info.target_id,
                    glance,
                    parent: Some(at),
                    depth,
                });
            }
            at += 1;
        }
        Ok(parts)
    }

    /// Glances at a frame of another process; `None` if it does not answer.
    async fn glance(&self, target: &str) -> Option<(Arc<str>, Glance)> {
        let look = async {
            let session = self.hub.own(target).await.ok()?;
            let glance = glance(self.hub, &session, self.snapshot).await.ok()?;
            Some((session, glance))
        };
        tokio::time::timeout(FRAME_PATIENCE, look)
            .await
            .ok()
            .flatten()
    }

    /// Looks at a part in full; `None` if it cannot be read, so that all of it must be covered.
    async fn scene(
        &self,
        parts: &[Part],
        scenes: &[Option<Scene>],
        part: &Part,
        counts: &mut Counts,
    ) -> Result<Option<Scene>, Blind> {
        let Some((session, _)) = &part.glance else {
            return Ok(None);
        };
        let Some(parent) = part.parent else {
            let scene = self.read(session, 1.0, counts).await?;
            self.check_zoom(session, &scene).await?;
            return Ok(Some(scene));
        };
        let (Some((outer, _)), Some(Some(around))) = (&parts[parent].glance, scenes.get(parent))
        else {
            return Ok(None);
        };
        let Some(owner) = self.owner(outer, &part.target, around).await? else {
            return Ok(None);
        };
        let look = self.read(session, owner.inner, counts);
        Ok(tokio::time::timeout(FRAME_PATIENCE, look)
            .await
            .ok()
            .and_then(Result::ok))
    }

    /// The documents of a target: what of them is to be covered.
    async fn read(&self, session: &str, frame: f64, counts: &mut Counts) -> Result<Scene, Blind> {
        let params = json!({"computedStyles": STYLES});
        let answer = self
            .hub
            .call(Some(session), "DOMSnapshot.captureSnapshot", params)
            .await?;
        let tree = Tree::read(&answer).map_err(|_| Blind::Browser)?;
        let [_, _, width, height] = *tree.documents[0]
            .layout
            .bounds
            .first()
            .ok_or(Blind::Browser)?;
        let mut owners = BTreeMap::new();
        for (at, document) in tree.documents.iter().enumerate() {
            let inside = &document.nodes.content_document_index;
            owners.extend(
                inside
                    .index
                    .iter()
                    .zip(&inside.value)
                    .map(|(&node, &inner)| (inner, (at, node))),
            );
        }
        let mut zooms = vec![frame; tree.documents.len()];
        let mut shown = vec![Shown::Itself; tree.documents.len()];
        let mut all = Vec::new();
        for (at, document) in tree.documents.iter().enumerate() {
            let owner = owners.get(&at).copied();
            if let Some((outer, node)) = owner.filter(|&(outer, _)| outer < at) {
                zooms[at] = zoom(&tree, &tree.documents[outer], node, zooms[outer]);
            } else if at > 0 {
                // A document that nothing shows.
                continue;
            }
            let mut texts = Texts::of(&tree, document);
            let spans = spans(self.snapshot, &texts.text(), counts)?;
            let marks = texts.marks(&spans);
            if marks.is_empty() {
                continue;
            }
            let covers = covers(&tree, document, &marks);
            if let (Some((outer, node)), false) = (owner, covers.is_empty()) {
                let Some([_, _, width, height]) = document.layout.bounds.first().copied() else {
                    continue;
                };
                let Some(&id) = tree.documents[outer].nodes.backend_node_id.get(node) else {
                    return Err(Blind::Browser);
                };
                let Some(quad) = self.content(session, id).await? else {
                    continue;
                };
                shown[at] = Shown::on(quad, zooms[outer], width, height);
            }
            all.extend(
                covers
                    .into_iter()
                    .filter_map(|cover| shown[at].place(cover)),
            );
        }
        Ok(Scene {
            covers: all,
            width,
            height,
            tree,
            zooms,
        })
    }

    /// The quad of an element's content in its target's viewport; `None`: it is not drawn.
    async fn content(&self, session: &str, node: i64) -> Result<Option<[f64; 8]>, Blind> {
        #[derive(Deserialize)]
        struct Answer {
            model: Model,
        }
        #[derive(Deserialize)]
        struct Model {
            content: [f64; 8],
        }
        let params = json!({"backendNodeId": node});
        match self
            .hub
            .call(Some(session), "DOM.getBoxModel", params)
            .await
        {
            Ok(answer) => Ok(Some(read::<Answer>(&answer)?.model.content)),
            Err(CallError::Refused { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The element that shows a frame of another process; `None`: it is not drawn, or gone.
    async fn owner(
        &self,
        session: &str,
        frame: &str,
        around: &Scene,
    ) -> Result<Option<Owner>, Blind> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            backend_node_id: i64,
        }
        let params = json!({"frameId": frame});
        let id = match self
            .hub
            .call(Some(session), "DOM.getFrameOwner", params)
            .await
        {
            Ok(answer) => read::<Answer>(&answer)?.backend_node_id,
            Err(CallError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let documents = around.tree.documents.iter().enumerate();
        let mut found = documents.filter_map(|(at, document)| {
            let node = document
                .nodes
                .backend_node_id
                .iter()
                .position(|&other| other == id)?;
            Some((at, zoom(&around.tree, document, node, around.zooms[at])))
        });
        let Some((at, inner)) = found.next() else {
            return Ok(None);
        };
        let quad = self.content(session, id).await?;
        Ok(quad.map(|quad| Owner {
            quad,
            outer: around.zooms[at],
            inner,
        }))
    }

    /// Puts what is to be covered of a part into the part that it is in.
    async fn lift(
        &self,
        parts: &[Part],
        scenes: &mut [Option<Scene>],
        at: usize,
    ) -> Result<(), Blind> {
        let Some(parent) = parts[at].parent else {
            return Ok(());
        };
        let (before, from) = scenes.split_at_mut(at);
        let (Some(around), Some((outer, _))) = (&mut before[parent], &parts[parent].glance) else {
            return Ok(());
        };
        let Some(owner) = self.owner(outer, &parts[at].target, around).await? else {
            return Ok(());
        };
        let bounds = Shown::on(owner.quad, owner.outer, 0.0, 0.0);
        match &from[0] {
            Some(scene) => {
                let shown = Shown::on(owner.quad, owner.outer, scene.width, scene.height);
                let covers = scene.covers.iter().filter_map(|&cover| shown.place(cover));
                around.covers.extend(covers);
            }
            None => around.covers.extend(bounds.place(Rect::of([0.0; 4]))),
        }
        Ok(())
    }

    /// Checks that snapshots of the page are in CSS pixels: the browser's own zoom would change that.
    async fn check_zoom(&self, session: &str, scene: &Scene) -> Result<(), Blind> {
        let [inner, client] = numbers(
            self.hub,
            session,
            self.target,
            "innerWidth + ' ' + document.documentElement.clientWidth",
        )
        .await?;
        let is_near = |width: f64| (scene.width - width).abs() <= 24.0_f64.max(width * 0.001);
        if is_near(inner) || is_near(client) {
            Ok(())
        } else {
            Err(Blind::Zoomed)
        }
    }
}

/// The element of a frame.
struct Owner {
    /// The quad of its content, in units of `outer`.
    quad: [f64; 8],
    /// The zoom of the frame that its document is in.
    outer: f64,
    /// The zoom of the frame in it.
    inner: f64,
}
