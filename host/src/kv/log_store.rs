//! Raft's log: recent entries in memory, all on disk. An entry can be read as soon as `append` returns, and is
//! reported written only after the writer's fsync.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::{mpsc, oneshot};

use super::raft::{LogEntry, LogId, TypeConfig, Vote, size_in_memory};
use super::store::{Meta, Store};
use super::writer::Write;

/// Entries kept in memory after they are on disk: what followers and the state machine are about to read.
const TAIL_ENTRIES_MAX: usize = 8_192;
/// Bytes kept in memory after they are on disk.
const TAIL_BYTES_MAX: usize = 32 << 20;

/// A handle on the log; the copies share one log.
#[derive(Clone)]
pub(super) struct LogStore {
    store: Arc<Store>,
    shared: Arc<SharedTail>,
    writes: mpsc::Sender<Write>,
}

/// The part of the log that is in memory, shared with the writer.
pub(super) struct SharedTail(RwLock<Tail>);

/// The end of the log, without gaps, and what is known about the whole.
pub(super) struct Tail {
    entries: VecDeque<LogEntry>,
    /// Index of the first entry in memory; all before it are on disk or purged.
    first: u64,
    /// Entries before this index are on disk.
    flushed: u64,
    bytes: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

impl SharedTail {
    pub(super) fn new(meta: &Meta) -> SharedTail {
        let first = meta.last.map_or(0, |last| last.index + 1);
        SharedTail(RwLock::new(Tail {
            entries: VecDeque::new(),
            first,
            flushed: first,
            bytes: 0,
            last: meta.last,
            purged: meta.purged,
            vote: meta.vote,
            committed: meta.committed,
        }))
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Tail> {
        self.0.write().expect("no code panics while it holds the tail")
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tail> {
        self.0.read().expect("no code panics while it holds the tail")
    }
}

impl Tail {
    pub(super) fn committed(&self) -> Option<LogId> {
        self.committed
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

    fn push(&mut self, entry: LogEntry) -> io::Result<()> {
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
    fn truncate_after(&mut self, last: Option<LogId>) {
        let from = last.map_or(0, |last| last.index + 1);
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
    fn purge(&mut self, upto: LogId) {
        while self.first <= upto.index && !self.entries.is_empty() {
            self.drop_first();
        }
        self.first = self.first.max(upto.index + 1);
        self.flushed = self.flushed.max(upto.index + 1);
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    /// The entries in memory from `from` up to, not including, `to`.
    fn range(&self, from: u64, to: u64) -> Vec<LogEntry> {
        let place = |index: u64| {
            usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.entries.len())
        };
        let (from, to) = (place(from), place(to));
        self.entries.range(from..to.max(from)).cloned().collect()
    }
}

impl LogStore {
    pub(super) fn new(store: Arc<Store>, shared: Arc<SharedTail>, writes: mpsc::Sender<Write>) -> LogStore {
        LogStore { store, shared, writes }
    }

    async fn send(&self, write: Write) -> io::Result<()> {
        self.writes.send(write).await.map_err(|_| writer_is_gone())
    }

    /// Has the writer do something, and waits until it is on disk.
    async fn and_wait(&self, write: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Write) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        self.send(write(done)).await?;
        finished.await.map_err(|_| writer_is_gone())?
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<LogEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        // Memory first: entries only ever move from memory to disk, so none is missed between the two.
        let (mut recent, on_disk_from, on_disk_to) = {
            let tail = self.shared.read();
            let kept_from = tail.purged.map_or(0, |purged| purged.index + 1);
            (tail.range(from, to), from.max(kept_from), to.min(tail.first))
        };
        if on_disk_from >= on_disk_to {
            return Ok(recent);
        }
        let mut entries = self.store.read(on_disk_from, on_disk_to)?;
        entries.append(&mut recent);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.read().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let tail = self.shared.read();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.and_wait(|done| Write::Vote { vote, done }).await?;
        // Readers see a vote only once it is on disk.
        self.shared.write().vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // It goes to disk with the next transaction: it only saves a restarted node from waiting for the realm.
        self.shared.write().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.read().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        let encode = |entry: &LogEntry| {
            let index = entry.log_id().index;
            self.store.encode(entry, index).map(|row| (index, row))
        };
        let rows = entries.iter().map(encode).collect::<io::Result<Vec<_>>>()?;
        {
            let mut tail = self.shared.write();
            entries.into_iter().try_for_each(|entry| tail.push(entry))?;
        }
        self.send(Write::Append { rows, callback }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.shared.write().truncate_after(last);
        let from = last.map_or(0, |last| last.index + 1);
        self.and_wait(|done| Write::Truncate { from, done }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        // On disk first: a crash between must not leave a reader with entries missing that nothing replaces.
        self.and_wait(|done| Write::Purge { upto, done }).await?;
        self.shared.write().purge(upto);
        Ok(())
    }
}

fn writer_is_gone() -> io::Error {
    io::Error::other("the log's writer has stopped")
}
