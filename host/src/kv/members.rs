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

    /// The members, as those were told last who wait for changes: a moment behind [`Kv::members`].
    pub fn members_told(&self) -> Members {
        self.parts().1.members.borrow().clone()
    }

    /// Returns once others were told last than `seen`; at once if they are. Whoever takes `seen` from
    /// [`Kv::members_told`] misses no change, and is not woken for one that it knows.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn members_other_than(&self, seen: &Members) -> Result<Members, KvError> {
        other_than(self.parts().1.members.clone(), seen).await
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

/// What is told other than `seen`. Once nobody tells any more, what was told last is no news, whatever it is.
async fn other_than(mut told: watch::Receiver<Members>, seen: &Members) -> Result<Members, KvError> {
    loop {
        told.has_changed().map_err(|_| KvError::Closed)?;
        let now = told.borrow_and_update().clone();
        if now != *seen {
            return Ok(now);
        }
        told.changed().await.map_err(|_| KvError::Closed)?;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn led_by(leader: u64) -> Members {
        Members { me: 1, leader: Some(leader), ..Members::default() }
    }

    #[tokio::test]
    async fn what_is_told_is_compared_with_what_was_seen_and_nothing_is_told_at_the_end() {
        let (tell, told) = watch::channel(led_by(1));
        let other = |seen: u64| {
            let (told, seen) = (told.clone(), led_by(seen));
            async move { other_than(told, &seen).await }
        };
        assert_eq!(other(2).await.expect("it tells"), led_by(1), "who saw more than was told looks again");
        assert!(other(1).now_or_never().is_none(), "nothing has changed");
        let mut waiting = Box::pin(other(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        tell.send_replace(led_by(2));
        tell.send_replace(led_by(1));
        assert!(waiting.as_mut().now_or_never().is_none(), "what is as it was is no news");
        tell.send_replace(led_by(3));
        assert_eq!(waiting.await.expect("it tells"), led_by(3));
        let waiting = other(3);
        drop(tell);
        for ended in [waiting.await, other(1).await] {
            assert!(matches!(ended, Err(KvError::Closed)), "{ended:?}");
        }
    }
}
