//! Base64 (RFC 4648, 4): the standard alphabet. Written padded; read as the browser writes it, or as credentials come.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many characters that many bytes take.
pub(super) fn length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Encodes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(length(bytes.len()));
    append(bytes, &mut out);
    // The alphabet is ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends it, padded. Where `out` has room for it, no copy is left behind where it was.
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            out.push(if place <= group.len() {
                ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

/// Decodes; `None` if it is not base64 of whole groups.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text
        .iter()
        .rev()
        .take(2)
        .take_while(|b| **b == b'=')
        .count();
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    read(&text[..text.len() - padding], &mut out)?;
    Some(out)
}

/// Decodes into memory that is wiped, padded or not; `None` if it is not base64.
pub(super) fn decode_wiped(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(digits.len() / 4 * 3 + 3));
    read(digits, &mut out)?;
    Some(out)
}

/// Appends what digits stand for; `out` has room for it.
fn read(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if digits.len() % 4 == 1 {
        return None;
    }
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for place in 0..4 {
            let digit = group.get(place).map_or(Some(0), |byte| digit(*byte))?;
            bits = bits << 6 | u32::from(digit);
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes[..group.len() - 1]);
    }
    Some(())
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()).unwrap(), all);
        for text in [
            "Z", "Zg=", "Zg", "Z===", "Zm9v!m9v", "Zm=v", "====", "Zg==Zg==",
        ] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn there_and_back_in_memory_that_is_wiped() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("u:x_password", "dTp4X3Bhc3N3b3Jk"),
            ("\u{f6}:?>", "w7Y6Pz4="),
        ] {
            let mut out = Vec::with_capacity(length(plain.len()));
            append(plain.as_bytes(), &mut out);
            assert_eq!(out, coded.as_bytes());
            assert_eq!(out.len(), length(plain.len()));
            for text in [coded, coded.trim_end_matches('=')] {
                let bytes = decode_wiped(text);
                assert_eq!(
                    bytes.map(|bytes| bytes.to_vec()),
                    Some(plain.into()),
                    "{text}"
                );
            }
        }
        for text in ["a", "ab cd", "ab-_", "Zg===", "Z=g=", "abcde"] {
            assert!(decode_wiped(text).is_none(), "{text}");
        }
    }
}
