//! The integration tests: one binary, a module per topic.

#![allow(clippy::unwrap_used)] // A test that unwraps fails with the line.

mod architecture;
mod audit_kit;
mod audit_log;
mod cli;
mod coders;
mod config;
mod demo;
mod equivalence;
mod forms;
mod hostile;
mod http2_kit;
mod model_answers;
mod model_child;
mod model_codings;
mod model_codings_faults;
mod model_faults;
mod model_framing;
mod model_http2;
mod model_http2_faults;
mod model_http2_upstream;
mod model_kit;
mod model_links;
mod model_masking;
mod model_multipart;
mod model_process;
mod model_reload;
mod model_signed;
mod model_smuggling;
mod model_stream;
mod model_target;
mod model_tls;
mod model_versions;
mod model_websocket;
mod model_websocket_end;
mod model_websocket_faults;
mod model_websocket_handshake;
mod model_websocket_kit;
mod net_http2_limits;
mod net_tls;
mod patterns;
mod reference;
mod scouting;
mod submissions;
