//! One-time codes by time (RFC 6238), from a seed in base32 or in an `otpauth://` URI.
//!
//! The URI is read here, not by `totp-rs`: its errors quote what they were given, and its copies of the seed are not wiped. What
//! a seed says is checked when a secret is made of it, so that a code can always be had later.

use std::fmt::Write as _;

use totp_rs::{Algorithm, Builder};
use zeroize::Zeroizing;

use super::{Kind, Limits, Secret, Value};

/// Most seconds for which a code may be valid. Codes are masked for twice that time.
const MAX_PERIOD: u64 = 3600;

/// Bytes of the shortest seeds that sites give out. RFC 4226 (section 4, R6) asks for 16, but who has such a seed cannot change it.
const USUAL_BYTES: usize = 10;

/// Characters of a group in which sites show seeds.
const GROUP: usize = 4;

/// A seed, and how codes come of it.
pub(super) struct Seed {
    key: Zeroizing<Vec<u8>>,
    /// Its base32 text: upper case, no blanks, no padding.
    text: Zeroizing<String>,
    algorithm: Algorithm,
    digits: u8,
    period: u64,
}

/// Why a value is no seed. Never holds any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Neither base32 nor a URI.
    #[error(
        "Secret value is no seed of one-time codes. Use the otpauth:// URI of the site or its base32 text (letters and the digits 2 to 7)"
    )]
    Base32,
    /// Base32 text of a length that no bytes have.
    #[error(
        "Secret value is no whole seed of one-time codes: characters are missing. Copy it again"
    )]
    Incomplete,
    /// A URI of something else than codes by time.
    #[error(
        "Secret value is an otpauth:// URI of another type than 'totp'. Only codes by time are supported"
    )]
    Type,
    /// The URI has no seed, or more than one.
    #[error("Secret value is an otpauth:// URI without a 'secret', or with several. Copy it again")]
    Missing,
    /// A parameter stands twice, and readers differ on which counts.
    #[error(
        "Secret value is an otpauth:// URI that says one thing twice. Keep one 'algorithm', 'digits' and 'period'"
    )]
    Twice,
    /// Another hash function.
    #[error("Secret value is an otpauth:// URI whose 'algorithm' is not SHA1, SHA256 or SHA512")]
    Algorithm,
    /// Too few or too many digits.
    #[error("Secret value is an otpauth:// URI whose 'digits' are not 6, 7 or 8")]
    Digits,
    /// Too short or too long a period.
    #[error(
        "Secret value is an otpauth:// URI whose 'period' is not from 1 to {MAX_PERIOD} seconds"
    )]
    Period,
}

/// A code in force. Neither `Debug` nor `Clone`: it holds a value.
pub struct Code {
    /// The code.
    pub value: Value,
    /// When the next one comes into force, in seconds since 1970.
    pub expires: u64,
    /// Until when it is masked, in seconds since 1970: when it expired twice, as sites accept the one before.
    pub masked_until: u64,
}

/// Why there is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// The secret is of another kind.
    #[error("the secret is not of kind 'totp'")]
    Kind,
    /// Its value is no seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The clock is beyond all time.
    #[error("the time of this machine is not valid")]
    Time,
}

/// The code of a secret at that time (RFC 6238).
///
/// # Errors
/// If the secret is not of kind `totp`.
pub fn code(secret: &Secret, unix_seconds: u64) -> Result<Code, TotpError> {
    if secret.options().kind != Kind::Totp {
        return Err(TotpError::Kind);
    }
    Seed::parse(secret.value().expose())?.code(unix_seconds)
}

impl Seed {
    /// Reads a URI, or base32 in any case, with blanks and hyphens, padded or not.
    pub(super) fn parse(value: &str) -> Result<Self, SeedError> {
        let value = value.trim();
        let scheme = value.split_once("://");
        if let Some((_, rest)) = scheme.filter(|(s, _)| s.eq_ignore_ascii_case("otpauth")) {
            return uri(rest);
        }
        let (key, text) = base32(value)?;
        Ok(Self {
            key,
            text,
            algorithm: Algorithm::SHA1,
            digits: 6,
            period: 30,
        })
    }

    /// Whether it is shorter than any that sites give out: likely a part of one, or a word.
    pub(super) fn is_short(&self) -> bool {
        self.key.len() < USUAL_BYTES
    }

    /// How it is written elsewhere: plain, and in groups.
    pub(super) fn forms(&self, mut each: impl FnMut(&str)) {
        each(&self.text);
        let mut grouped = Zeroizing::new(String::with_capacity(self.text.len() * 2));
        for (at, character) in self.text.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                grouped.push(' ');
            }
            grouped.push(character);
        }
        if grouped.len() > self.text.len() {
            each(&grouped);
        }
    }

    fn code(&self, unix_seconds: u64) -> Result<Code, TotpError> {
        let expires = (unix_seconds / self.period)
            .checked_add(1)
            .and_then(|step| step.checked_mul(self.period))
            .ok_or(TotpError::Time)?;
        let masked_until = expires.checked_add(self.period).ok_or(TotpError::Time)?;
        let totp = Builder::new()
            .with_algorithm(self.algorithm)
            .with_digits(self.digits)
            .with_step_duration(self.period)
            .with_secret(self.key.as_slice())
            // Not `build`, which refuses seeds under 128 bits. All else was checked.
            .build_noncompliant();
        let mut text = Zeroizing::new(String::with_capacity(usize::from(self.digits)));
        // Writing to a text cannot fail.
        let _ = write!(text, "{}", totp.generate(unix_seconds));
        let value = Value::new(text, &Limits::default()).map_err(|_| SeedError::Digits)?;
        Ok(Code {
            value,
            expires,
            masked_until,
        })
    }
}

/// What follows `otpauth://`: the type, a label, and parameters. Unknown parameters are left alone, as the site's programs do.
fn uri(rest: &str) -> Result<Seed, SeedError> {
    let rest = rest.split_once('#').map_or(rest, |(front, _)| front);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let kind = path.split_once('/').map_or(path, |(kind, _)| kind);
    if !kind.eq_ignore_ascii_case("totp") {
        return Err(SeedError::Type);
    }
    let (mut secret, mut algorithm, mut digits, mut period) = (None, None, None, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name.to_ascii_lowercase().as_str() {
            "secret" => &mut secret,
            "algorithm" => &mut algorithm,
            "digits" => &mut digits,
            "period" => &mut period,
            // Steam's codes are letters.
            "encoder" => return Err(SeedError::Type),
            _ => continue,
        };
        if place.replace(decoded(value)).is_some() {
            return Err(if name.eq_ignore_ascii_case("secret") {
                SeedError::Missing
            } else {
                SeedError::Twice
            });
        }
    }
    let secret = secret.ok_or(SeedError::Missing)?;
    let secret = std::str::from_utf8(&secret).map_err(|_| SeedError::Base32)?;
    let (key, text) = base32(secret)?;
    Ok(Seed {
        key,
        text,
        algorithm: match algorithm {
            Some(name) => algorithm_of(&name)?,
            None => Algorithm::SHA1,
        },
        digits: match digits.as_deref().map(Vec::as_slice) {
            None | Some(b"6") => 6,
            Some(b"7") => 7,
            Some(b"8") => 8,
            Some(_) => return Err(SeedError::Digits),
        },
        period: match period {
            Some(seconds) => period_of(&seconds)?,
            None => 30,
        },
    })
}

fn algorithm_of(name: &[u8]) -> Result<Algorithm, SeedError> {
    for (known, algorithm) in [
        ("SHA1", Algorithm::SHA1),
        ("SHA256", Algorithm::SHA256),
        ("SHA512", Algorithm::SHA512),
    ] {
        let plain = name.iter().filter(|byte| **byte != b'-');
        if plain.map(u8::to_ascii_uppercase).eq(known.bytes()) {
            return Ok(algorithm);
        }
    }
    Err(SeedError::Algorithm)
}

fn period_of(seconds: &[u8]) -> Result<u64, SeedError> {
    if seconds.is_empty() || !seconds.iter().all(u8::is_ascii_digit) {
        return Err(SeedError::Period);
    }
    let seconds: u64 = std::str::from_utf8(seconds)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(SeedError::Period)?;
    if (1..=MAX_PERIOD).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(SeedError::Period)
    }
}

/// A parameter's value with its percent escapes and pluses read. An escape that is none stays as it is.
fn decoded(value: &str) -> Zeroizing<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|b| char::from(*b).to_digit(16))
        };
        let escape = digit(1)
            .zip(digit(2))
            .filter(|_| byte == b'%')
            .and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        if let Some(byte) = escape {
            out.push(byte);
            at += 3;
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
            at += 1;
        }
    }
    out
}

/// Base32 (RFC 4648 section 6): its bytes, and its text in one spelling. People type it, so that case, blanks, hyphens and
/// missing padding do not matter; bits that are left over do not either, as some sites draw their letters by chance.
fn base32(text: &str) -> Result<(Zeroizing<Vec<u8>>, Zeroizing<String>), SeedError> {
    let text = text.trim_end_matches(|c: char| c == '=' || c.is_whitespace());
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut key = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for character in text.chars() {
        if character.is_whitespace() || character == '-' {
            continue;
        }
        let digit = match character.to_ascii_uppercase() {
            letter @ 'A'..='Z' => u32::from(letter) - u32::from('A'),
            number @ '2'..='7' => u32::from(number) - u32::from('2') + 26,
            _ => return Err(SeedError::Base32),
        };
        plain.push(character.to_ascii_uppercase());
        bits = (bits << 5 | digit) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push(u8::try_from(bits >> held & 0xff).map_err(|_| SeedError::Base32)?);
        }
    }
    match plain.len() % 8 {
        1 | 3 | 6 => Err(SeedError::Incomplete),
        _ if key.is_empty() => Err(SeedError::Base32),
        _ => Ok((key, plain)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_read_as_rfc_4648_has_it() {
        for (text, expected) in [
            ("MY======", "f"),
            ("MZXQ====", "fo"),
            ("MZXW6===", "foo"),
            ("MZXW6YQ=", "foob"),
            ("MZXW6YTB", "fooba"),
            ("MZXW6YTBOI======", "foobar"),
            ("MZXW6YTBOI", "foobar"),
            ("mzxw 6ytb oi", "foobar"),
            (" mzxw-6ytb\u{a0}oi== ==\n", "foobar"),
        ] {
            let (key, plain) = base32(text).unwrap();
            assert_eq!(key.as_slice(), expected.as_bytes(), "{text}");
            let letters = text.chars().filter(char::is_ascii_alphanumeric);
            assert_eq!(
                *plain,
                letters.collect::<String>().to_ascii_uppercase(),
                "{text}"
            );
        }
        for (text, expected) in [
            ("", SeedError::Base32),
            ("=", SeedError::Base32),
            ("- -", SeedError::Base32),
            ("MZXW6YT1", SeedError::Base32),
            ("MZXW=6YTB", SeedError::Base32),
            ("MZXW6YTÄ", SeedError::Base32),
            ("M", SeedError::Incomplete),
            ("MZX", SeedError::Incomplete),
            ("MZXW6Y", SeedError::Incomplete),
        ] {
            assert_eq!(base32(text).err(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_seed_has_other_forms() {
        let mut forms = Vec::new();
        let seed = Seed::parse("jbswy3dpehpk3pxp").unwrap();
        seed.forms(|form| forms.push(form.to_owned()));
        assert_eq!(forms, ["JBSWY3DPEHPK3PXP", "JBSW Y3DP EHPK 3PXP"]);
    }
}
