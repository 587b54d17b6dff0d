//! How text that somebody submitted is shown in an error: one line, bounded, without what may be a password.

/// Longest text that is shown in full; longer ones are cut.
const MAX_SHOWN_CHARS: usize = 256;

/// Control characters escaped, length bounded.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == MAX_SHOWN_CHARS {
            out.push('…');
            break;
        }
        if character.is_control() || is_bidi(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// As [`plain`], and of a URL neither user name and password nor query and fragment.
pub(super) fn url(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (head, rest) = text.split_at(start);
    // A password may hold any character, also those that begin a query: the last `@` of all is the safe end of it.
    let (prefix, rest) = match rest.rfind('@') {
        Some(at) => ("…@", &rest[at + 1..]),
        None => ("", rest),
    };
    let mut out = String::from(head);
    out.push_str(prefix);
    match rest.find(['?', '#']) {
        Some(at) if at + 1 < rest.len() => {
            out.push_str(&rest[..=at]);
            out.push('…');
        }
        _ => out.push_str(rest),
    }
    plain(&out)
}

/// Characters that reorder the text around them.
fn is_bidi(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_lose_what_may_be_secret() {
        for (text, expected) in [
            ("https://example.com/a", "https://example.com/a"),
            ("https://u:p@example.com/a", "https://…@example.com/a"),
            ("https://u:p/w@example.com", "https://…@example.com"),
            ("u:p@example.com", "…@example.com"),
            ("https://u:p?w@example.com", "https://…@example.com"),
            ("https://u:p#w@example.com/?a=b", "https://…@example.com/?…"),
            ("https://h/?token=1", "https://h/?…"),
            ("https://h/#token=1", "https://h/#…"),
            ("https://h/?", "https://h/?"),
            ("a\nb\u{202e}c", "a\\nb\\u{202e}c"),
        ] {
            assert_eq!(super::url(text), expected);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(
            super::plain(&"a".repeat(300)),
            format!("{}…", "a".repeat(256))
        );
    }
}
