//! How fast the engine reads, beside aho-corasick's own scan of the same needles over the same bytes.
//!
//! `cargo bench --bench mask` prints two tables; with `--test`, as `cargo test --benches` passes it, it runs once over little, to
//! see that it works. benches/README.md says what the columns mean.

mod common;

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Context as _, Result};
use bauta::mask::{Masker, Rule, Syntax};
use bytes::Bytes;
use clap::Parser;
use common::{Random, conversation, secrets, with_pictures};

/// Bytes of a piece, as a socket would give them; and of a small one.
const PIECES: [usize; 2] = [64 * 1024, 16 * 1024];

/// Secrets up to which aho-corasick's DFA is built: beyond it takes hundreds of megabytes.
const MOST_FOR_DFA: usize = 1000;

/// Passes over all cells of a row; where they take long, three are enough.
const PASSES: usize = 15;
const LONG: Duration = Duration::from_secs(6);

/// For which one cell runs in a pass, if need be again and again.
const TURN: Duration = Duration::from_millis(5);

/// The engine and its yardsticks.
#[derive(Parser)]
struct Options {
    /// Small sizes, each cell once
    #[arg(long)]
    test: bool,
    /// How many secrets, each with its own rows
    #[arg(long, value_delimiter = ',', default_values_t = [10, 500, 10_000])]
    secrets: Vec<usize>,
    /// Prints the bytes that a masker of so many secrets takes, and ends
    #[arg(long, hide = true)]
    memory: Option<usize>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if let Some(count) = options.memory {
        println!("{}", memory_here(count)?);
        return Ok(());
    }
    if options.test {
        options.secrets = vec![10];
    }
    let bodies = bodies(options.test);
    let mut builds = Vec::new();
    println!(
        "| secrets | body | engine GB/s | 16 KiB pieces | whole | memchr GB/s | NFA GB/s | DFA GB/s | yardstick | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &count in &options.secrets {
        let contest = Contest::new(count, options.test);
        for (name, body) in &bodies {
            println!("| {count} | {name} | {} |", contest.row(body, options.test));
        }
        builds.push(contest.build_row()?);
    }
    println!();
    println!(
        "| secrets | engine ms | NFA ms | DFA ms | engine / NFA | engine MB | NFA MB | DFA MB | engine / NFA |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in builds {
        println!("| {row} |");
    }
    Ok(())
}

fn bodies(smoke: bool) -> [(&'static str, Bytes); 2] {
    let mut random = Random::new();
    let (messages, picture, names) = if smoke {
        (1, PIECES[0], ["5 KB", "130 KB"])
    } else {
        (40, 2_400_000, ["200 KB", "5 MB"])
    };
    let text = conversation(messages, 3600, &mut random);
    let pictures = with_pictures(text.clone(), picture, &mut random);
    [
        (names[0], Bytes::from(text)),
        (names[1], Bytes::from(pictures)),
    ]
}

/// The engine and its yardsticks over one set of secrets.
struct Contest {
    count: usize,
    masker: Masker,
    nfa: AhoCorasick,
    dfa: Option<AhoCorasick>,
    /// Build times, in the same order.
    built: (Duration, Duration, Option<Duration>),
}

impl Contest {
    fn new(count: usize, smoke: bool) -> Self {
        let values = values(count);
        let (masker, masker_time) = built(smoke, || masker(&values));
        let (nfa, nfa_time) = built(smoke, || automaton(AhoCorasickKind::ContiguousNFA, &values));
        let dfa = (count <= MOST_FOR_DFA)
            .then(|| built(smoke, || automaton(AhoCorasickKind::DFA, &values)));
        let (dfa, dfa_time) = dfa.unzip();
        Self {
            count,
            masker,
            nfa,
            dfa,
            built: (masker_time, nfa_time, dfa_time),
        }
    }

    /// The speeds over one body, measured in turns.
    fn row(&self, body: &Bytes, smoke: bool) -> String {
        let scan = |automaton: &AhoCorasick| {
            black_box(automaton.find_overlapping_iter(body).count());
        };
        let by_64 = || self.mask(body, PIECES[0]);
        let by_16 = || self.mask(body, PIECES[1]);
        let whole = || self.mask(body, body.len());
        let memchr = || {
            black_box(memchr::memchr_iter(b'\\', body).count());
        };
        let nfa = || scan(&self.nfa);
        let dfa = || self.dfa.iter().for_each(scan);
        let runs: [&dyn Fn(); 6] = [&by_64, &by_16, &whole, &memchr, &nfa, &dfa];
        let [by_64, by_16, whole, memchr, nfa, dfa] =
            medians(runs, smoke).map(|time| rate(body.len(), time));
        let dfa = self.dfa.is_some().then_some(dfa);
        // Up to some dozens aho-corasick searches by prefilter only, so the machine itself is the yardstick; then its fastest
        // automaton that can be built.
        let (yardstick, speed) = match (self.count, dfa) {
            (..=50, _) => ("memchr", memchr),
            (_, Some(dfa)) => ("DFA", dfa),
            (_, None) => ("NFA", nfa),
        };
        format!(
            "{by_64:.3} | {by_16:.3} ({:.2}) | {whole:.3} | {memchr:.1} | {nfa:.3} | {} | {yardstick} | {:.3}",
            by_16 / whole,
            dfa.map_or_else(|| "-".to_owned(), |dfa| format!("{dfa:.3}")),
            by_64 / speed,
        )
    }

    fn mask(&self, body: &Bytes, piece: usize) {
        let mut stream = self.masker.stream(Syntax::Json);
        let mut out = Vec::new();
        for at in (0..body.len()).step_by(piece) {
            let piece = body.slice(at..body.len().min(at + piece));
            stream
                .push(piece, &mut out)
                .expect("a body of the bench is read in full");
            black_box(&out);
            out.clear();
        }
        stream
            .finish(&mut out)
            .expect("a body of the bench is read in full");
        black_box(&out);
    }

    /// Build times and memory.
    fn build_row(&self) -> Result<String> {
        let (masker, nfa, dfa) = self.built;
        let memory = memory_apart(self.count)?;
        let smaller = self.nfa.memory_usage();
        let larger = self.dfa.as_ref().map(AhoCorasick::memory_usage);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Ok(format!(
            "{} | {:.2} | {:.2} | {} | {:.2} | {:.2} | {:.2} | {} | {:.2}",
            self.count,
            milliseconds(masker),
            milliseconds(nfa),
            or_dash(dfa.map(|time| format!("{:.2}", milliseconds(time)))),
            masker.as_secs_f64() / nfa.as_secs_f64(),
            megabytes(memory),
            megabytes(smaller),
            or_dash(larger.map(|bytes| format!("{:.2}", megabytes(bytes)))),
            megabytes(memory) / megabytes(smaller),
        ))
    }
}

fn values(count: usize) -> Vec<Vec<u8>> {
    secrets(count, &mut Random::new())
}

fn masker(values: &[Vec<u8>]) -> Masker {
    let mut builder = Masker::builder();
    for (i, value) in values.iter().enumerate() {
        let key = format!("x_secret_{i}");
        let name = builder.name(&key, &key);
        builder.value(name, value, Rule::Anywhere);
    }
    builder.build()
}

fn automaton(kind: AhoCorasickKind, values: &[Vec<u8>]) -> AhoCorasick {
    AhoCorasick::builder()
        .kind(Some(kind))
        .build(values)
        .expect("some thousands of short needles are within its limits")
}

/// Bytes that a masker takes, as the system sees it: the growth of a fresh process, which shares no heap with others.
fn memory_apart(count: usize) -> Result<usize> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--memory", &count.to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("the process that measures memory says {text:?}"))
}

/// Several maskers for small sets, so that pages do not blur what one takes.
fn memory_here(count: usize) -> Result<usize> {
    let copies = (10_000 / count.max(1)).clamp(1, 200);
    let values = values(count);
    let before = resident()?;
    let maskers: Vec<Masker> = (0..copies).map(|_| masker(&values)).collect();
    let after = resident()?;
    black_box(&maskers);
    Ok(after.saturating_sub(before) / copies)
}

/// Resident bytes of this process; 0 where the system does not tell.
fn resident() -> Result<usize> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return Ok(0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .context("no VmRSS in /proc/self/status")?
        .parse::<usize>()?
        * 1024)
}

/// What `make` makes, and the median time of making it.
fn built<T>(smoke: bool, make: impl Fn() -> T) -> (T, Duration) {
    let [time] = medians([&|| drop(black_box(make()))], smoke);
    (make(), time)
}

/// The median time of each, run in turns: so that what disturbs the machine disturbs all alike.
fn medians<const N: usize>(runs: [&dyn Fn(); N], smoke: bool) -> [Duration; N] {
    // The first pass warms up, and tells how often the quick ones must run to be timed well.
    let repeats = runs.map(|run| {
        let time = timed(run, 1).max(Duration::from_nanos(1));
        let repeats = TURN.as_nanos() / time.as_nanos();
        if smoke {
            1
        } else {
            u32::try_from(repeats).unwrap_or(u32::MAX).max(1)
        }
    });
    let mut times = [const { Vec::new() }; N];
    let begun = Instant::now();
    loop {
        for ((run, repeats), times) in runs.iter().zip(repeats).zip(&mut times) {
            times.push(timed(*run, repeats));
        }
        let passes = times.first().map_or(0, Vec::len);
        if smoke || passes == PASSES || (passes >= 3 && begun.elapsed() > LONG) {
            break;
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

/// The mean time of so many runs.
fn timed(run: &dyn Fn(), repeats: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..repeats {
        run();
    }
    start.elapsed() / repeats
}

#[allow(clippy::cast_precision_loss)] // sizes far below 2^52
fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

#[allow(clippy::cast_precision_loss)] // sizes far below 2^52
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
