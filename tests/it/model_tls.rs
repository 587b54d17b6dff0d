//! TLS towards the upstream: verified, always.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bauta::config::{Config, Limits, Tls};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::model_kit::{SECRETS, Sidecar, TOKEN, config, contains, post};
use super::model_websocket_kit::opening;

/// An authority of its own, and its root in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for that name, and its key.
    pub fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server with a certificate for that name, which offers these protocols.
    pub fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        let (leaf, key) = self.issue(name);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        server.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        server
    }

    /// A client that trusts this authority alone, and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.file()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        client
    }

    /// Files of a listener for that name: the certificate and its key, which nobody else may read.
    pub fn listener(&self, name: &str) -> Tls {
        let (leaf, pair) = self.issue(name);
        let cert = self.folder.path().join("listener.crt");
        let key = self.folder.path().join("listener.key");
        std::fs::write(&cert, leaf.pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        Tls { cert, key }
    }

    /// A server that presents a certificate for `name`; its thread gives back what it read of one request.
    pub fn serve(
        &self,
        name: &str,
        answer: &'static str,
        polite: bool,
    ) -> (SocketAddr, JoinHandle<Vec<u8>>) {
        let server = self.server(name, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(server)).unwrap();
            let mut stream = StreamOwned::new(connection, tcp);
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while !contains(&seen, "the end") {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                    _ => return seen,
                }
            }
            stream.write_all(answer.as_bytes()).unwrap();
            if polite {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
            seen
        });
        (addr, thread)
    }
}

pub fn over_tls(host: &str, addr: SocketAddr, ca: Option<PathBuf>) -> Config {
    let mut config = config(
        &format!("https://{host}:{}", addr.port()),
        Limits::default(),
    );
    config.model.as_mut().unwrap().providers[0].ca = ca;
    config
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_certificate_of_the_ca_file_for_this_name_is_taken() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let (addr, server) = authority.serve(host, OK, true);
        let sidecar = Sidecar::with(&over_tls(host, addr, Some(authority.file())), SECRETS);
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", format!("{TOKEN} the end").as_bytes()));
        assert_eq!(client.message("POST").body, b"ok");
        let seen = server.join().unwrap();
        assert!(contains(&seen, "x_token the end") && !contains(&seen, TOKEN));
        assert!(contains(
            &seen,
            &format!("host: {host}:{}\r\n", addr.port())
        ));
    }
}

#[test]
fn a_websocket_goes_upstream_over_tls() {
    let authority = Authority::new();
    let (addr, server) = authority.serve(
        "localhost",
        "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno",
        true,
    );
    let config = over_tls("localhost", addr, Some(authority.file()));
    let sidecar = Sidecar::with(&config, SECRETS);
    let mut client = sidecar.connect();
    client.send(opening("/p/x", &format!("X-Mine: {TOKEN} the end\r\n")));
    let answer = client.message("GET");
    assert_eq!((answer.status(), &answer.body[..]), (401, &b"no"[..]));
    let seen = server.join().unwrap();
    assert!(
        contains(&seen, "x-mine: x_token the end\r\n") && contains(&seen, "upgrade: websocket\r\n")
    );
    // A certificate that is not trusted is none for a WebSocket either.
    let (addr, server) = authority.serve("other.example", OK, true);
    let config = over_tls("localhost", addr, Some(authority.file()));
    let sidecar = Sidecar::with(&config, SECRETS);
    let answer = sidecar.refused(opening("/p/x", "").as_bytes());
    assert_eq!(answer.error(), (502, "upstream_tls".to_owned()));
    drop(sidecar);
    assert!(server.join().unwrap().is_empty());
}

#[test]
fn any_other_certificate_is_a_502_and_nothing_is_sent() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (name, ca) in [
        ("localhost", Some(stranger.file())),
        ("other.example", Some(authority.file())),
        ("localhost", None),
    ] {
        let (addr, server) = authority.serve(name, OK, true);
        let sidecar = Sidecar::with(&over_tls("localhost", addr, ca), SECRETS);
        let answer = sidecar.refused(&post("/p/x", "", b"the end"));
        assert_eq!(answer.status(), 502, "{name}");
        let code = answer.error().1;
        // A machine without any roots refuses all the same, and says so.
        assert!(
            code == "upstream_tls" || code == "upstream_unreachable",
            "{name}: {code}"
        );
        drop(sidecar);
        assert!(server.join().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_tls_upstream_that_ends_without_saying_so_is_a_truncation() {
    let authority = Authority::new();
    for polite in [true, false] {
        let (addr, server) = authority.serve("localhost", "HTTP/1.1 200 OK\r\n\r\nsome", polite);
        let sidecar = Sidecar::with(
            &over_tls("localhost", addr, Some(authority.file())),
            SECRETS,
        );
        let mut client = sidecar.connect();
        client.send(post("/p/x", "", b"the end"));
        let got = client.message_or_end("POST");
        // Where the cut is known before the head has left, there is no answer at all.
        assert_eq!(got.is_some_and(|got| got.complete), polite);
        server.join().unwrap();
    }
}

#[test]
fn a_ca_file_that_cannot_work_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for ca in [empty, folder.path().join("missing.pem")] {
        let config = over_tls(
            "localhost",
            "127.0.0.1:1".parse().unwrap(),
            Some(ca.clone()),
        );
        let config = super::model_kit::housed(&config, folder.path());
        let error = runtime
            .block_on(bauta::app::Running::start(&config, Vec::new()))
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(
            text.contains("provider p") && text.contains(ca.to_str().unwrap()),
            "{text}"
        );
    }
}
