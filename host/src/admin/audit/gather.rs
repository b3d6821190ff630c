//! Attempts that come at the same time are written by one call of the system.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use matrix_proto::audit::Entry;
use tokio::sync::oneshot;
use tonic::Status;

use super::super::convert;
use super::{Attempt, Log};

/// Who waits for an attempt to be written.
type Waits = oneshot::Sender<Result<Attempt, Status>>;

/// Attempts of which room is kept from one write to the next.
const KEPT_MAX: usize = 512;

/// Attempts that are not written yet, and who waits for that, in the same order.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    waiting: Vec<Waits>,
}

/// What is to be written, by the thread whose calls it is of: each writes for its own, and wakes nobody elsewhere.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    batches: Vec<(ThreadId, Batch)>,
    /// An empty one, for its memory: new room of this size would be new pages from the system each time.
    spare: Batch,
}

impl Gathered {
    /// True: it is the thread's first that waits.
    fn put(&mut self, thread: ThreadId, entry: Entry, waits: Waits) -> bool {
        let known = self.batches.iter().position(|(of, _)| *of == thread);
        let place = known.unwrap_or_else(|| {
            self.batches.push((thread, std::mem::take(&mut self.spare)));
            self.batches.len() - 1
        });
        let (_, batch) = &mut self.batches[place];
        batch.entries.push(entry);
        batch.waiting.push(waits);
        known.is_none()
    }

    fn take(&mut self, thread: ThreadId) -> Batch {
        let place = self.batches.iter().position(|(of, _)| *of == thread);
        place.map(|place| self.batches.swap_remove(place).1).unwrap_or_default()
    }

    /// Keeps the room of a batch from which all was taken.
    fn give_back(&mut self, mut emptied: Batch) {
        emptied.entries.shrink_to(KEPT_MAX);
        emptied.waiting.shrink_to(KEPT_MAX);
        self.spare = emptied;
    }
}

/// Writes what was gathered for a thread when it is dropped, also where the call that was to do it is given up.
struct Writer {
    log: Arc<Log>,
    thread: ThreadId,
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut batch = self.log.book().gathered.take(self.thread);
        let begun = self.log.begin(&mut batch.entries);
        // An attempt whose caller has gone away is dropped, which is its outcome.
        for (entry, waits) in batch.entries.drain(..).zip(batch.waiting.drain(..)) {
            drop(waits.send(match &begun {
                Ok(()) => Ok(Attempt::begun(&self.log, entry)),
                Err(refused) => Err(refused.clone()),
            }));
        }
        self.log.book().gathered.give_back(batch);
    }
}

/// Writes an attempt, together with those that other calls of this thread make until it comes to that.
pub(super) async fn write(log: &Arc<Log>, entry: Entry) -> Result<Attempt, Status> {
    let (written, waits) = oneshot::channel();
    let thread = thread::current().id();
    let is_first = log.book().gathered.put(thread, entry, written);
    if is_first {
        let writer = Writer { log: Arc::clone(log), thread };
        // Whoever else has a call that is read already goes first.
        tokio::task::yield_now().await;
        drop(writer);
    }
    waits.await.unwrap_or_else(|_| Err(convert::stopping()))
}
