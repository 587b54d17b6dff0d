//! A value from the person at the terminal, typed twice and never shown, or from what is piped in.
//!
//! Invariants: while somebody types, the terminal shows nothing, not even how much was typed; its state comes back however the
//! prompt ends: an answer, an error, Ctrl-C, a signal. What was typed stands in memory that is wiped, and never moves.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::{Zeroize as _, Zeroizing};

use super::output::Stop;
use crate::secret::{self, Limits, Source, Value};

/// Bytes that can be typed; longer values are piped in.
const MOST_TYPED: usize = 64 << 10;

/// Tenths of a second that a read waits. Also the silence after a line by which a paste of several lines is told from one.
const READ_TENTHS: u8 = 1;

/// For how long the prompt waits for somebody to type.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What to do where there is no terminal and nothing was piped in.
const NO_VALUE: &str = "there is no value: standard input is empty and no terminal. \
    Run the command in a terminal and type the value, or pipe it in: printf %s \"$VALUE\" | bauta secret …";

/// Takes the value of `key`: typed twice if standard input is a terminal, else the whole of standard input without one newline at its
/// end.
pub(super) fn value(key: &str, limits: &Limits) -> Result<Value, Stop> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() {
        typed(key)?
    } else {
        piped()?
    };
    Value::new(text, limits).map_err(|error| Stop::wrong(format!("{error}. {}", mend(&error))))
}

fn mend(error: &secret::ValueError) -> &'static str {
    match error {
        secret::ValueError::Empty => "Give at least one character",
        secret::ValueError::TooLarge(_) => {
            "Give a shorter one, or raise max_value_bytes under [vault.limits]"
        }
        secret::ValueError::Nul => "Give a text without NUL",
    }
}

/// The whole of standard input as text.
fn piped() -> Result<Zeroizing<String>, Stop> {
    let (mut bytes, _) =
        secret::read(&Source::Stdin).map_err(|error| Stop::wrong(error.to_string()))?;
    if bytes.is_empty() {
        return Err(Stop::wrong(NO_VALUE));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    text(bytes)
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Stop> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(Stop::wrong(
                "the value is not UTF-8. Give it as text, such as in base64",
            ))
        }
    }
}

fn typed(key: &str) -> Result<Zeroizing<String>, Stop> {
    let mut terminal = Quiet::begin()
        .context("cannot hide what is typed")
        .map_err(Stop::Failed)?;
    let first = terminal.ask(&format!("Value of {key} (not shown): "))?;
    let second = terminal.ask("The same again: ")?;
    if *first != *second {
        return Err(Stop::wrong(
            "the two values are not the same, so nothing was changed. Run the command again",
        ));
    }
    drop(terminal);
    text(first)
}

/// The state of the terminal before the prompt, until it is given back. Shared with the thread that waits for signals.
type Saved = Arc<Mutex<Option<Termios>>>;

/// A terminal that shows nothing of what is typed, until it is dropped.
struct Quiet {
    saved: Saved,
    out: Box<dyn Write>,
}

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        // The keys that end or stop a process come as bytes, so that we can give the terminal back first. And not by the line: the
        // kernel would cut lines of 4096 bytes without a word.
        hidden.local_modes -= LocalModes::ECHO
            | LocalModes::ECHONL
            | LocalModes::ICANON
            | LocalModes::ISIG
            | LocalModes::IEXTEN;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 0;
        hidden.special_codes[SpecialCodeIndex::VTIME] = READ_TENTHS;
        let saved = Arc::new(Mutex::new(Some(before)));
        restore_on_signal(&saved)?;
        let quiet = Self {
            saved,
            out: words(),
        };
        // What was typed before the prompt stood there was echoed: it is no secret any more, and is not taken for one.
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(quiet)
    }

    /// Prints a question and takes one line.
    fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, Stop> {
        // The question may be lost (a closed standard error); the answer can be typed all the same.
        let _ = write!(self.out, "{question}").and_then(|()| self.out.flush());
        let line = read_line();
        let _ = writeln!(self.out).and_then(|()| self.out.flush());
        line
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restore(&self.saved);
    }
}

/// Where the question goes: the terminal, even if standard error is a file.
fn words() -> Box<dyn Write> {
    let terminal: io::Result<File> = OpenOptions::new().write(true).open("/dev/tty");
    match terminal {
        Ok(terminal) => Box::new(terminal),
        Err(_) => Box::new(io::stderr()),
    }
}

/// Gives the terminal back, once. What was typed and not read is dropped: the rest of a paste must not reach the shell.
fn restore(saved: &Saved) {
    let before = saved.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs nothing back.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &before);
    }
}

/// From now on a signal that ends the process gives the terminal back first.
fn restore_on_signal(saved: &Saved) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    drop(entered);
    let saved = Arc::clone(saved);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let code = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                    _ = hangup.recv() => 129,
                    _ = quit.recv() => 131,
                }
            });
            restore(&saved);
            process::exit(code);
        })?;
    Ok(())
}

/// What a byte means while a line is typed.
enum Typed {
    Text(u8),
    Enter,
    Back,
    Clear,
    Interrupt,
    End,
    Refused,
}

impl Typed {
    fn from(byte: u8) -> Self {
        match byte {
            b'\r' | b'\n' => Self::Enter,
            0x08 | 0x7f => Self::Back,
            0x15 => Self::Clear,
            0x03 | 0x1c => Self::Interrupt,
            0x04 => Self::End,
            b'\t' | b' '..=0x7e | 0x80.. => Self::Text(byte),
            _ => Self::Refused,
        }
    }
}

/// Reads one line, byte by byte; it is finished when nothing follows its end at once.
fn read_line() -> Result<Zeroizing<Vec<u8>>, Stop> {
    // All room at once: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MOST_TYPED));
    let begun = Instant::now();
    let mut refused = None;
    loop {
        let Some(byte) = read_byte()? else {
            if begun.elapsed() > PATIENCE {
                return Err(Stop::wrong("nothing was typed. Run the command again"));
            }
            continue;
        };
        match Typed::from(byte) {
            Typed::Text(_) if line.len() == MOST_TYPED => {
                refused = Some("the value is too long to be typed. Pipe it in");
            }
            Typed::Text(byte) => line.push(byte),
            Typed::Back => erase(&mut line),
            Typed::Clear => {
                line.zeroize();
                refused = None;
            }
            Typed::Interrupt => return Err(Stop::Interrupted),
            Typed::End if line.is_empty() => {
                return Err(Stop::wrong("no value was typed, so nothing was changed"));
            }
            Typed::Enter | Typed::End => break,
            Typed::Refused => {
                refused = Some(
                    "a key was typed that makes no text (such as an arrow or Escape). Type the value again, or pipe it in",
                );
            }
        }
    }
    if read_byte()?.is_some() {
        drain()?;
        refused = Some("the value has more than one line. Pipe it in, such as from a file");
    }
    match refused {
        Some(text) => Err(Stop::wrong(text)),
        None => Ok(line),
    }
}

/// The last character, whole.
fn erase(line: &mut Zeroizing<Vec<u8>>) {
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
}

/// The rest of a paste, until it is quiet.
fn drain() -> Result<(), Stop> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && read_byte()?.is_some() {}
    Ok(())
}

/// The next byte; `None` if there was none for a tenth of a second.
fn read_byte() -> Result<Option<u8>, Stop> {
    let mut byte = Zeroizing::new([0_u8; 1]);
    let failed = |error: rustix::io::Errno| {
        Stop::Failed(anyhow::Error::new(error).context("cannot read from the terminal"))
    };
    loop {
        match rustix::io::read(io::stdin(), &mut byte[..]) {
            Ok(0) => {
                // A terminal that hung up reads as silence for ever.
                tcgetattr(io::stdin()).map_err(failed)?;
                return Ok(None);
            }
            Ok(_) => return Ok(Some(byte[0])),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
