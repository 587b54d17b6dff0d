//! Domain patterns against URLs: `tests/data/patterns.tsv`, row by row.

use std::cmp::Ordering;

use bauta::secret::{Origin, Pattern};

const ROWS: &str = include_str!("../data/patterns.tsv");

/// `match`, `no match`, or the text of the refusal.
fn outcome(pattern: &str, url: &str) -> String {
    let pattern: Pattern = match pattern.parse() {
        Ok(pattern) => pattern,
        Err(error) => return ToString::to_string(&error),
    };
    match url.parse::<Origin>() {
        Ok(origin) if pattern.matches(&origin) => "match".to_owned(),
        Ok(_) => "no match".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A column in which `\t`, `\n`, `\0`, `\\`, `\u{…}` and `\x{N}` (N times the letter x) are written out.
fn column(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut end = 1;
        match after.as_bytes()[0] {
            b't' => out.push('\t'),
            b'n' => out.push('\n'),
            b'0' => out.push('\0'),
            b'\\' => out.push('\\'),
            kind => {
                let close = after.find('}').unwrap();
                let inner = &after[2..close];
                if kind == b'u' {
                    out.push(char::from_u32(u32::from_str_radix(inner, 16).unwrap()).unwrap());
                } else {
                    out.push_str(&"x".repeat(inner.parse().unwrap()));
                }
                end = close + 1;
            }
        }
        rest = &after[end..];
    }
    out + rest
}

#[test]
fn p2_patterns_match_only_what_they_say() {
    let mut rows = 0;
    let mut failures = Vec::new();
    for (number, line) in ROWS.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rows += 1;
        let columns: Vec<String> = line.split('\t').map(column).collect();
        let [pattern, url, expected] = columns.as_slice() else {
            panic!("line {}: three columns", number + 1);
        };
        let got = outcome(pattern, url);
        if got != *expected {
            failures.push(format!(
                "line {}: {pattern:?} {url:?}\n  expected {expected}\n  got      {got}",
                number + 1
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rows >= 150, "{rows} rows");
}

#[test]
fn patterns_are_canonical_and_parse_again() {
    for (text, canonical) in [
        ("Example.COM", "https://example.com"),
        ("https://example.com./", "https://example.com"),
        ("HTTPS://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("http*://example.com:443", "http*://example.com:443"),
        ("example.com:08443", "https://example.com:8443"),
        ("example.com:*", "https://example.com:*"),
        ("*.Bücher.example", "https://*.xn--bcher-kva.example"),
        ("https://[0:0:0:0:0:0:0:1]", "https://[::1]"),
        ("https://[2001:DB8::0001]:443", "https://[2001:db8::1]"),
        ("localhost", "https://localhost"),
        ("localhost:8080", "https://localhost:8080"),
        ("http://keycloak:8080", "http://keycloak:8080"),
        (
            "chrome-extension://ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ),
    ] {
        let pattern: Pattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), canonical);
        assert_eq!(
            canonical.parse::<Pattern>().as_ref(),
            Ok(&pattern),
            "{canonical}"
        );
    }
}

#[test]
fn the_more_specific_pattern_wins() {
    for (winner, loser) in [
        ("https://a.example.com", "https://*.a.example.com"),
        ("https://*.a.example.com", "https://*.example.com"),
        ("https://a.example.com:*", "https://*.a.example.com"),
        ("https://a.example.com", "http*://a.example.com"),
        ("https://a.example.com", "https://a.example.com:*"),
        ("http*://a.example.com", "https://*.example.com"),
    ] {
        let rank = |text: &str| text.parse::<Pattern>().unwrap().specificity();
        assert_eq!(
            rank(winner).cmp(&rank(loser)),
            Ordering::Greater,
            "{winner} over {loser}"
        );
    }
}

#[test]
fn cleartext_is_http_to_another_machine() {
    for (text, expected) in [
        ("https://example.com", false),
        ("http://example.com", true),
        ("http*://example.com", true),
        ("http://*.example.com", true),
        ("http://localhost:8080", false),
        ("http://127.0.0.1", false),
        ("http://127.9.9.9", false),
        ("http://[::1]:3000", false),
        ("http://10.0.0.1", true),
        ("http://keycloak:8080", true),
    ] {
        assert_eq!(
            text.parse::<Pattern>().unwrap().is_cleartext(),
            expected,
            "{text}"
        );
    }
}
