//! What the parts that look at one client's messages have in common.

use std::sync::Arc;

use super::hub::{Hub, Member};
use super::pages::Pages;
use super::settings::Settings;
use crate::guard::Guard;

/// One client, and what all clients share. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// For commands of our own, on our own sessions.
    pub hub: Arc<Hub>,
    /// The client's place in the hub: its sessions, and commands on them.
    pub member: Member,
    /// Judges placeholders, and masks.
    pub guard: Arc<Guard>,
    /// What the channel was told.
    pub settings: Arc<Settings>,
    /// The documents in which values were inserted, of all clients.
    pub pages: Arc<Pages>,
}
