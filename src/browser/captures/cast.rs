//! Screencasts: each frame is painted over by where values were when the frame before was seen, and are now.
//!
//! A frame is older than the moment at which it is seen, and so may be the one behind it. So what has gone since some frames ago,
//! or moved, is covered where it was and on the way between. The first frame that is seen when the document has changed is left
//! out, and the stream begun anew, so that one of the new document follows. What cannot be painted in time is left out too, and
//! acknowledged in the client's stead, so that the stream goes on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
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

/// Moments that are remembered of each: Chromium sends up to two frames ahead of what was acknowledged.
const MOST_MOMENTS: usize = 4;

/// Bytes of the parameters of `Page.startScreencast`, which are remembered.
const MOST_PARAMS: usize = 1024;

/// A screencast: the client's number and session.
type Key = (u64, Option<Arc<str>>);

/// Where values were in screencasts.
#[derive(Default)]
pub struct Casts(Mutex<HashMap<Key, Cast>>);

/// One of them.
#[derive(Default)]
struct Cast {
    /// What it was asked to be.
    params: Bytes,
    /// The last ones.
    moments: VecDeque<Arc<Moment>>,
}

/// A page at one moment.
struct Moment {
    /// Its main document.
    document: Box<str>,
    /// Where values were in the layout viewport.
    covers: Vec<Rect>,
    /// `None`: there were none, so nobody asked.
    view: Option<View>,
}

impl Cast {
    fn add(&mut self, moment: Moment) {
        self.moments.push_back(Arc::new(moment));
        if self.moments.len() > MOST_MOMENTS {
            self.moments.pop_front();
        }
    }
}

impl Casts {
    /// A screencast begins, maybe anew: frames of before may still come.
    fn begin(&self, key: Key, params: Bytes, moment: Moment) {
        let mut casts = self.casts();
        if casts.len() >= MOST_CASTS && !casts.contains_key(&key) {
            casts.clear();
        }
        let mut cast = casts.remove(&key).unwrap_or_default();
        cast.params = params;
        cast.add(moment);
        casts.insert(key, cast);
    }

    /// Adds a moment; the ones that are remembered, the newest last, and what the screencast was asked to be. `None`: it is not
    /// remembered.
    fn add(&self, key: &Key, moment: Moment) -> Option<(Vec<Arc<Moment>>, Bytes)> {
        let mut casts = self.casts();
        let cast = casts.get_mut(key)?;
        cast.add(moment);
        Some((cast.moments.iter().cloned().collect(), cast.params.clone()))
    }

    /// A session's screencast ended.
    pub(super) fn forget(&self, client: u64, session: Option<&Arc<str>>) {
        self.casts().remove(&(client, session.cloned()));
    }

    fn casts(&self) -> MutexGuard<'_, HashMap<Key, Cast>> {
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
    // Written anew: of two members of one name, the browser might read the other.
    let params: Value = serde_json::from_slice(command.params()).unwrap_or_default();
    let params = Bytes::from(params.to_string());
    if params.len() > MOST_PARAMS {
        return Err(Refusal::new(format!(
            "a screencast's parameters take {MOST_PARAMS} bytes at most. Leave out what the protocol does not have"
        )));
    }
    let key = (context.member.id, command.session.clone());
    context.casts.begin(key, params.clone(), moment);
    Ok(Verdict::With(params))
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
    let painting = tokio::time::timeout(PATIENCE, painted(context, event, data, metadata));
    if let Ok(Some(observed)) = painting.await {
        return observed;
    }
    let session = event.session.map(AsRef::as_ref);
    let params = json!({ "sessionId": session_id }).to_string();
    let ack = context
        .member
        .call(session, "Page.screencastFrameAck", params.as_bytes());
    // If that fails, the stream has ended anyway.
    let _ = ack.await;
    Observed::Drop
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
    let now = moment(context, &ticket, &target).await.ok()?;
    let key = (context.member.id, event.session.cloned());
    let (moments, params) = context.casts.add(&key, now)?;
    if let [.., before, now] = &moments[..]
        && before.document != now.document
    {
        let session = event.session.map(AsRef::as_ref);
        context
            .member
            .call(session, "Page.stopScreencast", b"{}")
            .await
            .ok()?;
        context
            .member
            .call(session, "Page.startScreencast", &params)
            .await
            .ok()?;
        return Some(Observed::Drop);
    }
    if moments.iter().all(|moment| moment.covers.is_empty()) {
        return Some(Observed::Keep);
    }
    if denies(context) {
        return None;
    }
    let covers = move |size| covers(&moments, metadata, size);
    let data = repaint(data, covers).await?;
    let mut message: Value = serde_json::from_slice(event.message).ok()?;
    *message.get_mut("params")?.get_mut("data")? = data.into();
    Some(Observed::Replace(serde_json::to_vec(&message).ok()?.into()))
}

/// What is to be painted over in a frame of that size, in its pixels.
fn covers(moments: &[Arc<Moment>], metadata: Metadata, (width, height): (u32, u32)) -> Vec<Rect> {
    let factor = (
        metadata.page_scale_factor * f64::from(width) / metadata.device_width,
        metadata.page_scale_factor * f64::from(height) / metadata.device_height,
    );
    let top = metadata.offset_top * f64::from(height) / metadata.device_height;
    // What scrolls with the page is where the frame's own scrolling puts it, what is fixed where it was.
    let scrolled = |view: &View| {
        (
            view.scroll.0 - metadata.scroll_offset_x,
            view.scroll.1 - metadata.scroll_offset_y,
        )
    };
    let fixed = |view: &View| (-view.offset.0, -view.offset.1);
    let mut covers = ways(moments, scrolled);
    covers.extend(ways(moments, fixed));
    let pixels = |rect: Rect| Rect {
        x0: rect.x0 * factor.0,
        y0: rect.y0 * factor.1 + top,
        x1: rect.x1 * factor.0,
        y1: rect.y1 * factor.1 + top,
    };
    covers.into_iter().map(pixels).collect()
}

/// The ways of all covers from each moment to the next, each moment shifted.
fn ways(moments: &[Arc<Moment>], shift: impl Fn(&View) -> (f64, f64)) -> Vec<Rect> {
    let shifted = moments.iter().map(|moment| {
        let by = moment.view.as_ref().map(&shift).unwrap_or_default();
        let covers = moment.covers.iter().map(|cover| cover.mapped(by, 1.0));
        covers.collect::<Vec<_>>()
    });
    let shifted: Vec<_> = shifted.collect();
    let mut ways: Vec<Rect> = shifted.last().cloned().unwrap_or_default();
    for pair in shifted.windows(2) {
        for (here, there) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            for &rect in here {
                let near = there
                    .iter()
                    .min_by(|a, b| rect.apart(**a).total_cmp(&rect.apart(**b)));
                ways.push(near.map_or(rect, |&near| rect.hull(near)));
            }
        }
    }
    ways
}
