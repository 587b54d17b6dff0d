//! The integration tests: one binary, a module per topic.

#![allow(clippy::unwrap_used)] // A test that unwraps fails with the line.

mod architecture;
mod cli;
mod config;
mod demo;
mod equivalence;
mod hostile;
mod model_child;
mod model_faults;
mod model_framing;
mod model_kit;
mod model_links;
mod model_masking;
mod model_multipart;
mod model_process;
mod model_reload;
mod model_smuggling;
mod model_stream;
mod model_target;
mod model_tls;
mod patterns;
mod reference;
mod submissions;
