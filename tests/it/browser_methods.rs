//! The method table beside what the installed browser lists.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use bauta::browser::methods::{self, Rule};
use serde_json::Value;

/// A browser with a port, which ends with the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the browser says of its protocol.
fn protocol() -> Value {
    let profile = tempfile::tempdir().unwrap();
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",
        "about:blank",
    ];
    let browser = Command::new("/usr/bin/chromium")
        .args(arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut browser = Browser(browser.expect("Chromium is installed: apt install chromium"));
    let port = port(&mut browser);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET /json/protocol HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        match line
            .trim_end()
            .to_ascii_lowercase()
            .split_once("content-length:")
        {
            Some((_, text)) => length = text.trim().parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The browser says on its standard error where it listens.
fn port(browser: &mut Browser) -> u16 {
    let mut lines = BufReader::new(browser.0.stderr.take().unwrap()).lines();
    let port = lines.by_ref().find_map(|line| {
        let line = line.ok()?;
        let (_, rest) = line.split_once("DevTools listening on ws://127.0.0.1:")?;
        rest.split('/').next()?.parse().ok()
    });
    // What else it says is read, so that it does not wait for us.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("the browser listens")
}

fn names<'p>(protocol: &'p Value, what: &str) -> BTreeSet<String> {
    let domains = protocol["domains"].as_array().unwrap().iter();
    let all = domains.flat_map(|domain: &'p Value| {
        let members = domain[what].as_array().into_iter().flatten();
        members.map(|member| {
            format!(
                "{}.{}",
                domain["domain"].as_str().unwrap(),
                member["name"].as_str().unwrap()
            )
        })
    });
    all.collect()
}

#[test]
fn every_method_of_the_installed_browser_has_a_row() {
    let protocol = protocol();
    let listed = names(&protocol, "commands");
    assert!(listed.len() > 500);
    let without: Vec<_> = listed
        .iter()
        .filter(|method| methods::rule(method).0 == Rule::Unknown)
        .collect();
    let rows: BTreeSet<String> = methods::all().map(str::to_owned).collect();
    println!(
        "rows that this browser does not list: {:?}",
        rows.difference(&listed).collect::<Vec<_>>()
    );
    assert!(
        without.is_empty(),
        "methods without a row, which are refused: {without:#?}"
    );
    let observed = names(&protocol, "events")
        .into_iter()
        .filter(|event| methods::observer(event).is_some());
    assert!(
        observed.count() >= 12,
        "an event that a handler must see is called otherwise now"
    );
}
