//! One text with placeholders becomes values in the field that has the focus, in one call, or nothing does.
//!
//! The way through: find the focus, ask the guard for every placeholder whether it may be there, let the guard write the values
//! into the message once their events are durable, and let the page's side (`insert.js`) check all of it again and insert.
//! A value is never in a function's source, and there is no second way in where this one fails. [`early`] goes that way up to the
//! values, for a name of which nothing is to be inserted yet.

use std::collections::BTreeMap;

use super::buffer::Buffer;
use super::edits::{self, Change};
use super::focus::{self, Document, Facts, Focus, Handles, Nowhere};
use super::refusals::{self, Recent, refusal};
use crate::browser::hub::CallError;
use crate::browser::{Context, Refusal};
use crate::guard::{About, Ask, Denied, Entry, Field, Fill, NotThere, Origin, Place, Spot, Ticket};

/// What is to be inserted.
pub(super) struct Wanted<'a> {
    pub parts: Vec<Part<'a>>,
    /// What of it stands in the field already, before the caret.
    pub gone: &'a str,
    /// Whether it counts only where it is all that stands in the field.
    pub only_whole: bool,
    /// The method that brought it.
    pub method: &'static str,
}

/// A part of a text.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// Ordinary text.
    Text(&'a str),
    /// A placeholder: its key, and its text.
    Key(&'a str, &'a str),
}

/// What became of it.
pub(super) enum Outcome {
    /// It stands in the field.
    Inserted,
    /// It is ordinary text there: nothing was inserted.
    Literal,
    /// Nothing was inserted; and in which document, where that is known.
    Refused(Refusal, Option<Document>),
}

/// What is known before the values are asked for.
struct Judged<'a> {
    focus: Focus,
    origin: Origin,
    /// How often each key's value is in the text.
    values: BTreeMap<&'a str, (usize, Entry)>,
    ticket: Ticket,
}

/// Where a placeholder is judged.
struct Seen {
    focus: Focus,
    ticket: Ticket,
}

/// Why there is no value, for which key.
struct Refused<'a> {
    key: &'a str,
    reason: String,
    ticket: Option<Ticket>,
    /// Where, if a document was found.
    document: Option<Document>,
}

/// Inserts it where the focus is in that target.
pub(super) async fn insert(
    context: &Context,
    recent: &mut Recent,
    target: &str,
    wanted: &Wanted<'_>,
) -> Outcome {
    let mut handles = Handles::new(&context.hub);
    let judged = match judge(context, &mut handles, target, wanted).await {
        Ok(Some(judged)) => judged,
        Ok(None) => return Outcome::Literal,
        Err(refused) => {
            let document = refused.document.clone();
            return Outcome::Refused(refuse(recent, target, refused), document);
        }
    };
    let keys: Vec<&str> = judged.values.keys().copied().collect();
    let focus = &judged.focus;
    let document = Some(focus.document());
    let about = about(focus, &keys);
    // What would fail again does not cost another event, nor another use of the value.
    if let Some(refusal) = recent.same(&about) {
        return Outcome::Refused(refusal, document);
    }
    let new = text_with(wanted, edits::UNKNOWN);
    let change = Change::Fill(wanted.gone, &new);
    let snapshot = judged.ticket.snapshot();
    if let Some(key) = edits::part_left(context, focus, snapshot, &change).await {
        let refused = Refused {
            key: &key,
            reason: edits::LEFT.to_owned(),
            document: document.clone(),
            ticket: Some(judged.ticket),
        };
        return Outcome::Refused(refuse(recent, target, refused), document);
    }
    let params = match params(&context.hub.script(focus::INSERT), &judged, wanted).await {
        Ok(params) => params,
        Err((key, denied)) => {
            let reason = of_denied(
                &judged.ticket,
                key,
                &denied,
                &judged.origin,
                "the focused frame is",
            );
            // Those before it are in the log as substituted.
            for written in keys.iter().take_while(|written| **written != key) {
                let reason = format!("{key}, in the same text, was refused");
                judged.ticket.refused_for(written, &reason);
            }
            return Outcome::Refused(refusal(key, &reason), document);
        }
    };
    let key = keys[0];
    context.pages.filled(&focus.target, &focus.loader);
    let session = Some(&*focus.session);
    let answer = context
        .hub
        .call_raw(session, "Runtime.callFunctionOn", params);
    let reason = match answer.await.and_then(|answer| focus::returned(&answer)) {
        Ok(Some(serde_json::Value::String(code))) => match &*code {
            "ok" => return Outcome::Inserted,
            "literal" => return Outcome::Literal,
            code => {
                let (reason, is_lasting) = refusals::of_code(code);
                if is_lasting {
                    recent.keep(&about, &refusal(key, reason));
                }
                reason.to_owned()
            }
        },
        Err(CallError::Timeout) => {
            "the page did not answer in time, and the value may still be inserted. A dialog or a debugger may hold it up"
                .to_owned()
        }
        Err(error) => refusals::of_call(&error),
        Ok(_) => refusals::of_code("").0.to_owned(),
    };
    for key in &keys {
        judged.ticket.refused_for(key, &reason);
    }
    Outcome::Refused(refusal(key, &reason), document)
}

/// Judges a placeholder that would be inserted if nothing more came, as it is judged then: why it would be refused. `longer`: keys
/// that it may still become. If one of them may be typed there, only what comes next can decide.
pub(super) async fn early(
    context: &Context,
    recent: &mut Recent,
    target: &str,
    wanted: &Wanted<'_>,
    longer: &[&str],
) -> Option<Refusal> {
    let mut handles = Handles::new(&context.hub);
    let Seen { focus, ticket } = match look(context, &mut handles, target, wanted).await {
        Ok(seen) => seen,
        Err(refused) => return Some(refuse(recent, target, refused)),
    };
    let may_be = |key: &&str| checked(&ticket, &focus, &BTreeMap::from([(*key, 1)])).is_ok();
    match checked(&ticket, &focus, &spots(wanted)) {
        Ok((_, values)) if longer.is_empty() => {
            let keys: Vec<&str> = values.keys().copied().collect();
            recent.same(&about(&focus, &keys))
        }
        Ok(_) => None,
        Err(_) if longer.iter().any(may_be) => None,
        Err((key, reason)) => {
            let refused = Refused {
                key,
                reason,
                document: Some(focus.document()),
                ticket: Some(ticket),
            };
            Some(refuse(recent, target, refused))
        }
    }
}

/// What an attempt is about: the same keys in the same field.
fn about(focus: &Focus, keys: &[&str]) -> String {
    let whole = focus.facts.whole;
    format!("{} {} {whole} {}", focus.loader, focus.node, keys.join(" "))
}

/// Words a refusal, and puts it into the audit log if it is not there for the moment.
fn refuse(recent: &mut Recent, target: &str, refused: Refused<'_>) -> Refusal {
    let Refused {
        key,
        reason,
        ticket,
        document,
    } = refused;
    let frame = document.as_ref().map_or(target, Document::frame);
    if recent.is_new(&format!("{key} {frame} {reason}"))
        && let Some(ticket) = ticket
    {
        ticket.refused_for(key, &reason);
    }
    refusal(key, &reason)
}

/// Finds the field and judges all that can be judged without the values. `None`: what was typed is ordinary text there.
async fn judge<'a>(
    context: &Context,
    handles: &mut Handles,
    target: &str,
    wanted: &Wanted<'a>,
) -> Result<Option<Judged<'a>>, Refused<'a>> {
    let Seen { focus, ticket } = look(context, handles, target, wanted).await?;
    // A word that stands for a secret only where it is alone is a word elsewhere, on any origin.
    if wanted.only_whole && wanted.gone.is_empty() && !focus.facts.whole {
        return Ok(None);
    }
    match checked(&ticket, &focus, &spots(wanted)) {
        Err((key, reason)) => Err(Refused {
            key,
            reason,
            document: Some(focus.document()),
            ticket: Some(ticket),
        }),
        // Of network mode's secrets the placeholder is what is typed.
        Ok((_, values)) if values.is_empty() => Ok(None),
        Ok((origin, values)) => Ok(Some(Judged {
            focus,
            origin,
            values,
            ticket,
        })),
    }
}

/// Finds what has the focus, and asks to be admitted there.
async fn look<'a>(
    context: &Context,
    handles: &mut Handles,
    target: &str,
    wanted: &Wanted<'a>,
) -> Result<Seen, Refused<'a>> {
    let key = spots(wanted).keys().next().copied().unwrap_or_default();
    let focus = match focus::find(handles, &context.pages, target).await {
        Ok(focus) => focus,
        Err(nowhere) => {
            let reason = match nowhere {
                Nowhere::Nothing => refusals::NOTHING.to_owned(),
                Nowhere::Call(error) => refusals::of_call(&error),
            };
            return Err(Refused {
                key,
                reason,
                ticket: admit(context, wanted.method, "no frame".to_owned())
                    .await
                    .ok(),
                document: None,
            });
        }
    };
    match admit(context, wanted.method, focus.place()).await {
        Ok(ticket) => Ok(Seen { focus, ticket }),
        Err(reason) => Err(Refused {
            key,
            reason,
            ticket: None,
            document: Some(focus.document()),
        }),
    }
}

/// Asks to be admitted to a place, for what a command types there.
pub(super) async fn admit(
    context: &Context,
    method: &'static str,
    place: String,
) -> Result<Ticket, String> {
    let about = About {
        channel: "browser",
        target: place.into(),
        method,
    };
    let ticket = context.guard.admit(about).await;
    ticket.map_err(|unavailable| unavailable.to_string())
}

/// How often each key is in the text.
fn spots<'a>(wanted: &Wanted<'a>) -> BTreeMap<&'a str, usize> {
    let mut spots = BTreeMap::new();
    for part in &wanted.parts {
        if let Part::Key(key, _) = part {
            *spots.entry(*key).or_default() += 1;
        }
    }
    spots
}

/// The text, with something in place of each value.
fn text_with(wanted: &Wanted<'_>, value: &str) -> String {
    let parts = wanted.parts.iter().map(|part| match part {
        Part::Text(text) => *text,
        Part::Key(..) => value,
    });
    parts.collect()
}

type Values<'a> = BTreeMap<&'a str, (usize, Entry)>;

/// Judges the focused element for every key; those whose values go there.
fn checked<'a>(
    ticket: &Ticket,
    focus: &Focus,
    spots: &BTreeMap<&'a str, usize>,
) -> Result<(Origin, Values<'a>), (&'a str, String)> {
    let first = spots.keys().next().copied().unwrap_or_default();
    let facts = &focus.facts;
    let origin = origin(focus).map_err(|reason| (first, reason))?;
    let mut values = BTreeMap::new();
    for (&key, &times) in spots {
        let entry = entry(ticket, key, times, &origin).map_err(|denied| {
            (
                key,
                of_denied(ticket, key, &denied, &origin, "the focused frame is"),
            )
        })?;
        if entry.fill == Fill::Page {
            values.insert(key, (times, entry));
        }
    }
    for (&key, &(times, entry)) in &values {
        may_take(focus, entry).map_err(|reason| (key, reason.to_owned()))?;
        sends_home(ticket, facts, key, times, &origin).map_err(|reason| (key, reason))?;
    }
    Ok((origin, values))
}

/// The origin of the document, if it is one that values can go to.
fn origin(focus: &Focus) -> Result<Origin, String> {
    let facts = &focus.facts;
    let of_page = ["http:", "https:", "chrome-extension:", "about:srcdoc"];
    if !of_page.contains(&&*facts.scheme) {
        let scheme = facts.scheme.trim_end_matches(':');
        return Err(format!(
            "the focused frame is a document of '{scheme}', which has no domain of its own"
        ));
    }
    let said: Origin = facts.origin.parse().map_err(|_| {
        "the focused frame has no origin of its own (a sandboxed frame, or a document without a domain)".to_owned()
    })?;
    let known = focus.origin.as_deref().and_then(|known| known.parse().ok());
    // Script could be made to say anything; what the browser says of the frame cannot.
    known.filter(|known| *known == said).ok_or_else(|| {
        "the browser does not confirm the origin that the focused frame gives. Look at the page again".to_owned()
    })
}

fn entry(ticket: &Ticket, key: &str, times: usize, destination: &Origin) -> Result<Entry, Denied> {
    ticket.entry(&Ask {
        key,
        spots: &vec![FIELD; times],
        destination,
    })
}

const FIELD: Spot<'static> = Spot {
    place: Place::Field,
    header: None,
};

/// Whether the element takes text, and that secret's.
fn may_take(focus: &Focus, entry: Entry) -> Result<(), &'static str> {
    let facts = &focus.facts;
    if focus.is_tainted {
        return Err(refusals::TAINTED);
    }
    if &*facts.kind == "other" || !facts.connected {
        return Err(refusals::NOTHING);
    }
    if facts.disabled {
        return Err(refusals::DISABLED);
    }
    if facts.readonly {
        return Err(refusals::READ_ONLY);
    }
    let is_input = |kind: &str| {
        let kinds = [
            "text", "password", "email", "tel", "url", "number", "date", "time", "month", "week",
        ];
        kinds.contains(&kind) || kind == "datetime-local"
    };
    match entry.field {
        Field::Any => Ok(()),
        Field::Input if is_input(&facts.kind) => Ok(()),
        Field::Input => Err(
            "its 'field' is \"input\", and the focused element is none that takes a value: \
            a search field, a text area, an editable element, or a color or range. Set 'field' to \"any\" if that is wrong",
        ),
        Field::Password if &*facts.kind == "password" => Ok(()),
        Field::Password => {
            Err("its 'field' is \"password\", and the focused element is no password field")
        }
    }
}

/// Whether the field's form can send it only where the value may be.
fn sends_home(
    ticket: &Ticket,
    facts: &Facts,
    key: &str,
    times: usize,
    own: &Origin,
) -> Result<(), String> {
    for action in &facts.actions {
        let Ok(action) = action.parse::<Origin>() else {
            return Err("the field's form sends it to an address that is no web page".to_owned());
        };
        if action != *own {
            entry(ticket, key, times, &action).map_err(|denied| {
                of_denied(
                    ticket,
                    key,
                    &denied,
                    &action,
                    "the field's form sends it to",
                )
            })?;
        }
    }
    Ok(())
}

/// Patterns that a refusal names.
const MOST_HOMES: usize = 3;

/// `x_password was not typed: it belongs to https://a.example, the focused frame is https://b.example`.
fn of_denied(ticket: &Ticket, key: &str, denied: &Denied, origin: &Origin, what: &str) -> String {
    let Denied::NotThere(NotThere::NoPattern) = denied else {
        return denied.to_string();
    };
    let homes = ticket.homes(key);
    let named = homes[..homes.len().min(MOST_HOMES)].join(" and ");
    let more = if homes.len() > MOST_HOMES {
        " and others"
    } else {
        ""
    };
    format!("it belongs to {named}{more}, {what} {origin}")
}

/// The parameters of the inserting call; the guard writes the values into them, each after its event is durable.
async fn params<'a>(
    script: &str,
    judged: &Judged<'a>,
    wanted: &Wanted<'a>,
) -> Result<zeroize::Zeroizing<Vec<u8>>, (&'a str, Denied)> {
    let Judged {
        focus,
        origin,
        values,
        ticket,
    } = judged;
    let mut buffer = Buffer::new();
    buffer.raw(r#"{"returnByValue":true,"silent":true,"functionDeclaration":"#);
    buffer.json(script);
    buffer.raw(r#","objectId":"#);
    buffer.json(&focus.object);
    buffer.raw(r#","arguments":[{"value":{"origin":"#);
    buffer.json(&focus.facts.origin);
    buffer.raw(r#","kind":"#);
    buffer.json(&focus.facts.kind);
    buffer.raw(r#","actions":"#);
    buffer.json(&focus.facts.actions);
    buffer.raw(r#","gone":"#);
    buffer.json(wanted.gone);
    buffer.raw(r#","whole":"#);
    buffer.json(&wanted.only_whole);
    buffer.raw(r#","code":"#);
    buffer.json(&values.values().any(|(_, entry)| entry.is_code));
    buffer.raw(r#","parts":["#);
    for (at, part) in wanted.parts.iter().enumerate() {
        buffer.raw(if at == 0 { "" } else { "," });
        match part {
            Part::Text(text) => buffer.json(text),
            Part::Key(key, text) => match values.keys().position(|of| of == key) {
                Some(index) => buffer.json(&index),
                None => buffer.json(text),
            },
        }
    }
    buffer.raw(r#"],"values":["#);
    for (at, (&key, (times, _))) in values.iter().enumerate() {
        buffer.raw(if at == 0 { "" } else { "," });
        let spots = vec![FIELD; *times];
        let ask = Ask {
            key,
            spots: &spots,
            destination: origin,
        };
        let written = ticket.substitute(&ask, |value| buffer.json(value)).await;
        written.map_err(|denied| (key, denied))?;
    }
    buffer.raw("]}}]}");
    Ok(buffer.finish())
}
