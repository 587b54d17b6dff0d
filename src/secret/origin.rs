//! Origins: scheme, host and port of a URL, read as browsers read it, or not at all.

use std::fmt;
use std::str::FromStr;

use super::host::{self, Host};
use super::shown;

/// The scheme of an origin. `ws` and `wss` count as `http` and `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OriginScheme {
    /// `http`, `ws`
    Http,
    /// `https`, `wss`
    Https,
    /// `chrome-extension`
    ChromeExtension,
}

/// Scheme, host and port of a URL, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: OriginScheme,
    host: Host,
    port: Option<u16>,
}

/// Why a URL has no origin that a pattern could match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid URL '{shown}'. {reason}")]
pub struct OriginError {
    shown: String,
    reason: OriginReason,
}

/// The reason in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum OriginReason {
    #[error(
        "Only http, https, ws, wss and chrome-extension URLs have an origin that a pattern can match."
    )]
    Scheme,
    #[error("White space and control characters are not allowed before the path.")]
    Whitespace,
    #[error("A backslash before the path is read differently by different clients.")]
    Backslash,
    #[error("The host is missing or not valid.")]
    Host,
    #[error("The port must be a number from 1 to 65535.")]
    Port,
}

impl Origin {
    /// An origin of parts that were checked elsewhere. `port` `None` means the scheme's default.
    pub fn new(scheme: OriginScheme, host: Host, port: Option<u16>) -> Self {
        Self {
            scheme,
            host,
            port: port.or(scheme.default_port()),
        }
    }

    /// Its scheme.
    pub fn scheme(&self) -> OriginScheme {
        self.scheme
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port, the scheme's default filled in; `None` for `chrome-extension`.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl OriginScheme {
    /// The port that a URL without one means.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::ChromeExtension => None,
        }
    }

    /// As a URL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::ChromeExtension => "chrome-extension",
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(url: &str) -> Result<Self, OriginError> {
        parse(url).map_err(|reason| OriginError {
            shown: shown::url(url),
            reason,
        })
    }
}

fn parse(url: &str) -> Result<Origin, OriginReason> {
    let (scheme, rest) = url.split_once("://").ok_or(OriginReason::Scheme)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => OriginScheme::Http,
        "https" | "wss" => OriginScheme::Https,
        "chrome-extension" => OriginScheme::ChromeExtension,
        _ => return Err(OriginReason::Scheme),
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // Browsers drop some of these and stop at a backslash, other clients do neither: the host would depend on the reader.
    if authority
        .chars()
        .any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(OriginReason::Whitespace);
    }
    if authority.contains('\\') {
        return Err(OriginReason::Backslash);
    }
    let host_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host_port)| host_port);
    let (host, port) = split_port(host_port)?;
    let host = parse_host(host).ok_or(OriginReason::Host)?;
    if scheme == OriginScheme::ChromeExtension && port.is_some() {
        return Err(OriginReason::Port);
    }
    Ok(Origin::new(scheme, host, port))
}

/// An empty port means the default, as in the URL standard.
fn split_port(text: &str) -> Result<(&str, Option<u16>), OriginReason> {
    let Some((host, port)) = text
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    else {
        return Ok((text, None));
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OriginReason::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(OriginReason::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if let Some(inner) = text.strip_prefix('[') {
        return host::v6(inner.strip_suffix(']')?).map(Host::V6);
    }
    let name = host::name(&percent_decoded(text)?)?;
    if host::ends_in_number(&name) {
        return host::v4_as_browsers_read_it(&name).map(Host::V4);
    }
    Some(Host::Name(name))
}

/// A host may be percent-encoded (URL standard, "host parser"). `None` if what comes out is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        if let Some(byte) = escape.and_then(hex_byte) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        match self.port {
            Some(port) if self.port != self.scheme.default_port() => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}
