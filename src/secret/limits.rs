//! The sizes that a submission may have.

/// Limits of one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Secrets of one agent, counted over all domains.
    pub max_secrets: usize,
    /// Domain patterns of one agent.
    pub max_domains: usize,
    /// Bytes of one value.
    pub max_value_bytes: usize,
    /// Bytes of all values together.
    pub max_total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_secrets: 50,
            max_domains: 20,
            max_value_bytes: 4096,
            max_total_bytes: 102_400,
        }
    }
}
