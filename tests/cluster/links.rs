//! Links that are slow, and lose, double and reorder packets.

use std::time::Duration;

use matrix_tests::net::Link;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{PATIENCE, Plan, TestRealm, until};

use crate::{HEALED, network, others};

/// 75 ms, give or take 50.
const POOR: Link = Link {
    cut: false,
    delay: Duration::from_millis(25),
    jitter: Duration::from_millis(100),
    loss: 0.1,
    duplicate: 0.05,
    reorder: 0.05,
};
/// A leader that is to be heard over such links speaks less often than an answer takes.
const HEARTBEAT_MS: u64 = 500;
/// How many times every client is answered meanwhile.
const ROUNDS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poor_links_make_it_slow_and_not_wrong() {
    let settings = format!("[kv]\nheartbeat_ms = {HEARTBEAT_MS}");
    let realm = TestRealm::start_with(Plan { settings, ..Plan::default() }).await;
    let Some(net) = network(&realm, "delay, loss, reordering and duplication between nodes") else { return };
    let plan = Clients {
        patience: Duration::from_secs(5),
        budget: Duration::from_secs(20),
        ..Clients::of(&[0, 1, 2])
    };
    let mut load = Load::start(&realm, plan).await;
    net.set_all(POOR);
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        slowest = slowest.max(load.goes_on(Duration::from_secs(20)).await);
    }
    let counts = net.counts(0, 1);
    assert!(counts.lost > 0 && counts.duplicated > 0 && counts.reordered > 0, "{counts:?}");
    net.set_all(Link::default());
    load.goes_on(HEALED).await;
    load.end(&realm, "poor links").await;
    eprintln!("the slowest of {ROUNDS} answers to everybody took {slowest:?}; from node 0 to 1: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_down_are_told_by_lane() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "links that are down") else { return };
    let leader = realm.leader().await;
    let away = others(&realm, leader)[0];
    let number = realm.status(away).await.expect("it is up").node;
    let down = || async { realm.status(leader).await.map(|status| status.links_down) };
    until("all links stand", PATIENCE, || async { down().await.filter(|down| *down == 0) }).await;
    net.isolate(away);
    let (count, took) =
        until("links are down", PATIENCE, || async { down().await.filter(|down| *down > 0) }).await;
    let shown = realm.list(leader, false).await.into_iter().find(|node| node.number == number);
    let lanes = shown.expect("it is a member").lanes_down;
    assert!(lanes.contains(&"/matrix/raft/1".to_owned()), "{lanes:?}");
    net.heal();
    until("all links stand again", PATIENCE, || async { down().await.filter(|down| *down == 0) }).await;
    eprintln!("{count} links were told to be down after {took:?}: {lanes:?}");
}
