//! Copies of the lines for standard output, which must not hold up the log.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// Batches that wait for a slow reader. What comes on top is left out of the copy.
const WAITING: usize = 64;

/// Hands lines to a thread that writes them.
pub(super) struct Copies {
    sender: SyncSender<Vec<u8>>,
    left_out: u64,
}

impl Copies {
    pub fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(WAITING);
        thread::Builder::new()
            .name("audit copies".to_owned())
            .spawn(move || copy(&receiver, to))?;
        Ok(Self {
            sender,
            left_out: 0,
        })
    }

    /// Hands over lines that are durable. Never waits.
    pub fn send(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        if self.sender.try_send(lines.to_vec()).is_err() {
            self.left_out += memchr::memchr_iter(b'\n', lines).count() as u64;
            return;
        }
        if self.left_out > 0 {
            tracing::warn!(
                "{} audit events were left out of standard output, which was blocked; they are in the log",
                self.left_out
            );
            self.left_out = 0;
        }
    }
}

fn copy(receiver: &Receiver<Vec<u8>>, mut to: impl Write) {
    for lines in receiver {
        if let Err(error) = to.write_all(&lines).and_then(|()| to.flush()) {
            tracing::warn!("audit events do not go to standard output any more: {error}");
            return;
        }
    }
}
