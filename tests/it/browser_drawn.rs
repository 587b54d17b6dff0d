//! What is drawn in a picture without standing in the page: by the browser itself, or by a client that moves the picture.

use bauta::secret::View;
use serde_json::{Value, json};

use crate::browser_captures::{picture, reds};
use crate::browser_endpoint_kit::{Bauta, Cdp, SECRETS, eventually, secrets, site};

/// As JavaScript has it.
const TEXT: &str = r#"Tr0ub&dor"3/\u00f6"#;

/// A client on a page, with a value in red at the top.
struct Stage {
    bauta: Bauta,
    client: Cdp,
    session: String,
}

impl Stage {
    fn start(html: &str) -> Self {
        let bauta = Bauta::start(|_| {});
        let mut client = bauta.connect();
        let url = site("text/html; charset=utf-8", html.as_bytes().to_vec());
        let (_, session) = client.page(&url);
        client.must(Some(&session), "Runtime.enable", &json!({}));
        Self {
            bauta,
            client,
            session,
        }
    }

    /// Whether there are secrets.
    fn guarded(&self, guarded: bool) {
        let secrets = secrets(if guarded { SECRETS } else { "{}" });
        self.bauta.guard.replace(View::new(secrets), 0);
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.client.ask(Some(&self.session), method, params)
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        self.client.evaluate(&self.session, expression)
    }

    /// How many red pixels a picture has; `None`: it was denied, for that reason.
    fn reds(&mut self, params: &Value) -> Result<usize, String> {
        let answer = self.ask("Page.captureScreenshot", params);
        match answer["error"]["message"].as_str() {
            None => Ok(reds(&picture(&answer["result"]))),
            Some(reason) => Err(reason.to_owned()),
        }
    }

    /// Without secrets the value is to be seen; with them the picture is denied for that reason.
    fn denied(&mut self, reason: &str) {
        self.guarded(false);
        let all = json!({});
        assert!(
            eventually(|| self.reds(&all).unwrap() > 50),
            "nothing is to be seen"
        );
        self.guarded(true);
        let denied = self.reds(&all).unwrap_err();
        assert!(
            denied.contains(reason) && !denied.contains("Tr0ub"),
            "{denied}"
        );
    }

    /// With secrets there is a picture, without them in it.
    fn shown(&mut self) {
        self.guarded(true);
        assert!(eventually(|| self.reds(&json!({})) == Ok(0)));
    }
}

#[test]
fn the_old_picture_of_a_view_transition_denies_a_picture() {
    let mut stage = Stage::start(
        "<style>::view-transition-group(*) { animation-duration: 300s } ::view-transition-old(root) { animation: none; opacity: 1 }
         ::view-transition-new(root) { animation: none; opacity: 0 }</style><h1 id=h style='color:#f00'></h1>",
    );
    stage.evaluate(&format!("h.textContent = '{TEXT}'"));
    stage.shown();
    stage.evaluate(
        "going = document.startViewTransition(() => h.remove()); going.ready.then(() => 1)",
    );
    stage.denied("changes into another");
    stage.evaluate("going.skipTransition(); going.finished.then(() => 1)");
    stage.shown();
    // One that ends soon is waited for. A busy machine may take too long over one, but not over each of them.
    stage.evaluate("document.querySelector('style').remove()");
    let mut shots = (0..5).map(|_| {
        stage.evaluate("document.startViewTransition(() => {}); 1");
        stage.reds(&json!({}))
    });
    let is_late = |shot: &Result<usize, String>| {
        let why = shot.as_ref().err();
        why.is_some_and(|why| why.contains("changes into another"))
    };
    assert_eq!(shots.find(|shot| !is_late(shot)), Some(Ok(0)));
}

#[test]
fn an_open_list_that_holds_a_value_denies_a_picture() {
    let mut stage = Stage::start(
        "<body style='margin:0'><select id=s style='width:300px;height:40px'><option>none</select>",
    );
    stage.evaluate(&format!(
        "o = new Option('{TEXT}'); o.style = 'color:#f00;font-size:20px'; s.add(o); 1"
    ));
    stage.shown();
    for kind in ["mousePressed", "mouseReleased"] {
        let press = json!({ "type": kind, "x": 20, "y": 20, "button": "left", "clickCount": 1 });
        stage.ask("Input.dispatchMouseEvent", &press);
    }
    assert!(eventually(|| stage.evaluate("s.matches(':open')") == true));
    stage.denied("beside a field");
    stage.evaluate("s.remove()");
    stage.shown();
}

#[test]
fn a_message_that_repeats_a_value_denies_a_picture() {
    let mut stage = Stage::start("<form><input id=u type=email><button>go</button></form>");
    stage.guarded(true);
    for (set, is_denied) in [
        (format!("u.value = '{TEXT}'; u.reportValidity()"), true),
        ("u.value = 'nobody'; u.reportValidity()".to_owned(), false),
        (
            format!("u.value = 'a@b'; u.setCustomValidity('no {TEXT}'); u.reportValidity()"),
            true,
        ),
        ("u.blur()".to_owned(), false),
        ("u.focus(); u.setCustomValidity('no')".to_owned(), false),
        (format!("u.title = '{TEXT}'"), true),
        (
            format!(
                "u.remove(); inner = document.body.appendChild(document.createElement('div')).attachShadow({{mode: 'open'}}); \
                 inner.innerHTML = '<input type=email>'; w = inner.firstChild; w.value = '{TEXT}'; w.reportValidity()"
            ),
            true,
        ),
    ] {
        stage.evaluate(&format!("{set}; 1"));
        let shot = stage.reds(&json!({}));
        let reason = shot.err();
        assert_eq!(reason.is_some(), is_denied, "{set}: {reason:?}");
        assert!(reason.is_none_or(|reason| reason.contains("beside a field") && !reason.contains("Tr0ub")));
    }
}

#[test]
fn what_the_browser_would_fill_in_denies_a_picture() {
    let mut stage = Stage::start("<input id=u><input id=v value=1>");
    stage.guarded(true);
    for domain in ["DOM.enable", "CSS.enable"] {
        stage.ask(domain, &json!({}));
    }
    let root = stage.ask("DOM.getDocument", &json!({}))["result"]["root"]["nodeId"].clone();
    for (field, is_denied) in [("#v", false), ("#u", true)] {
        let select = json!({ "nodeId": root, "selector": field });
        let node = stage.ask("DOM.querySelector", &select)["result"]["nodeId"].clone();
        let force = json!({ "nodeId": node, "forcedPseudoClasses": ["autofill"] });
        stage.ask("CSS.forcePseudoState", &force);
        assert_eq!(
            stage.evaluate(&format!(
                "document.querySelector('{field}').matches(':autofill')"
            )),
            true
        );
        let shot = stage.reds(&json!({}));
        assert_eq!(
            shot.is_err_and(|reason| reason.contains("would fill in")),
            is_denied,
            "{field}"
        );
    }
}

#[test]
fn a_client_cannot_move_the_picture_under_the_covers() {
    let mut stage =
        Stage::start("<body style='margin:0;height:2000px'><h1 id=h style='color:#f00'></h1>");
    stage.evaluate(&format!("h.textContent = '{TEXT}'"));
    stage.guarded(true);
    let usual = json!({ "width": 800, "height": 600, "deviceScaleFactor": 1, "mobile": false });
    for domain in ["Emulation", "Page"] {
        let method = format!("{domain}.setDeviceMetricsOverride");
        for (member, value) in [
            (
                "viewport",
                json!({ "x": 0, "y": 30, "width": 800, "height": 600, "scale": 1 }),
            ),
            ("scale", json!(2)),
        ] {
            let mut moved = usual.clone();
            moved[member] = value;
            let refused = stage.ask(&method, &moved);
            assert!(
                refused["error"]["message"]
                    .as_str()
                    .is_some_and(|why| why.contains(member)),
                "{refused}"
            );
        }
        assert!(stage.ask(&method, &usual)["error"].is_null());
    }
    // A part that begins left of the page.
    for (x, y, scale) in [(-40, 0, 1), (-300, 0, 2), (-1, -20, 1)] {
        let clip =
            json!({ "clip": { "x": x, "y": y, "width": 600, "height": 300, "scale": scale } });
        stage.guarded(false);
        assert!(stage.reds(&clip).unwrap() > 50, "nothing is to be seen");
        stage.guarded(true);
        assert_eq!(stage.reds(&clip), Ok(0), "{clip}");
    }
}

#[test]
fn a_value_that_comes_while_it_is_printed_denies_a_pdf() {
    let mut stage = Stage::start("<p id=p>nothing</p>");
    stage.guarded(true);
    assert!(stage.ask("Page.printToPDF", &json!({}))["result"]["data"].is_string());
    stage.evaluate(&format!(
        "onbeforeprint = () => {{ p.textContent = '{TEXT}' }}; 1"
    ));
    for mode in ["ReturnAsBase64", "ReturnAsStream"] {
        stage.evaluate("p.textContent = 'nothing'");
        let refused = stage.ask("Page.printToPDF", &json!({ "transferMode": mode }));
        assert!(
            refused["error"]["message"]
                .as_str()
                .is_some_and(|why| why.contains("x_password")),
            "{mode}"
        );
    }
}
