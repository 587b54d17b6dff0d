//! Attacks on the browser channel that once worked, each as it was proved: by a client, with a real browser and the whole channel.

use serde_json::{Value, json};

use crate::browser_endpoint_kit::{Bauta, Cdp, PASSWORD, eventually, site, site_of};

const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>t</title><style>body{margin:0}</style>\
    <input id=u style='position:absolute;left:20px;top:20px;width:300px;height:20px'>";

/// Where the secret belongs, and the same server as another site.
fn home(body: &str) -> (String, String) {
    let home = site("text/html", format!("{PAGE}{body}").into_bytes());
    let other = home.replace("127.0.0.1", "localhost");
    (home, other)
}

fn go(client: &mut Cdp, session: &str, url: &str) {
    client.evaluate(session, "window.isOld = true");
    client.must(Some(session), "Page.navigate", &json!({ "url": url }));
    client.event("Page.loadEventFired");
    // It may have been that of a document before, at the same address even.
    let there =
        format!("!window.isOld && location.href === '{url}' && document.readyState === 'complete'");
    client.until(session, &there);
}

/// Types it where the focus is.
fn insert(client: &mut Cdp, session: &str, text: &str) -> Value {
    client.ask(Some(session), "Input.insertText", &json!({ "text": text }))
}

/// What a field holds: how many letters, as the value itself comes masked.
fn filled(client: &mut Cdp, session: &str) -> usize {
    let length = client.evaluate(session, "document.querySelector('#u').value.length");
    usize::try_from(length.as_u64().unwrap()).unwrap()
}

fn refused(answer: &Value) -> bool {
    answer["error"]["message"].is_string()
}

/// Lets every world of those numbers, and handles that might be ours, say that they are at home.
fn poison(client: &mut Cdp, session: &str, numbers: &[i64], home: &str) {
    let origin = home.trim_end_matches('/');
    let lie = format!(
        "Object.defineProperty(self,'origin',{{configurable:true,get(){{return '{origin}'}}}})"
    );
    let function = format!("function(){{{lie}}}");
    for number in numbers {
        for (method, params) in [
            (
                "Runtime.evaluate",
                json!({"contextId": number, "expression": lie}),
            ),
            (
                "Runtime.callFunctionOn",
                json!({"executionContextId": number, "functionDeclaration": function}),
            ),
            (
                "Runtime.addBinding",
                json!({"executionContextId": number, "name": "origin"}),
            ),
        ] {
            let answer = client.ask(Some(session), method, &params);
            let message = answer["error"]["message"].as_str();
            assert!(message.is_some(), "{method} {number}: {answer}");
        }
    }
}

/// At another site, with our world there under a number that the client was once told.
fn attack_with(client: &mut Cdp, session: &str, numbers: &[i64], home: &str, other: &str) {
    go(client, session, other);
    client.evaluate(
        session,
        "for (let i = 0; i < 5; i++) document.body.append(document.createElement('iframe')); u.focus()",
    );
    assert!(refused(&insert(client, session, "x_password")));
    poison(client, session, numbers, home);
    assert!(refused(&insert(client, session, "x_password")));
    assert_eq!(filled(client, session), 0, "in another site's page");
}

#[test]
fn p2_numbers_of_worlds_that_were_made_lead_to_none_of_ours() {
    let bauta = Bauta::start(|_| {});
    let (home, other) = home("");
    let mut client = bauta.connect();
    let (target, session) = client.page(&home);
    let mut numbers = Vec::new();
    for n in 0..20 {
        let params = json!({"frameId": target, "worldName": format!("w{n}")});
        let made = client.must(Some(&session), "Page.createIsolatedWorld", &params);
        numbers.push(made["executionContextId"].as_i64().unwrap());
    }
    // They are the client's as long as their document is there.
    let params = json!({"contextId": numbers[3], "expression": "self.origin"});
    let said = client.must(Some(&session), "Runtime.evaluate", &params);
    assert_eq!(said["result"]["value"], home.trim_end_matches('/'));
    attack_with(&mut client, &session, &numbers, &home, &other);
    bauta.stop();
}

#[test]
fn p2_numbers_of_before_runtime_disable_lead_to_none_of_ours() {
    let bauta = Bauta::start(|_| {});
    let (home, other) = home("");
    let mut client = bauta.connect();
    let (_, session) = client.page(&home);
    client.must(Some(&session), "Runtime.enable", &json!({}));
    client.evaluate(
        &session,
        "for (let i = 0; i < 30; i++) document.body.append(document.createElement('iframe'))",
    );
    let mut numbers = Vec::new();
    while numbers.len() < 31 {
        let context = client.event("Runtime.executionContextCreated");
        numbers.push(context["params"]["context"]["id"].as_i64().unwrap());
    }
    let last = *numbers.last().unwrap();
    let params = json!({"contextId": last, "expression": "1"});
    client.must(Some(&session), "Runtime.evaluate", &params);
    client.must(Some(&session), "Runtime.disable", &json!({}));
    let answer = client.ask(Some(&session), "Runtime.evaluate", &params);
    let message = answer["error"]["message"].as_str().unwrap();
    assert_eq!(message, "Cannot find context with specified id");
    attack_with(&mut client, &session, &numbers, &home, &other);
    bauta.stop();
}

/// Commands by number that are on their way while the page goes to another process: they find their own context, or none, in the
/// words that clients know.
#[test]
fn p2_numbers_under_way_reach_no_other_context() {
    let bauta = Bauta::start(|_| {});
    let (home, other) = home("");
    let mut client = bauta.connect();
    let (_, session) = client.page(&home);
    let on = Some(&*session);
    client.must(on, "Runtime.enable", &json!({}));
    let main = client.event("Runtime.executionContextCreated");
    let number = main["params"]["context"]["id"].clone();
    let (mut went, mut lost) = (0, 0);
    for round in 0..20 {
        let url = if round % 2 == 0 { &other } else { &home };
        let before = client.evaluate(&session, "self.origin");
        let number = if round == 0 {
            number.clone()
        } else {
            let news = client
                .seen
                .iter()
                .rev()
                .find(|event| event["method"] == "Runtime.executionContextCreated");
            news.unwrap()["params"]["context"]["id"].clone()
        };
        let params =
            json!({"contextId": number, "expression": "self.origin", "returnByValue": true});
        let mut asked = Vec::new();
        for n in 0..10 {
            if n == 3 {
                asked.push(client.send(on, "Page.navigate", &json!({ "url": url })));
            }
            asked.push(client.send(on, "Runtime.evaluate", &params));
        }
        let going = asked[3];
        while !asked.is_empty() {
            let answer = client.read().unwrap();
            let Some(at) = asked.iter().position(|id| answer["id"] == *id) else {
                client.seen.push(answer);
                continue;
            };
            if asked.remove(at) == going {
                continue;
            }
            if let Some(message) = answer["error"]["message"].as_str() {
                let known = [
                    "Cannot find context with specified id",
                    "Inspected target navigated or closed",
                    "Execution context was destroyed.",
                ];
                assert!(known.contains(&message), "{message}");
                lost += 1;
            } else {
                assert_eq!(answer["result"]["result"]["value"], before);
                went += 1;
            }
        }
        client.event("Page.loadEventFired");
        // It may have been that of the document before.
        let there = format!("location.href === '{url}' && document.readyState === 'complete'");
        client.until(&session, &there);
    }
    assert!(went > 0 && lost > 0, "{went} answered, {lost} lost");
    bauta.stop();
}

#[test]
fn p2_nothing_stands_still_while_a_value_is_inserted() {
    let bauta = Bauta::start(|_| {});
    let (home, _) = home("");
    let mut client = bauta.connect();
    let (target, session) = client.page(&home);
    let on = Some(&*session);
    client.must(on, "Runtime.enable", &json!({}));
    client.must(on, "Debugger.enable", &json!({}));
    // Another client of the same page, and a session that enables it anew.
    let mut second = bauta.connect();
    let beside = second.attach(&target);
    for method in ["Debugger.enable", "Debugger.disable", "Debugger.enable"] {
        second.must(Some(&beside), method, &json!({}));
    }
    client.evaluate(
        &session,
        "u.addEventListener('input', () => { debugger; window.went = true; })",
    );
    for method in [
        "Debugger.setSkipAllPauses",
        "Debugger.pause",
        "Debugger.setBreakpointOnFunctionCall",
        "Debugger.setBreakpointByUrl",
        "Debugger.setInstrumentationBreakpoint",
        "Debugger.stepInto",
        "Debugger.stepOver",
        "Debugger.stepOut",
        "Debugger.pauseOnAsyncCall",
        "DOMDebugger.setEventListenerBreakpoint",
        "DOMDebugger.setDOMBreakpoint",
        "DOMDebugger.setInstrumentationBreakpoint",
        "DOMDebugger.setXHRBreakpoint",
        "EventBreakpoints.setInstrumentationBreakpoint",
        "Debugger.setPauseOnExceptions",
        "Debugger.evaluateOnCallFrame",
    ] {
        let params = json!({
            "skip": false, "state": "all", "urlRegex": ".*", "lineNumber": 0, "eventName": "input", "instrumentation": "beforeScriptExecution",
            "objectId": "1.1.1", "nodeId": 1, "type": "subtree-modified", "url": "", "callFrameId": "1.1.1", "expression": "1",
            "parentStackTraceId": {"id": "1"},
        });
        assert!(refused(&client.ask(on, method, &params)), "{method}");
    }
    client.must(on, "Debugger.setSkipAllPauses", &json!({"skip": true}));
    for url in [None, Some(&home)] {
        if let Some(url) = url {
            go(&mut client, &session, url);
            client.evaluate(
                &session,
                "u.addEventListener('input', () => { debugger; window.went = true; })",
            );
        }
        client.evaluate(&session, "u.focus()");
        let typed = insert(&mut client, &session, "x_password");
        assert_eq!(typed["result"], json!({}), "{typed}");
        assert_eq!(client.evaluate(&session, "window.went"), true);
        assert_eq!(filled(&mut client, &session), PASSWORD.chars().count());
    }
    second.must(None, "Target.getTargets", &json!({}));
    for client in [&client, &second] {
        assert!(!client.came.contains("Debugger.paused"));
    }
    bauta.stop();
}

/// The console's `debug` makes a breakpoint, whose condition V8 evaluates in whatever world calls the function.
#[test]
fn p2_no_condition_of_a_breakpoint_is_evaluated() {
    let bauta = Bauta::start(|_| {});
    let (home, other) = home("");
    let mut client = bauta.connect();
    let (target, session) = client.page(&home);
    let mut second = bauta.connect();
    let beside = second.attach(&target);
    let traps = "globalThis.d ??= debug; d(Object.getOwnPropertyDescriptor(Document.prototype, 'activeElement').get, 'globalThis.hit = 1, 0'); \
                 globalThis.called = () => 1; d(called, 'globalThis.hit = 1, 0'); 'set'";
    let console = json!({"expression": traps, "includeCommandLineAPI": true});
    let source = json!({"source": traps, "includeCommandLineAPI": true});
    // The debugger first; a debugger that is disabled again; the functions first.
    second.must(Some(&beside), "Debugger.enable", &json!({}));
    second.must(Some(&beside), "Debugger.disable", &json!({}));
    for _ in 0..2 {
        for (method, params) in [
            ("Runtime.evaluate", &console),
            ("Page.addScriptToEvaluateOnNewDocument", &source),
        ] {
            let answer = second.ask(Some(&beside), method, params);
            assert!(refused(&answer), "{method}: {answer}");
        }
        second.must(Some(&beside), "Debugger.enable", &json!({}));
    }
    // In the same process, in another, and back.
    for url in [None, Some(&other), Some(&home)] {
        if let Some(url) = url {
            go(&mut client, &session, url);
        }
        let set = client.must(Some(&session), "Runtime.evaluate", &console);
        assert_eq!(set["result"]["value"], "set", "{set}");
        let enabled = client.ask(Some(&session), "Debugger.enable", &json!({}));
        assert!(refused(&enabled), "{enabled}");
        let again = "d(called, 'globalThis.hit = 1, 0'); called(); document.activeElement; typeof globalThis.hit";
        assert_eq!(client.evaluate(&session, again), "undefined", "{url:?}");
    }
    bauta.stop();
}

/// With the setting that lets scripts stand still, what is told of them leaves ours out, and handles of ours are refused.
#[test]
fn frames_of_ours_are_not_told_where_pauses_are_allowed() {
    let bauta = Bauta::start(|settings| {
        settings
            .methods
            .insert("Debugger.setSkipAllPauses".to_owned());
    });
    let (home, _) = home("");
    let mut client = bauta.connect();
    let (target, session) = client.page(&home);
    // What is typed holds up its own client.
    let mut second = bauta.connect();
    let beside = second.attach(&target);
    let on = Some(&*beside);
    second.must(on, "Debugger.enable", &json!({}));
    client.evaluate(
        &session,
        "u.addEventListener('input', () => { debugger; }, {once: true}); u.focus()",
    );
    let typing = client.send(
        Some(&session),
        "Input.insertText",
        &json!({"text": "x_password"}),
    );
    let paused = second.event("Debugger.paused");
    let frames = paused["params"]["callFrames"].as_array().unwrap();
    assert_eq!(frames.len(), 1, "the page's listener alone");
    let objects = frames[0]["scopeChain"].as_array().unwrap();
    let theirs = objects[0]["object"]["objectId"].as_str().unwrap();
    let mut parts = theirs.split('.');
    let (isolate, context) = (parts.next().unwrap(), parts.next().unwrap());
    let context: i64 = context.parse().unwrap();
    second.must(
        on,
        "Runtime.getProperties",
        &json!({"objectId": theirs, "ownProperties": true}),
    );
    for other in (1..context + 20).filter(|other| *other != context) {
        for spelling in [
            format!("{isolate}.{other}.1"),
            format!("{isolate}.0{other}.1"),
        ] {
            for method in ["Runtime.getProperties", "Runtime.callFunctionOn"] {
                let params = json!({"objectId": spelling, "functionDeclaration": "function(){return [...this.text].join(' ')}"});
                assert!(refused(&second.ask(on, method, &params)), "{spelling}");
            }
        }
    }
    second.must(on, "Debugger.resume", &json!({}));
    assert_eq!(client.answer(typing)["result"], json!({}));
    bauta.stop();
}

fn mouse(client: &mut Cdp, session: &str, kind: &str, at: (i32, i32), more: &Value) -> Value {
    let mut params = json!({"type": kind, "x": at.0, "y": at.1, "button": "left", "clickCount": 1});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    client.ask(Some(session), "Input.dispatchMouseEvent", &params)
}

/// Drags what is selected in the field down to the frame below it.
fn drag(client: &mut Cdp, session: &str) {
    let none = json!({"button": "none", "buttons": 0});
    mouse(client, session, "mouseMoved", (40, 30), &none);
    let held = json!({"buttons": 1});
    mouse(client, session, "mousePressed", (40, 30), &held);
    for step in 0..12 {
        let at = (40 + step * 4, 30 + step * 13);
        mouse(client, session, "mouseMoved", at, &held);
    }
    mouse(client, session, "mouseReleased", (100, 178), &json!({}));
}

/// A page at home with a frame of another site over its lower half; the client's sessions on both.
fn framed(client: &mut Cdp) -> (String, String) {
    let inside = site(
        "text/html",
        b"<style>body{margin:0}</style><input id=u style='position:absolute;left:10px;top:10px;width:300px;height:30px'>".to_vec(),
    );
    let inside = inside.replace("127.0.0.1", "localhost");
    let (home, _) = home(&format!(
        "<iframe src='{inside}' style='position:absolute;left:20px;top:150px;width:500px;height:100px;border:0'></iframe>"
    ));
    let (target, session) = client.page(&home);
    let mut frame = None;
    assert!(eventually(|| {
        let targets = client.must(None, "Target.getTargets", &json!({"filter": [{}]}));
        let targets = targets["targetInfos"].as_array().unwrap();
        let found = targets
            .iter()
            .find(|info| info["type"] == "iframe" && info["parentId"] == *target);
        frame = found.map(|info| info["targetId"].as_str().unwrap().to_owned());
        frame.is_some()
    }));
    let inner = client.attach(&frame.unwrap());
    client.until(
        &inner,
        "document.readyState === 'complete' && document.querySelector('#u')",
    );
    // The mouse gets there once the frame is drawn.
    let count = "window.moved = 0; addEventListener('mousemove', () => moved++)";
    client.evaluate(&inner, count);
    let none = json!({"button": "none", "buttons": 0});
    let mut x = 100;
    assert!(eventually(|| {
        x = 201 - x;
        mouse(client, &session, "mouseMoved", (x, 178), &none);
        client.evaluate(&inner, "moved > 0") == true
    }));
    (session, inner)
}

#[test]
fn p2_a_value_is_not_moved_by_mouse_or_keys() {
    let bauta = Bauta::start(|settings| {
        if let bauta::browser::Upstream::Launch(launch) = &mut settings.upstream {
            launch.args.push("--site-per-process".to_owned());
        }
    });
    let mut client = bauta.connect();
    // Before there is a value, text is dragged as ever: this is the control.
    let (session, inner) = framed(&mut client);
    let select = "u.focus(); u.select(); u.value.length";
    client.evaluate(&session, &format!("u.value = 'some text'; {select}"));
    drag(&mut client, &session);
    assert!(eventually(|| filled(&mut client, &inner) > 0));

    let (session, inner) = framed(&mut client);
    client.evaluate(&session, "u.focus()");
    let typed = insert(&mut client, &session, "x_password");
    assert_eq!(typed["result"], json!({}), "{typed}");
    client.evaluate(
        &session,
        &format!(
            "window.log = []; for (const k of ['dragstart', 'dragend', 'click']) \
        addEventListener(k, () => log.push(k), true); {select}"
        ),
    );
    drag(&mut client, &session);
    // The page is told that the drag ended, and goes on.
    assert!(eventually(|| {
        let log = client.evaluate(&session, "log.join(' ')");
        log == "dragstart dragend"
    }));
    for middle in ["mousePressed", "mouseReleased"] {
        let more = json!({"button": "middle"});
        let answer = mouse(&mut client, &session, middle, (100, 175), &more);
        assert!(refused(&answer), "{middle}");
    }
    let click = |client: &mut Cdp, at| {
        for kind in ["mousePressed", "mouseReleased"] {
            assert!(!refused(&mouse(client, &session, kind, at, &json!({}))));
        }
    };
    click(&mut client, (100, 175));
    for commands in [
        json!(["PasteGlobalSelection"]),
        json!(["selectAll", "yank:"]),
    ] {
        let params = json!({"type": "rawKeyDown", "key": "v", "commands": commands});
        assert!(refused(&client.ask(
            Some(&session),
            "Input.dispatchKeyEvent",
            &params
        )));
    }
    assert_eq!(filled(&mut client, &inner), 0, "in another site's frame");
    assert_eq!(filled(&mut client, &session), PASSWORD.chars().count());
    click(&mut client, (100, 30));
    assert!(eventually(|| {
        let log = client.evaluate(&session, "log.join(' ')");
        log == "dragstart dragend click"
    }));
    assert!(!client.came.contains("Input.dragIntercepted"));

    // A client that takes drags itself gets them, masked.
    let take = json!({"enabled": true});
    client.must(Some(&session), "Input.setInterceptDrags", &take);
    client.evaluate(&session, select);
    drag(&mut client, &session);
    let taken = client.event("Input.dragIntercepted");
    assert!(taken.to_string().contains("x_password") && !client.came.contains("Tr0ub"));
    let data = &taken["params"]["data"];
    let params = json!({"type": "dragCancel", "x": 1, "y": 1, "data": data});
    client.must(Some(&session), "Input.dispatchDragEvent", &params);
    bauta.stop();
}

/// Navigates, and answers or alters the request that waits; what becomes of a placeholder typed there.
fn typed_into(
    client: &mut Cdp,
    session: &str,
    url: &str,
    method: &str,
    mut params: Value,
) -> Value {
    let on = Some(session);
    let patterns = json!({"patterns": [{"urlPattern": url}]});
    client.must(on, "Fetch.enable", &patterns);
    let going = client.send(on, "Page.navigate", &json!({ "url": url }));
    let paused = client.event("Fetch.requestPaused");
    params["requestId"] = paused["params"]["requestId"].clone();
    client.must(on, method, &params);
    client.answer(going);
    client.must(on, "Fetch.disable", &json!({}));
    assert!(eventually(|| {
        client.evaluate(session, "document.readyState === 'complete' && (document.querySelector('input')?.focus(), true)") == true
    }));
    insert(client, session, "x_password")
}

#[test]
fn p2_answers_of_a_client_are_its_documents_whatever_their_status() {
    let bauta = Bauta::start(|_| {});
    let (home, other) = home("");
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    // <input id=u autofocus>
    let body = "PGlucHV0IGlkPXUgYXV0b2ZvY3VzPg==";
    for (code, location) in [
        (200, None),
        (300, Some("/next")),
        (302, None),
        (302, Some("")),
        (302, Some("http://[")),
        (307, Some("//[")),
    ] {
        let mut headers = vec![json!({"name": "content-type", "value": "text/html"})];
        headers.extend(location.map(|to| json!({"name": "Location", "value": to})));
        let params = json!({"responseCode": code, "responseHeaders": headers, "body": body});
        let url = format!("{home}fake");
        let typed = typed_into(&mut client, &session, &url, "Fetch.fulfillRequest", params);
        let message = typed["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("made or changed by a client"),
            "{code} {location:?} {typed}"
        );
    }
    // Another server's answer in the place of the page's own.
    let url = format!("{home}x");
    let params = json!({ "url": other });
    let typed = typed_into(&mut client, &session, &url, "Fetch.continueRequest", params);
    let message = typed["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("made or changed by a client"), "{typed}");
    assert_eq!(client.evaluate(&session, "location.href"), url);

    // A redirect that leads somewhere is a page of that place.
    let headers = json!([{"name": "location", "value": "/next"}]);
    let params = json!({"responseCode": 302, "responseHeaders": headers});
    let url = format!("{home}from");
    let typed = typed_into(&mut client, &session, &url, "Fetch.fulfillRequest", params);
    assert_eq!(typed["result"], json!({}), "{typed}");
    bauta.stop();
}

#[test]
fn p2_no_client_makes_a_service_worker() {
    let bauta = Bauta::start(|_| {});
    let (home, other) =
        home("<script>navigator.serviceWorker.register('/sw.js').catch(() => {})</script>");
    let mut client = bauta.connect();
    let (_, session) = client.page("about:blank");
    let on = Some(&*session);
    let auto = json!({"autoAttach": true, "flatten": true, "waitForDebuggerOnStart": true});
    client.must(on, "Target.setAutoAttach", &auto);
    client.send(on, "Page.navigate", &json!({ "url": home }));
    let worker = loop {
        let attached = client.event("Target.attachedToTarget");
        let session = attached["params"]["sessionId"].as_str().unwrap().to_owned();
        if attached["params"]["targetInfo"]["type"] == "service_worker" {
            break session;
        }
        client.send(
            Some(&session),
            "Runtime.runIfWaitingForDebugger",
            &json!({}),
        );
    };
    let worker = Some(&*worker);
    let all = json!({"patterns": [{"urlPattern": "*"}]});
    client.send(worker, "Fetch.enable", &all);
    client.send(worker, "Runtime.runIfWaitingForDebugger", &json!({}));
    let paused = client.event("Fetch.requestPaused");
    assert!(
        paused["params"]["request"]["url"]
            .as_str()
            .unwrap()
            .ends_with("/sw.js")
    );
    let id = &paused["params"]["requestId"];
    // onfetch=e=>0
    let made = json!({"requestId": id, "responseCode": 200, "body": "b25mZXRjaD1lPT4w"});
    let led = json!({"requestId": id, "url": other});
    let answer = client.ask(worker, "Fetch.fulfillRequest", &made);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("Network.setBypassServiceWorker"),
        "{answer}"
    );
    assert!(refused(&client.ask(worker, "Fetch.continueRequest", &led)));
    client.must(worker, "Fetch.continueRequest", &json!({ "requestId": id }));
    bauta.stop();
}

/// A worker of the site's own passes a navigation on, which looks like any other request of its script's.
#[test]
fn p2_no_client_answers_a_service_workers_navigation() {
    let bauta = Bauta::start(|_| {});
    let home = site_of(|target| {
        match target {
        "/sw.js" => (
            "text/javascript",
            b"onactivate = e => e.waitUntil(clients.claim()); onfetch = e => e.respondWith(fetch(e.request))"
                .to_vec(),
        ),
        _ => ("text/html", PAGE.as_bytes().to_vec()),
    }
    });
    let mut client = bauta.connect();
    let (_, session) = client.page(&home);
    let registered = client.evaluate(
        &session,
        "navigator.serviceWorker.register('/sw.js').then(() => 'registered')",
    );
    assert_eq!(registered, "registered");
    client.until(&session, "navigator.serviceWorker.controller !== null");
    let targets = client.must(None, "Target.getTargets", &json!({}));
    let all = targets["targetInfos"].as_array().unwrap();
    let worker = all.iter().find(|info| info["type"] == "service_worker");
    let worker = client.attach(worker.unwrap()["targetId"].as_str().unwrap());
    let worker = Some(&*worker);
    let all = json!({"patterns": [{"urlPattern": "*"}]});
    client.must(worker, "Fetch.enable", &all);
    let again = format!("{home}?again");
    client.send(Some(&session), "Page.navigate", &json!({ "url": again }));
    let paused = client.event("Fetch.requestPaused");
    assert_eq!(paused["params"]["request"]["url"], again, "{paused}");
    let id = &paused["params"]["requestId"];
    let made = json!({
        "requestId": id, "responseCode": 200, "body": "PGlucHV0IGlkPXU+",
        "responseHeaders": [{"name": "Content-Type", "value": "text/html"}],
    });
    let answer = client.ask(worker, "Fetch.fulfillRequest", &made);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("Network.setBypassServiceWorker"),
        "{answer}"
    );
    client.must(worker, "Fetch.continueRequest", &json!({ "requestId": id }));
    let there = format!("location.href === '{again}' && document.readyState === 'complete'");
    client.until(&session, &there);
    bauta.stop();
}

#[test]
fn coverage_and_profiles_do_not_tell_of_our_scripts() {
    let bauta = Bauta::start(|_| {});
    let (home, _) = home("<script>function theirs() {} theirs()</script>");
    let mut client = bauta.connect();
    let (_, session) = client.page(&home);
    let on = Some(&*session);
    client.must(on, "Profiler.enable", &json!({}));
    let precise = json!({"callCount": true, "detailed": true});
    client.must(on, "Profiler.startPreciseCoverage", &precise);
    client.must(
        on,
        "Profiler.setSamplingInterval",
        &json!({"interval": 100}),
    );
    client.must(on, "Profiler.start", &json!({}));
    for _ in 0..3 {
        client.evaluate(&session, "u.value = ''; u.focus(); theirs()");
        let typed = insert(&mut client, &session, "x_password");
        assert_eq!(typed["result"], json!({}), "{typed}");
    }
    let covered = client.must(on, "Profiler.takePreciseCoverage", &json!({}));
    let covered = covered["result"].as_array().unwrap();
    assert!(covered.iter().any(|script| script["url"] == *home));
    let best = client.must(on, "Profiler.getBestEffortCoverage", &json!({}));
    let profile = client.must(on, "Profiler.stop", &json!({}));
    for told in [&json!(covered), &best, &profile] {
        // Scripts of Chromium's own have no name, ours 32 digits.
        let text = told.to_string();
        let named = text
            .split('"')
            .any(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(!named && !text.contains("prototypeOf"), "{text}");
    }
    bauta.stop();
}
