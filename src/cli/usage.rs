//! Errors of usage without what was typed: where an argument is wrong, it may be a value that somebody meant to hand in.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// What stands for it.
const HIDDEN: &str = "…";

/// What to do instead of handing in a value.
const HINT: &str =
    "a value is never an argument, as other processes can read it: it is typed, or piped in";

/// Longest name of an option that is shown.
const LONGEST_OPTION: usize = 16;

/// Hides what was typed in an error about the command line.
pub(super) fn hidden(mut error: Error) -> Error {
    let hide = || ContextValue::String(HIDDEN.to_owned());
    if error.kind() == ErrorKind::UnknownArgument {
        let name = error.get(ContextKind::InvalidArg).map(ToString::to_string);
        if name.is_none_or(|name| !is_option(&name)) {
            error.insert(ContextKind::InvalidArg, hide());
        }
        // The tips lead the wrong way: "to pass '--value' as a value, use '-- --value'".
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![HINT.into()]),
        );
    }
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, hide());
        error.remove(ContextKind::SuggestedValue);
    }
    error
}

/// Whether a text is spelled as an option is, such as `--mask`. Of `--mask=text`, clap names the option alone.
fn is_option(text: &str) -> bool {
    let letters = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    text.strip_prefix("--")
        .is_some_and(|name| name.len() <= LONGEST_OPTION && letters(name))
}
