//! Nodes that come and go while clients write, and those that may not come.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{PATIENCE, Plan, TestRealm, reason, until};
use matrixd::realm::Token;

use crate::{HEALED, others};

/// Waits until a node sees this many voters and learners among the members.
async fn until_members(realm: &TestRealm, asked: usize, voters: usize, learners: usize) -> Duration {
    let counted = || async {
        let listed = realm.list(asked, false).await;
        let count = |roles: &[&str]| listed.iter().filter(|node| roles.contains(&&*node.role)).count();
        (count(&["leader", "follower"]) == voters && count(&["learner"]) == learners).then_some(())
    };
    until(&format!("{voters} nodes decide and {learners} follow"), PATIENCE, counted).await.1
}

/// What is wanted of a node.
#[derive(Clone, Copy)]
enum Want {
    Drain,
    Resume,
    Remove,
}

async fn want(realm: &TestRealm, asked: usize, want: Want, node: u64) -> Result<v1::Node, String> {
    let door = realm.door(asked);
    let mut cluster = door.cluster();
    let told = match want {
        Want::Drain => cluster.drain(door.request(v1::DrainRequest { node })).await,
        Want::Resume => cluster.resume(door.request(v1::ResumeRequest { node })).await,
        Want::Remove => cluster.remove(door.request(v1::RemoveRequest { node, force: false })).await,
    };
    told.map(tonic::Response::into_inner).map_err(|status| reason(&status))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_under_load() {
    let mut realm = TestRealm::start_with(Plan { hosts: 5, ..Plan::default() }).await;
    let leader = realm.leader().await;
    let [kept, gone] = others(&realm, leader)[..] else { panic!("three nodes") };
    let mut load = Load::start(&realm, Clients::of(&[leader, kept])).await;

    for (host, voters, learners) in [(3, 3, 1), (4, 5, 0)] {
        let token = realm.invite(kept, 0).await;
        realm.add(host, Some(&token)).await;
        let took = until_members(&realm, kept, voters, learners).await;
        eprintln!("{voters} decide and {learners} follow after {took:?}");
        load.goes_on(HEALED).await;
    }

    let number = realm.status(gone).await.expect("it runs").node;
    assert_eq!(want(&realm, kept, Want::Drain, number).await.expect("it is there").state, "draining");
    assert_eq!(want(&realm, gone, Want::Resume, number).await.expect("it is there").state, "member");
    want(&realm, kept, Want::Drain, number).await.expect("it is there");
    assert_eq!(want(&realm, kept, Want::Remove, number).await.expect("it is there").state, "removed");
    let (status, said) = realm.ended(gone).await;
    assert!(!status.success() && said.contains(&format!("node {number} was removed")), "{status}: {said}");
    let took = until_members(&realm, kept, 4, 0).await;
    eprintln!("4 decide, {took:?} after the removed node has ended");
    assert_eq!(want(&realm, kept, Want::Resume, number).await, Err("NODE_REMOVED".to_owned()));
    load.goes_on(HEALED).await;

    // With its old data, it is not let in.
    let said = realm.refused(&realm.data(gone), gone, None).await;
    assert!(said.contains(&format!("node {number} was removed")), "{said}");
    let token = realm.invite(kept, 0).await;
    // On an empty folder, by an invitation, it is another.
    let instead = realm.add(gone, Some(&token)).await;
    assert_ne!(realm.status(instead).await.expect("it runs").node, number, "no number is given twice");
    until_members(&realm, instead, 5, 0).await;
    let listed = realm.list(instead, true).await;
    assert!(listed.iter().any(|node| node.number == number && node.state == "removed"), "{listed:?}");
    load.goes_on(HEALED).await;
    load.end(&realm, "nodes that come and go").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_removed_under_load() {
    let mut realm = TestRealm::start_with(Plan { hosts: 4, ..Plan::default() }).await;
    let leader = realm.leader().await;
    let others = others(&realm, leader);
    let mut load = Load::start(&realm, Clients::of(&others)).await;
    let number = realm.status(leader).await.expect("it runs").node;
    want(&realm, others[0], Want::Remove, number).await.expect("it is there");
    let (status, said) = realm.ended(leader).await;
    assert!(!status.success() && said.contains(&format!("node {number} was removed")), "{status}: {said}");
    let again = load.goes_on(HEALED).await;
    until_members(&realm, others[0], 2, 0).await;
    let token = realm.invite(others[0], 0).await;
    realm.add(3, Some(&token)).await;
    until_members(&realm, others[1], 3, 0).await;
    load.goes_on(HEALED).await;
    let seen = load.end(&realm, "a removed leader").await;
    eprintln!("clients go on {again:?} after it ended; longest pause {:?}", seen.longest_pause());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_good_once_and_for_a_while_and_in_its_realm() {
    let mut realm = TestRealm::start_with(Plan { hosts: 4, nodes: 1, ..Plan::default() }).await;
    let expired = realm.invite(0, 1).await;
    let issued = tokio::time::Instant::now();
    let used = realm.invite(0, 0).await;
    realm.add(1, Some(&used)).await;
    let spare = realm.spare("stranger");
    let refused = realm.refused(&spare, 3, Some(&used)).await;
    assert!(refused.contains("the invitation has been used"), "{refused}");

    tokio::time::sleep_until(issued + Duration::from_millis(1_100)).await;
    let refused = realm.refused(&spare, 3, Some(&expired)).await;
    assert!(refused.contains("the invitation has expired"), "{refused}");

    // A realm of its own.
    let elsewhere = realm.add(2, None).await;
    let theirs = realm.invite(elsewhere, 0).await;
    let [ours, other]: [Token; 2] =
        [realm.invite(0, 0).await, theirs.clone()].map(|token| token.parse().expect("an invitation"));
    let forged = Token { contacts: ours.contacts.clone(), ..other };
    let refused = realm.refused(&spare, 3, Some(&forged.to_string())).await;
    assert!(refused.contains("the invitation is of another realm"), "{refused}");
    let wrong = Token { secret: [0; 16], ..ours };
    let refused = realm.refused(&spare, 3, Some(&wrong.to_string())).await;
    assert!(refused.contains("the invitation's proof is wrong"), "{refused}");

    realm.stop(1).await;
    let refused = realm.refused(&realm.data(1), 1, Some(&theirs)).await;
    assert!(refused.contains("this data folder belongs to node 2"), "{refused}");
    // None of this has cost it its place.
    realm.restart(1);
    realm.until_up(1).await;
    assert!(realm.list(0, true).await.len() == 2, "nobody else came in");
}
