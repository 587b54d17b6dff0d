//! Putting many secrets into a vault, and making a masker of them.

use std::time::Instant;

use anyhow::Result;
use bauta::app;
use bauta::config::Spelling;
use bauta::secret::Secret;

use crate::house;

pub fn run(counts: &[usize]) -> Result<()> {
    println!("| secrets | import s | view ms | masker ms | memory MB | database MB |");
    println!("|---|---|---|---|---|---|");
    for count in counts {
        let folder = tempfile::tempdir()?;
        let config = house::config(folder.path(), ([127, 0, 0, 1], 1).into())?;
        let vault = house::vault(&config)?;
        let submission = house::submission(*count)?;
        let begun = Instant::now();
        vault.import(submission, &house::scope(&config)?)?;
        let import = begun.elapsed();
        let before = resident();
        let begun = Instant::now();
        let view = vault.view(&app::vault::identity(&config))?;
        let viewed = begun.elapsed();
        let begun = Instant::now();
        let secrets: Vec<&Secret> = view.iter().collect();
        let needles = app::needles_of(&secrets, Spelling::Bare);
        let built = begun.elapsed();
        let memory = resident().saturating_sub(before);
        drop(needles);
        let database = std::fs::metadata(&config.vault.path)?.len();
        println!(
            "| {count} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} |",
            import.as_secs_f64(),
            viewed.as_secs_f64() * 1e3,
            built.as_secs_f64() * 1e3,
            megabytes(memory),
            megabytes(database),
        );
    }
    println!();
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // to a tenth of a megabyte
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes of this process in memory; 0 where the system does not tell.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}
