//! Disks that do not keep what they were given. A failed sync is never tried again: the next one would succeed, and what
//! the first one lost would be gone all the same. The node ends, and what it acknowledged is there when it comes back.

use std::time::{Duration, Instant};

use matrix_proto::v1;
use matrix_tests::faulty::{Fault, KV_LOG};
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Plan, TestRealm, until};

use crate::{HEALED, NEW_LEADER};

/// Within what time a node ends whose disk has failed, on a busy machine too.
const ENDS: Duration = Duration::from_secs(2);

/// Nodes whose disks may fail, or why there are none.
async fn realm(nodes: usize, what: &str) -> Option<TestRealm> {
    let realm = TestRealm::start_with(Plan { nodes, hosts: nodes, faulty: true, ..Plan::default() }).await;
    realm.faulty(0).inspect_err(|why| why.report(what)).ok()?;
    Some(realm)
}

/// Lets a node's disk fail at its next write, and waits until the node has ended.
async fn fails(realm: &mut TestRealm, node: usize, fault: Fault, part: &str) {
    let disk = realm.faulty(node).expect("there is a compiler").clone();
    disk.order(fault, part, "-");
    let (status, said) = realm.ended(node).await;
    assert!(!status.success() && disk.has_failed(), "{status}");
    assert!(said.contains("Input/output error"), "it says why: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_sync_fails_ends_and_loses_nothing_that_was_acknowledged() {
    let Some(mut realm) = realm(3, "syncs that fail").await else { return };
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    for fault in [Fault::Lose, Fault::Refuse] {
        let leader = realm.leader().await;
        let began = Instant::now();
        fails(&mut realm, leader, fault, KV_LOG).await;
        let ended = began.elapsed();
        assert!(ended < ENDS, "{fault:?}: it ended after {ended:?}");
        assert!(realm.status(leader).await.is_none(), "nobody takes it for ready");
        let (next, took) = realm.leader_after(leader, NEW_LEADER).await;
        load.goes_on(HEALED).await;
        realm.restart(leader);
        realm.until_ready().await;
        load.goes_on(HEALED).await;
        eprintln!("{fault:?}: it ended after {ended:?}, and {next} led {took:?} later");
    }
    load.end(&realm, "syncs that fail at the leader").await;
    realm.until_same().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_syncs_fail_nothing_is_acknowledged_and_nothing_lost() {
    let Some(mut realm) = realm(3, "syncs that fail everywhere").await else { return };
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    let disks: Vec<_> = (0..3).map(|node| realm.faulty(node).expect("there is a compiler").clone()).collect();
    disks.iter().for_each(|disk| disk.order(Fault::Lose, KV_LOG, "-"));
    // Two of three are a majority: with them, the third has nothing to write any more.
    let fallen = || async { (disks.iter().filter(|disk| disk.has_failed()).count() >= 2).then_some(()) };
    until("a majority has written", HEALED, fallen).await;
    for (node, disk) in disks.iter().enumerate() {
        if disk.has_failed() {
            let (status, _) = realm.ended(node).await;
            assert!(!status.success(), "{status}");
        } else {
            disk.forget();
            realm.kill(node).await;
        }
    }
    (0..3).for_each(|node| realm.restart(node));
    realm.until_ready().await;
    load.goes_on(HEALED).await;
    load.end(&realm, "syncs that fail everywhere").await;
}

/// Files of run logs.
const RUN_LOG: &str = "/runs/";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_log_whose_sync_fails_ends_its_node_and_the_matrix_goes_on_elsewhere() {
    let Some(mut realm) = realm(3, "syncs of run logs that fail").await else { return };
    let door = realm.door(0);
    let manifest = v1::MatrixManifest {
        name: "tally".to_owned(),
        rules: door.program("tally").await,
        tick_interval_ms: 20,
        ..Default::default()
    };
    let create = v1::CreateMatrixRequest { manifest: Some(manifest), start: true, ..Default::default() };
    door.matrices().create(door.request(create)).await.expect("sound rules");
    let get = async |node: usize| {
        let door = realm.door(node);
        let get = v1::GetMatrixRequest { name: "tally".to_owned() };
        door.matrices().get(door.request(get)).await.ok().map(tonic::Response::into_inner)
    };
    let runs = || async { get(0).await.filter(|matrix| matrix.tick > 20 && !matrix.copies.is_empty()) };
    let (before, _) = until("it runs, and another node holds a copy", HEALED, runs).await;
    let place = async |number: u64| {
        let statuses = realm.statuses().await;
        let found = statuses.iter().position(|status| status.as_ref().is_some_and(|it| it.node == number));
        found.expect("it is up")
    };
    let (home, holder) = (place(before.node).await, place(before.copies[0]).await);
    fails(&mut realm, home, Fault::Lose, RUN_LOG).await;
    let get = async || {
        let door = realm.door(holder);
        let get = v1::GetMatrixRequest { name: "tally".to_owned() };
        door.matrices().get(door.request(get)).await.ok().map(tonic::Response::into_inner)
    };
    let goes_on = || async { get().await.filter(|it| it.node != before.node && it.tick > before.tick) };
    let (after, took) = until("a holder of a copy goes on with it", HEALED, goes_on).await;
    eprintln!("it went on at tick {} after {took:?}", after.tick);
    realm.restart(home);
    realm.until_ready().await;
    let replay = v1::ReplayMatrixRequest { name: "tally".to_owned() };
    let door = realm.door(holder);
    let mut replayed = door.matrices().replay(door.request(replay)).await.expect("it runs").into_inner();
    let mut ticks = 0;
    while let Some(step) = replayed.message().await.expect("it is gone through") {
        assert_eq!(step.first_difference, None, "{step:?}");
        ticks = step.tick;
    }
    assert!(ticks >= after.tick, "all that was told is in the log: {ticks}");
}
