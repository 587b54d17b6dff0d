//! Presses of keys: which messages make up one, and what becomes of the rest of one of which a part was refused.
//!
//! A press is a `keyDown` or `rawKeyDown`, its `char`, and a `keyUp`. Where one of them is refused, so are those that come after it:
//! nothing of a press reaches the page alone, and a client that looks at one of the answers hears of it.
//!
//! chromedriver sends a whole text without waiting and looks at the last answer alone. It is known by its `rawKeyDown`, which
//! brings the text that the `char` will type. There a refusal holds for all keys that follow until it does something else, or
//! pauses: otherwise it would go unheard, and what stands behind the name, perhaps an Enter, would be typed without it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::browser::Refusal;

/// Keys that do nothing by themselves.
const MODIFIERS: [&str; 9] = [
    "Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "NumLock", "Fn", "Dead",
];

/// Bytes of a key's name that are remembered. Of what is longer, and none that there is, nothing is.
const LONGEST_NAME: usize = 64;

/// A message of a press.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub kind: Kind,
    /// What it calls its key; empty where it does not.
    pub key: Cow<'a, str>,
    /// The same for the key's place on the board.
    pub code: Cow<'a, str>,
}

/// What it says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It went down, and does not say with what text.
    Down,
    /// It went down with a text, and types it.
    Typed,
    /// It went down with a text that a `char` will type: the character, if it is one.
    Ahead(Option<char>),
    /// It types.
    Char,
    /// It went up.
    Up,
}

/// The presses of one session.
#[derive(Default)]
pub(super) struct Presses {
    /// The key that went down last.
    down: Option<Down>,
    refused: Option<Refused>,
}

struct Down {
    names: Names,
    is_ahead: bool,
}

/// A press of which a part was refused.
struct Refused {
    refusal: Refusal,
    /// What its parts call the key; nothing, if none of them does.
    names: Vec<Names>,
    /// Its `char` has not come.
    awaits_char: bool,
    /// Who sent it does not wait for answers: when the last part came that was refused for it.
    burst: Option<Instant>,
}

struct Names {
    key: Box<str>,
    code: Box<str>,
}

impl Presses {
    /// Why a part is refused before anybody looks at it. `pause`: the silence after which a text is over.
    pub fn refuse(&mut self, part: &Part<'_>, pause: Duration) -> Option<Refusal> {
        let refused = self.refused.as_mut()?;
        let is_burst = refused.burst.is_some_and(|last| last.elapsed() < pause);
        if is_burst && part.kind != Kind::Typed {
            refused.burst = Some(Instant::now());
            return Some(refused.refusal.clone());
        }
        refused.burst = None;
        match part.kind {
            Kind::Char => std::mem::take(&mut refused.awaits_char).then(|| refused.refusal.clone()),
            Kind::Up if refused.is_of(part) => self.refused.take().map(|refused| refused.refusal),
            Kind::Up => None,
            Kind::Down | Kind::Typed | Kind::Ahead(_) => {
                refused.awaits_char = false;
                // The same key again: the press before is over, whether it went up or not.
                if refused.is_of(part) {
                    self.refused = None;
                }
                None
            }
        }
    }

    /// Remembers which key goes down: a `char` need not say whose it is.
    pub fn saw(&mut self, part: &Part<'_>) {
        match part.kind {
            _ if part.is_modifier() => {}
            Kind::Down | Kind::Typed | Kind::Ahead(_) => {
                self.down = Some(Down {
                    names: part.names(),
                    is_ahead: matches!(part.kind, Kind::Ahead(_)),
                });
            }
            Kind::Char => {}
            Kind::Up => {
                self.down.take_if(|down| down.names.are_of(part));
            }
        }
    }

    /// A part was refused: those that follow are to be.
    pub fn refused(&mut self, part: &Part<'_>, refusal: &Refusal) {
        let down = self.down.take();
        let is_ahead = down.as_ref().is_some_and(|down| down.is_ahead);
        if part.kind == Kind::Up && !is_ahead {
            return;
        }
        let mut names = vec![part.names()];
        names.extend(down.map(|down| down.names));
        names.retain(|names| !names.key.is_empty() || !names.code.is_empty());
        self.refused = Some(Refused {
            refusal: refusal.clone(),
            names,
            awaits_char: matches!(part.kind, Kind::Ahead(_)),
            burst: is_ahead.then(Instant::now),
        });
    }

    /// Something other than a key came: whoever sent it may have heard of a refusal.
    pub fn end_burst(&mut self) {
        if let Some(refused) = &mut self.refused {
            refused.burst = None;
        }
    }

    /// Whether there is no press of which parts are to be refused.
    pub fn is_idle(&self) -> bool {
        self.refused.is_none()
    }
}

impl Part<'_> {
    /// Whether its key does nothing by itself.
    pub fn is_modifier(&self) -> bool {
        MODIFIERS.contains(&&*self.key)
    }

    fn names(&self) -> Names {
        let kept = |name: &str| if name.len() > LONGEST_NAME { "" } else { name }.into();
        Names {
            key: kept(&self.key),
            code: kept(&self.code),
        }
    }
}

impl Refused {
    /// Whether a part is of the same key. Where no part named one, any key but a modifier may be it.
    fn is_of(&self, part: &Part<'_>) -> bool {
        !part.is_modifier()
            && (self.names.is_empty() || self.names.iter().any(|names| names.are_of(part)))
    }
}

impl Names {
    fn are_of(&self, part: &Part<'_>) -> bool {
        let is_same = |mine: &str, its: &str| !mine.is_empty() && mine == its;
        is_same(&self.key, &part.key) || is_same(&self.code, &part.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(60);

    fn part<'a>(kind: Kind, key: &'a str, code: &'a str) -> Part<'a> {
        Part {
            kind,
            key: key.into(),
            code: code.into(),
        }
    }

    /// What becomes of messages: `!` is refused by its handler, `-` because its press was, `.` is not.
    fn check(messages: &[(Kind, &str, &str)], refuses: usize, pause: Duration, expected: &str) {
        let refusal = Refusal::new("why");
        let mut presses = Presses::default();
        let mut came = String::new();
        for (at, (kind, key, code)) in messages.iter().enumerate() {
            let part = part(*kind, key, code);
            if let Some(refused) = presses.refuse(&part, pause) {
                assert_eq!(refused, refusal);
                came.push('-');
                continue;
            }
            presses.saw(&part);
            if at == refuses {
                presses.refused(&part, &refusal);
                came.push('!');
            } else {
                came.push('.');
            }
        }
        assert_eq!(came, expected, "{messages:?}");
    }

    #[test]
    fn all_of_a_press_is_refused() {
        use Kind::{Char, Down, Typed, Up};
        let ahead = Kind::Ahead(Some('d'));
        // Playwright and Puppeteer; what follows is another press, of the same key too.
        let (d, e) = ((Typed, "d", "KeyD"), (Typed, "e", "KeyE"));
        let (d_up, e_up) = ((Up, "d", "KeyD"), (Up, "e", "KeyE"));
        check(&[d, d_up, d, d_up], 0, PAUSE, "!-..");
        check(&[d, d, d_up], 0, PAUSE, "!..");
        check(&[d, e, e_up, d_up, d_up], 0, PAUSE, "!..-.");
        check(&[e, d, e_up, d_up], 1, PAUSE, ".!.-");
        // Shift goes up first, so that the key goes up as another.
        let shift = |kind| (kind, "Shift", "ShiftLeft");
        let (line, line_up) = ((Typed, "_", "Minus"), (Up, "-", "Minus"));
        check(&[shift(Down), line, shift(Up), line_up], 1, PAUSE, ".!.-");
        // browser-use; and those that say less.
        check(
            &[(Down, "-", ""), (Char, "_", ""), (Up, "-", "")],
            1,
            PAUSE,
            ".!-",
        );
        check(
            &[(Down, "d", ""), (Char, "", ""), (Up, "d", "")],
            1,
            PAUSE,
            ".!-",
        );
        check(
            &[(Char, "", ""), (Char, "", ""), (Up, "", "")],
            0,
            PAUSE,
            "!.-",
        );
        check(
            &[(Char, "", ""), shift(Up), (Up, "d", ""), (Up, "d", "")],
            0,
            PAUSE,
            "!.-.",
        );
        check(&[d, (Char, "e", ""), d_up], 0, PAUSE, "!.-");
        // chromedriver: all that follows, but for a press of another kind, or after a pause.
        let (raw, raw_up) = ((ahead, "d", "KeyD"), (Up, "d", "KeyD"));
        let char = (Char, "d", "KeyD");
        let enter = (Kind::Ahead(None), "Enter", "Enter");
        check(&[raw, char, raw_up, raw, char, raw_up], 0, PAUSE, "!-----");
        check(
            &[raw, char, raw_up, shift(Up), enter, (Char, "Enter", "")],
            1,
            PAUSE,
            ".!----",
        );
        check(&[raw, char, d, d_up, raw], 0, PAUSE, "!-...");
        let now = Duration::ZERO;
        check(&[raw, char, raw_up, raw, char, raw_up], 0, now, "!--...");
        check(&[raw, raw, char, raw_up], 0, now, "!...");
        check(&[raw, char, char, raw_up], 0, now, "!-.-");
    }

    #[test]
    fn long_names_are_not_kept() {
        let long = "d".repeat(LONGEST_NAME + 1);
        let names = part(Kind::Char, &long, &long[1..]).names();
        assert!(names.key.is_empty());
        assert_eq!(names.code.len(), LONGEST_NAME);
    }

    #[test]
    fn a_burst_ends_with_what_is_no_key() {
        let refusal = Refusal::new("why");
        let mut presses = Presses::default();
        let raw = part(Kind::Ahead(Some('d')), "d", "");
        presses.saw(&raw);
        presses.refused(&raw, &refusal);
        presses.end_burst();
        assert!(!presses.is_idle());
        let other = part(Kind::Ahead(Some('e')), "e", "");
        assert_eq!(presses.refuse(&other, PAUSE), None);
        let up = part(Kind::Up, "d", "");
        assert_eq!(presses.refuse(&up, PAUSE), Some(refusal));
        assert!(presses.is_idle());
    }
}
