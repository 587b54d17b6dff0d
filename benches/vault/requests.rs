//! Masked requests a second, and what of their CPU time the audit log takes.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bauta::app::Running;

use crate::common::{Random, conversation, secrets};
use crate::house::{self, Wire};

/// Connections that are kept busy.
const CONNECTIONS: usize = 16;

/// The secrets of the sidecar.
const SECRETS: usize = 50;

pub fn run(time: Duration, test: bool) -> Result<()> {
    println!(
        "| body | requests/s | CPU µs a request | of it the log's thread | share | without an event: requests/s | CPU µs |"
    );
    println!("|---|---|---|---|---|---|---|");
    let sizes: &[usize] = if test { &[1] } else { &[1, 64] };
    for messages in sizes {
        let plain = conversation(1, messages * 1024, &mut Random::new());
        let value = secrets(SECRETS, &mut Random::new()).swap_remove(0);
        let hit = [&plain[..], b" \"", &value, b"\""].concat();
        let (with, without) = (measure(&hit, time)?, measure(&plain, time)?);
        println!(
            "| {messages} KB | {:.0} | {:.0} | {:.1} | {:.1} % | {:.0} | {:.0} |",
            with.rate,
            with.cpu,
            with.log,
            100.0 * with.log / with.cpu,
            without.rate,
            without.cpu,
        );
    }
    println!();
    Ok(())
}

struct Measured {
    rate: f64,
    cpu: f64,
    log: f64,
}

/// Keeps a sidecar of its own process busy with one body.
fn measure(body: &[u8], time: Duration) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let (upstream, bodies) = house::upstream()?;
    // Nobody looks at what came.
    thread::spawn(move || bodies.into_iter().for_each(drop));
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--sidecar")
        .arg(folder.path())
        .arg(upstream.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let measured = drive(&mut child, body, time);
    // It ends with its standard input.
    drop(child.stdin.take());
    child.wait()?;
    measured
}

fn drive(child: &mut Child, body: &[u8], time: Duration) -> Result<Measured> {
    let stdout = child.stdout.take().context("its output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse()?;
    let load = |time: Duration| -> Result<u64> {
        let until = Instant::now() + time;
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let body = body.to_vec();
                thread::spawn(move || -> Result<u64> {
                    let mut wire = Wire::connect(address)?;
                    let mut count = 0;
                    while Instant::now() < until {
                        wire.post(&body)?;
                        wire.answer()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let mut all = 0;
        for worker in workers {
            all += worker
                .join()
                .map_err(|_| anyhow!("a connection's thread ended"))??;
        }
        Ok(all)
    };
    load(time / 4)?;
    let (all_before, log_before) = cpu(child.id())?;
    let begun = Instant::now();
    let count = load(time)?;
    let elapsed = begun.elapsed();
    // What is queued belongs to it: it is written within a fifth of a second.
    thread::sleep(Duration::from_millis(300));
    let (all, log) = cpu(child.id())?;
    #[allow(clippy::cast_precision_loss)] // counts of a few seconds
    let count = count.max(1) as f64;
    Ok(Measured {
        rate: count / elapsed.as_secs_f64(),
        cpu: (all - all_before) * 1e6 / count,
        log: (log - log_before) * 1e6 / count,
    })
}

/// Seconds of CPU time of a process, and of its thread that writes the audit log.
fn cpu(pid: u32) -> io::Result<(f64, f64)> {
    let (mut all, mut log) = (0.0, 0.0);
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let time = task_time(&task).unwrap_or(0.0);
        all += time;
        if fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "audit") {
            log += time;
        }
    }
    Ok((all, log))
}

/// Seconds on a processor: the first number of `schedstat`, in nanoseconds.
fn task_time(task: &Path) -> Option<f64> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// The sidecar: says where it listens, and serves until its standard input ends.
pub fn serve(arguments: &[String]) -> Result<()> {
    let [folder, upstream] = arguments else {
        return Err(anyhow!("--sidecar FOLDER UPSTREAM"));
    };
    let config = house::config(Path::new(folder), upstream.parse()?)?;
    let vault = house::vault(&config)?;
    vault.import(house::submission(SECRETS)?, &house::scope(&config)?)?;
    drop(vault);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let running = runtime.block_on(Running::start_with_vault(&config))?;
    println!("{}", running.model_addr().context("it listens on TCP")?);
    io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(running.shutdown());
    Ok(())
}
