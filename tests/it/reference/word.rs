//! What stands beside a short value: whether a word goes on there, and whether it is text at all.

use super::decode::Symbol;

/// So many bytes before a short value must be text, where it was read through base64 or hex.
const TEXT_BEFORE: usize = 12;

/// Whether no word goes on at either edge of `from..to`.
pub fn is_word(symbols: &[Symbol], from: usize, to: usize) -> bool {
    let inside = &symbols[from..to];
    let starts_word = matches!(first_char(inside), Neighbour::Char(first) if is_word_char(first));
    let ends_word = matches!(last_char(inside), Neighbour::Char(last) if is_word_char(last));
    let goes_on_before = starts_word && last_char(&symbols[..from]).goes_on();
    let goes_on_after = ends_word && first_char(&symbols[to..]).goes_on();
    !goes_on_before && !goes_on_after
}

fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What stands next to a place.
enum Neighbour {
    /// A whole character.
    Char(char),
    /// A break.
    Break,
    /// The text's edge, or bytes that are no character.
    Nothing,
}

impl Neighbour {
    /// Whether a word may go on there. Nobody knows what a break hides.
    fn goes_on(&self) -> bool {
        match self {
            Self::Char(char) => is_word_char(*char),
            Self::Break => true,
            Self::Nothing => false,
        }
    }
}

/// The character that ends `symbols`.
fn last_char(symbols: &[Symbol]) -> Neighbour {
    if symbols.last().is_some_and(|symbol| symbol.byte.is_none()) {
        return Neighbour::Break;
    }
    let continuations = symbols
        .iter()
        .rev()
        .take(3)
        .take_while(|symbol| symbol.byte.is_some_and(is_continuation))
        .count();
    match symbols.len().checked_sub(continuations + 1) {
        Some(lead) => one_char(&symbols[lead..]),
        None => Neighbour::Nothing,
    }
}

/// The character that begins `symbols`.
fn first_char(symbols: &[Symbol]) -> Neighbour {
    match symbols.first() {
        None => Neighbour::Nothing,
        Some(Symbol { byte: None, .. }) => Neighbour::Break,
        Some(_) => {
            let lengths = 1..=symbols.len().min(4);
            let chars = lengths.map(|length| one_char(&symbols[..length]));
            chars
                .into_iter()
                .find(|char| matches!(char, Neighbour::Char(_)))
                .unwrap_or(Neighbour::Nothing)
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The character that all of `symbols` make.
fn one_char(symbols: &[Symbol]) -> Neighbour {
    let bytes: Option<Vec<u8>> = symbols.iter().map(|symbol| symbol.byte).collect();
    let text = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Neighbour::Char(char),
        _ => Neighbour::Nothing,
    }
}

/// Whether the bytes before `from` are text. In the bytes of a picture a short value may stand by chance.
pub fn follows_text(symbols: &[Symbol], from: usize) -> bool {
    let mut before: Vec<u8> = symbols[..from]
        .iter()
        .rev()
        .map_while(|symbol| symbol.byte)
        .take(TEXT_BEFORE)
        .collect();
    before.reverse();
    let whole = if before.len() == TEXT_BEFORE {
        // The first character may be cut.
        let cut = before.iter().take(3);
        &before[cut.take_while(|byte| is_continuation(**byte)).count()..]
    } else {
        &before[..]
    };
    let is_control =
        |char: char| matches!(char, '\0'..' ' | '\u{7F}') && !matches!(char, '\t' | '\n' | '\r');
    str::from_utf8(whole).is_ok_and(|text| !text.chars().any(is_control))
}
