//! Bauta: a sidecar that lets AI agents use secrets which the model never sees.
//!
//! Towards a model, values become placeholder names. `ARCHITECTURE.md` is the map: which room does
//! what, who may import whom, and the invariants that tests hold.

pub mod app;
pub mod audit;
pub mod browser;
pub mod cli;
pub mod config;
pub mod fill;
pub mod guard;
pub mod mask;
pub mod model;
pub mod net;
pub mod relay;
pub mod secret;
