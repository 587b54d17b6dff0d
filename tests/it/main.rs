//! The integration tests: one binary, one module per topic.

mod cli;
mod config;
mod model_child;
mod model_faults;
mod model_framing;
mod model_kit;
mod model_masking;
mod model_process;
mod model_reload;
mod model_stream;
mod model_target;
mod model_tls;
mod patterns;
mod submissions;
