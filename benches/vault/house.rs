//! A configuration with its vault in a temporary folder, and the other ends of the traffic.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Result, anyhow};
use bauta::app;
use bauta::config::{self, Config};
use bauta::secret::vault::{Access, Vault};
use bauta::secret::{Limits, Scope, Submission, parse_submission};

use crate::common;

/// Sizes that let 10,000 secrets in.
pub const LIMITS: Limits = Limits {
    max_secrets: 100_000,
    max_domains: 100_000,
    max_value_bytes: 4096,
    max_total_bytes: 256 << 20,
};

/// A configuration with everything that is written below `folder`.
pub fn config(folder: &Path, upstream: SocketAddr) -> Result<Config> {
    let text = format!(
        "state_dir = \"state\"\n[vault.limits]\nmax_secrets = {}\nmax_domains = {}\nmax_total_bytes = {}\n\
         [model]\nlisten = \"127.0.0.1:0\"\n[[model.provider]]\nname = \"p\"\nupstream = \"http://{upstream}\"\n",
        LIMITS.max_secrets, LIMITS.max_domains, LIMITS.max_total_bytes
    );
    Ok(config::parse(&text, &folder.join("bauta.toml"))?)
}

/// Its vault, made if it is not there.
pub fn vault(config: &Config) -> Result<Vault> {
    Ok(Vault::open(&app::vault::settings(config), Access::Create)?.vault)
}

/// Whose the secrets are.
pub fn scope(config: &Config) -> Result<Scope> {
    Ok(Scope::Agent(config.agent.id.parse()?))
}

/// So many secrets, as they are submitted.
pub fn submission(count: usize) -> Result<Submission> {
    parse_submission(common::submission(count)?.into_bytes().into(), &LIMITS)
        .map_err(|problems| anyhow!("the secrets of the bench are refused: {problems:?}"))
}

/// One end of a connection of HTTP/1.1 whose messages have lengths. It trusts its peer.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(address)?)
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request with a body.
    pub fn post(&mut self, body: &[u8]) -> io::Result<()> {
        let mut message = format!(
            "POST /p/x HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        message.extend_from_slice(body);
        self.0.get_mut().write_all(&message)
    }

    /// The next message's first line and body; `None` at the end.
    pub fn message(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut first = String::new();
        if self.0.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some((first, body)))
    }

    /// Takes an answer of status 200.
    pub fn answer(&mut self) -> Result<()> {
        match self.message()? {
            Some((first, _)) if first.contains(" 200 ") => Ok(()),
            other => Err(anyhow!("not 200 but {:?}", other.map(|(first, _)| first))),
        }
    }
}

/// An upstream that answers every request at once and hands its body on, to whom it may concern.
pub fn upstream() -> Result<(SocketAddr, Receiver<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || -> io::Result<()> {
                let mut wire = Wire::new(stream)?;
                while let Some((_, body)) = wire.message()? {
                    // Nobody may be interested.
                    let _ = sender.send(body);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    wire.0.get_mut().write_all(answer)?;
                }
                Ok(())
            });
        }
    });
    Ok((address, bodies))
}
