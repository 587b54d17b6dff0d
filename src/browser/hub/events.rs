//! Events of sessions of our own, for those of us who asked for them.

use tokio::sync::mpsc;

use super::types::Event;

/// Events that may wait for one who asked for them.
const MOST: usize = 1024;

/// The sending side.
pub(super) type Subscriber = mpsc::Sender<Event>;

/// Events of a session of ours.
pub struct Events {
    waiting: mpsc::Receiver<Event>,
}

impl Events {
    pub(super) fn new() -> (Subscriber, Self) {
        let (sender, waiting) = mpsc::channel(MOST);
        (sender, Self { waiting })
    }

    /// The next event; `None`: the session is gone, or events came faster than they were taken, and some were lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.waiting.recv().await
    }
}
