//! A model of one direction of a WebSocket (RFC 6455, RFC 7692): all its bytes taken apart at once.

use flate2::{Decompress, FlushDecompress, Status};

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The rules of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// From a client: frames are masked.
    pub client: bool,
    /// Compressed messages were agreed on.
    pub deflate: bool,
    /// Bytes of a message.
    pub most: usize,
    /// Text is looked at.
    pub utf8: bool,
}

/// What was said in full.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The bytes end.
    Lost,
    /// A closing frame was the last.
    Closed,
    /// What comes next may not be sent: the close code that says so.
    Violation(u16),
    /// What is in the message may not be: 1007 or 1009, whatever is noticed first. When a compressed message is found bad, and
    /// what else goes on before, depends on how much of it was read.
    Content,
}

/// One direction, taken apart.
pub struct Direction {
    pub said: Vec<Said>,
    pub ending: Ending,
    /// What came of a message that did not end.
    pub open: Option<Said>,
    /// Whether a compressed message did not end, of which anything may have come.
    pub compressed: bool,
}

struct Frame<'a> {
    first: u8,
    payload: Vec<u8>,
    rest: &'a [u8],
}

enum Cut {
    Short,
    Bad(u16),
}

struct Message {
    opcode: u8,
    compressed: bool,
    payload: Vec<u8>,
}

/// Takes a direction apart.
pub fn direction(mut bytes: &[u8], rules: Rules) -> Direction {
    let mut window = Window::new();
    let mut open: Option<Message> = None;
    let mut said = Vec::new();
    let ending = loop {
        let frame = match frame(bytes, rules, open.is_some()) {
            Ok(frame) => frame,
            Err(Cut::Short) => {
                if open.as_ref().is_some_and(|open| open.is_bad(rules)) {
                    break Ending::Content;
                }
                break Ending::Lost;
            }
            Err(Cut::Bad(code)) => {
                break if code == 1009 {
                    Ending::Content
                } else {
                    Ending::Violation(code)
                };
            }
        };
        bytes = frame.rest;
        let opcode = frame.first & 0x0f;
        if opcode >= CLOSE {
            if opcode == CLOSE
                && let Some(code) = bad_close(&frame.payload)
            {
                break Ending::Violation(code);
            }
            said.push(Said {
                opcode,
                payload: frame.payload,
            });
            if opcode == CLOSE {
                break Ending::Closed;
            }
            continue;
        }
        if opcode != CONTINUATION {
            open = Some(Message {
                opcode,
                compressed: frame.first & 0x40 != 0,
                payload: Vec::new(),
            });
        }
        let Some(message) = &mut open else {
            break Ending::Violation(1002);
        };
        message.payload.extend(frame.payload);
        if message.is_bad(rules) {
            break Ending::Content;
        }
        if frame.first & 0x80 == 0 {
            continue;
        }
        let Some(Message {
            opcode,
            compressed,
            mut payload,
        }) = open.take()
        else {
            break Ending::Lost;
        };
        if compressed {
            match window.inflate(&payload, rules.most) {
                Some(text) => payload = text,
                None => break Ending::Content,
            }
        }
        if payload.len() > rules.most
            || rules.utf8 && opcode == TEXT && std::str::from_utf8(&payload).is_err()
        {
            break Ending::Content;
        }
        said.push(Said { opcode, payload });
    };
    let compressed = open.as_ref().is_some_and(|open| open.compressed);
    let open = open.filter(|_| !compressed).map(|open| Said {
        opcode: open.opcode,
        payload: open.payload,
    });
    Direction {
        said,
        ending,
        open,
        compressed,
    }
}

impl Message {
    /// Whether it shows already that it may not be; of a compressed one only its end does.
    fn is_bad(&self, rules: Rules) -> bool {
        let begins_badly =
            || std::str::from_utf8(&self.payload).is_err_and(|error| error.error_len().is_some());
        !self.compressed
            && (self.payload.len() > rules.most
                || rules.utf8 && self.opcode == TEXT && begins_badly())
    }
}

fn frame(bytes: &[u8], rules: Rules, inside: bool) -> Result<Frame<'_>, Cut> {
    let [first, second, rest @ ..] = bytes else {
        return Err(Cut::Short);
    };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
    let (control, begins) = (opcode >= CLOSE, matches!(opcode, TEXT | BINARY));
    let short = second & 0x7f;
    let bad = !matches!(opcode, 0..=2 | 8..=10)
        || first & 0x30 != 0
        || first & 0x40 != 0 && !(rules.deflate && begins)
        || (second & 0x80 != 0) != rules.client
        || control && (!fin || short > 125)
        || begins && inside
        || opcode == CONTINUATION && !inside;
    if bad {
        return Err(Cut::Bad(1002));
    }
    let wide = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let head = wide + if rules.client { 4 } else { 0 };
    if rest.len() < head {
        return Err(Cut::Short);
    }
    let written = rest[..wide]
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let length = if wide == 0 { u64::from(short) } else { written };
    if wide == 2 && length < 126 || wide == 8 && (length <= 0xffff || length >> 63 == 1) {
        return Err(Cut::Bad(1002));
    }
    if length > rules.most as u64 {
        return Err(Cut::Bad(1009));
    }
    let key = &rest[wide..head];
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(payload) = rest[head..].get(..length) else {
        // What a long frame holds so far is looked at before its end.
        return Err(Cut::Short);
    };
    let payload = payload
        .iter()
        .enumerate()
        .map(|(at, byte)| byte ^ key.get(at % 4).unwrap_or(&0))
        .collect();
    Ok(Frame {
        first: *first,
        payload,
        rest: &rest[head + length..],
    })
}

fn bad_close(payload: &[u8]) -> Option<u16> {
    match payload {
        [] => None,
        [_] => Some(1002),
        [high, low, reason @ ..] => match u16::from_be_bytes([*high, *low]) {
            1000..=1003 | 1007..=1014 | 3000..=4999 => {
                std::str::from_utf8(reason).is_err().then_some(1007)
            }
            _ => Some(1002),
        },
    }
}

/// The window that compressed messages share.
struct Window(Decompress);

impl Window {
    fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// The text of a whole message, a little more than `most` of it at most; `None` if it is no DEFLATE.
    fn inflate(&mut self, message: &[u8], most: usize) -> Option<Vec<u8>> {
        let all = [message, &[0, 0, 0xff, 0xff]].concat();
        let (mut text, mut rest) = (Vec::new(), &all[..]);
        loop {
            let mut made = vec![0; 4096];
            let (read_before, made_before) = (self.0.total_in(), self.0.total_out());
            let status = self
                .0
                .decompress(rest, &mut made, FlushDecompress::Sync)
                .ok()?;
            let read = usize::try_from(self.0.total_in() - read_before).ok()?;
            let count = usize::try_from(self.0.total_out() - made_before).ok()?;
            text.extend(&made[..count]);
            rest = &rest[read..];
            if text.len() > most {
                return None;
            }
            if status == Status::StreamEnd {
                self.0.reset(false);
            } else if read == 0 && count == 0 {
                return rest.is_empty().then_some(text);
            }
            if rest.is_empty() && count < made.len() {
                return Some(text);
            }
        }
    }
}

/// Inflates a message that was compressed alone.
pub fn inflated(message: &[u8]) -> Option<Vec<u8>> {
    Window::new().inflate(message, usize::MAX)
}
