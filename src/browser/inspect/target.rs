//! Targets, sessions and browser contexts.
//!
//! Sessions are flat, or their messages would be text inside other messages, past all rules. Pages of the browser itself are not
//! there for clients. A browser context gets no proxy, which could read and lead elsewhere what goes to a secret's own domain,
//! and is disposed of by nobody else while its maker is there.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::{answer, failed, read};
use super::url::{self};
use super::{Inspector, MOST_SHARED, files};
use crate::browser::context::Context;
use crate::browser::{Command, Event, Observed, Refusal, Verdict};

/// What is said of a target.
#[derive(Deserialize)]
struct Info {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

/// One rule of which targets count.
#[derive(Deserialize, Serialize)]
struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<bool>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// What Chrome says of a target that is not there.
const NO_TARGET: &str = "No target with given id found";

/// Rules of a filter that are read.
const MOST_FILTERS: usize = 64;

impl Inspector {
    pub(super) async fn target(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        match &*command.method {
            "Target.attachToTarget" => attach(context, command).await,
            "Target.setAutoAttach" | "Target.autoAttachRelated" | "Target.setDiscoverTargets" => {
                filtered(command)
            }
            "Target.getTargets" => list(context, command).await,
            "Target.getTargetInfo" => tell(context, command).await,
            "Target.createBrowserContext" => self.create_context(context, command).await,
            "Target.disposeBrowserContext" => self.dispose_context(command),
            // attachToBrowserTarget: a root more, which its client owns like the first.
            _ => Ok(Verdict::Pass),
        }
    }

    async fn create_context(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Create {
            proxy_server: Option<String>,
            proxy_bypass_list: Option<String>,
            origins_with_universal_network_access: Option<Vec<String>>,
        }
        let create: Create = read(command)?;
        let has_text = |text: Option<String>| text.is_some_and(|text| !text.is_empty());
        let has_proxy = has_text(create.proxy_server) || has_text(create.proxy_bypass_list);
        if has_proxy
            || create
                .origins_with_universal_network_access
                .is_some_and(|all| !all.is_empty())
        {
            return Err(Refusal::new(
                "a browser context gets no proxy of its own and no origin that reaches all others: values would go by another way \
                 than the one that was judged. Set the proxy where the browser is started",
            ));
        }
        let session = command.session.as_deref();
        let created = context
            .member
            .call(session, &command.method, command.params());
        let created = created.await.map_err(failed)?;
        let id = context_id(&created)?;
        self.own(&id);
        // Chromium's default would be the folder of the browser's user.
        let downloads = files::downloads(&context.settings, Some(&id));
        let set = context
            .hub
            .call(None, "Browser.setDownloadBehavior", downloads);
        set.await.map_err(failed)?;
        Ok(Verdict::Answer(created))
    }

    fn own(&self, id: &str) {
        let mut common = self.shared.common();
        if common.contexts.len() >= MOST_SHARED {
            common.contexts.retain(|_, maker| maker.strong_count() > 0);
        }
        if common.contexts.len() < MOST_SHARED {
            common
                .contexts
                .insert(id.into(), Arc::downgrade(&self.here));
        }
    }

    fn dispose_context(&self, command: &Command) -> Result<Verdict, Refusal> {
        let id = context_id(command.params())?;
        let mut common = self.shared.common();
        let maker = common.contexts.get(&*id).and_then(std::sync::Weak::upgrade);
        if maker.is_some_and(|maker| !Arc::ptr_eq(&maker, &self.here)) {
            return Err(Refusal::new("this browser context is another client's"));
        }
        common.contexts.remove(&*id);
        Ok(Verdict::Pass)
    }

    fn waits(&self, session: &str) {
        let mut state = self.state();
        if state.waiting.len() < MOST_SHARED {
            state.waiting.insert(session.into());
        }
    }

    /// Whether a session's target waited for the client when it was attached. Once there is no room, all may have.
    pub(super) fn waited(&self, session: &str) -> bool {
        let state = self.state();
        state.waiting.len() >= MOST_SHARED || state.waiting.contains(session)
    }

    pub(super) fn see_target(&self, context: &Context, event: &Event<'_>) -> Observed {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Seen {
            session_id: Option<String>,
            target_info: Option<Info>,
            #[serde(default)]
            waiting_for_debugger: bool,
        }
        let Ok(Seen {
            session_id,
            target_info,
            waiting_for_debugger,
        }) = serde_json::from_slice(event.params())
        else {
            return Observed::Drop;
        };
        if &**event.method == "Target.detachedFromTarget" {
            let mut state = self.state();
            let session = session_id.unwrap_or_default();
            state.worlds.remove(&session);
            state.drags.remove(&*session);
            state.paused.clear(&session);
            state.waiting.remove(&*session);
            state.consoles.remove(&*session);
            return Observed::Keep;
        }
        if !target_info.is_some_and(|info| is_hidden(&info)) {
            if let Some(session) = session_id.filter(|_| waiting_for_debugger) {
                self.waits(&session);
            }
            return Observed::Keep;
        }
        if let Some(session) = session_id {
            leave(context.clone(), session);
        }
        Observed::Drop
    }
}

/// Leaves a target that the browser attached a client to, and that is not there for clients.
fn leave(context: Context, session: String) {
    tokio::spawn(async move {
        let member = &context.member;
        // It may wait for us; and if it is gone already, so much the better.
        let _ = member
            .call(Some(&session), "Runtime.runIfWaitingForDebugger", b"{}")
            .await;
        let params = json!({ "sessionId": session }).to_string();
        let _ = member
            .call(None, "Target.detachFromTarget", params.as_bytes())
            .await;
    });
}

/// Pages of the browser itself. The page of a new tab is one that every client comes by.
fn is_hidden(info: &Info) -> bool {
    is_hidden_page(&info.kind, &info.url)
}

/// As [`is_hidden`], by type and address.
pub(in crate::browser) fn is_hidden_page(kind: &str, address: &str) -> bool {
    let is_new_tab = ["chrome://newtab/", "chrome://new-tab-page/"].contains(&address);
    kind == "browser_ui" || !is_new_tab && url::is_of_browser(address)
}

async fn attach(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attach {
        target_id: String,
        flatten: Option<bool>,
    }
    let Attach { target_id, flatten } = read(command)?;
    if flatten != Some(true) {
        return Err(nested());
    }
    visible(context, command, &target_id).await?;
    Ok(Verdict::Pass)
}

/// The browser does not find a target that is not there for clients.
async fn visible(context: &Context, command: &Command, target: &str) -> Result<Bytes, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        target_info: Info,
    }
    let params = json!({ "targetId": target }).to_string();
    let session = command.session.as_deref();
    let told = context
        .member
        .call(session, "Target.getTargetInfo", params.as_bytes());
    let told = told.await.map_err(failed)?;
    let Answer { target_info } = answer(&told)?;
    if is_hidden(&target_info) {
        return Err(Refusal::new(NO_TARGET));
    }
    Ok(told)
}

async fn tell(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tell {
        target_id: Option<String>,
    }
    match read(command)? {
        Tell { target_id: None } => Ok(Verdict::Pass),
        Tell {
            target_id: Some(target),
        } => visible(context, command, &target)
            .await
            .map(Verdict::Answer),
    }
}

async fn list(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        target_infos: Vec<Value>,
    }
    let _: Option<Vec<Filter>> = filter_of(command)?;
    let session = command.session.as_deref();
    let told = context
        .member
        .call(session, &command.method, command.params());
    let told = told.await.map_err(failed)?;
    let Answer { mut target_infos } = answer(&told)?;
    let all = target_infos.len();
    target_infos.retain(|info| Info::deserialize(info).is_ok_and(|info| !is_hidden(&info)));
    if target_infos.len() == all {
        return Ok(Verdict::Answer(told));
    }
    let shown = json!({ "targetInfos": target_infos }).to_string();
    Ok(Verdict::Answer(shown.into()))
}

/// Attaching and discovering leave out the browser's own windows: a rule before all others says so.
fn filtered(command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Which {
        auto_attach: Option<bool>,
        flatten: Option<bool>,
    }
    let Which {
        auto_attach,
        flatten,
    } = read(command)?;
    if &*command.method == "Target.setAutoAttach"
        && auto_attach != Some(false)
        && flatten != Some(true)
    {
        return Err(nested());
    }
    let mut filter = match filter_of(command)? {
        Some(filter) => filter,
        None if &*command.method == "Target.setDiscoverTargets" && is_off(command)? => {
            return Ok(Verdict::Pass);
        }
        // Chromium's own, written out.
        None => vec![
            rule(Some("browser"), true),
            rule(Some("tab"), true),
            rule(None, false),
        ],
    };
    filter.insert(0, rule(Some("browser_ui"), true));
    let filter =
        serde_json::to_string(&filter).map_err(|_| Refusal::new("the filter cannot be written"))?;
    let rest = super::params::rest(command, &["filter"])?;
    Ok(Verdict::With(
        format!("{{{rest}\"filter\":{filter}}}").into(),
    ))
}

fn is_off(command: &Command) -> Result<bool, Refusal> {
    #[derive(Deserialize)]
    struct Discover {
        discover: bool,
    }
    Ok(!read::<Discover>(command)?.discover)
}

fn filter_of(command: &Command) -> Result<Option<Vec<Filter>>, Refusal> {
    #[derive(Deserialize)]
    struct Filtered {
        filter: Option<Vec<Filter>>,
    }
    let Filtered { filter } = read(command)?;
    if filter
        .as_ref()
        .is_some_and(|rules| rules.len() > MOST_FILTERS)
    {
        return Err(Refusal::new(format!(
            "a filter has at most {MOST_FILTERS} rules"
        )));
    }
    Ok(filter)
}

fn rule(kind: Option<&str>, exclude: bool) -> Filter {
    Filter {
        exclude: exclude.then_some(true),
        kind: kind.map(str::to_owned),
    }
}

fn nested() -> Refusal {
    Refusal::new(
        "sessions are flat here: say flatten: true, or messages would be text inside other messages, which cannot be judged",
    )
}

fn context_id(params: &[u8]) -> Result<Box<str>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Id {
        browser_context_id: Box<str>,
    }
    let id: Result<Id, _> = serde_json::from_slice(params);
    id.map(|id| id.browser_context_id)
        .map_err(|_| Refusal::new("a browserContextId is missing, or stands twice"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::inspect::params::tests::command;

    fn info(kind: &str, url: &str) -> Info {
        Info {
            kind: kind.to_owned(),
            url: url.to_owned(),
        }
    }

    #[test]
    fn pages_of_the_browser_are_hidden() {
        for (kind, url, hidden) in [
            ("page", "https://a.test/", false),
            ("page", "about:blank", false),
            ("page", "", false),
            ("page", "chrome://newtab/", false),
            ("page", "chrome-error://chromewebdata/", false),
            ("page", "chrome://settings/", true),
            ("page", "CHROME://settings/", true),
            ("page", "view-source:https://a.test/", true),
            (
                "page",
                "devtools://devtools/bundled/devtools_app.html",
                true,
            ),
            ("other", "chrome://omnibox-popup/", true),
            ("browser_ui", "", true),
            ("iframe", "chrome-untrusted://x/", true),
            ("browser", "", false),
            ("service_worker", "chrome-extension://abc/x.js", true),
            ("service_worker", "https://a.test/x.js", false),
        ] {
            assert_eq!(is_hidden(&info(kind, url)), hidden, "{kind} {url}");
        }
    }

    #[test]
    fn sessions_are_flat_and_the_windows_of_the_browser_left_out() {
        for (method, params, expected) in [
            (
                "Target.setAutoAttach",
                r#"{"autoAttach":true,"waitForDebuggerOnStart":true,"flatten":true}"#,
                Some(
                    r#"{"autoAttach":true,"flatten":true,"waitForDebuggerOnStart":true,"filter":[{"exclude":true,"type":"browser_ui"},{"exclude":true,"type":"browser"},{"exclude":true,"type":"tab"},{}]}"#,
                ),
            ),
            (
                "Target.setAutoAttach",
                r#"{"autoAttach":true,"flatten":true,"filter":[{"type":"page","exclude":true},{}]}"#,
                Some(
                    r#"{"autoAttach":true,"flatten":true,"filter":[{"exclude":true,"type":"browser_ui"},{"exclude":true,"type":"page"},{}]}"#,
                ),
            ),
            (
                "Target.setDiscoverTargets",
                r#"{"discover":true,"filter":[{}]}"#,
                Some(r#"{"discover":true,"filter":[{"exclude":true,"type":"browser_ui"},{}]}"#),
            ),
            (
                "Target.setAutoAttach",
                r#"{"autoAttach":true,"waitForDebuggerOnStart":true}"#,
                None,
            ),
            (
                "Target.setAutoAttach",
                r#"{"autoAttach":true,"flatten":false}"#,
                None,
            ),
            (
                "Target.setAutoAttach",
                r#"{"autoAttach":true,"flatten":true,"flatten":false}"#,
                None,
            ),
            ("Target.setAutoAttach", r#"{"flatten":1}"#, None),
        ] {
            let verdict = filtered(&command(method, params));
            let became = match verdict {
                Ok(Verdict::With(params)) => Some(String::from_utf8(params.to_vec()).unwrap()),
                Ok(_) => panic!("{params}"),
                Err(_) => None,
            };
            assert_eq!(became.as_deref(), expected, "{params}");
        }
        let off = filtered(&command(
            "Target.setDiscoverTargets",
            r#"{"discover":false}"#,
        ));
        assert!(matches!(off, Ok(Verdict::Pass)));
        let off = filtered(&command(
            "Target.setAutoAttach",
            r#"{"autoAttach":false,"waitForDebuggerOnStart":false}"#,
        ));
        assert!(off.is_ok());
    }

    #[test]
    fn a_browser_context_is_its_makers_while_that_is_there() {
        let shared = Arc::default();
        let maker = Inspector::new(Arc::clone(&shared));
        let other = Inspector::new(shared);
        maker.own("c1");
        maker.own("c2");
        let dispose = |id: &str| {
            command(
                "Target.disposeBrowserContext",
                &json!({"browserContextId": id}).to_string(),
            )
        };
        assert!(other.dispose_context(&dispose("c1")).is_err());
        assert!(other.dispose_context(&dispose("unknown")).is_ok());
        assert!(maker.dispose_context(&dispose("c1")).is_ok());
        let twice = command(
            "Target.disposeBrowserContext",
            r#"{"browserContextId":"c1","browserContextId":"c2"}"#,
        );
        assert!(maker.dispose_context(&twice).is_err());
        drop(maker);
        assert!(
            other.dispose_context(&dispose("c2")).is_ok(),
            "its maker has left"
        );
    }
}
