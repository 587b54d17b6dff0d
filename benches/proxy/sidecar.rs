//! Bauta as a contestant: a process of this very program, so that it is built as the bench is and can hold more secrets than
//! the command accepts in a file.

use std::path::Path;

use anyhow::{Result, anyhow};
use bauta::app::Running;
use bauta::config;
use bauta::secret::{Limits, Scope, parse_submission};

use crate::common::submission;

/// The first argument with which this program is the sidecar: then `PORT UPSTREAM SECRETS`.
pub const SIDECAR: &str = "--sidecar";

/// Serves until it is ended.
pub fn run(arguments: &[String]) -> Result<()> {
    let [port, upstream, count] = arguments else {
        return Err(anyhow!("{SIDECAR} PORT UPSTREAM SECRETS"));
    };
    let text = format!(
        "[model]\nlisten = \"127.0.0.1:{port}\"\n[[model.provider]]\nname = \"openai\"\nupstream = \"http://{upstream}\"\n"
    );
    let config = config::parse(&text, Path::new("bench.toml"))?;
    let limits = Limits {
        max_secrets: 1 << 20,
        max_total_bytes: 1 << 30,
        ..Limits::default()
    };
    let submission = parse_submission(submission(count.parse()?)?.into_bytes().into(), &limits)
        .map_err(|problems| anyhow!("the secrets of the bench are refused: {problems:?}"))?;
    let scope = Scope::Agent(config.agent.id.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = Running::start(&config, submission.into_secrets(&scope)).await?;
        std::future::pending::<()>().await;
        drop(running);
        Ok(())
    })
}
