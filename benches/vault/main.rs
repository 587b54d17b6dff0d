//! What the vault and the audit log cost.
//!
//! `cargo bench --bench vault` prints its tables; with `--test`, as `tests/run bench` passes it, everything runs once and briefly,
//! to see that it works. benches/README.md says what the columns mean.
//!
//! All files lie in a temporary folder, on whatever disk that is: say so beside the numbers. All traffic stays on loopback.

#[allow(dead_code)] // what other benches send
#[path = "../common/mod.rs"]
mod common;

mod change;
mod house;
mod load;
mod requests;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

/// What runs, and for how long.
#[derive(Parser)]
struct Options {
    /// Everything once, briefly
    #[arg(long)]
    test: bool,
    /// Seconds of each cell
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many secrets, each with its own rows
    #[arg(long, value_delimiter = ',', default_values_t = [50, 1_000, 10_000])]
    secrets: Vec<usize>,
    /// Serves from this folder to this upstream, and ends with standard input
    #[arg(long, hide = true, num_args = 2)]
    sidecar: Option<Vec<String>>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if let Some(arguments) = &options.sidecar {
        return requests::serve(arguments);
    }
    if options.test {
        options.seconds = 0.2;
        options.secrets = vec![50];
    }
    let time = Duration::from_secs_f64(options.seconds);
    requests::run(time, options.test)?;
    load::run(&options.secrets)?;
    // A secret has at most 64 former values.
    change::run(&options.secrets, if options.test { 3 } else { 60 })
}

/// The value in the middle, and the one that 99 of 100 do not exceed, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| {
        let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    (at(50), at(99))
}
