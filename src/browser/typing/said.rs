//! What a command of the Input domain says as text, by its parameters.
//!
//! Only text counts, never a key's name or code: clients send `-` with Shift for `_`. Text on a `rawKeyDown` or a `keyUp` inserts
//! nothing; the first tells what the `char` will be. What cannot be read is no text of ours: it goes on as it is, and the browser says
//! what is wrong with it, but where a value was typed that it might tear apart.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::press::{Kind, Part};
use crate::browser::Command;

/// A command, read.
pub(super) struct Read<'a> {
    pub said: Said<'a>,
    /// What it does to the text of a field, where that is more than to add what it says.
    pub edit: Option<Edit>,
    /// Which part of which key's press it is, if it is one.
    pub part: Option<Part<'a>>,
    /// Whether it cannot be read: nobody knows what it does.
    pub is_unread: bool,
}

/// What a command says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// One character.
    Character(char),
    /// A text, whole.
    Whole(Cow<'a, str>),
    /// A composition's text, whole, in place of what the composition was; and whether it says where it goes.
    Composition(Cow<'a, str>, bool),
    /// Nothing of its own: it belongs to the character before it or after it.
    Attached,
    /// It takes back the character before it.
    Erased,
    /// Something else, after which the caret may stand elsewhere.
    Other,
}

/// What a key does to the text of the field that has the focus. What is selected goes in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// A text comes that is not known.
    Paste,
    /// A line end comes, where the field takes one.
    Line,
    /// The character before the caret goes.
    Back,
    /// The one behind it goes.
    Forward,
    /// A word or a line goes, on either side of it.
    Far,
    /// Something happens to any of its text.
    Anywhere,
}

#[derive(Deserialize)]
struct Insertion<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composition<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    replacement_start: Option<IgnoredAny>,
    replacement_end: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    modifiers: u8,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    #[serde(rename = "key")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    windows_virtual_key_code: Option<i64>,
    #[serde(default)]
    commands: Vec<String>,
}

const CONTROL: u8 = 2;
const META: u8 = 4;
const SHIFT: u8 = 8;
/// Alt, Control and Meta: with one of them a key is a shortcut.
const SHORTCUT: u8 = 1 | CONTROL | META;

/// How the names of editing commands begin that leave the text of a field as it is, or take all of a step back.
const HARMLESS: [&str; 10] = [
    "move", "select", "scroll", "page", "center", "copy", "cancel", "noop", "undo", "redo",
];

/// Reads a command.
pub(super) fn read(command: &Command) -> Read<'_> {
    let params = command.params();
    let read = match &*command.method {
        "Input.insertText" => serde_json::from_slice(params).map(Insertion::read),
        "Input.imeSetComposition" => serde_json::from_slice(params).map(Composition::read),
        "Input.dispatchKeyEvent" => serde_json::from_slice(params).map(Key::read),
        _ => return Read::of(Said::Other),
    };
    read.unwrap_or(Read {
        is_unread: true,
        ..Read::of(Said::Other)
    })
}

impl<'a> Read<'a> {
    fn of(said: Said<'a>) -> Self {
        Self {
            said,
            edit: None,
            part: None,
            is_unread: false,
        }
    }
}

impl<'a> Insertion<'a> {
    fn read(self) -> Read<'a> {
        let said = said(self.text);
        // What no key types comes all the same: a tab, or nothing in place of what is selected.
        let edit = matches!(said, Said::Other).then_some(Edit::Paste);
        Read {
            edit,
            ..Read::of(said)
        }
    }
}

impl<'a> Composition<'a> {
    fn read(self) -> Read<'a> {
        let is_placed = self.replacement_start.is_some() || self.replacement_end.is_some();
        Read {
            edit: is_placed.then_some(Edit::Anywhere),
            ..Read::of(Said::Composition(self.text, is_placed))
        }
    }
}

impl<'a> Key<'a> {
    fn read(mut self) -> Read<'a> {
        let (edit, part) = (self.edit(), self.part());
        Read {
            edit,
            said: self.said(part.as_ref()),
            part,
            is_unread: false,
        }
    }

    /// Which part of a press it is; `None` where it is of no kind that there is.
    fn part(&mut self) -> Option<Part<'a>> {
        let text = self.text.as_deref().filter(|text| !text.is_empty());
        let ahead = |text| character(text).filter(|_| !self.is_shortcut());
        let kind = match (&*self.kind, text) {
            ("keyDown", Some(_)) => Kind::Typed,
            ("rawKeyDown", Some(text)) => Kind::Ahead(ahead(text)),
            ("keyDown" | "rawKeyDown", None) => Kind::Down,
            ("char", _) => Kind::Char,
            ("keyUp", _) => Kind::Up,
            _ => return None,
        };
        Some(Part {
            kind,
            key: self.name.take().unwrap_or_default(),
            code: self.code.take().unwrap_or_default(),
        })
    }

    /// What it does beside typing its text, as Chromium has it for this platform or as a client of another platform says it.
    fn edit(&self) -> Option<Edit> {
        let ends_line = matches!(self.text.as_deref(), Some("\r" | "\n"));
        match &*self.kind {
            "char" => return ends_line.then_some(Edit::Line),
            "keyDown" | "rawKeyDown" => {}
            _ => return None,
        }
        let commands = self.commands.iter().map(|name| name.to_ascii_lowercase());
        let of_commands = commands.filter_map(|name| match &*name {
            "deletebackward" => Some(Edit::Back),
            "deleteforward" => Some(Edit::Forward),
            "insertnewline" | "insertlinebreak" | "insertparagraph" => Some(Edit::Line),
            _ if name.starts_with("delete") => Some(Edit::Far),
            _ if ["paste", "yank", "insert", "transpose"]
                .iter()
                .any(|begin| name.starts_with(begin)) =>
            {
                Some(Edit::Paste)
            }
            _ if HARMLESS.iter().any(|begin| name.starts_with(begin)) => None,
            _ => Some(Edit::Anywhere),
        });
        let of_commands: Vec<Edit> = of_commands.collect();
        match of_commands[..] {
            [] => {}
            [edit] => return Some(edit),
            _ => return Some(Edit::Anywhere),
        }
        let is = |name: &str, number: i64| {
            let names = [&self.name, &self.code].into_iter().flatten();
            self.windows_virtual_key_code == Some(number)
                || names.into_iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        let is_far = self.modifiers & SHORTCUT != 0;
        if is("Backspace", 8) {
            Some(if is_far { Edit::Far } else { Edit::Back })
        } else if is("Delete", 46) {
            Some(if is_far { Edit::Far } else { Edit::Forward })
        } else if is("Enter", 13) || ends_line {
            Some(Edit::Line)
        } else if self.modifiers & (CONTROL | META) != 0
            && [("b", 66), ("i", 73), ("u", 85)]
                .iter()
                .any(|&(name, number)| is(name, number))
        {
            // Bold, italic and underlined text is an element of its own.
            Some(Edit::Anywhere)
        } else {
            let pastes = is("v", 86) && self.modifiers & (CONTROL | META) != 0
                || is("Insert", 45) && self.modifiers & SHIFT != 0
                || is("Paste", 0);
            pastes.then_some(Edit::Paste)
        }
    }

    fn is_shortcut(&self) -> bool {
        self.modifiers & SHORTCUT != 0 || !self.commands.is_empty()
    }

    fn said(self, part: Option<&Part<'a>>) -> Said<'a> {
        let Some(part) = part else {
            return Said::Other;
        };
        let is_shortcut = self.is_shortcut();
        match (part.kind, self.text) {
            (Kind::Typed | Kind::Char, Some(text)) if !text.is_empty() => {
                if is_shortcut {
                    Said::Other
                } else {
                    said(text)
                }
            }
            (Kind::Char | Kind::Up, _) => Said::Attached,
            _ => textless(part, is_shortcut),
        }
    }
}

/// A key that went down without a text: its character may follow.
fn textless<'a>(part: &Part<'_>, is_shortcut: bool) -> Said<'a> {
    match &*part.key {
        _ if part.is_modifier() => Said::Attached,
        "Backspace" => Said::Erased,
        _ if is_shortcut => Said::Other,
        "" | "Unidentified" | "Process" => Said::Attached,
        key if key.chars().count() == 1 => Said::Attached,
        _ => Said::Other,
    }
}

/// The character that a text is, if it is one that fields take.
fn character(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let first = chars.next().filter(|c| !c.is_control())?;
    chars.next().is_none().then_some(first)
}

fn said(text: Cow<'_, str>) -> Said<'_> {
    match character(&text) {
        Some(c) => Said::Character(c),
        None if text.chars().nth(1).is_none() => Said::Other,
        None => Said::Whole(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, params: &str, expected: &Said<'_>) {
        let message: bytes::Bytes = params.to_owned().into();
        let command = Command {
            id: 1,
            method: format!("Input.{method}").into(),
            session: None,
            params: Some(0..message.len()),
            message,
        };
        assert_eq!(read(&command).said, *expected, "{method} {params}");
    }

    #[test]
    #[allow(clippy::too_many_lines)] // Rows.
    fn what_clients_send() {
        let key = "dispatchKeyEvent";
        let whole = |text: &'static str| Said::Whole(text.into());
        for (method, params, expected) in [
            ("insertText", r#"{"text": "x_p"}"#, whole("x_p")),
            ("insertText", r#"{"text": "\u0078"}"#, Said::Character('x')),
            (
                "insertText",
                r#"{"text": "\ud83d\ude00"}"#,
                Said::Character('\u{1f600}'),
            ),
            ("insertText", r#"{"text": "\ud83d"}"#, Said::Other),
            ("insertText", r#"{"text": ""}"#, Said::Other),
            ("insertText", r#"{"text": "\n"}"#, Said::Other),
            ("insertText", r#"{"text": 1}"#, Said::Other),
            ("insertText", r#"{"text": "a", "text": "b"}"#, Said::Other),
            (
                "imeSetComposition",
                r#"{"text": "x", "selectionStart": 1, "selectionEnd": 1}"#,
                Said::Composition("x".into(), false),
            ),
            (
                "imeSetComposition",
                r#"{"text": "x", "replacementStart": 1}"#,
                Said::Composition("x".into(), true),
            ),
            // Playwright, Puppeteer.
            (
                key,
                r#"{"type": "keyDown", "modifiers": 0, "text": "_", "key": "_", "commands": []}"#,
                Said::Character('_'),
            ),
            (
                key,
                r#"{"type": "keyDown", "modifiers": 8, "text": "_", "key": "-"}"#,
                Said::Character('_'),
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "Shift", "text": ""}"#,
                Said::Attached,
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "Enter", "text": "\r"}"#,
                Said::Other,
            ),
            (
                key,
                r#"{"type": "rawKeyDown", "key": "Backspace", "commands": ["deleteBackward"]}"#,
                Said::Erased,
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "ArrowLeft"}"#,
                Said::Other,
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "a", "text": "a", "modifiers": 2}"#,
                Said::Other,
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "a", "text": "a", "commands": ["selectAll"]}"#,
                Said::Other,
            ),
            (
                key,
                r#"{"type": "keyDown", "key": "Control", "modifiers": 2}"#,
                Said::Attached,
            ),
            // browser-use.
            (
                key,
                r#"{"type": "keyDown", "key": "-", "modifiers": 8, "windowsVirtualKeyCode": 189}"#,
                Said::Attached,
            ),
            (
                key,
                r#"{"type": "char", "text": "_", "key": "-", "modifiers": 8}"#,
                Said::Character('_'),
            ),
            // chromedriver.
            (
                key,
                r#"{"type": "rawKeyDown", "text": "x", "key": "x"}"#,
                Said::Attached,
            ),
            (
                key,
                r#"{"type": "char", "text": "x", "unmodifiedText": "x"}"#,
                Said::Character('x'),
            ),
            (
                key,
                r#"{"type": "keyUp", "text": "x", "key": "x"}"#,
                Said::Attached,
            ),
            (key, r#"{"type": "keyDown", "text": "x_p"}"#, whole("x_p")),
            (key, r#"{"type": "odd", "text": "x"}"#, Said::Other),
            (
                key,
                r#"{"type": "char", "text": "x", "modifiers": -1}"#,
                Said::Other,
            ),
            (key, "{}", Said::Other),
            (
                "dispatchMouseEvent",
                r#"{"type": "mousePressed"}"#,
                Said::Other,
            ),
        ] {
            check(method, params, &expected);
        }
    }
}
