//! A progress bar on standard error, for what takes longer than two seconds in front of somebody.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::output::Output;

/// Until the bar appears.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two pictures.
const PAUSE: Duration = Duration::from_millis(100);

/// Cells of the bar.
const CELLS: u64 = 30;

/// A bar that shows itself only if it is needed, and leaves nothing behind.
pub(super) struct Progress {
    /// Whether somebody watches.
    on: bool,
    what: &'static str,
    begun: Instant,
    shown: Option<Instant>,
}

impl Progress {
    /// `what` is done, such as "checking".
    pub(super) fn new(output: Output, what: &'static str) -> Self {
        Self {
            on: !output.quiet() && !output.json() && io::stderr().is_terminal(),
            what,
            begun: Instant::now(),
            shown: None,
        }
    }

    /// So much is done of so much.
    pub(super) fn step(&mut self, done: u64, all: u64) {
        let now = Instant::now();
        if !self.on
            || now - self.begun < PATIENCE
            || self.shown.is_some_and(|shown| now - shown < PAUSE)
        {
            return;
        }
        self.shown = Some(now);
        let mut stderr = io::stderr().lock();
        let _ =
            write!(stderr, "\r{}\x1b[K", bar(self.what, done, all)).and_then(|()| stderr.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
        }
    }
}

fn bar(what: &str, done: u64, all: u64) -> String {
    let all = all.max(1);
    let done = done.min(all);
    let part =
        |of: u64| u64::try_from(u128::from(done) * u128::from(of) / u128::from(all)).unwrap_or(of);
    let full = part(CELLS);
    let cells: String = (0..CELLS)
        .map(|cell| if cell < full { '#' } else { '.' })
        .collect();
    format!("{what} [{cells}] {:>3} %", part(100))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_bar_fills() {
        let cells = |full: usize| format!("{}{}", "#".repeat(full), ".".repeat(30 - full));
        for (done, all, full, percent) in [
            (0, 10, 0, "  0"),
            (5, 10, 15, " 50"),
            (10, 10, 30, "100"),
            (11, 10, 30, "100"),
            (0, 0, 0, "  0"),
            (u64::MAX, u64::MAX, 30, "100"),
        ] {
            let expected = format!("checking [{}] {percent} %", cells(full));
            assert_eq!(bar("checking", done, all), expected, "{done} of {all}");
        }
    }
}
