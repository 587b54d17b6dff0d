//! Keys as clients send them that do not wait for answers, through the whole channel; and other clients beside one that types.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::browser_endpoint_kit::{Bauta, Cdp, PASSWORD, PATIENCE, eventually, log, site};

const PAGE: &str = "<!DOCTYPE html><form action='javascript:void(seen += \"submit \")'><input id=a autofocus></form><script>window.seen = '';
    for (const name of ['keydown', 'input', 'keyup']) addEventListener(name, (event) => { seen += name[3] + (event.key ?? event.data) + ' ' }, true)</script>";

/// A browser that takes no silence for the end of a text: on a busy machine there may be one between any two keys.
fn start() -> Bauta {
    Bauta::start(|settings| settings.limits.typing_pause = PATIENCE)
}

/// A page at the secrets' own address, or under another name, with the focus in its field.
fn page(client: &mut Cdp, is_home: bool) -> String {
    let url = site("text/html", PAGE.into());
    let url = if is_home {
        url
    } else {
        url.replace("127.0.0.1", "localhost")
    };
    let (_, session) = client.page(&url);
    client.evaluate(&session, "a.focus()");
    session
}

/// A text as chromedriver sends it: Shift around what needs it, and its text in all three messages of a key.
fn as_chromedriver(text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for c in text.chars() {
        let is_shifted = c.is_ascii_uppercase() || "_<>{}@:".contains(c);
        let shift = |kind| json!({"type": kind, "key": "Shift", "code": "ShiftLeft", "windowsVirtualKeyCode": 16});
        let (key, text) = if c == '\n' {
            ("Enter".to_owned(), "\r".to_owned())
        } else {
            (c.to_string(), c.to_string())
        };
        all.extend(is_shifted.then(|| shift("rawKeyDown")));
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let number = if c == '\n' { 13 } else { 0 };
            all.push(json!({"type": kind, "text": text, "unmodifiedText": text, "key": key, "windowsVirtualKeyCode": number,
                "modifiers": if is_shifted { 8 } else { 0 }}));
        }
        all.extend(is_shifted.then(|| shift("keyUp")));
    }
    all
}

/// A text as Playwright and Puppeteer send it.
fn as_puppeteer(text: &str) -> Vec<Value> {
    let chars = text.chars().map(|c| c.to_string());
    let keys = chars.map(|c| {
        [
            json!({"type": "keyDown", "text": c, "key": c}),
            json!({"type": "keyUp", "key": c}),
        ]
    });
    keys.flatten().collect()
}

/// Sends messages without waiting, then takes their answers, in whatever order they come: each error.
fn at_once(client: &mut Cdp, session: &str, keys: &[Value]) -> Vec<Option<String>> {
    let send = |key| client.send(Some(session), "Input.dispatchKeyEvent", key);
    let ids: Vec<i64> = keys.iter().map(send).collect();
    let mut answers = HashMap::new();
    while answers.len() < ids.len() {
        let message = client.read().unwrap_or_else(|end| panic!("ended: {end}"));
        if let Some(id) = message["id"].as_i64() {
            let error = message["error"]["message"].as_str().map(str::to_owned);
            answers.insert(id, error);
        }
    }
    ids.iter().map(|id| answers.remove(id).unwrap()).collect()
}

fn values(client: &mut Cdp, session: &str) -> Value {
    client.evaluate(session, "[a.value, seen]")
}

#[test]
fn p2_who_looks_at_the_last_answer_only_hears_of_a_refusal() {
    let bauta = start();
    let mut client = bauta.connect();
    for text in [
        "x_password",
        "<secret>x_password</secret>",
        "x_password@example",
        "x_passwordy and more",
        "x_password\n",
        "X_Y x_password",
    ] {
        let session = page(&mut client, false);
        let told = at_once(&mut client, &session, &as_chromedriver(text));
        let last = told.last().unwrap().as_deref();
        let why = "x_password was not typed: it belongs to http://127.0.0.1:*, the focused frame is http://localhost";
        assert!(
            last.is_some_and(|error| error.starts_with(why)),
            "{text}: {last:?}"
        );
        // From the first refusal on everything was refused, and nothing of it reached the page.
        let first = told.iter().position(Option::is_some).unwrap();
        assert!(
            told[first..].iter().all(|error| error.as_deref() == last),
            "{text}"
        );
        let before = if text.starts_with('X') { "X_Y " } else { "" };
        let seen = values(&mut client, &session);
        assert_eq!(seen[0], before, "{text}");
        let seen = seen[1].as_str().unwrap();
        assert!(
            !seen.contains("p ") && !seen.contains("Enter") && !seen.contains("submit"),
            "{text}: {seen}"
        );
        // Who heard of it may type what it likes.
        let told = at_once(&mut client, &session, &as_chromedriver("plain"));
        assert!(told.iter().all(Option::is_none), "{text}: {told:?}");
        assert_eq!(values(&mut client, &session)[0], format!("{before}plain"));
    }
    // On the value's own site all is as it was.
    let session = page(&mut client, true);
    let told = at_once(
        &mut client,
        &session,
        &as_chromedriver("u:<secret>x_password</secret>@x_password\n"),
    );
    assert!(told.iter().all(Option::is_none), "{told:?}");
    assert_eq!(values(&mut client, &session)[0], "u:x_password@x_password");
    let length = client.evaluate(&session, "[...a.value].length");
    assert_eq!(length, 3 + 2 * PASSWORD.chars().count());
    assert!(eventually(|| values(&mut client, &session)[1]
        .as_str()
        .unwrap()
        .contains("submit")));
    drop(client);
    let state = bauta.stop();
    let log = std::fs::read_to_string(log(&state)).unwrap();
    assert_eq!(log.matches("\"substitute\"").count(), 2);
}

#[test]
fn p2_keys_that_nobody_waited_for_are_refused_press_by_press() {
    let bauta = start();
    let mut client = bauta.connect();
    for (text, completes) in [
        ("x_password", 9),
        ("<secret>x_password</secret>", 26),
        ("a x_password b", 11),
    ] {
        let session = page(&mut client, false);
        let told = at_once(&mut client, &session, &as_puppeteer(text));
        for (at, error) in told.iter().enumerate() {
            assert_eq!(error.is_some(), at / 2 == completes, "{text} {at}");
        }
        let (before, after) = if completes == 11 {
            ("a ", " b")
        } else {
            ("", "")
        };
        assert_eq!(
            values(&mut client, &session)[0],
            format!("{before}{after}"),
            "{text}"
        );
    }
}

#[test]
fn p2_another_client_neither_hears_of_it_nor_decides_it() {
    let bauta = start();
    let (mut client, mut other) = (bauta.connect(), bauta.connect());
    for is_home in [true, false] {
        let url = site("text/html", PAGE.into());
        let url = if is_home {
            url
        } else {
            url.replace("127.0.0.1", "localhost")
        };
        let (target, session) = client.page(&url);
        client.evaluate(&session, "a.focus()");
        let beside = other.attach(&target);
        for key in as_puppeteer("x_passwor") {
            client.must(Some(&session), "Input.dispatchKeyEvent", &key);
            assert_eq!(other.evaluate(&beside, "a.value + seen"), "");
        }
        let told = at_once(&mut client, &session, &as_puppeteer("d"));
        assert!(
            told.iter().all(|error| error.is_some() != is_home),
            "{told:?}"
        );
        assert_eq!(other.evaluate(&beside, "a.value + seen"), "");
        let value = if is_home { "x_password" } else { "" };
        assert_eq!(client.evaluate(&session, "a.value"), value);
        assert_eq!(other.evaluate(&beside, "a.value"), value);
    }
    // A client that goes, right after the key that completes the name: nothing is typed for it.
    let session = page(&mut client, true);
    let told = at_once(&mut client, &session, &as_puppeteer("x_password"));
    assert!(told.iter().all(Option::is_none));
    drop(client);
    drop(other);
    let state = bauta.stop();
    let log = std::fs::read_to_string(log(&state)).unwrap();
    assert_eq!(log.matches("\"substitute\"").count(), 1);
}
