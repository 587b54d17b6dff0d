//! `bauta run`: a command with a sidecar of its own.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use tempfile::TempDir;

use super::coders::noise;
use super::model_kit::{BOUND, OK, TOKEN, Upstream, Wire, last, post};
use super::run_kit::{
    Running, command, connect, folder, run, run_with_input, text, with_vault, write_secrets,
};

#[test]
fn the_exit_code_is_the_commands() {
    let folder = folder(None, "");
    fs::write(folder.path().join("plain.txt"), "#!/bin/sh\n").unwrap();
    for (cmd, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-command-of-this-machine"], 127),
        (&["./no/such/file"], 127),
        (&["./plain.txt"], 126),
        (&["."], 126),
    ] {
        let done = run(folder.path(), &[], cmd);
        assert_eq!(
            done.status.code(),
            Some(code),
            "{cmd:?}: {}",
            text(&done.stderr)
        );
    }
    let done = run(folder.path(), &["-q"], &["./plain.txt"]);
    let said = text(&done.stderr);
    assert!(
        said.starts_with("error: cannot run ./plain.txt: "),
        "{said}"
    );
    assert!(said.contains("Make it executable"), "{said}");
}

#[test]
fn nothing_runs_if_something_is_wrong_before() {
    let folder = folder(None, "");
    let marker = folder.path().join("ran");
    let touch = ["touch", marker.to_str().unwrap()];
    let secret = "sk-on-the-command-line-1";
    for (options, said) in [
        (&["--secrets", "none.json"][..], "none.json"),
        (
            &["--env", "OPENAI_BASE_URL"],
            "the command gets this variable from bauta",
        ),
        (&["--env", ""], "the name of a variable alone"),
        (
            &["--env", "A=sk-on-the-command-line-1"],
            "the name of a variable alone",
        ),
    ] {
        let done = run(folder.path(), options, &touch);
        let stderr = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(
            stderr.contains(said) && !stderr.contains(secret),
            "{stderr}"
        );
    }
    let done = command(folder.path(), &[], &[]).output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    fs::write(folder.path().join("bauta.toml"), "[log]\n").unwrap();
    let done = run(folder.path(), &[], &touch);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("[model]"));
    assert!(!marker.exists());
}

#[test]
fn the_master_key_is_never_handed_on() {
    let allowed = folder(None, "[vault]\nmaster_key = \"env:XDG_KEY\"\n");
    let (got, _) = environment(allowed.path(), &[], &[("XDG_KEY", "k"), ("XDG_OTHER", "o")]);
    assert!(got.contains_key("XDG_OTHER") && !got.contains_key("XDG_KEY"));

    let folder = folder(None, "[vault]\nmaster_key = \"env:MINE\"\n");
    let done = command(folder.path(), &["--env", "MINE"], &["true"])
        .env("MINE", "k")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("--env MINE: that is the vault's master key"));
}

/// The environment that a command gets, by name.
fn environment(
    folder: &Path,
    options: &[&str],
    ours: &[(&str, &str)],
) -> (BTreeMap<String, String>, String) {
    let done = command(folder, options, &["env", "-0"])
        .envs(ours.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let variables = text(&done.stdout)
        .split_terminator('\0')
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect();
    (variables, text(&done.stderr))
}

#[test]
fn p3_the_environment_is_an_allow_list() {
    const REAL: &str = "sk-real-3jVd82kQ";
    let folder = folder(
        None,
        "secret = \"x_token\"\n[[model.provider]]\nname = \"mistral\"\nsecret = \"x_password\"\n",
    );
    let (got, said) = environment(
        folder.path(),
        &["--env", "MINE", "--env", "GROQ_API_KEY", "--env", "ABSENT"],
        &[
            ("OPENAI_API_KEY", REAL),
            ("ANTHROPIC_API_KEY", REAL),
            ("AWS_SECRET_ACCESS_KEY", REAL),
            ("GROQ_API_KEY", "mine to give"),
            ("MINE", "m"),
            ("LANG", "C.UTF-8"),
            ("LC_TIME", "C"),
            ("XDG_DATA_HOME", "/d"),
            ("LD_LIBRARY_PATH", "/l"),
            ("HTTPS_PROXY", "http://127.0.0.1:9"),
        ],
    );
    let root = &got["BAUTA_URL"];
    assert!(
        root.starts_with("http://127.0.0.1:") && !root.ends_with(":1"),
        "{root}"
    );
    for (name, value) in [
        ("OPENAI_API_KEY", "x_token".to_owned()),
        ("CODEX_API_KEY", "x_token".to_owned()),
        ("MISTRAL_API_KEY", "x_password".to_owned()),
        ("OPENAI_BASE_URL", format!("{root}/openai/v1")),
        ("OPENAI_API_BASE", format!("{root}/openai/v1")),
        ("ANTHROPIC_BASE_URL", format!("{root}/anthropic")),
        ("GOOGLE_GEMINI_BASE_URL", format!("{root}/gemini")),
        ("GROQ_BASE_URL", format!("{root}/groq-sdk")),
        ("GROQ_API_KEY", "mine to give".to_owned()),
        ("MINE", "m".to_owned()),
        ("LC_TIME", "C".to_owned()),
    ] {
        assert_eq!(got.get(name), Some(&value), "{name}");
    }
    let ours = |name: &str| {
        name.ends_with("_BASE_URL") || name.ends_with("_API_BASE") || name == "OLLAMA_HOST"
    };
    let others: Vec<&str> = got
        .keys()
        .map(String::as_str)
        .filter(|name| !ours(name))
        .collect();
    assert_eq!(
        others,
        [
            "BAUTA_URL",
            "CODEX_API_KEY",
            "GROQ_API_KEY",
            "HOME",
            "LANG",
            "LC_TIME",
            "MINE",
            "MISTRAL_API_KEY",
            "OPENAI_API_KEY",
            "PATH",
            "XDG_DATA_HOME"
        ]
    );
    assert!(!got.values().any(|value| value.contains(REAL)));
    for part in [
        "note: values are kept from the model, not from the command",
        "note: not handed on to the command: ANTHROPIC_API_KEY, AWS_SECRET_ACCESS_KEY, OPENAI_API_KEY.",
        "note: --env: not set here: ABSENT",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains(REAL) && !said.contains(TOKEN), "{said}");
}

#[test]
fn secrets_of_the_kind_env_are_exported_as_placeholders() {
    let folder = folder(None, "[placeholder]\noutput = \"<secret>{key}</secret>\"\n");
    write_secrets(
        folder.path(),
        r#"{"https://a.example": {"STRIPE_KEY": {"value": "rk-4242-4242-4242", "kind": "env"},
            "PATH": {"value": "not-a-path-at-all", "kind": "env"}, "x_other": "plain-credential"},
            "https://b.example": {"STRIPE_KEY": {"value": "rk-1717-1717-1717", "kind": "env"}}}"#,
    );
    let (got, said) = environment(folder.path(), &[], &[]);
    assert_eq!(got["STRIPE_KEY"], "<secret>STRIPE_KEY</secret>");
    assert_eq!(got["PATH"], std::env::var("PATH").unwrap());
    assert!(!got.contains_key("x_other"));
    assert!(
        said.contains("are not exported, for the command has a variable of that name: PATH"),
        "{said}"
    );
    assert!(
        !said.contains("rk-") && !said.contains("not-a-path"),
        "{said}"
    );
}

#[test]
fn it_says_what_it_does_not_protect_against_unless_told_not_to() {
    let folder = folder(None, "");
    assert_eq!(text(&run(folder.path(), &["-q"], &["true"]).stderr), "");
    let json = text(&run(folder.path(), &["--json"], &["true"]).stderr);
    let note: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(note["level"], "note");
    assert!(note["text"].as_str().unwrap().contains("same user"));
}

#[test]
fn standard_streams_are_the_commands() {
    let folder = folder(None, "");
    let input = noise(3 << 20);
    let done = run_with_input(
        command(folder.path(), &["-q"], &["sh", "-c", "cat; echo said >&2"]),
        input.clone(),
    );
    assert!(
        done.stdout == input,
        "{} bytes came back",
        done.stdout.len()
    );
    assert_eq!(text(&done.stderr), "said\n");
}

#[test]
fn p3_secrets_on_standard_input_cannot_be_read_again() {
    let folder = folder(None, "");
    let file = File::open(folder.path().join("secrets.json")).unwrap();
    // A file can be read from its beginning again by whoever inherits it.
    let done = command(
        folder.path(),
        &["--secrets", "-"],
        &["sh", "-c", "cat /dev/stdin; echo end"],
    )
    .stdin(file)
    .output()
    .unwrap();
    assert_eq!(text(&done.stdout), "end\n", "{}", text(&done.stderr));
}

#[test]
fn the_command_reaches_its_sidecar_for_as_long_as_it_runs() {
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "");
    let (mut running, addr) = Running::script(folder.path(), "read line; echo \"$line\"; exit 4");
    let mut client = connect(addr);
    client.send(post("/openai/v1/responses", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(
        (seen.line(), seen.body.as_slice()),
        ("POST /v1/responses HTTP/1.1", &b"x_token"[..])
    );
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    running.tell("over");
    assert_eq!(running.end(), ("over\n".to_owned(), Some(4)));
    assert!(TcpStream::connect(addr).is_err());
}

/// A command that has ended while a request is in flight, and both ends of that.
fn gone_with_a_request_in_flight(upstream: &Upstream, folder: &TempDir) -> (Running, Wire, Wire) {
    let (mut running, addr) = Running::script(folder.path(), "read line; echo gone; exit 6");
    let mut client = connect(addr);
    client.send(post("/openai/v1/x", "", b"1"));
    let mut peer = upstream.accept();
    peer.request();
    running.tell("");
    assert_eq!(running.line(), "gone");
    let begun = Instant::now();
    while TcpStream::connect(addr).is_ok() {
        assert!(begun.elapsed() < BOUND, "the listener stays open");
    }
    (running, client, peer)
}

#[test]
fn what_is_in_flight_when_the_command_ends_is_answered() {
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "");
    let (running, mut client, mut peer) = gone_with_a_request_in_flight(&upstream, &folder);
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    assert_eq!(running.end().1, Some(6));
}

#[test]
fn a_signal_cuts_what_is_in_flight_after_the_command() {
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "");
    let (running, mut client, _peer) = gone_with_a_request_in_flight(&upstream, &folder);
    running.signal(Signal::TERM);
    client.end();
    assert_eq!(running.end().1, Some(6));
}

#[test]
fn signals_go_on_to_the_command() {
    let folder = folder(None, "");
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        // A shell's `wait` ends at once for a trap.
        let script = format!(
            "trap 'echo got {name}; kill -KILL $!; exit 3' {name}\nsleep 60 & echo ready\nwait\nexit 9"
        );
        let (mut running, _) = Running::script(folder.path(), &script);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.end(), (format!("got {name}\n"), Some(3)), "{name}");
    }
}

#[test]
fn a_signal_that_ends_the_command_is_in_the_exit_code() {
    let folder = folder(None, "");
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::USR1, 138)] {
        let (mut running, _) = Running::script(folder.path(), "echo ready; read line; exit 9");
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        let begun = Instant::now();
        // The input stays open: it is the signal that ends the command.
        assert_eq!(running.line(), "");
        assert!(begun.elapsed() < BOUND);
        assert_eq!(running.end().1, Some(code));
    }
}

#[test]
fn a_command_that_outlives_a_signal_keeps_its_sidecar() {
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "");
    let (mut running, addr) = Running::script(
        folder.path(),
        "trap '' TERM INT; echo ready; read line; echo \"$line\"; exit 5",
    );
    assert_eq!(running.line(), "ready");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        running.signal(signal);
        let mut client = connect(addr);
        client.send(post(
            "/openai/v1/x",
            "Connection: close\r\n",
            TOKEN.as_bytes(),
        ));
        let mut peer = upstream.accept();
        assert_eq!(peer.request().body, b"x_token");
        peer.send(last(OK));
        assert_eq!(client.message("POST").status(), 200);
    }
    running.tell("still here");
    assert_eq!(running.end(), ("still here\n".to_owned(), Some(5)));
}

#[test]
fn files_of_the_command_get_the_modes_that_they_would_have_without_us() {
    let folder = folder(None, "");
    let bauta = env!("CARGO_BIN_EXE_bauta");
    let script = format!(
        "umask 027; exec {bauta} run -q --config bauta.toml --secrets secrets.json -- sh -c 'umask; touch made'"
    );
    let done = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(
        text(&done.stdout).trim_start_matches('0'),
        "27\n",
        "{}",
        text(&done.stderr)
    );
    let mode = fs::metadata(folder.path().join("made"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_changed_configuration_does_not_move_the_sidecar() {
    let (first, second) = (Upstream::bind(), Upstream::bind());
    let folder = folder(Some(&first), "");
    let (running, addr) = Running::script(folder.path(), "read line");
    let path = folder.path().join("bauta.toml");
    let changed = fs::read_to_string(&path)
        .unwrap()
        .replace(&first.url(), &second.url());
    let other = folder.path().join("next.toml");
    fs::write(&other, changed).unwrap();
    fs::rename(other, path).unwrap();
    let begun = Instant::now();
    // Each request goes to one of the two; from some moment on to the second.
    loop {
        let mut client = connect(addr);
        client.send(post("/openai/v1/x", "Connection: close\r\n", b"1"));
        let (mut peer, moved) = loop {
            if let Some(peer) = first.try_accept() {
                break (peer, false);
            }
            if let Some(peer) = second.try_accept() {
                break (peer, true);
            }
            assert!(begun.elapsed() < BOUND);
        };
        peer.request();
        peer.send(last(OK));
        assert_eq!(client.message("POST").status(), 200);
        if moved {
            break;
        }
        assert!(begun.elapsed() < BOUND);
    }
    assert_eq!(
        running.end().1,
        Some(1),
        "the shell's, whose read found the end"
    );
}

/// The events of the audit logs of a folder's state, one list a log.
fn audited(folder: &Path) -> Vec<Vec<serde_json::Value>> {
    let entries = fs::read_dir(folder.join("data")).unwrap();
    let read = |path| {
        let log = fs::read_to_string(path).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

#[test]
fn p2_the_provider_gets_the_credential_and_the_command_its_name() {
    const REAL: &str = "sk-proj-8Hq2Zx71LmVb";
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "secret = \"x_openai_key\"\n");
    let secrets = format!(
        "{{\"{}\": {{\"x_openai_key\": \"{REAL}\"}}}}",
        upstream.url()
    );
    write_secrets(folder.path(), &secrets);
    let (mut running, addr) = Running::script(folder.path(), "echo \"$OPENAI_API_KEY\"; read line");
    let placeholder = running.line();
    assert_eq!(placeholder, "x_openai_key");
    let mut client = connect(addr);
    client.send(post(
        "/openai/v1/responses",
        &format!("Authorization: Bearer {placeholder}\r\n"),
        format!("is {REAL} yours?").as_bytes(),
    ));
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(
        seen.header("authorization").unwrap(),
        format!("Bearer {REAL}")
    );
    assert_eq!(seen.body, b"is x_openai_key yours?");
    let echo = format!(
        "HTTP/1.1 401 No\r\nContent-Length: {}\r\n\r\n{REAL}",
        REAL.len()
    );
    peer.send(echo);
    let answer = client.message("POST");
    assert_eq!(
        (answer.status(), answer.body.as_slice()),
        (401, &b"x_openai_key"[..])
    );
    drop(client);
    running.end();
    let logs = audited(folder.path());
    let names: Vec<&str> = logs[0]
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    // Masked in the request, and in the answer that tells it back.
    assert_eq!(
        names,
        ["start", "substitute", "mask", "mask", "stop"],
        "{logs:?}"
    );
    assert!(!format!("{logs:?}").contains(REAL));
}

#[test]
fn commands_run_side_by_side_with_a_log_each() {
    let upstream = Upstream::bind();
    let folder = folder(Some(&upstream), "");
    let both = [(); 2].map(|()| Running::script(folder.path(), "read line"));
    for _ in 0..3 {
        for (_, addr) in &both {
            let mut client = connect(*addr);
            client.send(post(
                "/openai/v1/x",
                "Connection: close\r\n",
                TOKEN.as_bytes(),
            ));
            let mut peer = upstream.accept();
            assert_eq!(peer.request().body, b"x_token");
            peer.send(last(OK));
            assert_eq!(client.message("POST").status(), 200);
        }
    }
    for (running, _) in both {
        running.end();
    }
    let logs = audited(folder.path());
    assert_eq!(logs.len(), 2);
    for log in logs {
        let names: Vec<&str> = log
            .iter()
            .map(|event| event["event"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["start", "mask", "mask", "mask", "stop"]);
    }
}

#[test]
fn p3_the_command_inherits_no_file_of_ours() {
    let folder = folder(None, "");
    let script = "for each in /proc/self/fd/*; do readlink $each; done; sleep 0";
    let done = with_vault(folder.path(), &["-q"], &["sh", "-c", script])
        .output()
        .unwrap();
    assert!(
        folder.path().join("data/vault.db").is_file(),
        "{}",
        text(&done.stderr)
    );
    let open = text(&done.stdout);
    assert!(open.contains("/dev/null"), "{open}");
    for part in ["data", "socket:", "anon_inode:", "secrets.json"] {
        assert!(!open.contains(part), "{open}");
    }
}

#[test]
fn p4_what_is_written_is_for_its_user_alone_whatever_the_umask() {
    let folder = folder(None, "");
    let script = format!(
        "umask 0; exec {} run -q --config bauta.toml -- sh -c 'ls -lA data >&2; umask'",
        env!("CARGO_BIN_EXE_bauta")
    );
    let done = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(
        text(&done.stdout).trim_matches('0'),
        "\n",
        "{}",
        text(&done.stderr)
    );
    let state = folder.path().join("data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&state), 0);
    let mut names = Vec::new();
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in ["vault.db", "master.key", "audit.log"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    // While it runs there are more: those of SQLite.
    let while_it_ran = text(&done.stderr);
    for line in while_it_ran.lines().filter(|line| line.starts_with('-')) {
        assert!(
            line.starts_with("-rw-------") || line.starts_with("-r--------"),
            "{while_it_ran}"
        );
    }
}

#[test]
fn a_signal_ends_a_start_that_hangs() {
    let folder = folder(None, "[vault]\nmaster_key = 'exec:[\"./key.sh\"]'\n");
    let runs = |script: &str| {
        fs::write(folder.path().join("key.sh"), script).unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(folder.path().join("key.sh"), mode).unwrap();
    };
    runs(&format!("#!/bin/sh\necho {}\n", "5a".repeat(32)));
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_bauta"))
        .current_dir(folder.path())
        .args(["key", "init", "--config", "bauta.toml"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    // Says that it runs, and prints no key.
    let marker = folder.path().join("begun");
    runs(&format!(
        "#!/bin/sh\n: > '{}'\nexec sleep 8\n",
        marker.display()
    ));
    let mut serve = std::process::Command::new(env!("CARGO_BIN_EXE_bauta"));
    serve
        .current_dir(folder.path())
        .args(["-q", "serve", "--config", "bauta.toml"]);
    let run = with_vault(folder.path(), &["-q"], &["touch", "ran"]);
    for (mut command, code) in [(run, 143), (serve, 0)] {
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while !marker.exists() {
            assert!(begun.elapsed() < BOUND);
            std::thread::yield_now();
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{command:?}");
        fs::remove_file(&marker).unwrap();
    }
    assert!(!folder.path().join("ran").exists());
}
