//! How fast the engine reads, beside aho-corasick's own scan of the same needles over the same bytes.
//!
//! `cargo bench --bench mask` prints a table; with `--test`, as `cargo test --benches` passes it, it runs once over little, to see
//! that it works.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use bauta::mask::{Masker, Rule, Syntax};
use bytes::Bytes;

/// Bytes of a piece, as a socket would give them.
const PIECE: usize = 64 * 1024;

/// A small deterministic generator (xorshift), so that every run sees the same bytes.
struct Random(u64);

impl Random {
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

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Values of 8 to 64 characters, one in fifty with a quote or a backslash.
fn secrets(n: usize, random: &mut Random) -> Vec<Vec<u8>> {
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

/// A conversation of `count` messages of some 5 KB each in which some 6 % of the bytes are backslashes.
fn conversation(count: usize, random: &mut Random) -> Vec<u8> {
    let code = "    if (user.name === \"admin\" && path != 'C:\\\\temp\\\\x') {\n\treturn fetch(`https://api.example.com/v1/items?id=${id}&limit=20`);\n    }\n";
    let prose = "The quick brown fox reads the configuration file and reports what it found there, line by line. ";
    let mut messages = Vec::new();
    for i in 0..count {
        let mut content = String::new();
        while content.len() < 3600 {
            content.push_str(if random.below(3) == 0 { prose } else { code });
        }
        let role = if i % 2 == 0 { "user" } else { "assistant" };
        messages.push(serde_json::json!({"role": role, "content": content}));
    }
    serde_json::json!({"model": "gpt-5", "messages": messages})
        .to_string()
        .into_bytes()
}

/// The same with two base64 pictures of `size` bytes each.
fn with_pictures(count: usize, size: usize, random: &mut Random) -> Vec<u8> {
    let mut body = conversation(count, random);
    body.truncate(body.len() - 1);
    for name in ["a", "b"] {
        let picture = random.text(LETTERS, size);
        body.extend_from_slice(format!(",\"{name}\":\"data:image/png;base64,").as_bytes());
        body.extend_from_slice(&picture);
        body.push(b'"');
    }
    body.push(b'}');
    body
}

fn median(smoke: bool, mut run: impl FnMut()) -> Duration {
    let mut times = Vec::new();
    let begun = Instant::now();
    loop {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
        if smoke
            || times.len() == 15
            || (times.len() >= 3 && begun.elapsed() > Duration::from_secs(3))
        {
            break;
        }
    }
    times.sort();
    times[times.len() / 2]
}

fn rate(bytes: usize, time: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)] // sizes far below 2^52
    let bytes = bytes as f64;
    bytes / time.as_secs_f64() / 1e9
}

fn main() {
    let smoke = std::env::args().any(|arg| arg == "--test");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (bodies, counts): (_, &[usize]) = if smoke {
        let pictures = with_pictures(1, PIECE, &mut random);
        (
            [("5 KB", conversation(1, &mut random)), ("130 KB", pictures)],
            &[10],
        )
    } else {
        let pictures = with_pictures(40, 2_400_000, &mut random);
        (
            [
                ("200 KB", conversation(40, &mut random)),
                ("5 MB", pictures),
            ],
            &[10, 500, 10_000],
        )
    };
    println!(
        "{:>8} {:>8} {:>12} {:>12} {:>8}",
        "secrets", "body", "engine GB/s", "scan GB/s", "ratio"
    );
    for &n in counts {
        let values = secrets(n, &mut random);
        let mut builder = Masker::builder();
        for (i, value) in values.iter().enumerate() {
            let key = format!("x_secret_{i}");
            let name = builder.name(&key, &key);
            builder.value(name, value, Rule::Anywhere);
        }
        let masker = builder.build();
        let scan = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&values)
            .expect("needles");
        for (name, body) in &bodies {
            let whole = Bytes::from(body.clone());
            let engine = median(smoke, || {
                let mut stream = masker.stream(Syntax::Json);
                let mut out = Vec::new();
                for at in (0..whole.len()).step_by(PIECE) {
                    let piece = whole.slice(at..whole.len().min(at + PIECE));
                    stream.push(piece, &mut out).expect("not refused");
                    out.clear();
                }
                stream.finish(&mut out).expect("not refused");
                black_box(&out);
            });
            let raw = median(smoke, || {
                black_box(scan.find_overlapping_iter(body).count());
            });
            let (engine, raw) = (rate(body.len(), engine), rate(body.len(), raw));
            println!(
                "{n:>8} {name:>8} {engine:>12.3} {raw:>12.3} {:>8.2}",
                engine / raw
            );
        }
    }
}
