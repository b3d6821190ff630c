//! Why something could not be done with the realm.

use crate::kv::KvError;

/// Why something could not be done with the realm.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RealmError {
    /// There is no such node.
    #[error("there is no node {0}: `matrix nodes list` shows those there are")]
    Unknown(u64),
    /// It was taken out.
    #[error("node {0} was removed, and never comes back under its number: invite a new one")]
    Removed(u64),
    /// It is the last.
    #[error("node {0} is the only one that could take what it runs: add another first")]
    Last(u64),
    /// It still runs something.
    #[error(
        "node {node} still runs {souls} Souls and {matrices} Matrices: they are on their way to others; try again, \
         or use --force"
    )]
    Busy {
        /// The node.
        node: u64,
        /// Souls that live there.
        souls: usize,
        /// Matrices that run there, or ran there last.
        matrices: usize,
    },
    /// The time to live is out of bounds.
    #[error("an invitation lives for 1 second to 30 days: choose a time within that")]
    Ttl,
    /// Nobody could reach this node.
    #[error("this node listens nowhere yet: try again in a moment")]
    NoAddress,
    /// Something else changed the record at the same time.
    #[error("the record of node {0} was changed at the same time: try again")]
    Conflict(u64),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
    /// A node was not let in.
    #[error("{0}")]
    Refused(String),
    /// Nobody of the realm could be reached.
    #[error("no node of the realm could be reached: {0}")]
    Unreachable(String),
}
