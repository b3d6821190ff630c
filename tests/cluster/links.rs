//! Links that are slow, and lose, double and reorder packets.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::net::Link;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{PATIENCE, Plan, TestRealm, until};
use tokio::time::timeout;

use crate::{HEALED, network, others};

/// 75 ms, give or take 50.
const POOR: Link = Link {
    cut: false,
    bandwidth: 0,
    delay: Duration::from_millis(25),
    jitter: Duration::from_millis(100),
    loss: 0.1,
    duplicate: 0.05,
    reorder: 0.05,
    flip: 0.0,
};
/// A leader that is to be heard over such links speaks less often than an answer takes.
const HEARTBEAT_MS: u64 = 500;
/// One packet of two hundred comes with a flipped bit.
const NOISY: Link = Link {
    cut: false,
    bandwidth: 0,
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    loss: 0.0,
    duplicate: 0.0,
    reorder: 0.0,
    flip: 0.005,
};
/// Half a megabyte a second, over some distance.
const NARROW: Link = Link {
    cut: false,
    bandwidth: 500_000,
    delay: Duration::from_millis(10),
    jitter: Duration::ZERO,
    loss: 0.0,
    duplicate: 0.0,
    reorder: 0.0,
    flip: 0.0,
};
/// Values that a node at the end of such links has missed, which have to cross them.
const MISSED: usize = 8;
/// Bytes of each: what the KV takes at most.
const MISSED_BYTES: usize = 1 << 20;
/// How many flipped bits nodes have to get, all together.
const FLIPPED: u64 = 30;
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
async fn what_a_node_missed_comes_over_a_narrow_link_and_disturbs_nobody() {
    let mut realm = TestRealm::start().await;
    if network(&realm, "a node at the end of a narrow link").is_none() {
        return;
    }
    let leader = realm.leader().await;
    let away = others(&realm, leader)[0];
    realm.stop(away).await;
    let (near, far) = (realm.door(leader), realm.door(away));
    for number in 0..MISSED {
        let (key, value) = (vec![number as u8].into(), vec![number as u8; MISSED_BYTES].into());
        let put = v1::KvPutRequest { bucket: "missed".into(), key, value, ..Default::default() };
        near.kv().put(near.request(put)).await.expect("the majority takes it");
    }
    let plan = Clients { patience: Duration::from_secs(5), ..Clients::of(&others(&realm, away)) };
    let mut load = Load::start(&realm, plan).await;
    let net = realm.net().expect("it was there before");
    for other in others(&realm, away) {
        net.set(other, away, NARROW);
        net.set(away, other, NARROW);
    }
    let term = realm.status(leader).await.and_then(|status| status.raft).expect("it is up").term;
    realm.restart(away);
    let there = || async {
        let last =
            v1::KvGetRequest { bucket: "missed".into(), key: vec![MISSED as u8 - 1].into(), local: true };
        let got = far.kv().get(far.request(last)).await.ok()?.into_inner();
        got.entry.is_some_and(|entry| entry.value.len() == MISSED_BYTES).then_some(())
    };
    let ((), took) = until("all has come", Duration::from_secs(120), there).await;
    load.goes_on(Duration::from_secs(5)).await;
    let after = realm.status(leader).await.and_then(|status| status.raft).expect("it is up").term;
    assert_eq!(term, after, "nobody had to be elected");
    realm.net().expect("it was there before").set_all(Link::default());
    load.end(&realm, "a narrow link").await;
    let least = Duration::from_secs_f64((MISSED * MISSED_BYTES) as f64 / f64::from(NARROW.bandwidth));
    assert!(took < least * 3, "{took:?}: what was sent was sent again and again");
    eprintln!("{MISSED} values of {MISSED_BYTES} bytes came after {took:?}; the link alone takes {least:?}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_cut_a_link_and_nothing_is_lost_doubled_or_taken_for_true() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "flipped bits between nodes") else { return };
    let (near, far) = (realm.door(0), realm.door(1));
    let code = near.guest("counter").await;
    near.spawn("tally", &code, &[]).await.expect("it starts");
    let home = near.soul("tally").await.expect("it lives").node;
    // By way of a node where it does not live.
    let door = if realm.status(0).await.expect("it is up").node == home { &far } else { &near };
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    net.set_all(NOISY);
    // What was answered has come once; what was cut off has come once, or not at all. Where links are down for so long
    // that the Soul comes up elsewhere, it comes from what was saved.
    let (mut answered, mut open) = (0, 0);
    let generation = async || door.soul("tally").await.ok().map(|soul| soul.generation);
    let first = generation().await.expect("it lives");
    let pairs = || (0..3).flat_map(|from| (0..3).filter(move |to| *to != from).map(move |to| (from, to)));
    while pairs().map(|(from, to)| net.counts(from, to).flipped).sum::<u64>() < FLIPPED {
        let added = timeout(PATIENCE, door.ask("tally", "add 1")).await;
        match added.expect("it is answered, or told that the link was cut") {
            Ok(total) => {
                answered += 1;
                let total: u64 = total.parse().expect("a number");
                assert!(total <= answered + open, "{total}: {answered} and {open}");
            }
            Err(_) => {
                open += 1;
                let again = || async { door.ask("tally", "get").await.ok() };
                until("the link stands again", PATIENCE, again).await;
            }
        }
    }
    net.set_all(Link::default());
    let healed = realm.until_ready().await;
    load.goes_on(HEALED).await;
    load.end(&realm, "flipped bits").await;
    let (total, _) = until("it answers", PATIENCE, || async { door.ask("tally", "get").await.ok() }).await;
    let total: u64 = total.parse().expect("a number");
    let stayed = generation().await == Some(first);
    let least = if stayed { answered } else { 0 };
    assert!((least..=answered + open).contains(&total), "{total}: {answered} and {open}");
    for node in 0..3 {
        let said = realm.log(node);
        assert!(!said.contains("panicked"), "{said}");
    }
    eprintln!(
        "{answered} messages were answered, {open} cut off, its home stayed: {stayed}; all well {healed:?} after"
    );
}
