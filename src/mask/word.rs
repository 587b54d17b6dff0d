//! Word edges: is there a word character beside a match? (Letters and digits of any script, and `_`.) And whether there is
//! text beside it at all.

/// Bytes of the longest UTF-8 character.
pub(super) const LONGEST_CHAR: usize = 4;

pub(super) fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Bytes of the character that `lead` begins; 0 if it begins none.
pub(super) fn char_len(lead: u8) -> usize {
    match lead {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    }
}

fn is_one_word_char(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|s| {
        let mut chars = s.chars();
        chars.next().is_some_and(is_word_char) && chars.next().is_none()
    })
}

/// Whether the text ends in a word character. Bytes that are not UTF-8 are none.
pub(super) fn ends_with_word_char(text: &[u8]) -> bool {
    let tail = &text[text.len().saturating_sub(LONGEST_CHAR)..];
    let lead = tail.iter().rposition(|b| b & 0xc0 != 0x80);
    lead.is_some_and(|at| is_one_word_char(&tail[at..]))
}

/// Whether the text begins with a word character. Bytes that are not UTF-8 are none.
pub(super) fn begins_with_word_char(text: &[u8]) -> bool {
    let len = text.first().map_or(0, |lead| char_len(*lead));
    text.get(..len).is_some_and(is_one_word_char)
}

/// Most bytes before a match that show whether it stands in text.
pub(super) const BESIDE: usize = 12;

/// Whether the bytes before a match, `BESIDE` of them or all that there are, are text: UTF-8 without control characters but for
/// tabs and line ends. Where there are `BESIDE`, the first may be the rest of a character.
pub(super) fn is_text(before: &[u8]) -> bool {
    let cut = if before.len() == BESIDE {
        let rest = before.iter().take_while(|b| **b & 0xc0 == 0x80).count();
        rest.min(LONGEST_CHAR - 1)
    } else {
        0
    };
    let control = |b: &u8| (*b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || *b == 0x7f;
    std::str::from_utf8(&before[cut..]).is_ok() && !before.iter().any(control)
}

#[cfg(test)]
mod tests {
    use super::{begins_with_word_char, ends_with_word_char, is_text};

    #[test]
    fn tells_text_from_the_bytes_of_a_picture() {
        for (before, text) in [
            (&b""[..], true),
            (b"pin:\t\r\n", true),
            ("é".as_bytes(), true),
            (b"\xa9=", false),
            (b"\xa9 0123456789", true),
            (b"\x80\x80\x80\x80 0123456", false),
            (b"a\0", false),
            (b"\x7f", false),
            (b"caf\xc3", false),
        ] {
            assert_eq!(is_text(before), text, "{before:?}");
        }
    }

    #[test]
    fn reads_the_character_beside_a_match() {
        for (text, begins, ends) in [
            ("", false, false),
            ("a", true, true),
            ("_", true, true),
            ("-a", false, true),
            ("a.", true, false),
            ("é", true, true),
            ("“", false, false),
            ("水!", true, false),
            ("!😀", false, false),
        ] {
            assert_eq!(begins_with_word_char(text.as_bytes()), begins, "{text}");
            assert_eq!(ends_with_word_char(text.as_bytes()), ends, "{text}");
        }
        assert!(!ends_with_word_char(b"\xa9"));
        assert!(!begins_with_word_char(b"\xc3"));
        assert!(!ends_with_word_char(b"a\x80"));
    }
}
