//! The browser: started by us and spoken to over a pipe, or attached to over a WebSocket.

/// Why there is no browser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is none.
    #[error("there is no browser")]
    Nowhere,
}
