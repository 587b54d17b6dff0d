//! How placeholders are written, and which texts count as one.

/// One way to write a placeholder: what stands before the key and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    before: String,
    after: String,
}

impl Spelling {
    /// The spelling that puts a key between these two.
    pub fn new(before: &str, after: &str) -> Self {
        Self {
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The key and nothing else.
    pub fn bare() -> Self {
        Self::new("", "")
    }

    /// The placeholder of a key.
    pub fn write(&self, key: &str) -> String {
        [&self.before, key, &self.after].concat()
    }

    /// What stands before the key; empty for a bare key.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// What stands after the key; empty for a bare key.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Whether it is the key and nothing else.
    pub fn is_bare(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Whether a text is the placeholder of that key, and nothing else.
    pub fn is(&self, text: &str, key: &str) -> bool {
        let inner = text.strip_prefix(self.before.as_str());
        inner.and_then(|inner| inner.strip_suffix(self.after.as_str())) == Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_the_whole_text() {
        for (before, after, text, expected) in [
            ("", "", "x_key", true),
            ("", "", "X_key", false),
            ("", "", " x_key", false),
            ("", "", "x_key2", false),
            ("<secret>", "</secret>", "<secret>x_key</secret>", true),
            ("<secret>", "</secret>", "<secret>x_key", false),
            ("<secret>", "</secret>", "x_key", false),
            ("{{", "}}", "{{x_key}}", true),
            ("{{", "}}", "{{ x_key }}", false),
            ("%", "%", "%x_key%", true),
            ("%", "%", "%", false),
            ("$[secret:", "]", "$[secret:x_key]", true),
            ("<<<", ">>>", "<<<x_key>>>", true),
            ("<<<", ">>>", "<<<x_key>>>>", false),
        ] {
            let spelling = Spelling::new(before, after);
            assert_eq!(spelling.is(text, "x_key"), expected, "{text}");
            assert!(spelling.is(&spelling.write("x_key"), "x_key"));
        }
    }
}
