//! `Page.captureScreenshot`.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::geometry::{Rect, between};
use super::paint::{Format, Picture, Unpainted};
use super::places::Places;
use super::view::{Clip, Lens, Shot, View};
use super::{denies, deny_after_fill, failed, places, places_when_calm, target};
use crate::browser::hub::Target;
use crate::browser::pages::read;
use crate::browser::{Command, Context, Refusal, Verdict, base64};
use crate::guard::Ticket;

/// How often a picture is taken before it is denied, because what is to be covered moves.
const TRIES: usize = 8;
/// How far something may move meanwhile, in CSS pixels.
const MOST_MOVED: f64 = 8.0;
/// Looks at a page while a picture of it is taken.
const MOST_LOOKS: usize = 32;
/// A scroll bar's width in CSS pixels.
const BAR: f64 = 17.0;
/// Pictures that are unpacked at a time, of all clients: each takes up to 200 MB.
static PAINTERS: Semaphore = Semaphore::const_new(2);

/// What is asked for.
struct Request {
    shot: Shot,
    is_beyond: bool,
    format: Format,
    /// As it came, and with a picture without loss.
    asked: Vec<u8>,
    lossless: Vec<u8>,
}

/// Where values are at one moment in the picture, in pixels.
struct Look {
    covers: Vec<Rect>,
    lens: Option<Lens>,
    /// Whether the page's own scroll bars are shown.
    has_bars: bool,
    places: Places,
}

/// Takes a picture on the client's session, and paints over what it must not show.
pub(super) async fn take(
    context: &Context,
    command: &Command,
    ticket: &Ticket,
) -> Result<Verdict, Refusal> {
    let target = target(context, command.session.as_ref())?;
    if &*target.kind != "page" {
        // Frames and workers have none.
        return Err(Refusal::new(
            "Page.captureScreenshot takes pictures of pages alone. Ask for it on the page's own session.",
        ));
    }
    if denies(context) {
        deny_after_fill(context, &target.id, "Page.captureScreenshot").await?;
    }
    let request = Request::read(command)?;
    let calm = places_when_calm(context, ticket.snapshot(), &target.id).await?;
    let mut before = seen(context, ticket, &target, &request, calm).await?;
    for _ in 0..TRIES {
        if denies(context) && before.places.found {
            return Err(shows_a_secret());
        }
        if before.covers.is_empty() {
            let answer = capture(context, command, ticket, &request.asked).await?;
            let after = look(context, ticket, &target, &request).await?;
            if after.covers.is_empty() {
                return Ok(Verdict::Answer(answer));
            }
            before = after;
            continue;
        }
        let (answer, mut looks) = watched(context, command, ticket, &target, &request).await?;
        looks.insert(0, before);
        let after = look(context, ticket, &target, &request).await?;
        looks.push(after);
        if let Some((covers, lens)) = settled(&looks, request.is_beyond) {
            if let Some(last) = looks.last() {
                ticket.note(&last.places.counts);
            }
            let painted = paint(&answer, covers, lens, request.format).await;
            return painted.map(Verdict::Answer);
        }
        let Some(after) = looks.pop() else {
            break;
        };
        before = after;
    }
    Err(Refusal::new(
        "The picture is not taken: secrets in the page move faster than they can be covered. Try again when the page stands still.",
    ))
}

/// Takes the picture on the client's session.
async fn capture(
    context: &Context,
    command: &Command,
    ticket: &Ticket,
    params: &[u8],
) -> Result<Bytes, Refusal> {
    let called = context
        .member
        .call(command.session.as_deref(), &command.method, params)
        .await;
    called.map_err(|error| failed(ticket.snapshot(), &error))
}

/// Takes the picture, and looks at the page all the while: what moves to and fro must not be taken for what stands still.
async fn watched(
    context: &Context,
    command: &Command,
    ticket: &Ticket,
    target: &Target,
    request: &Request,
) -> Result<(Bytes, Vec<Look>), Refusal> {
    let is_taken = AtomicBool::new(false);
    let taking = async {
        let answer = capture(context, command, ticket, &request.lossless).await;
        is_taken.store(true, Ordering::Relaxed);
        answer
    };
    let looking = async {
        let mut looks = Vec::new();
        while looks.is_empty() || (looks.len() < MOST_LOOKS && !is_taken.load(Ordering::Relaxed)) {
            looks.push(look(context, ticket, target, request).await?);
        }
        Ok(looks)
    };
    let (answer, looks) = tokio::join!(taking, looking);
    Ok((answer?, looks?))
}

/// What is to be covered if the page stood still over all looks, or nearly.
///
/// A picture beyond the viewport is taken without scroll bars, which shifts or wraps what stands beside them; Chromium may put
/// them back afterwards. So there it may have stood in two ways, of which one must be the one without.
fn settled(looks: &[Look], is_beyond: bool) -> Option<(Vec<Rect>, Lens)> {
    let lens = looks.last()?.lens?;
    let ways = if is_beyond { 2 } else { 1 };
    let mut seen: Vec<Vec<Rect>> = Vec::new();
    let mut covers = Vec::new();
    for look in looks {
        // While a picture beyond the viewport is taken, Chromium may say that a pixel is another one; the picture's size is that of
        // the last look, or it is not painted.
        let ratio = lens.factor / look.lens?.factor;
        if !is_beyond && (ratio - 1.0).abs() > f64::EPSILON {
            return None;
        }
        let places: Vec<Rect> = look
            .covers
            .iter()
            .map(|cover| cover.mapped((0.0, 0.0), ratio))
            .collect();
        let near = seen
            .iter()
            .find_map(|other| between(other, &places, MOST_MOVED * lens.factor));
        if let Some(more) = near {
            covers.extend(more);
        } else {
            covers.extend_from_slice(&places);
            seen.push(places);
        }
    }
    let is_unsure = is_beyond && looks.iter().all(|look| look.has_bars);
    if seen.len() > ways || is_unsure {
        return None;
    }
    if is_beyond {
        // The bars of boxes inside of the page go as well.
        let bar = BAR * lens.factor;
        for cover in &mut covers {
            *cover = cover.grown(bar, bar);
        }
    }
    Some((covers, lens))
}

fn shows_a_secret() -> Refusal {
    Refusal::new(
        "The picture is denied: the page holds a secret, and captures = \"deny-after-fill\" shows none. captures = \"cover\" would paint over it.",
    )
}

/// Asks where values are in the picture now.
async fn look(
    context: &Context,
    ticket: &Ticket,
    target: &Target,
    request: &Request,
) -> Result<Look, Refusal> {
    let places = places(context, ticket.snapshot(), &target.id).await?;
    seen(context, ticket, target, request, places).await
}

/// What of that is in the picture.
async fn seen(
    context: &Context,
    ticket: &Ticket,
    target: &Target,
    request: &Request,
    places: Places,
) -> Result<Look, Refusal> {
    if places.covers.is_empty() {
        return Ok(Look {
            covers: Vec::new(),
            lens: None,
            has_bars: false,
            places,
        });
    }
    let view = view(context, target)
        .await
        .map_err(|error| failed(ticket.snapshot(), &error))?;
    let lens = view.lens(request.shot);
    let covers = places
        .covers
        .iter()
        .map(|&cover| lens.pixels(cover))
        .collect();
    Ok(Look {
        covers,
        lens: Some(lens),
        has_bars: view.has_bars,
        places,
    })
}

async fn view(context: &Context, target: &Target) -> Result<View, crate::browser::hub::CallError> {
    let session = context.hub.own(&target.id).await?;
    View::of(&context.hub, &session, &target.id).await
}

/// Paints over a picture, off the runtime's threads.
async fn paint(
    answer: &Bytes,
    covers: Vec<Rect>,
    lens: Lens,
    format: Format,
) -> Result<Bytes, Refusal> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: &'a str,
    }
    let unpainted = |why: Unpainted| {
        Refusal::new(format!(
            "The picture shows secrets and cannot be covered: {why}. Ask for a smaller part."
        ))
    };
    let Ok(_permit) = PAINTERS.acquire().await else {
        return Err(unpainted(Unpainted::Unwritable));
    };
    let answer = answer.clone();
    let painting = tokio::task::spawn_blocking(move || {
        let Answer { data } = read(&answer).map_err(|_| Unpainted::Unreadable)?;
        let packed = base64::decode(data.as_bytes()).ok_or(Unpainted::Unreadable)?;
        let mut picture = Picture::read(&packed)?;
        if !lens.fits(picture.size()) {
            return Err(Unpainted::OtherSize);
        }
        picture.cover(&covers);
        Ok(result(&picture.write(format)?))
    });
    let painted = painting.await.unwrap_or(Err(Unpainted::Unwritable));
    painted.map_err(unpainted)
}

/// The result that holds a picture.
fn result(picture: &[u8]) -> Bytes {
    format!(r#"{{"data":"{}"}}"#, base64::encode(picture)).into()
}

impl Request {
    fn read(command: &Command) -> Result<Self, Refusal> {
        let invalid = |what: &str| Refusal {
            code: -32602,
            text: format!("Invalid parameters: {what}"),
        };
        let mut params: Map<String, Value> = serde_json::from_slice(command.params())
            .map_err(|_| invalid("an object is expected"))?;
        if params.get("fromSurface") == Some(&Value::Bool(false)) {
            return Err(Refusal::new(
                "Page.captureScreenshot with fromSurface = false shows the window in a scale of its own, where secrets cannot be covered. Leave fromSurface out.",
            ));
        }
        // Of a part that begins left of the page, Chromium takes neither offset nor scale, and shows another one.
        if let Some(x) = params.get_mut("clip").and_then(|clip| clip.get_mut("x"))
            && x.as_f64().is_some_and(|x| x < 0.0)
        {
            *x = 0.into();
        }
        let asked = serde_json::to_vec(&params).map_err(|_| invalid("they cannot be written"))?;
        let clip = match params.get("clip") {
            None | Some(Value::Null) => None,
            Some(clip) => Some(Clip::deserialize(clip).map_err(|_| invalid("clip"))?),
        };
        let beyond = params
            .get("captureBeyondViewport")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let format = params.get("format").and_then(Value::as_str);
        let format = Format::of(format, params.get("quality").and_then(Value::as_i64))
            .ok_or_else(|| invalid("format"))?;
        params.insert("format".to_owned(), "png".into());
        params.remove("quality");
        Ok(Self {
            shot: clip.map_or(
                if beyond { Shot::Whole } else { Shot::Viewport },
                Shot::Part,
            ),
            is_beyond: beyond,
            format,
            asked,
            lossless: serde_json::to_vec(&params).map_err(|_| invalid("they cannot be written"))?,
        })
    }
}

/// A picture that is repainted as it is: a frame of a screencast.
pub(super) async fn repaint(
    data: String,
    covers: impl FnOnce((u32, u32)) -> Vec<Rect> + Send + 'static,
) -> Option<String> {
    let _permit = PAINTERS.acquire().await.ok()?;
    let painting = tokio::task::spawn_blocking(move || {
        let packed = base64::decode(data.as_bytes())?;
        let format = if packed.starts_with(b"\x89PNG") {
            Format::Png
        } else {
            Format::of(Some("jpeg"), None)?
        };
        let mut picture = Picture::read(&packed).ok()?;
        let covers = covers(picture.size());
        picture.cover(&covers);
        picture
            .write(format)
            .ok()
            .map(|written| base64::encode(&written))
    });
    painting.await.ok().flatten()
}
