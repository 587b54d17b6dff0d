//! A submission: the domain-specific format of secrets, checked as a whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use zeroize::Zeroizing;

use super::options::{self, Options};
use super::raw::Node;
use super::totp::Seed;
use super::{Key, Kind, Limits, Pattern, Scope, Secret, Value, item, shown};

/// The secrets of one submission, in document order.
pub struct Submission {
    secrets: Vec<Secret>,
    warnings: Vec<Problem>,
}

impl Submission {
    /// Its secrets, in document order. Whose they are is not said yet: they stand under a nominal scope.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// The secrets themselves, all of one scope: a submission does not say whose they are.
    pub fn into_secrets(self, scope: &Scope) -> Vec<Secret> {
        let of_scope = |secret| Secret {
            scope: scope.clone(),
            ..secret
        };
        self.secrets.into_iter().map(of_scope).collect()
    }

    /// How many secrets there are.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// What is allowed, but likely not meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Something wrong with a submission. Shown as its text alone; never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The text that users know.
    pub text: String,
    /// The domain under which it stands, as it was written.
    pub domain: Option<String>,
    /// The key at which it stands, as it was written.
    pub key: Option<String>,
}

impl Problem {
    /// Where it stands, for people; `None` if it is about the whole.
    pub fn place(&self) -> Option<String> {
        let domain = self.domain.as_ref()?;
        Some(match &self.key {
            Some(key) => format!("{key} of {domain}"),
            None => domain.clone(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const NOT_DOMAIN_SPECIFIC: &str = "Secrets must be in domain-specific format. Use: {'https://example.com': \
    {'x_api_key': 'value'}} instead of: {'x_api_key': 'value'}";
const NOT_A_DICTIONARY: &str = "Secrets must be a dictionary";
const NOT_A_STRING: &str = "Secret value must be a string";

/// Checks a submission. The input is wiped. Blank input means no secrets.
///
/// # Errors
/// Everything that is wrong with it, in document order; what concerns the whole comes last.
pub fn parse_submission(
    input: Zeroizing<Vec<u8>>,
    limits: &Limits,
) -> Result<Submission, Vec<Problem>> {
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&input);
    if text.trim_ascii().is_empty() {
        return Ok(Submission {
            secrets: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let root: Node = serde_json::from_slice(text).map_err(|error| vec![not_json(&error)])?;
    drop(input);
    let mut check = Check::new(limits, key_names(&root));
    check.root(root);
    check.finish()
}

/// Line and column only: the parser's own words may quote the text.
fn not_json(error: &serde_json::Error) -> Problem {
    let text = format!(
        "Secrets must be valid JSON (see line {}, column {})",
        error.line(),
        error.column()
    );
    Problem {
        text,
        domain: None,
        key: None,
    }
}

/// Every valid key of the submission.
fn key_names(root: &Node) -> BTreeSet<String> {
    let Node::Object(domains) = root else {
        return BTreeSet::new();
    };
    let keys = domains.iter().flat_map(|(_, node)| match node {
        Node::Object(secrets) => secrets.as_slice(),
        _ => &[],
    });
    keys.filter(|(key, _)| key.parse::<Key>().is_ok())
        .map(|(key, _)| key.to_string())
        .collect()
}

/// What was found so far.
struct Check<'a> {
    limits: &'a Limits,
    names: BTreeSet<String>,
    secrets: Vec<Secret>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Canonical domain and key of every secret met.
    seen: HashSet<(String, String)>,
    count: usize,
    domains: usize,
    total_bytes: usize,
    /// Where the check stands, as it may be shown.
    domain: Option<String>,
    key: Option<String>,
}

impl<'a> Check<'a> {
    fn new(limits: &'a Limits, names: BTreeSet<String>) -> Self {
        Self {
            limits,
            names,
            secrets: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            seen: HashSet::new(),
            count: 0,
            domains: 0,
            total_bytes: 0,
            domain: None,
            key: None,
        }
    }

    fn problem(&mut self, text: impl fmt::Display) {
        self.problems.push(self.here(&text));
    }

    fn warning(&mut self, text: impl fmt::Display) {
        self.warnings.push(self.here(&text));
    }

    fn here(&self, text: &dyn fmt::Display) -> Problem {
        Problem {
            text: text.to_string(),
            domain: self.domain.clone(),
            key: self.key.clone(),
        }
    }

    fn root(&mut self, root: Node) {
        let Node::Object(domains) = root else {
            return self.problem(NOT_A_DICTIONARY);
        };
        let mut written = HashSet::new();
        self.domains = domains.len();
        let mut flat = false;
        for (name, node) in domains {
            if let Node::Text(_) = node {
                // A flat dictionary is one mistake, however many members it has.
                if !flat {
                    self.problem(NOT_DOMAIN_SPECIFIC);
                }
                flat = true;
                continue;
            }
            let shown = shown::url(&name);
            self.domain = Some(shown.clone());
            if !written.insert(name.to_string()) {
                self.problem(format_args!(
                    "Duplicate domain pattern '{shown}'. Put its secrets under one"
                ));
            }
            self.domain_entry(&name, node);
            self.domain = None;
        }
    }

    fn domain_entry(&mut self, name: &str, node: Node) {
        let pattern = match name.parse::<Pattern>() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(error);
                None
            }
        };
        let Node::Object(secrets) = node else {
            return self.problem(NOT_A_DICTIONARY);
        };
        if let Some(pattern) = pattern.as_ref().filter(|pattern| pattern.is_cleartext()) {
            self.warning(format_args!(
                "Secrets of '{pattern}' may go over the network unencrypted. Use https if the site offers it"
            ));
        }
        let canonical = pattern
            .as_ref()
            .map_or_else(|| name.to_owned(), Pattern::to_string);
        for (key, node) in secrets {
            self.key = Some(shown::plain(&key));
            self.secret_entry(&key, &canonical, pattern.as_ref(), node);
            self.key = None;
        }
    }

    fn secret_entry(&mut self, name: &str, canonical: &str, pattern: Option<&Pattern>, node: Node) {
        self.count += 1;
        let key = match name.parse::<Key>() {
            Ok(key) => Some(key),
            Err(error) => {
                self.problem(error);
                None
            }
        };
        if !self.seen.insert((canonical.to_owned(), name.to_owned())) {
            let (key, domain) = (shown::plain(name), shown::url(canonical));
            self.problem(format_args!(
                "Duplicate secret key '{key}' for domain '{domain}'. Keep one of them"
            ));
        }
        let (text, options) = match node {
            Node::Text(text) => (Some(text), Options::default()),
            Node::Object(members) => {
                let parsed = options::parse(members);
                for problem in parsed.problems {
                    self.problem(problem);
                }
                (parsed.value, parsed.options)
            }
            Node::List(_) | Node::Bool(_) | Node::Whole(_) | Node::Other => {
                (None, Options::default())
            }
        };
        let Some(text) = text else {
            return self.problem(NOT_A_STRING);
        };
        let Some(value) = self.value(text, &options) else {
            return;
        };
        if let (Some(key), Some(pattern)) = (key, pattern) {
            for text in item::warnings(&value, &options) {
                self.warning(text);
            }
            self.secrets.push(Secret {
                key,
                pattern: pattern.clone(),
                scope: Scope::nominal(),
                options,
                value,
                former: Vec::new(),
            });
        }
    }

    fn value(&mut self, text: Zeroizing<String>, options: &Options) -> Option<Value> {
        self.total_bytes += text.len();
        let value = match Value::new(text, self.limits) {
            Ok(value) => value,
            Err(error) => {
                self.problem(error);
                return None;
            }
        };
        let exposed = value.expose();
        let is_name = self.names.contains(exposed)
            || (options.ignore_case
                && self
                    .names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(exposed)));
        if is_name {
            self.problem("Secret value must not equal a placeholder name");
            return None;
        }
        if options.kind == Kind::Totp
            && let Err(error) = Seed::parse(exposed)
        {
            self.problem(error);
            return None;
        }
        Some(value)
    }

    fn finish(mut self) -> Result<Submission, Vec<Problem>> {
        let limits = self.limits;
        if self.count > limits.max_secrets {
            self.problem(format_args!(
                "Maximum {} secrets allowed per agent",
                limits.max_secrets
            ));
        }
        if self.domains > limits.max_domains {
            self.problem(format_args!(
                "Maximum {} domains allowed per agent",
                limits.max_domains
            ));
        }
        if self.total_bytes > limits.max_total_bytes {
            self.problem(format_args!(
                "Total secrets size too large (max {} bytes)",
                limits.max_total_bytes
            ));
        }
        if self.problems.is_empty() {
            Ok(Submission {
                secrets: self.secrets,
                warnings: self.warnings,
            })
        } else {
            Err(self.problems)
        }
    }
}
