//! Text that is typed character by character: what of it is held back because a placeholder may come of it.
//!
//! The way through: [`Holding::push`] takes a character, then [`Holding::step`] says what to do, again and again, until it says
//! [`Step::Wait`]. [`Holding::end`] is asked where no more may come: after a pause, or before somebody looks at the field.
//!
//! Invariants: what is held is the beginning of an accepted placeholder, so it is never longer than one; characters leave in the
//! order in which they came; where one placeholder begins another, the longer one counts, decided at the next character.

use super::{Finder, Spelling};

/// What to do with what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing for now.
    Wait,
    /// So many bytes, the oldest, are ordinary text: let them go. 0 if they went already.
    Release(usize),
    /// What is held begins with a placeholder.
    Placeholder(Typed),
}

/// A placeholder that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// Its key.
    pub key: Box<str>,
    /// All of its text.
    pub text: Box<str>,
    /// How many bytes of the text went as ordinary text already, and stand in the field.
    pub gone: usize,
    /// Whether it counts only where it is the whole text of its place.
    pub only_whole: bool,
}

/// What is held of one run of characters.
#[derive(Clone, Debug)]
pub struct Holding {
    text: String,
    /// Bytes of `text`, the oldest, that went as ordinary text already.
    gone: usize,
    /// The character before `text` in this run, if it is known.
    before: Option<char>,
    /// Whether `text` begins the run.
    first: bool,
}

/// What a text may be.
#[derive(Default)]
struct Stand<'f> {
    /// It is this key's placeholder; and whether as a bare key.
    whole: Option<(&'f str, bool)>,
    /// It begins a longer one.
    begins: bool,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            text: String::new(),
            gone: 0,
            before: None,
            first: true,
        }
    }
}

impl Holding {
    /// Takes one more character.
    pub fn push(&mut self, c: char) {
        self.text.push(c);
    }

    /// Whether anything waits that did not go yet.
    pub fn is_holding(&self) -> bool {
        self.gone < self.text.len()
    }

    /// Whether nothing is held or remembered that may become a placeholder.
    pub fn is_idle(&self) -> bool {
        self.text.is_empty()
    }

    /// The run is over: what comes next begins another.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// What ends with that character went by, as text that nobody held.
    pub fn passed(&mut self, last: Option<char>) {
        self.reset();
        self.before = last;
        self.first = last.is_none();
    }

    /// What stands before is not known any more, and what comes may be a text of its own: somebody may have changed the field.
    pub fn looked_at(&mut self) {
        self.before = None;
        self.first |= self.text.is_empty();
    }

    /// What to do now that a character came.
    pub fn step(&mut self, finder: &Finder) -> Step {
        if self.text.is_empty() {
            return Step::Wait;
        }
        let stand = self.stand(finder, self.text.len());
        if stand.begins {
            return Step::Wait;
        }
        if let Some((key, is_bare)) = stand.whole {
            let typed = self.typed(key, is_bare, self.text.len());
            return self.placeholder(typed);
        }
        // It begins nothing: the longest placeholder that stands at its beginning counts, or else its first character is text.
        let ends = self.text.char_indices().skip(1);
        let complete = ends
            .filter_map(|(end, next)| {
                let (key, is_bare) = self.stand(finder, end).whole?;
                let is_apart = !is_bare || !is_word(next);
                (is_apart && (!is_bare || key.contains('_'))).then(|| self.typed(key, is_bare, end))
            })
            .last();
        match complete {
            Some(typed) => self.placeholder(typed),
            None => self.release_first(),
        }
    }

    /// What to do where no more may come: what is no placeholder by now goes as text, and is remembered in case that the rest
    /// comes all the same.
    pub fn end(&mut self, finder: &Finder) -> Step {
        if !self.is_holding() {
            return Step::Wait;
        }
        if let Some(typed) = self.complete(finder) {
            return self.placeholder(typed);
        }
        let bytes = self.text.len() - self.gone;
        self.gone = self.text.len();
        Step::Release(bytes)
    }

    /// The placeholder that all of the text is, should nothing that belongs to it follow.
    pub fn complete(&self, finder: &Finder) -> Option<Typed> {
        if !self.is_holding() {
            return None;
        }
        let (key, is_bare) = self.stand(finder, self.text.len()).whole?;
        Some(self.typed(key, is_bare, self.text.len()))
    }

    fn typed(&self, key: &str, is_bare: bool, end: usize) -> Typed {
        Typed {
            key: key.into(),
            text: self.text[..end].into(),
            gone: self.gone.min(end),
            only_whole: is_bare && !key.contains('_'),
        }
    }

    fn placeholder(&mut self, typed: Typed) -> Step {
        self.text.drain(..typed.text.len());
        self.gone -= typed.gone;
        self.before = None;
        self.first = false;
        Step::Placeholder(typed)
    }

    fn release_first(&mut self) -> Step {
        let first = self.text.remove(0);
        let bytes = first.len_utf8();
        self.first = false;
        if self.gone == 0 {
            self.before = Some(first);
            return Step::Release(bytes);
        }
        self.gone -= bytes;
        // It went before a pause or a look at the field, after which the field may hold something else.
        self.before = None;
        Step::Release(0)
    }

    /// What the first bytes of the text may be.
    fn stand<'f>(&self, finder: &'f Finder, end: usize) -> Stand<'f> {
        let text = &self.text[..end];
        let mut stand = Stand::default();
        for spelling in finder.spellings() {
            if !spelling.is_bare() {
                delimited(finder, spelling, text, &mut stand);
            } else if !self.before.is_some_and(is_word) {
                for key in finder.keys().filter(|key| key.starts_with(text)) {
                    if !self.first && !key.contains('_') {
                        continue;
                    }
                    // Whether it is a word of its own, the next character says.
                    stand.begins = true;
                    if key.len() == text.len() {
                        stand.whole.get_or_insert((key, true));
                    }
                }
            }
        }
        stand
    }
}

fn delimited<'f>(finder: &'f Finder, spelling: &Spelling, text: &str, stand: &mut Stand<'f>) {
    let Some(rest) = text.strip_prefix(spelling.before()) else {
        stand.begins |= spelling.before().starts_with(text);
        return;
    };
    for key in finder.keys() {
        match rest.strip_prefix(key) {
            Some(after) if after == spelling.after() => stand.whole = Some((key, false)),
            Some(after) => stand.begins |= spelling.after().starts_with(after),
            None => stand.begins |= key.starts_with(rest),
        }
    }
}

/// Whether a character belongs to a word.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finder(keys: &[&str]) -> Finder {
        let accept = [
            ("", ""),
            ("<secret>", "</secret>"),
            ("{{", "}}"),
            ("%", "%"),
            ("$[secret:", "]"),
            ("<<<", ">>>"),
        ];
        let accept = accept.map(|(before, after)| Spelling::new(before, after));
        Finder::new(keys.iter().copied(), &accept)
    }

    /// Types a text: `|` is a pause, `!` a look at the field. What went as text is written as it is, a placeholder as `(key)`,
    /// with `-text` before it for what of it went already.
    fn typed(finder: &Finder, keys: &str) -> String {
        let mut holding = Holding::default();
        let mut queue = String::new();
        let mut out = String::new();
        for key in keys.chars() {
            match key {
                '|' | '!' => drive(&mut holding, &mut queue, &mut out, |h| h.end(finder)),
                key => {
                    holding.push(key);
                    queue.push(key);
                    drive(&mut holding, &mut queue, &mut out, |h| h.step(finder));
                }
            }
            if key == '!' {
                holding.looked_at();
            }
            assert_eq!(queue.is_empty(), !holding.is_holding());
        }
        drive(&mut holding, &mut queue, &mut out, |h| h.end(finder));
        out
    }

    fn drive(
        holding: &mut Holding,
        queue: &mut String,
        out: &mut String,
        mut next: impl FnMut(&mut Holding) -> Step,
    ) {
        loop {
            match next(holding) {
                Step::Wait => return,
                Step::Release(bytes) => out.extend(queue.drain(..bytes)),
                Step::Placeholder(typed) => {
                    queue.drain(..typed.text.len() - typed.gone);
                    let gone = &typed.text[..typed.gone];
                    let minus = if gone.is_empty() { "" } else { "-" };
                    let whole = if typed.only_whole { "=" } else { "" };
                    out.extend(["(", minus, gone, whole, &typed.key, ")"]);
                }
            }
        }
    }

    #[test]
    fn placeholders_typed_key_by_key() {
        let finder = finder(&["x_pass", "x_password", "pin", "pin_b"]);
        for (keys, expected) in [
            ("", ""),
            ("fox", "fox"),
            ("x_password", "(x_password)"),
            ("x_pass", "(x_pass)"),
            ("x_passw", "x_passw"),
            ("x_pass ", "(x_pass) "),
            ("x_pass@", "(x_pass)@"),
            ("x_passw ", "x_passw "),
            ("x_pass_", "x_pass_"),
            ("x_passwords ", "x_passwords "),
            ("ax_pass ", "ax_pass "),
            ("xx_pass ", "xx_pass "),
            ("a x_pass ", "a (x_pass) "),
            ("u:x_pass@h", "u:(x_pass)@h"),
            ("{{x_pass}}", "(x_pass)"),
            ("{{{x_pass}}}", "{(x_pass)}"),
            ("u{{x_pass}}@{{pin}}", "u(x_pass)@(pin)"),
            ("{{x_pas{{x_pass}}", "{{x_pas(x_pass)"),
            ("{{x_pass} ", "{{(x_pass)} "),
            ("{{x_pass}", "{{x_pass}"),
            ("{{x_pass|} ", "{{(-x_pass)} "),
            ("{{x_pass }}", "{{(x_pass) }}"),
            ("{{none}}", "{{none}}"),
            ("<<secret>pin</secret>", "<(pin)"),
            ("<secret>x_pass</secret>", "(x_pass)"),
            ("<secret>x_pass</secre ", "<secret>(x_pass)</secre "),
            ("%x_pass%x_password%", "(x_pass)(x_password)%"),
            ("%x_password%", "(x_password)"),
            ("$[secret:pin]", "(pin)"),
            ("<<<pin>>>", "(pin)"),
            ("pin", "(=pin)"),
            ("a pin", "a pin"),
            ("pin a", "pin a"),
            ("pin_b", "(pin_b)"),
            ("pin_ ", "pin_ "),
            ("x_pa|ssword ", "x_pa(-x_password) "),
            ("x_pa|", "x_pa"),
            ("x|x_pass ", "x(x_pass) "),
            ("x_pass|word", "(x_pass)word"),
            ("{{x|_pass}}", "{{x(-{{x_pass)"),
            ("{{x|y", "{{xy"),
            ("a!x_pass|", "a(x_pass)"),
            ("ab|x_pass|", "abx_pass"),
            ("\u{f6}x_pass|", "\u{f6}x_pass"),
            ("\u{f6} x_pass|", "\u{f6} (x_pass)"),
        ] {
            let expected = expected.replace("(-x_password)", "(-x_pax_password)");
            let expected = expected.replace("(-{{x_pass)", "(-{{xx_pass)");
            let expected = expected.replace("{{(-x_pass)}", "{{x_pass(-x_passx_pass)}");
            assert_eq!(typed(&finder, keys), expected, "{keys}");
        }
    }

    #[test]
    fn without_keys_or_spellings_nothing_is_held() {
        for finder in [Finder::default(), Finder::new(["x_pass"], &[])] {
            let mut holding = Holding::default();
            holding.push('x');
            assert_eq!(holding.step(&finder), Step::Release(1));
            assert_eq!(holding.step(&finder), Step::Wait);
        }
    }

    proptest! {
        /// Typed in one go, a text gives what reading it whole gives. Its end shows that nothing more belongs to it.
        #[test]
        fn typed_as_read(text in r"([ab_%{}< ]|x_pass|x_password|\{\{pin\}\}|%x_pass%){0,12}") {
            let text = text + ".";
            let finder = finder(&["x_pass", "x_password", "pin"]);
            let mut expected = String::new();
            let mut at = 0;
            for found in finder.find(&text) {
                if found.only_whole {
                    continue;
                }
                expected += &text[at..found.range.start];
                expected.extend(["(", found.key, ")"]);
                at = found.range.end;
            }
            expected += &text[at..];
            prop_assert_eq!(typed(&finder, &text), expected);
        }
    }
}
