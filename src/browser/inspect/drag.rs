//! The mouse: it pastes the window system's selection, and drags text from one document into another, whatever their origins.
//!
//! While a tab shows a value, drags that the browser would carry out by itself are intercepted on the session whose mouse moves, and
//! called off; a client that intercepts them itself gets their data, masked. Sliders and whatever else scripts of a page drag goes
//! on as ever. Nothing is looked at before a value was inserted, and then at the first move of a gesture only.

use serde::Deserialize;
use serde_json::{Value, json};

use super::params::{failed, read};
use super::{Inspector, MOST_SHARED, clipboard};
use crate::browser::context::Context;
use crate::browser::{Command, Event, Observed, Refusal, Verdict};

/// How a session drags.
#[derive(Clone, Copy, Default)]
pub struct Drag {
    /// The client takes drags itself.
    by_client: bool,
    /// We do.
    by_us: bool,
    /// The gesture that goes on was looked at.
    is_seen: bool,
}

#[derive(Deserialize)]
struct Mouse {
    #[serde(rename = "type")]
    kind: String,
    button: Option<String>,
    buttons: Option<i64>,
}

impl Mouse {
    /// Whether it moves with a button held down.
    fn may_drag(&self) -> bool {
        let is_held = self
            .button
            .as_deref()
            .is_some_and(|button| button != "none");
        self.kind == "mouseMoved" && (is_held || self.buttons.is_some_and(|buttons| buttons != 0))
    }
}

impl Inspector {
    /// `Input.dispatchMouseEvent`.
    pub(super) async fn mouse(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        if !context.pages.was_filled() {
            return Ok(Verdict::Pass);
        }
        let mouse: Mouse = read(command)?;
        if mouse.button.as_deref() == Some("middle") {
            return Err(clipboard::selection());
        }
        let session = command.session.as_deref();
        let name = session.unwrap_or_default();
        let drag = self.drag(name);
        if !mouse.may_drag() {
            if drag.is_seen {
                self.set_drag(name, |drag| drag.is_seen = false)?;
            }
            return Ok(Verdict::Pass);
        }
        if drag.by_client || drag.is_seen {
            return Ok(Verdict::Pass);
        }
        let is_live = match context.member.target_of(session) {
            Some(target) => context.pages.is_live(&context.hub, &target.id).await,
            None => true,
        };
        if is_live != drag.by_us {
            let params = json!({ "enabled": is_live }).to_string();
            let method = "Input.setInterceptDrags";
            let set = context.member.call(session, method, params.as_bytes());
            set.await.map_err(failed)?;
        }
        self.set_drag(name, |drag| {
            drag.by_us = is_live;
            drag.is_seen = true;
        })?;
        Ok(Verdict::Pass)
    }

    /// `Input.setInterceptDrags`: what we had set ends with it, and is set again at the next move.
    pub(super) fn intercept(&self, command: &Command) -> Result<Verdict, Refusal> {
        #[derive(Deserialize)]
        struct Intercept {
            enabled: bool,
        }
        let Intercept { enabled } = read(command)?;
        self.set_drag(command.session.as_deref().unwrap_or_default(), |drag| {
            *drag = Drag {
                by_client: enabled,
                ..Drag::default()
            };
        })?;
        Ok(Verdict::Pass)
    }

    /// `Input.dragIntercepted`: one that the client did not ask for is called off, so that the page goes on.
    pub(super) fn see_drag(&self, context: &Context, event: &Event<'_>) -> Observed {
        let session = event.session.cloned();
        if !self.drag(session.as_deref().unwrap_or_default()).by_us {
            return Observed::Keep;
        }
        let data = serde_json::from_slice::<Value>(event.params());
        let data = data.map_or(Value::Null, |mut params| params["data"].take());
        let member = context.member.clone();
        tokio::spawn(async move {
            let params = json!({"type": "dragCancel", "x": 0, "y": 0, "data": data}).to_string();
            let method = "Input.dispatchDragEvent";
            let called_off = member
                .call(session.as_deref(), method, params.as_bytes())
                .await;
            if let Err(error) = called_off {
                tracing::debug!(%error, "a drag could not be called off");
            }
        });
        Observed::Drop
    }

    fn drag(&self, session: &str) -> Drag {
        self.state().drags.get(session).copied().unwrap_or_default()
    }

    fn set_drag(&self, session: &str, change: impl FnOnce(&mut Drag)) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.drags.len() >= MOST_SHARED && !state.drags.contains_key(session) {
            return Err(clipboard::refusal());
        }
        change(state.drags.entry(session.into()).or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_that_drag() {
        for (mouse, drags) in [
            (r#"{"type":"mouseMoved","buttons":1}"#, true),
            (r#"{"type":"mouseMoved","button":"left"}"#, true),
            (r#"{"type":"mouseMoved","button":"none","buttons":1}"#, true),
            (
                r#"{"type":"mouseMoved","button":"none","buttons":0}"#,
                false,
            ),
            (r#"{"type":"mouseMoved"}"#, false),
            (
                r#"{"type":"mousePressed","button":"left","buttons":1}"#,
                false,
            ),
            (r#"{"type":"mouseReleased","button":"left"}"#, false),
        ] {
            let read: Mouse = serde_json::from_str(mouse).unwrap();
            assert_eq!(read.may_drag(), drags, "{mouse}");
        }
    }
}
