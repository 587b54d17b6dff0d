//! What `/json` and its like say: the browser, its targets, its protocol, in Chrome's words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::hub::{Listed, Version};
use super::methods;

/// How clients reach us: as the one who asks called us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// `host:port`.
    pub authority: String,
    /// What stands before our own paths: nothing, or `/TOKEN`.
    pub prefix: String,
    /// What stands behind them: nothing, or `?token=TOKEN`.
    pub query: String,
}

impl Reached {
    /// The address of a WebSocket.
    fn socket(&self, path: &str) -> String {
        let Self {
            authority,
            prefix,
            query,
        } = self;
        format!("ws://{authority}{prefix}{path}{query}")
    }
}

/// `/json/version`.
pub(super) fn version(version: &Version, browser_id: &str, reached: &Reached) -> Value {
    json!({
        "Browser": version.browser,
        "Protocol-Version": version.protocol,
        "User-Agent": version.user_agent,
        "V8-Version": version.v8,
        "WebKit-Version": version.webkit,
        "webSocketDebuggerUrl": reached.socket(&format!("/devtools/browser/{browser_id}")),
    })
}

/// A target; its title and its address are masked already.
pub(super) fn target(target: &Listed, reached: &Reached) -> Value {
    let id = &target.target.id;
    let socket = reached.socket(&format!("/devtools/page/{id}"));
    let bare = socket.strip_prefix("ws://").unwrap_or(&socket);
    let mut value = json!({
        "description": "",
        "devtoolsFrontendUrl": format!("/devtools/inspector.html?ws={bare}"),
        "id": id,
        "title": target.title,
        "type": target.target.kind,
        "url": target.url,
        "webSocketDebuggerUrl": socket,
    });
    if let Some(opener) = &target.opener {
        value["openerId"] = json!(opener);
    }
    value
}

/// `/json/protocol`: the methods that have a row, by their domains. Their parameters are not told.
pub(super) fn protocol() -> Value {
    let mut domains: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for method in methods::all() {
        if let Some((domain, name)) = method.split_once('.') {
            domains.entry(domain).or_default().push(name);
        }
    }
    let domain = |(domain, mut names): (&str, Vec<&str>)| {
        names.sort_unstable();
        let commands: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "domain": domain, "commands": commands })
    };
    let domains: Vec<Value> = domains.into_iter().map(domain).collect();
    json!({ "version": { "major": "1", "minor": "3" }, "domains": domains })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_token() {
        let version_of = |prefix: &str, query: &str| {
            let reached = Reached {
                authority: "h:1".to_owned(),
                prefix: prefix.to_owned(),
                query: query.to_owned(),
            };
            let product = Version {
                browser: "Chrome/1".to_owned(),
                protocol: "1.3".to_owned(),
                user_agent: String::new(),
                v8: String::new(),
                webkit: String::new(),
            };
            version(&product, "ID", &reached)["webSocketDebuggerUrl"].to_string()
        };
        for (prefix, query, expected) in [
            ("", "", "\"ws://h:1/devtools/browser/ID\""),
            ("/T", "", "\"ws://h:1/T/devtools/browser/ID\""),
            ("", "?token=T", "\"ws://h:1/devtools/browser/ID?token=T\""),
        ] {
            assert_eq!(version_of(prefix, query), expected);
        }
    }

    #[test]
    fn the_protocol_lists_every_method_once() {
        let protocol = protocol();
        let domains = protocol["domains"].as_array().unwrap();
        let commands = domains
            .iter()
            .map(|domain| domain["commands"].as_array().unwrap().len());
        assert_eq!(commands.sum::<usize>(), methods::all().count());
        let page = domains.iter().find(|it| it["domain"] == "Page").unwrap();
        assert!(
            page["commands"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["name"] == "navigate")
        );
    }
}
