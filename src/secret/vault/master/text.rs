//! The text of a master key: hex or base64.

use std::sync::Arc;

use crate::secret::vault::envelope::{KEY_BYTES, SecretKey};

/// Base64 of 32 bytes, without padding.
const BASE64_CHARS: usize = 43;

/// The key that a text spells; `None` if it spells none.
pub(super) fn parse(text: &[u8]) -> Option<Arc<SecretKey>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut valid = false;
    let key = SecretKey::fill(|bytes| {
        valid = if text.len() == 2 * KEY_BYTES {
            from_hex(text, bytes)
        } else {
            from_base64(text, bytes)
        };
    });
    valid.then_some(key)
}

fn from_hex(text: &[u8], bytes: &mut [u8; KEY_BYTES]) -> bool {
    let mut valid = true;
    for (digits, byte) in text.chunks_exact(2).zip(bytes) {
        match (hex_digit(digits[0]), hex_digit(digits[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => valid = false,
        }
    }
    valid
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Standard or URL-safe, padded or not. The two bits behind the last byte must be zero, as every encoder writes them.
fn from_base64(text: &[u8], bytes: &mut [u8; KEY_BYTES]) -> bool {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.len() != BASE64_CHARS {
        return false;
    }
    let (mut bits, mut count, mut at) = (0_u32, 0, 0);
    for digit in text {
        let Some(six) = base64_digit(*digit) else {
            return false;
        };
        bits = (bits << 6 | u32::from(six)) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes[at] = byte;
            at += 1;
        }
    }
    let rest = bits & ((1 << count) - 1);
    at == KEY_BYTES && rest == 0
}

fn base64_digit(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00010203fbfcfdfe0102030405060708090a0b0c0d0e0fa0b0c0d0e0f0ffeeff";

    fn spelled(text: &str) -> Option<Vec<u8>> {
        Some(parse(text.as_bytes())?.bytes().to_vec())
    }

    #[test]
    fn reads_hex_and_base64() {
        let expected: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&HEX[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        for text in [
            HEX,
            &HEX.to_uppercase(),
            "AAECA/v8/f4BAgMEBQYHCAkKCwwNDg+gsMDQ4PD/7v8=",
            "AAECA/v8/f4BAgMEBQYHCAkKCwwNDg+gsMDQ4PD/7v8",
            "AAECA_v8_f4BAgMEBQYHCAkKCwwNDg-gsMDQ4PD_7v8",
        ] {
            assert_eq!(spelled(text).as_ref(), Some(&expected), "{text}");
            assert_eq!(spelled(&format!("{text}\n")).as_ref(), Some(&expected));
            assert_eq!(spelled(&format!("{text}\r\n")).as_ref(), Some(&expected));
        }
    }

    #[test]
    fn refuses_everything_else() {
        let base64 = "AAECA/v8/f4BAgMEBQYHCAkKCwwNDg+gsMDQ4PD/7v8=";
        for text in [
            "",
            "\n",
            &HEX[..63],
            &HEX[..62],
            &format!("{HEX}0"),
            &format!("{HEX}\n\n"),
            &format!(" {HEX}"),
            &format!("{HEX} "),
            &format!("0x{}", &HEX[2..]),
            &HEX.replace('a', "g"),
            &base64[..43 - 1],
            &format!("{base64}="),
            &format!("{base64}A"),
            // The last digit says more than 32 bytes can.
            &base64.replace("v8=", "v9="),
            &base64.replace('/', "*"),
            "AAECA/v8/f4BAgMEBQYHCAkKCwwNDg+gsMDQ4PD/",
        ] {
            assert!(spelled(text).is_none(), "{text:?}");
        }
    }
}
