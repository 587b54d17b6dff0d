//! Where a client may go, what it may attach to, and what leaves the page by files and the clipboard, against a real browser.

use serde_json::json;

use super::browser_inspect::SECRETS;
use super::browser_inspect_kit::Kit;

#[test]
fn addresses_that_no_page_goes_to() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let (session, _) = client.tab().await;
        let session = Some(session.as_str());
        for url in [
            "file:///etc/passwd",
            " f\tile:///etc/passwd",
            "chrome://settings",
            "view-source:about:blank",
            "javascript:1",
            "about:version",
        ] {
            for (session, method) in [(session, "Page.navigate"), (None, "Target.createTarget")] {
                assert!(
                    client
                        .call(session, method, json!({"url": url}))
                        .await
                        .is_err(),
                    "{method} {url}"
                );
            }
        }
        for url in ["about:blank", "data:text/html,<p>{{x_password}}", ""] {
            client
                .must(None, "Target.createTarget", json!({"url": url}))
                .await;
        }
        let twice = client
            .call(
                session,
                "Page.navigateToHistoryEntry",
                json!({"entryId": 0, "x": 1}),
            )
            .await;
        assert!(
            twice.is_err(),
            "the browser's own error for an entry that is not there"
        );
    });
}

#[test]
fn targets_sessions_and_browser_contexts() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let mut second = kit.client().await;
        let first = client.must(None, "Target.getTargets", json!({})).await;
        let first = first["targetInfos"].as_array().unwrap();
        assert!(
            first.iter().any(|info| info["type"] == "page"),
            "the page that the browser begins with: {first:?}"
        );
        let (session, target) = client.tab().await;
        let page = Some(session.as_str());
        for params in [
            json!({"targetId": target}),
            json!({"targetId": target, "flatten": false}),
        ] {
            let refused = client.call(None, "Target.attachToTarget", params).await;
            assert!(refused.unwrap_err().contains("flatten: true"));
        }
        for session in [None, page] {
            let auto =
                json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
            client.must(session, "Target.setAutoAttach", auto).await;
            let auto = json!({"autoAttach": true, "waitForDebuggerOnStart": false});
            assert!(
                client
                    .call(session, "Target.setAutoAttach", auto)
                    .await
                    .is_err()
            );
        }
        client
            .must(None, "Target.setDiscoverTargets", json!({"discover": true}))
            .await;
        let all = client
            .must(None, "Target.getTargets", json!({"filter": [{}]}))
            .await;
        let kinds: Vec<_> = all["targetInfos"]
            .as_array()
            .unwrap()
            .iter()
            .map(|info| &info["type"])
            .collect();
        assert!(
            kinds.contains(&&"page".into()) && !kinds.contains(&&"browser_ui".into()),
            "{kinds:?}"
        );

        for params in [
            json!({"proxyServer": "http://127.0.0.1:1"}),
            json!({"proxyBypassList": "*"}),
            json!({"originsWithUniversalNetworkAccess": ["https://a.test"]}),
        ] {
            assert!(
                client
                    .call(None, "Target.createBrowserContext", params)
                    .await
                    .is_err()
            );
        }
        let made = client
            .must(
                None,
                "Target.createBrowserContext",
                json!({"disposeOnDetach": true}),
            )
            .await;
        let refused = second
            .call(None, "Target.disposeBrowserContext", made.clone())
            .await;
        assert!(refused.unwrap_err().contains("another client's"));
        client
            .must(None, "Target.disposeBrowserContext", made)
            .await;

        // Requests of all clients do not wait for one of them, on no root.
        assert!(client.call(None, "Fetch.enable", json!({})).await.is_err());
        let root = client
            .must(None, "Target.attachToBrowserTarget", json!({}))
            .await;
        let root = root["sessionId"].as_str().unwrap();
        client
            .must(Some(root), "Browser.getVersion", json!({}))
            .await;
        assert!(
            client
                .call(Some(root), "Fetch.enable", json!({}))
                .await
                .is_err()
        );
        client.must(page, "Fetch.enable", json!({})).await;
    });
}

#[test]
fn files_come_from_and_go_to_one_folder() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let made = client
            .must(None, "Target.createBrowserContext", json!({}))
            .await;
        let params = json!({"url": "about:blank", "browserContextId": made["browserContextId"]});
        let target = client.must(None, "Target.createTarget", params).await;
        let session = client.attach(target["targetId"].as_str().unwrap()).await;
        let session = Some(session.as_str());
        let elsewhere = json!({"behavior": "allowAndName", "downloadPath": "/tmp/playwright-artifacts-x", "eventsEnabled": true,
            "browserContextId": made["browserContextId"]});
        client
            .must(None, "Browser.setDownloadBehavior", elsewhere)
            .await;
        let url = format!("{}/file", kit.server.home());
        client
            .send(session, "Page.navigate", json!({"url": url}))
            .await
            .unwrap();
        let begun = client.event("Browser.downloadWillBegin").await;
        client
            .event_where("Browser.downloadProgress", |progress| {
                progress["state"] == "completed"
            })
            .await;
        let file = kit.files().join(begun["guid"].as_str().unwrap());
        assert!(file.exists(), "{file:?}");

        let html = "data:text/html,<input type=file>";
        client
            .must(session, "Page.navigate", json!({"url": html}))
            .await;
        let loaded = "new Promise((done) => {
            const look = () => done(document.querySelector('input'));
            document.readyState === 'complete' ? look() : addEventListener('load', look);
        })";
        let input = client
            .must(
                session,
                "Runtime.evaluate",
                json!({"expression": loaded, "awaitPromise": true}),
            )
            .await;
        let input = &input["result"]["objectId"];
        for (path, passes) in [
            (file.to_str().unwrap(), true),
            ("/etc/passwd", false),
            ("files/a", false),
        ] {
            let params = json!({"files": [path], "objectId": input});
            let set = client.call(session, "DOM.setFileInputFiles", params).await;
            assert_eq!(set.is_ok(), passes, "{path}: {set:?}");
        }
    });
}

/// The browser's own folder is ours, and stays so, whatever a client that left had asked for.
#[test]
fn downloads_go_to_the_folder_unasked_and_after_others_left() {
    Kit::run(SECRETS, async |kit| {
        let mut watcher = kit.client().await;
        for asked in [None, Some("deny"), Some("allow")] {
            if let Some(behavior) = asked {
                let mut other = kit.client().await;
                let params =
                    json!({"behavior": behavior, "downloadPath": "/tmp", "eventsEnabled": true});
                other
                    .must(None, "Browser.setDownloadBehavior", params)
                    .await;
                // What it leaves behind reaches the browser before the next command does.
                drop(other);
            }
            let (session, target) = watcher.tab().await;
            let session = Some(session.as_str());
            watcher.must(session, "Page.enable", json!({})).await;
            let url = format!("{}/file", kit.server.home());
            watcher
                .send(session, "Page.navigate", json!({"url": url}))
                .await
                .unwrap();
            watcher
                .event_where("Page.downloadProgress", |progress| {
                    progress["state"] == "completed"
                })
                .await;
            let files: Vec<_> = std::fs::read_dir(kit.files())
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            assert_eq!(files.len(), 1, "{asked:?}: {files:?}");
            std::fs::remove_file(&files[0]).unwrap();
            watcher
                .must(None, "Target.closeTarget", json!({"targetId": target}))
                .await;
        }
    });
}

#[test]
fn nothing_is_copied_while_a_page_shows_a_value() {
    Kit::run(SECRETS, async |kit| {
        let mut client = kit.client().await;
        let (session, target) = client.tab().await;
        let session = Some(session.as_str());
        let copy = json!({"type": "keyDown", "key": "c", "code": "KeyC", "modifiers": 2, "windowsVirtualKeyCode": 67});
        let command = json!({"type": "keyDown", "key": "F1", "commands": ["cut"]});
        let grant = json!({"permissions": ["geolocation", "clipboardReadWrite"]});
        let set = json!({"permission": {"name": "clipboard-read"}, "setting": "granted"});
        let guarded = [
            (session, "Input.dispatchKeyEvent", copy),
            (session, "Input.dispatchKeyEvent", command),
            (None, "Browser.grantPermissions", grant),
            (None, "Browser.setPermission", set),
        ];
        let url = format!("{}/page", kit.server.home());
        let shown = client
            .must(session, "Page.navigate", json!({"url": url}))
            .await;
        kit.pages
            .filled(&target, shown["loaderId"].as_str().unwrap());
        for (session, method, params) in &guarded {
            let refused = client.call(*session, method, params.clone()).await;
            assert!(
                refused.unwrap_err().contains("shows a secret"),
                "{method} {params}"
            );
        }
        let other = json!({"permissions": ["geolocation"]});
        client.must(None, "Browser.grantPermissions", other).await;
        let paste = json!({"type": "keyDown", "key": "v", "modifiers": 2});
        client.must(session, "Input.dispatchKeyEvent", paste).await;
        client
            .must(
                session,
                "Page.navigate",
                json!({"url": format!("{url}?next")}),
            )
            .await;
        for (session, method, params) in guarded {
            client.must(session, method, params).await;
        }
    });
}
