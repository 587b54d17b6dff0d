//! From marks to rectangles of a document's own viewport.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::geometry::Rect;
use super::texts::Marks;
use super::tree::{Document, Tree};

/// The styles that a snapshot is asked for; their order is that of `Layout::styles`.
pub(super) const STYLES: [&str; 4] = ["zoom", "text-shadow", "filter", "-webkit-box-reflect"];
const ZOOM: usize = 0;
const SHADOW: usize = 1;
const FILTER: usize = 2;
const REFLECT: usize = 3;

/// By how much a cover is wider than a text's line, in its heights: glyphs lean over and reach out.
const LEAN: f64 = 0.2;
/// And in CSS pixels.
const MARGIN: f64 = 3.0;

/// What is drawn of a document's marks, relative to its viewport.
pub(super) fn covers(tree: &Tree, document: &Document, marks: &Marks) -> Vec<Rect> {
    let layout = &document.layout;
    let mut lines: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let marked: BTreeSet<usize> = marks.lines.iter().map(|(at, _)| *at).collect();
    for (line, at) in document.text_boxes.layout_index.iter().enumerate() {
        if marked.contains(at) {
            lines.entry(*at).or_default().push(line);
        }
    }
    let mut rects: Vec<(usize, [f64; 4])> = Vec::new();
    for (at, units) in &marks.lines {
        match lines.get(at) {
            Some(lines) => rects.extend(
                hit(tree, document, *at, lines, units)
                    .map(|line| (*at, document.text_boxes.bounds[line])),
            ),
            None => rects.push((*at, layout.bounds[*at])),
        }
    }
    rects.extend(marks.whole.iter().map(|&at| (at, layout.bounds[at])));
    if marks.in_svg {
        // Each `<use>` may draw it again.
        let all = layout.node_index.iter().enumerate();
        let uses = all.filter(|&(_, &node)| {
            tree.string(document.nodes.node_name[node])
                .eq_ignore_ascii_case(b"use")
        });
        rects.extend(uses.map(|(at, _)| (at, layout.bounds[at])));
    }
    let reach = Reach::new(tree, document);
    let covers = rects.into_iter().map(|(at, bounds)| (at, Rect::of(bounds)));
    covers
        .filter(|(_, rect)| !rect.is_empty())
        .map(|(at, rect)| {
            let size = (rect.x1 - rect.x0).min(rect.y1 - rect.y0);
            let more = MARGIN + LEAN * size + reach.of(at);
            rect.mapped((-document.scroll_offset_x, -document.scroll_offset_y), 1.0)
                .grown(more, more)
        })
        .collect()
}

/// The lines of a text that hold some of those units. All of them where lines and text do not fit together: lines count the
/// page's text, which is not always what is drawn (`ß` in upper case).
fn hit<'a>(
    tree: &Tree,
    document: &'a Document,
    at: usize,
    lines: &'a [usize],
    units: &'a Range<usize>,
) -> impl Iterator<Item = usize> + 'a {
    let boxes = &document.text_boxes;
    let end = |line: usize| boxes.start[line].saturating_add(boxes.length[line]);
    let total = super::texts::units(tree.string(document.layout.text[at]));
    let fits = lines.iter().map(|&line| end(line)).max() == Some(total)
        && lines.iter().map(|&line| boxes.start[line]).min() == Some(0);
    let holds = move |line: usize| boxes.start[line] <= units.end && end(line) >= units.start;
    lines
        .iter()
        .copied()
        .filter(move |&line| !fits || holds(line))
}

/// How far beyond its box something is drawn, by shadows, filters and reflections.
struct Reach<'a> {
    tree: &'a Tree,
    document: &'a Document,
    boxes: BTreeMap<usize, usize>,
}

impl<'a> Reach<'a> {
    fn new(tree: &'a Tree, document: &'a Document) -> Self {
        Self {
            tree,
            document,
            boxes: boxes(document),
        }
    }

    fn of(&self, at: usize) -> f64 {
        let layout = &self.document.layout;
        let mut reach = 0.0;
        let mut has_shadow = false;
        let mut node = Some(layout.node_index[at]);
        while let Some(here) = node {
            if let Some(&at) = self.boxes.get(&here) {
                let pixels = |style: usize| lengths(style_of(self.tree, self.document, at, style));
                // Shadows of texts are inherited: the nearest is the text's own.
                if !has_shadow && !layout.styles.get(at).is_none_or(Vec::is_empty) {
                    has_shadow = true;
                    reach += pixels(SHADOW);
                }
                reach += pixels(FILTER);
                let reflect = style_of(self.tree, self.document, at, REFLECT);
                if !reflect.is_empty() && reflect != b"none" {
                    reach += lengths(reflect) + layout.bounds[at][2].max(layout.bounds[at][3]);
                }
            }
            node = self.document.parent(here);
        }
        reach
    }
}

/// The zoom of what a node of a document in a frame of that zoom draws.
pub(super) fn zoom(tree: &Tree, document: &Document, node: usize, frame: f64) -> f64 {
    let boxes = boxes(document);
    let mut zoom = frame;
    let mut node = Some(node);
    while let Some(here) = node {
        if let Some(&at) = boxes.get(&here) {
            let text = std::str::from_utf8(style_of(tree, document, at, ZOOM)).unwrap_or_default();
            zoom *= text
                .parse::<f64>()
                .ok()
                .filter(|zoom| *zoom > 0.0)
                .unwrap_or(1.0);
        }
        node = document.parent(here);
    }
    zoom
}

/// The first layout box of each node that has one.
fn boxes(document: &Document) -> BTreeMap<usize, usize> {
    let mut boxes = BTreeMap::new();
    for (at, &node) in document.layout.node_index.iter().enumerate() {
        boxes.entry(node).or_insert(at);
    }
    boxes
}

fn style_of<'a>(tree: &'a Tree, document: &Document, at: usize, style: usize) -> &'a [u8] {
    let styles = document.layout.styles.get(at);
    styles
        .and_then(|styles| styles.get(style))
        .map_or(&[], |&text| tree.string(text))
}

/// The sum of all lengths in a style, whatever they are for.
fn lengths(style: &[u8]) -> f64 {
    let text = std::str::from_utf8(style).unwrap_or_default();
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','));
    let pixels = words.filter_map(|word| word.strip_suffix("px")?.parse::<f64>().ok());
    pixels.map(f64::abs).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_of_a_style_count() {
        assert!((lengths(b"rgb(1, 2, 3) -20px 4.5px 1px, red 1px 0px 0px") - 26.5).abs() < 1e-9);
        assert!((lengths(b"drop-shadow(rgb(0, 0, 0) 7px 0px 2px) blur(1px)") - 10.0).abs() < 1e-9);
        assert!(lengths(b"none").abs() < 1e-9);
    }
}
