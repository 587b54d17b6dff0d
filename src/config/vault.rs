//! Where secrets and their audit log are kept: the `[vault]` and `[audit]` tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::duration;
use super::parse::{path, size};
use super::reader::{Item, Table};

/// Name of the master key's file that is made if no other source is given.
pub const MASTER_KEY_FILE: &str = "master.key";

/// What `SQLite` adds to the name of its file.
const BESIDE_THE_VAULT: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Where secrets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// The SQLite file.
    pub path: PathBuf,
    /// Where the key comes from that wraps all others.
    pub master_key: MasterKey,
    /// Whether the group may read the master key's file.
    pub group_read: bool,
    /// For how long a version that was replaced is still masked.
    pub grace: Duration,
    /// Sizes of the secrets of one agent.
    pub limits: SecretLimits,
}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKey {
    /// The file `master.key` under the state, made on first use.
    Auto,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// What a program prints; its path or name, then its arguments. Never empty.
    Exec(Vec<String>),
}

/// Sizes of the secrets of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretLimits {
    /// Secrets, counted over all domains.
    pub max_secrets: usize,
    /// Domain patterns.
    pub max_domains: usize,
    /// Bytes of one value.
    pub max_value_bytes: usize,
    /// Bytes of all values together.
    pub max_total_bytes: usize,
}

/// The audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The file that is written; full ones stand beside it.
    pub path: PathBuf,
    /// Bytes after which another file is begun.
    pub rotate_bytes: u64,
    /// Whether every line goes to standard output as well.
    pub stdout: bool,
}

impl Vault {
    /// The defaults under a folder of state.
    pub(super) fn under(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("vault.db"),
            master_key: MasterKey::Auto,
            group_read: false,
            grace: Duration::from_secs(7 * 24 * 60 * 60),
            limits: SecretLimits::default(),
        }
    }
}

impl Vault {
    /// Whether it or its master key is in that file.
    fn is_kept_in(&self, file: &Path, state_dir: &Path) -> bool {
        let is_of_database = BESIDE_THE_VAULT.into_iter().any(|end| {
            let mut name = self.path.clone().into_os_string();
            name.push(end);
            Path::new(&name) == file
        });
        is_of_database || self.master_key.file(state_dir).as_deref() == Some(file)
    }
}

impl Audit {
    /// The defaults under a folder of state.
    pub(super) fn under(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("audit.log"),
            rotate_bytes: 64 << 20,
            stdout: false,
        }
    }
}

impl Default for SecretLimits {
    fn default() -> Self {
        Self {
            max_secrets: 50,
            max_domains: 20,
            max_value_bytes: 4096,
            max_total_bytes: 102_400,
        }
    }
}

/// Reads `[vault]`. What is written lives under the state; the master key is the operator's, beside the configuration.
pub(super) fn vault(mut table: Table<'_, '_, '_>, base: &Path, state_dir: &Path) -> Vault {
    let defaults = Vault::under(state_dir);
    let path = table.parse("url", |item| url(item, state_dir));
    let master_key = table.parse("master_key", |item| master_key(item, base));
    let key_item = table.item("master_key");
    let group_read = table.parse("group_read", |item| {
        let group_read = item.boolean()?;
        // A key that could not be read is not judged any further.
        let is_file =
            matches!(master_key, Some(MasterKey::File(_))) || key_item.is_some() && master_key.is_none();
        if group_read && !is_file {
            return Err(
                "has no effect with this master_key. Use master_key = \"file:PATH\", or leave it out".to_owned(),
            );
        }
        Ok(group_read)
    });
    let grace = table.parse("grace", |item| duration::parse_long(item.text()?));
    let limits = limits(table.table("limits"));
    table.finish();
    Vault {
        path: path.unwrap_or(defaults.path),
        master_key: master_key.unwrap_or(defaults.master_key),
        group_read: group_read.unwrap_or(defaults.group_read),
        grace: grace.unwrap_or(defaults.grace),
        limits,
    }
}

fn limits(mut table: Table<'_, '_, '_>) -> SecretLimits {
    let defaults = SecretLimits::default();
    let mut read = |name, most, default| {
        table
            .parse(name, |item| size(item, 1..=most))
            .unwrap_or(default)
    };
    let limits = SecretLimits {
        max_secrets: read("max_secrets", 100_000, defaults.max_secrets),
        max_domains: read("max_domains", 100_000, defaults.max_domains),
        // What masking holds back of a text grows with the longest value.
        max_value_bytes: read("max_value_bytes", 64 << 10, defaults.max_value_bytes),
        max_total_bytes: read("max_total_bytes", 256 << 20, defaults.max_total_bytes),
    };
    table.finish();
    limits
}

/// Reads `[audit]`.
pub(super) fn audit(mut table: Table<'_, '_, '_>, state_dir: &Path, vault: &Vault) -> Audit {
    let defaults = Audit::under(state_dir);
    let file = table.parse("path", |item| {
        let file = state_dir.join(path(item)?);
        if vault.is_kept_in(&file, state_dir) {
            // A log moves aside what it does not know.
            return Err(
                "the vault or its master key is there. Use a file of the log's own".to_owned(),
            );
        }
        Ok(file)
    });
    let rotate_bytes = table.parse("rotate_bytes", |item| item.whole(64 << 10..=1 << 40));
    let stdout = table.parse("stdout", Item::boolean);
    table.finish();
    Audit {
        path: file.unwrap_or(defaults.path),
        rotate_bytes: rotate_bytes.unwrap_or(defaults.rotate_bytes),
        stdout: stdout.unwrap_or(defaults.stdout),
    }
}

fn url(item: &Item<'_, '_, '_>, state_dir: &Path) -> Result<PathBuf, String> {
    let path = item.text()?.strip_prefix("sqlite:");
    // `sqlite://host/path` would mean another thing to other programs.
    path.filter(|path| !path.is_empty() && !path.starts_with("//") && !path.contains('\0'))
        .map(|path| state_dir.join(path))
        .ok_or_else(|| {
            "not a vault. Use \"sqlite:PATH\", a relative path counted from state_dir".to_owned()
        })
}

fn master_key(item: &Item<'_, '_, '_>, base: &Path) -> Result<MasterKey, String> {
    MasterKey::parse(item.text()?, base)
}

impl MasterKey {
    /// The file that it is in, if it is in one.
    pub fn file(&self, state_dir: &Path) -> Option<PathBuf> {
        match self {
            MasterKey::Auto => Some(state_dir.join(MASTER_KEY_FILE)),
            MasterKey::File(path) => Some(path.clone()),
            MasterKey::Env(_) | MasterKey::Exec(_) => None,
        }
    }

    /// Reads a source as the configuration writes it; relative paths are counted from `base`.
    ///
    /// # Errors
    /// What is wrong with it, without the text, which may be the key itself.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        parse_master_key(text, base)
    }
}

fn parse_master_key(text: &str, base: &Path) -> Result<MasterKey, String> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "auto" if kind == text => Ok(MasterKey::Auto),
        "file" if rest.is_empty() || rest.contains('\0') => {
            Err("names no file. Use \"file:PATH\", absolute or from this file's folder".to_owned())
        }
        "file" => Ok(MasterKey::File(base.join(rest))),
        "env" if !is_variable(rest) => {
            Err("names no variable. Use \"env:NAME\" with letters, digits and underscores".to_owned())
        }
        "env" => Ok(MasterKey::Env(rest.to_owned())),
        "exec" => program(rest, base).map(MasterKey::Exec).ok_or_else(|| {
            "names no program. Use 'exec:[\"/path/to/program\", \"argument\"]'; no shell reads it".to_owned()
        }),
        // The text is not repeated: it may be the key itself.
        _ => Err(
            "not a source of a key. Use \"auto\", \"file:PATH\", \"env:NAME\" or 'exec:[\"PROGRAM\", \"ARGUMENT\"]'"
                .to_owned(),
        ),
    }
}

/// A program and its arguments, as a JSON list. One that is named by a relative path starts at the file's folder.
fn program(text: &str, base: &Path) -> Option<Vec<String>> {
    let mut arguments: Vec<String> = serde_json::from_str(text).ok()?;
    let program = arguments
        .first_mut()
        .filter(|program| !program.is_empty())?;
    if program.contains('/') {
        *program = base.join(&*program).into_os_string().into_string().ok()?;
    }
    (!arguments.iter().any(|argument| argument.contains('\0'))).then_some(arguments)
}

/// Whether a text names a variable of the environment in every shell.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
