//! The providers that need no configuration. A `[[model.provider]]` of the same name overrides one.

use super::{Inject, Provider, Upstream};

/// A provider known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name, and the path of its route.
    pub name: &'static str,
    /// Its public base URL; `None` where every customer has a URL of their own.
    pub upstream: Option<&'static str>,
    /// What to write as `upstream` where there is no public one.
    pub example: &'static str,
}

/// Every preset, in the order in which they are listed to people.
pub const PRESETS: [Preset; 11] = [
    preset("openai", "https://api.openai.com"),
    preset("anthropic", "https://api.anthropic.com"),
    preset("gemini", "https://generativelanguage.googleapis.com"),
    Preset {
        name: "azure",
        upstream: None,
        example: "https://RESOURCE.openai.azure.com",
    },
    preset("openrouter", "https://openrouter.ai/api"),
    preset("mistral", "https://api.mistral.ai"),
    preset("groq", "https://api.groq.com/openai"),
    preset("deepseek", "https://api.deepseek.com"),
    preset("xai", "https://api.x.ai"),
    preset("ollama", "http://127.0.0.1:11434"),
    preset("vllm", "http://127.0.0.1:8000"),
];

const fn preset(name: &'static str, upstream: &'static str) -> Preset {
    Preset {
        name,
        upstream: Some(upstream),
        example: upstream,
    }
}

/// The preset of that name.
pub fn find(name: &str) -> Option<Preset> {
    PRESETS.into_iter().find(|preset| preset.name == name)
}

/// The routes of the presets that have a public base URL.
pub(super) fn providers() -> Vec<Provider> {
    PRESETS.into_iter().filter_map(Preset::provider).collect()
}

impl Preset {
    /// The route of this preset, unless it needs a URL of its own.
    pub(super) fn provider(self) -> Option<Provider> {
        // The table's URLs are constants, and a test parses each of them.
        let upstream = self.upstream?.parse::<Upstream>().ok()?;
        Some(Provider {
            name: self.name.to_owned(),
            path: self.name.to_owned(),
            upstream,
            ca: None,
            secret: None,
            inject: Inject::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_but_azure_makes_a_route() {
        let names: Vec<String> = providers()
            .into_iter()
            .map(|provider| provider.name)
            .collect();
        let expected: Vec<&str> = PRESETS
            .iter()
            .map(|p| p.name)
            .filter(|name| *name != "azure")
            .collect();
        assert_eq!(names, expected);
    }
}
