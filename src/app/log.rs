//! The log: text or JSON lines on standard error.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{Level, Log, LogFormat};

/// Sets up the process's log. A second call changes nothing.
pub(super) fn init(log: Log) {
    let level = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // Our own lines only: libraries' trace lines may quote what they read.
    let ours = Targets::new().with_target("bauta", level);
    let lines = match log.format {
        LogFormat::Text => fmt::layer()
            .with_writer(io::stderr)
            // Its complaint about a reader that is gone would panic, for the same reason.
            .log_internal_errors(false)
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            // Its complaint about a reader that is gone would panic, for the same reason.
            .log_internal_errors(false)
            .with_target(false)
            .boxed(),
    };
    // It fails only where a log is set up already, as in tests of this process.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .try_init();
}
