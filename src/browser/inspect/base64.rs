//! Base64 of Basic credentials (RFC 4648 section 4), read strictly and written into memory that is wiped.

use zeroize::Zeroizing;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many characters that many bytes take.
pub fn length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Appends it, padded. `out` has room for it, so that no copy is left behind where it was.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| group.get(at).map_or(0, |byte| u32::from(*byte));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or_default();
            let is_there = at <= group.len();
            out.push(if is_there { DIGITS[digit] } else { b'=' });
        }
    }
}

/// What the text stands for, padded or not; `None` if it is not base64.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(digits.len() / 4 * 3 + 3));
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes[..group.len() - 1]);
    }
    Some(out)
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("u:x_password", "dTp4X3Bhc3N3b3Jk"),
            ("\u{f6}:?>", "w7Y6Pz4="),
        ] {
            let mut out = Vec::with_capacity(length(plain.len()));
            encode(plain.as_bytes(), &mut out);
            assert_eq!(out, coded.as_bytes());
            assert_eq!(out.len(), length(plain.len()));
            for text in [coded, coded.trim_end_matches('=')] {
                let bytes = decode(text);
                assert_eq!(
                    bytes.map(|bytes| bytes.to_vec()),
                    Some(plain.into()),
                    "{text}"
                );
            }
        }
        for text in ["a", "ab cd", "ab-_", "Zg===", "Z=g=", "abcde"] {
            assert!(decode(text).is_none(), "{text}");
        }
    }
}
