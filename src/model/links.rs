//! The upstream's own URLs in the headers of its answers, rewritten to our address: a client that follows one must not go
//! around us (`Location`, Gemini's `x-goog-upload-url`).
//!
//! Rewritten is any header whose whole value is an absolute URL of the upstream, each target of `Link`, and in the headers that
//! are known to hold references also those without scheme or host. A URL of the upstream that no route leads to is taken out,
//! with its header. URLs of other hosts stay, and so does everything in bodies. `Alt-Svc` is taken out: it names another way
//! to the upstream, but says so of us.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::settings::Provider;
use super::target;

/// Headers whose value is a URI reference, so that one without scheme and host is one too.
const REFERENCES: [HeaderName; 6] = [
    header::LOCATION,
    header::CONTENT_LOCATION,
    HeaderName::from_static("operation-location"),
    HeaderName::from_static("azure-asyncoperation"),
    HeaderName::from_static("x-goog-upload-url"),
    HeaderName::from_static("x-goog-upload-control-url"),
];

/// Headers that name an origin to say something about it, not to go there.
const ORIGINS: [HeaderName; 2] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderName::from_static("timing-allow-origin"),
];

/// Where an answer's references lead from.
pub(super) struct Site<'a> {
    /// Our scheme and authority, as the client wrote them.
    pub own: String,
    /// Who answers.
    pub provider: &'a Provider,
    /// All providers: another one may have the same upstream with another base path.
    pub providers: Vec<&'a Provider>,
    /// The path that was asked for, as upstream saw it.
    pub path: String,
}

/// What becomes of a reference.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Become(String),
    Drop,
}

/// Rewrites what leads to the upstream; returns whether something had to be taken out because no route leads there.
pub(super) fn rewrite(headers: &mut HeaderMap, site: &Site<'_>) -> bool {
    headers.remove(header::ALT_SVC);
    if headers
        .iter()
        .all(|(name, value)| site.value(name, value) == Fate::Keep)
    {
        return false;
    }
    let mut dropped = false;
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in &*headers {
        match site.value(name, value) {
            Fate::Keep => {
                out.append(name.clone(), value.clone());
            }
            Fate::Become(text) => match HeaderValue::from_bytes(text.as_bytes()) {
                Ok(value) => {
                    out.append(name.clone(), value);
                }
                Err(_) => dropped = true,
            },
            Fate::Drop => dropped = true,
        }
    }
    *headers = out;
    dropped
}

impl Site<'_> {
    fn value(&self, name: &HeaderName, value: &HeaderValue) -> Fate {
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.trim();
        if *name == header::LINK {
            self.links(text)
        } else if REFERENCES.contains(name) {
            self.reference(text)
        } else if ORIGINS.contains(name) || text.contains([' ', '\t']) {
            Fate::Keep
        } else {
            self.absolute(text)
        }
    }

    /// Each target of a `Link` header (RFC 8288, 3).
    fn links(&self, text: &str) -> Fate {
        let mut changed = false;
        let mut kept = Vec::new();
        for link in split_links(text) {
            let target = link.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            let fate = target.map_or(Fate::Keep, |(target, _)| self.reference(target.trim()));
            let parameters = target.map_or("", |(_, parameters)| parameters);
            match fate {
                Fate::Keep => kept.push(link.to_owned()),
                Fate::Become(target) => {
                    changed = true;
                    kept.push(format!("<{target}>{parameters}"));
                }
                Fate::Drop => changed = true,
            }
        }
        match (changed, kept.is_empty()) {
            (false, _) => Fate::Keep,
            (true, true) => Fate::Drop,
            (true, false) => Fate::Become(kept.join(", ")),
        }
    }

    /// A URI reference (RFC 3986, 4.1).
    fn reference(&self, text: &str) -> Fate {
        let (path, suffix) = split_suffix(text);
        if has_scheme(text) {
            return self.absolute(text);
        }
        if let Some(rest) = text.strip_prefix("//").or_else(|| text.strip_prefix("/\\")) {
            // The client would take our scheme, whichever the upstream's is.
            return self.with_authority(rest, None);
        }
        if path.starts_with(['/', '\\']) {
            return self.mapped("", path, suffix);
        }
        let below = self.path.strip_prefix(self.provider.base_path.as_str());
        let same_depth = below.is_some_and(|below| below.starts_with('/'));
        if path.is_empty() || (same_depth && target::is_plain(path)) {
            // Leads from our path to ours as from the upstream's to the upstream's.
            return Fate::Keep;
        }
        let folder = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
        self.mapped("", &format!("{folder}{path}"), suffix)
    }

    fn absolute(&self, text: &str) -> Fate {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Fate::Keep;
        };
        let port = match scheme.to_ascii_lowercase().as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Fate::Keep,
        };
        self.with_authority(rest, Some(port))
    }

    /// `authority/path?query#fragment`, where `default` is the port that the scheme stands for.
    fn with_authority(&self, rest: &str, default: Option<u16>) -> Fate {
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (user, site) = match authority.rsplit_once('@') {
            Some((user, site)) => (Some(user), site),
            None => (None, authority),
        };
        if !self.is_upstream(site, default) {
            return Fate::Keep;
        }
        if user.is_some() {
            return Fate::Drop;
        }
        let (path, suffix) = split_suffix(rest);
        self.mapped(&self.own, path, suffix)
    }

    /// Whether this host with its port is the upstream; the other scheme's default port counts as its own.
    fn is_upstream(&self, site: &str, default: Option<u16>) -> bool {
        let upstream = &self.provider.target;
        let (host, port) = match site.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (site, ""),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            // Whichever way the address is written.
            Some(ip) => ip
                .parse::<std::net::Ipv6Addr>()
                .map_or_else(|_| ip.to_owned(), |ip| ip.to_string()),
            None => host,
        };
        if host != upstream.host {
            return false;
        }
        let is_default = upstream.port == if upstream.tls { 443 } else { 80 };
        match (port.parse::<u16>().ok(), default) {
            (Some(port), _) if port == upstream.port => true,
            (Some(port), Some(default)) => is_default && port == default,
            (Some(_), None) => false,
            (None, Some(default)) => is_default || default == upstream.port,
            (None, None) => true,
        }
    }

    /// A path of the upstream as a path of ours, behind `before`.
    fn mapped(&self, before: &str, path: &str, suffix: &str) -> Fate {
        let path = without_dots(&path.replace('\\', "/"));
        if !target::is_plain(&path) {
            return Fate::Drop;
        }
        let same_upstream = |other: &&&Provider| other.target == self.provider.target;
        let others = self.providers.iter().filter(same_upstream).copied();
        for provider in std::iter::once(self.provider).chain(others) {
            let Some(rest) = path.strip_prefix(provider.base_path.as_str()) else {
                continue;
            };
            if rest.is_empty() || rest.starts_with('/') {
                return Fate::Become(format!("{before}/{}{rest}{suffix}", provider.path));
            }
        }
        Fate::Drop
    }
}

/// A path, and the query and fragment behind it.
fn split_suffix(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?', '#']);
    end.is_some_and(|at| at > 0 && text[at..].starts_with(':'))
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// The path without dot segments (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment == ".." && out.len() > 1 {
            out.pop();
        }
        if segment != "." && segment != ".." {
            out.push(segment);
        } else if segments.peek().is_none() {
            out.push("");
        }
    }
    out.join("/")
}

/// The links of a `Link` header: its commas outside of `<…>` and quotes.
fn split_links(text: &str) -> Vec<&str> {
    let (mut links, mut from) = (Vec::new(), 0);
    let (mut in_target, mut in_quotes, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' if !in_target => in_quotes = !in_quotes,
            b'<' if !in_quotes => in_target = true,
            b'>' if !in_quotes => in_target = false,
            b',' if !in_quotes && !in_target => {
                links.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    links.push(text[from..].trim());
    links.retain(|link| !link.is_empty());
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dial::Target;

    fn provider(path: &str, tls: bool, host: &str, port: u16, base_path: &str) -> Provider {
        Provider {
            name: path.to_owned(),
            path: path.to_owned(),
            target: Target {
                tls,
                host: host.to_owned(),
                port,
                ca: None,
            },
            authority: host.to_owned(),
            base_path: base_path.to_owned(),
            credential: None,
        }
    }

    /// What becomes of a header of an answer to `/base/v1/a/b`: its new value, or nothing.
    fn check(provider: &Provider, others: &[Provider], name: &str, value: &str) -> Option<String> {
        let site = Site {
            own: "http://localhost:8601".to_owned(),
            provider,
            providers: others.iter().collect(),
            path: format!("{}/a/b", provider.base_path),
        };
        let name: HeaderName = name.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-before", HeaderValue::from_static("1"));
        headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        let dropped = rewrite(&mut headers, &site);
        assert_eq!(headers["x-before"], "1");
        let text = headers
            .get(&name)
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(dropped, text.is_none(), "{value}");
        text
    }

    #[test]
    fn absolute_urls_of_the_upstream_become_ours() {
        let gemini = provider("g", true, "up.example", 443, "");
        for (url, expected) in [
            (
                "https://up.example/upload/v1/files?upload_id=a&b=%2F",
                "http://localhost:8601/g/upload/v1/files?upload_id=a&b=%2F",
            ),
            ("https://up.example", "http://localhost:8601/g"),
            ("https://up.example?a#b", "http://localhost:8601/g?a#b"),
            (
                "https://up.example/#b/../c",
                "http://localhost:8601/g/#b/../c",
            ),
            ("HTTPS://UP.Example:443/a", "http://localhost:8601/g/a"),
            ("https://up.example./a", "http://localhost:8601/g/a"),
            ("http://up.example/a", "http://localhost:8601/g/a"),
            ("http://up.example:80/a", "http://localhost:8601/g/a"),
            ("https://up.example/a/../b", "http://localhost:8601/g/b"),
            ("https://up.example/../../b/.", "http://localhost:8601/g/b/"),
            ("https://up.example\\a\\..\\b", "http://localhost:8601/g/b"),
            // Others' stay.
            ("https://up.example:8443/a", "https://up.example:8443/a"),
            ("https://up.example:x/a", "http://localhost:8601/g/a"),
            ("https://xup.example/a", "https://xup.example/a"),
            ("https://up.example.evil/a", "https://up.example.evil/a"),
            (
                "https://up.example@evil.example/a",
                "https://up.example@evil.example/a",
            ),
            ("ftp://up.example/a", "ftp://up.example/a"),
            ("wss://up.example/a", "wss://up.example/a"),
            ("see https://up.example/a", "see https://up.example/a"),
            ("up.example/a", "up.example/a"),
            ("mailto:a@up.example", "mailto:a@up.example"),
        ] {
            for name in ["location", "x-goog-upload-url", "x-anything"] {
                if name != "x-anything" && url.contains(' ') || url.starts_with("up.") {
                    continue;
                }
                let got = check(&gemini, &[], name, url);
                assert_eq!(got.as_deref(), Some(expected), "{name}: {url}");
            }
        }
        for url in [
            "https://user@up.example/a",
            "https://u:p@up.example/a",
            "https://up.example/%2e%2e/x",
            "https://up.example/a%2f..%2f..%2fx",
            "https://up.example/a%00",
        ] {
            assert_eq!(check(&gemini, &[], "location", url), None, "{url}");
        }
        let local = provider("l", false, "::1", 8000, "");
        for (url, expected) in [
            ("http://[::1]:8000/a", "http://localhost:8601/l/a"),
            ("http://[0:0::1]:8000/a", "http://localhost:8601/l/a"),
            ("http://[::1]/a", "http://[::1]/a"),
            ("https://[::1]:8000/a", "http://localhost:8601/l/a"),
        ] {
            assert_eq!(
                check(&local, &[], "location", url).as_deref(),
                Some(expected)
            );
        }
    }

    #[test]
    fn only_paths_below_a_base_path_have_a_route() {
        let all = [
            provider("p", true, "up.example", 443, "/base/v1"),
            provider("q", true, "up.example", 443, "/other"),
            provider("r", true, "elsewhere.example", 443, ""),
        ];
        for (url, expected) in [
            (
                "https://up.example/base/v1/x?q",
                Some("http://localhost:8601/p/x?q"),
            ),
            (
                "https://up.example/base/v1",
                Some("http://localhost:8601/p"),
            ),
            (
                "https://up.example/other/x",
                Some("http://localhost:8601/q/x"),
            ),
            (
                "https://up.example/base/v1/../../other/x",
                Some("http://localhost:8601/q/x"),
            ),
            ("https://up.example/base/v12", None),
            ("https://up.example/x", None),
            ("https://up.example/", None),
            (
                "https://elsewhere.example/x",
                Some("https://elsewhere.example/x"),
            ),
        ] {
            let got = check(&all[0], &all, "location", url);
            assert_eq!(got.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn references_lead_to_the_same_place_as_upstream() {
        let base = [provider("p", true, "up.example", 443, "/base/v1")];
        for (reference, expected) in [
            ("/base/v1/x?a=/b", Some("/p/x?a=/b")),
            ("/base/v1", Some("/p")),
            ("/p/x", None),
            ("/", None),
            ("//up.example/base/v1/x", Some("http://localhost:8601/p/x")),
            (
                "//up.example:443/base/v1/x",
                Some("http://localhost:8601/p/x"),
            ),
            ("/\\up.example/base/v1/x", Some("http://localhost:8601/p/x")),
            ("//evil.example/x", Some("//evil.example/x")),
            ("x/y", Some("x/y")),
            ("x:y", Some("x:y")),
            ("./x:y", Some("/p/a/x:y")),
            ("?a=../b", Some("?a=../b")),
            ("#f", Some("#f")),
            ("../x", Some("/p/x")),
            ("..", Some("/p/")),
            ("../../x", None),
            ("../../../../../../q/x", None),
            ("%2e%2e/x", None),
        ] {
            let got = check(&base[0], &base, "location", reference);
            assert_eq!(got.as_deref(), expected, "{reference}");
            // What is no reference is none.
            let got = check(&base[0], &base, "x-path", reference);
            assert_eq!(got.as_deref(), Some(reference));
        }
        // From the base path itself, a name leads beside it.
        let site = Site {
            own: "http://localhost".to_owned(),
            provider: &base[0],
            providers: Vec::new(),
            path: "/base/v1".to_owned(),
        };
        assert_eq!(site.reference("v1/x"), Fate::Become("/p/x".to_owned()));
        assert_eq!(site.reference("x"), Fate::Drop);
    }

    #[test]
    fn links_are_rewritten_one_by_one() {
        let base = [provider("p", true, "up.example", 443, "/v1")];
        for (value, expected) in [
            (
                "<https://up.example/v1/x?after=a,b>; rel=\"next\"",
                Some("<http://localhost:8601/p/x?after=a,b>; rel=\"next\""),
            ),
            (
                "</v1/x>;rel=next, <https://doc.example/>; title=\"a, <https://up.example/v1>\\\"\",<https://up.example/docs>",
                Some(
                    "</p/x>;rel=next, <https://doc.example/>; title=\"a, <https://up.example/v1>\\\"\"",
                ),
            ),
            ("<https://up.example/docs>; rel=help", None),
            (
                "<https://doc.example/a>,,<b>",
                Some("<https://doc.example/a>,,<b>"),
            ),
            ("no link", Some("no link")),
            ("<unclosed", Some("<unclosed")),
        ] {
            let got = check(&base[0], &base, "link", value);
            assert_eq!(got.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn what_is_said_of_an_origin_stays() {
        let base = [provider("p", true, "up.example", 443, "")];
        for (name, value) in [
            ("access-control-allow-origin", "https://up.example"),
            ("content-security-policy", "default-src https://up.example"),
            ("www-authenticate", "Bearer realm=\"https://up.example/\""),
        ] {
            assert_eq!(check(&base[0], &base, name, value).as_deref(), Some(value));
        }
        let mut headers = HeaderMap::new();
        headers.append("alt-svc", HeaderValue::from_static("h3=\":443\""));
        let site = Site {
            own: String::new(),
            provider: &base[0],
            providers: Vec::new(),
            path: "/".to_owned(),
        };
        assert!(!rewrite(&mut headers, &site) && headers.is_empty());
    }
}
