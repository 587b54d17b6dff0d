//! What the architecture rules must find, and what they must let be.

/// A file of `src/`, its text, and whether the rule must find a violation there.
pub type Row = (&'static str, &'static str, bool);

/// Held against the rule `forbidden_imports`.
pub const IMPORTS: &[Row] = &[
    ("model/mod.rs", "use crate::mask::Masker;", true),
    ("model/mod.rs", "use crate::relay::Relay;", false),
    ("model/mod.rs", "fn f() { crate::secret::parse(); }", true),
    (
        "model/mod.rs",
        "use crate::{guard, net::{self, Limits}};",
        false,
    ),
    (
        "model/mod.rs",
        "use crate::{guard, net::{self, Limits}, config};",
        true,
    ),
    (
        "model/mod.rs",
        "use crate::{guard::{A, B}, relay::{C, d::{E}}, mask::F};",
        true,
    ),
    ("model/mod.rs", "use super::secret::Value;", true),
    ("model/mod.rs", "use super::relay::Relay;", false),
    (
        "model/a/b.rs",
        "use super::super::super::mask::Masker;",
        true,
    ),
    ("model/a/b.rs", "use super::super::routes;", false),
    (
        "model/a.rs",
        "mod tests { use super::super::super::mask::Masker; }",
        true,
    ),
    (
        "model/a.rs",
        "mod tests { use super::super::super::relay::Masker; }",
        false,
    ),
    (
        "model/a.rs",
        "mod tests { use super::*; } use super::super::mask;",
        true,
    ),
    ("model/a.rs", "use super::super::{relay, secret};", true),
    ("model/a.rs", "fn f(x: &crate::secret::Value) {}", true),
    (
        "model/a.rs",
        "fn f() -> Vec<crate::secret::Value> { Vec::<crate::net::X>::new() }",
        true,
    ),
    (
        "model/a.rs",
        "fn f() { Vec::<crate::secret::Value>::new() }",
        true,
    ),
    (
        "model/a.rs",
        "macro_rules! m { () => { $crate::secret::x() } }",
        true,
    ),
    ("model/a.rs", "use crate::*;", true),
    ("model/a.rs", "use crate::{self as root};", true),
    ("model/a.rs", "use crate as root;", true),
    ("model/a.rs", "use super::super as root;", true),
    ("model/a.rs", "use crate::Value;", true),
    ("model/a.rs", "pub(crate) fn f() {}", false),
    (
        "model/a.rs",
        "#[cfg(test)] mod tests { use crate::secret::Value; }",
        true,
    ),
    (
        "model/a.rs",
        "// use crate::secret::Value;\n/* crate::mask::X /* crate::mask::Y */ */",
        false,
    ),
    (
        "model/a.rs",
        "const A: &str = \"crate::secret::x\"; const B: &str = r#\"\"crate::mask::x\"#;",
        false,
    ),
    (
        "model/a.rs",
        "const Q: char = '\"'; use crate::secret::Value; const R: char = '\"';",
        true,
    ),
    (
        "model/a.rs",
        "fn f<'a>(x: &'a str) { crate::secret::y(x) }",
        true,
    ),
    (
        "model/a.rs",
        "#[path = \"../secret/value.rs\"] mod value;",
        true,
    ),
    ("model/a.rs", "include!(\"../secret/value.rs\");", true),
    ("mask/mod.rs", "use crate::net::Codec;", true),
    (
        "mask/mod.rs",
        "mod scan; use self::scan::Scan; use crate::mask::scan;",
        false,
    ),
    ("secret/mod.rs", "use crate::mask::Masker;", true),
    ("net/mod.rs", "use crate::config::Listen;", true),
    ("config/mod.rs", "use crate::secret::Pattern;", true),
    (
        "guard/mod.rs",
        "use crate::{mask::Masker, secret::Value};",
        false,
    ),
    ("guard/mod.rs", "use crate::net::Listener;", true),
    (
        "cli/mod.rs",
        "use crate::{config::Config, mask, secret};",
        false,
    ),
    ("cli/mod.rs", "use crate::app;", true),
    ("cli/mod.rs", "use crate::model::serve;", true),
    (
        "app.rs",
        "use crate::{cli, config, guard, mask, model, net, relay, secret};",
        false,
    ),
    ("app.rs", "use crate::mian::x;", true),
    ("main.rs", "use bauta::{app, cli};", false),
    ("main.rs", "use bauta::secret::Value;", true),
    ("lib.rs", "pub mod mask; pub mod secret;", false),
    ("lib.rs", "pub mod secret; pub use secret::Value;", true),
    ("lib.rs", "pub mod utils;", true),
    ("utils.rs", "fn f() {}", true),
];

/// Held against the rule `exposures`.
pub const EXPOSURES: &[Row] = &[
    ("model/a.rs", "fn f(v: &Value) { v.expose(); }", true),
    ("cli/a.rs", "let f = Value::expose;", true),
    ("app.rs", "v.expose_secret()", true),
    ("relay/a.rs", "// v.expose()\nlet s = \"expose\";", false),
    ("relay/a.rs", "let exposed = 1;", false),
    ("guard/mod.rs", "v.expose()", false),
    (
        "secret/value.rs",
        "pub fn expose(&self) -> &[u8] { &self.0 }",
        false,
    ),
];

/// Held against the rule `impurities`.
pub const IMPURITIES: &[Row] = &[
    ("mask/a.rs", "use tokio::sync::Mutex;", true),
    ("mask/a.rs", "use tokio as t;", true),
    ("mask/a.rs", "use std::fs;", true),
    (
        "mask/a.rs",
        "use std::{collections::BTreeMap, net::TcpStream};",
        true,
    ),
    ("mask/a.rs", "fn f() { ::std::time::Instant::now(); }", true),
    ("mask/a.rs", "fn f() { std::env::var(\"A\"); }", true),
    ("mask/a.rs", "use std as s;", true),
    ("mask/a.rs", "fn f() { println!(\"x\"); }", true),
    (
        "mask/a.rs",
        "use std::{collections::BTreeMap, sync::Arc}; use bytes::Bytes;",
        false,
    ),
    ("mask/a.rs", "struct std; fn print(x: u8) { a != b }", false),
    (
        "net/a.rs",
        "use std::{fs, net, time}; use tokio::io;",
        false,
    ),
];

/// Held against the rule `unsafe_code`.
pub const UNSAFE: &[Row] = &[
    ("net/a.rs", "fn f() { unsafe { g() } }", true),
    ("net/a.rs", "unsafe impl Send for X {}", true),
    ("net/a.rs", "#![forbid(unsafe_code)] // unsafe", false),
];
