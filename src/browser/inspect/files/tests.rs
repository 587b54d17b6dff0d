use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::browser::inspect::params::tests::command;

struct Place {
    all: TempDir,
}

impl Place {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        for folder in ["folder/sub", "folder-2", "outside"] {
            fs::create_dir_all(all.path().join(folder)).unwrap();
        }
        for file in [
            "folder/a.txt",
            "folder/sub/b.txt",
            "folder-2/c.txt",
            "outside/secret",
        ] {
            fs::write(all.path().join(file), "x").unwrap();
        }
        symlink(
            all.path().join("outside"),
            all.path().join("folder/way-out"),
        )
        .unwrap();
        symlink(
            all.path().join("folder/a.txt"),
            all.path().join("folder/alias"),
        )
        .unwrap();
        symlink(all.path().join("folder"), all.path().join("outside/way-in")).unwrap();
        Self { all }
    }

    fn path(&self, path: &str) -> String {
        self.all
            .path()
            .canonicalize()
            .unwrap()
            .join(path)
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn folder(&self) -> std::path::PathBuf {
        self.path("folder").into()
    }
}

fn params(verdict: Result<Verdict, Refusal>) -> Option<Value> {
    match verdict {
        Ok(Verdict::With(params)) => Some(serde_json::from_slice(&params).unwrap()),
        Ok(Verdict::Pass) => Some(Value::Null),
        Ok(_) => panic!("neither"),
        Err(refusal) => {
            assert!(refusal.text.contains("folder"), "{refusal}");
            None
        }
    }
}

#[tokio::test]
async fn uploads_come_out_of_the_folder() {
    let place = Place::new();
    for (file, resolved) in [
        ("folder/a.txt", Some("folder/a.txt")),
        ("folder/sub", Some("folder/sub")),
        ("folder/sub/../a.txt", Some("folder/a.txt")),
        ("folder/alias", Some("folder/a.txt")),
        ("outside/way-in/a.txt", Some("folder/a.txt")),
        ("folder/way-out/secret", None),
        ("folder/../outside/secret", None),
        ("folder/sub/../../outside/secret", None),
        ("folder-2/c.txt", None),
        ("outside/secret", None),
        ("folder/missing", None),
    ] {
        let text = serde_json::json!({"files": [place.path(file)], "backendNodeId": 3}).to_string();
        let became =
            params(upload(&place.folder(), &command("DOM.setFileInputFiles", &text)).await);
        let expected = resolved
            .map(|path| serde_json::json!({"files": [place.path(path)], "backendNodeId": 3}));
        assert_eq!(became, expected, "{file}");

        let text = serde_json::json!({"type": "drop", "x": 1, "y": 2.5, "data": {"items": [], "files": [place.path(file)], "dragOperationsMask": 1}});
        let became = params(
            drag(
                &place.folder(),
                &command("Input.dispatchDragEvent", &text.to_string()),
            )
            .await,
        );
        let expected = resolved.map(|path| {
            let mut expected = text.clone();
            expected["data"]["files"][0] = place.path(path).into();
            expected
        });
        assert_eq!(became, expected, "{file}");
    }
    for file in [
        "a.txt",
        "./folder/a.txt",
        "",
        "~/a",
        "file:///etc/passwd",
        "/etc/passwd",
        "/",
        "/proc/self/environ",
    ] {
        let text = serde_json::json!({"files": [file], "objectId": "1"}).to_string();
        assert!(
            upload(&place.folder(), &command("DOM.setFileInputFiles", &text))
                .await
                .is_err(),
            "{file}"
        );
    }
    // One of several is enough.
    let text =
        serde_json::json!({"files": [place.path("folder/a.txt"), "/etc/passwd"]}).to_string();
    assert!(
        upload(&place.folder(), &command("DOM.setFileInputFiles", &text))
            .await
            .is_err()
    );
    let twice = r#"{"files":[],"files":["/etc/passwd"]}"#;
    assert!(
        upload(&place.folder(), &command("DOM.setFileInputFiles", twice))
            .await
            .is_err()
    );
    let many =
        serde_json::json!({"files": vec![place.path("folder/a.txt"); MOST_FILES + 1]}).to_string();
    assert!(
        upload(&place.folder(), &command("DOM.setFileInputFiles", &many))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_drag_without_files_passes() {
    let place = Place::new();
    for text in [
        r#"{"type":"dragEnter","x":1,"y":1,"data":{"items":[],"dragOperationsMask":1}}"#,
        r#"{"type":"dragEnter","x":1,"y":1,"data":{"items":[],"files":[],"dragOperationsMask":1}}"#,
        r#"{"type":"dragCancel","x":1,"y":1}"#,
    ] {
        let verdict = drag(&place.folder(), &command("Input.dispatchDragEvent", text)).await;
        assert_eq!(params(verdict), Some(Value::Null));
    }
}

#[tokio::test]
async fn downloads_go_into_the_folder() {
    let place = Place::new();
    let folder = place.path("folder");
    for (asked, path, behavior, expected) in [
        (
            "allow",
            Some(place.path("folder/sub")),
            "allow",
            Some(place.path("folder/sub")),
        ),
        ("allow", Some(folder.clone()), "allow", Some(folder.clone())),
        (
            "allow",
            Some(place.path("outside")),
            "allow",
            Some(folder.clone()),
        ),
        (
            "allow",
            Some(place.path("folder/way-out")),
            "allow",
            Some(folder.clone()),
        ),
        (
            "allowAndName",
            Some("/tmp/playwright-artifacts-x".to_owned()),
            "allowAndName",
            Some(folder.clone()),
        ),
        ("allow", None, "allow", Some(folder.clone())),
        ("default", None, "allow", Some(folder.clone())),
        ("deny", Some(place.path("outside")), "deny", None),
    ] {
        let text = serde_json::json!({"behavior": asked, "downloadPath": path, "eventsEnabled": true, "browserContextId": "c"});
        let became = wanted(
            &place.folder(),
            &command("Browser.setDownloadBehavior", &text.to_string()),
        )
        .await;
        let expected = Wanted {
            behavior,
            path: expected,
            browser_context: Some("c".to_owned()),
            events: true,
        };
        assert_eq!(became, Ok(expected), "{asked} {path:?}");
    }
    for text in [
        "{}",
        r#"{"behavior":"save"}"#,
        r#"{"behavior":"deny","behavior":"allow"}"#,
    ] {
        let became = wanted(
            &place.folder(),
            &command("Browser.setDownloadBehavior", text),
        )
        .await;
        assert!(became.is_err(), "{text}");
    }
}
