//! Dialling an upstream: name lookup, TCP and verified TLS, all within one connect time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::stream::Either;
use super::tls::{TlsError, client_config, http1_only};

/// The least share of the connect time that one address of several gets.
const MIN_SHARE: Duration = Duration::from_millis(250);

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Verified TLS if set, else plain TCP.
    pub tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// PEM file with the roots to trust instead of the platform's.
    pub ca: Option<PathBuf>,
}

/// Why a target could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Resolve,
    /// No address took the connection; the last one's error.
    #[error("the connection failed: {0}")]
    Connect(io::ErrorKind),
    /// The connect time is over.
    #[error("no connection within the connect time")]
    Timeout,
    /// The handshake failed, or the certificate is not trusted for this name.
    #[error("TLS failed: {0}")]
    Tls(&'static str),
    /// Our own TLS settings cannot work.
    #[error(transparent)]
    Settings(#[from] TlsError),
}

/// Why a handshake failed, in our words: rustls repeats names of the certificate, which the other side chose.
fn tls_reason(error: &io::Error) -> &'static str {
    let inner = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::UnknownIssuer => "the certificate's issuer is not trusted",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            CertificateError::Revoked => "the certificate was revoked",
            _ => "the certificate is not valid",
        },
        Some(rustls::Error::AlertReceived(_)) => "the other side ended the handshake",
        Some(_) => "the handshake failed",
        None => "the connection broke",
    }
}

/// What the target may choose of, where it is spoken to over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Any that we speak.
    Any,
    /// HTTP/1.1, for what HTTP/2 does otherwise.
    Http1,
}

/// Dials one target; keeps its TLS settings (and with them session tickets).
pub struct Dialer {
    target: Target,
    connect_timeout: Duration,
    tls: OnceLock<Result<Arc<ClientConfig>, TlsError>>,
}

impl Dialer {
    /// A dialler; nothing is read or resolved yet.
    pub fn new(target: Target, connect_timeout: Duration) -> Self {
        Self {
            target,
            connect_timeout,
            tls: OnceLock::new(),
        }
    }

    /// Whom it dials, and over TLS verifies.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the target is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.target.tls
    }

    /// Makes the TLS settings now, so that a bad `ca` file shows at the start.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn prepare(&self) -> Result<(), TlsError> {
        if self.target.tls {
            self.tls_config().map(drop)
        } else {
            Ok(())
        }
    }

    /// Resolves, connects and, for TLS, verifies and agrees on a version of HTTP.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(
        &self,
        versions: Versions,
    ) -> Result<Either<TcpStream, Box<TlsStream<TcpStream>>>, DialError> {
        let deadline = Instant::now() + self.connect_timeout;
        let tcp = timeout_at(deadline, self.connect(deadline))
            .await
            .map_err(|_| DialError::Timeout)??;
        if !self.target.tls {
            return Ok(Either::Left(tcp));
        }
        let config = self.tls_config()?;
        let connector = TlsConnector::from(match versions {
            Versions::Any => config,
            Versions::Http1 => http1_only(&config),
        });
        let name =
            ServerName::try_from(self.target.host.clone()).map_err(|_| DialError::Resolve)?;
        let handshake = timeout_at(deadline, connector.connect(name, tcp));
        match handshake.await {
            Err(_) => Err(DialError::Timeout),
            Ok(Err(error)) => Err(DialError::Tls(tls_reason(&error))),
            Ok(Ok(stream)) => Ok(Either::Right(Box::new(stream))),
        }
    }

    fn tls_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        self.tls
            .get_or_init(|| client_config(self.target.ca.as_deref()))
            .clone()
    }

    /// Tries the addresses one after another; none may use up the time of those after it.
    async fn connect(&self, deadline: Instant) -> Result<TcpStream, DialError> {
        let found = lookup_host((self.target.host.as_str(), self.target.port)).await;
        let addresses: Vec<_> = found.map_err(|_| DialError::Resolve)?.collect();
        let mut last = DialError::Resolve;
        for (at, address) in addresses.iter().enumerate() {
            let rest = deadline.saturating_duration_since(Instant::now());
            let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            match timeout((rest / left).max(MIN_SHARE), TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it a small write may wait for the peer's acknowledgement; a failure costs only that.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = DialError::Connect(error.kind()),
                Err(_) => last = DialError::Timeout,
            }
        }
        Err(last)
    }
}
