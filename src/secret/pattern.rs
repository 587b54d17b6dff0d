//! Domain patterns: `[scheme://]host[:port]`, canonical from the moment they exist.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::host::{self, Host};
use super::origin::{Origin, OriginScheme};
use super::pattern_error::{PatternError, Reason};

const MIN_CHARS: usize = 3;
const MAX_CHARS: usize = 256;

/// Which origins a secret belongs to. Two spellings of one pattern are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    scheme: Scheme,
    host: HostPattern,
    port: Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Https,
    Http,
    /// `http*`: http and https.
    HttpAny,
    ChromeExtension,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum HostPattern {
    Exact(Host),
    /// `*.name`: the name, and any depth below it.
    Below(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Port {
    /// The default of the origin's scheme.
    Default,
    Exact(u16),
    Any,
}

/// What a pattern says about an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs.
    Match,
    /// The scheme is another.
    Scheme,
    /// The host is another.
    Host,
    /// The port is another.
    Port,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Match => "scheme, host and port are the pattern's",
            Self::Scheme => "the scheme is another",
            Self::Host => "the host is another",
            Self::Port => {
                "the port is another (without a port, a pattern means the scheme's default; :* means any)"
            }
        })
    }
}

/// Orders patterns that match one origin: the greater is the more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    exact_host: bool,
    suffix_len: usize,
    exact_scheme: bool,
    exact_port: bool,
}

impl Specificity {
    /// Its first part, how closely the host is told: exact over wildcard, longer suffix over shorter.
    pub fn host(self) -> impl Ord {
        (self.exact_host, self.suffix_len)
    }
}

impl Pattern {
    /// Whether the secret may be used there.
    pub fn matches(&self, origin: &Origin) -> bool {
        self.verdict(origin) == Verdict::Match
    }

    /// Whether it matches, and what stands against it if not.
    pub fn verdict(&self, origin: &Origin) -> Verdict {
        let scheme = match self.scheme {
            Scheme::Https => origin.scheme() == OriginScheme::Https,
            Scheme::Http => origin.scheme() == OriginScheme::Http,
            Scheme::HttpAny => origin.scheme() != OriginScheme::ChromeExtension,
            Scheme::ChromeExtension => origin.scheme() == OriginScheme::ChromeExtension,
        };
        let host = match (&self.host, origin.host()) {
            (HostPattern::Exact(expected), host) => expected == host,
            (HostPattern::Below(suffix), Host::Name(name)) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('.')),
            (HostPattern::Below(_), Host::V4(_) | Host::V6(_)) => false,
        };
        let port = match self.port {
            Port::Default => origin.port() == origin.scheme().default_port(),
            Port::Exact(port) => origin.port() == Some(port),
            Port::Any => true,
        };
        match (host, scheme, port) {
            (false, _, _) => Verdict::Host,
            (_, false, _) => Verdict::Scheme,
            (_, _, false) => Verdict::Port,
            (true, true, true) => Verdict::Match,
        }
    }

    /// Its rank among the patterns that match one origin: exact over wildcard, longer suffix over shorter,
    /// then exact scheme and port over open ones.
    pub fn specificity(&self) -> Specificity {
        let (exact_host, suffix_len) = match &self.host {
            HostPattern::Exact(_) => (true, 0),
            HostPattern::Below(suffix) => (false, suffix.len()),
        };
        let (exact_scheme, exact_port) = (self.scheme != Scheme::HttpAny, self.port != Port::Any);
        Specificity {
            exact_host,
            suffix_len,
            exact_scheme,
            exact_port,
        }
    }

    /// Whether values may go out unencrypted to another machine.
    pub fn is_cleartext(&self) -> bool {
        let local = matches!(&self.host, HostPattern::Exact(host) if host.is_loopback());
        matches!(self.scheme, Scheme::Http | Scheme::HttpAny) && !local
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        parse(text).map_err(|reason| PatternError::new(text, reason))
    }
}

/// `Err(None)` where the main sentence says it all.
fn parse(text: &str) -> Result<Pattern, Option<Reason>> {
    check_characters(text)?;
    let (scheme, rest) = split_scheme(text)?;
    let authority = authority(rest)?;
    let (host, port) = split_port(authority)?;
    if host.is_empty() {
        return Err(Some(if scheme == Some(Scheme::ChromeExtension) {
            Reason::NoExtension
        } else {
            Reason::NoHost
        }));
    }
    if scheme == Some(Scheme::ChromeExtension) {
        return extension(host, port);
    }
    let host = parse_host(host)?;
    if let HostPattern::Exact(Host::Name(name)) = &host
        && !name.contains('.')
        && name != "localhost"
        && (scheme.is_none() || port.is_none())
    {
        return Err((scheme.is_some() || port.is_some()).then_some(Reason::SingleLabel));
    }
    let scheme = scheme.unwrap_or(Scheme::Https);
    let port = match (scheme, port) {
        (_, None)
        | (Scheme::Https, Some(Port::Exact(443)))
        | (Scheme::Http, Some(Port::Exact(80))) => Port::Default,
        (_, Some(port)) => port,
    };
    Ok(Pattern { scheme, host, port })
}

fn check_characters(text: &str) -> Result<(), Reason> {
    if text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    if text.chars().any(|c| c.is_whitespace() && !c.is_control()) {
        return Err(Reason::Whitespace);
    }
    if text.chars().any(char::is_control) {
        return Err(if text.contains(['\t', '\n', '\r']) {
            Reason::Whitespace
        } else {
            Reason::Control
        });
    }
    if text == "*" {
        return Err(Reason::Everything);
    }
    match text.chars().count() {
        ..MIN_CHARS => Err(Reason::TooShort),
        MIN_CHARS..=MAX_CHARS => Ok(()),
        _ => Err(Reason::TooLong),
    }
}

fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), Reason> {
    let Some((scheme, rest)) = text.split_once("://") else {
        // `javascript:…`, `data:…`: a scheme without slashes. `example.com:8443` and `localhost:*` are host and port.
        if let Some((front, back)) = text.split_once(':')
            && front.starts_with(|c: char| c.is_ascii_alphabetic())
            && front
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-".contains(&b))
            && !back.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c == ':')
            && !back.is_empty()
            && !back.contains('@')
        {
            return Err(Reason::Scheme);
        }
        return Ok((None, text));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        "http*" => Scheme::HttpAny,
        "chrome-extension" => Scheme::ChromeExtension,
        _ => return Err(Reason::Scheme),
    };
    Ok((Some(scheme), rest))
}

/// Host and port, once nothing else but a `/` stands around them.
fn authority(rest: &str) -> Result<&str, Reason> {
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') {
        return Err(Reason::UserInfo);
    }
    match tail.as_bytes() {
        [] | [b'/'] => Ok(authority),
        [b'?', ..] | [b'/', b'?', ..] => Err(Reason::Query),
        [b'#', ..] | [b'/', b'#', ..] => Err(Reason::Fragment),
        [b'\\', ..] => Err(Reason::Backslash),
        _ => Err(Reason::Path),
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<Port>), Reason> {
    if !authority.starts_with('[') && host::v6(authority).is_some() {
        return Err(Reason::BareV6);
    }
    if authority.starts_with('[') && !authority.contains(']') {
        return Err(Reason::Host);
    }
    // The colons inside brackets are the address's own.
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[host_end..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(host_end + colon);
    let port = &port[1..];
    if port == "*" {
        return Ok((host, Some(Port::Any)));
    }
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(Reason::Port),
        Ok(port) => Ok((host, Some(Port::Exact(port)))),
    }
}

fn parse_host(text: &str) -> Result<HostPattern, Reason> {
    if text.contains('*') {
        return wildcard(text).map(HostPattern::Below);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(host::v6)
            .ok_or(Reason::Host)?;
        return Ok(HostPattern::Exact(Host::V6(address)));
    }
    let name = host::name(text).ok_or(Reason::Host)?;
    if host::ends_in_number(&name) {
        let address: Ipv4Addr = name.parse().map_err(|_| Reason::OddV4)?;
        return Ok(HostPattern::Exact(Host::V4(address)));
    }
    Ok(HostPattern::Exact(Host::Name(name)))
}

/// The name after `*.`, if nobody can register a sibling of it.
fn wildcard(text: &str) -> Result<String, Reason> {
    if text.bytes().all(|byte| byte == b'*' || byte == b'.') {
        return Err(Reason::Everything);
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.ends_with(".*") {
        return Err(Reason::TldWildcard);
    }
    let below = text
        .strip_prefix("*.")
        .filter(|below| !below.contains('*'))
        .ok_or(Reason::Embedded)?;
    if below.starts_with('[') {
        return Err(Reason::WildcardAddress);
    }
    let name = host::name(below).ok_or(Reason::Host)?;
    if host::ends_in_number(&name) {
        return Err(Reason::WildcardAddress);
    }
    if psl::domain(name.as_bytes()).is_none() {
        return Err(if name.contains('.') {
            Reason::WildcardSuffix
        } else {
            Reason::WildcardTld
        });
    }
    Ok(name)
}

/// An extension's origin is its ID alone.
fn extension(id: &str, port: Option<Port>) -> Result<Pattern, Option<Reason>> {
    let id = id.to_ascii_lowercase();
    if id == "*" {
        return Err(Some(Reason::Everything));
    }
    let plain = id
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let name = host::name(&id).filter(|name| plain && !host::ends_in_number(name));
    let (Some(name), None) = (name, port) else {
        return Err(Some(Reason::Extension));
    };
    Ok(Pattern {
        scheme: Scheme::ChromeExtension,
        host: HostPattern::Exact(Host::Name(name)),
        port: Port::Default,
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Https => "https://",
            Scheme::Http => "http://",
            Scheme::HttpAny => "http*://",
            Scheme::ChromeExtension => "chrome-extension://",
        })?;
        match &self.host {
            HostPattern::Exact(host) => write!(f, "{host}")?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
        }
        match self.port {
            Port::Default => Ok(()),
            Port::Exact(port) => write!(f, ":{port}"),
            Port::Any => f.write_str(":*"),
        }
    }
}
