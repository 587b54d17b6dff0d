//! The texts of a document in the orders in which a value may stand in them, and what is drawn of the parts in which one does.
//!
//! A value may stand in one text node; over several that markup divides (`<b>Tr0ub</b>&dor`), where short values count as whole
//! words only, so that blocks are kept apart; and over nodes that are drawn side by side whatever the markup says (one box a
//! letter). All three are written one behind the other and searched in one pass. Covering too much is right here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;

use super::tree::{Document, Tree};

/// DOM's number for text nodes.
const TEXT_NODE: i64 = 3;
/// Elements that draw what their attributes or their inside say, in a shadow tree that a snapshot does not show.
const DRAWS_ATTRIBUTES: [&[u8]; 11] = [
    b"INPUT",
    b"TEXTAREA",
    b"SELECT",
    b"OPTION",
    b"OPTGROUP",
    b"BUTTON",
    b"IMG",
    b"OBJECT",
    b"EMBED",
    b"VIDEO",
    b"DETAILS",
];
/// Elements that do not begin a block, so that a word goes on over them.
const INLINE: [&[u8]; 28] = [
    b"A", b"ABBR", b"B", b"BDI", b"BDO", b"BIG", b"CITE", b"CODE", b"DEL", b"DFN", b"EM", b"FONT",
    b"I", b"INS", b"KBD", b"LABEL", b"MARK", b"Q", b"S", b"SAMP", b"SMALL", b"SPAN", b"STRONG",
    b"SUB", b"SUP", b"TT", b"U", b"VAR",
];

/// What is to be covered of a document.
#[derive(Default)]
pub(super) struct Marks {
    /// Whole boxes, by layout index.
    pub(super) whole: BTreeSet<usize>,
    /// Lines of texts: layout index, and which UTF-16 units of the drawn text.
    pub(super) lines: Vec<(usize, Range<usize>)>,
    /// A text inside of an SVG, which may be drawn a second time elsewhere.
    pub(super) in_svg: bool,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.lines.is_empty() && !self.in_svg
    }
}

/// The texts of one document, and which part is whose.
pub(super) struct Texts<'a> {
    tree: &'a Tree,
    document: &'a Document,
    /// The first layout box of each node that has one.
    boxes: BTreeMap<usize, usize>,
    text: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A part of the text.
struct Piece {
    at: Range<usize>,
    owner: Owner,
}

/// Whose it is.
#[derive(Clone, Copy)]
enum Owner {
    /// The drawn text of that layout box, from that byte on.
    Drawn { layout: usize, from: usize },
    /// Something of that node.
    Node(usize),
}

impl<'a> Texts<'a> {
    /// Collects the texts of a document.
    pub(super) fn of(tree: &'a Tree, document: &'a Document) -> Self {
        let mut boxes = BTreeMap::new();
        for (layout, &node) in document.layout.node_index.iter().enumerate() {
            boxes.entry(node).or_insert(layout);
        }
        let mut texts = Self {
            tree,
            document,
            boxes,
            text: Vec::new(),
            pieces: Vec::new(),
        };
        texts.singly();
        texts.by_block();
        texts.side_by_side();
        texts
    }

    /// The text to be searched.
    pub(super) fn text(&mut self) -> Bytes {
        std::mem::take(&mut self.text).into()
    }

    /// Each text, attribute and field by itself.
    fn singly(&mut self) {
        let Document { nodes, layout, .. } = self.document;
        for (at, &text) in layout.text.iter().enumerate() {
            self.add(
                text,
                Owner::Drawn {
                    layout: at,
                    from: 0,
                },
            );
            self.part();
        }
        for node in 0..nodes.node_name.len() {
            if nodes.node_type[node] == TEXT_NODE {
                self.add(nodes.node_value[node], Owner::Node(node));
                self.part();
            }
            let name = self.tree.string(nodes.node_name[node]);
            if DRAWS_ATTRIBUTES
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
            {
                for &value in &nodes.attributes[node] {
                    self.add(value, Owner::Node(node));
                    self.part();
                }
            }
        }
        for rare in [&nodes.text_value, &nodes.input_value] {
            for (&node, &value) in rare.index.iter().zip(&rare.value) {
                self.add(value, Owner::Node(node));
                self.part();
            }
        }
    }

    /// The drawn texts, those of a block as one.
    fn by_block(&mut self) {
        let layout = &self.document.layout;
        let mut last = None;
        for (at, &text) in layout.text.iter().enumerate() {
            if text < 0 {
                continue;
            }
            let block = self.block(layout.node_index[at]);
            if last.is_some_and(|last| last != block) {
                self.part();
            }
            last = Some(block);
            self.add(
                text,
                Owner::Drawn {
                    layout: at,
                    from: 0,
                },
            );
        }
        self.part();
    }

    /// The drawn texts without anything between them, nor what takes no room.
    fn side_by_side(&mut self) {
        for (at, &text) in self.document.layout.text.iter().enumerate() {
            let drawn = self.tree.string(text);
            let mut from = 0;
            for (gap, len) in no_room(drawn) {
                self.push(&drawn[from..gap], Owner::Drawn { layout: at, from });
                from = gap + len;
            }
            self.push(&drawn[from..], Owner::Drawn { layout: at, from });
        }
        self.part();
    }

    /// The nearest element around a node that begins a block.
    fn block(&self, node: usize) -> usize {
        let nodes = &self.document.nodes;
        let mut at = node;
        while let Some(parent) = self.document.parent(at) {
            at = parent;
            let name = self.tree.string(nodes.node_name[at]);
            if !INLINE.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                break;
            }
        }
        at
    }

    fn add(&mut self, string: i64, owner: Owner) {
        self.push(self.tree.string(string), owner);
    }

    fn push(&mut self, text: &[u8], owner: Owner) {
        if !text.is_empty() {
            let at = self.text.len();
            self.text.extend_from_slice(text);
            self.pieces.push(Piece {
                at: at..self.text.len(),
                owner,
            });
        }
    }

    /// Parts what follows from what came.
    fn part(&mut self) {
        if self.text.last().is_some_and(|&last| last != b'\n') {
            self.text.push(b'\n');
        }
    }

    /// What is to be covered where values stand in those parts of the text.
    pub(super) fn marks(&self, spans: &[Range<usize>]) -> Marks {
        let mut marks = Marks::default();
        for span in spans {
            let first = self
                .pieces
                .partition_point(|piece| piece.at.end <= span.start);
            let hit = self.pieces[first..].iter();
            for piece in hit.take_while(|piece| piece.at.start < span.end) {
                let start = span.start.saturating_sub(piece.at.start);
                let end = span.end.min(piece.at.end) - piece.at.start;
                self.mark(piece.owner, start..end, &mut marks);
            }
        }
        marks
    }

    fn mark(&self, owner: Owner, bytes: Range<usize>, marks: &mut Marks) {
        let node = match owner {
            Owner::Drawn { layout, from } => {
                let drawn = self.tree.string(self.document.layout.text[layout]);
                let start = units(&drawn[..from + bytes.start]);
                let end = start + units(&drawn[from + bytes.start..from + bytes.end]);
                marks.lines.push((layout, start..end));
                self.document.layout.node_index[layout]
            }
            Owner::Node(node) => {
                let boxes = self.document.layout.node_index.iter().enumerate();
                marks
                    .whole
                    .extend(boxes.filter(|&(_, &of)| of == node).map(|(at, _)| at));
                // What is not laid out itself may be drawn by the field that it stands in.
                if !self.boxes.contains_key(&node) {
                    marks.whole.extend(self.drawn_by(node));
                }
                node
            }
        };
        marks.in_svg |= self.is_under(node, |name| name.eq_ignore_ascii_case(b"svg"));
    }

    /// The box of what draws a node without a box: the field, list or picture around it.
    fn drawn_by(&self, node: usize) -> Option<usize> {
        let mut at = Some(node);
        let mut draws = false;
        while let Some(here) = at {
            let name = self.tree.string(self.document.nodes.node_name[here]);
            draws |= DRAWS_ATTRIBUTES
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            if let Some(&layout) = self.boxes.get(&here) {
                return draws.then_some(layout);
            }
            at = self.document.parent(here);
        }
        None
    }

    fn is_under(&self, node: usize, is: impl Fn(&[u8]) -> bool) -> bool {
        let mut at = Some(node);
        while let Some(here) = at {
            if is(self.tree.string(self.document.nodes.node_name[here])) {
                return true;
            }
            at = self.document.parent(here);
        }
        false
    }
}

/// UTF-16 units of a text.
pub(super) fn units(text: &[u8]) -> usize {
    let leads = text.iter().filter(|&&byte| byte & 0xc0 != 0x80);
    leads.map(|&byte| if byte >= 0xf0 { 2 } else { 1 }).sum()
}

/// Where characters stand that take no room between two others, and how long they are: line ends, soft hyphens, U+034F, U+061C,
/// U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F, U+FE00 to U+FE0F, U+FEFF.
pub(super) fn no_room(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    (0..text.len()).filter_map(|at| {
        let len = match &text[at..] {
            [b'\n' | b'\r', ..] => 1,
            [0xc2, 0xad, ..] | [0xcd, 0x8f, ..] | [0xd8, 0x9c, ..] => 2,
            [0xe2, 0x80, 0x8b..=0x8f | 0xaa..=0xae, ..]
            | [0xe2, 0x81, 0xa0..=0xaf, ..]
            | [0xef, 0xb8, 0x80..=0x8f, ..]
            | [0xef, 0xbb, 0xbf, ..] => 3,
            _ => return None,
        };
        Some((at, len))
    })
}

#[cfg(test)]
mod tests;
