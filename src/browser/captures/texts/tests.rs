//! Texts of snapshots as Chromium makes them.

use serde_json::{Value, json};

use super::super::covers::covers;
use super::*;

/// A document of nodes (parent, name, text, whether it is laid out), each box 10 high and 100 below the one before.
fn tree(nodes: &[(i64, &str, &str, bool)], inputs: &[(usize, &str)]) -> Tree {
    let mut strings: Vec<Value> = Vec::new();
    let mut string = |text: &str| {
        strings.push(text.into());
        strings.len() - 1
    };
    let (mut parent, mut kind, mut name, mut value) = (vec![], vec![], vec![], vec![]);
    let (mut laid, mut bounds, mut drawn, mut lines, mut start, mut length) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for (at, &(of, what, text, is_laid)) in nodes.iter().enumerate() {
        parent.push(of);
        kind.push(if what == "#text" { 3 } else { 1 });
        name.push(string(what));
        value.push(if text.is_empty() {
            json!(-1)
        } else {
            json!(string(text))
        });
        if is_laid {
            let place = json!([0, laid.len() * 100, 50, 10]);
            bounds.push(place.clone());
            drawn.push(value[at].clone());
            if what == "#text" {
                lines.push(json!([laid.len(), place]));
                start.push(0);
                length.push(text.encode_utf16().count());
            }
            laid.push(at);
        }
    }
    let (index, held): (Vec<_>, Vec<_>) =
        inputs.iter().map(|&(at, text)| (at, string(text))).unzip();
    let answer = json!({
        "strings": strings,
        "documents": [{
            "scrollOffsetX": 0, "scrollOffsetY": 30,
            "nodes": {
                "parentIndex": parent, "nodeType": kind, "nodeName": name, "nodeValue": value,
                "backendNodeId": (0..nodes.len()).collect::<Vec<_>>(), "attributes": vec![json!([]); nodes.len()],
                "inputValue": {"index": index, "value": held},
            },
            "layout": {"nodeIndex": laid, "bounds": bounds, "text": drawn, "styles": vec![json!([]); laid.len()]},
            "textBoxes": {
                "layoutIndex": lines.iter().map(|line| line[0].clone()).collect::<Vec<_>>(),
                "bounds": lines.iter().map(|line| line[1].clone()).collect::<Vec<_>>(),
                "start": start, "length": length,
            },
        }],
    });
    Tree::read(answer.to_string().as_bytes()).unwrap()
}

/// The tops of what is covered where that value stands.
fn tops(tree: &Tree, value: &str) -> Vec<f64> {
    let document = &tree.documents[0];
    let mut texts = Texts::of(tree, document);
    let text = texts.text();
    let hits = memchr::memmem::find_iter(&text, value).map(|at| at..at + value.len());
    let marks = texts.marks(&hits.collect::<Vec<_>>());
    let mut tops: Vec<f64> = covers(tree, document, &marks)
        .iter()
        .map(|rect| rect.y0 + 35.0)
        .collect();
    tops.sort_by(f64::total_cmp);
    tops.dedup();
    tops
}

#[test]
fn a_value_is_found_in_one_text_and_over_several() {
    let tree = tree(
        &[
            (-1, "BODY", "", true),
            (0, "P", "", true),
            (1, "#text", "one väluE1 two", true),
            (0, "P", "", true),
            (3, "B", "", true),
            (4, "#text", "vä", true),
            (3, "#text", "luE1", true),
            (0, "DIV", "", true),
            (7, "#text", "other", true),
        ],
        &[],
    );
    assert_eq!(tops(&tree, "väluE1"), [200.0, 500.0, 600.0]);
    assert_eq!(tops(&tree, "nothing"), [] as [f64; 0]);
}

#[test]
fn letters_in_boxes_of_their_own_are_found_over_blocks_and_gaps() {
    let tree = tree(
        &[
            (-1, "BODY", "", true),
            (0, "DIV", "", true),
            (1, "#text", "v\u{200b}a", true),
            (0, "DIV", "", true),
            (3, "#text", "l", true),
            (0, "DIV", "", true),
            (5, "#text", "u\u{ad}e", true),
        ],
        &[],
    );
    assert_eq!(tops(&tree, "value"), [200.0, 400.0, 600.0]);
}

#[test]
fn fields_and_lists_are_covered_as_a_whole_and_what_is_not_drawn_is_not() {
    let tree = tree(
        &[
            (-1, "BODY", "", true),
            (0, "INPUT", "", true),
            (0, "SELECT", "", true),
            (2, "OPTION", "", false),
            (3, "#text", "value", false),
            (0, "SCRIPT", "", false),
            (5, "#text", "value", false),
        ],
        &[(1, "a value")],
    );
    assert_eq!(tops(&tree, "value"), [100.0, 200.0]);
}

#[test]
fn what_does_not_fit_together_is_not_read() {
    let sound = r#"{"strings":[],"documents":[{"nodes":{"parentIndex":[-1],"nodeType":[9],"nodeName":[-1],"nodeValue":[-1],"backendNodeId":[1],"attributes":[[]]},"layout":{"nodeIndex":[0],"bounds":[[0,0,1,1]],"text":[-1],"styles":[[]]},"textBoxes":{"layoutIndex":[],"bounds":[],"start":[],"length":[]}}]}"#;
    assert!(Tree::read(sound.as_bytes()).is_ok());
    for (from, to) in [
        ("\"parentIndex\":[-1]", "\"parentIndex\":[0]"),
        ("\"parentIndex\":[-1]", "\"parentIndex\":[]"),
        ("\"nodeIndex\":[0]", "\"nodeIndex\":[7]"),
        ("\"layoutIndex\":[]", "\"layoutIndex\":[0]"),
        ("[[0,0,1,1]]", "[[0,0,1]]"),
        ("[{\"nodes\"", "[],\"x\":[{\"nodes\""),
    ] {
        assert!(sound.contains(from));
        assert!(
            Tree::read(sound.replace(from, to).as_bytes()).is_err(),
            "{to}"
        );
    }
}
