//! Addresses: where a channel listens, and the base URL it goes to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where a channel listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port; 0 lets the system choose.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is no `host:port` and no `unix:PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Neither form.
    #[error("not an address. Use \"host:port\", such as \"127.0.0.1:8601\", or \"unix:PATH\"")]
    Form,
    /// Not 0 to 65535.
    #[error("bad port. Use a number from 0 to 65535 after the last colon")]
    Port,
    /// Not a name or an IP address.
    #[error(
        "bad host. Use a host name, an IPv4 address, or an IPv6 address in brackets, such as \"[::1]:8601\""
    )]
    Host,
    /// A NUL byte, or a path that a socket address cannot hold.
    #[error(
        "bad socket path. Use \"unix:PATH\" with a path of 1 to 100 bytes, a relative one counted from state_dir"
    )]
    Path,
}

/// Linux takes 108 bytes with the final NUL, macOS 104; a little room for both.
const MAX_SOCKET_PATH: usize = 100;

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(PathBuf::from(path));
        }
        let (host, port) = text.rsplit_once(':').ok_or(ListenError::Form)?;
        let port = parse_port(port).ok_or(ListenError::Port)?;
        let host = parse_host(host).ok_or(ListenError::Host)?;
        Ok(Self::Tcp { host, port })
    }
}

impl Listen {
    /// A socket at a path.
    ///
    /// # Errors
    /// If a socket address cannot hold the path.
    pub fn unix(path: PathBuf) -> Result<Self, ListenError> {
        let bytes = path.as_os_str().as_encoded_bytes();
        if !(1..=MAX_SOCKET_PATH).contains(&bytes.len()) || bytes.contains(&0) {
            return Err(ListenError::Path);
        }
        Ok(Self::Unix(path))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A provider's base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// `https` if set, else `http`.
    pub tls: bool,
    /// Name or address in lower case, IPv6 without brackets.
    pub host: String,
    /// Port, the scheme's default filled in.
    pub port: u16,
    /// Path before the route's rest: empty, or `/…` without a slash at the end.
    pub base_path: String,
}

/// A text that is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Another scheme, or none.
    #[error("not an http or https URL. Use a base URL such as \"https://api.example.com\"")]
    Scheme,
    /// Not a name or an IP address.
    #[error(
        "bad host in the URL. Use a host name, an IPv4 address, or an IPv6 address in brackets"
    )]
    Host,
    /// Not 1 to 65535.
    #[error("bad port in the URL. Use a number from 1 to 65535")]
    Port,
    /// `user:password@`.
    #[error(
        "the URL holds a user name or a password. Use the plain base URL; the client sends its own credential"
    )]
    UserInfo,
    /// `?…` or `#…`.
    #[error("the URL holds a query or a fragment. Use the base URL without them")]
    Query,
    /// White space, a control character, a dot segment, or other characters that a path cannot hold.
    #[error("bad path in the URL. Use a path of ordinary segments, such as \"/v1\", or none")]
    BasePath,
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let (scheme, rest) = text.split_once("://").ok_or(UpstreamError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(UpstreamError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(UpstreamError::Query);
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(UpstreamError::UserInfo);
        }
        let (host, port) = split_port(authority);
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => parse_port(port)
                .filter(|port| *port != 0)
                .ok_or(UpstreamError::Port)?,
        };
        let host = parse_host(host).ok_or(UpstreamError::Host)?;
        let base_path = path.trim_end_matches('/').to_owned();
        if !base_path_is_plain(&base_path) {
            return Err(UpstreamError::BasePath);
        }
        Ok(Self {
            tls,
            host,
            port,
            base_path,
        })
    }
}

impl Upstream {
    /// `host` or `host:port` as a `Host` header writes it: brackets around IPv6, no default port.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == default {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Whether the host is this machine by its name or address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path)
    }
}

/// Whether a host (IPv6 without brackets) is this machine by its name or address.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `host:port` apart; the colons of a bracketed IPv6 address belong to the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `u16::from_str` takes a leading plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A host in its canonical form: lower case, IPv6 without brackets. `None` if it is not one.
pub(super) fn parse_host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let name = text.to_ascii_lowercase();
    let label_is_plain = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if last_is_number {
        // Looks like IPv4, so it must be IPv4: `1.2.3` or `127.1` mean different things to different resolvers.
        return name
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(|ip| ip.to_string());
    }
    (name.len() <= 253 && name.split('.').all(label_is_plain)).then_some(name)
}

/// Segments of characters that need no encoding, none of them `.` or `..`.
fn base_path_is_plain(path: &str) -> bool {
    path.is_empty()
        || path.split('/').skip(1).all(|segment| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> String {
        match text.parse::<Listen>() {
            Ok(address) => address.to_string(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn listen_addresses() {
        for (text, expected) in [
            ("127.0.0.1:8601", "127.0.0.1:8601"),
            ("LocalHost:0", "localhost:0"),
            ("[::1]:8601", "[::1]:8601"),
            ("[0:0::1]:80", "[::1]:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("unix:run/b.sock", "unix:run/b.sock"),
            ("unix:", "Path"),
            ("8601", "Form"),
            (":8601", "Host"),
            ("::1:8601", "Host"),
            ("127.1:8601", "Host"),
            ("a b:1", "Host"),
            ("127.0.0.1:", "Port"),
            ("127.0.0.1:65536", "Port"),
            ("127.0.0.1:+1", "Port"),
            ("http://127.0.0.1:1", "Host"),
        ] {
            assert_eq!(listen(text), expected, "{text}");
        }
    }

    #[test]
    fn upstream_urls() {
        for (text, expected) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.example.com:443/", "https://api.example.com"),
            ("http://h:8080/a/b/", "http://h:8080/a/b"),
            ("HTTP://[::1]:80", "http://[::1]"),
            ("ftp://h", "Scheme"),
            ("api.example.com", "Scheme"),
            ("https://", "Host"),
            ("https://h:0", "Port"),
            ("https://h:x", "Port"),
            ("https://u:p@h", "UserInfo"),
            ("https://h/?a", "Query"),
            ("https://h/#a", "Query"),
            ("https://h/a/../b", "BasePath"),
            ("https://h//a", "BasePath"),
            ("https://h/a%2fb", "BasePath"),
            ("https://h\\@x", "UserInfo"),
            ("https://h\\x", "Host"),
        ] {
            let got = text
                .parse::<Upstream>()
                .map_or_else(|e| format!("{e:?}"), |u| u.to_string());
            assert_eq!(got, expected, "{text}");
        }
    }
}
