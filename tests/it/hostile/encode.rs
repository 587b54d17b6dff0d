//! Encoders with every freedom that decoders allow, chosen by a seed.

/// What can be done to a piece of text.
#[derive(Clone, Copy, Debug)]
pub enum Encoder {
    /// The content of a JSON string.
    Json,
    /// Percent-encoded: everything, what must be, or any subset.
    Percent,
    /// As `Percent`, a space as `+`.
    Form,
    /// HTML character references.
    Html,
    /// Base64, with other bytes before and after, stray symbols, line breaks.
    Base64,
    /// Hex, with a stray digit.
    Hex,
    /// A place in a JSON text.
    JsonPlace,
    /// A place in a URL.
    UrlPlace,
    /// Cut: the last bytes are missing.
    Cut,
}

/// All encoders; the usual ones more often.
pub const ENCODERS: [Encoder; 16] = [
    Encoder::Json,
    Encoder::Json,
    Encoder::Json,
    Encoder::Percent,
    Encoder::Percent,
    Encoder::Form,
    Encoder::Html,
    Encoder::Html,
    Encoder::Base64,
    Encoder::Base64,
    Encoder::Base64,
    Encoder::Hex,
    Encoder::Hex,
    Encoder::JsonPlace,
    Encoder::UrlPlace,
    Encoder::Cut,
];

const JSON_PLACES: [(&str, &str); 10] = [
    ("\"", "\""),
    ("{\"a\":\"", "\"}"),
    ("{\"", "\":1}"),
    ("{\"role\":\"", "\"}"),
    ("{\"id\": \"", "\",\"type\":[\"\"]}"),
    ("{\"\\u0069d\":\"", "\"}"),
    ("{\"pin\":", "}"),
    ("[1,", ",null]"),
    ("[\"\\n", "\\u00e9\"]"),
    ("[{\"model\":{\"object\":\"", "\"},\"status\":true"),
];

const URL_PLACES: [(&str, &str); 8] = [
    ("https://", "/"),
    ("https://a.", ".example.com/"),
    ("https:\\/\\/", "\\/"),
    ("https://", "@h/"),
    ("https://u:", "@h:80"),
    ("://[", "]"),
    ("https%3A%2F%2F", "%40h"),
    (":\\/\\\\/\\", ""),
];

/// A small generator of numbers.
struct Dice(u32);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) % sides
    }

    /// A digit of any case.
    fn hex(&mut self, number: u32, width: usize) -> String {
        let lower = format!("{number:0width$x}");
        lower
            .chars()
            .map(|digit| {
                if self.roll(2) == 0 {
                    digit.to_ascii_uppercase()
                } else {
                    digit
                }
            })
            .collect()
    }
}

/// Encodes `content`.
pub fn encode(encoder: Encoder, seed: u8, content: &[u8]) -> Vec<u8> {
    let mut dice = Dice((u32::from(seed) + 1).wrapping_mul(0x9E37_79B9));
    let place = |places: &[(&str, &str)]| {
        let (before, after) = places[usize::from(seed) % places.len()];
        [before.as_bytes(), content, after.as_bytes()].concat()
    };
    match encoder {
        Encoder::Json => json(&mut dice, content),
        Encoder::Percent => percent(&mut dice, content, false),
        Encoder::Form => percent(&mut dice, content, true),
        Encoder::Html => html(&mut dice, content),
        Encoder::Base64 => base64(&mut dice, content),
        Encoder::Hex => hex(&mut dice, content),
        Encoder::JsonPlace => place(&JSON_PLACES),
        Encoder::UrlPlace => place(&URL_PLACES),
        Encoder::Cut => content[..content.len().saturating_sub(usize::from(seed) % 8)].to_vec(),
    }
}

/// Calls `each` for every character; bytes that are none are kept.
fn by_char(content: &[u8], mut each: impl FnMut(char, &mut Vec<u8>)) -> Vec<u8> {
    let mut output = Vec::new();
    for chunk in content.utf8_chunks() {
        for char in chunk.valid().chars() {
            each(char, &mut output);
        }
        output.extend(chunk.invalid());
    }
    output
}

fn json(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    // How many of eight characters are escaped that need not be.
    let eagerness = [0, 0, 1, 4, 8][dice.roll(5) as usize];
    by_char(content, |char, output| {
        let short = match char {
            '"' | '\\' => Some(char),
            '\u{8}' => Some('b'),
            '\u{C}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '/' if dice.roll(8) < eagerness => Some('/'),
            _ => None,
        };
        let must = char < ' ' || matches!(char, '"' | '\\');
        if let Some(short) = short.filter(|_| dice.roll(8) >= eagerness / 2) {
            output.extend(format!("\\{short}").bytes());
        } else if must || dice.roll(8) < eagerness {
            for unit in char.encode_utf16(&mut [0; 2]) {
                output.extend(format!("\\u{}", dice.hex(u32::from(*unit), 4)).bytes());
            }
        } else {
            output.extend(char.to_string().bytes());
        }
    })
}

fn percent(dice: &mut Dice, content: &[u8], form: bool) -> Vec<u8> {
    let eagerness = [0, 0, 1, 4, 8][dice.roll(5) as usize];
    let mut output = Vec::new();
    for &byte in content {
        let plain = byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        let lazy = byte != b'%' && eagerness == 1;
        if form && byte == b' ' {
            output.push(b'+');
        } else if (plain || lazy) && dice.roll(8) >= eagerness {
            output.push(byte);
        } else {
            output.extend(format!("%{}", dice.hex(u32::from(byte), 2)).bytes());
        }
    }
    output
}

fn html(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let eagerness = [0, 1, 4, 8][dice.roll(4) as usize];
    by_char(content, |char, output| {
        let name = match char {
            '&' => Some("amp"),
            '<' => Some("lt"),
            '>' => Some("gt"),
            '"' => Some("quot"),
            '\'' => Some("apos"),
            '\u{A0}' => Some("nbsp"),
            _ => None,
        };
        let semicolon = if dice.roll(4) == 0 { "" } else { ";" };
        let zeros = "0".repeat([0, 0, 0, 1, 5][dice.roll(5) as usize]);
        let code = u32::from(char);
        let written = match (name, dice.roll(4)) {
            (Some(name), 0 | 1) => format!("&{name}{semicolon}"),
            (Some(name), 2) if name.len() < 4 => format!("&{}{semicolon}", name.to_uppercase()),
            (None, _) if dice.roll(8) >= eagerness => char.to_string(),
            (_, 3) => format!("&#{zeros}{code}{semicolon}"),
            _ => {
                let x = if dice.roll(2) == 0 { 'x' } else { 'X' };
                format!("&#{x}{zeros}{}{semicolon}", dice.hex(code, 1))
            }
        };
        output.extend(written.bytes());
    })
}

fn base64(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..dice.roll(4))
        .map(|_| b"a1 \"_"[dice.roll(5) as usize])
        .collect();
    bytes.extend(content);
    let after = [0, 0, 1, 2, 3][dice.roll(5) as usize];
    bytes.extend((0..after).map(|_| b"z2\n:Z"[dice.roll(5) as usize]));
    let url_safe = dice.roll(2) == 0;
    let padded = dice.roll(2) == 0;
    let line = if dice.roll(4) == 0 {
        4 + dice.roll(5)
    } else {
        u32::MAX
    };
    let line_break = ["\n", "\r\n", "\n  ", "\r\n\t"][dice.roll(4) as usize];
    let mut output: Vec<u8> = (0..[0, 0, 0, 1, 2, 3][dice.roll(6) as usize])
        .map(|_| b"Aq0"[dice.roll(3) as usize])
        .collect();
    let mut column = 0;
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0, |number, &byte| number << 8 | u32::from(byte));
        for digit in 0..4 {
            let symbol = match (number >> (18 - 6 * digit)) & 63 {
                _ if digit > group.len() => b'=',
                value @ 0..26 => b'A' + u8::try_from(value).unwrap_or(0),
                value @ 26..52 => b'a' + u8::try_from(value - 26).unwrap_or(0),
                value @ 52..62 => b'0' + u8::try_from(value - 52).unwrap_or(0),
                62 => b"+-"[usize::from(url_safe)],
                _ => b"/_"[usize::from(url_safe)],
            };
            if symbol == b'=' && !padded {
                continue;
            }
            if column == line {
                output.extend(line_break.bytes());
                column = 0;
            }
            output.push(symbol);
            column += 1;
        }
    }
    output
}

fn hex(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let mut output = if dice.roll(4) == 0 {
        vec![b"a7"[dice.roll(2) as usize]]
    } else {
        Vec::new()
    };
    let style = dice.roll(3);
    for &byte in content {
        let pair = match style {
            0 => format!("{byte:02x}"),
            1 => format!("{byte:02X}"),
            _ => dice.hex(u32::from(byte), 2),
        };
        output.extend(pair.bytes());
    }
    output
}
