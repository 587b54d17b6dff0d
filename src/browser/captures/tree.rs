//! What `DOMSnapshot.captureSnapshot` answers, as far as it is read here: the nodes of all documents of one process's part of a
//! page, closed shadow roots included, with their layout. The page can neither see nor fool it.
//!
//! It holds the page's text, so nothing in it is `Debug`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

/// A text of the page. Lone surrogates, which a page may hold, are kept as they come.
pub(in crate::browser) struct Text(pub(in crate::browser) Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_vec()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The answer.
#[derive(serde::Deserialize)]
pub(super) struct Tree {
    pub(super) documents: Vec<Document>,
    strings: Vec<Text>,
}

/// One document: that of the target's own frame comes first, those of its frames in the same process follow.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) scroll_offset_x: f64,
    #[serde(default)]
    pub(super) scroll_offset_y: f64,
    pub(super) nodes: Nodes,
    pub(super) layout: Layout,
    pub(super) text_boxes: TextBoxes,
}

/// Its nodes: a column a property.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nodes {
    pub(super) parent_index: Vec<i64>,
    pub(super) node_type: Vec<i64>,
    pub(super) node_name: Vec<i64>,
    pub(super) node_value: Vec<i64>,
    pub(super) backend_node_id: Vec<i64>,
    pub(super) attributes: Vec<Vec<i64>>,
    #[serde(default)]
    pub(super) text_value: Rare,
    #[serde(default)]
    pub(super) input_value: Rare,
    #[serde(default)]
    pub(super) content_document_index: RareIndex,
}

/// Strings that few nodes have.
#[derive(Default, serde::Deserialize)]
pub(super) struct Rare {
    pub(super) index: Vec<usize>,
    pub(super) value: Vec<i64>,
}

/// Numbers that few nodes have.
#[derive(Default, serde::Deserialize)]
pub(super) struct RareIndex {
    pub(super) index: Vec<usize>,
    pub(super) value: Vec<usize>,
}

/// What of it is laid out, in the document's coordinates after all transforms.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layout {
    pub(super) node_index: Vec<usize>,
    /// x, y, width, height.
    pub(super) bounds: Vec<[f64; 4]>,
    /// The text as it is drawn, `-1` for none.
    pub(super) text: Vec<i64>,
    /// The styles that were asked for.
    pub(super) styles: Vec<Vec<i64>>,
}

/// The lines of texts; `start` and `length` in UTF-16 units of the drawn text.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextBoxes {
    pub(super) layout_index: Vec<usize>,
    pub(super) bounds: Vec<[f64; 4]>,
    pub(super) start: Vec<usize>,
    pub(super) length: Vec<usize>,
}

/// Why an answer is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Tree {
    /// Reads an answer; columns that belong together are of one length.
    pub(super) fn read(answer: &[u8]) -> Result<Self, Malformed> {
        let tree: Self = serde_json::from_slice(answer).map_err(|_| Malformed)?;
        if tree.documents.is_empty() || !tree.documents.iter().all(Document::is_sound) {
            return Err(Malformed);
        }
        Ok(tree)
    }

    /// The string of that number; none for `-1`.
    pub(super) fn string(&self, at: i64) -> &[u8] {
        let at = usize::try_from(at).ok();
        at.and_then(|at| self.strings.get(at))
            .map_or(&[], |text| &text.0)
    }
}

impl Document {
    fn is_sound(&self) -> bool {
        let Self {
            nodes,
            layout,
            text_boxes,
            ..
        } = self;
        let count = nodes.node_name.len();
        let lines = text_boxes.layout_index.len();
        let columns = [
            nodes.parent_index.len(),
            nodes.node_type.len(),
            nodes.node_value.len(),
            nodes.backend_node_id.len(),
            nodes.attributes.len(),
        ];
        // A parent comes before its children, so that climbing ends.
        let parents = nodes.parent_index.iter().enumerate();
        columns.iter().all(|&len| len == count)
            && parents
                .map(|(at, &parent)| (i64::try_from(at), parent))
                .all(|(at, parent)| at.is_ok_and(|at| parent < at))
            && layout.bounds.len() == layout.node_index.len()
            && layout.text.len() == layout.node_index.len()
            && layout.node_index.iter().all(|&node| node < count)
            && text_boxes.bounds.len() == lines
            && text_boxes.start.len() == lines
            && text_boxes.length.len() == lines
            && text_boxes
                .layout_index
                .iter()
                .all(|&at| at < layout.node_index.len())
            && [&nodes.text_value, &nodes.input_value].iter().all(|rare| {
                rare.index.len() == rare.value.len() && rare.index.iter().all(|&node| node < count)
            })
            && nodes.content_document_index.index.len() == nodes.content_document_index.value.len()
    }

    /// The parent of a node.
    pub(super) fn parent(&self, node: usize) -> Option<usize> {
        usize::try_from(*self.nodes.parent_index.get(node)?).ok()
    }
}
