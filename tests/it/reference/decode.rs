//! The decoders: each makes a text of symbols from a text of symbols.
//!
//! A symbol is a byte (or a break, which is no byte and matches nothing) that knows which root bytes it came from and which
//! symbols of the text before. A decoder that meets a break ends what was pending and takes it literally.

/// One symbol of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// `None` is a break.
    pub byte: Option<u8>,
    /// The root bytes that it came from: first.
    pub start: usize,
    /// The root bytes that it came from: after the last.
    pub end: usize,
    /// The symbols of the text before that it came from: first.
    pub from: usize,
    /// The symbols of the text before that it came from: after the last.
    pub to: usize,
}

/// One decoder, in the order in which readings are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decoder {
    /// JSON string escapes.
    Json,
    /// Percent.
    Percent,
    /// Percent, and `+` for a space.
    Query,
    /// HTML character references.
    Html,
    /// Base64, after so many symbols of the run are dropped (0 to 3).
    Base64(usize),
    /// Hex, after so many symbols of the run are dropped (0 or 1).
    Hex(usize),
}

/// What base64 or hex makes of one run: a text of its own.
pub struct Run {
    /// The run's first symbol in the text before (the dropped ones are part of the run).
    pub start: usize,
    /// The decoded bytes.
    pub symbols: Vec<Symbol>,
    /// The run's last group was followed by `=`.
    pub padded: bool,
}

/// The bytes that a unit stands for, and how many symbols it takes.
type Unit = Option<(Vec<u8>, usize)>;

/// Applies `Json`, `Percent`, `Query` or `Html`: the text, and whether anything was decoded.
pub fn decode(decoder: Decoder, input: &[Symbol]) -> (Vec<Symbol>, bool) {
    let unit: fn(&[Symbol]) -> Unit = match decoder {
        Decoder::Json => json_unit,
        Decoder::Percent => percent_unit,
        Decoder::Query => query_unit,
        Decoder::Html => html_unit,
        Decoder::Base64(_) | Decoder::Hex(_) => unreachable!("these make runs"),
    };
    let mut output = Vec::with_capacity(input.len());
    let mut changed = false;
    let mut at = 0;
    while at < input.len() {
        if let Some((bytes, length)) = unit(&input[at..]) {
            output.extend(
                bytes
                    .iter()
                    .map(|&byte| covering(byte, input, at, at + length)),
            );
            changed = true;
            at += length;
        } else {
            output.push(Symbol {
                from: at,
                to: at + 1,
                ..input[at]
            });
            at += 1;
        }
    }
    (output, changed)
}

/// A byte that came from the symbols `from..to` of `input`.
fn covering(byte: u8, input: &[Symbol], from: usize, to: usize) -> Symbol {
    Symbol {
        byte: Some(byte),
        start: input[from].start,
        end: input[to - 1].end,
        from,
        to,
    }
}

/// The byte at `at`; `None` for a break and after the end.
fn byte_at(input: &[Symbol], at: usize) -> Option<u8> {
    input.get(at).and_then(|symbol| symbol.byte)
}

fn is(input: &[Symbol], at: usize, class: fn(&u8) -> bool) -> bool {
    byte_at(input, at).is_some_and(|byte| class(&byte))
}

fn starts_with(input: &[Symbol], prefix: &[u8]) -> bool {
    prefix
        .iter()
        .enumerate()
        .all(|(at, &byte)| byte_at(input, at) == Some(byte))
}

/// Reads `digits` hex digits at `at`.
fn hex_number(input: &[Symbol], at: usize, digits: usize) -> Option<u32> {
    (at..at + digits).try_fold(0, |number, at| {
        Some(number * 16 + char::from(byte_at(input, at)?).to_digit(16)?)
    })
}

/// The UTF-8 of a code point; of U+FFFD where there is no such character.
fn utf8(code: u32) -> Vec<u8> {
    char::from_u32(code)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
        .to_string()
        .into_bytes()
}

fn json_unit(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'\\' {
        return None;
    }
    let byte = match byte_at(input, 1)? {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = hex_number(input, 2, 4)?;
            let pair = (0xD800..0xDC00).contains(&first)
                && starts_with(input.get(6..).unwrap_or_default(), b"\\u");
            if let Some(second @ 0xDC00..0xE000) = hex_number(input, 8, 4).filter(|_| pair) {
                return Some((
                    utf8(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)),
                    12,
                ));
            }
            return Some((utf8(first), 6));
        }
        _ => return None,
    };
    Some((vec![byte], 2))
}

fn percent_unit(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'%' {
        return None;
    }
    let number = hex_number(input, 1, 2)?;
    Some((vec![u8::try_from(number).ok()?], 3))
}

fn query_unit(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? == b'+' {
        Some((vec![b' '], 1))
    } else {
        percent_unit(input)
    }
}

fn html_unit(input: &[Symbol]) -> Unit {
    if byte_at(input, 0)? != b'&' {
        return None;
    }
    let (code, length) = if byte_at(input, 1) == Some(b'#') {
        numeric_reference(input)?
    } else {
        named_reference(input)?
    };
    let code = if code == 0 { 0xFFFD } else { code };
    let semicolon = usize::from(byte_at(input, length) == Some(b';'));
    Some((utf8(code), length + semicolon))
}

/// `&#` digits or `&#x` hex digits: the number (any number too large for a character for all that are), and its length without `;`.
fn numeric_reference(input: &[Symbol]) -> Option<(u32, usize)> {
    let hex = matches!(byte_at(input, 2), Some(b'x' | b'X'));
    let (radix, first) = if hex { (16, 3) } else { (10, 2) };
    let mut at = first;
    let mut number: u32 = 0;
    while let Some(digit) = byte_at(input, at).and_then(|byte| char::from(byte).to_digit(radix)) {
        number = number.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    (at > first).then_some((number, at))
}

fn named_reference(input: &[Symbol]) -> Option<(u32, usize)> {
    let names: [(&[u8], char); 10] = [
        (b"&amp", '&'),
        (b"&AMP", '&'),
        (b"&lt", '<'),
        (b"&LT", '<'),
        (b"&gt", '>'),
        (b"&GT", '>'),
        (b"&quot", '"'),
        (b"&QUOT", '"'),
        (b"&nbsp", '\u{A0}'),
        (b"&apos", '\''),
    ];
    let (name, character) = names
        .into_iter()
        .find(|(name, _)| starts_with(input, name))?;
    if name == b"&apos" && byte_at(input, name.len()) != Some(b';') {
        return None;
    }
    Some((u32::from(character), name.len()))
}

/// Applies `Base64` or `Hex`: a text for each run.
pub fn runs(decoder: Decoder, input: &[Symbol]) -> Vec<Run> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let members = match decoder {
            Decoder::Base64(_) => base64_run(input, at),
            _ => (at..input.len())
                .take_while(|&at| is(input, at, u8::is_ascii_hexdigit))
                .collect(),
        };
        let (Some(&start), Some(&last)) = (members.first(), members.last()) else {
            at += 1;
            continue;
        };
        let (symbols, padded) = match decoder {
            Decoder::Base64(dropped) => {
                base64_groups(input, members.get(dropped..).unwrap_or_default())
            }
            Decoder::Hex(dropped) => (hex_pairs(input, start + dropped, last + 1), false),
            _ => unreachable!("only these have runs"),
        };
        found.push(Run {
            start,
            symbols,
            padded,
        });
        at = last + 1;
    }
    found
}

/// The alphabet symbols of the base64 run that starts at `at`: none if there is none.
fn base64_run(input: &[Symbol], at: usize) -> Vec<usize> {
    let alphabet = |at| byte_at(input, at).is_some_and(|byte| base64_digit(byte).is_some());
    let mut members = Vec::new();
    let mut next = at;
    while alphabet(next) {
        members.push(next);
        next += 1;
        if !alphabet(next) {
            // A line may end here, once, and the next may be indented.
            let mut after = next;
            if byte_at(input, after) == Some(b'\r') {
                after += 1;
            }
            if byte_at(input, after) == Some(b'\n') {
                after += 1;
                while matches!(byte_at(input, after), Some(b' ' | b'\t')) {
                    after += 1;
                }
                next = after;
            }
        }
    }
    members
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Decodes the groups of four that `members` make: the bytes, and whether `=` followed a final partial group.
fn base64_groups(input: &[Symbol], members: &[usize]) -> (Vec<Symbol>, bool) {
    let mut output = Vec::new();
    let mut padded = false;
    for group in members.chunks(4) {
        if group.len() < 2 {
            break;
        }
        let mut to = group[group.len() - 1] + 1;
        for _ in group.len()..4 {
            if byte_at(input, to) == Some(b'=') {
                padded = true;
                to += 1;
            }
        }
        let digits = group
            .iter()
            .map(|&at| byte_at(input, at).and_then(base64_digit).unwrap_or(0));
        let number = digits
            .chain([0, 0])
            .take(4)
            .fold(0, |number, digit| number << 6 | digit);
        let bytes = number.to_be_bytes();
        output.extend(
            bytes[1..group.len()]
                .iter()
                .map(|&byte| covering(byte, input, group[0], to)),
        );
    }
    (output, padded)
}

fn hex_pairs(input: &[Symbol], first: usize, end: usize) -> Vec<Symbol> {
    let pairs = (first..end).step_by(2).filter(|at| at + 2 <= end);
    pairs
        .filter_map(|at| {
            Some(covering(
                u8::try_from(hex_number(input, at, 2)?).ok()?,
                input,
                at,
                at + 2,
            ))
        })
        .collect()
}
