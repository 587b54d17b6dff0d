//! The method table: for every method of the protocol, whether it passes, who looks at it, or why it is refused.
//!
//! The table is `methods.txt`, made for reading; it is parsed once. What has no row is refused: a method that nobody thought
//! about is not let through. This module decides by name alone; what is in a command is for the handler that the row names.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use super::Refusal;

/// Who decides about a command, or sees an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// Text and keys that may spell a placeholder.
    Typing,
    /// Reads the page, or moves what typing acts on: what is held back is released first, then it passes.
    Reads,
    /// Pictures of pages.
    Capture,
    /// Streams that are read in pieces.
    Stream,
    /// Where a page goes.
    Navigate,
    /// Targets, sessions, browser contexts.
    Target,
    /// Files of this machine.
    Files,
    /// Requests that wait for the client.
    Fetch,
    /// Headers of requests that nobody knows yet.
    Header,
    /// Cookies that are set.
    Cookie,
    /// The clipboard, and what drags.
    Clipboard,
    /// The mouse, which pastes and drags.
    Mouse,
    /// Script, and the worlds that it runs in.
    World,
    /// What passes only where it leaves something off.
    Switch,
    /// Traces, where the settings allow them.
    Tracing,
    /// The client leaves.
    Close,
}

/// What becomes of a command, by its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It goes on as it is.
    Pass,
    /// The handler decides.
    Inspect(Handler),
    /// It is refused.
    Deny(Denial),
    /// It has no row: refused.
    Unknown,
}

/// Why a method is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason, for a sentence.
    pub why: &'static str,
    /// Who decides where the settings allow it; `None`: no setting does.
    pub allowed: Option<Handler>,
    /// What leaves it off passes.
    pub unless_off: bool,
}

/// JSON-RPC's code for a method that is not there.
const NOT_FOUND: i32 = -32601;

impl Handler {
    /// Whether what typing holds back must be in the page before. Not for what a page may be waiting for, such as a paused
    /// request: what is held back could not get there.
    pub fn releases(self) -> bool {
        use Handler::{Capture, Clipboard, Files, Mouse, Navigate, Reads, World};
        matches!(
            self,
            Reads | Capture | Navigate | World | Files | Clipboard | Mouse
        )
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "Typing" => Self::Typing,
            "Reads" => Self::Reads,
            "Capture" => Self::Capture,
            "Stream" => Self::Stream,
            "Navigate" => Self::Navigate,
            "Target" => Self::Target,
            "Files" => Self::Files,
            "Fetch" => Self::Fetch,
            "Header" => Self::Header,
            "Cookie" => Self::Cookie,
            "Clipboard" => Self::Clipboard,
            "Mouse" => Self::Mouse,
            "World" => Self::World,
            "Switch" => Self::Switch,
            "Tracing" => Self::Tracing,
            "Close" => Self::Close,
            _ => return None,
        })
    }
}

/// What a method's row says, and the method's name. Settings are not asked: [`judge`] asks them.
pub fn rule(method: &str) -> (Rule, &'static str) {
    match TABLE.methods.get_key_value(method) {
        Some((name, rule)) => (*rule, name),
        None => (Rule::Unknown, "unknown"),
    }
}

/// Who decides about a command, `None` if it passes, and the method's name; `allowed`: denied methods that the settings allow.
///
/// # Errors
/// It is refused, and which setting would change that.
pub fn judge(
    method: &str,
    allowed: &BTreeSet<String>,
) -> Result<(Option<Handler>, &'static str), Refusal> {
    match rule(method) {
        (Rule::Pass, name) => Ok((None, name)),
        (Rule::Inspect(handler), name) => Ok((Some(handler), name)),
        (Rule::Deny(denial), name) => match denial.allowed {
            Some(handler) if allowed.contains(name) => Ok((Some(handler), name)),
            _ if denial.unless_off => Ok((Some(Handler::Switch), name)),
            _ => Err(denial.refusal(name)),
        },
        (Rule::Unknown, _) => Err(unknown()),
    }
}

/// Whether the settings may allow a method that the table denies.
///
/// # Errors
/// Why it is useless or refused to name it there.
pub fn may_allow(method: &str) -> Result<(), String> {
    match rule(method).0 {
        Rule::Deny(Denial {
            allowed: Some(_), ..
        }) => Ok(()),
        Rule::Deny(Denial { why, .. }) => Err(format!("no setting allows it: {why}")),
        Rule::Pass | Rule::Inspect(_) => Err("it is allowed anyway".to_owned()),
        Rule::Unknown => Err("there is no such method, or it is not known".to_owned()),
    }
}

/// Who must see an event before the client does.
pub fn observer(event: &str) -> Option<Handler> {
    TABLE.events.get(event).copied()
}

/// All methods that have a row.
pub fn all() -> impl Iterator<Item = &'static str> {
    TABLE.methods.keys().copied()
}

impl Denial {
    /// What the client is told.
    pub(super) fn refusal(&self, method: &str) -> Refusal {
        let why = self.why;
        Refusal::new(match self.allowed {
            Some(_) => format!(
                "{method} is refused: {why}. `methods = [\"{method}\"]` of [browser] allows it"
            ),
            None => format!("{method} is refused, and no setting allows it: {why}"),
        })
    }
}

/// Does not repeat the name: it may be anything, a value too.
fn unknown() -> Refusal {
    Refusal {
        code: NOT_FOUND,
        text: "Bauta has no row for this method in its table, and refuses what it does not know"
            .to_owned(),
    }
}

#[derive(Default)]
struct Table {
    methods: HashMap<&'static str, Rule>,
    events: HashMap<&'static str, Handler>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // The text is part of the program, and a test parses it.
    Table::parse(include_str!("methods.txt")).expect("the method table is well-formed")
});

impl Table {
    /// The error is the line that is wrong, and what is wrong with it.
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut table = Self::default();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            table
                .row(line)
                .map_err(|wrong| format!("{line}: {wrong}"))?;
        }
        Ok(table)
    }

    fn row(&mut self, line: &'static str) -> Result<(), &'static str> {
        let (name, rest) = word(line);
        if name == "event" {
            let (name, rest) = word(rest);
            let handler = rest.strip_prefix("observe:").and_then(Handler::parse);
            let handler = handler.ok_or("no observer of that name")?;
            let before = self.events.insert(name, handler);
            return before.map_or(Ok(()), |_| Err("stands twice"));
        }
        if !name.contains('.') {
            return Err("not Domain.method");
        }
        let before = self.methods.insert(name, rule_of(rest)?);
        before.map_or(Ok(()), |_| Err("stands twice"))
    }
}

fn rule_of(text: &'static str) -> Result<Rule, &'static str> {
    let (verdict, why) = word(text);
    let (verdict, handler) = match verdict.split_once(':') {
        Some((verdict, name)) => (
            verdict,
            Some(Handler::parse(name).ok_or("no such handler")?),
        ),
        None => (verdict, None),
    };
    let is_reasoned = !why.is_empty();
    match (verdict, handler) {
        ("pass", None) if !is_reasoned => Ok(Rule::Pass),
        ("inspect", Some(handler)) if !is_reasoned => Ok(Rule::Inspect(handler)),
        ("deny" | "deny-on", handler) if is_reasoned => Ok(Rule::Deny(Denial {
            why,
            allowed: Some(handler.unwrap_or(Handler::Reads)),
            unless_off: verdict == "deny-on",
        })),
        ("never" | "never-on", None) if is_reasoned => Ok(Rule::Deny(Denial {
            why,
            allowed: None,
            unless_off: verdict == "never-on",
        })),
        _ => Err("not pass, inspect:HANDLER, deny[-on][:HANDLER] why, or never[-on] why"),
    }
}

/// The first word of a line, and what follows.
fn word(line: &'static str) -> (&'static str, &'static str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let table = Table::parse(include_str!("methods.txt")).map_err(drop);
        let table = table.expect("a well-formed table");
        assert!(table.methods.len() > 650);
        for (method, rule) in &table.methods {
            if let Rule::Deny(Denial { why, .. }) = rule {
                assert!(why.len() > 10 && !why.ends_with('.'), "{method}: {why}");
            }
        }
    }

    #[test]
    fn a_row_that_says_nothing_or_too_much_is_an_error() {
        for text in [
            "Page.navigate",
            "Page.navigate passes",
            "Page.navigate pass because",
            "Page.navigate inspect",
            "Page.navigate inspect:Nobody",
            "Page.navigate deny",
            "Page.navigate deny:Reads",
            "Page.navigate never",
            "Page.navigate never:Reads why",
            "navigate pass",
            "Page.navigate pass\nPage.navigate pass",
            "event Page.frameNavigated",
            "event Page.frameNavigated observe:Nobody",
            "event Page.a observe:World\nevent Page.a observe:World",
        ] {
            assert!(Table::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_are_judged_by_their_rows_and_the_settings() {
        let none = BTreeSet::new();
        let all: BTreeSet<String> = all().map(str::to_owned).collect();
        assert_eq!(judge("Page.enable", &none), Ok((None, "Page.enable")));
        let navigate = Ok((Some(Handler::Navigate), "Page.navigate"));
        assert_eq!(judge("Page.navigate", &none), navigate);
        let tracing = Ok((Some(Handler::Tracing), "Tracing.start"));
        assert_eq!(judge("Tracing.start", &all), tracing);
        for method in [
            "Security.setIgnoreCertificateErrors",
            "Debugger.setPauseOnExceptions",
        ] {
            assert_eq!(judge(method, &none), Ok((Some(Handler::Switch), method)));
        }
        let pause = "Debugger.setPauseOnExceptions";
        assert_eq!(judge(pause, &all), Ok((Some(Handler::Reads), pause)));
        let refusal = judge("Tracing.start", &none).expect_err("not allowed");
        assert!(refusal.text.contains("methods = [\"Tracing.start\"]"));
        for method in [
            "Target.exposeDevToolsProtocol",
            "Target.sendMessageToTarget",
            "Target.setRemoteLocations",
            "HeapProfiler.takeHeapSnapshot",
            "Browser.getBrowserCommandLine",
            "Tethering.bind",
        ] {
            let refusal = judge(method, &all).expect_err(method);
            assert!(refusal.text.contains("no setting allows it"), "{method}");
        }
        for method in [
            "",
            "Page",
            "page.navigate",
            "Page.navigate ",
            "Secret.value",
        ] {
            let refusal = judge(method, &all).expect_err(method);
            assert_eq!(refusal.code, NOT_FOUND);
            assert!(method.is_empty() || !refusal.text.contains(method));
        }
    }

    #[test]
    fn settings_name_only_what_they_can_allow() {
        assert!(may_allow("Tracing.start").is_ok());
        for method in [
            "Page.navigate",
            "Target.sendMessageToTarget",
            "Nothing.here",
        ] {
            assert!(may_allow(method).is_err(), "{method}");
        }
    }
}
