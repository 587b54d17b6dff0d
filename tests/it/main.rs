//! The integration tests: one binary, a module for each topic.

mod equivalence;
mod hostile;
mod reference;
