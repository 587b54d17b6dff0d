//! The routes of the model channel: presets, and what the file adds to them or changes.

use std::collections::BTreeSet;
use std::path::Path;

use super::parse::pem_file;
use super::reader::{Item, Table};
use super::{Inject, Provider, Upstream, UpstreamError, presets};

/// The path under which our own API lives.
const RESERVED: &str = "bauta";

/// All routes: presets first, in their order, then the file's own.
pub(super) fn read(tables: Vec<Table<'_, '_, '_>>, base: &Path) -> Vec<Provider> {
    let mut routes = Routes {
        providers: presets::providers(),
        named: BTreeSet::new(),
    };
    for table in tables {
        routes.add(table, base);
    }
    routes.providers
}

struct Routes {
    providers: Vec<Provider>,
    /// Names that the file has used.
    named: BTreeSet<String>,
}

impl Routes {
    fn add(&mut self, mut table: Table<'_, '_, '_>, base: &Path) {
        let name_item = table.item("name");
        let path_item = table.item("path");
        let upstream_item = table.item("upstream");
        let ca_item = table.item("ca");
        let name = table.parse("name", segment);
        let path = table.parse("path", segment);
        let upstream = table.parse("upstream", upstream);
        let ca = table.parse("ca", |item| pem_file(item, base));
        let secret_item = table.item("secret");
        let secret = table.parse("secret", key);
        let inject = table.parse("inject", |item| match item.text()? {
            _ if secret_item.is_none() => {
                Err("has no effect without a credential. Use secret = \"KEY\" as well".to_owned())
            }
            "placeholder" => Ok(Inject::Placeholder),
            "always" => Ok(Inject::Always),
            _ => Err("not a way. Use \"placeholder\" or \"always\"".to_owned()),
        });
        let Some(name_item) = name_item else {
            table.missing(
                "name",
                "Use name = \"…\", the provider's name and the path of its route",
            );
            return table.finish();
        };
        let Some(name) = name else {
            return table.finish();
        };
        if !self.named.insert(name.clone()) {
            name_item.problem(format!(
                "{name:?} stands here twice. Use another name, or one table for both"
            ));
            return table.finish();
        }
        let preset = self
            .providers
            .iter()
            .position(|provider| provider.name == name);
        let upstream = upstream.or_else(|| preset.map(|at| self.providers[at].upstream.clone()));
        let Some(upstream) = upstream else {
            // A bad one was reported already.
            if upstream_item.is_none() {
                let example =
                    presets::find(&name).map_or("https://api.example.com", |preset| preset.example);
                table.missing("upstream", &format!("Use upstream = {example:?}"));
            }
            return table.finish();
        };
        if let (Some(item), false) = (&ca_item, upstream.tls) {
            item.problem("has no effect with an http upstream. Use https, or leave ca out");
        }
        let path = path.unwrap_or_else(|| name.clone());
        let rival = self
            .providers
            .iter()
            .find(|provider| provider.path == path && provider.name != name);
        if let Some(rival) = rival {
            let mend = if presets::find(&rival.name).is_some() && !self.named.contains(&rival.name)
            {
                format!(
                    "Use another path, or name = {:?} to change the preset",
                    rival.name
                )
            } else {
                "Use another path".to_owned()
            };
            let item = path_item.as_ref().unwrap_or(&name_item);
            item.problem(format!(
                "the path {path:?} is that of {:?} already. {mend}",
                rival.name
            ));
        }
        let provider = Provider {
            name,
            path,
            upstream,
            ca,
            secret,
            inject: inject.unwrap_or_default(),
        };
        match preset {
            Some(at) => self.providers[at] = provider,
            None => self.providers.push(provider),
        }
        table.finish();
    }
}

/// A name or path: one path segment that needs no encoding.
fn segment(item: &Item<'_, '_, '_>) -> Result<String, String> {
    let text = item.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=64).contains(&text.len()) || !text.bytes().all(plain) || text.starts_with('.') {
        return Err(
            "not one path segment. Use 1 to 64 letters, digits and - _ . without slashes"
                .to_owned(),
        );
    }
    if text.eq_ignore_ascii_case(RESERVED) {
        return Err(format!(
            "{RESERVED:?} is reserved for our own API. Use another"
        ));
    }
    Ok(text.to_owned())
}

/// The key of a secret. What is wrong is not repeated: it may be the credential itself.
fn key(item: &Item<'_, '_, '_>) -> Result<String, String> {
    let text = item.text()?;
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if (1..=64).contains(&text.len()) && plain && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(
        "not a secret's key. Use the name of a secret, such as \"x_openai_key\"; its value never stands here"
            .to_owned(),
    )
}

fn upstream(item: &Item<'_, '_, '_>) -> Result<Upstream, String> {
    item.text()?
        .parse()
        .map_err(|error: UpstreamError| error.to_string())
}
