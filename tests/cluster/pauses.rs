//! A leader that stands still and does not know it.

use std::time::Duration;

use matrix_tests::realm::TestRealm;
use matrix_tests::realm::load::{Clients, Load};

use crate::{HEALED, NEW_LEADER, others};

/// Twice the longest that a follower waits before it stands for election.
const PAUSED: Duration = Duration::from_millis(2 * 1_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_tells_nothing_stale() {
    let realm = TestRealm::start().await;
    let leader = realm.leader().await;
    let (elsewhere, there) = (others(&realm, leader), vec![leader]);
    // Who asks the leader waits longer than it stands still: what it answers then is what this is about.
    let nodes = [vec![elsewhere; 3], vec![there; 3]].concat();
    let plan = Clients { nodes, patience: HEALED, ..Clients::of(&[]) };
    let mut load = Load::start(&realm, plan).await;
    realm.pause(leader);
    let paused = load.now();
    let begun = tokio::time::Instant::now();
    let (next, took) = realm.leader_after(leader, NEW_LEADER).await;
    load.of_clients_go_on(|client| client < 3, HEALED).await;
    tokio::time::sleep_until(begun + PAUSED).await;
    let resumed = load.now();
    realm.resume(leader);
    let again = load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a leader that stood still").await;
    let answered = |client| seen.answered(client, paused, resumed);
    assert!((0..3).all(|client| answered(client) > 0), "the others went on");
    assert!((3..6).all(|client| answered(client) == 0), "it stood still");
    eprintln!("node {next} leads after {took:?}; all go on {again:?} after the old leader");
}
