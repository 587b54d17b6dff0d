//! Whether a request was meant for us: `Host`, the target's authority, `Origin` and `Sec-Fetch-Site`.
//!
//! A page in a browser can make that browser send requests to our address, under a name that its author points at it
//! (DNS rebinding). It cannot choose a name that only we have. On most requests it cannot leave out `Origin`; on those of images,
//! scripts and navigation, which carry none, browsers say `Sec-Fetch-Site` to addresses that they trust, such as loopback ones
//! (W3C Fetch Metadata). Of agents' clients only some of WebSockets say an `Origin` of their own accord (Python's websocket-client):
//! that of the URL which they open. Browsers do not leave out `User-Agent`, which pages cannot change there, and those clients do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

/// Sent by browsers only, whatever made the request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names under which a listener may be addressed.
#[derive(Clone, Debug, Default)]
pub struct HostPolicy {
    names: Vec<String>,
    /// Whether `Sec-Fetch-Site: none` is taken.
    takes_typed: bool,
    /// Whether a program may name its own WebSocket as `Origin`.
    takes_own_sockets: bool,
}

/// Why a request was not meant for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No `Host` header.
    #[error("the request has no Host header")]
    Missing,
    /// More than one.
    #[error("the request has more than one Host header")]
    Duplicate,
    /// HTTP/2's `:authority` says something else.
    #[error("the Host header and :authority differ")]
    Conflict,
    /// Not `host` or `host:port`.
    #[error("the Host header is not a host name or an address with an optional port")]
    Invalid,
    /// A name that is not ours.
    #[error("the Host header names another server")]
    Foreign,
    /// The request comes from a page in a browser.
    #[error("requests from web pages are refused")]
    Origin,
}

/// A host without its port, IPv6 without brackets, in lower case.
struct Authority {
    host: String,
}

impl HostPolicy {
    /// `names`: additional host names, in lower case and without port; IPv6 without brackets.
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
            ..Self::default()
        }
    }

    /// Takes `Sec-Fetch-Site: none` as well: what a person typed, and what chromedriver sends. No page can make a browser say so.
    #[must_use]
    pub fn with_typed(mut self) -> Self {
        self.takes_typed = true;
        self
    }

    /// Takes an `Origin` with which a program opens a WebSocket at that very address.
    #[must_use]
    pub fn with_own_sockets(mut self) -> Self {
        self.takes_own_sockets = true;
        self
    }

    /// Checks `Host`, the authority of an absolute-form target or HTTP/2's, and `Origin`.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn check(&self, request: &Parts, local: Option<SocketAddr>) -> Result<(), HostError> {
        let headers = &request.headers;
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().ok_or(HostError::Missing)?;
        if hosts.next().is_some() {
            return Err(HostError::Duplicate);
        }
        let text = host.to_str().map_err(|_| HostError::Invalid)?;
        let host = Authority::parse(text).ok_or(HostError::Invalid)?;
        self.check_name(&host, local)?;
        if let Some(authority) = request.uri.authority() {
            if request.version == Version::HTTP_2 && !authority.as_str().eq_ignore_ascii_case(text)
            {
                return Err(HostError::Conflict);
            }
            let authority = Authority::parse(authority.as_str()).ok_or(HostError::Invalid)?;
            self.check_name(&authority, local)?;
        }
        // A page of ours is a page too: an upstream's answer may be one.
        let is_typed = |site: &HeaderValue| self.takes_typed && site == "none";
        let from_page = !headers.get_all(FETCH_SITE).iter().all(is_typed);
        let of_program = self.takes_own_sockets && is_own_socket(headers, text);
        if (headers.contains_key(header::ORIGIN) && !of_program) || from_page {
            return Err(HostError::Origin);
        }
        Ok(())
    }

    fn check_name(
        &self,
        authority: &Authority,
        local: Option<SocketAddr>,
    ) -> Result<(), HostError> {
        let host = authority.host.as_str();
        let ours = match host.parse::<IpAddr>() {
            Ok(ip) => {
                ip.to_canonical().is_loopback() || local.is_some_and(|at| same_ip(at.ip(), ip))
            }
            Err(_) => host == "localhost",
        };
        if ours || self.names.iter().any(|name| name == host) {
            Ok(())
        } else {
            Err(HostError::Foreign)
        }
    }
}

/// Whether a program opens a WebSocket and names the origin of that very URL, at a `Host` that was found to be ours.
fn is_own_socket(headers: &HeaderMap, host: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return false;
    };
    let origin = origin.as_bytes();
    let named = [&b"http://"[..], b"https://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(*scheme));
    let opens = headers.get(header::UPGRADE);
    named.is_some_and(|named| named.eq_ignore_ascii_case(host.as_bytes()))
        && opens.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && !headers.contains_key(header::USER_AGENT)
}

fn same_ip(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inner, after) = rest.split_once(']')?;
                let ip: Ipv6Addr = inner.parse().ok()?;
                let port = match after {
                    "" => None,
                    after => Some(after.strip_prefix(':')?),
                };
                (ip.to_string(), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (plain_name(host)?, Some(port)),
                None => (plain_name(text)?, None),
            },
        };
        if let Some(digits) = port {
            let only_digits = digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| only_digits)?;
        }
        Some(Self { host })
    }
}

/// Lower case, one final dot dropped. A name whose last label is a number must be a plain IPv4 address.
fn plain_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty()
        || !name
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(plain))
    {
        return None;
    }
    let last = name.rsplit('.').next().unwrap_or(&name);
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return name.parse::<Ipv4Addr>().ok().map(|ip| ip.to_string());
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, headers: &[(&'static str, &str)]) -> Result<(), HostError> {
        check_version(Version::HTTP_11, target, headers)
    }

    fn check_version(
        version: Version,
        target: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(), HostError> {
        let mut request = http::Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let policy = HostPolicy::new(&["bauta.internal".to_owned()]);
        policy.check(&parts, Some("10.0.0.5:8601".parse().unwrap()))
    }

    #[test]
    fn hosts() {
        use HostError::{Foreign, Invalid};
        for (host, expected) in [
            ("localhost", Ok(())),
            ("LOCALHOST:8601", Ok(())),
            ("localhost.", Ok(())),
            ("127.0.0.1:1", Ok(())),
            ("127.9.9.9", Ok(())),
            ("[::1]", Ok(())),
            ("[::ffff:127.0.0.1]:8601", Ok(())),
            ("[0:0:0:0:0:0:0:1]:8601", Ok(())),
            ("10.0.0.5:8601", Ok(())),
            ("bauta.internal", Ok(())),
            ("Bauta.Internal:9", Ok(())),
            ("10.0.0.6", Err(Foreign)),
            ("evil.example", Err(Foreign)),
            ("localhost.evil.example", Err(Foreign)),
            ("127.0.0.1.evil.example", Err(Foreign)),
            ("[::2]", Err(Foreign)),
            ("127.1", Err(Invalid)),
            ("0x7f.0.0.1", Err(Invalid)),
            ("2130706433", Err(Invalid)),
            ("", Err(Invalid)),
            ("localhost:", Err(Invalid)),
            ("localhost:99999", Err(Invalid)),
            ("localhost:80:80", Err(Invalid)),
            ("user@localhost", Err(Invalid)),
            ("localhost/", Err(Invalid)),
            ("localhost, evil.example", Err(Invalid)),
            ("::1", Err(Invalid)),
            ("[::1", Err(Invalid)),
            ("[::1]x", Err(Invalid)),
        ] {
            assert_eq!(check("/", &[("host", host)]), expected, "{host}");
        }
    }

    #[test]
    fn host_counts_once() {
        assert_eq!(check("/", &[]), Err(HostError::Missing));
        assert_eq!(
            check("/", &[("host", "localhost"), ("host", "localhost")]),
            Err(HostError::Duplicate)
        );
    }

    #[test]
    fn absolute_form_is_checked_like_host() {
        assert_eq!(
            check("http://localhost/a", &[("host", "localhost")]),
            Ok(())
        );
        assert_eq!(
            check("http://evil.example/a", &[("host", "localhost")]),
            Err(HostError::Foreign)
        );
        assert_eq!(
            check("http://localhost/a", &[("host", "evil.example")]),
            Err(HostError::Foreign)
        );
        assert_eq!(
            check("http://u@localhost/a", &[("host", "localhost")]),
            Err(HostError::Invalid)
        );
    }

    #[test]
    fn authority_and_host_agree_in_http_2() {
        for (host, expected) in [
            ("localhost:8601", Ok(())),
            ("LocalHost:8601", Ok(())),
            ("localhost", Err(HostError::Conflict)),
            ("127.0.0.1:8601", Err(HostError::Conflict)),
            ("evil.example", Err(HostError::Foreign)),
        ] {
            let headers = [("host", host)];
            let result = check_version(Version::HTTP_2, "http://localhost:8601/a", &headers);
            assert_eq!(result, expected, "{host}");
            // HTTP/1.1 lets the target decide, and both are ours.
            let result = check("http://localhost:8601/a", &headers);
            assert_eq!(result.is_ok(), host != "evil.example", "{host}");
        }
    }

    #[test]
    fn pages_are_refused() {
        for (name, value) in [
            ("origin", "http://localhost:8601"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            let headers = [("host", "localhost:8601"), (name, value)];
            assert_eq!(
                check("/", &headers),
                Err(HostError::Origin),
                "{name}: {value}"
            );
        }
        // Where a person or chromedriver may ask, but no page.
        let typed = HostPolicy::new(&[]).with_typed();
        for (site, expected) in [("none", true), ("same-origin", false), ("None", false)] {
            let request = http::Request::builder()
                .header("host", "localhost")
                .header("sec-fetch-site", site);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(typed.check(&parts, None).is_ok(), expected, "{site}");
        }
        // What Python's websocket-client says.
        let sockets = HostPolicy::new(&[]).with_own_sockets();
        let own = [
            ("host", "localhost:8601"),
            ("origin", "http://localhost:8601"),
            ("upgrade", "websocket"),
        ];
        let with = |at: usize, header| {
            let mut headers = own.to_vec();
            headers[at] = header;
            headers
        };
        let and = |header| [&own[..], &[header]].concat();
        for (headers, expected) in [
            (own.to_vec(), true),
            (with(1, ("origin", "https://LocalHost:8601")), true),
            (with(2, ("upgrade", "WebSocket")), true),
            (with(1, ("origin", "http://localhost:8602")), false),
            (with(1, ("origin", "http://localhost")), false),
            (with(1, ("origin", "http://evil.example")), false),
            (with(1, ("origin", "localhost:8601")), false),
            (with(1, ("origin", "null")), false),
            (with(2, ("upgrade", "h2c")), false),
            (with(2, ("x-a", "websocket")), false),
            (and(("origin", "http://localhost:8601")), false),
            // A browser does not leave these out.
            (and(("user-agent", "")), false),
            (and(("user-agent", "Mozilla/5.0")), false),
            (and(("sec-fetch-site", "same-origin")), false),
        ] {
            let mut request = http::Request::builder();
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(sockets.check(&parts, None).is_ok(), expected, "{headers:?}");
            assert!(HostPolicy::new(&[]).check(&parts, None).is_err());
        }
        // What Node's fetch says of itself.
        let headers = [("host", "localhost:8601"), ("sec-fetch-mode", "cors")];
        assert_eq!(check("/", &headers), Ok(()));
    }
}
