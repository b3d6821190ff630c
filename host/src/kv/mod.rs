//! The replicated key-value store: buckets of keys, one order of revisions over all of them, watches, leases.
//!
//! A mutation becomes a `command` in Raft's log. It is acknowledged once a quorum of the realm's voters has it on
//! disk and this node has applied it. The log is a write-ahead log of the room's own, `wal`: what waits is written as
//! one frame and synced once, on Raft's thread, and openraft's entries, votes and truncations are in it in one order.
//! redb holds its manifest: whose folder it is, its key, its segments, where it was purged. The state is in memory,
//! comes back from the latest `snapshot` and the log behind it, and is never synced itself.
//!
//! ```text
//! handle::Kv --propose--> openraft --append--> log_store --frame, sync--> wal --new segment, purge--> redb
//!     |                      |
//!     |                      +--apply--> machine --> state (pure) --> history --> watch
//!     +--confirm--> reads (one read index for all that wait) --> state
//! ```
//!
//! In reading order: what callers see (`types`, `error`, `config`, `handle`), the pure core (`codec`, `command`,
//! `key`, `cow`, `requests`, `history`, `state`), the disk (`wal`, `tail`, `log_store`, `snapshot`), Raft (`raft`,
//! `machine`, `network`, `peers`, `engine`), and what lives beside it (`leading`, `reads`, `watch`, `lease`, `stats`, `export`, `inspect`). Only here openraft
//! and redb are named.

mod behind;
mod bells;
mod codec;
mod command;
mod config;
mod cow;
mod engine;
mod error;
mod export;
mod fenced;
mod following;
mod handle;
mod history;
mod inspect;
mod key;
mod leading;
mod lease;
mod log_store;
mod machine;
mod members;
mod network;
mod peers;
mod raft;
mod reads;
mod records;
mod requests;
mod room;
mod snapshot;
mod state;
mod stats;
mod tail;
mod types;
mod upkeep;
mod wal;
mod watch;

#[cfg(test)]
mod tests;

pub use config::{KvConfig, OnFatal};
pub use error::{KvError, WatchError};
pub use export::{Export, Import};
pub use following::{Following, Made};
pub use handle::{Kv, WeakKv};
pub use inspect::{Inspected, inspect, is_store};
pub use members::Members;
pub use peers::Roster;
pub use state::LEASES_MAX;
pub use stats::KvStats;
pub use types::{
    BUCKET_BYTES_MAX, Change, ChangeKind, Condition, Consistency, Entry, Expect, LEASE_TTL_MAX,
    LEASE_TTL_MIN, LeaseId, Look, Mutation, Page, Path, Reply, RequestId, Swap, Txn, TxnOutcome,
};
pub use watch::Watch;
