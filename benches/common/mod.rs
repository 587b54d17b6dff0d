//! What the benches send and what they register: made by a fixed generator, so that every run sees the same bytes.
//!
//! The bodies have the size and shape of an agent's requests to a model. No secret occurs in them: that is the usual case.

use std::fmt::Write as _;

/// A small deterministic generator (xorshift).
pub struct Random(u64);

#[allow(dead_code)] // only pictures are made of them
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Random {
    /// Always the same one.
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> usize {
        usize::try_from(self.next() % n).unwrap_or(0)
    }

    fn text(&mut self, alphabet: &[u8], len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| alphabet[self.below(alphabet.len() as u64)])
            .collect()
    }
}

/// Values of 8 to 64 characters, one in fifty with a quote or a backslash.
pub fn secrets(n: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let with_symbols = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#$@^*-_.?";
    let mut all = Vec::with_capacity(n);
    for i in 0..n {
        let len = 8 + random.below(57);
        let mut value = random.text(with_symbols, len);
        if i % 50 == 49 {
            value[len / 2] = if i % 100 == 99 { b'"' } else { b'\\' };
        }
        all.push(value);
    }
    all
}

/// As many secrets, as they are submitted.
#[allow(dead_code)] // the engine's bench has no submission
pub fn submission(count: usize) -> anyhow::Result<String> {
    let mut text = "{\"https://api.example.com\":{".to_owned();
    for (i, value) in secrets(count, &mut Random::new()).into_iter().enumerate() {
        let value = serde_json::to_string(&String::from_utf8(value)?)?;
        let comma = if i == 0 { "" } else { "," };
        write!(text, "{comma}\"x_secret_{i}\":{value}")?;
    }
    text.push_str("}}");
    Ok(text)
}

/// A conversation of `count` messages of a little over `content` characters each, code and prose, in which some 6 % of the
/// bytes are backslashes.
#[allow(dead_code)] // not every bench sends bodies
pub fn conversation(count: usize, content: usize, random: &mut Random) -> Vec<u8> {
    let code = "    if (user.name === \"admin\" && path != 'C:\\\\temp\\\\x') {\n\treturn fetch(`https://api.example.com/v1/items?id=${id}&limit=20`);\n    }\n";
    let prose = "The quick brown fox reads the configuration file and reports what it found there, line by line. ";
    let mut messages = Vec::new();
    for i in 0..count {
        let mut text = String::new();
        while text.len() < content {
            text.push_str(if random.below(3) == 0 { prose } else { code });
        }
        let role = if i % 2 == 0 { "user" } else { "assistant" };
        messages.push(serde_json::json!({"role": role, "content": text}));
    }
    serde_json::json!({"model": "gpt-5", "messages": messages})
        .to_string()
        .into_bytes()
}

/// Adds two base64 pictures of `size` characters each to a conversation.
#[allow(dead_code)] // as above
pub fn with_pictures(mut conversation: Vec<u8>, size: usize, random: &mut Random) -> Vec<u8> {
    conversation.truncate(conversation.len() - 1);
    for name in ["a", "b"] {
        let picture = random.text(LETTERS, size);
        conversation.extend_from_slice(format!(",\"{name}\":\"data:image/png;base64,").as_bytes());
        conversation.extend_from_slice(&picture);
        conversation.push(b'"');
    }
    conversation.push(b'}');
    conversation
}
