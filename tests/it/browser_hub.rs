//! The hub with a real Chromium over the pipe: several clients and us on one connection, none in the way of another.

use bauta::browser::hub::{CallError, SendError};
use serde_json::json;

use crate::browser_hub_kit::{Browser, LONG, command};

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_and_we_share_a_browser_and_none_can_reach_into_anothers() {
    let browser = Browser::start().await;
    let (mut a, mut b) = (browser.join().await, browser.join().await);
    let (page_a, session_a) = a.page("about:blank").await;
    let (page_b, session_b) = b.page("about:blank").await;
    assert_eq!(a.evaluate(&session_a, "6*7").await, json!(42));
    assert_eq!(b.evaluate(&session_b, "6*8").await, json!(48));

    // The other's session, ours, and one that nobody has are all the same to a client.
    let own = browser.hub.own(&page_a).await.unwrap();
    for foreign in [&*session_b, &*own, "0123456789ABCDEF0123456789ABCDEF"] {
        let evaluate = command(99, Some(foreign), "Runtime.evaluate", &json!({ "expression": "1" }));
        assert_eq!(a.member.send(&evaluate, None).await, Err(SendError::NotYours));
        let call = a.member.call(Some(foreign), "Runtime.evaluate", br#"{"expression":"1"}"#).await;
        assert_eq!(call, Err(CallError::NotYours));
        assert!(a.member.target_of(Some(foreign)).is_none());
    }
    let ours = browser.hub.call(Some(&session_a), "Runtime.evaluate", json!({ "expression": "1" })).await;
    assert_eq!(ours, Err(CallError::NotYours), "nor do we use a client's by mistake");
    // Nor can it detach them.
    for foreign in [&*session_b, &*own] {
        let detached = a.ask(None, "Target.detachFromTarget", json!({ "sessionId": foreign })).await;
        assert!(detached.get("error").is_some(), "{detached}");
    }
    assert_eq!(b.evaluate(&session_b, "1").await, json!(1));
    browser.hub.call(Some(&own), "Runtime.enable", ()).await.unwrap();

    let target = a.member.target_of(Some(&session_a)).unwrap();
    assert_eq!((&*target.id, &*target.kind), (&*page_a, "page"));
    assert_eq!(&*a.member.target_of(None).unwrap().kind, "browser");
    assert_eq!(a.member.sessions().len(), 1);
    assert_ne!(page_a, page_b);
    browser.hub.stop().await;
    assert!(browser.profiles().is_empty());
    let _ = LONG;
}
