//! The tables: medians over rounds, and ratios to the peers that only pass on.

use std::fmt::Write as _;
use std::time::Duration;

use super::load::Saturated;

/// What one contestant showed under one workload.
#[derive(Default)]
pub struct Cell {
    /// A saturated run for each round.
    pub rounds: Vec<Saturated>,
    /// Times of single requests, of all rounds.
    pub times: Vec<Duration>,
}

/// What one contestant takes without load.
pub struct Rest {
    /// Bytes after some requests.
    pub start: u64,
    /// Bytes for each idle connection.
    pub connection: u64,
}

/// A workload's row of cells, one for each contestant.
pub struct Row<'a> {
    /// The workload's name and its connections.
    pub name: &'a str,
    pub connections: usize,
    pub cells: &'a [Cell],
}

/// Requests a second, CPU and memory under load.
pub fn saturated(names: &[&str], rows: &[Row<'_>]) -> String {
    let mut text = table(&[
        "workload",
        "over",
        "req/s",
        "spread",
        "/ nginx",
        "/ haproxy",
        "CPU µs",
        "/ nginx",
        "/ haproxy",
        "MB",
        "/ haproxy",
    ]);
    for row in rows {
        let rate = |cell: &Cell| median_of(cell, |round| round.rate);
        let cpu = |cell: &Cell| positive(median_of(cell, |round| micros(round.cpu)));
        let memory = |cell: &Cell| positive(most(cell));
        for (name, cell) in names.iter().zip(row.cells) {
            let Some(of_cell) = rate(cell) else { continue };
            let ratio =
                |of: &dyn Fn(&Cell) -> Option<f64>, peer| ratio(names, row.cells, cell, peer, of);
            line(
                &mut text,
                &[
                    format!("{}, {} conns", row.name, row.connections),
                    (*name).to_owned(),
                    number(Some(of_cell)),
                    spread(cell),
                    ratio(&rate, "nginx"),
                    ratio(&rate, "haproxy"),
                    number(cpu(cell)),
                    ratio(&cpu, "nginx"),
                    ratio(&cpu, "haproxy"),
                    number(memory(cell)),
                    ratio(&memory, "haproxy"),
                ],
            );
        }
    }
    text
}

/// What each contestant adds to the direct way's median and 99th percentile, one request at a time.
pub fn latency(names: &[&str], rows: &[Row<'_>]) -> String {
    let mut text = table(&[
        "workload",
        "samples",
        "over",
        "p50 µs",
        "added",
        "/ nginx",
        "/ haproxy",
        "p99 µs",
        "added",
        "/ nginx",
        "/ haproxy",
    ]);
    for row in rows {
        let direct = &row.cells[0].times;
        if direct.is_empty() {
            continue;
        }
        let added = |part: f64| {
            let base = percentile(direct, part);
            move |cell: &Cell| Some(percentile(&cell.times, part)? - base?)
        };
        let (median, tail) = (added(0.5), added(0.99));
        for (name, cell) in names.iter().zip(row.cells) {
            let ratio = |of: &dyn Fn(&Cell) -> Option<f64>, peer| match *name {
                "direct" => "-".to_owned(),
                _ => ratio(names, row.cells, cell, peer, &|cell| positive(of(cell))),
            };
            let mut cells = vec![
                row.name.to_owned(),
                cell.times.len().to_string(),
                (*name).to_owned(),
            ];
            for (part, of) in [
                (0.5, &median as &dyn Fn(&Cell) -> Option<f64>),
                (0.99, &tail),
            ] {
                cells.push(number(percentile(&cell.times, part)));
                cells.push(if *name == "direct" {
                    "-".to_owned()
                } else {
                    number(of(cell))
                });
                cells.push(ratio(of, "nginx"));
                cells.push(ratio(of, "haproxy"));
            }
            line(&mut text, &cells);
        }
    }
    text
}

/// Streams with pauses: what an event costs, and how long it is on its way.
pub fn paced(names: &[&str], row: &Row<'_>, events: u32) -> String {
    let mut text = table(&[
        "over",
        "CPU µs an event",
        "/ nginx",
        "/ haproxy",
        "delay p50 µs",
        "added",
        "/ nginx",
        "/ haproxy",
        "delay p99 µs",
    ]);
    let cpu = |cell: &Cell| {
        positive(median_of(cell, |round| {
            micros(round.cpu) / f64::from(events)
        }))
    };
    let delays = |cell: &Cell, part: f64| {
        median_of(cell, |round| {
            percentile(&round.delays, part).unwrap_or(f64::NAN)
        })
    };
    let direct = row.cells.first().and_then(|cell| delays(cell, 0.5));
    let added = |cell: &Cell| Some(delays(cell, 0.5)? - direct?);
    for (name, cell) in names.iter().zip(row.cells) {
        if cell.rounds.is_empty() {
            continue;
        }
        let is_direct = *name == "direct";
        let ratio = |of: &dyn Fn(&Cell) -> Option<f64>, peer| {
            if is_direct {
                return "-".to_owned();
            }
            ratio(names, row.cells, cell, peer, of)
        };
        line(
            &mut text,
            &[
                (*name).to_owned(),
                number(cpu(cell)),
                ratio(&cpu, "nginx"),
                ratio(&cpu, "haproxy"),
                number(delays(cell, 0.5)),
                if is_direct {
                    "-".to_owned()
                } else {
                    number(added(cell))
                },
                ratio(&|cell| positive(added(cell)), "nginx"),
                ratio(&|cell| positive(added(cell)), "haproxy"),
                number(delays(cell, 0.99)),
            ],
        );
    }
    text
}

/// Memory without load.
pub fn rest(names: &[&str], rests: &[Option<Rest>], connections: usize) -> String {
    let idle = format!("KB for each of {connections} idle connections");
    let mut text = table(&["over", "MB after start", &idle]);
    for (name, rest) in names.iter().zip(rests) {
        let Some(rest) = rest else { continue };
        line(
            &mut text,
            &[
                (*name).to_owned(),
                number(Some(bytes(rest.start) / 1e6)),
                number(Some(bytes(rest.connection) / 1e3)),
            ],
        );
    }
    text
}

fn table(columns: &[&str]) -> String {
    let mut text = String::new();
    line(
        &mut text,
        &columns
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>(),
    );
    line(
        &mut text,
        &columns.iter().map(|_| "---".to_owned()).collect::<Vec<_>>(),
    );
    text
}

fn line(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Of this cell to the peer's.
fn ratio(
    names: &[&str],
    cells: &[Cell],
    cell: &Cell,
    peer: &str,
    of: &dyn Fn(&Cell) -> Option<f64>,
) -> String {
    let peer = names.iter().position(|name| *name == peer);
    let ratio = || Some(of(cell)? / of(cells.get(peer?)?)?);
    ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn median_of(cell: &Cell, of: impl Fn(&Saturated) -> f64) -> Option<f64> {
    let mut all: Vec<f64> = cell.rounds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// The greatest distance between two rounds, in percent of their median.
fn spread(cell: &Cell) -> String {
    let rates = || cell.rounds.iter().map(|round| round.rate);
    let (least, most) = (
        rates().fold(f64::MAX, f64::min),
        rates().fold(0.0, f64::max),
    );
    let median = median_of(cell, |round| round.rate).unwrap_or(f64::NAN);
    format!("{:.0} %", (most - least) / median * 100.0)
}

fn most(cell: &Cell) -> Option<f64> {
    let most = cell.rounds.iter().map(|round| round.memory).max()?;
    Some(bytes(most) / 1e6)
}

fn percentile(times: &[Duration], part: f64) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    // counts far below 2^52, parts from 0 to 1
    let at = (times.len() as f64 * part) as usize;
    times.get(at).map(|&time| micros(time))
}

fn positive(number: Option<f64>) -> Option<f64> {
    number.filter(|number| *number > 0.0)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[allow(clippy::cast_precision_loss)] // sizes far below 2^52
fn bytes(bytes: u64) -> f64 {
    bytes as f64
}

/// Three digits or so.
fn number(number: Option<f64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) if number.abs() >= 10.0 => format!("{number:.1}"),
        Some(number) => format!("{number:.2}"),
    }
}
