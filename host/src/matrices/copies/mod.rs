//! Copies of run logs on other nodes, so that a run goes on where its node does not.
//!
//! The node on which a Matrix runs hands what it appends to the holders of copies ([`keeping`]), which write it to a
//! file of their own ([`holder`]). Those in sync are named in the Matrix's record, and have everything that was ever
//! told of the run: nobody hears of a tick, and no player is asked about the next, before they have it. One that does
//! not answer is struck off the record first, and only then left behind; so whom the record names may take over,
//! whatever became of the rest.

pub(crate) mod fetch;
pub(crate) mod holder;
pub(crate) mod keeping;
pub(crate) mod recover;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::holder::Server;
use super::deed::Deed;
use super::error::MatrixError;
use crate::ids::MatrixName;
use crate::p2p::P2p;
use crate::p2p::rpc::Rpc;

/// How long after a failure of the KV it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How long copies may take for what is written as the node stops.
const LAST: Duration = Duration::from_secs(1);

/// Opens the lane on which nodes hand each other run logs.
pub(crate) async fn open(network: &P2p, server: Server) -> Rpc {
    Rpc::open(network, wire::LANE, Arc::new(server)).await
}

/// How far the copies of one run are. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Copies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    matrix: MatrixName,
    /// When this node took the run up.
    since: Instant,
    /// The node stops.
    stopping: CancellationToken,
    /// Bytes of the log that the operating system has; none: it is not known yet where the log ends.
    written: watch::Sender<Option<u64>>,
    /// Counts the checkpoints that were written.
    checkpoints: watch::Sender<u64>,
    stand: watch::Sender<Stand>,
    /// A node that is to have a copy, whoever else has one.
    asked: watch::Sender<Option<u64>>,
}

/// Who has what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stand {
    /// Nodes whose copies are in sync, and how many bytes each has.
    holders: BTreeMap<u64, u64>,
    /// The Matrix was taken from this node.
    taken: bool,
}

impl Copies {
    /// Of a run whose record names these holders.
    pub(crate) fn new(matrix: MatrixName, named: &BTreeSet<u64>, stopping: CancellationToken) -> Self {
        let holders = named.iter().map(|node| (*node, 0)).collect();
        Self(Arc::new(Inner {
            matrix,
            since: Instant::now(),
            stopping,
            written: watch::Sender::new(None),
            checkpoints: watch::Sender::new(0),
            stand: watch::Sender::new(Stand { holders, taken: false }),
            asked: watch::Sender::new(None),
        }))
    }

    /// How long ago this node took the run up.
    fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// The log's first `length` bytes are written.
    pub(crate) fn is_written(&self, length: u64) {
        self.0.written.send_replace(Some(length));
    }

    /// The log's first `length` bytes are written; returns once all copies in sync have them.
    ///
    /// # Errors
    /// `Moved` if the Matrix was taken from this node, `Stopping`.
    pub(crate) async fn settle(&self, length: u64) -> Result<(), MatrixError> {
        self.is_written(length);
        let mut stand = self.0.stand.subscribe();
        let settled = stand.wait_for(|stand| stand.taken || stand.holders.values().all(|has| *has >= length));
        tokio::select! {
            biased;
            // This holds the sender, so there is always one.
            Ok(stand) = settled => match stand.taken {
                true => Err(MatrixError::Moved(self.0.matrix.clone())),
                false => Ok(()),
            },
            () = self.is_over() => Err(MatrixError::Stopping),
        }
    }

    /// The node stops, and copies have had time to take what was last.
    async fn is_over(&self) {
        self.0.stopping.cancelled().await;
        tokio::time::sleep(LAST).await;
    }

    /// What tells that a checkpoint was written.
    pub(crate) fn checkpoints(&self) -> watch::Sender<u64> {
        self.0.checkpoints.clone()
    }

    /// The nodes whose copies are in sync.
    pub(crate) fn in_sync(&self) -> BTreeSet<u64> {
        self.0.stand.borrow().holders.keys().copied().collect()
    }

    /// Waits until a node's copy is in sync.
    pub(crate) async fn reach(&self, node: u64) {
        self.0.asked.send_replace(Some(node));
        let mut stand = self.0.stand.subscribe();
        // This holds the sender, so there is always one.
        let _ = stand.wait_for(|stand| stand.taken || stand.holders.contains_key(&node)).await;
    }

    /// Takes a node off the record, and only then off those that are waited for.
    ///
    /// # Errors
    /// `Moved` if the Matrix was taken from this node.
    async fn strike(&self, deed: &Deed, node: u64) -> Result<(), MatrixError> {
        let matrix = &self.0.matrix;
        loop {
            match deed.change(None, |record| _ = record.copies.remove(&node)).await {
                Ok(()) => break,
                Err(error @ MatrixError::Moved(_)) => return Err(error),
                Err(error) => tracing::info!(%matrix, node, %error, "a copy cannot be struck off yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        self.0.stand.send_modify(|stand| _ = stand.holders.remove(&node));
        Ok(())
    }

    fn set_taken(&self) {
        self.0.stand.send_modify(|stand| stand.taken = true);
    }
}
