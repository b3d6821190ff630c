//! Disks that are full to the last byte: reads go on, what cannot be written is refused by name, and all goes on by
//! itself once there is room.

use std::time::Duration;

use futures::future::join_all;
use matrix_proto::v1;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Door, PATIENCE, Plan, TestRealm, reason, until};
use tonic::Status;

use crate::{HEALED, others};

/// Bytes of a node's disk.
const DISK_BYTES: u64 = 48 << 20;
/// Bytes of a value: a few fill a file of the log.
const VALUE_BYTES: usize = 256 << 10;
/// Within what time a node tells that its disk is full, and that it has room again.
const TOLD: Duration = Duration::from_secs(2);

/// Three nodes with small disks, and small files of the log on them.
async fn realm() -> Option<TestRealm> {
    let settings = "[kv]\nlog_segment_bytes = 1048576\ndisk_reserve_bytes = 2097152".to_owned();
    let plan = Plan { settings, disk_bytes: Some(DISK_BYTES), ..Plan::default() };
    let realm = TestRealm::start_with(plan).await;
    realm.disks().inspect_err(|why| why.report("disks that are full")).ok()?;
    Some(realm)
}

async fn put(door: &Door, key: &str, bytes: usize) -> Result<(), Status> {
    let (key, value) = (key.as_bytes().to_vec().into(), vec![7; bytes].into());
    let put = v1::KvPutRequest { bucket: "disks".to_owned(), key, value, ..Default::default() };
    door.kv().put(door.request(put)).await.map(drop)
}

async fn get(door: &Door, key: &str, local: bool) -> Result<usize, Status> {
    let get = v1::KvGetRequest { bucket: "disks".to_owned(), key: key.as_bytes().to_vec().into(), local };
    let got = door.kv().get(door.request(get)).await?.into_inner();
    Ok(got.entry.map_or(0, |entry| entry.value.len()))
}

/// Fills a node's disk, and waits until the node tells so.
async fn fill(realm: &TestRealm, node: usize) {
    realm.disks().expect("there are disks")[node].fill();
    let told = || async { realm.status(node).await.filter(|status| !status.ready) };
    let (status, took) = until("the node tells that its disk is full", TOLD, told).await;
    let folder = realm.data(node).join("kv").display().to_string();
    let said = [&*folder, "kv.disk_reserve_bytes", "free some"];
    assert!(said.iter().all(|word| status.reason.contains(word)), "{}", status.reason);
    eprintln!("node {node}, after {took:?}: {}", status.reason);
}

/// Makes room again, and waits until the node tells so.
async fn free(realm: &TestRealm, node: usize) {
    realm.disks().expect("there are disks")[node].free();
    let told = || async { realm.status(node).await.filter(|status| status.ready) };
    until("the node tells that there is room", TOLD, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_disk_is_full_holds_nobody_up() {
    let Some(realm) = realm().await else { return };
    let leader = realm.leader().await;
    let [full, other] = others(&realm, leader)[..] else { panic!("three nodes") };
    let mut load = Load::start(&realm, Clients::of(&[leader, other])).await;
    put(&realm.door(full), "before", VALUE_BYTES).await.expect("there is room");
    fill(&realm, full).await;
    // More than the rest of its log's files can take.
    for number in 0..16 {
        put(&realm.door(other), &format!("{}", number % 4), VALUE_BYTES).await.expect("a majority has room");
    }
    load.goes_on(HEALED).await;
    assert_eq!(get(&realm.door(full), "before", true).await.expect("reads go on"), VALUE_BYTES);
    let status = realm.status(full).await.expect("it lives");
    assert_eq!(realm.leads().await, Some(leader), "it disturbs nobody: {status:?}");
    free(&realm, full).await;
    let caught_up = || async {
        let nodes = realm.list(leader, false).await;
        nodes.iter().all(|node| node.lag.unwrap_or(0) == 0).then_some(())
    };
    let (_, took) = until("it has caught up", PATIENCE, caught_up).await;
    assert_eq!(get(&realm.door(full), "3", false).await.expect("it reads"), VALUE_BYTES);
    load.end(&realm, "a follower whose disk is full").await;
    eprintln!("it caught up {took:?} after there was room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_lets_another_lead() {
    let Some(realm) = realm().await else { return };
    let leader = realm.leader().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    fill(&realm, leader).await;
    let (next, took) = realm.leader_after(leader, HEALED).await;
    let again = load.goes_on(HEALED).await;
    put(&realm.door(leader), "through the full one", 9).await.expect("the realm has room");
    assert_eq!(get(&realm.door(leader), "through the full one", false).await.expect("reads go on"), 9);
    free(&realm, leader).await;
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a leader whose disk is full").await;
    let pause = seen.longest_pause();
    eprintln!("{next} leads after {took:?}, clients go on after {again:?}, longest pause {pause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_majority_of_full_disks_writes_are_refused_by_name_and_reads_go_on() {
    let Some(realm) = realm().await else { return };
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    put(&realm.door(0), "before", 9).await.expect("there is room");
    join_all([0, 1].map(|node| fill(&realm, node))).await;
    for node in 0..3 {
        let door = realm.door(node);
        // A leader whose own disk is full names only that, until another leads.
        let said = ["no room for the log", "no majority", "what to free"];
        let is_whole = |status: &Status| {
            reason(status) == "DISK_FULL" && said.iter().all(|word| status.message().contains(word))
        };
        let refused = || async { put(&door, "x", 1).await.err().filter(is_whole) };
        let (status, took) = until("writes are refused by name", HEALED, refused).await;
        eprintln!("by node {node}, after {took:?}: {}", status.message());
        assert_eq!(get(&door, "before", false).await.expect("reads go on"), 9);
    }
    join_all([0, 1].map(|node| free(&realm, node))).await;
    let again = load.goes_on(HEALED).await;
    put(&realm.door(2), "after", 9).await.expect("there is room");
    load.end(&realm, "a majority of full disks").await;
    eprintln!("clients go on {again:?} after there was room");
}
