//! Script runs in worlds. A client may name those that it was told of; ours are not among them.
//!
//! A frame's isolated worlds are the same for all sessions, and a context's number is easily guessed, or left over from another
//! process. So commands that name a context pass only if it was announced to the client, and where they run script, they go on with
//! its unique id in the number's place: however late they come, they find that context or none. The announcements of ours are
//! dropped, with what happens in them, and handles of ours are refused. Placeholders in source or arguments stay as they are.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::debugger::{self, Console};
use super::params::{answer, failed, read};
use super::{Inspector, State};
use crate::browser::context::Context;
use crate::browser::{Command, Event, Observed, Refusal, Verdict};

/// What a command says about where its script runs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Where<'a> {
    context_id: Option<i64>,
    execution_context_id: Option<i64>,
    #[serde(borrow)]
    unique_context_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    world_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    execution_context_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    promise_object_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    prototype_object_id: Option<Cow<'a, str>>,
    #[serde(rename = "includeCommandLineAPI")]
    takes_functions: Option<bool>,
}

/// For how long the browser is asked which context a client made.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the browser says of a context that is not there, which clients know how to take.
pub(in crate::browser) const NO_CONTEXT: &str = "Cannot find context with specified id";

/// Names of the platform in lower case that scripts of ours may use.
const PLATFORM: [&str; 44] = [
    "atob",
    "btoa",
    "cancelAnimationFrame",
    "clearTimeout",
    "console",
    "crypto",
    "customElements",
    "decodeURIComponent",
    "devicePixelRatio",
    "document",
    "encodeURIComponent",
    "eval",
    "event",
    "fetch",
    "focus",
    "frameElement",
    "frames",
    "getComputedStyle",
    "getSelection",
    "globalThis",
    "innerHeight",
    "innerWidth",
    "isFinite",
    "isNaN",
    "length",
    "location",
    "name",
    "navigator",
    "origin",
    "pageXOffset",
    "pageYOffset",
    "parent",
    "parseFloat",
    "parseInt",
    "performance",
    "queueMicrotask",
    "requestAnimationFrame",
    "scrollX",
    "scrollY",
    "self",
    "setTimeout",
    "structuredClone",
    "top",
    "window",
];

impl Inspector {
    pub(super) async fn world(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        let place: Where<'_> = read(command)?;
        let ours = context.hub.world();
        let names_ours = [&place.world_name, &place.execution_context_name];
        if names_ours.into_iter().flatten().any(|name| name == ours) {
            return Err(Refusal::new("this world is not there for clients"));
        }
        let handles = [
            &place.object_id,
            &place.promise_object_id,
            &place.prototype_object_id,
        ];
        let mut handles = handles.into_iter().flatten();
        if handles.any(|object| context.hub.is_ours(object)) {
            return Err(Refusal::new(NO_CONTEXT));
        }
        let session = command.session.as_deref().unwrap_or_default();
        let target = target(context, command.session.as_deref());
        let there = |session: &str| is_there(context, session);
        let takes_functions = place.takes_functions == Some(true);
        if let Some(wanted) = Console::of(context, command, takes_functions)
            && !self.state().has(session, wanted)
        {
            return Err(wanted.refusal());
        }
        match &*command.method {
            "Page.createIsolatedWorld" => return self.create(context, command).await,
            // Before it goes on: its first events come before its answer.
            "Runtime.enable" => self.state().worlds.enable(session, &target, there),
            "Runtime.disable" => self.state().worlds.remove(session),
            "Debugger.enable" => return debugger::enable(context, command).await,
            method if debugger::tells_scripts(method) => {
                return debugger::without_ours(context, command).await;
            }
            _ => {}
        }
        let numbers = [place.context_id, place.execution_context_id];
        {
            let State { worlds, .. } = &*self.state();
            let known = numbers
                .into_iter()
                .flatten()
                .all(|number| worlds.knows(&target, number));
            let unique = place.unique_context_id.as_deref();
            if !known || !unique.is_none_or(|id| worlds.knows_unique(&target, id)) {
                return Err(Refusal::new(NO_CONTEXT));
            }
        }
        match &*command.method {
            // By a number it could reach another context than it was meant for.
            "Runtime.addBinding" => {
                let everywhere = place.execution_context_name.is_none();
                binding(place.name.as_deref().unwrap_or_default(), everywhere)?;
            }
            "Runtime.runScript" if place.execution_context_id.is_some() => {
                return Err(Refusal::new(
                    "Runtime.runScript with executionContextId is refused: use Runtime.evaluate, or leave it out",
                ));
            }
            "Runtime.evaluate" | "Runtime.callFunctionOn" => {
                return self.unmistakably(command, &target, &place);
            }
            _ => {}
        }
        Ok(Verdict::Pass)
    }

    /// Script that is to run in a context by its number goes on with the context's unique id.
    fn unmistakably(
        &self,
        command: &Command,
        target: &str,
        place: &Where<'_>,
    ) -> Result<Verdict, Refusal> {
        let is_evaluate = &*command.method == "Runtime.evaluate";
        let (key, number) = if is_evaluate {
            ("contextId", place.context_id)
        } else {
            ("executionContextId", place.execution_context_id)
        };
        let Some(number) = number else {
            return Ok(Verdict::Pass);
        };
        if place.unique_context_id.is_some() {
            return Err(Refusal::new(
                "a context is named by its number or by its uniqueContextId, not by both",
            ));
        }
        let params = command.params();
        let entry = entry(params, key.as_bytes()).ok_or_else(|| Refusal::new(NO_CONTEXT))?;
        let session = command.session.as_deref().unwrap_or_default();
        let State { worlds, .. } = &*self.state();
        let unique = worlds.unique(session, target, number);
        let unique = unique.ok_or_else(|| Refusal::new(NO_CONTEXT))?;
        let unique = format!("\"uniqueContextId\":{}", json!(unique));
        let (before, after) = (&params[..entry.start], &params[entry.end..]);
        Ok(Verdict::With(
            [before, unique.as_bytes(), after].concat().into(),
        ))
    }

    /// Where the client did not ask for events, the answer is what tells it of the context.
    async fn create(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            execution_context_id: i64,
        }
        let session = command.session.as_deref();
        let name = session.unwrap_or_default();
        if self.state().worlds.is_told(name) {
            return Ok(Verdict::Pass);
        }
        let target = target(context, session);
        let created = context
            .member
            .call(session, &command.method, command.params());
        let created = created.await.map_err(failed)?;
        let Created {
            execution_context_id,
        } = answer(&created)?;
        let unique = if self.waited(name) {
            None
        } else {
            let asked = timeout(PATIENCE, unique_of(context, &target, execution_context_id));
            asked.await.ok().flatten()
        };
        self.state().worlds.announce(
            name,
            &target,
            execution_context_id,
            unique.as_deref(),
            |session| is_there(context, session),
        );
        Ok(Verdict::Answer(created))
    }

    pub(super) fn see_world(&self, context: &Context, event: &Event<'_>) -> Observed {
        let session = event.session.map(|session| &**session);
        let name = session.unwrap_or_default();
        let keep = match &**event.method {
            "Runtime.executionContextCreated" => {
                let target = target(context, session);
                self.see_created(context, name, &target, event.params())
            }
            "Runtime.executionContextDestroyed" => self.see_destroyed(name, event.params()),
            "Runtime.executionContextsCleared" => {
                self.state().worlds.clear(name);
                true
            }
            "Debugger.paused" => return debugger::paused(&context.hub, event),
            _ => self.see_script(context.hub.world(), name, event.params()),
        };
        if keep { Observed::Keep } else { Observed::Drop }
    }

    fn see_created(&self, context: &Context, session: &str, target: &str, params: &[u8]) -> bool {
        let Ok(Announced { context: new }) = serde_json::from_slice(params) else {
            return false;
        };
        let mut state = self.state();
        let there = |session: &str| is_there(context, session);
        if new.name == context.hub.world() {
            state.worlds.hide(session, target, new.id, there);
            return false;
        }
        // An event that was under way when the client asked for no more of them is not held.
        if state.worlds.is_told(session) {
            let unique = new.unique_id.as_deref();
            state
                .worlds
                .announce(session, target, new.id, unique, there);
        }
        true
    }

    fn see_destroyed(&self, session: &str, params: &[u8]) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Destroyed {
            execution_context_id: i64,
        }
        match serde_json::from_slice(params) {
            Ok(Destroyed {
                execution_context_id,
            }) => self.state().worlds.forget(session, execution_context_id),
            Err(_) => false,
        }
    }

    /// A script that was parsed, or an exception: ours are known by their context, or by the name that they give themselves.
    fn see_script(&self, world: &str, session: &str, params: &[u8]) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Script<'a> {
            execution_context_id: Option<i64>,
            #[serde(borrow)]
            url: Option<Cow<'a, str>>,
            #[serde(borrow)]
            exception_details: Option<Box<Script<'a>>>,
        }
        let Ok(script) = serde_json::from_slice::<Script<'_>>(params) else {
            return false;
        };
        let script = script.exception_details.as_deref().unwrap_or(&script);
        let is_named = script.url.as_deref().is_some_and(|url| url.contains(world));
        let number = script.execution_context_id;
        !is_named && !number.is_some_and(|number| self.state().worlds.is_ours(session, number))
    }
}

#[derive(Deserialize)]
struct Announced<'a> {
    #[serde(borrow)]
    context: New<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New<'a> {
    id: i64,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    unique_id: Option<Cow<'a, str>>,
}

/// The unique id of a context of a target, by a session that is there for this question only.
async fn unique_of(context: &Context, target: &str, number: i64) -> Option<Box<str>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attached {
        session_id: Box<str>,
    }
    let hub = &context.hub;
    let params = json!({"targetId": target, "flatten": true});
    let attached = hub.call(None, "Target.attachToTarget", params).await.ok()?;
    let Attached { session_id } = serde_json::from_slice(&attached).ok()?;
    let unique = announced(context, &session_id, number).await;
    let params = json!({ "sessionId": session_id });
    let _ = hub.call(None, "Target.detachFromTarget", params).await;
    unique
}

async fn announced(context: &Context, session: &str, number: i64) -> Option<Box<str>> {
    let mut events = context.hub.events(Some(session)).ok()?;
    let enabled = context.hub.call(Some(session), "Runtime.enable", json!({}));
    let looking = async {
        while let Some(event) = events.next().await {
            let Ok(Announced { context: new }) = serde_json::from_slice(event.params()) else {
                continue;
            };
            if new.id == number && new.name != context.hub.world() {
                return new.unique_id.map(|unique| unique.as_ref().into());
            }
        }
        None
    };
    // All contexts that there are come before the answer.
    let (enabled, found) = tokio::join!(enabled, timeout(PATIENCE / 2, looking));
    enabled.ok()?;
    found.ok().flatten()
}

/// Where a member with a number stands in an object's text, which is JSON; `None`: it does not, or is spelled with escapes.
fn entry(object: &[u8], key: &[u8]) -> Option<Range<usize>> {
    let blanks = |mut at: usize| {
        while object.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let (mut at, mut depth) = (0, 0);
    while let Some(&byte) = object.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                loop {
                    at += memchr::memchr2(b'"', b'\\', object.get(at..)?)?;
                    if object[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
                let text = &object[start + 1..at];
                at += 1;
                let colon = blanks(at);
                if depth != 1 || text != key || object.get(colon) != Some(&b':') {
                    continue;
                }
                let from = blanks(colon + 1);
                let digits = object[from..].iter();
                let count = digits.take_while(|b| b.is_ascii_digit() || **b == b'-');
                let end = from + count.count();
                return (end > from).then_some(start..end);
            }
            _ => {}
        }
    }
    None
}

/// The target of a session; a session that is not there has none, and knows nothing.
fn target(context: &Context, session: Option<&str>) -> Box<str> {
    context
        .member
        .target_of(session)
        .map_or_else(Box::default, |target| target.id.clone())
}

fn is_there(context: &Context, session: &str) -> bool {
    session.is_empty() || context.member.target_of(Some(session)).is_some()
}

/// A binding without a context is put into every world, ours too, where it must not take the place of what the platform has.
fn binding(name: &str, everywhere: bool) -> Result<(), Refusal> {
    let is_platform = name.starts_with(|c: char| c.is_uppercase()) || PLATFORM.contains(&name);
    if everywhere && is_platform {
        return Err(Refusal::new(
            "a binding of that name would take the place of what the platform has, in all worlds: give it an executionContextName, or \
             another name",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_do_not_replace_the_platform() {
        for (name, everywhere, passes) in [
            ("__playwright__binding__", true, true),
            ("puppeteer_x", true, true),
            ("self", true, false),
            ("origin", true, false),
            ("Object", true, false),
            ("HTMLInputElement", true, false),
            ("self", false, true),
        ] {
            assert_eq!(binding(name, everywhere).is_ok(), passes, "{name}");
        }
        assert!(PLATFORM.is_sorted());
    }

    #[test]
    fn members_are_found_where_they_stand() {
        for (object, found) in [
            (r#"{"contextId":7}"#, Some(r#""contextId":7"#)),
            (
                r#"{ "contextId" : -71 , "a":1}"#,
                Some(r#""contextId" : -71"#),
            ),
            (
                r#"{"e":"\"contextId\":3,\\","a":{"contextId":4},"b":["contextId",{"contextId":5}],"contextId":6}"#,
                Some(r#""contextId":6"#),
            ),
            (
                r#"{"a":"contextId","contextId":8}"#,
                Some(r#""contextId":8"#),
            ),
            (r#"{"context\u0049d":7}"#, None),
            (r#"{"a":{"contextId":7}}"#, None),
            (r#"{"contextId":"7"}"#, None),
            (r#"{"contextId"#, None),
        ] {
            let at = entry(object.as_bytes(), b"contextId");
            assert_eq!(at.map(|at| &object[at]), found, "{object}");
        }
    }

    #[test]
    fn scripts_of_ours_are_not_seen() {
        let inspector = Inspector::new(std::sync::Arc::default());
        inspector.state().worlds.hide("s", "t", 7, |_| true);
        for (params, seen) in [
            (
                r#"{"executionContextId":1,"url":"https://a.test/a.js"}"#,
                true,
            ),
            (r#"{"executionContextId":7,"url":""}"#, false),
            (r#"{"executionContextId":1,"url":"bauta-w0rld"}"#, false),
            (
                r#"{"timestamp":1,"exceptionDetails":{"text":"a","executionContextId":7}}"#,
                false,
            ),
            (r#"{"timestamp":1,"exceptionDetails":{"text":"a"}}"#, true),
            ("[]", false),
        ] {
            assert_eq!(
                inspector.see_script("w0rld", "s", params.as_bytes()),
                seen,
                "{params}"
            );
        }
    }
}
