//! Settings of the KV.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::KvError;
use super::types::{BUCKET_BYTES_MAX, Expect, Mutation, Txn};
use crate::p2p::rpc;

/// Values of the largest size that one transaction may hold together.
const TXN_VALUES_MAX: usize = 4;
/// Longest value that may be allowed, and the bytes of values that a transaction may hold whatever is allowed.
const VALUES_BYTES_MAX: usize = 16 << 20;
/// Bytes of the largest command. An entry of the log goes whole to every follower, beside little else.
const COMMAND_BYTES_MAX: usize = rpc::BYTES_MAX - (1 << 20);
/// Bytes of an operation beside its key and its value: its bucket's name, lengths, a lease.
const OPERATION_BYTES: usize = BUCKET_BYTES_MAX + 64;

/// Settings of the KV, the table `[kv]` of the node's configuration. Every bound is enforced where a request enters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KvConfig {
    /// Folder of the log and the snapshots; created with mode 0700 if missing. One node, one folder.
    pub dir: PathBuf,
    /// This node's number within its realm; never changes for a folder. Given by the realm, not by the file.
    #[serde(skip)]
    pub node_id: u64,
    /// Longest key, in bytes (1 to 4096).
    pub key_bytes_max: usize,
    /// Longest value, in bytes (at most 16 MiB). Larger things are blobs.
    pub value_bytes_max: usize,
    /// Most entries in a page of a range read.
    pub range_page_max: usize,
    /// Bytes of keys and values after which a page ends; it holds one entry at least.
    pub range_page_bytes: usize,
    /// Most conditions, and most mutations, in a transaction.
    pub txn_ops_max: usize,
    /// Bytes of keys and values that the state may take; at the limit writes are refused, deletes are not.
    pub state_bytes_max: u64,
    /// Bytes of mutations under way at a time; beyond it they are refused at once.
    pub inflight_bytes_max: usize,
    /// Changes that a watch takes out of the history at a time.
    pub watch_buffer: usize,
    /// Changes kept for watches to resume from.
    pub history_revisions: usize,
    /// Bytes of changes kept for watches to resume from.
    pub history_bytes: usize,
    /// Bytes of log after which a snapshot is taken and the log purged (or half the state, if that is more); about as many
    /// are kept behind it, so that a follower a little behind needs no snapshot.
    pub snapshot_log_bytes: u64,
    /// Entries of the log after which a snapshot is taken whatever their size: bounds the time of a restart.
    pub snapshot_log_entries: u64,
    /// Bytes that must stay free on the disk: with less, mutations are refused until there is more again. A disk that
    /// is full to the last byte would cost the log, and with it the node.
    pub disk_reserve_bytes: u64,
    /// Bytes of one file of the log, taken from the disk at once (1 MiB to 1 GiB). What was purged is given back file
    /// by file.
    pub log_segment_bytes: u64,
    /// Milliseconds that a request waits for the realm before it fails as unavailable.
    pub request_timeout_ms: u64,
    /// Milliseconds between the leader's heartbeats, and the time that one has to be answered: it must be longer than
    /// the slowest round trip between two nodes, and the same on all. A follower waits for twelve to sixteen of them before it stands
    /// for election: eight in which it trusts the leader, and then four to eight by chance.
    pub heartbeat_ms: u64,
    /// Called, once, when the store can no longer keep its promises: a failed fsync, a broken state machine. It must
    /// end the process; nothing is acknowledged afterwards.
    #[serde(skip)]
    pub on_fatal: OnFatal,
}

impl Default for KvConfig {
    fn default() -> KvConfig {
        KvConfig {
            dir: PathBuf::from("data/kv"),
            node_id: 1,
            key_bytes_max: 512,
            value_bytes_max: 1 << 20,
            range_page_max: 1000,
            range_page_bytes: 4 << 20,
            txn_ops_max: 256,
            state_bytes_max: 1 << 30,
            inflight_bytes_max: 64 << 20,
            watch_buffer: 256,
            history_revisions: 100_000,
            history_bytes: 64 << 20,
            snapshot_log_bytes: 64 << 20,
            snapshot_log_entries: 200_000,
            disk_reserve_bytes: 256 << 20,
            log_segment_bytes: 64 << 20,
            request_timeout_ms: 5_000,
            heartbeat_ms: 100,
            on_fatal: OnFatal::default(),
        }
    }
}

impl KvConfig {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn check(&self) -> Result<(), KvError> {
        let within = |field, holds: bool, detail| {
            if holds { Ok(()) } else { Err(KvError::Config { field, detail }) }
        };
        within("dir", !self.dir.as_os_str().is_empty(), "name a folder")?;
        within("key_bytes_max", (1..=4096).contains(&self.key_bytes_max), "use 1 to 4096")?;
        let is_sent = self.value_bytes_max <= VALUES_BYTES_MAX;
        within("value_bytes_max", is_sent, "use at most 16777216 (16 MiB)")?;
        within("range_page_max", self.range_page_max > 0, "use at least 1")?;
        within("txn_ops_max", (1..=1024).contains(&self.txn_ops_max), "use 1 to 1024")?;
        // As many conditions as mutations.
        let keys = 2 * self.txn_ops_max * (self.key_bytes_max + OPERATION_BYTES);
        within(
            "txn_ops_max",
            self.txn_values_max() + keys <= COMMAND_BYTES_MAX,
            "use fewer, or shorter keys or values: the largest transaction must have room in 23 MiB, to be sent to other nodes",
        )?;
        within("watch_buffer", self.watch_buffer > 0, "use at least 1")?;
        within("history_revisions", self.history_revisions > 0, "use at least 1")?;
        within("snapshot_log_entries", self.snapshot_log_entries >= 100, "use at least 100")?;
        let is_file = (1 << 20..=1 << 30).contains(&self.log_segment_bytes);
        within("log_segment_bytes", is_file, "use 1048576 (1 MiB) to 1073741824 (1 GiB)")?;
        within("request_timeout_ms", self.request_timeout_ms > 0, "use at least 1")?;
        within("heartbeat_ms", (10..=10_000).contains(&self.heartbeat_ms), "use 10 to 10000")?;
        let largest = (TXN_VALUES_MAX + 1) * self.value_bytes_max + (1 << 20);
        within(
            "inflight_bytes_max",
            self.inflight_bytes_max >= largest,
            "let one largest transaction through: at least 1 MiB and five largest values",
        )
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Checks a value's size.
    pub(super) fn check_value(&self, value: &Bytes) -> Result<(), KvError> {
        let limit = self.value_bytes_max;
        if value.len() > limit { Err(KvError::ValueTooLarge { limit, size: value.len() }) } else { Ok(()) }
    }

    /// Checks the size of a value to compare with.
    pub(super) fn check_expect(&self, expect: &Expect) -> Result<(), KvError> {
        if let Expect::Value(value) = expect { self.check_value(value) } else { Ok(()) }
    }

    /// Checks a transaction's numbers and sizes.
    pub(super) fn check_txn(&self, txn: &Txn) -> Result<(), KvError> {
        at_most("conditions", self.txn_ops_max, txn.require.len())?;
        at_most("mutations", self.txn_ops_max, txn.then.len())?;
        let mut bytes = 0;
        for condition in &txn.require {
            self.check_expect(&condition.expect)?;
            bytes += if let Expect::Value(value) = &condition.expect { value.len() } else { 0 };
        }
        for mutation in &txn.then {
            if let Mutation::Put { value, .. } = mutation {
                self.check_value(value)?;
                bytes += value.len();
            }
        }
        at_most("bytes of values", self.txn_values_max(), bytes)
    }

    /// Bytes of values that a transaction may hold.
    fn txn_values_max(&self) -> usize {
        VALUES_BYTES_MAX.min(TXN_VALUES_MAX * self.value_bytes_max)
    }
}

/// Refuses more than `limit` of something in one request.
pub(super) fn at_most(what: &'static str, limit: usize, size: usize) -> Result<(), KvError> {
    if size > limit { Err(KvError::TxnTooLarge { what, limit, size }) } else { Ok(()) }
}

/// What to do when the store fails for good.
#[derive(Clone)]
pub struct OnFatal(pub Arc<dyn Fn(String) + Send + Sync>);

impl OnFatal {
    /// The same, and only ever once: what fails for good is noticed in several places.
    pub(super) fn once(self) -> OnFatal {
        let is_over = AtomicBool::new(false);
        OnFatal(Arc::new(move |reason| {
            if !is_over.swap(true, Ordering::AcqRel) {
                (self.0)(reason);
            }
        }))
    }
}

impl Default for OnFatal {
    /// Logs the reason and aborts: going on after a failed fsync would acknowledge what may be lost.
    fn default() -> OnFatal {
        OnFatal(Arc::new(|reason| {
            tracing::error!(reason, "what was promised cannot be kept; the process ends");
            std::process::abort();
        }))
    }
}

impl fmt::Debug for OnFatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFatal")
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::Path;
    use super::*;

    #[test]
    fn the_largest_transaction_goes_to_other_nodes_in_one_message() {
        let check = |value_bytes_max: usize, key_bytes_max: usize, txn_ops_max: usize| {
            let inflight_bytes_max = 5 * value_bytes_max + (1 << 20);
            let config = KvConfig {
                dir: "folder".into(),
                value_bytes_max,
                key_bytes_max,
                txn_ops_max,
                inflight_bytes_max,
                ..KvConfig::default()
            };
            config.check()
        };
        assert!(check(1 << 20, 4_096, 1_024).is_ok() && check(16 << 20, 1_024, 1_024).is_ok());
        let refused = check(16 << 20, 4_096, 1_024);
        assert!(matches!(refused, Err(KvError::Config { field: "txn_ops_max", .. })), "{refused:?}");
        let large = KvConfig { value_bytes_max: 10 << 20, ..KvConfig::default() };
        let value = Bytes::from(vec![0; 9 << 20]);
        let put = |key: &'static str| Mutation::Put {
            path: Path::new("b", key.as_bytes(), 1).expect("a path"),
            value: value.clone(),
            lease: None,
        };
        let txn = |then: Vec<Mutation>| Txn { require: Vec::new(), then };
        assert!(large.check_txn(&txn(vec![put("a")])).is_ok());
        let two = large.check_txn(&txn(vec![put("a"), put("b")]));
        assert!(matches!(two, Err(KvError::TxnTooLarge { limit: VALUES_BYTES_MAX, .. })), "{two:?}");
    }
}
