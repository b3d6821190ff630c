//! What a read of the log asks for, and what it has found.

use std::ops::Range;

use openraft::entry::RaftEntry as _;

use crate::kv::raft::LogEntry;

/// Entries of the log that are being gathered, in order.
pub(in crate::kv) struct Wanted {
    /// The indexes that are still to come.
    range: Range<u64>,
    /// The bytes of entries that may still come.
    bytes: usize,
    is_full: bool,
    entries: Vec<LogEntry>,
}

impl Wanted {
    /// The entries in `range`, as many of the first as have `bytes` together; one at least.
    pub(in crate::kv) fn new(range: Range<u64>, bytes: usize) -> Self {
        Self { range, bytes, is_full: false, entries: Vec::new() }
    }

    /// Index of the entry that comes next.
    pub(in crate::kv) fn next(&self) -> u64 {
        self.range.start
    }

    /// There is nothing before `index`.
    pub(in crate::kv) fn skip_to(&mut self, index: u64) {
        self.range.start = self.range.start.max(index);
    }

    /// Whether nothing more is wanted.
    pub(in crate::kv) fn is_met(&self) -> bool {
        self.is_full || self.range.is_empty()
    }

    /// Whether the next entry, which has `bytes`, is wanted. Where it has no room any more nothing is, from now on.
    pub(in crate::kv) fn has_room(&mut self, bytes: usize) -> bool {
        self.is_full |= !self.entries.is_empty() && bytes > self.bytes;
        !self.is_met()
    }

    /// Takes an entry of `bytes`, which is the next one, or the first that there is.
    pub(in crate::kv) fn push(&mut self, entry: LogEntry, bytes: usize) {
        self.range.start = entry.index() + 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries.push(entry);
    }

    /// What was found.
    pub(in crate::kv) fn into_entries(self) -> Vec<LogEntry> {
        self.entries
    }
}
