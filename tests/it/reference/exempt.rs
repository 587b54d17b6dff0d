//! Where a short value stands for something else, or by chance: hosts of URLs, keys and fixed words of JSON, opaque strings.

use super::Value;
use super::decode::{self, Decoder, Symbol};
use super::find::Match;
use super::json::{Document, JsonString};

/// The longest authority that is looked at, in symbols.
const AUTHORITY_LIMIT: usize = 512;
/// Members whose whole value is never a short value.
const EXEMPT_MEMBERS: [&[u8]; 6] = [b"role", b"type", b"model", b"id", b"object", b"status"];
/// Members whose value may be base64 of anything.
const OPAQUE_MEMBERS: [&[u8]; 9] = [
    b"signature",
    b"encrypted_content",
    b"thoughtSignature",
    b"thought_signature",
    b"data",
    b"b64_json",
    b"file_data",
    b"audio",
    b"bytes",
];
/// The longest beginning of a `data:` URL, with its comma.
const DATA_URL_HEAD: usize = 256;
/// So many bytes of an opaque string are read like any other.
const OPAQUE_FROM: usize = 64;

/// Whether `from..to` lies in a URL's authority, and not in its userinfo.
pub fn is_in_authority(symbols: &[Symbol], from: usize, to: usize) -> bool {
    let belongs = |at: usize| {
        symbols[at]
            .byte
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._~%:@[]-".contains(&byte))
    };
    let first = (0..from)
        .rev()
        .find(|&at| !belongs(at))
        .map_or(0, |at| at + 1);
    let end = (to..symbols.len())
        .find(|&at| !belongs(at))
        .unwrap_or(symbols.len());
    if !(from..to).all(belongs) || end - first > AUTHORITY_LIMIT {
        return false;
    }
    let has_userinfo_after = (from..end).any(|at| symbols[at].byte == Some(b'@'));
    // What is too far away to be seen is none.
    let seen = &symbols[first..symbols.len().min(first + AUTHORITY_LIMIT + 1)];
    !has_userinfo_after && !is_before_sign(seen, to - first) && follows_slashes(&symbols[..first])
}

/// Whether an `@` follows the first `before` symbols of an authority, behind a password that is not written as authorities have it.
fn is_before_sign(authority: &[Symbol], before: usize) -> bool {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b"._~%:@[]-".contains(&byte);
    let ends = |byte: u8| byte <= b' ' || b"/?#\\\"'`\x7f".contains(&byte);
    let follows_port = |byte: u8| byte >= 0x80 || b")>},;|&<".contains(&byte);
    // Whether a colon has come, whether nothing but digits since, and whether any.
    let (mut colon, mut only_digits, mut digits) = (false, false, false);
    for (at, symbol) in authority.iter().enumerate() {
        let port = only_digits && digits;
        match symbol.byte {
            Some(b'@') if at >= before => return true,
            Some(b'@') => (colon, only_digits, digits) = (false, false, false),
            Some(b':') if !colon || only_digits => {
                (colon, only_digits, digits) = (true, true, false);
            }
            Some(byte) if belongs(byte) => {
                only_digits &= byte.is_ascii_digit();
                digits = true;
            }
            Some(byte) if colon && !ends(byte) && !(port && follows_port(byte)) => {
                only_digits = false;
            }
            _ => return false,
        }
    }
    false
}

/// Whether `symbols` end with `://`, with any backslashes between and after.
fn follows_slashes(symbols: &[Symbol]) -> bool {
    let mut without_backslashes = symbols
        .iter()
        .rev()
        .filter(|symbol| symbol.byte != Some(b'\\'));
    let mut next = || without_backslashes.next().and_then(|symbol| symbol.byte);
    next() == Some(b'/') && next() == Some(b'/') && next() == Some(b':')
}

/// Whether the match is exactly a string that is a key, or the whole value of a member such as `role`.
pub fn is_exempt_string(document: &Document, text: &[u8], found: &Match, value: &Value) -> bool {
    let Some(string) = document
        .strings
        .iter()
        .find(|string| string.closed && (string.start, string.end) == (found.start, found.end))
    else {
        return false;
    };
    let exempt = string.is_key || is_member(string, text, &EXEMPT_MEMBERS);
    exempt && value.is(&json_content(&text[string.start..string.end]))
}

/// Whether `string` is the value of a member with one of these `keys`.
pub fn is_member(string: &JsonString, text: &[u8], keys: &[&[u8]]) -> bool {
    string
        .member
        .is_some_and(|member| keys.contains(&&text[member.key.0..member.key.1]))
}

/// Whether the match lies deep in a string of base64, and stands there literally: so it is read through no decoder, or through some
/// that change nothing in it.
pub fn is_in_opaque(document: &Document, text: &[u8], found: &Match, value: &Value) -> bool {
    let literal = found.end - found.start == value.bytes.len();
    let holder = document
        .strings
        .iter()
        .find(|string| string.start <= found.start && found.end <= string.end);
    let Some(string) = holder.filter(|string| literal && !string.is_key) else {
        return false;
    };
    let content = &text[string.start..string.end];
    let whole = is_member(string, text, &OPAQUE_MEMBERS).then_some(0);
    [whole, data_url(content)]
        .into_iter()
        .flatten()
        .any(|opaque| {
            let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_=-".contains(byte);
            let base64 = content.get(opaque..found.end - string.start);
            opaque + OPAQUE_FROM <= found.start - string.start
                && base64.is_some_and(|base64| base64.iter().all(is_base64))
        })
}

/// Where the base64 of a `data:` URL begins.
fn data_url(content: &[u8]) -> Option<usize> {
    let head = content.iter().position(|&byte| byte == b',')? + 1;
    let is_base64 = content.starts_with(b"data:") && content[..head].ends_with(b";base64,");
    (is_base64 && head <= DATA_URL_HEAD).then_some(head)
}

/// What a JSON string with this raw content says.
fn json_content(raw: &[u8]) -> Vec<u8> {
    let symbols: Vec<Symbol> = raw
        .iter()
        .map(|&byte| Symbol {
            byte: Some(byte),
            start: 0,
            end: 1,
            from: 0,
            to: 1,
        })
        .collect();
    decode::decode(Decoder::Json, &symbols)
        .0
        .iter()
        .filter_map(|symbol| symbol.byte)
        .collect()
}
