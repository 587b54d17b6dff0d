//! TLS: towards upstreams always verified, against the platform's roots or those of a PEM file; towards clients with a certificate
//! that may be exchanged while the listener runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::TlsAcceptor;

/// HTTP/2 over TLS, by its ALPN name (RFC 9113, 3.2).
pub const HTTP2: &[u8] = b"h2";

const HTTP1: &[u8] = b"http/1.1";

/// Rights that a key file may not give: others to read, write or run it, its group to write it.
const OPEN: u32 = 0o027;

/// Why no TLS configuration could be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// The `ca` file cannot be read, or is no PEM.
    #[error("the ca file {path} cannot be read as PEM: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// The `ca` file holds no certificate that can be a root.
    #[error("the ca file {path} holds no certificate that can be trusted as a root")]
    CaEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The platform has no roots, or the library refuses its settings.
    #[error("no trusted roots: {0}. Install the system's CA certificates, or set `ca`")]
    Platform(String),
    /// The listener's certificate.
    #[error(
        "the tls certificate {path} cannot be used: {reason}. Name a PEM file with the certificate, and after it those that lead to its root"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The listener's key.
    #[error(
        "the tls key {path} cannot be used: {reason}. Name a PEM file with the certificate's private key"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others may read the key, or its group change it.
    #[error(
        "the tls key {path} is open to other users of this machine. Run: chmod o-rwx,g-w {path}; in Kubernetes set defaultMode: 0440"
    )]
    KeyOpen {
        /// The file.
        path: PathBuf,
    },
}

/// What a listener presents to its clients.
pub struct Identity {
    config: ArcSwap<ServerConfig>,
}

impl Identity {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            config: ArcSwap::new(server_config(certificate, key)?),
        })
    }

    /// Reads them again, for connections that come from now on.
    ///
    /// # Errors
    /// See [`TlsError`]; then nothing changes.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        self.config.store(server_config(certificate, key)?);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

fn protocols() -> Vec<Vec<u8>> {
    vec![HTTP2.to_vec(), HTTP1.to_vec()]
}

fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let bad_certificate = |reason: String| TlsError::Certificate {
        path: certificate.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_certificate(pem_reason(&error)))?;
    if chain.is_empty() {
        return Err(bad_certificate("there is none in it".to_owned()));
    }
    let private = private_key(key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Platform(error.to_string()))?;
    let config = builder
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Key {
            path: key.to_owned(),
            reason: format!("it is not that of {}", certificate.display()),
        },
        error => bad_certificate(error.to_string()),
    })?;
    config.alpn_protocols = protocols();
    Ok(Arc::new(config))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unreadable = |reason| TlsError::Key {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(|error| unreadable(io_reason(&error)))?;
    let metadata = file
        .metadata()
        .map_err(|error| unreadable(io_reason(&error)))?;
    // A pipe has no readers but us.
    if metadata.is_file() && metadata.permissions().mode() & OPEN != 0 {
        return Err(TlsError::KeyOpen {
            path: path.to_owned(),
        });
    }
    PrivateKeyDer::from_pem_reader(file).map_err(|error| unreadable(pem_reason(&error)))
}

/// In our words: the reader's may repeat a line of the file.
fn pem_reason(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        pem::Error::Io(error) => io_reason(error),
        _ => "it is no PEM".to_owned(),
    }
}

fn io_reason(error: &io::Error) -> String {
    error.kind().to_string()
}

/// What the client side offers: HTTP/2, or else HTTP/1.1.
///
/// # Errors
/// See [`TlsError`].
pub fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let platform = |error: rustls::Error| TlsError::Platform(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(platform)?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None => builder.with_platform_verifier().map_err(platform)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = protocols();
    Ok(Arc::new(config))
}

/// The same for connections that speak HTTP/1.1 alone; tickets of sessions are shared.
pub(super) fn http1_only(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Arc::new(config)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let unreadable = |error: pem::Error| TlsError::CaFile {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| TlsError::CaFile {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
    }
    if roots.is_empty() {
        Err(TlsError::CaEmpty {
            path: path.to_owned(),
        })
    } else {
        Ok(roots)
    }
}
