//! The integration tests: one binary, one module per topic.

mod cli;
mod config;
mod patterns;
mod submissions;
