//! Data folders in wrong hands: used twice, copied, wiped.

use std::path::Path;

use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Plan, TestRealm};

use crate::{HEALED, others};

/// Copies a folder with all that is in it, but sockets.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder of this test's own");
    for entry in std::fs::read_dir(from).expect("a node's folder").flatten() {
        let (kind, target) = (entry.file_type().expect("a file's kind"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            // A file may go between being seen and being copied: the node works on.
            if let Err(error) = std::fs::copy(entry.path(), target) {
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", entry.path().display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_is_one_nodes() {
    let plan = Plan { hosts: 4, ..Plan::default() };
    let mut realm = TestRealm::start_with(plan).await;
    let leader = realm.leader().await;
    let [copied, wiped] = others(&realm, leader)[..] else { panic!("three nodes") };
    let mut load = Load::start(&realm, Clients::of(&[leader, copied])).await;

    // Two processes on one folder, on the same host and on another.
    let folder = realm.data(copied);
    for host in [copied, 3] {
        let said = realm.refused(&folder, host, None).await;
        eprintln!("two on one folder: {said}");
        assert!(said.contains("in use") || said.contains("runs already"), "{said}");
    }
    load.goes_on(HEALED).await;

    // A copy, beside the one that runs.
    let copy_of = realm.spare("copy");
    copy(&folder, &copy_of);
    if realm.net().is_err() {
        std::fs::remove_file(copy_of.join("ports.json")).expect("a node keeps its ports");
    }
    let said = realm.refused(&copy_of, 3, None).await;
    assert!(said.contains("runs already, with the same key"), "{said}");
    load.goes_on(HEALED).await;
    assert!(realm.status(copied).await.is_some_and(|status| status.ready), "the original goes on");

    // An old copy, after the original was started again.
    realm.stop(copied).await;
    realm.restart(copied);
    realm.until_ready().await;
    realm.stop(copied).await;
    let said = realm.refused(&copy_of, 3, None).await;
    assert!(said.contains("has run since this data folder was copied"), "{said}");
    realm.restart(copied);

    // A disk that was wiped, under the old key.
    realm.stop(wiped).await;
    std::fs::remove_dir_all(realm.data(wiped).join("kv")).expect("the node has ended");
    let said = realm.refused(&realm.data(wiped), wiped, None).await;
    assert!(said.contains("its folder `kv` is gone"), "{said}");

    realm.until_up(copied).await;
    load.goes_on(HEALED).await;
    load.end(&realm, "folders").await;
}
