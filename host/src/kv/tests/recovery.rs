//! What is there again after the store ended, however it ended.

use std::path::Path;
use std::time::Duration;

use super::{BUCKET, bytes, config, folder, get, open, put};
use crate::kv::{Consistency, Kv, KvConfig, KvError};
use crate::tasks::Tasks;

/// Copies a data folder as it lies there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

async fn fill(kv: &Kv, keys: std::ops::Range<usize>) {
    let keys: Vec<String> = keys.map(|key| format!("{key:06}")).collect();
    let puts = keys.iter().map(|key| kv.put(BUCKET, key.as_bytes(), bytes(key), None, None));
    assert!(futures::future::join_all(puts).await.into_iter().all(|put| put.is_ok()));
}

async fn expect_keys(kv: &Kv, count: usize) {
    for key in (0..count).step_by(97).chain([count - 1]) {
        let key = format!("{key:06}");
        assert_eq!(get(kv, &key).await.unwrap(), key);
    }
    assert_eq!(kv.stats().keys, count as u64);
}

#[tokio::test]
async fn dropped_without_closing_all_comes_back() {
    let dir = folder();
    let kv = open(dir.path()).await;
    fill(&kv, 0..500).await;
    let revision = kv.stats().revision;
    drop(kv);
    let kv = open(dir.path()).await;
    expect_keys(&kv, 500).await;
    assert_eq!(kv.stats().revision, revision);
    assert_eq!(put(&kv, "more", "x").await, revision + 1);
}

/// What a leader sent to others before its own disk had it must not share its place in a term with what comes later.
#[tokio::test]
async fn a_leader_that_starts_again_leads_in_a_new_term() {
    let dir = folder();
    let kv = open(dir.path()).await;
    put(&kv, "key", "value").await;
    let before = kv.members();
    drop(kv);
    let kv = open(dir.path()).await;
    put(&kv, "key", "another").await;
    let after = kv.members();
    assert!(before.is_leader() && after.is_leader());
    assert!(after.term > before.term, "{} after {}", after.term, before.term);
}

#[tokio::test]
async fn what_lies_on_disk_holds_all_that_was_acknowledged() {
    let (dir, crashed) = (folder(), folder());
    let kv = open(dir.path()).await;
    fill(&kv, 0..500).await;
    // No write is under way, so the copy is what a kill would leave.
    copy(dir.path(), crashed.path());
    let revived = open(crashed.path()).await;
    expect_keys(&revived, 500).await;
    fill(&revived, 500..600).await;
    expect_keys(&revived, 600).await;
}

#[tokio::test]
async fn a_snapshot_replaces_the_log_behind_it() {
    let dir = folder();
    let config = KvConfig { snapshot_log_entries: 1_000, ..config(dir.path()) };
    let kv = Kv::open(config.clone(), &Tasks::new()).await.unwrap();
    let mut keys = 0;
    let purged = async {
        while kv.stats().purged_index == 0 {
            fill(&kv, keys..keys + 2_000).await;
            keys += 2_000;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), purged).await.expect("the log is purged");
    fill(&kv, keys..keys + 10).await;
    let stats = kv.stats();
    assert!(stats.snapshots > 0 && stats.purged_index < stats.applied_index);
    let (crashed, snapshots) = (folder(), dir.path().join("snapshots"));
    copy(dir.path(), crashed.path());
    assert!(std::fs::read_dir(snapshots).unwrap().count() <= 2);
    kv.close().await;
    drop(kv);
    let kv = Kv::open(config.clone(), &Tasks::new()).await.unwrap();
    expect_keys(&kv, keys + 10).await;
    assert_eq!(kv.stats().revision, stats.revision);
    let revived = Kv::open(KvConfig { dir: crashed.path().into(), ..config }, &Tasks::new()).await.unwrap();
    assert!(revived.stats().keys >= keys as u64);
}

/// Bytes of the files of the log.
fn log_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let segments = files.filter(|file| file.file_name().to_string_lossy().ends_with(".wal"));
    // Some are removed meanwhile.
    segments.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[tokio::test]
async fn of_a_log_of_large_values_as_many_bytes_are_kept_as_there_should_be() {
    const LARGE: usize = 512 << 10;
    let dir = folder();
    let config = KvConfig { snapshot_log_bytes: 4 << 20, log_segment_bytes: 1 << 20, ..config(dir.path()) };
    let kv = Kv::open(config.clone(), &Tasks::new()).await.unwrap();
    let value = bytes(&"x".repeat(LARGE));
    for _ in 0..80 {
        kv.put(BUCKET, b"k", value.clone(), None, None).await.unwrap();
    }
    // What is kept, what may come before the next snapshot, and a segment at each end.
    let most = 2 * config.snapshot_log_bytes + 4 * config.log_segment_bytes;
    let purged = async {
        while log_bytes(&dir.path().join("log")) > most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), purged).await.expect("40 MiB are purged");
    assert!(
        log_bytes(&dir.path().join("log")) >= config.snapshot_log_bytes,
        "a follower that is a little behind needs no snapshot"
    );
    kv.close().await;
    drop(kv);
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    assert_eq!(kv.get(BUCKET, b"k", Consistency::Linearizable).await.unwrap().unwrap().value, value);
    assert_eq!(kv.stats().revision, 80);
}

#[tokio::test]
async fn a_folder_has_one_node_and_one_process() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let second = Kv::open(config(dir.path()), &Tasks::new()).await.err();
    assert!(matches!(second, Some(KvError::Locked { .. })), "{second:?}");
    kv.close().await;
    let other = KvConfig { node_id: 9, ..config(dir.path()) };
    let other = Kv::open(other, &Tasks::new()).await.err();
    assert!(matches!(other, Some(KvError::WrongNode { stored: 1, configured: 9 })), "{other:?}");
    // What a closed handle is asked, it refuses.
    assert!(matches!(kv.put(BUCKET, b"k", bytes("x"), None, None).await, Err(KvError::Closed)));
    open(dir.path()).await.close().await;
}

#[tokio::test]
async fn a_log_of_an_earlier_format_is_refused() {
    let dir = folder();
    std::fs::write(dir.path().join("log.redb"), "redb").unwrap();
    let refused = Kv::open(config(dir.path()), &Tasks::new()).await.err();
    assert!(matches!(refused, Some(KvError::Format { known: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn closing_leaves_no_task_behind() {
    let dir = folder();
    let tasks = Tasks::new();
    let kv = Kv::open(config(dir.path()), &tasks).await.unwrap();
    kv.close().await;
    assert!(tasks.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_lost_snapshot_is_noticed() {
    let dir = folder();
    let config = KvConfig { snapshot_log_entries: 100, ..config(dir.path()) };
    let kv = Kv::open(config.clone(), &Tasks::new()).await.unwrap();
    let mut keys = 0;
    while kv.stats().purged_index == 0 {
        fill(&kv, keys..keys + 2_000).await;
        keys += 2_000;
    }
    kv.close().await;
    drop(kv);
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    let lost = Kv::open(config, &Tasks::new()).await.err();
    assert!(matches!(lost, Some(KvError::Corrupt { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_writes_and_not_reads() {
    let dir = folder();
    let kv = open(dir.path()).await;
    put(&kv, "k", "x").await;
    kv.close().await;
    drop(kv);
    let config = KvConfig { disk_reserve_bytes: u64::MAX, ..config(dir.path()) };
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    let refused = kv.put(BUCKET, b"k", bytes("y"), None, None).await;
    assert!(matches!(refused, Err(KvError::DiskFull { .. })), "{refused:?}");
    assert_eq!(get(&kv, "k").await.unwrap(), "x");
}
