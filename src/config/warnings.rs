//! What a configuration may say, and whoever wrote it likely did not mean.

use super::{Config, Inject, Listen, is_loopback};

impl Config {
    /// What leaves this machine in clear, or is open to whoever reaches it; a line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for provider in self.model.iter().flat_map(|model| &model.providers) {
            if !provider.upstream.tls && !provider.upstream.is_loopback() {
                found.push(format!(
                    "model.provider {}: what is sent to {} can be read on its way, keys too. Use https",
                    provider.name, provider.upstream
                ));
            }
        }
        if let Some(model) = self.model.as_ref().filter(|model| is_open(&model.listen)) {
            let lent = model
                .providers
                .iter()
                .find(|provider| provider.inject == Inject::Always);
            if let Some(provider) = lent {
                found.push(format!(
                    "model.listen: whoever reaches {} uses the key of {}. Use an address of this machine, or a firewall",
                    model.listen, provider.name
                ));
            }
        }
        let browser = self.browser.as_ref();
        if let Some(browser) = browser.filter(|b| is_open(&b.listen) && b.token_file.is_none()) {
            found.push(format!(
                "browser.listen: whoever reaches {} drives the browser. Use token_file, or an address of this machine",
                browser.listen
            ));
        }
        found
    }
}

/// Whether other machines may reach it.
fn is_open(listen: &Listen) -> bool {
    matches!(listen, Listen::Tcp { host, .. } if !is_loopback(host))
}
