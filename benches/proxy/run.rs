//! The run: every contestant under every workload, in turns, round after round.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::contestants::{self, Contestant, MIRAGE_UPSTREAM};
use super::load::{self, Kind, Request};
use super::process::memory;
use super::report::{self, Cell, Rest, Row};
use super::upstream::{self, EVENTS};
use crate::common::{Random, conversation, with_pictures};

/// Before each single request, when they come one at a time: so that none meets what another left to do.
const PAUSE: Duration = Duration::from_micros(300);

/// Bauta beside nginx, haproxy and mirage-proxy
#[derive(Parser)]
struct Options {
    /// Everything once and briefly, to see that it works
    #[arg(long)]
    test: bool,
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of a saturated run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Single requests of 1 KB to each contestant, for latency; fewer of larger ones
    #[arg(long, default_value_t = 10_000)]
    samples: usize,
    /// Who takes part besides the direct way: nginx, haproxy, mirage, bauta; by name only: nginx-plain, bauta0,
    /// bauta10, bauta500
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Which workloads: 1k, 64k, 200k, 1m, 10m, sse, paced
    #[arg(long, value_delimiter = ',')]
    work: Vec<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One kind of traffic.
struct Workload {
    id: &'static str,
    name: &'static str,
    kind: Kind,
    body: Bytes,
    connections: usize,
    /// Single requests, and the time in a round that they may take.
    samples: usize,
    time: Duration,
}

struct Plan {
    workloads: Vec<Workload>,
    rounds: usize,
    seconds: Duration,
    idle: usize,
    epoch: Instant,
}

/// Reads the command line, runs, prints.
pub fn run() -> Result<()> {
    let options = Options::parse();
    let plan = Plan::new(&options);
    allow_many_files();
    let upstream = upstream::start(None, plan.epoch)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let field = contestants::start(upstream, folder.path(), &options.only)?;
    if field.contestants.iter().any(|contestant| !contestant.exact) {
        upstream::start(Some(MIRAGE_UPSTREAM), plan.epoch).context("mirage-proxy's upstream")?;
    }
    let rests = runtime.block_on(plan.rest(&field.contestants))?;
    // Anew, because an allocator keeps what so many connections took.
    drop(field);
    let folder = tempfile::tempdir()?;
    let field = contestants::start(upstream, folder.path(), &options.only)?;
    let cells = runtime.block_on(plan.measure(&field.contestants))?;
    plan.print(&field.contestants, &rests, &cells);
    println!("{}", machine());
    for remark in field.remarks {
        println!("- {remark}");
    }
    Ok(())
}

impl Plan {
    fn new(options: &Options) -> Self {
        let mut workloads = workloads(options.test, options.samples);
        if !options.work.is_empty() {
            workloads.retain(|workload| options.work.iter().any(|id| id == workload.id));
        }
        if options.test {
            Self {
                workloads,
                rounds: 1,
                seconds: Duration::from_millis(50),
                idle: 20,
                epoch: Instant::now(),
            }
        } else {
            Self {
                workloads,
                rounds: options.rounds.max(1),
                seconds: Duration::from_secs_f64(options.seconds.clamp(0.05, 600.0)),
                idle: 900,
                epoch: Instant::now(),
            }
        }
    }

    async fn rest(&self, field: &[Contestant]) -> Result<Vec<Option<Rest>>> {
        let mut rests = Vec::new();
        for contestant in field {
            let rest = self.rest_of(contestant).await;
            rests.push(rest.with_context(|| format!("idle, over {}", contestant.name))?);
        }
        Ok(rests)
    }

    async fn measure(&self, field: &[Contestant]) -> Result<Vec<Vec<Cell>>> {
        let mut cells: Vec<Vec<Cell>> = Vec::new();
        for _ in &self.workloads {
            cells.push(field.iter().map(|_| Cell::default()).collect());
        }
        for round in 0..self.rounds {
            for (workload, cells) in self.workloads.iter().zip(&mut cells) {
                eprintln!("round {} of {}: {}", round + 1, self.rounds, workload.name);
                self.round(workload, field, cells, round)
                    .await
                    .with_context(|| format!("workload {}", workload.name))?;
            }
        }
        Ok(cells)
    }

    /// One workload of one round. Who begins moves on with the rounds, so that nobody always follows the same one.
    async fn round(
        &self,
        workload: &Workload,
        field: &[Contestant],
        cells: &mut [Cell],
        round: usize,
    ) -> Result<()> {
        for turn in 0..field.len() {
            let at = (turn + round) % field.len();
            let contestant = &field[at];
            let shown = load::saturate(
                &workload.request(contestant),
                workload.connections,
                self.seconds,
                contestant.pids(),
                self.epoch,
            )
            .await
            .with_context(|| format!("over {}", contestant.name))?;
            cells[at].rounds.push(shown);
        }
        if workload.samples == 0 {
            return Ok(());
        }
        let requests: Vec<_> = field.iter().map(|one| workload.request(one)).collect();
        let samples = workload.samples.div_ceil(self.rounds);
        let times = load::take_turns(&requests, samples, PAUSE, workload.time).await?;
        for (cell, times) in cells.iter_mut().zip(times) {
            cell.times.extend(times);
        }
        Ok(())
    }

    /// Memory after some requests, and what idle connections add.
    async fn rest_of(&self, contestant: &Contestant) -> Result<Option<Rest>> {
        if !contestant.is_proxy() {
            return Ok(None);
        }
        let body = conversation(1, 800, &mut Random::new());
        let request = Request::new(contestant.address, Kind::Answer, &body, contestant.exact);
        let some = load::open(&request, 16).await?;
        let pids = contestant.pids();
        let start = memory(&pids);
        let idle = load::open(&request, self.idle).await?;
        let grown = memory(&pids).saturating_sub(start);
        drop((some, idle));
        Ok(Some(Rest {
            start,
            connection: grown / u64::try_from(self.idle)?,
        }))
    }

    fn print(&self, field: &[Contestant], rests: &[Option<Rest>], cells: &[Vec<Cell>]) {
        let names: Vec<&str> = field.iter().map(|one| one.name.as_str()).collect();
        let rows = |keep: &dyn Fn(&Workload) -> bool| -> Vec<Row<'_>> {
            let all = self.workloads.iter().zip(cells);
            all.filter(|(workload, _)| keep(workload))
                .map(|(workload, cells)| Row {
                    name: workload.name,
                    connections: workload.connections,
                    cells,
                })
                .collect()
        };
        let unpaced = rows(&|workload| workload.kind != Kind::Paced);
        println!("Saturated:\n\n{}", report::saturated(&names, &unpaced));
        println!(
            "One request at a time:\n\n{}",
            report::latency(&names, &unpaced)
        );
        for row in rows(&|workload| workload.kind == Kind::Paced) {
            println!(
                "{}, {} at a time:\n\n{}",
                row.name,
                row.connections,
                report::paced(&names, &row, EVENTS)
            );
        }
        println!(
            "Without load:\n\n{}",
            report::rest(&names, rests, self.idle)
        );
    }
}

impl Workload {
    fn request(&self, contestant: &Contestant) -> Request {
        Request::new(contestant.address, self.kind, &self.body, contestant.exact)
    }
}

fn workloads(smoke: bool, samples: usize) -> Vec<Workload> {
    let mut random = Random::new();
    let one = Bytes::from(conversation(1, 800, &mut random));
    let mut text = |messages| conversation(messages, 3600, &mut random);
    let sixty_four = Bytes::from(text(if smoke { 2 } else { 15 }));
    let two_hundred = Bytes::from(text(48));
    let mega = text(if smoke { 2 } else { 240 });
    let ten = with_pictures(
        mega.clone(),
        if smoke { 100_000 } else { 4_500_000 },
        &mut random,
    );
    let workload = |id, name, kind, body, connections, samples, seconds| Workload {
        id,
        name,
        kind,
        body,
        connections: if smoke { 2 } else { connections },
        samples: if smoke { 5 } else { samples },
        time: Duration::from_secs(seconds),
    };
    let (answer, some) = (Kind::Answer, samples / 4);
    let mut all = vec![
        workload("1k", "1 KB", answer, one.clone(), 32, samples, 40),
        workload("64k", "64 KB", answer, sixty_four.clone(), 32, some, 8),
        workload("200k", "200 KB", answer, two_hundred, 16, some, 8),
        workload("1m", "1 MB", answer, mega.into(), 16, some, 8),
        workload("10m", "10 MB", answer, ten.into(), 8, 0, 0),
        workload("sse", "SSE", Kind::Stream, sixty_four, 16, some, 8),
        workload("paced", "SSE paced", Kind::Paced, one, 32, 0, 0),
    ];
    if smoke {
        // What they would show is shown by the others.
        all.retain(|workload| !matches!(workload.id, "200k" | "1m"));
        for workload in &mut all {
            workload.time = Duration::from_secs(1);
        }
    }
    all
}

/// Raises the number of open files to what the system allows: the idle connections are more than the usual 1024.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it fails, opening the connections says so.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// What the numbers were made on.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(':').nth(1))
        .unwrap_or(" unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    format!(
        "- {cores} cores of{model}, Linux {}, load at the end {}",
        read("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}
