//! Making Raft's members what the records say: the leader's business. What is to be done is decided by a pure function,
//! a step at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::handle::{Inner, Nodes, Realm};
use super::records::NodeState;
use crate::kv::{KvError, Members};
use crate::p2p::Peer;

/// How many entries a learner may be behind that is to decide.
const LAG_MAX: u64 = 1_000;
/// How often the members are looked at while something is to come: a learner that catches up tells nobody.
const LOOK: Duration = Duration::from_millis(500);

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    AddLearner(u64, Peer),
    SetVoters(BTreeSet<u64>),
    RemoveLearner(u64),
}

/// Works until it is dropped.
pub(super) async fn run(realm: Realm) {
    let Inner { kv, config, .. } = &*realm.0;
    let (mut nodes, mut dead) = (realm.nodes(), BTreeMap::new());
    loop {
        let now = nodes.borrow_and_update().clone();
        note_dead(&mut dead, &now);
        let (members, lag) = (kv.members(), kv.lag());
        let replace_after = Duration::from_secs(config.replace_seconds);
        let change = decide(&now, (&members, &lag), &dead, config.voters_max, replace_after);
        if let Some(change) = change.filter(|_| members.is_leader()) {
            tracing::info!(?change, "the realm's members change");
            if let Err(error) = carry_out(&realm, change).await {
                tracing::info!(%error, "the members were not changed; it is tried again");
            }
        }
        // Only a leader has anything to wait for that tells nobody: the sooner, where somebody learns.
        let wait = match members.is_leader() {
            true if !members.learners.is_empty() => LOOK / 5,
            true => LOOK,
            false => LOOK * 10,
        };
        tokio::select! {
            changed = nodes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Since when each node is dead.
fn note_dead(dead: &mut BTreeMap<u64, Instant>, nodes: &Nodes) {
    dead.retain(|node, _| nodes.nodes.get(node).is_some_and(|view| !view.is_alive));
    for (node, _) in nodes.nodes.iter().filter(|(_, view)| !view.is_alive) {
        dead.entry(*node).or_insert_with(Instant::now);
    }
}

async fn carry_out(realm: &Realm, change: Change) -> Result<(), KvError> {
    let kv = &realm.0.kv;
    match change {
        Change::AddLearner(node, peer) => kv.add_learner(node, peer).await,
        Change::SetVoters(voters) => kv.set_voters(voters).await,
        Change::RemoveLearner(node) => kv.remove_learner(node).await,
    }
}

/// What is to be done next, if anything. The number of voters is odd where it can be: one more that does not make it
/// odd tolerates no more failures, and makes each write wait for one more node.
fn decide(
    nodes: &Nodes,
    (members, lag): (&Members, &BTreeMap<u64, Option<u64>>),
    dead: &BTreeMap<u64, Instant>,
    voters_max: usize,
    replace_after: Duration,
) -> Option<Change> {
    let known = |node: &u64| members.voters.contains(node) || members.learners.contains(node);
    let removed =
        |node: &u64| nodes.nodes.get(node).is_some_and(|view| view.record.state == NodeState::Removed);
    if let Some(gone) = members.voters.iter().find(|node| removed(node)) {
        let voters: BTreeSet<u64> = members.voters.iter().copied().filter(|node| node != gone).collect();
        return (!voters.is_empty()).then_some(Change::SetVoters(voters));
    }
    if let Some(gone) = members.learners.iter().find(|node| removed(node)) {
        return Some(Change::RemoveLearner(*gone));
    }
    let mut wanted = nodes.nodes.values().filter(|view| view.record.state != NodeState::Removed);
    if let Some(new) = wanted.find(|view| !known(&view.record.node)) {
        return Some(Change::AddLearner(new.record.node, new.record.peer));
    }
    let is_ready = |node: &&u64| {
        let view = nodes.nodes.get(node).filter(|view| view.takes_work());
        let lag = lag.get(node).copied().flatten();
        view.is_some() && lag.is_some_and(|lag| lag <= LAG_MAX)
    };
    let mut ready = members.learners.iter().filter(is_ready);
    let is_dead = |node: &&u64| dead.get(node).is_some_and(|since| since.elapsed() >= replace_after);
    if let Some(gone) = members.voters.iter().find(is_dead)
        && let Some(instead) = ready.next()
    {
        let mut voters = members.voters.clone();
        voters.remove(gone);
        voters.insert(*instead);
        return Some(Change::SetVoters(voters));
    }
    let ready: Vec<u64> = members.learners.iter().filter(is_ready).copied().collect();
    let most = (members.voters.len() + ready.len()).min(voters_max.max(1));
    let odd = most - (1 - most % 2);
    let more = odd.saturating_sub(members.voters.len());
    (more > 0).then(|| {
        Change::SetVoters(members.voters.iter().copied().chain(ready.into_iter().take(more)).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::testing;

    fn nodes(states: &[(u64, NodeState, bool)]) -> Nodes {
        let view = |&(node, state, is_alive): &_| (node, testing::view(node, state, is_alive));
        Nodes { nodes: states.iter().map(view).collect(), members: Members::default() }
    }

    type Standing = (Members, BTreeMap<u64, Option<u64>>);

    fn members(voters: &[u64], learners: &[u64], behind: u64) -> Standing {
        let lag = learners.iter().map(|node| (*node, Some(behind))).collect();
        let set = |nodes: &[u64]| nodes.iter().copied().collect();
        let (voters, learners) = (set(voters), set(learners));
        (Members { me: 1, leader: Some(1), voters, learners, ..Members::default() }, lag)
    }

    fn decided(nodes: &Nodes, standing: &Standing) -> Option<Change> {
        decided_with(nodes, standing, &BTreeMap::new(), Duration::from_secs(60))
    }

    fn decided_with(
        nodes: &Nodes,
        (members, lag): &Standing,
        dead: &BTreeMap<u64, Instant>,
        replace_after: Duration,
    ) -> Option<Change> {
        decide(nodes, (members, lag), dead, 5, replace_after)
    }

    fn voters(nodes: &[u64]) -> Option<Change> {
        Some(Change::SetVoters(nodes.iter().copied().collect()))
    }

    const IN: NodeState = NodeState::Member;

    #[test]
    fn who_is_recorded_learns_first() {
        let known = nodes(&[(1, IN, true), (2, IN, false)]);
        let change = decided(&known, &members(&[1], &[], 0));
        assert!(matches!(change, Some(Change::AddLearner(2, _))), "{change:?}");
    }

    #[test]
    fn voters_are_odd_ready_and_not_too_many() {
        let known = nodes(&[(1, IN, true), (2, IN, true)]);
        assert_eq!(decided(&known, &members(&[1], &[2], 0)), None, "two decide no better than one");
        let known = nodes(&[(1, IN, true), (2, IN, true), (3, IN, true)]);
        assert_eq!(decided(&known, &members(&[1], &[2, 3], 0)), voters(&[1, 2, 3]));
        assert_eq!(decided(&known, &members(&[1], &[2, 3], LAG_MAX + 1)), None, "they are behind");
        let draining = nodes(&[(1, IN, true), (2, NodeState::Draining, true), (3, IN, false)]);
        assert_eq!(decided(&draining, &members(&[1], &[2, 3], 0)), None);
        let all: Vec<_> = (1..=8).map(|node| (node, IN, true)).collect();
        let known = nodes(&all);
        assert_eq!(decided(&known, &members(&[1], &[2, 3, 4, 5, 6, 7, 8], 0)), voters(&[1, 2, 3, 4, 5]));
        assert_eq!(decided(&known, &members(&[1, 2, 3, 4, 5], &[6, 7, 8], 0)), None);
    }

    #[test]
    fn who_is_removed_goes_in_two_steps() {
        let known = nodes(&[(1, IN, true), (2, NodeState::Removed, false), (3, IN, true)]);
        assert_eq!(decided(&known, &members(&[1, 2, 3], &[], 0)), voters(&[1, 3]));
        assert_eq!(decided(&known, &members(&[1, 3], &[2], 0)), Some(Change::RemoveLearner(2)));
        assert_eq!(decided(&known, &members(&[1, 3], &[], 0)), None);
        let alone = nodes(&[(1, NodeState::Removed, true)]);
        assert_eq!(decided(&alone, &members(&[1], &[], 0)), None, "a realm without voters is none");
    }

    #[test]
    fn a_dead_voter_is_replaced_after_a_while() {
        let known = nodes(&[(1, IN, true), (2, IN, false), (3, IN, true), (4, IN, true)]);
        let members = members(&[1, 2, 3], &[4], 0);
        assert_eq!(decided(&known, &members), None);
        let dead = BTreeMap::from([(2, Instant::now())]);
        assert_eq!(decided_with(&known, &members, &dead, Duration::from_secs(60)), None);
        assert_eq!(decided_with(&known, &members, &dead, Duration::ZERO), voters(&[1, 3, 4]));
    }
}
