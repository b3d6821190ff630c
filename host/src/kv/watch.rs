//! Watches: the changes of a bucket as they happen, from any revision still kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::WatchError;
use super::machine::Shared;
use super::types::{Change, check_bucket, join};

/// The changes of the keys of one bucket that begin with one prefix, in order of revision, each once.
///
/// A watch reads from the store's history when it is polled; one that is polled rarely costs nobody anything. When
/// the history no longer holds what it has not seen, it yields [`WatchError::Lagged`] once, saying what it missed,
/// and goes on with the oldest change kept. The stream ends when the store is closed.
pub struct Watch {
    changes: Pin<Box<dyn Stream<Item = Result<Change, WatchError>> + Send>>,
}

impl Stream for Watch {
    type Item = Result<Change, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.as_mut().poll_next(context)
    }
}

/// Where a watch stands.
struct Cursor {
    shared: Arc<Shared>,
    closed: CancellationToken,
    bell: watch::Receiver<u64>,
    /// What the bytes of the paths watched begin with.
    prefix: Bytes,
    /// The first revision not looked at.
    next: u64,
    /// Changes that one look may take.
    buffer: usize,
    ready: VecDeque<Arc<Change>>,
}

/// Watches the keys of `bucket` that begin with `prefix`, from revision `from` on, or from now on.
pub(super) fn open(
    shared: &Arc<Shared>,
    closed: CancellationToken,
    buffer: usize,
    (bucket, prefix): (&str, &[u8]),
    from: Option<u64>,
) -> Result<Watch, WatchError> {
    check_bucket(bucket).map_err(|_| WatchError::InvalidBucket)?;
    // Subscribed before the history is looked at: what happens in between wakes the watch.
    let bell = shared.bells.of(bucket);
    let replica = shared.read();
    let history = &replica.state.history;
    let next = from.unwrap_or(history.next());
    if next < history.oldest() {
        return Err(WatchError::Compacted { oldest: history.oldest() });
    }
    drop(replica);
    let cursor = Cursor {
        shared: Arc::clone(shared),
        closed,
        bell,
        prefix: join(bucket, prefix),
        next,
        buffer,
        ready: VecDeque::new(),
    };
    let changes = stream::unfold(cursor, |mut cursor| async move {
        let item = cursor.next().await?;
        Some((item, cursor))
    });
    Ok(Watch { changes: Box::pin(changes) })
}

impl Cursor {
    /// The next change; `None` once the store is closed.
    async fn next(&mut self) -> Option<Result<Change, WatchError>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some(Ok(Change::clone(&change)));
            }
            self.bell.borrow_and_update();
            match self.look() {
                Err(lagged) => return Some(Err(lagged)),
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        biased;
                        () = self.closed.cancelled() => return None,
                        changed = self.bell.changed() => changed.ok()?,
                    }
                }
            }
        }
    }

    /// Takes what the history holds for this watch, up to the buffer; false where there was nothing to look at.
    fn look(&mut self) -> Result<bool, WatchError> {
        let replica = self.shared.read();
        let history = &replica.state.history;
        if self.next < history.oldest() {
            let lagged = WatchError::Lagged { missed_from: self.next, resumed_at: history.oldest() };
            self.next = history.oldest();
            self.shared.counters.watch_lags.add(1);
            return Err(lagged);
        }
        let mut looked = false;
        // Bounded by changes looked at, not only by changes taken: the lock is held meanwhile.
        for change in history.since(self.next).take(self.buffer) {
            looked = true;
            self.next = change.revision + 1;
            if change.path.bytes().starts_with(&self.prefix) {
                self.ready.push_back(Arc::clone(change));
            }
        }
        Ok(looked)
    }
}
