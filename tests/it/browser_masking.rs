//! What a client of the browser channel reads is masked: with a real browser, and pages that show values in every way there is.

use bauta::secret::View;
use serde_json::{Value, json};

use crate::browser_endpoint_kit::{
    Bauta, Cdp, LOADED, PASSWORD, PIN, eventually, log, secrets, site,
};

/// Whether a client was ever told the value, as it is or as JSON, URLs and HTML spell it.
fn saw(client: &Cdp) -> Option<&'static str> {
    let spellings = [
        "Tr0ub&dor",
        "Tr0ub%26dor",
        "Tr0ub&amp;dor",
        "Tr0ub\\u0026dor",
        "VHIwdWImZG9y",
    ];
    spellings.into_iter().find(|it| client.came.contains(it))
}

/// A page that shows both values, as a script, a title, an attribute, a header's cookie and a console's line.
fn page() -> Vec<u8> {
    let password = PASSWORD.replace('&', "&amp;").replace('"', "&quot;");
    let script = PASSWORD.replace('"', "\\\"");
    format!(
        "<!DOCTYPE html><meta charset=utf-8><title>{password} {PIN}</title><p id=p title=\"{password}\">{password} {PIN}</p>\
         <input type=password value=\"{password}\"><script>var v = \"{script}\"; console.log(v, {{ a: v }}); \
         history.replaceState(0, '', '?q=' + encodeURIComponent(v)); document.cookie = 'c=' + encodeURIComponent(v);</script>"
    )
    .into_bytes()
}

#[test]
fn p1_no_read_shows_a_value() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    client.enable(
        &session,
        [
            "Runtime",
            "Network",
            "DOM",
            "Accessibility",
            "Log",
            "DOMStorage",
        ],
    );
    client.must(
        None,
        "Target.setDiscoverTargets",
        &json!({ "discover": true }),
    );
    let url = site("text/html", page());
    client.must(on, "Page.navigate", &json!({ "url": url }));
    client.event("Page.loadEventFired");
    // It may have been that of the first, empty document.
    client.until(&session, LOADED);

    assert_eq!(client.evaluate(&session, "v"), "x_password");
    assert_eq!(
        client.evaluate(&session, "[v, {a: [v + '!']}]"),
        json!(["x_password", { "a": ["x_password!"] }])
    );
    assert_eq!(
        client.evaluate(&session, "document.title"),
        "x_password x_pin"
    );
    assert_eq!(
        client.evaluate(&session, "encodeURIComponent(v)"),
        "x_password"
    );
    assert_eq!(client.evaluate(&session, "4821"), "x_pin");
    for expression in [
        "btoa(unescape(encodeURIComponent('user:' + v)))",
        "JSON.stringify(JSON.stringify({v}))",
        "escape(v)",
        "throw new Error(v)",
    ] {
        client.ask(
            on,
            "Runtime.evaluate",
            &json!({ "expression": expression, "generatePreview": true }),
        );
    }
    client.ask(
        on,
        "Runtime.evaluate",
        &json!({ "expression": "({v, o: [v]})", "generatePreview": true }),
    );
    let document = client.must(
        on,
        "DOM.getDocument",
        &json!({ "depth": -1, "pierce": true }),
    );
    let root = document["root"]["nodeId"].clone();
    client.must(on, "DOM.getOuterHTML", &json!({ "nodeId": root }));
    client.must(
        on,
        "DOMSnapshot.captureSnapshot",
        &json!({ "computedStyles": [] }),
    );
    client.must(on, "Accessibility.getFullAXTree", &json!({}));
    client.must(on, "Page.getNavigationHistory", &json!({}));
    client.must(on, "Page.getFrameTree", &json!({}));
    client.must(on, "Network.getCookies", &json!({}));
    client.must(None, "Target.getTargets", &json!({}));
    let (request, _) = response(&mut client, &url);
    let body = client.must(
        on,
        "Network.getResponseBody",
        &json!({ "requestId": request }),
    );
    assert!(body["body"].as_str().unwrap().contains("x_password"));
    assert!(eventually(|| bauta
        .get("/json/list")
        .1
        .contains("x_password")));
    assert!(!bauta.get("/json/list").1.contains("Tr0ub"));

    assert_eq!(saw(&client), None);
    assert!(client.came.contains("x_password"));
    // All that was masked is in the log when it ends, by name.
    drop(client);
    let state = bauta.stop();
    let log = std::fs::read_to_string(log(&state)).unwrap();
    for key in ["x_password", "x_pin"] {
        let line = log
            .lines()
            .find(|line| line.contains("\"mask\"") && line.contains(key));
        assert!(
            line.is_some_and(|line| line.contains("\"browser\"") && line.contains("\"CDP\"")),
            "{log}"
        );
    }
    assert!(!log.contains("Tr0ub"));
}

/// The request of a page's document, once it was answered.
fn response(client: &mut Cdp, url: &str) -> (Value, Value) {
    loop {
        let event = client.event("Network.responseReceived");
        if event["params"]["response"]["url"]
            .as_str()
            .is_some_and(|it| it.starts_with(url))
        {
            return (event["params"]["requestId"].clone(), event);
        }
    }
}

/// A number that equals a PIN is the protocol's where the protocol has it, and the page's where the page has it.
#[test]
fn numbers_of_the_protocol_are_not_masked() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    // The number of a command, and so of its answer.
    let id = 4821;
    client.say(&json!({ "id": id, "method": "Runtime.evaluate", "sessionId": session, "params": { "expression": "4820 + 1", "returnByValue": true } }).to_string());
    let answer = client.answer(id);
    assert_eq!(answer["result"]["result"]["value"], "x_pin", "{answer}");
    // The numbers of nodes: among so many there is one that is the PIN.
    client.evaluate(&session, "document.body.innerHTML = '<i></i>'.repeat(6000)");
    let document = client.must(on, "DOM.getDocument", &json!({ "depth": -1 }));
    let mut numbers = Vec::new();
    node_ids(&document["root"], &mut numbers);
    assert!(numbers.contains(&4821), "{}", numbers.len());
}

fn node_ids(node: &Value, numbers: &mut Vec<u64>) {
    numbers.push(node["nodeId"].as_u64().unwrap_or_else(|| panic!("{node}")));
    for child in node["children"].as_array().into_iter().flatten() {
        node_ids(child, numbers);
    }
}

#[test]
fn streams_are_masked_as_a_whole() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    // The value stands where a piece of 4096 bytes ends.
    let filler = "a ".repeat(2045);
    let text = format!("{filler}{PASSWORD}{filler}");
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    let url = site("text/plain; charset=utf-8", text.into_bytes());
    let stream = client.body_of(&session, &url);
    let mut all = String::new();
    let mut base64 = false;
    loop {
        let read = json!({ "handle": stream["stream"], "size": 4096 });
        let part = client.must(on, "IO.read", &read);
        base64 |= part["base64Encoded"] == true;
        all.push_str(part["data"].as_str().unwrap());
        assert!(part["data"].as_str().unwrap().len() <= 4 * 4096);
        if part["eof"] == true {
            break;
        }
    }
    client.must(on, "IO.close", &json!({ "handle": stream["stream"] }));
    if !base64 {
        assert_eq!(all, format!("{filler}x_password{filler}"));
    }
    assert_eq!(saw(&client), None);
    let gone = client.ask(on, "IO.read", &json!({ "handle": stream["stream"] }));
    assert!(gone["error"]["message"].is_string(), "{gone}");
}

#[test]
fn a_large_message_is_masked_and_a_change_is_live() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let size = 8 << 20;
    let expression = format!(
        "'ab '.repeat({}) + 'Tr0ub&dor\"3/\\u00f6' + ' cd'.repeat({})",
        size / 3,
        size / 3
    );
    let text = client.evaluate(&session, &expression);
    let text = text.as_str().unwrap();
    assert_eq!(text.matches("x_password").count(), 1);
    assert!(text.len() > 2 * size - 16);
    assert_eq!(saw(&client), None);

    assert_eq!(client.evaluate(&session, "'a new value'"), "a new value");
    let more = secrets(r#"{"https://example.com": {"x_new": "a new value"}}"#);
    bauta.guard.replace(View::new(more), 0);
    assert_eq!(client.evaluate(&session, "'a new value'"), "x_new");
    assert_eq!(client.evaluate(&session, "4821"), 4821);
}

/// Typed by its name, read back by its name, while the page has the value.
#[test]
fn p2_what_is_typed_is_read_back_as_it_was_typed() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let page = b"<input id=i type=password>".to_vec();
    let (_, session) = client.page(&site("text/html", page));
    let on = Some(&*session);
    client.evaluate(&session, "document.getElementById('i').focus()");
    // Something typed before, elsewhere, is not part of what comes.
    for c in "x_password".chars() {
        let text = c.to_string();
        for kind in ["keyDown", "keyUp"] {
            let mut key = json!({ "type": kind, "key": text });
            if kind == "keyDown" {
                key["text"] = json!(text);
            }
            client.must(on, "Input.dispatchKeyEvent", &key);
        }
    }
    assert_eq!(
        client.evaluate(&session, "document.getElementById('i').value"),
        "x_password"
    );
    let length = PASSWORD.chars().count();
    assert_eq!(
        client.evaluate(&session, "document.getElementById('i').value.length"),
        length
    );
    assert_eq!(saw(&client), None);
    drop(client);
    let state = bauta.stop();
    let log = std::fs::read_to_string(log(&state)).unwrap();
    let used = log.lines().find(|line| line.contains("\"substitute\""));
    let used: Value = serde_json::from_str(used.expect("a use")).unwrap();
    assert_eq!(
        (&used["channel"], &used["key"]),
        (&json!("browser"), &json!("x_password"))
    );
}
