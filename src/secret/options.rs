//! A secret's options: what it is, how it is masked, and where it may go.

use std::collections::BTreeSet;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::raw::Node;

/// Largest `max_uses`.
pub const MAX_USES: u32 = 100;

/// All options of one secret, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the value is.
    pub kind: Kind,
    /// Which masking rule applies.
    pub mask: MaskOption,
    /// Places of a request into which the value may be put.
    pub allow: BTreeSet<Place>,
    /// Form fields into which it may be put.
    pub field: Field,
    /// Whether the page or only the request gets it.
    pub fill: Fill,
    /// How often it may be put into one request.
    pub max_uses: u32,
    /// Whether it is found in any letter case.
    pub ignore_case: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::Credential,
            mask: MaskOption::Auto,
            allow: BTreeSet::from([Place::Field, Place::Header, Place::Basic]),
            field: Field::Input,
            fill: Fill::Page,
            max_uses: 1,
            ignore_case: false,
        }
    }
}

/// One option whose value is a word of a list.
pub(super) trait Word: Sized + Copy + 'static {
    /// The words and what they mean, in the order in which they are listed to people.
    const WORDS: &'static [(&'static str, Self)];

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, meaning)| *meaning)
    }

    fn list() -> String {
        Self::WORDS
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A text is none of an option's words, which it lists. Does not hold the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: {0}")]
pub struct WordError(String);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
        }

        impl $name {
            /// As a submission writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(word: &str) -> Result<Self, WordError> {
                Self::from_word(word).ok_or_else(|| WordError(Self::list()))
            }
        }
    };
}

words! {
    /// What a value is.
    Kind {
        /// A password, key or token.
        Credential = "credential",
        /// Exported to the agent's process as a placeholder.
        Env = "env",
        /// A seed of one-time codes.
        Totp = "totp",
    }
}

words! {
    /// Which masking rule applies.
    MaskOption {
        /// By the value.
        Auto = "auto",
        /// Anywhere.
        Always = "always",
        /// As a whole word.
        Word = "word",
        /// Not at all.
        Never = "never",
    }
}

words! {
    /// A place of a request.
    Place {
        /// A form field in a page.
        Field = "field",
        /// A header.
        Header = "header",
        /// The user name or password of Basic authentication.
        Basic = "basic",
        /// A query parameter.
        Query = "query",
        /// A path segment.
        Path = "path",
        /// The body.
        Body = "body",
    }
}

words! {
    /// Which form fields take a value.
    Field {
        /// Text-like inputs, search excepted.
        Input = "input",
        /// Password inputs.
        Password = "password",
        /// Text areas and editable elements as well.
        Any = "any",
    }
}

words! {
    /// Who gets the value.
    Fill {
        /// The page.
        Page = "page",
        /// Only the request that leaves the page.
        Network = "network",
    }
}

/// The members that a secret written as an object may have.
const MEMBERS: [&str; 8] = [
    "value",
    "kind",
    "mask",
    "allow",
    "field",
    "fill",
    "max_uses",
    "ignore_case",
];

/// What an object said.
pub(super) struct Parsed {
    pub(super) value: Option<Zeroizing<String>>,
    pub(super) options: Options,
    /// In document order. Never holds a value.
    pub(super) problems: Vec<String>,
}

/// Reads a secret that is written as an object.
pub(super) fn parse(members: Vec<(Zeroizing<String>, Node)>) -> Parsed {
    let mut parsed = Parsed {
        value: None,
        options: Options::default(),
        problems: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for (name, node) in members {
        let Some(known) = MEMBERS.into_iter().find(|member| *member == name.as_str()) else {
            parsed.problems.push(unknown(&name));
            continue;
        };
        if !seen.insert(known) {
            parsed.problems.push(format!(
                "Duplicate secret option '{known}'. Keep one of them"
            ));
        }
        if let Err(problem) = member(&mut parsed, known, node) {
            parsed.problems.push(problem);
        }
    }
    parsed
}

fn member(parsed: &mut Parsed, name: &'static str, node: Node) -> Result<(), String> {
    let options = &mut parsed.options;
    match name {
        "kind" => options.kind = word(name, &node)?,
        "mask" => options.mask = word(name, &node)?,
        "field" => options.field = word(name, &node)?,
        "fill" => options.fill = word(name, &node)?,
        "allow" => options.allow = places(&node)?,
        "max_uses" => options.max_uses = uses(&node)?,
        "ignore_case" => match node {
            Node::Bool(on) => options.ignore_case = on,
            _ => return Err("Secret option 'ignore_case' must be true or false".to_owned()),
        },
        _ => {
            // The caller reports a value that is missing or not a string.
            if let Node::Text(text) = node {
                parsed.value = Some(text);
            }
        }
    }
    Ok(())
}

fn word<T: Word>(name: &str, node: &Node) -> Result<T, String> {
    let meaning = if let Node::Text(text) = node {
        T::from_word(text)
    } else {
        None
    };
    meaning.ok_or_else(|| format!("Secret option '{name}' must be one of: {}", T::list()))
}

fn places(node: &Node) -> Result<BTreeSet<Place>, String> {
    let place = |item: &Node| {
        if let Node::Text(text) = item {
            Place::from_word(text)
        } else {
            None
        }
    };
    let places = if let Node::List(items) = node {
        items.iter().map(place).collect()
    } else {
        None
    };
    places.ok_or_else(|| format!("Secret option 'allow' must be a list of: {}", Place::list()))
}

fn uses(node: &Node) -> Result<u32, String> {
    let uses = if let Node::Whole(number) = node {
        u32::try_from(*number).ok()
    } else {
        None
    };
    uses.filter(|uses| (1..=MAX_USES).contains(uses))
        .ok_or_else(|| {
            format!("Secret option 'max_uses' must be a whole number from 1 to {MAX_USES}")
        })
}

/// Names the option only if it looks like one: a value may have slipped into its place.
fn unknown(name: &str) -> String {
    let looks_like_one =
        name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let named = if looks_like_one && !name.is_empty() {
        format!(" '{name}'")
    } else {
        String::new()
    };
    format!("Unknown secret option{named}. Use: {}", MEMBERS.join(", "))
}
