//! The hub under load: large messages, limits, and clients that take nothing.

use std::sync::Arc;

use bauta::browser::hub::{CallError, FromBrowser, SendError};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::browser_hub_kit::{Browser, Client, LONG, command};

/// Lets a page say something large so many times; each is an event of that many bytes.
async fn flood(client: &mut Client, session: &str, bytes: usize, times: usize) {
    client
        .must(Some(session), "Runtime.enable", json!({}))
        .await;
    let expression = format!(
        "const big = 'x'.repeat({bytes}); for (let i = 0; i < {times}; i++) console.log(big)"
    );
    client
        .send(
            Some(session),
            "Runtime.evaluate",
            json!({ "expression": expression }),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_messages_pass_both_ways() {
    let browser = Browser::start().await;
    let mut client = browser.join().await;
    let (page, session) = client.page("about:blank").await;
    for bytes in [65_000, 66_000, 8 << 20] {
        let expression = format!("'é\\u0000\\\"'.repeat({bytes} / 3)");
        let got = client.evaluate(&session, &expression).await;
        let got = got.as_str().unwrap();
        assert_eq!(got.len() / "é\0\"".len(), bytes / 3);
        let expression = format!("'{}'.length", "y".repeat(bytes));
        assert_eq!(client.evaluate(&session, &expression).await, json!(bytes));
    }
    // Both of a size that Chromium takes, one on the heels of the other.
    let own = browser.hub.own(&page).await.unwrap();
    let large = json!({ "expression": format!("'{}'.length", "y".repeat(24 << 20)), "returnByValue": true });
    let (hub, params) = (Arc::clone(&browser.hub), large.clone());
    let ours = tokio::spawn(async move { hub.call(Some(&own), "Runtime.evaluate", params).await });
    let theirs = client.must(Some(&session), "Runtime.evaluate", large).await;
    assert_eq!(theirs["result"]["value"], json!(24 << 20));
    let ours: Value = serde_json::from_slice(&ours.await.unwrap().unwrap()).unwrap();
    assert_eq!(ours["result"]["value"], json!(24 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_so_heavy_that_it_would_end_the_connection_is_not_sent() {
    let browser = Browser::start().await;
    let mut client = browser.join().await;
    // Chromium closes its end at 100 MiB, and a browser that is spoken to over a pipe ends with that.
    let large = Bytes::from(format!("{{\"a\":\"{}\"}}", "x".repeat(100 << 20)));
    let ask = command(1, None, "Browser.getVersion", &json!({}));
    let sent = client.member.send(&ask, Some(large.clone())).await;
    assert_eq!(sent, Err(SendError::TooLarge));
    let call = client.member.call(None, "Browser.getVersion", &large).await;
    assert_eq!(call, Err(CallError::TooLarge));
    let call = browser
        .hub
        .call_raw(None, "Browser.getVersion", large.to_vec().into())
        .await;
    assert_eq!(call, Err(CallError::TooLarge));
    // One of the largest that are is taken.
    let most = large.slice(..95 << 20);
    let most = [&most[..], b"\"}"].concat();
    client.member.send(&ask, Some(most.into())).await.unwrap();
    assert!(matches!(
        client.next().await,
        FromBrowser::Reply { id: 1, .. }
    ));
    assert_eq!(browser.hub.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_a_message_may_be_is_an_error_and_no_more_than_that() {
    let browser = Browser::with(|settings| settings.limits.max_message_bytes = 1 << 20).await;
    let mut client = browser.join().await;
    let (page, session) = client.page("about:blank").await;
    let own = browser.hub.own(&page).await.unwrap();
    let large = json!({ "expression": "'x'.repeat(3e6)", "returnByValue": true });
    let answer = client.ask(Some(&session), "Runtime.evaluate", large.clone());
    let on_session = answer.await;
    // On the root, something that is as large: addresses of targets.
    for letter in ["x", "y"] {
        let url = format!("data:text/plain,{}", letter.repeat(900_000));
        let create = json!({ "url": url });
        client.must(None, "Target.createTarget", create).await;
    }
    let on_root = client.ask(None, "Target.getTargets", json!({})).await;
    for answer in [on_session, on_root] {
        assert_eq!(answer["error"]["code"], json!(-32000), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("max_message_bytes"), "{message}");
    }
    let call = browser
        .hub
        .call(Some(&own), "Runtime.evaluate", large.clone())
        .await;
    assert_eq!(call, Err(CallError::TooLarge));
    let call = client
        .member
        .call(
            Some(&session),
            "Runtime.evaluate",
            large.to_string().as_bytes(),
        )
        .await;
    assert_eq!(call, Err(CallError::TooLarge));

    // An event that is too large is left out; those around it come.
    client
        .must(Some(&session), "Runtime.enable", json!({}))
        .await;
    let say = "console.log('before'); console.log('x'.repeat(3e6)); console.log('after')";
    client.evaluate(&session, say).await;
    let mut said = Vec::new();
    while said.len() < 2 {
        let event = client.event("Runtime.consoleAPICalled").await;
        said.push(event["params"]["args"][0]["value"].clone());
    }
    assert_eq!(said, ["before", "after"]);
    let much = "y".repeat(2 << 20);
    let ask = command(7, None, "Browser.getVersion", &json!({ "a": much }));
    assert_eq!(
        client.member.send(&ask, None).await,
        Err(SendError::TooLarge)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_time_loses_nothing_and_ours_does_not_wait_for_it() {
    let browser = Browser::start().await;
    let (mut slow, mut other) = (browser.join().await, browser.join().await);
    let (page, session) = slow.page("about:blank").await;
    let own = browser.hub.own(&page).await.unwrap();
    // More than may wait for it; less than may wait while we wait.
    let times = 50;
    flood(&mut slow, &session, 1 << 20, times).await;
    let evaluate = json!({ "expression": "6*7", "returnByValue": true });
    let ours = browser
        .hub
        .call(Some(&own), "Runtime.evaluate", evaluate)
        .await
        .unwrap();
    assert!(serde_json::from_slice::<Value>(&ours).unwrap()["result"]["value"] == 42);

    // Were the answer behind the client's messages, the client would have been cut first. It goes on taking, and loses nothing.
    let version = tokio::spawn(async move {
        other.must(None, "Browser.getVersion", json!({})).await;
    });
    for _ in 0..times {
        let event = slow.event("Runtime.consoleAPICalled").await;
        assert_eq!(
            event["params"]["args"][0]["value"].as_str().unwrap().len(),
            1 << 20
        );
    }
    assert!(matches!(slow.next().await, FromBrowser::Reply { .. }));
    timeout(LONG, version).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_cut_and_the_others_go_on() {
    let browser = Browser::start().await;
    let (mut stuck, mut other) = (browser.join().await, browser.join().await);
    let (page, session) = stuck.page("about:blank").await;
    let (_, others) = other.page("about:blank").await;
    flood(&mut stuck, &session, 1 << 20, 150).await;
    // The other waits for ten seconds at most, and is served again.
    let cut = timeout(LONG, async {
        while !stuck.member.sessions().is_empty() {
            assert_eq!(other.evaluate(&others, "6*7").await, json!(42));
        }
    });
    cut.await.expect("it is not cut");
    let reason = stuck.next().await;
    assert!(matches!(reason, FromBrowser::Gone(reason) if reason.contains("slowly")));
    let ask = command(1, Some(&session), "Runtime.enable", &json!({}));
    assert_eq!(stuck.member.send(&ask, None).await, Err(SendError::Gone));
    assert!(stuck.member.sessions().is_empty());
    // Only it was cut: its page is still there, and nobody is attached to it.
    let info = json!({ "targetId": page });
    let info = other.must(None, "Target.getTargetInfo", info).await;
    assert_eq!(info["targetInfo"]["attached"], json!(false));
    assert_eq!(browser.hub.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_for_their_answers_are_counted() {
    let browser = Browser::start().await;
    let mut client = browser.join().await;
    let (page, session) = client.page("about:blank").await;
    let never = json!({ "expression": "new Promise(() => {})", "awaitPromise": true });
    let never = command(1, Some(&session), "Runtime.evaluate", &never);
    let mut sent = 0;
    let refused = loop {
        match client.member.send(&never, None).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((sent, refused), (16_384, SendError::TooMany));
    // When their session is gone they count no more.
    let closed = browser
        .hub
        .call(None, "Target.closeTarget", json!({ "targetId": page }))
        .await;
    closed.unwrap();
    let gone = timeout(LONG, async {
        while client.member.target_of(Some(&session)).is_some() {
            client.incoming.next().await;
        }
    });
    gone.await.unwrap();
    let ask = command(2, None, "Browser.getVersion", &json!({}));
    client.member.send(&ask, None).await.unwrap();
    let answered = timeout(LONG, async {
        while !matches!(
            client.incoming.next().await,
            FromBrowser::Reply { id: 2, .. }
        ) {}
    });
    answered.await.unwrap();
}
