//! Sets of needles, each unpleasant in its own way.

use bauta::mask::{NameId, Rule};

use crate::reference::Needles;

use How::{Anywhere, AnywhereAnyCase, Word, WordAnyCase};

/// Where a value counts, and whether in any case.
#[derive(Clone, Copy)]
enum How {
    Anywhere,
    Word,
    AnywhereAnyCase,
    WordAnyCase,
}

/// Key, replacement, value, rule. A name that comes twice has two values.
type Rows = &'static [(&'static str, &'static str, &'static str, How)];

/// The fuzz seeds know them by number: new ones come last.
const PROFILES: [Rows; 14] = [
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
    // Values in any case, beside the same in theirs.
    &[
        ("x_long", "x_long", "Hunter-Zwei", AnywhereAnyCase),
        ("x_same", "x_same", "hunter-zwei", Anywhere),
        ("x_user", "X_USER", "admin", WordAnyCase),
        ("x_word", "x_word", "Éa-bB", WordAnyCase),
        ("x_hex", "x_hex", "deadbeef", AnywhereAnyCase),
        ("x_sign", "x_sign", "@[`{k", AnywhereAnyCase),
        ("ADMIN", "ADMIN", "Admin", Word),
    ],
    // Characters of Windows-1252, UTF-16, quoted-printable that is none.
    &[
        ("x_price", "x_price", "“Preis–1€”", Anywhere),
        ("x_work", "x_w€rk", "Œuvre™", Word),
        ("x\0_\0u\0", "x\0_\0u\0", "a\0d\0m\0i\0n\0", AnywhereAnyCase),
        ("x_soft", "x=_soft", "k=\r\nl=\n", Anywhere),
        ("x_equal", "x_equal", "a=3D=b", Word),
        ("x_pad", "x\u{7F}~", "=9==a", Word),
    ],
    // Values that may stand in base64 by chance, and values that go beyond a JSON string.
    &[
        ("x_pin", "x_pin", "1234", Word),
        ("x_b", "x_b", "Zk3q", WordAnyCase),
        ("x_p", "x_p", "+/9x", Word),
        ("x_q", "x_q", "=Ab1", Word),
        ("x_end", "x_end", "b\",\"signature", Anywhere),
        ("x_sig", "x_sig", "c2ln\"}", Anywhere),
        ("x_key", "x_key", "sk-Ab1+/9xZk3q", Anywhere),
    ],
    // Long values and long keys only.
    &[
        (
            "x_github",
            "x_github",
            "ghp_Zq7mN4vX9cB2kLp8sWd5tRyGhJ0uFe6aQ1iT",
            Anywhere,
        ),
        (
            "x_database",
            "{{x_database}}",
            "postgres://user:p\u{e4}ssw\u{f6}rt?@db.example.com/app",
            Anywhere,
        ),
        (
            "x_private",
            "x_private",
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhki/9w0BAQ+FAASCBKcwggSj\n-----END KEY-----",
            Anywhere,
        ),
    ],
    // As long as most passwords, one of which is a word.
    &[
        (
            "x_phrase",
            "x_phrase",
            "Correct Horse/Battery?",
            AnywhereAnyCase,
        ),
        (
            "x_secret",
            "x_secret",
            "\u{ff}\u{fe}>>~~??-0123456789",
            Anywhere,
        ),
        ("x_account", "x_account", "someone.else@example.com", Word),
    ],
    // One very long value.
    &[(
        "x_certificate",
        "x_certificate",
        "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJRTESMBAGA1UEChMJQmFsdGltb3JlMRMwEQYDVQQLEwpDeWJlclRydXN0",
        Anywhere,
    )],
];

/// The profile of values that may stand in base64 by chance.
pub const OPAQUE: u8 = 10;

/// The profile with this number, which wraps around.
pub fn profile(number: u8) -> Needles {
    let mut needles = Needles::default();
    for (key, replacement, value, how) in PROFILES[usize::from(number) % PROFILES.len()] {
        let known = needles
            .names
            .iter()
            .position(|(known, _)| known == key)
            .and_then(|known| u32::try_from(known).ok());
        let name = known.map_or_else(|| needles.name(key, replacement), NameId);
        match how {
            Anywhere => needles.value(name, value.as_bytes(), Rule::Anywhere),
            Word => needles.value(name, value.as_bytes(), Rule::Word),
            AnywhereAnyCase => needles.value_any_case(name, value.as_bytes(), Rule::Anywhere),
            WordAnyCase => needles.value_any_case(name, value.as_bytes(), Rule::Word),
        }
    }
    needles
}

/// How many profiles there are.
pub const COUNT: usize = PROFILES.len();
