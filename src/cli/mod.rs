//! The command line: what was typed becomes one call of one function.
//!
//! The way through: [`main`] parses, turns on process hardening, and runs one command. What needs
//! the channels or the values ([`Commands`]) is handed in by the binary, so that this room knows nothing of them. A command of the
//! vault opens a `session`, whose `change` is the one way to change anything.
//!
//! Invariants: results go to standard output, everything else to standard error; no output holds a value or says how long one is;
//! what others wrote is shown without control characters; every error says what to do next; a broken pipe on standard output ends
//! the command quietly.
//!
//! This room does not build channels or set up logging.

mod audit;
mod check;
pub mod hardening;
mod key;
mod mask;
mod output;
mod progress;
mod prompt;
mod secret;
mod secrets;
mod session;
mod table;
mod usage;
mod when;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

pub use mask::SyntaxChoice;
use output::{Output, Stop};
pub use secrets::limits as secret_limits;

use crate::audit::{Keeper, OpenError, Recorder};
use crate::config::{Config, Spelling};
use crate::mask::Masker;
use crate::secret::vault::{self, Vault};
use crate::secret::{Secret, Source};

const EXIT_CODES: &str = "\
Exit codes:
  0  done; `secret test`, `secret why`: yes; `check`: nothing is wrong; `audit verify`: the log is whole
  1  it failed on the way (vault, audit log, reading, writing, a port in use); `secret test`, `secret why`: no;
     `audit verify`: the log was changed
  2  wrong usage, configuration, key, value, secrets file, pattern, URL or time, or no such secret
  130  given up with Ctrl-C while a value was asked for
`run` ends with the exit code of its command: 127 if there is none of that name, 126 if it cannot be run, 128 and the
signal's number if a signal ended it";

/// A sidecar that lets AI agents use secrets which the model never sees.
#[derive(Parser)]
#[command(name = "bauta", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Global {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Results and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the sidecar in the foreground; SIGTERM drains it
    #[command(after_help = EXIT_CODES)]
    Serve {
        #[command(flatten)]
        files: Files,
    },
    /// Run a command with a sidecar of its own, to which the command's SDK is led by its environment
    #[command(after_help = EXIT_CODES)]
    Run {
        #[command(flatten)]
        files: Files,
        /// Hand this variable of the environment on; most are not
        #[arg(long, value_name = "NAME")]
        env: Vec<String>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Check the configuration and a secrets file, and say everything that is wrong with them
    #[command(after_help = EXIT_CODES)]
    Check {
        #[command(flatten)]
        files: Files,
    },
    /// Copy standard input to standard output with the secrets' values replaced by their names
    #[command(after_help = EXIT_CODES)]
    Mask {
        #[command(flatten)]
        files: Files,
        /// Say on standard error how often each secret was found
        #[arg(long)]
        count: bool,
        /// How the text is read: auto takes JSON if the first character that is not blank is { or [
        #[arg(long, value_enum, default_value_t = SyntaxChoice::Auto)]
        syntax: SyntaxChoice,
    },
    /// Work with the secrets in the vault
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Work with the keys that encrypt the vault
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Read and check the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Show masking at work: a conversation with a stand-in provider, before and after
    #[command(after_help = EXIT_CODES)]
    Demo,
}

/// The configuration file that a command reads.
#[derive(Args)]
struct ConfigFile {
    /// Configuration file [default: bauta.toml or config/bauta.toml if there is one, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The files that most commands read.
#[derive(Args)]
struct Files {
    #[command(flatten)]
    config: ConfigFile,
    /// Secrets in the domain-specific JSON format, kept in memory, instead of the vault's; - is standard input
    #[arg(long, value_name = "FILE|-")]
    secrets: Option<PathBuf>,
}

impl Files {
    fn secrets(&self) -> Option<Source> {
        self.secrets.as_deref().map(Source::new)
    }
}

/// What `bauta serve` was asked for.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The configuration file that was named.
    pub config: Option<PathBuf>,
    /// Where the secrets come from.
    pub secrets: Option<Source>,
    /// Flags of every command.
    pub global: Global,
}

/// What `bauta run` was asked for.
#[derive(Clone, Debug)]
pub struct Run {
    /// The configuration file that was named.
    pub config: Option<PathBuf>,
    /// Where the secrets come from.
    pub secrets: Option<Source>,
    /// Variables of the environment that the command gets as well.
    pub env: Vec<String>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Flags of every command.
    pub global: Global,
}

/// What `bauta demo` was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// Flags of every command.
    pub global: Global,
}

/// Makes the masker of some secrets in a spelling, and gives the keys by the number under which it reports them.
pub type Needles = fn(&[&Secret], Spelling) -> (Masker, Vec<String>);

/// The vault of a configuration in the words of the room that keeps it.
pub type VaultSettings = fn(&Config) -> vault::Settings;

/// Keeps the audit log's key and head in a vault.
pub type OpenKeeper = fn(Arc<Vault>) -> Arc<dyn Keeper>;

/// Opens the audit log of a configuration for writing.
pub type OpenRecorder = fn(&Config, Arc<dyn Keeper>) -> Result<Recorder, OpenError>;

/// Says what is wrong with the certificates and keys that a configuration names.
pub type CheckFiles = fn(&Config) -> Vec<String>;

/// What the commands need of other rooms: the channels, and values, which this one never sees. An error is printed with its causes and ends with exit code 1.
#[derive(Clone, Copy)]
pub struct Commands {
    /// Runs the sidecar until it is told to stop.
    pub serve: fn(Serve) -> anyhow::Result<ExitCode>,
    /// Runs a command with a sidecar of its own.
    pub run: fn(Run) -> anyhow::Result<ExitCode>,
    /// Runs the demonstration.
    pub demo: fn(Demo) -> anyhow::Result<ExitCode>,
    /// Looks for values.
    pub needles: Needles,
    /// Where the vault is, and what holds for it.
    pub settings: VaultSettings,
    /// Lends the vault to the audit log.
    pub keeper: OpenKeeper,
    /// Opens the audit log.
    pub recorder: OpenRecorder,
    /// Says what is wrong with the files that a configuration names.
    pub files: CheckFiles,
}

/// Says what is wrong with a command's configuration or secrets, a line each, and gives the exit code for that.
pub fn wrong_input(global: Global, error: &dyn std::error::Error) -> ExitCode {
    let lines = error.to_string().lines().map(str::to_owned).collect();
    Output::new(global).stop(&Stop::Wrong(lines))
}

/// Says why a command does not go on, a line each, and gives the exit code for that.
pub fn failed(global: Global, error: &dyn std::error::Error, code: u8) -> ExitCode {
    for line in error.to_string().lines() {
        Output::new(global).error(line);
    }
    ExitCode::from(code)
}

/// Says what is good to know, a line each.
pub fn notes(global: Global, texts: &[String]) {
    for text in texts {
        Output::new(global).note(text);
    }
}

/// Runs the command line `args`, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>, commands: &Commands) -> ExitCode {
    hardening::no_core_dumps();
    hardening::panics_without_payloads();
    hardening::private_files();
    let args: Vec<OsString> = args.into_iter().collect();
    let line = match Line::try_parse_from(&args) {
        Ok(line) => line,
        Err(error) => {
            let error = if args.iter().any(|arg| arg == "secret") {
                usage::hidden(error)
            } else {
                error
            };
            // Help and version go to standard output, whose reader may be gone.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    let output = Output::new(line.global);
    let done = match line.command {
        Command::Serve { files } => {
            let serve = Serve {
                secrets: files.secrets(),
                config: files.config.config,
                global: line.global,
            };
            (commands.serve)(serve).map_err(Stop::Failed)
        }
        Command::Run {
            files,
            env,
            command,
        } => {
            let run = Run {
                secrets: files.secrets(),
                config: files.config.config,
                env,
                command,
                global: line.global,
            };
            (commands.run)(run).map_err(Stop::Failed)
        }
        Command::Demo => (commands.demo)(Demo {
            global: line.global,
        })
        .map_err(Stop::Failed),
        Command::Check { files } => {
            check::run(&files.config, files.secrets().as_ref(), commands, output)
        }
        Command::Mask {
            files,
            count,
            syntax,
        } => mask::run(
            &files.config,
            files.secrets().as_ref(),
            syntax,
            count,
            commands,
            output,
        ),
        Command::Secret(command) => secret::run(command, commands, output),
        Command::Key(command) => key::run(command, commands, output),
        Command::Audit(command) => audit::run(command, commands, output),
    };
    done.unwrap_or_else(|stop| output.stop(&stop))
}
