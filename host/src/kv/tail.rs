//! The part of the log that is in memory: its end, and all that is not yet on disk.

use std::collections::VecDeque;
use std::io;

use openraft::entry::RaftEntry;

use super::raft::{LogEntry, LogId, Vote, size_in_memory};
use super::wal::{Known, Wanted, next_of};

/// Entries kept in memory after they are on disk: what followers and the state machine are about to read.
const TAIL_ENTRIES_MAX: usize = 8_192;
/// Bytes kept in memory after they are on disk.
const TAIL_BYTES_MAX: usize = 32 << 20;

/// The end of the log, without gaps, and what is known about the whole.
pub(super) struct Tail {
    entries: VecDeque<LogEntry>,
    /// Index of the first entry in memory; all before it are on disk or purged.
    pub(super) first: u64,
    /// Entries before this index are on disk.
    flushed: u64,
    bytes: usize,
    pub(super) last: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
}

impl Tail {
    pub(super) fn new(known: &Known) -> Tail {
        let first = next_of(known.last);
        Tail {
            entries: VecDeque::new(),
            first,
            flushed: first,
            bytes: 0,
            last: known.last,
            purged: known.purged,
            vote: known.vote,
            committed: known.committed,
        }
    }

    /// Notes that entries before `flushed` are on disk, and lets go of those that need not stay in memory.
    pub(super) fn flushed_to(&mut self, flushed: u64) {
        self.flushed = flushed;
        while self.first < self.flushed
            && (self.entries.len() > TAIL_ENTRIES_MAX || self.bytes > TAIL_BYTES_MAX)
        {
            self.drop_first();
        }
    }

    pub(super) fn push(&mut self, entry: LogEntry) -> io::Result<()> {
        let id = entry.log_id();
        if self.entries.is_empty() {
            self.first = id.index;
        } else if id.index != self.first + self.entries.len() as u64 {
            return Err(io::Error::other(format!("the log would have a gap before entry {}", id.index)));
        }
        self.bytes += size_in_memory(&entry);
        self.last = Some(id);
        self.entries.push_back(entry);
        Ok(())
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= size_in_memory(&entry);
            self.first += 1;
        }
    }

    /// Forgets the entries after `last`.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) {
        let from = next_of(last);
        while self.first + self.entries.len() as u64 > from
            && let Some(entry) = self.entries.pop_back()
        {
            self.bytes -= size_in_memory(&entry);
        }
        self.first = self.first.min(from);
        self.flushed = self.flushed.min(from);
        if self.last.is_some_and(|present| present.index >= from) {
            self.last = last.max(self.purged);
        }
    }

    /// Forgets the entries up to `upto`.
    pub(super) fn purge(&mut self, upto: LogId) {
        while self.first <= upto.index && !self.entries.is_empty() {
            self.drop_first();
        }
        self.first = self.first.max(upto.index + 1);
        self.flushed = self.flushed.max(upto.index + 1);
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    /// Adds the entries in memory that are wanted next, and none where the next one is not in memory.
    pub(super) fn read(&self, wanted: &mut Wanted) {
        let place = |index: u64| usize::try_from(index - self.first).unwrap_or(usize::MAX);
        let Some(mut at) = (wanted.next() >= self.first).then(|| place(wanted.next())) else { return };
        while let Some(entry) = self.entries.get(at)
            && wanted.has_room(size_in_memory(entry))
        {
            wanted.push(entry.clone(), size_in_memory(entry));
            at += 1;
        }
    }
}
