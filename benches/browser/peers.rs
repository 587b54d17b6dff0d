//! What is measured: Chromium, a relay that reads nothing, the sidecar.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Within which a process must be ready.
const START: Duration = Duration::from_secs(60);

/// Chromium, if it is there.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into()]);
    let mut all = folders.map(|folder| folder.join("chromium"));
    all.find(|file| file.is_file())
}

/// A browser of its own; it ends with this.
pub struct Chromium {
    process: Child,
    pub address: SocketAddr,
}

impl Chromium {
    pub fn start(program: &Path, folder: &Path) -> Result<Self> {
        let profile = folder.join("profile");
        let process = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut chromium = Self {
            process,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let begun = Instant::now();
        let port = profile.join("DevToolsActivePort");
        while begun.elapsed() < START {
            if let Some(port) = fs::read_to_string(&port)
                .ok()
                .and_then(|text| text.lines().next()?.parse().ok())
            {
                chromium.address.set_port(port);
                return Ok(chromium);
            }
            if let Some(status) = chromium.process.try_wait()? {
                bail!("chromium ended: {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("chromium does not say where it listens")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Passes bytes on, two threads a connection.
pub struct Relay {
    pub address: SocketAddr,
}

impl Relay {
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(upstream)
                    && let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone())
                {
                    thread::spawn(move || pass(client, server));
                    thread::spawn(move || pass(server2, client2));
                }
            }
        });
        Ok(Self { address })
    }
}

/// One direction.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    let mut bytes = vec![0; 256 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// The sidecar, attached to a browser; it ends with this.
pub struct Sidecar {
    process: Child,
    pub address: SocketAddr,
}

impl Sidecar {
    pub fn start(folder: &Path, browser: SocketAddr, secrets: &str) -> Result<Self> {
        let config = folder.join("bauta.toml");
        fs::write(
            &config,
            format!(
                "state_dir = \"state\"\n[vault.limits]\nmax_secrets = 100000\nmax_total_bytes = 268435456\n\
                 [browser]\nlisten = \"127.0.0.1:0\"\nattach = \"http://{browser}\"\n[log]\nformat = \"json\"\n"
            ),
        )?;
        let file = folder.join("secrets.json");
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?
            .write_all(secrets.as_bytes())?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_bauta"))
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--secrets")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().context("its log")?;
        let mut sidecar = Self {
            process,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let mut lines = BufReader::new(log).lines();
        let listening = |line: io::Result<String>| -> Option<SocketAddr> {
            let line: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
            let is_it = line["channel"] == "browser";
            is_it
                .then(|| line["address"].as_str()?.parse().ok())
                .flatten()
        };
        sidecar.address = lines
            .find_map(listening)
            .context("the sidecar does not say where it listens")?;
        // Read on, or it waits for us.
        thread::spawn(move || lines.for_each(drop));
        Ok(sidecar)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
