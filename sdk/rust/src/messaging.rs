//! Messages to Souls, Matrices, topics and clients, wherever they run (`matrix:node/messaging`).

use std::time::Duration;

pub use crate::bindings::imports::matrix::node::messaging::{SendError, send, subscribe, unsubscribe};
use crate::types::{Address, Content};

/// Sends a message and waits for its reply, up to `timeout` (whole milliseconds; what exceeds 49 days
/// counts as 49 days). None: the recipient had nothing to say. The Soul receives nothing else meanwhile.
///
/// # Errors
/// Says why there is no reply, and not whether the recipient acted on the message.
pub fn ask(to: &Address, content: &Content, timeout: Duration) -> Result<Option<Content>, SendError> {
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    crate::bindings::imports::matrix::node::messaging::ask(to, content, timeout_ms)
}
