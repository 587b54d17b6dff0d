//! What a vault asks of a database: rows in and out, one transaction for each change. Nothing here is secret, and nothing here
//! is trusted: what rows say counts once `ledger` has checked them.

use std::path::Path;

use super::envelope::{Bound, Sealed};
use super::error::VaultError;

/// A database. One transaction at a time: its owner sees to that.
pub(super) trait Store: Send {
    /// One consistent state, to read.
    fn read(&self) -> Result<Box<dyn Transaction + '_>, VaultError>;

    /// The one change under way: others wait, up to the store's patience. What is not committed is undone when dropped.
    fn change(&self) -> Result<Box<dyn Transaction + '_>, VaultError>;

    /// Overwrites what deleted and moved rows left behind in pages and logs. `false` if somebody who reads stands in the way.
    fn wipe_deleted(&self) -> Result<bool, VaultError>;

    /// Overwrites what they left behind in logs alone. `false` as above.
    fn empty_log(&self) -> Result<bool, VaultError>;

    /// Something that notices changes, and waits for none under way.
    fn watch(&self) -> Result<Box<dyn Watch>, VaultError>;

    /// Its file, for messages.
    fn path(&self) -> &Path;
}

/// Notices changes of a database, whoever makes them.
pub(super) trait Watch: Send {
    /// The root row, if anything was committed since it was asked last; cheap if not.
    fn changed(&mut self) -> Result<Option<RootRow>, VaultError>;
}

/// A consistent state of a database, and in a change what is to become of it.
pub(super) trait Transaction {
    /// The one row of the vault itself; `None` as long as it was not made.
    fn root(&self) -> Result<Option<RootRow>, VaultError>;
    /// Puts it in its place.
    fn put_root(&self, row: &RootRow) -> Result<(), VaultError>;

    /// The keyring.
    fn keys(&self) -> Result<Vec<KeyRow>, VaultError>;
    /// Makes or replaces a key.
    fn put_key(&self, row: &KeyRow) -> Result<(), VaultError>;
    /// Removes a key.
    fn delete_key(&self, id: i64) -> Result<(), VaultError>;

    /// All secrets.
    fn secrets(&self) -> Result<Vec<SecretRow>, VaultError>;
    /// Makes or replaces a secret.
    fn put_secret(&self, row: &SecretRow) -> Result<(), VaultError>;
    /// Removes a secret; its versions and assignments must be gone.
    fn delete_secret(&self, id: &str) -> Result<(), VaultError>;

    /// All versions.
    fn versions(&self) -> Result<Vec<VersionRow>, VaultError>;
    /// Some versions that are sealed under another key than this.
    fn versions_not_under(&self, key: i64, most: usize) -> Result<Vec<VersionRow>, VaultError>;
    /// How many those are.
    fn count_not_under(&self, key: i64) -> Result<u64, VaultError>;
    /// Makes or replaces a version.
    fn put_version(&self, row: &VersionRow) -> Result<(), VaultError>;
    /// Removes a version.
    fn delete_version(&self, secret: &str, number: i64) -> Result<(), VaultError>;

    /// All assignments.
    fn assignments(&self) -> Result<Vec<AssignmentRow>, VaultError>;
    /// Makes or replaces an assignment.
    fn put_assignment(&self, row: &AssignmentRow) -> Result<(), VaultError>;
    /// Removes an assignment.
    fn delete_assignment(&self, secret: &str, agent: &str) -> Result<(), VaultError>;

    /// The heads of the audit logs.
    fn heads(&self) -> Result<Vec<HeadRow>, VaultError>;
    /// Makes or replaces a head.
    fn put_head(&self, row: &HeadRow) -> Result<(), VaultError>;

    /// Ends a change; once it returns, the change lasts.
    fn commit(self: Box<Self>) -> Result<(), VaultError>;
}

/// The vault itself: which it is, whether a master key fits, and a sum over all other rows (see `ledger`).
#[derive(Clone, Debug)]
pub(super) struct RootRow {
    pub(super) vault: Vec<u8>,
    pub(super) created: i64,
    /// A MAC under the master key over nothing but the vault's id.
    pub(super) check: Vec<u8>,
    /// Goes up with each change of what a view holds.
    pub(super) generation: i64,
    pub(super) salt: Vec<u8>,
    pub(super) sum: Vec<u8>,
    pub(super) head_sum: Vec<u8>,
    pub(super) mac: Vec<u8>,
}

/// A key of the keyring, wrapped by the master key.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) purpose: String,
    pub(super) state: String,
    pub(super) created: i64,
    /// Times it was used, counted in blocks ahead of use.
    pub(super) uses: i64,
    pub(super) wrapped: Sealed,
    pub(super) mac: Vec<u8>,
}

/// A secret without its values.
#[derive(Clone, Debug)]
pub(super) struct SecretRow {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) pattern: String,
    pub(super) scope: String,
    pub(super) options: String,
    /// The version that is substituted.
    pub(super) current: i64,
    /// The numbers of all versions, with commas.
    pub(super) versions: String,
    pub(super) created: i64,
    pub(super) changed: i64,
    pub(super) mac: Vec<u8>,
}

/// A version of a secret's value.
#[derive(Clone, Debug)]
pub(super) struct VersionRow {
    pub(super) secret: String,
    pub(super) number: i64,
    pub(super) created: i64,
    /// When its grace is over, or was; none as long as it is the current one.
    pub(super) ends: Option<i64>,
    /// The data key that it is sealed under; none once it was destroyed.
    pub(super) data_key: Option<i64>,
    /// None once it was destroyed.
    pub(super) sealed: Option<Sealed>,
    pub(super) mac: Vec<u8>,
}

/// An agent that may use a secret of user scope.
#[derive(Clone, Debug)]
pub(super) struct AssignmentRow {
    pub(super) secret: String,
    pub(super) agent: String,
    pub(super) created: i64,
    pub(super) mac: Vec<u8>,
}

/// How far an audit log is.
#[derive(Clone, Debug)]
pub(super) struct HeadRow {
    pub(super) log: String,
    pub(super) seq: i64,
    pub(super) head: Vec<u8>,
    pub(super) mac: Vec<u8>,
}

/// Which sum of the root row a table's rows are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// Keys and secrets: what a view depends on.
    Main,
    /// Heads, which change with every batch of audit events.
    Heads,
}

/// A row that is signed and counted.
pub(super) trait Row {
    /// Where it is counted.
    const SUM: Sum;

    /// Adds every field but the MAC.
    fn bind(&self, bound: &mut Bound);
    /// The table's name.
    fn table(&self) -> &'static str;
    /// The row in words, for people.
    fn name(&self) -> String;
    fn mac(&self) -> &[u8];
    fn set_mac(&mut self, mac: &[u8]);
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError>;
}

/// A row that may go again.
pub(super) trait Removable: Row {
    fn delete(&self, tx: &dyn Transaction) -> Result<(), VaultError>;
}

macro_rules! signed {
    () => {
        fn mac(&self) -> &[u8] {
            &self.mac
        }
        fn set_mac(&mut self, mac: &[u8]) {
            self.mac = mac.to_vec();
        }
    };
}

impl Row for KeyRow {
    const SUM: Sum = Sum::Main;

    fn bind(&self, bound: &mut Bound) {
        self.bind_wrapped(bound);
        bound
            .text(&self.state)
            .number(self.uses)
            .sealed(Some(&self.wrapped));
    }
    fn table(&self) -> &'static str {
        "keys"
    }
    fn name(&self) -> String {
        format!("key {}", self.id)
    }
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.put_key(self)
    }
    signed!();
}

impl KeyRow {
    /// Adds what a wrapped key is bound to: all that never changes. State and count change without a new wrapping, which needs
    /// the master key; the row's MAC holds them.
    pub(super) fn bind_wrapped(&self, bound: &mut Bound) {
        bound
            .number(self.id)
            .text(&self.purpose)
            .number(self.created);
    }
}

impl Row for SecretRow {
    const SUM: Sum = Sum::Main;

    fn bind(&self, bound: &mut Bound) {
        bound
            .text(&self.id)
            .text(&self.key)
            .text(&self.pattern)
            .text(&self.scope)
            .text(&self.options)
            .number(self.current)
            .text(&self.versions)
            .number(self.created)
            .number(self.changed);
    }
    fn table(&self) -> &'static str {
        "secrets"
    }
    fn name(&self) -> String {
        format!("secret {} ({})", self.id, self.key)
    }
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.put_secret(self)
    }
    signed!();
}

impl Row for VersionRow {
    const SUM: Sum = Sum::Main;

    fn bind(&self, bound: &mut Bound) {
        self.bind_value(bound);
        bound.sealed(self.sealed.as_ref());
    }
    fn table(&self) -> &'static str {
        "versions"
    }
    fn name(&self) -> String {
        format!("version {} of secret {}", self.number, self.secret)
    }
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.put_version(self)
    }
    signed!();
}

impl VersionRow {
    /// Adds what a value is bound to: every other field of its row.
    pub(super) fn bind_value(&self, bound: &mut Bound) {
        bound
            .text(&self.secret)
            .number(self.number)
            .number(self.created)
            .maybe(self.ends)
            .maybe(self.data_key);
    }
}

impl Row for AssignmentRow {
    const SUM: Sum = Sum::Main;

    fn bind(&self, bound: &mut Bound) {
        bound
            .text(&self.secret)
            .text(&self.agent)
            .number(self.created);
    }
    fn table(&self) -> &'static str {
        "assignments"
    }
    fn name(&self) -> String {
        format!("assignment of secret {} to {}", self.secret, self.agent)
    }
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.put_assignment(self)
    }
    signed!();
}

impl Row for HeadRow {
    const SUM: Sum = Sum::Heads;

    fn bind(&self, bound: &mut Bound) {
        bound.text(&self.log).number(self.seq).blob(&self.head);
    }
    fn table(&self) -> &'static str {
        "heads"
    }
    fn name(&self) -> String {
        format!("head of the audit log {}", self.log)
    }
    fn put(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.put_head(self)
    }
    signed!();
}

impl Removable for KeyRow {
    fn delete(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.delete_key(self.id)
    }
}

impl Removable for SecretRow {
    fn delete(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.delete_secret(&self.id)
    }
}

impl Removable for VersionRow {
    fn delete(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.delete_version(&self.secret, self.number)
    }
}

impl Removable for AssignmentRow {
    fn delete(&self, tx: &dyn Transaction) -> Result<(), VaultError> {
        tx.delete_assignment(&self.secret, &self.agent)
    }
}
