//! Submissions and the exact errors that they get: `tests/data/submissions.tsv`, row by row.

use std::fmt::Write as _;

use bauta::secret::{
    Fill, Kind, Limits, MaskOption, Masking, Place, Problem, Submission, parse_submission,
};

const ROWS: &str = include_str!("../data/submissions.tsv");

fn parse(json: &str) -> Result<Submission, Vec<Problem>> {
    parse_submission(json.as_bytes().to_vec().into(), &Limits::default())
}

fn texts(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join(" | ")
}

fn outcome(json: &str) -> String {
    match parse(json) {
        Ok(submission) if submission.warnings().is_empty() => format!("ok {}", submission.len()),
        Ok(submission) => format!("ok {} | {}", submission.len(), texts(submission.warnings())),
        Err(problems) => texts(&problems),
    }
}

/// The abbreviations of the data file written out.
fn column(text: &str) -> String {
    let mut out = text.to_owned();
    for (name, expand) in [
        ("\\x{", many_x as fn(usize) -> String),
        ("\\d{", keys),
        ("\\o{", domains),
    ] {
        while let Some(start) = out.find(name) {
            let end = start + out[start..].find('}').unwrap();
            let count = out[start + name.len()..end].parse().unwrap();
            out.replace_range(start..=end, &expand(count));
        }
    }
    out
}

fn many_x(count: usize) -> String {
    "x".repeat(count)
}

fn keys(count: usize) -> String {
    let mut out = String::new();
    for index in 0..count {
        let comma = if index == 0 { "" } else { ", " };
        write!(out, "{comma}\"x_{index}\": \"some value {index}\"").unwrap();
    }
    out
}

fn domains(count: usize) -> String {
    let mut out = String::new();
    for index in 0..count {
        let comma = if index == 0 { "" } else { ", " };
        write!(
            out,
            "{comma}\"https://d{index}.example.com\": {{\"x_a\": \"some value {index}\"}}"
        )
        .unwrap();
    }
    out
}

#[test]
fn submissions_get_exactly_the_known_errors() {
    let mut failures = Vec::new();
    for (number, line) in ROWS.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (json, expected) = line.split_once('\t').unwrap();
        let got = outcome(&column(json));
        if got != expected {
            failures.push(format!(
                "line {}:\n  expected {expected}\n  got      {got}",
                number + 1
            ));
        }
        assert!(
            !got.contains("hunter2"),
            "line {}: a value in {got}",
            number + 1
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_problem_says_where_it_stands() {
    let problems =
        parse(r#"{"a.example.com": {"x_a": ""}, "bad": 1, "b.example.com": {"x_b": 1}}"#)
            .err()
            .unwrap();
    let places: Vec<Option<String>> = problems.iter().map(Problem::place).collect();
    let expected = ["x_a of a.example.com", "bad", "bad", "x_b of b.example.com"];
    assert_eq!(places, expected.map(|place| Some(place.to_owned())));
    assert_eq!(parse("[]").err().unwrap()[0].place(), None);
}

#[test]
fn secrets_carry_what_was_said() {
    let json = r#"{"https://example.com": {"x_a": "plain value", "x_b": {"value": "seed seed", "kind": "totp",
        "mask": "word", "allow": ["body"], "fill": "network", "max_uses": 3, "ignore_case": true}}}"#;
    let submission = parse(json).ok().unwrap();
    let secrets: Vec<_> = submission.iter().collect();
    assert_eq!(secrets[0].key().as_str(), "x_a");
    assert_eq!(secrets[0].pattern().to_string(), "https://example.com");
    assert_eq!(secrets[0].value().expose(), "plain value");
    assert_eq!(secrets[0].masking(), Masking::Anywhere);
    assert_eq!(secrets[0].options().max_uses, 1);
    let default_places: Vec<Place> = secrets[0].options().allow.iter().copied().collect();
    assert_eq!(default_places, [Place::Field, Place::Header, Place::Basic]);

    let options = secrets[1].options();
    assert_eq!(
        (options.kind, options.mask, options.fill),
        (Kind::Totp, MaskOption::Word, Fill::Network)
    );
    assert_eq!((options.max_uses, options.ignore_case), (3, true));
    assert_eq!(
        options.allow.iter().copied().collect::<Vec<_>>(),
        [Place::Body]
    );
    assert_eq!(secrets[1].masking(), Masking::Word);
}

#[test]
fn limits_are_configurable_and_named_in_the_error() {
    let limits = Limits {
        max_secrets: 1,
        max_domains: 1,
        max_value_bytes: 8,
        max_total_bytes: 10,
    };
    let json = r#"{"a.example.com": {"x_a": "12345678"}, "b.example.com": {"x_b": "123456789"}}"#;
    let problems = parse_submission(json.as_bytes().to_vec().into(), &limits)
        .err()
        .unwrap();
    assert_eq!(
        texts(&problems),
        "Secret value too large (max 8 bytes) | Maximum 1 secrets allowed per agent | Maximum 1 domains allowed per \
         agent | Total secrets size too large (max 10 bytes)"
    );
}

#[test]
fn a_byte_order_mark_is_no_obstacle_and_bad_utf8_is() {
    assert_eq!(
        outcome("\u{feff}{\"https://example.com\": {\"x_a\": \"hunter22\"}}"),
        "ok 1"
    );
    let bytes = b"{\"https://example.com\": {\"x_a\": \"\xff\"}}".to_vec();
    let problems = parse_submission(bytes.into(), &Limits::default())
        .err()
        .unwrap();
    assert!(
        problems[0].text.starts_with("Secrets must be valid JSON"),
        "{}",
        problems[0]
    );
}

#[test]
fn p8_deep_nesting_is_refused() {
    let json = format!(
        "{{\"https://example.com\": {{\"x_a\": {}",
        "[".repeat(100_000)
    );
    assert!(
        outcome(&json).starts_with("Secrets must be valid JSON"),
        "{}",
        outcome(&json)
    );
}
