//! The clipboard: nothing is copied or cut out of a document that shows a value, and no page is let at it meanwhile. What is merely
//! selected goes into the window system's selection, so nothing is pasted from there once a value was inserted.
//!
//! Script of the agent's own that copies is out of reach: it could read the field as well.

use serde::Deserialize;

use super::params::read;
use crate::browser::context::Context;
use crate::browser::{Command, Refusal, Verdict};

const CONTROL: i64 = 2;
const META: i64 = 4;
const SHIFT: i64 = 8;

/// A key that is pressed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Press {
    modifiers: Option<i64>,
    key: Option<String>,
    code: Option<String>,
    windows_virtual_key_code: Option<i64>,
    native_virtual_key_code: Option<i64>,
    commands: Option<Vec<String>>,
}

impl Press {
    /// Whether it copies or cuts, on any platform.
    fn copies(&self) -> bool {
        let commands = self.commands.iter().flatten();
        let mut commands = commands.map(|command| command.to_ascii_lowercase());
        if commands.any(|command| command.contains("copy") || command.contains("cut")) {
            return true;
        }
        let modifiers = self.modifiers.unwrap_or_default();
        let codes = [self.windows_virtual_key_code, self.native_virtual_key_code];
        let is = |key: &str, code: &str, number: i64| {
            self.key
                .as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(key))
                || self
                    .code
                    .as_deref()
                    .is_some_and(|name| name.eq_ignore_ascii_case(code))
                || codes.contains(&Some(number))
        };
        let letter = is("c", "KeyC", 67) || is("x", "KeyX", 88) || is("Insert", "Insert", 45);
        modifiers & (CONTROL | META) != 0 && letter
            || modifiers & SHIFT != 0 && is("Delete", "Delete", 46)
    }
}

impl Press {
    /// Whether it pastes what was selected, or what was deleted last.
    fn pastes_selection(&self) -> bool {
        let commands = self.commands.iter().flatten();
        let mut commands = commands.map(|command| command.to_ascii_lowercase());
        commands.any(|command| command.contains("globalselection") || command.contains("yank"))
    }
}

/// `Input.dispatchKeyEvent`; other typing passes.
pub async fn key(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    if &*command.method != "Input.dispatchKeyEvent" {
        return Ok(Verdict::Pass);
    }
    let key: Press = read(command)?;
    if key.pastes_selection() && context.pages.was_filled() {
        return Err(selection());
    }
    if !key.copies() {
        return Ok(Verdict::Pass);
    }
    let target = context.member.target_of(command.session.as_deref());
    let is_live = match target {
        Some(target) => context.pages.is_live(&context.hub, &target.id).await,
        None => true,
    };
    if is_live {
        return Err(refusal());
    }
    Ok(Verdict::Pass)
}

/// `Browser.grantPermissions`, `Browser.setPermission`.
pub async fn permission(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    struct Grant {
        permissions: Option<Vec<String>>,
        permission: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let Grant {
        permissions,
        permission,
    } = read(command)?;
    let named = permission.map(|permission| permission.name);
    let mut all = permissions.into_iter().flatten().chain(named);
    if !all.any(|name| name.to_ascii_lowercase().contains("clipboard")) {
        return Ok(Verdict::Pass);
    }
    let targets = context.hub.targets().await.map_err(super::params::failed)?;
    let pages = targets
        .iter()
        .filter(|listed| &*listed.target.kind == "page");
    for listed in pages {
        if context.pages.is_live(&context.hub, &listed.target.id).await {
            return Err(refusal());
        }
    }
    Ok(Verdict::Pass)
}

/// Why nothing is pasted from the selection.
pub(super) fn selection() -> Refusal {
    Refusal::new(
        "a secret's value was inserted in this browser, and may be in the selection that the middle button and PasteGlobalSelection \
         paste: both are refused from then on",
    )
}

pub(super) fn refusal() -> Refusal {
    Refusal::new(
        "a page shows a secret's value: until it has gone to another document, nothing is copied or cut, and no page is let at the \
         clipboard",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_copy() {
        for (key, copies) in [
            (r#"{"type":"keyDown","key":"c","modifiers":2}"#, true),
            (r#"{"type":"keyDown","key":"C","modifiers":2}"#, true),
            (r#"{"type":"rawKeyDown","key":"x","modifiers":4}"#, true),
            (r#"{"type":"keyDown","code":"KeyC","modifiers":10}"#, true),
            (
                r#"{"type":"keyDown","windowsVirtualKeyCode":67,"modifiers":2}"#,
                true,
            ),
            (
                r#"{"type":"keyDown","windowsVirtualKeyCode":45,"modifiers":2}"#,
                true,
            ),
            (r#"{"type":"keyDown","key":"Delete","modifiers":8}"#, true),
            (r#"{"type":"keyDown","commands":["Copy"]}"#, true),
            (
                r#"{"type":"keyDown","commands":["selectAll","cut:"]}"#,
                true,
            ),
            (r#"{"type":"keyDown","key":"c"}"#, false),
            (r#"{"type":"keyDown","key":"C","modifiers":8}"#, false),
            (r#"{"type":"keyDown","key":"v","modifiers":2}"#, false),
            (
                r#"{"type":"keyDown","key":"a","modifiers":2,"commands":["selectAll"]}"#,
                false,
            ),
            (r#"{"type":"keyDown","key":"Delete"}"#, false),
        ] {
            let key_event: Press = serde_json::from_str(key).unwrap();
            assert_eq!(key_event.copies(), copies, "{key}");
            assert!(!key_event.pastes_selection(), "{key}");
        }
        for command in [
            "PasteGlobalSelection",
            "pasteglobalselection",
            "yank:",
            "YankAndSelect",
        ] {
            let press = Press {
                commands: Some(vec!["selectAll".to_owned(), command.to_owned()]),
                ..Press::default()
            };
            assert!(press.pastes_selection(), "{command}");
        }
    }
}
