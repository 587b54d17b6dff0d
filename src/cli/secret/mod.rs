//! `bauta secret …`: what stands in the vault, and every change of it.
//!
//! The way through: [`run`] takes one parsed command; a change goes through `change::Change`, which makes the audit event durable before
//! the commit. No command shows a value or how long it is.

mod args;
mod alter;
mod import;
mod list;
mod set;
mod show;
mod test_pattern;
mod why;

use std::process::ExitCode;

pub(super) use args::SecretCommand;

use super::output::{Output, Stop};
use super::store::Opener;

/// Runs one of them.
pub(super) fn run(
    command: SecretCommand,
    opener: Opener,
    output: Output,
) -> Result<ExitCode, Stop> {
    match command {
        SecretCommand::Set(args) => set::run(&args, opener, output),
        SecretCommand::Import(args) => import::run(&args, opener, output),
        SecretCommand::List(args) => list::run(&args, opener, output),
        SecretCommand::Show(args) => show::run(&args, opener, output),
        SecretCommand::Rotate(args) => alter::rotate(&args, opener, output),
        SecretCommand::Rm(args) => alter::remove(&args, opener, output),
        SecretCommand::Assign(args) => alter::assign(&args, opener, output),
        SecretCommand::Promote(args) => alter::promote(&args, opener, output),
        SecretCommand::Why(args) => why::run(&args, opener, output),
        SecretCommand::Test { pattern, url } => test_pattern::run(&pattern, &url, output),
    }
}
