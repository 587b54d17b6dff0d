//! Keys that change a field in which a value stands: none leaves a part of it there.

use serde_json::{Value, json};

use super::browser_kit::{CLIENTS, Client, Kit, Tab};

const VALUE: &str = "Tr0ub4dor-Zebra99";
const SECRETS: &str = r#"{"HOME": {"x_pass": {"value": "Tr0ub4dor-Zebra99", "field": "any"}, "x_pin": {"value": "4417aa", "field": "any"}}}"#;

/// Bits of `modifiers`.
const CONTROL: u8 = 2;
const SHIFT: u8 = 8;

/// The fields of which the caret is known by different means.
const FIELDS: [&str; 6] = [
    "<input id=a>",
    "<input id=a type=password>",
    "<input id=a type=email>",
    "<textarea id=a></textarea>",
    "<div id=a contenteditable></div>",
    "<div id=host></div><script>const a = document.createElement('input'); host.attachShadow({mode: 'open'}).append(a)</script>",
];

/// Opens a page with that field in it, and the focus on it.
async fn page(kit: &mut Kit, field: &str) -> Tab {
    let home = kit.site.home();
    kit.site.page("/form", &format!("<body>{field}"));
    let tab = kit.open(&format!("{home}/form")).await;
    kit.until(&tab, "(a.focus(), (a.getRootNode().activeElement === a))")
        .await;
    tab
}

/// What stands in the field, in clear: no client sees it so.
async fn text(kit: &mut Kit, tab: &Tab) -> Value {
    kit.eval(tab, "a.value ?? a.textContent").await
}

/// Presses a key that types nothing.
async fn press(kit: &mut Kit, tab: &Tab, key: &str, modifiers: u8) -> Result<Value, String> {
    let number = match key {
        "Backspace" => 8,
        "Enter" => 13,
        "ArrowLeft" => 37,
        "ArrowRight" => 39,
        "Delete" => 46,
        "a" => 65,
        "b" => 66,
        "v" => 86,
        _ => unreachable!("{key}"),
    };
    let part = |kind: &str| json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": number, "modifiers": modifiers});
    let down = kit.key(tab, part("rawKeyDown")).await;
    let up = kit.key(tab, part("keyUp")).await;
    assert_eq!(down.is_err(), up.is_err(), "{key}: {down:?} {up:?}");
    down
}

async fn moves(kit: &mut Kit, tab: &Tab, key: &str, times: usize) {
    for _ in 0..times {
        press(kit, tab, key, 0).await.unwrap();
    }
}

fn is_told(field: &str, done: Result<Value, String>) {
    let why = done.expect_err(field);
    assert!(why.starts_with("x_pass was not changed: "), "{why}");
    assert!(why.contains("Select all of the field"), "{why}");
}

#[test]
fn p1_no_key_leaves_a_part_of_a_value() {
    Kit::run(SECRETS, async |kit| {
        for field in FIELDS {
            let tab = page(kit, field).await;
            kit.insert(&tab, "{{x_pass}}").await.unwrap();
            assert_eq!(text(kit, &tab).await, VALUE, "{field}");
            // At its end, in it, at its beginning.
            is_told(field, press(kit, &tab, "Backspace", 0).await);
            is_told(field, press(kit, &tab, "Backspace", CONTROL).await);
            press(kit, &tab, "Delete", 0).await.unwrap();
            moves(kit, &tab, "ArrowLeft", 5).await;
            for key in ["Backspace", "Delete"] {
                is_told(field, press(kit, &tab, key, 0).await);
            }
            is_told(field, press(kit, &tab, "v", CONTROL).await);
            for typed in ["-", "two words"] {
                is_told(field, kit.insert(&tab, typed).await);
            }
            let composed = json!({"text": "z", "selectionStart": 1, "selectionEnd": 1});
            let session = tab.session.clone();
            is_told(
                field,
                kit.call(Some(&session), "Input.imeSetComposition", composed)
                    .await,
            );
            // Nor where it names its place, nor what no key types, nor what cannot be read, nor formats.
            let composed = json!({"text": "z", "selectionStart": 1, "selectionEnd": 1, "replacementStart": 0, "replacementEnd": 2});
            is_told(
                field,
                kit.call(Some(&session), "Input.imeSetComposition", composed)
                    .await,
            );
            is_told(field, kit.insert(&tab, "\t").await);
            for modifiers in [json!(256), json!("none")] {
                let key = json!({"type": "rawKeyDown", "key": "Backspace", "windowsVirtualKeyCode": 8, "modifiers": modifiers});
                let done = kit
                    .call(Some(&session), "Input.dispatchKeyEvent", key)
                    .await;
                let why = done.expect_err(field);
                assert!(why.contains("its parameters cannot be read"), "{why}");
            }
            is_told(field, press(kit, &tab, "b", CONTROL).await);
            for commands in [["toggleBold"], ["formatBlock"], ["anything"]] {
                let key = json!({"type": "rawKeyDown", "key": "F1", "commands": commands});
                is_told(
                    field,
                    kit.call(Some(&session), "Input.dispatchKeyEvent", key)
                        .await,
                );
            }
            // Nothing in place of what is selected.
            for _ in 0..3 {
                press(kit, &tab, "ArrowLeft", SHIFT).await.unwrap();
            }
            for nothing in ["Input.imeSetComposition", "Input.insertText"] {
                let none = json!({"text": "", "selectionStart": 0, "selectionEnd": 0});
                is_told(field, kit.call(Some(&session), nothing, none).await);
            }
            moves(kit, &tab, "ArrowRight", 1).await;
            // Nor does another value.
            let why = kit.insert(&tab, "{{x_pin}}").await.expect_err(field);
            assert!(why.contains("Select all of the field"), "{why}");
            for client in CLIENTS {
                let done = kit.press(client, &tab, 'z').await;
                assert!(done.iter().any(Result::is_err), "{field} {client:?}");
            }
            moves(kit, &tab, "ArrowLeft", VALUE.len() - 5).await;
            is_told(field, press(kit, &tab, "Delete", 0).await);
            is_told(field, press(kit, &tab, "Delete", CONTROL).await);
            press(kit, &tab, "Backspace", 0).await.unwrap();
            assert_eq!(text(kit, &tab).await, VALUE, "{field}");
        }
    });
}

#[test]
fn p1_a_value_goes_as_a_whole_or_stays() {
    Kit::run(SECRETS, async |kit| {
        for field in FIELDS {
            let tab = page(kit, field).await;
            kit.insert(&tab, "{{x_pass}}").await.unwrap();
            // What stands beside it is anybody's.
            kit.type_as(Client::KeyDown, &tab, "-ok").await.unwrap();
            moves(kit, &tab, "ArrowLeft", 3 + VALUE.len()).await;
            kit.type_as(Client::Char, &tab, "me-").await.unwrap();
            assert_eq!(text(kit, &tab).await, format!("me-{VALUE}-ok"), "{field}");
            press(kit, &tab, "Backspace", 0).await.unwrap();
            moves(kit, &tab, "ArrowRight", VALUE.len() + 3).await;
            press(kit, &tab, "Backspace", 0).await.unwrap();
            assert_eq!(text(kit, &tab).await, format!("me{VALUE}-o"), "{field}");
            // All of it, and something else in its place.
            press(kit, &tab, "a", CONTROL).await.unwrap();
            press(kit, &tab, "Backspace", 0).await.unwrap();
            assert_eq!(text(kit, &tab).await, "", "{field}");
            kit.insert(&tab, "{{x_pass}}").await.unwrap();
            press(kit, &tab, "a", CONTROL).await.unwrap();
            kit.type_as(Client::KeyDown, &tab, "anew").await.unwrap();
            assert_eq!(text(kit, &tab).await, "anew", "{field}");
        }
    });
}

#[test]
fn p1_a_selection_takes_no_part_of_a_value() {
    Kit::run(SECRETS, async |kit| {
        for field in FIELDS {
            let tab = page(kit, field).await;
            kit.insert(&tab, "{{x_pass}} ok").await.unwrap();
            let all = text(kit, &tab).await;
            if all == VALUE {
                // A field of addresses takes no blank.
                continue;
            }
            for _ in 0..5 {
                press(kit, &tab, "ArrowLeft", SHIFT).await.unwrap();
            }
            // " ok" and two characters of the value.
            for key in ["Backspace", "Delete"] {
                is_told(field, press(kit, &tab, key, 0).await);
            }
            is_told(field, kit.insert(&tab, "z").await);
            assert_eq!(text(kit, &tab).await, all, "{field}");
            for _ in 0..2 {
                press(kit, &tab, "ArrowRight", SHIFT).await.unwrap();
            }
            press(kit, &tab, "Delete", 0).await.unwrap();
            assert_eq!(text(kit, &tab).await, VALUE, "{field}");
        }
    });
}

#[test]
fn p1_a_short_value_is_not_made_part_of_a_word() {
    Kit::run(SECRETS, async |kit| {
        let tab = page(kit, FIELDS[0]).await;
        kit.insert(&tab, "{{x_pin}}").await.unwrap();
        let why = kit.insert(&tab, "z").await.unwrap_err();
        assert!(why.starts_with("x_pin was not changed: "), "{why}");
        // Typed a second time, by who thinks that the first was lost, it would be another word.
        let why = kit.insert(&tab, "{{x_pin}}").await.unwrap_err();
        assert!(why.starts_with("x_pin was not typed: "), "{why}");
        for client in [Client::KeyDown, Client::Char] {
            let typed = kit.type_as(client, &tab, "{{x_pin}}").await;
            let why = typed.unwrap_err();
            assert!(why.starts_with("x_pin was not typed: "), "{why}");
        }
        assert_eq!(text(kit, &tab).await, "4417aa");
        kit.insert(&tab, " z").await.unwrap();
        assert_eq!(text(kit, &tab).await, "4417aa z");
        press(kit, &tab, "Backspace", 0).await.unwrap();
        press(kit, &tab, "Backspace", 0).await.unwrap();
        press(kit, &tab, "Backspace", 0).await.unwrap_err();
        assert_eq!(text(kit, &tab).await, "4417aa");
    });
}

#[test]
fn p1_other_keys_and_other_fields_are_not_looked_at() {
    Kit::run(SECRETS, async |kit| {
        let form = "<form action=/sent><input id=a><input id=b><textarea id=c></textarea><button>Send</button></form>";
        let tab = page(kit, form).await;
        kit.insert(&tab, "{{x_pass}}").await.unwrap();
        kit.until(&tab, "(b.focus(), document.activeElement === b)")
            .await;
        kit.type_as(Client::Raw, &tab, "abc").await.unwrap();
        press(kit, &tab, "Backspace", 0).await.unwrap();
        assert_eq!(kit.eval(&tab, "b.value").await, "ab");
        // A line end goes into a field that takes them, and sends one that does not, wherever the caret stands.
        kit.until(&tab, "(c.focus(), document.activeElement === c)")
            .await;
        kit.insert(&tab, "{{x_pass}}").await.unwrap();
        moves(kit, &tab, "ArrowLeft", 2).await;
        let enter =
            json!({"type": "keyDown", "key": "Enter", "text": "\r", "windowsVirtualKeyCode": 13});
        is_told("line", kit.key(&tab, enter.clone()).await);
        assert_eq!(kit.eval(&tab, "c.value").await, VALUE);
        kit.until(&tab, "(a.focus(), document.activeElement === a)")
            .await;
        moves(kit, &tab, "ArrowLeft", 2).await;
        kit.key(&tab, enter).await.unwrap();
        kit.until(&tab, "location.pathname === '/sent'").await;
        kit.audited("the refusal", |event| {
            event["event"] == "refuse"
                && event["key"] == "x_pass"
                && event["method"] == "Input.dispatchKeyEvent"
        })
        .await;
    });
}
