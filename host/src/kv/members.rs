//! Who takes part in the log: seen from every node, changed on the leader.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::BasicNode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::KvError;
use super::handle::Kv;
use super::raft::{Raft, TypeConfig};
use crate::p2p::Peer;

/// The members, as this node sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// This node.
    pub me: u64,
    /// Who leads, if that is known.
    pub leader: Option<u64>,
    /// The present term.
    pub term: u64,
    /// Who decides.
    pub voters: BTreeSet<u64>,
    /// Who only follows.
    pub learners: BTreeSet<u64>,
    /// Whether two sets of voters decide together, because they are being changed.
    pub changing: bool,
}

impl Members {
    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.leader == Some(self.me)
    }

    /// What this node is: `leader`, `follower` or `learner`; `joining` until it is any of these.
    pub fn role(&self, node: u64) -> &'static str {
        if self.leader == Some(node) {
            "leader"
        } else if self.voters.contains(&node) {
            "follower"
        } else if self.learners.contains(&node) {
            "learner"
        } else {
            "joining"
        }
    }
}

impl Kv {
    /// The members.
    pub fn members(&self) -> Members {
        seen_by(&self.parts().1.raft)
    }

    /// On the leader: how many entries of the log each node has yet to get. None: it has not answered.
    pub fn lag(&self) -> BTreeMap<u64, Option<u64>> {
        let metrics = self.parts().1.raft.metrics();
        let metrics = metrics.borrow_watched();
        let last = metrics.last_log_index.unwrap_or(0);
        let lag = metrics.replication.iter().flatten();
        lag.map(|(node, at)| (*node, at.as_ref().map(|at| last.saturating_sub(at.index)))).collect()
    }

    /// Returns once the members, or what the node knows of them, differ from `seen`; at once if they do.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn members_other_than(&self, seen: &Members) -> Result<Members, KvError> {
        let mut told = self.parts().1.members.clone();
        told.mark_unchanged();
        loop {
            let now = self.members();
            if now != *seen {
                return Ok(now);
            }
            told.changed().await.map_err(|_| KvError::Closed)?;
        }
    }

    /// Takes a node in as a learner; on the leader.
    ///
    /// # Errors
    /// `NotLeader` or `Unavailable`.
    pub async fn add_learner(&self, node: u64, peer: Peer) -> Result<(), KvError> {
        let added = self.parts().1.raft.add_learner(node, BasicNode::new(peer), false).await;
        added.map(drop).map_err(explain)
    }

    /// Says who decides from now on; all must be members, and all others become learners. On the leader.
    ///
    /// # Errors
    /// `NotLeader` or `Unavailable`.
    pub async fn set_voters(&self, voters: BTreeSet<u64>) -> Result<(), KvError> {
        let changed = self.parts().1.raft.change_membership(voters, true).await;
        changed.map(drop).map_err(explain)
    }

    /// Takes a learner out; on the leader.
    ///
    /// # Errors
    /// `NotLeader` or `Unavailable`.
    pub async fn remove_learner(&self, node: u64) -> Result<(), KvError> {
        let change = ChangeMembers::RemoveNodes(BTreeSet::from([node]));
        let changed = self.parts().1.raft.change_membership(change, true).await;
        changed.map(drop).map_err(explain)
    }

    /// If this node leads and another voter has nearly all of the log, hands the lead over to it. Returns once that
    /// has begun.
    pub async fn hand_over(&self) {
        let (members, lag) = (self.members(), self.lag());
        let others = lag.iter().filter(|(node, _)| **node != members.me && members.voters.contains(node));
        let best = others.filter_map(|(node, lag)| lag.map(|lag| (lag, *node))).min();
        if let Some((_, node)) = best.filter(|_| members.is_leader()) {
            // Raft that has stopped leads no more.
            drop(self.parts().1.raft.trigger().transfer_leader(node).await);
        }
    }
}

/// The members, as `raft` sees them.
pub(super) fn seen_by(raft: &Raft) -> Members {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    Members {
        me: metrics.id,
        leader: metrics.current_leader,
        term: metrics.current_term,
        voters: membership.voter_ids().collect(),
        learners: membership.learner_ids().collect(),
        changing: membership.get_joint_config().len() > 1,
    }
}

/// Tells of every change of the members, until `stop`. Raft tells of every entry of the log, too: it wakes only this,
/// which runs on Raft's own thread.
pub(super) async fn follow(raft: Raft, told: watch::Sender<Members>, stop: CancellationToken) {
    let mut metrics = raft.metrics();
    loop {
        let now = seen_by(&raft);
        told.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        // It fails once Raft has stopped.
        if !matches!(stop.run_until_cancelled(metrics.changed()).await, Some(Ok(()))) {
            return;
        }
    }
}

fn explain(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> KvError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            KvError::NotLeader { leader: forward.leader_id }
        }
        error => KvError::Unavailable(error.to_string()),
    }
}
