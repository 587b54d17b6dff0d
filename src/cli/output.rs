//! What a command says: results, warnings, errors.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::json;

use super::Global;
use crate::secret::Problem;

/// Why a command ends before it is done.
pub(super) enum Stop {
    /// Wrong usage or input: exit code 2. Each text is one error.
    Wrong(Vec<String>),
    /// Secrets that are not valid: exit code 2. Each is shown as the text that users know, then where it stands.
    Invalid(Vec<Problem>),
    /// It failed on the way: exit code 1.
    Failed(anyhow::Error),
    /// Nobody reads standard output any more.
    BrokenPipe,
    /// Somebody gave up in front of a prompt: exit code 130, as of a process that SIGINT ends.
    Interrupted,
}

impl Stop {
    /// One error of usage or input.
    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(vec![text.into()])
    }

    /// A failed write to standard output.
    pub(super) fn writing(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Failed(anyhow::Error::new(error).context("cannot write to standard output"))
        }
    }
}

/// Where a command's words go, by the flags.
#[derive(Clone, Copy)]
pub(super) struct Output {
    global: Global,
}

impl Output {
    pub(super) fn new(global: Global) -> Self {
        Self { global }
    }

    /// Whether results are JSON.
    pub(super) fn json(self) -> bool {
        self.global.json
    }

    /// Whether only results and errors are wanted.
    pub(super) fn quiet(self) -> bool {
        self.global.quiet
    }

    /// Whether more is wanted.
    pub(super) fn verbose(self) -> bool {
        self.global.verbose
    }

    /// A result for people, left out with `--quiet` and `--json`.
    pub(super) fn say(self, line: &str) -> Result<(), Stop> {
        if self.global.quiet || self.global.json {
            Ok(())
        } else {
            result(line)
        }
    }

    /// Something that is likely not meant.
    pub(super) fn warning(self, text: &str) {
        if !self.global.quiet {
            self.line("warning", text);
        }
    }

    /// Something that is good to know, such as a file that was made.
    pub(super) fn note(self, text: &str) {
        if !self.global.quiet {
            self.line("note", text);
        }
    }

    pub(super) fn error(self, text: &str) {
        self.line("error", text);
    }

    /// Something about secrets: the text that users know, then where it stands.
    pub(super) fn problem(self, level: &str, problem: &Problem) {
        if self.global.json {
            let (domain, key) = (&problem.domain, &problem.key);
            note(
                &json!({ "level": level, "text": problem.text, "domain": domain, "key": key })
                    .to_string(),
            );
        } else {
            let place = problem
                .place()
                .map_or(String::new(), |place| format!(" ({place})"));
            self.line(level, &format!("{problem}{place}"));
        }
    }

    /// Standard error may be closed: then there is nobody to tell.
    fn line(self, level: &str, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = if self.global.json {
            writeln!(stderr, "{}", json!({ "level": level, "text": text }))
        } else {
            writeln!(stderr, "{level}: {text}")
        };
    }

    /// Says why the command stopped, and with which code it ends.
    pub(super) fn stop(self, stop: &Stop) -> ExitCode {
        match stop {
            Stop::Wrong(texts) => {
                for text in texts {
                    self.error(text);
                }
                ExitCode::from(2)
            }
            Stop::Invalid(problems) => {
                for problem in problems {
                    self.problem("error", problem);
                }
                ExitCode::from(2)
            }
            Stop::Failed(error) => {
                self.error(&format!("{error:#}"));
                ExitCode::from(1)
            }
            Stop::BrokenPipe => ExitCode::SUCCESS,
            Stop::Interrupted => ExitCode::from(130),
        }
    }
}

/// A result: one line on standard output.
pub(super) fn result(line: &str) -> Result<(), Stop> {
    writeln!(io::stdout().lock(), "{line}").map_err(Stop::writing)
}

/// "1 secret", "2 secrets".
pub(super) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// What was asked for beside the result: one line on standard error.
pub(super) fn note(line: &str) {
    // Standard error may be closed: then there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
