//! Screencasts: each frame is painted over by where values were when the frame before was seen, and are now.
//!
//! A frame is older than the moment at which it is seen. So what has gone since then, or moved, is covered where it was and on
//! the way between; a frame of another document than the one that is there now is left out. What cannot be painted in time is
//! left out too, and acknowledged in the client's stead, so that the stream goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::geometry::Rect;
use super::screenshot::repaint;
use super::view::View;
use super::{admit, denies, deny_after_fill, places, target};
use crate::browser::hub::{CallError, Target};
use crate::browser::{Command, Context, Event, Observed, Refusal, Verdict};
use crate::guard::Ticket;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Screencasts that are remembered; where there are more, a first frame is left out.
const MOST_CASTS: usize = 256;

/// Where values were in screencasts, by client and session.
#[derive(Default)]
pub struct Casts(Mutex<HashMap<(u64, Option<Arc<str>>), Arc<Moment>>>);

/// A page at one moment.
struct Moment {
    /// Its main document.
    document: String,
    /// Where values were in the layout viewport.
    covers: Vec<Rect>,
    /// `None`: there were none, so nobody asked.
    view: Option<View>,
}

impl Casts {
    fn swap(&self, key: (u64, Option<Arc<str>>), moment: Arc<Moment>) -> Option<Arc<Moment>> {
        let mut casts = self.casts();
        if casts.len() >= MOST_CASTS && !casts.contains_key(&key) {
            casts.clear();
        }
        casts.insert(key, moment)
    }

    /// A session's screencast ended.
    pub(super) fn forget(&self, client: u64, session: Option<&Arc<str>>) {
        self.casts().remove(&(client, session.cloned()));
    }

    fn casts(&self) -> MutexGuard<'_, HashMap<(u64, Option<Arc<str>>), Arc<Moment>>> {
        // Nothing under this lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes where values are when a screencast begins.
pub(super) async fn start(
    context: &Context,
    command: &Command,
    ticket: &Ticket,
) -> Result<Verdict, Refusal> {
    let target = target(context, command.session.as_ref())?;
    if denies(context) {
        deny_after_fill(context, &target.id, "Page.startScreencast").await?;
    }
    let moment = moment(context, ticket, &target).await?;
    context.casts.swap(
        (context.member.id, command.session.clone()),
        Arc::new(moment),
    );
    Ok(Verdict::Pass)
}

async fn moment(context: &Context, ticket: &Ticket, target: &Target) -> Result<Moment, Refusal> {
    let places = places(context, ticket.snapshot(), &target.id).await?;
    ticket.note(&places.counts);
    let view = if places.covers.is_empty() {
        None
    } else {
        let view = view(context, target).await;
        Some(view.map_err(|error| super::failed(ticket.snapshot(), &error))?)
    };
    Ok(Moment {
        document: places.document,
        covers: places.covers,
        view,
    })
}

async fn view(context: &Context, target: &Target) -> Result<View, CallError> {
    let session = context.hub.own(&target.id).await?;
    View::of(&context.hub, &session, &target.id).await
}

/// What `Page.screencastFrame` says, but for its picture.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    data: String,
    metadata: Metadata,
    session_id: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    offset_top: f64,
    page_scale_factor: f64,
    device_width: f64,
    device_height: f64,
    scroll_offset_x: f64,
    scroll_offset_y: f64,
}

/// Paints over a frame, or leaves it out.
pub(super) async fn frame(context: &Context, event: &Event<'_>) -> Observed {
    let Ok(Frame {
        data,
        metadata,
        session_id,
    }) = serde_json::from_slice(event.params())
    else {
        return Observed::Drop;
    };
    match tokio::time::timeout(PATIENCE, painted(context, event, data, metadata)).await {
        Ok(Some(observed)) => observed,
        Ok(None) | Err(_) => {
            let session = event.session.map(AsRef::as_ref);
            let params = json!({"sessionId": session_id}).to_string();
            // If that fails, the stream has ended anyway.
            let _ = context
                .member
                .call(session, "Page.screencastFrameAck", params.as_bytes())
                .await;
            Observed::Drop
        }
    }
}

async fn painted(
    context: &Context,
    event: &Event<'_>,
    data: String,
    metadata: Metadata,
) -> Option<Observed> {
    let ticket = admit(context, "Page.screencastFrame").await.ok()?;
    if ticket.snapshot().is_empty() {
        return Some(Observed::Keep);
    }
    let target = target(context, event.session).ok()?;
    let now = Arc::new(moment(context, &ticket, &target).await.ok()?);
    let before = context.casts.swap(
        (context.member.id, event.session.cloned()),
        Arc::clone(&now),
    )?;
    if before.document != now.document {
        return None;
    }
    if before.covers.is_empty() && now.covers.is_empty() {
        return Some(Observed::Keep);
    }
    if denies(context) {
        return None;
    }
    let covers = move |size| covers(&before, &now, metadata, size);
    let data = repaint(data, covers).await?;
    let mut message: Value = serde_json::from_slice(event.message).ok()?;
    *message.get_mut("params")?.get_mut("data")? = data.into();
    Some(Observed::Replace(serde_json::to_vec(&message).ok()?.into()))
}

/// What is to be painted over in a frame of that size, in its pixels.
fn covers(
    before: &Moment,
    now: &Moment,
    metadata: Metadata,
    (width, height): (u32, u32),
) -> Vec<Rect> {
    let factor = (
        metadata.page_scale_factor * f64::from(width) / metadata.device_width,
        metadata.page_scale_factor * f64::from(height) / metadata.device_height,
    );
    let mut covers = Vec::new();
    for (here, there) in [(before, now), (now, before)] {
        let Some(view) = here.view else {
            continue;
        };
        // What scrolls with the page is where the frame's own scrolling puts it, what is fixed where it was.
        let scrolled = (
            view.scroll.0 + view.offset.0 - metadata.scroll_offset_x,
            view.scroll.1 + view.offset.1 - metadata.scroll_offset_y,
        );
        for &rect in &here.covers {
            let near = there
                .covers
                .iter()
                .min_by(|a, b| rect.apart(**a).total_cmp(&rect.apart(**b)));
            let way = near.map_or(rect, |&near| rect.hull(near));
            for (dx, dy) in [(0.0, 0.0), scrolled] {
                let (dx, dy) = (dx - view.offset.0, dy - view.offset.1);
                covers.push(Rect {
                    x0: (way.x0 + dx) * factor.0,
                    y0: (way.y0 + dy) * factor.1 + metadata.offset_top,
                    x1: (way.x1 + dx) * factor.0,
                    y1: (way.y1 + dy) * factor.1 + metadata.offset_top,
                });
            }
        }
    }
    covers
}
