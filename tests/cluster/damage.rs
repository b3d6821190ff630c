//! A disk that gives back other bytes than it was given.

use std::fs;
use std::path::PathBuf;

use matrix_proto::v1;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Plan, TestRealm};

use crate::{HEALED, others};

/// The oldest file of a node's log.
fn oldest(realm: &TestRealm, node: usize) -> PathBuf {
    let files = fs::read_dir(realm.data(node).join("kv/log")).expect("the node made it").flatten();
    let files = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "wal"));
    files.min().expect("a log has a file")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_one_log_is_refused_by_name_and_the_realm_goes_on() {
    let mut realm = TestRealm::start_with(Plan { hosts: 4, ..Plan::default() }).await;
    let leader = realm.leader().await;
    let [hurt, other] = others(&realm, leader)[..] else { panic!("three nodes") };
    let mut load = Load::start(&realm, Clients::of(&[leader, other])).await;
    let number = realm.status(hurt).await.expect("it is up").node;
    realm.stop(hurt).await;
    let file = oldest(&realm, hurt);
    let mut bytes = fs::read(&file).expect("the node has ended");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("it was written to");
    // The zeros between two frames say nothing: a bit of them may be any.
    let hit = (used / 2..=used).find(|place| bytes[*place] != 0).expect("the last byte is none");
    bytes[hit] ^= 0x10;
    fs::write(&file, bytes).expect("the node has ended");
    let said = realm.refused(&realm.data(hurt), hurt, None).await;
    let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
    assert!(said.contains(&name) && said.contains("is damaged") && said.contains("from the realm"), "{said}");
    eprintln!("it said: {said}");
    load.goes_on(HEALED).await;
    // Its place is taken by a node with an empty folder.
    let door = realm.door(leader);
    let remove = v1::RemoveRequest { node: number, force: true };
    door.cluster().remove(door.request(remove)).await.expect("two of three decide");
    let invitation = realm.invite(leader, 0).await;
    let next = realm.add(3, Some(&invitation)).await;
    load.goes_on(HEALED).await;
    load.end(&realm, "a flipped bit").await;
    assert_eq!(realm.status(next).await.expect("it is up").nodes, 3);
}
