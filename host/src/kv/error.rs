//! Why the KV refused or failed.

use std::path::PathBuf;

/// Everything that an operation of the KV may fail with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// The bucket's name breaks the rules.
    #[error("bucket {bucket:?} is not a bucket name: use 1 to 128 bytes of a-z, 0-9, '.', '_', '/' and '-'")]
    InvalidBucket {
        /// The name, escaped and cut to 128 characters.
        bucket: String,
    },
    /// The key is empty.
    #[error("the key is empty: use at least one byte")]
    KeyEmpty,
    /// The key is too long.
    #[error("the key has {size} bytes and the limit is {limit}: shorten it or raise kv.key_bytes_max")]
    KeyTooLarge {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        size: usize,
    },
    /// The value is too long.
    #[error(
        "the value has {size} bytes and the limit is {limit}: store it as a blob or raise kv.value_bytes_max"
    )]
    ValueTooLarge {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        size: usize,
    },
    /// The transaction holds too much.
    #[error("the transaction has {size} {what} and the limit is {limit}: split it")]
    TxnTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// Most allowed.
        limit: usize,
        /// How many were given.
        size: usize,
    },
    /// `increment` met a value that is no number.
    #[error("the value is not a decimal number below 2^64: put one before incrementing it")]
    NotANumber,
    /// `increment` would exceed the largest number.
    #[error("the number would exceed 2^64 - 1: put a smaller one or add less")]
    Overflow,
    /// The lease expired, was revoked or never was.
    #[error("there is no such lease: it expired or was revoked; grant a new one")]
    NoSuchLease,
    /// The time to live is out of bounds.
    #[error("a lease lives for 500 ms to 24 h: choose a time to live within that")]
    InvalidTtl,
    /// There are as many leases as the store holds.
    #[error("the store holds as many leases as it may: revoke some, or bind more keys to each")]
    TooManyLeases,
    /// The request id was used for another kind of operation.
    #[error("this request id was used before, for another operation: use a fresh id for each")]
    RequestIdReused,
    /// The state has reached its budget.
    #[error("the store is full ({limit} bytes): delete keys or raise kv.state_bytes_max")]
    Full {
        /// The budget, in bytes.
        limit: u64,
    },
    /// There is no room for more of the log: on the leader's disk, or on so many that the rest is no majority. Nothing
    /// was done.
    #[error("there is no room for the log: {0}; reads go on")]
    DiskFull(String),
    /// More is under way than the node takes on.
    #[error("the store has too many writes under way: retry later, with the same request id")]
    Overloaded,
    /// Another node leads.
    #[error("this node does not lead the realm: ask node {leader:?}, or retry once there is a leader")]
    NotLeader {
        /// The leader, where one is known.
        leader: Option<u64>,
    },
    /// The store cannot answer now. A mutation may or may not have been applied.
    #[error("the store is unavailable: {0}; retry with the same request id")]
    Unavailable(String),
    /// The store was closed.
    #[error("the store is closed: the node is stopping")]
    Closed,
    /// Another process has the folder.
    #[error("{path} is in use by another process: stop it, or give this node a data folder of its own")]
    Locked {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The folder belongs to another node.
    #[error(
        "the data folder belongs to node {stored}, not to node {configured}: give each node a data folder of its own"
    )]
    WrongNode {
        /// The id in the folder.
        stored: u64,
        /// The id in the configuration.
        configured: u64,
    },
    /// The folder was written by another version.
    #[error(
        "the data folder is in format {found}, and this version knows format {known} only: start it with the \
         version that wrote it, or move it away and start with an empty one"
    )]
    Format {
        /// What the folder says.
        found: String,
        /// What this version writes.
        known: u8,
    },
    /// Data on disk is damaged.
    #[error("{what} is damaged ({detail}): restore the data folder from a backup or from the realm")]
    Corrupt {
        /// What was read.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A setting makes no sense.
    #[error("setting kv.{field} is wrong: {detail}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What it must be.
        detail: &'static str,
    },
    /// The disk or the operating system failed.
    #[error("{what} failed: {detail}; check the disk, its free space and the folder's permissions")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        detail: String,
    },
}

impl KvError {
    /// An I/O failure while doing `what`.
    pub(super) fn io(what: impl Into<String>, error: impl std::fmt::Display) -> KvError {
        KvError::Io { what: what.into(), detail: error.to_string() }
    }

    /// Damage in `what`.
    pub(crate) fn corrupt(what: impl Into<String>, detail: impl std::fmt::Display) -> KvError {
        KvError::Corrupt { what: what.into(), detail: detail.to_string() }
    }
}

/// Why a watch cannot show, or did not show, some changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The bucket's name breaks the rules.
    #[error("the bucket is not a bucket name: use 1 to 128 bytes of a-z, 0-9, '.', '_', '/' and '-'")]
    InvalidBucket,
    /// The revision to start from is no longer kept.
    #[error(
        "changes before revision {oldest} are no longer kept: read the range again, watch from its revision + 1"
    )]
    Compacted {
        /// The oldest revision still kept.
        oldest: u64,
    },
    /// The watcher was too slow. The watch goes on from `resumed_at`.
    #[error("changes from revision {missed_from} to before {resumed_at} were missed: read the range again")]
    Lagged {
        /// The first revision missed.
        missed_from: u64,
        /// The revision from which the watch goes on.
        resumed_at: u64,
    },
}
