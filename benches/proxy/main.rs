//! What the sidecar costs as a process, beside proxies that only pass on and the nearest one that masks, over one upstream.
//!
//! `cargo bench --bench proxy` runs it; with `--test`, as `tests/run bench` passes it, everything runs once and briefly, to see
//! that it works. benches/README.md says how it measures and what the columns mean.
//!
//! Load and upstream are two threads of this process; each contestant is a process of its own. All traffic stays on loopback.

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod contestants;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sidecar;
#[cfg(target_os = "linux")]
mod upstream;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == process::EXEC => {
            let rest: Vec<_> = rest.iter().map(Into::into).collect();
            Err(process::become_other(&rest).into())
        }
        Some((first, rest)) if first == sidecar::SIDECAR => sidecar::run(rest),
        _ => run::run(),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!(
        "the proxy bench reads CPU time and memory from /proc, as Linux has it: nothing is measured here"
    );
}
