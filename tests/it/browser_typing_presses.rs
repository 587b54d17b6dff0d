//! A name that is typed key by key where it may not be is refused at the key that completes it, with all of that key's press.

use serde_json::{Value, json};

use super::browser_kit::{CLIENTS, Client, Kit, Tab};

const SECRETS: &str = r#"{"HOME": {"x_pass": "value-of-home", "x_key": "key-of-home", "pin": "4417aa",
        "x_strict": {"value": "only-password", "field": "password"}},
    "OTHER": {"x_key_other": "key-of-other"}}"#;

/// Says of the page's keys what came, in order.
const SEEN: &str = "<script>window.seen = ''; for (const name of ['keydown', 'keypress', 'input', 'keyup']) addEventListener(name, (event) => {
    seen += name[3] + (event.key ?? event.data) + ' ' }, true)</script>";

/// Opens a page with that body there, with the focus on `#a`, or in the frame `#f`.
async fn page(kit: &mut Kit, origin: &str, body: &str) -> Tab {
    kit.site
        .page("/form", &format!("<body>{body}{SEEN}</body>"));
    let tab = kit.open(&format!("{origin}/form")).await;
    let focus = "globalThis.f ? (f.focus(), document.activeElement === f) : (document.querySelector('#a').focus(), true)";
    kit.until(&tab, focus).await;
    tab
}

async fn value(kit: &mut Kit, tab: &Tab) -> Value {
    kit.eval(tab, "document.querySelector('#a').value").await
}

fn refused(done: &[Result<Value, String>]) -> Vec<bool> {
    done.iter().map(Result::is_err).collect()
}

/// What of the press that completes a name is refused: all that says what is typed, and what comes after.
fn expected(client: Client) -> &'static [bool] {
    match client {
        Client::KeyDown => &[true, true],
        // Its `keyDown` does not say what will be typed.
        Client::Char => &[false, true, true],
        Client::Raw => &[true, true, true],
        Client::Insert => &[true],
    }
}

#[test]
fn p2_the_press_that_completes_a_name_is_refused_as_a_whole() {
    Kit::run(SECRETS, async |kit| {
        let (home, port, other) = (kit.site.home(), kit.site.port(), kit.site.other());
        kit.site.page(
            "/in",
            "<input id=a><script>onload = () => a.focus()</script>",
        );
        let frame = |origin: &str| format!("<input id=a><iframe id=f src='{origin}/in'></iframe>");
        let elsewhere = format!("<form action={other}/x><input id=a></form>");
        for (origin, body, key, why) in [
            (&port, "<input id=a>".to_owned(), "x_pass", port.as_str()),
            (&other, "<input id=a>".to_owned(), "x_pass", other.as_str()),
            (
                &home,
                "<input id=a type=search>".to_owned(),
                "x_pass",
                "'field' is \"input\"",
            ),
            (
                &home,
                "<input id=a>".to_owned(),
                "x_strict",
                "'field' is \"password\"",
            ),
            (
                &home,
                "<input id=a readonly>".to_owned(),
                "x_pass",
                "read-only",
            ),
            (&home, elsewhere, "x_pass", other.as_str()),
            (&home, frame(&port), "x_pass", port.as_str()),
            (&home, frame(&other), "x_pass", other.as_str()),
        ] {
            let before = kit.audit().len();
            for client in CLIENTS {
                for text in [key.to_owned(), format!("{{{{{key}}}}}"), format!("u:{key}")] {
                    let what = format!("{origin} {body} {client:?} {text}");
                    let tab = page(kit, origin, &body).await;
                    let (rest, last) = text.split_at(text.len() - 1);
                    kit.type_as(client, &tab, rest).await.expect(&what);
                    let done = kit.press(client, &tab, last.chars().next().unwrap()).await;
                    assert_eq!(refused(&done), expected(client), "{what}");
                    for error in done.iter().filter_map(|done| done.as_ref().err()) {
                        let is_it = error.starts_with(&format!("{key} was not typed: "));
                        assert!(is_it && error.contains(why), "{what}: {error}");
                    }
                    // Nothing of the name reaches the page, and nobody else is told.
                    assert!(!kit.holds(), "{what}");
                    let in_text = text.starts_with("u:") && !body.contains("readonly");
                    let is_framed = body.contains("iframe");
                    let typed = if in_text && !is_framed { "u:" } else { "" };
                    assert_eq!(value(kit, &tab).await, typed, "{what}");
                    let seen = kit.eval(&tab, "seen").await;
                    let seen = seen.as_str().unwrap();
                    // Of the first key, a `keyDown` that does not say what it types goes by.
                    let is_typed = ["px ", "ix ", "ux "].iter().any(|of| seen.contains(of));
                    assert!(!is_typed && !seen.contains(last), "{what}: {seen}");
                    kit.type_as(Client::KeyDown, &tab, "ok").await.expect(&what);
                }
            }
            let is_refused = |event: &Value| event["event"] == "refuse" && event["key"] == key;
            kit.audited(&body, |event| is_refused(event)).await;
            assert!(kit.audit().len() > before, "{body}");
        }
        assert!(
            kit.audit()
                .iter()
                .all(|event| event["event"] != "substitute")
        );
        for origin in [&home, &port, &other] {
            let saw = kit.site.saw(origin).concat();
            assert!(!saw.contains("value-of") && !saw.contains("only-password"));
        }
    });
}

#[test]
fn p2_a_name_that_begins_another_is_refused_when_none_of_them_may_be_typed() {
    Kit::run(SECRETS, async |kit| {
        let (home, port, other) = (kit.site.home(), kit.site.port(), kit.site.other());
        let field = "<input id=a>";
        for client in CLIENTS {
            // Where none may be typed.
            let tab = page(kit, &port, field).await;
            let error = kit.type_as(client, &tab, "x_key_other").await.unwrap_err();
            assert!(error.starts_with("x_key was not typed: "), "{error}");
            assert_eq!(value(kit, &tab).await, "");
            // Where the longer one may be: the shorter one is held, until what follows decides.
            let tab = page(kit, &other, field).await;
            kit.type_as(client, &tab, "x_key_other ").await.unwrap();
            assert_eq!(value(kit, &tab).await, "key-of-other ");
            let tab = page(kit, &other, field).await;
            kit.type_as(client, &tab, "x_key").await.unwrap();
            let done = kit.press(client, &tab, '@').await;
            let told = done.iter().filter(|done| done.is_err()).count();
            // Of a `rawKeyDown` nothing is typed: it is held, as any other key.
            let first = usize::from(matches!(client, Client::Char | Client::Raw));
            assert_eq!(told, done.len() - first, "{client:?} {done:?}");
            assert_eq!(value(kit, &tab).await, "");
            // Where the shorter one may be, the longer one is refused when it is complete.
            let tab = page(kit, &home, field).await;
            let error = kit.type_as(client, &tab, "x_key_other").await.unwrap_err();
            assert!(error.starts_with("x_key_other was not typed: "), "{error}");
            assert_eq!(value(kit, &tab).await, "");
            let tab = page(kit, &home, field).await;
            kit.type_as(client, &tab, "x_key ").await.unwrap();
            assert_eq!(value(kit, &tab).await, "key-of-home ");
        }
        let tab = page(kit, &other, field).await;
        kit.type_as(Client::KeyDown, &tab, "x_key").await.unwrap();
        let look = json!({"expression": "1"});
        let look = kit.call(Some(&tab.session), "Runtime.evaluate", look).await;
        assert!(look.unwrap_err().starts_with("x_key was not typed: "));
    });
}

#[test]
fn p2_ordinary_text_that_begins_like_a_name() {
    Kit::run(SECRETS, async |kit| {
        let (home, port) = (kit.site.home(), kit.site.port());
        let field = "<input id=a>";
        // Where the name may be typed, the next character still decides.
        let tab = page(kit, &home, field).await;
        kit.type_as(Client::KeyDown, &tab, "x_passy xx_pass ")
            .await
            .unwrap();
        assert_eq!(value(kit, &tab).await, "x_passy xx_pass ");
        // Where it may not, the name is refused before more comes. What comes all the same is a text of its own.
        let tab = page(kit, &port, field).await;
        kit.type_as(Client::KeyDown, &tab, "xx_pass x_pas ")
            .await
            .unwrap();
        assert_eq!(value(kit, &tab).await, "xx_pass x_pas ");
        kit.type_as(Client::KeyDown, &tab, "x_pass")
            .await
            .unwrap_err();
        kit.type_as(Client::KeyDown, &tab, "y z ").await.unwrap();
        assert_eq!(value(kit, &tab).await, "xx_pass x_pas y z ");
        // A name without an underscore counts only alone: the words that begin with it are many.
        for text in ["pine", "pin number"] {
            let tab = page(kit, &port, field).await;
            kit.type_as(Client::KeyDown, &tab, text).await.unwrap();
            assert_eq!(value(kit, &tab).await, text);
        }
        let tab = page(kit, &port, field).await;
        kit.type_as(Client::KeyDown, &tab, "pin").await.unwrap();
        let look = json!({"expression": "1"});
        let look = kit.call(Some(&tab.session), "Runtime.evaluate", look).await;
        assert!(look.unwrap_err().starts_with("pin was not typed: "));
        assert_eq!(value(kit, &tab).await, "");
    });
}

#[test]
fn p2_backspace_takes_back_a_letter_of_the_name() {
    Kit::run(SECRETS, async |kit| {
        let (home, port) = (kit.site.home(), kit.site.port());
        let key = |kind: &str| json!({"type": kind, "key": "Backspace", "code": "Backspace", "windowsVirtualKeyCode": 8});
        for (text, left) in [
            ("x_pass", "x_pas"),
            ("{{x_pass}", "{{x_pass"),
            ("x_pa", "x_p"),
        ] {
            let tab = page(kit, &home, "<input id=a>").await;
            kit.type_as(Client::KeyDown, &tab, text).await.unwrap();
            kit.key(&tab, key("rawKeyDown")).await.unwrap();
            kit.key(&tab, key("keyUp")).await.unwrap();
            assert!(!kit.holds());
            assert_eq!(value(kit, &tab).await, left);
        }
        // Of a value a letter less would be told to who reads it back.
        assert!(
            kit.audit()
                .iter()
                .all(|event| event["event"] != "substitute")
        );
        // After a refusal it is a key as any other.
        let tab = page(kit, &port, "<input id=a>").await;
        kit.type_as(Client::KeyDown, &tab, "ab x_pass")
            .await
            .unwrap_err();
        kit.key(&tab, key("rawKeyDown")).await.unwrap();
        assert_eq!(value(kit, &tab).await, "ab");
    });
}
