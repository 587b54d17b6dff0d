//! The browser channel's endpoint and its WebSocket, with a real browser behind: who may ask, what is answered, how it ends.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::browser_endpoint_kit::{Bauta, Cdp, eventually, site};

fn code(answer: &Value) -> i64 {
    answer["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn the_requests_of_chrome() {
    let bauta = Bauta::start(|settings| settings.hosts.push("bauta.internal".to_owned()));
    let addr = bauta.addr;
    let version = bauta.json("/json/version/");
    assert!(
        version["Browser"].as_str().unwrap().contains("Chrom"),
        "{version}"
    );
    let url = version["webSocketDebuggerUrl"].as_str().unwrap();
    assert!(
        url.starts_with(&format!("ws://{addr}/devtools/browser/")),
        "{url}"
    );
    // As the client called us; chromedriver leaves out the port.
    for (host, shown) in [
        ("localhost:9", "localhost:9".to_owned()),
        ("bauta.internal", "bauta.internal".to_owned()),
        ("127.0.0.1", addr.to_string()),
        ("localhost", addr.to_string()),
    ] {
        let (_, body) = bauta.ask(&format!("GET /json/version HTTP/1.1\r\nHost: {host}"));
        let version: Value = serde_json::from_str(&body).unwrap();
        let url = version["webSocketDebuggerUrl"].as_str().unwrap();
        assert!(url.starts_with(&format!("ws://{shown}/")), "{host}: {url}");
    }
    for (head, expected) in [
        ("GET /json/version HTTP/1.1\r\nHost: evil.example", 421),
        (
            "GET /json/version HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost",
            403,
        ),
        (
            "GET /json/list HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none",
            403,
        ),
        ("GET /json/version HTTP/1.1\r\nX: y", 400),
        ("POST /json/list HTTP/1.1\r\nHost: localhost", 405),
        ("GET / HTTP/1.1\r\nHost: localhost", 404),
        ("GET /json/close/NONE HTTP/1.1\r\nHost: localhost", 404),
        ("GET /json/activate/NONE HTTP/1.1\r\nHost: localhost", 404),
        ("GET /devtools/page/NONE HTTP/1.1\r\nHost: localhost", 426),
        (
            "PUT /json/new?file:///etc/passwd HTTP/1.1\r\nHost: localhost",
            403,
        ),
        (
            "PUT /json/new?chrome://version HTTP/1.1\r\nHost: localhost",
            403,
        ),
        (
            "PUT /json/new?%66ile:///etc/passwd HTTP/1.1\r\nHost: localhost",
            403,
        ),
    ] {
        let (status, body) = bauta.ask(head);
        assert_eq!(status, expected, "{head}: {body}");
        assert!(body.len() > 10, "{head}: {body}");
    }
    let page = site("text/html", b"<title>T</title>".to_vec());
    let (status, body) = bauta.ask(&format!("PUT /json/new?{page} HTTP/1.1\r\nHost: {addr}"));
    assert_eq!(status, 200, "{body}");
    let made: Value = serde_json::from_str(&body).unwrap();
    let id = made["id"].as_str().unwrap();
    let listed = || {
        let all = bauta.json("/json/list");
        let all = all.as_array().unwrap();
        assert!(
            all.iter()
                .all(|it| it["type"] != "browser_ui" && it["type"] != "tab")
        );
        all.iter().find(|it| it["id"] == id).cloned()
    };
    assert!(eventually(|| listed().is_some_and(|it| it["title"] == "T")));
    assert_eq!(bauta.get(&format!("/json/activate/{id}")).0, 200);
    assert_eq!(bauta.get(&format!("/json/close/{id}")).0, 200);
    assert!(eventually(|| listed().is_none()));
    let protocol = bauta.json("/json/protocol");
    assert!(protocol["domains"].as_array().unwrap().len() > 40);
    for path in [
        "/devtools/browser/other",
        "/devtools/page/NONE",
        "/json/version",
    ] {
        assert_eq!(
            bauta.socket(&format!("ws://{addr}{path}")).err(),
            Some(404),
            "{path}"
        );
    }
}

#[test]
fn a_token_is_asked_for_everywhere() {
    let token = "0123456789abcdef0123456789abcdef";
    let bauta = Bauta::start(|settings| {
        settings.token = Some(token.to_owned());
        settings.limits.max_clients = 1;
    });
    let addr = bauta.addr;
    for path in [
        "/json/version",
        "/json/list",
        "/",
        "/devtools/browser",
        "/0123/json/version",
    ] {
        let (status, body) = bauta.get(path);
        assert_eq!((status, body.contains(token)), (401, false), "{path}");
    }
    assert_eq!(
        bauta.socket(&format!("ws://{addr}/devtools/browser")).err(),
        Some(401)
    );
    for path in [
        format!("/{token}/json/version/"),
        format!("/json/version?token={token}"),
    ] {
        let version = bauta.json(&path);
        let url = version["webSocketDebuggerUrl"].as_str().unwrap();
        assert!(url.contains(token), "{url}");
        // The one place is free again after each.
        let mut client = eventually_connect(&bauta, url);
        client.must(None, "Browser.getVersion", &json!({}));
        assert_eq!(bauta.socket(url).err(), Some(503));
        client.must(None, "Browser.close", &json!({}));
        client.end();
    }
}

fn eventually_connect(bauta: &Bauta, url: &str) -> Cdp {
    let mut client = None;
    assert!(eventually(|| {
        client = bauta.socket(url).ok();
        client.is_some()
    }));
    client.unwrap()
}

/// A client's frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

fn raw(client: &mut Cdp, bytes: &[u8]) {
    let stream: &mut TcpStream = client.socket.get_mut();
    stream.write_all(bytes).unwrap();
}

#[test]
fn messages_are_held_to_the_rules() {
    let bauta = Bauta::start(|settings| settings.limits.max_message_bytes = 1 << 20);
    // How each ends.
    for (bytes, expected) in [
        (frame(0x82, b"binary"), "1003"),
        (frame(0x81, b"\xff\xfe"), "1007"),
        (vec![0x81, 0x05, 1, 2, 3, 4, 5], "1002"),
        (
            vec![0x81, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0],
            "1009",
        ),
        (frame(0xc1, b"not offered"), "1002"),
        (frame(0x88, &1000_u16.to_be_bytes()), "1000"),
    ] {
        let mut client = bauta.connect();
        raw(&mut client, &bytes);
        let end = client.end();
        assert!(end.starts_with(expected), "{end} {expected}");
    }
    let mut client = bauta.connect();
    // Fragments with a ping between them are one message.
    let text = br#"{"id":77,"method":"Browser.getVersion"}"#;
    raw(&mut client, &frame(0x01, &text[..9]));
    raw(&mut client, &frame(0x89, b"ping"));
    raw(&mut client, &frame(0x80, &text[9..]));
    assert!(matches!(client.socket.read(), Ok(Message::Pong(payload)) if &payload[..] == b"ping"));
    assert!(client.answer(77)["result"]["product"].is_string());
    // What is no command is answered, and the connection goes on.
    for (text, expected, has_id) in [
        ("nonsense", -32700, false),
        ("{\"id\":1,\"method\":\"A\"", -32700, true),
        ("[]", -32600, false),
        (
            "{\"id\":1.5,\"method\":\"Browser.getVersion\"}",
            -32600,
            false,
        ),
        (
            "{\"id\":\"1\",\"method\":\"Browser.getVersion\"}",
            -32600,
            false,
        ),
        (
            "{\"id\":2147483648,\"method\":\"Browser.getVersion\"}",
            -32600,
            false,
        ),
        ("{\"id\":5}", -32600, true),
        ("{\"id\":5,\"method\":\"Nothing.here\"}", -32601, true),
        (
            "{\"id\":5,\"method\":\"Browser.getVersion\",\"sessionId\":\"F00\"}",
            -32001,
            true,
        ),
        (
            "{\"id\":5,\"method\":\"Target.exposeDevToolsProtocol\"}",
            -32000,
            true,
        ),
    ] {
        client.say(text);
        let answer = client.read().unwrap();
        assert_eq!(code(&answer), expected, "{text}: {answer}");
        assert_eq!(answer.get("id").is_some(), has_id, "{text}: {answer}");
    }
    let version = client.must(None, "Browser.getVersion", &json!({}));
    assert!(version["product"].is_string());
    // A client that leaves takes nobody with it.
    let mut other = bauta.connect();
    other.must(None, "Browser.close", &json!({}));
    assert!(other.end().starts_with("1000"));
    client.must(None, "Browser.getVersion", &json!({}));
}

#[test]
fn a_page_has_an_address_of_its_own() {
    let bauta = Bauta::start(|_| {});
    let mut whole = bauta.connect();
    let (target, _) = whole.page("about:blank");
    let url = format!("ws://{}/devtools/page/{target}", bauta.addr);
    let mut page = bauta.socket(&url).unwrap();
    let two = page.must(None, "Runtime.evaluate", &json!({ "expression": "1 + 1" }));
    assert_eq!(two["result"]["value"], 2);
    page.must(None, "Page.enable", &json!({}));
    page.must(None, "Page.navigate", &json!({ "url": "data:text/html,x" }));
    let loaded = page.event("Page.loadEventFired");
    assert!(loaded.get("sessionId").is_none(), "{loaded}");
    // Nothing of the browser session behind it.
    assert!(!page.came.contains("sessionId"), "{}", page.came);
    assert!(!page.came.contains("Target."), "{}", page.came);
    whole.must(None, "Target.closeTarget", &json!({ "targetId": target }));
    assert!(page.end().starts_with("1000"));
}

#[test]
fn a_client_frees_the_page_that_a_handler_waits_for() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let page = "<input id=i oninput=\"alert('typed')\">"
        .as_bytes()
        .to_vec();
    let (_, session) = client.page(&site("text/html", page));
    client.evaluate(&session, "document.getElementById('i').focus()");
    let text = json!({ "text": "x_password" });
    let typed = client.send(Some(&session), "Input.insertText", &text);
    // What comes after it waits, but for what frees the page.
    let read = json!({ "expression": "document.getElementById('i').value.length" });
    let after = client.send(Some(&session), "Runtime.evaluate", &read);
    client.event("Page.javascriptDialogOpening");
    let handle = json!({ "accept": true });
    client.must(Some(&session), "Page.handleJavaScriptDialog", &handle);
    let done = match client.seen.iter().position(|it| it["id"] == typed) {
        Some(at) => client.seen.remove(at),
        None => client.answer(typed),
    };
    assert!(done.get("error").is_none(), "{done}");
    let length = match client.seen.iter().position(|it| it["id"] == after) {
        Some(at) => client.seen.remove(at),
        None => client.answer(after),
    };
    assert_eq!(length["result"]["result"]["value"], 13, "{length}");
}

#[test]
fn clients_are_told_when_the_browser_or_the_sidecar_ends() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let pid = client.must(None, "SystemInfo.getProcessInfo", &json!({}));
    let pid = pid["processInfo"].as_array().and_then(|all| {
        let browser = all.iter().find(|it| it["type"] == "browser")?;
        browser["id"].as_i64()
    });
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid.unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let end = client.end();
    assert!(end.starts_with("1011"), "{end}");
    // It comes back, and serves.
    assert!(eventually(|| bauta.get("/json/list").0 == 200));
    assert!(eventually(|| bauta.ready().is_ok()));
    let mut client = bauta.connect();
    client.must(None, "Browser.getVersion", &json!({}));
    let stopped = std::thread::spawn(move || drop(bauta.stop()));
    assert!(client.end().starts_with("1001"));
    stopped.join().unwrap();
}
