//! Links that are cut.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::net::Net;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Door, PATIENCE, TestRealm, reason, until};
use tokio::time::{Instant, interval, sleep_until};

use crate::{HEALED, NEW_LEADER, network, others};

/// How often a link flaps, and for how long.
const FLAPS: u32 = 10;
const FLAP: Duration = Duration::from_secs(1);
/// For how long a leader must lead to be called stable.
const STABLE: Duration = Duration::from_secs(2);

/// Three clients that ask the leader only, after three that ask the others.
fn split(realm: &TestRealm, leader: usize) -> Clients {
    let nodes = [vec![others(realm, leader); 3], vec![vec![leader]; 3]].concat();
    Clients { nodes, budget: Duration::from_secs(1), ..Clients::of(&[]) }
}

/// A read of a key that nobody writes; an error is the reason of the refusal.
async fn read(door: &Door, local: bool) -> Result<(), String> {
    let get = v1::KvGetRequest { bucket: "apart".to_owned(), key: b"key".to_vec().into(), local };
    door.kv().get(door.request(get)).await.map(drop).map_err(|status| reason(&status))
}

async fn write(door: &Door) -> Result<(), String> {
    let (bucket, key) = ("apart".to_owned(), b"other".to_vec().into());
    let put = v1::KvPutRequest { bucket, key, ..Default::default() };
    door.kv().put(door.request(put)).await.map(drop).map_err(|status| reason(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_refuses_and_a_majority_goes_on() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "a partition with the leader in the minority") else { return };
    let leader = realm.leader().await;
    let mut load = Load::start(&realm, split(&realm, leader)).await;
    net.isolate(leader);
    let cut = load.now();
    let (next, took) = realm.leader_after(leader, NEW_LEADER).await;
    load.of_clients_go_on(|client| client < 3, HEALED).await;
    let door = realm.door(leader);
    let (reading, writing, local) = tokio::join!(read(&door, false), write(&door), read(&door, true));
    let refused = Err("STORE_UNAVAILABLE".to_owned());
    assert_eq!((reading, writing), (refused.clone(), refused), "a minority knows nothing for sure");
    assert_eq!(local, Ok(()), "what it has, it shows who asks for no more");
    let healed = load.now();
    net.heal();
    let again = load.goes_on(HEALED).await;
    let ready = realm.until_ready().await;
    let seen = load.end(&realm, "the leader in the minority").await;
    assert!((3..6).all(|client| seen.answered(client, cut, healed) == 0), "a minority decides nothing");
    let others = others(&realm, leader);
    assert!(others.iter().all(|other| net.counts(leader, *other).cut > 0), "the partition was felt");
    eprintln!("node {next} leads after {took:?}; healed, all go on after {again:?} and {ready:?}");
}

/// Cuts something between the leader and a follower: all that do not ask that follower go on meanwhile, and under
/// the same leader.
async fn cut_to_one(realm: &TestRealm, net: &Net, what: &str, cut: impl Fn(&Net, usize, usize)) {
    let leader = realm.leader().await;
    let [lost, third] = others(realm, leader)[..] else { panic!("three nodes") };
    let nodes = [vec![vec![leader, third]; 3], vec![vec![lost]; 3]].concat();
    let plan = Clients { nodes, budget: Duration::from_secs(1), ..Clients::of(&[]) };
    let mut load = Load::start(realm, plan).await;
    let before = net.counts(leader, lost).cut + net.counts(lost, leader).cut;
    cut(net, leader, lost);
    let until = Instant::now() + NEW_LEADER;
    while Instant::now() < until {
        load.of_clients_go_on(|client| client < 3, HEALED).await;
    }
    let dropped = net.counts(leader, lost).cut + net.counts(lost, leader).cut - before;
    assert!(dropped > 0, "the cut was felt");
    net.heal();
    let again = load.goes_on(HEALED).await;
    let ready = realm.until_ready().await;
    let seen = load.end(realm, what).await;
    realm.until_same().await;
    let (terms, pause) = (seen.terms, seen.longest_pause());
    eprintln!(
        "{what}: {dropped} packets cut, {terms} terms, longest pause {pause:?}; healed: {again:?}, {ready:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_from_the_leader_only_stops_nobody_else() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "one-way and partial partitions") else { return };
    cut_to_one(&realm, net, "from the leader", |net, leader, lost| net.cut_one_way(leader, lost)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_to_the_leader_only_stops_nobody_else() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "one-way partitions") else { return };
    cut_to_one(&realm, net, "to the leader", |net, leader, lost| net.cut_one_way(lost, leader)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_do_not_see_each_other_and_both_see_a_third() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "partial partitions") else { return };
    cut_to_one(&realm, net, "partial", Net::cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_flap_leave_one_stable_leader() {
    let realm = TestRealm::start().await;
    let Some(net) = network(&realm, "flapping partitions") else { return };
    let plan = Clients { budget: Duration::from_secs(2), ..Clients::of(&[0, 1, 2]) };
    let mut load = Load::start(&realm, plan).await;
    let mut flap = interval(FLAP / 2);
    for _ in 0..FLAPS {
        flap.tick().await;
        // Whoever leads now.
        if let Some(leader) = realm.leads().await {
            net.isolate(leader);
        }
        flap.tick().await;
        net.heal();
    }
    let again = load.goes_on(HEALED).await;
    let begun = Instant::now();
    let ready = realm.until_ready().await;
    assert!(ready <= HEALED, "it took {ready:?} until all were ready");
    let terms = |told: Vec<Option<v1::StatusResponse>>| -> Vec<_> {
        told.into_iter().map(|status| status.and_then(|status| status.raft).map(|raft| raft.term)).collect()
    };
    let (before, leader) = (terms(realm.statuses().await), realm.leader().await);
    sleep_until(begun + ready + STABLE).await;
    assert_eq!(terms(realm.statuses().await), before, "no term is begun any more");
    assert_eq!(realm.leader().await, leader);
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "flapping").await;
    let cut: u64 = (1..3).map(|other| net.counts(0, other).cut + net.counts(other, 0).cut).sum();
    assert!(cut > 0, "the cuts were felt");
    eprintln!("{} terms; all go on after {again:?}, ready after {ready:?}", seen.terms);
    until("a leader is known to the end", PATIENCE, || realm.leads()).await;
}
