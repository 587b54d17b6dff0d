use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// The PIN of these tests, and what masking writes for it.
const PIN: &str = "4821";
const NAME: &str = "x_pin";

/// Masks as the engine does with a short value: whole words in strings, whole bare tokens, not whole keys.
fn mask(text: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut word = String::new();
    let mut escaped = false;
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            // The letter of an escape is no part of a word.
            if std::mem::take(&mut escaped) {
                out.push_str(&std::mem::take(&mut word));
            }
            continue;
        }
        match (word == PIN, in_string) {
            (true, true) => out.push_str(NAME),
            (true, false) => out.extend(["\"", NAME, "\""]),
            _ => out.push_str(&word),
        }
        word.clear();
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

fn mended(text: &str) -> Result<String, Misaligned> {
    let masked = mask(text);
    let mended = mend(text.as_bytes(), masked.as_bytes())?;
    Ok(mended.map_or(masked, |mended| String::from_utf8(mended).unwrap()))
}

#[test]
fn structure_is_as_it_was_and_page_data_stays_masked() {
    for (text, expected) in [
        (
            r#"{"id":4821,"result":{"nodeId":4821,"ok":true}}"#,
            r#"{"id":4821,"result":{"nodeId":4821,"ok":true}}"#,
        ),
        // What script returns: numbers and strings, however deep, and whatever they are called.
        (
            r#"{"id":1,"result":{"result":{"type":"number","value":4821,"description":"4821"}}}"#,
            r#"{"id":1,"result":{"result":{"type":"number","value":"x_pin","description":"x_pin"}}}"#,
        ),
        (
            r#"{"id":1,"result":{"result":{"type":"object","value":{"nodeId":4821,"result":[{"value":{"objectId":"4821"}}]}}}}"#,
            r#"{"id":1,"result":{"result":{"type":"object","value":{"nodeId":"x_pin","result":[{"value":{"objectId":"x_pin"}}]}}}}"#,
        ),
        // Properties: the object's id is the browser's, its value the page's.
        (
            r#"{"id":4821,"result":{"result":[{"name":"4821","value":{"type":"object","objectId":"9.4821.1"}},{"name":"b","value":{"type":"number","value":4821}}]}}"#,
            r#"{"id":4821,"result":{"result":[{"name":"x_pin","value":{"type":"object","objectId":"9.4821.1"}},{"name":"b","value":{"type":"number","value":"x_pin"}}]}}"#,
        ),
        (
            r#"{"method":"Network.requestWillBeSent","params":{"requestId":"88.4821","timestamp":4821,"request":{"url":"http://h/?p=4821","headers":{"sessionId":"4821","a":4821}}},"sessionId":"4821"}"#,
            r#"{"method":"Network.requestWillBeSent","params":{"requestId":"88.4821","timestamp":4821,"request":{"url":"http://h/?p=x_pin","headers":{"sessionId":"x_pin","a":"x_pin"}}},"sessionId":"4821"}"#,
        ),
        (
            r#"{"method":"Page.frameNavigated","params":{"frame":{"id":"4821","parentId":"4821","loaderId":"4821","name":"4821","url":"http://4821/"}}}"#,
            r#"{"method":"Page.frameNavigated","params":{"frame":{"id":"4821","parentId":"4821","loaderId":"4821","name":"x_pin","url":"http://x_pin/"}}}"#,
        ),
        // A manifest's id is the page's.
        (
            r#"{"id":1,"result":{"manifest":{"id":"4821"}}}"#,
            r#"{"id":1,"result":{"manifest":{"id":"x_pin"}}}"#,
        ),
        // AX: the tree's ids are the browser's, names are the page's.
        (
            r#"{"id":1,"result":{"nodes":[{"nodeId":"4821","childIds":["4821","1"],"backendDOMNodeId":4821,"name":{"type":"computedString","value":"4821"},"properties":[{"name":"level","value":{"type":"integer","value":4821}}]}]}}"#,
            r#"{"id":1,"result":{"nodes":[{"nodeId":"4821","childIds":["4821","1"],"backendDOMNodeId":4821,"name":{"type":"computedString","value":"x_pin"},"properties":[{"name":"level","value":{"type":"integer","value":"x_pin"}}]}]}}"#,
        ),
        // What stands where an id does and looks like none.
        (
            r#"{"id":1,"result":{"scriptId":"a 4821"}}"#,
            r#"{"id":1,"result":{"scriptId":"a x_pin"}}"#,
        ),
        (
            r#"{"method":"DOM.setChildNodes","params":{"nodes":[{"nodeId":4821,"attributes":["value","4821"],"children":[]}]}}"#,
            r#"{"method":"DOM.setChildNodes","params":{"nodes":[{"nodeId":4821,"attributes":["value","x_pin"],"children":[]}]}}"#,
        ),
        (
            " { \"id\" : 4821 , \"result\" : { } } ",
            " { \"id\" : 4821 , \"result\" : { } } ",
        ),
    ] {
        assert_eq!(mended(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_changed_structure_is_reported() {
    for (old, new) in [
        (r#"{"a":"b","c":"d"}"#, r#"{"a":"x_key","d"}"#),
        (r#"{"a":"b","c":"d"}"#, r#"{"a":"x_key"}"#),
        (r#"{"a":[1,2]}"#, r#"{"a":"x_key"}"#),
        (r#"{"a":[1,2]}"#, r#"{"a":["x_key"]}"#),
        (r#"{"a":1}"#, r#"{"a":1}}"#),
        (r#"{"a":1}"#, r#"{"a":1"#),
        (r#"{"a":1"#, r#"{"a":1"#),
        ("", ""),
        ("{\"a", "{\"a"),
        ("{\"value\":[", "{\"value\":["),
        ("{\"value\":]}", "{\"value\":]}"),
    ] {
        assert_eq!(
            mend(old.as_bytes(), new.as_bytes()),
            Err(Misaligned),
            "{old}"
        );
    }
}

#[test]
fn p8_depth_costs_no_stack() {
    let depth = 1_000_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = [&open.repeat(depth), "4821", &close.repeat(depth)].concat();
        assert_eq!(mended(&text).as_deref(), Ok(&*text));
    }
    let deep = [
        "{\"value\":",
        &"[".repeat(depth),
        "4821",
        &"]".repeat(depth),
        "}",
    ]
    .concat();
    assert!(mended(&deep).unwrap().contains("\"x_pin\""));
}

/// What a page may make: any JSON, with names of the protocol in it.
fn of_page() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(4821)),
        Just(json!("4821")),
        Just(json!("a 4821 \"b\\")),
        Just(json!(null)),
        any::<i32>().prop_map(|n| json!(n)),
        "[ -~]{0,6}".prop_map(|s| json!(s)),
    ];
    let name = prop_oneof![
        Just("nodeId".to_owned()),
        Just("sessionId".to_owned()),
        Just("value".to_owned()),
        Just("result".to_owned()),
        Just("properties".to_owned()),
        Just("frame".to_owned()),
        Just("id".to_owned()),
        "[a-z\"\\\\]{0,3}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Names of members that hold what a page made.
const HOLDERS: [&str; 3] = ["value", "headers", "data"];

proptest! {
    /// Whatever a page returns, nothing of it is mended; and what stands around it is as it was.
    #[test]
    fn nothing_of_a_page_is_mended(page in of_page(), holder in 0..HOLDERS.len(), before in any::<bool>()) {
        let holder = HOLDERS[holder];
        let inner = page.to_string();
        let members = [format!("\"{holder}\":{inner}"), "\"nodeId\":4821,\"frameId\":\"4821\"".to_owned()];
        let members = if before { [&*members[1], &*members[0]] } else { [&*members[0], &*members[1]] };
        let text = format!("{{\"id\":4821,\"result\":{{\"result\":{{{}}}}}}}", members.join(","));
        let out = mended(&text).unwrap();
        let read: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(&read["id"], &json!(4821));
        prop_assert_eq!(&read["result"]["result"]["nodeId"], &json!(4821));
        prop_assert_eq!(&read["result"]["result"]["frameId"], &json!("4821"));
        let masked: Value = serde_json::from_str(&mask(&inner)).unwrap();
        prop_assert_eq!(&read["result"]["result"][holder], &masked);
    }

    /// Two texts that have nothing to do with each other are never joined to something longer, and nothing panics.
    #[test]
    fn any_texts(old in "[\\[\\]{}:,\"\\\\a1 ]{0,40}", new in "[\\[\\]{}:,\"\\\\a1 ]{0,40}") {
        if let Ok(Some(out)) = mend(old.as_bytes(), new.as_bytes()) {
            prop_assert!(out.len() <= old.len() + new.len());
        }
    }
}
