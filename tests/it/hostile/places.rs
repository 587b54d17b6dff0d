//! What a piece of text is put into: JSON texts, URLs, opaque strings, signed blocks, bytes of a picture.

use super::encode::Dice;

/// Places in JSON texts.
pub const JSON: [(&str, &str); 10] = [
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

/// Places in URLs.
pub const URL: [(&str, &str); 8] = [
    ("https://", "/"),
    ("https://a.", ".example.com/"),
    ("https:\\/\\/", "\\/"),
    ("https://", "@h/"),
    ("https://u:", "@h:80"),
    ("://[", "]"),
    ("https%3A%2F%2F", "%40h"),
    (":\\/\\\\/\\", ""),
];

/// Places in objects that are signed, nearly signed, or signed more than once.
pub const SIGNED: [(&str, &str); 22] = [
    ("{\"thinking\":\"", "\",\"signature\":\"c2ln\"}"),
    ("{\"signature\":\"c2ln\",\"thinking\":\"", "\"}"),
    ("{\"thinking\":\"a\",\"signature\":\"", "\"}"),
    ("{\"signature\":\"", "\",\"thinking\":\"\"}"),
    ("{\"thinking\":\"", "\",\"signature\":\"s"),
    ("{\"thinking\":\"", "\",\"signature\":\"s\""),
    ("{\"thinking\":\"", "\",\"signature\":\"s\n\"}"),
    ("{\"thinking\":\"", "\",\"signature\":\"s\"\n}}"),
    ("{\"thinking\":\"", "\",\"signature\":\"\"}"),
    ("{\"thinking\":\"", "\",\"signature\":7}"),
    (
        "{\"thinking\":\"",
        "\",\"signature\":\"\",\"signature\":\"s\"}",
    ),
    ("{\"thinking\":\"", "\",\"x\":{\"signature\":\"s\"}}"),
    (
        "{\"thinking\":\"a\",\"signature\":\"s\",\"thinking\":\"",
        "",
    ),
    (
        "{\"thinking\":[\"",
        "\"],\"thinking\":\"a\",\"signature\":\"s\"}",
    ),
    ("{\"th\\u0069nking\":\"", "\",\"signature\":\"s\"}"),
    ("{\"signature\":\"s\",\"x\":\"", "\",\"thinking\":\"a\"}"),
    ("{\"signature\":\"s\",\"", "\":1,\"thinking\":\"a\"}"),
    ("{\"thinking\":\"a\",\"signature\":\"s\",\"x\":", "}"),
    (
        "[{\"thinking\":\"1234\",\"x\":{\"thinking\":\"",
        "\",\"signature\":\"s\"},\"signature\":\"t\"}]",
    ),
    (
        "[{\"thinking\":\"",
        "\",\"x\":{\"thinking\":\"1234\",\"signature\":\"s\"},\"signature\":\"t\"}]",
    ),
    (
        "{\"thinking\":\"a\",\"signature\":\"s\"}{\"thinking\":\"",
        "\"}",
    ),
    (
        "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"\\n",
        "\\n\",\"signature\":\"s\"}]}",
    ),
];

/// Members whose values are opaque, and others.
const MEMBERS: [&str; 11] = [
    "signature",
    "encrypted_content",
    "thoughtSignature",
    "thought_signature",
    "data",
    "b64_json",
    "file_data",
    "bytes",
    "text",
    "d\\u0061ta",
    "Data",
];

/// Beginnings of `data:` URLs that hold base64, and others.
const HEADS: [&str; 8] = [
    "data:;base64,",
    "data:image/png;base64,",
    "data:image\\/png;base64,",
    "data:text/plain;charset=utf-8;base64,",
    "data:text/plain,",
    "data:,;base64,",
    "Data:image/png;base64,",
    " data:;base64,",
];

/// Puts `content` into the place with this number, which wraps around.
pub fn place(places: &[(&str, &str)], number: u8, content: &[u8]) -> Vec<u8> {
    let (before, after) = places[usize::from(number) % places.len()];
    [before.as_bytes(), content, after.as_bytes()].concat()
}

/// Puts `content` behind other bytes.
pub fn binary(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let pieces: [&[u8]; 14] = [
        b"abc ",
        b" ",
        b"-",
        b"\t\r\n",
        b"\x00",
        b"\x0B",
        b"\x1B",
        b"\x7F",
        b"\xFF",
        b"\x80",
        b"\xC3",
        "é".as_bytes(),
        "🔑".as_bytes(),
        "\u{2028}".as_bytes(),
    ];
    let any: u32 = pieces.len().try_into().unwrap_or(1);
    let mut output = pieces[dice.roll(any) as usize].to_vec();
    let filler = dice.roll(16) as usize;
    if dice.roll(2) == 0 {
        output.extend(&b"lorem ipsum dol "[16 - filler..]);
    } else {
        while output.len() < filler {
            output.extend(pieces[dice.roll(any) as usize]);
        }
    }
    output.extend(content);
    output.extend(pieces[dice.roll(any) as usize]);
    output
}

/// Puts `content` behind base64 in a JSON string.
pub fn opaque(dice: &mut Dice, content: &[u8]) -> Vec<u8> {
    let member = MEMBERS[dice.roll(10) as usize];
    let head = match dice.roll(4) {
        0 | 1 => String::new(),
        2 => HEADS[dice.roll(2) as usize].to_owned(),
        _ => HEADS[dice.roll(8) as usize].to_owned(),
    };
    let (before, after) = match dice.roll(8) {
        0 => ("[\"".to_owned(), "\"]"),
        1 => ("\"".to_owned(), "\""),
        2 => ("{\"".to_owned(), "\":1}"),
        3 => (format!("{{\"{member}\":[\""), "\"]}"),
        4 => (format!("{{\"{member}\":\""), ""),
        _ => (format!("{{\"{member}\":\""), "\"}"),
    };
    let length = [0, 63, 64, 64, 65, 80, 150][dice.roll(7) as usize];
    let mut filler: Vec<u8> = (0..length)
        .map(|_| b"AbZz09+/_=-Qq7k"[dice.roll(15) as usize])
        .collect();
    // What stands before the content is no word; and now and then something in the filler is no base64.
    if let Some(last) = filler.last_mut() {
        *last = b"+/=-"[dice.roll(4) as usize];
    }
    if dice.roll(4) == 0 && length > 0 {
        filler[dice.roll(length) as usize] = b" .%&:"[dice.roll(5) as usize];
    }
    [
        before.as_bytes(),
        head.as_bytes(),
        &filler,
        content,
        after.as_bytes(),
    ]
    .concat()
}
