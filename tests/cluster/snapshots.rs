//! A follower that was away for so long that the log it lacks is gone.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use matrix_proto::v1;
use matrix_tests::net::Link;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Door, PATIENCE, Plan, TestRealm, until};

use crate::{HEALED, network, others};

/// Entries written meanwhile: more than are kept of what a snapshot covers, and those since the last snapshot.
const ENTRIES: usize = 10_000;
/// Entries written while a snapshot is sent: more than are kept of what the next one covers.
const MORE_ENTRIES: usize = 6_000;
/// Keys that they go to.
const KEYS: usize = 400;
/// Bytes of a value.
const VALUE_BYTES: usize = 1_024;
/// Bytes a second of a link over which a snapshot takes long.
const NARROW: u32 = 1_000_000;
/// Writes under way at a time.
const AT_A_TIME: usize = 64;
/// The file of a snapshot that comes in, in the folder of snapshots.
const INCOMING: &str = "incoming.unfinished";

fn bucket() -> String {
    "filler".to_owned()
}

async fn fill(door: &Door, entries: usize) {
    let puts = (0..entries).map(|number| async move {
        let key = format!("{:04}", number % KEYS).into_bytes().into();
        let value = vec![(number % 251) as u8; VALUE_BYTES].into();
        let put = v1::KvPutRequest { bucket: bucket(), key, value, ..Default::default() };
        door.kv().put(door.request(put)).await.map(drop)
    });
    let done: Vec<_> = stream::iter(puts).buffer_unordered(AT_A_TIME).collect().await;
    done.into_iter().for_each(|done| done.expect("the majority takes it"));
}

async fn entries(door: &Door, local: bool) -> Vec<v1::KvEntry> {
    let range = v1::KvRangeRequest { bucket: bucket(), page_size: 1_000, local, ..Default::default() };
    door.kv().range(door.request(range)).await.expect("it can be read").into_inner().entries
}

fn snapshots(realm: &TestRealm, node: usize) -> PathBuf {
    realm.data(node).join("kv/snapshots")
}

/// The names of the snapshots that a folder has.
fn whole(folder: &Path) -> BTreeSet<OsString> {
    let files = std::fs::read_dir(folder).expect("the node made it").flatten();
    let names = files.map(|file| file.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".snapshot")).collect()
}

/// A realm with a follower that has ended, and must have a snapshot; the leader, and the follower.
async fn behind() -> (TestRealm, Load, usize, usize) {
    let settings = "[kv]\nsnapshot_log_entries = 2500".to_owned();
    let mut realm = TestRealm::start_with(Plan { settings, ..Plan::default() }).await;
    let leader = realm.leader().await;
    let others = others(&realm, leader);
    let load = Load::start(&realm, Clients::of(&[leader, others[1]])).await;
    realm.stop(others[0]).await;
    fill(&realm.door(leader), ENTRIES).await;
    (realm, load, leader, others[0])
}

/// Checks that a node has all that the realm has.
async fn holds_all(realm: &TestRealm, node: usize) {
    let (all, own) = (entries(&realm.door(node), false).await, entries(&realm.door(node), true).await);
    assert_eq!(all.len(), KEYS);
    assert!(all == own, "a snapshot is installed whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_behind_the_log_gets_a_snapshot() {
    let (mut realm, mut load, _, follower) = behind().await;
    let folder = snapshots(&realm, follower);
    let before = whole(&folder);
    realm.restart(follower);
    let up = realm.until_up(follower).await;
    let (now, _) = until("the snapshot that came is kept", PATIENCE, || async {
        Some(whole(&folder)).filter(|now| *now != before)
    })
    .await;
    holds_all(&realm, follower).await;
    load.goes_on(HEALED).await;
    load.end(&realm, "a follower behind the log").await;
    eprintln!("it is up after {up:?}, with {now:?} in place of {before:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_cut_in_the_middle_is_installed_whole_or_not_at_all() {
    let (mut realm, mut load, leader, follower) = behind().await;
    let folder = snapshots(&realm, follower);
    let before = whole(&folder);
    let Some(net) = network(&realm, "a snapshot that is cut in the middle") else { return };
    // Slow enough to be met in the middle: every part waits for its answer.
    net.set(leader, follower, Link { delay: Duration::from_millis(60), ..Link::default() });
    realm.restart(follower);
    let length = || std::fs::metadata(folder.join(INCOMING)).map_or(0, |file| file.len());
    let begun = || async { Some(length()).filter(|length| *length > 0) };
    until("a part of the snapshot has come", PATIENCE, begun).await;
    let net = network(&realm, "").expect("there is one");
    net.isolate(follower);
    let come = length();
    load.goes_on(HEALED).await;
    assert_eq!(length(), come, "nothing comes any more");
    assert!(realm.status(follower).await.is_none(), "it takes no part before it has caught up");
    assert_eq!(whole(&folder), before, "a part is no snapshot");
    realm.kill(follower).await;
    let net = network(&realm, "").expect("there is one");
    net.heal();
    net.set_all(Link::default());
    realm.restart(follower);
    let up = realm.until_up(follower).await;
    holds_all(&realm, follower).await;
    load.goes_on(HEALED).await;
    load.end(&realm, "a snapshot cut in the middle").await;
    realm.until_same().await;
    eprintln!("cut after {come} bytes; it is up {up:?} after its restart");
}

/// More than is kept of the log behind a snapshot is written while one is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_gets_a_snapshot_slowly_needs_no_second_one() {
    let (mut realm, mut load, leader, follower) = behind().await;
    let Some(net) = network(&realm, "a snapshot over a narrow link") else { return };
    for other in others(&realm, follower) {
        net.set(other, follower, Link { bandwidth: NARROW, ..Link::default() });
    }
    let incoming = snapshots(&realm, follower).join(INCOMING);
    let length = || std::fs::metadata(&incoming).map_or(0, |file| file.len());
    realm.restart(follower);
    let begun = || async { Some(length()).filter(|length| *length > 0) };
    until("a part of the snapshot has come", PATIENCE, begun).await;
    // How long it is, and how often it was begun.
    let (longest, begun) = (Cell::new(0), Cell::new(1));
    let up = || {
        let now = length();
        if now > 0 && now < longest.get() {
            begun.set(begun.get() + 1);
        }
        longest.set(if now > 0 { now } else { longest.get() });
        async { realm.status(follower).await.filter(|status| status.ready).map(drop) }
    };
    let caught_up = until("the follower has caught up", Duration::from_secs(120), up);
    let door = realm.door(leader);
    let (((), took), ()) = tokio::join!(caught_up, fill(&door, MORE_ENTRIES));
    assert_eq!(begun.get(), 1, "the log went on from the snapshot");
    eprintln!("{} bytes came; it is up {took:?} after their first", longest.get());
    load.goes_on(HEALED).await;
    realm.net().expect("there is one").set_all(Link::default());
    realm.until_same().await;
    holds_all(&realm, follower).await;
    load.end(&realm, "a snapshot that takes long").await;
}
