//! Scopes: whose a secret is, and which agents may use it.
//!
//! A scope says nothing about where a value may go; that is the pattern's part. Whether a secret of a user is assigned to an
//! agent is known to the vault alone, which hands it in.

use std::fmt;
use std::str::FromStr;

use super::shown;

/// Longest id, in characters.
pub const MAX_ID_CHARS: usize = 128;

/// The id of a task, agent, user or organization, or the name of a profile: 1 to 128 letters, digits and `- _ . @ :`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Box<str>);

/// A text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id. Use 1 to {MAX_ID_CHARS} letters, digits and - _ . @ :")]
pub struct IdError;

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte);
        if (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(IdError)
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose a secret is. The lesser is the narrower; among scopes of one kind, the order of ids only makes a choice certain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One task's, as long as it runs.
    Task(Id),
    /// One agent's.
    Agent(Id),
    /// A user's, for the agents of that user that it is assigned to.
    User(Id),
    /// A system skill profile's, for the agents whose configuration lists it.
    Profile(Id),
    /// An organization's, for all of its agents.
    Org(Id),
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No kind of scope stands before a colon; holds the text as it may be shown.
    #[error("Invalid scope '{0}'. Use task:ID, agent:ID, user:ID, profile:NAME or org:ID")]
    Kind(String),
    /// What stands after the colon is no id; holds the text as it may be shown.
    #[error(
        "Invalid scope '{0}'. Its id must be 1 to {MAX_ID_CHARS} letters, digits and - _ . @ :"
    )]
    Id(String),
}

/// Why an agent may not use a secret of some scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// A task's, which only the task's own requests may use.
    #[error("it belongs to a task, and only that task's requests may use it")]
    Task,
    /// Another agent's.
    #[error("it belongs to another agent")]
    Agent,
    /// Another user's, or the agent has no user.
    #[error("it belongs to another user than the agent's. Set 'agent.user' if that is wrong")]
    User,
    /// The user's, but the agent does not have it.
    #[error("it is not assigned to this agent. Assign it with: bauta secret assign")]
    Unassigned,
    /// A profile's that the agent does not use.
    #[error("the agent does not use this profile. Add it to 'agent.profiles' if that is wrong")]
    Profile,
    /// Another organization's, or the agent has none.
    #[error(
        "it belongs to another organization than the agent's. Set 'agent.organization' if that is wrong"
    )]
    Org,
}

/// Who an agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub agent: String,
    /// The id of its user.
    pub user: Option<String>,
    /// The id of its organization.
    pub organization: Option<String>,
    /// The profiles that its configuration lists.
    pub profiles: Vec<String>,
}

impl Scope {
    /// Of secrets that are not given to anyone yet: the agent that a configuration without a name for it has.
    pub(super) fn nominal() -> Self {
        Self::Agent(Id("agent".into()))
    }

    /// Its kind, as a scope is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Agent(_) => "agent",
            Self::User(_) => "user",
            Self::Profile(_) => "profile",
            Self::Org(_) => "org",
        }
    }

    /// The id or name in it.
    pub fn id(&self) -> &Id {
        match self {
            Self::Task(id)
            | Self::Agent(id)
            | Self::User(id)
            | Self::Profile(id)
            | Self::Org(id) => id,
        }
    }

    /// How narrow it is: 0 for a task's, 4 for an organization's. Scopes of one kind are equally narrow.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Task(_) => 0,
            Self::Agent(_) => 1,
            Self::User(_) => 2,
            Self::Profile(_) => 3,
            Self::Org(_) => 4,
        }
    }

    /// Whether an agent may use secrets of this scope; `assigned`: whether this one is assigned to it, which counts for a
    /// user's only. A task's are in no agent's view: they come with the task.
    ///
    /// # Errors
    /// Why not.
    pub fn seen_by(&self, identity: &Identity, assigned: bool) -> Result<(), Unseen> {
        let is = |id: &Id, other: &Option<String>| other.as_deref() == Some(id.as_str());
        let (seen, otherwise) = match self {
            Self::Task(_) => (false, Unseen::Task),
            Self::Agent(id) => (identity.agent == id.as_str(), Unseen::Agent),
            Self::User(id) if is(id, &identity.user) => (assigned, Unseen::Unassigned),
            Self::User(_) => (false, Unseen::User),
            Self::Profile(id) => (
                identity.profiles.iter().any(|name| name == id.as_str()),
                Unseen::Profile,
            ),
            Self::Org(id) => (is(id, &identity.organization), Unseen::Org),
        };
        if seen { Ok(()) } else { Err(otherwise) }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (kind, id) = text
            .split_once(':')
            .ok_or_else(|| ScopeError::Kind(shown::plain(text)))?;
        let make = match kind {
            "task" => Self::Task,
            "agent" => Self::Agent,
            "user" => Self::User,
            "profile" => Self::Profile,
            "org" => Self::Org,
            _ => return Err(ScopeError::Kind(shown::plain(text))),
        };
        id.parse()
            .map(make)
            .map_err(|IdError| ScopeError::Id(shown::plain(text)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}
