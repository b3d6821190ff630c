//! Nodes that end, in order or not, while clients write.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{PATIENCE, TestRealm};
use tokio::time::timeout;

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
async fn what_becomes_of_a_node_is_told_on_the_bus_of_the_others_and_once_in_their_logs() {
    let mut realm = TestRealm::start().await;
    let leader = realm.leader().await;
    let follower = others(&realm, leader)[0];
    let number = realm.status(follower).await.expect("it is up").node;
    let door = realm.door(leader);
    let request = v1::SubscribeRequest { kinds: vec!["node.".into()], ..Default::default() };
    let events = door.events().subscribe(door.request(request)).await;
    let mut events = events.expect("there is room").into_inner();
    let mut next = async || {
        let event = timeout(PATIENCE, events.message()).await.expect("something becomes of it");
        let Some(v1::subscribe_response::Item::Event(event)) =
            event.expect("it runs").and_then(|next| next.item)
        else {
            panic!("an event was missed")
        };
        assert_eq!(event.source, "node");
        (event.kind, String::from_utf8(event.content.expect("it has one").body.to_vec()).expect("JSON"))
    };
    let detail = format!(r#"{{"node":{number}}}"#);
    realm.kill(follower).await;
    assert_eq!(next().await, ("node.lost".to_owned(), detail.clone()));
    realm.restart(follower);
    assert_eq!(next().await, ("node.alive".to_owned(), detail));
    realm.until_ready().await;
    let said = realm.log(leader);
    let lost: Vec<_> = said.lines().filter(|line| line.contains("node.lost")).collect();
    assert!(lost.len() == 1 && lost[0].contains("WARN"), "{said}");
    assert!(!said.contains("failed to send a heartbeat"), "{said}");
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
