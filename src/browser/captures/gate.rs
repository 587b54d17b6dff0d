//! The cheap look: does anything in a target's documents hold a value?
//!
//! It reads the serialised documents (attributes, texts by themselves) and, in an isolated world that the page cannot reach, their
//! texts in order and what their fields hold. It may say yes where nothing is drawn; it says no only where the full look would find
//! nothing but what a style sheet writes itself (`content: "…"`).

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::drawn::{DRAWN, Drawn};
use super::texts::no_room;
use crate::browser::hub::{CallError, Hub};
use crate::browser::pages::{frame_tree_on, isolated_world, read};
use crate::browser::spans::spans;
use crate::guard::{Counts, Snapshot};

/// Most frames of a target that are looked at; with more, its documents are looked at in full.
const MOST_FRAMES: usize = 64;

/// Walks a document's nodes and open shadow trees: texts with a line end around what begins a block, then the fields' values.
///
/// The world has prototypes of its own, and their getters are called as such: a form's or a document's named children would stand
/// in front of them. Lone surrogates are no part of a value, and no JSON reader takes them.
const COLLECT: &str = r"
  const type = getter(Node, 'nodeType'), last = getter(Node, 'lastChild'), previous = getter(Node, 'previousSibling');
  const data = getter(CharacterData, 'data'), tag = getter(Element, 'tagName'), shadow = getter(Element, 'shadowRoot');
  const inline = new Set('A ABBR B BDI BDO BIG CITE CODE DEL DFN EM FONT I INS KBD LABEL MARK Q S SAMP SMALL SPAN STRONG SUB SUP TT U VAR WBR'.split(' '));
  const out = [], fields = [], stack = [document];
  drawn(document);
  while (stack.length) {
    const node = stack.pop();
    if (node === null) { out.push('\n'); continue; }
    const kind = type(node);
    if (kind === 3) { out.push(data(node)); continue; }
    if (kind === 1) {
      if (!inline.has(tag(node))) { out.push('\n'); stack.push(null); }
      if (node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement) fields.push(node.value);
      const root = shadow(node);
      if (root) { drawn(root); stack.push(root); }
    }
    for (let child = last(node); child; child = previous(child)) stack.push(child);
  }
  return [(out.join('') + '\n' + fields.join('\n')).toWellFormed(), ...told()];";

/// The same for a document without shadow trees, where the browser has it ready: no node is touched but fields.
const COLLECT_PLAIN: &str = r"
  drawn(document);
  const root = getter(Document, 'documentElement')(document);
  if (root === null) return ['', ...told()];
  const text = root instanceof HTMLElement ? getter(HTMLElement, 'innerText')(root) : '';
  const fields = Document.prototype.querySelectorAll.call(document, 'input, textarea'), values = [];
  for (let at = 0; at < fields.length; at++) values.push(fields[at].value);
  return [(text + '\n' + getter(Node, 'textContent')(root) + '\n' + values.join('\n')).toWellFormed(), ...told()];";

/// Only what the browser draws itself.
const DRAWN_ALONE: &str = r"
  const shadow = getter(Element, 'shadowRoot');
  const walk = (root) => {
    drawn(root);
    const all = (root instanceof Document ? Document : DocumentFragment).prototype.querySelectorAll;
    for (const node of all.call(root, '*')) { const inner = shadow(node); if (inner) walk(inner); }
  };
  walk(document);
  return ['', ...told()];";

/// What a look at a target said.
pub(super) struct Glance {
    /// Whether values may be drawn in it.
    pub(super) may_show: bool,
    /// The ids of its frames.
    pub(super) frames: Vec<Box<str>>,
    /// Its own frame's document, by its loader.
    pub(super) document: Box<str>,
    /// What the browser draws over it that no look finds.
    pub(super) drawn: Option<Drawn>,
}

/// Looks at a target on our session.
///
/// # Errors
/// The browser did not answer as it must; nothing is known then.
pub(super) async fn glance(
    hub: &Hub,
    session: &str,
    snapshot: &Snapshot,
) -> Result<Glance, CallError> {
    let tree = frame_tree_on(hub, session).await?;
    let (frames, document) = (tree.ids(), tree.loader().into());
    let mut may_show = frames.len() > MOST_FRAMES;
    let mut drawn = None;
    for frame in &frames {
        let world = isolated_world(hub, session, frame).await?;
        let here = if may_show {
            claim(hub, session, world).await?;
            // What the browser draws itself is asked of each frame.
            let (_, told, marks) = ask(hub, session, world, DRAWN_ALONE).await?;
            Drawn::of(snapshot, &told, marks)
        } else {
            let looked = look(hub, session, world, snapshot).await?;
            may_show = looked.0;
            looked.1
        };
        drawn = drawn.or(here);
    }
    Ok(Glance {
        may_show,
        frames,
        document,
        drawn,
    })
}

/// What a script in a world says: the text of a document, what the browser may draw over it, and marks of how.
async fn ask(
    hub: &Hub,
    session: &str,
    world: i64,
    script: &str,
) -> Result<(String, String, u32), CallError> {
    let script = ["(() => {", DRAWN, script, "})()"].concat();
    let said = evaluate::<(String, String, u32)>(hub, session, world, &script, true).await?;
    said.value.ok_or(CallError::Unreadable)
}

/// Whether one document may show a value, and what the browser draws over it.
async fn look(
    hub: &Hub,
    session: &str,
    world: i64,
    snapshot: &Snapshot,
) -> Result<(bool, Option<Drawn>), CallError> {
    let html = serialised(hub, session, world).await?;
    let has_shadows = memchr::memmem::find(&html, b"shadowrootmode=").is_some();
    let collect = if has_shadows { COLLECT } else { COLLECT_PLAIN };
    let (texts, told, marks) = ask(hub, session, world, collect).await?;
    let drawn = Drawn::of(snapshot, &told, marks);
    // What is in a closed shadow tree is neither read in order nor are its fields.
    if memchr::memmem::find(&html, br#"shadowrootmode=\"closed\""#).is_some() {
        return Ok((true, drawn));
    }
    let mut text = BytesMut::with_capacity(texts.len() * 2 + html.len() + 2);
    text.put_slice(texts.as_bytes());
    text.put_u8(b'\n');
    squeeze(texts.as_bytes(), &mut text);
    text.put_u8(b'\n');
    // As JSON has it: the masker reads its escapes.
    text.put_slice(&html);
    let found = spans(snapshot, &text.freeze(), &mut Counts::default());
    Ok((!found.is_ok_and(|found| found.is_empty()), drawn))
}

/// The text without blanks, line ends and what takes no room: letters that are drawn side by side, whatever the markup.
fn squeeze(text: &[u8], out: &mut BytesMut) {
    let mut from = 0;
    for (gap, len) in no_room(text) {
        out.extend(
            text[from..gap]
                .iter()
                .filter(|byte| !byte.is_ascii_whitespace()),
        );
        from = gap + len;
    }
    out.extend(
        text[from..]
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace()),
    );
}

/// What `Runtime.evaluate` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remote<T> {
    value: Option<T>,
    object_id: Option<String>,
}

async fn evaluate<T: DeserializeOwned>(
    hub: &Hub,
    session: &str,
    world: i64,
    expression: &str,
    by_value: bool,
) -> Result<Remote<T>, CallError> {
    #[derive(Deserialize)]
    struct Answer<T> {
        result: Remote<T>,
    }
    let expression = hub.script(expression);
    let params = json!({"expression": expression, "contextId": world, "returnByValue": by_value, "silent": true});
    let answer = hub.call(Some(session), "Runtime.evaluate", params).await?;
    Ok(read::<Answer<T>>(&answer)?.result)
}

/// A handle of ours.
struct Handle<'a> {
    hub: &'a Hub,
    session: &'a str,
    object: String,
}

impl Handle<'_> {
    /// One that is not given back lives as long as the document.
    async fn give_back(self) {
        let params = json!({"objectId": self.object});
        let _ = self
            .hub
            .call(Some(self.session), "Runtime.releaseObject", params)
            .await;
    }
}

/// The document of a world, which is noted as ours by that: a client may have its number, but gets no handle of it.
async fn document_of<'a>(
    hub: &'a Hub,
    session: &'a str,
    world: i64,
) -> Result<Handle<'a>, CallError> {
    let document = evaluate::<String>(hub, session, world, "document", false).await?;
    let object = document.object_id.ok_or(CallError::Unreadable)?;
    hub.note_ours(&object);
    Ok(Handle {
        hub,
        session,
        object,
    })
}

/// Notes a world as ours where only texts are asked of it, which give no handle.
async fn claim(hub: &Hub, session: &str, world: i64) -> Result<(), CallError> {
    document_of(hub, session, world).await?.give_back().await;
    Ok(())
}

/// The document of a world as HTML, with all shadow trees: the answer as it came, in JSON.
async fn serialised(hub: &Hub, session: &str, world: i64) -> Result<Bytes, CallError> {
    let document = document_of(hub, session, world).await?;
    let params = json!({"objectId": document.object, "includeShadowDOM": true});
    let html = hub.call(Some(session), "DOM.getOuterHTML", params).await;
    document.give_back().await;
    html
}

/// A number that an expression gives in our world.
pub(super) async fn numbers<const N: usize>(
    hub: &Hub,
    session: &str,
    frame: &str,
    expression: &str,
) -> Result<[f64; N], CallError> {
    let world = isolated_world(hub, session, frame).await?;
    claim(hub, session, world).await?;
    let answer = evaluate::<String>(hub, session, world, expression, true).await?;
    let text = answer.value.ok_or(CallError::Unreadable)?;
    let mut numbers = [0.0; N];
    let mut words = text.split(' ');
    for number in &mut numbers {
        let next = words.next().and_then(|next| next.parse().ok());
        *number = next.ok_or(CallError::Unreadable)?;
    }
    Ok(numbers)
}
