//! Linearizable reads: one read-index round for all reads that queued up during the last one.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::KvError;
use super::raft::Raft;
use super::stats::Counters;

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
    timeout: Duration,
    counters: Arc<Counters>,
}

impl Reads {
    pub(super) fn new(raft: Raft, timeout: Duration, counters: Arc<Counters>) -> (Reads, Rounds) {
        let (sender, waiting) = mpsc::channel(QUEUE);
        (Reads(sender), Rounds { waiting, raft, timeout, counters })
    }

    /// Returns once this node has applied all that was acknowledged, anywhere, before the call.
    pub(super) async fn confirm(&self) -> Result<(), KvError> {
        let (sender, confirmed) = oneshot::channel();
        self.0.send(sender).await.map_err(|_| KvError::Closed)?;
        confirmed.await.map_err(|_| KvError::Closed)?
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

    async fn round(&self) -> Result<(), KvError> {
        let round = async {
            let linearizer = self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await.map_err(explain)?;
            let ready = linearizer.try_await_ready(&self.raft, Some(self.timeout)).await;
            match ready {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) => Err(KvError::Unavailable("the state machine lags behind the log".into())),
                Err(fatal) => Err(KvError::Unavailable(fatal.to_string())),
            }
        };
        let timed_out = |_| KvError::Unavailable("no quorum confirmed the read in time".into());
        tokio::time::timeout(self.timeout, round).await.map_err(timed_out)?
    }
}

fn explain(
    error: RaftError<super::raft::TypeConfig, LinearizableReadError<super::raft::TypeConfig>>,
) -> KvError {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            KvError::NotLeader { leader: forward.leader_id }
        }
        other => KvError::Unavailable(other.to_string()),
    }
}
