//! A CDP client that costs little itself: blocking, one command at a time, frames read whole. It trusts its peer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use serde_json::{Value, json};

/// A connection to a browser's endpoint.
pub struct Client {
    stream: BufReader<TcpStream>,
    last: u64,
}

impl Client {
    /// Finds the endpoint as all tools do, and opens it.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let mut stream = get(address, "/json/version", "")?;
        let mut body = vec![0; length(&mut stream)?];
        stream.read_exact(&mut body)?;
        let version: Value = serde_json::from_slice(&body)?;
        let url = version["webSocketDebuggerUrl"]
            .as_str()
            .context("no endpoint")?;
        let path = url
            .splitn(4, '/')
            .nth(3)
            .context("an endpoint without a path")?;
        let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut stream = get(address, &format!("/{path}"), upgrade)?;
        length(&mut stream)?;
        Ok(Self { stream, last: 0 })
    }

    /// A command, and the message that answers it.
    pub fn call(&mut self, session: Option<&str>, method: &str, params: &Value) -> Result<Vec<u8>> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        self.send(command.to_string().as_bytes())?;
        let id = format!("\"id\":{}", self.last);
        loop {
            let message = self.message()?;
            let head = &message[..message.len().min(40)];
            let is_answer = memmem::find(head, id.as_bytes())
                .is_some_and(|at| !message[at + id.len()].is_ascii_digit());
            if !is_answer {
                continue;
            }
            if memmem::find(head, b"\"error\"").is_some() {
                bail!("{method}: {}", String::from_utf8_lossy(&message));
            }
            return Ok(message);
        }
    }

    /// A text frame, masked with zeros.
    fn send(&mut self, text: &[u8]) -> Result<()> {
        let mut frame = vec![0x81];
        match text.len() {
            short @ 0..126 => frame.push(0x80 + u8::try_from(short)?),
            middle @ 126..65_536 => {
                frame.push(0xfe);
                frame.extend_from_slice(&u16::try_from(middle)?.to_be_bytes());
            }
            long => {
                frame.push(0xff);
                frame.extend_from_slice(&u64::try_from(long)?.to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text);
        Ok(self.stream.get_mut().write_all(&frame)?)
    }

    /// A whole message, however it is cut into frames.
    fn message(&mut self) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let length = match head[1] {
                126 => u64::from(u16::from_be_bytes(self.number()?)),
                127 => u64::from_be_bytes(self.number()?),
                short => u64::from(short),
            };
            let at = message.len();
            message.resize(at + usize::try_from(length)?, 0);
            self.stream.read_exact(&mut message[at..])?;
            match head[0] & 0x0f {
                0 | 1 if head[0] & 0x80 != 0 => return Ok(message),
                0 | 1 => {}
                8 => bail!("the other side closed"),
                _ => message.truncate(at),
            }
        }
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn get(address: SocketAddr, path: &str, more: &str) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{more}\r\n").as_bytes())?;
    Ok(BufReader::with_capacity(1 << 20, stream))
}

/// Reads a head; the length that it gives its body.
fn length(stream: &mut BufReader<TcpStream>) -> Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            bail!("no answer");
        }
        if line.trim().is_empty() {
            return Ok(length);
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
}
