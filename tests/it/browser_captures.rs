//! Pictures of pages that show secrets, in real Chromium. All text that is secret has a colour of its own; after a capture no
//! pixel of that colour is left, and everything else is as it was.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bauta::audit::{self, EphemeralKeeper, Recorder};
use bauta::browser::hub::FromBrowser;
use bauta::browser::pages::Pages;
use bauta::browser::{Captures, Context, Event, Observed, Refusal, Settings, Verdict, captures};
use bauta::guard::{Guard, Rules};
use bauta::secret::{self, View, parse_submission};
use image::RgbaImage;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::browser_hub_kit::{Browser, Client, LONG, command, settings};

/// As JSON, as HTML text and as an attribute in double quotes.
const SECRETS: &str = r#"{"https://example.com": {"x_password": "Tr0ub&dor\"3/ö"}}"#;
const TEXT: &str = "Tr0ub&amp;dor&quot;3/ö";
/// The same in the `srcdoc` of an attribute in single quotes.
const INNER: &str = "Tr0ub&amp;amp;dor&amp;quot;3/ö";
const RED: &str = "color:#f00";

/// A web site on two hosts that are two sites: 127.0.0.1 and localhost.
struct Site {
    port: u16,
    pages: Arc<Mutex<HashMap<String, String>>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let served = Arc::clone(&pages);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let served = Arc::clone(&served);
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n")
                        && stream.read(&mut byte).is_ok_and(|n| n == 1)
                    {
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let page = served.lock().unwrap().get(path).cloned();
                    let (status, body) =
                        page.map_or(("404 Not Found", String::new()), |page| ("200 OK", page));
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Self { port, pages }
    }

    fn page(&self, path: &str, html: impl Into<String>) {
        self.pages
            .lock()
            .unwrap()
            .insert(path.to_owned(), html.into());
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn other(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }
}

/// A browser, a client of it, and what its pictures are judged with.
struct Stage {
    client: Client,
    /// With the secrets; without any.
    context: Context,
    control: Context,
    site: Site,
    target: String,
    session: String,
    log: TempDir,
    _browser: Browser,
}

fn guard(secrets: &str, log: &std::path::Path) -> Guard {
    let submission = parse_submission(
        secrets.as_bytes().to_vec().into(),
        &secret::Limits::default(),
    );
    let submission = submission.unwrap_or_else(|problems| panic!("{problems:?}"));
    let secrets = submission.into_secrets(&"agent:a".parse().unwrap());
    let settings = audit::Settings {
        path: log.to_owned(),
        rotate_bytes: 1 << 30,
        stdout: false,
        queue: 4096,
    };
    let recorder = Recorder::open(settings, Arc::new(EphemeralKeeper::new().unwrap())).unwrap();
    Guard::new(
        View::new(secrets),
        Rules::default(),
        Arc::new(recorder),
        "a",
        None,
    )
}

impl Stage {
    async fn start(how: Captures) -> Self {
        let browser = Browser::start().await;
        let mut client = browser.join().await;
        let log = TempDir::new().unwrap();
        let context = |secrets: &str, file: &str| Context {
            hub: Arc::clone(&browser.hub),
            member: client.member.clone(),
            guard: Arc::new(guard(secrets, &log.path().join(file))),
            settings: Arc::new(Settings {
                captures: how,
                ..settings(browser.folder.path())
            }),
            pages: Arc::new(Pages::default()),
            casts: Arc::default(),
        };
        let (context, control) = (context(SECRETS, "audit.log"), context("{}", "control.log"));
        let (target, session) = client.page("about:blank").await;
        client.must(Some(&session), "Page.enable", json!({})).await;
        Self {
            client,
            context,
            control,
            site: Site::start(),
            target,
            session,
            log,
            _browser: browser,
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        self.client.must(Some(&session), method, params).await
    }

    async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.ask("Runtime.evaluate", params).await["result"]["value"].take()
    }

    /// Goes to a page and waits until it is loaded, its frames too, and drawn.
    async fn go(&mut self, path: &str) {
        self.client.seen.clear();
        let url = self.site.url(path);
        self.evaluate("window.isOld = true").await;
        self.ask("Page.navigate", json!({ "url": url })).await;
        self.client.event("Page.loadEventFired").await;
        // It may have been that of a document before, at the same address even.
        let there = format!(
            "!window.isOld && location.href === '{url}' && document.readyState === 'complete'"
        );
        let look = json!({ "expression": there, "returnByValue": true });
        let session = self.session.clone();
        let loaded = async {
            loop {
                // A context that goes with its document says so.
                let seen = self
                    .client
                    .ask(Some(&session), "Runtime.evaluate", look.clone());
                if seen.await["result"]["result"]["value"] == true {
                    return;
                }
            }
        };
        let done = timeout(LONG, loaded).await;
        done.unwrap_or_else(|_| panic!("{path} is not loaded"));
        self.drawn().await;
    }

    /// Waits for two frames to be drawn.
    async fn drawn(&mut self) {
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))").await;
    }

    async fn judge(&self, context: &Context, method: &str, params: &Value) -> Verdict {
        captures::take(context, &command(7, Some(&self.session), method, params)).await
    }

    /// A picture as the client gets it.
    async fn shot(&self, params: &Value) -> Result<RgbaImage, Refusal> {
        match self
            .judge(&self.context, "Page.captureScreenshot", params)
            .await
        {
            Verdict::Answer(answer) => Ok(picture(&serde_json::from_slice(&answer).unwrap())),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pass | Verdict::With(_) => panic!("the browser's own picture was let through"),
        }
    }

    /// The browser's own.
    async fn bare(&mut self, params: &Value) -> RgbaImage {
        let verdict = self
            .judge(&self.control, "Page.captureScreenshot", params)
            .await;
        assert!(
            matches!(verdict, Verdict::Pass),
            "without secrets nothing is touched"
        );
        picture(&self.ask("Page.captureScreenshot", params.clone()).await)
    }

    /// A picture without a pixel of the secret's colour, of which there are some without us.
    async fn covered(&mut self, params: &Value, what: &str) -> RgbaImage {
        let shot = self
            .shot(params)
            .await
            .unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        let bare = self.bare(params).await;
        assert_eq!(shot.dimensions(), bare.dimensions(), "{what}");
        assert!(reds(&bare) > 50, "{what}: nothing to be seen without us");
        if reds(&shot) > 0 {
            let at = std::env::temp_dir().join("bauta-captures");
            std::fs::create_dir_all(&at).unwrap();
            shot.save(at.join("shot.png")).unwrap();
            bare.save(at.join("bare.png")).unwrap();
        }
        assert_eq!(reds(&shot), 0, "{what}: of {}", reds(&bare));
        // Green stands apart from all secrets: as many pixels as without us.
        if params.get("format").is_none() {
            assert_eq!(greens(&shot), greens(&bare), "{what}");
        }
        shot
    }
}

pub fn picture(answer: &Value) -> RgbaImage {
    let data = answer["data"].as_str().unwrap();
    image::load_from_memory(&decode(data)).unwrap().into_rgba8()
}

/// Base64, bit by bit.
fn decode(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in text.trim_end_matches('=').chars() {
        bits = bits << 6 | u32::try_from(alphabet.find(c).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    out
}

fn count(picture: &RgbaImage, is: impl Fn([u8; 4]) -> bool) -> usize {
    picture.pixels().filter(|pixel| is(pixel.0)).count()
}

pub fn reds(picture: &RgbaImage) -> usize {
    // Whatever letters blend with what is behind them, even thin ones.
    count(picture, |[r, g, b, _]| {
        r > 120 && u32::from(r) > 2 * u32::from(g.max(b))
    })
}

fn greens(picture: &RgbaImage) -> usize {
    count(picture, |[r, g, b, _]| g > 180 && r < 40 && b < 40)
}

/// Every way to show text that a page has.
fn gallery(site: &Site) -> String {
    let other = site.other("/other");
    format!(
        r#"<!doctype html><style>body{{margin:8px}} .q::before{{content:attr(data-v);{RED}}} .f::first-letter{{font-size:200%}}</style>
<div style="background:#0f0;width:60px;height:20px;margin-left:700px"></div>
<p>Hello <b style="{RED}">Tr0ub</b><span style="{RED}">&amp;dor"3/ö</span> end</p>
<input value="{TEXT}" style="{RED}"><input type=password value="{TEXT}" style="{RED}"><input type=submit value="{TEXT}" style="{RED}">
<textarea style="{RED}" cols=30>x {TEXT}</textarea><input id=typed style="{RED}"><textarea id=area style="{RED}"></textarea>
<style>#ph::placeholder{{{RED}}}</style><input id=ph placeholder="{TEXT}"><select style="{RED}"><option>{TEXT}</select>
<p class=q data-v="{TEXT}"></p><p class=f style="{RED}">{TEXT}</p><p style="{RED}">Tr0<wbr>ub&amp;d&shy;or"3/ö</p>
<p style="{RED};text-transform:uppercase">aa {TEXT}</p><p style="{RED};display:flex"><i>Tr0u</i> <i>b&amp;dor</i>
<i>"3/ö</i></p><pre style="width:400px">one
two <span style="{RED}">{TEXT}</span></pre>
<div style="transform:rotate(30deg);width:300px;margin:60px;{RED}">{TEXT}</div>
<svg width=300 height=40><text id=t x=10 y=20 fill=#f00 transform="rotate(5)">{TEXT}</text></svg><svg width=200 height=40><use href=#t x=5 y=5 /></svg>
<div style="overflow:scroll;width:120px;height:60px" id=sc><div style="height:200px;padding-top:70px;width:400px;padding-left:100px;{RED}">{TEXT}</div></div>
<div style="writing-mode:vertical-rl;{RED}">{TEXT}</div><div style="zoom:1.7;{RED}">{TEXT}</div>
<div style="position:fixed;right:10px;top:60px;{RED}">{TEXT}</div><div style="width:60px;{RED};word-break:break-all">{TEXT}</div>
<div dir=rtl style="{RED};width:300px">שלום {TEXT}</div><img alt="{TEXT}" src=/nope style="{RED}" width=200 height=30>
<p style="text-shadow:30px 0 #f00;color:#fff">{TEXT}</p><p style="filter:drop-shadow(0 25px 0 #f00)">{TEXT}</p>
<div id=o></div><div id=h></div>
<script>
const v = 'Tr0ub&dor"3/ö', text = '<p style="{RED}"><b>Tr0ub</b>&amp;dor"3/ö <input style="{RED}" value="{TEXT}"></p>';
o.attachShadow({{mode: 'open'}}).innerHTML = text; h.attachShadow({{mode: 'closed'}}).innerHTML = text;
typed.value = v; area.value = v; sc.scrollTop = 60; sc.scrollLeft = 90;
Node.prototype.contains = () => {{ throw 1 }}; Document.prototype.createTreeWalker = () => null; Array.prototype.push = () => 0;
</script>
<iframe srcdoc='<body style="height:1000px"><p style="{RED};margin-top:200px">{INNER}</p><script>scrollTo(0,150)</script>' style="padding:10px;border:5px solid;margin-left:30px"></iframe>
<iframe srcdoc='<p style="{RED}">{INNER}</p>' style="transform:rotate(20deg) scale(.8);padding:20px"></iframe>
<iframe sandbox srcdoc='<p style="{RED}">{INNER}</p>' style="border:7px solid"></iframe>
<iframe src="{other}" style="padding:15px;border:3px solid"></iframe><iframe src="{other}" style="transform:rotate(-15deg) scale(.9)"></iframe>
<div style="height:900px"></div><p style="{RED}">{TEXT}</p>"#
    )
}

fn put_gallery(site: &Site) {
    site.page("/gallery", gallery(site));
    let inner = site.url("/inner");
    site.page(
        "/other",
        format!(r#"<body style="height:1500px"><p style="{RED};margin-top:120px">in {TEXT}</p><iframe src="/inner" style="border:4px solid"></iframe><iframe src="{inner}"></iframe><script>scrollTo(0,90)</script>"#),
    );
    site.page("/inner", format!(r#"<p style="{RED}">inner {TEXT}</p>"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_no_picture_of_any_kind_shows_a_secret_in_any_frame() {
    let mut stage = Stage::start(Captures::Cover).await;
    put_gallery(&stage.site);
    for ratio in [1.0, 1.5, 2.0] {
        let metrics =
            json!({"width": 900, "height": 700, "deviceScaleFactor": ratio, "mobile": false});
        stage
            .ask("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        stage.go("/gallery").await;
        for scroll in [0, 300] {
            stage.evaluate(&format!("scrollTo(0, {scroll})")).await;
            stage.drawn().await;
            let size = stage.ask("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
            let whole = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
            for params in [
                json!({}),
                json!({"clip": {"x": 20, "y": scroll + 30, "width": 500, "height": 400, "scale": 1}}),
                json!({"clip": {"x": 0, "y": scroll, "width": 800, "height": 600, "scale": 0.5}, "format": "webp"}),
                json!({"clip": whole, "captureBeyondViewport": true}),
                json!({"captureBeyondViewport": true, "optimizeForSpeed": true}),
            ] {
                stage
                    .covered(&params, &format!("{params} ratio {ratio} scroll {scroll}"))
                    .await;
            }
        }
    }
    let log = std::fs::read_to_string(stage.log.path().join("audit.log")).unwrap();
    assert!(
        log.contains("x_password") && log.contains("Page.captureScreenshot"),
        "covers are in the audit log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_in_any_zoom_and_transform_are_covered() {
    let mut stage = Stage::start(Captures::Cover).await;
    let other = stage.site.other("/inner");
    stage.site.page("/inner", format!(r#"<div style="height:80px"></div><p style="{RED}">inner {TEXT}</p><p style="height:500px;width:900px">x<script>scrollTo(20,30)</script>"#));
    stage.site.page(
        "/nest",
        format!(r#"<body style="height:900px;width:500px"><p style="{RED};margin-top:60px">n {TEXT}</p><div style="zoom:1.2"><input style="{RED}" value="{TEXT}"></div>
<iframe src=/inner style="zoom:.8"></iframe><iframe src="{other}" style="zoom:.9;transform:rotate(3deg)"></iframe><script>scrollTo(8,40)</script>"#),
    );
    let nest = stage.site.other("/nest");
    for style in [
        "zoom:1.3;padding:10px",
        "transform:scale(.8) rotate(10deg)",
        "zoom:1.2;transform:scale(.7) rotate(-8deg)",
        "transform:perspective(300px) rotateY(20deg)",
    ] {
        for html in ["", "zoom:1.4"] {
            let style = format!("width:400px;height:300px;border:3px solid;{style}");
            let page = format!(
                r#"<html style="{html}"><body style="height:2500px"><div style="height:50px"></div><iframe src=/nest style="{style}"></iframe><iframe src="{nest}" style="{style}"></iframe>"#
            );
            stage.site.page("/page", page);
            stage.go("/page").await;
            stage.evaluate("scrollTo(0, 20)").await;
            stage.drawn().await;
            stage
                .covered(&json!({}), &format!("{style} in {html}"))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pinched_and_mobile_pages_are_covered() {
    let mut stage = Stage::start(Captures::Cover).await;
    stage.site.page("/wide", format!(r#"<!doctype html><body style="margin:0"><p style="{RED}">{TEXT}</p><div style="width:1500px;height:3000px;background:#eee"></div><div style="position:fixed;bottom:0;{RED}">{TEXT}</div>"#));
    stage.site.page("/device", format!(r#"<!doctype html><meta name=viewport content="width=device-width,initial-scale=1"><body style="margin:0"><p style="{RED}">{TEXT}</p><div style="width:600px;height:3000px"></div>"#));
    stage.go("/wide").await;
    stage
        .ask(
            "Emulation.setPageScaleFactor",
            json!({"pageScaleFactor": 2}),
        )
        .await;
    stage.drawn().await;
    stage.covered(&json!({}), "pinched").await;
    let mobile = json!({"width": 390, "height": 800, "deviceScaleFactor": 3, "mobile": true});
    stage
        .ask("Emulation.setDeviceMetricsOverride", mobile)
        .await;
    for path in ["/wide", "/device"] {
        stage.go(path).await;
        for params in [
            json!({}),
            json!({"clip": {"x": 0, "y": 0, "width": 390, "height": 700, "scale": 1}}),
            json!({"captureBeyondViewport": true}),
        ] {
            stage.covered(&params, &format!("{path} {params}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_no_secret_is_the_browsers_own_picture() {
    let mut stage = Stage::start(Captures::Cover).await;
    let rows: Vec<String> = (0..300)
        .map(|row| format!("<tr><td>{row}<td><input value=v{row}>"))
        .collect();
    let rows = rows.concat();
    stage.site.page("/rows", format!("<!doctype html><p style='{RED}'>Tr0ub, dor</p><iframe srcdoc='<p>frame</p>'></iframe><table>{rows}</table>"));
    stage.go("/rows").await;
    for params in [
        json!({}),
        json!({"format": "jpeg", "quality": 30}),
        json!({"captureBeyondViewport": true}),
    ] {
        // Twice, since the first picture of a whole page takes its scroll bars away.
        stage.bare(&params).await;
        let (bare, shot) = (
            stage.bare(&params).await,
            stage.shot(&params).await.unwrap(),
        );
        assert!(reds(&bare) > 0);
        assert!(bare == shot, "{params}");
    }
    // What is denied because it cannot be mapped is denied only where it matters.
    stage.shot(&json!({"format": "gif"})).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_or_comes_and_goes_is_covered_or_denied() {
    let mut stage = Stage::start(Captures::Cover).await;
    stage.site.page(
        "/moving",
        format!(r#"<!doctype html><p id=m style="position:absolute;top:50px;{RED}">{TEXT}</p><script>
let speed = 0, at = 0; function step() {{ at = (at + speed) % 700; m.style.left = at + 'px'; requestAnimationFrame(step); }} step();
function appear(after) {{ speed = 0; m.textContent = ''; setTimeout(() => {{ m.textContent = 'Tr0ub&dor"3/ö'; }}, after); }}
</script>"#),
    );
    stage.go("/moving").await;
    let (mut shown, mut denied) = (0, 0);
    for start in ["speed = 0.2", "speed = 180", "appear(round * 15)"] {
        for round in 0..8 {
            stage
                .evaluate(&start.replace("round", &round.to_string()))
                .await;
            match stage.shot(&json!({})).await {
                Ok(shot) => {
                    assert_eq!(reds(&shot), 0, "{start}");
                    shown += 1;
                }
                Err(refusal) => {
                    assert!(refusal.text.contains("move"), "{refusal}");
                    denied += 1;
                }
            }
        }
    }
    assert!(shown > 0 && denied > 0, "{shown} shown, {denied} denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_covered_is_denied() {
    let mut stage = Stage::start(Captures::Cover).await;
    stage.site.page("/plain", "<p>nothing</p>");
    stage
        .site
        .page("/hidden", format!("<p style='display:none'>{TEXT}</p>"));
    stage
        .site
        .page("/shown", format!("<p style='{RED}'>{TEXT}</p>"));
    stage.go("/plain").await;
    let pdf = |stage: &Stage| {
        let (context, session) = (stage.context.clone(), stage.session.clone());
        async move {
            captures::take(
                &context,
                &command(7, Some(&session), "Page.printToPDF", &json!({})),
            )
            .await
        }
    };
    assert!(matches!(pdf(&stage).await, Verdict::Answer(_)));
    let begin = stage
        .judge(
            &stage.context,
            "HeadlessExperimental.beginFrame",
            &json!({"screenshot": {}}),
        )
        .await;
    assert!(matches!(begin, Verdict::Refuse(_)));
    for path in ["/hidden", "/shown"] {
        stage.go(path).await;
        let Verdict::Refuse(refusal) = pdf(&stage).await else {
            panic!("{path} was printed");
        };
        assert!(
            refusal.text.contains("x_password") && !refusal.text.contains("Tr0ub"),
            "{refusal}"
        );
    }
    let surface = stage
        .shot(&json!({"fromSurface": false}))
        .await
        .unwrap_err();
    assert!(surface.text.contains("fromSurface"), "{surface}");
    // A renderer that answers nothing gives no picture.
    stage
        .evaluate("setTimeout(() => { for (;;) {} }, 0); 1")
        .await;
    let mut context = stage.context.clone();
    let mut limited = Settings::clone(&context.settings);
    limited.limits.command_timeout = std::time::Duration::from_millis(700);
    context.settings = Arc::new(limited);
    let stuck = stage
        .judge(&context, "Page.captureScreenshot", &json!({}))
        .await;
    assert!(matches!(stuck, Verdict::Refuse(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fill_there_are_none_where_the_setting_says_so() {
    let mut stage = Stage::start(Captures::DenyAfterFill).await;
    stage.site.page("/plain", "<p>nothing</p>");
    stage.site.page("/shown", format!("<p>{TEXT}</p>"));
    stage.go("/plain").await;
    stage.shot(&json!({})).await.unwrap();
    let tree = stage.ask("Page.getFrameTree", json!({})).await;
    let loader = tree["frameTree"]["frame"]["loaderId"]
        .as_str()
        .unwrap()
        .to_owned();
    stage.context.pages.filled(&stage.target, &loader);
    for method in [
        "Page.captureScreenshot",
        "Page.printToPDF",
        "Page.startScreencast",
    ] {
        let Verdict::Refuse(refusal) = stage.judge(&stage.context, method, &json!({})).await else {
            panic!("{method} after a fill");
        };
        assert!(refusal.text.contains("filled"), "{refusal}");
    }
    stage.go("/shown").await;
    stage.shot(&json!({})).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_a_screencast_are_covered() {
    let mut stage = Stage::start(Captures::Cover).await;
    stage.site.page(
        "/cast",
        format!(r#"<!doctype html><body style="height:2000px"><div style="background:#0f0;width:60px;height:20px;margin-left:700px"></div><p style="{RED}">{TEXT}</p><p id=m style="position:absolute;top:150px;{RED}">{TEXT}</p>
<script>let at = 0; setInterval(() => {{ at += 1; m.style.left = at % 200 + 'px'; scrollTo(0, at % 40); }}, 20)</script>"#),
    );
    stage.go("/cast").await;
    let params = json!({"format": "png", "everyNthFrame": 1, "maxWidth": 450});
    let verdict = stage
        .judge(&stage.context, "Page.startScreencast", &params)
        .await;
    let Verdict::With(same) = verdict else {
        panic!("a screencast is let through");
    };
    assert_eq!(serde_json::from_slice::<Value>(&same).unwrap(), params);
    stage.ask("Page.startScreencast", params).await;
    let (mut painted, mut bare) = (0, 0);
    while painted < 8 {
        let FromBrowser::Event {
            method,
            session,
            message,
            params,
        } = stage.client.next().await
        else {
            continue;
        };
        if &*method != "Page.screencastFrame" {
            continue;
        }
        let event = Event {
            method: &method,
            session: session.as_ref(),
            message: &message,
            params: params.as_ref(),
        };
        bare += reds(&picture(&serde_json::from_slice(event.params()).unwrap()));
        match captures::frame(&stage.context, &event).await {
            Observed::Replace(message) => {
                let message: Value = serde_json::from_slice(&message).unwrap();
                assert_eq!(message["method"], "Page.screencastFrame");
                assert_eq!(message["sessionId"], json!(stage.session));
                let shot = picture(&message["params"]);
                assert_eq!(reds(&shot), 0);
                assert!(greens(&shot) > 20 || painted > 0, "the rest is to be seen");
                painted += 1;
                let number = message["params"]["sessionId"].clone();
                let ack = json!({ "sessionId": number });
                let session = stage.session.clone();
                stage
                    .client
                    .send(Some(&session), "Page.screencastFrameAck", ack)
                    .await;
            }
            Observed::Drop => {}
            Observed::Keep => panic!("a frame was let through"),
        }
    }
    assert!(bare > 50, "nothing to be seen without us");
}
