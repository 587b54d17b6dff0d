//! Encoders with every freedom that decoders allow, chosen by a seed. `places` has those that put text into a place.

use super::places;

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
    /// Quoted-printable, with soft line breaks.
    QuotedPrintable,
    /// `\xHH`: everything, what must be, or any subset.
    Backslash,
    /// ASCII letters in another case.
    OtherCase,
    /// UTF-16LE.
    Utf16,
    /// Among bytes that are text, nearly text, or none.
    Binary,
    /// Deep, or not so deep, in a JSON string that may be opaque.
    OpaquePlace,
    /// In a JSON object that may be signed.
    SignedPlace,
    /// The content of a JSON string, with `\/`.
    Slashes,
    /// Base64 of it and of much text or noise around it, in lines or not.
    Surrounded,
}

/// All encoders; the usual ones more often. The fuzz seeds know them by number: new ones come last.
pub const ENCODERS: [Encoder; 30] = [
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
    Encoder::QuotedPrintable,
    Encoder::QuotedPrintable,
    Encoder::Backslash,
    Encoder::OtherCase,
    Encoder::Utf16,
    Encoder::Binary,
    Encoder::OpaquePlace,
    Encoder::OpaquePlace,
    Encoder::SignedPlace,
    Encoder::SignedPlace,
    Encoder::Slashes,
    Encoder::Slashes,
    Encoder::Surrounded,
    Encoder::Surrounded,
];

/// The encoder with this number, which wraps around: so that the first ones, which the fuzz seeds were made with, keep theirs.
pub fn encoder(number: u8) -> Encoder {
    const FIRST: usize = 26;
    let number = usize::from(number);
    if number < 2 * FIRST {
        ENCODERS[number % FIRST]
    } else {
        ENCODERS[FIRST + number % (ENCODERS.len() - FIRST)]
    }
}

/// A small generator of numbers.
pub struct Dice(u32);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u32) -> u32 {
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
    match encoder {
        Encoder::Json => json(&mut dice, content),
        Encoder::Percent => percent(&mut dice, content, false),
        Encoder::Form => percent(&mut dice, content, true),
        Encoder::Html => html(&mut dice, content),
        Encoder::Base64 => base64(&mut dice, content),
        Encoder::Hex => hex(&mut dice, content),
        Encoder::JsonPlace => places::place(&places::JSON, seed, content),
        Encoder::UrlPlace => places::place(&places::URL, seed, content),
        Encoder::Cut => content[..content.len().saturating_sub(usize::from(seed) % 8)].to_vec(),
        Encoder::QuotedPrintable => quoted_printable(&mut dice, content),
        Encoder::Backslash => backslash(&mut dice, content),
        Encoder::OtherCase => other_case(&mut dice, content),
        Encoder::Utf16 => utf16(content),
        Encoder::Binary => places::binary(&mut dice, content),
        Encoder::OpaquePlace => places::opaque(&mut dice, content),
        Encoder::SignedPlace => places::place(&places::SIGNED, seed, content),
        Encoder::Slashes => slashes(content),
        Encoder::Surrounded => surrounded(&mut dice, content),
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
        let mut code = u32::from(char);
        if let Some(number) = windows_1252(char).filter(|_| dice.roll(4) > 0) {
            code = number;
        }
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

/// The number from 128 to 159 that means `char` in HTML.
fn windows_1252(char: char) -> Option<u32> {
    let number = match char {
        '€' => 128,
        'Œ' => 140,
        '“' => 147,
        '”' => 148,
        '–' => 150,
        '™' => 153,
        'Ÿ' => 159,
        _ => return None,
    };
    Some(number)
}

fn quoted_printable(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let eagerness = [0, 0, 1, 4, 8][dice.roll(5) as usize];
    let breaks = [0, 1, 1, 4, 8][dice.roll(5) as usize];
    let mut output = Vec::new();
    let soft_break = |dice: &mut Dice, output: &mut Vec<u8>| {
        if dice.roll(16) < breaks {
            output.extend([&b"=\n"[..], b"=\r\n"][dice.roll(2) as usize]);
        }
    };
    for &byte in content {
        soft_break(dice, &mut output);
        let plain = matches!(byte, b' '..=b'<' | b'>'..=b'~');
        let lazy = byte != b'=' && eagerness == 1;
        if (plain || lazy) && dice.roll(8) >= eagerness {
            output.push(byte);
        } else {
            output.extend(format!("={}", dice.hex(u32::from(byte), 2)).bytes());
        }
    }
    soft_break(dice, &mut output);
    output
}

fn backslash(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let eagerness = [0, 1, 4, 8][dice.roll(4) as usize];
    let mut output = Vec::new();
    for &byte in content {
        let plain = matches!(byte, b' '..=b'[' | b']'..=b'~');
        if plain && dice.roll(8) >= eagerness {
            output.push(byte);
        } else if byte == b'\\' && dice.roll(2) == 0 {
            output.extend(b"\\\\");
        } else {
            output.extend(format!("\\x{}", dice.hex(u32::from(byte), 2)).bytes());
        }
    }
    output
}

fn other_case(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let eagerness = [1, 4, 8][dice.roll(3) as usize];
    let mut output = content.to_vec();
    for byte in &mut output {
        if byte.is_ascii_alphabetic() && dice.roll(8) < eagerness {
            *byte ^= 0x20;
        }
    }
    output
}

fn utf16(content: &[u8]) -> Vec<u8> {
    by_char(content, |char, output| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            output.extend(unit.to_le_bytes());
        }
    })
}

fn slashes(content: &[u8]) -> Vec<u8> {
    by_char(content, |char, output| match char {
        '"' | '\\' | '/' => output.extend(format!("\\{char}").bytes()),
        '\n' => output.extend(b"\\n"),
        '\0'..' ' => output.extend(format!("\\u{:04x}", u32::from(char)).bytes()),
        _ => output.extend(char.to_string().bytes()),
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
    groups(&bytes, url_safe, padded, (line, line_break), &mut output);
    output
}

fn surrounded(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let mut bytes = surroundings(dice);
    bytes.extend(content);
    bytes.extend(surroundings(dice));
    let url_safe = dice.roll(4) == 0;
    let padded = dice.roll(2) == 0;
    let line = [u32::MAX, u32::MAX, u32::MAX, 48, 64, 76][dice.roll(6) as usize];
    let indent = [0, 0, 2, 64][dice.roll(4) as usize];
    let line_break = format!(
        "{}{}",
        ["\n", "\r\n"][dice.roll(2) as usize],
        " ".repeat(indent)
    );
    let mut output = Vec::new();
    groups(&bytes, url_safe, padded, (line, &line_break), &mut output);
    output
}

/// Text or noise, mostly more than what is looked at around a place.
fn surroundings(dice: &mut Dice) -> Vec<u8> {
    let length = [0, 1, 5, 30, 60, 110][dice.roll(6) as usize] + dice.roll(4);
    let alphabet: &[u8] = match dice.roll(5) {
        0 => b"lorem ipsum dolor. ",
        1 => b". ",
        2 => b"\xFF\xFE\xFB?>",
        3 => b"QUJDabc0",
        _ => b"\"{},:/\\n%",
    };
    let any = alphabet.len().try_into().unwrap_or(1);
    (0..length)
        .map(|_| alphabet[dice.roll(any) as usize])
        .collect()
}

/// Appends `bytes` in base64, in lines of so many characters and with this between them.
fn groups(
    bytes: &[u8],
    url_safe: bool,
    padded: bool,
    (line, line_break): (u32, &str),
    output: &mut Vec<u8>,
) {
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
