//! The house rules of ARCHITECTURE.md, held by reading the source.
//!
//! Each rule is a function from files to violations, so that it is proven twice: it finds what is planted
//! in small samples, and finds nothing in the tree.

mod samples;
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Which rooms a room may import. A room that the tree does not have yet is simply not met.
const MATRIX: &[(&str, &[&str])] = &[
    ("main", &["cli", "app"]),
    ("cli", &["config", "secret", "audit", "mask"]),
    ("model", &["relay", "guard", "net"]),
    ("egress", &["relay", "guard", "net"]),
    ("browser", &["fill", "guard", "net"]),
    ("admin", &["task", "guard", "secret", "audit", "net"]),
    ("task", &["guard", "secret"]),
    ("relay", &["fill", "guard", "net"]),
    ("guard", &["mask", "fill", "secret", "audit"]),
    ("config", &[]),
    ("mask", &[]),
    ("fill", &[]),
    ("secret", &[]),
    ("audit", &[]),
    ("net", &[]),
];

/// The wiring: may import every room but `main`.
const WIRING: &str = "app";

/// The rooms that may take a value out of its wrapper.
const EXPOSERS: &[&str] = &["guard", "secret"];

/// What the masking engine must not reach for: it performs no I/O and knows no clock and no runtime.
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["hyper"],
    &["tracing"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "time"],
    &["std", "env"],
    &["std", "io"],
    &["std", "process"],
    &["std", "thread"],
];

/// Macros that print: they too are I/O.
const PRINTERS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// Lines that hold code, per file. Past it, look for the second thing that the file does.
const CODE_LINES: usize = 600;

/// Files that may be longer, each with its reason beside it.
const LONG_FILES: &[&str] = &[];

/// What a committed file must not name: the machine it was written on. Split, so that this list passes.
const WORKPLACE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "wt"),
    concat!("/tmp/", "plan"),
    concat!("arti", "factory"),
    concat!("index.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("registry.", "npmjs"),
];

/// A Rust file of `src/`: its path there and its text.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// The module path of the file: `mask/scan.rs` is `[mask, scan]`, `lib.rs` and `main.rs` are `[]`.
    fn module(&self) -> Vec<String> {
        let mut module: Vec<String> = self
            .path
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let name = module.pop().unwrap_or_default();
        let stem = name.trim_end_matches(".rs");
        let is_root = module.is_empty() && matches!(stem, "lib" | "main");
        if stem != "mod" && !is_root {
            module.push(stem.to_owned());
        }
        module
    }

    /// The room that the file belongs to: the first part of its module path, or `lib` or `main`.
    fn room(&self) -> String {
        let root = || self.path.with_extension("").to_string_lossy().into_owned();
        self.module().into_iter().next().unwrap_or_else(root)
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path.display())
    }
}

/// The part of a path below the crate's root, if it leads there: `super` is walked, `self` is dropped.
fn below_root(file: &File, path: &source::Path) -> Option<Vec<String>> {
    let mut module = file.module();
    module.extend(path.inside.iter().cloned());
    let mut segments = path.segments.iter().peekable();
    match path.segments[0].as_str() {
        // The binary sees the library under its name; the library cannot.
        "crate" | "bauta" => module.clear(),
        "self" | "super" => {}
        _ => return None,
    }
    while let Some(step) =
        segments.next_if(|step| matches!(step.as_str(), "crate" | "bauta" | "self" | "super"))
    {
        if step == "super" {
            module.pop();
        }
    }
    module.extend(segments.cloned());
    Some(module)
}

/// Imports that the matrix does not allow, and the ways around it.
fn forbidden_imports(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let tokens = source::tokens(&file.text);
        for (i, token) in tokens.iter().enumerate() {
            let next = |ahead: usize| tokens.get(i + ahead).map_or("", |t| t.text.as_str());
            if token.text == "include" && next(1) == "!" {
                found.push(file.at(token.line, "include! hides code from this test"));
            }
            if token.text == "#" && next(1) == "[" && next(2) == "path" {
                found.push(file.at(token.line, "#[path] hides where a module belongs"));
            }
            if token.text == "extern" && next(1) == "crate" {
                found.push(file.at(token.line, "extern crate renames a crate"));
            }
        }
        found.extend(forbidden_paths(file, &tokens));
    }
    found
}

fn forbidden_paths(file: &File, tokens: &[source::Token]) -> Vec<String> {
    let mut found = Vec::new();
    let room = file.room();
    if room == "lib" {
        return lib_rules(file, tokens);
    }
    let known: BTreeSet<&str> = MATRIX
        .iter()
        .map(|(name, _)| *name)
        .chain([WIRING])
        .collect();
    let allowed = MATRIX
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, allowed)| *allowed);
    if allowed.is_none() && room != WIRING {
        return vec![file.at(1, &format!("room `{room}` is not in the matrix"))];
    }
    for path in source::paths(tokens) {
        let Some(target) = below_root(file, &path) else {
            continue;
        };
        let Some(target) = target.first() else {
            found.push(file.at(path.line, "the crate's root is imported whole"));
            continue;
        };
        // What `main.rs` declares beside `fn main` is its own.
        if *target == room || (room == "main" && path.segments[0] == "self") {
            continue;
        }
        if !known.contains(target.as_str()) || target == "main" {
            found.push(file.at(path.line, &format!("`crate::{target}` is no room")));
        } else if allowed.is_some_and(|allowed| !allowed.contains(&target.as_str())) {
            found.push(file.at(path.line, &format!("`{room}` must not import `{target}`")));
        }
    }
    found
}

/// `lib.rs` declares rooms and nothing else: a re-export there would be a door past the matrix.
fn lib_rules(file: &File, tokens: &[source::Token]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        if pair[0].text == "use" {
            found.push(file.at(pair[0].line, "lib.rs only declares rooms"));
        }
        let name = pair[1].text.as_str();
        if pair[0].text == "mod" && name != WIRING && !MATRIX.iter().any(|(room, _)| *room == name)
        {
            found.push(file.at(pair[0].line, &format!("room `{name}` is not in the matrix")));
        }
    }
    found
}

/// Places outside `guard` and `secret` that name a function which hands out a value.
fn exposures(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| !EXPOSERS.contains(&file.room().as_str()))
    {
        for token in source::tokens(&file.text) {
            if token.text == "expose" || token.text.starts_with("expose_") {
                found.push(file.at(
                    token.line,
                    &format!("`{}` belongs to {EXPOSERS:?}", token.text),
                ));
            }
        }
    }
    found
}

/// Places where the masking engine reaches outside itself.
fn impurities(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.room() == "mask") {
        let tokens = source::tokens(&file.text);
        for path in source::paths(&tokens) {
            let impure =
                |banned: &&&[&str]| path.segments.iter().zip(**banned).all(|(a, b)| a == b);
            let named_whole = matches!(path.segments[0].as_str(), "std" | "core")
                && path.segments.get(1).is_none_or(|s| s == "*" || s == "self");
            if named_whole
                || IMPURE
                    .iter()
                    .any(|banned| path.segments.len() >= banned.len() && impure(&banned))
            {
                found.push(file.at(
                    path.line,
                    &format!("mask reaches for `{}`", path.segments.join("::")),
                ));
            }
        }
        for pair in tokens.windows(2) {
            if pair[1].text == "!" && PRINTERS.contains(&pair[0].text.as_str()) {
                found.push(file.at(
                    pair[0].line,
                    &format!("mask prints with `{}!`", pair[0].text),
                ));
            }
        }
    }
    found
}

fn unsafe_code(files: &[File]) -> Vec<String> {
    let of = |file: &File| -> Vec<String> {
        let tokens = source::tokens(&file.text);
        tokens
            .iter()
            .filter(|t| t.text == "unsafe")
            .map(|t| file.at(t.line, "unsafe"))
            .collect()
    };
    files.iter().flat_map(of).collect()
}

/// Files with more lines of code (comments and blank lines do not count) than `CODE_LINES`.
fn long_files(files: &[File]) -> Vec<String> {
    let code_lines = |file: &File| {
        source::tokens(&file.text)
            .iter()
            .map(|t| t.line)
            .collect::<BTreeSet<_>>()
            .len()
    };
    files
        .iter()
        .filter(|file| !LONG_FILES.iter().any(|name| file.path == Path::new(name)))
        .filter(|file| code_lines(file) > CODE_LINES)
        .map(|file| {
            format!(
                "src/{}: {} lines of code, {CODE_LINES} allowed",
                file.path.display(),
                code_lines(file)
            )
        })
        .collect()
}

/// The forbidden words that a committed file holds.
fn workplace_words(content: &[u8]) -> Vec<&'static str> {
    let holds = |word: &str| {
        content
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    WORKPLACE
        .iter()
        .copied()
        .filter(|word| holds(word))
        .collect()
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of `src/`.
fn library() -> Vec<File> {
    let src = repository().join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src/ can be listed") {
            let path = entry.expect("a folder of src/ can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source is UTF-8");
                files.push(File {
                    path: path
                        .strip_prefix(&src)
                        .expect("it was found there")
                        .to_owned(),
                    text,
                });
            }
        }
    }
    assert!(
        files.iter().any(|file| file.room() == "mask"),
        "src/ was not found where it should be"
    );
    files
}

/// Fails, with all violations, unless there are none.
#[track_caller]
fn check(violations: &[String]) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// One sample file of `src/`.
fn sample(path: &str, text: &str) -> Vec<File> {
    vec![File {
        path: PathBuf::from(path),
        text: text.to_owned(),
    }]
}

/// Holds a rule to samples, each with whether it must be found.
#[track_caller]
fn prove(rule: fn(&[File]) -> Vec<String>, rows: &[(&str, &str, bool)]) {
    for (path, text, must_find) in rows {
        let found = rule(&sample(path, text));
        assert_eq!(
            !found.is_empty(),
            *must_find,
            "{path}: {text}\nfound: {found:?}"
        );
    }
}

#[test]
fn rooms_import_only_what_the_matrix_allows() {
    check(&forbidden_imports(&library()));
}

#[test]
fn the_import_rule_finds_what_is_planted() {
    prove(forbidden_imports, samples::IMPORTS);
}

#[test]
fn p3_only_guard_and_secret_expose_values() {
    check(&exposures(&library()));
}

#[test]
fn the_exposure_rule_finds_what_is_planted() {
    prove(exposures, samples::EXPOSURES);
}

#[test]
fn mask_performs_no_io_and_knows_no_clock_or_runtime() {
    check(&impurities(&library()));
}

#[test]
fn the_purity_rule_finds_what_is_planted() {
    prove(impurities, samples::IMPURITIES);
}

#[test]
fn there_is_no_unsafe_code() {
    check(&unsafe_code(&library()));
}

#[test]
fn the_unsafe_rule_finds_what_is_planted() {
    prove(unsafe_code, samples::UNSAFE);
}

#[test]
fn files_stay_short() {
    check(&long_files(&library()));
}

#[test]
fn the_length_rule_finds_what_is_planted() {
    let lines = |count: usize| "let x = 1;\n".repeat(count);
    prove(
        long_files,
        &[
            ("net/a.rs", &lines(CODE_LINES), false),
            ("net/a.rs", &lines(CODE_LINES + 1), true),
            (
                "net/a.rs",
                &format!("{}{}", "// why\n\n".repeat(CODE_LINES), lines(CODE_LINES)),
                false,
            ),
        ],
    );
}

#[test]
fn committed_files_do_not_name_the_workplace() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(repository())
        .output()
        .expect("git runs");
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names: Vec<_> = listed
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .collect();
    assert!(
        names.contains(&b"Cargo.toml".as_slice()),
        "git lists other files than this repository's"
    );
    let mut found = Vec::new();
    for name in names {
        let name = String::from_utf8_lossy(name);
        // A file that was deleted but is not yet committed as such has nothing to say.
        let Ok(content) = fs::read(repository().join(&*name)) else {
            continue;
        };
        found.extend(
            workplace_words(&content)
                .iter()
                .map(|word| format!("{name}: names `{word}`")),
        );
    }
    check(&found);
}

#[test]
fn the_workplace_rule_finds_what_is_planted() {
    for word in WORKPLACE {
        assert_eq!(
            workplace_words(format!("see {word}notes").as_bytes()),
            [*word]
        );
    }
    assert!(workplace_words(b"the framework/house, ~/.cache/bauta, /usr/share").is_empty());
}
