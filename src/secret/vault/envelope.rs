//! What is sealed and what is signed: AES-256-GCM, HMAC-SHA256, and the bytes that both are bound to.
//!
//! Everything is bound by its [`Bound`] encoding: a label, then every field with its kind and length in front, so that no two
//! different rows have one encoding. A sealed text is padded, so that its length tells little of the value's.

use std::sync::Arc;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::VaultError;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a nonce: 96 bits, random.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a MAC.
pub(super) const MAC_BYTES: usize = 32;
/// Bytes of AES-GCM's tag.
const TAG_BYTES: usize = 16;
/// Sealed texts are padded to a multiple of this.
const PAD_BYTES: usize = 128;
/// Bytes in which a padded text says its own length.
const LENGTH_BYTES: usize = 4;

/// A 256-bit key in wiped memory, where it stays. No `Debug`, `Display` or `Clone`.
pub(super) struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// A key of random bytes.
    pub(super) fn random() -> Result<Arc<Self>, VaultError> {
        let mut failed = false;
        let key = Self::fill(|bytes| failed = getrandom::fill(bytes).is_err());
        if failed {
            return Err(VaultError::Random);
        }
        Ok(key)
    }

    /// A key that is written where it will stay, so that no copy is left on the way.
    pub(super) fn fill(write: impl FnOnce(&mut [u8; KEY_BYTES])) -> Arc<Self> {
        let mut key = Arc::new(Self(Zeroizing::new([0; KEY_BYTES])));
        if let Some(key) = Arc::get_mut(&mut key) {
            write(&mut key.0);
        }
        key
    }

    /// A key for one purpose, derived by HKDF-SHA256 (RFC 5869).
    pub(super) fn derive(&self, salt: &[u8], purpose: &str) -> Arc<Self> {
        let hkdf = Hkdf::<Sha256>::new(Some(salt), &*self.0);
        Self::fill(|bytes| {
            hkdf.expand(purpose.as_bytes(), bytes)
                .expect("32 bytes are no more than HKDF-SHA256 gives (8160)");
        })
    }

    /// The bytes, for sealing them under another key.
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// HMAC-SHA256.
    pub(super) fn mac(&self, message: &[u8]) -> [u8; MAC_BYTES] {
        self.hmac(message).finalize().into_bytes().into()
    }

    /// Whether that is the message's MAC, in constant time.
    pub(super) fn mac_fits(&self, message: &[u8], mac: &[u8]) -> bool {
        self.hmac(message).verify_slice(mac).is_ok()
    }

    fn hmac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        hmac.update(message);
        hmac
    }

    /// Seals a text.
    pub(super) fn seal(&self, bound: &Bound, text: &[u8]) -> Result<Sealed, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let padded = (LENGTH_BYTES + text.len()).next_multiple_of(PAD_BYTES);
        let length = u32::try_from(text.len()).expect("values are far below 4 GiB: Limits says so");
        // With room for the tag from the start: growing would leave a copy behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(padded + TAG_BYTES));
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(text);
        buffer.resize(padded, 0);
        Aes256Gcm::new((&*self.0).into())
            .encrypt_in_place(&Nonce::from(nonce), bound.as_bytes(), &mut *buffer)
            .expect("the text is far below AES-GCM's limit of 64 GiB, and the buffer grows");
        Ok(Sealed {
            nonce: nonce.to_vec(),
            text: std::mem::take(&mut *buffer),
        })
    }

    /// Opens what was sealed; `None` if anything differs.
    pub(super) fn open(&self, bound: &Bound, sealed: &Sealed) -> Option<Opened> {
        let nonce: [u8; NONCE_BYTES] = sealed.nonce.as_slice().try_into().ok()?;
        let mut buffer = Zeroizing::new(sealed.text.clone());
        Aes256Gcm::new((&*self.0).into())
            .decrypt_in_place(&Nonce::from(nonce), bound.as_bytes(), &mut *buffer)
            .ok()?;
        let length: [u8; LENGTH_BYTES] = buffer.get(..LENGTH_BYTES)?.try_into().ok()?;
        let end = LENGTH_BYTES.checked_add(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        buffer.get(LENGTH_BYTES..end)?;
        Some(Opened { buffer, end })
    }
}

/// A sealed text and its nonce: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) nonce: Vec<u8>,
    pub(super) text: Vec<u8>,
}

/// A text that was opened, in wiped memory. No `Debug`, `Display` or `Clone`.
pub(super) struct Opened {
    buffer: Zeroizing<Vec<u8>>,
    end: usize,
}

impl Opened {
    /// The text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[LENGTH_BYTES..self.end]
    }

    /// The text as UTF-8.
    pub(super) fn into_text(self) -> Option<Zeroizing<String>> {
        Some(Zeroizing::new(
            str::from_utf8(self.bytes()).ok()?.to_owned(),
        ))
    }

    /// The text as a key.
    pub(super) fn into_key(self) -> Option<Arc<SecretKey>> {
        let mut bytes: [u8; KEY_BYTES] = self.bytes().try_into().ok()?;
        let key = SecretKey::fill(|own| own.copy_from_slice(&bytes));
        bytes.zeroize();
        Some(key)
    }
}

/// The encoding of a row, or of a part of it: the one thing that is signed, and that sealed texts are bound to.
pub(super) struct Bound(Vec<u8>);

impl Bound {
    /// Begins with what it is for and the vault that it is part of.
    pub(super) fn new(purpose: &str, vault: &[u8]) -> Self {
        let mut bound = Self(Vec::with_capacity(256));
        bound.text(purpose).blob(vault);
        bound
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.field(b't', text.as_bytes())
    }

    /// Bytes.
    pub(super) fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.field(b'b', bytes)
    }

    /// A number.
    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.field(b'i', &number.to_be_bytes())
    }

    /// A number that may be missing.
    pub(super) fn maybe(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.field(b'n', &[]),
        }
    }

    /// A sealed text that may be missing.
    pub(super) fn sealed(&mut self, sealed: Option<&Sealed>) -> &mut Self {
        match sealed {
            Some(sealed) => self.blob(&sealed.nonce).blob(&sealed.text),
            None => self.field(b'n', &[]).field(b'n', &[]),
        }
    }

    fn field(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        self.0.push(kind);
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 128 random bits in hex: the name of a secret or a vault.
pub(super) fn random_id() -> Result<String, VaultError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::Random)?;
    Ok(hex(&bytes))
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(fields: &[&str]) -> Bound {
        let mut bound = Bound::new("test", b"vault");
        for field in fields {
            bound.text(field);
        }
        bound
    }

    /// RFC 5869, test case 1, cut to the 32 bytes that we take; and RFC 4231, test case 2.
    #[test]
    fn derives_and_signs_as_the_standards_say() {
        let mut hmac_key = Zeroizing::new([0; KEY_BYTES]);
        hmac_key[..4].copy_from_slice(b"Jefe");
        // HMAC pads short keys with zeros, so a key of four bytes and one with zeros behind it are one.
        let mac = SecretKey(hmac_key).mac(b"what do ya want for nothing?");
        assert_eq!(
            hex(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let mut ikm = Zeroizing::new([0; KEY_BYTES]);
        ikm.fill(0x0b);
        let key = SecretKey(ikm);
        let salt: Vec<u8> = (0..13).collect();
        let derived = key.derive(&salt, "purpose");
        // The same by hand: extract, then the first block of expand.
        let extract = {
            let mut hmac = Hmac::<Sha256>::new_from_slice(&salt).unwrap();
            hmac.update(key.bytes());
            hmac.finalize().into_bytes()
        };
        let mut expand = Hmac::<Sha256>::new_from_slice(&extract).unwrap();
        expand.update(b"purpose\x01");
        assert_eq!(derived.bytes()[..], expand.finalize().into_bytes()[..]);
    }

    #[test]
    fn opens_only_what_it_sealed() {
        let key = SecretKey::random().unwrap();
        let sealed = key.seal(&bound(&["a", "b"]), b"a value").unwrap();
        let opened = key.open(&bound(&["a", "b"]), &sealed).unwrap();
        assert_eq!(opened.bytes(), b"a value");
        for other in [&["b", "a"][..], &["ab", ""], &["a"], &["a", "b", ""]] {
            assert!(key.open(&bound(other), &sealed).is_none());
        }
        for at in 0..sealed.text.len() {
            let mut flipped = sealed.clone();
            flipped.text[at] ^= 1;
            assert!(key.open(&bound(&["a", "b"]), &flipped).is_none());
        }
        for at in 0..NONCE_BYTES {
            let mut flipped = sealed.clone();
            flipped.nonce[at] ^= 0x80;
            assert!(key.open(&bound(&["a", "b"]), &flipped).is_none());
        }
        let other = SecretKey::random().unwrap();
        assert!(other.open(&bound(&["a", "b"]), &sealed).is_none());
    }

    #[test]
    fn lengths_do_not_show() {
        let key = SecretKey::random().unwrap();
        let length = |text: &[u8]| key.seal(&bound(&[]), text).unwrap().text.len();
        assert_eq!(length(b"x"), length(&[b'x'; 124]));
        assert_eq!(length(b"x") + PAD_BYTES, length(&[b'x'; 125]));
    }

    #[test]
    fn one_encoding_for_one_row_only() {
        let numbers = |fields: &[Option<i64>]| {
            let mut bound = bound(&[]);
            for field in fields {
                bound.maybe(*field);
            }
            bound.0
        };
        let all = [
            numbers(&[]),
            numbers(&[None]),
            numbers(&[Some(0)]),
            numbers(&[None, Some(0)]),
            numbers(&[Some(0), None]),
            bound(&[""]).0,
            bound(&["", ""]).0,
            Bound::new("test", b"vaulu").0,
            Bound::new("tesu", b"vault").0,
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| one != other));
        }
    }
}
