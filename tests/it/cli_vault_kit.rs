//! A folder with a vault of its own, and the real binary in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::{bauta, run, run_with_input, said};

/// What a command came to: exit code, standard output, standard error.
pub(crate) type Said = (i32, String, String);

/// A folder in which commands find no configuration but the one that a test writes.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a configuration.
    pub(crate) fn with(toml: &str) -> Self {
        let place = Self::new();
        place.write("bauta.toml", toml);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        bauta(self.path(), args)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        said(&run(self.path(), args))
    }

    pub(crate) fn give(&self, args: &[&str], input: impl AsRef<[u8]>) -> Said {
        said(&run_with_input(self.path(), args, input.as_ref()))
    }

    /// A command that must be done.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    /// Stores a secret for `https://example.com` unless the arguments say otherwise.
    pub(crate) fn set(&self, key: &str, value: &str, more: &[&str]) {
        let mut args = vec!["secret", "set", key];
        if !more.contains(&"--domain") {
            args.extend(["--domain", "example.com"]);
        }
        args.extend(more);
        let (code, out, err) = self.give(&args, value);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
    }

    /// The one JSON document that a command says.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        let (code, out, err) = self.run(&all);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// The audit events of a kind, oldest first.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let out = self.done(&["--json", "audit", "search", "--event", kind]);
        let lines = out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What masking makes of a text with the vault's secrets.
    pub(crate) fn masked(&self, text: &str) -> String {
        let (code, out, err) = self.give(&["mask"], text);
        assert_eq!(code, 0, "{err}");
        out
    }
}

/// A text without what differs from run to run: times, dates, ids.
pub(crate) fn steady(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = time(rest) {
            out.push_str(&"T".repeat(length));
            rest = &rest[length..];
        } else if rest.len() >= 32 && rest.as_bytes()[..32].iter().all(u8::is_ascii_hexdigit) {
            out.push_str("ID");
            rest = &rest[32..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// How long the time or date is that a text begins with.
fn time(text: &str) -> Option<usize> {
    let fits = |shape: &str| {
        text.len() >= shape.len()
            && shape.bytes().zip(text.bytes()).all(|(shape, byte)| {
                if shape == b'0' {
                    byte.is_ascii_digit()
                } else {
                    shape == byte
                }
            })
    };
    [
        "0000-00-00T00:00:00.000Z",
        "0000-00-00T00:00:00Z",
        "0000-00-00",
    ]
    .into_iter()
    .find(|shape| fits(shape))
    .map(str::len)
}
