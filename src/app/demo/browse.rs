//! The second act: a login page in a real browser, filled with placeholders.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cdp::{CdpError, Client};
use super::check::{self, Check};
use super::site::Site;
use super::story;

/// What it shows, in order: what was done, and what came of it.
pub(super) struct Act {
    pub rows: Vec<Step>,
    pub checks: Vec<Check>,
}

/// One step of it.
pub(super) struct Step {
    pub label: &'static str,
    pub text: String,
    /// Whether values are shown, which the agent never gets.
    pub is_value: bool,
}

/// Names under which browsers that speak CDP are installed.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where they are found besides `PATH`.
const PLACES: [&str; 4] = [
    "/usr/bin",
    "/usr/local/bin",
    "/snap/bin",
    "/Applications/Google Chrome.app/Contents/MacOS",
];

/// A browser of this machine.
pub(super) fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .collect();
    let named = NAMES.iter().chain(&["Google Chrome"]);
    let mut all = named.flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.is_absolute()
        && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        && file.is_file()
}

/// More arguments than every start has: as root Chromium's own sandbox does not start.
pub(super) fn arguments() -> Vec<String> {
    let root = rustix::process::geteuid().is_root();
    let sandbox = root.then(|| "--no-sandbox".to_owned());
    ["--disable-gpu".to_owned()]
        .into_iter()
        .chain(sandbox)
        .collect()
}

/// Logs in by way of the browser channel at `addr`.
pub(super) async fn act(addr: SocketAddr, site: &Site) -> Result<Act, CdpError> {
    let mut client = Client::open(addr).await?;
    let created = client
        .call(None, "Target.createTarget", json!({ "url": "about:blank" }))
        .await?;
    let attach = json!({ "targetId": created["targetId"], "flatten": true });
    let attached = client.call(None, "Target.attachToTarget", attach).await?;
    let session = attached["sessionId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut page = Page { client, session };
    page.call("Page.enable", json!({})).await?;
    page.open(&format!("http://{}/login", site.addr())).await?;
    page.focus("user").await?;
    page.call("Input.insertText", json!({ "text": "x_username" }))
        .await?;
    page.focus("password").await?;
    page.call("Input.insertText", json!({ "text": "{{x_password}}" }))
        .await?;
    let field = page
        .read("document.querySelector('#password').value")
        .await?;
    page.read("document.querySelector('button').click()")
        .await?;
    page.client.event("Page.loadEventFired").await?;
    let shown = page.read("document.body.innerText").await?;

    // The same server, but another origin.
    page.open(&format!("http://localhost:{}/login", site.addr().port()))
        .await?;
    page.focus("password").await?;
    let elsewhere = page
        .call("Input.insertText", json!({ "text": "{{x_password}}" }))
        .await;
    let refused = match elsewhere {
        Err(CdpError::Refused(text)) => Some(text),
        Err(error) => return Err(error),
        Ok(_) => None,
    };
    let received = page.client.received();
    Ok(told(site, &received, &field, &shown, refused))
}

fn told(site: &Site, received: &[u8], field: &str, shown: &str, refused: Option<String>) -> Act {
    let forms = site.forms();
    let sent = forms
        .first()
        .map(|(user, password)| format!("user: {user}   password: {password}"));
    let checks = vec![
        Check {
            holds: forms == [story::login()],
            seen: "The site got the real user name and password, once".to_owned(),
            fault: "the site did not get what its form asks for",
        },
        Check {
            holds: check::found(received).is_empty()
                && shown.contains("x_password")
                && field == "x_password",
            seen: format!(
                "None of them is in the {} bytes that the agent got of the browser",
                received.len()
            ),
            fault: "the agent got a value of the browser",
        },
        Check {
            holds: refused.is_some(),
            seen: "On another origin the placeholder was refused".to_owned(),
            fault: "a placeholder was not refused on an origin that is not its own",
        },
    ];
    let row = |label, text, is_value| Step {
        label,
        text,
        is_value,
    };
    let rows = vec![
        row(
            "agent types",
            "user: x_username   password: {{x_password}}".to_owned(),
            false,
        ),
        row(
            "site gets",
            sent.unwrap_or_else(|| "(nothing)".to_owned()),
            true,
        ),
        row(
            "agent reads",
            format!("field: {field}   page: {}", shown.trim()),
            false,
        ),
        row(
            "elsewhere",
            refused.unwrap_or_else(|| "(not refused)".to_owned()),
            false,
        ),
    ];
    Act { rows, checks }
}

/// A page that it drives.
struct Page {
    client: Client,
    session: String,
}

impl Page {
    async fn call(&mut self, method: &str, params: Value) -> Result<Value, CdpError> {
        self.client.call(Some(&self.session), method, params).await
    }

    async fn open(&mut self, url: &str) -> Result<(), CdpError> {
        self.call("Page.navigate", json!({ "url": url })).await?;
        self.client.event("Page.loadEventFired").await
    }

    async fn focus(&mut self, field: &str) -> Result<(), CdpError> {
        self.read(&format!("document.querySelector('#{field}').focus()"))
            .await?;
        Ok(())
    }

    /// What an expression comes to, as text.
    async fn read(&mut self, expression: &str) -> Result<String, CdpError> {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params).await?;
        Ok(result["result"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }
}
