//! What a program that we start gets of our environment: what a list allows, and what the command line names.
//!
//! Everything else stays here, real credentials above all. The exec of a child gives it neither our memory nor our open files;
//! the limit on core dumps it inherits.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// What programs need to run at all.
const ALLOWED: [&str; 9] = [
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
];
const ALLOWED_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// How names of variables end that hold credentials.
const CREDENTIAL_SUFFIXES: [&str; 12] = [
    "_ACCESS_KEY_ID",
    "_APIKEY",
    "_CREDENTIALS",
    "_DSN",
    "_KEY",
    "_PASSPHRASE",
    "_PASSWD",
    "_PASSWORD",
    "_PAT",
    "_PWD",
    "_SECRET",
    "_TOKEN",
];
const CREDENTIALS: [&str; 5] = [
    "DATABASE_URL",
    "KUBECONFIG",
    "PGPASSWORD",
    "REDIS_URL",
    "SSH_AUTH_SOCK",
];

/// Variables that send a client's requests to a proxy.
const PROXIES: [&str; 3] = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
const NOT_PROXIED: &str = "127.0.0.1,localhost";

/// A child's environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

/// What became of the parent's environment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inherited {
    pub environment: Environment,
    /// Names of variables that likely hold credentials, and that the child does not get.
    pub withheld: Vec<String>,
    /// Names that were asked for, and are not there.
    pub missing: Vec<String>,
}

/// Takes from a parent's environment what is allowed or named.
pub(super) fn inherit(
    parent: impl IntoIterator<Item = (OsString, OsString)>,
    named: &[String],
) -> Inherited {
    let mut environment = Environment::default();
    let mut withheld = Vec::new();
    let mut missing: Vec<String> = named.to_vec();
    for (name, value) in parent {
        let is_named = named.iter().any(|named| name == OsStr::new(named));
        missing.retain(|missing| name != OsStr::new(missing));
        if is_named || is_allowed(&name) {
            environment.variables.insert(name, value);
        } else if let Some(name) = name.to_str().filter(|name| holds_a_credential(name)) {
            withheld.push(name.to_owned());
        }
    }
    withheld.sort_unstable();
    environment.bypass_proxies();
    Inherited {
        environment,
        withheld,
        missing,
    }
}

fn is_allowed(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        ALLOWED.contains(&name)
            || ALLOWED_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
    })
}

/// By its name. One that could not be printed as it is holds nothing that a program reads.
fn holds_a_credential(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = name.to_ascii_uppercase();
    plain
        && (CREDENTIALS.contains(&name.as_str())
            || CREDENTIAL_SUFFIXES
                .iter()
                .any(|suffix| name.ends_with(suffix)))
}

impl Environment {
    /// Sets a variable that is not there yet; says whether it did.
    pub(super) fn add(&mut self, name: &str, value: &str) -> bool {
        let free = !self.variables.contains_key(OsStr::new(name));
        if free {
            self.variables.insert(name.into(), value.into());
        }
        free
    }

    /// Takes a variable out.
    pub(super) fn remove(&mut self, name: &str) {
        self.variables.remove(OsStr::new(name));
    }

    /// All variables, for a command that has been cleared of its own.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A proxy that was asked for must not get what is meant for us.
    fn bypass_proxies(&mut self) {
        let is_proxy = |name: &OsString| {
            let name = name.to_str().map(str::to_ascii_uppercase);
            name.is_some_and(|name| PROXIES.contains(&name.as_str()))
        };
        if !self.variables.keys().any(is_proxy) {
            return;
        }
        for name in NO_PROXY {
            let list = self.variables.entry(name.into()).or_default();
            if !list.is_empty() {
                list.push(",");
            }
            list.push(NOT_PROXIED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited(parent: &[(&str, &str)], named: &[&str]) -> Inherited {
        let parent = parent
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        inherit(parent, &named)
    }

    fn shown(environment: &Environment) -> Vec<String> {
        environment
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn only_what_is_allowed_or_named_is_inherited() {
        let got = inherited(
            &[
                ("PATH", "/bin"),
                ("LC_ALL", "C"),
                ("XDG_CACHE_HOME", "/c"),
                ("OPENAI_API_KEY", "sk-1"),
                ("aws_secret_access_key", "s"),
                ("GITHUB_TOKEN", "t"),
                ("LD_PRELOAD", "/x.so"),
                ("PATHS", "1"),
                ("path", "1"),
                ("KEYBOARD", "1"),
                ("A\u{1b}[31m_KEY", "1"),
                ("MINE", "m"),
            ],
            &["MINE", "GITHUB_TOKEN", "ABSENT"],
        );
        assert_eq!(
            shown(&got.environment),
            [
                "GITHUB_TOKEN=t",
                "LC_ALL=C",
                "MINE=m",
                "PATH=/bin",
                "XDG_CACHE_HOME=/c"
            ]
        );
        assert_eq!(got.withheld, ["OPENAI_API_KEY", "aws_secret_access_key"]);
        assert_eq!(got.missing, ["ABSENT"]);
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let mut got = inherited(&[("HOME", "/h")], &[]).environment;
        assert!(!got.add("HOME", "/other"));
        assert!(got.add("X", "1"));
        assert_eq!(shown(&got), ["HOME=/h", "X=1"]);
    }

    #[test]
    fn a_proxy_that_is_asked_for_does_not_get_our_requests() {
        let got = inherited(
            &[("https_proxy", "http://p"), ("NO_PROXY", "x.example")],
            &["https_proxy", "NO_PROXY"],
        );
        assert_eq!(
            shown(&got.environment),
            [
                "NO_PROXY=x.example,127.0.0.1,localhost",
                "https_proxy=http://p",
                "no_proxy=127.0.0.1,localhost"
            ]
        );
        let without = inherited(&[("https_proxy", "http://p"), ("PATH", "/bin")], &[]);
        assert_eq!(shown(&without.environment), ["PATH=/bin"]);
    }
}
