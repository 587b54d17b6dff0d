//! Who takes part: nothing in between, nginx, haproxy, mirage-proxy, and Bauta with few and with many secrets.
//!
//! Each is set up as somebody who wants speed would: two workers or threads, kept upstream connections, no access log, bodies
//! and streams passed on as they come.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::process::Process;
use super::sidecar::SIDECAR;

/// Where a mirage-proxy that was built by `benches/proxy/mirage` believes OpenAI to be.
pub const MIRAGE_UPSTREAM: u16 = 18_777;

/// Secrets of Bauta's entries. Without any nothing is read, so that what remains is the plumbing: only on request.
const SECRETS: [usize; 3] = [0, 10, 500];

/// How nginx passes bodies on as they come. By default it keeps a body larger than 16 KB in a file until it is complete.
const NGINX_STREAMS: &str =
    "client_body_buffer_size 128k; proxy_request_buffering off; proxy_buffering off;";

/// How long one may take until it accepts connections.
const START_TIME: Duration = Duration::from_secs(20);

/// One way from the load to the upstream.
pub struct Contestant {
    /// Its name in the tables.
    pub name: String,
    /// Where requests go.
    pub address: SocketAddr,
    /// Whether a body without an occurrence arrives as it was sent.
    pub exact: bool,
    process: Option<Process>,
}

impl Contestant {
    /// The ids of its processes; none for the direct way.
    pub fn pids(&self) -> Vec<u32> {
        self.process.as_ref().map_or_else(Vec::new, Process::tree)
    }

    /// Whether it stands between load and upstream.
    pub fn is_proxy(&self) -> bool {
        self.process.is_some()
    }
}

/// Those who take part, and what there is to say about those who do and those who cannot.
pub struct Field {
    /// In the order of the tables.
    pub contestants: Vec<Contestant>,
    /// Versions of those who take part; why others are missing.
    pub remarks: Vec<String>,
}

/// Starts everyone who is named, or everyone; what is not installed is left out.
pub fn start(upstream: SocketAddr, folder: &Path, only: &[String]) -> Result<Field> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    let mut field = Field {
        contestants: vec![Contestant {
            name: "direct".to_owned(),
            address: upstream,
            exact: true,
            process: None,
        }],
        remarks: Vec::new(),
    };
    let install = "`apt install nginx-light haproxy`";
    if wanted("nginx") {
        match find("nginx") {
            Some(program) => {
                field.remark(&program, "-v");
                field.add("nginx", folder, |port, folder| {
                    nginx(&program, port, upstream, folder, NGINX_STREAMS)
                })?;
            }
            None => field
                .remarks
                .push(format!("nginx: not installed ({install})")),
        }
    }
    if let Some(program) = find("nginx").filter(|_| only.iter().any(|name| name == "nginx-plain")) {
        field.add("nginx-plain", folder, |port, folder| {
            nginx(&program, port, upstream, folder, "")
        })?;
    }
    if wanted("haproxy") {
        match find("haproxy") {
            Some(program) => {
                field.remark(&program, "-v");
                field.add("haproxy", folder, |port, folder| {
                    haproxy(&program, port, upstream, folder)
                })?;
            }
            None => field
                .remarks
                .push(format!("haproxy: not installed ({install})")),
        }
    }
    if wanted("mirage") {
        match find("mirage-proxy") {
            Some(program) if goes_to_loopback(&program)? => {
                field.remark(&program, "--version");
                field.add("mirage", folder, |port, _| Ok(mirage(&program, port)))?;
                field.last_is_inexact();
            }
            Some(_) => field.remarks.push(
                "mirage-proxy: the one on PATH would send to OpenAI; see benches/README.md"
                    .to_owned(),
            ),
            None => field
                .remarks
                .push("mirage-proxy: not installed (see benches/README.md)".to_owned()),
        }
    }
    for count in SECRETS {
        let name = format!("bauta {count}");
        let named = only.contains(&format!("bauta{count}"));
        if named || (count > 0 && wanted("bauta")) {
            field.add(&name, folder, |port, _| bauta(port, upstream, count))?;
        }
    }
    Ok(field)
}

impl Field {
    /// Adds one; `command` gets the port to listen on and a folder of its own, and returns what to run.
    fn add(
        &mut self,
        name: &str,
        folder: &Path,
        command: impl Fn(u16, &Path) -> Result<Vec<OsString>>,
    ) -> Result<()> {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let port = free_port()?;
        let mut process = Process::start(&command(port, &folder)?, &folder)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.ended();
            if ended.is_some() || begun.elapsed() > START_TIME {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                let state = ended.unwrap_or_else(|| "it does not listen".to_owned());
                bail!("{name} does not start: {state}\n{log}");
            }
            sleep(Duration::from_millis(20));
        }
        self.contestants.push(Contestant {
            name: name.to_owned(),
            address,
            exact: true,
            process: Some(process),
        });
        Ok(())
    }

    fn last_is_inexact(&mut self) {
        if let Some(last) = self.contestants.last_mut() {
            last.exact = false;
        }
    }

    /// Notes the first line of what a program says about its version.
    fn remark(&mut self, program: &Path, flag: &str) {
        let Ok(output) = Command::new(program).arg(flag).output() else {
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        self.remarks.extend(said.lines().next().map(str::to_owned));
    }
}

/// `streams`: how it passes bodies on; nothing for its defaults.
fn nginx(
    program: &Path,
    port: u16,
    upstream: SocketAddr,
    folder: &Path,
    streams: &str,
) -> Result<Vec<OsString>> {
    // Workers of a master that is root would become somebody who cannot enter our folder.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let text = format!(
        "{user}
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr error;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_timeout 300s;
    keepalive_requests 100000000;
    client_max_body_size 0;
    upstream model {{
        server {upstream};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            {streams}
        }}
    }}
}}
"
    );
    let file = write(folder, "nginx.conf", &text)?;
    let mut prefix = folder.as_os_str().to_owned();
    prefix.push("/");
    Ok(words(&[
        program.as_os_str(),
        "-e".as_ref(),
        "stderr".as_ref(),
        "-p".as_ref(),
        &prefix,
        "-c".as_ref(),
        file.as_os_str(),
    ]))
}

fn haproxy(
    program: &Path,
    port: u16,
    upstream: SocketAddr,
    folder: &Path,
) -> Result<Vec<OsString>> {
    let text = format!(
        "global
    nbthread 2
    maxconn 4096
defaults
    mode http
    timeout connect 10s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
    http-reuse always
    option http-no-delay
frontend agent
    bind 127.0.0.1:{port}
    default_backend model
backend model
    server model {upstream}
"
    );
    let file = write(folder, "haproxy.cfg", &text)?;
    Ok(words(&[
        program.as_os_str(),
        "-db".as_ref(),
        "-f".as_ref(),
        file.as_os_str(),
    ]))
}

fn mirage(program: &Path, port: u16) -> Vec<OsString> {
    let port = port.to_string();
    let arguments = ["--port", &port, "--no-update-check", "--log-level", "error"];
    let arguments = arguments.map(OsStr::new);
    [vec![program.into()], words(&arguments)].concat()
}

fn bauta(port: u16, upstream: SocketAddr, secrets: usize) -> Result<Vec<OsString>> {
    Ok(vec![
        env::current_exe()?.into(),
        SIDECAR.into(),
        port.to_string().into(),
        upstream.to_string().into(),
        secrets.to_string().into(),
    ])
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = folder.join(name);
    fs::write(&file, text).with_context(|| format!("{name} cannot be written"))?;
    Ok(file)
}

fn words(words: &[&OsStr]) -> Vec<OsString> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A port that was free a moment ago: neither nginx nor haproxy can be asked which one it took.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// A program on PATH, or where Debian puts servers, which is not on everybody's.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Whether this mirage-proxy was built to send to the bench: an ordinary one would send to OpenAI.
fn goes_to_loopback(program: &Path) -> Result<bool> {
    let upstream = format!("http://127.0.0.1:{MIRAGE_UPSTREAM}");
    let bytes = fs::read(program)?;
    Ok(memchr::memmem::find(&bytes, upstream.as_bytes()).is_some()
        && memchr::memmem::find(&bytes, b"https://api.openai.com").is_none())
}
