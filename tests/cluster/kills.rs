//! Nodes that end, in order or not, while clients write.

use std::time::Duration;

use matrix_tests::realm::TestRealm;
use matrix_tests::realm::load::{Clients, Load};

use crate::{HEALED, NEW_LEADER, others};

/// For how long writes may pause when the leader ends in order.
const HANDED_OVER: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced() {
    let mut realm = TestRealm::start().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    let leader = realm.leader().await;
    realm.kill(leader).await;
    let (next, took) = realm.leader_after(leader, NEW_LEADER).await;
    let again = load.goes_on(HEALED).await;
    realm.restart(leader);
    let up = realm.until_up(leader).await;
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a killed leader").await;
    realm.until_same().await;
    let pause = seen.longest_pause();
    eprintln!(
        "node {next} leads after {took:?}, clients go on after {again:?}, longest pause {pause:?}, up {up:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_follower_is_not_missed() {
    let mut realm = TestRealm::start().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    let leader = realm.leader().await;
    let follower = others(&realm, leader)[0];
    realm.kill(follower).await;
    load.goes_on(HEALED).await;
    assert_eq!(realm.leader().await, leader, "the leader has still its majority");
    realm.restart(follower);
    realm.until_ready().await;
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a killed follower").await;
    eprintln!("longest pause {:?}", seen.longest_pause());
    assert_eq!(seen.terms, 1, "no other leader was needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_killed_nodes_come_back_with_all_they_acknowledged() {
    let mut realm = TestRealm::start().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    for node in 0..3 {
        realm.kill(node).await;
    }
    assert!(realm.statuses().await.iter().all(Option::is_none), "all are gone");
    for node in 0..3 {
        realm.restart(node);
    }
    let ready = realm.until_ready().await;
    let again = load.goes_on(HEALED).await;
    load.end(&realm, "three killed nodes").await;
    realm.until_same().await;
    eprintln!("ready after {ready:?}, clients go on after {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_ends_in_order_hands_over() {
    let mut realm = TestRealm::start().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    let leader = realm.leader().await;
    let took = realm.stop(leader).await;
    let (_, late) = realm.leader_after(leader, HANDED_OVER).await;
    load.goes_on(HEALED).await;
    realm.restart(leader);
    realm.until_ready().await;
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a leader that ends in order").await;
    realm.until_same().await;
    let pause = seen.longest_pause();
    eprintln!("it ended in {took:?}, another led {late:?} later, writes paused for {pause:?}");
    assert!(pause <= HANDED_OVER, "writes paused for {pause:?}");
}
