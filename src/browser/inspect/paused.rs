//! Requests that wait for a client, as the browser told of them.
//!
//! Bounded: when there is no room, the oldest is forgotten, and what is not known takes no value.

use std::collections::HashMap;

use crate::guard::Origin;

/// Requests that are remembered.
const MOST: usize = 8192;

/// Requests by session and id.
#[derive(Default)]
pub struct Paused {
    requests: HashMap<(Box<str>, Box<str>), (u64, Request)>,
    /// How many there were.
    count: u64,
}

/// A request that waits. No address is kept: it may hold a value.
#[derive(Clone)]
pub struct Request {
    /// Where it goes.
    pub origin: Option<Origin>,
    /// The frame that made it.
    pub frame: Box<str>,
    /// Chromium's number for it, the same in all sessions; of a document, its loader id.
    pub network: Option<Box<str>>,
    /// Whether it may be for a document.
    pub may_be_document: bool,
    /// It waits with its answer: it left already.
    pub has_left: bool,
    /// The server that asks for credentials; `None`: nobody does, or a proxy.
    pub challenge: Option<Origin>,
}

impl Paused {
    /// A request waits.
    pub fn put(&mut self, session: &str, id: &str, request: Request) {
        let key = (session.into(), id.into());
        if self.requests.len() >= MOST && !self.requests.contains_key(&key) {
            let oldest = self.requests.iter().min_by_key(|(_, (count, _))| *count);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.requests.remove(&oldest);
            }
        }
        self.count += 1;
        self.requests.insert(key, (self.count, request));
    }

    /// What is known of a request.
    pub fn get(&self, session: &str, id: &str) -> Option<Request> {
        let found = self.requests.get(&(session.into(), id.into()));
        found.map(|(_, request)| request.clone())
    }

    /// A session is gone.
    pub fn clear(&mut self, session: &str) {
        self.requests.retain(|(of, _), _| **of != *session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(frame: &str) -> Request {
        Request {
            origin: None,
            frame: frame.into(),
            network: None,
            may_be_document: true,
            has_left: false,
            challenge: None,
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut paused = Paused::default();
        for n in 0..MOST {
            paused.put("s", &n.to_string(), request("a"));
        }
        paused.put("s", "0", request("b"));
        paused.put("s", "new", request("c"));
        assert!(paused.get("s", "1").is_none(), "the oldest");
        assert_eq!(&*paused.get("s", "0").unwrap().frame, "b");
        assert!(paused.get("another", "0").is_none());
        paused.clear("s");
        assert!(paused.get("s", "new").is_none() && paused.requests.is_empty());
    }
}
