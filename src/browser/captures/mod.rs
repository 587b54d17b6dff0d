//! Pictures that a client takes of pages show no value.
//!
//! The way through, for `Page.captureScreenshot`: where values are drawn is asked before and after the picture is taken
//! (`places`: a cheap `gate` first, then `tree`, `texts`, `spans`, `covers` for each document, put together over frames of any
//! process). Nothing there both times: the client gets the browser's own bytes. Else what was there at either moment is painted
//! over (`view` to pixels, `paint`), and where it moved too much the picture is taken again (`screenshot`). Frames of screencasts
//! are painted over by where values were at the frame before and are now (`cast`).
//!
//! Invariants: all is asked on our own sessions, in the browser's terms, so that a page cannot see or fool it; a value never
//! leaves the guard's masker; covering too much is right, too little is a leak; what cannot be found out in time denies the
//! picture; pixels, tries and waits are bounded.
//!
//! What the browser draws over a page by itself (`drawn`) denies the picture while it is there; what would move the picture under
//! our covers (`metrics`) is refused.
//!
//! Absent: what is inside of pictures, canvases, videos and embedded PDFs is not read, nor what only a style sheet says
//! (`content: "…"`), and a page whose script means to show a value otherwise than as text will.

mod cast;
mod covers;
mod drawn;
mod gate;
mod geometry;
mod metrics;
mod paint;
mod places;
mod screenshot;
mod texts;
mod tree;
mod view;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::hub::CallError;
use super::{Captures, Command, Context, Event, Observed, Refusal, Verdict};
use crate::guard::{About, Snapshot, Syntax, Ticket};

pub use cast::Casts;
use drawn::Drawn;
use places::{Blind, Page, Places};
pub(super) use tree::Text;

/// How long a picture waits for a page that changes over, and between two looks at it.
const CHANGING: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(50);

/// Judges a command that takes pictures, and takes them.
pub async fn take(context: &Context, command: &Command) -> Verdict {
    let method: &'static str = match command.method.as_ref() {
        "Page.captureScreenshot" => "Page.captureScreenshot",
        "Page.printToPDF" => "Page.printToPDF",
        "Page.startScreencast" => "Page.startScreencast",
        "HeadlessExperimental.beginFrame" => "HeadlessExperimental.beginFrame",
        "Page.stopScreencast" => {
            context
                .casts
                .forget(context.member.id, command.session.as_ref());
            return Verdict::Pass;
        }
        "Emulation.setDeviceMetricsOverride" | "Page.setDeviceMetricsOverride" => {
            return metrics::judge(command).unwrap_or_else(Verdict::Refuse);
        }
        // Its text is masked on its way like any other.
        "Page.captureSnapshot" | "Page.screencastFrameAck" => return Verdict::Pass,
        other => {
            return refuse(format!(
                "{other} takes pictures in a way that cannot be covered. Use Page.captureScreenshot."
            ));
        }
    };
    let ticket = match admit(context, method).await {
        Ok(ticket) => ticket,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    if ticket.snapshot().is_empty() {
        return Verdict::Pass;
    }
    let judged = match method {
        "Page.captureScreenshot" => screenshot::take(context, command, &ticket).await,
        "Page.printToPDF" => print(context, command, &ticket).await,
        "Page.startScreencast" => cast::start(context, command, &ticket).await,
        _ => begin_frame(command),
    };
    judged.unwrap_or_else(Verdict::Refuse)
}

/// What becomes of an event that carries a picture: `Page.screencastFrame`.
pub async fn frame(context: &Context, event: &Event<'_>) -> Observed {
    cast::frame(context, event).await
}

fn refuse(text: impl Into<String>) -> Verdict {
    Verdict::Refuse(Refusal::new(text))
}

async fn admit(context: &Context, method: &'static str) -> Result<Ticket, Refusal> {
    let about = About {
        channel: "browser",
        target: format!("client {}", context.member.id).into(),
        method,
    };
    let admitted = context.guard.admit(about).await;
    admitted.map_err(|why| Refusal::new(format!("No pictures are taken now: {why}")))
}

/// The target that a command's session is on.
fn target(
    context: &Context,
    session: Option<&Arc<str>>,
) -> Result<Arc<super::hub::Target>, Refusal> {
    let target = context.member.target_of(session.map(AsRef::as_ref));
    target.ok_or_else(|| Refusal {
        code: -32001,
        text: "Session with given id not found.".to_owned(),
    })
}

/// Where values are now in the page of a target. A page that keeps the browser from answering gets no picture.
async fn places(context: &Context, snapshot: &Snapshot, target: &str) -> Result<Places, Refusal> {
    seen(context, snapshot, target).await.map_err(blind)
}

/// The same, once the page does not change over from one state to another; that does not last.
async fn places_when_calm(
    context: &Context,
    snapshot: &Snapshot,
    target: &str,
) -> Result<Places, Refusal> {
    let until = Instant::now() + CHANGING;
    loop {
        match seen(context, snapshot, target).await {
            Err(Blind::Drawn(Drawn::Transition)) if Instant::now() < until => {
                sleep(BETWEEN).await;
            }
            seen => return seen.map_err(blind),
        }
    }
}

async fn seen(context: &Context, snapshot: &Snapshot, target: &str) -> Result<Places, Blind> {
    let page = Page {
        hub: &context.hub,
        snapshot,
        target,
    };
    // One look is a handful of commands.
    let most = context.settings.limits.command_timeout;
    let looked = tokio::time::timeout(most, page.places()).await;
    looked.unwrap_or(Err(Blind::Browser))
}

fn blind(why: Blind) -> Refusal {
    Refusal::new(format!(
        "The picture is not taken, since it is not known where it would show secrets: {why}. Try again when the page has loaded."
    ))
}

/// Refuses where pictures are denied once a value was inserted.
async fn deny_after_fill(context: &Context, target: &str, what: &str) -> Result<(), Refusal> {
    if context.pages.is_live(&context.hub, target).await {
        return Err(Refusal::new(format!(
            "{what} is denied: a secret was filled into this page. It is possible again when the page has gone on to another document."
        )));
    }
    Ok(())
}

/// PDFs cannot be painted over. What is hidden on the screen may be printed, so all text of the page counts; and what came while it
/// was printed as well.
async fn print(context: &Context, command: &Command, ticket: &Ticket) -> Result<Verdict, Refusal> {
    let target = target(context, command.session.as_ref())?;
    printable(context, ticket, &target.id).await?;
    let session = command.session.as_deref();
    let printed = context
        .member
        .call(session, &command.method, command.params())
        .await;
    let printed = printed.map_err(|error| failed(ticket.snapshot(), &error))?;
    if let Err(refusal) = printable(context, ticket, &target.id).await {
        let answer: Value = serde_json::from_slice(&printed).unwrap_or_default();
        if let Some(stream) = answer.get("stream") {
            let params = json!({ "handle": stream }).to_string();
            let closed = context.member.call(session, "IO.close", params.as_bytes());
            // If that fails, the client does not know its name; and it goes with the session.
            let _ = closed.await;
        }
        return Err(refusal);
    }
    Ok(Verdict::Answer(printed))
}

/// Refuses where a page holds a value now.
async fn printable(context: &Context, ticket: &Ticket, target: &str) -> Result<(), Refusal> {
    deny_after_fill(context, target, "Page.printToPDF").await?;
    let places = places(context, ticket.snapshot(), target).await?;
    if !places.found {
        return Ok(());
    }
    let keys = places.counts.by_key().into_keys();
    let keys: Vec<_> = keys.map(|(key, _)| key).collect();
    let which = if keys.is_empty() {
        String::new()
    } else {
        format!(" ({})", keys.join(", "))
    };
    Err(Refusal::new(format!(
        "Page.printToPDF is denied: the page holds a secret{which}, and a PDF cannot be covered. Use Page.captureScreenshot."
    )))
}

/// A frame may be begun; its picture cannot be taken before it is known what it shows.
fn begin_frame(command: &Command) -> Result<Verdict, Refusal> {
    let params: Value = serde_json::from_slice(command.params()).map_err(|_| Refusal {
        code: -32602,
        text: "Invalid parameters".to_owned(),
    })?;
    if params.get("screenshot").is_some() {
        return Err(Refusal::new(
            "HeadlessExperimental.beginFrame takes no pictures here, since they cannot be covered. Use Page.captureScreenshot.",
        ));
    }
    // Written anew: of two members of one name, the browser might read the other.
    let params = serde_json::to_vec(&params).map_err(|_| Refusal::new("Invalid parameters"))?;
    Ok(Verdict::With(params.into()))
}

/// Why the browser did not do it, in words that hold no value.
fn failed(snapshot: &Snapshot, error: &CallError) -> Refusal {
    let CallError::Refused { code, message } = error else {
        return Refusal::new(format!("The picture was not taken: {error}."));
    };
    let text = match snapshot.mask(message.as_bytes(), Syntax::Text) {
        Ok(None) => message.to_string(),
        Ok(Some((masked, _))) => String::from_utf8_lossy(&masked).into_owned(),
        Err(_) => "The browser did not take the picture.".to_owned(),
    };
    Refusal {
        code: i32::try_from(*code).unwrap_or(-32000),
        text,
    }
}

/// Whether pictures are denied rather than painted over.
fn denies(context: &Context) -> bool {
    context.settings.captures == Captures::DenyAfterFill
}
