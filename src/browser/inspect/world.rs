//! Script runs in worlds. A client may name those that it was told of; ours are not among them.
//!
//! A frame's isolated worlds are the same for all sessions, and a context's number is easily guessed. So commands that name a
//! context pass only if it was announced to the client, and the announcements of ours are dropped, with what happens in them.
//! Placeholders in source or arguments stay as they are.

use std::borrow::Cow;

use serde::Deserialize;

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
}

/// What the browser says of a context that is not there, which clients know how to take.
const NO_CONTEXT: &str = "Cannot find context with specified id";

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
        if &*command.method == "Page.createIsolatedWorld" {
            return self.create(context, command).await;
        }
        let target = target(context, command.session.as_deref());
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
        if &*command.method == "Runtime.addBinding" {
            let everywhere =
                place.execution_context_id.is_none() && place.execution_context_name.is_none();
            binding(place.name.as_deref().unwrap_or_default(), everywhere)?;
        }
        Ok(Verdict::Pass)
    }

    /// The answer is what tells the client of the context, where it did not ask for events.
    async fn create(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            execution_context_id: i64,
        }
        let session = command.session.as_deref();
        let target = target(context, session);
        let created = context
            .member
            .call(session, &command.method, command.params());
        let created = created.await.map_err(failed)?;
        let Created {
            execution_context_id,
        } = answer(&created)?;
        self.state().worlds.announce(
            session.unwrap_or_default(),
            &target,
            execution_context_id,
            None,
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
        let unique = new.unique_id.as_deref();
        state
            .worlds
            .announce(session, target, new.id, unique, there);
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
