//! A client's side of the hub.

use std::sync::Arc;

use bytes::Bytes;

use super::link::Link;
use super::sessions::Owner;
use super::types::{CallError, SendError, Target};
use crate::browser::command::Command;

/// A client. Clones are the same member; when the last is dropped, it leaves.
#[derive(Clone)]
pub struct Member {
    /// Its number; no two of a run are the same.
    pub id: u64,
    seat: Arc<Leaves>,
}

struct Leaves {
    id: u64,
    link: Arc<Link>,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.link.leave(self.id, "the client left");
    }
}

impl Member {
    pub(super) fn new(id: u64, link: Arc<Link>) -> Self {
        Self {
            id,
            seat: Arc::new(Leaves { id, link }),
        }
    }

    /// Sends a client's command on, under a number of ours, with other parameters if given. Its answer comes as a
    /// [`super::FromBrowser::Reply`].
    ///
    /// # Errors
    /// See [`SendError`]; it was not sent then.
    pub async fn send(&self, command: &Command, params: Option<Bytes>) -> Result<(), SendError> {
        let link = &self.seat.link;
        link.send(self.id, command, params.as_deref()).await
    }

    /// A command of ours on one of the client's sessions; its `result`. The client sees neither.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: &[u8],
    ) -> Result<Bytes, CallError> {
        let params = Some(params.to_vec().into());
        let link = &self.seat.link;
        link.call(Owner::Member(self.id), session, method, params)
            .await
    }

    /// What one of its sessions is attached to; `None`: it has no such session.
    pub fn target_of(&self, session: Option<&str>) -> Option<Arc<Target>> {
        let state = self.seat.link.state();
        let found = match session {
            Some(session) => state.sessions.named(session, Owner::Member(self.id)),
            None => state.sessions.get(&state.seats.get(&self.id)?.root),
        };
        found.map(|session| Arc::clone(&session.target))
    }

    /// Its sessions but for its root, and what they are attached to.
    pub fn sessions(&self) -> Vec<(Arc<str>, Arc<Target>)> {
        let state = self.seat.link.state();
        let sessions = state.sessions.of(Owner::Member(self.id));
        sessions
            .map(|session| (Arc::clone(&session.id), Arc::clone(&session.target)))
            .collect()
    }
}
