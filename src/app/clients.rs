//! What the known SDKs, agents and tools read: how each is led to the channels, and where it takes its credential from.
//!
//! Tables and functions over them. A client that is not here, or that ignores these variables, goes around us: `run` says so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::config::{Config, Model, Provider};

/// The variables that clients of one provider read.
struct Known {
    /// Name of the provider's route.
    provider: &'static str,
    /// Base URLs, and what their readers expect behind the provider's root.
    bases: &'static [(&'static str, &'static str)],
    /// Credentials.
    keys: &'static [&'static str],
}

/// `…_API_BASE` is litellm's and LangChain's word, `…_BASE_URL` that of the providers' own SDKs.
const KNOWN: [Known; 12] = [
    Known {
        provider: "openai",
        bases: &[("OPENAI_BASE_URL", "/v1"), ("OPENAI_API_BASE", "/v1")],
        keys: &["OPENAI_API_KEY", "CODEX_API_KEY"],
    },
    Known {
        provider: "anthropic",
        bases: &[("ANTHROPIC_BASE_URL", ""), ("ANTHROPIC_API_BASE", "")],
        keys: &["ANTHROPIC_API_KEY"],
    },
    Known {
        provider: "gemini",
        bases: &[
            ("GOOGLE_GEMINI_BASE_URL", ""),
            ("GEMINI_API_BASE", "/v1beta"),
        ],
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    },
    Known {
        provider: "azure",
        bases: &[("AZURE_OPENAI_ENDPOINT", ""), ("AZURE_API_BASE", "")],
        keys: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    },
    Known {
        provider: "openrouter",
        bases: &[
            ("OPENROUTER_BASE_URL", "/v1"),
            ("OPENROUTER_API_BASE", "/v1"),
        ],
        keys: &["OPENROUTER_API_KEY"],
    },
    Known {
        provider: "mistral",
        bases: &[("MISTRAL_BASE_URL", "/v1"), ("MISTRAL_API_BASE", "/v1")],
        keys: &["MISTRAL_API_KEY"],
    },
    Known {
        provider: "groq",
        bases: &[("GROQ_API_BASE", "/v1")],
        keys: &["GROQ_API_KEY"],
    },
    Known {
        provider: GROQ_SDK,
        bases: &[("GROQ_BASE_URL", "")],
        keys: &[],
    },
    Known {
        provider: "deepseek",
        bases: &[("DEEPSEEK_BASE_URL", "/v1"), ("DEEPSEEK_API_BASE", "/v1")],
        keys: &["DEEPSEEK_API_KEY"],
    },
    Known {
        provider: "xai",
        bases: &[("XAI_BASE_URL", "/v1"), ("XAI_API_BASE", "/v1")],
        keys: &["XAI_API_KEY"],
    },
    Known {
        provider: "ollama",
        bases: &[("OLLAMA_HOST", ""), ("OLLAMA_API_BASE", "")],
        keys: &["OLLAMA_API_KEY"],
    },
    Known {
        provider: "vllm",
        bases: &[("HOSTED_VLLM_API_BASE", "/v1"), ("VLLM_API_BASE", "/v1")],
        keys: &["HOSTED_VLLM_API_KEY", "VLLM_API_KEY"],
    },
];

/// Groq's own SDK counts `/openai` to its paths, every other client to the base URL: it needs a route of its own.
const GROQ_SDK: &str = "groq-sdk";

/// Where the sidecar itself is, for clients that nobody here knows.
const ROOT: &str = "BAUTA_URL";

/// Adds the routes that a known client needs beside the provider's own.
pub(super) fn add_routes(model: &mut Model) {
    let taken = |name: &str| {
        model
            .providers
            .iter()
            .any(|provider| provider.name == name || provider.path == name)
    };
    let groq = model
        .providers
        .iter()
        .find(|provider| provider.name == "groq");
    let Some(mut sdk) = groq.cloned().filter(|_| !taken(GROQ_SDK)) else {
        return;
    };
    let Some(root) = sdk.upstream.base_path.strip_suffix("/openai") else {
        return;
    };
    let root = root.len();
    sdk.upstream.base_path.truncate(root);
    (sdk.name, sdk.path) = (GROQ_SDK.to_owned(), GROQ_SDK.to_owned());
    model.providers.push(sdk);
}

/// What tools that drive a browser read, and what they expect there: the address that `/json/version` stands under. Playwright MCP,
/// browser-use, Skyvern; and ours, for all others.
const BROWSER: [&str; 4] = [
    "BAUTA_CDP_URL",
    "BROWSER_REMOTE_DEBUGGING_URL",
    "BROWSER_USE_CDP_URL",
    "PLAYWRIGHT_MCP_CDP_ENDPOINT",
];

/// The variables for a child that lead its tools to the browser channel.
pub(super) fn browser_variables(url: &str) -> BTreeMap<String, String> {
    let each = BROWSER.map(|name| (name.to_owned(), url.to_owned()));
    BTreeMap::from(each)
}

/// The variables for a child: base URLs under `root`, and the placeholders of the credentials that are registered. None without
/// a model channel.
pub(super) fn variables(config: &Config, root: Option<&str>) -> BTreeMap<String, String> {
    let Some(root) = root else {
        return BTreeMap::new();
    };
    let mut variables = BTreeMap::from([(ROOT.to_owned(), root.to_owned())]);
    for (known, provider) in routes(config) {
        for (name, suffix) in known.bases {
            variables.insert((*name).to_owned(), base_url(root, provider, suffix));
        }
        let Some(key) = &provider.secret else {
            continue;
        };
        for name in known.keys {
            variables.insert((*name).to_owned(), config.placeholder.output.write(key));
        }
    }
    variables
}

/// Arguments that go before all others, for a command that reads none of these variables.
///
/// Codex takes a provider from its configuration alone. Where its credential is registered it gets a provider of its own, which
/// reads the placeholder from the environment; else it goes on with its login, by another way.
pub(super) fn arguments(command: &OsStr, config: &Config, root: &str) -> Vec<String> {
    if Path::new(command).file_name() != Some(OsStr::new("codex")) {
        return Vec::new();
    }
    let openai = routes(config).find(|(known, _)| known.provider == "openai");
    let Some((_, provider)) = openai else {
        return Vec::new();
    };
    let url = base_url(root, provider, "/v1");
    let settings = if provider.secret.is_some() {
        [
            "model_provider=\"bauta\"".to_owned(),
            format!(
                "model_providers.bauta={{name=\"OpenAI\",base_url=\"{url}\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\",\
                 supports_websockets=true}}"
            ),
        ]
    } else {
        [
            "model_provider=\"openai\"".to_owned(),
            format!("openai_base_url=\"{url}\""),
        ]
    };
    settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

fn routes(config: &Config) -> impl Iterator<Item = (&'static Known, &Provider)> {
    let providers = config.model.iter().flat_map(|model| &model.providers);
    providers.filter_map(|provider| {
        let known = KNOWN.iter().find(|known| known.provider == provider.name)?;
        Some((known, provider))
    })
}

/// An upstream that has the suffix already must not get it twice.
fn base_url(root: &str, provider: &Provider, suffix: &str) -> String {
    let suffix = if provider.upstream.base_path.ends_with(suffix) {
        ""
    } else {
        suffix
    };
    format!("{root}/{}{suffix}", provider.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let mut config = crate::config::parse(text, Path::new("bauta.toml")).unwrap();
        add_routes(config.model.as_mut().unwrap());
        config
    }

    #[test]
    fn base_urls_and_placeholders() {
        let config = config(
            "[placeholder]\noutput = \"{{{key}}}\"\n[model]\n\
             [[model.provider]]\nname = \"openai\"\nupstream = \"http://127.0.0.1:9/v1\"\nsecret = \"x_openai\"\n\
             [[model.provider]]\nname = \"anthropic\"\npath = \"claude\"\n\
             [[model.provider]]\nname = \"groq\"\nsecret = \"x_groq\"\n",
        );
        let variables = variables(&config, Some("http://h:1"));
        for (name, expected) in [
            ("BAUTA_URL", Some("http://h:1")),
            ("OPENAI_BASE_URL", Some("http://h:1/openai")),
            ("OPENAI_API_KEY", Some("{{x_openai}}")),
            ("CODEX_API_KEY", Some("{{x_openai}}")),
            ("ANTHROPIC_BASE_URL", Some("http://h:1/claude")),
            ("ANTHROPIC_API_KEY", None),
            ("GEMINI_API_BASE", Some("http://h:1/gemini/v1beta")),
            ("GROQ_API_BASE", Some("http://h:1/groq/v1")),
            ("GROQ_BASE_URL", Some("http://h:1/groq-sdk")),
            ("GROQ_API_KEY", Some("{{x_groq}}")),
            // It has no base URL, so no route.
            ("AZURE_OPENAI_ENDPOINT", None),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), expected, "{name}");
        }
        let model = config.model.unwrap();
        let sdk = model.providers.last().unwrap();
        assert_eq!(sdk.upstream.to_string(), "https://api.groq.com");
        assert_eq!(sdk.secret.as_deref(), Some("x_groq"));
    }

    #[test]
    fn codex_gets_arguments() {
        let own = config("[[model.provider]]\nname = \"openai\"\nsecret = \"x_openai\"\n");
        let login = config("[model]\n");
        let [_, provider, _, settings] =
            &arguments(OsStr::new("/opt/bin/codex"), &own, "http://h:1")[..]
        else {
            panic!()
        };
        assert_eq!(provider, "model_provider=\"bauta\"");
        let settings: toml::Table = settings.parse().unwrap();
        let bauta = settings["model_providers"]["bauta"].as_table().unwrap();
        assert_eq!(bauta["base_url"].as_str(), Some("http://h:1/openai/v1"));
        assert_eq!(
            arguments(OsStr::new("codex"), &login, "http://h:1"),
            [
                "-c",
                "model_provider=\"openai\"",
                "-c",
                "openai_base_url=\"http://h:1/openai/v1\""
            ]
        );
        assert!(arguments(OsStr::new("codexx"), &own, "http://h:1").is_empty());
    }
}
