//! Why a text is no domain pattern: one main sentence that users know, and where it helps a second one.

use std::fmt;

use super::shown;

/// A text that is no domain pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    shown: String,
    reason: Option<Reason>,
}

/// The second sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("Domain pattern cannot be empty.")]
    Empty,
    #[error("Domain pattern too short (min 3 characters).")]
    TooShort,
    #[error("Domain pattern too long (max 256 characters).")]
    TooLong,
    #[error("White space is not allowed.")]
    Whitespace,
    #[error("Control characters are not allowed.")]
    Control,
    #[error("Only http, https, http*, and chrome-extension are supported.")]
    Scheme,
    #[error("A user name or password does not belong in a pattern.")]
    UserInfo,
    #[error("A path does not belong in a pattern (other than '/').")]
    Path,
    #[error("A query does not belong in a pattern.")]
    Query,
    #[error("A fragment does not belong in a pattern.")]
    Fragment,
    #[error("Backslashes are not allowed.")]
    Backslash,
    #[error("The host is missing.")]
    NoHost,
    #[error("The host is not a valid name or address.")]
    Host,
    #[error("Write an IPv6 address in brackets, such as [::1].")]
    BareV6,
    #[error("Write an IPv4 address as four decimal numbers, such as 127.0.0.1.")]
    OddV4,
    #[error("The port must be a number from 1 to 65535, or * for any.")]
    Port,
    #[error("A single-label host needs a scheme and a port, such as http://keycloak:8080.")]
    SingleLabel,
    #[error("Chrome extension ID cannot be empty.")]
    NoExtension,
    #[error(
        "Write the extension's ID alone, such as chrome-extension://abcdefghijklmnopabcdefghijklmnop."
    )]
    Extension,
    #[error("A pattern that matches every site is not allowed.")]
    Everything,
    #[error("Wildcards in TLD part are not allowed (e.g., google.* would match google.ninja).")]
    TldWildcard,
    #[error("Wildcards in TLD part are not allowed (e.g., *.com would match any .com domain).")]
    WildcardTld,
    #[error(
        "Wildcards over a public suffix are not allowed (e.g., *.co.uk would match any .co.uk domain)."
    )]
    WildcardSuffix,
    #[error("Embedded wildcards are not supported (e.g., g*e.com).")]
    Embedded,
    #[error("Wildcards need a domain name, not an address.")]
    WildcardAddress,
}

impl PatternError {
    pub(super) fn new(text: &str, reason: Option<Reason>) -> Self {
        Self {
            shown: shown::url(text),
            reason,
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Invalid domain pattern '{}'. Domain must be a valid URL pattern.",
            self.shown
        )?;
        match self.reason {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PatternError {}
