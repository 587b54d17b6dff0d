//! Placeholders that clients type become values, on their own origin only.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::browser_kit::{CLIENTS, Client, Kit, Tab};

const PASSWORD: &str = "Tr0ub&dor\"3/\u{f6}";
const SECRETS: &str = r#"{"HOME": {
    "x_user": "alice@example.com", "x_pass": "short-one", "x_password": "Tr0ub&dor\"3/ö",
    "x_any": {"value": "Tr0ub&dor\"3/ö", "field": "any"}, "x_strict": {"value": "only-password", "field": "password"},
    "pin": "4417aa", "x_number": "123456", "x_date": "2001-02-03", "x_long": "0123456789abcdef",
    "x_net": {"value": "never-in-a-page", "fill": "network"}, "x_header": {"value": "not-in-fields", "allow": ["header"]},
    "x_otp": {"value": "JBSWY3DPEHPK3PXP", "kind": "totp"}},
  "PORT": {"x_port": "of-the-other-port"}, "SECURE": {"x_secure": "over-tls-only"},
  "OTHER": {"x_local": "of-localhost"}}"#;

/// Opens a page with that body, with the focus on `#a`.
async fn page(kit: &mut Kit, body: &str) -> Tab {
    kit.site.page("/form", &format!("<body>{body}</body>"));
    let url = format!("{}/form", kit.site.home());
    let tab = kit.open(&url).await;
    kit.eval(&tab, "document.querySelector('#a')?.focus()")
        .await;
    tab
}

/// Types once the frames in the page are there and one of their fields has the focus.
async fn when_loaded(kit: &mut Kit, tab: &Tab, text: &str) -> Result<Value, String> {
    loop {
        let done = kit.insert(tab, text).await;
        let early = ["Look at it again", "Focus the field first"];
        match &done {
            Err(error) if early.iter().any(|why| error.contains(why)) => {
                kit.eval(tab, "new Promise((done) => setTimeout(done, 10))")
                    .await;
            }
            _ => return done,
        }
    }
}

async fn value(kit: &mut Kit, tab: &Tab) -> String {
    let text =
        "(() => { const a = document.querySelector('#a'); return a.value ?? a.textContent; })()";
    kit.eval(tab, text).await.as_str().unwrap().to_owned()
}

#[test]
fn p2_whole_texts_in_all_kinds_of_fields() {
    Kit::run(SECRETS, async |kit| {
        for (field, text, expected) in [
            ("<input id=a>", "x_password", PASSWORD),
            ("<input id=a type=password>", "{{x_password}}", PASSWORD),
            ("<input id=a type=email>", "x_user", "alice@example.com"),
            (
                "<input id=a type=tel>",
                "<secret>x_number</secret>",
                "123456",
            ),
            ("<input id=a type=url>", "%x_pass%", "short-one"),
            ("<input id=a type=number>", "x_number", "123456"),
            ("<input id=a type=date>", "x_date", "2001-02-03"),
            ("<textarea id=a></textarea>", "x_any", PASSWORD),
            ("<div id=a contenteditable></div>", "x_any", PASSWORD),
            ("<input id=a type=search>", "x_any", PASSWORD),
            (
                "<input id=a>",
                "u:{{x_user}}@{{x_pass}}!",
                "u:alice@example.com@short-one!",
            ),
            (
                "<input id=a>",
                "x_user x_pass",
                "alice@example.com short-one",
            ),
            ("<input id=a>", "pin", "4417aa"),
            ("<input id=a value=b>", "pin", "pinb"),
            ("<input id=a>", "a pin", "a pin"),
            (
                "<input id=a>",
                "x_passwords x_unknown",
                "x_passwords x_unknown",
            ),
            ("<input id=a>", "x_net", "x_net"),
            ("<input id=a>", "x_net x_pass", "x_net short-one"),
            (
                "<input id=a oninput='this.value=this.value.toUpperCase()'>",
                "x_pass",
                "SHORT-ONE",
            ),
            (
                "<form action=/in?x=y><input name=action><input id=a></form>",
                "x_pass",
                "short-one",
            ),
            (
                "<form action='javascript:void 0'><input id=a></form>",
                "x_pass",
                "short-one",
            ),
        ] {
            let tab = page(kit, field).await;
            let done = kit.insert(&tab, text).await;
            assert_eq!(done, Ok(json!({})), "{field} {text}");
            assert_eq!(value(kit, &tab).await, expected, "{field} {text}");
        }
        let uses = kit.audit();
        let all = |key: &str| uses.iter().filter(|event| event["key"] == key).count();
        assert_eq!((all("x_password"), all("x_net"), all("pin")), (2, 0, 1));
        let event = uses
            .iter()
            .find(|event| event["key"] == "x_password")
            .unwrap();
        assert_eq!(event["event"], "substitute");
        assert_eq!(
            (&event["channel"], &event["method"]),
            (&json!("browser"), &json!("Input.insertText"))
        );
        let target = event["target"].as_str().unwrap();
        assert!(
            target.starts_with(&format!("{} frame ", kit.site.home())),
            "{target}"
        );
    });
}

#[test]
fn p2_key_by_key_as_each_client_types() {
    Kit::run(SECRETS, async |kit| {
        for client in CLIENTS {
            for (text, expected) in [
                ("x_password", PASSWORD),
                ("x_pass", "short-one"),
                ("{{x_password}}", PASSWORD),
                ("<secret>x_user</secret>", "alice@example.com"),
                ("u:{{x_pass}}@{{x_pass}}", "u:short-one@short-one"),
                ("x_pass-x_pass ", "short-one-short-one "),
                ("fox in a box", "fox in a box"),
                ("x_passwor", "x_passwor"),
                ("pin", "4417aa"),
                ("a pin", "a pin"),
                ("{{{x_pass}}", "{short-one"),
            ] {
                let tab = page(kit, "<input id=a>").await;
                let done = kit.type_as(client, &tab, text).await;
                assert_eq!(done, Ok(()), "{client:?} {text}");
                assert_eq!(value(kit, &tab).await, expected, "{client:?} {text}");
            }
        }
    });
}

#[test]
fn pauses_reads_and_moves_amid_a_placeholder() {
    Kit::run(SECRETS, async |kit| {
        let fields = [
            "<input id=a>",
            "<input id=a type=email>",
            "<textarea id=a></textarea>",
            "<div id=a contenteditable></div>",
        ];
        for field in fields {
            let tab = page(kit, field).await;
            // A pause amid it: what came is typed, and replaced when the rest comes.
            kit.type_as(Client::KeyDown, &tab, "x_a").await.unwrap();
            assert_eq!(kit.eval(&tab, "1").await, 1);
            assert_eq!(value(kit, &tab).await, "x_a", "{field}");
            kit.type_as(Client::Char, &tab, "ny").await.unwrap();
            kit.pause().await;
            assert_eq!(value(kit, &tab).await, PASSWORD, "{field}");
        }
        // A pause decides: a whole placeholder counts, even one that begins another; the rest of a beginning still counts later.
        let tab = page(kit, "<input id=a>").await;
        kit.type_as(Client::KeyDown, &tab, "x_pass").await.unwrap();
        assert_eq!(kit.eval(&tab, "1").await, 1);
        assert!(!kit.holds());
        kit.type_as(Client::KeyDown, &tab, "word {{x_")
            .await
            .unwrap();
        kit.pause().await;
        assert_eq!(value(kit, &tab).await, "short-oneword {{x_");
        kit.type_as(Client::Char, &tab, "pass}").await.unwrap();
        kit.pause().await;
        kit.type_as(Client::Raw, &tab, "}!").await.unwrap();
        assert_eq!(value(kit, &tab).await, "short-oneword short-one!");
        // The caret moved by script: the beginning stays as it is, and nothing is inserted beside it.
        let tab = page(kit, "<input id=a>").await;
        kit.type_as(Client::KeyDown, &tab, "{{x_pass}")
            .await
            .unwrap();
        kit.eval(&tab, "document.querySelector('#a').setSelectionRange(2, 2)")
            .await;
        let error = kit.type_as(Client::KeyDown, &tab, "}").await.unwrap_err();
        assert!(error.contains("the caret changed"), "{error}");
        assert_eq!(value(kit, &tab).await, "{{x_pass}");
        // Keys that were held reach the page in order, each once.
        let seen = "<script>window.seen = ''; for (const name of ['keydown', 'input', 'keyup']) addEventListener(name, (event) => {
            seen += name[3] + (event.key ?? event.data) + ' ' }, true)</script>";
        let tab = page(kit, &format!("<input id=a>{seen}")).await;
        kit.type_as(Client::KeyDown, &tab, "x_y").await.unwrap();
        assert_eq!(kit.eval(&tab, "seen").await, "dx ux ux d_ u_ u_ dy uy uy ");
        let tab = page(kit, "<input id=a>").await;
        // Backspace inside: what came is typed first, and the placeholder is none any more.
        kit.type_as(Client::KeyDown, &tab, "x_pas").await.unwrap();
        let back = json!({"type": "keyDown", "key": "Backspace", "windowsVirtualKeyCode": 8, "code": "Backspace"});
        kit.key(&tab, back).await.unwrap();
        kit.type_as(Client::KeyDown, &tab, "s").await.unwrap();
        assert_eq!(value(kit, &tab).await, "x_pas");
        // A click amid it: the same.
        let tab = page(kit, "<input id=a><input id=b>").await;
        kit.type_as(Client::KeyDown, &tab, "x_pas").await.unwrap();
        let spot = kit.eval(&tab, "(({x, y}) => [x + 3, y + 3])(document.querySelector('#b').getBoundingClientRect())").await;
        kit.click(&tab, &spot).await;
        kit.type_as(Client::KeyDown, &tab, "s ").await.unwrap();
        assert_eq!(value(kit, &tab).await, "x_pas");
        assert_eq!(
            kit.eval(&tab, "document.querySelector('#b').value").await,
            "s "
        );
        // Nothing but keys up: bounded, and decided.
        let tab = page(kit, "<input id=a>").await;
        kit.type_as(Client::KeyDown, &tab, "x").await.unwrap();
        for _ in 0..1100 {
            kit.key(&tab, json!({"type": "keyUp", "key": "y"}))
                .await
                .unwrap();
        }
        assert_eq!(value(kit, &tab).await, "x");
        assert!(!kit.holds());
        // Compositions.
        let tab = page(kit, "<input id=a>").await;
        for text in ["x", "x_pa", "x_pass"] {
            let params =
                json!({"text": text, "selectionStart": text.len(), "selectionEnd": text.len()});
            let session = tab.session.clone();
            kit.call(Some(&session), "Input.imeSetComposition", params)
                .await
                .unwrap();
        }
        assert_eq!(value(kit, &tab).await, "short-one");
    });
}

/// A page with a frame of the home in it. Each may get the focus before or after what is inside has loaded.
fn deep_pages(kit: &Kit) {
    kit.site.page(
        "/deepest",
        "<input id=a><script>setInterval(() => a.focus(), 20)</script>",
    );
    let home = kit.site.home();
    kit.site.page(
        "/deep",
        &format!("<iframe id=f src='{home}/deepest'></iframe><script>setInterval(() => f.focus(), 20)</script>"),
    );
}

#[test]
fn p2_frames_and_shadow_roots() {
    Kit::run(SECRETS, async |kit| {
        kit.site.page(
            "/in",
            "<input id=a><script>onload = () => a.focus()</script>",
        );
        let (home, port, other) = (kit.site.home(), kit.site.port(), kit.site.other());
        let open = "<div id=h></div><script>h.attachShadow({mode: 'open'}).innerHTML = '<input id=i>'; h.shadowRoot.querySelector('input').focus();
            window.field = () => h.shadowRoot.querySelector('input').value</script>";
        let closed = "<div id=h></div><script>{ const r = h.attachShadow({mode: 'closed'}); r.innerHTML = '<p></p>';
            const s = r.firstChild.attachShadow({mode: 'closed'}); s.innerHTML = '<input>'; s.firstChild.focus();
            window.field = () => s.firstChild.value }</script>";
        let frame = |address: &str, more: &str| {
            format!(
                "<iframe id=f src='{address}/in' {more}></iframe><script>window.field = () => {{ try {{ return f.contentDocument.querySelector('#a').value }} catch {{ return 'foreign' }} }}</script>"
            )
        };
        let srcdoc = "<iframe id=f srcdoc='<input id=a><script>onload = () => a.focus()</script>'></iframe><script>window.field = () => f.contentDocument.querySelector('#a').value</script>".replace("</script>'>", "<\\/script>'>").replace("<\\/script>'>", "</script>'>");
        for (what, html, text, expected) in [
            ("open", open.to_owned(), "x_pass", Ok("short-one")),
            ("closed", closed.to_owned(), "x_pass", Ok("short-one")),
            ("same origin", frame(&home, ""), "x_pass", Ok("short-one")),
            ("srcdoc", srcdoc, "x_pass", Ok("short-one")),
            ("other port", frame(&port, ""), "x_pass", Err(port.clone())),
            (
                "other port's own",
                frame(&port, ""),
                "x_port",
                Ok("foreign"),
            ),
            (
                "other site",
                frame(&other, ""),
                "x_pass",
                Err(other.clone()),
            ),
            (
                "sandboxed",
                frame(&home, "sandbox='allow-scripts'"),
                "x_pass",
                Err("sandboxed".to_owned()),
            ),
        ] {
            kit.site.page("/frames", &html);
            let tab = kit.open(&format!("{home}/frames")).await;
            let is_framed = html.contains("<iframe");
            if is_framed {
                kit.until(&tab, "document.activeElement?.id === 'f' || f.focus()")
                    .await;
            }
            let done = when_loaded(kit, &tab, text).await;
            match expected {
                Ok(expected) => {
                    assert_eq!(done, Ok(json!({})), "{what}");
                    assert_eq!(kit.eval(&tab, "field()").await, expected, "{what}");
                }
                Err(why) => {
                    let error = done.expect_err(what);
                    assert!(
                        error.starts_with("x_pass was not typed: ") && error.contains(&why),
                        "{what}: {error}"
                    );
                }
            }
        }
        // In a frame of another process, out of which a frame of the home leads: and on that frame's own session.
        deep_pages(kit);
        kit.site.page(
            "/outer",
            &format!("<iframe id=f src='{other}/deep'></iframe>"),
        );
        let tab = kit.open(&format!("{home}/outer")).await;
        kit.until(&tab, "document.activeElement?.id === 'f' || f.focus()")
            .await;
        // The focus goes on from frame to frame as they load.
        let on_its_way = format!("the focused frame is {other}");
        let done = loop {
            match when_loaded(kit, &tab, "x_pass").await {
                Err(error) if error.ends_with(&on_its_way) => {}
                done => break done,
            }
        };
        assert_eq!(done, Ok(json!({})));
        assert!(kit.context.pages.is_live(&kit.hub, &tab.target).await);
        let is_refused = |event: &Value, origin: &str| {
            let target = event["target"].as_str().unwrap();
            event["event"] == "refuse"
                && event["key"] == "x_pass"
                && target.starts_with(&format!("{origin} frame "))
        };
        for origin in [port.as_str(), other.as_str(), "null"] {
            kit.audited(origin, |event| is_refused(event, origin)).await;
        }
        for (origin, sees) in [(&home, true), (&port, false), (&other, false)] {
            let saw = kit.site.saw(origin).concat();
            assert_eq!(saw.contains("short-one"), sees, "{origin}");
        }
    });
}

#[test]
#[allow(clippy::too_many_lines)] // Rows.
fn p2_refusals_say_why_and_stay_cheap() {
    Kit::run(SECRETS, async |kit| {
        let (port, other) = (kit.site.port(), kit.site.other());
        for (field, text, why) in [
            ("<input id=a readonly>", "x_pass", "read-only"),
            ("<input id=a maxlength=4>", "x_pass", "maxlength"),
            ("<input id=a type=search>", "x_pass", "'field' is \"input\""),
            (
                "<textarea id=a></textarea>",
                "x_pass",
                "'field' is \"input\"",
            ),
            (
                "<div id=a contenteditable></div>",
                "x_pass",
                "'field' is \"input\"",
            ),
            ("<input id=a>", "x_strict", "'field' is \"password\""),
            ("<input id=a>", "x_header", "Add 'field'"),
            ("<input id=a>", "x_pass x_pass", "max_uses"),
            (
                "<input id=a type=checkbox>",
                "x_pass",
                "Focus the field first",
            ),
            ("<p>nothing</p>", "x_pass", "Focus the field first"),
            ("<input id=a type=number>", "x_pass", "of the form"),
            ("<input id=a type=date>", "x_pass", "of the form"),
            (
                "<input id=a oninput='this.value=this.value.slice(0, 4)'>",
                "x_pass",
                "did not take the value",
            ),
            ("<input id=a>", "x_port", port.as_str()),
            (
                "<form action=PORT/x><input id=a></form>",
                "x_pass",
                port.as_str(),
            ),
            (
                "<form action=OTHER/x><input name=action><input name=elements><input id=a></form>",
                "x_pass",
                other.as_str(),
            ),
            (
                "<form><input id=a><button formaction=PORT/x>b</button></form>",
                "x_pass",
                port.as_str(),
            ),
            (
                "<form id=g><input id=a></form><input type=image form=g formaction=OTHER/x>",
                "x_pass",
                other.as_str(),
            ),
            (
                "<form action='data:text/html,x'><input id=a></form>",
                "x_pass",
                "no web page",
            ),
            (
                "<form action='mailto:a@b.example'><input id=a></form>",
                "x_pass",
                "no web page",
            ),
        ] {
            let field = field.replace("PORT", &port).replace("OTHER", &other);
            let tab = page(kit, &field).await;
            let key = text.split(' ').next().unwrap();
            let begin = Instant::now();
            let first = kit.insert(&tab, text).await.expect_err(&field);
            assert!(
                first.starts_with(&format!("{key} was not typed: ")) && first.contains(why),
                "{field}: {first}"
            );
            for _ in 0..5 {
                assert_eq!(
                    kit.insert(&tab, text).await.as_ref(),
                    Err(&first),
                    "{field}"
                );
            }
            // By its page, as what was refused in others may come late into the log.
            let is_of_it = |event: &Value| {
                let target = event["target"].as_str().unwrap_or_default();
                target == "no frame" || target.contains(&tab.target)
            };
            kit.audited(&field, is_of_it).await;
            let events = kit.audit();
            let events = events.iter().filter(|event| is_of_it(event)).count();
            // A refusal is remembered for a second: in each that began there is a use and a refusal at most.
            let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap();
            assert!(
                events <= 2 * (1 + seconds),
                "{field}: {events} in {seconds} s"
            );
            if field.contains("id=a") && !field.contains("checkbox") {
                assert_eq!(value(kit, &tab).await, "", "{field}");
            }
            // Key by key: the message that completes it gets the error, once. What only the value shows is told by the read
            // that decides it, unless it was told a moment ago.
            if key == text && why != "maxlength" {
                let shows_late = ["of the form", "did not take the value"].contains(&why);
                for text in [format!("{{{{{key}}}}}"), key.to_owned()] {
                    let mut typed = kit.type_as(Client::KeyDown, &tab, &text).await;
                    if typed.is_ok() && text == key && shows_late {
                        let look = json!({"expression": "1"});
                        let look = kit.call(Some(&tab.session), "Runtime.evaluate", look);
                        typed = look.await.map(|_| ());
                    }
                    let error = typed.expect_err(&field);
                    assert!(error.contains(why), "{field}: {error}");
                    kit.eval(&tab, "1").await;
                }
            }
        }
    });
}

#[test]
fn p2_documents_without_an_origin_or_made_by_a_client() {
    Kit::run(SECRETS, async |kit| {
        let home = kit.site.home();
        kit.site.page("/start", "<p>start");
        let data = "data:text/html,<input id=a autofocus>";
        for (url, why) in [(data, "data"), ("about:blank", "about")] {
            let tab = kit.open(&format!("{home}/start")).await;
            let session = tab.session.clone();
            kit.call(Some(&session), "Page.navigate", json!({"url": url}))
                .await
                .unwrap();
            kit.until(&tab, "location.protocol !== 'http:' && document.readyState === 'complete' && document.body").await;
            kit.eval(
                &tab,
                "document.body.innerHTML = '<input id=a>'; document.querySelector('#a').focus()",
            )
            .await;
            let error = kit.insert(&tab, "x_pass").await.unwrap_err();
            assert!(
                error.contains(&format!("a document of '{why}'")),
                "{url}: {error}"
            );
        }
        // A page's own blob, which has the page's origin.
        let tab = kit.open(&format!("{home}/start")).await;
        let blob = "(() => { const f = document.createElement('iframe'); f.src = URL.createObjectURL(new Blob(['<input id=a>'], {type: 'text/html'}));
            document.body.append(f); return new Promise((done) => f.onload = () => { f.contentDocument.querySelector('#a').focus(); f.focus(); done(1) }) })()";
        kit.eval(&tab, blob).await;
        let error = kit.insert(&tab, "x_pass").await.unwrap_err();
        assert!(
            error.contains("a document of 'blob'") || error.contains("Focus"),
            "{error}"
        );
        // A document in which a client had a hand, and a frame in such a document.
        kit.site.page(
            "/in",
            "<input id=a><script>onload = () => a.focus()</script>",
        );
        kit.site.page("/out", "<iframe id=f src=/in></iframe>");
        let tab = kit.open(&format!("{home}/out")).await;
        kit.until(&tab, "document.activeElement?.id === 'f' || f.focus()")
            .await;
        let session = tab.session.clone();
        let tree = kit
            .call(Some(&session), "Page.getFrameTree", json!({}))
            .await
            .unwrap();
        let loader = tree["frameTree"]["frame"]["loaderId"].as_str().unwrap();
        kit.context.pages.taint(loader);
        let error = when_loaded(kit, &tab, "x_pass").await.unwrap_err();
        assert!(error.contains("made or changed by a client"), "{error}");
        assert!(!kit.context.pages.is_live(&kit.hub, &tab.target).await);
        // Another document of the same page.
        let tab = kit.open(&format!("{home}/in")).await;
        assert_eq!(kit.insert(&tab, "x_pass").await, Ok(json!({})));
        assert!(kit.context.pages.is_live(&kit.hub, &tab.target).await);
        let session = tab.session.clone();
        kit.call(
            Some(&session),
            "Page.navigate",
            json!({"url": format!("{home}/start")}),
        )
        .await
        .unwrap();
        kit.until(&tab, "location.pathname === '/start'").await;
        assert!(!kit.context.pages.is_live(&kit.hub, &tab.target).await);
    });
}

#[test]
fn p2_names_that_look_alike_are_others() {
    Kit::run(SECRETS, async |kit| {
        kit.site.page(
            "/in",
            "<input id=a maxlength=20><script>onload = () => a.focus()</script>",
        );
        let other = kit.site.other();
        for (host, takes) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("localhost.", false),
            ("evil.localhost", false),
            ("localhost.localhost", false),
            ("127.0.0.1", false),
        ] {
            let tab = kit
                .open(&format!("{}/in", other.replace("localhost", host)))
                .await;
            let done = kit.insert(&tab, "x_local").await;
            // A dot at the end is the same name to us, and not to the browser's origin: either way it is the same server.
            assert!(
                done.is_ok() == takes || host.ends_with('.'),
                "{host}: {done:?}"
            );
        }
        // A field that is too small for both: once it is cleared, it takes the value, at once.
        let tab = kit.open(&format!("{other}/in")).await;
        kit.eval(
            &tab,
            "a.value = 'some more text'; a.setSelectionRange(14, 14)",
        )
        .await;
        assert!(
            kit.insert(&tab, "x_local")
                .await
                .unwrap_err()
                .contains("maxlength")
        );
        kit.eval(&tab, "a.select()").await;
        assert_eq!(kit.insert(&tab, "x_local").await, Ok(json!({})));
        assert_eq!(value(kit, &tab).await, "of-localhost");
    });
}

#[test]
fn p2_a_page_that_overrides_everything_does_not_fool_us() {
    Kit::run(SECRETS, async |kit| {
        let other = kit.site.other();
        let hostile = "<script>
            for (const name of ['activeElement', 'URL', 'execCommand', 'querySelectorAll']) Object.defineProperty(Document.prototype, name, {get: () => null});
            Object.defineProperty(self, 'origin', {value: 'https://evil.example'});
            HTMLInputElement.prototype.setSelectionRange = () => { throw 1 };
            JSON.stringify = () => 'x'; Array.prototype.map = () => []; String.prototype.replace = () => 'x';
            Object.getOwnPropertyDescriptor = () => { throw 2 };
            addEventListener('beforeinput', (event) => event.preventDefault(), true);
        </script>";
        let tab = page(
            kit,
            &format!("<form><input name=action><input id=a></form>{hostile}"),
        )
        .await;
        kit.eval(&tab, "a.focus()").await;
        assert_eq!(kit.insert(&tab, "x_pass").await, Ok(json!({})));
        assert_eq!(kit.eval(&tab, "a.value").await, "short-one");
        let lies = "<script>Object.defineProperty(HTMLFormElement.prototype, 'action', {get: () => location.href});
            Object.defineProperty(HTMLInputElement.prototype, 'form', {get: () => null})</script>";
        let form = format!("<form action={other}/x><input id=a></form>{lies}");
        let tab = page(kit, &form).await;
        let error = kit.insert(&tab, "x_pass").await.unwrap_err();
        assert!(error.contains(&other), "{error}");
        // A cross-site frame that lies over the field and has the focus is what is judged.
        kit.site.page(
            "/in",
            "<input id=a><script>onload = () => a.focus()</script>",
        );
        let over = format!("<input id=a><iframe id=f src={other}/in style='position: absolute; inset: 0; opacity: 0'></iframe>
            ");
        kit.site.page("/over", &over);
        let url = format!("{}/over", kit.site.home());
        let tab = kit.open(&url).await;
        kit.until(&tab, "document.activeElement?.id === 'f' || f.focus()")
            .await;
        let error = when_loaded(kit, &tab, "x_pass").await.unwrap_err();
        assert!(error.contains(&other), "{error}");
    });
}

#[test]
fn one_time_codes_in_one_field_and_in_boxes() {
    Kit::run(SECRETS, async |kit| {
        let boxes = "<input maxlength=1 inputmode=numeric>".repeat(6);
        let advance = "<script>document.querySelectorAll('input').forEach((box, at, all) => { if (!at) box.id = 'a'; box.oninput = () => all[at + 1]?.focus() })</script>";
        let code = "[...document.querySelectorAll('input')].map((box) => box.value).join('')";
        for (body, advances) in [
            ("<input id=a>".to_owned(), false),
            (format!("{boxes}{advance}"), true),
            (boxes.replacen("<input", "<input id=a", 1), false),
        ] {
            let tab = page(kit, &body).await;
            assert_eq!(kit.insert(&tab, "x_otp").await, Ok(json!({})), "{advances}");
            let code = kit.eval(&tab, code).await;
            let code = code.as_str().unwrap();
            assert!(
                code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
                "{body}"
            );
        }
        // Boxes that refuse a digit end up empty.
        let tab = page(kit, &format!("{}<script>document.querySelectorAll('input')[3].oninput = (event) => event.target.value = ''</script>", boxes.replacen("<input", "<input id=a", 1))).await;
        assert!(
            kit.insert(&tab, "x_otp")
                .await
                .unwrap_err()
                .contains("did not take")
        );
        assert_eq!(kit.eval(&tab, code).await, "");
    });
}

#[test]
fn a_page_that_hangs_gets_an_error_and_counts_as_filled() {
    Kit::run_with(
        SECRETS,
        |settings| settings.limits.command_timeout = Duration::from_secs(5),
        async |kit| {
            let tab = page(kit, "<input id=a oninput='alert(1)'>").await;
            let session = tab.session.clone();
            kit.call(Some(&session), "Page.enable", json!({}))
                .await
                .unwrap();
            let error = kit.insert(&tab, "x_pass").await.unwrap_err();
            assert!(error.contains("may still be inserted"), "{error}");
            kit.call(
                Some(&session),
                "Page.handleJavaScriptDialog",
                json!({"accept": true}),
            )
            .await
            .unwrap();
            assert!(kit.context.pages.is_live(&kit.hub, &tab.target).await);
        },
    );
}
