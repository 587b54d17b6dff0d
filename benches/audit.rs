//! What the audit log costs: durable events per second beside one fsync each, and reading a large log.
//!
//! `cargo bench --bench audit` prints two tables; with `--test`, as `cargo test --benches` passes it, it runs over little, to see that
//! it works. benches/README.md says what the columns mean.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bauta::audit::{
    EphemeralKeeper, Event, Keeper, Kind, Query, Recorder, Settings, search, verify,
};
use clap::Parser;

/// Callers that wait for their events at a time.
const CALLERS: [u64; 4] = [1, 8, 64, 512];

/// How durable events are made, and a log read.
#[derive(Parser)]
struct Options {
    /// Small sizes, each cell once
    #[arg(long)]
    test: bool,
    /// Where to write: the disk counts, so not a file system in memory
    #[arg(long, default_value = "target")]
    folder: PathBuf,
    /// Seconds of a cell of the first table
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Events of the log that is read
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.test {
        options.seconds = 0.05;
        options.events = 2000;
    }
    std::fs::create_dir_all(&options.folder)?;
    let folder = tempfile::tempdir_in(&options.folder)?;
    write_table(folder.path(), Duration::from_secs_f64(options.seconds))?;
    read_table(folder.path(), options.events)
}

fn event(number: u64) -> Event {
    Event::new(Kind::Substitute)
        .channel("model")
        .agent("agent-7f3a")
        .key(["x_openai_key", "x_password", "x_api_key"][usize::try_from(number % 3).unwrap_or(0)])
        .scope("agent:agent-7f3a")
        .domain("https://api.openai.com")
        .target("openai")
        .method("POST")
        .place("header")
        .outcome("done")
        .request_id(format!("{number:032x}"))
}

fn open(path: PathBuf) -> Result<(Recorder, Arc<dyn Keeper>)> {
    let keeper: Arc<dyn Keeper> = Arc::new(EphemeralKeeper::new()?);
    let settings = Settings {
        path,
        rotate_bytes: 64 << 20,
        stdout: false,
        queue: 4096,
    };
    Ok((Recorder::open(settings, Arc::clone(&keeper))?, keeper))
}

/// Durable events per second, by callers that wait at a time.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn write_table(folder: &Path, time: Duration) -> Result<()> {
    let alone = one_fsync_each(&folder.join("alone"), time)?;
    println!(
        "{:>8}  {:>12}  {:>16}",
        "callers", "events/s", "x fsync each"
    );
    println!("{:>8}  {alone:>12.0}  {:>16.1}", "fsync", 1.0);
    for callers in CALLERS {
        let (recorder, _) = open(folder.join(format!("group-{callers}.log")))?;
        let (done, begin) = (AtomicU64::new(0), Instant::now());
        thread::scope(|scope| {
            for caller in 0..callers {
                let (recorder, done) = (&recorder, &done);
                scope.spawn(move || {
                    while begin.elapsed() < time {
                        if recorder.durable_blocking(vec![event(caller)]).is_ok() {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let rate = done.into_inner() as f64 / begin.elapsed().as_secs_f64();
        recorder.close()?;
        println!("{callers:>8}  {rate:>12.0}  {:>16.1}", rate / alone);
    }
    Ok(())
}

/// The same lines, each with a write and an fsync of its own.
fn one_fsync_each(path: &Path, time: Duration) -> Result<f64> {
    let mut file = File::create(path)?;
    let line = [b'x'; 480];
    let (mut count, begin) = (0, Instant::now());
    while begin.elapsed() < time {
        file.write_all(&line)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

/// How long it takes to search and to verify many events.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn read_table(folder: &Path, events: u64) -> Result<()> {
    let path = folder.join("audit.log");
    let (recorder, keeper) = open(path.clone())?;
    let begin = Instant::now();
    let mut number = 0;
    while number < events {
        let Ok(slot) = recorder.reserve() else {
            thread::yield_now();
            continue;
        };
        slot.commit((number..number + 10).map(event).collect());
        number += 10;
    }
    recorder.close()?;
    let row = |name: &str, begin: Instant| {
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{name:>8}  {seconds:>10.2} s  {:>14.0}",
            number as f64 / seconds
        );
    };
    println!("\n{:>8}  {:>12}  {:>14}", "", "time", "events/s");
    row("write", begin);
    let begin = Instant::now();
    let query = Query {
        key: Some("x_password".to_owned()),
        target: Some("nowhere".to_owned()),
        ..Query::default()
    };
    let found = search(&path, &query)?.count();
    row("search", begin);
    let begin = Instant::now();
    let verified = verify(&path, &*keeper).context("the log that was just written")?;
    row("verify", begin);
    anyhow::ensure!(found == 0 && verified.records == number);
    Ok(())
}
