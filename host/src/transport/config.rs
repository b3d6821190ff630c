//! What the operator may set of the router.

use serde::{Deserialize, Serialize};

use super::directory::TOPICS_MAX;
use crate::telemetry::process;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    /// The longest body of a message, in bytes; a Soul's own limit may be lower.
    pub body_bytes_max: usize,
    /// The longest chain of messages, each caused by the one before. It ends what would go back and
    /// forth for ever; long conversations go through a client or a Matrix.
    pub hops_max: u16,
    /// The most topics that Souls of this node may subscribe to, all together; at most 16,384.
    pub topics_max: usize,
    /// Bytes of the bodies that wait in all mailboxes together, the first 16 KiB in each left out. Beyond it only a
    /// mailbox in which nothing waits takes a message. 0, the default: an eighth of the memory that the node may have,
    /// without the 192 MiB for itself.
    pub mailboxes_bytes_max: u64,
}

impl TransportConfig {
    /// Bytes of the bodies that wait in all mailboxes together. Reads what the system tells, once.
    pub fn mailboxes_bytes(&self) -> u64 {
        match self.mailboxes_bytes_max {
            0 => process::room_bytes().map_or(u64::MAX, |room| room / 8),
            set => set,
        }
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self { body_bytes_max: 256 * 1024, hops_max: 32, topics_max: TOPICS_MAX, mailboxes_bytes_max: 0 }
    }
}
