//! What the browser channel adds to a command, beside a relay that passes bytes on unread, over one Chromium.
//!
//! `cargo bench --bench browser` runs it; with `--test`, as `tests/run bench` passes it, everything runs once and briefly, to see
//! that it works. benches/README.md says how it measures and what the columns mean. Without Chromium it measures nothing and says
//! so. All traffic stays on loopback.

#[path = "../common/mod.rs"]
mod common;

mod peers;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use peers::{Chromium, Relay, Sidecar};
use wire::Client;

/// Secrets that are registered. None occurs in the pages: that is the usual case.
const SECRETS: usize = 500;

/// How much is measured.
struct Sizes {
    rounds: usize,
    commands: usize,
    rows: usize,
    snapshots: usize,
    scripts: usize,
}

fn main() -> Result<()> {
    let brief = std::env::args().any(|argument| argument == "--test");
    let sizes = if brief {
        Sizes {
            rounds: 2,
            commands: 20,
            rows: 200,
            snapshots: 1,
            scripts: 1,
        }
    } else {
        Sizes {
            rounds: 20,
            commands: 500,
            rows: 20_000,
            snapshots: 5,
            scripts: 5,
        }
    };
    let Some(program) = peers::program() else {
        println!("there is no chromium in PATH or /usr/bin: nothing is measured here");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let chromium = Chromium::start(&program, folder.path())?;
    let relay = Relay::start(chromium.address)?;
    let sidecar = Sidecar::start(
        folder.path(),
        chromium.address,
        &common::submission(SECRETS)?,
    )?;
    let contestants = [
        ("direct", chromium.address),
        ("relay", relay.address),
        ("bauta", sidecar.address),
    ];
    let mut pages = Vec::new();
    for (name, address) in contestants {
        pages.push((
            name,
            Page::open(address).with_context(|| format!("{name} cannot be driven"))?,
        ));
    }
    commands(&mut pages, &sizes)?;
    snapshots(&mut pages, &sizes)?;
    actions(chromium.address, sidecar.address, &sizes)
}

/// A page of a contestant's own.
struct Page {
    client: Client,
    session: String,
}

impl Page {
    fn open(address: SocketAddr) -> Result<Self> {
        let mut client = Client::connect(address)?;
        let created = client.call(
            None,
            "Target.createTarget",
            &json!({ "url": "about:blank" }),
        )?;
        let created: Value = serde_json::from_slice(&created)?;
        let target = &created["result"]["targetId"];
        let attached = client.call(
            None,
            "Target.attachToTarget",
            &json!({ "targetId": target, "flatten": true }),
        )?;
        let attached: Value = serde_json::from_slice(&attached)?;
        let session = attached["result"]["sessionId"]
            .as_str()
            .context("no session")?
            .to_owned();
        Ok(Self { client, session })
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Vec<u8>> {
        self.client.call(Some(&self.session), method, params)
    }

    fn evaluate(&mut self, expression: &str) -> Result<Vec<u8>> {
        self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true }),
        )
    }
}

/// A command and its result at a time, in turns.
fn commands(pages: &mut [(&str, Page)], sizes: &Sizes) -> Result<()> {
    let kinds = [
        ("1 + 1", "1 + 1".to_owned()),
        (
            "1 KB of text",
            "'The quick brown fox reads the file. '.repeat(28)".to_owned(),
        ),
        (
            "100 KB of text",
            "'The quick brown fox reads the file. '.repeat(2800)".to_owned(),
        ),
    ];
    println!(
        "\n{:<16} {:<8} {:>9} {:>9} {:>9} {:>9}",
        "evaluate", "", "p50 ms", "p99 ms", "+p50", "+p99"
    );
    for (label, expression) in kinds {
        let mut times = vec![Vec::new(); pages.len()];
        for round in 0..=sizes.rounds {
            for (at, (_, page)) in pages.iter_mut().enumerate() {
                for _ in 0..sizes.commands {
                    let begun = Instant::now();
                    page.evaluate(&expression)?;
                    // The first round warms up.
                    if round > 0 {
                        times[at].push(begun.elapsed());
                    }
                }
            }
        }
        let quantiles: Vec<_> = times
            .iter_mut()
            .map(|times| (quantile(times, 50), quantile(times, 99)))
            .collect();
        let (relay50, relay99) = quantiles[1];
        for ((name, _), (p50, p99)) in pages.iter().zip(quantiles.iter().copied()) {
            println!(
                "{label:<16} {name:<8} {p50:>9.3} {p99:>9.3} {:>+9.3} {:>+9.3}",
                p50 - relay50,
                p99 - relay99
            );
        }
    }
    Ok(())
}

/// The whole tree of a large page.
fn snapshots(pages: &mut [(&str, Page)], sizes: &Sizes) -> Result<()> {
    let table = format!(
        "document.body.innerHTML = '<table>' + Array.from({{length: {}}}, (_, i) => `<tr id=row${{i}} class=\"row odd\"><td>${{i}}\
         <td><a href=\"/items/${{i}}?sort=name\">Item number ${{i}}</a><td>in stock</tr>`).join('') + '</table>'; 0",
        sizes.rows
    );
    let whole = json!({ "depth": -1, "pierce": true });
    println!(
        "\n{:<16} {:<8} {:>9} {:>9} {:>9}",
        "DOM.getDocument", "", "MB", "ms", "to relay"
    );
    let (mut times, mut size) = (vec![Vec::new(); pages.len()], 0);
    for (_, page) in pages.iter_mut() {
        page.evaluate(&table)?;
        page.call("DOM.getDocument", &whole)?;
    }
    for _ in 0..sizes.snapshots {
        for (at, (_, page)) in pages.iter_mut().enumerate() {
            let begun = Instant::now();
            size = page.call("DOM.getDocument", &whole)?.len();
            times[at].push(begun.elapsed());
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| quantile(times, 50)).collect();
    #[allow(clippy::cast_precision_loss)] // bytes of one message
    let megabytes = size as f64 / 1e6;
    for ((name, _), median) in pages.iter().zip(&medians) {
        println!(
            "{:<16} {name:<8} {megabytes:>9.1} {median:>9.1} {:>9.2}",
            "",
            median / medians[1]
        );
    }
    Ok(())
}

/// A script of 40 actions per client, where the clients are: those for Node, and those for Python.
fn actions(direct: SocketAddr, sidecar: SocketAddr, sizes: &Sizes) -> Result<()> {
    println!(
        "\n{:<25} {:>9} {:>9} {:>9}",
        "40 actions", "direct ms", "bauta ms", "ratio"
    );
    let modules = std::env::var_os("BAUTA_BENCH_MODULES");
    let python = std::env::var_os("BAUTA_BENCH_PYTHON");
    if modules.is_none() {
        println!(
            "BAUTA_BENCH_MODULES names no folder with the clients for Node: they are left out"
        );
    }
    if python.is_none() {
        println!(
            "BAUTA_BENCH_PYTHON names no Python that has the clients for it: they are left out"
        );
    }
    let script = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches/browser")
            .join(name)
    };
    let node = modules.map(|modules| {
        let mut node = Command::new("node");
        node.arg(script("actions.mjs")).arg(modules);
        node
    });
    let python = python.map(|python| {
        let mut python = Command::new(python);
        python.arg(script("actions.py"));
        python
    });
    for clients in [node, python].into_iter().flatten() {
        measured(clients, direct, sidecar, sizes)?;
    }
    Ok(())
}

/// Runs the scripts of some clients and prints what they measured.
fn measured(
    mut clients: Command,
    direct: SocketAddr,
    sidecar: SocketAddr,
    sizes: &Sizes,
) -> Result<()> {
    let output = clients
        .arg(sizes.scripts.to_string())
        .args([format!("http://{direct}"), format!("http://{sidecar}")])
        .stderr(Stdio::inherit())
        .output()
        .context("the clients cannot be started")?;
    anyhow::ensure!(output.status.success(), "the clients' scripts failed");
    for line in output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Value = serde_json::from_slice(line)?;
        let time = |name: &str| line[name].as_f64().unwrap_or(f64::NAN);
        let (direct, sidecar) = (time("direct"), time("sidecar"));
        let client = line["client"].as_str().unwrap_or_default();
        println!(
            "{client:<25} {direct:>9.0} {sidecar:>9.0} {:>9.2}",
            sidecar / direct
        );
    }
    Ok(())
}

/// In milliseconds.
fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
