//! TLS towards upstreams: always verified, against the platform's roots or those of a PEM file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

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
}

/// The client side's configuration for HTTP/1.1.
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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let unreadable = |error: rustls::pki_types::pem::Error| TlsError::CaFile {
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
