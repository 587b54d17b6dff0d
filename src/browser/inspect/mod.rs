//! What is in a command, where the method's name does not decide: addresses, targets, files, headers, requests that wait, cookies,
//! the clipboard, worlds of script.
//!
//! A command comes to [`Inspector::take`] with the handler that its row in the method table names; the parameters that matter are
//! read, and it passes, goes on with others, is answered, or refused. Events that the table marks come to [`Inspector::observe`],
//! from which an inspector learns what it judges by, and which drops what is ours.
//!
//! Invariants: what cannot be read is refused; a value is written only for a destination that is known, after its event is durable;
//! no value is kept; no lock is held while something is awaited; all that is remembered is bounded, and forgetting refuses.
//!
//! It types nothing, takes no pictures, and reads no streams.

mod clipboard;
mod debugger;
mod draft;
mod drag;
mod fetch;
mod files;
mod header;
mod navigate;
mod params;
mod paused;
mod said;
mod switches;
mod target;
mod url;
mod world;
mod worlds;

pub(in crate::browser) use self::target::is_hidden_page;
pub(in crate::browser) use self::world::NO_CONTEXT;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use self::debugger::Console;
use self::drag::Drag;
use self::paused::Paused;
use self::said::Said;
use self::worlds::Worlds;
use super::context::Context;
use super::hub::Hub;
use super::methods::{self, Handler};
use super::{Command, Event, Observed, Refusal, Settings, Verdict};
use crate::guard::{About, Origin, Ticket};

/// What all clients' inspectors have in common.
#[derive(Default)]
pub struct Shared(Mutex<Common>);

#[derive(Default)]
struct Common {
    /// Who made a browser context, while that client is there.
    contexts: HashMap<Box<str>, Weak<()>>,
    /// Requests that left with a value in a header.
    sent: HashSet<Box<str>>,
}

/// Browser contexts, requests and sessions that are remembered.
const MOST_SHARED: usize = 16_384;

/// Looks into one client's commands and events.
pub struct Inspector {
    shared: Arc<Shared>,
    /// Lives as long as the client.
    here: Arc<()>,
    said: Said,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    worlds: Worlds,
    paused: Paused,
    /// How sessions drag.
    drags: HashMap<Box<str>, Drag>,
    /// Sessions whose target waited for the client when it was attached.
    waiting: HashSet<Box<str>>,
    /// Which of the two each session has.
    consoles: HashMap<Box<str>, Console>,
    /// The client said where downloads of the default context go.
    downloads: Option<(Arc<Hub>, Arc<Settings>)>,
}

impl State {
    /// Whether a session has that from now on, and not the other. Of very many sessions those that are not remembered have nothing.
    fn has(&mut self, session: &str, wanted: Console) -> bool {
        if let Some(has) = self.consoles.get(session) {
            return *has == wanted;
        }
        let is_room = self.consoles.len() < MOST_SHARED;
        if is_room {
            self.consoles.insert(session.into(), wanted);
        }
        is_room
    }
}

impl Inspector {
    /// For a new client.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            here: Arc::new(()),
            said: Said::default(),
            state: Mutex::default(),
        }
    }

    /// Decides about a command whose row names that handler. For typing it only says whether the key would copy; reads pass.
    pub async fn take(&self, context: &Context, handler: Handler, command: &Command) -> Verdict {
        let judged = match handler {
            Handler::Navigate => self.navigate(context, command).await,
            Handler::Target => self.target(context, command).await,
            Handler::Files => self.files(context, command).await,
            Handler::Fetch => self.fetch(context, command).await,
            Handler::Header => self.header(context, command).await,
            Handler::Cookie => self.cookie(context, command).await,
            Handler::Typing => clipboard::key(context, command).await,
            Handler::Clipboard if &*command.method == "Input.setInterceptDrags" => {
                self.intercept(command)
            }
            Handler::Clipboard => clipboard::permission(context, command).await,
            Handler::Mouse => self.mouse(context, command).await,
            Handler::World => self.world(context, command).await,
            Handler::Switch => switches::take(command),
            Handler::Tracing => switches::tracing(command),
            Handler::Reads => Ok(Verdict::Pass),
            Handler::Capture | Handler::Stream | Handler::Close => {
                Err(Refusal::new("nobody takes this command"))
            }
        };
        judged.unwrap_or_else(Verdict::Refuse)
    }

    /// Sees an event that the method table marks.
    #[allow(clippy::unused_async)] // Its callers are ready for it to wait.
    pub async fn observe(&self, context: &Context, event: &Event<'_>) -> Observed {
        match methods::observer(event.method) {
            Some(Handler::World) => self.see_world(context, event),
            Some(Handler::Fetch) => self.see_request(context, event),
            Some(Handler::Target) => self.see_target(context, event),
            Some(Handler::Mouse) => self.see_drag(context, event),
            _ => Observed::Keep,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What an entry says is put in as a whole, or not at all.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn common(&self) -> MutexGuard<'_, Common> {
        // As above.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Admits a command that may hold placeholders. `place`: of what the log speaks, such as an origin and a frame.
async fn admit(context: &Context, command: &Command, place: &str) -> Result<Ticket, Refusal> {
    let about = About {
        channel: "browser",
        target: place.into(),
        method: methods::rule(&command.method).1,
    };
    let ticket = context.guard.admit(about).await;
    ticket.map_err(|unavailable| Refusal::new(unavailable.to_string()))
}

/// What the log says of where a command acts. A frame's id comes from the client: what cannot be one is not repeated.
fn place(origin: Option<&Origin>, frame: &str) -> String {
    let is_id = (1..=64).contains(&frame.len())
        && frame
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let frame = if is_id { frame } else { "unknown" };
    match origin {
        Some(origin) => format!("{origin} frame {frame}"),
        None => format!("frame {frame}"),
    }
}

/// Whether a page may be led to an address.
///
/// # Errors
/// It is of a scheme that reaches files, the browser itself, or other programs.
pub fn check_url(url: &str) -> Result<(), Refusal> {
    url::check(url).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_repeats_no_text_of_a_client() {
        let origin: Origin = "https://a.test".parse().unwrap();
        for (frame, expected) in [
            ("F0A1", "https://a.test frame F0A1"),
            ("new", "https://a.test frame new"),
            ("", "https://a.test frame unknown"),
            ("a value", "https://a.test frame unknown"),
            (&*"f".repeat(65), "https://a.test frame unknown"),
        ] {
            assert_eq!(place(Some(&origin), frame), expected);
        }
        assert_eq!(place(None, "F"), "frame F");
    }
}
