//! Rust source as tokens and paths: as much of the language as the architecture rules need.
//!
//! Comments and literals vanish, so that a rule never trips over prose. `use` groups are expanded, so
//! that `use crate::{a, b::{c, d}}` yields `crate::a`, `crate::b::c` and `crate::b::d`. Macro bodies are
//! read like any other code.

/// One token: an identifier, `::`, or a single other character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// A path of two or more segments as the source writes it, groups expanded.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
    /// Inline modules (`mod x { … }`) around the place where it stands, outermost first.
    pub inside: Vec<String>,
}

/// Splits source into tokens, without comments, literals and lifetimes.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        chars: source.chars().collect(),
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    lexer.run();
    lexer.tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) {
        if self.peek(0) == '\n' {
            self.line += 1;
        }
        self.at += 1;
    }

    fn run(&mut self) {
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '/') => {
                    while self.at < self.chars.len() && self.peek(0) != '\n' {
                        self.bump();
                    }
                }
                ('/', '*') => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                (':', ':') => {
                    self.push("::".to_owned());
                    self.at += 2;
                }
                (c, _) if c.is_alphanumeric() || c == '_' => self.word(),
                (c, _) => {
                    if !c.is_whitespace() {
                        self.push(c.to_string());
                    }
                    self.bump();
                }
            }
        }
    }

    fn push(&mut self, text: String) {
        self.tokens.push(Token {
            text,
            line: self.line,
        });
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', '/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.bump(),
            }
        }
    }

    fn string(&mut self) {
        self.bump();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                self.bump();
            }
            self.bump();
        }
        self.bump();
    }

    fn raw_string(&mut self, hashes: usize) {
        self.at += hashes;
        self.bump();
        while self.at < self.chars.len() {
            if self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += 1 + hashes;
                return;
            }
            self.bump();
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        self.bump();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.bump();
            }
            self.bump();
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.bump();
            }
        }
    }

    /// An identifier, a number, or the prefix of a literal.
    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let hashes = self.chars[self.at..]
            .iter()
            .take_while(|&&c| c == '#')
            .count();
        match word.as_str() {
            "r" | "br" | "cr" if self.peek(hashes) == '"' => self.raw_string(hashes),
            "r" if hashes == 1 => self.at += 1, // `r#name`: the name follows as a word of its own.
            "b" | "c" if self.peek(0) == '"' => self.string(),
            "b" if self.peek(0) == '\'' => self.quote(),
            _ => self.push(word),
        }
    }
}

/// Every path of two or more segments, and `use` items of one.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                modules.retain(|&(_, opened)| opened < depth + 1);
            }
            "mod" if text(at + 2) == "{" => {
                modules.push((text(at + 1).to_owned(), depth + 1));
                depth += 1;
                at += 3;
                continue;
            }
            "use" => {
                at += 1 + usize::from(text(at + 1) == "::");
                let inside: Vec<String> = modules.iter().map(|(name, _)| name.clone()).collect();
                at = tree(tokens, at, &[], &inside, &mut found);
                continue;
            }
            first
                if is_name(first)
                    && text(at + 1) == "::"
                    && (at == 0 || text(at - 1) != "::" || !follows_path(tokens, at)) =>
            {
                let inside: Vec<String> = modules.iter().map(|(name, _)| name.clone()).collect();
                at = tree(tokens, at, &[], &inside, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Whether the `::` before `at` continues a path (`Vec::<u8>::new`) rather than opening one (`::std::fs`).
fn follows_path(tokens: &[Token], at: usize) -> bool {
    at >= 2
        && (is_name(&tokens[at - 2].text)
            || matches!(tokens[at - 2].text.as_str(), ">" | "}" | "]"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path or `use` tree at `at`, adds its expansions to `found`, and returns where it ends.
fn tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    inside: &[String],
    found: &mut Vec<Path>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.line);
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !matches!(text(at), "}" | "") {
                    let next = tree(tokens, at, &segments, inside, found);
                    // Whatever is no tree (a comma, `as name`) is stepped over: the walk always moves.
                    at = next.max(at + usize::from(next == at));
                }
                return at + 1;
            }
            "*" => {
                segments.push("*".to_owned());
                at += 1;
                break;
            }
            "as" if segments.len() == prefix.len() => return at + 2,
            name if is_name(name) => {
                segments.push(name.to_owned());
                at += 1;
                if text(at) == "::" && (is_name(text(at + 1)) || matches!(text(at + 1), "{" | "*"))
                {
                    at += 1;
                } else {
                    break;
                }
            }
            _ => return at,
        }
    }
    if segments.len() > prefix.len() {
        found.push(Path {
            segments,
            line,
            inside: inside.to_vec(),
        });
    }
    at
}
