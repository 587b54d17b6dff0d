//! What became of the conversation, judged by searching bytes: nothing of the engine is used.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use super::browse::Act;
use super::provider;
use super::story::{self, Piece, VALUES};

/// Levels of JSON strings within which a value is looked for.
const JSON_LEVELS: usize = 4;

/// What went over the wires.
#[derive(Default)]
pub(super) struct Run {
    /// The bodies that the agent sent.
    pub sent: Vec<Vec<u8>>,
    /// The requests that the provider got, heads included.
    pub received: Vec<Vec<u8>>,
    /// What the provider answered, and what the agent got of it.
    pub answers: Vec<(Vec<u8>, Bytes)>,
}

/// One promise, and whether it held.
pub(super) struct Check {
    pub holds: bool,
    /// What was seen, for people.
    pub seen: String,
    /// What is wrong if it does not hold.
    pub fault: &'static str,
}

/// One place of the conversation on both sides.
pub(super) struct Place {
    pub label: &'static str,
    pub before: Vec<Piece>,
    /// `None` if more changed than the values.
    pub after: Option<Vec<Piece>>,
}

/// Everything that is shown.
pub(super) struct Report {
    pub places: Vec<Place>,
    /// Key, form, count, as the sidecar logged them.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    pub checks: Vec<Check>,
    /// The second request as the provider got it.
    pub raw: String,
    /// The model's words, as the agent got them.
    pub words: String,
    /// The second act; `None` where there is no browser.
    pub act: Option<Act>,
}

impl Report {
    /// Judges a run and the second act; `log` is what the sidecar logged, in JSON lines.
    pub(super) fn new(run: &Run, act: Option<Act>, log: &[u8]) -> Self {
        let last = run.received.last().map_or(&[][..], Vec::as_slice);
        let body: Value = provider::body(last)
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_default();
        let places: Vec<Place> = story::rows()
            .into_iter()
            .map(|row| {
                let arrived = body.pointer(row.pointer).and_then(Value::as_str);
                Place {
                    label: row.label,
                    after: arrived.and_then(|text| row.arrived(text)),
                    before: row.pieces,
                }
            })
            .collect();
        let checks = checks(run, &places, log);
        Self {
            places,
            counts: counts(log),
            checks,
            raw: String::from_utf8_lossy(last).into_owned(),
            words: run
                .answers
                .last()
                .map_or_else(String::new, |(_, answer)| spoken(answer)),
            act,
        }
    }

    /// The promises of both acts.
    pub(super) fn all_checks(&self) -> impl Iterator<Item = &Check> {
        let act = self.act.iter().flat_map(|act| &act.checks);
        self.checks.iter().chain(act)
    }

    /// What does not hold.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let failed = self.all_checks().filter(|check| !check.holds);
        failed.map(|check| check.fault).collect()
    }
}

fn checks(run: &Run, places: &[Place], log: &[u8]) -> Vec<Check> {
    let every: BTreeSet<&str> = VALUES.iter().map(|(key, _)| *key).collect();
    let sent = found(&run.sent.concat());
    let received: usize = run.received.iter().map(Vec::len).sum();
    let whole = places
        .iter()
        .all(|place| place.after.as_ref().is_some_and(|after| is_named(after)));
    let (answered, same): (usize, bool) = (
        run.answers.iter().map(|(_, answer)| answer.len()).sum(),
        run.answers.iter().all(|(said, heard)| said == heard),
    );
    let words = run
        .answers
        .last()
        .is_some_and(|(_, answer)| spoken(answer) == provider::words());
    vec![
        // Without this, the next one would mean nothing.
        Check {
            holds: sent == every,
            seen: format!(
                "A plain search of what the agent sent finds {} of {} secrets",
                sent.len(),
                every.len()
            ),
            fault: "the search does not find what the agent sent",
        },
        Check {
            holds: run.received.len() == run.sent.len()
                && run.received.iter().all(|request| found(request).is_empty()),
            seen: format!(
                "The same search of all {received} bytes that the provider received finds none"
            ),
            fault: "a value is in what the provider received",
        },
        Check {
            holds: whole,
            seen: "A name stands where each value stood, and what is around it is as it was"
                .to_owned(),
            fault: "more than the values changed on the way, or less",
        },
        Check {
            holds: same && words,
            seen: format!(
                "The answers, one of them streamed, came back byte for byte: {answered} bytes"
            ),
            fault: "an answer did not come back as it was sent",
        },
        Check {
            holds: !log.is_empty() && found(log).is_empty(),
            seen: "Bauta's own log names the secrets, and holds no value".to_owned(),
            fault: "a value is in the log, or there is no log",
        },
    ]
}

/// Whether every changed piece has a name in it, as it is or in its encoding.
fn is_named(pieces: &[Piece]) -> bool {
    pieces.iter().filter(|piece| piece.is_value).all(|piece| {
        let plain = decoded(&piece.text);
        VALUES.iter().any(|(key, _)| plain.contains(key))
    })
}

/// What a changed piece says: itself, or what its base64 or hex stands for.
pub(super) fn decoded(text: &str) -> String {
    if VALUES.iter().any(|(key, _)| text.contains(key)) {
        return text.to_owned();
    }
    story::unhex(text)
        .or_else(|| story::unbase64(text))
        .unwrap_or_else(|| text.to_owned())
}

/// The keys whose values are in these bytes, in any encoding that the story uses and some more.
pub(super) fn found(bytes: &[u8]) -> BTreeSet<&'static str> {
    let holds = |value: &str| {
        forms(value)
            .iter()
            .any(|form| memchr::memmem::find(bytes, form.as_bytes()).is_some())
    };
    VALUES
        .iter()
        .filter(|(_, value)| holds(value))
        .map(|(key, _)| *key)
        .collect()
}

/// The encodings of a value, each within up to [`JSON_LEVELS`] JSON strings.
fn forms(value: &str) -> Vec<String> {
    let mut level = vec![
        value.to_owned(),
        story::percent(value),
        story::html(value),
        story::hex(value.as_bytes()),
        story::hex(value.as_bytes()).to_uppercase(),
    ];
    level.extend((0..3).map(|at| base64_inside(value, at)));
    let mut all = level.clone();
    for _ in 0..JSON_LEVELS {
        level = level
            .iter()
            .flat_map(|text| [story::json_escaped(text), story::ascii_json(text)])
            .collect();
        level.sort();
        level.dedup();
        all.extend(level.iter().cloned());
    }
    all
}

/// The base64 digits that a value alone decides, where `before` bytes (modulo 3) stand before it.
fn base64_inside(value: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value.as_bytes());
    let digits = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    story::base64(&bytes)[digits].to_owned()
}

/// What the sidecar's request lines say: `key=count` or `key=count(form)`. Those of browser clients are not the conversation's.
fn counts(log: &[u8]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for line in log.split(|byte| *byte == b'\n') {
        let line: Value = serde_json::from_slice(line).unwrap_or_default();
        if !line["client"].is_null() {
            continue;
        }
        for word in line["masked"].as_str().unwrap_or_default().split(' ') {
            let Some((key, count)) = word.split_once('=') else {
                continue;
            };
            let (count, form) = count
                .trim_end_matches(')')
                .split_once('(')
                .unwrap_or((count, "plain"));
            let count: u64 = count.parse().unwrap_or(0);
            let forms = counts.entry(key.to_owned()).or_default();
            *forms.entry(form.to_owned()).or_default() += count;
        }
    }
    counts
}

/// The words of a streamed answer.
fn spoken(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| {
            let words = event.pointer("/choices/0/delta/content")?;
            words.as_str().map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in which the sidecar did its work, or only pretends to.
    fn run(mask: impl Fn(&str) -> String) -> Run {
        let sent = [story::first_request(), story::second_request()];
        let received = sent
            .iter()
            .map(|body| format!("POST / HTTP/1.1\r\n\r\n{}", mask(body)).into_bytes())
            .collect();
        let said = [provider::completion(), provider::events().concat()];
        Run {
            sent: sent.into_iter().map(String::into_bytes).collect(),
            received,
            answers: said
                .into_iter()
                .map(|said| (said.clone().into_bytes(), Bytes::from(said)))
                .collect(),
        }
    }

    /// Replaces every form of every value, in the order of the longest.
    fn masked(body: &str) -> String {
        let mut all: Vec<(String, &str)> = VALUES
            .iter()
            .flat_map(|(key, value)| forms(value).into_iter().map(move |form| (form, *key)))
            .collect();
        all.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        all.iter()
            .fold(body.to_owned(), |body, (form, key)| body.replace(form, key))
    }

    fn failed(run: &Run, log: &str) -> Vec<&'static str> {
        Report::new(run, None, log.as_bytes()).failed()
    }

    #[test]
    fn a_run_that_keeps_every_promise_passes() {
        let none: [&str; 0] = [];
        assert_eq!(failed(&run(masked), "{}"), none);
    }

    #[test]
    fn p1_one_value_in_one_form_that_gets_through_is_seen() {
        for (_, value) in VALUES {
            for form in forms(value) {
                let leak = |body: &str| format!("{} {form} ", masked(body));
                let faults = failed(&run(leak), "{}");
                assert!(
                    faults.contains(&"a value is in what the provider received"),
                    "{form}"
                );
            }
        }
    }

    #[test]
    fn every_other_fault_is_seen() {
        let mut lost = run(masked);
        lost.received.remove(0);
        assert!(failed(&lost, "{}").contains(&"a value is in what the provider received"));

        let changed = |body: &str| masked(body).replace("Authorization", "authorization");
        assert_eq!(
            failed(&run(changed), "{}"),
            ["more than the values changed on the way, or less"]
        );

        let mut cut = run(masked);
        cut.answers[1].1.truncate(99);
        assert_eq!(
            failed(&cut, "{}"),
            ["an answer did not come back as it was sent"]
        );

        let log = format!(r#"{{"masked":"{}"}}"#, VALUES[0].1);
        for log in [log.as_str(), ""] {
            assert_eq!(
                failed(&run(masked), log),
                ["a value is in the log, or there is no log"]
            );
        }

        let mut empty = run(masked);
        empty.sent = vec![b"{}".to_vec(); 2];
        assert_eq!(
            failed(&empty, "{}"),
            ["the search does not find what the agent sent"]
        );
    }

    #[test]
    fn counts_are_read_from_the_log() {
        let log = "{\"masked\":\"x_a=2 x_a=1(json)\"}\n{\"masked\":\"\"}\nno line\n{\"masked\":\"x_a=3(json) x_b=1(hex)\"}\n";
        let counts = counts(log.as_bytes());
        let of = |key: &str, form: &str| counts[key].get(form).copied();
        assert_eq!(
            (of("x_a", "plain"), of("x_a", "json"), of("x_b", "hex")),
            (Some(2), Some(4), Some(1))
        );
        assert_eq!(counts.len(), 2);
    }
}
