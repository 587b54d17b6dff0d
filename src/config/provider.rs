//! The routes of the model channel: presets, and what the file adds to them or changes.

use std::collections::BTreeSet;
use std::path::Path;

use super::parse::pem_file;
use super::reader::{Item, Table};
use super::{Provider, Upstream, UpstreamError, presets};

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

fn upstream(item: &Item<'_, '_, '_>) -> Result<Upstream, String> {
    item.text()?
        .parse()
        .map_err(|error: UpstreamError| error.to_string())
}
