//! The one thread that writes the log. What queued up while a fsync ran goes into the next transaction, in order:
//! one fsync serves as many writes as came meanwhile.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;
use tokio::sync::{mpsc, oneshot};

use super::config::OnFatal;
use super::error::KvError;
use super::log_store::SharedTail;
use super::raft::{LogId, TypeConfig, Vote};
use super::stats::Counters;
use super::store::{Changes, Store};

/// Writes that may queue before the thread; Raft's core waits beyond it.
const QUEUE: usize = 1_024;
/// Bytes in one transaction after which the rest waits for the next.
const TRANSACTION_BYTES: usize = 16 << 20;
/// Purged rows removed with each transaction, beside two for every row written: the log never outgrows its purging,
/// and no transaction is held up by it.
const SWEEP_ROWS: usize = 64;

/// What the thread is asked to write.
pub(super) enum Write {
    Append {
        rows: Vec<(u64, Vec<u8>)>,
        callback: IOFlushed<TypeConfig>,
    },
    Vote {
        vote: Vote,
        done: oneshot::Sender<io::Result<()>>,
    },
    Truncate {
        from: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
    Purge {
        upto: LogId,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// Writes what is left to write, and ends the thread.
    Stop,
}

/// Whom to tell once a transaction is on disk, and what the tail then knows.
enum Waiting {
    Append { to: u64, callback: IOFlushed<TypeConfig> },
    Truncate { from: u64, done: oneshot::Sender<io::Result<()>> },
    Other { done: oneshot::Sender<io::Result<()>> },
}

struct Thread {
    store: Arc<Store>,
    tail: Arc<SharedTail>,
    writes: mpsc::Receiver<Write>,
    counters: Arc<Counters>,
    on_fatal: OnFatal,
    saved_committed: Option<LogId>,
}

/// Starts the thread; it ends on [`Write::Stop`], or once nobody can send any more.
pub(super) fn start(
    store: Arc<Store>,
    tail: Arc<SharedTail>,
    counters: Arc<Counters>,
    on_fatal: OnFatal,
) -> Result<(mpsc::Sender<Write>, JoinHandle<()>), KvError> {
    let (sender, writes) = mpsc::channel(QUEUE);
    let saved_committed = tail.read().committed();
    let thread = Thread { store, tail, writes, counters, on_fatal, saved_committed };
    let handle = std::thread::Builder::new()
        .name("kv-writer".into())
        .spawn(move || thread.run())
        .map_err(|error| KvError::io("starting the log's writer", error))?;
    Ok((sender, handle))
}

impl Thread {
    fn run(mut self) {
        let mut failure: Option<String> = None;
        while let Some(first) = self.writes.blocking_recv() {
            let (changes, waiting, stop) = self.gather(first);
            // After a failed fsync nobody knows what is on disk: nothing is tried again, all is refused.
            if failure.is_none()
                && let Err(error) = self.write(&changes)
            {
                let reason = format!("writing the log failed: {error}");
                (self.on_fatal.0)(reason.clone());
                failure = Some(reason);
            }
            self.report(waiting, failure.as_deref());
            if stop {
                break;
            }
        }
    }

    /// Collects all that is queued, in order, as far as it fits one transaction.
    fn gather(&mut self, first: Write) -> (Changes, Vec<Waiting>, bool) {
        let mut changes = Changes::default();
        let mut waiting = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(write) = next {
            match write {
                Write::Append { mut rows, callback } => {
                    bytes += rows.iter().map(|(_, row)| row.len()).sum::<usize>();
                    let to = rows.last().map_or(0, |(index, _)| index + 1);
                    changes.rows.append(&mut rows);
                    waiting.push(Waiting::Append { to, callback });
                }
                Write::Vote { vote, done } => {
                    changes.vote = Some(vote);
                    waiting.push(Waiting::Other { done });
                }
                Write::Truncate { from, done } => {
                    // Rows collected before are cut here, so that removing goes before writing in the transaction.
                    changes.rows.retain(|(index, _)| *index < from);
                    changes.truncate_from =
                        Some(changes.truncate_from.map_or(from, |earlier| earlier.min(from)));
                    waiting.push(Waiting::Truncate { from, done });
                }
                Write::Purge { upto, done } => {
                    changes.purged = changes.purged.max(Some(upto));
                    waiting.push(Waiting::Other { done });
                }
                Write::Stop => return (self.complete(changes), waiting, true),
            }
            if bytes >= TRANSACTION_BYTES {
                break;
            }
            next = self.writes.try_recv().ok();
        }
        (self.complete(changes), waiting, false)
    }

    /// Adds what goes along with every transaction.
    fn complete(&mut self, mut changes: Changes) -> Changes {
        let committed = self.tail.read().committed();
        if committed != self.saved_committed {
            changes.committed = committed;
            self.saved_committed = committed;
        }
        changes.sweep = SWEEP_ROWS + 2 * changes.rows.len();
        changes
    }

    fn write(&self, changes: &Changes) -> Result<(), redb::Error> {
        self.store.commit(changes)?;
        self.counters.fsyncs.add(1);
        self.counters.log_entries_written.add(changes.rows.len() as u64);
        self.counters.log_bytes_written.add(changes.rows.iter().map(|(_, row)| row.len() as u64).sum());
        self.counters.batch_max.raise_to(changes.rows.len() as u64);
        Ok(())
    }

    fn report(&self, waiting: Vec<Waiting>, failure: Option<&str>) {
        let result = || failure.map_or(Ok(()), |reason| Err(io::Error::other(reason.to_owned())));
        for waiting in waiting {
            match waiting {
                Waiting::Append { to, callback } => {
                    if failure.is_none() {
                        self.tail.write().flushed_to(to);
                    }
                    callback.io_completed(result());
                }
                Waiting::Truncate { from, done } => {
                    self.tail.write().flushed_to(from);
                    tell(done, result());
                }
                Waiting::Other { done } => tell(done, result()),
            }
        }
    }
}

/// Whoever asked may have been dropped meanwhile; what is on disk is on disk.
fn tell(done: oneshot::Sender<io::Result<()>>, result: io::Result<()>) {
    drop(done.send(result));
}
