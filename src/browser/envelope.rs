//! The envelope of a message: its top-level keys, found without parsing what they hold.

use std::ops::Range;

/// Where the parts of a message stand in it. Values are ranges of its text; strings are with their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The number of a command or of its answer.
    pub id: Option<i32>,
    /// Where that number stands.
    pub id_at: Option<Range<usize>>,
    /// `Domain.method`, between its quotes.
    pub method: Option<Range<usize>>,
    /// The session, between its quotes.
    pub session: Option<Range<usize>>,
    /// The parameters: an object's text.
    pub params: Option<Range<usize>>,
    /// The result of a command.
    pub result: Option<Range<usize>>,
    /// The error of a command.
    pub error: Option<Range<usize>>,
}
