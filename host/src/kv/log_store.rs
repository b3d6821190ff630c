//! Raft's log: recent entries in memory, all on disk. An entry can be read as soon as `append` returns, and is
//! reported written only after the sync of the frame that holds it.
//!
//! What is appended waits for the next frame. `Log::run` writes it as soon as Raft has done what it had to do, on
//! Raft's own thread: handing it to another one and back would cost more than a good disk's sync. What comes
//! meanwhile goes into the frame after: one sync serves as many writes as queued up. Heartbeats wait for it too, as
//! they must: a leader whose disk has stopped is none.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::Notify;

use super::config::OnFatal;
use super::raft::{LogEntry, LogId, TypeConfig, Vote};
use super::stats::Counters;
use super::tail::Tail;
use super::wal::{Batch, Wal, Wanted, next_of};
use crate::tasks::alert;

/// Bytes that wait for a frame after which it is written at once.
const FRAME_BYTES: usize = 16 << 20;

/// Bytes of entries that are sent to a follower at a time; a longer one goes alone. A slow link has them over soon, and
/// what was written together need not be read often.
const SENT_BYTES: usize = 512 << 10;

/// Turns that the other tasks of this thread have before a frame is written: what is appended goes from Raft's core to a
/// task for each follower, and from there into its stream.
const TURNS: usize = 4;
/// The same where there are no followers: a turn in which nobody has anything to do asks the system all the same.
const TURNS_ALONE: usize = 1;

/// A handle on the log; the copies share one log.
#[derive(Clone)]
pub(super) struct LogStore(Arc<Log>);

/// The log. Locks are taken in the order of the fields.
pub(super) struct Log {
    disk: Mutex<OnDisk>,
    waiting: Mutex<Waiting>,
    tail: RwLock<Tail>,
    /// Bytes of entries that are on their way here.
    admitted: Arc<AtomicU64>,
    /// Bytes of entries that can be written without asking the disk for more.
    room: AtomicU64,
    /// Something waits for the next frame.
    work: Notify,
    /// Whether other nodes are to have what is appended.
    has_followers: AtomicBool,
    counters: Arc<Counters>,
    on_fatal: OnFatal,
}

/// Entries on their way into the log. It does not keep the log open.
pub(super) struct Admitted {
    all: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct OnDisk {
    wal: Wal,
    /// After a failed write or sync nobody knows what is on disk: nothing is tried again, all is refused.
    failure: Option<String>,
    /// An empty batch, for its memory.
    spare: Batch,
}

/// What goes into the next frame, and whom to tell.
#[derive(Default)]
struct Waiting {
    batch: Batch,
    callbacks: Vec<IOFlushed<TypeConfig>>,
}

impl Log {
    pub(super) fn new(wal: Wal, counters: Arc<Counters>, on_fatal: OnFatal) -> Arc<Log> {
        let tail = RwLock::new(Tail::new(&wal.known()));
        let room = AtomicU64::new(wal.room());
        let disk = Mutex::new(OnDisk { wal, failure: None, spare: Batch::default() });
        let (waiting, admitted, work) = (Mutex::default(), Arc::default(), Notify::new());
        let has_followers = AtomicBool::new(true);
        Arc::new(Log { disk, waiting, tail, admitted, room, work, has_followers, counters, on_fatal })
    }

    /// Writes what waits, whenever something does. It never ends; where it is dropped, [`Log::flush`] is what is left
    /// to do.
    pub(super) async fn run(&self) {
        loop {
            self.work.notified().await;
            alert::stir();
            // Whoever else is ready on this thread goes first: Raft may append more, followers be sent what is
            // already there, so that their disks work while this one does, and answers to what was written before go
            // out.
            let turns = if self.has_followers.load(Ordering::Relaxed) { TURNS } else { TURNS_ALONE };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            // Whom it fails is told by the callbacks.
            drop(self.flush());
        }
    }

    /// Index of the last entry without which the log has `kept` bytes still; none: all are needed for that.
    pub(super) fn beyond(&self, kept: u64) -> Option<u64> {
        self.disk().wal.beyond(kept)
    }

    /// Says whether other nodes are to have what is appended.
    pub(super) fn set_has_followers(&self, has_followers: bool) {
        self.has_followers.store(has_followers, Ordering::Relaxed);
    }

    /// Writes all that waits, in one frame, and tells those who wait for it.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let OnDisk { wal, failure, spare } = &mut *disk;
        let Waiting { mut batch, callbacks } = {
            let mut waiting = self.waiting();
            let batch = std::mem::replace(&mut waiting.batch, std::mem::take(spare));
            Waiting { batch, callbacks: std::mem::take(&mut waiting.callbacks) }
        };
        let failed_before = failure.is_some();
        if failure.is_none() && !batch.is_empty() {
            let committed = self.tail().committed;
            if let Some(id) = committed.filter(|_| committed != wal.known().committed) {
                batch.committed(id);
            }
            if let Err(error) = wal.write(&mut batch) {
                *failure = Some(format!("writing the log failed: {error}"));
            } else {
                self.count(&batch);
                self.tail_mut().flushed_to(next_of(wal.known().last));
                self.room.store(wal.room(), Ordering::Relaxed);
            }
        }
        batch.clear();
        *spare = batch;
        let failure = failure.clone();
        drop(disk);
        let result = || failure.clone().map_or(Ok(()), |reason| Err(io::Error::other(reason)));
        if let Some(reason) = failure.clone().filter(|_| !failed_before) {
            (self.on_fatal.0)(reason);
        }
        for callback in callbacks {
            callback.io_completed(result());
        }
        result()
    }

    /// Takes so many bytes of entries in, which are written before what is returned is dropped; refuses them where there
    /// is no room for them on the disk, and none can be had. It may be called on any thread, and waits for the disk only
    /// near the end of the log's file.
    pub(super) fn admit(&self, bytes: u64) -> io::Result<Admitted> {
        let admitted = Admitted { all: Arc::clone(&self.admitted), bytes };
        let under_way = self.admitted.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = under_way + self.waiting().batch.bytes() as u64;
        if bytes > 0 && all > self.room.load(Ordering::Relaxed) {
            let OnDisk { wal, failure, .. } = &mut *self.disk();
            if failure.is_none() {
                let made = wal.make_room(all);
                self.room.store(wal.room(), Ordering::Relaxed);
                made?;
            }
        }
        Ok(admitted)
    }

    /// Makes room for what is to be written next. Where it fails there is none to be had.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let OnDisk { wal, failure, .. } = &mut *self.disk();
        if failure.is_some() {
            return Ok(());
        }
        let prepared = wal.prepare();
        self.room.store(wal.room(), Ordering::Relaxed);
        prepared
    }

    /// Forgets the entries up to `upto`, on disk first: a crash between must not leave a reader with entries missing
    /// that nothing replaces.
    fn purge(&self, upto: LogId) -> io::Result<()> {
        self.flush()?;
        let mut disk = self.disk();
        let purged = disk.wal.purge(upto).map_err(|error| format!("purging the log failed: {error}"));
        disk.failure = purged.clone().err();
        drop(disk);
        if let Err(reason) = purged {
            (self.on_fatal.0)(reason.clone());
            return Err(io::Error::other(reason));
        }
        self.tail_mut().purge(upto);
        Ok(())
    }

    fn count(&self, batch: &Batch) {
        self.counters.fsyncs.add(1);
        self.counters.log_entries_written.add(batch.entries());
        self.counters.log_bytes_written.add(batch.bytes() as u64);
        self.counters.batch_max.raise_to(batch.entries());
    }

    fn disk(&self) -> MutexGuard<'_, OnDisk> {
        self.disk.lock().expect("no code panics while it holds the log's files")
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics while it holds what waits")
    }

    fn tail_mut(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().expect("no code panics while it holds the tail")
    }

    /// What is wanted, as far as it is there.
    pub(super) fn read(&self, mut wanted: Wanted) -> io::Result<Vec<LogEntry>> {
        loop {
            let in_memory = {
                let tail = self.tail();
                wanted.skip_to(next_of(tail.purged));
                tail.read(&mut wanted);
                tail.first
            };
            let before = wanted.next();
            if wanted.is_met() || before >= in_memory {
                return Ok(wanted.into_entries());
            }
            // What is not in memory is on the disk: entries only ever move from the one to the other.
            self.disk().wal.read(in_memory, &mut wanted)?;
            if wanted.next() == before {
                // Nor is it there: the log begins in memory.
                wanted.skip_to(in_memory);
            }
        }
    }

    fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().expect("no code panics while it holds the tail")
    }
}

impl LogStore {
    pub(super) fn new(log: Arc<Log>) -> LogStore {
        LogStore(log)
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
        self.0.read(Wanted::new(from..to, usize::MAX))
    }

    async fn limited_get_log_entries(&mut self, from: u64, to: u64) -> io::Result<Vec<LogEntry>> {
        self.0.read(Wanted::new(from..to, SENT_BYTES))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.tail().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let tail = self.0.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.0.waiting().batch.vote(vote);
        self.0.flush()?;
        // Readers see a vote only once it is on disk.
        self.0.tail_mut().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // It goes to disk with the next frame: it only saves a restarted node from waiting for the realm.
        self.0.tail_mut().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        for entry in entries {
            let mut waiting = self.0.waiting();
            waiting.batch.entry(&entry)?;
            let is_full = waiting.batch.bytes() >= FRAME_BYTES;
            drop(waiting);
            self.0.tail_mut().push(entry)?;
            if is_full {
                self.0.flush()?;
            }
        }
        self.0.waiting().callbacks.push(callback);
        self.0.work.notify_one();
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.0.tail_mut().truncate_after(last);
        // Nothing may follow a truncation in its frame: see `Wal::write`.
        self.0.waiting().batch.truncate(last);
        self.0.flush()
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.0.purge(upto)
    }
}
