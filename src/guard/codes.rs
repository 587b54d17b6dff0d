//! One-time codes that were issued: masked from before they go out until they have expired twice.

use super::counts::Owner;
use crate::secret::{MaskOption, Secret, TotpError, Value, code};

/// A code that was issued. It holds a value: neither `Debug` nor `Clone`.
pub(super) struct Issued {
    pub text: Value,
    pub owner: Owner,
    pub option: MaskOption,
    /// In seconds since 1970.
    pub until: u64,
}

/// The codes that are masked now.
#[derive(Default)]
pub(super) struct Codes(Vec<Issued>);

impl Codes {
    /// The code of a secret at that time, kept; and whether it was not kept already.
    ///
    /// # Errors
    /// The secret has no codes.
    pub fn issue(&mut self, secret: &Secret, now: u64) -> Result<(Value, bool), TotpError> {
        let (given, kept) = (code(secret, now)?, code(secret, now)?);
        let owner = Owner::of(secret);
        let same = |issued: &&mut Issued| {
            issued.owner == owner && issued.text.expose() == kept.value.expose()
        };
        if let Some(issued) = self.0.iter_mut().find(same) {
            issued.until = issued.until.max(kept.masked_until);
            return Ok((given.value, false));
        }
        self.0.push(Issued {
            text: kept.value,
            owner,
            option: secret.options().mask,
            until: kept.masked_until,
        });
        Ok((given.value, true))
    }

    /// Forgets those whose time is over; returns whether there were any.
    pub fn expire(&mut self, now: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|issued| issued.until > now);
        self.0.len() < before
    }

    /// When the first one's time is over.
    pub fn next_expiry(&self) -> Option<u64> {
        self.0.iter().map(|issued| issued.until).min()
    }

    pub fn all(&self) -> &[Issued] {
        &self.0
    }
}
