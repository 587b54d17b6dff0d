//! Which values are looked for where.

use super::MaskOption;

/// Where an occurrence of a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// Anywhere in a text.
    Anywhere,
    /// As a whole word, outside the places where ordinary words stand.
    Word,
    /// Nowhere: the value is not masked.
    No,
}

/// Under `auto`, values from this many bytes on match anywhere.
const ANYWHERE_BYTES: usize = 8;
/// Under `auto`, all-digit values match anywhere only from this many bytes on: ids, times and counts are digits.
const ANYWHERE_DIGITS: usize = 12;
/// Under `auto`, shorter values are not masked.
const MASKED_BYTES: usize = 4;

/// The rule for a value under a secret's `mask` option.
pub fn rule(option: MaskOption, value: &str) -> Masking {
    match option {
        MaskOption::Always => Masking::Anywhere,
        MaskOption::Word => Masking::Word,
        MaskOption::Never => Masking::No,
        MaskOption::Auto => auto(value),
    }
}

fn auto(value: &str) -> Masking {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    if value.len() < MASKED_BYTES {
        Masking::No
    } else if value.len() < ANYWHERE_BYTES || (digits && value.len() < ANYWHERE_DIGITS) {
        Masking::Word
    } else {
        Masking::Anywhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_by_bytes_and_digits() {
        for (value, expected) in [
            ("abc", Masking::No),
            ("123", Masking::No),
            ("é", Masking::No),
            ("éé", Masking::Word),
            ("abcd", Masking::Word),
            ("admin", Masking::Word),
            ("abcdefg", Masking::Word),
            ("abcdefgh", Masking::Anywhere),
            ("12345678", Masking::Word),
            ("12345678901", Masking::Word),
            ("123456789012", Masking::Anywhere),
            ("1234567a", Masking::Anywhere),
            ("-1234567", Masking::Anywhere),
        ] {
            assert_eq!(auto(value), expected, "{value}");
        }
    }
}
