//! The integration tests: one binary, a module per topic.

#![allow(clippy::unwrap_used)] // A test that unwraps fails with the line.

mod architecture;
mod cli;
mod config;
mod demo;
mod equivalence;
mod hostile;
mod http2_kit;
mod model_child;
mod model_faults;
mod model_framing;
mod model_http2;
mod model_http2_faults;
mod model_http2_upstream;
mod model_kit;
mod model_masking;
mod model_process;
mod model_reload;
mod model_stream;
mod model_target;
mod model_tls;
mod net_http2_limits;
mod net_tls;
mod patterns;
mod reference;
mod submissions;
