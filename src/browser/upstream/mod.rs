//! The browser: started by us and spoken to over a pipe, or attached to over a WebSocket.
//!
//! `open` gives one `Connection`: a reader of whole messages, a writer of them, and the process if it is ours. Who restarts it
//! is for the hub to say.
//!
//! Invariants: a message is never held beyond the limit, and one beyond it is passed over to its end; a started browser has no port
//! through which one could go around us, and its profile goes with it; what was told to be wiped is not copied.

mod attach;
mod launch;
mod pipe;
mod profile;
mod socket;
mod switches;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::settings::{Limits, Upstream};

pub use attach::AttachError;
pub(super) use launch::Process;
pub use switches::Refused;
pub(super) use switches::judge;

/// What of a message that is too large is kept, to see what it answers.
const HEAD_KEPT: usize = 256;

/// How long a browser may take to connect to.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no browser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program is not there.
    #[error(
        "there is no browser {0}. Install Chromium (Debian: apt install chromium), or name its program in browser.launch"
    )]
    NotFound(PathBuf),
    /// The program cannot be started.
    #[error("the browser {program} cannot be started: {reason}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// An argument would open a way around us.
    #[error(transparent)]
    Switch(#[from] Refused),
    /// There is no folder for its profile.
    #[error("a folder for the browser's profile cannot be made in {folder}: {reason}")]
    Profile {
        /// Where it should be.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// It ended, or said nothing, instead of answering.
    #[error("the browser did not start: {reason}{}", tail(.said))]
    Silent {
        /// What happened.
        reason: String,
        /// The end of what it wrote on standard error.
        said: String,
    },
    /// It cannot be attached to.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

fn tail(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(". It said: {said}")
    }
}

/// A connection to a browser.
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    /// The browser, if it is ours.
    pub(super) process: Option<Process>,
}

/// Starts the browser, or connects to it.
pub(super) async fn open(upstream: &Upstream, limits: &Limits) -> Result<Connection, StartError> {
    match upstream {
        Upstream::Launch(launch) => launch::start(launch, limits.max_message_bytes).await,
        Upstream::Attach(address) => {
            let (reader, writer) = attach::connect(address, limits.max_message_bytes).await?;
            Ok(Connection {
                reader: Reader::Socket(reader),
                writer: Writer::Socket(writer),
                process: None,
            })
        }
    }
}

/// What came from the browser.
pub(super) enum Received {
    /// A whole message.
    Message(BytesMut),
    /// A message that was larger than the limit. It was passed over; this is how it began.
    TooLarge(Bytes),
    /// A ping, which is to be answered with the same payload.
    Ping(Bytes),
    /// A sign of life.
    Pong,
}

/// Reads messages.
pub(super) enum Reader {
    Pipe(pipe::Reader),
    Socket(socket::Reader),
}

impl Reader {
    /// Whether the other side can be asked for a sign of life.
    pub(super) fn takes_pings(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// The next message; `None`: the end. Dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        match self {
            Self::Pipe(reader) => reader.next().await,
            Self::Socket(reader) => reader.next().await,
        }
    }
}

/// What goes to the browser.
pub(super) enum Outgoing {
    /// A message. It may hold a value, and is wiped once it is written.
    Message(Zeroizing<Vec<u8>>),
    /// The answer to a ping.
    Pong(Bytes),
    /// A question for a sign of life.
    Ping,
}

/// Writes messages.
pub(super) enum Writer {
    Pipe(pipe::Writer),
    Socket(socket::Writer),
}

impl Writer {
    /// Writes one message. To be polled to its end.
    pub(super) async fn write(&mut self, message: Outgoing) -> io::Result<()> {
        match self {
            Self::Pipe(writer) => writer.write(message).await,
            Self::Socket(writer) => writer.write(message).await,
        }
    }
}
