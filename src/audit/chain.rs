//! The chain: how a record is sealed, and how a line is taken apart and checked. `audit/mod.rs` has the format.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::event::Event;

/// A record's place in the chain: its number and its MAC. Number 0 stands before the first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub seq: u64,
    pub mac: [u8; 32],
}

impl Link {
    /// What the first record of a log follows.
    pub const START: Self = Self {
        seq: 0,
        mac: [0; 32],
    };
}

impl Link {
    /// Writes how the record's line ends, line feed included.
    pub fn write_ending(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAC_START);
        write_hex(out, &self.mac);
        out.extend_from_slice(b"\"}\n");
    }
}

const MAC_START: &[u8] = b",\"mac\":\"";
const PREV_START: &[u8] = b",\"prev\":\"";
const SEQ_START: &[u8] = b"{\"seq\":";
const HEX: usize = 64;

/// `,"mac":"`, the MAC, `"}`.
const MAC_PART: usize = MAC_START.len() + HEX + 2;

/// `,"prev":"`, the MAC before, `"`.
const PREV_PART: usize = PREV_START.len() + HEX + 1;

/// Seals records and checks them.
pub(super) struct Sealer {
    /// The MAC with its key in it, and nothing else yet. Wiped on drop (hmac's feature `zeroize`).
    keyed: Hmac<Sha256>,
}

impl Sealer {
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Self {
        let keyed = Hmac::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// Appends the record of an event that follows `link`, and moves `link` to it.
    pub fn seal(&self, event: &Event, link: &mut Link, out: &mut Vec<u8>) {
        let start = out.len();
        let seq = link.seq + 1;
        out.extend_from_slice(SEQ_START);
        out.extend_from_slice(seq.to_string().as_bytes());
        out.push(b',');
        event.write(out);
        out.extend_from_slice(PREV_START);
        write_hex(out, &link.mac);
        out.push(b'"');
        let mac = self.mac(&out[start..]);
        *link = Link { seq, mac };
        link.write_ending(out);
    }

    /// Whether the line's MAC is the one that its body has.
    pub fn holds(&self, framed: &Framed<'_>) -> bool {
        let mut mac = self.keyed.clone();
        mac.update(framed.body);
        mac.verify_slice(&framed.link.mac).is_ok()
    }

    fn mac(&self, body: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

/// A line that has the frame of a record. Whether its MAC holds is for [`Sealer::holds`] to say.
pub(super) struct Framed<'a> {
    pub link: Link,
    pub prev: [u8; 32],
    body: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Takes a line apart, without its line feed. `None`: it is no record.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let body = &line[..line.len().checked_sub(MAC_PART)?];
        let mac = hex_between(&line[body.len()..], MAC_START, b"\"}")?;
        let prev_part = &body[body.len().checked_sub(PREV_PART)?..];
        let prev = hex_between(prev_part, PREV_START, b"\"")?;
        let seq = seq_of(line)?;
        Some(Self {
            link: Link { seq, mac },
            prev,
            body,
        })
    }
}

/// The number at the beginning of a line: decimal, without leading zeros, at least 1.
pub(super) fn seq_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(SEQ_START)?;
    let end = rest.iter().take(21).position(|&byte| byte == b',')?;
    let digits = &rest[..end];
    if digits.first()? == &b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn hex_between(text: &[u8], start: &[u8], end: &[u8]) -> Option<[u8; 32]> {
    let hex = text.strip_prefix(start)?.strip_suffix(end)?;
    let mut bytes = [0; 32];
    if hex.len() != HEX {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Lower case only: there is one way to write a record.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::audit::Kind;

    fn sealed() -> (Sealer, Vec<u8>, Link) {
        let sealer = Sealer::new(&Zeroizing::new([7; 32]));
        let (mut out, mut link) = (Vec::new(), Link::START);
        let event = Event::new(Kind::Start).at(SystemTime::UNIX_EPOCH);
        sealer.seal(&event, &mut link, &mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        (sealer, out, link)
    }

    #[test]
    fn a_record_is_the_line_that_the_overview_describes() {
        let (_, line, _) = sealed();
        let zeros = "0".repeat(64);
        let body = format!(
            r#"{{"seq":1,"time":"1970-01-01T00:00:00.000Z","event":"start","prev":"{zeros}""#
        );
        // From Python: hmac.new(bytes([7] * 32), body, "sha256").hexdigest()
        let mac = "219a6c6ae2fbcbd185dc934a004af2a770b64fc4a585f72a5c074765b7f61626";
        assert_eq!(
            String::from_utf8(line).unwrap(),
            format!(r#"{body},"mac":"{mac}"}}"#)
        );
    }

    #[test]
    fn no_byte_of_a_record_can_change() {
        let (sealer, line, expected) = sealed();
        let framed = Framed::read(&line).unwrap();
        assert!(sealer.holds(&framed) && framed.link == expected);
        for byte in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[byte] ^= 1 << bit;
                let holds = Framed::read(&changed).is_some_and(|framed| sealer.holds(&framed));
                assert!(!holds, "byte {byte}, bit {bit}");
            }
        }
    }

    #[test]
    fn only_one_way_to_write_a_number() {
        for (line, seq) in [
            ("{\"seq\":1,", Some(1)),
            ("{\"seq\":18446744073709551615,", Some(u64::MAX)),
            ("{\"seq\":18446744073709551616,", None),
            ("{\"seq\":0,", None),
            ("{\"seq\":01,", None),
            ("{\"seq\":+1,", None),
            ("{\"seq\": 1,", None),
            ("{\"seq\":,", None),
            ("{\"seq\":1", None),
            ("", None),
        ] {
            assert_eq!(seq_of(line.as_bytes()), seq, "{line}");
        }
    }
}
