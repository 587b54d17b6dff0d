//! Texts that the browser cuts or divides, so that a client would read a value in parts: with a real browser.

use bauta::secret::View;
use serde_json::{Value, json};

use crate::browser_endpoint_kit::{Bauta, secrets, site};

const TOKEN: &str = "LongTok_0a7b3c9d1e5f8g2h4i6j0k9l8m7n6o5p4q3r2s1t0u9v8w7x6y5z4A3B2C1D0E9F8G7H6I5J4K3L2M1N0O9P8Q7R6S5T4U3V2W1X0Y9Z8";

fn guard(bauta: &Bauta, key: &str, value: &str) {
    let text = json!({ "https://example.com": { key: value } }).to_string();
    bauta.guard.replace(View::new(secrets(&text)), 0);
}

#[test]
fn p1_previews_and_cut_texts_show_no_part_of_a_value() {
    let bauta = Bauta::start(|_| {});
    guard(&bauta, "x_token", TOKEN);
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    client.must(on, "Runtime.enable", &json!({}));
    let filler = "f".repeat(9990);
    for expression in [
        format!(
            "v = '{TOKEN}'; console.log({{v}}, [v], new Map([[v, 'Bearer ' + v]]), 'whole ' + v)"
        ),
        "({ v, more: v + ' and more'.repeat(20), less: 'l'.repeat(40) + v })".to_owned(),
        "JSON.parse(v)".to_owned(),
        "JSON.parse('[' + ' '.repeat(50) + v)".to_owned(),
        format!("document.body.textContent = '{filler}' + v"),
    ] {
        let preview = json!({ "expression": expression, "generatePreview": true });
        client.ask(on, "Runtime.evaluate", &preview);
    }
    client.event("Runtime.consoleAPICalled");
    client.must(on, "DOM.getDocument", &json!({ "depth": -1 }));
    let (start, end) = (&TOKEN[..8], &TOKEN[TOKEN.len() - 8..]);
    for part in [start, end] {
        assert!(!client.came.contains(part), "{part}");
    }
    // The cuts were there.
    assert!(client.came.matches("x_token").count() > 8);
    assert!(client.came.contains("not valid JSON") || client.came.contains("SyntaxError"));
    // What is cut beside no value stays as it is.
    let preview = json!({ "expression": "({ a: 'b'.repeat(200) })", "generatePreview": true });
    let answer = client.must(on, "Runtime.evaluate", &preview);
    let shown = answer["result"]["preview"]["properties"][0]["value"].as_str();
    assert_eq!(
        shown,
        Some(&*format!("{}…{}", "b".repeat(50), "b".repeat(49)))
    );
    drop(client);
}

#[test]
fn p1_lines_of_an_accessibility_tree_show_no_value() {
    let bauta = Bauta::start(|_| {});
    guard(&bauta, "x_phrase", "correct horse battery staple");
    let mut client = bauta.connect();
    let page = b"<p style='width:70px'>correct horse battery staple</p>".to_vec();
    let (_, session) = client.page(&site("text/html", page));
    let on = Some(&*session);
    client.must(on, "Accessibility.enable", &json!({}));
    let tree = client.must(on, "Accessibility.getFullAXTree", &json!({}));
    let of = |tree: &Value, role: &str| -> Vec<Value> {
        let nodes = tree["nodes"].as_array().unwrap().iter();
        nodes
            .filter(|node| node["role"]["value"] == role)
            .cloned()
            .collect()
    };
    let text = of(&tree, "StaticText");
    assert_eq!(text[0]["name"]["value"], "x_phrase");
    let inside = json!({ "id": text[0]["nodeId"] });
    let lines = client.must(on, "Accessibility.getChildAXNodes", &inside);
    for tree in [&tree, &lines] {
        let lines = of(tree, "InlineTextBox");
        assert!(lines.len() > 1, "the text is not wrapped");
        assert!(
            lines.iter().all(|line| line["name"]["value"] == ""),
            "{lines:?}"
        );
    }
    assert!(!client.came.contains("horse") && !client.came.contains("battery"));
    // Without a value they are told.
    guard(&bauta, "x_phrase", "something else");
    let tree = client.must(on, "Accessibility.getFullAXTree", &json!({}));
    assert!(
        of(&tree, "InlineTextBox")
            .iter()
            .any(|line| line["name"]["value"] == "horse ")
    );
}

#[test]
fn a_stream_that_broke_off_is_not_read_on() {
    // The value begins where the part that was read ends.
    let room = 2 << 20;
    let bauta = Bauta::start(|settings| settings.limits.max_message_bytes = room);
    let mut client = bauta.connect();
    let body = "a ".repeat(room).into_bytes();
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    let url = site("text/plain; charset=utf-8", body);
    let stream = client.body_of(&session, &url);
    let read = json!({ "handle": stream["stream"], "size": 4096 });
    let first = client.ask(on, "IO.read", &read);
    assert!(
        first["error"]["message"]
            .as_str()
            .is_some_and(|why| why.contains("longer")),
        "{first}"
    );
    for _ in 0..2 {
        let then = client.ask(on, "IO.read", &read);
        assert!(
            then["error"].is_object(),
            "the rest is served: {}",
            then["result"]["eof"]
        );
    }
}

/// The sessions of a page share a stream's position: two that read it together would each have every other part.
#[test]
fn a_stream_is_read_by_one_session_as_a_whole() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let (target, session) = client.page("about:blank");
    let other = client.attach(&target);
    let whole = 24 << 20;
    let url = site("text/plain; charset=utf-8", vec![b'a'; whole]);
    let patterns = json!({ "patterns": [{ "requestStage": "Response" }] });
    client.must(Some(&session), "Fetch.enable", &patterns);
    client.send(Some(&session), "Page.navigate", &json!({ "url": url }));
    let paused = client.event("Fetch.requestPaused");
    let request = json!({ "requestId": paused["params"]["requestId"] });
    let taken = client.must(Some(&session), "Fetch.takeResponseBodyAsStream", &request);
    let read = json!({ "handle": taken["stream"], "size": 16 << 20 });
    let asked: Vec<(String, i64)> = [&session, &other]
        .map(|on| (on.clone(), client.send(Some(on), "IO.read", &read)))
        .to_vec();
    let mut got = Vec::new();
    for (on, id) in asked {
        let came = client.seen.iter().position(|seen| seen["id"] == id);
        let mut answer = match came {
            Some(at) => client.seen.remove(at),
            None => client.answer(id),
        };
        let mut length = 0;
        while let Some(data) = answer["result"]["data"].as_str() {
            length += data.len();
            if answer["result"]["eof"] == true {
                break;
            }
            answer = client.ask(Some(&on), "IO.read", &read);
        }
        got.push(length);
    }
    got.sort_unstable();
    assert_eq!(got, [0, whole]);
}
