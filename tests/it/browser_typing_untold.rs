//! A refusal that came when nobody had asked anything: it is told once, in its own document, or not at all.

use serde_json::{Value, json};

use super::browser_kit::{Client, Kit, Tab};

const SECRETS: &str = r#"{"HOME": {"x_pass": "value-of-home"}}"#;

const FIELD: &str = "<input id=a><input id=b>";

/// Why it is refused.
const WHY: &str = "x_pass was not typed: the field is read-only";

/// A page at home, and a second session of the client on it, which has nothing to do with what is typed on the first.
async fn page(kit: &mut Kit, body: &str) -> (Tab, Tab) {
    kit.site.page("/form", body);
    kit.site.page(
        "/next",
        "<input id=b><script>onload = () => b.focus()</script>",
    );
    let url = format!("{}/form", kit.site.home());
    let tab = kit.open(&url).await;
    let beside = Tab {
        session: kit.attach(&tab.target).await,
        target: tab.target.clone(),
    };
    kit.eval(&beside, "a.focus()").await;
    (tab, beside)
}

/// Types the name where it may be, and makes that no place for it before it is decided: with nobody there to be told.
async fn refused(kit: &mut Kit, tab: &Tab, beside: &Tab) {
    let field = "(globalThis.f?.contentDocument?.querySelector('#a') ?? a).readOnly =";
    kit.eval(beside, &format!("{field} false")).await;
    kit.type_as(Client::KeyDown, tab, "x_pass").await.unwrap();
    kit.eval(beside, &format!("{field} true")).await;
    kit.pause().await;
    assert!(!kit.holds());
    kit.eval(beside, &format!("{field} false")).await;
}

async fn look(kit: &mut Kit, tab: &Tab) -> Result<Value, String> {
    let look = json!({"expression": "1"});
    kit.call(Some(&tab.session), "Runtime.evaluate", look).await
}

#[test]
fn p2_it_is_told_once_in_its_own_document() {
    Kit::run(SECRETS, async |kit| {
        // To who looks.
        let (tab, beside) = page(kit, FIELD).await;
        refused(kit, &tab, &beside).await;
        look(kit, &beside).await.unwrap();
        let error = look(kit, &tab).await.unwrap_err();
        assert_eq!(error, WHY);
        look(kit, &tab).await.unwrap();
        // To who types on, at the first key, all of it.
        refused(kit, &tab, &beside).await;
        for (key, is_refused) in [('c', true), ('d', false)] {
            for done in kit.press(Client::KeyDown, &tab, key).await {
                assert_eq!(done.is_err(), is_refused, "{key}: {done:?}");
            }
        }
        assert_eq!(kit.eval(&tab, "a.value").await, "d");
        kit.eval(&beside, "a.value = ''").await;
        // The same document under another address.
        refused(kit, &tab, &beside).await;
        kit.eval(&beside, "history.pushState(0, '', '/other')")
            .await;
        look(kit, &tab).await.unwrap_err();
        // Where nothing had the focus, the page's.
        kit.eval(&beside, "a.focus()").await;
        kit.type_as(Client::KeyDown, &tab, "x_pass").await.unwrap();
        kit.eval(&beside, "document.activeElement.blur()").await;
        kit.pause().await;
        let error = kit.type_as(Client::KeyDown, &tab, "c").await.unwrap_err();
        assert!(error.contains("Focus the field first"), "{error}");
        look(kit, &tab).await.unwrap();
    });
}

#[test]
fn p2_it_goes_with_its_document() {
    Kit::run(SECRETS, async |kit| {
        let next = format!("{}/next", kit.site.home());
        let there = "location.pathname === '/next' && document.activeElement?.id === 'b'";
        for by_page in [true, false] {
            let (tab, beside) = page(kit, FIELD).await;
            refused(kit, &tab, &beside).await;
            if by_page {
                kit.eval(&beside, "location = '/next'; 1").await;
            } else {
                let session = tab.session.clone();
                let url = json!({"url": next});
                kit.call(Some(&session), "Page.navigate", url)
                    .await
                    .unwrap();
            }
            kit.until(&beside, there).await;
            kit.type_as(Client::KeyDown, &tab, "c").await.unwrap();
            look(kit, &tab).await.unwrap();
            assert_eq!(kit.eval(&tab, "b.value").await, "c");
            // Nor when the document comes back.
            kit.eval(&beside, "history.back()").await;
            kit.until(&beside, "location.pathname === '/form' && globalThis.a")
                .await;
            look(kit, &tab).await.unwrap();
        }
        // A look alone: nothing was typed in the new document.
        let (tab, beside) = page(kit, FIELD).await;
        refused(kit, &tab, &beside).await;
        kit.eval(&beside, "location = '/next'; 1").await;
        kit.until(&beside, there).await;
        look(kit, &tab).await.unwrap();
    });
}

#[test]
fn p2_it_is_not_told_to_typing_in_another_frame() {
    Kit::run(SECRETS, async |kit| {
        for origin in [kit.site.home(), kit.site.port(), kit.site.other()] {
            let body = format!("{FIELD}<iframe id=f src='{origin}/next'></iframe>");
            let (tab, beside) = page(kit, &body).await;
            refused(kit, &tab, &beside).await;
            kit.until(&beside, "f.focus(), document.activeElement === f")
                .await;
            kit.type_as(Client::KeyDown, &tab, "c")
                .await
                .expect(&origin);
            // Who comes back to the field hears of it.
            kit.eval(&beside, "a.focus()").await;
            let error = kit.type_as(Client::KeyDown, &tab, "d").await;
            assert_eq!(error.unwrap_err(), WHY, "{origin}");
        }
        // A frame that goes takes its refusal along.
        let body = format!("{FIELD}<iframe id=f src='/form2'></iframe>");
        kit.site.page(
            "/form2",
            &format!("{FIELD}<script>onload = () => a.focus()</script>"),
        );
        let (tab, beside) = page(kit, &body).await;
        let inside = "f.contentDocument.readyState === 'complete' && (f.focus(), f.contentDocument.querySelector('#a').focus(), true)";
        kit.until(&beside, inside).await;
        refused(kit, &tab, &beside).await;
        kit.eval(&beside, "f.remove(), a.focus()").await;
        kit.type_as(Client::KeyDown, &tab, "c").await.unwrap();
        look(kit, &tab).await.unwrap();
        assert_eq!(kit.eval(&tab, "a.value").await, "c");
    });
}

#[test]
fn p2_a_focus_that_moves_after_the_name_takes_no_value_along() {
    Kit::run(SECRETS, async |kit| {
        for origin in [kit.site.port(), kit.site.other()] {
            let body = format!("<input id=a><iframe id=f src='{origin}/next'></iframe>");
            for ends_by_key in [true, false] {
                let (tab, beside) = page(kit, &body).await;
                kit.type_as(Client::KeyDown, &tab, "x_pass").await.unwrap();
                kit.until(&beside, "f.focus(), document.activeElement === f")
                    .await;
                if ends_by_key {
                    // The early answer does not count: what is typed now is judged again, and refused as a whole.
                    for done in kit.press(Client::KeyDown, &tab, ' ').await {
                        let error = done.unwrap_err();
                        assert!(error.contains(&origin), "{error}");
                    }
                } else {
                    kit.pause().await;
                    let error = kit.type_as(Client::KeyDown, &tab, "c").await.unwrap_err();
                    assert!(error.contains(&origin), "{error}");
                }
                assert_eq!(kit.eval(&tab, "a.value").await, "");
            }
            assert!(!kit.site.saw(&origin).concat().contains("value-of-home"));
        }
        assert!(
            kit.audit()
                .iter()
                .all(|event| event["event"] != "substitute")
        );
    });
}

#[test]
fn p2_a_client_that_goes_takes_what_it_typed_along() {
    Kit::run(SECRETS, async |kit| {
        let (tab, _) = page(kit, "<input id=a>").await;
        kit.type_as(Client::KeyDown, &tab, "x_pass").await.unwrap();
        assert!(kit.holds());
        kit.leave();
        assert_eq!(kit.eval(&tab, "a.value").await, "");
        kit.type_as(Client::KeyDown, &tab, " c").await.unwrap();
        assert_eq!(kit.eval(&tab, "a.value").await, " c");
        // Of one that was refused the log tells.
        kit.eval(&tab, "a.readOnly = true").await;
        kit.type_as(Client::KeyDown, &tab, "x_pass")
            .await
            .unwrap_err();
        kit.leave();
        kit.audited("refusal", |event| event["event"] == "refuse")
            .await;
        let events = kit.audit();
        assert!(events.iter().all(|event| event["event"] != "substitute"));
    });
}
