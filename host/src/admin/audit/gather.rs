//! Attempts that come at the same time are written by one call of the system.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use matrix_proto::audit::Entry;
use tokio::sync::oneshot;
use tonic::Status;

use super::super::convert;
use super::{Attempt, Audit, Log};

/// An attempt that is not written yet, and who waits for that.
type Waiting = (Entry, oneshot::Sender<Result<Attempt, Status>>);

/// What is to be written, by the thread whose calls it is of: each writes for its own, and wakes nobody elsewhere.
#[derive(Debug, Default)]
pub(super) struct Gathered(Vec<(ThreadId, Vec<Waiting>)>);

impl Gathered {
    fn put(&mut self, thread: ThreadId, waiting: Waiting) -> bool {
        if let Some((_, gathered)) = self.0.iter_mut().find(|(of, _)| *of == thread) {
            gathered.push(waiting);
            return false;
        }
        self.0.push((thread, vec![waiting]));
        true
    }

    fn take(&mut self, thread: ThreadId) -> Vec<Waiting> {
        let place = self.0.iter().position(|(of, _)| *of == thread);
        place.map(|place| self.0.swap_remove(place).1).unwrap_or_default()
    }
}

/// Writes what was gathered for a thread when it is dropped, also where the call that was to do it is given up.
struct Writer {
    log: Arc<Log>,
    thread: ThreadId,
}

impl Drop for Writer {
    fn drop(&mut self) {
        let gathered = self.log.book().gathered.take(self.thread);
        let (entries, waiting): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        // An attempt whose caller has gone away is dropped, which is its outcome.
        match Audit(Arc::clone(&self.log)).attempts(entries) {
            Ok(attempts) => waiting.into_iter().zip(attempts).for_each(|(waits, attempt)| {
                drop(waits.send(Ok(attempt)));
            }),
            Err(refused) => waiting.into_iter().for_each(|waits| drop(waits.send(Err(refused.clone())))),
        }
    }
}

/// Writes an attempt, together with those that other calls of this thread make until it comes to that.
pub(super) async fn write(log: &Arc<Log>, entry: Entry) -> Result<Attempt, Status> {
    let (written, waits) = oneshot::channel();
    let thread = thread::current().id();
    let is_first = log.book().gathered.put(thread, (entry, written));
    if is_first {
        let writer = Writer { log: Arc::clone(log), thread };
        // Whoever else has a call that is read already goes first.
        tokio::task::yield_now().await;
        drop(writer);
    }
    waits.await.unwrap_or_else(|_| Err(convert::stopping()))
}
