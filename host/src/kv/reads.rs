//! Reads: of this node's state as it is, or once one read-index round has confirmed it, one for all reads that queued
//! up during the last one.

use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::config::at_most;
use super::error::KvError;
use super::handle::Kv;
use super::leading::Leading;
use super::raft::Raft;
use super::snapshot::Replica;
use super::stats::Counters;
use super::types::{Consistency, Entry, Look, Page, Path, check_bucket, end_of, join};

/// Reads that may wait for a round; what is more waits outside.
const QUEUE: usize = 4_096;

type Waiting = oneshot::Sender<Result<(), KvError>>;

/// Where reads ask whether this node's state is fresh.
#[derive(Clone)]
pub(super) struct Reads(mpsc::Sender<Waiting>);

/// The task's end of the queue.
pub(super) struct Rounds {
    waiting: mpsc::Receiver<Waiting>,
    raft: Raft,
    leading: Leading,
    timeout: Duration,
    counters: Arc<Counters>,
}

impl Reads {
    pub(super) fn new(
        raft: Raft,
        leading: Leading,
        timeout: Duration,
        counters: Arc<Counters>,
    ) -> (Reads, Rounds) {
        let (sender, waiting) = mpsc::channel(QUEUE);
        (Reads(sender), Rounds { waiting, raft, leading, timeout, counters })
    }

    /// Returns once this node has applied all that was acknowledged, anywhere, before the call.
    pub(super) async fn confirm(&self) -> Result<(), KvError> {
        let (sender, confirmed) = oneshot::channel();
        self.0.send(sender).await.map_err(|_| KvError::Closed)?;
        confirmed.await.map_err(|_| KvError::Closed)?
    }
}

impl Kv {
    /// Reads a key.
    ///
    /// # Errors
    /// `InvalidBucket`, `KeyEmpty`, `KeyTooLarge`; for linearizable reads `Unavailable` or `Closed`.
    pub async fn get(
        &self,
        bucket: &str,
        key: &[u8],
        consistency: Consistency,
    ) -> Result<Option<Entry>, KvError> {
        Ok(self.look(bucket, key, consistency).await?.entry)
    }

    /// Reads a key, and says of which moment the answer is.
    ///
    /// # Errors
    /// As [`Kv::get`].
    pub async fn look(&self, bucket: &str, key: &[u8], consistency: Consistency) -> Result<Look, KvError> {
        let path = self.path(bucket, key)?;
        let replica = self.settled(consistency, 1).await?;
        let entry = replica.state.entries.get(path.bytes()).cloned();
        Ok(Look { entry, log_index: replica.applied_index() })
    }

    /// Reads several keys of a bucket at one moment, at most `range_page_max`; the results are in order of `keys`.
    ///
    /// # Errors
    /// As [`Kv::get`], and `TxnTooLarge`.
    pub async fn get_many(
        &self,
        bucket: &str,
        keys: &[Bytes],
        consistency: Consistency,
    ) -> Result<Vec<Option<Entry>>, KvError> {
        at_most("keys to read", self.parts().0.range_page_max, keys.len())?;
        let paths: Vec<Path> = keys.iter().map(|key| self.path(bucket, key)).collect::<Result<_, _>>()?;
        let replica = self.settled(consistency, paths.len()).await?;
        Ok(paths.iter().map(|path| replica.state.entries.get(path.bytes()).cloned()).collect())
    }

    /// Reads the keys of a bucket from `start` up to, not including, `end` (to the bucket's end where it is `None`),
    /// at most `limit` of them. A page is also ended by the configured bounds; `next` is where the next one starts.
    ///
    /// # Errors
    /// As [`Kv::get`].
    pub async fn range(
        &self,
        bucket: &str,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Page, KvError> {
        check_bucket(bucket)?;
        let (config, _) = self.parts();
        let (from, to) = (join(bucket, start), end.map_or_else(|| end_of(bucket), |end| join(bucket, end)));
        let entries_max = limit.clamp(1, config.range_page_max);
        let replica = self.settled(consistency, 1).await?;
        let (revision, log_index) = (replica.state.revision, replica.applied_index());
        let mut page = Page { entries: Vec::new(), next: None, revision, log_index };
        let mut bytes = 0;
        for (path, entry) in replica.state.entries.from(&from).take_while(|(path, _)| *path < to) {
            let key = Bytes::copy_from_slice(&path[bucket.len() + 1..]);
            bytes += key.len() + entry.value.len();
            let full = page.entries.len() == entries_max || bytes > config.range_page_bytes;
            if full && !page.entries.is_empty() {
                page.next = Some(key);
                break;
            }
            page.entries.push((key, entry.clone()));
        }
        Ok(page)
    }

    /// Returns once this node has applied the log up to `index`.
    ///
    /// # Errors
    /// `Unavailable` where that takes longer than a request may.
    pub async fn wait_for(&self, index: u64) -> Result<(), KvError> {
        let (config, parts) = self.parts();
        let waiting = parts.raft.wait(Some(config.request_timeout()));
        let applied = waiting.applied_index_at_least(Some(index), "what was written").await;
        applied.map(drop).map_err(|_| KvError::Unavailable("the state machine lags behind the log".into()))
    }

    /// This node's state, as fresh as `consistency` asks, for `reads` reads.
    async fn settled(
        &self,
        consistency: Consistency,
        reads: usize,
    ) -> Result<RwLockReadGuard<'_, Replica>, KvError> {
        let (_, parts) = self.parts();
        match consistency {
            Consistency::Local => {}
            Consistency::Linearizable => parts.reads.confirm().await?,
        }
        parts.shared.counters.reads.add(reads as u64);
        Ok(parts.shared.read())
    }
}

impl Rounds {
    /// Runs rounds until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(QUEUE);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                received = self.waiting.recv_many(&mut batch, QUEUE) => if received == 0 { return },
            }
            let outcome = self.round().await;
            self.counters.read_rounds.add(1);
            for waiting in batch.drain(..) {
                // A reader that went away needs no answer.
                drop(waiting.send(outcome.clone()));
            }
        }
    }

    /// Asks the leader, which may be this node, how far the state must be, and waits until it is.
    async fn round(&self) -> Result<(), KvError> {
        let index = self.leading.read_index().await?;
        let applied = self.raft.wait(Some(self.timeout)).applied_index_at_least(Some(index), "a read").await;
        applied.map_err(|_| KvError::Unavailable("the state machine lags behind the log".into()))?;
        Ok(())
    }
}
