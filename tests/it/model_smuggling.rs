//! The corpus of `tests/data/smuggling.tsv`: each request is refused, or upstream sees exactly one request, framed in one way.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::model_kit::{BOUND, OK, SECRETS, Sidecar, config, find, last, unescape};
use bauta::config::Limits;

const CORPUS: &str = include_str!("../data/smuggling.tsv");

/// Sent behind each request: if the connection lives on, this is the next request, and nothing else.
const SENTINEL: &str = "GET /p/sentinel HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Headers of one hop: upstream gets none of them.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "proxy-authorization",
];

struct Case {
    name: &'static str,
    request: Vec<u8>,
    outcome: Outcome,
    absent: &'static str,
}

#[derive(Debug)]
enum Outcome {
    Status(u16),
    Closed,
    /// Method and target, body, a header that must be there.
    One(String, Vec<u8>, Option<String>),
}

/// What upstream got on one connection, to its end.
struct Record {
    head: String,
    body: Vec<u8>,
}

/// A provider that keeps what it gets, byte for byte. It knows lengths only: no request here is long enough for chunks.
struct Recorder {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    records: Receiver<Result<Option<Record>, String>>,
    taken: usize,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, records) = channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || sender.send(record(stream)));
            }
        });
        Self {
            addr,
            accepted,
            records,
            taken: 0,
        }
    }

    /// What came since the last time. Whatever was answered was accepted before, and each connection's end is waited for.
    fn take(&mut self) -> Vec<Result<Record, String>> {
        let mut out = Vec::new();
        while self.taken < self.accepted.load(Ordering::SeqCst) {
            self.taken += 1;
            out.extend(self.records.recv_timeout(BOUND).unwrap().transpose());
        }
        out
    }
}

/// Reads one request, answers it, and reads on to the end, where nothing more may come.
fn record(mut stream: TcpStream) -> Result<Option<Record>, String> {
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 16 << 10];
    let mut answered = false;
    loop {
        if let Some(whole) = length(&seen)?.filter(|whole| !answered && seen.len() >= *whole) {
            stream.write_all(&last(OK)).map_err(|e| e.to_string())?;
            answered = whole > 0;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    match length(&seen)? {
        // The client left before its request was sent on.
        None if seen.is_empty() => Ok(None),
        Some(whole) if whole == seen.len() => {
            let head = find(&seen, b"\r\n\r\n").unwrap() + 4;
            Ok(Some(Record {
                head: String::from_utf8_lossy(&seen[..head]).into_owned(),
                body: seen[head..].to_vec(),
            }))
        }
        _ => Err(format!(
            "no single request: {:?}",
            String::from_utf8_lossy(&seen)
        )),
    }
}

/// The length of the request that these bytes begin with, once its head is there.
fn length(seen: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = find(seen, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding:") {
        return Err(format!("chunks: {head}"));
    }
    let lengths: Vec<&str> = head.split("\r\ncontent-length: ").skip(1).collect();
    match lengths[..] {
        [] => Ok(Some(end + 4)),
        [rest] => {
            let digits = rest.split("\r\n").next().unwrap();
            let length: usize = digits
                .parse()
                .map_err(|_| format!("a bad length: {head}"))?;
            Ok(Some(end + 4 + length))
        }
        _ => Err(format!("two lengths: {head}")),
    }
}

fn cases() -> Vec<Case> {
    let rows = CORPUS.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        assert!((4..=5).contains(&columns.len()), "{row}");
        assert!(columns[1].starts_with("RFC "), "{row}");
        Case {
            name: columns[0],
            request: unescape(columns[2]),
            outcome: outcome(columns[3]),
            absent: columns.get(4).copied().unwrap_or(""),
        }
    })
    .collect()
}

fn outcome(text: &str) -> Outcome {
    if text == "closed" {
        return Outcome::Closed;
    }
    if let Ok(status) = text.parse() {
        return Outcome::Status(status);
    }
    let (text, with) = match text.split_once(" with ") {
        Some((text, with)) => (text, Some(with.to_owned())),
        None => (text, None),
    };
    let mut words = text.splitn(3, ' ');
    let line = format!("{} {}", words.next().unwrap(), words.next().unwrap());
    Outcome::One(line, unescape(words.next().unwrap()), with)
}

/// Sends one case and what follows it; returns the status of the answer, if there was one.
fn play(case: &Case, sidecar: &Sidecar) -> Option<u16> {
    let mut client = sidecar.connect();
    // A refusal may come before all of a long request is written.
    let _ = client.try_send(&case.request);
    if matches!(case.outcome, Outcome::Closed) {
        client.half_close();
        client.end();
        return statuses(&client.seen).last().copied();
    }
    let answer = loop {
        let answer = client.message_or_end("GET")?;
        if answer.status() >= 200 {
            break answer;
        }
    };
    let before = statuses(&client.seen).len();
    let sent = client.try_send(SENTINEL).is_ok();
    let closes = answer
        .headers("connection")
        .iter()
        .any(|value| value.eq_ignore_ascii_case("close"));
    if sent
        && !closes
        && let Some(next) = client.message_or_end("GET")
    {
        assert_eq!(next.status(), 200, "{}: {}", case.name, next.head);
    }
    let _ = client.try_half_close();
    client.end();
    assert!(statuses(&client.seen).len() <= before + 1, "{}", case.name);
    Some(answer.status())
}

/// The statuses of the final answers.
fn statuses(seen: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(seen);
    let lines = text.split("HTTP/1.").skip(1);
    lines
        .map(|line| line[2..5].parse().unwrap())
        .filter(|status| *status >= 200)
        .collect()
}

/// What every request that reaches upstream must be.
fn check_record(name: &str, record: &Record, upstream: SocketAddr) {
    let lines = record.head.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
    let mut hosts = 0;
    for line in lines.skip(1) {
        assert!(
            !line.contains(['\r', '\n', '\0']),
            "{name}: {}",
            record.head
        );
        let (field, value) = line
            .split_once(": ")
            .or_else(|| line.split_once(':'))
            .unwrap();
        let field = field.to_ascii_lowercase();
        assert!(
            field
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            "{name}: {line}"
        );
        assert!(!HOP.contains(&field.as_str()), "{name}: {line}");
        if field == "host" {
            hosts += 1;
            assert_eq!(value, upstream.to_string(), "{name}");
        }
    }
    assert_eq!(hosts, 1, "{name}: {}", record.head);
    assert!(
        record
            .head
            .split("\r\n")
            .next()
            .unwrap()
            .ends_with(" HTTP/1.1")
    );
}

fn matches(case: &Case, status: Option<u16>, records: &[Record]) -> bool {
    match (&case.outcome, records) {
        (Outcome::Status(wanted), []) => status == Some(*wanted),
        (Outcome::Closed, []) => status.is_none_or(|status| status >= 400),
        (Outcome::One(line, body, with), [record]) => {
            let head = record.head.to_ascii_lowercase();
            let has = |name: &str| head.contains(&format!("\r\n{name}:"));
            status == Some(200)
                && record.head.starts_with(&format!("{line} HTTP/1.1\r\n"))
                && record.body == *body
                && with.as_deref().is_none_or(has)
                && (case.absent.is_empty() || !has(case.absent))
        }
        _ => false,
    }
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused_or_made_one() {
    let cases = cases();
    assert!(cases.len() >= 80);
    let names: HashSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "each has a name of its own");
    let mut recorder = Recorder::start();
    let sidecar = Sidecar::with(
        &config(&format!("http://{}", recorder.addr), Limits::default()),
        SECRETS,
    );
    let mut wrong = Vec::new();
    for case in &cases {
        let status = play(case, &sidecar);
        let mut records = Vec::new();
        for record in recorder.take() {
            match record {
                Ok(record) if record.head.starts_with("GET /sentinel HTTP/1.1\r\n") => {}
                Ok(record) => {
                    check_record(case.name, &record, recorder.addr);
                    records.push(record);
                }
                Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
            }
        }
        if !matches(case, status, &records) {
            let heads: Vec<&String> = records.iter().map(|record| &record.head).collect();
            wrong.push(format!(
                "{}: {status:?}, not {:?}; {heads:?}",
                case.name, case.outcome
            ));
        }
    }
    sidecar.shutdown();
    assert!(recorder.take().is_empty(), "nothing came late");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
