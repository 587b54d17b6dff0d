//! `Page.captureScreenshot`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::gate::read;
use super::geometry::{Rect, between};
use super::paint::{Format, Picture, Unpainted};
use super::places::Places;
use super::view::{Clip, Lens, Shot, View};
use super::{denies, deny_after_fill, failed, places, target};
use crate::browser::hub::Target;
use crate::browser::{Command, Context, Refusal, Verdict, base64};
use crate::guard::Ticket;

/// How often a picture is taken before it is denied, because what is to be covered moves.
const TRIES: usize = 4;
/// How far something may move meanwhile, in CSS pixels.
const MOST_MOVED: f64 = 24.0;
/// Pictures that are unpacked at a time, of all clients: each takes up to 200 MB.
static PAINTERS: Semaphore = Semaphore::const_new(2);

/// What is asked for.
struct Request {
    shot: Shot,
    format: Format,
    /// As it came, and with a picture without loss.
    asked: Vec<u8>,
    lossless: Vec<u8>,
}

/// Where values are at one moment in the picture, in pixels.
struct Look {
    covers: Vec<Rect>,
    lens: Option<Lens>,
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
        // Frames and workers have none; the browser says so.
        return Ok(Verdict::Pass);
    }
    if denies(context) {
        deny_after_fill(context, &target.id, "Page.captureScreenshot").await?;
    }
    let request = Request::read(command)?;
    let mut before = look(context, ticket, &target, &request).await?;
    for _ in 0..TRIES {
        if denies(context) && before.places.found {
            return Err(shows_a_secret());
        }
        let is_clean = before.covers.is_empty();
        let params = if is_clean {
            &request.asked
        } else {
            &request.lossless
        };
        let called = context
            .member
            .call(command.session.as_deref(), &command.method, params)
            .await;
        let answer = called.map_err(|error| failed(ticket.snapshot(), &error))?;
        let after = look(context, ticket, &target, &request).await?;
        if is_clean && after.covers.is_empty() {
            return Ok(Verdict::Answer(answer));
        }
        if let (Some(first), Some(second)) = (before.lens, after.lens)
            && let Some(covers) = between(&before.covers, &after.covers, MOST_MOVED * second.factor)
            && (first.factor - second.factor).abs() < f64::EPSILON * second.factor.max(1.0)
        {
            ticket.note(&after.places.counts);
            return paint(&answer, covers, second, request.format)
                .await
                .map(Verdict::Answer);
        }
        before = after;
    }
    Err(Refusal::new(
        "The picture is not taken: secrets in the page move faster than they can be covered. Try again when the page stands still.",
    ))
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
    if places.covers.is_empty() {
        return Ok(Look {
            covers: Vec::new(),
            lens: None,
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
