//! What the bytes of a JSON text are: strings, escapes, bare tokens, and where the text stops being JSON.
//!
//! A text is valid as long as it begins a sequence of JSON values, with white space or nothing between them. Whether a number
//! or a word is spelled well is not looked at.

/// A bare token (number, `true`, `NaN`, ...) is at most this long; one byte more and the text is no JSON.
const TOKEN_LIMIT: usize = 4096;

/// A string that was opened while the text was valid.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonString {
    /// The first byte after the opening quote.
    pub start: usize,
    /// The closing quote; if it is not closed, the end of the text or the first byte that is no JSON.
    pub end: usize,
    /// It was closed.
    pub closed: bool,
    /// It names a member of an object.
    pub is_key: bool,
    /// It is the value of a member of an object.
    pub member: Option<Member>,
}

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The raw content of its key.
    pub key: (usize, usize),
    /// The object's opening brace.
    pub object: usize,
}

/// The whole text, marked.
#[derive(Debug, Default)]
pub struct Document {
    /// The first byte that cannot continue a sequence of JSON values; the length of the text where there is none.
    pub valid: usize,
    /// For each byte whether it belongs to an escape in a string.
    pub escape: Vec<bool>,
    /// Strings, in order. Only the last may be open.
    pub strings: Vec<JsonString>,
    /// Bare tokens, in order: first byte, and the byte after the last. Not a token that is too long, or is followed by a byte
    /// that cannot follow it.
    pub tokens: Vec<(usize, usize)>,
}

/// What may come next, outside strings and tokens.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    /// A value, or the end of the text.
    TopLevel,
    /// A value or `]`.
    FirstElement,
    /// A value.
    Element,
    /// A key or `}`.
    FirstKey,
    /// A key.
    Key,
    /// `:`, after the key of this member.
    Colon(Member),
    /// The value of this member.
    Member(Member),
    /// `,` or the closing bracket.
    Comma,
}

/// Marks `text`.
pub fn scan(text: &[u8]) -> Document {
    let mut document = Document {
        escape: vec![false; text.len()],
        ..Document::default()
    };
    // Where the open brackets stand, innermost last.
    let mut open: Vec<usize> = Vec::new();
    let mut expect = Expect::TopLevel;
    // A byte order mark, or what there is of one.
    let mark = "\u{feff}".bytes().zip(text);
    let mut at = mark.take_while(|(mark, byte)| mark == *byte).count();
    while at < text.len() {
        let byte = text[at];
        let wants_value = matches!(
            expect,
            Expect::TopLevel | Expect::FirstElement | Expect::Element | Expect::Member(_)
        );
        let wants_key = matches!(expect, Expect::FirstKey | Expect::Key);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            // RFC 7464.
            0x1E if expect == Expect::TopLevel => at += 1,
            b'"' if wants_value || wants_key => {
                let (end, closed) = string(text, at + 1, &mut document.escape);
                document.strings.push(JsonString {
                    start: at + 1,
                    end,
                    closed,
                    is_key: wants_key,
                    member: match expect {
                        Expect::Member(member) => Some(member),
                        _ => None,
                    },
                });
                if !closed {
                    document.valid = end;
                    return document;
                }
                expect = match open.last() {
                    Some(&object) if wants_key => Expect::Colon(Member {
                        key: (at + 1, end),
                        object,
                    }),
                    _ => after_value(&open),
                };
                at = end + 1;
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I' if wants_value => {
                let length = text[at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(byte))
                    .count();
                if length > TOKEN_LIMIT {
                    document.valid = at + TOKEN_LIMIT;
                    return document;
                }
                document.tokens.push((at, at + length));
                expect = after_value(&open);
                at += length;
            }
            _ => {
                let Some(next) = punctuation(text, at, expect, &mut open) else {
                    break;
                };
                expect = next;
                at += 1;
            }
        }
    }
    document.valid = at;
    if at < text.len() && document.tokens.last().is_some_and(|&(_, end)| end == at) {
        document.tokens.pop();
    }
    document
}

fn after_value(open: &[usize]) -> Expect {
    if open.is_empty() {
        Expect::TopLevel
    } else {
        Expect::Comma
    }
}

/// What may come after the byte at `at`, if that is punctuation that may stand there.
fn punctuation(text: &[u8], at: usize, expect: Expect, open: &mut Vec<usize>) -> Option<Expect> {
    let innermost = open.last().map(|&at| text[at]);
    match (text[at], expect) {
        (b'[', Expect::TopLevel | Expect::FirstElement | Expect::Element | Expect::Member(_)) => {
            open.push(at);
            Some(Expect::FirstElement)
        }
        (b'{', Expect::TopLevel | Expect::FirstElement | Expect::Element | Expect::Member(_)) => {
            open.push(at);
            Some(Expect::FirstKey)
        }
        (b']', Expect::FirstElement | Expect::Comma) if innermost == Some(b'[') => {
            open.pop();
            Some(after_value(open))
        }
        (b'}', Expect::FirstKey | Expect::Comma) if innermost == Some(b'{') => {
            open.pop();
            Some(after_value(open))
        }
        (b',', Expect::Comma) => Some(if innermost == Some(b'[') {
            Expect::Element
        } else {
            Expect::Key
        }),
        (b':', Expect::Colon(member)) => Some(Expect::Member(member)),
        _ => None,
    }
}

/// Reads a string's content from `start`: where the closing quote is, or where the text stops being valid (or ends).
fn string(text: &[u8], start: usize, escape: &mut [bool]) -> (usize, bool) {
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'"' => return (at, true),
            0..0x20 => return (at, false),
            b'\\' => {
                escape[at] = true;
                at += 1;
                let Some(&kind) = text.get(at) else {
                    return (at, false);
                };
                if !b"\"\\/bfnrtu".contains(&kind) {
                    return (at, false);
                }
                escape[at] = true;
                at += 1;
                if kind == b'u' {
                    for _ in 0..4 {
                        if !text.get(at).is_some_and(u8::is_ascii_hexdigit) {
                            return (at, false);
                        }
                        escape[at] = true;
                        at += 1;
                    }
                }
            }
            _ => at += 1,
        }
    }
    (at, false)
}
