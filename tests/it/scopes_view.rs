//! Which secret of a view counts where (`tests/data/scopes.tsv`, row by row), and whose name a value goes by.

use std::cmp::Ordering;

use bauta::secret::{
    Host, Limits, NotAllowed, NotThere, Options, Origin, Pattern, Place, Scope, Secret, Standing,
    Use, Value, Verdict, View,
};
use proptest::prelude::*;

const ROWS: &str = include_str!("../data/scopes.tsv");

/// A secret with a value of its own.
pub fn secret(key: &str, scope: &str, pattern: &str) -> Secret {
    let text = format!("value of {key} {scope} {pattern}");
    with(key, scope, pattern, Options::default(), &text)
}

pub fn with(key: &str, scope: &str, pattern: &str, options: Options, text: &str) -> Secret {
    let (key, scope, pattern) = (key.parse(), scope.parse(), pattern.parse());
    let (key, scope, pattern) = (key.unwrap(), scope.unwrap(), pattern.unwrap());
    Secret::new(key, pattern, scope, options, value(text)).unwrap()
}

pub fn value(text: &str) -> Value {
    Value::new(text.to_owned().into(), &Limits::default()).unwrap()
}

fn name(secret: &Secret) -> String {
    format!("{} {}", secret.scope(), secret.pattern())
}

fn view(text: &str) -> View {
    let all = text.split(';').filter(|text| !text.trim().is_empty());
    let made = all.map(|text| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [key, scope, pattern] = words.as_slice() else {
            panic!("{text}");
        };
        secret(key, scope, pattern)
    });
    View::new(made.collect())
}

fn found(view: &View, key: &str, origin: &Origin) -> String {
    match view.find(key, origin) {
        Ok(secret) => name(secret),
        Err(NotThere::UnknownKey) => "unknown".to_owned(),
        Err(NotThere::NoPattern) => "none".to_owned(),
    }
}

#[test]
fn p2_of_the_secrets_of_a_key_one_counts() {
    let (mut rows, mut failures) = (0, Vec::new());
    for (number, line) in ROWS.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rows += 1;
        let columns: Vec<&str> = line.split('\t').collect();
        let [secrets, key, url, expected] = columns.as_slice() else {
            panic!("line {}: {line}", number + 1);
        };
        let origin: Origin = url.parse().unwrap();
        let forth = found(&view(secrets), key, &origin);
        let reversed: Vec<&str> = secrets.rsplit(';').collect();
        let back = found(&view(&reversed.join(";")), key, &origin);
        if forth != *expected || back != *expected {
            failures.push(format!(
                "line {}: expected {expected}, got {forth} and {back}",
                number + 1
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rows >= 60, "{rows} rows");
}

const SCOPES: [&str; 7] = [
    "task:t",
    "agent:a",
    "user:u",
    "user:v",
    "profile:p",
    "profile:q",
    "org:o",
];

const PATTERNS: [&str; 16] = [
    "https://example.com",
    "http://example.com",
    "http*://example.com",
    "https://example.com:*",
    "https://example.com:8443",
    "http*://example.com:443",
    "http*://example.com:*",
    "*.example.com",
    "http*://*.example.com:*",
    "*.a.example.com",
    "*.b.a.example.com:*",
    "a.example.com",
    "b.a.example.com:8443",
    "evil.test",
    "http://127.0.0.1:*",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
];

const URLS: [&str; 14] = [
    "https://example.com",
    "http://example.com",
    "https://example.com:8443",
    "http://example.com:443",
    "https://a.example.com",
    "http://a.example.com:8080",
    "https://b.a.example.com",
    "https://b.a.example.com:8443",
    "https://c.b.a.example.com",
    "https://evil.test",
    "https://example.com.evil.test",
    "https://evilexample.com",
    "http://127.0.0.1:3000",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
];

/// Whether a pattern matches, read off its text and by other means than the code's: host, then scheme, then port.
fn matches(pattern: &str, origin: &Origin) -> bool {
    let (scheme, rest) = pattern.split_once("://").unwrap();
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    };
    let name = origin.host().to_string();
    let host = match host.strip_prefix("*.") {
        Some(below) => {
            matches!(origin.host(), Host::Name(_))
                && format!(".{name}").ends_with(&format!(".{below}"))
        }
        None => name == host,
    };
    let its = origin.scheme().as_str();
    let scheme = its == scheme || scheme == "http*" && its != "chrome-extension";
    let default = match its {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let port = match port {
        Some("*") => true,
        Some(port) => origin.port().is_some_and(|its| its.to_string() == port),
        None => origin.port() == default,
    };
    host && scheme && port
}

/// Orders two secrets as the design does: exact over wildcard, longer suffix over shorter, narrower scope.
fn order(a: &Secret, b: &Secret) -> Ordering {
    let host = |secret: &Secret| {
        let text = secret.pattern().to_string();
        let host = text.split_once("://").unwrap().1.to_owned();
        let host = host
            .rsplit_once(':')
            .map_or(host.clone(), |(host, _)| host.to_owned());
        (host.starts_with("*."), usize::MAX - host.len())
    };
    let scope = |secret: &Secret| {
        let kinds = ["task", "agent", "user", "profile", "org"];
        kinds.iter().position(|kind| *kind == secret.scope().kind())
    };
    let (host_a, host_b) = (host(a), host(b));
    // The length of an exact host says nothing: only one of them matches.
    let by_host = match (host_a.0, host_b.0) {
        (false, false) => Ordering::Equal,
        _ => host_a.cmp(&host_b),
    };
    by_host.then(scope(a).cmp(&scope(b)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn p2_no_secret_is_found_where_it_does_not_belong(
        picks in proptest::collection::vec((0..2_usize, 0..SCOPES.len(), 0..PATTERNS.len()), 0..12),
        url in 0..URLS.len(),
        turn in 0..12_usize,
    ) {
        let origin: Origin = URLS[url].parse().unwrap();
        let mut picks = picks;
        picks.sort_unstable();
        picks.dedup();
        let make = |picks: &[(usize, usize, usize)]| View::new(
            picks.iter().map(|(k, s, p)| secret(["x_a", "x_b"][*k], SCOPES[*s], PATTERNS[*p])).collect(),
        );
        let view = make(&picks);
        let at = turn.min(picks.len());
        picks.rotate_left(at);
        let other = make(&picks);
        for key in ["x_a", "x_b", "x_c"] {
            let fitting: Vec<&Secret> = view
                .iter()
                .filter(|s| s.key().as_str() == key && matches(&s.pattern().to_string(), &origin))
                .collect();
            prop_assert_eq!(found(&view, key, &origin), found(&other, key, &origin));
            match view.find(key, &origin) {
                Ok(chosen) => {
                    prop_assert!(chosen.key().as_str() == key);
                    prop_assert!(matches(&chosen.pattern().to_string(), &origin), "{}", name(chosen));
                    for rival in fitting {
                        prop_assert!(order(chosen, rival).is_le(), "{} beats {}", name(rival), name(chosen));
                    }
                }
                Err(NotThere::NoPattern) => {
                    prop_assert!(fitting.is_empty());
                    prop_assert!(!view.of(key).is_empty());
                }
                Err(NotThere::UnknownKey) => prop_assert!(view.of(key).is_empty()),
            }
            let chosen = view.standings(key, &origin);
            let chosen = chosen.iter().filter(|(_, standing)| *standing == Standing::Chosen);
            prop_assert_eq!(chosen.count(), usize::from(view.find(key, &origin).is_ok()));
        }
    }
}

#[test]
fn a_choice_can_be_explained() {
    let view = view(
        "x_a agent:a https://example.com; x_a agent:a http*://example.com; x_a user:u *.example.com; \
         x_a org:o https://example.com; x_a org:o http://example.com; x_a org:o https://example.com:8443; \
         x_a org:o other.test; x_a profile:p https://example.com; x_a profile:q https://example.com; x_b task:t example.com",
    );
    let of = |url: &str| -> Vec<String> {
        let standings = view.standings("x_a", &url.parse().unwrap());
        let lines = standings
            .iter()
            .map(|(s, standing)| format!("{}: {standing:?}", name(s)));
        lines.collect()
    };
    assert_eq!(
        of("https://example.com"),
        [
            "agent:a http*://example.com: LessSpecific",
            "agent:a https://example.com: Chosen",
            "user:u https://*.example.com: LessSpecific",
            "profile:p https://example.com: WiderScope",
            "profile:q https://example.com: WiderScope",
            "org:o http://example.com: NoMatch(Scheme)",
            "org:o https://example.com: WiderScope",
            "org:o https://example.com:8443: NoMatch(Port)",
            "org:o https://other.test: NoMatch(Host)",
        ]
    );
    assert_eq!(
        of("https://evil.test"),
        view.of("x_a")
            .iter()
            .map(|s| format!("{}: NoMatch(Host)", name(s)))
            .collect::<Vec<_>>()
    );
    assert!(
        view.standings("x_c", &"https://example.com".parse().unwrap())
            .is_empty()
    );
    let same = View::new(vec![
        secret("x_a", "profile:q", "example.com"),
        secret("x_a", "profile:p", "example.com"),
    ]);
    let standings: Vec<Standing> = same
        .standings("x_a", &"https://example.com".parse().unwrap())
        .iter()
        .map(|(_, standing)| *standing)
        .collect();
    assert_eq!(standings, [Standing::Chosen, Standing::Later]);
    for (standing, text) in [
        (Standing::NoMatch(Verdict::Host), "the host is another"),
        (Standing::WiderScope, "a narrower scope has one of its own"),
    ] {
        assert_eq!(standing.to_string(), text);
    }
}

#[test]
fn a_wider_scope_does_not_help_out_where_the_narrower_is_not_allowed() {
    let only = |place| Options {
        allow: [place].into(),
        ..Options::default()
    };
    let view = View::new(vec![
        with(
            "x_a",
            "org:o",
            "example.com",
            only(Place::Header),
            "the organization's",
        ),
        with(
            "x_a",
            "agent:a",
            "example.com",
            only(Place::Field),
            "the agent's own",
        ),
    ]);
    let found = view.find("x_a", &"https://example.com".parse().unwrap());
    let secret = found.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(secret.value().expose(), "the agent's own");
    let wanted = Use {
        place: Place::Header,
        header: Some("X-Api-Key"),
        uses: 1,
    };
    assert_eq!(
        secret.may_go(&wanted),
        Err(NotAllowed::Place(Place::Header))
    );
}

#[test]
fn patterns_of_the_property_are_written_in_their_canonical_form() {
    // Else the reference would read another text than it means.
    for text in PATTERNS.iter().filter(|text| text.contains("://")) {
        let pattern: Pattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), *text);
    }
    let scopes: Vec<Scope> = SCOPES.iter().map(|text| text.parse().unwrap()).collect();
    assert!(scopes.is_sorted());
}
