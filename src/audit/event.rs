//! What the log says: one event, made of names.
//!
//! Every text is bounded when it is set, and written so that a line stays one line and a terminal takes none of it for a
//! command. No setter takes a secret's value; what a caller hands in as text must be a name, a number or a reason of its own.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// The most bytes of one text of an event; what is longer is cut, and ends with `…`.
pub const MAX_TEXT: usize = 256;

/// The most keys that one event names.
pub const MAX_KEYS: usize = 16;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value became its placeholder's name.
    Mask,
    /// A placeholder became its value; or was about to, if the log was late to confirm.
    Substitute,
    /// A substitution, or a request, was refused.
    Refuse,
    /// A secret was created, or its options changed.
    SecretSet,
    /// A submission of secrets was taken in.
    SecretImport,
    /// A secret got a new value.
    SecretRotate,
    /// A secret was removed.
    SecretRemove,
    /// A secret was given to an agent.
    SecretAssign,
    /// A secret was taken from an agent.
    SecretUnassign,
    /// An agent's secret became its user's.
    SecretPromote,
    /// A former version's time was over.
    SecretDestroy,
    /// A keyring was made.
    KeyInit,
    /// The data key was changed.
    KeyRotate,
    /// The master key was changed.
    KeyRewrap,
    /// An agent asked for a secret.
    RequestAsk,
    /// Somebody fulfilled what an agent asked for.
    RequestFulfil,
    /// Somebody declined what an agent asked for.
    RequestDecline,
    /// A credential for our own interfaces was wrong.
    AuthFail,
    /// A process began to serve.
    Start,
    /// A process stopped.
    Stop,
    /// The log itself was tampered with or vanished, and goes on from here. Written by this room only.
    Alarm,
}

impl Kind {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Substitute => "substitute",
            Self::Refuse => "refuse",
            Self::SecretSet => "secret.set",
            Self::SecretImport => "secret.import",
            Self::SecretRotate => "secret.rotate",
            Self::SecretRemove => "secret.rm",
            Self::SecretAssign => "secret.assign",
            Self::SecretUnassign => "secret.unassign",
            Self::SecretPromote => "secret.promote",
            Self::SecretDestroy => "secret.destroy",
            Self::KeyInit => "key.init",
            Self::KeyRotate => "key.rotate",
            Self::KeyRewrap => "key.rewrap",
            Self::RequestAsk => "request.ask",
            Self::RequestFulfil => "request.fulfil",
            Self::RequestDecline => "request.decline",
            Self::AuthFail => "auth.fail",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Alarm => "alarm",
        }
    }
}

/// One event, before it has a place in the log.
#[derive(Clone, Debug)]
pub struct Event {
    kind: Kind,
    time: SystemTime,
    keys: Vec<String>,
    count: Option<u64>,
    texts: [Option<String>; FIELDS.len()],
}

/// The texts of an event, in the order in which they are written. `key` and `keys` come behind `task`, `count` behind `form`.
const FIELDS: [&str; 13] = [
    "channel",
    "agent",
    "task",
    "scope",
    "domain",
    "target",
    "method",
    "place",
    "form",
    "outcome",
    "reason",
    "request_id",
    "who",
];

/// How many of [`FIELDS`] stand before `key`.
const BEFORE_KEY: usize = 3;

/// How many of [`FIELDS`] stand before `count`.
const BEFORE_COUNT: usize = 9;

impl Event {
    /// An event of this kind, now.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            time: SystemTime::now(),
            keys: Vec::new(),
            count: None,
            texts: Default::default(),
        }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Another time than now.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.time = time;
        self
    }

    /// The channel: `model`, `egress`, `browser`, `cli`, `admin`.
    #[must_use]
    pub fn channel(self, text: impl AsRef<str>) -> Self {
        self.with(0, text.as_ref())
    }

    /// The agent's id.
    #[must_use]
    pub fn agent(self, text: impl AsRef<str>) -> Self {
        self.with(1, text.as_ref())
    }

    /// The task's id.
    #[must_use]
    pub fn task(self, text: impl AsRef<str>) -> Self {
        self.with(2, text.as_ref())
    }

    /// The placeholder's name. Called again for each further key that the value has: the first is the one that was used.
    #[must_use]
    pub fn key(mut self, text: impl AsRef<str>) -> Self {
        if self.keys.len() < MAX_KEYS {
            self.keys.push(bounded(text.as_ref()));
        }
        self
    }

    /// All names of one value; the first is the one that was used.
    #[must_use]
    pub fn keys<T: AsRef<str>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        texts.into_iter().fold(self, Self::key)
    }

    /// The secret's scope: `agent:ID`.
    #[must_use]
    pub fn scope(self, text: impl AsRef<str>) -> Self {
        self.with(3, text.as_ref())
    }

    /// The secret's domain pattern.
    #[must_use]
    pub fn domain(self, text: impl AsRef<str>) -> Self {
        self.with(4, text.as_ref())
    }

    /// Where it went: a route's name, or an origin.
    #[must_use]
    pub fn target(self, text: impl AsRef<str>) -> Self {
        self.with(5, text.as_ref())
    }

    /// The method of the request or the CDP call.
    #[must_use]
    pub fn method(self, text: impl AsRef<str>) -> Self {
        self.with(6, text.as_ref())
    }

    /// The place: `header`, `basic`, `query`, `path`, `body`, `field`.
    #[must_use]
    pub fn place(self, text: impl AsRef<str>) -> Self {
        self.with(7, text.as_ref())
    }

    /// The form in which the value stood: `plain`, `base64`, …
    #[must_use]
    pub fn form(self, text: impl AsRef<str>) -> Self {
        self.with(8, text.as_ref())
    }

    /// How often.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// How it ended: `done`, `refused`, `asked`, `failed`; of a value that went on unmasked where that is set, `passed`.
    #[must_use]
    pub fn outcome(self, text: impl AsRef<str>) -> Self {
        self.with(9, text.as_ref())
    }

    /// Why.
    #[must_use]
    pub fn reason(self, text: impl AsRef<str>) -> Self {
        self.with(10, text.as_ref())
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(self, text: impl AsRef<str>) -> Self {
        self.with(11, text.as_ref())
    }

    /// The person or account that did it.
    #[must_use]
    pub fn who(self, text: impl AsRef<str>) -> Self {
        self.with(12, text.as_ref())
    }

    fn with(mut self, field: usize, text: &str) -> Self {
        self.texts[field] = Some(bounded(text));
        self
    }

    /// Writes `"time":…` to `"who":…`: all but the number in the log and the chain. What is absent is left out.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"time\":\"");
        out.extend_from_slice(stamp(self.time).as_bytes());
        out.extend_from_slice(b"\",\"event\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.push(b'"');
        for (at, name) in FIELDS.iter().enumerate() {
            if at == BEFORE_KEY {
                self.write_keys(out);
            }
            if let (true, Some(count)) = (at == BEFORE_COUNT, self.count) {
                out.extend_from_slice(format!(",\"count\":{count}").as_bytes());
            }
            if let Some(text) = &self.texts[at] {
                write_name(out, name);
                write_text(out, text);
            }
        }
    }

    /// `"key"` is the one that was used; `"keys"` lists all, where there are several.
    fn write_keys(&self, out: &mut Vec<u8>) {
        let Some(first) = self.keys.first() else {
            return;
        };
        write_name(out, "key");
        write_text(out, first);
        if self.keys.len() > 1 {
            write_name(out, "keys");
            for (at, key) in self.keys.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                write_text(out, key);
            }
            out.push(b']');
        }
    }
}

/// RFC 3339, UTC, milliseconds. A clock outside the years 1970 to 9999 is shown as the nearest that can be written.
pub(super) fn stamp(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since.min(LAST)).to_string()
}

fn bounded(text: &str) -> String {
    const MARK: char = '…';
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut end = MAX_TEXT - MARK.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut = text[..end].to_owned();
    cut.push(MARK);
    cut
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A JSON string. Escaped is also what JSON would let stand but a terminal would obey: C1 controls and signs that turn the
/// direction of text around.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c => write_char(out, c),
        }
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, c: char) {
    if is_unprintable(c) {
        out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
    } else {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A text of a record for a terminal or a table: what would break its line or steer the terminal is escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 8);
    for c in text.chars() {
        write_char(&mut shown, c);
    }
    Cow::Owned(String::from_utf8_lossy(&shown).into_owned())
}

/// Controls, line separators, marks and embeddings of direction, the byte order mark. All of them have four hex digits.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &Event) -> String {
        let mut out = b"{".to_vec();
        event.write(&mut out);
        out.push(b'}');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn absent_fields_are_left_out_and_the_order_is_fixed() {
        let event = Event::new(Kind::Mask)
            .at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_007))
            .count(2)
            .target("openai")
            .key("x_a")
            .key("x_b")
            .channel("model");
        assert_eq!(
            written(&event),
            r#"{"time":"2023-11-14T22:13:20.007Z","event":"mask","channel":"model","key":"x_a","keys":["x_a","x_b"],"target":"openai","count":2}"#
        );
    }

    #[test]
    fn all_fields_stand_in_the_documented_order() {
        let event = Event::new(Kind::Refuse)
            .at(SystemTime::UNIX_EPOCH)
            .who("w")
            .request_id("r")
            .reason("y")
            .outcome("o")
            .count(1)
            .form("f")
            .place("p")
            .method("m")
            .target("t")
            .domain("d")
            .scope("s")
            .key("k")
            .task("T")
            .agent("a")
            .channel("c");
        assert_eq!(
            written(&event),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","event":"refuse","channel":"c","agent":"a","task":"T","key":"k","scope":"s","#,
                r#""domain":"d","target":"t","method":"m","place":"p","form":"f","count":1,"outcome":"o","reason":"y","request_id":"r","who":"w"}"#
            )
        );
    }

    #[test]
    fn p3_hostile_texts_stay_on_one_line_and_steer_no_terminal() {
        let hostile = "a\n\"b\\\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}é";
        let line = written(&Event::new(Kind::Refuse).reason(hostile));
        assert!(!line.contains(is_unprintable), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["reason"], hostile);
        assert_eq!(printable("a\u{1b}é\u{202e}"), "a\\u001bé\\u202e");
    }

    #[test]
    fn p8_texts_and_keys_are_bounded() {
        let long = "é".repeat(10_000);
        let mut event = Event::new(Kind::Mask).reason(&long);
        for _ in 0..1000 {
            event = event.key(&long);
        }
        let line = written(&event);
        assert!(line.len() < (MAX_KEYS + 2) * (MAX_TEXT + 16) + 128);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(read["reason"].as_str().unwrap().ends_with("é…"));
    }

    #[test]
    fn p8_no_clock_makes_it_panic() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(10);
        let after = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 1_000_000_000);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(900_000_000_000);
        assert_eq!(stamp(before), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(far), "9999-12-31T23:59:59.000Z");
        assert!(stamp(after).ends_with('Z'));
    }
}
