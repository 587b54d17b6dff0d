//! Debuggers: nothing stands still in the middle of an insertion, and what they tell of scripts leaves ours out.
//!
//! A statement `debugger;` in a page's listener would stop the script that inserts, with its scopes and values in the client's
//! hands. Breakpoints are denied by the table, and a session whose debugger is enabled skips all other pauses: that is said before
//! it is enabled, so that there is no moment in between, and holds over navigations. A condition of a breakpoint is evaluated all the
//! same, in whatever world calls the function, and the console's `debug(function, condition)` and `monitor` make such ones where the
//! debugger is enabled: so a session has the functions of the console or a debugger, and never the other. Where the settings let the
//! client say otherwise (`methods = ["Debugger.setSkipAllPauses"]`), and where V8 stops for want of memory, frames of ours are taken
//! out.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::params::{answer, failed};
use crate::browser::context::Context;
use crate::browser::hub::{CallError, Hub};
use crate::browser::{Command, Event, Observed, Refusal, Verdict};

/// What the settings name to let clients stop scripts.
const SKIP: &str = "Debugger.setSkipAllPauses";

/// What a session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Scripts got the functions of the console, and may keep them.
    Functions,
    /// Its debugger was enabled.
    Debugger,
}

impl Console {
    /// What a command gives its session.
    pub fn of(context: &Context, command: &Command, takes_functions: bool) -> Option<Self> {
        if context.settings.methods.contains(SKIP) {
            None
        } else if &*command.method == "Debugger.enable" {
            Some(Self::Debugger)
        } else {
            takes_functions.then_some(Self::Functions)
        }
    }

    /// Why a session that has one is not given the other.
    pub fn refusal(self) -> Refusal {
        Refusal::new(match self {
            Self::Functions => {
                "a session whose debugger was enabled is not given the console's functions (includeCommandLineAPI), of which \
                 debug() makes breakpoints. Attach another session for one of the two"
            }
            Self::Debugger => {
                "a session whose scripts were given the console's functions (includeCommandLineAPI), of which debug() makes \
                 breakpoints, takes no debugger. Attach another session for one of the two"
            }
        })
    }
}

/// A target that waits for the client answers when it runs: the command is on its way then.
const PATIENCE: Duration = Duration::from_millis(200);

/// `Debugger.enable`.
pub async fn enable(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    if context.settings.methods.contains(SKIP) {
        return Ok(Verdict::Pass);
    }
    let (member, session) = (context.member.clone(), command.session.clone());
    let mut skips = tokio::spawn(async move {
        let params = br#"{"skip":true}"#;
        member.call(session.as_deref(), SKIP, params).await
    });
    match timeout(PATIENCE, &mut skips).await {
        Ok(Ok(Err(error))) => Err(failed(error)),
        Ok(Err(_)) => Err(failed(CallError::Gone)),
        // Unanswered, it is still sent before what follows on its session.
        Ok(Ok(Ok(_))) | Err(_) => Ok(Verdict::Pass),
    }
}

/// `Debugger.paused`: without the frames of our scripts.
pub fn paused(hub: &Hub, event: &Event<'_>) -> Observed {
    let Ok(mut message) = serde_json::from_slice::<Value>(event.message) else {
        return Observed::Drop;
    };
    let Some(frames) = message["params"]["callFrames"].as_array_mut() else {
        return Observed::Drop;
    };
    let all = frames.len();
    frames.retain(|frame| !is_ours(hub, frame));
    if frames.len() == all {
        return Observed::Keep;
    }
    Observed::Replace(message.to_string().into())
}

/// Whether a frame of a stack gives a handle of ours. Ids that are no handles, such as that of the frame, are no member of these.
fn is_ours(hub: &Hub, frame: &Value) -> bool {
    let scopes = frame["scopeChain"].as_array().into_iter().flatten();
    let objects = scopes.map(|scope| &scope["object"]);
    let mut objects = objects.chain([&frame["this"], &frame["returnValue"]]);
    objects.any(|object| {
        object["objectId"]
            .as_str()
            .is_some_and(|id| hub.is_ours(id))
    })
}

/// Whether that method's answer lists scripts.
pub fn tells_scripts(method: &str) -> bool {
    matches!(
        method,
        "Profiler.getBestEffortCoverage"
            | "Profiler.takePreciseCoverage"
            | "Profiler.stop"
            | "HeapProfiler.getSamplingProfile"
            | "HeapProfiler.stopSampling"
    )
}

/// Coverage without our scripts, and profiles without our name.
pub async fn without_ours(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    let session = command.session.as_deref();
    let told = context
        .member
        .call(session, &command.method, command.params());
    let told = told.await.map_err(failed)?;
    let world = context.hub.world();
    if memchr::memmem::find(&told, world.as_bytes()).is_none() {
        return Ok(Verdict::Answer(told));
    }
    let mut told: Value = answer(&told)?;
    hide(&mut told, world);
    Ok(Verdict::Answer(Bytes::from(told.to_string())))
}

/// As deep as the reader of JSON goes at most.
fn hide(told: &mut Value, world: &str) {
    match told {
        Value::Array(all) => {
            // A script with its functions is left out; a profile's node is a part of a tree, and loses its name.
            all.retain(|one| one["url"] != world || one["functions"].is_null());
            for one in all {
                hide(one, world);
            }
        }
        Value::Object(all) => {
            let is_frame = all.get("url").is_some_and(|url| url == world);
            if is_frame {
                all.insert("url".to_owned(), json!(""));
                all.insert("functionName".to_owned(), json!(""));
            }
            for one in all.values_mut() {
                hide(one, world);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_scripts_leaves_ours_out() {
        let mut told = json!({
            "result": [{"url": "w", "functions": []}, {"url": "https://a.test/", "functions": []}],
            "profile": {"nodes": [{"id": 1, "callFrame": {"url": "w", "functionName": "put"}}, {"id": 2, "callFrame": {"url": "x"}}]},
            "head": {"callFrame": {"url": "x"}, "children": [{"callFrame": {"url": "w", "functionName": "put"}}]},
        });
        hide(&mut told, "w");
        let expected = json!({
            "result": [{"url": "https://a.test/", "functions": []}],
            "profile": {"nodes": [{"id": 1, "callFrame": {"url": "", "functionName": ""}}, {"id": 2, "callFrame": {"url": "x"}}]},
            "head": {"callFrame": {"url": "x"}, "children": [{"callFrame": {"url": "", "functionName": ""}}]},
        });
        assert_eq!(told, expected);
    }
}
