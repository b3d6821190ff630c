//! Counters of the room, and the plain figures that telemetry exports.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Figures of one moment. Counters start at zero with the process; gauges say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KvStats {
    /// Mutations asked for (puts, deletes, swaps, increments, transactions, leases).
    pub writes: u64,
    /// Mutations refused or failed.
    pub writes_failed: u64,
    /// Keys and pages read.
    pub reads: u64,
    /// Read-index rounds; each serves all reads that had queued up.
    pub read_rounds: u64,
    /// Commands applied to the state.
    pub applied_commands: u64,
    /// Frames of the log written and synced.
    pub fsyncs: u64,
    /// Entries of the log written; divided by `fsyncs`, the mean size of a group commit.
    pub log_entries_written: u64,
    /// Bytes of the log written.
    pub log_bytes_written: u64,
    /// Entries in the largest group commit so far.
    pub batch_max: u64,
    /// Snapshots taken or installed.
    pub snapshots: u64,
    /// Bytes of the latest snapshot (gauge).
    pub snapshot_bytes: u64,
    /// Leases ended because they ran out.
    pub leases_expired: u64,
    /// Times a watch was too slow for the history.
    pub watch_lags: u64,
    /// Keys in the state (gauge).
    pub keys: u64,
    /// Bytes of the state (gauge).
    pub state_bytes: u64,
    /// Leases alive (gauge).
    pub leases: u64,
    /// The store's revision (gauge).
    pub revision: u64,
    /// The oldest revision that a watch can resume from (gauge).
    pub oldest_revision: u64,
    /// Raft's term (gauge).
    pub term: u64,
    /// Index of the last log entry (gauge).
    pub last_log_index: u64,
    /// Index of the last log entry applied (gauge).
    pub applied_index: u64,
    /// Index up to which the log was purged (gauge).
    pub purged_index: u64,
    /// 1 where this node leads (gauge).
    pub is_leader: u64,
}

/// The counters behind [`KvStats`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) writes: Counter,
    pub(super) writes_failed: Counter,
    pub(super) reads: Counter,
    pub(super) read_rounds: Counter,
    pub(super) applied_commands: Counter,
    pub(super) fsyncs: Counter,
    pub(super) log_entries_written: Counter,
    pub(super) log_bytes_written: Counter,
    pub(super) batch_max: Counter,
    pub(super) snapshots: Counter,
    pub(super) snapshot_bytes: Counter,
    pub(super) leases_expired: Counter,
    pub(super) watch_lags: Counter,
}

impl Counters {
    /// The counters' values; the gauges are left at zero.
    pub(super) fn read(&self) -> KvStats {
        KvStats {
            writes: self.writes.get(),
            writes_failed: self.writes_failed.get(),
            reads: self.reads.get(),
            read_rounds: self.read_rounds.get(),
            applied_commands: self.applied_commands.get(),
            fsyncs: self.fsyncs.get(),
            log_entries_written: self.log_entries_written.get(),
            log_bytes_written: self.log_bytes_written.get(),
            batch_max: self.batch_max.get(),
            snapshots: self.snapshots.get(),
            snapshot_bytes: self.snapshot_bytes.get(),
            leases_expired: self.leases_expired.get(),
            watch_lags: self.watch_lags.get(),
            ..KvStats::default()
        }
    }
}

/// A number that many threads add to and nobody orders anything by.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn raise_to(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
