//! `bauta audit`, through the real binary.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::cli::said;
use crate::cli_vault_kit::{Place, steady};
use crate::model_child::{Process, write_config};
use crate::model_kit::{BOUND, OK, Upstream, post};

fn place() -> Place {
    let place = Place::new();
    place.set("x_a", "hunter22-one", &[]);
    place.set(
        "x_b",
        "hunter22-two",
        &["--domain", "https://api.example.com"],
    );
    place.set("x_c", "hunter22-three", &["--scope", "user:ada"]);
    place
}

/// The log's own lines.
fn log(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path().join("data/audit.log")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_change_stands_in_the_log_with_who_did_it() {
    let place = place();
    let events = place.events("secret.set");
    assert_eq!(events.len(), 3);
    let uid = rustix::process::getuid().as_raw();
    for (event, (key, domain, scope)) in events.iter().zip([
        ("x_a", "https://example.com", "agent:agent"),
        ("x_b", "https://api.example.com", "agent:agent"),
        ("x_c", "https://example.com", "user:ada"),
    ]) {
        assert_eq!(event["key"], key);
        assert_eq!(event["domain"], domain);
        assert_eq!(event["scope"], scope);
        assert_eq!(event["channel"], "cli");
        assert_eq!(event["outcome"], "asked");
        assert_eq!(event["who"], format!("uid:{uid}"));
    }
}

#[test]
fn search_and_tail_show_a_line_each_that_fits() {
    let place = place();
    let uid = rustix::process::getuid().as_raw();
    let expected = |key: &str, domain: &str, scope: &str| {
        let time = "T".repeat(24);
        let line = format!(
            "{time}  secret.set      asked   {key} for {domain} in {scope} by uid:{uid} on cli"
        );
        if line.chars().count() <= 100 {
            return format!("{line}\n");
        }
        let short: String = line.chars().take(99).collect();
        format!("{short}…\n")
    };
    let all = [
        expected("x_a", "https://example.com", "agent:agent"),
        expected("x_b", "https://api.example.com", "agent:agent"),
        expected("x_c", "https://example.com", "user:ada"),
    ];
    let rows: [(&[&str], String); 8] = [
        (&["search"], all.concat()),
        (&["search", "--key", "x_b"], all[1].clone()),
        (
            &["search", "--event", "secret.*", "--key", "x_c"],
            all[2].clone(),
        ),
        (&["search", "--event", "mask"], String::new()),
        (&["search", "--since", "1h"], all.concat()),
        (&["search", "--until", "1h"], String::new()),
        (
            &[
                "search",
                "--since",
                "2000-01-01T00:00:00+01:00",
                "--until",
                "2100-01-01T00:00:00Z",
            ],
            all.concat(),
        ),
        (&["tail", "-n", "1"], all[2].clone()),
    ];
    for (args, expected) in rows {
        let mut line = vec!["audit"];
        line.extend(args);
        let out = place.done(&line);
        let masked: String = steady(&out);
        // Whatever else the log says (the vault's making) is not of these rows.
        let kept: String = masked
            .lines()
            .filter(|line| line.contains("secret.set"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(kept, expected, "{args:?}");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    }
}

#[test]
fn json_gives_the_logs_own_lines() {
    let place = place();
    let out = place.done(&["--json", "audit", "search"]);
    assert_eq!(
        out.lines().map(str::to_owned).collect::<Vec<_>>(),
        log(&place)
    );
    let out = place.done(&["--json", "audit", "tail", "-n", "2"]);
    let lines: Vec<String> = out.lines().map(str::to_owned).collect();
    let all = log(&place);
    assert_eq!(lines, all[all.len() - 2..]);
}

#[test]
fn a_wrong_time_is_said() {
    let place = place();
    let (code, out, err) = place.run(&["audit", "search", "--since", "yesterday"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: --since is no time. Use an age such as 90m, 2h or 7d, or a time such as 2026-01-31T12:00:00Z\n"
    );
}

#[test]
fn without_a_log_the_commands_say_so() {
    let place = Place::new();
    for args in [&["audit", "tail"][..], &["audit", "search"]] {
        let (code, out, err) = place.run(args);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(
            err.starts_with("error: there is no audit log at data/audit.log yet. "),
            "{err}"
        );
    }
    let (code, _, err) = place.run(&["audit", "verify"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("there is no vault at data/vault.db. Run: bauta key init"),
        "{err}"
    );
}

#[test]
fn tail_follows() {
    let place = place();
    let mut child = place
        .command(&["--json", "audit", "tail", "-n", "0", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Nobody says when it has begun to follow, so there is a new event until one is seen.
    let mut changes = 0;
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || sender.send(lines.next()));
    let line = loop {
        changes += 1;
        assert!(changes < 100, "nothing was followed");
        place.set("x_new", &format!("hunter22-new-{changes}"), &[]);
        if let Ok(line) = receiver.recv_timeout(std::time::Duration::from_millis(500)) {
            break line.unwrap().unwrap();
        }
    };
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["key"], "x_new");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
fn verify_finds_the_log_whole() {
    let place = place();
    let count = log(&place).len();
    let out = place.done(&["audit", "verify"]);
    assert_eq!(
        out,
        format!("data/audit.log: {count} events in 1 file, nothing was changed\n")
    );
    let report = place.json(&["audit", "verify"]);
    assert_eq!(report["ok"], true);
    assert_eq!(report["events"], count);
    assert_eq!(report["beyond_head"], 0);
}

#[test]
fn verify_names_what_was_changed() {
    type Change = fn(&mut Vec<String>);
    let rows: [(Change, usize, &str); 5] = [
        (
            |lines| lines[1] = lines[1].replace("x_b", "x_z"),
            2,
            "the record was edited or inserted: its MAC does not hold",
        ),
        (
            |lines| drop(lines.remove(1)),
            2,
            "records 2 to 2 are missing before this line: they were removed or moved",
        ),
        (
            |lines| lines.swap(1, 2),
            2,
            "records 2 to 2 are missing before this line: they were removed or moved",
        ),
        (
            |lines| lines.insert(2, "{}".to_owned()),
            3,
            "this is not a record: it was edited or inserted",
        ),
        (
            |lines| drop(lines.pop()),
            0,
            "missing at the end: the log was cut",
        ),
    ];
    let place = Place::new();
    for (key, value) in [
        ("x_a", "hunter22-one"),
        ("x_b", "hunter22-two"),
        ("x_c", "hunter22-three"),
    ] {
        place.set(key, value, &[]);
    }
    let good = log(&place);
    let at_b = good
        .iter()
        .position(|line| line.contains("\"x_b\""))
        .unwrap();
    assert_eq!(at_b, 1, "the rows above count on it");
    for (change, line, what) in rows {
        let mut lines = good.clone();
        change(&mut lines);
        fs::write(place.path().join("data/audit.log"), lines.join("\n") + "\n").unwrap();
        let (code, out, err) = place.run(&["audit", "verify"]);
        let line = if line == 0 { lines.len() + 1 } else { line };
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(
            err.starts_with(&format!("error: data/audit.log, line {line}")),
            "{err}"
        );
        assert!(err.contains(what), "{err}");
        let (code, out, err) = place.run(&["--json", "audit", "verify"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, err.as_str()), (1, ""));
        assert_eq!(
            (&report["ok"], &report["line"]),
            (&false.into(), &line.into())
        );
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let place = place();
    let path = place.path().join("data/audit.log");
    // More than a pipe holds.
    let lines = fs::read_to_string(&path).unwrap().repeat(2000);
    fs::write(&path, lines).unwrap();
    let mut child = place
        .command(&["--json", "audit", "search"])
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let got = said(&child.wait_with_output().unwrap());
    assert_eq!(got, (0, String::new(), String::new()));
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    let place = place();
    let path = place.path().join("data/audit.log");
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    let line = r#"{"seq":99,"time":"2026-01-01T00:00:00.000Z","event":"mask","target":"\u001b[2J\u202eevil\nline","prev":"","mac":""}"#;
    writeln!(file, "{line}").unwrap();
    let out = place.done(&["audit", "search", "--event", "mask"]);
    assert_eq!(out.lines().count(), 1);
    assert!(out.contains("to \\u{1b}[2J\\u{202e}evil\\nline"), "{out}");
}

/// The whole way: a secret of the vault, a request of the agent, and the log that tells of it.
#[test]
fn p5_an_imported_secret_is_masked_and_the_log_tells_of_its_use() {
    let upstream = Upstream::bind();
    let place = Place::new();
    write_config(place.path(), &upstream, "");
    let json = r#"{"https://example.com": {"x_username": "alice.liddell", "x_password": "correct horse"}}"#;
    let (code, _, err) = place.give(&["secret", "import", "-"], json);
    assert_eq!(code, 0, "{err}");
    let serve = place.command(&["serve", "--config", "bauta.toml"]);
    let process = Process::of(serve, tempfile::tempdir().unwrap());
    let mut client = process.connect();
    client.send(post("/p/x", "", b"say correct horse twice: correct horse"));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"say x_password twice: x_password");
    peer.send(OK);
    client.message("POST");

    // What another process stores is masked from its acknowledgement on.
    place.set("x_later", "battery staple", &[]);
    client.send(post("/p/x", "", b"battery staple"));
    assert_eq!(peer.request().body, b"x_later");
    peer.send(OK);
    client.message("POST");

    let begun = Instant::now();
    let events = loop {
        let events = place.events("mask");
        if events.len() == 2 {
            break events;
        }
        assert!(begun.elapsed() < BOUND, "{events:?}");
    };
    assert_eq!(
        (&events[0]["key"], &events[0]["count"], &events[0]["method"]),
        (&"x_password".into(), &2.into(), &"POST".into())
    );
    assert_eq!(events[1]["key"], "x_later");
    let found = place.done(&[
        "audit",
        "search",
        "--key",
        "x_password",
        "--event",
        "mask",
        "--since",
        "1h",
    ]);
    assert_eq!(found.lines().count(), 1);
    assert!(found.contains(" x_password x2 "), "{found}");
    let shown = place.json(&["secret", "show", "x_password"]);
    assert!(shown["secrets"][0]["masked"].is_string(), "{shown}");
    let list = place.json(&["secret", "list", "--stale", "1"]);
    assert_eq!(list["secrets"].as_array().unwrap().len(), 0);
    place.done(&["audit", "verify"]);
    let log = fs::read_to_string(place.path().join("data/audit.log")).unwrap();
    assert!(!log.contains("horse") && !log.contains("staple"), "{log}");
}

#[test]
fn p3_the_log_of_the_commands_holds_no_value() {
    let place = place();
    let (code, _, err) = place.give(&["secret", "rotate", "x_a"], "hunter22-four");
    assert_eq!(code, 0, "{err}");
    let all = log(&place).concat();
    assert!(!all.contains("hunter"), "{all}");
}
