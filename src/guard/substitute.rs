//! May this placeholder become its value here? If so, the value goes into the caller's sink, after its event is durable.

use subtle::ConstantTimeEq as _;

use super::counts::Owner;
use super::{NotAllowed, NotThere, Origin, Place, Ticket, Unavailable};
use crate::audit::{Event, Kind};
use crate::secret::{self, Secret, TotpError, Use};

/// A place of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot<'a> {
    /// Its kind.
    pub place: Place,
    /// Of a header, its name.
    pub header: Option<&'a str>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The placeholder's key.
    pub key: &'a str,
    /// Where in the request its value is to stand: each once.
    pub spots: &'a [Spot<'a>],
    /// Where the request goes: the peer whose certificate is verified, or the address that is dialled.
    pub destination: &'a Origin,
}

/// What a text stands for that a client gave as a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// The placeholder.
    Placeholder,
    /// The value itself, at a place and a destination where it may be.
    Value,
    /// Something else.
    Other,
}

/// Why a placeholder does not become its value. The text says what to do; it never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No secret answers to the key there.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// The secret may not go into that place, or not so often.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// There is no one-time code.
    #[error("{0}")]
    Code(TotpError),
    /// Nothing is given out now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How the value of a secret is entered into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Into which fields.
    pub field: secret::Field,
    /// Whether the page gets the value, or only the request that leaves it.
    pub fill: secret::Fill,
    /// Whether it is a one-time code.
    pub is_code: bool,
}

impl Ticket {
    /// How the value is entered that the key stands for at a destination, if it may go there. Leaves no event.
    ///
    /// # Errors
    /// It may not be there.
    pub fn entry(&self, ask: &Ask<'_>) -> Result<Entry, Denied> {
        let secret = self.judge(ask)?;
        let options = secret.options();
        Ok(Entry {
            field: options.field,
            fill: options.fill,
            is_code: options.kind == secret::Kind::Totp,
        })
    }

    /// The patterns of the secrets that a key stands for, where it belongs.
    pub fn homes(&self, key: &str) -> Vec<String> {
        let secrets = self.snapshot.view().of(key).iter();
        let mut homes: Vec<String> = secrets.map(|s| s.pattern().to_string()).collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }

    /// What a text stands for that a client gave as the credential of that key at that place.
    pub fn stands_for(&self, text: &str, ask: &Ask<'_>) -> Stands {
        if self.snapshot.is_placeholder(text, ask.key) {
            return Stands::Placeholder;
        }
        let Ok(secret) = self.judge(ask) else {
            return Stands::Other;
        };
        if secret.options().kind == secret::Kind::Totp {
            // A seed goes nowhere.
            return Stands::Other;
        }
        let mut is_value = subtle::Choice::from(0);
        for value in std::iter::once(secret.value()).chain(secret.former()) {
            is_value |= value.expose().as_bytes().ct_eq(text.as_bytes());
        }
        if is_value.into() {
            Stands::Value
        } else {
            Stands::Other
        }
    }

    /// Hands the value to `sink`, which writes it as each place wants it. The event is durable before; a refusal is in the log
    /// with what else the request has to say.
    ///
    /// # Errors
    /// It may not be there, or there is no trace of it.
    pub async fn substitute<R>(
        &self,
        ask: &Ask<'_>,
        sink: impl FnOnce(&str) -> R,
    ) -> Result<R, Denied> {
        let denied = match self.judge(ask) {
            Ok(secret) => match self.record(ask, secret).await {
                Ok(None) => return Ok(sink(secret.value().expose())),
                Ok(Some(code)) => return Ok(sink(code.expose())),
                Err(denied) => denied,
            },
            Err(denied) => denied,
        };
        self.refuse(ask, &denied);
        Err(denied)
    }

    /// The secret that the key stands for at that destination, if it may go there.
    fn judge(&self, ask: &Ask<'_>) -> Result<&Secret, Denied> {
        let secret = self.snapshot.view().find(ask.key, ask.destination)?;
        let uses = u32::try_from(ask.spots.len()).unwrap_or(u32::MAX);
        for Spot { place, header } in ask.spots {
            secret.may_go(&Use {
                place: *place,
                header: *header,
                uses,
            })?;
        }
        Ok(secret)
    }

    /// Makes the use durable; of a secret of one-time codes, returns the code that is masked from now on.
    async fn record(
        &self,
        ask: &Ask<'_>,
        secret: &Secret,
    ) -> Result<Option<secret::Value>, Denied> {
        if let Some(unavailable) = self.guard.failed() {
            return Err(unavailable.into());
        }
        let code = match secret.options().kind {
            secret::Kind::Totp => Some(self.guard.issue(secret).map_err(Denied::Code)?),
            _ => None,
        };
        let owner = Owner::of(secret);
        let events = places(ask)
            .map(|(place, count)| {
                self.event(Kind::Substitute)
                    .key(&owner.key)
                    .scope(&owner.scope)
                    .domain(&owner.domain)
                    .place(place.as_str())
                    .count(count)
                    .outcome("done")
            })
            .collect();
        let durable = self.guard.recorder.durable(events).await;
        durable.map_err(|_| Denied::Unavailable(Unavailable::Audit))?;
        Ok(code)
    }

    fn refuse(&self, ask: &Ask<'_>, denied: &Denied) {
        for (place, count) in places(ask) {
            let event: Event = self
                .event(Kind::Refuse)
                .key(ask.key)
                .domain(ask.destination.to_string())
                .place(place.as_str())
                .count(count)
                .outcome("refused")
                .reason(denied.to_string());
            self.refused(event);
        }
    }
}

/// The places that are asked for, and how often each.
fn places<'a>(ask: &Ask<'a>) -> impl Iterator<Item = (Place, u64)> + use<'a> {
    let spots = ask.spots;
    spots.iter().enumerate().filter_map(move |(at, spot)| {
        let same = |other: &&Spot<'_>| other.place == spot.place;
        let is_first = !spots[..at].iter().any(|other| same(&other));
        let count = spots.iter().filter(same).count();
        is_first.then(|| (spot.place, u64::try_from(count).unwrap_or(u64::MAX)))
    })
}
