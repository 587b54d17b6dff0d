//! The hub with a real Chromium over the pipe: several clients and us on one connection, none in the way of another.

use std::sync::Arc;

use bauta::browser::hub::{CallError, FromBrowser, SendError};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::browser_hub_kit::{Browser, LONG, command, refused, site};

#[tokio::test(flavor = "multi_thread")]
async fn clients_and_we_share_a_browser_and_none_can_reach_into_anothers() {
    let browser = Browser::start().await;
    let (mut a, mut b) = (browser.join().await, browser.join().await);
    let (page_a, session_a) = a.page("about:blank").await;
    let (page_b, session_b) = b.page("about:blank").await;
    assert_ne!(page_a, page_b);
    assert_eq!(a.evaluate(&session_a, "6*7").await, json!(42));
    assert_eq!(b.evaluate(&session_b, "6*8").await, json!(48));

    // The other's session, ours, and one that nobody has are all the same to a client.
    let own = browser.hub.own(&page_a).await.unwrap();
    for foreign in [&*session_b, &*own, "0123456789ABCDEF0123456789ABCDEF"] {
        let params = json!({ "expression": "1" });
        let evaluate = command(99, Some(foreign), "Runtime.evaluate", &params);
        let sent = a.member.send(&evaluate, None).await;
        assert_eq!(sent, Err(SendError::NotYours));
        let params = params.to_string();
        let call = a
            .member
            .call(Some(foreign), "Runtime.evaluate", params.as_bytes());
        assert_eq!(call.await, Err(CallError::NotYours));
        assert!(a.member.target_of(Some(foreign)).is_none());
    }
    let ours = browser
        .hub
        .call(Some(&session_a), "Runtime.enable", ())
        .await;
    assert_eq!(
        ours,
        Err(CallError::NotYours),
        "nor do we use a client's by mistake"
    );

    // Nor can it detach them.
    for foreign in [&*session_b, &*own] {
        let params = json!({ "sessionId": foreign });
        let detached = a.ask(None, "Target.detachFromTarget", params).await;
        assert!(detached.get("error").is_some(), "{detached}");
    }
    assert_eq!(b.evaluate(&session_b, "1").await, json!(1));
    browser
        .hub
        .call(Some(&own), "Runtime.enable", ())
        .await
        .unwrap();

    let target = a.member.target_of(Some(&session_a)).unwrap();
    assert_eq!((&*target.id, &*target.kind), (&*page_a, "page"));
    assert!(target.browser_context.is_some());
    assert_eq!(&*a.member.target_of(None).unwrap().kind, "browser");
    let sessions = a.member.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!(&*sessions[0].0, &*session_a);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_do_is_seen_by_no_client() {
    let browser = Browser::start().await;
    let mut client = browser.join().await;
    let (page, session) = client.page("about:blank").await;
    client.must(Some(&session), "Page.enable", json!({})).await;
    let own = browser.hub.own(&page).await.unwrap();
    assert_eq!(browser.hub.own(&page).await.unwrap(), own, "kept");
    let (one, two) = tokio::join!(browser.hub.own(&page), browser.hub.own(&page));
    assert_eq!(
        (one.unwrap(), two.unwrap()),
        (Arc::clone(&own), Arc::clone(&own))
    );

    let mut events = browser.hub.events(Some(&own)).unwrap();
    browser
        .hub
        .call(Some(&own), "Runtime.enable", ())
        .await
        .unwrap();
    let evaluate = json!({ "expression": "console.log('ours'); 5", "returnByValue": true });
    let result = browser
        .hub
        .call(Some(&own), "Runtime.evaluate", evaluate)
        .await
        .unwrap();
    let result: Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["result"]["value"], json!(5));
    let logged = loop {
        let event = timeout(LONG, events.next()).await.unwrap().unwrap();
        let params: Value = serde_json::from_slice(event.params()).unwrap();
        if &*event.method == "Runtime.consoleAPICalled" {
            break params["args"][0]["value"].clone();
        }
    };
    assert_eq!(logged, json!("ours"));
    // On its own session too, what we ask for is answered to us.
    let params = br#"{"expression":"7"}"#;
    let asked = client
        .member
        .call(Some(&session), "Runtime.evaluate", params)
        .await
        .unwrap();
    assert!(serde_json::from_slice::<Value>(&asked).unwrap()["result"]["value"] == 7);
    let asked = client
        .member
        .call(None, "Browser.getVersion", b"{}")
        .await
        .unwrap();
    assert!(asked.starts_with(b"{"));

    // All that the client has seen meanwhile is its own: one attachment, and what its page did.
    client.must(None, "Browser.getVersion", json!({})).await;
    for event in &client.seen {
        let text = event.to_string();
        assert!(!text.contains(&*own) && !text.contains("ours"), "{text}");
        assert_ne!(
            event["method"], "Runtime.consoleAPICalled",
            "it has not enabled Runtime"
        );
    }

    // What the browser refuses, it refuses with its own words.
    let refusal = browser.hub.call(None, "No.such", ()).await.unwrap_err();
    assert_eq!(refused(&refusal), -32601);
    assert!(
        !format!("{refusal} {refusal:?}").contains("No.such"),
        "not in ours"
    );
    assert!(browser.hub.events(Some(&session)).is_err());
    assert!(browser.hub.own("no such target").await.is_err());

    // A target's end is the end of our session on it.
    client
        .must(None, "Target.closeTarget", json!({ "targetId": page }))
        .await;
    while timeout(LONG, events.next()).await.unwrap().is_some() {}
    let gone = browser.hub.call(Some(&own), "Runtime.enable", ()).await;
    assert_eq!(gone, Err(CallError::NotYours));
    assert!(browser.hub.own(&page).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_a_session_that_ends_does_not_wait_for_its_time() {
    let browser = Browser::start().await;
    let mut client = browser.join().await;
    let (page, _) = client.page("about:blank").await;
    let own = browser.hub.own(&page).await.unwrap();
    let never = json!({ "expression": "new Promise(() => {})", "awaitPromise": true });
    let hub = Arc::clone(&browser.hub);
    let call = tokio::spawn(async move { hub.call(Some(&own), "Runtime.evaluate", never).await });
    // The page's own answer to a second command says that it has the first.
    let own = browser.hub.own(&page).await.unwrap();
    browser
        .hub
        .call(Some(&own), "Runtime.enable", ())
        .await
        .unwrap();
    client
        .must(None, "Target.closeTarget", json!({ "targetId": page }))
        .await;
    let ended = timeout(LONG / 2, call).await.unwrap().unwrap().unwrap_err();
    let as_expected = matches!(ended, CallError::Detached | CallError::Refused { .. });
    assert!(as_expected, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_clients_are_their_own() {
    let browser = Browser::start().await;
    let (a, b) = (browser.join().await, browser.join().await);
    let mut incoming = [a.incoming, b.incoming];
    // The same numbers of both, all kinds, all at once.
    let ids = [1, 2, 0, -1, -5, i64::from(i32::MAX), i64::from(i32::MIN), 1];
    for id in ids {
        for member in [&a.member, &b.member] {
            let ask = command(id, None, "Browser.getVersion", &json!({}));
            member.send(&ask, None).await.unwrap();
        }
    }
    for incoming in &mut incoming {
        for id in ids {
            let FromBrowser::Reply {
                id: of,
                method,
                session,
                message,
            } = incoming.next().await
            else {
                panic!("not an answer");
            };
            assert_eq!((of, &*method, session), (id, "Browser.getVersion", None));
            let start = format!("{{\"id\":{id},\"result\":{{\"protocolVersion\"");
            assert!(message.starts_with(start.as_bytes()));
            assert!(message.ends_with(b"\"}}"), "no session is left in it");
        }
    }
    let params = bytes::Bytes::from_static(b"{\"expression\":\"2\"}");
    let wrong = command(5, None, "Runtime.evaluate", &json!({}));
    a.member.send(&wrong, Some(params)).await.unwrap();
    assert!(matches!(
        incoming[0].next().await,
        FromBrowser::Reply { id: 5, .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn chromes_own_windows_are_kept_from_clients() {
    let browser = Browser::start().await;
    // What the first start of a browser with a window shows.
    let own = json!({ "url": "chrome://newtab/" });
    browser
        .hub
        .call(None, "Target.createTarget", own)
        .await
        .unwrap();
    // A tab has the address of its page a moment later, and not for everybody at once.
    // Without a window's own page beside it this test says nothing.
    let there = async {
        loop {
            let all = browser
                .hub
                .call(None, "Target.getTargets", json!({ "filter": [{}] }))
                .await
                .unwrap();
            let all: Value = serde_json::from_slice(&all).unwrap();
            let all = all["targetInfos"].as_array().unwrap();
            let is_there =
                |info: &&Value| info["type"] == "tab" && is_new_tab(info["url"].as_str().unwrap());
            let tab = all.iter().find(is_there);
            if let Some(tab) = tab
                && all.iter().any(|info| info["type"] == "browser_ui")
            {
                break tab["targetId"].clone();
            }
        }
    };
    let tab = timeout(LONG, there).await;
    let tab = tab.expect("a new tab, and a window's own page");

    let mut client = browser.join().await;
    // As Puppeteer does, which goes by tabs.
    let attach = json!({
        "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true,
        "filter": [{ "type": "page", "exclude": true }, {}],
    });
    client.must(None, "Target.setAutoAttach", attach).await;
    let blank = client
        .must(None, "Target.createTarget", json!({ "url": "about:blank" }))
        .await;
    assert!(blank["targetId"].is_string());
    client.must(None, "Browser.getVersion", json!({})).await;
    let attached: Vec<_> = client
        .seen
        .iter()
        .map(|event| &event["params"]["targetInfo"])
        .collect();
    assert!(
        attached
            .iter()
            .any(|info| info["type"] == "tab" && info["targetId"] == tab)
    );
    assert!(
        attached.iter().all(|info| info["type"] != "browser_ui"),
        "{attached:?}"
    );
    let kinds = client.member.sessions();
    assert!(
        kinds
            .iter()
            .all(|(_, target)| &*target.kind != "browser_ui")
    );

    // Its page is told of a moment after its tab.
    let listed = async {
        loop {
            let listed = browser.hub.targets().await.unwrap();
            if listed.iter().any(|listed| is_new_tab(&listed.url)) {
                break listed;
            }
        }
    };
    let listed = timeout(LONG, listed).await.expect("the page is listed");
    assert!(listed.len() >= 2);
    for listed in &listed {
        assert_eq!(&*listed.target.kind, "page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_own_with_it_and_nothing_else() {
    let browser = Browser::start().await;
    let (mut a, mut b) = (browser.join().await, browser.join().await);
    let mut ours = browser.hub.events(None).unwrap();
    let discover = json!({ "discover": true });
    browser
        .hub
        .call(None, "Target.setDiscoverTargets", discover)
        .await
        .unwrap();

    let context = a
        .must(
            None,
            "Target.createBrowserContext",
            json!({ "disposeOnDetach": true }),
        )
        .await;
    let create = json!({ "url": "about:blank", "browserContextId": context["browserContextId"] });
    let disposed = a.must(None, "Target.createTarget", create).await["targetId"].clone();
    let (kept, _) = a.page("about:blank").await;
    let (page_b, session_b) = b.page("about:blank").await;
    // A page that its opener's client holds back, as clients do that watch pages from their beginning.
    let site = site("popup").await;
    let (_, opener) = a.page("about:blank").await;
    let wait = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
    a.must(None, "Target.setAutoAttach", wait).await;
    let open = format!("void window.open('{site}')");
    let open = json!({ "expression": open, "userGesture": true });
    a.send(Some(&opener), "Runtime.evaluate", open).await;
    let popup = loop {
        let attached = a.event("Target.attachedToTarget").await;
        if attached["params"]["waitingForDebugger"] == json!(true) {
            break attached["params"]["targetInfo"]["targetId"].clone();
        }
    };

    drop(a);
    let (mut is_disposed, mut is_loaded) = (false, false);
    while !(is_disposed && is_loaded) {
        let event = timeout(LONG, ours.next())
            .await
            .expect("nothing happened")
            .unwrap();
        let params: Value = serde_json::from_slice(event.params()).unwrap();
        let info = &params["targetInfo"];
        is_disposed |= &*event.method == "Target.targetDestroyed" && params["targetId"] == disposed;
        is_loaded |= info["targetId"] == popup && info["url"] == *site;
    }
    let left = browser.hub.targets().await.unwrap();
    assert!(left.iter().any(|listed| *listed.target.id == *kept));
    assert!(left.iter().any(|listed| *listed.target.id == *page_b));
    assert_eq!(b.evaluate(&session_b, "1").await, json!(1));

    // Clones are one member: it has left when the last of them goes.
    let clone = b.member.clone();
    drop(b.member);
    let ask = command(1, None, "Browser.getVersion", &json!({}));
    clone.send(&ask, None).await.unwrap();
    assert!(matches!(
        b.incoming.next().await,
        FromBrowser::Reply { id: 1, .. }
    ));
    drop(clone);
    assert!(matches!(b.incoming.next().await, FromBrowser::Gone(_)));
    assert!(
        matches!(b.incoming.next().await, FromBrowser::Gone(_)),
        "and again"
    );
}

/// The page that Chromium starts with; it has several names while it loads.
fn is_new_tab(url: &str) -> bool {
    url == "chrome://newtab/" || url.starts_with("chrome://new-tab-page")
}
