//! TLS on the listener: what it presents, whom it speaks with, and how it follows its files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bauta::app::Running;
use bauta::config::{Config, Limits};
use rustix::process::Signal;

use super::http2_kit::{Client, get, play, tls};
use super::model_child::{Process, write_config};
use super::model_kit::{End, SECRETS, Sidecar, TOKEN, Upstream, config, housed, secrets};
use super::model_tls::Authority;

fn secure(upstream: &Upstream, authority: &Authority) -> Config {
    let mut config = config(&upstream.url(), Limits::default());
    config.model.as_mut().unwrap().tls = Some(authority.listener("localhost"));
    config
}

#[test]
fn the_handshake_chooses_the_protocol_and_refuses_strangers() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&secure(&upstream, &authority), SECRETS);
    let addr = sidecar.addr;
    play(async {
        let rows: [(&[&str], Option<&[u8]>); 4] = [
            (&["h2", "http/1.1"], Some(b"h2")),
            (&["http/1.1", "h2"], Some(b"h2")),
            (&["http/1.1"], Some(b"http/1.1")),
            (&[], None),
        ];
        for (offered, chosen) in rows {
            let stream = tls(addr, &authority, offered).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offered:?}");
        }
        assert!(tls(addr, &authority, &["spdy/3"]).await.is_err());
        assert!(tls(addr, &stranger, &["h2"]).await.is_err());
        let mut client = Client::tls(addr, &authority).await;
        let answer = client.send(get("/nowhere"), b"").await.unwrap();
        assert_eq!(
            answer.error().0,
            400,
            "the scheme is that of the connection"
        );
    });
    // Without TLS nothing is said, to no version.
    for opening in [
        "GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut plain = sidecar.connect();
        plain.send(opening);
        plain.end();
        assert!(!plain.shown().contains("HTTP"));
    }
    sidecar.shutdown();
}

#[test]
fn p8_a_handshake_that_stalls_is_given_up() {
    let authority = Authority::new();
    let upstream = Upstream::bind();
    let mut config = secure(&upstream, &authority);
    config.model.as_mut().unwrap().limits.header_timeout = std::time::Duration::from_millis(300);
    let sidecar = Sidecar::with(&config, SECRETS);
    let mut silent = sidecar.connect();
    silent.send([0x16, 3, 1]);
    assert_eq!(silent.end(), End::Close);
    sidecar.shutdown();
}

/// Starts, which must fail; what it says.
fn refused(config: &Config) -> String {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime
        .block_on(Running::start(
            &housed(config, folder.path()),
            secrets(SECRETS),
        ))
        .err()
        .unwrap();
    assert!(error.is_input());
    error.to_string()
}

#[test]
fn files_that_cannot_work_are_errors_at_the_start_with_their_name_and_mend() {
    let authority = Authority::new();
    let upstream = Upstream::bind();
    let good = secure(&upstream, &authority);
    let files = good.model.as_ref().unwrap().tls.clone().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let missing = folder.path().join("missing.pem");
    let garbage = write("garbage.pem", TOKEN);
    let (_, stranger) = Authority::new().issue("localhost");
    let other = write("other.key", &stranger.serialize_pem());
    for (cert, key, named, mend) in [
        (
            &missing,
            &files.key,
            &missing,
            "Name a PEM file with the certificate",
        ),
        (&garbage, &files.key, &garbage, "there is none in it"),
        (&files.key, &files.key, &files.key, "there is none in it"),
        (
            &files.cert,
            &missing,
            &missing,
            "Name a PEM file with the certificate's private key",
        ),
        (&files.cert, &garbage, &garbage, "there is none in it"),
        (&files.cert, &other, &other, "it is not that of"),
    ] {
        let mut config = good.clone();
        config.model.as_mut().unwrap().tls = Some(bauta::config::Tls {
            cert: cert.clone(),
            key: key.clone(),
        });
        let text = refused(&config);
        assert!(
            text.contains(named.to_str().unwrap()) && text.contains(mend),
            "{text}"
        );
        assert!(
            text.starts_with("model.tls: ") && !text.contains(TOKEN),
            "{text}"
        );
    }
    for mode in [0o604, 0o620, 0o644, 0o601, 0o660] {
        fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
        let text = refused(&good);
        assert!(text.contains("Run: chmod o-rwx,g-w"), "{mode:o}: {text}");
    }
    for mode in [0o400, 0o440, 0o640] {
        fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
        Sidecar::with(&good, SECRETS).shutdown();
    }
}

/// Whether the listener's certificate is one of that authority's.
fn presents(process: &Process, authority: &Authority) -> bool {
    play(tls(process.addr, authority, &["h2"])).is_ok()
}

fn exchange(folder: &Path, authority: &Authority) {
    let files = authority.listener("localhost");
    // The key first: for a moment the two do not match.
    for (from, to) in [(files.key, "tls.key"), (files.cert, "tls.crt")] {
        fs::copy(&from, folder.join("next")).unwrap();
        fs::rename(folder.join("next"), folder.join(to)).unwrap();
    }
}

#[test]
fn a_changed_certificate_is_in_force_without_a_restart_and_a_bad_one_changes_nothing() {
    let (first, second) = (Authority::new(), Authority::new());
    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &upstream, "");
    let path = folder.path().join("bauta.toml");
    let text = fs::read_to_string(&path).unwrap();
    let with_tls = text.replacen(
        "[model]",
        "[model]\ntls = { cert = \"tls.crt\", key = \"tls.key\" }",
        1,
    );
    fs::write(&path, with_tls).unwrap();
    fs::write(folder.path().join("secrets.json"), SECRETS).unwrap();
    exchange(folder.path(), &first);
    let mut process = Process::start_in(folder, "secrets.json");
    assert!(presents(&process, &first) && !presents(&process, &second));

    exchange(process.folder.path(), &second);
    process.line("the changed certificate is in force");
    assert!(presents(&process, &second) && !presents(&process, &first));

    fs::write(process.path("tls.crt"), "nonsense").unwrap();
    process.line("the changed certificate is not used");
    assert!(presents(&process, &second));
    process.signal(Signal::TERM);
    assert!(process.wait().success());
}
