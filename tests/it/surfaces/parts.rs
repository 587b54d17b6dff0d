//! A model of multipart bodies (RFC 2046, 5.1; RFC 7578): a whole body taken apart by the rules that `relay::multipart` states,
//! slowly; and two readers as servers have them, which take what they can get.

use bauta::guard::Syntax;

use super::texts::masked;

/// What a body must come to.
pub enum Expected {
    /// It goes on as this.
    Passes(Vec<u8>),
    /// It is refused.
    Refused,
    /// The model does not say.
    Unsure,
}

/// Why there is no frame.
enum No {
    Refused,
    Unsure,
}

/// How deep multipart bodies may be within one another.
const DEEPEST: usize = 4;

/// What a body with that boundary must come to.
pub fn expected(body: &[u8], boundary: &[u8]) -> Expected {
    if body.is_empty() {
        return Expected::Passes(Vec::new());
    }
    match read(body, boundary, 1) {
        Ok(out) => Expected::Passes(out),
        Err(No::Refused) => Expected::Refused,
        Err(No::Unsure) => Expected::Unsure,
    }
}

fn read(body: &[u8], boundary: &[u8], depth: usize) -> Result<Vec<u8>, No> {
    let dashed = [b"--", boundary].concat();
    let lines = [b"\r\n", &dashed[..], b"\r\n", &dashed, b"--\r\n"].concat();
    if !masked(&lines, Syntax::Text).is_ok_and(|(_, found)| !found) {
        return Err(No::Refused);
    }
    let mut out = Vec::new();
    // How lines end, once it is known.
    let mut end: Option<&[u8]> = None;
    let mut at = 0;
    // Before the first boundary line, then in parts.
    let mut first = true;
    loop {
        let line = boundary_line(body, &dashed, at, first)?.ok_or(No::Refused)?;
        let ends = [line.before, line.after.filter(|_| !line.closes)];
        for this in ends.into_iter().flatten() {
            if *end.get_or_insert(this) != this {
                return Err(No::Refused);
            }
        }
        let text = &body[at..line.from];
        let part = if first {
            content(text, &Kind::Text, depth)?
        } else {
            part(text, end.unwrap_or(b"\r\n"), &dashed, depth)?
        };
        stays_apart(text, &part, &dashed)?;
        out.extend(part);
        out.extend(&body[line.from..line.to]);
        (at, first) = (line.to, false);
        if line.closes {
            break;
        }
    }
    // No boundary may follow the closing one, at the beginning of any line.
    let rest = &body[at..];
    if begins_line(rest, &dashed, true) {
        return Err(No::Refused);
    }
    let epilogue = content(rest, &Kind::Text, depth)?;
    stays_apart(rest, &epilogue, &dashed)?;
    out.extend(epilogue);
    Ok(out)
}

/// Masking must not make a line that begins like a boundary.
fn stays_apart(before: &[u8], after: &[u8], dashed: &[u8]) -> Result<(), No> {
    if before != after && begins_line(after, dashed, true) {
        Err(No::Refused)
    } else {
        Ok(())
    }
}

fn begins_line(text: &[u8], dashed: &[u8], at_start: bool) -> bool {
    (0..text.len()).any(|at| {
        text[at..].starts_with(dashed)
            && (at == 0 && at_start || at > 0 && matches!(text[at - 1], b'\r' | b'\n'))
    })
}

struct Line<'a> {
    /// With the line end before it.
    from: usize,
    to: usize,
    before: Option<&'a [u8]>,
    after: Option<&'a [u8]>,
    closes: bool,
}

/// The first boundary line from there on.
fn boundary_line<'a>(
    body: &'a [u8],
    dashed: &[u8],
    from: usize,
    first: bool,
) -> Result<Option<Line<'a>>, No> {
    for at in from..body.len() {
        if !body[at..].starts_with(dashed) {
            continue;
        }
        let before: Option<&[u8]> = match &body[from..at] {
            [] if first => None,
            [.., b'\r', b'\n'] => Some(b"\r\n"),
            [.., b'\n'] => Some(b"\n"),
            // Directly behind another boundary line, where headers should be; or behind half a line break.
            [] | [.., b'\r'] => return Err(No::Refused),
            _ => continue,
        };
        let mut rest = &body[at + dashed.len()..];
        let closes = rest.starts_with(b"--");
        if closes {
            rest = &rest[2..];
        }
        let after: Option<&[u8]> = if rest.starts_with(b"\r\n") {
            Some(b"\r\n")
        } else if rest.starts_with(b"\n") {
            Some(b"\n")
        } else if rest.is_empty() && closes {
            None
        } else {
            return Err(No::Refused);
        };
        return Ok(Some(Line {
            from: at - before.map_or(0, <[u8]>::len),
            to: body.len() - rest.len() + after.map_or(0, <[u8]>::len),
            before,
            after,
            closes,
        }));
    }
    Ok(None)
}

/// How the content of a part is read.
enum Kind {
    Text,
    Plain,
    Bytes,
    Picture,
    Json,
    Untyped,
    Multipart(Vec<u8>),
}

/// A part between two boundary lines, without the line end that belongs to the second.
fn part(text: &[u8], end: &[u8], dashed: &[u8], depth: usize) -> Result<Vec<u8>, No> {
    let mut out = Vec::new();
    let (mut kind, mut named) = (Kind::Untyped, Named::default());
    let mut rest = text;
    let mut count = 0;
    loop {
        // Headers end with an empty line, which must be there even where the next boundary line follows: its line end is its own.
        let newline = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(No::Refused)?;
        let (line, after) = rest.split_at(newline + 1);
        let line = line.strip_suffix(end).ok_or(No::Refused)?;
        if line.starts_with(dashed) || line.contains(&b'\r') {
            return Err(No::Refused);
        }
        rest = after;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > 100 || text.len() - rest.len() > (16 << 10) {
            return Err(No::Refused);
        }
        out.extend(header(line, &mut kind, &mut named)?);
        out.extend(end);
    }
    out.extend(end);
    if named.is_odd() {
        return Err(No::Unsure);
    }
    let content = content(rest, &kind, depth)?;
    stays_apart(rest, &content, dashed)?;
    out.extend(content);
    Ok(out)
}

/// Headers that the model only knows in their plain forms.
#[derive(Default)]
struct Named {
    types: usize,
    other: bool,
}

impl Named {
    fn is_odd(&self) -> bool {
        self.types > 1 || self.other
    }
}

/// A header line as it goes on.
fn header(line: &[u8], kind: &mut Kind, named: &mut Named) -> Result<Vec<u8>, No> {
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(No::Refused)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty()
        || !name.iter().all(is_token)
        || value
            .iter()
            .any(|byte| *byte != b'\t' && byte.is_ascii_control())
    {
        return Err(No::Refused);
    }
    let (masked_value, found) = masked(value, Syntax::Text).map_err(|_| No::Refused)?;
    if masked(name, Syntax::Text).map_or(true, |(_, found)| found) {
        // Of the rules for names the model does not know which needles count.
        return Err(No::Unsure);
    }
    match name.to_ascii_lowercase().as_slice() {
        b"content-type" => {
            named.types += 1;
            *kind = match value.trim_ascii() {
                b"application/json" => Kind::Json,
                b"text/plain" | b"text/plain; charset=utf-8" => Kind::Plain,
                b"image/png" => Kind::Picture,
                b"application/octet-stream" => Kind::Bytes,
                b"" => Kind::Untyped,
                typed => match typed.strip_prefix(b"multipart/mixed; boundary=") {
                    Some(boundary)
                        if !found
                            && !boundary.is_empty()
                            && boundary.iter().all(u8::is_ascii_alphanumeric) =>
                    {
                        Kind::Multipart(boundary.to_vec())
                    }
                    _ => return Err(No::Unsure),
                },
            };
        }
        b"content-encoding" | b"content-transfer-encoding" => named.other = true,
        b"content-disposition"
            if memchr::memmem::find(&value.to_ascii_lowercase(), b"_charset_").is_some()
                || value
                    .windows(2)
                    .any(|two| two[0] == b'*' && two[1].is_ascii_digit()) =>
        {
            named.other = true;
        }
        _ => {}
    }
    Ok([name, b":", &masked_value].concat())
}

fn content(text: &[u8], kind: &Kind, depth: usize) -> Result<Vec<u8>, No> {
    let beginning = text[..text.len().min(8)].trim_ascii_start();
    let begins_json = matches!(beginning.first(), Some(b'{' | b'['));
    let zeros = text.iter().take(4).any(|byte| *byte == 0);
    let (syntax, is_wide) = match kind {
        Kind::Plain => (Syntax::Text, is_marked(text) || zeros),
        Kind::Picture => (Syntax::Text, false),
        Kind::Bytes if begins_json => (Syntax::Json, is_marked(text)),
        Kind::Text | Kind::Bytes => (Syntax::Text, is_marked(text)),
        Kind::Json => (Syntax::Json, is_marked(text) || zeros),
        Kind::Untyped if begins_json => (Syntax::Json, is_marked(text) || is_wide_json(text)),
        Kind::Untyped => (Syntax::Text, is_marked(text) || is_wide_json(text)),
        Kind::Multipart(_) if depth > DEEPEST => return Err(No::Refused),
        Kind::Multipart(_) if text.is_empty() => return Ok(Vec::new()),
        Kind::Multipart(boundary) => {
            return if is_marked(text) {
                Err(No::Refused)
            } else {
                read(text, boundary, depth + 1)
            };
        }
    };
    if is_wide {
        return Err(No::Refused);
    }
    masked(text, syntax)
        .map(|(out, _)| out)
        .map_err(|_| No::Refused)
}

/// Whether a text has a byte order mark of UTF-16 or UTF-32.
pub fn is_marked(text: &[u8]) -> bool {
    [&b"\xff\xfe"[..], b"\xfe\xff", b"\0\0\xfe\xff"]
        .iter()
        .any(|mark| text.starts_with(mark))
}

/// Whether a text begins as JSON does in UTF-16 or UTF-32: with one of these characters, or with a blank and another one.
pub fn is_wide_json(text: &[u8]) -> bool {
    let is_one_of =
        |unit: u32, all: &[u8]| u8::try_from(unit).is_ok_and(|unit| all.contains(&unit));
    let begins = |unit| is_one_of(unit, b"{[\"");
    let blank = |unit| is_one_of(unit, b" \t\r\n");
    let at = |range: std::ops::Range<usize>, little: bool| {
        let unit = text.get(range)?.iter();
        let join = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if little {
            unit.rev().fold(0, join)
        } else {
            unit.fold(0, join)
        })
    };
    [true, false].into_iter().any(|little| {
        let (first, second) = (at(0..2, little), at(2..4, little));
        let two = first.is_some_and(begins)
            || first.is_some_and(blank) && second.is_some_and(|unit| begins(unit) || blank(unit));
        // 32 in four bytes, the highest first, begins an MP4 file.
        let four = at(0..4, little).is_some_and(|unit| {
            let is_length = !little && unit == 32;
            begins(unit) || blank(unit) && (!is_length || text.get(4..7) == Some(&[0, 0, 0][..]))
        });
        two || four
    })
}

/// A part as a server gives it to its program: headers and content.
pub type Part = (Vec<u8>, Vec<u8>);

/// How a server that knows only CR LF reads a body: boundary lines may have blanks behind them, what does not look like one is
/// content.
pub fn strict_server(body: &[u8], boundary: &[u8]) -> Option<Vec<Part>> {
    let delimiter = [b"\r\n--", boundary].concat();
    let body = [b"\r\n", body].concat();
    let mut parts = Vec::new();
    let mut begin = None;
    let mut at = 0;
    while at < body.len() {
        if !body[at..].starts_with(&delimiter) {
            at += 1;
            continue;
        }
        let rest = &body[at + delimiter.len()..];
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let closes = rest.starts_with(b"--");
        if !closes && !rest[blanks..].starts_with(b"\r\n") {
            at += 1;
            continue;
        }
        if let Some(begin) = begin {
            parts.push(cut_head(&body[begin..at], b"\r\n")?);
        }
        if closes {
            return Some(parts);
        }
        // The line end is left: headers may be empty.
        at += delimiter.len() + blanks;
        begin = Some(at + 2);
    }
    None
}

fn cut_head(text: &[u8], end: &[u8]) -> Option<Part> {
    if let Some(content) = text.strip_prefix(end) {
        return Some((Vec::new(), content.to_vec()));
    }
    let twice = end.repeat(2);
    let at = memchr::memmem::find(text, &twice)?;
    Some((
        text[..at + end.len()].to_vec(),
        text[at + twice.len()..].to_vec(),
    ))
}

/// How a server that takes any line end reads a body, line by line (Python's `email` does so).
pub fn lenient_server(body: &[u8], boundary: &[u8]) -> Option<Vec<Part>> {
    let dashed = [b"--", boundary].concat();
    let mut parts: Vec<Part> = Vec::new();
    let mut current: Option<(Vec<u8>, Vec<u8>, bool)> = None;
    for line in lines(body) {
        let bare = line.trim_ascii_end();
        let is_close = bare.strip_suffix(b"--") == Some(&dashed);
        if bare == dashed || is_close {
            if let Some((head, mut content, _)) = current.take() {
                // The last line end is the boundary's.
                let kept = content
                    .strip_suffix(b"\r\n")
                    .or(content.strip_suffix(b"\n"))
                    .or(content.strip_suffix(b"\r"));
                content.truncate(kept.map_or(content.len(), <[u8]>::len));
                parts.push((head, content));
            }
            if is_close {
                return Some(parts);
            }
            current = Some((Vec::new(), Vec::new(), true));
        } else if let Some((head, content, in_head)) = &mut current {
            if !*in_head {
                content.extend(line);
            } else if bare.is_empty() {
                *in_head = false;
            } else {
                head.extend(line);
            }
        }
    }
    None
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .map_or(rest.len(), |at| {
                at + if rest[at..].starts_with(b"\r\n") {
                    2
                } else {
                    1
                }
            });
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after;
    }
    lines
}
