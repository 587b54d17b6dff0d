//! Files that change while the binary runs.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::audit_kit::Clock;
use super::model_child::{Process, put_config, write_config};
use super::model_kit::{BOUND, OK, TOKEN, Upstream, Wire, post};

/// Sends `body` until the upstream sees `expected`, each answer on the same two connections. Returns the time that this took, each
/// exchange being a lap: that the machine stands still says nothing of the sidecar.
fn until_seen(client: &mut Wire, peer: &mut Wire, body: &str, expected: &str) -> Duration {
    let begun = Instant::now();
    let mut clock = Clock::start();
    loop {
        client.send(post("/p/x", "", body.as_bytes()));
        let seen = peer.request().body;
        peer.send(OK);
        assert_eq!(client.message("POST").status(), 200);
        let took = clock.lap();
        if seen == expected.as_bytes() {
            return took;
        }
        assert!(
            begun.elapsed() < BOUND,
            "never in force: {}",
            String::from_utf8_lossy(&seen)
        );
    }
}

#[test]
fn changed_secrets_are_live_within_a_second_and_no_connection_drops() {
    let upstream = Upstream::bind();
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_token");
    peer.send(OK);
    client.message("POST");

    let renamed = |key: &str| format!(r#"{{"https://example.com": {{"{key}": "{TOKEN}"}}}}"#);
    let path = process.path("secrets.json");
    // In place.
    fs::write(&path, renamed("x_in_place")).unwrap();
    let mut took = vec![until_seen(&mut client, &mut peer, TOKEN, "x_in_place")];
    // By a rename over it.
    fs::write(process.path("next"), renamed("x_renamed")).unwrap();
    fs::rename(process.path("next"), &path).unwrap();
    took.push(until_seen(&mut client, &mut peer, TOKEN, "x_renamed"));
    assert!(
        took.iter().all(|took| *took < Duration::from_secs(1)),
        "{took:?}"
    );

    // What is not valid changes nothing, and is said without a value.
    for bad in [
        format!("{{\"{TOKEN}"),
        format!(r#"{{"x_token": "{TOKEN}"}}"#),
        String::new(),
        " \n".to_owned(),
    ] {
        fs::write(process.path("next"), bad).unwrap();
        fs::rename(process.path("next"), &path).unwrap();
        process.line("the changed secrets are not used");
        until_seen(&mut client, &mut peer, TOKEN, "x_renamed");
    }
    fs::remove_file(&path).unwrap();
    process.line("the changed secrets are not used");
    until_seen(&mut client, &mut peer, TOKEN, "x_renamed");
    fs::write(&path, "{}").unwrap();
    until_seen(&mut client, &mut peer, TOKEN, TOKEN);
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert!(!process.rest_of_log().contains(TOKEN));
}

#[test]
fn a_swapped_kubernetes_volume_counts_as_a_change() {
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    let volume = |name: &str, key: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(
            path.join("secrets.json"),
            format!(r#"{{"https://example.com": {{"{key}": "{TOKEN}"}}}}"#),
        )
        .unwrap();
    };
    let link =
        |from: &str, to: &str| std::os::unix::fs::symlink(from, folder.path().join(to)).unwrap();
    volume("..one", "x_one");
    volume("..two", "x_two");
    volume("..three", "x_three");
    link("..one", "..data");
    link("..data/secrets.json", "secrets.json");
    let root = folder.path().to_owned();
    let process = Process::start_in(folder, "secrets.json");
    let mut client = process.connect();
    client.send(post("/p/x", "", TOKEN.as_bytes()));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"x_one");
    peer.send(OK);
    client.message("POST");
    for (name, expected) in [("..two", "x_two"), ("..three", "x_three")] {
        std::os::unix::fs::symlink(name, root.join("..tmp")).unwrap();
        fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
        let took = until_seen(&mut client, &mut peer, TOKEN, expected);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_changed_configuration_is_live_and_a_bad_one_changes_nothing() {
    let (upstream, other) = (Upstream::bind(), Upstream::bind());
    let mut process = Process::start(&upstream, "");
    let mut client = process.connect();
    client.send(post("/p/1", "", b"1"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    client.message("POST");

    put_config(process.folder.path(), "[model]\nnonsense = 1\n");
    process.line("the changed configuration is not used");
    client.send(post("/p/2", "", b"2"));
    assert_eq!(peer.request().body, b"2");

    // While a request is in flight.
    write_config(
        process.folder.path(),
        &other,
        "[placeholder]\noutput = \"{{{key}}}\"\n",
    );
    process.line("the changed configuration is in force");
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);
    client.send(post(
        "/p/3",
        "Content-Type: text/plain\r\n",
        TOKEN.as_bytes(),
    ));
    let mut peer = other.accept();
    assert_eq!(peer.request().body, b"{{x_token}}");
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);

    // A block that the provider signed: refused, and passed once that is in force.
    let signed = format!(r#"{{"thinking":"{TOKEN}","signature":"s"}}"#);
    client.send(post("/p/4", "", signed.as_bytes()));
    assert_eq!(client.message("POST").error().0, 422);
    let text = fs::read_to_string(process.path("bauta.toml")).unwrap();
    let passing = text.replace("[model]\n", "[model]\nsigned = \"pass\"\n");
    put_config(process.folder.path(), &passing);
    process.line("the changed configuration is in force");
    client.send(post("/p/5", "", signed.as_bytes()));
    assert_eq!(peer.request().body, signed.as_bytes());
    peer.send(OK);
    assert_eq!(client.message("POST").status(), 200);

    put_config(
        process.folder.path(),
        &text.replace("127.0.0.1:0", "127.0.0.1:9"),
    );
    process.line("change with a restart only");
}
