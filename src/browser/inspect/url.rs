//! Addresses that a client names: which schemes a page may go to, and where a placeholder may stand.
//!
//! The scheme is read as browsers read it (URL standard, "basic URL parser"): what they drop is dropped. A placeholder takes part
//! in nothing: the address is taken apart as if a word stood there, which is what stands there afterwards, as a value is written
//! with percent signs. Values go into the user information and, where the secret allows it, be the whole of a query's parameter.

use std::borrow::Cow;
use std::ops::Range;

use super::draft::{Draft, Hole, Spelling};
use crate::browser::Refusal;
use crate::guard::{Denied, Finder, Origin, Place};

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `http` or `https`: it leads to a server.
    Web,
    /// `about:blank`, `data:`, `blob:`, or nothing.
    Local,
}

/// Why an address with placeholders is refused.
#[derive(Debug)]
pub enum Wrong {
    /// The guard says no.
    Denied(String, Denied),
    /// No value goes where that key stands.
    Place(String, &'static str),
}

/// Whether a page may be led to an address.
///
/// # Errors
/// It is of a scheme that reaches files, the browser itself, or other programs.
pub fn check(url: &str) -> Result<Kind, Refusal> {
    let url = cleaned(url);
    if url.is_empty() {
        return Ok(Kind::Local);
    }
    kind(&url).ok_or_else(|| {
        Refusal::new(
            "Bauta lets pages go to http:, https:, data:, blob: and about:blank only: no files, no pages of the browser itself, no \
             other programs",
        )
    })
}

fn kind(url: &str) -> Option<Kind> {
    let (scheme, rest) = scheme(url)?;
    match scheme.as_str() {
        "http" | "https" => Some(Kind::Web),
        "data" => Some(Kind::Local),
        // Chromium turns other `about:` addresses into pages of its own.
        "about" => (rest.split(['?', '#']).next() == Some("blank")).then_some(Kind::Local),
        "blob" => {
            let inner = rest.starts_with("null/") || kind(rest) == Some(Kind::Web);
            inner.then_some(Kind::Local)
        }
        _ => None,
    }
}

/// Whether an address is one of the browser's own, which it may only be shown in: settings, developer tools, sources, extensions.
pub fn is_of_browser(url: &str) -> bool {
    let schemes = [
        "chrome",
        "chrome-untrusted",
        "chrome-extension",
        "devtools",
        "view-source",
        "chrome-search",
    ];
    scheme(&cleaned(url)).is_some_and(|(scheme, _)| schemes.contains(&scheme.as_str()))
}

/// The scheme in lower case, and what follows the colon.
fn scheme(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// Without what browsers drop: control characters and blanks at the ends, tabs and line breaks anywhere.
fn cleaned(url: &str) -> Cow<'_, str> {
    let url = url.trim_matches(|c: char| c <= ' ');
    if url.contains(['\t', '\n', '\r']) {
        Cow::Owned(url.replace(['\t', '\n', '\r'], ""))
    } else {
        Cow::Borrowed(url)
    }
}

/// Where the parts of a web address stand.
struct Parts {
    user: Range<usize>,
    password: Range<usize>,
    query: Range<usize>,
}

/// The address with holes for its placeholders, to stand in a JSON string, and where it leads; `None` if it has none. `may` asks
/// whether a value may go there.
///
/// # Errors
/// A placeholder stands where no value goes, or its value may not go there.
pub fn draft(
    url: &str,
    finder: &Finder,
    may: impl Fn(&str, Place, &Origin) -> Result<(), Denied>,
) -> Result<Option<(Draft, Origin)>, Wrong> {
    let url = &*cleaned(url);
    let shape = shape(url, finder);
    let origin = shape.parse::<Origin>().ok();
    let parts = parts(&shape);
    let (Some(origin), Some(parts)) = (origin, parts) else {
        return match delimited(url, finder) {
            Some(key) => Err(Wrong::Place(
                key,
                "the address cannot be read in one way only",
            )),
            None => Ok(None),
        };
    };
    let mut holes: Vec<(Range<usize>, Hole)> = Vec::new();
    for part in [&parts.user, &parts.password] {
        if let Some(key) = whole(&url[part.clone()], finder) {
            may(key, Place::Basic, &origin)
                .map_err(|denied| Wrong::Denied(key.to_owned(), denied))?;
            holes.push((
                part.clone(),
                Hole::new(key, Place::Basic, None, Spelling::Percent),
            ));
        }
    }
    for part in parameters(&shape, &parts.query) {
        let text = &url[part.clone()];
        let Some(key) = whole(text, finder) else {
            continue;
        };
        match may(key, Place::Query, &origin) {
            Ok(()) => holes.push((part, Hole::new(key, Place::Query, None, Spelling::Percent))),
            // The word alone may be a word: what is asked for in a search.
            Err(_) if text == key => {}
            Err(denied) => return Err(Wrong::Denied(key.to_owned(), denied)),
        }
    }
    let mut draft = Draft::default();
    let mut at = 0;
    for (range, hole) in holes {
        between(&url[at..range.start], finder)?;
        draft.text(&url[at..range.start]).hole(hole);
        at = range.end;
    }
    between(&url[at..], finder)?;
    draft.text(&url[at..]);
    Ok((!draft.is_text()).then_some((draft, origin)))
}

/// No placeholder with delimiters is left over.
fn between(text: &str, finder: &Finder) -> Result<(), Wrong> {
    delimited(text, finder).map_or(Ok(()), |key| {
        let reason = "of an address, values go into user name and password before the '@', and into whole parameters of the query \
                      if the secret's 'allow' has 'query'";
        Err(Wrong::Place(key, reason))
    })
}

/// The address with a word in the place of each placeholder that has delimiters, of the same length.
fn shape(url: &str, finder: &Finder) -> String {
    let mut shape = url.as_bytes().to_vec();
    for found in finder.find(url) {
        if &url[found.range.clone()] != found.key {
            shape[found.range].fill(b'a');
        }
    }
    // Whole characters were replaced by letters.
    String::from_utf8(shape).unwrap_or_default()
}

fn parts(shape: &str) -> Option<Parts> {
    let (scheme, rest) = scheme(shape)?;
    let after = rest.strip_prefix("//")?;
    if !matches!(scheme.as_str(), "http" | "https") {
        return None;
    }
    let start = shape.len() - after.len();
    let end = shape[start..]
        .find(['/', '?', '#', '\\'])
        .map_or(shape.len(), |at| start + at);
    let info = shape[start..end].rfind('@').map_or(start, |at| start + at);
    let colon = shape[start..info].find(':').map_or(info, |at| start + at);
    let fragment = shape[end..].find('#').map_or(shape.len(), |at| end + at);
    let query = shape[end..fragment]
        .find('?')
        .map_or(fragment, |at| end + at + 1);
    Some(Parts {
        user: start..colon,
        password: (colon + 1).min(info)..info,
        query: query..fragment,
    })
}

/// The values of a query's parameters.
fn parameters(shape: &str, query: &Range<usize>) -> Vec<Range<usize>> {
    let mut start = query.start;
    let mut all = Vec::new();
    for pair in shape[query.clone()].split('&') {
        if let Some(at) = pair.find('=') {
            all.push(start + at + 1..start + pair.len());
        }
        start += pair.len() + 1;
    }
    all
}

/// The key whose placeholder a part is, as it stands or percent-decoded, and nothing else.
fn whole<'f>(part: &str, finder: &'f Finder) -> Option<&'f str> {
    let decoded = percent_decoded(part);
    [part, &decoded].into_iter().find_map(|text| {
        let found = finder.find(text);
        found
            .iter()
            .find(|found| found.range == (0..text.len()))
            .map(|found| found.key)
    })
}

/// The key of a placeholder with delimiters in a text, as it stands or percent-decoded.
pub fn delimited(text: &str, finder: &Finder) -> Option<String> {
    let decoded = percent_decoded(text);
    [text, &decoded].into_iter().find_map(|text| {
        let found = finder.find(text);
        let delimited = found
            .iter()
            .find(|found| &text[found.range.clone()] != found.key);
        delimited.map(|found| found.key.to_owned())
    })
}

/// What is not a percent sign with two digits, or would not be text, stays.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            out.push(u8::try_from(high << 4 | low).unwrap_or_default());
            bytes = &rest[2..];
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests;
