//! Finding records, and following the log.

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime};

use bauta::audit::{Broken, Event, Found, Kind, Query, search, tail};

use crate::audit_kit::{PATIENCE, Place, numbered, sure};

/// The reasons of the records that fit.
fn found(place: &Place, query: &Query) -> Vec<String> {
    let found = search(&place.path(), query).unwrap();
    found
        .map(|found| match found.unwrap() {
            Found::Hit(hit) => hit.record().reason.unwrap().into_owned(),
            Found::Broken(broken) => panic!("{broken:?}"),
        })
        .collect()
}

#[test]
#[allow(clippy::too_many_lines)] // a row per query
fn search_finds_by_each_filter_over_all_files() {
    let place = Place::rotating(1200);
    let recorder = place.open();
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
    let event = |kind, reason: &str, seconds: u64| Event::new(kind).reason(reason).at(at(seconds));
    for event in [
        event(Kind::Mask, "a", 0)
            .key("x_one")
            .target("openai")
            .task("t1"),
        event(Kind::Mask, "b", 10)
            .keys(["x_one", "x_two"])
            .target("openai"),
        event(Kind::Substitute, "c", 20)
            .key("x_two")
            .target("https://example.com")
            .task("t2"),
        // The clock went backwards: the search goes on all the same.
        event(Kind::SecretSet, "d", 5).key("x_\"odd\\\u{1b}"),
        event(Kind::SecretRotate, "e", 30).key("x_three"),
        event(Kind::Stop, "f", 40),
    ] {
        recorder.reserve().unwrap().commit(vec![event]);
    }
    recorder.close().unwrap();
    place.rotate_now();
    let text = |text: &str| Some(text.to_owned());
    let any = Query::default;
    let check = |query: Query, expected: &str| {
        assert_eq!(found(&place, &query).concat(), expected, "{query:?}");
    };
    check(any(), "abcdefz");
    check(
        Query {
            key: text("x_one"),
            ..any()
        },
        "ab",
    );
    check(
        Query {
            key: text("x_two"),
            ..any()
        },
        "bc",
    );
    check(
        Query {
            key: text("x_t*"),
            ..any()
        },
        "bce",
    );
    check(
        Query {
            key: text("x_"),
            ..any()
        },
        "",
    );
    check(
        Query {
            key: text("x_\"odd\\\u{1b}"),
            ..any()
        },
        "d",
    );
    check(
        Query {
            task: text("t1"),
            ..any()
        },
        "a",
    );
    check(
        Query {
            event: text("mask"),
            ..any()
        },
        "ab",
    );
    check(
        Query {
            event: text("secret.*"),
            ..any()
        },
        "de",
    );
    check(
        Query {
            target: text("https://example.com"),
            ..any()
        },
        "c",
    );
    check(
        Query {
            target: text("openai"),
            key: text("x_two"),
            ..any()
        },
        "b",
    );
    check(
        Query {
            since: Some(at(10)),
            until: Some(at(30)),
            ..any()
        },
        "bce",
    );
    check(
        Query {
            until: Some(at(5)),
            ..any()
        },
        "ad",
    );
}

impl Place {
    /// Fills the file, so that the next record stands in a new one.
    fn rotate_now(&self) {
        let recorder = self.open();
        let event = Event::new(Kind::Start).reason("z").agent("a".repeat(200));
        recorder.reserve().unwrap().commit(vec![event]);
        recorder.close().unwrap();
        assert!(self.rotated(1).exists());
    }
}

#[test]
fn search_says_which_lines_are_broken_and_goes_on() {
    let place = Place::new();
    place.write(0..3);
    let good = fs::read_to_string(place.path()).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let mut text = lines[0].as_bytes().to_vec();
    text.extend(b"{\"seq\":2\n\xff\xfe\n\n");
    text.extend(vec![b'x'; 200_000]);
    text.extend(b"\n[]\nnull\n");
    text.extend(lines[2].as_bytes());
    text.extend(b"{\"seq\":4,\"ti");
    fs::write(place.path(), text).unwrap();
    let (mut hits, mut broken) = (0, Vec::new());
    for found in search(&place.path(), &Query::default()).unwrap() {
        match found.unwrap() {
            Found::Hit(_) => hits += 1,
            Found::Broken(Broken { file, line }) => {
                assert_eq!(file, place.path());
                broken.push(line);
            }
        }
    }
    assert_eq!((hits, broken), (2, vec![2, 3, 4, 5, 6, 7]));
    let none = Place::new();
    assert!(search(&none.path(), &Query::default()).is_err());
    assert!(tail(&none.path(), 1, false).is_err());
}

#[test]
fn tail_gives_the_last_lines_over_rotated_files() {
    let place = Place::rotating(1000);
    place.write(0..30);
    let ids = |count| {
        let lines = tail(&place.path(), count, false).unwrap();
        lines.map(|line| id(&line.unwrap())).collect::<Vec<u64>>()
    };
    for count in [0, 1, 2, 5, 29, 30, 31, 1000] {
        let first = 30_u64.saturating_sub(count);
        let count = usize::try_from(count).unwrap();
        assert_eq!(ids(count), (first..30).collect::<Vec<_>>(), "{count}");
    }
    // A line that is being written is not shown yet.
    let mut file = fs::File::options().append(true).open(place.path()).unwrap();
    file.write_all(b"{\"seq\":31").unwrap();
    assert_eq!(ids(1), [29]);
}

fn id(line: &str) -> u64 {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["request_id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn tail_follows_through_rotations() {
    let place = Place::rotating(900);
    // It may be there before the log is.
    let mut early = tail(&place.path(), 10, true).unwrap();
    assert_eq!(early.next_within(Duration::ZERO).unwrap(), None);
    place.write(0..5);
    let mut late = tail(&place.path(), 2, true).unwrap();
    place.write(5..10);
    let recorder = place.open();
    for number in 10..40 {
        sure(&recorder, &place.path(), number);
        if number % 7 == 0 {
            let line = late.next_within(PATIENCE).unwrap().unwrap();
            assert!(id(&line) < number);
        }
    }
    let mut rest = Vec::new();
    while rest.last() != Some(&39) {
        rest.push(id(&late.next_within(PATIENCE).unwrap().unwrap()));
    }
    // 3 and 4 were there, and four more were taken on the way.
    assert_eq!(rest, (7..40).collect::<Vec<_>>());
    assert_eq!(late.next_within(Duration::ZERO).unwrap(), None);
    // The one that was there before the log begins with the file that was current when it looked first.
    let first = id(&early.next_within(PATIENCE).unwrap().unwrap());
    let mut last = first;
    while last != 39 {
        let next = id(&early.next_within(PATIENCE).unwrap().unwrap());
        assert_eq!(next, last + 1);
        last = next;
    }
}

#[test]
fn tail_follows_past_a_line_that_was_cut_off_after_a_crash() {
    let place = Place::new();
    place.write(0..1);
    let mut file = fs::File::options().append(true).open(place.path()).unwrap();
    let mut follow = tail(&place.path(), 1, true).unwrap();
    assert_eq!(id(&follow.next_within(PATIENCE).unwrap().unwrap()), 0);
    file.write_all(b"{\"seq\":2,\"half").unwrap();
    assert_eq!(follow.next_within(Duration::ZERO).unwrap(), None);
    place.write(1..2);
    let line = follow.next_within(PATIENCE).unwrap().unwrap();
    // It may have seen the half line's cut or not; never is it glued to the next one.
    assert_eq!(id(&line), 1, "{line}");
}

#[test]
fn heavy_search_streams_many_events() {
    let place = Place::rotating(4 << 20);
    let recorder = place.open();
    let mut slots = 0;
    while slots < 40_000 {
        match recorder.reserve() {
            Ok(slot) => {
                slot.commit((0..4).map(|number| numbered(slots + number)).collect());
                slots += 4;
            }
            Err(_) => std::thread::yield_now(),
        }
    }
    recorder.close().unwrap();
    let query = Query {
        event: Some("refuse".to_owned()),
        ..Query::default()
    };
    assert_eq!(search(&place.path(), &query).unwrap().count(), 0);
    assert_eq!(
        search(&place.path(), &Query::default()).unwrap().count(),
        40_000
    );
    assert_eq!(place.verify().unwrap().records, 40_000);
}
