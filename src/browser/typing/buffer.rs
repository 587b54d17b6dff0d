//! JSON that holds a value while it is written: wiped when dropped, and wiped where it grows out of its memory.

use std::io;

use zeroize::Zeroizing;

/// Bytes that it begins with room for: the function's text and a long value.
const ROOM: usize = 32 << 10;

/// A text under way. It holds values: neither `Debug` nor `Clone`.
pub(super) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    /// Adds what is JSON already.
    pub fn raw(&mut self, json: &str) {
        self.add(json.as_bytes());
    }

    /// Adds a value as JSON.
    pub fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) {
        // Neither writing to memory nor what is written here, strings and lists of them, can fail.
        let written = serde_json::to_writer(&mut *self, value);
        debug_assert!(written.is_ok());
    }

    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    fn add(&mut self, bytes: &[u8]) {
        let wanted = self.0.len() + bytes.len();
        if wanted > self.0.capacity() {
            // A vector that grows by itself leaves what it held behind in memory.
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted * 2));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_keeps_all() {
        let mut buffer = Buffer::new();
        let long = "\u{f6}\"".repeat(ROOM);
        buffer.raw("[");
        buffer.json("a\"\n");
        buffer.raw(",");
        buffer.json(&long);
        buffer.raw("]");
        let read: Vec<String> = serde_json::from_slice(&buffer.finish()).unwrap();
        assert_eq!(read, ["a\"\n".to_owned(), long]);
    }
}
