//! The life of a browser that we start: what it is started with, how it ends, what is left, and what clients are told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bauta::browser::hub::{CallError, FromBrowser, Hub, Notice, SendError, StartError};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::browser_hub_kit::{Browser, LONG, command, launch, none_with, processes_with, settings};

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

async fn notice(notices: &mut Receiver<Notice>) -> Notice {
    timeout(LONG, notices.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_started_with_what_was_said_and_leaves_nothing() {
    let browser = Browser::start().await;
    let [profile] = &browser.profiles()[..] else {
        panic!("one profile");
    };
    let mode = std::fs::metadata(profile).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(
        !profile.join("DevToolsActivePort").exists(),
        "it has no port"
    );

    let pid = browser.hub.process().unwrap();
    assert!(listening(pid).is_empty(), "it listens nowhere");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let names: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
    let has = |name: &str| {
        names
            .iter()
            .any(|entry| entry.starts_with(format!("{name}=").as_bytes()))
    };
    assert!(has("HOME") && has("PATH"));
    // What a crash leaves goes with the profile.
    let config = format!("XDG_CONFIG_HOME={}", profile.display());
    assert!(names.contains(&config.as_bytes()));
    let preferences = std::fs::read(profile.join("Default/Preferences")).unwrap();
    let preferences: serde_json::Value = serde_json::from_slice(&preferences).unwrap();
    assert_eq!(preferences["autofill"]["profile_enabled"], false);
    assert_eq!(preferences["credentials_enable_service"], false);
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "what it must not have"
    );
    assert!(!has("CARGO_MANIFEST_DIR"));
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let line = String::from_utf8(line).unwrap();
    for switch in [
        "--headless",
        "--remote-debugging-pipe",
        "--disable-quic",
        "--no-sandbox",
    ] {
        assert!(line.split('\0').any(|said| said == switch), "{switch}");
    }
    let version = browser.hub.product();
    assert!(version.browser.starts_with("Chrome/"), "{version:?}");
    assert!(version.webkit.starts_with("537.36 (@"), "{version:?}");
    assert_eq!(version.protocol, "1.3");
    assert_eq!(browser.hub.generation(), 1);
    assert_eq!(browser.hub.world().len(), 32);

    let path = profile.to_str().unwrap().to_owned();
    let helpers = async {
        while processes_with(&path).len() <= 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, helpers).await.expect("it has helpers");
    let mut client = browser.join().await;
    browser.hub.stop().await;
    none_with(&path).await;
    assert!(browser.profiles().is_empty());
    assert!(matches!(client.next().await, FromBrowser::Gone(_)));
    let ask = command(1, None, "Browser.getVersion", &json!({}));
    assert_eq!(client.member.send(&ask, None).await, Err(SendError::Gone));
    assert_eq!(
        browser.hub.call(None, "Browser.getVersion", ()).await,
        Err(CallError::Gone)
    );
    assert!(!browser.hub.is_up());
    let late = timeout(LONG / 2, browser.hub.join())
        .await
        .expect("it does not wait for what never comes");
    assert!(late.is_err());
    browser.hub.stop().await;
}

/// Inodes of the sockets on which a process listens for TCP.
fn listening(pid: u32) -> Vec<String> {
    let table =
        |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let tables = table("tcp") + &table("tcp6");
    let listening = tables.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Column 3 is the state, 0A is LISTEN; column 9 is the inode.
        (fields.get(3) == Some(&"0A")).then(|| format!("socket:[{}]", fields[9]))
    });
    let listening: Vec<String> = listening.collect();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let open = open.map(|link| link.to_string_lossy().into_owned());
    open.filter(|link| listening.contains(link)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_a_command_is_said_to_everybody_and_mended() {
    let browser = Browser::start().await;
    let mut notices = browser.hub.notices();
    let mut client = browser.join().await;
    let (page, session) = client.page("about:blank").await;
    let own = browser.hub.own(&page).await.unwrap();
    let mut events = browser.hub.events(Some(&own)).unwrap();
    let before = browser.profiles();

    let never = json!({ "expression": "new Promise(() => {})", "awaitPromise": true });
    let hub = Arc::clone(&browser.hub);
    let (ours, params) = (Arc::clone(&own), never.clone());
    let call = tokio::spawn(async move { hub.call(Some(&ours), "Runtime.evaluate", params).await });
    client.send(Some(&session), "Runtime.evaluate", never).await;
    // An answer to what came after says that both have come.
    browser
        .hub
        .call(Some(&own), "Runtime.enable", ())
        .await
        .unwrap();
    kill(browser.hub.process().unwrap());

    assert_eq!(
        timeout(LONG / 2, call).await.unwrap().unwrap(),
        Err(CallError::Gone)
    );
    let reason = loop {
        match client.next().await {
            FromBrowser::Gone(reason) => break reason,
            FromBrowser::Reply { id, .. } => panic!("{id} is not answered"),
            FromBrowser::Event { .. } => {}
        }
    };
    assert!(!reason.is_empty());
    while timeout(LONG, events.next()).await.unwrap().is_some() {}
    assert!(matches!(notice(&mut notices).await, Notice::Lost(how) if how.contains("signal: 9")));
    assert_eq!(notice(&mut notices).await, Notice::Restarted(2));
    assert_eq!(browser.hub.generation(), 2);

    // Nothing of before is valid, nothing of it is left, and a new client finds a new browser.
    let ask = command(9, None, "Browser.getVersion", &json!({}));
    assert_eq!(client.member.send(&ask, None).await, Err(SendError::Gone));
    assert!(client.member.target_of(None).is_none());
    let call = browser.hub.call(Some(&own), "Runtime.enable", ()).await;
    assert_eq!(call, Err(CallError::NotYours));
    let after = browser.profiles();
    assert!(after.len() == 1 && after != before);
    let mut again = browser.join().await;
    assert_ne!(again.member.id, client.member.id);
    let (_, session) = again.page("about:blank").await;
    drop(client);
    assert_eq!(again.evaluate(&session, "6*7").await, json!(42));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_while_the_browser_is_down_waits_for_it() {
    let browser = Browser::start().await;
    let mut notices = browser.hub.notices();
    kill(browser.hub.process().unwrap());
    assert!(matches!(notice(&mut notices).await, Notice::Lost(_)));
    let mut client = browser.join().await;
    client.must(None, "Browser.getVersion", json!({})).await;
    assert_eq!(browser.hub.generation(), 2);
}

/// A program that is started as a browser, from a shell script.
fn program(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn start_error(change: impl FnOnce(&Path, &mut bauta::browser::Settings)) -> StartError {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(folder.path());
    change(folder.path(), &mut settings);
    let profiles = folder.path().join("profiles");
    let started = timeout(LONG, Hub::start(Arc::new(settings))).await;
    let error = started
        .expect("it gives up in time")
        .err()
        .expect("it does not start");
    let left = std::fs::read_dir(profiles).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no profile stays behind: {error}");
    // No process either.
    none_with(folder.path().to_str().unwrap()).await;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_start_says_why_and_leaves_nothing() {
    let missing =
        |_: &Path, settings: &mut _| launch(settings).executable = "no-such-browser".into();
    let error = start_error(missing).await;
    assert!(matches!(error, StartError::NotFound(_)), "{error:?}");
    assert!(error.to_string().contains("Install Chromium"), "{error}");

    let folder = |folder: &Path, settings: &mut _| launch(settings).executable = folder.to_owned();
    let error = start_error(folder).await;
    assert!(matches!(error, StartError::Spawn { .. }), "{error:?}");

    let ends = |folder: &Path, settings: &mut _| {
        launch(settings).executable = program(folder, "echo 'no libraries\x1b' >&2; exit 3");
    };
    let error = start_error(ends).await.to_string();
    assert!(
        error.contains("exit status: 3") && error.contains("It said: no libraries"),
        "{error}"
    );
    assert!(
        !error.contains('\x1b'),
        "a terminal is not for a browser to write on"
    );

    let silent = |folder: &Path, settings: &mut bauta::browser::Settings| {
        settings.limits.command_timeout = Duration::from_millis(200);
        // With a helper of its own, which ends with it.
        launch(settings).executable = program(folder, "sleep 1000 & exec sleep 1000");
    };
    let error = start_error(silent).await.to_string();
    assert!(error.contains("does not answer"), "{error}");

    let garbage = |folder: &Path, settings: &mut bauta::browser::Settings| {
        settings.limits.command_timeout = Duration::from_millis(200);
        let script = r#"printf 'nonsense\0{"id":1}\0{"id":-2147483648,"result":5}\0\0\0' >&4; exec sleep 1000"#;
        launch(settings).executable = program(folder, script);
    };
    let error = start_error(garbage).await;
    assert!(matches!(error, StartError::Silent { .. }), "{error:?}");

    let no_folder = |folder: &Path, settings: &mut _| {
        let file = folder.join("file");
        std::fs::write(&file, "").unwrap();
        launch(settings).profiles = file.join("profiles");
    };
    let error = start_error(no_folder).await;
    assert!(matches!(error, StartError::Profile { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_opens_a_door_is_refused_whoever_says_it() {
    for switch in [
        "--remote-debugging-port=0",
        "--ignore-certificate-errors",
        "-remote-debugging-port=0",
    ] {
        let said = |_: &Path, settings: &mut _| launch(settings).args.push(switch.to_owned());
        let error = start_error(said).await;
        assert!(matches!(error, StartError::Switch(_)), "{error:?}");
    }
    // Not only the configuration says switches: so do the wrappers that distributions put before the program.
    let wrapped = |folder: &Path, settings: &mut bauta::browser::Settings| {
        let real = launch(settings).executable.clone();
        let script = format!("exec {} --remote-debugging-port=0 \"$@\"", real.display());
        launch(settings).executable = program(folder, &script);
    };
    let error = start_error(wrapped).await.to_string();
    assert!(error.contains("--remote-debugging-port"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_that_a_killed_sidecar_left_behind_are_removed_and_no_others() {
    let folder = TempDir::new().unwrap();
    let settings = settings(folder.path());
    let profiles = folder.path().join("profiles");
    let make = |name: &str| {
        let path = profiles.join(name);
        std::fs::create_dir_all(path.join("Default")).unwrap();
        std::fs::write(path.join("Default/Cookies"), "").unwrap();
        std::fs::File::create(path.join("bauta.lock")).unwrap()
    };
    drop(make("bauta-browser-1"));
    let used = make("bauta-browser-2");
    rustix::fs::flock(&used, FlockOperation::LockExclusive).unwrap();
    drop(make("somebody-elses"));
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("bauta.lock"), "").unwrap();
    std::os::unix::fs::symlink(&outside, profiles.join("bauta-browser-3")).unwrap();

    let hub = Hub::start(Arc::new(settings)).await.unwrap();
    hub.stop().await;
    let left = std::fs::read_dir(&profiles).unwrap();
    let mut left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["bauta-browser-2", "bauta-browser-3", "somebody-elses"]
    );
    assert!(outside.join("bauta.lock").exists());
}
