//! What makes rows count: each carries a MAC over all of its fields, and the root row carries a sum over all rows.
//!
//! A MAC shows a field that was changed, or a row's fields put into another. It does not show a row that was taken away, or put
//! back as it was last year. The sum does: every row gives a share, a MAC of its MAC under another key, and the shares are added
//! by exclusive or. Taking a row out of the sum is the same as adding it, so a change costs as much as the rows it touches. The
//! sum stands in the root row under a mask made from a fresh salt, and the root row has a MAC of its own (this is MSet-XOR-Hash of
//! Clarke et al., "Incremental Multiset Hash Functions", 2003). So only the database as a whole can be put back unseen.
//!
//! A change never mends what was broken before it: what it does not touch keeps its part in the difference.
//!
//! There are two sums: one for keys and secrets, one for the heads of audit logs, which change too often for everything else to be
//! read with them.

use std::sync::Arc;

use super::envelope::{Bound, MAC_BYTES, SecretKey};
use super::error::VaultError;
use super::store::{Removable, RootRow, Row, Sum, Transaction};
use crate::secret::shown;

/// Bytes of the root row's salt.
const SALT_BYTES: usize = 32;

/// The keys under which rows are signed and summed up. They do not change as long as the vault lives.
pub(super) struct RowKeys {
    vault: Vec<u8>,
    rows: Arc<SecretKey>,
    shares: Arc<SecretKey>,
    masks: Arc<SecretKey>,
}

impl RowKeys {
    /// All of them from one.
    pub(super) fn new(vault: &[u8], key: &SecretKey) -> Self {
        Self {
            vault: vault.to_vec(),
            rows: key.derive(vault, "bauta vault rows v1"),
            shares: key.derive(vault, "bauta vault shares v1"),
            masks: key.derive(vault, "bauta vault masks v1"),
        }
    }

    /// Whether a row is as it was written.
    pub(super) fn fits<R: Row>(&self, row: &R) -> bool {
        self.rows.mac_fits(self.encoded(row).as_bytes(), row.mac())
    }

    fn sign<R: Row>(&self, row: &mut R) {
        let mac = self.rows.mac(self.encoded(row).as_bytes());
        row.set_mac(&mac);
    }

    fn encoded<R: Row>(&self, row: &R) -> Bound {
        let mut bound = Bound::new(row.table(), &self.vault);
        row.bind(&mut bound);
        bound
    }

    /// Adds a row to a sum, or takes it out.
    fn add<R: Row>(&self, sum: &mut [u8; MAC_BYTES], row: &R) {
        xor(sum, &self.shares.mac(row.mac()));
    }

    fn mask(&self, sum: Sum, salt: &[u8]) -> [u8; MAC_BYTES] {
        let mut bound = Bound::new("mask", &self.vault);
        bound.number(sum as i64).blob(salt);
        self.masks.mac(bound.as_bytes())
    }

    fn root(&self, root: &RootRow) -> Bound {
        let mut bound = Bound::new("root", &self.vault);
        bound
            .blob(&root.vault)
            .number(root.created)
            .blob(&root.check)
            .number(root.generation)
            .blob(&root.salt)
            .blob(&root.sum)
            .blob(&root.head_sum);
        bound
    }

    /// Whether the root row is as it was written.
    pub(super) fn root_fits(&self, root: &RootRow) -> bool {
        self.rows.mac_fits(self.root(root).as_bytes(), &root.mac)
    }
}

fn xor(sum: &mut [u8; MAC_BYTES], share: &[u8; MAC_BYTES]) {
    for (byte, other) in sum.iter_mut().zip(share) {
        *byte ^= other;
    }
}

/// A transaction whose rows are signed and counted.
pub(super) struct Ledger<'a> {
    tx: Box<dyn Transaction + 'a>,
    keys: Arc<RowKeys>,
    root: RootRow,
    /// In the order of [`Sum`].
    sums: [[u8; MAC_BYTES]; 2],
}

impl<'a> Ledger<'a> {
    /// Checks the root row.
    pub(super) fn open(
        tx: Box<dyn Transaction + 'a>,
        keys: Arc<RowKeys>,
    ) -> Result<Self, VaultError> {
        let root = tx.root()?.filter(|root| keys.root_fits(root));
        let root = root.ok_or_else(|| VaultError::Broken(vec!["the row of root".to_owned()]))?;
        let unmasked = |sum, masked: &[u8]| -> Option<[u8; MAC_BYTES]> {
            let mut own = keys.mask(sum, &root.salt);
            xor(&mut own, masked.try_into().ok()?);
            Some(own)
        };
        let sums = match (
            unmasked(Sum::Main, &root.sum),
            unmasked(Sum::Heads, &root.head_sum),
        ) {
            (Some(main), Some(heads)) => [main, heads],
            _ => return Err(VaultError::Broken(vec!["the row of root".to_owned()])),
        };
        Ok(Self {
            tx,
            keys,
            root,
            sums,
        })
    }

    /// Begins a vault that has no rows yet. The root row is written when it is committed.
    pub(super) fn begin(tx: Box<dyn Transaction + 'a>, keys: Arc<RowKeys>, root: RootRow) -> Self {
        Self {
            tx,
            keys,
            root,
            sums: [[0; MAC_BYTES]; 2],
        }
    }

    /// The rows, to read.
    pub(super) fn rows(&self) -> &dyn Transaction {
        &*self.tx
    }

    /// The root row.
    pub(super) fn root(&self) -> &RootRow {
        &self.root
    }

    /// Replaces what says whether a master key fits.
    pub(super) fn set_check(&mut self, check: Vec<u8>) {
        self.root.check = check;
    }

    /// Whether a row is as it was written.
    pub(super) fn fits<R: Row>(&self, row: &R) -> bool {
        self.keys.fits(row)
    }

    /// The row, if it is as it was written.
    pub(super) fn checked<R: Row>(&self, row: R) -> Result<R, VaultError> {
        if self.fits(&row) {
            Ok(row)
        } else {
            Err(VaultError::Broken(vec![shown::plain(&row.name())]))
        }
    }

    /// Writes a new row.
    pub(super) fn add<R: Row>(&mut self, mut row: R) -> Result<R, VaultError> {
        self.keys.sign(&mut row);
        row.put(&*self.tx)?;
        self.count(&row);
        Ok(row)
    }

    /// Writes a row in the place of one that was checked.
    pub(super) fn replace<R: Row>(&mut self, old: &R, new: R) -> Result<R, VaultError> {
        self.count(old);
        self.add(new)
    }

    /// Removes a row that was checked.
    pub(super) fn remove<R: Removable>(&mut self, old: &R) -> Result<(), VaultError> {
        self.count(old);
        old.delete(&*self.tx)
    }

    fn count<R: Row>(&mut self, row: &R) {
        self.keys.add(&mut self.sums[R::SUM as usize], row);
    }

    /// A sum to compare with what is counted.
    pub(super) fn tally(&self) -> Tally<'_> {
        Tally {
            keys: &self.keys,
            sum: [0; MAC_BYTES],
            broken: Vec::new(),
        }
    }

    /// Names of rows that are broken, if any; then whether these are all rows there should be.
    pub(super) fn complete(&self, tally: Tally<'_>, sum: Sum) -> Result<(), VaultError> {
        let Tally {
            sum: own, broken, ..
        } = tally;
        if !broken.is_empty() {
            return Err(VaultError::Broken(broken));
        }
        // Not secret: who can see how long this takes has the file, and cannot choose a sum.
        if own != self.sums[sum as usize] {
            return Err(VaultError::Broken(vec![
                "the list of rows (one was taken away, added, or put back from an older copy)"
                    .to_owned(),
            ]));
        }
        Ok(())
    }

    /// Ends the change. `visible` if views may hold something else now.
    pub(super) fn commit(mut self, visible: bool) -> Result<(), VaultError> {
        if visible {
            self.root.generation = self.root.generation.wrapping_add(1);
        }
        self.root.salt = vec![0; SALT_BYTES];
        getrandom::fill(&mut self.root.salt).map_err(|_| VaultError::Random)?;
        let masked = |sum: Sum| {
            let mut masked = self.keys.mask(sum, &self.root.salt);
            xor(&mut masked, &self.sums[sum as usize]);
            masked.to_vec()
        };
        (self.root.sum, self.root.head_sum) = (masked(Sum::Main), masked(Sum::Heads));
        self.root.mac = self
            .keys
            .rows
            .mac(self.keys.root(&self.root).as_bytes())
            .to_vec();
        self.tx.put_root(&self.root)?;
        self.tx.commit()
    }
}

/// Rows that were read so far, and what is wrong with them.
pub(super) struct Tally<'a> {
    keys: &'a RowKeys,
    sum: [u8; MAC_BYTES],
    broken: Vec<String>,
}

impl Tally<'_> {
    /// Counts a row.
    pub(super) fn row<R: Row>(&mut self, row: &R) {
        if self.keys.fits(row) {
            self.keys.add(&mut self.sum, row);
        } else {
            self.broken(&row.name());
        }
    }

    /// Names what is broken.
    pub(super) fn broken(&mut self, name: &str) {
        /// More names help nobody.
        const MOST: usize = 20;
        if self.broken.len() < MOST {
            self.broken.push(shown::plain(name));
        }
    }
}
