//! A node that may open no more files: it goes on with those that it has, and recovers when others are closed.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{PATIENCE, Plan, TestRealm, until};
use tokio::net::UnixStream;

use crate::HEALED;

/// Files that the node may have open: more than it has, fewer than all who call.
const FILES: u64 = 160;
/// Connections that say nothing.
const CALLERS: usize = 300;
/// How long a node waits before it tries again to take a connection, and more.
const AGAIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_files_goes_on_and_recovers() {
    let settings = "[kv]\nlog_segment_bytes = 1048576".to_owned();
    let realm = TestRealm::start_with(Plan { settings, ..Plan::default() }).await;
    let leader = realm.leader().await;
    let mut load = Load::start(&realm, Clients::of(&[0, 1, 2])).await;
    let before = realm.files(leader);
    realm.limit_files(leader, FILES);
    let socket = realm.data(leader).join("matrixd.sock");
    let mut crowd = Vec::new();
    for _ in 0..CALLERS {
        crowd.push(UnixStream::connect(&socket).await.expect("the system keeps it until it is taken"));
    }
    let used_up = || async { (realm.files(leader) as u64 + 2 >= FILES).then_some(()) };
    until("its files are used up", PATIENCE, used_up).await;
    load.goes_on(HEALED).await;
    // What needs a new file of the log goes on where there is one.
    let other = realm.door((leader + 1) % 3);
    for number in 0..12 {
        let (key, value) = (format!("large-{number}").into_bytes().into(), vec![7; 256 << 10].into());
        let put = v1::KvPutRequest { bucket: "files".to_owned(), key, value, ..Default::default() };
        let put = || async { other.kv().put(other.request(put.clone())).await.ok() };
        until("a majority takes it", HEALED, put).await;
    }
    load.goes_on(HEALED).await;
    drop(crowd);
    let ready = || async { realm.status(leader).await.filter(|status| status.ready) };
    let (_, took) = until("it takes calls again", AGAIN, ready).await;
    realm.until_ready().await;
    load.goes_on(HEALED).await;
    load.end(&realm, "a node without files").await;
    let said = realm.log(leader);
    assert!(!said.contains("panicked"), "{said}");
    eprintln!("it had {before} files open, and took calls again {took:?} after the crowd had gone");
}
