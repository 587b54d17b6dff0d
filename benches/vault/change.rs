//! From the acknowledgement of a change to a request that it holds for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bauta::app::Running;
use bauta::secret::vault::NewSecret;
use bauta::secret::{Options, Secret, Value};
use zeroize::Zeroizing;

use crate::house::{self, Wire};
use crate::percentiles;

pub fn run(counts: &[usize], rounds: usize) -> Result<()> {
    println!(
        "| secrets | a request ms: p50 | p99 | the first after a change ms: p50 | p99 | unmasked |"
    );
    println!("|---|---|---|---|---|---|");
    for count in counts {
        let folder = tempfile::tempdir()?;
        let (upstream, bodies) = house::upstream()?;
        let config = house::config(folder.path(), upstream)?;
        let vault = house::vault(&config)?;
        vault.import(house::submission(*count)?, &house::scope(&config)?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let running = runtime.block_on(Running::start_with_vault(&config))?;
        let mut wire = Wire::connect(running.model_addr().context("it listens on TCP")?)?;
        let mut exchange = |text: &str| -> Result<(Duration, Vec<u8>)> {
            let begun = Instant::now();
            wire.post(format!("{{\"content\":\"it is {text}.\"}}").as_bytes())?;
            wire.answer()?;
            Ok((begun.elapsed(), bodies.recv()?))
        };
        let (mut usual, mut first, mut unmasked) = (Vec::new(), Vec::new(), 0);
        // Fewer where a change takes long: each writes the whole view's needles anew.
        let rounds = if *count > 1_000 {
            rounds.div_ceil(5)
        } else {
            rounds
        };
        for round in 0..rounds {
            usual.push(exchange("nothing")?.0);
            let value = format!("changed-value-{round:06}-of-the-bench");
            // As another process would change it: the sidecar has its own connection.
            vault.set(secret(&value, &config)?)?;
            let (time, seen) = exchange(&value)?;
            first.push(time);
            if String::from_utf8_lossy(&seen).contains(&value) {
                unmasked += 1;
            }
        }
        let ((a, b), (c, d)) = (percentiles(usual), percentiles(first));
        println!("| {count} | {a:.2} | {b:.2} | {c:.2} | {d:.2} | {unmasked} |");
        ensure!(unmasked == 0, "a request after a change was not masked");
        runtime.block_on(running.shutdown());
    }
    println!();
    Ok(())
}

fn secret(value: &str, config: &bauta::config::Config) -> Result<NewSecret> {
    let value = Value::new(Zeroizing::new(value.to_owned()), &house::LIMITS)?;
    let secret = Secret::new(
        "x_changed".parse()?,
        "https://changed.example.com".parse()?,
        house::scope(config)?,
        Options::default(),
        value,
    )?;
    Ok(secret.into())
}
