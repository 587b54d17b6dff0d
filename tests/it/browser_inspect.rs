//! Ways into a page besides typing, and worlds and documents that are not what they seem, against a real browser.

use serde_json::{Value, json};

use super::browser_inspect_kit::{Client, Kit};

/// `HOME` and `OTHER` stand for the server's origins.
pub const SECRETS: &str = r#"{"HOME": {"x_user": "alice", "x_password": "Tr0ub&dor\"3/ö",
    "x_header": {"value": "k-\"quoted\"-9f27", "allow": ["header"]}, "x_field": {"value": "only-in-fields", "allow": ["field"]}},
  "OTHER": {"x_other": "of-the-other-site"}}"#;

/// `alice:Tr0ub&dor"3/ö` in base64.
const BASIC: &str = "YWxpY2U6VHIwdWImZG9yIjMvw7Y=";

fn has(requests: &[String], text: &str) -> bool {
    requests.iter().any(|request| request.contains(text))
}

/// Navigates and returns the request that waits.
async fn waiting(client: &mut Client, session: &str, url: &str) -> (i64, Value) {
    let id = client
        .send(Some(session), "Page.navigate", json!({"url": url}))
        .await;
    let paused = client.event("Fetch.requestPaused").await;
    (id.unwrap(), paused)
}

fn headers(of: &Value, name: &str, value: &str) -> Value {
    json!({"requestId": of["requestId"], "headers": [{"name": "X-A", "value": "a"}, {"name": name, "value": value}]})
}

#[test]
fn p2_a_header_of_a_request_that_waits_takes_a_value_for_its_own_destination() {
    Kit::run(SECRETS, async |kit| {
        let (home, other) = (kit.server.home(), kit.server.other());
        let mut client = kit.client().await;
        let (session, target) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        client
            .must(
                session,
                "Fetch.enable",
                json!({"patterns": [{"urlPattern": "*/secret*"}, {"urlPattern": "*/to*"}]}),
            )
            .await;

        let (id, paused) = waiting(&mut client, own, &format!("{home}/secret")).await;
        for (name, value, why) in [
            ("X-Key", "{{x_field}}", "x_field"),
            ("X-Key", "x_other", "x_other"),
            ("Host", "{{x_header}}", "header"),
            ("X-Key", "{{x_header}} and {{x_header}}", "max_uses"),
        ] {
            let refused = client
                .call(
                    session,
                    "Fetch.continueRequest",
                    headers(&paused, name, value),
                )
                .await;
            assert!(refused.unwrap_err().contains(why), "{name}: {value}");
        }
        client
            .must(
                session,
                "Fetch.continueRequest",
                headers(&paused, "X-Key", "<secret>x_header</secret>!"),
            )
            .await;
        client.answer(id).await.unwrap();
        assert!(has(&kit.server.saw(&home), "X-Key: k-\"quoted\"-9f27!\r\n"));
        let done = &kit.audited("substitute")[0];
        assert_eq!(
            (&done["key"], &done["place"], &done["channel"]),
            (&"x_header".into(), &"header".into(), &"browser".into())
        );
        assert_eq!(done["target"], format!("{home} frame {target}"));
        assert_eq!(done["method"], "Fetch.continueRequest");

        // Elsewhere it is refused, and the request still goes on without it.
        let (id, paused) = waiting(&mut client, own, &format!("{other}/secret")).await;
        let refused = client
            .call(
                session,
                "Fetch.continueRequest",
                headers(&paused, "X-Key", "{{x_header}}"),
            )
            .await;
        assert!(refused.unwrap_err().contains("x_header"));
        let mut led = headers(&paused, "X-Key", "{{x_header}}");
        led["url"] = format!("{other}/elsewhere").into();
        assert!(
            client
                .call(session, "Fetch.continueRequest", led)
                .await
                .is_err()
        );
        client
            .must(
                session,
                "Fetch.continueRequest",
                json!({"requestId": paused["requestId"]}),
            )
            .await;
        client.answer(id).await.unwrap();

        // Over a redirect it stays at home.
        let url = format!("{home}/to?{other}/landed");
        let (id, paused) = waiting(&mut client, own, &url).await;
        client
            .must(
                session,
                "Fetch.continueRequest",
                headers(&paused, "X-Key", "{{x_header}}"),
            )
            .await;
        client.answer(id).await.unwrap();
        assert!(has(&kit.server.saw(&other), "GET /landed"));
        assert!(!has(&kit.server.saw(&other), "k-\"quoted\""));
    });
}

#[test]
fn p2_a_request_with_a_value_is_not_led_elsewhere_by_an_interception_behind() {
    Kit::run(SECRETS, async |kit| {
        let (home, other) = (kit.server.home(), kit.server.other());
        let mut client = kit.client().await;
        let (outer, target) = client.tab().await;
        let inner = client.attach(&target).await;
        for session in [&outer, &inner] {
            client
                .must(
                    Some(session),
                    "Fetch.enable",
                    json!({"patterns": [{"urlPattern": "*/secret*"}]}),
                )
                .await;
        }
        let url = format!("{home}/secret");
        let id = client
            .send(Some(&outer), "Page.navigate", json!({"url": url}))
            .await
            .unwrap();
        let mut order = Vec::new();
        for _ in 0..2 {
            // Whichever comes first puts the value in; the other one would lead it away.
            let paused = client.event("Fetch.requestPaused").await;
            let of = [&outer, &inner]
                .into_iter()
                .find(|session| !order.contains(session))
                .unwrap();
            order.push(of);
            let mut away = headers(&paused, "X-Key", "x_header");
            if order.len() == 1 {
                let first = client
                    .call(Some(of), "Fetch.continueRequest", away.clone())
                    .await;
                if first.is_err() {
                    // It was the other session's.
                    let of = [&outer, &inner]
                        .into_iter()
                        .find(|session| !order.contains(session))
                        .unwrap();
                    order[0] = of;
                    client.must(Some(of), "Fetch.continueRequest", away).await;
                }
                continue;
            }
            away = json!({"requestId": paused["requestId"], "url": format!("{other}/stolen")});
            let refused = client.call(Some(of), "Fetch.continueRequest", away).await;
            assert!(refused.unwrap_err().contains("not led to another origin"));
            client
                .must(
                    Some(of),
                    "Fetch.continueRequest",
                    json!({"requestId": paused["requestId"]}),
                )
                .await;
        }
        client.answer(id).await.unwrap();
        assert!(has(&kit.server.saw(&home), "X-Key: k-\"quoted\"-9f27"));
        assert!(kit.server.saw(&other).is_empty());
    });
}

#[test]
fn p2_credentials_go_to_the_server_that_asks_for_them() {
    Kit::run(SECRETS, async |kit| {
        let (home, other) = (kit.server.home(), kit.server.other());
        let mut client = kit.client().await;
        let (session, _) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        client
            .must(session, "Fetch.enable", json!({"handleAuthRequests": true}))
            .await;
        for (origin, passes) in [(&other, false), (&home, true)] {
            let (id, paused) = waiting(&mut client, own, &format!("{origin}/auth")).await;
            client
                .must(
                    session,
                    "Fetch.continueRequest",
                    json!({"requestId": paused["requestId"]}),
                )
                .await;
            let asked = client.event("Fetch.authRequired").await;
            let answer = |password: &str| {
                json!({"requestId": asked["requestId"], "authChallengeResponse": {"response": "ProvideCredentials",
                    "username": "{{x_user}}", "password": password}})
            };
            let refused = client
                .call(session, "Fetch.continueWithAuth", answer("a{{x_password}}"))
                .await;
            assert!(refused.unwrap_err().contains("as a whole"));
            let answered = client
                .call(session, "Fetch.continueWithAuth", answer("x_password"))
                .await;
            assert_eq!(answered.is_ok(), passes, "{answered:?}");
            if !passes {
                let cancel = json!({"requestId": asked["requestId"], "authChallengeResponse": {"response": "CancelAuth"}});
                client.must(session, "Fetch.continueWithAuth", cancel).await;
            }
            client.answer(id).await.ok();
        }
        let saw = kit.server.saw(&home);
        assert!(
            has(&saw, &format!("Authorization: Basic {BASIC}")),
            "{saw:?}"
        );
        assert!(!has(&kit.server.saw(&other), "Authorization"));
    });
}

#[test]
fn p2_user_information_of_an_address() {
    Kit::run(SECRETS, async |kit| {
        let (home, other) = (kit.server.home(), kit.server.other());
        let mut client = kit.client().await;
        let (session, _) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        let with = |origin: &str, info: &str| {
            origin.replace("http://", &format!("http://{info}@")) + "/auth"
        };
        for url in [
            with(&other, "x_user:{{x_password}}"),
            format!("{home}/{{{{x_password}}}}"),
            format!("{home}/?a={{{{x_password}}}}"),
        ] {
            let refused = client
                .call(session, "Page.navigate", json!({"url": url}))
                .await;
            assert!(refused.unwrap_err().contains("x_"), "{url}");
            let refused = client
                .call(None, "Target.createTarget", json!({"url": url}))
                .await;
            assert!(refused.unwrap_err().contains("x_"), "{url}");
        }
        client
            .must(
                session,
                "Page.navigate",
                json!({"url": with(&home, "x_user:{{x_password}}"), "referrer": ""}),
            )
            .await;
        let saw = kit.server.saw(&home);
        assert!(
            has(&saw, &format!("Authorization: Basic {BASIC}")),
            "{saw:?}"
        );
        assert!(kit.server.saw(&other).is_empty());
        let events = kit.audited("substitute");
        assert_eq!(events.len(), 2);
        assert!(
            events
                .iter()
                .all(|event| event["place"] == "basic" && event["method"] == "Page.navigate")
        );
    });
}

#[test]
fn p5_what_is_refused_again_and_again_is_said_once() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let (session, _) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        let home = kit.server.home();
        for _ in 0..50 {
            for (method, params) in [
                (
                    "Network.setExtraHTTPHeaders",
                    json!({"headers": {"Authorization": "Bearer x_header"}}),
                ),
                (
                    "Network.setCookie",
                    json!({"name": "a", "value": "x_password", "url": home}),
                ),
                (
                    "Network.setCookies",
                    json!({"cookies": [{"name": "a", "value": "b{{x_password}}", "url": home}]}),
                ),
            ] {
                let refused = client.call(session, method, params).await;
                assert!(refused.unwrap_err().starts_with("x_"), "{method}");
            }
        }
        client
            .must(
                session,
                "Network.setExtraHTTPHeaders",
                json!({"headers": {"X-A": "plain"}}),
            )
            .await;
        client
            .must(
                session,
                "Network.setCookie",
                json!({"name": "a", "value": "plain", "url": home}),
            )
            .await;
        // What was refused is in the log within a second of its command's end; the log's end is.
        let url = home.replace("http://", "http://x_user@") + "/";
        client
            .must(session, "Page.navigate", json!({"url": url}))
            .await;
        let refusals = kit.audited("refuse");
        assert_eq!(refusals.len(), 2, "{refusals:?}");
    });
}

#[test]
#[allow(clippy::too_many_lines)] // one page, looked at in one order
fn worlds_of_ours_are_neither_seen_nor_named() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let (session, target) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        client.must(session, "Runtime.enable", json!({})).await;
        client.must(session, "Debugger.enable", json!({})).await;
        let main = client.event("Runtime.executionContextCreated").await;
        let own = kit.hub.own(&target).await.unwrap();
        let params = json!({"frameId": target, "worldName": kit.hub.world()});
        let made = kit
            .hub
            .call(Some(&own), "Page.createIsolatedWorld", params)
            .await
            .unwrap();
        let made: Value = serde_json::from_slice(&made).unwrap();
        let ours = made["executionContextId"].as_i64().unwrap();
        let script = format!("globalThis.hidden = 1 //# sourceURL={}", kit.hub.world());
        let params = json!({"contextId": ours, "expression": script});
        kit.hub
            .call(Some(&own), "Runtime.evaluate", params)
            .await
            .unwrap();

        for (method, params) in [
            (
                "Runtime.evaluate",
                json!({"expression": "1", "contextId": ours}),
            ),
            (
                "Runtime.callFunctionOn",
                json!({"functionDeclaration": "() => 1", "executionContextId": ours}),
            ),
            (
                "Runtime.globalLexicalScopeNames",
                json!({"executionContextId": ours}),
            ),
            (
                "Runtime.compileScript",
                json!({"expression": "1", "sourceURL": "", "persistScript": true, "executionContextId": ours}),
            ),
            (
                "Runtime.runScript",
                json!({"scriptId": "1", "executionContextId": ours}),
            ),
            (
                "Runtime.addBinding",
                json!({"name": "b", "executionContextId": ours}),
            ),
            (
                "Runtime.evaluate",
                json!({"expression": "1", "uniqueContextId": "1.2"}),
            ),
            (
                "DOM.resolveNode",
                json!({"nodeId": 1, "executionContextId": ours}),
            ),
            (
                "Page.createIsolatedWorld",
                json!({"frameId": target, "worldName": kit.hub.world()}),
            ),
            (
                "Page.addScriptToEvaluateOnNewDocument",
                json!({"source": "1", "worldName": kit.hub.world()}),
            ),
            (
                "Runtime.addBinding",
                json!({"name": "b", "executionContextName": kit.hub.world()}),
            ),
            ("Runtime.addBinding", json!({"name": "self"})),
        ] {
            assert!(
                client.call(session, method, params.clone()).await.is_err(),
                "{method} {params}"
            );
        }
        // The client's own go on as they are.
        let number = main["context"]["id"].clone();
        let unique = main["context"]["uniqueId"].clone();
        client
            .must(
                session,
                "Runtime.evaluate",
                json!({"expression": "1", "contextId": number}),
            )
            .await;
        client
            .must(
                session,
                "Runtime.evaluate",
                json!({"expression": "1", "uniqueContextId": unique}),
            )
            .await;
        let mine = client
            .must(
                session,
                "Page.createIsolatedWorld",
                json!({"frameId": target, "worldName": "mine"}),
            )
            .await;
        let params =
            json!({"expression": "typeof hidden", "contextId": mine["executionContextId"]});
        let seen = client.must(session, "Runtime.evaluate", params).await;
        assert_eq!(seen["result"]["value"], "undefined");
        let created = client.event("Runtime.executionContextCreated").await;
        assert_eq!(created["context"]["name"], "mine");
        // Another session of the page may name what this one was told of; another page's may not.
        let second = client.attach(&target).await;
        client
            .must(
                Some(&second),
                "Runtime.evaluate",
                json!({"expression": "1", "contextId": number}),
            )
            .await;
        let (elsewhere, _) = client.tab().await;
        let refused = client
            .call(
                Some(&elsewhere),
                "Runtime.evaluate",
                json!({"expression": "1", "contextId": number}),
            )
            .await;
        assert!(refused.unwrap_err().contains("Cannot find context"));
        // When the document goes, the contexts go.
        let url = format!("{}/", kit.server.home());
        client
            .must(session, "Page.navigate", json!({"url": url}))
            .await;
        client.event("Runtime.executionContextsCleared").await;
        let seen = client
            .seen()
            .iter()
            .map(Value::to_string)
            .collect::<String>();
        assert!(!seen.contains(kit.hub.world()));
        let gone = format!("\"executionContextId\":{ours},");
        assert!(!seen.contains(&gone), "{seen}");
    });
}

#[test]
fn documents_that_a_client_makes_are_remembered() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let (session, target) = client.tab().await;
        let own = session.as_str();
        let session = Some(own);
        let url = format!("{}/page", kit.server.home());
        client.must(session, "Page.enable", json!({})).await;
        let plain = client
            .must(session, "Page.navigate", json!({"url": url}))
            .await;
        let plain = plain["loaderId"].as_str().unwrap().to_owned();
        assert!(!kit.pages.is_tainted(&plain));
        client
            .must(
                session,
                "Page.setDocumentContent",
                json!({"frameId": target, "html": "<input>"}),
            )
            .await;
        assert!(kit.pages.is_tainted(&plain));
        let tree = client.must(session, "Page.getFrameTree", json!({})).await;
        assert_eq!(
            tree["frameTree"]["frame"]["loaderId"], plain,
            "it keeps its loader"
        );
        assert!(
            client
                .call(
                    session,
                    "Page.setDocumentContent",
                    json!({"frameId": "F", "html": ""})
                )
                .await
                .is_err()
        );

        client
            .must(
                session,
                "Fetch.enable",
                json!({"patterns": [{"urlPattern": "*/made"}]}),
            )
            .await;
        let url = format!("{}/made", kit.server.home());
        let (id, paused) = waiting(&mut client, own, &url).await;
        let made =
            json!({"requestId": paused["requestId"], "responseCode": 200, "body": "PGlucHV0Pg=="});
        client.must(session, "Fetch.fulfillRequest", made).await;
        let answer = client.answer(id).await.unwrap();
        assert!(kit.pages.is_tainted(answer["loaderId"].as_str().unwrap()));
        let unknown = client
            .call(
                session,
                "Fetch.fulfillRequest",
                json!({"requestId": "a", "responseCode": 200}),
            )
            .await;
        assert!(unknown.is_err());
    });
}
