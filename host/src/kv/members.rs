//! Who takes part in the log: seen from every node, changed on the leader.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::BasicNode;

use super::error::KvError;
use super::handle::Kv;
use super::raft::TypeConfig;
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
    /// On the leader: how many entries of the log each node has yet to get. None: it has not answered.
    pub lag: BTreeMap<u64, Option<u64>>,
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
        let metrics = self.parts().1.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let last = metrics.last_log_index.unwrap_or(0);
        let lag = metrics.replication.iter().flatten();
        let lag = lag.map(|(node, at)| (*node, at.as_ref().map(|at| last.saturating_sub(at.index))));
        Members {
            me: metrics.id,
            leader: metrics.current_leader,
            term: metrics.current_term,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            lag: lag.collect(),
            changing: membership.get_joint_config().len() > 1,
        }
    }

    /// Returns once the members, or what the node knows of them, differ from `seen`; at once if they do.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn members_other_than(&self, seen: &Members) -> Result<Members, KvError> {
        let mut metrics = self.parts().1.raft.metrics();
        loop {
            let now = self.members();
            if now != *seen {
                return Ok(now);
            }
            metrics.changed().await.map_err(|_| KvError::Closed)?;
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
        let members = self.members();
        let others =
            members.lag.iter().filter(|(node, _)| **node != members.me && members.voters.contains(node));
        let best = others.filter_map(|(node, lag)| lag.map(|lag| (lag, *node))).min();
        if let Some((_, node)) = best.filter(|_| members.is_leader()) {
            // Raft that has stopped leads no more.
            drop(self.parts().1.raft.trigger().transfer_leader(node).await);
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
