//! Sets of needles, each unpleasant in its own way.

use bauta::mask::Rule::{self, Anywhere, Word};

use crate::reference::Needles;

/// Key, replacement, value, rule. A name that comes twice has two values.
type Rows = &'static [(&'static str, &'static str, &'static str, Rule)];

const PROFILES: [Rows; 8] = [
    // What users have.
    &[
        ("x_username", "x_username", "admin", Word),
        ("x_password", "x_password", "pass/wörd\"1\\", Anywhere),
        ("x_pin", "x_pin", "1234", Word),
        (
            "x_token",
            "<secret>x_token</secret>",
            "sk-A1b2+C3d4/E5f6==",
            Anywhere,
        ),
    ],
    // Values that share beginnings, ends and middles.
    &[
        ("x_a", "x_a", "abcdefgh", Anywhere),
        ("x_b", "x_b", "fghijklm", Anywhere),
        ("x_c", "x_c", "abcdefghij", Anywhere),
        ("x_d", "x_d", "defg", Word),
        ("x_e", "x_e", "abababababab", Anywhere),
        ("x_f", "x_f", "ijkl abcd", Word),
    ],
    // Values that look like escapes.
    &[
        ("x_n", "x_n", "nabcdefg", Anywhere),
        ("x_u", "{{x_u}}", "u0041bcd", Anywhere),
        ("x_p", "x_p", "%41%4zz%", Anywhere),
        ("x_h", "%x_h%", "&amp;#65;x", Anywhere),
        ("x_s", "x_s", "\\\\n\\\"\\u", Anywhere),
        ("x_t", "x_t", "25%41", Word),
    ],
    // Characters of every length, lines.
    &[
        ("x_emoji", "x_emoji", "🔑kéy🔒", Anywhere),
        ("x_word", "x_word", "ключ", Word),
        ("x_lines", "x_lines", "BEGIN\nab+/\r\nEND", Anywhere),
        ("x_quoted", "<<<x_quoted>>>", "'\"<é>&\u{A0}\"'", Anywhere),
        ("x_edge", "x_edge", "éa é", Word),
    ],
    // Digits, and values that are base64 and hex themselves.
    &[
        ("x_number", "x_number", "123456789012", Anywhere),
        ("x_year", "x_year", "2024", Word),
        ("x_base", "x_base", "QUJDREVGRw==", Anywhere),
        ("x_hex", "x_hex", "deadBEEF00", Anywhere),
        ("QUJD", "QUJD", "ABCDEFGH", Anywhere),
    ],
    // Keys that hold values, keys that hold keys, values under two names.
    &[
        ("x_password", "x_password", "password", Anywhere),
        ("x_pass", "x_pass", "x_pa", Word),
        ("pass", "$[secret:pass]", "same-value", Anywhere),
        ("same", "same", "same-value", Anywhere),
        ("same", "same", "another value", Anywhere),
        ("x_v", "x_v", "ssword", Word),
    ],
    // Signs that mean something to regular expressions, URLs, forms.
    &[
        ("x_regex", "x_regex", "(a+)*[b]$^.|?", Anywhere),
        ("x_mail", "x_mail", "a.b@c", Word),
        ("x_space", "x_space", "a b+c d", Word),
        ("x_url", "x_url", "://ab", Word),
        ("x_colon", "x_colon", "h:80", Word),
        ("x_sign", "x_sign", "#-/+", Word),
    ],
    // Very short values that are masked all the same.
    &[
        ("x_k", "x_k", "q", Anywhere),
        ("x_l", "x_l", "zz", Anywhere),
        ("x_m", "x_m", "7k9", Anywhere),
        ("x_o", "x_o", "é", Word),
    ],
];

/// The profile with this number, which wraps around.
pub fn profile(number: u8) -> Needles {
    let mut needles = Needles::default();
    for (key, replacement, value, rule) in PROFILES[usize::from(number) % PROFILES.len()] {
        let known = needles
            .names
            .iter()
            .position(|(known, _)| known == key)
            .and_then(|known| u32::try_from(known).ok());
        let name = known.map_or_else(|| needles.name(key, replacement), bauta::mask::NameId);
        needles.value(name, value.as_bytes(), *rule);
    }
    needles
}

/// How many profiles there are.
pub const COUNT: usize = PROFILES.len();
