//! What the tests of the vault share: a vault in a folder of its own, secrets to put into it, and what a view holds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bauta::secret::vault::{
    Access, MasterSource, NewSecret, Opened, Selector, Settings, Vault, VaultError,
};
use bauta::secret::{Identity, Limits, Options, Submission, Value, View, parse_submission};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// A folder with a vault, or the place for one.
pub struct Place {
    pub folder: TempDir,
    pub settings: Settings,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let settings = Settings {
            path: state.join("vault.db"),
            master: MasterSource::Auto(state.join("master.key")),
            limits: Limits::default(),
            grace: Duration::from_secs(3600),
            identity: None,
        };
        Self { folder, settings }
    }

    /// With a vault in it.
    pub fn made() -> (Self, Vault) {
        let place = Self::new();
        let vault = place.open(Access::Create).unwrap().vault;
        (place, vault)
    }

    pub fn open(&self, access: Access) -> Result<Opened, VaultError> {
        Vault::open(&self.settings, access)
    }

    pub fn vault(&self) -> Vault {
        self.open(Access::ReadWrite).unwrap().vault
    }

    pub fn database(&self) -> &Path {
        &self.settings.path
    }

    pub fn master_key(&self) -> PathBuf {
        self.folder.path().join("state/master.key")
    }
}

pub fn value(text: &str) -> Value {
    let limits = Limits {
        max_value_bytes: usize::MAX,
        ..Limits::default()
    };
    Value::new(Zeroizing::new(text.to_owned()), &limits).unwrap()
}

pub fn secret(key: &str, pattern: &str, scope: &str, text: &str) -> NewSecret {
    NewSecret {
        key: key.parse().unwrap(),
        pattern: pattern.parse().unwrap(),
        scope: scope.parse().unwrap(),
        options: Options::default(),
        value: value(text),
    }
}

pub fn selector(key: &str) -> Selector {
    Selector::key(key.parse().unwrap())
}

pub fn submission(text: &str) -> Submission {
    let limits = Limits {
        max_secrets: usize::MAX,
        max_domains: usize::MAX,
        max_total_bytes: usize::MAX,
        ..Limits::default()
    };
    let parsed = parse_submission(Zeroizing::new(text.as_bytes().to_vec()), &limits);
    parsed.unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The agent `a` of user `u` in organization `o` with the profile `p`.
pub fn agent() -> Identity {
    Identity {
        agent: "a".to_owned(),
        user: Some("u".to_owned()),
        organization: Some("o".to_owned()),
        profiles: vec!["p".to_owned()],
    }
}

/// What a view holds: by key, scope and pattern, the value and the former values.
pub fn shown(view: &View) -> BTreeMap<String, (String, Vec<String>)> {
    view.iter()
        .map(|secret| {
            let name = format!("{} {} {}", secret.key(), secret.scope(), secret.pattern());
            let former = secret
                .former()
                .iter()
                .map(|value| value.expose().to_owned());
            (name, (secret.value().expose().to_owned(), former.collect()))
        })
        .collect()
}

/// The values of agent `a`'s view under one key: the current one, then former ones, oldest first.
pub fn values(vault: &Vault, key: &str) -> Vec<String> {
    let view = vault.view(&agent()).unwrap();
    let mut found = shown(&view)
        .into_iter()
        .filter(|(name, _)| name.split(' ').next() == Some(key));
    let Some((_, (value, former))) = found.next() else {
        return Vec::new();
    };
    assert!(found.next().is_none(), "several secrets {key}");
    std::iter::once(value).chain(former).collect()
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The names of what is broken.
pub fn broken<T>(result: Result<T, VaultError>) -> Vec<String> {
    match result {
        Err(VaultError::Broken(names)) => names,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("nothing is found broken"),
    }
}

/// Whether bytes stand in any file of a folder.
pub fn stands_in(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap_or_default();
        memchr::memmem::find(&bytes, needle).is_some()
    })
}
