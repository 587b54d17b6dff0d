//! `bauta mask`: a streaming filter from standard input to standard output.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;

use super::output::{self, Output, Stop};
use super::{Commands, ConfigFile, secrets, session};
use crate::mask::{Masker, Refusal, Stream, Syntax};
use crate::secret::vault::{Vault, VaultError};
use crate::secret::{Secret, Source};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// How the text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SyntaxChoice {
    /// JSON if the first character that is not blank is `{` or `[`, else text.
    Auto,
    /// Text.
    Text,
    /// JSON, or a sequence of JSON texts.
    Json,
}

pub(super) fn run(
    file: &ConfigFile,
    source: Option<&Source>,
    syntax: SyntaxChoice,
    count: bool,
    commands: &Commands,
    output: Output,
) -> Result<ExitCode, Stop> {
    if source == Some(&Source::Stdin) {
        return Err(Stop::wrong(
            "standard input is the text to mask, so it cannot hold the secrets as well. Use --secrets with a file",
        ));
    }
    let (masker, keys) = match source {
        Some(source) => from_file(file, source, commands, output)?,
        None => from_vault(file, commands, output)?,
    };
    let stream = copy(Filter::new(&masker, syntax))?;
    if count {
        say_counts(&stream, &keys, output);
    }
    Ok(ExitCode::SUCCESS)
}

fn from_file(
    file: &ConfigFile,
    source: &Source,
    commands: &Commands,
    output: Output,
) -> Result<(Masker, Vec<String>), Stop> {
    let config = session::load(file)?;
    let loaded = secrets::load(source, &config.vault.limits)?;
    for text in &loaded.warnings {
        output.warning(text);
    }
    let secrets: Vec<&Secret> = loaded.submission.iter().collect();
    Ok((commands.needles)(&secrets, config.placeholder.output))
}

/// The secrets that the configured agent may use, as the sidecar masks them.
fn from_vault(
    file: &ConfigFile,
    commands: &Commands,
    output: Output,
) -> Result<(Masker, Vec<String>), Stop> {
    let config = session::load(file)?;
    let settings = (commands.settings)(&config);
    let opened = match Vault::open(&settings, session::READ) {
        Err(VaultError::NotThere(path)) => {
            return Err(Stop::wrong(format!(
                "there are no secrets to mask, as there is no vault at {}. Use --secrets FILE, or make a vault with: bauta key init",
                path.display()
            )));
        }
        opened => opened.map_err(session::stop)?,
    };
    for notice in &opened.notices {
        output.note(notice);
    }
    let identity = settings.identity.unwrap_or_default();
    let view = opened.vault.view(&identity).map_err(session::stop)?;
    let secrets: Vec<&Secret> = view.iter().collect();
    Ok((commands.needles)(&secrets, config.placeholder.output))
}

/// Copies standard input, masked. What was read is written before more is waited for, but for what may begin a value.
fn copy(mut filter: Filter<'_>) -> Result<Stream, Stop> {
    let mut stdin = io::stdin().lock();
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; PIECE];
    let mut out = Vec::new();
    loop {
        let count = match stdin.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read
                .context("cannot read standard input")
                .map_err(Stop::Failed)?,
        };
        if count == 0 {
            break;
        }
        let pushed = filter.push(Bytes::copy_from_slice(&buffer[..count]), &mut out);
        write(&mut stdout, &mut out)?;
        pushed.map_err(refused)?;
    }
    let finished = filter.finish(&mut out);
    write(&mut stdout, &mut out)?;
    finished.map_err(refused)
}

fn write(stdout: &mut io::StdoutLock<'_>, out: &mut Vec<Bytes>) -> Result<(), Stop> {
    for bytes in out.drain(..) {
        stdout.write_all(&bytes).map_err(Stop::writing)?;
    }
    stdout.flush().map_err(Stop::writing)
}

fn refused(refusal: Refusal) -> Stop {
    let text = format!(
        "the text cannot be masked: {refusal}. Standard output is incomplete; do not use it as the masked text"
    );
    Stop::Failed(anyhow::anyhow!(text))
}

/// A stream whose syntax is known once the first character that is not blank has come.
struct Filter<'m> {
    masker: &'m Masker,
    choice: SyntaxChoice,
    stream: Option<Stream>,
    /// Blank pieces so far, at most [`PIECE`] bytes and one piece more.
    blank: Vec<Bytes>,
}

impl<'m> Filter<'m> {
    fn new(masker: &'m Masker, choice: SyntaxChoice) -> Self {
        Self {
            masker,
            choice,
            stream: None,
            blank: Vec::new(),
        }
    }

    fn push(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(stream) = &mut self.stream {
            return stream.push(piece, out);
        }
        let syntax = self.syntax(&piece);
        self.blank.push(piece);
        match syntax {
            Some(syntax) => {
                self.stream = Some(self.start(syntax, out)?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn finish(mut self, out: &mut Vec<Bytes>) -> Result<Stream, Refusal> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.start(Syntax::Text, out)?,
        };
        stream.finish(out)?;
        Ok(stream)
    }

    fn start(&mut self, syntax: Syntax, out: &mut Vec<Bytes>) -> Result<Stream, Refusal> {
        let mut stream = self.masker.stream(syntax);
        for piece in self.blank.drain(..) {
            stream.push(piece, out)?;
        }
        Ok(stream)
    }

    /// `None` while everything was blank.
    fn syntax(&self, piece: &[u8]) -> Option<Syntax> {
        // Many programs begin a file with a byte order mark.
        let text = piece.strip_prefix("\u{feff}".as_bytes());
        match (
            self.choice,
            text.unwrap_or(piece).trim_ascii_start().first(),
        ) {
            (SyntaxChoice::Json, _) | (SyntaxChoice::Auto, Some(b'{' | b'[')) => Some(Syntax::Json),
            (SyntaxChoice::Text, _) | (SyntaxChoice::Auto, Some(_)) => Some(Syntax::Text),
            (SyntaxChoice::Auto, None) => {
                let blank: usize = self.blank.iter().map(Bytes::len).sum();
                (blank > PIECE).then_some(Syntax::Text)
            }
        }
    }
}

/// How often each key was found, on standard error.
fn say_counts(stream: &Stream, keys: &[String], output: Output) {
    let mut counts: BTreeMap<&str, u64> = keys.iter().map(|key| (key.as_str(), 0)).collect();
    for ((name, _), count) in stream.hits() {
        let key = usize::try_from(name.0)
            .ok()
            .and_then(|index| keys.get(index));
        if let Some(total) = key.and_then(|key| counts.get_mut(key.as_str())) {
            *total += count;
        }
    }
    if output.json() {
        output::note(&json!({ "counts": counts }).to_string());
    } else {
        for (key, count) in counts {
            output::note(&format!("{count:>8} {key}"));
        }
    }
}
