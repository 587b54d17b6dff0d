//! What goes wrong in and around a page: other schemes, redirects, frames in the way, clients and browsers that go in the middle,
//! messages of 100 MB, pages that reach for our port; and every way to read back what was typed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bauta::browser::Upstream;
use serde_json::{Value, json};

use crate::browser_endpoint_kit::{Bauta, Cdp, PASSWORD, PATIENCE, eventually, log, site};
use crate::browser_hub_attach::Foreign;
use crate::browser_hub_kit::processes_with;
use crate::browser_kit::{CLIENTS, Kit};

const VALUE: &str = "in-the-wrong-place/\u{f6}";
const SECRETS: &str = r#"{"HOME": {"x_home": "in-the-wrong-place/ö"}, "SECURE": {"x_secure": "in-the-wrong-place/ö"},
    "http://127.0.0.1:*": {"x_any_port": "in-the-wrong-place/ö"}}"#;

/// A page whose only field has the focus.
const FIELD: &str = "<input id=a><script>onload = () => a.focus()</script>";

/// Fails if an origin was sent the value, or a part of it; what it was still to be sent comes before its answer here.
async fn saw_nothing(kit: &mut Kit, origin: &str) {
    kit.site.page("/end", "the end");
    kit.open(&format!("{origin}/end")).await;
    let saw = kit.site.saw(origin).concat();
    assert!(saw.contains("/end"));
    for part in [VALUE, "in-the-wrong", "wrong-place"] {
        assert!(!saw.contains(part), "{origin} was sent the value");
    }
}

#[test]
fn p2_what_belongs_to_https_is_not_typed_on_http() {
    Kit::run(SECRETS, async |kit| {
        kit.site.page("/in", FIELD);
        let home = kit.site.home();
        let tab = kit.open(&format!("{home}/in")).await;
        for text in ["x_secure", "{{x_secure}}", "a <secret>x_secure</secret> b"] {
            let error = kit.insert(&tab, text).await.unwrap_err();
            assert!(error.starts_with("x_secure was not typed: "), "{error}");
            assert!(error.contains("https://"), "{error}");
        }
        for client in CLIENTS {
            let error = kit.type_as(client, &tab, "%x_secure%").await.unwrap_err();
            assert!(error.starts_with("x_secure was not typed: "), "{error}");
        }
        assert_eq!(kit.eval(&tab, "a.value").await, "");
        // The same value by a name that belongs here.
        assert_eq!(kit.insert(&tab, "x_home").await, Ok(json!({})));
        assert_eq!(kit.eval(&tab, "a.value").await, VALUE);
        kit.audited("the refusal", |event| {
            event["event"] == "refuse" && event["key"] == "x_secure"
        })
        .await;
    });
}

/// A server that sends on whatever asks it, to that address.
fn redirecting(to: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let to = to.clone();
            std::thread::spawn(move || {
                let mut head = [0; 8192];
                let Ok(1..) = stream.read(&mut head) else {
                    return;
                };
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                // A browser that went on is no concern of ours.
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

#[test]
fn p2_a_redirect_between_check_and_insertion_takes_no_value_along() {
    Kit::run(SECRETS, async |kit| {
        kit.site.page("/in", FIELD);
        let (home, other) = (kit.site.home(), kit.site.other());
        // The secret belongs to where the way begins and to where it is sent on, and not to where it ends.
        let way = redirecting(format!("{other}/in"));
        let tab = kit.open(&format!("{home}/in")).await;
        let (mut inserted, mut refused) = (0, 0);
        for n in 0..40 {
            let session = tab.session.clone();
            let back = json!({"url": format!("{home}/in?{n}")});
            kit.call(Some(&session), "Page.navigate", back)
                .await
                .unwrap();
            let there = format!("location.search === '?{n}' && document.activeElement?.id === 'a'");
            kit.until(&tab, &there).await;
            // Some leave so late that a busy machine inserts before.
            let delay = if n % 8 == 7 { 2000 } else { n % 15 };
            let leave = format!("setTimeout(() => location = 'http://{way}/', {delay}); 1");
            kit.eval(&tab, &leave).await;
            match kit.insert(&tab, "{{x_any_port}}").await {
                Ok(_) => inserted += 1,
                Err(error) => {
                    assert!(error.starts_with("x_any_port was not typed: "), "{error}");
                    refused += 1;
                }
            }
            kit.until(&tab, &format!("location.origin === '{other}'"))
                .await;
            // Where it ended it is refused for certain.
            kit.until(&tab, "document.activeElement?.id === 'a'").await;
            let error = kit.insert(&tab, "{{x_any_port}}").await.unwrap_err();
            assert!(error.contains(&other), "{error}");
        }
        assert!(inserted > 0, "no attempt came before the redirect");
        assert_eq!(inserted + refused, 40);
        saw_nothing(kit, &other).await;
    });
}

#[test]
fn p2_a_click_that_a_frame_over_the_field_takes_types_nothing() {
    Kit::run(SECRETS, async |kit| {
        let (home, other) = (kit.site.home(), kit.site.other());
        kit.site.page(
            "/thief",
            "<style>* { margin: 0 } input { width: 100vw; height: 100vh }</style><input id=t>",
        );
        kit.site.page(
            "/over",
            &format!(
                "<input id=a><iframe id=f src={other}/thief style='position: absolute; inset: 0; opacity: 0'></iframe>"
            ),
        );
        let tab = kit.open(&format!("{home}/over")).await;
        let spot = kit
            .eval(
                &tab,
                "(({x, y}) => [x + 5, y + 5])(a.getBoundingClientRect())",
            )
            .await;
        // The frame takes clicks once it is drawn.
        while kit.eval(&tab, "document.activeElement?.id").await != "f" {
            kit.click(&tab, &spot).await;
        }
        let error = loop {
            let error = kit.insert(&tab, "x_home").await.unwrap_err();
            if !error.contains("Look at it again") {
                break error;
            }
        };
        assert!(error.contains(&other), "{error}");
        assert_eq!(kit.eval(&tab, "a.value").await, "");
        saw_nothing(kit, &other).await;
    });
}

#[test]
fn p2_a_blob_takes_no_value_though_its_origin_is_the_pages() {
    Kit::run(SECRETS, async |kit| {
        kit.site.page("/start", "<p>start");
        let home = kit.site.home();
        let blob = "URL.createObjectURL(new Blob(['<input id=a autofocus>'], {type: 'text/html'}))";
        // In a frame, and as a page of its own.
        let framed = kit.open(&format!("{home}/start")).await;
        let frame = format!(
            "{{ const f = document.createElement('iframe'); f.id = 'f'; f.src = {blob}; document.body.append(f); }} 1"
        );
        kit.eval(&framed, &frame).await;
        let field = "document.querySelector('#f').contentDocument?.querySelector('#a')";
        kit.until(
            &framed,
            &format!("{field}?.focus() || {field} === {field}?.ownerDocument.activeElement"),
        )
        .await;
        let whole = kit.open(&format!("{home}/start")).await;
        kit.eval(&whole, &format!("location = {blob}; 1")).await;
        kit.until(&whole, "document.activeElement?.id === 'a'")
            .await;
        for tab in [framed, whole] {
            let error = kit.insert(&tab, "x_home").await.unwrap_err();
            assert!(error.contains("a document of 'blob'"), "{error}");
        }
        let origin = kit.site.saw(&home).concat();
        assert!(!origin.contains("wrong-place"), "it was typed");
    });
}

/// The page that a placeholder is typed into. It has everything by which a client could read a field back.
fn account() -> String {
    site(
        "text/html; charset=utf-8",
        br"<!doctype html><input id=a aria-label=Field><div id=d></div><script>
            addEventListener('input', () => { d.textContent = a.value; document.title = a.value; localStorage.kept = a.value; });
        </script>"
            .to_vec(),
    )
}

/// A page of its own with that text typed into its field.
fn typed(client: &mut Cdp, url: &str, text: &str) -> (String, String) {
    let (target, session) = client.page(url);
    client.evaluate(&session, "a.focus()");
    client.must(Some(&session), "Input.insertText", &json!({ "text": text }));
    (target, session)
}

#[test]
fn p1_what_was_typed_is_read_back_by_name_in_every_way() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let url = account();
    let (_, session) = typed(&mut client, &url, "x_password");
    let on = Some(&*session);
    client.enable(
        &session,
        [
            "Runtime",
            "Network",
            "DOM",
            "Accessibility",
            "DOMStorage",
            "Page",
        ],
    );
    let evaluate = |expression: &str| json!({ "expression": expression, "returnByValue": true, "awaitPromise": true, "generatePreview": true });
    let post = "fetch('/x', { method: 'POST', body: JSON.stringify({ v: a.value }), headers: { 'x-v': encodeURIComponent(a.value) } })
        .then(() => 'sent')";
    let origin = json!({ "securityOrigin": url.trim_end_matches('/'), "isLocalStorage": true });
    // What is asked; the event that tells it, if it is not the answer.
    let ways: [(&str, Value, Option<&str>); 14] = [
        ("Runtime.evaluate", evaluate("a.value"), None),
        (
            "Runtime.evaluate",
            evaluate("({ o: [a.value, { p: a.value }] })"),
            None,
        ),
        (
            "Runtime.evaluate",
            evaluate("throw new Error('no ' + a.value)"),
            None,
        ),
        (
            "Runtime.evaluate",
            evaluate("setTimeout(() => { throw new TypeError(a.value) }); 1"),
            Some("Runtime.exceptionThrown"),
        ),
        (
            "Runtime.evaluate",
            evaluate("console.warn('it is', a.value, { v: a.value }); 1"),
            Some("Runtime.consoleAPICalled"),
        ),
        (
            "Runtime.evaluate",
            evaluate(post),
            Some("Network.requestWillBeSent"),
        ),
        (
            "Runtime.evaluate",
            evaluate("history.pushState(0, '', '#' + a.value); 1"),
            Some("Page.navigatedWithinDocument"),
        ),
        (
            "Runtime.evaluate",
            evaluate("a.setAttribute('data-v', a.value); 1"),
            Some("DOM.attributeModified"),
        ),
        (
            "DOM.getDocument",
            json!({ "depth": -1, "pierce": true }),
            None,
        ),
        (
            "DOMSnapshot.captureSnapshot",
            json!({ "computedStyles": [] }),
            None,
        ),
        ("Page.captureSnapshot", json!({}), None),
        ("Accessibility.getFullAXTree", json!({}), None),
        (
            "DOMStorage.getDOMStorageItems",
            json!({ "storageId": origin }),
            None,
        ),
        ("Page.getNavigationHistory", json!({}), None),
    ];
    // Attributes are told of nodes that the client knows.
    client.must(on, "DOM.getDocument", &json!({ "depth": -1 }));
    for (method, params, event) in ways {
        client.seen.clear();
        let answer = client.ask(on, method, &params);
        let told = event
            .map_or(answer, |event| client.event(event))
            .to_string();
        assert!(told.contains("x_password"), "{method} {params}: {told}");
    }
    for part in ["Tr0ub", "VHIwdWI"] {
        assert!(!client.came.contains(part), "it was told");
    }
}

#[test]
fn a_client_that_goes_while_it_types_leaves_nothing_half_done() {
    // A silence between two keys would let what was typed so far into the page.
    let bauta = Bauta::start(|settings| settings.limits.typing_pause = PATIENCE);
    let url = account();
    let mut gone = bauta.connect();
    let (target, session) = gone.page(&url);
    gone.evaluate(&session, "a.focus()");
    for c in "x_passw".chars() {
        let text = c.to_string();
        let key = json!({ "type": "keyDown", "key": text, "text": text });
        gone.must(Some(&session), "Input.dispatchKeyEvent", &key);
    }
    // What was held went with it. The next client's keys complete nothing of another's.
    drop(gone);
    let mut client = bauta.connect();
    let session = client.attach(&target);
    for text in ["o", "r", "d"] {
        let key = json!({ "type": "keyDown", "key": text, "text": text });
        client.must(Some(&session), "Input.dispatchKeyEvent", &key);
    }
    assert_eq!(client.evaluate(&session, "a.value"), "ord");

    // Those that go while the page takes its time over what was inserted: it is free again, and the next client works.
    let slow = site(
        "text/html",
        b"<input id=a oninput=\"const t = Date.now(); while (Date.now() - t < 300);\">".to_vec(),
    );
    for _ in 0..3 {
        let mut gone = bauta.connect();
        let (target, session) = gone.page(&slow);
        gone.evaluate(&session, "a.focus()");
        let text = json!({ "text": "x_password" });
        gone.send(Some(&session), "Input.insertText", &text);
        drop(gone);
        let session = client.attach(&target);
        let value = client.evaluate(&session, "a.value");
        assert!(value == "x_password" || value == "", "{value}");
        // All of it or nothing, and not as its name.
        let length = client.evaluate(&session, "a.value.length");
        let whole = PASSWORD.chars().count();
        assert!(length == whole || length == 0, "{length}");
    }
    assert!(!client.came.contains("Tr0ub"));
}

/// Ends the browser that has its profile in the test's folder.
fn kill(bauta: &Bauta) {
    for pid in processes_with(bauta.state.path().to_str().unwrap()) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        // Its children may be gone before their turn comes.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn p5_a_browser_that_ends_while_a_value_is_inserted_is_mended_and_the_use_is_in_the_log() {
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let stuck = site(
        "text/html",
        b"<input id=a oninput=\"alert('typed')\">".to_vec(),
    );
    let (_, session) = client.page(&stuck);
    client.evaluate(&session, "a.focus()");
    client.send(
        Some(&session),
        "Input.insertText",
        &json!({ "text": "x_password" }),
    );
    client.event("Page.javascriptDialogOpening");
    kill(&bauta);
    let end = client.end();
    assert!(end.starts_with("1011"), "{end}");
    // The new browser, by the same door, takes values again.
    assert!(eventually(|| bauta.get("/json/list").0 == 200));
    assert!(eventually(|| bauta.ready().is_ok()));
    let mut client = bauta.connect();
    let (_, session) = typed(&mut client, &account(), "x_password");
    assert_eq!(client.evaluate(&session, "a.value"), "x_password");
    drop(client);
    let state = bauta.stop();
    let log = std::fs::read_to_string(log(&state)).unwrap();
    assert_eq!(log.matches("\"event\":\"substitute\"").count(), 2, "{log}");
    assert!(!log.contains("Tr0ub"));
}

#[test]
fn p8_heavy_messages_of_100_mb_harm_nobody() {
    const LARGE: usize = 100 << 20;
    let bauta = Bauta::start(|_| {});
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let mut other = bauta.connect();
    let (_, quiet) = other.page("about:blank");
    // A command: Chromium would end at it, so it does not get there.
    let command = json!({ "expression": format!("'{}'.length", "y".repeat(LARGE)) });
    let answer = client.ask(Some(&session), "Runtime.evaluate", &command);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(
        !message.is_empty() && message.len() < 1000,
        "{} bytes",
        answer.to_string().len()
    );
    drop(command);
    // An answer: it comes whole, masked.
    let tail = format!("'y'.repeat({LARGE}) + ' Tr0ub&dor\"3/' + String.fromCharCode(246)");
    let value = client.evaluate(&session, &tail);
    let value = value.as_str().unwrap();
    assert_eq!(value.len(), LARGE + " x_password".len());
    assert!(value.ends_with("y x_password"));
    assert_eq!(other.evaluate(&quiet, "6 * 7"), 42);
    assert!(bauta.ready().is_ok());
}

#[test]
fn a_debugging_port_that_nobody_answers_is_said_to_clients() {
    let folder = tempfile::tempdir().unwrap();
    let mut foreign = Foreign::start(folder.path(), 0);
    let address = format!("http://127.0.0.1:{}", foreign.port());
    let bauta = Bauta::start(|settings| settings.upstream = Upstream::Attach(address));
    let mut client = bauta.connect();
    client.must(None, "Browser.getVersion", &json!({}));
    let url = format!("ws://{}/devtools/browser", bauta.addr);
    foreign.kill();
    let end = client.end();
    assert!(end.starts_with("1011"), "{end}");
    assert!(eventually(|| bauta.ready().is_err()));
    // Each is told after a wait that has a limit, in case it comes back; none hangs.
    let (listed, joined) = std::thread::scope(|scope| {
        let listed = scope.spawn(|| bauta.get("/json/list").0);
        let joined = scope.spawn(|| bauta.socket(&url).err());
        (listed.join().unwrap(), joined.join().unwrap())
    });
    assert!(matches!(listed, 502..=504), "{listed}");
    assert!(matches!(joined, Some(502..=504)), "{joined:?}");
}

/// What a page of ours at an address makes of an expression.
fn at(client: &mut Cdp, url: &str, expression: &str) -> Value {
    let (_, session) = client.page(url);
    client.evaluate(&session, expression)
}

#[test]
fn a_page_cannot_reach_our_port() {
    let bauta = Bauta::start(|_| {});
    let ours = bauta.addr;
    let mut client = bauta.connect();
    let home = site("text/html", b"<title>A page</title>".to_vec());
    let path = bauta.json("/json/version")["webSocketDebuggerUrl"].clone();
    let path = path
        .as_str()
        .unwrap()
        .split_once("/devtools")
        .unwrap()
        .1
        .to_owned();
    // By our address, by a name of loopback, and by a name that was bound to it anew: it is the same server to the browser.
    for host in ["127.0.0.1", "localhost", "rebound.localhost"] {
        let server = format!("{host}:{}", ours.port());
        let tries = format!(
            "(async () => {{
                const told = [];
                for (const path of ['/json/version', '/json/list', '/json/new?about:blank'])
                    for (const method of ['GET', 'PUT'])
                        told.push(await fetch('http://{server}' + path, {{ method }}).then((it) => it.text(), () => 'failed'));
                told.push(await fetch('http://{server}/json/version', {{ mode: 'no-cors' }}).then((it) => it.type + it.status, () => 'failed'));
                told.push(await new Promise((done) => {{
                    const socket = new WebSocket('ws://{server}/devtools{path}');
                    socket.onopen = () => done('open'); socket.onerror = () => done('failed');
                }}));
                return told;
            }})()"
        );
        let told = at(&mut client, &home, &tries);
        for each in told.as_array().unwrap() {
            assert!(each == "failed" || each == "opaque0", "{server}: {told}");
        }
    }
    // A name that was bound to us after its page came, so that its requests are its own origin's.
    let rebound = format!("http://rebound.localhost:{}/json/version", ours.port());
    let read = at(&mut client, &rebound, "document.body.textContent");
    let read = read.as_str().unwrap();
    assert!(
        !read.contains("webSocketDebuggerUrl") && !read.contains("/devtools/"),
        "{read}"
    );
    // The tabs are those that this client opened.
    let targets = client.must(None, "Target.getTargets", &json!({}));
    let pages = targets["targetInfos"].as_array().unwrap().iter();
    let pages = pages.filter(|info| info["type"] == "page").count();
    assert!(pages <= 5, "{targets}");
    // The same from a program, which may say what it likes of itself.
    for host in [
        "rebound.localhost",
        "evil.example",
        "127.0.0.1.evil.example",
        "[::1].evil.example",
    ] {
        let mut stream = TcpStream::connect(ours).unwrap();
        write!(
            stream,
            "GET /json/version HTTP/1.1\r\nHost: {host}:{}\r\nConnection: close\r\n\r\n",
            ours.port()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
        assert!(!answer.contains("/devtools/"), "{host}: {answer}");
    }
}
