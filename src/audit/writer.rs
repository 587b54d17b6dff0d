//! The thread that writes: takes batches, tries until they are on the disk, tells how it is doing.

use std::time::{Duration, Instant};

use super::copies::Copies;
use super::log::Log;
use super::recorder::{Entry, Shared, Work};

/// How often an idle writer looks whether its file is still there.
const CHECK: Duration = Duration::from_millis(500);

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Writes until the log is closed.
pub(super) fn run(shared: &Shared, mut log: Log, mut copies: Option<Copies>) {
    // However the thread ends: those who wait must learn it.
    let _end = End(shared);
    // What opening the log brought up is said at once.
    if !log.look() && !write(shared, &mut log, Vec::new(), copies.as_mut()) {
        return;
    }
    loop {
        match shared.next(CHECK) {
            Work::End => return,
            Work::Batch(batch) => {
                if !write(shared, &mut log, batch, copies.as_mut()) {
                    return;
                }
            }
            Work::Check => {
                let is_well = log.look();
                shared.state().busy = None;
                // What is wrong shows in the next write, so there is one.
                if !is_well && !write(shared, &mut log, Vec::new(), copies.as_mut()) {
                    return;
                }
            }
        }
    }
}

struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Tries until the batch is durable. `false`: the log was closed before.
fn write(shared: &Shared, log: &mut Log, batch: Vec<Entry>, copies: Option<&mut Copies>) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        shared.state().busy.get_or_insert_with(Instant::now);
        let result = log.append(&batch.iter().flat_map(|entry| &entry.events));
        if let Some(reason) = log.take_alarm() {
            tracing::error!("the audit log was tampered with: {reason}");
            shared.state().alarm = Some((Instant::now(), reason));
        }
        match result {
            Ok(()) => break,
            Err(error) => {
                let reason = error.to_string();
                if shared.state().failing.replace(reason.clone()).is_none() {
                    tracing::error!("the audit log cannot be written: {reason}");
                }
                if !shared.pause(pause) {
                    return false;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    if shared.state().failing.is_some() {
        tracing::info!("the audit log can be written again");
    }
    shared.settle(batch);
    store_head(shared, log);
    if let Some(copies) = copies {
        copies.send(log.written());
    }
    true
}

/// Stores the head, and lets other processes write. Whoever waited for the batch has gone on already.
fn store_head(shared: &Shared, log: &mut Log) {
    shared.state().busy = Some(Instant::now());
    let result = log.store_head();
    let mut state = shared.state();
    state.busy = None;
    let reason = result.err().map(|error| error.to_string());
    if let (Some(reason), None) = (&reason, &state.head_failing) {
        tracing::error!("the head of the audit log cannot be stored: {reason}");
    }
    state.head_failing = reason;
}
