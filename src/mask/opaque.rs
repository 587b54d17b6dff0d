//! Opaque strings: long base64 in JSON in which a short value only occurs by chance, as in a signature or a picture.

/// Members whose value is opaque to everybody but the provider, or binary.
const MEMBERS: [&[u8]; 9] = [
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

/// Base64 characters from which on it is no text.
const LEAST: u64 = 64;

/// Longest beginning of a `data:` URL, up to and including its comma (RFC 2397).
const LONGEST_HEADER: usize = 256;

/// What is opaque of a string, as far as it was read.
#[derive(Clone, Copy, Default)]
pub(super) struct Opaque {
    /// The whole string, by its member's name.
    member: Option<Base64>,
    /// What follows the comma of a `data:` URL.
    url: Option<Base64>,
    /// Up to here the string was read.
    read_to: u64,
}

/// Reads the content of strings.
#[derive(Default)]
pub(super) struct Reader {
    opaque: Opaque,
    /// Beginning of what may be a `data:` URL; empty once that is decided.
    header: Vec<u8>,
    reads_header: bool,
    /// The string has just ended.
    closed: bool,
}

/// A row of base64 characters.
#[derive(Clone, Copy)]
struct Base64 {
    from: u64,
    /// Where it ends, once that is known.
    to: Option<u64>,
}

impl Base64 {
    fn take(&mut self, text: &[u8], at: u64) {
        if self.to.is_none() {
            // Whole chunks first: that is one pass of vectors.
            let whole = |chunk: &&[u8]| {
                let others = chunk.iter().filter(|byte| !is_base64(**byte));
                others.count() == 0
            };
            let from = text.chunks(64).take_while(whole).count() * 64;
            let rest = text.get(from..).unwrap_or_default();
            let end = rest.iter().position(|byte| !is_base64(*byte));
            self.to = end.map(|end| at + (from + end) as u64);
        }
    }

    fn holds(&self, start: u64, end: u64) -> bool {
        start >= self.from + LEAST && self.to.is_none_or(|to| end <= to)
    }
}

#[inline]
fn is_base64(byte: u8) -> bool {
    let sign = byte == b'+' || byte == b'/' || byte == b'=' || byte == b'-' || byte == b'_';
    byte.is_ascii_alphanumeric() || sign
}

impl Opaque {
    /// Whether a short value at `[start, end)` stands in opaque text.
    pub fn holds(&self, start: u64, end: u64) -> bool {
        let mut rows = self.member.iter().chain(&self.url);
        end <= self.read_to && rows.any(|row| row.holds(start, end))
    }
}

impl Reader {
    /// The content of a string begins at `at`, the value of the member `member` or of none.
    pub fn begin(&mut self, at: u64, member: Option<&[u8]>) {
        let opaque = member.is_some_and(|member| MEMBERS.contains(&member));
        self.opaque = Opaque {
            member: opaque.then_some(Base64 { from: at, to: None }),
            url: None,
            read_to: at,
        };
        self.header.clear();
        self.reads_header = true;
    }

    /// Takes bytes of the string's content, the first of them at `at`.
    pub fn take(&mut self, text: &[u8], at: u64) {
        let Opaque {
            member,
            url,
            read_to,
        } = &mut self.opaque;
        *read_to = at + text.len() as u64;
        for row in member.iter_mut().chain(url) {
            row.take(text, at);
        }
        if self.reads_header {
            self.read_header(text, at);
        }
    }

    fn read_header(&mut self, text: &[u8], at: u64) {
        const SCHEME: &[u8] = b"data:";
        let comma = memchr::memchr(b',', text);
        let part = &text[..comma.unwrap_or(text.len())];
        let begun = self.header.len() + part.len() < LONGEST_HEADER;
        if begun {
            self.header.extend_from_slice(part);
        }
        let known = self.header.len().min(SCHEME.len());
        self.reads_header = begun && comma.is_none() && self.header[..known] == SCHEME[..known];
        let Some(comma) = comma.filter(|_| begun) else {
            return;
        };
        if self.header.starts_with(SCHEME) && self.header.ends_with(b";base64") {
            let mut url = Base64 {
                from: at + comma as u64 + 1,
                to: None,
            };
            url.take(&text[comma + 1..], url.from);
            self.opaque.url = Some(url);
        }
    }

    /// The string's closing quote is at hand.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Another byte is at hand.
    pub fn go_on(&mut self) {
        if std::mem::take(&mut self.closed) {
            self.opaque = Opaque::default();
            self.header.clear();
            self.reads_header = false;
        }
    }

    /// What is opaque of the string that is read, or was read last.
    pub fn opaque(&self) -> Opaque {
        self.opaque
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, Reader};

    /// Offsets from which on the content `text`, read in pieces of `piece` bytes, is opaque.
    fn opaque_from(text: &str, member: Option<&[u8]>, piece: usize) -> Option<usize> {
        let mut reader = Reader::default();
        reader.begin(0, member);
        for (at, part) in text.as_bytes().chunks(piece).enumerate() {
            reader.take(part, (at * piece) as u64);
        }
        let opaque = reader.opaque();
        (0..text.len()).find(|at| opaque.holds(*at as u64, *at as u64 + 1))
    }

    #[test]
    fn base64_of_members_and_of_data_urls_is_opaque_after_its_beginning() {
        let least = usize::try_from(LEAST).expect("small");
        let base64 = "Ab+/".repeat(40);
        let url = format!("data:image/png;base64,{base64}");
        for piece in [1, 7, 1000] {
            assert_eq!(opaque_from(&base64, None, piece), None);
            assert_eq!(opaque_from(&base64, Some(b"data"), piece), Some(least));
            assert_eq!(opaque_from(&base64, Some(b"content"), piece), None);
            assert_eq!(opaque_from(&url, None, piece), Some(22 + least));
            assert_eq!(
                opaque_from(&url.replace("image", "image,"), None, piece),
                None
            );
            let spaced = format!("a {base64}");
            assert_eq!(opaque_from(&spaced, Some(b"data"), piece), None);
            let long = url.replace("png", &"p".repeat(256));
            assert_eq!(opaque_from(&long, None, piece), None);
        }
    }
}
