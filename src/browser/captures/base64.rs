//! Base64 as CDP writes binary fields: the standard alphabet, padded. Nothing else is taken.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What a byte stands for; 255: nothing.
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [255; 256];
    let mut at = 0;
    while at < 64 {
        #[allow(clippy::cast_possible_truncation)] // Below 64.
        {
            values[ALPHABET[at] as usize] = at as u8;
        }
        at += 1;
    }
    values
}

/// Writes the text of those bytes behind what is there.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| group.get(at).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, a, b, c]);
        for at in 0..4 {
            if at > group.len() {
                out.push(b'=');
            } else {
                out.push(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]);
            }
        }
    }
}

/// The bytes of that text; `None` if it is not base64.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(groups.len() * 3);
    for (at, group) in groups.iter().enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && at + 1 < groups.len() {
            return None;
        }
        let mut bits = 0_u32;
        for &byte in &group[..4 - padding] {
            let value = VALUES[usize::from(byte)];
            if value == 255 {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * padding;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"\xff\xfe\x00", "//4A"),
        ] {
            let mut out = Vec::new();
            encode(bytes, &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(decode(&out).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["Zg", "Zg=", "Zg==Zg==", "Z===", "Zm 9", "Zm9-", "Zm9v\n"] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
